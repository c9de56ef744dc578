// The channels of several maps after each other.
fn main(group: u32, local: u32) {
    let value = group * GROUP + local;
    if (value >= launch.values) { return; }
    output[value] = Output(value_of(value / launch.stored, value % launch.stored));
}
