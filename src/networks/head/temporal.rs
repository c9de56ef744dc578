//! Temporal heads: the probability of violence in each frame of a window, from the frames' embeddings.
//!
//! The heads that the HSEmotion team at ABAW-10 (section 3.3 and its published code) trained on the embeddings of a
//! network that sees one frame at a time, or on what a network over clips tells of some moments of a window, and a motion
//! head of our own. Parameters have the names of the published
//! checkpoints and PyTorch's layout.
//!
//! Dropout and batch norm follow the device: on a device with gradients a head trains, on another
//! ([`Module::valid`](burn::module::Module::valid)) it predicts.

mod attention;
mod checkpoint;
mod convolution;
mod crf;
mod fusion;
mod fusion_kind;
mod interpolation;
mod kind;
mod lstm;
mod motion;
mod network;
mod parameters;
mod predictor;
mod sequence;
mod tcn;
#[cfg(test)]
mod tests;
mod transformer;

use burn::module::{Module, ParamId};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Int, Tensor};

pub use checkpoint::{kind_of_checkpoint, temporal_from_checkpoint};
pub use fusion_kind::{FusionKind, Joining, OverTime, SecondStream};
pub use kind::TemporalKind;
pub use motion::{MotionStatistics, write_motion_blend};
use network::Network;
use parameters::Source;
pub use predictor::TemporalPredictor;
use sequence::TemporalNetwork;

use crate::weights::{Metadata, Weights, WeightsError};

/// Number of classes: not violent, violent.
const CLASSES: usize = 2;
/// Dropout rate of all published heads, with any backbone.
const DROPOUT: f64 = 0.3;

/// Kind and input of a [`TemporalHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemporalConfig {
    /// Architecture.
    pub kind: TemporalKind,
    /// Length of the embedding of a frame; with a second stream, of both together: the embedding, then its numbers.
    pub features: usize,
}

impl TemporalConfig {
    /// Creates a head of the published sizes with random weights, the same for the same seed on every device; PyTorch's
    /// default distributions. A second stream has its [published width](SecondStream::width).
    ///
    /// # Panics
    ///
    /// If there are not more features than the second stream has.
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
        if let Some(fusion) = self.kind.fusion() {
            let (features, second) = (self.features, fusion.stream().width());
            assert!(
                features > second,
                "{features} features with {second} of a second stream"
            );
        }
        let mut source = Source::seeded(seed, self.features, device);
        let network = Network::build(self.kind, &mut source);
        TemporalHead::new(network.expect("a seed gives every parameter"))
    }
}

/// Classifier of the frames of windows as violent or not.
#[derive(Module, Debug)]
pub struct TemporalHead {
    network: Network,
    dropout: Dropout,
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
        TemporalConfig {
            kind: self.network.kind(),
            features: self.network.features(),
        }
    }

    /// Loads a head whose architecture is `temporal-` and the name of a [`TemporalKind`], with the sizes of the
    /// weights.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for another architecture, or for a parameter that is missing, unexpected, of the wrong shape or
    /// of an invalid value.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let kind = TemporalKind::of(weights)?;
        let head = Self::new(Network::build(kind, &mut Source::file(weights, device))?);
        let names = head.network.names().0;
        match weights
            .iter()
            .find(|(name, _)| names.iter().all(|(known, _)| known != name))
        {
            None => Ok(head),
            Some((name, _)) => Err(WeightsError::Unexpected {
                name: name.to_owned(),
                architecture: weights.metadata.architecture.clone(),
            }),
        }
    }

    /// Copies parameters and running statistics into a table under their published names, in PyTorch's layout; the
    /// metadata names the architecture only.
    ///
    /// Reads back from the device; in a browser this works for a network on the CPU only.
    pub fn to_weights(&self) -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: self.network.kind().architecture(),
            ..Metadata::default()
        });
        for (name, stored) in self.network.names().0 {
            stored.write(&mut weights, name);
        }
        weights
    }

    /// Published names and ids of the trained parameters; running statistics of batch norm are not among them.
    pub fn parameters(&self) -> Vec<(String, ParamId)> {
        let names = self.network.names().0.into_iter();
        names
            .filter_map(|(name, stored)| Some((name, stored.id()?)))
            .collect()
    }

    /// Largest number of frames in a window, the number of positions of a transformer; `None` without a limit.
    pub fn longest_window(&self) -> Option<usize> {
        match &self.network {
            Network::Transformer(network) => Some(network.positions()),
            _ => None,
        }
    }

    /// Computes the logits of the frames of windows.
    ///
    /// # Shapes
    ///
    /// - features: `[batch, time, features]`, at least one frame
    /// - output: `[batch, time, 2]`, not violent and violent, before softmax
    ///
    /// # Panics
    ///
    /// If the embeddings do not have the length in [`config`](Self::config), or a window has more frames than
    /// [`longest_window`](Self::longest_window).
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        self.network.forward(features, &self.dropout)
    }

    /// Computes the logits of the frames of windows from features of fewer moments, as networks over clips give them: these
    /// are interpolated linearly to the frames first, as in the published systems.
    ///
    /// # Shapes
    ///
    /// - features: `[batch, moments, features]`, at equal distances; at least one moment
    /// - output: `[batch, frames, 2]`, not violent and violent, before softmax
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    ///
    /// ```
    /// use affectlens::head::{TemporalConfig, TemporalKind};
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let head = TemporalConfig { kind: TemporalKind::BiLstmConv, features: 8 }.init(7, &device);
    /// let moments = Tensor::zeros([1, 2, 8], &device);
    /// assert_eq!(head.forward_moments(moments, 16).dims(), [1, 16, 2]);
    /// ```
    pub fn forward_moments(&self, features: Tensor<3>, frames: usize) -> Tensor<3> {
        self.forward(interpolation::over_frames(features, frames))
    }

    /// Converts the logits of one window, two per frame, to the probability of violence in each frame.
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f32> {
        probabilities(logits)
    }

    /// Decodes the logits of one window, two per frame, into the most likely sequence of violent (`true`) and other
    /// frames; `None` for heads other than [`TemporalKind::Crf`].
    ///
    /// Reads back from the device; in a browser this works for a network on the CPU only.
    pub fn decode(&self, logits: &[f32]) -> Option<Vec<bool>> {
        match &self.network {
            Network::Crf(network) => Some(network.decode(logits)),
            _ => None,
        }
    }

    /// Computes the negative log-likelihood of labelled windows under the conditional random field, mean over the
    /// windows; `None` for heads other than [`TemporalKind::Crf`].
    ///
    /// The published code has this loss, but its training does not use it.
    ///
    /// # Shapes
    ///
    /// - logits: `[batch, time, 2]`, the output of [`forward`](Self::forward)
    /// - labels: `[batch, time]`, 0 or 1
    /// - output: `[1]`
    pub fn crf_loss(&self, logits: Tensor<3>, labels: Tensor<2, Int>) -> Option<Tensor<1>> {
        match &self.network {
            Network::Crf(network) => Some(network.loss(logits, labels)),
            _ => None,
        }
    }
}

/// Probability of violence in each frame, from two logits per frame.
fn probabilities(logits: &[f32]) -> Vec<f32> {
    let (frames, _) = logits.as_chunks::<CLASSES>();
    frames
        .iter()
        .map(|[calm, violent]| 1.0 / (1.0 + (calm - violent).exp()))
        .collect()
}
