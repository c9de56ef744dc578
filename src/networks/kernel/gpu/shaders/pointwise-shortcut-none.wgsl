fn add_shortcut(x: vec4<f32>, picture: u32, row: u32, column: u32) -> vec4<f32> { return x; }
