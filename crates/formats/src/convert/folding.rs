//! Batch norm and layer scale in the weights and biases of what stands before them.

/// Folds `batch_norm` (gamma, beta, mean, variance of each output) into what comes before it.
pub(super) fn fold(weight: &mut [f32], bias: &mut [f32], batch_norm: [&[f32]; 4], epsilon: f64) {
    let [gamma, beta, mean, variance] = batch_norm;
    let fan_in = weight.len() / gamma.len();
    let channels = weight.chunks_exact_mut(fan_in).zip(bias);
    for (channel, (weight, bias)) in channels.enumerate() {
        let scale = f64::from(gamma[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
        for weight in weight {
            *weight = narrow(f64::from(*weight) * scale);
        }
        let centred = f64::from(*bias) - f64::from(mean[channel]);
        *bias = narrow(f64::from(beta[channel]) + centred * scale);
    }
}

/// Multiplies each output.
pub(super) fn apply_scale(weight: &mut [f32], bias: &mut [f32], scale: &[f32]) {
    let fan_in = weight.len() / scale.len();
    for ((weight, bias), scale) in weight.chunks_exact_mut(fan_in).zip(bias).zip(scale) {
        for weight in weight {
            *weight *= scale;
        }
        *bias *= scale;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "weights are stored as f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_gives_what_batch_norm_gives() {
        let mut weight = [2.0, -4.0, 1.0, 3.0];
        let mut bias = [0.0, 1.0];
        let batch_norm: [&[f32]; 4] = [&[3.0, 1.0], &[0.5, 0.0], &[7.0, 1.0], &[0.249, 3.999]];
        fold(&mut weight, &mut bias, batch_norm, 1e-3);
        assert_eq!(weight, [12.0, -24.0, 0.5, 1.5]);
        assert_eq!(bias, [0.5 - 42.0, 0.0]);
    }
}
