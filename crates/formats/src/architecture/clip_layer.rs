//! Layers over the frames of a clip.

use affectlens_cpu::Activation;

use crate::architecture::layer::{ConvolutionConfig, Place, Published};

/// Sizes of a convolution over a clip in which every output channel sees every input channel, and the activation that follows.
/// There is padding by half the kernel on every side, and none along axes where kernels lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipConvolutionConfig {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Frames of the input.
    pub frames: usize,
    /// Frames of the kernel, and the side of its square in each of them.
    pub kernel: [usize; 2],
    /// Step between outputs in frames, and in pixels.
    pub stride: [usize; 2],
    /// What follows the bias.
    pub activation: Activation,
}

impl ClipConvolutionConfig {
    /// Shape of the weight: `[outputs, inputs, frames, kernel, kernel]`.
    pub fn weight_shape(&self) -> [usize; 5] {
        let [frames, side] = self.kernel;
        [self.outputs, self.inputs, frames, side, side]
    }

    /// Frames of the output.
    pub fn output_frames(&self) -> usize {
        let [padding, _] = self.padding();
        output_frames(self.frames, self.kernel[0], self.stride[0], padding)
    }

    /// Frames before and after the clip, and pixels around each frame.
    pub fn padding(&self) -> [usize; 2] {
        let padding = |axis: usize| match (self.kernel[axis], self.stride[axis]) {
            (kernel, stride) if kernel == stride => 0,
            (kernel, _) => kernel / 2,
        };
        [padding(0), padding(1)]
    }

    /// A convolution of each `[frames, pixels]` patch on its own.
    pub(super) fn patches(frames: usize, patch: [usize; 2], outputs: usize) -> Self {
        Self {
            inputs: 3,
            outputs,
            frames,
            kernel: patch,
            stride: patch,
            activation: Activation::Identity,
        }
    }

    /// A convolution of each pixel of each frame.
    pub(super) fn pointwise(
        frames: usize,
        [inputs, outputs]: [usize; 2],
        activation: Activation,
    ) -> Self {
        Self {
            inputs,
            outputs,
            frames,
            kernel: [1, 1],
            stride: [1, 1],
            activation,
        }
    }
}

/// A convolution over a clip with bias and activation: what batch norm is folded into.
///
/// Canonical files have `name.weight` and `name.bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipConvolution {
    /// Canonical name.
    pub name: String,
    /// Sizes and activation.
    pub config: ClipConvolutionConfig,
    /// Where a state dict has it.
    pub published: Published,
}

impl ClipConvolution {
    /// The same before a batch norm that remembers that share of a batch.
    pub(super) fn momentum(mut self, momentum: f64) -> Self {
        if let Some(norm) = &mut self.published.batch_norm {
            norm.momentum = momentum;
        }
        self
    }

    /// The same beside layers that features do not depend on.
    pub(super) fn unused(mut self, names: &[&str]) -> Self {
        self.published.unused = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }
}

impl Place {
    /// A convolution over a clip with a bias, under the same names at the publisher and in canonical files.
    pub(super) fn plain_clip_convolution(
        &self,
        name: &str,
        config: ClipConvolutionConfig,
    ) -> ClipConvolution {
        let named = ConvolutionConfig::pointwise(config.inputs, config.outputs, config.activation);
        let named = self.convolution(name, named);
        ClipConvolution {
            name: named.name,
            config,
            published: named.published,
        }
    }

    /// A convolution over a clip, unbiased and with a batch norm at the publisher, whose names canonical files have too.
    pub(super) fn clip_convolution(
        &self,
        [layer, batch_norm]: [&str; 2],
        config: ClipConvolutionConfig,
        epsilon: f64,
    ) -> ClipConvolution {
        let named = ConvolutionConfig::pointwise(config.inputs, config.outputs, config.activation);
        let named = self.convolution(layer, named).unbiased();
        let named = named.batch_norm(batch_norm, epsilon);
        ClipConvolution {
            name: named.name,
            config,
            published: named.published,
        }
    }
}

/// Window of a pooling over a clip, PyTorch's padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipPool {
    /// Frames of the input.
    pub frames: usize,
    /// Frames of the window, and the side of its square in each of them.
    pub kernel: [usize; 2],
    /// Step between outputs in frames, and in pixels.
    pub stride: [usize; 2],
    /// Frames before and after the clip, and pixels around each frame.
    pub padding: [usize; 2],
}

impl ClipPool {
    /// Frames of the output.
    pub fn output_frames(&self) -> usize {
        output_frames(self.frames, self.kernel[0], self.stride[0], self.padding[0])
    }
}

fn output_frames(frames: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    (frames + 2 * padding).saturating_sub(kernel) / stride + 1
}
