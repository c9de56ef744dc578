//! How a backbone is trained with its classifiers, and on what.

use std::{fmt, ops::RangeInclusive};

use serde::Serialize;

use super::{RecipeError, picture::GreyPicture};
use crate::{ClassifierScore, EpochScore, FitError};
use affectlens::{label::Expression, weights::sha256};

/// How a backbone is trained with its classifiers.
#[derive(Clone, Debug, PartialEq)]
pub struct EndToEndRecipe {
    /// Side of the pictures, pixels.
    pub side: u32,
    /// Passes over the first set.
    pub epochs: usize,
    /// Pictures of the first set in a step.
    pub batch: usize,
    /// Pictures of each further set in a step.
    pub further_batch: usize,
    /// Weight of each further set's loss; the first one's is 1.
    pub further_weight: f32,
    /// Highest step size of AdamW.
    pub learning_rate: f64,
    /// Decay of AdamW, of matrices and kernels.
    pub weight_decay: f32,
    /// Start of the random numbers.
    pub seed: u64,
    /// Leave the classifiers' biases at 0 instead of tuning them on the validation data.
    pub without_gla: bool,
}

impl Default for EndToEndRecipe {
    fn default() -> Self {
        Self {
            side: 96,
            epochs: 14,
            batch: 96,
            further_batch: 32,
            further_weight: 0.4,
            learning_rate: 1.2e-3,
            weight_decay: 0.03,
            seed: 0,
            without_gla: false,
        }
    }
}

/// Pictures with the class of each.
#[derive(Clone, Debug, Default)]
pub struct LabelledFaces {
    /// The faces.
    pub pictures: Vec<GreyPicture>,
    /// Class of each.
    pub labels: Vec<usize>,
}

/// Pictures of one classifier.
#[derive(Clone, Debug)]
pub struct FaceSet {
    /// What the classes are.
    pub classes: Vec<Expression>,
    /// Trained on.
    pub training: LabelledFaces,
    /// Scored.
    pub validation: LabelledFaces,
}

/// Scores of each classifier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaceScore(pub Vec<ClassifierScore>);

impl EpochScore for FaceScore {
    fn score(&self) -> f64 {
        let sum: f64 = self.0.iter().map(EpochScore::score).sum();
        sum / self.0.len() as f64
    }

    fn numbers(&self) -> Vec<f64> {
        self.0.iter().flat_map(EpochScore::numbers).collect()
    }

    fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let scores = numbers.chunks(2).map(ClassifierScore::from_numbers);
        scores.collect::<Option<_>>().map(Self)
    }
}

impl fmt::Display for FaceScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, score) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{score}")?;
        }
        Ok(())
    }
}

impl EndToEndRecipe {
    /// Sides that can be trained on: the strides divide by 32.
    pub const SIDES: RangeInclusive<u32> = 32..=512;

    pub(super) fn check(&self) -> Result<(), FitError> {
        if !Self::SIDES.contains(&self.side) {
            return Err(FitError::setting(
                "side",
                "from 32 to 512 pixels",
                self.side,
            ));
        }
        FitError::expect_counts(&[
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("batch of a further set", self.further_batch),
        ])?;
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            let rate = self.learning_rate;
            return Err(FitError::setting("learning rate", "a number above 0", rate));
        }
        for (what, value) in [
            ("weight decay", f64::from(self.weight_decay)),
            ("weight of a further set", f64::from(self.further_weight)),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(FitError::setting(what, "a number of at least 0", value));
            }
        }
        Ok(())
    }
}

impl FaceSet {
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        for (part, faces) in [
            ("training", &self.training),
            ("validation", &self.validation),
        ] {
            let (rows, labels) = (faces.pictures.len(), faces.labels.len());
            if rows != labels {
                return Err(FitError::Count { part, rows, labels }.into());
            }
            if rows == 0 {
                return Err(FitError::Empty(part).into());
            }
            let classes = self.classes.len();
            if let Some(row) = faces.labels.iter().position(|label| *label >= classes) {
                let label = faces.labels[row];
                return Err(FitError::Label {
                    part,
                    row,
                    label,
                    classes,
                }
                .into());
            }
            if faces.labels.iter().all(|label| *label == faces.labels[0]) {
                return Err(RecipeError::OneClass { part });
            }
        }
        Ok(())
    }

    /// A text that other pictures do not have.
    pub(super) fn fingerprint(&self) -> String {
        let mut bytes = Vec::new();
        for faces in [&self.training, &self.validation] {
            for (picture, label) in faces.pictures.iter().zip(&faces.labels) {
                bytes.extend(picture.sum().to_le_bytes());
                bytes.extend((*label as u64).to_le_bytes());
            }
        }
        let digest = sha256(&bytes);
        format!("{} {}", self.training.labels.len(), &digest[..12])
    }
}
