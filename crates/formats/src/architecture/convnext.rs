//! ConvNeXt-T, for whole frames.
//!
//! Liu et al., "A ConvNet for the 2020s" (2022): stages of residual blocks, each a 7x7 depthwise convolution, layer norm
//! and a pointwise pair with GELU. Layer scale is folded into the block's last convolution, as batch norm is elsewhere.
//! Names are timm's.

use affectlens_cpu::Activation;

use super::layer::{Classifier, ConvolutionConfig, Padding, Place};
use super::walk::{Beside, Walk};

const STAGES: usize = 4;
/// Side of the stem's kernel, and its stride.
const PATCH: usize = 4;
/// Hidden channels of a block relative to its own.
const EXPANSION: usize = 4;
/// The layer norm of the head.
pub(crate) const HEAD_NORM: &str = "head.norm";
/// The classifier at the publisher.
pub(crate) const CLASSIFIER: &str = "head.fc";

/// Which ConvNeXt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvNextConfig {
    /// Architecture name in weights files.
    pub name: &'static str,
    /// Side of the input, pixels.
    pub side: u32,
    /// Blocks of each stage.
    pub depths: [usize; STAGES],
    /// Channels of each stage.
    pub channels: [usize; STAGES],
    /// Whether the embedding is the means of the last two stages instead of the head's.
    pub is_multiscale: bool,
}

impl ConvNextConfig {
    /// ConvNeXt-T: 224 pixels, 768 features.
    pub const TINY: Self = Self {
        name: "convnext-tiny",
        side: 224,
        depths: [3, 3, 9, 3],
        channels: [96, 192, 384, 768],
        is_multiscale: false,
    };
    /// The same with the means of its last two stages, 384 and 768 features, and no head.
    pub const TINY_MULTISCALE: Self = Self {
        name: "convnext-tiny-multiscale",
        is_multiscale: true,
        ..Self::TINY
    };
    /// One block a stage, for tests of training: 32 pixels, 64 features. It has no published weights, so it is not among
    /// [`NAMES`](super::NAMES).
    #[doc(hidden)]
    pub const TEST: Self = Self {
        name: "convnext-test",
        side: 32,
        depths: [1; STAGES],
        channels: [8, 16, 32, 64],
        is_multiscale: false,
    };

    /// The network of that architecture name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::TINY, Self::TINY_MULTISCALE, Self::TEST]
            .into_iter()
            .find(|config| config.name == name)
    }

    /// Length of the embedding.
    pub fn width(&self) -> usize {
        let [_, _, third, last] = self.channels;
        match self.is_multiscale {
            true => third + last,
            false => last,
        }
    }

    fn classifier(&self) -> Classifier {
        let width = self.width();
        match self.is_multiscale {
            true => Classifier {
                width,
                published: &[],
                unused: &[HEAD_NORM, CLASSIFIER],
            },
            false => Classifier {
                width,
                published: &[CLASSIFIER],
                unused: &[],
            },
        }
    }

    /// Walks the network; gives the embedding and, where the weights have a classifier, the logits.
    pub(super) fn describe<W: Walk>(
        &self,
        walk: &mut W,
        input: &W::Map,
    ) -> Result<Vec<W::Map>, W::Error> {
        let network = Place::default();
        let mut width = self.channels[0];
        let stem = patches([3, width], PATCH);
        let maps = walk.convolution(&network.convolution("stem.0", stem), input)?;
        let mut maps = walk.layer_norm(&network.norm("stem.1", width), &maps)?;
        let mut first = None;
        for (index, (depth, channels)) in self.depths.into_iter().zip(self.channels).enumerate() {
            let stage = Place::same(format!("stages.{index}"));
            if index > 0 {
                maps = walk.layer_norm(&stage.norm("downsample.0", width), &maps)?;
                let halve = patches([width, channels], 2);
                maps = walk.convolution(&stage.convolution("downsample.1", halve), &maps)?;
            }
            width = channels;
            for index in 0..depth {
                let block = stage.within(&format!("blocks.{index}"), &format!("blocks.{index}"));
                maps = describe_block(walk, &block, width, maps)?;
            }
            if self.is_multiscale && index == STAGES - 2 {
                first = Some(maps.clone());
            }
        }
        let last = walk.average(&maps);
        let embedding = match first {
            Some(first) => {
                let first = walk.average(&first);
                walk.concatenate(&first, &last)
            }
            None => walk.layer_norm(&network.norm(HEAD_NORM, width), &last)?,
        };
        let logits = walk.classifier(&self.classifier(), &embedding)?;
        Ok([embedding].into_iter().chain(logits).collect())
    }
}

fn describe_block<W: Walk>(
    walk: &mut W,
    block: &Place,
    width: usize,
    input: W::Map,
) -> Result<W::Map, W::Error> {
    let hidden = EXPANSION * width;
    let depthwise = ConvolutionConfig::depthwise(width, 7, 1, Activation::Identity);
    let expand = ConvolutionConfig::pointwise(width, hidden, Activation::Gelu);
    let project = ConvolutionConfig::pointwise(hidden, width, Activation::Identity);
    let maps = walk.convolution(&block.convolution("conv_dw", depthwise), &input)?;
    let maps = walk.layer_norm(&block.norm("norm", width), &maps)?;
    let maps = walk.convolution(&block.convolution("mlp.fc1", expand).dense(), &maps)?;
    let project = block.convolution("mlp.fc2", project).dense();
    walk.convolution_beside(
        &project.scale("gamma"),
        &maps,
        Beside::shortcut(Some(&input)),
    )
}

/// A convolution of patches that do not overlap.
fn patches([inputs, outputs]: [usize; 2], side: usize) -> ConvolutionConfig {
    ConvolutionConfig::dense(inputs, outputs, side, side, Activation::Identity)
        .padded(Padding::None)
}
