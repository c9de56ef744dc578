// Patches of the picture, down and across.
fn patches() -> vec2<u32> {
    return (vec2<u32>(launch.height, launch.width) + launch.side - 1u) / launch.side;
}

// Four pixels of the picture `first` pixels from the start, weighed.
fn mixed(first: u32, y: Between, x: Between, channel: u32) -> vec4<f32> {
    let above = mix(value(first, y.before, x.before, channel), value(first, y.before, x.after, channel), x.share);
    let below = mix(value(first, y.after, x.before, channel), value(first, y.after, x.after, channel), x.share);
    return mix(above, below, y.share);
}
