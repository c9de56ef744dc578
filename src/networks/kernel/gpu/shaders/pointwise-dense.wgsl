// A workgroup computes four channels of one pixel and divides the sum.
var<workgroup> sums: array<vec4<f32>, 64>;

fn main(group: u32, local: u32) {
    let column = group % launch.outputs;
    let picture = group / launch.outputs / launch.rows;
    let row = group / launch.outputs % launch.rows;
    let source = (picture * launch.rows + row) * launch.inputs;
    let gates = gates_of(picture, row);
    var sum = vec4<f32>();
    for (var k = local; k < launch.inputs; k += 64u) {
        let x = gated(vec4<f32>(input[source + k]), gates, k);
        let at = k * 4u * launch.outputs + column;
        sum += x.x * vec4<f32>(weight[at]) + x.y * vec4<f32>(weight[at + launch.outputs])
            + x.z * vec4<f32>(weight[at + 2u * launch.outputs]) + x.w * vec4<f32>(weight[at + 3u * launch.outputs]);
    }
    sums[local] = sum;
    workgroupBarrier();
    if (local < 8u) {
        for (var other = local + 8u; other < 64u; other += 8u) { sum += sums[other]; }
        sums[local] = sum;
    }
    workgroupBarrier();
    if (local == 0u) {
        for (var other = 1u; other < 8u; other++) { sum += sums[other]; }
        store(picture, row, column, sum);
    }
}
