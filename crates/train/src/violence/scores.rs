//! Scores of frames and of clips that are labelled as a whole.

use std::fmt;

use serde::Serialize;

use crate::EpochScore;
use affectlens::metrics::{Confusion, area_under_curve};

/// F1 of the labelled frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ViolenceScore {
    /// Mean of the two F1.
    pub macro_f1: f64,
    /// F1 of frames with violence.
    pub violent_f1: f64,
    /// F1 of frames without violence.
    pub calm_f1: f64,
}

impl ViolenceScore {
    /// The scores of a table whose class 1 is violent; a class that neither occurs nor was predicted has 0.
    pub fn new(confusion: &Confusion) -> Self {
        let f1 = |class| confusion.f1(class).unwrap_or_default();
        Self {
            macro_f1: (f1(0) + f1(1)) / 2.0,
            violent_f1: f1(1),
            calm_f1: f1(0),
        }
    }
}

impl EpochScore for ViolenceScore {
    fn score(&self) -> f64 {
        self.macro_f1
    }

    fn numbers(&self) -> Vec<f64> {
        vec![self.macro_f1, self.violent_f1, self.calm_f1]
    }

    fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let &[macro_f1, violent_f1, calm_f1] = numbers else {
            return None;
        };
        Some(Self {
            macro_f1,
            violent_f1,
            calm_f1,
        })
    }
}

impl fmt::Display for ViolenceScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            macro_f1,
            violent_f1,
            calm_f1,
        } = self;
        write!(
            f,
            "macro-F1 {macro_f1:.4} (violent {violent_f1:.4}, non-violent {calm_f1:.4})"
        )
    }
}

/// Counts the labelled frames of a video in a table of two classes; violent is what is at least as probable as
/// `threshold`.
pub fn add_frames(
    confusion: &mut Confusion,
    labels: &[Option<bool>],
    probabilities: &[f32],
    threshold: f32,
) {
    for (label, probability) in labels.iter().zip(probabilities) {
        if let Some(label) = label {
            confusion.add(usize::from(*label), usize::from(*probability >= threshold));
        }
    }
}

/// Clips that are labelled as a whole, each with its mean frame probability.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClipScores {
    clips: Vec<(bool, f32)>,
}

impl ClipScores {
    /// Adds a clip from the probabilities of its frames.
    pub fn add(&mut self, violent: bool, probabilities: &[f32]) {
        let sum: f64 = probabilities.iter().map(|it| f64::from(*it)).sum();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "summed in f64, reported in f32"
        )]
        let mean = (sum / probabilities.len().max(1) as f64) as f32;
        self.clips.push((violent, mean));
    }

    /// Clips by label and prediction; violent is what is at least as probable as `threshold`.
    pub fn confusion(&self, threshold: f32) -> Confusion {
        let mut confusion = Confusion::new(2);
        for (violent, mean) in &self.clips {
            confusion.add(usize::from(*violent), usize::from(*mean >= threshold));
        }
        confusion
    }

    /// Area under the curve; `None` without clips of both kinds.
    pub fn area(&self) -> Option<f64> {
        let means = |kind: bool| -> Vec<f32> {
            let clips = self.clips.iter().filter(|(violent, _)| *violent == kind);
            clips.map(|(_, mean)| *mean).collect()
        };
        area_under_curve(&means(true), &means(false))
    }
}

/// Mean and sample standard deviation; the latter is 0 for a single value.
pub fn mean_and_spread(values: &[f64]) -> [f64; 2] {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    [mean, (squares / (count - 1.0).max(1.0)).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_pooled_and_unlabelled_ones_left_out() {
        let mut confusion = Confusion::new(2);
        let labels = [Some(true), None, Some(false)];
        add_frames(&mut confusion, &labels, &[0.5, 0.9, 0.49], 0.5);
        add_frames(&mut confusion, &[Some(true)], &[0.1], 0.5);
        assert_eq!(confusion.rows(), [[1, 0], [1, 1]]);
        assert_eq!(confusion.f1(1), Some(2.0 / 3.0));
    }

    #[test]
    fn a_clip_is_as_violent_as_its_frames_on_average() {
        let mut scores = ClipScores::default();
        scores.add(true, &[0.2, 0.8]);
        scores.add(false, &[0.4, 0.5]);
        scores.add(false, &[]);
        assert_eq!(scores.confusion(0.5).rows(), [[2, 0], [0, 1]]);
        assert_eq!(scores.area(), Some(1.0));
        assert_eq!(mean_and_spread(&[1.0, 2.0, 3.0]), [2.0, 1.0]);
        assert_eq!(mean_and_spread(&[4.0]), [4.0, 0.0]);
    }
}
