// Values of several maps side by side, without the padding of their channels.
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.batch * TOTAL) { return; }
    let picture = at / TOTAL;
    var number = at % TOTAL;
    #for map in MAPS
    if (number < PIXELS$map * CHANNELS$map) {
        let pixel = picture * PIXELS$map + number / CHANNELS$map;
        output[at] = f32(map$map[pixel * STORED$map + number % CHANNELS$map]);
        return;
    }
    number -= PIXELS$map * CHANNELS$map;
    #end
}
