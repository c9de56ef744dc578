// The picture of rows of pixels by their place in a patch; each invocation writes four channels of a pixel.
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.invocations) { return; }
    let channel = at % launch.channels;
    let pixel = at / launch.channels;
    let x = pixel % launch.width;
    let y = pixel / launch.width % launch.height;
    let picture = pixel / launch.width / launch.height;
    let whole = patches() * launch.side;
    let down = between(y, whole.x, launch.height);
    let across = between(x, whole.y, launch.width);
    output[at] = Output(mixed(picture * whole.x * whole.y, down, across, channel));
}

fn value(first: u32, y: u32, x: u32, channel: u32) -> vec4<f32> {
    let count = patches();
    let place = y % launch.side * launch.side + x % launch.side;
    let number = y / launch.side * count.y + x / launch.side;
    return vec4<f32>(input[(first + place * count.x * count.y + number) * launch.channels + channel]);
}
