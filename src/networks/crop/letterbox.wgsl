// Brings a whole frame into a square with filters from the host: rows first, in whole numbers, rounded to 8 bits after
// each pass.
fn to_byte(sum: vec3<u32>, digits: u32) -> vec3<u32> {
    return min((sum + (1u << (digits - 1u))) >> vec3<u32>(digits), vec3<u32>(255u));
}

fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= SIDE * SIDE) { return; }
    // Left of and above the frame the difference wraps around and is large.
    let inside = vec2<u32>(at % SIDE, at / SIDE) - vec2<u32>(launch.fit_left, launch.fit_top);
    if (any(inside >= vec2<u32>(launch.fit_width, launch.fit_height))) { give(at, vec3<f32>()); return; }
    let column = taps[0] + inside.x * taps[1];
    let row = taps[3] + inside.y * taps[4];
    var colour = vec3<u32>();
    for (var y = 0u; y < taps[row + 1u]; y++) {
        var sum = vec3<u32>();
        for (var x = 0u; x < taps[column + 1u]; x++) {
            sum += taps[column + 2u + x] * pixel(taps[column] + x, taps[row] + y);
        }
        colour += taps[row + 2u + y] * to_byte(sum, taps[2]);
    }
    give(at, vec3<f32>(to_byte(colour, taps[5])));
}
