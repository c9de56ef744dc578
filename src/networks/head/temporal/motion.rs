//! Movement: how the embeddings change from frame to frame, by a linear model and where there is one a small convolutional
//! network, each pooled over the window.
//!
//! Made for few clips that are labelled as a whole: the linear model sees the absolute changes of standardised features,
//! the network these features too; it is narrow and loses half of its inputs in training. Held-out scores say how far
//! they are to be trusted. All frames of a window get the same logits; overlapping windows tell them apart.

use burn::module::{Module, Param, ParamId};
use burn::nn::Dropout;
use burn::tensor::Tensor;

use super::CLASSES;
use super::parameters::{Initial, Names, Source, Stored, axes, dropped, malformed};
use super::tcn::{self, Tcn};
use crate::weights::{Weights, WeightsError};

/// Channels of the network.
const HIDDEN: usize = 64;
/// Of the network's inputs and of its layers.
pub(super) const DROPOUT: f64 = 0.5;

/// What is not trained by gradients, each with its length in features.
pub(super) const LEVEL_MEAN: &str = "motion.level_mean";
pub(super) const LEVEL_SCALE: &str = "motion.level_scale";
pub(super) const CHANGE_MEAN: &str = "motion.change_mean";
pub(super) const CHANGE_SCALE: &str = "motion.change_scale";
pub(super) const LINEAR: &str = "motion.linear";
pub(super) const BLEND: &str = "motion.blend";

/// Numbers that training sets once.
#[derive(Module, Debug)]
struct Fixed {
    values: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
pub(super) struct Motion {
    level: Standard,
    change: Standard,
    /// Over standardised features and changes.
    network: Option<Tcn>,
    /// Over the mean standardised change.
    linear: Fixed,
    /// Weight of the network, weight of the linear model, bias.
    blend: Fixed,
}

/// `(x - mean) / scale`.
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

impl Motion {
    /// `sizes` are those of the network, where there is one.
    pub(super) fn build(
        features: usize,
        sizes: Option<tcn::Sizes>,
        source: &mut Source,
    ) -> Result<Self, WeightsError> {
        if let Some(sizes) = &sizes
            && sizes.features != 2 * features
        {
            return Err(malformed(format!(
                "network of the motion head takes {} values a frame, expected {}, twice as many as there are features",
                sizes.features,
                2 * features
            )));
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
        // Until the parts are weighed against each other the network is alone.
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

    /// Length of the embeddings that a file's head takes.
    pub(super) fn features_of(weights: &Weights) -> Result<usize, WeightsError> {
        let [features] = axes(weights, LINEAR)?;
        Ok(features)
    }

    /// Whether there is a network.
    pub(super) fn has_network(&self) -> bool {
        self.network.is_some()
    }

    /// Sizes of the network for embeddings of that length.
    pub(super) fn sizes(features: usize) -> tcn::Sizes {
        tcn::Sizes::new(2 * features, HIDDEN, 2)
    }

    pub(super) fn features(&self) -> usize {
        self.linear.values.dims()[0]
    }

    pub(super) fn names(&self) -> Names<'_> {
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

    pub(super) fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let [batch, frames, width] = features.dims();
        // A single frame does not change.
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

        let [of_network, of_linear, bias] = [0, 1, 2].map(|index| {
            self.blend
                .values
                .val()
                .narrow(0, index, 1)
                .reshape([1, 1, 1])
        });
        let half = (linear * of_linear + bias) / 2.0;
        let mut logits = Tensor::cat(vec![-half.clone(), half], 2);
        if let Some(network) = &self.network {
            let inputs = Tensor::cat(vec![change, level], 2);
            // A channel is lost for a whole window.
            let kept = dropped(
                dropout,
                Tensor::ones([batch, 1, 2 * width], &inputs.device()),
            );
            logits = logits + network.forward(inputs * kept, dropout).mean_dim(1) * of_network;
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
