//! Class biases found by coordinate search ("GLA" of the HSEmotion team at ABAW-10, section 3.1).

use super::{AbsentClasses, CalibrationError, class_weights};
use crate::metrics::Confusion;
use crate::probability::{PROBABILITY_FLOOR, softmax};

/// Number of grid steps around the bias of a class: -2.0, -1.9, ... 2.0.
const GRID_STEPS: u8 = 41;
/// Largest number of passes over all classes.
const PASSES: usize = 3;
/// Gain in macro-F1 above which a step is accepted.
const IMPROVEMENT: f64 = 1e-12;

/// Biases that are added to the log-probabilities of a classifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gla {
    /// One bias per class; a positive bias favours the class.
    pub biases: Vec<f32>,
}

impl Gla {
    /// Creates biases of 0, which change nothing.
    pub fn neutral(classes: usize) -> Self {
        Self {
            biases: vec![0.0; classes],
        }
    }

    /// Adjusts the probabilities of one frame: `softmax(ln(p + 1e-12) + bias)`, which sum to 1.
    ///
    /// The published code averages and blends probabilities in this form.
    ///
    /// # Panics
    ///
    /// If the number of probabilities is not the number of biases.
    pub fn adjust(&self, probabilities: &[f32]) -> Vec<f32> {
        let scores: Vec<f32> = self
            .pairs(probabilities)
            .map(|(p, bias)| (p + PROBABILITY_FLOOR).ln() + bias)
            .collect();
        softmax(&scores)
    }

    /// Adjusts the probabilities of one frame as the paper prints it, equation 3: `p * exp(bias)`.
    ///
    /// A variant of [`adjust`](Self::adjust): the classes of a frame rank the same, but their scores do not sum to 1,
    /// so averages over frames differ.
    ///
    /// # Panics
    ///
    /// If the number of probabilities is not the number of biases.
    pub fn adjust_unnormalised(&self, probabilities: &[f32]) -> Vec<f32> {
        self.pairs(probabilities)
            .map(|(p, bias)| p * bias.exp())
            .collect()
    }

    fn pairs<'a>(&'a self, probabilities: &'a [f32]) -> impl Iterator<Item = (f32, f32)> + 'a {
        assert_eq!(
            probabilities.len(),
            self.biases.len(),
            "each class needs one bias"
        );
        probabilities
            .iter()
            .copied()
            .zip(self.biases.iter().copied())
    }
}

/// Result of a bias search; all scores are macro-F1 on the validation data of the search.
#[derive(Clone, Debug, PartialEq)]
pub struct GlaTuning {
    /// Biases found.
    pub gla: Gla,
    /// Score without biases.
    pub before: f64,
    /// Score of the initial biases, `ln(largest count / count)`; often below `before`.
    pub initial: f64,
    /// Score of the biases found; can be below `before`, since the search is local.
    pub after: f64,
    /// Score after each pass.
    pub passes: Vec<f64>,
    /// Classes without training examples, whose bias stays 0.
    pub absent: Vec<usize>,
}

/// Searches one bias per class for the best macro-F1 of `argmax(ln(p + 1e-12) + bias)` on validation data.
///
/// `probabilities` holds one row per example, `labels` the true classes, `counts` the training examples of each class.
/// The search starts from `ln(largest count / count)`, which favours rare classes. It passes over the classes up to
/// three times; for each class it tries the current bias plus -2.0, -1.9, ... 2.0 and accepts each strict improvement
/// at once. It ends early after a pass without improvement.
///
/// Predictions are not recomputed for each trial: raising one bias can only move examples to that class, each at one
/// step of the grid, so one sweep over the examples, about `6 N` comparisons, covers all trials of a class.
///
/// # Errors
///
/// [`CalibrationError`] for empty data, rows of the wrong width, unknown labels and probabilities that are not finite.
pub fn tune_gla<R: AsRef<[f32]>>(
    probabilities: &[R],
    labels: &[usize],
    counts: &[usize],
) -> Result<GlaTuning, CalibrationError> {
    let logarithms = check(probabilities, labels, counts.len())?;
    let weights = class_weights(counts, AbsentClasses::Zero)?;
    let absent: Vec<usize> = (0..counts.len())
        .filter(|&class| counts[class] == 0)
        .collect();
    let mut biases: Vec<f32> = weights
        .iter()
        .map(|&w| if w == 0.0 { 0.0 } else { w.ln() })
        .collect();

    let before = confusion(&logarithms, labels, &vec![0.0; biases.len()]).macro_f1();
    let initial = confusion(&logarithms, labels, &biases).macro_f1();
    let mut best = initial;
    let mut passes = Vec::with_capacity(PASSES);
    for _ in 0..PASSES {
        let start = best;
        for class in (0..biases.len()).filter(|class| !absent.contains(class)) {
            best = sweep(&logarithms, labels, &mut biases, class, best);
        }
        passes.push(best);
        if best <= start {
            break;
        }
    }
    Ok(GlaTuning {
        gla: Gla { biases },
        before,
        initial,
        after: best,
        passes,
        absent,
    })
}

/// Tries the whole grid for one class in ascending order; returns the best score.
fn sweep(
    logarithms: &[f32],
    labels: &[usize],
    biases: &mut [f32],
    class: usize,
    mut best: f64,
) -> f64 {
    let classes = biases.len();
    let trials: Vec<f32> = (0..GRID_STEPS)
        .map(|step| biases[class] + grid(step))
        .collect();
    // Examples by the step at which their prediction changes to `class`; those that never change are left out.
    let mut moves: Vec<Vec<(usize, usize)>> = vec![vec![]; trials.len()];
    let mut confusion = Confusion::new(classes);
    for (row, &label) in logarithms.chunks_exact(classes).zip(labels) {
        let Some((rival, rival_score)) = best_other(row, biases, class) else {
            return best;
        };
        confusion.add(label, rival);
        // Rounding is monotone, so an example predicted as `class` at one bias stays so at any larger bias.
        let step = trials.partition_point(|trial| {
            let score = row[class] + trial;
            !(score > rival_score || (score == rival_score && class < rival))
        });
        if let Some(moves) = moves.get_mut(step) {
            moves.push((label, rival));
        }
    }
    for (&trial, moves) in trials.iter().zip(&moves) {
        for &(label, rival) in moves {
            confusion.shift(label, rival, class);
        }
        let f1 = confusion.macro_f1();
        if f1 > best + IMPROVEMENT {
            best = f1;
            biases[class] = trial;
        }
    }
    best
}

/// Most likely class other than `class`, and its score; `None` if there is no other class.
fn best_other(row: &[f32], biases: &[f32], class: usize) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (other, (logarithm, bias)) in row.iter().zip(biases).enumerate() {
        let score = logarithm + bias;
        if other != class && best.is_none_or(|(_, highest)| score > highest) {
            best = Some((other, score));
        }
    }
    best
}

/// Grid value at a step, from -2.0 to 2.0.
fn grid(step: u8) -> f32 {
    f32::from(i16::from(step) - 20) / 10.0
}

fn confusion(logarithms: &[f32], labels: &[usize], biases: &[f32]) -> Confusion {
    let mut confusion = Confusion::new(biases.len());
    for (row, &label) in logarithms.chunks_exact(biases.len()).zip(labels) {
        // No class has this index, so none is excluded.
        if let Some((prediction, _)) = best_other(row, biases, usize::MAX) {
            confusion.add(label, prediction);
        }
    }
    confusion
}

/// Checks the data; returns the log-probabilities, row after row.
fn check<R: AsRef<[f32]>>(
    probabilities: &[R],
    labels: &[usize],
    classes: usize,
) -> Result<Vec<f32>, CalibrationError> {
    if probabilities.is_empty() {
        return Err(CalibrationError::Empty("validation example"));
    }
    if labels.len() != probabilities.len() {
        return Err(CalibrationError::Count {
            what: "labels",
            expected: probabilities.len(),
            got: labels.len(),
        });
    }
    let mut logarithms = Vec::with_capacity(probabilities.len() * classes);
    for (row, (values, &label)) in probabilities.iter().zip(labels).enumerate() {
        let values = values.as_ref();
        if values.len() != classes {
            return Err(CalibrationError::Width {
                row,
                expected: classes,
                got: values.len(),
            });
        }
        if label >= classes {
            return Err(CalibrationError::Label {
                row,
                label,
                classes,
            });
        }
        if let Some(&value) = values
            .iter()
            .find(|value| !value.is_finite() || **value < 0.0)
        {
            return Err(CalibrationError::Probability { row, value });
        }
        logarithms.extend(values.iter().map(|p| (p + PROBABILITY_FLOOR).ln()));
    }
    Ok(logarithms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOY: [[f32; 3]; 10] = [
        [0.39, 0.40, 0.21],
        [0.37, 0.17, 0.46],
        [0.47, 0.37, 0.16],
        [0.06, 0.52, 0.42],
        [0.20, 0.63, 0.17],
        [0.20, 0.31, 0.49],
        [0.48, 0.41, 0.11],
        [0.32, 0.33, 0.35],
        [0.11, 0.41, 0.48],
        [0.21, 0.05, 0.74],
    ];
    const TOY_LABELS: [usize; 10] = [2, 0, 2, 1, 0, 1, 1, 2, 1, 0];
    const TOY_COUNTS: [usize; 3] = [100, 40, 10];

    /// Pass, class, grid step, macro-F1.
    type Step = (usize, usize, f32, f64);

    /// Naive search that predicts all examples again for each trial; also returns the accepted steps.
    fn tune_naively(
        probabilities: &[Vec<f32>],
        labels: &[usize],
        counts: &[usize],
    ) -> (Vec<f32>, f64, Vec<Step>) {
        let score = |biases: &[f32]| {
            let mut confusion = Confusion::new(biases.len());
            for (row, &label) in probabilities.iter().zip(labels) {
                let scores: Vec<f32> = row
                    .iter()
                    .zip(biases)
                    .map(|(p, b)| (p + PROBABILITY_FLOOR).ln() + b)
                    .collect();
                confusion.add(label, crate::metrics::argmax(&scores).expect("some class"));
            }
            confusion.macro_f1()
        };
        let weights = class_weights(counts, AbsentClasses::Refuse).expect("no absent class");
        let mut biases: Vec<f32> = weights.iter().map(|w| w.ln()).collect();
        let mut best = score(&biases);
        let mut steps = vec![];
        for pass in 0..3 {
            let accepted = steps.len();
            for class in 0..counts.len() {
                let start = biases[class];
                for step in 0..41 {
                    let mut trial = biases.clone();
                    trial[class] = start + grid(step);
                    let f1 = score(&trial);
                    if f1 > best + 1e-12 {
                        best = f1;
                        biases = trial;
                        steps.push((pass, class, grid(step), f1));
                    }
                }
            }
            if steps.len() == accepted {
                break;
            }
        }
        (biases, best, steps)
    }

    #[test]
    fn toy_search_takes_the_published_steps() {
        let rows: Vec<Vec<f32>> = TOY.iter().map(|row| row.to_vec()).collect();
        let (_, _, steps) = tune_naively(&rows, &TOY_LABELS, &TOY_COUNTS);
        let expected = [
            (0, 0, 0.9, 0.166_667),
            (0, 1, 0.1, 0.181_818),
            (0, 1, 0.2, 0.292_929),
            (0, 2, -2.0, 0.375_758),
            (1, 0, -0.3, 0.388_889),
            (1, 0, 1.4, 0.404_040),
            (1, 1, 1.4, 0.464_646),
            (1, 1, 1.5, 0.488_889),
        ];
        assert_eq!(steps.len(), expected.len(), "{steps:?}");
        for (got, expected) in steps.iter().zip(expected) {
            assert_eq!((got.0, got.1, got.2), (expected.0, expected.1, expected.2));
            assert!(
                (got.3 - expected.3).abs() < 1e-6,
                "{got:?}, expected {expected:?}"
            );
        }
    }

    #[test]
    fn toy_search_ends_where_the_reference_ends() {
        let tuning = tune_gla(&TOY, &TOY_LABELS, &TOY_COUNTS).expect("valid data");
        for (got, expected) in tuning
            .gla
            .biases
            .iter()
            .zip([2.3, 2.616_290_7, 0.302_585_1])
        {
            assert!((got - expected).abs() < 1e-6, "{tuning:?}");
        }
        assert!(
            (tuning.before - 0.178_571).abs() < 1e-6 && (tuning.initial - 0.153_846).abs() < 1e-6,
            "{tuning:?}"
        );
        assert!((tuning.after - 0.488_888_9).abs() < 1e-7, "{tuning:?}");
        assert_eq!(
            tuning.passes.len(),
            3,
            "the third pass finds nothing: {tuning:?}"
        );
    }

    proptest! {
        #[test]
        fn sweep_agrees_with_the_naive_search(
            rows in prop::collection::vec((prop::collection::vec(0_u8..12, 4), 0_usize..4), 1..40),
            counts in prop::collection::vec(1_usize..500, 4),
        ) {
            // Few distinct values, so that ties are common.
            let probabilities: Vec<Vec<f32>> = rows
                .iter()
                .map(|(row, _)| {
                    let sum: u32 = row.iter().map(|&value| u32::from(value) + 1).sum();
                    row.iter().map(|&value| (f32::from(value) + 1.0) / sum as f32).collect()
                })
                .collect();
            let labels: Vec<usize> = rows.iter().map(|(_, label)| *label).collect();
            let (biases, after, _) = tune_naively(&probabilities, &labels, &counts);
            let tuning = tune_gla(&probabilities, &labels, &counts).expect("valid data");
            prop_assert_eq!(tuning.gla.biases, biases);
            prop_assert_eq!(tuning.after, after);
        }
    }

    #[test]
    fn adjusting_multiplies_and_renormalises() {
        let gla = Gla {
            biases: vec![0.0, 3.0_f32.ln()],
        };
        let adjusted = gla.adjust(&[0.75, 0.25]);
        assert!(
            (adjusted[0] - 0.5).abs() < 1e-6 && (adjusted[1] - 0.5).abs() < 1e-6,
            "{adjusted:?}"
        );
        let product = gla.adjust_unnormalised(&[0.75, 0.25]);
        assert!(
            (product[0] - 0.75).abs() < 1e-6 && (product[1] - 0.75).abs() < 1e-6,
            "{product:?}"
        );
        let certain = Gla::neutral(2).adjust(&[0.0, 1.0]);
        assert!(
            (certain[0] + certain[1] - 1.0).abs() < 1e-6 && certain[0] < 1e-9,
            "{certain:?}"
        );
    }

    #[test]
    fn class_without_training_examples_keeps_bias_zero() {
        let tuning = tune_gla(&TOY, &TOY_LABELS, &[100, 0, 10]).expect("valid data");
        assert_eq!(tuning.absent, [1]);
        assert_eq!(tuning.gla.biases[1], 0.0);
    }

    #[test]
    fn invalid_data_is_refused() {
        let rows = [[0.5, 0.5]];
        assert_eq!(
            tune_gla::<[f32; 2]>(&[], &[], &[1, 1]),
            Err(CalibrationError::Empty("validation example"))
        );
        assert_eq!(
            tune_gla(&rows, &[2], &[1, 1]),
            Err(CalibrationError::Label {
                row: 0,
                label: 2,
                classes: 2
            })
        );
        assert_eq!(
            tune_gla(&rows, &[0], &[1, 1, 1]),
            Err(CalibrationError::Width {
                row: 0,
                expected: 3,
                got: 2
            })
        );
        let error = tune_gla(&[[f32::NAN, 0.5]], &[0], &[1, 1]).expect_err("not a number");
        assert_eq!(
            error.to_string(),
            "row 0 has probability NaN, expected a number of at least 0"
        );
        let error = tune_gla(&rows, &[], &[1, 1]).expect_err("a label is missing");
        assert_eq!(error.to_string(), "0 labels, expected 1");
    }
}
