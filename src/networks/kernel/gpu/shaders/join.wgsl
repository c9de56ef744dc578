// Buffers one after the other.
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    var number = at;
    #for part in PARTS
    if (number < launch.length$part) {
        output[at] = part$part[number];
        return;
    }
    number -= launch.length$part;
    #end
}
