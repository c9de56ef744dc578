//! ConvNeXt-T, for whole frames.
//!
//! Liu et al., "A ConvNet for the 2020s" (2022): stages of residual blocks, each a 7x7 depthwise convolution, layer norm
//! and a pointwise pair with GELU. Layer scale is folded into the block's last convolution, as batch norm is elsewhere.

#[cfg(not(target_family = "wasm"))]
use super::published::{Layer, PublishedNetwork};

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::classifier::Classifier;
use super::convolution::{Convolution, ConvolutionConfig, Padding, pool};
use super::normalisation::ChannelNorm;
use super::parameters::Parameters;
use crate::kernel::{Activation, Map, Planner};
use crate::weights::{Weights, WeightsError};

const STAGES: usize = 4;
/// Side of the stem's kernel, and its stride.
const PATCH: usize = 4;
/// Hidden channels of a block relative to its own.
const EXPANSION: usize = 4;
const HEAD_NORM: &str = "head.norm";

/// Which ConvNeXt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvNextConfig {
    /// Architecture name in weights files.
    pub name: &'static str,
    /// Side of the input, pixels.
    pub side: u32,
    /// Blocks of each stage.
    depths: [usize; STAGES],
    /// Channels of each stage.
    channels: [usize; STAGES],
    /// Whether the embedding is the means of the last two stages instead of the head's.
    is_multiscale: bool,
}

/// One stage, spelled out; names are timm's.
struct StageConfig {
    /// Names and sizes of the layer norm and the convolution in front.
    downsample: Option<(String, ConvolutionConfig)>,
    blocks: Vec<BlockConfig>,
}

struct BlockConfig {
    name: String,
    depthwise: ConvolutionConfig,
    expand: ConvolutionConfig,
    project: ConvolutionConfig,
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

    fn stem(&self) -> ConvolutionConfig {
        ConvolutionConfig::dense(3, self.channels[0], PATCH, PATCH, Activation::Identity)
            .padded(Padding::None)
    }

    fn stages(&self) -> impl Iterator<Item = StageConfig> {
        let Self {
            depths, channels, ..
        } = *self;
        (0..STAGES).map(move |stage| {
            let width = channels[stage];
            let downsample = stage.checked_sub(1).map(|before| {
                let halve =
                    ConvolutionConfig::dense(channels[before], width, 2, 2, Activation::Identity);
                (
                    format!("stages.{stage}.downsample"),
                    halve.padded(Padding::None),
                )
            });
            let hidden = EXPANSION * width;
            let block = |index| BlockConfig {
                name: format!("stages.{stage}.blocks.{index}"),
                depthwise: ConvolutionConfig::depthwise(width, 7, 1, Activation::Identity),
                expand: ConvolutionConfig::pointwise(width, hidden, Activation::Gelu),
                project: ConvolutionConfig::pointwise(hidden, width, Activation::Identity),
            };
            StageConfig {
                downsample,
                blocks: (0..depths[stage]).map(block).collect(),
            }
        })
    }
}

/// ConvNeXt with or without its classifier.
#[derive(Module, Debug)]
pub struct ConvNext {
    stem: Convolution,
    stem_norm: ChannelNorm,
    stages: Vec<Stage>,
    head_norm: Option<ChannelNorm>,
    classifier: Option<Classifier>,
    #[module(skip)]
    config: ConvNextConfig,
}

#[derive(Module, Debug)]
struct Stage {
    downsample: Option<Downsample>,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Downsample {
    norm: ChannelNorm,
    halve: Convolution,
}

#[derive(Module, Debug)]
struct Block {
    depthwise: Convolution,
    norm: ChannelNorm,
    expand: Convolution,
    project: Convolution,
}

impl ConvNext {
    /// Takes timm's parameters with layer scale folded: `stem.0`, `stem.1`, `stages.STAGE.*`, `head.norm`, and
    /// `classifier` where there is one, each with `weight` and `bias`.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a missing, misshapen or unexpected parameter.
    pub fn load(
        config: ConvNextConfig,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let mut parameters = Parameters::new(weights);
        let network = Self::take(config, &mut parameters, device)?;
        parameters.finish(config.name)?;
        Ok(network)
    }

    /// The same without confirming that nothing is left.
    pub(super) fn take(
        config: ConvNextConfig,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let stem = config.stem().load("stem.0", parameters, device)?;
        let stem_norm = ChannelNorm::load("stem.1", config.channels[0], parameters, device)?;
        let mut stages = Vec::new();
        let mut channels = config.channels[0];
        for (stage, width) in config.stages().zip(config.channels) {
            let downsample = match stage.downsample {
                Some((name, halve)) => Some(Downsample {
                    norm: ChannelNorm::load(&format!("{name}.0"), channels, parameters, device)?,
                    halve: halve.load(&format!("{name}.1"), parameters, device)?,
                }),
                None => None,
            };
            channels = width;
            let blocks = stage.blocks.iter();
            let blocks = blocks.map(|block| block.load(channels, parameters, device));
            stages.push(Stage {
                downsample,
                blocks: blocks.collect::<Result<_, _>>()?,
            });
        }
        let head_norm = (!config.is_multiscale)
            .then(|| ChannelNorm::load(HEAD_NORM, channels, parameters, device));
        Ok(Self {
            stem,
            stem_norm,
            stages,
            head_norm: head_norm.transpose()?,
            classifier: Classifier::load(config.width(), parameters, device)?,
            config,
        })
    }

    /// Adds the network to a plan whose map `frames` is as large as [`forward`](Self::forward)'s input; gives the
    /// embedding and, where the weights have a classifier, the logits.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn plan(
        config: ConvNextConfig,
        weights: &Weights,
        planner: &mut Planner,
        frames: Map,
    ) -> Result<(Map, Option<Map>), WeightsError> {
        let mut parameters = Parameters::new(weights);
        let outputs = Self::plan_parts(config, &mut parameters, planner, frames)?;
        parameters.finish(config.name)?;
        Ok(outputs)
    }

    fn plan_parts(
        config: ConvNextConfig,
        parameters: &mut Parameters<'_>,
        planner: &mut Planner,
        frames: Map,
    ) -> Result<(Map, Option<Map>), WeightsError> {
        let maps = config.stem().plan("stem.0", parameters, planner, frames)?;
        let mut maps = ChannelNorm::plan("stem.1", parameters, planner, maps)?;
        let mut stages = Vec::new();
        for stage in config.stages() {
            if let Some((name, halve)) = &stage.downsample {
                maps = ChannelNorm::plan(&format!("{name}.0"), parameters, planner, maps)?;
                maps = halve.plan(&format!("{name}.1"), parameters, planner, maps)?;
            }
            for block in &stage.blocks {
                maps = block.plan(parameters, planner, maps)?;
            }
            stages.push(maps);
        }
        let last = planner.average(maps);
        let embedding = if config.is_multiscale {
            let first = planner.average(stages[STAGES - 2]);
            planner.concatenate(first, last)
        } else {
            ChannelNorm::plan(HEAD_NORM, parameters, planner, last)?
        };
        let logits = Classifier::plan(parameters, planner, embedding)?;
        Ok((embedding, logits))
    }

    /// Embeds frames.
    ///
    /// # Shapes
    ///
    /// - frames: `[batch, 3, side, side]`, RGB, normalised
    /// - output: `[batch, width]`, not unit length
    pub fn forward(&self, frames: Tensor<4>) -> Tensor<2> {
        let mut maps = self.stem_norm.forward(self.stem.forward(frames));
        let mut means = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            maps = stage.forward(maps);
            if self.config.is_multiscale && index == STAGES - 2 {
                means.push(pool(maps.clone()));
            }
        }
        let mean = pool(maps);
        means.push(match &self.head_norm {
            Some(norm) => norm.forward(mean),
            None => mean,
        });
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

impl Stage {
    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let maps = match &self.downsample {
            Some(Downsample { norm, halve }) => halve.forward(norm.forward(maps)),
            None => maps,
        };
        self.blocks
            .iter()
            .fold(maps, |maps, block| block.forward(maps))
    }
}

impl Block {
    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let shortcut = maps.clone();
        let maps = self.norm.forward(self.depthwise.forward(maps));
        self.project
            .forward_onto(self.expand.forward(maps), shortcut)
    }
}

impl BlockConfig {
    fn load(
        &self,
        channels: usize,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Block, WeightsError> {
        let name = &self.name;
        let depthwise = self
            .depthwise
            .load(&format!("{name}.conv_dw"), parameters, device)?;
        Ok(Block {
            depthwise,
            norm: ChannelNorm::load(&format!("{name}.norm"), channels, parameters, device)?,
            expand: self
                .expand
                .load(&format!("{name}.mlp.fc1"), parameters, device)?,
            project: self
                .project
                .load(&format!("{name}.mlp.fc2"), parameters, device)?,
        })
    }

    fn plan(
        &self,
        parameters: &mut Parameters<'_>,
        planner: &mut Planner,
        input: Map,
    ) -> Result<Map, WeightsError> {
        let name = &self.name;
        let maps = self
            .depthwise
            .plan(&format!("{name}.conv_dw"), parameters, planner, input)?;
        let maps = ChannelNorm::plan(&format!("{name}.norm"), parameters, planner, maps)?;
        let maps = self
            .expand
            .plan(&format!("{name}.mlp.fc1"), parameters, planner, maps)?;
        self.project.plan_onto(
            &format!("{name}.mlp.fc2"),
            parameters,
            planner,
            maps,
            Some(input),
        )
    }
}

/// The layers as timm names them.
#[cfg(not(target_family = "wasm"))]
pub(super) fn published(config: ConvNextConfig) -> PublishedNetwork {
    let mut layers = vec![
        Layer::new("stem.0".to_owned(), &config.stem()),
        Layer::normalisation("stem.1".to_owned(), config.channels[0]),
    ];
    let mut channels = config.channels[0];
    for (stage, width) in config.stages().zip(config.channels) {
        if let Some((name, halve)) = &stage.downsample {
            layers.push(Layer::normalisation(format!("{name}.0"), channels));
            layers.push(Layer::new(format!("{name}.1"), halve));
        }
        channels = width;
        for BlockConfig {
            name,
            depthwise,
            expand,
            project,
        } in &stage.blocks
        {
            // Published as fully connected layers.
            let linear = |part: &str, config: &ConvolutionConfig| {
                let [outputs, inputs, ..] = config.weight_shape();
                Layer::of_shape(format!("{name}.mlp.{part}"), vec![outputs, inputs])
            };
            layers.extend([
                Layer::new(format!("{name}.conv_dw"), depthwise),
                Layer::normalisation(format!("{name}.norm"), channels),
                linear("fc1", expand),
                linear("fc2", project).scale(format!("{name}.gamma")),
            ]);
        }
    }
    let mut unused = Vec::new();
    if config.is_multiscale {
        unused.extend([HEAD_NORM, CLASSIFIER].map(str::to_owned));
    } else {
        layers.push(Layer::normalisation(HEAD_NORM.to_owned(), channels));
    }
    PublishedNetwork {
        name: config.name,
        width: config.width(),
        // There is no batch norm.
        epsilon: 0.0,
        layers,
        classifiers: match config.is_multiscale {
            true => &[],
            false => &[CLASSIFIER],
        },
        unused,
        describes_frames: true,
        aliases: aliases(config),
    }
}

#[cfg(not(target_family = "wasm"))]
const CLASSIFIER: &str = "head.fc";

/// torchvision's names and those of timm's `features_only` networks, and timm's own.
#[cfg(not(target_family = "wasm"))]
fn aliases(config: ConvNextConfig) -> Vec<(String, String)> {
    let mut aliases: Vec<_> = [
        ("stem_0", "stem.0"),
        ("stem_1", "stem.1"),
        ("features.0.0", "stem.0"),
        ("features.0.1", "stem.1"),
        ("classifier.0", HEAD_NORM),
        ("classifier.2", CLASSIFIER),
    ]
    .map(|(alias, name)| (alias.to_owned(), name.to_owned()))
    .into();
    for (stage, depth) in config.depths.into_iter().enumerate() {
        aliases.push((format!("stages_{stage}"), format!("stages.{stage}")));
        let (downsample, blocks) = (2 * stage, 2 * stage + 1);
        for part in ["0", "1"] {
            let name = format!("stages.{stage}.downsample.{part}");
            aliases.push((format!("features.{downsample}.{part}"), name));
        }
        for block in 0..depth {
            for (alias, name) in [
                ("block.0", "conv_dw"),
                ("block.2", "norm"),
                ("block.3", "mlp.fc1"),
                ("block.5", "mlp.fc2"),
                ("layer_scale", "gamma"),
            ] {
                aliases.push((
                    format!("features.{blocks}.{block}.{alias}"),
                    format!("stages.{stage}.blocks.{block}.{name}"),
                ));
            }
        }
    }
    aliases
}
