// `means`, then `squeezed`, then the gate; the group waits for itself in between.
var<workgroup> sums: array<vec4<f32>, GROUP>;
var<workgroup> means: array<vec4<f32>, ROOM>;
var<workgroup> squeezed: array<f32, SQUEEZED_ROOM * 4u>;

// Pixels whose mean or sum is taken: `count` of them, `step` apart. Rows and whole pictures have kind 0, columns 1.
struct Line { kind: u32, count: u32, first: u32, step: u32 }

fn main(group: u32, local: u32) {
    let line = line_of(group);
    let span = span_of(launch.channels);
    let lanes = GROUP / span;
    for (var start = 0u; start < launch.channels; start += GROUP) {
        let channel = start + local % span;
        let lane = local / span;
        var sum = vec4<f32>();
        if (channel < launch.channels && lane < lanes) {
            for (var index = lane; index < line.count; index += lanes) {
                let x = vec4<f32>(input[(line.first + index * line.step) * launch.channels + channel]);
                sum += weighed(x, line, index, channel);
            }
        }
        sums[local] = sum;
        workgroupBarrier();
        if (lane == 0u && channel < launch.channels) {
            for (var other = 1u; other < lanes; other++) { sum += sums[local + other * span]; }
            means[channel] = squeezed_of(sum, line, channel);
        }
        workgroupBarrier();
    }
    // Each squeezed channel is a product of two vectors, divided among `parts` invocations.
    for (var start = 0u; start < launch.squeezed * 4u; start += GROUP / launch.parts) {
        let unit = start + local / launch.parts;
        var sum = vec4<f32>();
        if (unit < launch.squeezed * 4u) {
            for (var k = local % launch.parts; k < launch.channels; k += launch.parts) {
                sum += means[k] * vec4<f32>(reduce_weight[unit * launch.channels + k]);
            }
        }
        sums[local] = sum;
        workgroupBarrier();
        if (local % launch.parts == 0u && unit < launch.squeezed * 4u) {
            for (var other = 1u; other < launch.parts; other++) { sum += sums[local + other]; }
            let total = sum.x + sum.y + sum.z + sum.w + reduce_bias[unit / 4u][unit % 4u];
            squeezed[unit] = activate_reduce(vec4<f32>(total), 0u).x;
        }
        workgroupBarrier();
    }
    for (var channel = local; channel < launch.channels; channel += GROUP) {
        var sum = excite_bias[line.kind * launch.channels + channel];
        for (var k = 0u; k < launch.squeezed; k++) {
            let x = vec4<f32>(squeezed[4u * k], squeezed[4u * k + 1u], squeezed[4u * k + 2u], squeezed[4u * k + 3u]);
            let at = (line.kind * launch.squeezed + k) * 4u * launch.channels + channel;
            sum += x.x * vec4<f32>(excite_weight[at]) + x.y * vec4<f32>(excite_weight[at + launch.channels])
                + x.z * vec4<f32>(excite_weight[at + 2u * launch.channels])
                + x.w * vec4<f32>(excite_weight[at + 3u * launch.channels]);
        }
        output[group * launch.channels + channel] = activate_excite(sum, channel);
    }
}
