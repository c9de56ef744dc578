// Channels as pixels, and pixels as channels; each invocation writes one value.
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.values) { return; }
    let channel = at % launch.written;
    let pixel = at / launch.written;
    let picture = pixel / launch.rows;
    var value = 0.0;
    if (channel < launch.pixels) {
        value = f32(input[(picture * launch.pixels + channel) * launch.read + pixel % launch.rows]);
    }
    output[at] = Output(value);
}
