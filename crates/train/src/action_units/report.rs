//! Scores of action units on the validation data.

use std::fmt;

use serde::Serialize;

use super::{Labels, UNITS};
use crate::{EpochScore, RecipeError};
use affectlens::{
    calibration::best_threshold, label::AFF_WILD2_ACTION_UNITS, metrics::ActionUnitScores,
};

/// One of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionUnitPart {
    /// Over the embedding.
    Embedding,
    /// Over the expression logits.
    Logits,
}

impl fmt::Display for ActionUnitPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedding => "embedding network",
            Self::Logits => "logits network",
        })
    }
}

/// Scores of one network on the validation data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ActionUnitValidation {
    /// Mean F1 at a probability of .5; decides which epoch is the best.
    pub mean_f1: f64,
    /// The loss that is trained.
    pub loss: f64,
}

impl EpochScore for ActionUnitValidation {
    fn score(&self) -> f64 {
        self.mean_f1
    }

    fn loss(&self) -> Option<f64> {
        Some(self.loss)
    }

    fn numbers(&self) -> Vec<f64> {
        vec![self.mean_f1, self.loss]
    }

    fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let &[mean_f1, loss] = numbers else {
            return None;
        };
        Some(Self { mean_f1, loss })
    }
}

impl fmt::Display for ActionUnitValidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mean F1 {:.4}, validation loss {:.4}",
            self.mean_f1, self.loss
        )
    }
}

/// How the training of both networks went; scores are those of probabilities.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActionUnitReport {
    /// Training examples.
    pub count: usize,
    /// Training examples that show each action unit.
    pub positives: Vec<usize>,
    /// The epoch of the embedding network and that of the logits network whose states were kept.
    pub epochs: [usize; 2],
    /// The embedding network alone.
    pub embedding: ThresholdScores,
    /// The logits network alone.
    pub logits: ThresholdScores,
    /// Both, averaged.
    pub blend: ThresholdScores,
}

/// Scores of probabilities on the validation data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ThresholdScores {
    /// At a threshold of .5.
    pub half: ActionUnitScores,
    /// At `thresholds`, on the data that they were tuned on.
    pub tuned: ActionUnitScores,
    /// The best threshold of each action unit among .1, .2, ... .9.
    pub thresholds: Vec<f32>,
}

/// Scores of probabilities at .5, and at the best threshold of each action unit.
pub(crate) fn tune_thresholds(
    probabilities: &[Vec<f32>],
    labels: &[Labels],
) -> Result<ThresholdScores, RecipeError> {
    let mut thresholds = Vec::with_capacity(UNITS);
    for unit in 0..UNITS {
        let scores: Vec<f32> = probabilities.iter().map(|row| row[unit]).collect();
        let present: Vec<bool> = labels.iter().map(|row| row[unit]).collect();
        thresholds.push(best_threshold(&scores, &present)?.0);
    }
    let scores = |thresholds: &[f32]| {
        ActionUnitScores::new(probabilities, labels, thresholds, &AFF_WILD2_ACTION_UNITS)
    };
    Ok(ThresholdScores {
        half: scores(&[0.5; UNITS]),
        tuned: scores(&thresholds),
        thresholds,
    })
}
