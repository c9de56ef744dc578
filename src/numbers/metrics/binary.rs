//! F1 of binary predictions, and the scores of action units.

use serde::Serialize;

use super::{as_map, ratio};
use crate::label::ActionUnit;

/// Counts of true positives, positive predictions and positive labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BinaryCounts {
    hits: u64,
    predicted: u64,
    positive: u64,
}

impl BinaryCounts {
    /// Counts one example.
    pub(crate) fn add(&mut self, prediction: bool, label: bool) {
        self.hits += u64::from(prediction && label);
        self.predicted += u64::from(prediction);
        self.positive += u64::from(label);
    }

    /// F1 of the positive class, in `[0, 1]`; 0 without positive labels and predictions.
    pub(crate) fn f1(&self) -> f64 {
        ratio(2 * self.hits, self.predicted + self.positive)
    }
}

/// Report of the evaluation of action units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActionUnitScores {
    /// Mean F1 over the action units.
    pub mean_f1: f64,
    /// F1 of each action unit.
    #[serde(serialize_with = "as_map")]
    pub per_unit: Vec<(ActionUnit, f64)>,
    /// Number of examples.
    pub count: usize,
}

impl ActionUnitScores {
    /// Computes the F1 of each unit, which is predicted if its score is at or above its threshold.
    ///
    /// `scores` and `labels` hold one row per example, with one value per unit.
    ///
    /// # Panics
    ///
    /// If the numbers of rows differ, or a row or `thresholds` does not have one value per unit.
    pub fn new<R: AsRef<[f32]>, L: AsRef<[bool]>>(
        scores: &[R],
        labels: &[L],
        thresholds: &[f32],
        units: &[ActionUnit],
    ) -> Self {
        assert_eq!(
            scores.len(),
            labels.len(),
            "each row of scores needs one row of labels"
        );
        assert_eq!(
            thresholds.len(),
            units.len(),
            "each action unit needs one threshold"
        );
        let mut counts = vec![BinaryCounts::default(); units.len()];
        for (scores, labels) in scores.iter().zip(labels) {
            let (scores, labels) = (scores.as_ref(), labels.as_ref());
            assert_eq!(
                [scores.len(), labels.len()],
                [units.len(); 2],
                "each action unit needs one score and one label"
            );
            for (unit, counts) in counts.iter_mut().enumerate() {
                counts.add(scores[unit] >= thresholds[unit], labels[unit]);
            }
        }
        let sum: f64 = counts.iter().map(BinaryCounts::f1).sum();
        Self {
            mean_f1: sum / units.len().max(1) as f64,
            per_unit: units
                .iter()
                .zip(&counts)
                .map(|(&unit, counts)| (unit, counts.f1()))
                .collect(),
            count: scores.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_spans_all_units_and_a_score_at_the_threshold_counts() {
        let units = [ActionUnit::Au1, ActionUnit::Au12];
        // AU1: one hit, one miss, one false alarm; AU12 never occurs.
        let scores = ActionUnitScores::new(
            &[[0.5, 0.1], [0.2, 0.2], [0.9, 0.3]],
            &[[true, false], [true, false], [false, false]],
            &[0.5, 0.4],
            &units,
        );
        assert_eq!(
            serde_json::to_string(&scores).expect("plain data"),
            r#"{"mean_f1":0.25,"per_unit":{"AU1":0.5,"AU12":0.0},"count":3}"#
        );
    }
}
