//! Motion head, our own: classifies a window by the changes of the embeddings from frame to frame.
//!
//! For few training clips that are labelled as a whole. A linear model takes the absolute changes of the features,
//! standardised and averaged over the window; an optional small convolutional network takes these changes and the
//! standardised features, with half of its inputs dropped in training, and its logits are averaged over the window too.
//! Scores on held-out clips determine how both are weighted. All frames of a window get the same logits; overlapping
//! windows give frames different probabilities.

use burn::module::{Module, Param, ParamId};
use burn::nn::Dropout;
use burn::tensor::Tensor;

use super::CLASSES;
use super::parameters::{Initial, Names, Source, Stored, axes, malformed};
use super::sequence::TemporalNetwork;
use super::tcn::{self, Tcn};
use crate::weights::{Weights, WeightsError};

/// Channels of the convolutional network.
const HIDDEN: usize = 64;
/// Layers of the convolutional network.
const LAYERS: usize = 2;
/// Dropout rate of the network's inputs and layers.
pub(super) const DROPOUT: f64 = 0.5;

// Names of the statistics, which are not trained by gradients; all but the blend have one value per feature.
pub(super) const LEVEL_MEAN: &str = "motion.level_mean";
pub(super) const LEVEL_SCALE: &str = "motion.level_scale";
pub(super) const CHANGE_MEAN: &str = "motion.change_mean";
pub(super) const CHANGE_SCALE: &str = "motion.change_scale";
pub(super) const LINEAR: &str = "motion.linear";
pub(super) const BLEND: &str = "motion.blend";

/// Statistics of a [`TemporalKind::Motion`](super::TemporalKind::Motion) or
/// [`TemporalKind::MotionLinear`](super::TemporalKind::MotionLinear) head, which training computes without gradients.
///
/// Each has one value per feature.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionStatistics {
    /// Mean of each feature.
    pub level_mean: Vec<f32>,
    /// Divisor of each feature after its mean is subtracted.
    pub level_scale: Vec<f32>,
    /// Mean absolute change of each feature from a frame to the next.
    pub change_mean: Vec<f32>,
    /// Divisor of each absolute change after its mean is subtracted.
    pub change_scale: Vec<f32>,
    /// Weights of the linear model over the mean standardised changes.
    pub linear: Vec<f32>,
}

impl MotionStatistics {
    /// Writes the statistics into the weights of a head.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a value that is not finite.
    pub fn write(&self, weights: &mut Weights) -> Result<(), WeightsError> {
        for (name, values) in [
            (LEVEL_MEAN, &self.level_mean),
            (LEVEL_SCALE, &self.level_scale),
            (CHANGE_MEAN, &self.change_mean),
            (CHANGE_SCALE, &self.change_scale),
            (LINEAR, &self.linear),
        ] {
            weights.insert(name, vec![values.len()], values.clone())?;
        }
        Ok(())
    }
}

/// Writes the blend of a motion head into its weights: weight of the network, weight of the linear model, and bias.
///
/// # Errors
///
/// [`WeightsError`] for a value that is not finite.
pub fn write_motion_blend(weights: &mut Weights, blend: [f32; 3]) -> Result<(), WeightsError> {
    weights.insert(BLEND, vec![3], blend.to_vec())
}

/// Values that training sets without gradients.
#[derive(Module, Debug)]
struct Fixed {
    values: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
pub(super) struct Motion {
    level: Standard,
    change: Standard,
    /// Network over standardised changes and features.
    network: Option<Tcn>,
    /// Weights of the linear model over the mean standardised changes.
    linear: Fixed,
    /// Weight of the network, weight of the linear model, bias.
    blend: Fixed,
}

/// Standardisation of each feature: `(x - mean) / scale`.
#[derive(Module, Debug)]
struct Standard {
    mean: Fixed,
    scale: Fixed,
}

impl Stored for Fixed {
    fn id(&self) -> Option<ParamId> {
        None
    }

    fn write(&self, weights: &mut Weights, name: String) {
        self.values.write(weights, name);
    }
}

/// Length of the embeddings.
pub(super) fn stored_features(weights: &Weights) -> Result<usize, WeightsError> {
    axes(weights, LINEAR).map(|[features]| features)
}

/// Confirms that the network takes level and change of each feature.
pub(super) fn expect_two_per_feature(values: usize, features: usize) -> Result<(), WeightsError> {
    if values == 2 * features {
        return Ok(());
    }
    Err(malformed(format!(
        "network of the motion head takes {values} values per frame, expected {}, two per feature",
        2 * features
    )))
}

impl Motion {
    /// Builds a head with a convolutional network of these sizes, or without a network.
    pub(super) fn build(
        sizes: Option<tcn::Sizes>,
        source: &mut Source,
    ) -> Result<Self, WeightsError> {
        let features = source.sizes(|features| features, stored_features)?;
        if let Some(sizes) = &sizes {
            expect_two_per_feature(sizes.features, features)?;
        }
        let mut fixed = |name, initial| {
            let values = source.parameter(name, [features], initial)?;
            Ok(Fixed {
                values: values.set_require_grad(false),
            })
        };
        let (level, change) = (
            Standard {
                mean: fixed(LEVEL_MEAN, Initial::Zero)?,
                scale: fixed(LEVEL_SCALE, Initial::One)?,
            },
            Standard {
                mean: fixed(CHANGE_MEAN, Initial::Zero)?,
                scale: fixed(CHANGE_SCALE, Initial::One)?,
            },
        );
        let linear = fixed(LINEAR, Initial::Zero)?;
        // Until training sets the blend, the network has all the weight.
        let blend = source.parameter(BLEND, [3], Initial::First)?;
        Ok(Self {
            level,
            change,
            network: sizes.map(|sizes| Tcn::build(sizes, source)).transpose()?,
            linear,
            blend: Fixed {
                values: blend.set_require_grad(false),
            },
        })
    }

    pub(super) fn has_network(&self) -> bool {
        self.network.is_some()
    }

    /// Sizes of the convolutional network for embeddings of length `features`.
    pub(super) fn network_sizes(features: usize) -> tcn::Sizes {
        tcn::Sizes::new(2 * features, HIDDEN, LAYERS)
    }
}

impl TemporalNetwork for Motion {
    fn features(&self) -> usize {
        self.linear.values.dims()[0]
    }

    fn names(&self) -> Names<'_> {
        let mut names = self
            .network
            .as_ref()
            .map_or_else(Names::default, Tcn::names);
        for (name, fixed) in [
            (LEVEL_MEAN, &self.level.mean),
            (LEVEL_SCALE, &self.level.scale),
            (CHANGE_MEAN, &self.change.mean),
            (CHANGE_SCALE, &self.change.scale),
            (LINEAR, &self.linear),
            (BLEND, &self.blend),
        ] {
            names.add(name, fixed);
        }
        names
    }

    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let [batch, frames, width] = features.dims();
        // A single frame is repeated: its changes are 0.
        let features = match frames {
            1 => features.repeat_dim(1, 2),
            _ => features,
        };
        let pairs = features.dims()[1] - 1;
        let (before, after) = (
            features.clone().narrow(1, 0, pairs),
            features.narrow(1, 1, pairs),
        );
        let change = self.change.forward((after.clone() - before).abs());
        let level = self.level.forward(after);
        let linear = (change.clone().mean_dim(1) * self.linear.values.val().reshape([1, 1, width]))
            .sum_dim(2);

        let [network_weight, linear_weight, bias] = [0, 1, 2].map(|index| {
            self.blend
                .values
                .val()
                .narrow(0, index, 1)
                .reshape([1, 1, 1])
        });
        let half = (linear * linear_weight + bias) / 2.0;
        let mut logits = Tensor::cat(vec![-half.clone(), half], 2);
        if let Some(network) = &self.network {
            let inputs = Tensor::cat(vec![change, level], 2);
            // Dropout of whole channels, the same for all frames of a window.
            let kept = dropout.forward(Tensor::ones([batch, 1, 2 * width], &inputs.device()));
            logits = logits + network.forward(inputs * kept, dropout).mean_dim(1) * network_weight;
        }
        logits.expand([batch, frames, CLASSES])
    }
}

impl Standard {
    fn forward(&self, values: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = values.dims();
        let row = |fixed: &Fixed| fixed.values.val().reshape([1, 1, width]);
        (values - row(&self.mean)) / row(&self.scale)
    }
}
