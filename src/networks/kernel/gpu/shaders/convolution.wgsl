// Every output sees every input; inputs come in fours and are looped over.
fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    if (invocation >= launch.invocations) { return; }
    let place = place_of(invocation);
    let column = place.column;
    let inputs = launch.inputs / 4u;
    #for pixel in PIXELS
    var sum$pixel = bias[column];
    #end
    var seen: array<vec4<f32>, COLUMNS>;
    #for kt in TAPS
    let frame$kt = frame_of(place, $ktu);
    #for ky in KERNEL
    if (frame$kt >= 0 && is_inside(place.top + $ky, launch.in_height)) {
        let row = row_of(frame$kt, place.top + $ky);
        for (var k = 0u; k < inputs; k++) {
            #for at in COLUMNS
            seen[$at] = select(
                vec4<f32>(),
                vec4<f32>(input[pixel_of(row, place.left + $at) * inputs + k]),
                is_inside(place.left + $at, launch.in_width),
            );
            #end
            #for kx in KERNEL
            let at$kx = ((($ktu * KERNEL + $kyu) * KERNEL + $kxu) * launch.inputs + k * 4u) * launch.outputs + column;
            #for part in PARTS
            let w$kx_$part = vec4<f32>(weight[at$kx + $partu * launch.outputs]);
            #for pixel in PIXELS
            sum$pixel += seen[$pixelu * STRIDE + $kxu][$part] * w$kx_$part;
            #end
            #end
            #end
        }
    }
    #end
    #end
    let at = output_of(place);
    #for pixel in PIXELS
    if (place.x + $pixelu < launch.width) {
        let pixel = at + $pixelu * launch.outputs;
        output[pixel] = Output(activate(add_shortcut(sum$pixel, pixel), column));
    }
    #end
}
