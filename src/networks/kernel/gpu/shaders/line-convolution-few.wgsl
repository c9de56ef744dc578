// As the convolution along a row of vectors, over single channels.
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
        let w = vec4<f32>(weight[k * launch.outputs + column]);
        #for r in ROWS
        sum$r += f32(input[source$r + k]) * w;
        #end
    }
    let first = (picture * launch.rows + row) * launch.outputs + column;
    #for r in ROWS
    if (row + $ru < launch.rows) { output[first + $ru * launch.outputs] = Output(activate(sum$r, column)); }
    #end
}
