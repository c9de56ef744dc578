//! Layer norm over the channels of each pixel, and batch norm for training.

use burn::module::{Module, Param};
use burn::nn::BatchNormConfig;
use burn::tensor::module::batch_norm_train;
use burn::tensor::{Device, Tensor};

use super::parameters::Parameters;
use crate::kernel::{Map, Planner};
use crate::weights::WeightsError;

/// Added to the variance, as in ConvNeXt.
const EPSILON: f32 = 1e-6;

/// `(x - mean) / sqrt(variance + 1e-6) * weight + bias`, mean and variance over channels.
#[derive(Module, Debug)]
pub(super) struct ChannelNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl ChannelNorm {
    /// Takes `name.weight` and `name.bias` for the plain form.
    pub(super) fn load(
        name: &str,
        channels: usize,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: parameters.take(&format!("{name}.weight"), [channels], device)?,
            bias: parameters.take(&format!("{name}.bias"), [channels], device)?,
        })
    }

    /// Takes the same and adds the layer to a plan.
    pub(super) fn plan(
        name: &str,
        parameters: &mut Parameters<'_>,
        planner: &mut Planner,
        maps: Map,
    ) -> Result<Map, WeightsError> {
        let channels = planner.shape(maps).channels;
        let mut take = |part| {
            let values = parameters.values(&format!("{name}.{part}"), &[channels]);
            values.map(<[f32]>::to_vec)
        };
        let (weight, bias) = (take("weight")?, take("bias")?);
        Ok(planner.layer_norm(maps, weight, bias, EPSILON))
    }

    /// `[batch, channels, height, width]` to the same.
    pub(super) fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let [_, channels, _, _] = maps.dims();
        let centred = maps.clone() - maps.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        let of_channels = |values: Tensor<1>| values.reshape([1, channels, 1, 1]);
        centred / (variance + EPSILON).sqrt() * of_channels(self.weight.val())
            + of_channels(self.bias.val())
    }
}

/// Batch norm with what PyTorch's remembers.
#[derive(Module, Debug)]
pub(super) struct BatchNorm {
    inner: burn::nn::BatchNorm,
}

impl BatchNorm {
    /// Takes `name.weight`, `.bias`, `.running_mean` and `.running_var`.
    pub(super) fn load(
        (name, epsilon): (&str, f64),
        channels: usize,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let mut inner = BatchNormConfig::new(channels)
            .with_epsilon(epsilon)
            .init(device);
        inner.gamma = parameters.take(&format!("{name}.weight"), [channels], device)?;
        inner.beta = parameters.take(&format!("{name}.bias"), [channels], device)?;
        let mut statistic =
            |part| parameters.take_statistic(&format!("{name}.{part}"), channels, device);
        inner.running_mean = statistic("running_mean")?;
        inner.running_var = statistic("running_var")?;
        Ok(Self { inner })
    }

    /// `[batch, channels, height, width]` to the same: by the batch's statistics on a device with gradients, by the
    /// running ones elsewhere.
    pub(super) fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let BatchNorm { inner } = self;
        if !(maps.device().is_autodiff() && inner.training.is_enabled()) {
            return inner.forward(maps);
        }
        let [batch, _, height, width] = maps.dims();
        let batch_norm = batch_norm_train(maps, inner.gamma.val(), inner.beta.val(), inner.epsilon);
        // Burn remembers the variance over n, PyTorch the one over n - 1.
        let count = (batch * height * width) as f64;
        let variance = batch_norm.variance * (count / (count - 1.0).max(1.0));
        for (running, value) in [
            (&inner.running_mean, batch_norm.mean),
            (&inner.running_var, variance),
        ] {
            let before = running.value_sync() * (1.0 - inner.momentum);
            running.update((before + value.detach() * inner.momentum).detach());
        }
        batch_norm.output
    }
}
