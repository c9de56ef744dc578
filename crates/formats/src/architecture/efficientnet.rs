//! EfficientNet as timm's `tf_efficientnet_b0` and `_b2`, the trunk of EmotiEffNet, and for whole frames as its
//! `efficientnet_b0` and `tf_efficientnet_lite0`.
//!
//! Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks" (2019), table 1.
//! Inverted residual blocks with squeeze-and-excitation and SiLU; the larger networks multiply the table's
//! channels and repeats. Lite0 has the table of B0 without squeeze-and-excitation and with ReLU6. Names are timm's.

use affectlens_cpu::Activation;

use super::layer::{Classifier, Convolution, ConvolutionConfig, Padding, Place};
use super::normalisation::{IMAGENET, LITE};
use super::walk::{Beside, Walk};
use crate::metadata::Normalisation;

/// One row of the published table: blocks of equal kernel and output width.
struct Stage {
    expansion: usize,
    kernel: usize,
    stride: usize,
    channels: usize,
    repeats: usize,
}

const fn stage(
    expansion: usize,
    kernel: usize,
    stride: usize,
    channels: usize,
    repeats: usize,
) -> Stage {
    Stage {
        expansion,
        kernel,
        stride,
        channels,
        repeats,
    }
}

/// B0; the other sizes scale it.
#[rustfmt::skip]
const STAGES: [Stage; 7] = [
    //    expansion kernel stride channels repeats
    stage(1,        3,     1,     16,      1),
    stage(6,        3,     2,     24,      2),
    stage(6,        5,     2,     40,      2),
    stage(6,        3,     2,     80,      3),
    stage(6,        5,     1,     112,     3),
    stage(6,        5,     2,     192,     4),
    stage(6,        3,     1,     320,     1),
];
const STEM_CHANNELS: usize = 32;
const HEAD_CHANNELS: usize = 1280;
/// Squeeze width as a part of the block's *input* channels.
const SQUEEZE_DIVISOR: usize = 4;
/// Stages up to the first map of the networks of two scales.
const FIRST_SCALE_STAGES: usize = 5;

/// Which EfficientNet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EfficientNetConfig {
    /// Architecture name in weights files.
    pub name: &'static str,
    /// Side of the input, pixels.
    pub side: u32,
    /// Channels relative to B0, in tenths.
    pub width_tenths: usize,
    /// Repeats relative to B0, in tenths.
    pub depth_tenths: usize,
    /// How pixels become input.
    pub normalisation: Normalisation,
    /// What lies around the input of convolutions.
    pub padding: Padding,
    /// What follows convolutions.
    pub activation: Activation,
    /// Whether blocks have squeeze-and-excitation.
    pub has_squeeze: bool,
    /// Added to the variance of batch norms.
    pub epsilon: f64,
    /// Whether the embedding is the means of the last two stages instead of the head's.
    pub is_multiscale: bool,
    /// Whether it looks at whole frames instead of faces.
    pub describes_frames: bool,
}

/// One block of the network, spelled out; names are timm's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    /// `blocks.STAGE.INDEX`.
    pub(crate) name: String,
    /// `conv_pw`, where the block expands.
    pub(crate) expand: Option<Convolution>,
    /// `conv_dw`.
    pub(crate) depthwise: Convolution,
    /// `se.conv_reduce` and `se.conv_expand`, where the network has them.
    pub(crate) squeeze: Option<[Convolution; 2]>,
    /// `conv_pwl`, or `conv_pw` where the block does not expand.
    pub(crate) project: Convolution,
    /// Whether the block's input is added to its output.
    pub(crate) residual: bool,
}

impl EfficientNetConfig {
    /// EmotiEffNet-B0: 224 pixels, 1280 features.
    pub const B0: Self = Self {
        name: "emotieffnet-b0",
        side: 224,
        width_tenths: 10,
        depth_tenths: 10,
        normalisation: IMAGENET,
        padding: Padding::Same,
        activation: Activation::Silu,
        has_squeeze: true,
        // timm's `tf_` models keep TensorFlow's constant.
        epsilon: 1e-3,
        is_multiscale: false,
        describes_frames: false,
    };
    /// EmotiEffNet-B2: 260 pixels, 1408 features.
    pub const B2: Self = Self {
        name: "emotieffnet-b2",
        side: 260,
        width_tenths: 11,
        depth_tenths: 12,
        ..Self::B0
    };
    /// timm's `efficientnet_b0` for frames: PyTorch's padding and epsilon, 1280 features.
    pub const FRAME_B0: Self = Self {
        name: "efficientnet-b0",
        padding: Padding::Half,
        epsilon: 1e-5,
        describes_frames: true,
        ..Self::B0
    };
    /// The same with the means of its last two stages, 112 and 320 features, and no head.
    pub const FRAME_B0_MULTISCALE: Self = Self {
        name: "efficientnet-b0-multiscale",
        is_multiscale: true,
        ..Self::FRAME_B0
    };
    /// EfficientNet-Lite0 for frames: 224 pixels, 1280 features.
    pub const LITE0: Self = Self {
        name: "efficientnet-lite0",
        normalisation: LITE,
        activation: Activation::Relu6,
        has_squeeze: false,
        describes_frames: true,
        ..Self::B0
    };

    /// The network of that architecture name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::B0,
            Self::B2,
            Self::FRAME_B0,
            Self::FRAME_B0_MULTISCALE,
            Self::LITE0,
        ]
        .into_iter()
        .find(|config| config.name == name)
    }

    /// Length of the embedding.
    pub fn width(&self) -> usize {
        let stage = |stages: usize| self.channels(STAGES[stages - 1].channels);
        match self.is_multiscale {
            true => stage(FIRST_SCALE_STAGES) + stage(STAGES.len()),
            false => self.channels(HEAD_CHANNELS),
        }
    }

    fn repeats(&self, stage: &Stage) -> usize {
        (stage.repeats * self.depth_tenths).div_ceil(10)
    }

    fn stem(&self) -> Convolution {
        let stem = ConvolutionConfig::dense(3, self.channels(STEM_CHANNELS), 3, 2, self.activation);
        self.normalised(
            &Place::default(),
            "conv_stem",
            "bn1",
            stem.padded(self.padding),
        )
    }

    /// `conv_head`; networks of two scales have none.
    fn head(&self) -> Option<Convolution> {
        let last = self.channels(STAGES[STAGES.len() - 1].channels);
        let head = ConvolutionConfig::pointwise(last, self.width(), self.activation);
        (!self.is_multiscale).then(|| self.normalised(&Place::default(), "conv_head", "bn2", head))
    }

    /// The blocks of each stage in order.
    pub(crate) fn stages(&self) -> impl Iterator<Item = Vec<Block>> {
        let mut inputs = self.channels(STEM_CHANNELS);
        STAGES.iter().enumerate().map(move |(stage_index, stage)| {
            let outputs = self.channels(stage.channels);
            let blocks = (0..self.repeats(stage)).map(|index| {
                let stride = if index == 0 { stage.stride } else { 1 };
                let name = format!("blocks.{stage_index}.{index}");
                let block = self.block(name, stage, [inputs, outputs], stride);
                inputs = outputs;
                block
            });
            blocks.collect()
        })
    }

    fn block(
        &self,
        name: String,
        stage: &Stage,
        [inputs, outputs]: [usize; 2],
        stride: usize,
    ) -> Block {
        let hidden = inputs * stage.expansion;
        let squeezed = inputs / SQUEEZE_DIVISOR;
        let pointwise = ConvolutionConfig::pointwise;
        let place = Place::same(name.clone());
        let expands = stage.expansion > 1;
        let [expand_norm, depthwise_norm, project_norm] = match expands {
            true => ["bn1", "bn2", "bn3"],
            false => ["", "bn1", "bn2"],
        };
        let expand = pointwise(inputs, hidden, self.activation);
        let depthwise = ConvolutionConfig::depthwise(hidden, stage.kernel, stride, self.activation);
        let depthwise = depthwise.padded(self.padding);
        let project = pointwise(hidden, outputs, Activation::Identity);
        let project_name = if expands { "conv_pwl" } else { "conv_pw" };
        Block {
            expand: expands.then(|| self.normalised(&place, "conv_pw", expand_norm, expand)),
            depthwise: self.normalised(&place, "conv_dw", depthwise_norm, depthwise),
            squeeze: self.has_squeeze.then(|| {
                let reduce = pointwise(hidden, squeezed, self.activation);
                let excite = pointwise(squeezed, hidden, Activation::Sigmoid);
                [
                    place.convolution("se.conv_reduce", reduce),
                    place.convolution("se.conv_expand", excite),
                ]
            }),
            project: self.normalised(&place, project_name, project_norm, project),
            residual: stride == 1 && inputs == outputs,
            name,
        }
    }

    fn normalised(
        &self,
        place: &Place,
        name: &str,
        batch_norm: &str,
        config: ConvolutionConfig,
    ) -> Convolution {
        let layer = place.convolution(name, config).unbiased();
        layer.batch_norm(batch_norm, self.epsilon)
    }

    fn classifier(&self) -> Classifier {
        let width = self.width();
        match self.is_multiscale {
            true => Classifier {
                width,
                published: &[],
                unused: &["conv_head", "bn2", "classifier", "classifier.0"],
            },
            // A plain classifier, or one wrapped into a `Sequential`.
            false => Classifier {
                width,
                published: &["classifier", "classifier.0"],
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
        let mut maps = walk.convolution(&self.stem(), input)?;
        let mut first = None;
        for (index, blocks) in self.stages().enumerate() {
            for block in blocks {
                maps = block.describe(walk, maps)?;
            }
            if self.is_multiscale && index + 1 == FIRST_SCALE_STAGES {
                first = Some(walk.average(&maps));
            }
        }
        if let Some(head) = self.head() {
            maps = walk.convolution(&head, &maps)?;
        }
        let last = walk.average(&maps);
        let embedding = match first {
            Some(first) => walk.concatenate(&first, &last),
            None => last,
        };
        let logits = walk.classifier(&self.classifier(), &embedding)?;
        Ok([embedding].into_iter().chain(logits).collect())
    }

    /// Scaled channels: the nearest multiple of eight that does not lose more than a tenth.
    fn channels(&self, base: usize) -> usize {
        let scaled_tenths = base * self.width_tenths;
        let rounded = (scaled_tenths + 40) / 80 * 8;
        if rounded * 100 < scaled_tenths * 9 {
            rounded + 8
        } else {
            rounded
        }
    }
}

impl Block {
    fn describe<W: Walk>(&self, walk: &mut W, input: W::Map) -> Result<W::Map, W::Error> {
        let maps = match &self.expand {
            Some(expand) => walk.convolution(expand, &input)?,
            None => input.clone(),
        };
        let maps = walk.convolution(&self.depthwise, &maps)?;
        let gate = match &self.squeeze {
            Some([reduce, excite]) => Some(walk.squeeze_excite(reduce, excite, &maps)?),
            None => None,
        };
        let beside = Beside {
            gate: gate.as_ref(),
            ..Beside::shortcut(self.residual.then_some(&input))
        };
        walk.convolution_beside(&self.project, &maps, beside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{Architecture, Layers};

    /// Parameters without the classifier, batch norm counted as two numbers a channel and no bias beside it.
    fn unfolded_parameters(config: EfficientNetConfig) -> usize {
        let layers = Layers::new(Architecture::EfficientNet(config)).convolutions();
        let counts = layers.iter().map(|layer| {
            let shape = layer.config.weight_shape();
            let published = &layer.published;
            let vectors = usize::from(published.has_bias)
                + published.batch_norm.iter().map(|_| 2).sum::<usize>();
            shape.iter().product::<usize>() + vectors * shape[0]
        });
        counts.sum()
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        assert_eq!(unfolded_parameters(EfficientNetConfig::B0), 4_007_548);
        assert_eq!(unfolded_parameters(EfficientNetConfig::B2), 7_700_994);
        assert_eq!(unfolded_parameters(EfficientNetConfig::FRAME_B0), 4_007_548);
        assert_eq!(unfolded_parameters(EfficientNetConfig::LITE0), 3_371_008);
    }

    #[test]
    fn b2_has_the_published_squeeze_widths() {
        let widths: Vec<_> = EfficientNetConfig::B2
            .stages()
            .flatten()
            .filter_map(|block| Some(block.squeeze?[0].config.outputs()))
            .collect();
        let expected = [
            8, 4, 4, 6, 6, 6, 12, 12, 12, 22, 22, 22, 22, 30, 30, 30, 30, 52, 52, 52, 52, 52, 88,
        ];
        assert_eq!(widths, expected);
        assert_eq!(
            [
                EfficientNetConfig::B0.width(),
                EfficientNetConfig::B2.width()
            ],
            [1280, 1408]
        );
    }

    #[test]
    fn layers_are_in_execution_order() {
        let layers = Layers::new(Architecture::EfficientNet(EfficientNetConfig::B0)).convolutions();
        let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names.len(), 81);
        assert_eq!(
            names[..5],
            [
                "conv_stem",
                "blocks.0.0.conv_dw",
                "blocks.0.0.se.conv_reduce",
                "blocks.0.0.se.conv_expand",
                "blocks.0.0.conv_pw"
            ]
        );
        assert_eq!(names[5..7], ["blocks.1.0.conv_pw", "blocks.1.0.conv_dw"]);
        assert_eq!(names[79..], ["blocks.6.0.conv_pwl", "conv_head"]);
    }
}
