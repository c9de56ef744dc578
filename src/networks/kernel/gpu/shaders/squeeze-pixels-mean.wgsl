fn weighed(x: vec4<f32>, line: Line, index: u32, channel: u32) -> vec4<f32> { return x; }

fn squeezed_of(sum: vec4<f32>, line: Line, channel: u32) -> vec4<f32> { return sum / f32(launch.divisor); }
