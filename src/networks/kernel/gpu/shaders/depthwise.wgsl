// Every channel on its own.
fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    if (invocation >= launch.invocations) { return; }
    let place = place_of(invocation);
    let column = place.column;
    #for pixel in PIXELS
    var sum$pixel = bias[column];
    #end
    var seen: array<vec4<f32>, COLUMNS>;
    #for ky in KERNEL
    if (is_inside(place.top + $ky, launch.in_height)) {
        let row = row_of(frame_of(place, 0u), place.top + $ky);
        #for kx in KERNEL
        let w$kx = vec4<f32>(weight[($kyu * KERNEL + $kxu) * launch.outputs + column]);
        #end
        #for at in COLUMNS
        seen[$at] = select(
            vec4<f32>(),
            vec4<f32>(input[pixel_of(row, place.left + $at) * launch.outputs + column]),
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
    let at = output_of(place);
    #for pixel in PIXELS
    if (place.x + $pixelu < launch.width) { output[at + $pixelu * launch.outputs] = Output(activate(sum$pixel, column)); }
    #end
}
