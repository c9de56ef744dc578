//! A convolution with bias and activation: the one piece that every backbone here is made of.
//!
//! Batch norm is folded into weight and bias before the weights get here, unless the network is to be trained.

use burn::module::{Module, Param};
use burn::tensor::activation::{gelu, relu, sigmoid, silu};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};

use super::normalisation::BatchNorm;
use super::parameters::Parameters;
use crate::kernel::{Activation, Map, MapShape, Planner, Shortcut, Weighted, Window};
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
    /// Every output channel sees the input channels of its group of two neighbours.
    Pairwise {
        /// Input and output channels.
        channels: usize,
    },
}

/// What lies around a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// TensorFlow's SAME: the output has `ceil(side / stride)` pixels, and where the padding is odd the extra pixel
    /// lies at the bottom and right.
    Same,
    /// PyTorch's padding by half the kernel.
    Half,
    /// Nothing.
    None,
}

/// Facts of one convolution; `init` is [`load`](Self::load).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConvolutionConfig {
    pub(super) coupling: Coupling,
    /// Side of the square kernel, pixels.
    pub(super) kernel: usize,
    /// Step between outputs, pixels.
    pub(super) stride: usize,
    pub(super) padding: Padding,
    pub(super) activation: Activation,
}

impl ConvolutionConfig {
    /// A dense 1x1 convolution of stride one.
    pub(super) fn pointwise(inputs: usize, outputs: usize, activation: Activation) -> Self {
        Self::dense(inputs, outputs, 1, 1, activation)
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
            padding: Padding::Same,
            activation,
        }
    }

    /// A 3x3 convolution in groups of two channels.
    pub(super) fn pairwise(channels: usize, activation: Activation) -> Self {
        Self {
            coupling: Coupling::Pairwise { channels },
            ..Self::depthwise(channels, 3, 1, activation)
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
            padding: Padding::Same,
            activation,
        }
    }

    /// The same with another padding than SAME.
    pub(super) fn padded(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// Groups of channels that do not see each other.
    pub(super) fn groups(&self) -> usize {
        match self.coupling {
            Coupling::Dense { .. } => 1,
            Coupling::Depthwise { channels } => channels,
            Coupling::Pairwise { channels } => channels / 2,
        }
    }

    /// Shape of the weight: `[outputs, inputs of one output, kernel, kernel]`.
    pub(super) fn weight_shape(&self) -> [usize; 4] {
        match self.coupling {
            Coupling::Dense { inputs, outputs } => [outputs, inputs, self.kernel, self.kernel],
            Coupling::Depthwise { channels } => [channels, 1, self.kernel, self.kernel],
            Coupling::Pairwise { channels } => [channels, 2, self.kernel, self.kernel],
        }
    }

    fn window(&self, maps: MapShape) -> Window {
        let Self { kernel, stride, .. } = *self;
        match self.padding {
            Padding::Same => Window::same(maps, kernel, stride),
            Padding::Half => Window::symmetric(maps, kernel, stride, kernel / 2),
            Padding::None => Window::symmetric(maps, kernel, stride, 0),
        }
    }

    /// Takes `name.weight`, `name.bias` and for PReLU `name.slopes` for the plain form; of a network to be trained what
    /// stands for them.
    pub(super) fn load(
        &self,
        name: &str,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Convolution, WeightsError> {
        let shape = self.weight_shape();
        let layer = parameters.convolution(name);
        let weight = parameters.take(&format!("{}.weight", layer.name), shape, device)?;
        let bias = layer
            .has_bias
            .then(|| parameters.take(&format!("{}.bias", layer.name), [shape[0]], device));
        let batch_norm = layer
            .batch_norm
            .map(|(name, epsilon)| BatchNorm::load((&name, epsilon), shape[0], parameters, device));
        let scale = layer
            .scale
            .map(|name| parameters.take(&name, [shape[0]], device));
        Ok(Convolution {
            weight,
            bias: bias.transpose()?,
            batch_norm: batch_norm.transpose()?,
            scale: scale.transpose()?,
            slopes: (self.activation == Activation::Prelu)
                .then(|| parameters.take(&format!("{name}.slopes"), [shape[0]], device))
                .transpose()?,
            config: *self,
        })
    }

    /// Takes the same for a plan.
    pub(super) fn weighted(
        &self,
        name: &str,
        parameters: &mut Parameters<'_>,
    ) -> Result<Weighted, WeightsError> {
        let shape = self.weight_shape();
        let weight = parameters.values(&format!("{name}.weight"), &shape)?;
        let bias = parameters.values(&format!("{name}.bias"), &shape[..1])?;
        let slopes = match self.activation {
            Activation::Prelu => parameters.values(&format!("{name}.slopes"), &shape[..1])?,
            _ => &[],
        };
        Ok(Weighted {
            slopes: slopes.to_vec(),
            ..Weighted::from_outputs_first(weight, bias, self.kernel, self.activation)
        })
    }

    /// Adds the convolution to a plan.
    pub(super) fn plan(
        &self,
        name: &str,
        parameters: &mut Parameters<'_>,
        planner: &mut Planner,
        maps: Map,
    ) -> Result<Map, WeightsError> {
        self.plan_onto(name, parameters, planner, maps, None)
    }

    /// The same with a map that is added before the activation; only dense convolutions can have one.
    pub(super) fn plan_onto(
        &self,
        name: &str,
        parameters: &mut Parameters<'_>,
        planner: &mut Planner,
        maps: Map,
        shortcut: Option<Map>,
    ) -> Result<Map, WeightsError> {
        let weighted = self.weighted(name, parameters)?;
        let window = self.window(planner.shape(maps));
        Ok(match (self.coupling, self.kernel, self.stride) {
            (Coupling::Depthwise { .. }, ..) => planner.depthwise(maps, window, weighted),
            (Coupling::Pairwise { .. }, ..) => planner.pairwise(maps, window, weighted),
            (Coupling::Dense { .. }, 1, 1) => {
                let shortcut = shortcut.map(|map| Shortcut { map, pooled: false });
                planner.gated_pointwise(maps, weighted, None, shortcut)
            }
            (Coupling::Dense { .. }, ..) => {
                planner.residual_convolution(maps, window, weighted, shortcut)
            }
        })
    }
}

/// `activation(convolve(x, weight) + bias)`; in training with batch norm or a layer scale before the activation.
#[derive(Module, Debug)]
pub(super) struct Convolution {
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
    batch_norm: Option<BatchNorm>,
    scale: Option<Param<Tensor<1>>>,
    slopes: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: ConvolutionConfig,
}

impl Convolution {
    /// Output channels.
    pub(super) fn outputs(&self) -> usize {
        self.config.weight_shape()[0]
    }

    /// Convolves feature maps.
    ///
    /// # Shapes
    ///
    /// - maps: `[batch, inputs, height, width]`
    /// - output: `[batch, outputs, height, width]`, as large as the padding says
    pub(super) fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        self.activate(self.convolve(maps))
    }

    /// The same with a map that is added before the activation.
    pub(super) fn forward_onto(&self, maps: Tensor<4>, shortcut: Tensor<4>) -> Tensor<4> {
        self.activate(self.convolve(maps) + shortcut)
    }

    fn convolve(&self, maps: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = maps.dims();
        let ConvolutionConfig { kernel, stride, .. } = self.config;
        let window = self.config.window(MapShape {
            height,
            width,
            channels,
        });
        let padding = |axis: usize, side: usize| {
            let reach = (window.output[axis] - 1) * stride + kernel;
            let before = window.before[axis];
            (before, reach.saturating_sub(side + before))
        };
        let padding = [padding(0, height), padding(1, width)];
        let groups = self.config.groups();
        let options = ConvOptions::new_with_padding([stride; 2], padding, [1; 2], groups);
        let bias = self.bias.as_ref().map(Param::val);
        let mut maps = conv2d(maps, self.weight.val(), bias, options);
        if let Some(batch_norm) = &self.batch_norm {
            maps = batch_norm.forward(maps);
        }
        if let Some(scale) = &self.scale {
            let [outputs] = scale.dims();
            maps = maps * scale.val().reshape([1, outputs, 1, 1]);
        }
        maps
    }

    fn activate(&self, maps: Tensor<4>) -> Tensor<4> {
        match self.config.activation {
            Activation::Identity => maps,
            Activation::Silu => silu(maps),
            Activation::Relu => relu(maps),
            Activation::Relu6 => maps.clamp(0.0, 6.0),
            Activation::Gelu => gelu(maps),
            Activation::Sigmoid => sigmoid(maps),
            Activation::Hardswish => maps.clone() * (maps + 3.0).clamp(0.0, 6.0) / 6.0,
            Activation::Prelu => {
                let slopes = self.slopes.as_ref().expect("PReLU has slopes").val();
                let [outputs] = slopes.dims();
                relu(maps.clone()) + maps.clamp_max(0.0) * slopes.reshape([1, outputs, 1, 1])
            }
        }
    }
}

/// Means over pixels, `[batch, channels, 1, 1]`.
pub(super) fn pool(maps: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = maps.dims();
    maps.reshape([batch, channels, height * width])
        .mean_dim(2)
        .reshape([batch, channels, 1, 1])
}
