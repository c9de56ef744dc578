// Twice as many pixels along each side: three quarters of the pixel that an output lies in and a quarter of the nearest
// one beside it, along rows and along columns; then the activation, and what is added.
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.invocations) { return; }
    let channel = at % launch.channels;
    let pixel = at / launch.channels;
    let size = vec2<i32>(i32(launch.width), i32(launch.height));
    let line = i32(pixel) / (2 * size.x);
    let picture = line / (2 * size.y);
    let place = vec2<i32>(i32(pixel) % (2 * size.x), line % (2 * size.y));
    let own = place / 2;
    let beside = clamp(own + 2 * (place % 2) - 1, vec2<i32>(), size - 1);
    let rows = (vec2<i32>(own.y, beside.y) + picture * size.y) * size.x;
    var sum = 0.5625 * value(rows.x + own.x, channel) + 0.0625 * value(rows.y + beside.x, channel);
    sum += 0.1875 * (value(rows.x + beside.x, channel) + value(rows.y + own.x, channel));
    output[at] = Output(activate(sum, channel) + vec4<f32>(addend[at]));
}

fn value(pixel: i32, channel: u32) -> vec4<f32> { return vec4<f32>(input[u32(pixel) * launch.channels + channel]); }
