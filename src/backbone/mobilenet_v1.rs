//! MobileNetV1 at full width, the trunk of `faceres`.
//!
//! Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision applications"
//! (2017), table 1. A stem, then thirteen pairs of a depthwise and a pointwise convolution, each followed
//! by ReLU6, then the global average.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::convolution::{Activation, Convolution, ConvolutionConfig};
use super::parameters::Parameters;
use crate::weights::{Metadata, Weights, WeightsError};

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

/// Brings the published tfjs table into canonical form.
///
/// Published names are `conv1`, `conv_dw_1`, `conv_pw_1` and so on. Kernels lie `[height, width, in, out]`, those
/// of depthwise convolutions `[height, width, channels, 1]`; batch norm is folded into the dense kernels, and
/// is a product (`mul`) and a sum (`sub`, whatever the name says) beside the depthwise ones. The age and gender
/// layers that follow the pooling are left out.
pub(super) fn canonical(published: &Weights, metadata: Metadata) -> Result<Weights, WeightsError> {
    let mut weights = Weights::new(metadata);
    dense(published, "conv1", "conv_stem", [3, 3, 3, STEM_CHANNELS], &mut weights)?;
    let mut channels = STEM_CHANNELS;
    for (index, (_, outputs)) in BLOCKS.into_iter().enumerate() {
        let number = index + 1;
        let block = format!("blocks.{index}");
        depthwise(published, &format!("conv_dw_{number}"), &format!("{block}.conv_dw"), channels, &mut weights)?;
        let shape = [1, 1, channels, outputs];
        dense(published, &format!("conv_pw_{number}"), &format!("{block}.conv_pw"), shape, &mut weights)?;
        channels = outputs;
    }
    Ok(weights)
}

fn dense(
    published: &Weights,
    from: &str,
    to: &str,
    shape: [usize; 4],
    weights: &mut Weights,
) -> Result<(), WeightsError> {
    let [height, width, inputs, outputs] = shape;
    let kernel = published.values(&format!("{from}/convolution/merged_input"), &shape)?;
    let taps = height * width;
    let mut values = Vec::with_capacity(kernel.len());
    for output in 0..outputs {
        for input in 0..inputs {
            values.extend((0..taps).map(|tap| kernel[(tap * inputs + input) * outputs + output]));
        }
    }
    let bias = published.values(&format!("{from}_bn/batchnorm_1/sub"), &[outputs])?;
    weights.insert(format!("{to}.weight"), vec![outputs, inputs, height, width], values)?;
    weights.insert(format!("{to}.bias"), vec![outputs], bias.to_vec())
}

fn depthwise(
    published: &Weights,
    from: &str,
    to: &str,
    channels: usize,
    weights: &mut Weights,
) -> Result<(), WeightsError> {
    let kernel = published.values(&format!("{from}/depthwise_kernel"), &[3, 3, channels, 1])?;
    let scale = published.values(&format!("{from}_bn/batchnorm_1/mul"), &[channels])?;
    let bias = published.values(&format!("{from}_bn/batchnorm_1/sub"), &[channels])?;
    let values = (0..channels).flat_map(|channel| (0..9).map(move |tap| kernel[tap * channels + channel] * scale[channel]));
    weights.insert(format!("{to}.weight"), vec![channels, 1, 3, 3], values.collect())?;
    weights.insert(format!("{to}.bias"), vec![channels], bias.to_vec())
}
