//! Classifiers over embeddings: their data, settings and scores.

mod recipe;

use std::fmt;

use burn::tensor::{Device, Int, Tensor};
use serde::Serialize;

use crate::{EarlyStop, EpochScore, Examples, FitError, Sampling, Schedule};
use affectlens::{
    calibration::{AbsentClasses, class_balanced_weights, class_weights, softmax},
    head::Mlp,
    metrics::{Confusion, argmax},
};
use affectlens_data::FeatureRows;
pub(crate) use recipe::train_mlp;

/// Embeddings with the class of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledEmbeddings {
    /// One row an example.
    pub rows: FeatureRows,
    /// Class of each row.
    pub labels: Vec<usize>,
}

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Cross-entropy weighted by inverse class frequency.
    WeightedCrossEntropy,
    /// Focal loss with class-balanced weights.
    Focal {
        /// How strongly examples that are already right fade out.
        gamma: f32,
        /// Beta of the class weights: 0 weighs all alike, towards 1 they approach the inverse class frequency.
        beta: f64,
    },
}

/// How a classifier is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingConfig {
    /// Width of the hidden layer.
    pub hidden: usize,
    /// What is minimised.
    pub loss: Loss,
    /// How batches are drawn.
    pub sampling: Sampling,
    /// Parameter of mixup's beta distribution, from .01 to 1; `None` mixes nothing.
    pub mixup: Option<f64>,
    /// Optimiser, passes and stopping.
    pub schedule: Schedule,
}

impl Default for TrainingConfig {
    /// The published recipe: 128 hidden units, weighted cross-entropy.
    fn default() -> Self {
        Self {
            hidden: 128,
            loss: Loss::WeightedCrossEntropy,
            sampling: Sampling::Shuffled,
            mixup: None,
            schedule: Schedule::default(),
        }
    }
}

impl TrainingConfig {
    /// The published focal variant: batches of eight examples a class, and an early stop.
    pub fn focal() -> Self {
        Self {
            loss: Loss::Focal {
                gamma: 2.0,
                beta: 0.99,
            },
            sampling: Sampling::Balanced { per_class: 8 },
            schedule: Schedule {
                early_stop: Some(EarlyStop::default()),
                ..Schedule::default()
            },
            ..Self::default()
        }
    }

    /// The published recipe for sound: the focal variant with less focus and batches of four examples a class.
    pub fn focal_sound() -> Self {
        Self {
            loss: Loss::Focal {
                gamma: 1.0,
                beta: 0.99,
            },
            sampling: Sampling::Balanced { per_class: 4 },
            ..Self::focal()
        }
    }

    /// Weights of the classes in the loss, from their numbers of training examples.
    fn class_weights(&self, counts: &[usize]) -> Result<Vec<f32>, FitError> {
        // A class without examples would never be predicted: to leave it out is the caller's decision.
        let weights = class_weights(counts, AbsentClasses::Refuse)?;
        Ok(match self.loss {
            Loss::WeightedCrossEntropy => weights,
            Loss::Focal { beta, .. } => class_balanced_weights(counts, beta)?,
        })
    }

    fn check(&self, examples: usize) -> Result<(), FitError> {
        self.schedule.check()?;
        if self.hidden == 0 {
            return Err(FitError::setting("hidden width", "at least 1", self.hidden));
        }
        if let Sampling::Balanced { per_class } = self.sampling
            && !(1..=examples).contains(&per_class)
        {
            let expected = "at least 1 and at most the number of training examples";
            return Err(FitError::setting("examples a class", expected, per_class));
        }
        if let Some(alpha) = self.mixup
            && !(0.01..=1.0).contains(&alpha)
        {
            return Err(FitError::setting("mixup", "a number from 0.01 to 1", alpha));
        }
        if let Loss::Focal { gamma, beta } = self.loss
            && !(gamma >= 0.0 && (0.0..1.0).contains(&beta))
        {
            return Err(FitError::setting(
                "focal loss",
                "gamma of at least 0 and beta from 0 to below 1",
                format!("{gamma} and {beta}"),
            ));
        }
        Ok(())
    }
}

/// Scores of a classifier on the validation data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassifierScore {
    /// Decides which epoch is the best.
    pub macro_f1: f64,
    /// Share of examples predicted right.
    pub accuracy: f64,
}

impl EpochScore for ClassifierScore {
    fn score(&self) -> f64 {
        self.macro_f1
    }

    fn numbers(&self) -> Vec<f64> {
        vec![self.macro_f1, self.accuracy]
    }

    fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let &[macro_f1, accuracy] = numbers else {
            return None;
        };
        Some(Self { macro_f1, accuracy })
    }
}

impl fmt::Display for ClassifierScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "macro-F1 {:.4}, accuracy {:.4}",
            self.macro_f1, self.accuracy
        )
    }
}

/// Class probabilities of each row.
///
/// # Panics
///
/// If the rows have another width than the classifier's input.
pub fn predict(mlp: &Mlp, rows: &FeatureRows, device: &Device) -> Vec<Vec<f32>> {
    let mut rows = rows.forward(device, |batch| mlp.forward(batch));
    for row in &mut rows {
        *row = softmax(row);
    }
    rows
}

/// Number of examples of each class.
pub(super) fn class_counts(labels: &[usize], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for &label in labels {
        counts[label] += 1;
    }
    counts
}

fn confusion(mlp: &Mlp, data: &LabelledEmbeddings, classes: usize) -> Confusion {
    let mut confusion = Confusion::new(classes);
    for (row, &label) in predict(mlp, &data.rows, &Device::flex())
        .iter()
        .zip(&data.labels)
    {
        confusion.add(label, argmax(row).unwrap_or_default());
    }
    confusion
}

impl LabelledEmbeddings {
    fn examples(&self) -> Examples<'_, usize> {
        Examples {
            rows: &self.rows,
            labels: &self.labels,
        }
    }

    fn check(&self, part: &'static str, width: usize, classes: usize) -> Result<(), FitError> {
        self.examples().check(part, width)?;
        match self.labels.iter().position(|&label| label >= classes) {
            None => Ok(()),
            Some(row) => Err(FitError::Label {
                part,
                row,
                label: self.labels[row],
                classes,
            }),
        }
    }

    /// Rows `[batch, width]` and labels `[batch]` of some examples.
    fn batch(&self, examples: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let labels: Vec<i64> = examples
            .iter()
            .map(|&example| self.labels[example] as i64)
            .collect();
        (
            self.rows.batch(examples, device),
            Tensor::from_data(labels.as_slice(), device),
        )
    }
}
