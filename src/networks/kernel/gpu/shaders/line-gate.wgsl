// Every pixel times the gates of its row and its column.
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.invocations) { return; }
    let channel = at % launch.channels;
    let pixel = at / launch.channels;
    let y = pixel / launch.width % launch.height;
    let lines = pixel / launch.width / launch.height * (launch.height + launch.width);
    let row = (lines + y) * launch.channels + channel;
    let column = (lines + launch.height + pixel % launch.width) * launch.channels + channel;
    output[at] = Output(vec4<f32>(input[at]) * gate_of(row, column));
}
