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
