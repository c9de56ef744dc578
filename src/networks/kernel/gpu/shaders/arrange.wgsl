// Pixels in another order; each invocation writes four channels of one.
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.invocations) { return; }
    let channel = at % launch.channels;
    let pixel = at / launch.channels % launch.pixels;
    let picture = at / launch.channels / launch.pixels;
    // The number of the pixel and one; zero for zeros.
    let place = places[pixel];
    var value = addend_of(pixel * launch.channels + channel);
    if (place > 0u) {
        value += vec4<f32>(input[(picture * launch.taken + place - 1u) * launch.channels + channel]);
    }
    output[at] = Output(value);
}
