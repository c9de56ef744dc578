//! ResNet, for whole frames.
//!
//! He et al., "Deep residual learning for image recognition" (2016), table 1: four stages of blocks with a shortcut, of two
//! convolutions each in ResNet-18, of three in ResNet-50. Names, padding and the place of the stride are torchvision's.

use affectlens_cpu::Activation;

use super::layer::{Classifier, Convolution, ConvolutionConfig, Padding, Place};
use super::walk::{Beside, MaxPool, Walk};

/// Side of the input, pixels.
pub(super) const SIDE: u32 = 224;

const STEM_CHANNELS: usize = 64;
/// Channels within the blocks of each stage, and the stride of the first block.
const STAGES: [(usize, usize); 4] = [(64, 1), (128, 2), (256, 2), (512, 2)];
/// Output channels of a block of three convolutions, relative to those within.
const BOTTLENECK_EXPANSION: usize = 4;
/// The pooling after the stem.
const POOL: MaxPool = MaxPool {
    kernel: 3,
    stride: 2,
    padding: 1,
};
/// Added to the variance of batch norms.
const EPSILON: f64 = 1e-5;

/// Which ResNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResNetConfig {
    /// Architecture name in weights files.
    pub name: &'static str,
    /// Blocks of each stage.
    pub blocks: [usize; 4],
    /// Whether a block narrows its channels, convolves, and widens them again; else it convolves twice.
    pub has_bottlenecks: bool,
}

impl ResNetConfig {
    /// ResNet-18: 512 features.
    pub const RESNET_18: Self = Self {
        name: "resnet18",
        blocks: [2; 4],
        has_bottlenecks: false,
    };
    /// ResNet-50: 2048 features.
    pub const RESNET_50: Self = Self {
        name: "resnet50",
        blocks: [3, 4, 6, 3],
        has_bottlenecks: true,
    };

    /// The network of that architecture name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::RESNET_18, Self::RESNET_50]
            .into_iter()
            .find(|config| config.name == name)
    }

    /// Length of the embedding.
    pub fn width(&self) -> usize {
        let [.., (channels, _)] = STAGES;
        self.outputs(channels)
    }

    /// Output channels of a block.
    fn outputs(&self, channels: usize) -> usize {
        match self.has_bottlenecks {
            true => BOTTLENECK_EXPANSION * channels,
            false => channels,
        }
    }

    /// Walks the network; gives the embedding and, where the weights have a classifier, the logits.
    pub(super) fn describe<W: Walk>(
        &self,
        walk: &mut W,
        input: &W::Map,
    ) -> Result<Vec<W::Map>, W::Error> {
        let stem = convolution([3, STEM_CHANNELS], 7, 2, Activation::Relu);
        let stem = normalised(&Place::default(), "conv1", "bn1", stem);
        let maps = walk.convolution(&stem, input)?;
        let mut maps = walk.max_pool(POOL, &maps);
        let mut inputs = STEM_CHANNELS;
        for (stage, (channels, first_stride)) in STAGES.into_iter().enumerate() {
            for index in 0..self.blocks[stage] {
                let stride = if index == 0 { first_stride } else { 1 };
                let block = Place::same(format!("layer{}.{index}", stage + 1));
                maps = self.describe_block(walk, &block, [inputs, channels], stride, &maps)?;
                inputs = self.outputs(channels);
            }
        }
        let embedding = walk.average(&maps);
        let classifier = Classifier {
            width: self.width(),
            published: &["fc"],
            unused: &[],
        };
        let logits = walk.classifier(&classifier, &embedding)?;
        Ok([embedding].into_iter().chain(logits).collect())
    }

    fn describe_block<W: Walk>(
        &self,
        walk: &mut W,
        block: &Place,
        [inputs, channels]: [usize; 2],
        stride: usize,
        maps: &W::Map,
    ) -> Result<W::Map, W::Error> {
        let outputs = self.outputs(channels);
        // What the shortcut goes through where the sizes change.
        let shortcut = if stride != 1 || inputs != outputs {
            let resize = convolution([inputs, outputs], 1, stride, Activation::Identity);
            let resize = normalised(block, "downsample", "downsample.1", resize);
            walk.convolution(&resize.published("downsample.0"), maps)?
        } else {
            maps.clone()
        };
        // Kernel, stride and outputs of the convolutions.
        let layers = match self.has_bottlenecks {
            false => vec![(3, stride, channels), (3, 1, channels)],
            true => vec![(1, 1, channels), (3, stride, channels), (1, 1, outputs)],
        };
        let last = layers.len();
        let (mut inputs, mut maps) = (inputs, maps.clone());
        for (number, (kernel, stride, outputs)) in (1..).zip(layers) {
            let layer = convolution([inputs, outputs], kernel, stride, Activation::Relu);
            let names = [format!("conv{number}"), format!("bn{number}")];
            let layer = normalised(block, &names[0], &names[1], layer);
            let shortcut = (number == last).then_some(&shortcut);
            maps = walk.convolution_beside(&layer, &maps, Beside::shortcut(shortcut))?;
            inputs = outputs;
        }
        Ok(maps)
    }
}

fn convolution(
    [inputs, outputs]: [usize; 2],
    kernel: usize,
    stride: usize,
    activation: Activation,
) -> ConvolutionConfig {
    ConvolutionConfig::dense(inputs, outputs, kernel, stride, activation).padded(Padding::Half)
}

fn normalised(
    place: &Place,
    name: &str,
    batch_norm: &str,
    config: ConvolutionConfig,
) -> Convolution {
    let layer = place.convolution(name, config).unbiased();
    layer.batch_norm(batch_norm, EPSILON)
}
