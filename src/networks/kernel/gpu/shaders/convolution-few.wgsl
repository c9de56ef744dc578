// Every output sees every input; inputs are few and written out, so that neighbouring pixels share what they read.
fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    if (invocation >= launch.invocations) { return; }
    let place = place_of(invocation);
    let column = place.column;
    #for pixel in PIXELS
    var sum$pixel = bias[column];
    #end
    var seen: array<f32, COLUMNS>;
    #for kt in TAPS
    let frame$kt = frame_of(place, $ktu);
    #for ky in KERNEL
    if (frame$kt >= 0 && is_inside(place.top + $ky, launch.in_height)) {
        let row = row_of(frame$kt, place.top + $ky);
        #for channel in INPUTS
        {
            #for kx in KERNEL
            let w$kx = vec4<f32>(weight[((($ktu * KERNEL + $kyu) * KERNEL + $kxu) * launch.inputs + $channelu) * launch.outputs + column]);
            #end
            #for at in COLUMNS
            seen[$at] = select(
                0.0,
                f32(input[pixel_of(row, place.left + $at) * launch.inputs + $channelu]),
                is_inside(place.left + $at, launch.in_width),
            );
            #end
            #for pixel in PIXELS
            #for kx in KERNEL
            sum$pixel += seen[$pixelu * STRIDE + $kxu] * w$kx;
            #end
            #end
        }
        #end
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
