//! Concordance correlation coefficient (CCC) of predictions and labels (Lin 1989), and the scores of valence and
//! arousal.

use std::fmt;

use serde::Serialize;

/// Covariance in the numerator of [`concordance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covariance {
    /// Population covariance, divided by the number of examples `n` like the variances: Lin's coefficient.
    Population,
    /// Sample covariance, divided by `n - 1` while the variances are divided by `n`, with 1e-12 added to the
    /// denominator.
    ///
    /// The ABAW-10 notebook of the HSEmotion team measures its results this way. The coefficient can exceed 1; for many
    /// examples both are equal.
    Sample,
}

/// Concordance correlation coefficient: 1 for equal series, 0 for unrelated ones, -1 for mirrored ones.
///
/// It is 0 where it is undefined, for constant series or fewer than two examples.
///
/// # Panics
///
/// If the slices differ in length.
pub fn concordance(predictions: &[f32], labels: &[f32], covariance: Covariance) -> f64 {
    assert_eq!(
        predictions.len(),
        labels.len(),
        "each prediction needs one label"
    );
    let count = labels.len() as f64;
    let mean = |values: &[f32]| values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let means = [mean(predictions), mean(labels)];
    let [mut products, mut squares] = [0.0; 2];
    for (&prediction, &label) in predictions.iter().zip(labels) {
        let [x, y] = [
            f64::from(prediction) - means[0],
            f64::from(label) - means[1],
        ];
        products += x * y;
        squares += x * x + y * y;
    }
    let spread = squares / count + (means[0] - means[1]).powi(2);
    if labels.len() < 2 || spread == 0.0 {
        return 0.0;
    }
    match covariance {
        Covariance::Population => 2.0 * products / count / spread,
        Covariance::Sample => 2.0 * products / (count - 1.0) / (spread + 1e-12),
    }
}

/// Report of the evaluation of valence and arousal: concordance over all examples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ValenceArousalScores {
    /// Concordance of valence.
    pub valence: f64,
    /// Concordance of arousal.
    pub arousal: f64,
    /// Mean of both.
    pub mean: f64,
    /// Number of examples.
    pub count: usize,
}

impl fmt::Display for ValenceArousalScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            valence,
            arousal,
            mean,
            ..
        } = self;
        write!(
            f,
            "CCC {mean:.4} (valence {valence:.4}, arousal {arousal:.4})"
        )
    }
}

impl ValenceArousalScores {
    /// Computes the scores of pairs of valence and arousal.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    pub fn new(predictions: &[[f32; 2]], labels: &[[f32; 2]], covariance: Covariance) -> Self {
        let [valence, arousal] = [0, 1].map(|output| {
            let column =
                |rows: &[[f32; 2]]| -> Vec<f32> { rows.iter().map(|row| row[output]).collect() };
            concordance(&column(predictions), &column(labels), covariance)
        });
        Self {
            valence,
            arousal,
            mean: f64::midpoint(valence, arousal),
            count: labels.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_series_have_known_concordance() {
        let (x, y) = ([0.1, 0.2, 0.3, 0.4], [0.0, 0.2, 0.4, 0.2]);
        let rising = [1.0, 2.0, 3.0, 4.0, 5.0];
        for (x, y, covariance, expected) in [
            (&x[..], &y[..], Covariance::Population, 0.571_428_6),
            (&x, &y, Covariance::Sample, 0.761_904_8),
            (
                &rising,
                &[2.0, 3.0, 4.0, 5.0, 6.0],
                Covariance::Population,
                0.8,
            ),
            (
                &rising,
                &[5.0, 4.0, 3.0, 2.0, 1.0],
                Covariance::Population,
                -1.0,
            ),
        ] {
            let got = concordance(x, y, covariance);
            assert!((got - expected).abs() < 1e-6, "{got}, expected {expected}");
        }
    }

    #[test]
    fn undefined_concordance_is_zero() {
        for covariance in [Covariance::Population, Covariance::Sample] {
            assert_eq!(concordance(&[], &[], covariance), 0.0);
            assert_eq!(concordance(&[0.5], &[0.5], covariance), 0.0);
            assert_eq!(concordance(&[0.5; 3], &[0.5; 3], covariance), 0.0);
        }
    }

    #[test]
    fn valence_and_arousal_are_scored_separately() {
        let labels = [[0.1, 0.4], [0.2, 0.3], [0.3, 0.2]];
        let mirrored = labels.map(|[valence, arousal]| [valence, 0.6 - arousal]);
        let scores = ValenceArousalScores::new(&mirrored, &labels, Covariance::Population);
        assert!((scores.valence - 1.0).abs() < 1e-12 && (scores.arousal + 1.0).abs() < 1e-6);
        assert!(scores.mean.abs() < 1e-6 && scores.count == 3, "{scores:?}");
    }
}
