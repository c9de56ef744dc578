//! MobileFaceNet at double width, EmotiEffLib's `mbf_va_mtl`.
//!
//! Chen et al., "MobileFaceNets: Efficient CNNs for accurate real-time face verification on mobile devices" (2018),
//! table 1. Inverted residual blocks with PReLU; a depthwise convolution over the whole last map instead of the
//! average, and a fully connected layer.

#[cfg(not(target_family = "wasm"))]
use super::published::{Layer, PublishedNetwork};

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::classifier::Classifier;
use super::convolution::{Convolution, ConvolutionConfig, Padding};
use super::parameters::Parameters;
use crate::kernel::{Activation, Map, Planner, Shortcut};
use crate::weights::{Weights, WeightsError};

/// One row of the table: blocks of equal width.
struct Stage {
    /// Place in the published list of layers.
    place: usize,
    hidden: usize,
    outputs: usize,
    stride: usize,
    repeats: usize,
}

#[rustfmt::skip]
const STAGES: [Stage; 6] = [
    Stage { place: 2, hidden: 128, outputs: 128, stride: 2, repeats: 1 },
    Stage { place: 3, hidden: 128, outputs: 128, stride: 1, repeats: 4 },
    Stage { place: 4, hidden: 256, outputs: 256, stride: 2, repeats: 1 },
    Stage { place: 5, hidden: 256, outputs: 256, stride: 1, repeats: 6 },
    Stage { place: 6, hidden: 512, outputs: 256, stride: 2, repeats: 1 },
    Stage { place: 7, hidden: 256, outputs: 256, stride: 1, repeats: 2 },
];
const STEM_CHANNELS: usize = 128;
const LAST_CHANNELS: usize = 256;
/// Side of the last map, pixels.
const LAST_SIDE: usize = 7;

/// MobileFaceNet with or without its classifier.
#[derive(Module, Debug)]
pub struct MobileFaceNet {
    stem: Convolution,
    pairs: Convolution,
    blocks: Vec<Block>,
    separate: Convolution,
    head: Convolution,
    embed: Convolution,
    classifier: Option<Classifier>,
}

#[derive(Module, Debug)]
struct Block {
    expand: Convolution,
    depthwise: Convolution,
    project: Convolution,
    residual: bool,
}

/// One block of the network, spelled out.
struct BlockConfig {
    /// Canonical name.
    name: String,
    /// Name in a state dict.
    #[cfg_attr(
        target_family = "wasm",
        expect(dead_code, reason = "published files are read natively only")
    )]
    published: String,
    expand: ConvolutionConfig,
    depthwise: ConvolutionConfig,
    project: ConvolutionConfig,
    residual: bool,
}

impl MobileFaceNet {
    /// Architecture name in weights files.
    pub const NAME: &'static str = "mobilefacenet";
    /// Length of the embedding.
    pub const WIDTH: usize = 512;
    /// Side of the input, pixels.
    pub const SIDE: u32 = 112;

    /// Takes `conv_stem`, `conv_pairs`, `blocks.N.conv_pw`, `.conv_dw` and `.conv_pwl`, `conv_sep`, `conv_head` and
    /// `embed`, each with `weight` and `bias` and before a PReLU `slopes`, and `classifier` where there is one.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a missing, misshapen or unexpected parameter.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let mut parameters = Parameters::new(weights);
        let mut load = |name: &str, convolution: &ConvolutionConfig| {
            convolution.load(name, &mut parameters, device)
        };
        let network = Self {
            stem: load("conv_stem", &stem())?,
            pairs: load("conv_pairs", &pairs())?,
            blocks: blocks()
                .into_iter()
                .map(|block| {
                    let name = &block.name;
                    Ok(Block {
                        expand: load(&format!("{name}.conv_pw"), &block.expand)?,
                        depthwise: load(&format!("{name}.conv_dw"), &block.depthwise)?,
                        project: load(&format!("{name}.conv_pwl"), &block.project)?,
                        residual: block.residual,
                    })
                })
                .collect::<Result<_, WeightsError>>()?,
            separate: load("conv_sep", &separate())?,
            head: load("conv_head", &head())?,
            embed: load("embed", &embed())?,
            classifier: Classifier::load(Self::WIDTH, &mut parameters, device)?,
        };
        parameters.finish(Self::NAME)?;
        Ok(network)
    }

    /// Adds the network to a plan whose map `faces` is as large as [`forward`](Self::forward)'s input; gives the
    /// embedding and, where the weights have a classifier, its outputs.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn plan(
        weights: &Weights,
        planner: &mut Planner,
        faces: Map,
    ) -> Result<(Map, Option<Map>), WeightsError> {
        let mut parameters = Parameters::new(weights);
        let parameters_mut = &mut parameters;
        let maps = stem().plan("conv_stem", parameters_mut, planner, faces)?;
        let mut maps = pairs().plan("conv_pairs", parameters_mut, planner, maps)?;
        for block in blocks() {
            let name = &block.name;
            let shortcut = block.residual.then_some(Shortcut {
                map: maps,
                pooled: false,
            });
            let add = format!("{name}.conv_pw");
            maps = block.expand.plan(&add, parameters_mut, planner, maps)?;
            let add = format!("{name}.conv_dw");
            maps = block.depthwise.plan(&add, parameters_mut, planner, maps)?;
            let project = block
                .project
                .weighted(&format!("{name}.conv_pwl"), parameters_mut)?;
            maps = planner.gated_pointwise(maps, project, None, shortcut);
        }
        let maps = separate().plan("conv_sep", parameters_mut, planner, maps)?;
        let maps = head().plan("conv_head", parameters_mut, planner, maps)?;
        let embedding = embed().plan("embed", parameters_mut, planner, maps)?;
        let outputs = Classifier::plan(parameters_mut, planner, embedding)?;
        parameters.finish(Self::NAME)?;
        Ok((embedding, outputs))
    }

    /// Embeds faces.
    ///
    /// # Shapes
    ///
    /// - faces: `[batch, 3, 112, 112]`, RGB, normalised
    /// - output: `[batch, 512]`, not unit length
    pub fn forward(&self, faces: Tensor<4>) -> Tensor<2> {
        let mut maps = self.pairs.forward(self.stem.forward(faces));
        for block in &self.blocks {
            let shortcut = block.residual.then(|| maps.clone());
            maps = block.depthwise.forward(block.expand.forward(maps));
            maps = block.project.forward(maps);
            if let Some(shortcut) = shortcut {
                maps = maps + shortcut;
            }
        }
        let maps = self.head.forward(self.separate.forward(maps));
        self.embed.forward(maps).flatten(1, 3)
    }

    /// Classifies embeddings, where the weights have a classifier.
    ///
    /// # Shapes
    ///
    /// - embedding: `[batch, 512]`
    /// - output: `[batch, outputs]`: logits, then valence and arousal where there are ten
    pub fn classify(&self, embedding: Tensor<2>) -> Option<Tensor<2>> {
        Some(self.classifier.as_ref()?.forward(embedding))
    }
}

fn stem() -> ConvolutionConfig {
    ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Prelu).padded(Padding::Half)
}

fn pairs() -> ConvolutionConfig {
    ConvolutionConfig::pairwise(STEM_CHANNELS, Activation::Prelu)
}

fn separate() -> ConvolutionConfig {
    ConvolutionConfig::pointwise(LAST_CHANNELS, MobileFaceNet::WIDTH, Activation::Prelu)
}

fn head() -> ConvolutionConfig {
    ConvolutionConfig::depthwise(MobileFaceNet::WIDTH, LAST_SIDE, 1, Activation::Identity)
        .padded(Padding::None)
}

fn embed() -> ConvolutionConfig {
    let width = MobileFaceNet::WIDTH;
    ConvolutionConfig::pointwise(width, width, Activation::Identity)
}

fn blocks() -> Vec<BlockConfig> {
    let mut blocks = Vec::new();
    let mut inputs = STEM_CHANNELS;
    for Stage {
        place,
        hidden,
        outputs,
        stride,
        repeats,
    } in STAGES
    {
        for index in 0..repeats {
            let published = format!("features.layers.{place}");
            blocks.push(BlockConfig {
                name: format!("blocks.{}", blocks.len()),
                published: match stride {
                    1 => format!("{published}.layers.{index}"),
                    _ => published,
                },
                expand: ConvolutionConfig::pointwise(inputs, hidden, Activation::Prelu),
                depthwise: ConvolutionConfig::depthwise(hidden, 3, stride, Activation::Prelu)
                    .padded(Padding::Half),
                project: ConvolutionConfig::pointwise(hidden, outputs, Activation::Identity),
                residual: stride == 1,
            });
            inputs = outputs;
        }
    }
    blocks
}

/// The layers of `mbf_va_mtl`; in its container are `features` and `fc`.
#[cfg(not(target_family = "wasm"))]
pub(super) fn published() -> PublishedNetwork {
    // A unit is a list of a convolution, batch norm and maybe PReLU.
    let unit = |name: &str, published: &str, config: &ConvolutionConfig| {
        let layer = Layer::new(name.to_owned(), config)
            .published(format!("{published}.layers.0"))
            .unbiased()
            .batch_norm(format!("{published}.layers.1"));
        match config.activation {
            Activation::Prelu => layer.slopes(format!("{published}.layers.2")),
            _ => layer,
        }
    };
    let mut layers = vec![
        unit("conv_stem", "features.layers.0", &stem()),
        unit("conv_pairs", "features.layers.1", &pairs()),
    ];
    for block in blocks() {
        let parts = [
            ("conv_pw", &block.expand),
            ("conv_dw", &block.depthwise),
            ("conv_pwl", &block.project),
        ];
        for (index, (name, config)) in parts.into_iter().enumerate() {
            let published = format!("{}.layers.{index}", block.published);
            layers.push(unit(&format!("{}.{name}", block.name), &published, config));
        }
    }
    let last = "features.features.layers";
    layers.push(unit("conv_sep", "features.conv_sep", &separate()));
    layers.push(unit("conv_head", &format!("{last}.0"), &head()));
    layers.push(
        Layer::dense(
            "embed".to_owned(),
            MobileFaceNet::WIDTH,
            MobileFaceNet::WIDTH,
        )
        .published(format!("{last}.2"))
        .batch_norm(format!("{last}.3")),
    );
    PublishedNetwork {
        name: MobileFaceNet::NAME,
        width: MobileFaceNet::WIDTH,
        epsilon: 1e-5,
        layers,
        classifiers: &["fc"],
        unused: Vec::new(),
        describes_frames: false,
        aliases: Vec::new(),
    }
}
