// A number for each channel of a picture.
fn gates_of(picture: u32, row: u32) -> vec2<u32> { return vec2<u32>(picture * launch.inputs, 0u); }

fn gated(x: vec4<f32>, gates: vec2<u32>, k: u32) -> vec4<f32> { return x * gate[gates.x + k]; }
