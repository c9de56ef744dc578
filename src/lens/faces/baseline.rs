//! What the models say of a face at rest.

use super::{FaceClassifier, FaceScores, action_units::ActionUnitReader};
use crate::{
    baseline::{RowMean, logarithms, remove_from_probabilities, remove_from_strengths},
    label::Expression,
};

/// The neutral look of one face: means over the frames that were added.
///
/// It is kept as the models give it, before calibration and blending: changed controls stay possible.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    head: RowMean,
    pretrained: RowMean,
    action_units: RowMean,
}

impl Baseline {
    /// Adds a frame; one in which action units were wanted and not found is left out.
    pub(super) fn add(&mut self, scores: &FaceScores, reader: &ActionUnitReader) {
        let wants_units = !reader.units().is_empty();
        if wants_units && scores.action_units.is_none() {
            return;
        }
        self.head.add(&logarithms(&scores.head));
        self.pretrained.add(&logarithms(&scores.pretrained));
        if let Some(row) = &scores.action_units {
            self.action_units.add(&reader.to_strengths(row));
        }
    }

    /// Whether no frame was added.
    pub(super) fn is_empty(&self) -> bool {
        self.pretrained.mean().is_none()
    }

    /// The scores without the neutral look.
    pub(super) fn remove_from(
        &self,
        scores: &FaceScores,
        classifier: &FaceClassifier,
        reader: &ActionUnitReader,
    ) -> FaceScores {
        let probabilities = |row: &[f32], rest: &RowMean, classes: &[Expression]| {
            let neutral = classes.iter().position(|it| *it == Expression::Neutral);
            match (rest.mean(), neutral) {
                (Some(rest), Some(neutral)) if !row.is_empty() => {
                    remove_from_probabilities(row, &rest, neutral)
                }
                // Nothing is known of rest where no class stands for it, or no task reads expressions.
                _ => row.to_vec(),
            }
        };
        let units = scores.action_units.as_ref();
        FaceScores {
            head: probabilities(&scores.head, &self.head, classifier.head_classes()),
            pretrained: probabilities(
                &scores.pretrained,
                &self.pretrained,
                classifier.pretrained_classes(),
            ),
            valence_arousal: scores.valence_arousal,
            action_units: units.map(|row| match self.action_units.mean() {
                Some(rest) => {
                    let strengths = remove_from_strengths(&reader.to_strengths(row), &rest);
                    reader.to_scores(&strengths)
                }
                None => row.clone(),
            }),
            sound: scores.sound.clone(),
            embedding: Vec::new(),
            personal: scores.personal.clone(),
        }
    }
}
