//! MobileNetV1 at full width, the trunk of `faceres` and of our own expression network.
//!
//! Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision applications"
//! (2017), table 1. A stem, then thirteen pairs of a depthwise and a pointwise convolution, each followed
//! by ReLU6, then the global average. Names of the publisher are those of the tfjs graph without what follows the layer.

use std::ops::RangeInclusive;

use affectlens_cpu::Activation;

use super::layer::{ConvolutionConfig, Place};
use super::walk::Walk;
use crate::error::WeightsError;
use crate::metadata::Normalisation;

/// Which MobileNetV1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MobileNetConfig {
    /// Architecture name in weights files.
    pub name: &'static str,
    /// Side of the input, pixels.
    pub side: u32,
}

impl MobileNetConfig {
    /// `faceres`, trained to tell people apart. Far smaller inputs run too, but its features collapse below 112 pixels.
    pub const FACERES: Self = Self {
        name: "faceres",
        side: 224,
    };
    /// `faceres` trained on for expressions; the network that ships with affectlens.
    pub const EXPRESSION: Self = Self {
        name: "expression-mobilenet",
        side: 96,
    };

    /// The network of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::FACERES, Self::EXPRESSION]
            .into_iter()
            .find(|config| config.name == name)
    }
}

/// Length of the embedding.
pub(super) const WIDTH: usize = 1024;
/// Sides that a file may name: the strides divide by 32, and more than a face has is a mistake.
const SIDES: RangeInclusive<u32> = 32..=512;
/// Pixels less the means of VGGFace2's publisher, as the published `faceres` expects them.
pub(super) const NORMALISATION: Normalisation = Normalisation {
    mean: [123.68, 116.779, 103.939],
    std: [1.0; 3],
};

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

/// The side that a weights file names, if a network can have it.
pub(super) fn check_side(side: u32) -> Result<u32, WeightsError> {
    match SIDES.contains(&side) {
        true => Ok(side),
        false => Err(WeightsError::Malformed {
            format: "weights",
            reason: format!(
                "input side is {side}, expected {} to {} pixels",
                SIDES.start(),
                SIDES.end()
            ),
        }),
    }
}

/// Walks the network; gives the embedding.
pub(super) fn describe<W: Walk>(walk: &mut W, input: &W::Map) -> Result<Vec<W::Map>, W::Error> {
    let stem = ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Relu6);
    let stem = Place::default()
        .convolution("conv_stem", stem)
        .published("conv1");
    let mut maps = walk.convolution(&stem, input)?;
    let mut channels = STEM_CHANNELS;
    for (index, (stride, outputs)) in BLOCKS.into_iter().enumerate() {
        let block = Place::new(format!("blocks.{index}"), "");
        let depthwise = ConvolutionConfig::depthwise(channels, 3, stride, Activation::Relu6);
        let depthwise = block.convolution("conv_dw", depthwise);
        let pointwise = ConvolutionConfig::pointwise(channels, outputs, Activation::Relu6);
        let pointwise = block.convolution("conv_pw", pointwise);
        let number = index + 1;
        maps = walk.convolution(&depthwise.published(&format!("conv_dw_{number}")), &maps)?;
        maps = walk.convolution(&pointwise.published(&format!("conv_pw_{number}")), &maps)?;
        channels = outputs;
    }
    Ok(vec![walk.average(&maps)])
}
