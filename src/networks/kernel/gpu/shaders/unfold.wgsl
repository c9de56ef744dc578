// Pixels in rows by their place in a patch; each invocation writes four channels of one.
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.invocations) { return; }
    let channel = at % launch.channels;
    let pixel = at / launch.channels;
    let count = patches();
    let number = pixel % (count.x * count.y);
    let row = pixel / (count.x * count.y);
    let place = row % (launch.side * launch.side);
    let picture = row / (launch.side * launch.side);
    let y = number / count.y * launch.side + place / launch.side;
    let x = number % count.y * launch.side + place % launch.side;
    let down = between(y, launch.height, count.x * launch.side);
    let across = between(x, launch.width, count.y * launch.side);
    output[at] = Output(mixed(picture * launch.height * launch.width, down, across, channel));
}

fn value(first: u32, y: u32, x: u32, channel: u32) -> vec4<f32> {
    return vec4<f32>(input[(first + y * launch.width + x) * launch.channels + channel]);
}
