// Each invocation computes ROWS pixels of four channels by itself.
fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    let column = invocation % launch.outputs;
    let tiles = (launch.rows + ROWS - 1u) / ROWS;
    let picture = invocation / launch.outputs / tiles;
    let row = invocation / launch.outputs % tiles * ROWS;
    if (picture >= launch.pictures) { return; }
    let first = picture * launch.rows;
    let gates = gates_of(picture, row);
    #for r in ROWS
    let source$r = (first + min(row + $ru, launch.rows - 1u)) * launch.inputs;
    var sum$r = vec4<f32>();
    #end
    for (var k = 0u; k < launch.inputs; k++) {
        let at = k * 4u * launch.outputs + column;
        let w0 = vec4<f32>(weight[at]);
        let w1 = vec4<f32>(weight[at + launch.outputs]);
        let w2 = vec4<f32>(weight[at + 2u * launch.outputs]);
        let w3 = vec4<f32>(weight[at + 3u * launch.outputs]);
        #for r in ROWS
        let x$r = gated(vec4<f32>(input[source$r + k]), gates, k);
        sum$r += x$r.x * w0 + x$r.y * w1 + x$r.z * w2 + x$r.w * w3;
        #end
    }
    #for r in ROWS
    if (row + $ru < launch.rows) { store(picture, row + $ru, column, sum$r); }
    #end
}
