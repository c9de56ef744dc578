//! A convolution with bias and activation: the one piece that every backbone here is made of.
//!
//! Batch norm is folded into weight and bias before the weights get here. Padding is TensorFlow's SAME:
//! the output has `ceil(side / stride)` pixels, and where the padding is odd the extra pixel lies at the
//! bottom and right.

use burn::module::{Module, Param};
use burn::tensor::activation::{gelu, relu, sigmoid, silu};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use super::parameters::Parameters;
use crate::kernel::{Activation, Map, Planner, Weighted, Window};
use crate::weights::WeightsError;

/// How a convolution couples channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coupling {
    /// Every output channel sees every input channel.
    Dense {
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
    },
    /// Every output channel sees its own input channel only.
    Depthwise {
        /// Input and output channels.
        channels: usize,
    },
}

/// Facts of one convolution; `init` is [`load`](Self::load), since these networks are only ever pretrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConvolutionConfig {
    pub(super) coupling: Coupling,
    /// Side of the square kernel, pixels.
    pub(super) kernel: usize,
    /// Step between outputs, pixels.
    pub(super) stride: usize,
    pub(super) activation: Activation,
}

impl ConvolutionConfig {
    /// A dense 1x1 convolution of stride one.
    pub(super) fn pointwise(inputs: usize, outputs: usize, activation: Activation) -> Self {
        Self {
            coupling: Coupling::Dense { inputs, outputs },
            kernel: 1,
            stride: 1,
            activation,
        }
    }

    /// A convolution of each channel on its own.
    pub(super) fn depthwise(
        channels: usize,
        kernel: usize,
        stride: usize,
        activation: Activation,
    ) -> Self {
        Self {
            coupling: Coupling::Depthwise { channels },
            kernel,
            stride,
            activation,
        }
    }

    /// A dense convolution.
    pub(super) fn dense(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        activation: Activation,
    ) -> Self {
        Self {
            coupling: Coupling::Dense { inputs, outputs },
            kernel,
            stride,
            activation,
        }
    }

    /// Shape of the weight: `[outputs, inputs of one output, kernel, kernel]`.
    pub(super) fn weight_shape(&self) -> [usize; 4] {
        match self.coupling {
            Coupling::Dense { inputs, outputs } => [outputs, inputs, self.kernel, self.kernel],
            Coupling::Depthwise { channels } => [channels, 1, self.kernel, self.kernel],
        }
    }

    /// Takes `name.weight` and `name.bias` for the plain form.
    pub(super) fn load(
        &self,
        name: &str,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Convolution, WeightsError> {
        let shape = self.weight_shape();
        Ok(Convolution {
            weight: parameters.take(&format!("{name}.weight"), shape, device)?,
            bias: parameters.take(&format!("{name}.bias"), [shape[0]], device)?,
            config: *self,
        })
    }

    /// Takes `name.weight` and `name.bias` for a plan.
    pub(super) fn weighted(
        &self,
        name: &str,
        parameters: &mut Parameters<'_>,
    ) -> Result<Weighted, WeightsError> {
        let shape = self.weight_shape();
        let weight = parameters.values(&format!("{name}.weight"), &shape)?;
        let bias = parameters.values(&format!("{name}.bias"), &shape[..1])?;
        Ok(Weighted::from_outputs_first(
            weight,
            bias,
            self.kernel,
            self.activation,
        ))
    }

    /// Adds the convolution to a plan.
    pub(super) fn plan(
        &self,
        name: &str,
        parameters: &mut Parameters<'_>,
        planner: &mut Planner,
        maps: Map,
    ) -> Result<Map, WeightsError> {
        let weighted = self.weighted(name, parameters)?;
        let window = Window::same(planner.shape(maps), self.kernel, self.stride);
        Ok(match (self.coupling, self.kernel, self.stride) {
            (Coupling::Depthwise { .. }, ..) => planner.depthwise(maps, window, weighted),
            (Coupling::Dense { .. }, 1, 1) => planner.pointwise(maps, weighted),
            (Coupling::Dense { .. }, ..) => planner.convolution(maps, window, weighted),
        })
    }
}

/// `activation(convolve(x, weight) + bias)`.
#[derive(Module, Debug)]
pub(super) struct Convolution {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    config: ConvolutionConfig,
}

impl Convolution {
    /// Convolves feature maps.
    ///
    /// # Shapes
    ///
    /// - maps: `[batch, inputs, height, width]`
    /// - output: `[batch, outputs, ceil(height / stride), ceil(width / stride)]`
    pub(super) fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = maps.dims();
        let ConvolutionConfig {
            coupling,
            kernel,
            stride,
            activation,
        } = self.config;
        let groups = match coupling {
            Coupling::Dense { .. } => 1,
            Coupling::Depthwise { channels } => channels,
        };
        let padding = [
            same_padding(height, kernel, stride),
            same_padding(width, kernel, stride),
        ];
        let options = ConvOptions::new_with_padding([stride; 2], padding, [1; 2], groups);
        let maps = conv2d(maps, self.weight.val(), Some(self.bias.val()), options);
        match activation {
            Activation::Identity => maps,
            Activation::Silu => silu(maps),
            Activation::Relu => relu(maps),
            Activation::Relu6 => maps.clamp(0.0, 6.0),
            Activation::Gelu => gelu(maps),
            Activation::Sigmoid => sigmoid(maps),
            Activation::Prelu => unreachable!("no network here has PReLU"),
        }
    }
}

/// Pixels to add before and after an axis.
fn same_padding(side: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let outputs = side.div_ceil(stride);
    let total = ((outputs - 1) * stride + kernel).saturating_sub(side);
    (total / 2, total - total / 2)
}
