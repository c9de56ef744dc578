fn addend_of(at: u32) -> vec4<f32> { return addend[at]; }
