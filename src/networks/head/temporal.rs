//! Violence in each frame of a window from the frames' embeddings: temporal convolutions, recurrence, attention.
//!
//! The heads that the HSEmotion team at ABAW-10 trained for the challenge on violence detection, over embeddings of
//! a network that sees one frame at a time. Parameters have the names of the published checkpoints and PyTorch's layout.
//!
//! Dropout and the statistics of batch norm follow the device: on a device with gradients a head trains, on another
//! ([`Module::valid`](burn::module::Module::valid)) it infers.

mod checkpoint;
mod convolution;
mod crf;
mod lstm;
mod motion;
mod parameters;
mod tcn;
mod transformer;

use burn::module::{Module, ParamId};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Int, Tensor};

pub use checkpoint::{kind_of_checkpoint, temporal_from_checkpoint};
use convolution::Pointwise;
use crf::Crf;
use lstm::{BiLstm, BiLstmConv};
use motion::Motion;
use parameters::{Names, Source, axes};
use tcn::Tcn;
use transformer::Transformer;

use crate::weights::{Metadata, Weights, WeightsError};

/// Not violent, violent.
const CLASSES: usize = 2;
/// Of all published heads, whatever the backbone.
const DROPOUT: f64 = 0.3;
/// Where a single convolution is.
const HEAD: &str = "head";
/// Before the kind's name in the architecture.
const PREFIX: &str = "temporal-";

/// How a head relates the frames of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemporalKind {
    /// Five residual dilated convolutions of 256 channels, each with batch norm; a frame sees 31 frames to each side.
    Tcn,
    /// Two bidirectional LSTM layers of 256 units a direction, then a linear layer.
    BiLstm,
    /// The same, then a convolution one frame wide ("v2" of the three-dimensional backbones).
    BiLstmConv,
    /// One convolution a frame wide: no relation at all.
    Conv1d,
    /// Attention over all frames: post-norm encoder layers of width 256 with four heads.
    Transformer {
        /// Encoder layers; published are 2, and 3 over ConvNeXt.
        layers: usize,
    },
    /// [`BiLstm`](Self::BiLstm) and a conditional random field over its logits.
    Crf,
    /// Our own for few clips: changes from frame to frame, pooled over the window, by a small convolutional network and a
    /// linear model.
    Motion,
    /// The linear model of [`Motion`](Self::Motion) alone: logistic regression on mean absolute changes.
    MotionLinear,
}

impl TemporalKind {
    /// All kinds, with the default number of layers.
    pub const ALL: [Self; 8] = [
        Self::Tcn,
        Self::BiLstm,
        Self::BiLstmConv,
        Self::Conv1d,
        Self::Transformer { layers: 2 },
        Self::Crf,
        Self::Motion,
        Self::MotionLinear,
    ];

    /// The name in files and options; the architecture in weights files is `temporal-` and this name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcn => "tcn",
            Self::BiLstm => "bilstm",
            Self::BiLstmConv => "bilstm-conv",
            Self::Conv1d => "conv1d",
            Self::Transformer { .. } => "transformer",
            Self::Crf => "crf",
            Self::Motion => "motion",
            Self::MotionLinear => "motion-linear",
        }
    }

    /// Reads a name; a transformer has two layers.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Kind and input of a [`TemporalHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemporalConfig {
    /// How the frames are related.
    pub kind: TemporalKind,
    /// Length of a frame's embedding.
    pub features: usize,
}

/// Scores the frames of windows.
#[derive(Module, Debug)]
pub struct TemporalHead {
    network: Network,
    dropout: Dropout,
}

#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one a head, and it is never moved about"
)]
enum Network {
    Tcn(Tcn),
    BiLstm(BiLstm),
    BiLstmConv(BiLstmConv),
    Conv1d(Pointwise),
    Transformer(Transformer),
    Crf(Crf),
    Motion(Motion),
}

impl TemporalConfig {
    /// A head of the published sizes with random weights, the same for the same seed on every device; PyTorch's default
    /// distributions.
    ///
    /// ```
    /// use affectlens::head::{TemporalConfig, TemporalKind};
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let head = TemporalConfig { kind: TemporalKind::Tcn, features: 8 }.init(7, &device);
    /// assert_eq!(head.forward(Tensor::zeros([1, 32, 8], &device)).dims(), [1, 32, 2]);
    /// ```
    pub fn init(&self, seed: u64, device: &Device) -> TemporalHead {
        let mut source = Source::seeded(seed, device);
        let source = &mut source;
        let features = self.features;
        let recurrent = lstm::Sizes::published(features);
        let network = match self.kind {
            TemporalKind::Tcn => {
                Tcn::build(tcn::Sizes::published(features), source).map(Network::Tcn)
            }
            TemporalKind::BiLstm => BiLstm::build(recurrent, source).map(Network::BiLstm),
            TemporalKind::BiLstmConv => {
                BiLstmConv::build(recurrent, source).map(Network::BiLstmConv)
            }
            TemporalKind::Conv1d => Pointwise::build(HEAD, features, source).map(Network::Conv1d),
            TemporalKind::Transformer { layers } => {
                let sizes = transformer::Sizes::published(features, layers);
                Transformer::build(sizes, source).map(Network::Transformer)
            }
            TemporalKind::Crf => Crf::build(recurrent, source).map(Network::Crf),
            TemporalKind::Motion => {
                let sizes = Motion::sizes(features);
                Motion::build(features, Some(sizes), source).map(Network::Motion)
            }
            TemporalKind::MotionLinear => {
                Motion::build(features, None, source).map(Network::Motion)
            }
        };
        TemporalHead::new(network.expect("a seed gives every parameter"))
    }
}

/// What training sets in a [`TemporalKind::Motion`] or [`TemporalKind::MotionLinear`] head without gradients, by its name in weights tables.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionStatistics {
    /// Mean of each feature.
    pub level_mean: Vec<f32>,
    /// What each feature is divided by.
    pub level_scale: Vec<f32>,
    /// Mean absolute change of each feature from a frame to the next.
    pub change_mean: Vec<f32>,
    /// What each change is divided by.
    pub change_scale: Vec<f32>,
    /// Weights of the linear model over the mean standardised changes.
    pub linear: Vec<f32>,
}

impl MotionStatistics {
    /// Writes them into the table of a head.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a value that is not finite.
    pub fn write(&self, weights: &mut Weights) -> Result<(), WeightsError> {
        for (name, values) in [
            (motion::LEVEL_MEAN, &self.level_mean),
            (motion::LEVEL_SCALE, &self.level_scale),
            (motion::CHANGE_MEAN, &self.change_mean),
            (motion::CHANGE_SCALE, &self.change_scale),
            (motion::LINEAR, &self.linear),
        ] {
            weights.insert(name, vec![values.len()], values.clone())?;
        }
        Ok(())
    }
}

/// Sets how the parts of such a head are weighed: the network, the linear model, and a bias.
///
/// # Errors
///
/// [`WeightsError`] for a value that is not finite.
pub fn write_motion_blend(weights: &mut Weights, blend: [f32; 3]) -> Result<(), WeightsError> {
    weights.insert(motion::BLEND, vec![3], blend.to_vec())
}

impl TemporalHead {
    fn new(network: Network) -> Self {
        Self {
            dropout: DropoutConfig::new(match network {
                Network::Motion(_) => motion::DROPOUT,
                _ => DROPOUT,
            })
            .init(),
            network,
        }
    }

    /// Kind and input of the head.
    pub fn config(&self) -> TemporalConfig {
        let (kind, features) = match &self.network {
            Network::Tcn(network) => (TemporalKind::Tcn, network.features()),
            Network::BiLstm(network) => (TemporalKind::BiLstm, network.features()),
            Network::BiLstmConv(network) => (TemporalKind::BiLstmConv, network.features()),
            Network::Conv1d(network) => (TemporalKind::Conv1d, network.features()),
            Network::Transformer(network) => {
                let layers = network.layers();
                (TemporalKind::Transformer { layers }, network.features())
            }
            Network::Crf(network) => (TemporalKind::Crf, network.features()),
            Network::Motion(network) if network.has_network() => {
                (TemporalKind::Motion, network.features())
            }
            Network::Motion(network) => (TemporalKind::MotionLinear, network.features()),
        };
        TemporalConfig { kind, features }
    }

    /// Takes a head whose architecture is `temporal-tcn`, `temporal-bilstm` and so on; the sizes are those of the
    /// weights.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for another architecture, or a missing, misshapen, unexpected or impossible parameter.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let architecture = &weights.metadata.architecture;
        let kind = architecture
            .strip_prefix(PREFIX)
            .and_then(TemporalKind::from_name);
        let Some(kind) = kind else {
            let known = TemporalKind::ALL.map(architecture_of);
            return Err(WeightsError::Architecture {
                expected: known.join("` or `"),
                got: architecture.clone(),
            });
        };
        let mut source = Source::file(weights, device);
        let source = &mut source;
        let head = Self::new(match kind {
            TemporalKind::Tcn => Network::Tcn(Tcn::build(tcn::Sizes::of(weights)?, source)?),
            TemporalKind::BiLstm => {
                Network::BiLstm(BiLstm::build(lstm::Sizes::of_linear(weights)?, source)?)
            }
            TemporalKind::BiLstmConv => Network::BiLstmConv(BiLstmConv::build(
                lstm::Sizes::of_convolution(weights)?,
                source,
            )?),
            TemporalKind::Conv1d => {
                let [_, features, _] = axes(weights, &format!("{HEAD}.weight"))?;
                Network::Conv1d(Pointwise::build(HEAD, features, source)?)
            }
            TemporalKind::Transformer { .. } => Network::Transformer(Transformer::build(
                transformer::Sizes::of(weights)?,
                source,
            )?),
            TemporalKind::Crf => {
                Network::Crf(Crf::build(lstm::Sizes::of_linear(weights)?, source)?)
            }
            TemporalKind::Motion => {
                let sizes = Some(tcn::Sizes::of(weights)?);
                Network::Motion(Motion::build(Motion::features_of(weights)?, sizes, source)?)
            }
            TemporalKind::MotionLinear => {
                Network::Motion(Motion::build(Motion::features_of(weights)?, None, source)?)
            }
        });
        let names = head.names().0;
        match weights
            .iter()
            .find(|(name, _)| names.iter().all(|(known, _)| known != name))
        {
            None => Ok(head),
            Some((name, _)) => Err(WeightsError::Unexpected {
                name: name.to_owned(),
                architecture: architecture.clone(),
            }),
        }
    }

    /// Parameters and running statistics under their published names in PyTorch's layout; the metadata names the
    /// architecture only.
    ///
    /// Reads back from the device; in a browser only a network on the CPU can be asked.
    pub fn to_weights(&self) -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: architecture_of(self.config().kind),
            ..Metadata::default()
        });
        for (name, stored) in self.names().0 {
            stored.write(&mut weights, name);
        }
        weights
    }

    /// Published names of what is trained; the running statistics of batch norm are not among them.
    pub fn parameters(&self) -> Vec<(String, ParamId)> {
        let names = self.names().0.into_iter();
        names
            .filter_map(|(name, stored)| Some((name, stored.id()?)))
            .collect()
    }

    /// The most frames a window may have, where there is a limit: a transformer's number of positions.
    pub fn longest_window(&self) -> Option<usize> {
        match &self.network {
            Network::Transformer(network) => Some(network.positions()),
            _ => None,
        }
    }

    /// Logits of the frames.
    ///
    /// # Shapes
    ///
    /// - features: `[batch, time, features]`, at least one frame
    /// - output: `[batch, time, 2]`, not violent and violent, before softmax
    ///
    /// # Panics
    ///
    /// If the features have another length than [`config`](Self::config) says, or there are more frames than
    /// [`longest_window`](Self::longest_window).
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let dropout = &self.dropout;
        match &self.network {
            Network::Tcn(network) => network.forward(features, dropout),
            Network::BiLstm(network) => network.forward(features, dropout),
            Network::BiLstmConv(network) => network.forward(features, dropout),
            Network::Conv1d(network) => network.forward(features, dropout),
            Network::Transformer(network) => network.forward(features, dropout),
            Network::Crf(network) => network.forward(features, dropout),
            Network::Motion(network) => network.forward(features, dropout),
        }
    }

    /// Probability of violence in each frame, from the logits of one window, two a frame.
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f32> {
        let (frames, _) = logits.as_chunks::<CLASSES>();
        frames
            .iter()
            .map(|[calm, violent]| 1.0 / (1.0 + (calm - violent).exp()))
            .collect()
    }

    /// The most likely sequence of violent and other frames, from the logits of one window, two a frame; `None` for
    /// heads other than [`TemporalKind::Crf`].
    ///
    /// Reads back from the device; in a browser only a network on the CPU can be asked.
    pub fn decode(&self, logits: &[f32]) -> Option<Vec<bool>> {
        match &self.network {
            Network::Crf(network) => Some(network.decode(logits)),
            _ => None,
        }
    }

    /// Negative log-likelihood of labelled windows under the conditional random field, mean over the windows; `None`
    /// for heads other than [`TemporalKind::Crf`].
    ///
    /// # Shapes
    ///
    /// - logits: `[batch, time, 2]`, what [`forward`](Self::forward) gives
    /// - labels: `[batch, time]`, 0 or 1
    /// - output: `[1]`
    pub fn crf_loss(&self, logits: Tensor<3>, labels: Tensor<2, Int>) -> Option<Tensor<1>> {
        match &self.network {
            Network::Crf(network) => Some(network.loss(logits, labels)),
            _ => None,
        }
    }

    fn names(&self) -> Names<'_> {
        match &self.network {
            Network::Tcn(network) => network.names(),
            Network::BiLstm(network) => network.names(),
            Network::BiLstmConv(network) => network.names(),
            Network::Conv1d(network) => {
                let mut names = Names::default();
                network.add_names(HEAD, &mut names);
                names
            }
            Network::Transformer(network) => network.names(),
            Network::Crf(network) => network.names(),
            Network::Motion(network) => network.names(),
        }
    }
}

fn architecture_of(kind: TemporalKind) -> String {
    format!("{PREFIX}{}", kind.name())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::{Gradients, TensorData};
    use serde::Deserialize;

    use super::*;
    use crate::head::linear::Uniform;
    #[cfg(not(target_family = "wasm"))]
    use crate::weights::PublishedWeights;

    /// Against PyTorch: f32 sums in another order over two layers of nine steps.
    const TOLERANCE: f32 = 1e-5;
    const WINDOW: [usize; 3] = [2, 9, 12];

    /// What `tests/goldens/temporal.py` wrote.
    #[derive(Deserialize)]
    struct Golden {
        shapes: BTreeMap<String, Vec<usize>>,
        logits: Vec<f32>,
        loss: f32,
        gradients: BTreeMap<String, Vec<f32>>,
        running: BTreeMap<String, Vec<f32>>,
        #[serde(default)]
        best: Vec<Vec<u8>>,
    }

    fn golden(kind: TemporalKind) -> Golden {
        let text = include_str!("../../../tests/goldens/temporal.json");
        let mut golden: serde_json::Value = serde_json::from_str(text).expect("generated");
        serde_json::from_value(golden[kind.name()].take()).expect("generated")
    }

    /// `uniform` of the generator script: `count` numbers in [-1, 1).
    fn uniform(name: &str, count: usize) -> Vec<f32> {
        let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Uniform::new(seed).values(count, 1.0)
    }

    fn seeded<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
        let values = uniform(name, shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    impl Golden {
        fn weights(&self, kind: TemporalKind) -> Weights {
            let mut weights = Weights::new(Metadata {
                architecture: architecture_of(kind),
                ..Metadata::default()
            });
            for (name, shape) in &self.shapes {
                let is_norm = ["norm.weight", "norm1.weight", "norm2.weight"]
                    .iter()
                    .any(|end| name.ends_with(end))
                    || name.ends_with("1.weight") && shape.len() == 1;
                let (centre, spread) = match name {
                    _ if name.ends_with("running_var") || name.ends_with("_scale") => (1.0, 0.5),
                    _ if is_norm => (1.0, 0.25),
                    _ => (0.0, 0.5),
                };
                let values = uniform(name, shape.iter().product());
                let values = values.iter().map(|value| centre + spread * value);
                weights
                    .insert(name, shape.clone(), values.collect())
                    .expect("as many values");
            }
            weights
        }
    }

    fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().expect("f32")
    }

    #[track_caller]
    fn assert_close(what: &str, got: &[f32], expected: &[f32]) {
        assert_eq!(got.len(), expected.len(), "{what}");
        for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert!(
                (got - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
                "{what}[{index}]: {got}, expected {expected}"
            );
        }
    }

    struct ById<'a>(&'a Gradients, BTreeMap<ParamId, Vec<f32>>);

    impl ModuleVisitor for ById<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.0) {
                self.1.insert(param.id, read(gradient));
            }
        }
    }

    #[test]
    fn heads_give_what_pytorch_gives() {
        let device = Device::flex();
        for kind in TemporalKind::ALL {
            let golden = golden(kind);
            let head = TemporalHead::load(&golden.weights(kind), &device).expect("loads");
            assert_eq!(head.config(), TemporalConfig { kind, features: 12 });
            assert_eq!(head.to_weights(), golden.weights(kind), "the round trip");
            let logits = read(head.forward(seeded("features", WINDOW, &device)));
            assert_close(kind.name(), &logits, &golden.logits);
            let best = logits.chunks(18).filter_map(|window| head.decode(window));
            let best: Vec<Vec<u8>> = best
                .map(|path| path.into_iter().map(u8::from).collect())
                .collect();
            assert_eq!(best, golden.best);
        }
    }

    #[test]
    fn heads_learn_what_pytorch_learns() {
        let device = Device::flex().autodiff();
        for kind in TemporalKind::ALL {
            let golden = golden(kind);
            let mut head = TemporalHead::load(&golden.weights(kind), &device).expect("loads");
            head.dropout.prob = 0.0;
            let logits = head.forward(seeded("features", WINDOW, &device));
            let labels = seeded("labels", [2, 9], &device).greater_elem(0.0).int();
            let loss = head
                .crf_loss(logits.clone(), labels)
                .unwrap_or_else(|| (logits * seeded("loss", [2, 9, 2], &device)).sum());
            assert_close(kind.name(), &read(loss.clone()), &[golden.loss]);
            if golden.gradients.is_empty() {
                assert_eq!(
                    kind,
                    TemporalKind::MotionLinear,
                    "nothing learns by gradients"
                );
                continue;
            }
            let gradients = loss.backward();
            let mut by_id = ById(&gradients, BTreeMap::new());
            head.visit(&mut by_id);
            let parameters = head.parameters();
            assert_eq!(parameters.len(), golden.gradients.len(), "{}", kind.name());
            for (name, id) in parameters {
                assert_close(&name, &by_id.1[&id], &golden.gradients[&name]);
            }
            let after = head.valid().to_weights();
            for (name, values) in &golden.running {
                let got = &after.get(name).expect("is there").values;
                assert_close(name, got, values);
            }
        }
    }

    #[cfg(not(target_family = "wasm"))]
    #[test]
    fn a_checkpoint_gives_its_head() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/temporal.pt");
        let published = PublishedWeights::read(std::path::Path::new(path)).expect("torch");
        let weights = temporal_from_checkpoint(&published).expect("a head");
        assert_eq!(
            weights,
            golden(TemporalKind::Tcn).weights(TemporalKind::Tcn)
        );
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        let count = |kind| -> usize {
            let config = TemporalConfig {
                kind,
                features: 768,
            };
            let weights = config.init(0, &Device::flex()).to_weights();
            let trained = weights.iter().filter(|(name, _)| !name.contains("running"));
            trained.map(|(_, tensor)| tensor.values.len()).sum()
        };
        assert_eq!(count(TemporalKind::Tcn), 1_184_258);
        // ConvNeXt-T with it has 31,499,362 parameters, ConvNeXt-T 27,820,128.
        assert_eq!(count(TemporalKind::BiLstm), 31_499_362 - 27_820_128);
        assert_eq!(count(TemporalKind::Crf), count(TemporalKind::BiLstm) + 8);
        assert_eq!(count(TemporalKind::Conv1d), 1_538);
    }

    /// Heads with random weights and dropout.
    fn random() -> impl Iterator<Item = TemporalKind> {
        let all = TemporalKind::ALL.into_iter();
        all.filter(|kind| *kind != TemporalKind::MotionLinear)
    }

    #[test]
    fn the_seed_decides_the_weights() {
        for kind in random() {
            let init = |seed| {
                let config = TemporalConfig { kind, features: 5 };
                config.init(seed, &Device::flex()).to_weights()
            };
            assert_eq!(init(3), init(3));
            assert_ne!(init(3), init(4));
        }
        let weights = TemporalConfig {
            kind: TemporalKind::Transformer { layers: 3 },
            features: 5,
        }
        .init(0, &Device::flex())
        .to_weights();
        let positions = &weights
            .get("temporal_head.pos_embed")
            .expect("is there")
            .values;
        let mean_square =
            positions.iter().map(|value| value * value).sum::<f32>() / positions.len() as f32;
        assert!(
            (mean_square.sqrt() / 0.02 - 1.0).abs() < 0.02,
            "{mean_square}"
        );
        let head = TemporalHead::load(&weights, &Device::flex()).expect("loads");
        assert_eq!(head.config().kind, TemporalKind::Transformer { layers: 3 });
        assert_eq!(head.longest_window(), Some(128));
    }

    #[test]
    fn dropout_is_for_training_only() {
        let device = Device::flex().autodiff();
        for kind in random() {
            let head = TemporalConfig { kind, features: 6 }.init(1, &device);
            let run =
                |head: &TemporalHead, device| read(head.forward(Tensor::ones([1, 4, 6], device)));
            assert_ne!(run(&head, &device), run(&head, &device));
            let (plain, head) = (Device::flex(), head.valid());
            assert_eq!(run(&head, &plain), run(&head, &plain));
        }
    }

    #[test]
    fn a_frame_sees_31_frames_to_each_side() {
        let config = TemporalConfig {
            kind: TemporalKind::Tcn,
            features: 2,
        };
        let (device, mut changed) = (Device::flex(), vec![]);
        let head = config.init(5, &device);
        let run = |values: Vec<f32>| {
            let frames = Tensor::from_data(TensorData::new(values, [1, 80, 2]), &device);
            read(head.forward(frames))
        };
        let plain = run(vec![0.5; 160]);
        let mut values = vec![0.5; 160];
        values[2 * 40] = 9.0;
        for (frame, (got, before)) in run(values).chunks(2).zip(plain.chunks(2)).enumerate() {
            if got != before {
                changed.push(frame);
            }
        }
        assert_eq!((changed[0], changed[changed.len() - 1]), (40 - 31, 40 + 31));
    }

    #[test]
    fn logits_become_probabilities() {
        let config = TemporalConfig {
            kind: TemporalKind::Conv1d,
            features: 1,
        };
        let head = config.init(0, &Device::flex());
        let probabilities = head.probabilities(&[0.0, 0.0, 1.0, 3.0, 500.0, -500.0]);
        assert_close("probabilities", &probabilities, &[0.5, 0.880_797, 0.0]);
        assert_eq!(head.decode(&[0.0, 1.0]), None);
    }

    #[test]
    fn foreign_weights_are_refused() {
        let refusal = |kind: TemporalKind, change: fn(&mut Weights)| {
            let mut weights = golden(kind).weights(kind);
            change(&mut weights);
            TemporalHead::load(&weights, &Device::flex())
                .expect_err("must be refused")
                .to_string()
        };
        let transformer = TemporalKind::Transformer { layers: 2 };
        for (kind, change, expected) in [
            (
                TemporalKind::Tcn,
                (|weights| weights.metadata.architecture = "temporal-gru".to_owned())
                    as fn(&mut Weights),
                "weights are for architecture `temporal-gru`, expected `temporal-tcn` or `temporal-bilstm` or \
                 `temporal-bilstm-conv` or `temporal-conv1d` or `temporal-transformer` or `temporal-crf` or `temporal-motion` or \
                 `temporal-motion-linear`",
            ),
            (
                TemporalKind::Tcn,
                |weights| {
                    let name = "temporal_head.layers.0.0.weight";
                    weights
                        .insert(name, vec![4, 4, 2], vec![0.0; 32])
                        .expect("32");
                },
                "weights file is malformed: `temporal_head.layers.0.0.weight` has a kernel of 2, expected an odd one",
            ),
            (
                TemporalKind::BiLstm,
                |weights| {
                    let name = "lstm.bias_hh_l1_reverse";
                    weights.insert(name, vec![3], vec![0.0; 3]).expect("3");
                },
                "weight `lstm.bias_hh_l1_reverse` has shape [3], expected [16]",
            ),
            (
                TemporalKind::BiLstm,
                |weights| {
                    weights
                        .insert("crf.transitions", vec![0], vec![])
                        .expect("0")
                },
                "weight `crf.transitions` does not belong to temporal-bilstm",
            ),
            (
                TemporalKind::Conv1d,
                |weights| {
                    weights
                        .insert("head.weight", vec![2, 0, 1], vec![])
                        .expect("0")
                },
                "weights file is malformed: `head.weight` has shape [2, 0, 1], expected 3 axes without an empty one",
            ),
            (
                transformer,
                |weights| {
                    let name = "temporal_head.input_proj.weight";
                    weights
                        .insert(name, vec![3, 12], vec![0.0; 36])
                        .expect("36");
                },
                "weights file is malformed: `temporal_head.input_proj.weight` has 3 outputs, expected a multiple of 4, \
                 the number of attention heads",
            ),
        ] {
            assert_eq!(refusal(kind, change), expected);
        }
        assert!(
            refusal(TemporalKind::Crf, |weights| _ =
                weights.remove("lstm.weight_ih_l0"))
            .starts_with("weight `lstm.weight_ih_l0` is missing")
        );
    }
}
