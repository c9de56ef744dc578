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

use super::cpu;
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
        if runs_on_cpu(&maps.device()) {
            return cpu::convolve(maps, self.weight.val(), self.bias.val(), &self.config);
        }
        self.forward_plain(maps)
    }

    /// The same in Burn's own operations: for GPUs, and what the CPU form is compared with.
    pub(super) fn forward_plain(&self, maps: Tensor<4>) -> Tensor<4> {
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

/// Whether tensors of this device live in main memory and carry no gradients, so that own loops may run on them.
fn runs_on_cpu(device: &Device) -> bool {
    !device.is_autodiff() && *device == Device::flex()
}

/// Pixels to add before and after an axis.
pub(super) fn same_padding(side: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let outputs = side.div_ceil(stride);
    let total = ((outputs - 1) * stride + kernel).saturating_sub(side);
    (total / 2, total - total / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Weights;

    /// Numbers in [-1, 1) without a pattern.
    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn the_cpu_form_equals_burns_own_operations() {
        // Sums of at most 45 products, added in another order.
        const TOLERANCE: f32 = 1e-5;
        let device = Device::flex();
        let mut cases = vec![ConvolutionConfig::pointwise(3, 5, Activation::Silu)];
        for activation in [Activation::Identity, Activation::Silu, Activation::Relu6] {
            for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
                cases.push(ConvolutionConfig::depthwise(3, kernel, stride, activation));
            }
            cases.push(ConvolutionConfig::dense(3, 4, 3, 2, activation));
        }
        for (case, (height, width)) in cases
            .iter()
            .flat_map(|case| [(7, 7), (14, 9), (1, 2), (65, 40)].map(|side| (case, side)))
        {
            let shape = case.weight_shape();
            let mut weights = Weights::default();
            let values = noise(shape.iter().product(), 1)
                .iter()
                .map(|value| value * 4.0)
                .collect();
            weights
                .insert("a.weight", shape.to_vec(), values)
                .expect("as many values");
            weights
                .insert("a.bias", vec![shape[0]], noise(shape[0], 2))
                .expect("as many values");
            let convolution = case
                .load("a", &mut Parameters::new(&weights), &device)
                .expect("loads");
            let maps = noise(2 * 3 * height * width, 3);
            let maps =
                Tensor::<1>::from_floats(maps.as_slice(), &device).reshape([2, 3, height, width]);
            let (fast, plain) = (
                convolution.forward(maps.clone()),
                convolution.forward_plain(maps),
            );
            assert_eq!(fast.dims(), plain.dims(), "{case:?}");
            let difference: f32 = (fast - plain).abs().max().into_scalar();
            assert!(
                difference < TOLERANCE,
                "{case:?} on {height}x{width} differs by {difference}"
            );
        }
    }

    #[test]
    fn same_padding_matches_the_published_tables() {
        let of = |side, kernel, stride| same_padding(side, kernel, stride);
        // EfficientNet-B0 at 224 pixels.
        assert_eq!(
            [
                of(224, 3, 2),
                of(112, 3, 2),
                of(56, 5, 2),
                of(28, 3, 2),
                of(14, 5, 2)
            ],
            [(0, 1), (0, 1), (1, 2), (0, 1), (1, 2)]
        );
        // EfficientNet-B2 at 260 pixels.
        assert_eq!(
            [
                of(260, 3, 2),
                of(130, 3, 2),
                of(65, 5, 2),
                of(33, 3, 2),
                of(17, 5, 2)
            ],
            [(0, 1), (0, 1), (2, 2), (1, 1), (2, 2)]
        );
        // Stride one is symmetric.
        assert_eq!(
            [of(7, 3, 1), of(7, 5, 1), of(7, 1, 1)],
            [(1, 1), (2, 2), (0, 0)]
        );
    }
}
