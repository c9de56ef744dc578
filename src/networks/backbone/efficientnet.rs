//! EfficientNet as timm's `tf_efficientnet_b0` and `_b2`, the trunk of EmotiEffNet, and for whole frames as its
//! `efficientnet_b0` and `tf_efficientnet_lite0`.
//!
//! Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks" (2019), table 1.
//! Inverted residual blocks with squeeze-and-excitation and SiLU; the larger networks multiply the table's
//! channels and repeats. Lite0 has the table of B0 without squeeze-and-excitation and with ReLU6.

#[cfg(not(target_family = "wasm"))]
mod published;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::classifier::{Classifier, outputs};
use super::convolution::{Convolution, ConvolutionConfig, Padding, pool};
use super::parameters::Parameters;
#[cfg(not(target_family = "wasm"))]
pub(super) use published::published;

use super::{IMAGENET_NORMALISATION, LITE_NORMALISATION};
use crate::kernel::{Activation, Map, Planner, Shortcut};
use crate::label::Expression;
use crate::weights::{Normalisation, Weights, WeightsError};

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
    width_tenths: usize,
    /// Repeats relative to B0, in tenths.
    depth_tenths: usize,
    pub(super) normalisation: Normalisation,
    padding: Padding,
    activation: Activation,
    has_squeeze: bool,
    /// Added to the variance of batch norms.
    epsilon: f64,
    /// Whether the embedding is the means of the last two stages instead of the head's.
    is_multiscale: bool,
    /// Whether it looks at whole frames instead of faces.
    pub(super) describes_frames: bool,
}

/// One block of the network, spelled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockConfig {
    /// `blocks.STAGE.INDEX`.
    pub(super) name: String,
    /// `conv_pw`, where the block expands.
    pub(super) expand: Option<ConvolutionConfig>,
    /// `conv_dw`.
    pub(super) depthwise: ConvolutionConfig,
    /// `se.conv_reduce` and `se.conv_expand`, where the network has them.
    pub(super) squeeze: Option<[ConvolutionConfig; 2]>,
    /// `conv_pwl`, or `conv_pw` where the block does not expand.
    pub(super) project: ConvolutionConfig,
    /// Whether the block's input is added to its output.
    pub(super) residual: bool,
}

impl EfficientNetConfig {
    /// EmotiEffNet-B0: 224 pixels, 1280 features.
    pub const B0: Self = Self {
        name: "emotieffnet-b0",
        side: 224,
        width_tenths: 10,
        depth_tenths: 10,
        normalisation: IMAGENET_NORMALISATION,
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
        normalisation: LITE_NORMALISATION,
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

    /// Blocks after which the first of two maps is taken.
    fn first_scale(&self) -> Option<usize> {
        let stages = &STAGES[..FIRST_SCALE_STAGES];
        self.is_multiscale
            .then(|| stages.iter().map(|stage| self.repeats(stage)).sum())
    }

    fn repeats(&self, stage: &Stage) -> usize {
        (stage.repeats * self.depth_tenths).div_ceil(10)
    }

    /// `conv_stem`.
    pub(super) fn stem(&self) -> ConvolutionConfig {
        ConvolutionConfig::dense(3, self.channels(STEM_CHANNELS), 3, 2, self.activation)
            .padded(self.padding)
    }

    /// `conv_head`, where the network has one.
    pub(super) fn head(&self) -> Option<ConvolutionConfig> {
        let last = self.channels(STAGES[STAGES.len() - 1].channels);
        (!self.is_multiscale)
            .then(|| ConvolutionConfig::pointwise(last, self.width(), self.activation))
    }

    /// Every block in order.
    pub(super) fn blocks(&self) -> Vec<BlockConfig> {
        let mut blocks = Vec::new();
        let mut inputs = self.channels(STEM_CHANNELS);
        for (stage_index, stage) in STAGES.iter().enumerate() {
            let outputs = self.channels(stage.channels);
            for index in 0..self.repeats(stage) {
                let stride = if index == 0 { stage.stride } else { 1 };
                let hidden = inputs * stage.expansion;
                let squeezed = inputs / SQUEEZE_DIVISOR;
                blocks.push(BlockConfig {
                    name: format!("blocks.{stage_index}.{index}"),
                    expand: (stage.expansion > 1)
                        .then(|| ConvolutionConfig::pointwise(inputs, hidden, self.activation)),
                    depthwise: ConvolutionConfig::depthwise(
                        hidden,
                        stage.kernel,
                        stride,
                        self.activation,
                    )
                    .padded(self.padding),
                    squeeze: self.has_squeeze.then(|| {
                        [
                            ConvolutionConfig::pointwise(hidden, squeezed, self.activation),
                            ConvolutionConfig::pointwise(squeezed, hidden, Activation::Sigmoid),
                        ]
                    }),
                    project: ConvolutionConfig::pointwise(hidden, outputs, Activation::Identity),
                    residual: stride == 1 && inputs == outputs,
                });
                inputs = outputs;
            }
        }
        blocks
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

const REDUCE: &str = "se.conv_reduce";
const EXCITE: &str = "se.conv_expand";

impl BlockConfig {
    fn plan(
        &self,
        parameters: &mut Parameters<'_>,
        planner: &mut Planner,
        maps: Map,
    ) -> Result<Map, WeightsError> {
        let name = &self.name;
        let shortcut = self.residual.then_some(Shortcut {
            map: maps,
            pooled: false,
        });
        let expanded = match &self.expand {
            Some(expand) => expand.plan(&format!("{name}.conv_pw"), parameters, planner, maps)?,
            None => maps,
        };
        let maps =
            self.depthwise
                .plan(&format!("{name}.conv_dw"), parameters, planner, expanded)?;
        let gate = match &self.squeeze {
            Some([reduce, excite]) => {
                let reduce = reduce.weighted(&format!("{name}.{REDUCE}"), parameters)?;
                let excite = excite.weighted(&format!("{name}.{EXCITE}"), parameters)?;
                Some(planner.squeeze_excite(maps, reduce, excite))
            }
            None => None,
        };
        let project = self
            .project
            .weighted(&format!("{name}.{}", self.project_name()), parameters)?;
        Ok(planner.gated_pointwise(maps, project, gate, shortcut))
    }

    /// Name of the projecting convolution.
    pub(super) fn project_name(&self) -> &'static str {
        if self.expand.is_some() {
            "conv_pwl"
        } else {
            "conv_pw"
        }
    }
}

/// EfficientNet with or without its classifier.
#[derive(Module, Debug)]
pub struct EfficientNet {
    stem: Convolution,
    blocks: Vec<Block>,
    head: Option<Convolution>,
    classifier: Option<Classifier>,
    #[module(skip)]
    config: EfficientNetConfig,
    #[module(skip)]
    classes: Vec<Expression>,
}

#[derive(Module, Debug)]
struct Block {
    expand: Option<Convolution>,
    depthwise: Convolution,
    squeeze: Option<Squeeze>,
    project: Convolution,
    residual: bool,
}

#[derive(Module, Debug)]
struct Squeeze {
    reduce: Convolution,
    excite: Convolution,
}

impl EfficientNet {
    /// Takes timm's parameters with batch norm folded: `conv_stem`, `blocks.STAGE.INDEX.*`, `conv_head`, and
    /// `classifier` where there is one, each with `weight` and `bias`.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a missing, misshapen or unexpected parameter, or classes that do not fit the
    /// classifier.
    pub fn load(
        config: EfficientNetConfig,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let mut parameters = Parameters::new(weights);
        let network = Self::take(config, &mut parameters, device)?;
        parameters.finish(config.name)?;
        Ok(Self {
            classes: outputs(weights)?.classes,
            ..network
        })
    }

    /// The same without confirming that nothing is left.
    pub(super) fn take(
        config: EfficientNetConfig,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let mut load = |name: &str, convolution: &ConvolutionConfig| {
            convolution.load(name, parameters, device)
        };
        let stem = load("conv_stem", &config.stem())?;
        let mut blocks = Vec::new();
        for block in config.blocks() {
            let name = &block.name;
            let expand = block
                .expand
                .map(|expand| load(&format!("{name}.conv_pw"), &expand));
            let expand = expand.transpose()?;
            let depthwise = load(&format!("{name}.conv_dw"), &block.depthwise)?;
            let squeeze = match &block.squeeze {
                Some([reduce, excite]) => Some(Squeeze {
                    reduce: load(&format!("{name}.{REDUCE}"), reduce)?,
                    excite: load(&format!("{name}.{EXCITE}"), excite)?,
                }),
                None => None,
            };
            blocks.push(Block {
                expand,
                depthwise,
                squeeze,
                project: load(&format!("{name}.{}", block.project_name()), &block.project)?,
                residual: block.residual,
            });
        }
        let head = config.head().map(|head| load("conv_head", &head));
        let head = head.transpose()?;
        Ok(Self {
            stem,
            blocks,
            head,
            classifier: Classifier::load(config.width(), parameters, device)?,
            config,
            classes: Vec::new(),
        })
    }

    /// Adds the network to a plan whose map `faces` is as large as [`forward`](Self::forward)'s input; gives the
    /// embedding and, where the weights have a classifier, the logits.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn plan(
        config: EfficientNetConfig,
        weights: &Weights,
        planner: &mut Planner,
        faces: Map,
    ) -> Result<(Map, Option<Map>), WeightsError> {
        let mut parameters = Parameters::new(weights);
        let mut maps = config
            .stem()
            .plan("conv_stem", &mut parameters, planner, faces)?;
        let mut first = None;
        for (index, block) in config.blocks().into_iter().enumerate() {
            maps = block.plan(&mut parameters, planner, maps)?;
            if config.first_scale() == Some(index + 1) {
                first = Some(planner.average(maps));
            }
        }
        if let Some(head) = config.head() {
            maps = head.plan("conv_head", &mut parameters, planner, maps)?;
        }
        let last = planner.average(maps);
        let embedding = first.map_or(last, |first| planner.concatenate(first, last));
        let logits = Classifier::plan(&mut parameters, planner, embedding)?;
        parameters.finish(config.name)?;
        Ok((embedding, logits))
    }

    /// Which EfficientNet this is.
    pub fn config(&self) -> EfficientNetConfig {
        self.config
    }

    /// What the first logits stand for; empty without a classifier or where its classes are unknown.
    pub fn classes(&self) -> &[Expression] {
        &self.classes
    }

    /// Embeds faces.
    ///
    /// # Shapes
    ///
    /// - faces: `[batch, 3, side, side]`, RGB, normalised
    /// - output: `[batch, width]`, not unit length
    pub fn forward(&self, faces: Tensor<4>) -> Tensor<2> {
        let mut maps = self.stem.forward(faces);
        let mut means = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            maps = block.forward(maps);
            if self.config.first_scale() == Some(index + 1) {
                means.push(pool(maps.clone()));
            }
        }
        if let Some(head) = &self.head {
            maps = head.forward(maps);
        }
        means.push(pool(maps));
        Tensor::cat(means, 1).flatten(1, 3)
    }

    /// Classifies embeddings, where the weights have a classifier.
    ///
    /// # Shapes
    ///
    /// - embedding: `[batch, width]`
    /// - output: `[batch, outputs]`, before softmax
    pub fn classify(&self, embedding: Tensor<2>) -> Option<Tensor<2>> {
        Some(self.classifier.as_ref()?.forward(embedding))
    }
}

impl Block {
    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let shortcut = self.residual.then(|| maps.clone());
        let maps = match &self.expand {
            Some(expand) => expand.forward(maps),
            None => maps,
        };
        let mut maps = self.depthwise.forward(maps);
        if let Some(Squeeze { reduce, excite }) = &self.squeeze {
            let gate = excite.forward(reduce.forward(pool(maps.clone())));
            maps = maps * gate;
        }
        let maps = self.project.forward(maps);
        match shortcut {
            Some(shortcut) => maps + shortcut,
            None => maps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameters without the classifier, batch norm counted as two numbers a channel and no bias beside it.
    fn unfolded_parameters(config: EfficientNetConfig) -> usize {
        let normalised = |convolution: ConvolutionConfig| {
            let shape = convolution.weight_shape();
            shape.iter().product::<usize>() + 2 * shape[0]
        };
        let biased = |convolution: ConvolutionConfig| {
            let shape = convolution.weight_shape();
            shape.iter().product::<usize>() + shape[0]
        };
        let blocks: usize = config
            .blocks()
            .into_iter()
            .map(|block| {
                block.expand.map_or(0, normalised)
                    + normalised(block.depthwise)
                    + block
                        .squeeze
                        .map_or(0, |both| both.map(biased).iter().sum())
                    + normalised(block.project)
            })
            .sum();
        normalised(config.stem()) + blocks + config.head().map_or(0, normalised)
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
            .blocks()
            .iter()
            .map(|block| {
                block
                    .squeeze
                    .map_or(0, |[reduce, _]| reduce.weight_shape()[0])
            })
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
}
