// More or fewer frames of a clip; each invocation writes four channels of a pixel.
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.invocations) { return; }
    let place = at % launch.length;
    let frame = at / launch.length;
    let frames = between(frame % launch.wanted, launch.frames, launch.wanted);
    let first = frame / launch.wanted * launch.frames;
    let before = vec4<f32>(input[(first + frames.before) * launch.length + place]);
    let after = vec4<f32>(input[(first + frames.after) * launch.length + place]);
    output[at] = Output(mix(before, after, frames.share));
}
