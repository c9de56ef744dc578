// The largest of each window; padding does not count.
fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    if (invocation >= launch.invocations) { return; }
    let place = place_of(invocation);
    let column = place.column;
    var largest = vec4<f32>(-3.4e38);
    #for ky in KERNEL
    if (is_inside(place.top + $ky, launch.in_height)) {
        let row = row_of(place, place.top + $ky);
        #for kx in KERNEL
        if (is_inside(place.left + $kx, launch.in_width)) {
            largest = max(largest, vec4<f32>(input[pixel_of(row, place.left + $kx) * launch.outputs + column]));
        }
        #end
    }
    #end
    output[output_of(place)] = Output(largest);
}
