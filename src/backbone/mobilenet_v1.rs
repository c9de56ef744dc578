//! MobileNetV1 at full width, the trunk of `faceres`.
//!
//! Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision applications"
//! (2017), table 1. A stem, then thirteen pairs of a depthwise and a pointwise convolution, each followed
//! by ReLU6, then the global average.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::convolution::{Activation, Convolution, ConvolutionConfig};
use super::parameters::Parameters;
use crate::weights::{Weights, WeightsError};

const STEM_CHANNELS: usize = 32;

/// One pair: stride of the depthwise convolution, output channels of the pointwise one.
const BLOCKS: [(usize, usize); 13] = [
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (2, 1024),
    (1, 1024),
];

/// MobileNetV1 without its classifier.
#[derive(Module, Debug)]
pub struct MobileNetV1 {
    stem: Convolution,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Block {
    depthwise: Convolution,
    pointwise: Convolution,
}

impl MobileNetV1 {
    /// Length of the embedding.
    pub const WIDTH: usize = 1024;
    /// Side of the input, pixels. Far smaller inputs run too, but the features collapse below 112.
    pub const SIDE: u32 = 224;

    /// Takes `conv_stem`, `blocks.N.conv_dw` and `blocks.N.conv_pw`, each with `weight` and `bias`.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a missing, misshapen or unexpected parameter.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let mut parameters = Parameters::new(weights, device);
        let stem = ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Relu6);
        let stem = stem.load("conv_stem", &mut parameters)?;
        let mut blocks = Vec::with_capacity(BLOCKS.len());
        let mut channels = STEM_CHANNELS;
        for (index, (stride, outputs)) in BLOCKS.into_iter().enumerate() {
            let depthwise = ConvolutionConfig::depthwise(channels, 3, stride, Activation::Relu6);
            let pointwise = ConvolutionConfig::pointwise(channels, outputs, Activation::Relu6);
            blocks.push(Block {
                depthwise: depthwise.load(&format!("blocks.{index}.conv_dw"), &mut parameters)?,
                pointwise: pointwise.load(&format!("blocks.{index}.conv_pw"), &mut parameters)?,
            });
            channels = outputs;
        }
        parameters.finish("faceres")?;
        Ok(Self { stem, blocks })
    }

    /// Embeds faces.
    ///
    /// # Shapes
    ///
    /// - faces: `[batch, 3, side, side]`, RGB, 0 to 255 less the mean
    /// - output: `[batch, 1024]`, each in `[0, 6]`
    pub fn forward(&self, faces: Tensor<4>) -> Tensor<2> {
        let mut maps = self.stem.forward(faces);
        for block in &self.blocks {
            maps = block.depthwise.forward(maps);
            maps = block.pointwise.forward(maps);
        }
        maps.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
    }
}
