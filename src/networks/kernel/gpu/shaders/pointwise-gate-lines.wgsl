// Where the gates of a pixel's row and of its column begin; those of rows come first.
fn gates_of(picture: u32, row: u32) -> vec2<u32> {
    let height = launch.rows / launch.gate_width;
    let first_line = picture * (height + launch.gate_width);
    let row_gate = (first_line + row / launch.gate_width) * launch.inputs;
    let column_gate = (first_line + height + row % launch.gate_width) * launch.inputs;
    return vec2<u32>(row_gate, column_gate);
}

fn gated(x: vec4<f32>, gates: vec2<u32>, k: u32) -> vec4<f32> { return x * gate[gates.x + k] * gate[gates.y + k]; }
