fn add(x: vec4<f32>, place: u32) -> vec4<f32> { return x; }
