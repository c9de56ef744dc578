//! MobileNetV1 at full width, the trunk of `faceres`.
//!
//! Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision applications"
//! (2017), table 1. A stem, then thirteen pairs of a depthwise and a pointwise convolution, each followed
//! by ReLU6, then the global average.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::convolution::{Convolution, ConvolutionConfig};
use super::parameters::Parameters;
use crate::kernel::{Activation, Map, Planner};
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
        let mut parameters = Parameters::new(weights);
        let stem = stem().load("conv_stem", &mut parameters, device)?;
        let blocks = blocks()
            .map(|(name, depthwise, pointwise)| {
                Ok(Block {
                    depthwise: depthwise.load(
                        &format!("{name}.conv_dw"),
                        &mut parameters,
                        device,
                    )?,
                    pointwise: pointwise.load(
                        &format!("{name}.conv_pw"),
                        &mut parameters,
                        device,
                    )?,
                })
            })
            .collect::<Result<_, _>>()?;
        parameters.finish("faceres")?;
        Ok(Self { stem, blocks })
    }

    /// Adds the network to a plan whose map `faces` is as large as [`forward`](Self::forward)'s input; gives the
    /// embedding.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn plan(weights: &Weights, planner: &mut Planner, faces: Map) -> Result<Map, WeightsError> {
        let mut parameters = Parameters::new(weights);
        let mut maps = stem().plan("conv_stem", &mut parameters, planner, faces)?;
        for (name, depthwise, pointwise) in blocks() {
            maps = depthwise.plan(&format!("{name}.conv_dw"), &mut parameters, planner, maps)?;
            maps = pointwise.plan(&format!("{name}.conv_pw"), &mut parameters, planner, maps)?;
        }
        parameters.finish("faceres")?;
        Ok(planner.average(maps))
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

fn stem() -> ConvolutionConfig {
    ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Relu6)
}

/// Name, depthwise and pointwise convolution of each pair.
fn blocks() -> impl Iterator<Item = (String, ConvolutionConfig, ConvolutionConfig)> {
    let mut channels = STEM_CHANNELS;
    BLOCKS
        .into_iter()
        .enumerate()
        .map(move |(index, (stride, outputs))| {
            let depthwise = ConvolutionConfig::depthwise(channels, 3, stride, Activation::Relu6);
            let pointwise = ConvolutionConfig::pointwise(channels, outputs, Activation::Relu6);
            channels = outputs;
            (format!("blocks.{index}"), depthwise, pointwise)
        })
}
