//! Batch norm with PyTorch's running statistics and names.

use burn::module::{Param, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::{Device, Tensor, module};

use super::linear;
use crate::weights::{Weights, WeightsError};

/// Names after the layer's key: scale, shift, running mean and running variance.
pub(super) const NAMES: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];
/// Default of PyTorch and of Burn.
pub(super) const EPSILON: f32 = 1e-5;

/// Stored scale, shift, running mean and running variance of a layer.
pub(super) fn values<'a>(
    weights: &'a Weights,
    key: &str,
    channels: usize,
) -> Result<[&'a [f32]; 4], WeightsError> {
    let mut parameters: [&[f32]; 4] = [&[]; 4];
    for (values, name) in parameters.iter_mut().zip(NAMES) {
        *values = weights.values(&format!("{key}.{name}"), &[channels])?;
    }
    if let Some(value) = parameters[3].iter().find(|value| **value < 0.0) {
        return Err(WeightsError::Malformed {
            format: "weights",
            reason: format!("`{key}.running_var` has {value}, expected at least 0"),
        });
    }
    Ok(parameters)
}

pub(super) fn load(
    weights: &Weights,
    key: &str,
    channels: usize,
    device: &Device,
) -> Result<BatchNorm, WeightsError> {
    let [gamma, beta, mean, variance] =
        values(weights, key, channels)?.map(|values| Tensor::<1>::from_data(values, device));
    Ok(BatchNorm {
        gamma: Param::from_tensor(gamma),
        beta: Param::from_tensor(beta),
        running_mean: RunningState::new(mean),
        running_var: RunningState::new(variance),
        ..BatchNormConfig::new(channels).init(device)
    })
}

/// Writes a layer into a weights table.
pub(super) fn store(weights: &mut Weights, key: &str, layer: &BatchNorm) {
    for (name, tensor) in NAMES.into_iter().zip([
        layer.gamma.val(),
        layer.beta.val(),
        layer.running_mean.value_sync(),
        layer.running_var.value_sync(),
    ]) {
        let shape = tensor.dims().to_vec();
        linear::insert(weights, format!("{key}.{name}"), shape, tensor);
    }
}

/// Normalises `[batch, channels, ...]` with the running statistics.
pub(super) fn forward<const D: usize>(layer: &BatchNorm, input: Tensor<D>) -> Tensor<D> {
    module::batch_norm(
        input,
        layer.gamma.val(),
        layer.beta.val(),
        layer.running_mean.value_sync(),
        layer.running_var.value_sync(),
        layer.epsilon,
    )
}

/// Normalises `[batch, channels, ...]` with the statistics of the batch and updates the running statistics.
///
/// Like PyTorch, it normalises with the biased variance and stores the unbiased variance; Burn's module stores the
/// biased one.
pub(super) fn forward_training<const D: usize>(layer: &BatchNorm, input: Tensor<D>) -> Tensor<D> {
    let dims = input.dims();
    let count = dims.iter().product::<usize>() / dims[1].max(1);
    let normed =
        module::batch_norm_train(input, layer.gamma.val(), layer.beta.val(), layer.epsilon);
    let unbiased = normed.variance * (count as f64 / count.saturating_sub(1).max(1) as f64);
    for (state, batch) in [
        (&layer.running_mean, normed.mean),
        (&layer.running_var, unbiased),
    ] {
        let previous = state.value_sync() * (1.0 - layer.momentum);
        state.update((previous + batch * layer.momentum).detach());
    }
    normed.output
}
