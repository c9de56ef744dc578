//! Scores of frames and of clips that are labelled as a whole.

use affectlens::metrics::{Confusion, area_under_curve};

/// Counts the labelled frames of a video in a table of two classes; a frame is predicted violent if its probability is at
/// or above `threshold`.
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

    /// Labels against predictions; a clip is predicted violent if its mean is at or above `threshold`.
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
    }
}
