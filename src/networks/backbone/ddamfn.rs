//! MT-DDAMFN: DDAMFN with ten outputs, the backbone of published valence and arousal.
//!
//! Zhang et al., "A dual-direction attention mixed feature network for facial expression recognition" (2023).
//! Inverted residual blocks whose depthwise convolution mixes kernel sizes and whose maps are gated by coordinate
//! attention (Hou et al., "Coordinate attention for efficient mobile network design", 2021). Two more attentions look
//! at the last map; where they differ the larger gate counts.

#[cfg(not(target_family = "wasm"))]
use super::published::{Layer, PublishedNetwork};

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::classifier::Classifier;
use super::convolution::{Convolution, ConvolutionConfig, Padding};
use super::parameters::Parameters;
use crate::kernel::{Activation, LineSums, Map, Planner, Shortcut, Weighted, Window};
use crate::weights::{Weights, WeightsError};

/// One row of the table: blocks of equal width.
struct Stage {
    /// Place in the published list of features.
    place: usize,
    outputs: usize,
    stride: usize,
    repeats: usize,
    /// Kernel sides and the channels that each of them sees.
    splits: &'static [(usize, usize)],
}

#[rustfmt::skip]
const STAGES: [Stage; 6] = [
    Stage { place: 2, outputs: 64, stride: 2, repeats: 1, splits: &[(3, 64), (5, 32), (7, 32)] },
    Stage { place: 3, outputs: 64, stride: 1, repeats: 9, splits: &[(3, 96), (5, 32)] },
    Stage { place: 4, outputs: 128, stride: 2, repeats: 1, splits: &[(3, 128), (5, 64), (7, 64)] },
    Stage { place: 5, outputs: 128, stride: 1, repeats: 16, splits: &[(3, 192), (5, 64)] },
    Stage { place: 6, outputs: 256, stride: 2, repeats: 1, splits: &[(3, 256), (5, 256), (7, 256), (9, 256)] },
    Stage { place: 7, outputs: 256, stride: 1, repeats: 6, splits: &[(3, 172), (5, 170), (7, 170)] },
];
const STEM_CHANNELS: usize = 64;
const LAST_CHANNELS: usize = 256;
/// Side of the last map, pixels.
const LAST_SIDE: usize = 7;
/// Attentions that look at the last map.
const HEADS: usize = 2;

/// MT-DDAMFN with or without its classifier.
#[derive(Module, Debug)]
pub struct Ddamfn {
    stem: Convolution,
    depthwise: Convolution,
    blocks: Vec<Block>,
    separate: Convolution,
    heads: Vec<Head>,
    head: Convolution,
    classifier: Option<Classifier>,
}

#[derive(Module, Debug)]
struct Block {
    expand: Convolution,
    /// One for each kernel side, on its part of the channels.
    mixed: Vec<Convolution>,
    attention: Attention,
    project: Convolution,
    residual: bool,
}

/// Gates of rows and of columns.
#[derive(Module, Debug)]
struct Attention {
    reduce: Convolution,
    rows: Convolution,
    columns: Convolution,
}

/// An attention to weighted sums of lines.
#[derive(Module, Debug)]
struct Head {
    /// `[channels, 1, 1, width]`
    row_weight: Param<Tensor<4>>,
    row_bias: Param<Tensor<1>>,
    /// `[channels, 1, height, 1]`
    column_weight: Param<Tensor<4>>,
    column_bias: Param<Tensor<1>>,
    attention: Attention,
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
    mixed: Vec<ConvolutionConfig>,
    attention: AttentionConfig,
    project: ConvolutionConfig,
    residual: bool,
}

/// The layers of an attention, spelled out.
struct AttentionConfig {
    reduce: ConvolutionConfig,
    /// Of rows and of columns.
    excite: ConvolutionConfig,
}

impl AttentionConfig {
    fn of(channels: usize) -> Self {
        let squeezed = (channels / 32).max(8);
        Self {
            reduce: ConvolutionConfig::pointwise(channels, squeezed, Activation::Hardswish),
            excite: ConvolutionConfig::pointwise(squeezed, channels, Activation::Sigmoid),
        }
    }

    fn load(
        &self,
        name: &str,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Attention, WeightsError> {
        let mut load = |part: &str, config: &ConvolutionConfig| {
            config.load(&format!("{name}.{part}"), parameters, device)
        };
        Ok(Attention {
            reduce: load("reduce", &self.reduce)?,
            rows: load("rows", &self.excite)?,
            columns: load("columns", &self.excite)?,
        })
    }

    fn plan(
        &self,
        name: &str,
        parameters: &mut Parameters<'_>,
        planner: &mut Planner,
        maps: Map,
        sums: Option<LineSums>,
    ) -> Result<Map, WeightsError> {
        let mut weighted = |part: &str, config: &ConvolutionConfig| {
            config.weighted(&format!("{name}.{part}"), parameters)
        };
        let reduce = weighted("reduce", &self.reduce)?;
        let rows = weighted("rows", &self.excite)?;
        let columns = weighted("columns", &self.excite)?;
        Ok(planner.coordinate_attention(maps, sums, reduce, rows, columns))
    }
}

impl Attention {
    /// `[batch, channels, height, width]` of gates from sums of rows `[batch, channels, height, 1]` and of columns
    /// `[batch, channels, 1, width]`.
    fn forward(&self, rows: Tensor<4>, columns: Tensor<4>) -> Tensor<4> {
        let rows = self.rows.forward(self.reduce.forward(rows));
        let columns = self.columns.forward(self.reduce.forward(columns));
        rows * columns
    }
}

impl Block {
    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let shortcut = self.residual.then(|| maps.clone());
        let maps = self.expand.forward(maps);
        let mut start = 0;
        let mut mixed = Vec::new();
        for convolution in &self.mixed {
            let channels = convolution.outputs();
            mixed.push(convolution.forward(maps.clone().narrow(1, start, channels)));
            start += channels;
        }
        let maps = Tensor::cat(mixed, 1);
        let gates = self
            .attention
            .forward(maps.clone().mean_dim(3), maps.clone().mean_dim(2));
        let maps = self.project.forward(maps * gates);
        match shortcut {
            Some(shortcut) => maps + shortcut,
            None => maps,
        }
    }
}

impl Head {
    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let sum = |weight: &Param<Tensor<4>>, bias: &Param<Tensor<1>>, axis: usize| {
            let [channels, ..] = weight.dims();
            let weight = weight
                .val()
                .reshape([1, channels, weight.dims()[2], weight.dims()[3]]);
            (maps.clone() * weight).sum_dim(axis) + bias.val().reshape([1, channels, 1, 1])
        };
        let rows = sum(&self.row_weight, &self.row_bias, 3);
        let columns = sum(&self.column_weight, &self.column_bias, 2);
        self.attention.forward(rows, columns)
    }
}

impl Ddamfn {
    /// Architecture name in weights files.
    pub const NAME: &'static str = "mt-ddamfn";
    /// Length of the embedding.
    pub const WIDTH: usize = 512;
    /// Side of the input, pixels.
    pub const SIDE: u32 = 112;

    /// Takes `conv_stem`, `conv_dw`, `blocks.N.conv_pw`, `.conv_dw.K`, `.attention.reduce`, `.rows` and `.columns`,
    /// `.conv_pwl`, `conv_sep`, `heads.N.row_sums` and `.column_sums` beside the same three, and `conv_head`, each with
    /// `weight` and `bias` and before a PReLU `slopes`, and `classifier` where there is one.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a missing, misshapen or unexpected parameter.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let mut parameters = Parameters::new(weights);
        let from = &mut parameters;
        let stem = stem().load("conv_stem", from, device)?;
        let depthwise = depthwise().load("conv_dw", from, device)?;
        let mut loaded = Vec::new();
        for block in blocks() {
            let name = &block.name;
            let mixed = block.mixed.iter().enumerate();
            loaded.push(Block {
                expand: block
                    .expand
                    .load(&format!("{name}.conv_pw"), from, device)?,
                mixed: mixed
                    .map(|(index, it)| it.load(&format!("{name}.conv_dw.{index}"), from, device))
                    .collect::<Result<_, _>>()?,
                attention: block
                    .attention
                    .load(&format!("{name}.attention"), from, device)?,
                project: block
                    .project
                    .load(&format!("{name}.conv_pwl"), from, device)?,
                residual: block.residual,
            });
        }
        let mut heads = Vec::new();
        for name in head_names() {
            let [rows, columns] = line_shapes();
            heads.push(Head {
                row_weight: from.take(&format!("{name}.row_sums.weight"), rows, device)?,
                row_bias: from.take(&format!("{name}.row_sums.bias"), [rows[0]], device)?,
                column_weight: from.take(&format!("{name}.column_sums.weight"), columns, device)?,
                column_bias: from.take(
                    &format!("{name}.column_sums.bias"),
                    [columns[0]],
                    device,
                )?,
                attention: AttentionConfig::of(Self::WIDTH).load(&name, from, device)?,
            });
        }
        let network = Self {
            stem,
            depthwise,
            blocks: loaded,
            separate: separate().load("conv_sep", from, device)?,
            heads,
            head: head().load("conv_head", from, device)?,
            classifier: Classifier::load(Self::WIDTH, from, device)?,
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
        let from = &mut parameters;
        let maps = stem().plan("conv_stem", from, planner, faces)?;
        let mut maps = depthwise().plan("conv_dw", from, planner, maps)?;
        for block in blocks() {
            maps = block.plan(from, planner, maps)?;
        }
        let maps = separate().plan("conv_sep", from, planner, maps)?;
        let mut gates = Vec::new();
        for name in head_names() {
            let sums = Some(line_sums(&name, from)?);
            let config = AttentionConfig::of(Self::WIDTH);
            gates.push(config.plan(&name, from, planner, maps, sums)?);
        }
        let gated = planner.line_gate(maps, gates[0], gates.get(1).copied());
        let embedding = head().plan("conv_head", from, planner, gated)?;
        let outputs = Classifier::plan(from, planner, embedding)?;
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
        let mut maps = self.depthwise.forward(self.stem.forward(faces));
        for block in &self.blocks {
            maps = block.forward(maps);
        }
        let maps = self.separate.forward(maps);
        let gates = self.heads.iter().map(|head| head.forward(maps.clone()));
        let gates = gates
            .reduce(Tensor::max_pair)
            .expect("there is more than no head");
        self.head.forward(maps * gates).flatten(1, 3)
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
        let conv_pw = format!("{name}.conv_pw");
        let maps = self.expand.plan(&conv_pw, parameters, planner, maps)?;
        let mixed = self.mixed(parameters)?;
        let window = Window::symmetric(
            planner.shape(maps),
            self.kernel(),
            self.mixed[0].stride,
            self.kernel() / 2,
        );
        let maps = planner.depthwise(maps, window, mixed);
        let attention = format!("{name}.attention");
        let gates = self
            .attention
            .plan(&attention, parameters, planner, maps, None)?;
        let maps = planner.line_gate(maps, gates, None);
        let project = self
            .project
            .weighted(&format!("{name}.conv_pwl"), parameters)?;
        Ok(planner.gated_pointwise(maps, project, None, shortcut))
    }

    /// Side of the largest kernel.
    fn kernel(&self) -> usize {
        let sides = self.mixed.iter().map(|convolution| convolution.kernel);
        sides.max().unwrap_or_default()
    }

    /// The convolutions as one: smaller kernels stand in the middle of the largest, with zeros around.
    fn mixed(&self, parameters: &mut Parameters<'_>) -> Result<Weighted, WeightsError> {
        let side = self.kernel();
        let mut weight = Vec::new();
        let mut bias = Vec::new();
        for (index, convolution) in self.mixed.iter().enumerate() {
            let name = format!("{}.conv_dw.{index}", self.name);
            let kernel = convolution.kernel;
            let shape = convolution.weight_shape();
            let before = (side - kernel) / 2;
            let taps = parameters.values(&format!("{name}.weight"), &shape)?;
            for taps in taps.chunks_exact(kernel * kernel) {
                let mut padded = vec![0.0; side * side];
                for (row, taps) in taps.chunks_exact(kernel).enumerate() {
                    padded[(before + row) * side + before..][..kernel].copy_from_slice(taps);
                }
                weight.extend(padded);
            }
            bias.extend(parameters.values(&format!("{name}.bias"), &shape[..1])?);
        }
        Ok(Weighted::from_outputs_first(
            &weight,
            &bias,
            side,
            Activation::Identity,
        ))
    }
}

fn line_sums(name: &str, parameters: &mut Parameters<'_>) -> Result<LineSums, WeightsError> {
    let mut sums = LineSums {
        weight: Vec::new(),
        bias: Vec::new(),
    };
    for (part, shape) in ["row_sums", "column_sums"].into_iter().zip(line_shapes()) {
        let weight = parameters.values(&format!("{name}.{part}.weight"), &shape)?;
        for place in 0..LAST_SIDE {
            sums.weight
                .extend(weight.iter().skip(place).step_by(LAST_SIDE));
        }
        let bias = parameters.values(&format!("{name}.{part}.bias"), &shape[..1])?;
        sums.bias.extend(bias);
    }
    Ok(sums)
}

/// Weights of a head's sums over rows and over columns.
fn line_shapes() -> [[usize; 4]; 2] {
    [
        [Ddamfn::WIDTH, 1, 1, LAST_SIDE],
        [Ddamfn::WIDTH, 1, LAST_SIDE, 1],
    ]
}

fn head_names() -> impl Iterator<Item = String> {
    (0..HEADS).map(|index| format!("heads.{index}"))
}

fn stem() -> ConvolutionConfig {
    ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Prelu).padded(Padding::Half)
}

fn depthwise() -> ConvolutionConfig {
    ConvolutionConfig::depthwise(STEM_CHANNELS, 3, 1, Activation::Prelu)
}

fn separate() -> ConvolutionConfig {
    ConvolutionConfig::pointwise(LAST_CHANNELS, Ddamfn::WIDTH, Activation::Prelu)
}

fn head() -> ConvolutionConfig {
    ConvolutionConfig::depthwise(Ddamfn::WIDTH, LAST_SIDE, 1, Activation::Identity)
        .padded(Padding::None)
}

fn blocks() -> Vec<BlockConfig> {
    let mut blocks = Vec::new();
    let mut inputs = STEM_CHANNELS;
    for Stage {
        place,
        outputs,
        stride,
        repeats,
        splits,
    } in STAGES
    {
        let hidden = splits.iter().map(|(_, channels)| channels).sum();
        for index in 0..repeats {
            let published = format!("features.{place}");
            let mixed = splits.iter().map(|&(kernel, channels)| {
                ConvolutionConfig::depthwise(channels, kernel, stride, Activation::Identity)
                    .padded(Padding::Half)
            });
            blocks.push(BlockConfig {
                name: format!("blocks.{}", blocks.len()),
                published: match stride {
                    1 => format!("{published}.model.{index}"),
                    _ => published,
                },
                expand: ConvolutionConfig::pointwise(inputs, hidden, Activation::Prelu),
                mixed: mixed.collect(),
                attention: AttentionConfig::of(hidden),
                project: ConvolutionConfig::pointwise(hidden, outputs, Activation::Identity),
                residual: stride == 1,
            });
            inputs = outputs;
        }
    }
    blocks
}

/// The layers of DDAMFN's checkpoints.
#[cfg(not(target_family = "wasm"))]
pub(super) fn published() -> PublishedNetwork {
    let unit = |name: &str, published: &str, config: &ConvolutionConfig| {
        let layer = Layer::new(name.to_owned(), config)
            .published(format!("{published}.conv"))
            .unbiased()
            .batch_norm(format!("{published}.bn"));
        match config.activation {
            Activation::Prelu => layer.slopes(format!("{published}.prelu")),
            _ => layer,
        }
    };
    let attention = |name: &str, published: &str, config: &AttentionConfig| {
        let layer = |part: &str, conv: &str, config: &ConvolutionConfig| {
            Layer::new(format!("{name}.{part}"), config).published(format!("{published}.{conv}"))
        };
        [
            layer("reduce", "conv1", &config.reduce).batch_norm(format!("{published}.bn1")),
            layer("rows", "conv2", &config.excite),
            layer("columns", "conv3", &config.excite),
        ]
    };
    // The batch norm of the classes is made and not used.
    let mut unused = vec!["bn".to_owned()];
    let mut layers = vec![
        unit("conv_stem", "features.0", &stem()),
        unit("conv_dw", "features.1", &depthwise()),
    ];
    for block in blocks() {
        let BlockConfig {
            name, published, ..
        } = &block;
        let expand = format!("{published}.conv");
        layers.push(unit(&format!("{name}.conv_pw"), &expand, &block.expand));
        for (index, config) in block.mixed.iter().enumerate() {
            let layer = Layer::new(format!("{name}.conv_dw.{index}"), config);
            let published = format!("{published}.conv_dw.mixed_depthwise_conv.{index}");
            layers.push(layer.published(published).unbiased());
        }
        unused.extend(["bn", "prelu"].map(|part| format!("{published}.conv_dw.{part}")));
        layers.extend(attention(
            &format!("{name}.attention"),
            &format!("{published}.CA"),
            &block.attention,
        ));
        let project = format!("{published}.project");
        layers.push(unit(&format!("{name}.conv_pwl"), &project, &block.project));
    }
    layers.push(unit("conv_sep", "features.8", &separate()));
    for (index, name) in head_names().enumerate() {
        let published = format!("cat_head{index}.CoordAtt");
        let sums = [("row_sums", "Linear_h"), ("column_sums", "Linear_w")];
        for ((part, linear), shape) in sums.into_iter().zip(line_shapes()) {
            layers.push(
                Layer::of_shape(format!("{name}.{part}"), shape.to_vec())
                    .published(format!("{published}.{linear}.conv"))
                    .unbiased()
                    .batch_norm(format!("{published}.{linear}.bn")),
            );
        }
        layers.extend(attention(
            &name,
            &published,
            &AttentionConfig::of(Ddamfn::WIDTH),
        ));
        unused.extend(["conv", "bn"].map(|part| format!("{published}.Linear.{part}")));
    }
    layers.push(unit("conv_head", "Linear", &head()));
    PublishedNetwork {
        name: Ddamfn::NAME,
        width: Ddamfn::WIDTH,
        epsilon: 1e-5,
        layers,
        classifiers: &["fc"],
        unused,
        describes_frames: false,
        aliases: Vec::new(),
    }
}
