// Reads the frame and writes the normalised picture.

// A pixel of the frame, three bytes somewhere in its words.
fn pixel(x: u32, y: u32) -> vec3<u32> {
    let byte = (y * launch.frame_width + x) * 3u;
    let shift = byte % 4u * 8u;
    var bits = frame[byte / 4u] >> shift;
    // Shifting by all 32 bits is not defined.
    if (shift > 8u) { bits |= frame[byte / 4u + 1u] << (32u - shift); }
    return vec3<u32>(bits & 255u, (bits >> 8u) & 255u, (bits >> 16u) & 255u);
}

fn give(at: u32, colour: vec3<f32>) {
    let value = (colour - MEAN) / STD;
    output[at * 3u] = value.x;
    output[at * 3u + 1u] = value.y;
    output[at * 3u + 2u] = value.z;
}
