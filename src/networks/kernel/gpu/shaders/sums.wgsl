// One group adds up one slice of a picture's pixels.
var<workgroup> sums: array<vec4<f32>, GROUP>;

fn main(group: u32, local: u32) {
    let picture = group / launch.slices;
    let first = group % launch.slices * launch.slice;
    let end = min(first + launch.slice, launch.pixels);
    let span = span_of(launch.channels);
    let lanes = GROUP / span;
    for (var start = 0u; start < launch.channels; start += GROUP) {
        let channel = start + local % span;
        let lane = local / span;
        var sum = vec4<f32>();
        if (channel < launch.channels && lane < lanes) {
            for (var pixel = first + lane; pixel < end; pixel += lanes) {
                sum += vec4<f32>(input[(picture * launch.pixels + pixel) * launch.channels + channel]);
            }
        }
        sums[local] = sum;
        workgroupBarrier();
        if (lane == 0u && channel < launch.channels) {
            for (var other = 1u; other < lanes; other++) { sum += sums[local + other * span]; }
            output[group * launch.channels + channel] = Output(sum / f32(launch.divisor));
        }
        workgroupBarrier();
    }
}
