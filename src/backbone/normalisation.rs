//! Layer norm over the channels of each pixel.

use burn::module::{Module, Param};
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
