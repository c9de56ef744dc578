fn identity(x: vec4<f32>) -> vec4<f32> { return x; }

fn relu(x: vec4<f32>) -> vec4<f32> { return max(x, vec4<f32>()); }

fn relu6(x: vec4<f32>) -> vec4<f32> { return clamp(x, vec4<f32>(), vec4<f32>(6.0)); }

fn prelu(x: vec4<f32>, slope: vec4<f32>) -> vec4<f32> { return select(x * slope, x, x > vec4<f32>()); }

fn silu(x: vec4<f32>) -> vec4<f32> { return x / (1.0 + exp(-x)); }

fn sigmoid(x: vec4<f32>) -> vec4<f32> { return 1.0 / (1.0 + exp(-x)); }

fn hardswish(x: vec4<f32>) -> vec4<f32> { return x * clamp(x + 3.0, vec4<f32>(), vec4<f32>(6.0)) / 6.0; }

// Abramowitz and Stegun 7.1.26: within 1.5e-7 of the error function.
fn gelu(x: vec4<f32>) -> vec4<f32> {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return 0.5 * x * (1.0 + sign(x) * (1.0 - series * exp(-z * z)));
}
