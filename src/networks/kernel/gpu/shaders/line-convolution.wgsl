// Each invocation computes ROWS neighbouring pixels of four channels by itself. What a pixel sees is one run of the input;
// `length`, `advance` and `depth` count its vectors.
fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    let column = invocation % launch.outputs;
    let tiles = (launch.rows + ROWS - 1u) / ROWS;
    let picture = invocation / launch.outputs / tiles;
    let row = invocation / launch.outputs % tiles * ROWS;
    if (picture >= launch.pictures) { return; }
    #for r in ROWS
    let source$r = picture * launch.length + min(row + $ru, launch.rows - 1u) * launch.advance;
    var sum$r = bias[column];
    #end
    for (var k = 0u; k < launch.depth; k++) {
        let at = k * 4u * launch.outputs + column;
        let w0 = vec4<f32>(weight[at]);
        let w1 = vec4<f32>(weight[at + launch.outputs]);
        let w2 = vec4<f32>(weight[at + 2u * launch.outputs]);
        let w3 = vec4<f32>(weight[at + 3u * launch.outputs]);
        #for r in ROWS
        let x$r = vec4<f32>(input[source$r + k]);
        sum$r += x$r.x * w0 + x$r.y * w1 + x$r.z * w2 + x$r.w * w3;
        #end
    }
    let first = (picture * launch.rows + row) * launch.outputs + column;
    #for r in ROWS
    if (row + $ru < launch.rows) { output[first + $ru * launch.outputs] = Output(activate(sum$r, column)); }
    #end
}
