// Every output sees every input; inputs are few, and the window is too large to be written out.
fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    if (invocation >= launch.invocations) { return; }
    let place = place_of(invocation);
    let column = place.column;
    #for pixel in PIXELS
    var sum$pixel = bias[column];
    #end
    for (var kt = 0u; kt < TAPS; kt++) {
        let frame = frame_of(place, kt);
        if (frame < 0) { continue; }
        for (var ky = 0u; ky < KERNEL; ky++) {
            let y = place.top + i32(ky);
            if (!is_inside(y, launch.in_height)) { continue; }
            let row = row_of(frame, y);
            for (var kx = 0u; kx < KERNEL; kx++) {
                let first = ((kt * KERNEL + ky) * KERNEL + kx) * launch.inputs;
                for (var channel = 0u; channel < launch.inputs; channel++) {
                    let w = vec4<f32>(weight[(first + channel) * launch.outputs + column]);
                    #for pixel in PIXELS
                    let x$pixel = place.left + i32($pixelu * STRIDE + kx);
                    sum$pixel += w * select(
                        0.0,
                        f32(input[pixel_of(row, x$pixel) * launch.inputs + channel]),
                        is_inside(x$pixel, launch.in_width),
                    );
                    #end
                }
            }
        }
    }
    let at = output_of(place);
    #for pixel in PIXELS
    if (place.x + $pixelu < launch.width) {
        let pixel = at + $pixelu * launch.outputs;
        output[pixel] = Output(activate(add_shortcut(sum$pixel, pixel), column));
    }
    #end
}
