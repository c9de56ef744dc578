//! A person's neutral look, taken off what the person shows.
//!
//! Faces differ at rest: brows that lie low look angry to a classifier, corners of the mouth that point down look sad.
//! Means over a span in which the person looks neutral say how much of what is measured later is the face, not its
//! expression.

use crate::probability::PROBABILITY_FLOOR;

/// Log-odds against neutral that a class may have on a neutral face: one to ten.
pub const RESTING_LOG_ODDS: f32 = -2.3;

/// Most that is taken off the logarithm of a probability: a factor of twenty. A look that was not neutral, or a face that
/// the models misread, cannot silence a class for good.
pub const MOST_LOG_ODDS: f32 = 3.0;

/// Greatest strength at rest that is taken off an action unit: above it too little of the scale would be left.
pub const MOST_STRENGTH: f32 = 0.9;

/// Mean of rows of equal width.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowMean {
    sums: Vec<f64>,
    rows: u32,
}

impl RowMean {
    /// Adds a row; one of another width than the first is left out.
    pub fn add(&mut self, row: &[f32]) {
        if self.rows == 0 {
            self.sums = vec![0.0; row.len()];
        }
        if row.len() != self.sums.len() {
            return;
        }
        for (sum, value) in self.sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
        self.rows += 1;
    }

    /// The mean; `None` without rows.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the mean of f32 values is in their range"
    )]
    pub fn mean(&self) -> Option<Vec<f32>> {
        let rows = f64::from(self.rows);
        let mean = self.sums.iter().map(|sum| (sum / rows) as f32);
        (self.rows > 0).then(|| mean.collect())
    }
}

/// Natural logarithms of probabilities; 0 stays finite.
pub fn logarithms(probabilities: &[f32]) -> Vec<f32> {
    let logarithm = |probability: &f32| (probability + PROBABILITY_FLOOR).ln();
    probabilities.iter().map(logarithm).collect()
}

/// Takes a neutral look off probabilities that sum to 1.
///
/// `resting` are the mean logarithms of the probabilities while the person looked neutral, `neutral` is the place of the
/// neutral class. With `m` for them, a class `k` is too likely at rest by
///
/// `e_k = clamp(m_k - m_neutral - RESTING_LOG_ODDS, 0, MOST_LOG_ODDS)`, `e_neutral = 0`,
///
/// and its probability becomes `p_k exp(-e_k)`, divided by the sum over all classes. The neutral look itself thus becomes
/// neutral; a class that is unlikely at rest is not taken down, and none gains on neutral.
///
/// # Panics
///
/// If the slices differ in length or the neutral class is not among them.
pub fn remove_from_probabilities(
    probabilities: &[f32],
    resting: &[f32],
    neutral: usize,
) -> Vec<f32> {
    assert_eq!(
        probabilities.len(),
        resting.len(),
        "each class needs one logarithm at rest"
    );
    let at_rest = resting[neutral];
    let classes = probabilities.iter().zip(resting).enumerate();
    let mut row: Vec<f32> = classes
        .map(|(class, (probability, resting))| {
            let excess = (resting - at_rest - RESTING_LOG_ODDS).clamp(0.0, MOST_LOG_ODDS);
            let excess = if class == neutral { 0.0 } else { excess };
            probability * (-excess).exp()
        })
        .collect();
    // At least a twentieth of what there was.
    let sum: f32 = row.iter().sum();
    if sum > 0.0 {
        row.iter_mut().for_each(|probability| *probability /= sum);
    }
    row
}

/// Takes the mean strengths of a neutral look off strengths of action units in `[0, 1]`: `max(0, (a - b) / (1 - b))`,
/// with `b` at most [`MOST_STRENGTH`].
///
/// # Panics
///
/// If the slices differ in length.
pub fn remove_from_strengths(strengths: &[f32], resting: &[f32]) -> Vec<f32> {
    assert_eq!(
        strengths.len(),
        resting.len(),
        "each action unit needs one strength at rest"
    );
    let pairs = strengths.iter().zip(resting);
    pairs
        .map(|(strength, resting)| {
            let resting = resting.clamp(0.0, MOST_STRENGTH);
            ((strength - resting) / (1.0 - resting)).max(0.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn means_are_those_of_the_rows() {
        let mut mean = RowMean::default();
        assert_eq!(mean.mean(), None);
        mean.add(&[1.0, 0.0]);
        mean.add(&[0.5, 1.0]);
        mean.add(&[9.0]);
        assert_eq!(mean.mean(), Some(vec![0.75, 0.5]));
    }

    #[test]
    fn a_neutral_look_that_seems_sad_becomes_neutral_and_real_sadness_stays() {
        let at_rest = [0.3, 0.6, 0.1];
        let resting = logarithms(&at_rest);
        let corrected = remove_from_probabilities(&at_rest, &resting, 0);
        // .6 e^-(2.3 + ln 2) and .1 e^-(2.3 - ln 3) beside .3.
        let expected = [
            0.3 / 0.360_155,
            0.030_078 / 0.360_155,
            0.030_077 / 0.360_155,
        ];
        for (got, expected) in corrected.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-4, "{corrected:?}");
        }
        let sad = remove_from_probabilities(&[0.02, 0.95, 0.03], &resting, 0);
        assert!(sad[1] > 0.6, "{sad:?}");
    }

    #[test]
    fn a_face_that_looks_neutral_at_rest_is_left_as_it_is() {
        let resting = logarithms(&[0.9, 0.05, 0.05]);
        let row = [0.1, 0.2, 0.7];
        let corrected = remove_from_probabilities(&row, &resting, 0);
        let apart = row.iter().zip(&corrected).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-6, "{corrected:?}");
    }

    #[test]
    fn strengths_keep_the_top_of_their_scale() {
        assert_eq!(
            remove_from_strengths(&[0.1, 0.25, 0.625, 1.0], &[0.25; 4]),
            [0.0, 0.0, 0.5, 1.0]
        );
        assert_eq!(remove_from_strengths(&[1.0, 0.5], &[1.0, 2.0]), [1.0, 0.0]);
        assert_eq!(remove_from_strengths(&[0.5], &[-1.0]), [0.5]);
    }

    fn distribution(classes: usize) -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(1e-6_f32..1.0, classes).prop_map(|row| {
            let sum: f32 = row.iter().sum();
            row.into_iter().map(|value| value / sum).collect()
        })
    }

    proptest! {
        #[test]
        fn neutral_gains_and_no_class_gains_more(
            (row, rest) in (2_usize..9).prop_flat_map(|classes| (distribution(classes), distribution(classes))),
        ) {
            let corrected = remove_from_probabilities(&row, &logarithms(&rest), 0);
            prop_assert!((corrected.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            let gain = |class: usize| corrected[class] / row[class];
            prop_assert!(gain(0) > 1.0 - 1e-5);
            for class in 1..row.len() {
                prop_assert!(gain(class) <= gain(0) * (1.0 + 1e-5));
                prop_assert!(gain(class) >= (-MOST_LOG_ODDS).exp() * (1.0 - 1e-4));
            }
            // The neutral look itself, as far as the limit reaches.
            let neutral = remove_from_probabilities(&rest, &logarithms(&rest), 0);
            for class in 1..rest.len() {
                let odds = |row: &[f32]| (row[class] / row[0]).ln();
                let limit = RESTING_LOG_ODDS.max(odds(&rest) - MOST_LOG_ODDS);
                prop_assert!(odds(&neutral) <= limit + 1e-3);
            }
        }

        #[test]
        fn strengths_stay_in_their_range_and_order(
            strengths in prop::collection::vec(0.0_f32..=1.0, 2..9),
            resting in 0.0_f32..=1.0,
        ) {
            let corrected = remove_from_strengths(&strengths, &vec![resting; strengths.len()]);
            for ((a, b), (c, d)) in strengths.iter().zip(&corrected).zip(strengths.iter().zip(&corrected).skip(1)) {
                prop_assert!((0.0..=1.0).contains(b) && *b <= a + 1e-6);
                prop_assert!(a > c || b <= d);
            }
        }
    }
}
