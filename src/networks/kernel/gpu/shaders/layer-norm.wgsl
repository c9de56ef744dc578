// One invocation a pixel. The last few of STORED * 4 channels can be padding.
fn main(group: u32, local: u32) {
    let pixel = group * GROUP + local;
    if (pixel >= launch.pixels) { return; }
    let at = pixel * STORED;
    var total = vec4<f32>();
    for (var k = 0u; k < STORED; k++) { total += vec4<f32>(input[at + k]); }
    let mean = dot(total, vec4<f32>(1.0)) / f32(CHANNELS);
    var squares = vec4<f32>();
    for (var k = 0u; k < STORED; k++) {
        let x = vec4<f32>(input[at + k]) - mean;
        squares += x * x;
    }
    // Padding is zero, so each of its squares is the mean's.
    let padding = f32(STORED * 4u - CHANNELS);
    let variance = (dot(squares, vec4<f32>(1.0)) - padding * mean * mean) / f32(CHANNELS);
    let factor = inverseSqrt(variance + EPSILON);
    for (var k = 0u; k < STORED; k++) {
        let x = vec4<f32>(input[at + k]) - mean;
        output[at + k] = Output(x * factor * scale[k] + bias[k]);
    }
}
