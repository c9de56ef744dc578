// The largest of each window; padding does not count.
fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    if (invocation >= launch.invocations) { return; }
    let place = place_of(invocation);
    let column = place.column;
    var largest = vec4<f32>(-3.4e38);
    #for kt in TAPS
    let frame$kt = frame_of(place, $ktu);
    #for ky in KERNEL
    if (frame$kt >= 0 && is_inside(place.top + $ky, launch.in_height)) {
        let row = row_of(frame$kt, place.top + $ky);
        #for kx in KERNEL
        if (is_inside(place.left + $kx, launch.in_width)) {
            largest = max(largest, vec4<f32>(input[pixel_of(row, place.left + $kx) * launch.outputs + column]));
        }
        #end
    }
    #end
    #end
    output[output_of(place)] = Output(largest);
}
