fn weighed(x: vec4<f32>, line: Line, index: u32, channel: u32) -> vec4<f32> {
    return x * line_weight[(line.kind * launch.width + index) * launch.channels + channel];
}

fn squeezed_of(sum: vec4<f32>, line: Line, channel: u32) -> vec4<f32> {
    return sum + line_weight[(launch.width + launch.height + line.kind) * launch.channels + channel];
}
