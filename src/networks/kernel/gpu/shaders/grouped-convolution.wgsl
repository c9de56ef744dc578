// Each invocation computes ROWS neighbouring pixels of four channels of one group. `outputs` counts a group's vectors,
// `inputs` its channels.
fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    let columns = launch.groups * launch.outputs;
    let column = invocation % columns;
    let tiles = (launch.rows + ROWS - 1u) / ROWS;
    let picture = invocation / columns / tiles;
    let row = invocation / columns % tiles * ROWS;
    if (picture >= launch.pictures) { return; }
    let part = column / launch.outputs;
    let first = picture * launch.rows;
    #for r in ROWS
    var sum$r = bias[column];
    #end
    for (var tap = 0u; tap < launch.kernel; tap++) {
        // Before the row a negative number becomes a large one.
        #for r in ROWS
        let pixel$r = row + $ru + tap - launch.padding;
        let inside$r = select(0.0, 1.0, pixel$r < launch.rows);
        let source$r = (first + min(pixel$r, launch.rows - 1u)) * launch.stored + part * launch.inputs;
        #end
        let at = (part * launch.kernel + tap) * launch.inputs * launch.outputs + column % launch.outputs;
        for (var k = 0u; k < launch.inputs; k++) {
            let w = vec4<f32>(weight[at + k * launch.outputs]);
            #for r in ROWS
            sum$r += inside$r * f32(input[source$r + k]) * w;
            #end
        }
    }
    #for r in ROWS
    if (row + $ru < launch.rows) {
        let place = (first + row + $ru) * columns + column;
        output[place] = Output(add(activate(sum$r, column), place));
    }
    #end
}
