//! Calibration: class weights for training, class biases and thresholds tuned on validation data, and the settings that
//! are stored in weights files.
//!
//! The bias search is that of the HSEmotion team at ABAW-10 (section 3.1 and its notebook), who name it after
//! generalised logit adjustment (GLA): a coordinate search over one log-bias per class. Class weights follow equation 1
//! as the notebook computes it; thresholds and positive weights of action units follow section 3.2 and the notebook.

mod action_units;
mod gla;
mod settings;
mod violence;

use thiserror::Error;

pub use action_units::{ActionUnitScore, ActionUnitSettings};
pub use gla::{Gla, GlaTuning, tune_gla};
pub use settings::ExpressionSettings;
pub use violence::ViolenceSettings;

pub use crate::probability::{sigmoid, softmax};

use crate::metrics::BinaryCounts;

/// Error from weighting, tuning or reading settings.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum CalibrationError {
    /// Data to calibrate on is missing.
    #[error("calibration has no {0}, expected at least one")]
    Empty(&'static str),
    /// A class has no training example, so it has no weight.
    #[error("class {class} has no training example, expected at least one")]
    AbsentClass {
        /// Index of the class.
        class: usize,
    },
    /// Two lists differ in length.
    #[error("{got} {what}, expected {expected}")]
    Count {
        /// Plural name of the elements.
        what: &'static str,
        /// Length of the other list.
        expected: usize,
        /// Length received.
        got: usize,
    },
    /// A row of probabilities has the wrong width.
    #[error("row {row} has {got} probabilities, expected {expected}")]
    Width {
        /// Index of the row.
        row: usize,
        /// Number of classes.
        expected: usize,
        /// Probabilities in the row.
        got: usize,
    },
    /// A probability is negative or not finite.
    #[error("row {row} has probability {value}, expected a number of at least 0")]
    Probability {
        /// Index of the row.
        row: usize,
        /// Probability received.
        value: f32,
    },
    /// A label is not one of the classes.
    #[error("row {row} has label {label}, expected less than {classes}")]
    Label {
        /// Index of the row.
        row: usize,
        /// Label received.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A setting in a weights file cannot be read.
    #[error("setting `{key}` is `{got}`, expected {expected}")]
    Setting {
        /// Key in the metadata.
        key: &'static str,
        /// Description of valid values.
        expected: &'static str,
        /// Value in the metadata.
        got: String,
    },
}

/// Treatment of classes without training examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbsentClasses {
    /// Return an error: a class without examples is usually a mistake in the data.
    Refuse,
    /// Set the weight to 0, so that the class does not contribute to the loss, and leave its bias at 0.
    Zero,
}

/// Computes the loss weight of each class: the largest class count divided by its own.
///
/// `counts` are the numbers of training examples. The weights of the cross-entropy in equation 1.
///
/// # Errors
///
/// [`CalibrationError::AbsentClass`] for a count of 0, unless `absent` allows it;
/// [`CalibrationError::Empty`] if no class has an example.
pub fn class_weights(
    counts: &[usize],
    absent: AbsentClasses,
) -> Result<Vec<f32>, CalibrationError> {
    let largest = largest_count(counts)?;
    if let (AbsentClasses::Refuse, Some(class)) =
        (absent, counts.iter().position(|&count| count == 0))
    {
        return Err(CalibrationError::AbsentClass { class });
    }
    Ok(counts
        .iter()
        .map(|&count| {
            if count == 0 {
                0.0
            } else {
                ratio(largest, count)
            }
        })
        .collect())
}

/// Computes the loss weight of each class from its effective number of samples: `(1 - beta) / (1 - beta^count)`, scaled
/// so that the weights sum to the number of classes.
///
/// The weights of the class-balanced focal loss (Cui et al. 2019). A class without examples gets 0.
///
/// # Errors
///
/// [`CalibrationError::Empty`] if no class has an example.
#[expect(
    clippy::cast_possible_truncation,
    reason = "weights are computed in f64 and used in f32"
)]
pub fn class_balanced_weights(counts: &[usize], beta: f64) -> Result<Vec<f32>, CalibrationError> {
    largest_count(counts)?;
    let raw: Vec<f64> = counts
        .iter()
        .map(|&count| {
            if count == 0 {
                0.0
            } else {
                (1.0 - beta) / (1.0 - beta.powf(count as f64) + 1e-12)
            }
        })
        .collect();
    let scale = counts.len() as f64 / raw.iter().sum::<f64>();
    Ok(raw.iter().map(|weight| (weight * scale) as f32).collect())
}

/// Computes the loss weight of the positive examples of each action unit: negatives divided by positives, at most 20.
///
/// `positives` counts, for each unit, the examples among `examples` that show it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "ratios are computed in f64 and used in f32"
)]
pub fn positive_weights(positives: &[usize], examples: usize) -> Vec<f32> {
    const LARGEST: f64 = 20.0;
    const FLOOR: f64 = 1e-6;
    let weight = |&count: &usize| {
        let negatives = examples.saturating_sub(count) as f64;
        LARGEST.min((negatives + FLOOR) / (count as f64 + FLOOR)) as f32
    };
    positives.iter().map(weight).collect()
}

fn largest_count(counts: &[usize]) -> Result<usize, CalibrationError> {
    counts
        .iter()
        .copied()
        .max()
        .filter(|&largest| largest > 0)
        .ok_or(CalibrationError::Empty("training example"))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "ratios are computed in f64 and used in f32"
)]
fn ratio(largest: usize, count: usize) -> f32 {
    (largest as f64 / count as f64) as f32
}

/// Finds the threshold among 0.1, 0.2, ... 0.9 with the best F1; returns the threshold and the F1.
///
/// A probability at or above the threshold is a positive prediction. The first of equally good thresholds wins. F1 is 0
/// where it is undefined.
///
/// # Errors
///
/// [`CalibrationError::Count`] if labels and probabilities differ in number.
pub fn best_threshold(
    probabilities: &[f32],
    labels: &[bool],
) -> Result<(f32, f64), CalibrationError> {
    if probabilities.len() != labels.len() {
        return Err(CalibrationError::Count {
            what: "labels",
            expected: probabilities.len(),
            got: labels.len(),
        });
    }
    let mut best = (0.1, f64::NEG_INFINITY);
    for tenth in 1_u8..=9 {
        let threshold = f32::from(tenth) / 10.0;
        let mut counts = BinaryCounts::default();
        for (&probability, &label) in probabilities.iter().zip(labels) {
            counts.add(probability >= threshold, label);
        }
        let f1 = counts.f1();
        if f1 > best.1 {
            best = (threshold, f1);
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Neutral, anger, disgust, fear, happiness, sadness, surprise, other in the training part of Aff-Wild2.
    const AFF_WILD2_COUNTS: [usize; 8] = [
        177_197, 16_573, 10_771, 9_080, 95_462, 78_751, 31_615, 165_868,
    ];

    fn assert_close(got: &[f32], expected: &[f32], tolerance: f32) {
        assert_eq!(got.len(), expected.len());
        for (got_one, expected_one) in got.iter().zip(expected) {
            assert!(
                (got_one - expected_one).abs() <= tolerance,
                "{got:?}, expected {expected:?}"
            );
        }
    }

    #[test]
    fn rare_classes_weigh_more() {
        let weights =
            class_weights(&AFF_WILD2_COUNTS, AbsentClasses::Refuse).expect("no class is absent");
        assert_close(
            &weights,
            &[
                1.0, 10.6919, 16.4513, 19.5151, 1.8562, 2.2501, 5.6048, 1.0683,
            ],
            1e-4,
        );
    }

    #[test]
    fn absent_class_is_refused_unless_allowed() {
        assert_eq!(
            class_weights(&[4, 0, 2], AbsentClasses::Refuse),
            Err(CalibrationError::AbsentClass { class: 1 })
        );
        assert_eq!(
            class_weights(&[4, 0, 2], AbsentClasses::Zero),
            Ok(vec![1.0, 0.0, 2.0])
        );
        let empty = Err(CalibrationError::Empty("training example"));
        assert_eq!(class_weights(&[0, 0], AbsentClasses::Zero), empty);
        assert_eq!(class_weights(&[], AbsentClasses::Zero), empty);
    }

    #[test]
    fn balanced_weights_follow_the_effective_number_of_samples() {
        let weights = class_balanced_weights(&[200, 50, 5], 0.99).expect("no class is absent");
        assert_close(&weights, &[0.143_796_7, 0.315_272_9, 2.540_930_4], 1e-6);
        let large = class_balanced_weights(&AFF_WILD2_COUNTS, 0.99).expect("no class is absent");
        assert_eq!(large, [1.0; 8]);
    }

    #[test]
    fn rare_action_units_weigh_more_up_to_a_limit() {
        // Positive rates of AU1, AU2, AU15 and AU25 among the 1,356,694 training frames of Aff-Wild2.
        let weights = positive_weights(&[118_200, 49_800, 28_100, 626_600], 1_000_000);
        assert_close(&weights, &[7.4602, 19.0803, 20.0, 0.5959], 1e-4);
        assert_close(&positive_weights(&[0, 3], 3), &[20.0, 3.333e-7], 1e-9);
    }

    #[test]
    fn first_best_threshold_is_found() {
        let labels = [true, true, false, false, true];
        let (threshold, f1) =
            best_threshold(&[0.9, 0.45, 0.5, 0.2, 0.35], &labels).expect("five labels");
        assert_eq!(threshold, 0.3);
        assert!((f1 - 0.857_142_857).abs() < 1e-9);
        assert_eq!(best_threshold(&[], &[]), Ok((0.1, 0.0)));
        assert!(best_threshold(&[0.5], &[]).is_err());
    }

    #[test]
    fn softmax_survives_large_scores() {
        assert_close(&softmax(&[1000.0, 1000.0, 0.0]), &[0.5, 0.5, 0.0], 1e-7);
        assert!(softmax(&[]).is_empty());
    }
}
