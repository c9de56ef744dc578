//! Scores of an epoch, and of several runs.

use std::fmt;

use serde::Serialize;

use crate::EpochScore;
use affectlens::metrics::Confusion;

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
    fn mean_and_spread_are_those_of_a_sample() {
        assert_eq!(mean_and_spread(&[1.0, 2.0, 3.0]), [2.0, 1.0]);
        assert_eq!(mean_and_spread(&[4.0]), [4.0, 0.0]);
    }
}
