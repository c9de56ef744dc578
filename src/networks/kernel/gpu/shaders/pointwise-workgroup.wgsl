// A workgroup computes 64 pixels of 64 channels and shares what it reads; each invocation has four pixels, 16 apart, of
// four channels. A step goes over 16 inputs.
var<workgroup> pixels: array<vec4<f32>, 256>;
var<workgroup> weights: array<vec4<f32>, 256>;

fn main(group: u32, local: u32) {
    let tiles = (launch.rows + 63u) / 64u;
    let column_tiles = (launch.outputs + 15u) / 16u;
    let picture = group / column_tiles / tiles;
    let row = group / column_tiles % tiles * 64u;
    let columns = group % column_tiles * 16u;
    let column = columns + local % 16u;
    let below = local / 16u;
    let pixel = min(row + local / 4u, launch.rows - 1u);
    let source = (picture * launch.rows + pixel) * launch.inputs;
    let gates = gates_of(picture, pixel);
    #for r in ROWS
    var sum$r = vec4<f32>();
    #end
    for (var start = 0u; start < launch.inputs; start += 4u) {
        let k = min(start + local % 4u, launch.inputs - 1u);
        // Past the last input pixels count as zero, so it does not matter which weights they meet.
        let inside = f32(start + local % 4u < launch.inputs);
        pixels[local] = gated(vec4<f32>(input[source + k]), gates, k) * inside;
        let weight_row = min(start * 4u + local / 16u, launch.inputs * 4u - 1u);
        weights[local] = vec4<f32>(weight[weight_row * launch.outputs + min(column, launch.outputs - 1u)]);
        workgroupBarrier();
        for (var k4 = 0u; k4 < 4u; k4++) {
            let at = k4 * 64u + local % 16u;
            let w0 = weights[at];
            let w1 = weights[at + 16u];
            let w2 = weights[at + 32u];
            let w3 = weights[at + 48u];
            #for r in ROWS
            let x$r = pixels[(below + $ru * 16u) * 4u + k4];
            sum$r += x$r.x * w0 + x$r.y * w1 + x$r.z * w2 + x$r.w * w3;
            #end
        }
        workgroupBarrier();
    }
    if (column >= launch.outputs) { return; }
    #for r in ROWS
    {
        let at = row + below + $ru * 16u;
        if (at < launch.rows) { store(picture, at, column, sum$r); }
    }
    #end
}
