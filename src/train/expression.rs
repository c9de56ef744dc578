//! From labelled embeddings to the weights file of an expression head.

use burn::tensor::Device;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use thiserror::Error;

use super::{
    dataset::{DatasetError, LabelledPictures},
    embedding::EmbeddedPictures,
    fit::{EpochReport, FitError, LabelledEmbeddings, Loss, TrainedMlp, TrainingConfig, class_counts, predict, train_mlp},
};
use crate::{
    calibration::{CalibrationError, ExpressionSettings, Gla, GlaTuning, tune_gla},
    label::Expression,
    metrics::{Confusion, Scores, argmax},
    weights::Weights,
};

/// What kind of head is trained, and from which part of the data its epoch is chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpressionRecipe {
    /// The training loop.
    pub training: TrainingConfig,
    /// Part of the training data that is set aside to choose the epoch, in `[0, 1)`; 0 chooses it on the
    /// validation data, whose scores are then those of the luckiest epoch.
    pub holdout: f64,
    /// Leave the biases at 0 instead of tuning them on the validation data.
    pub without_gla: bool,
}
