// The pixels before and after a place, and the share of the second.
struct Between { before: u32, after: u32, share: f32 }

// Where the centre of an output lies among the centres of the inputs, of which there are `inputs` to `outputs` of these; in
// units of half an output.
fn between(at: u32, inputs: u32, outputs: u32) -> Between {
    let centre = (2u * at + 1u) * inputs;
    let place = centre - min(centre, outputs);
    let before = place / (2u * outputs);
    let share = f32(place % (2u * outputs)) / f32(2u * outputs);
    return Between(before, min(before + 1u, inputs - 1u), share);
}

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
