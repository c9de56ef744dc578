//! How the two expression classifiers are put together: class biases (GLA), blend and confidence filter, tuned on labelled
//! faces and judged by cross-fitting over persons.
//!
//! Each of several times the persons are halved at random; the biases are tuned on one half and scored on the other, and
//! the other way round. What survives that is a gain; what does not was chance.

use std::collections::BTreeSet;

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::Serialize;
use thiserror::Error;

use affectlens::{
    calibration::{CalibrationError, Gla, tune_gla},
    error::LensError,
    faces::{FaceClassifier, FaceControls, FaceScores},
    metrics::{Confusion, argmax, expected_calibration_error},
};

/// A labelled face with what the classifiers make of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TuningFace {
    /// Probabilities of both classifiers.
    pub scores: FaceScores,
    /// Index of its class among those of a report ([`FaceClassifier::classes`]).
    pub label: usize,
    /// Whose face it is.
    pub person: String,
}

/// What is tried, and how it is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct TuningPlan {
    /// Weights of the head in the average with the pretrained classifier, in `[0, 1]`.
    pub blends: Vec<f32>,
    /// Probabilities above which the pretrained classifier decides; 1 switches the filter off.
    pub confidences: Vec<f32>,
    /// Times that the persons are halved.
    pub halvings: usize,
    /// Seed of the halvings.
    pub seed: u64,
    /// Whether class biases are left out.
    pub without_gla: bool,
}

impl Default for TuningPlan {
    fn default() -> Self {
        Self {
            blends: vec![1.0, 0.9, 0.8, 0.7, 0.6, 0.5],
            confidences: vec![1.0, 0.8, 0.9, 0.95, 0.98],
            halvings: 10,
            seed: 0,
            without_gla: false,
        }
    }
}

/// One way to put the classifiers together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Combination {
    /// Whether the head's class biases are added.
    pub gla: bool,
    /// Weight of the head.
    pub blend: f32,
    /// Probability above which the pretrained classifier decides.
    pub confidence: f32,
}

/// Mean and range over the halvings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Least.
    pub least: f64,
    /// Greatest.
    pub most: f64,
}

/// Scores of a combination.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CombinationScore {
    /// What was scored.
    #[serde(flatten)]
    pub combination: Combination,
    /// Macro-F1 on the faces that the biases were tuned on: optimistic.
    pub macro_f1: f64,
    /// Accuracy on them.
    pub accuracy: f64,
    /// Macro-F1 on the halves that they were not tuned on.
    pub fitted_macro_f1: Spread,
    /// Accuracy on them.
    pub fitted_accuracy: Spread,
}

/// What tuning found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// All combinations, in the order in which they were tried.
    pub scores: Vec<CombinationScore>,
    /// The one with the best macro-F1 by cross-fitting; the earlier one on a tie.
    pub best: Combination,
    /// The head's biases, tuned on all faces; 0 where the best combination has none.
    pub gla: Gla,
}

/// Why there is nothing to tune.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TuningError {
    /// There are fewer than two persons.
    #[error(
        "the pictures are of {got} persons, expected two or more to tune on one half and score the other"
    )]
    Persons {
        /// Number of persons.
        got: usize,
    },
    /// There is no adapted head.
    #[error("there is no expression head to tune")]
    NoHead,
    /// Biases cannot be tuned.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The pipeline refused.
    #[error(transparent)]
    Lens(#[from] LensError),
}

/// Tries every combination of the plan. `counts` holds the training examples of each class of the head.
///
/// # Errors
///
/// [`TuningError`] without a head, with a single person, or if a label is none of the head's classes.
pub fn tune_combination(
    classifier: &FaceClassifier,
    faces: &[TuningFace],
    counts: &[usize],
    plan: &TuningPlan,
) -> Result<Tuning, TuningError> {
    if classifier.head_classes().is_empty() {
        return Err(TuningError::NoHead);
    }
    let halves = halves(faces, plan)?;
    let neutral = Gla::neutral(counts.len());
    let all: Vec<&TuningFace> = faces.iter().collect();
    let biases = |faces: &[&TuningFace]| biases(classifier, faces, counts);
    let whole = biases(&all)?;
    let tuned: Vec<[Gla; 2]> = halves
        .iter()
        .map(|[one, other]| Ok([biases(one)?, biases(other)?]))
        .collect::<Result<_, TuningError>>()?;
    let mut scores = Vec::new();
    for combination in combinations(plan) {
        let score = |gla: &Gla, faces: &[&TuningFace]| {
            let gla = if combination.gla { gla } else { &neutral };
            confusion(classifier, faces, gla, combination)
        };
        let here = score(&whole, &all)?;
        let mut fitted = [Vec::new(), Vec::new()];
        for ([one, other], [of_one, of_other]) in halves.iter().zip(&tuned) {
            let parts = [score(of_other, one)?, score(of_one, other)?];
            fitted[0].push(mean(&parts.each_ref().map(Confusion::macro_f1)));
            fitted[1].push(mean(&parts.each_ref().map(Confusion::accuracy)));
        }
        scores.push(CombinationScore {
            combination,
            macro_f1: here.macro_f1(),
            accuracy: here.accuracy(),
            fitted_macro_f1: Spread::of(&fitted[0]),
            fitted_accuracy: Spread::of(&fitted[1]),
        });
    }
    let mut best = scores[0];
    for score in &scores {
        if score.fitted_macro_f1.mean > best.fitted_macro_f1.mean {
            best = *score;
        }
    }
    Ok(Tuning {
        gla: if best.combination.gla { whole } else { neutral },
        best: best.combination,
        scores,
    })
}

/// Each threshold with each blend, without biases and with them; first those without a filter.
fn combinations(plan: &TuningPlan) -> Vec<Combination> {
    let mut all = Vec::new();
    for &confidence in &plan.confidences {
        for &blend in &plan.blends {
            for gla in [false, true]
                .into_iter()
                .take(if plan.without_gla { 1 } else { 2 })
            {
                all.push(Combination {
                    gla,
                    blend,
                    confidence,
                });
            }
        }
    }
    all
}

type Halves<'a> = [Vec<&'a TuningFace>; 2];

fn halves<'a>(faces: &'a [TuningFace], plan: &TuningPlan) -> Result<Vec<Halves<'a>>, TuningError> {
    let persons: BTreeSet<&str> = faces.iter().map(|face| face.person.as_str()).collect();
    let mut persons: Vec<&str> = persons.into_iter().collect();
    if persons.len() < 2 {
        return Err(TuningError::Persons { got: persons.len() });
    }
    let mut random = StdRng::seed_from_u64(plan.seed);
    let halve = |_| {
        persons.shuffle(&mut random);
        let first: BTreeSet<&str> = persons[..persons.len() / 2].iter().copied().collect();
        let is_first = |face: &&TuningFace| first.contains(face.person.as_str());
        let (one, other): (Vec<_>, Vec<_>) = faces.iter().partition(is_first);
        [one, other]
    };
    Ok((0..plan.halvings.max(1)).map(halve).collect())
}

/// The head's biases with the best macro-F1 on these faces; 0 where they are no better than none.
fn biases(
    classifier: &FaceClassifier,
    faces: &[&TuningFace],
    counts: &[usize],
) -> Result<Gla, TuningError> {
    let classes = classifier.classes();
    let known = classifier.head_classes();
    let place = |label: usize| known.iter().position(|class| *class == classes[label]);
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for face in faces {
        // A class that the head does not know tells nothing of its biases.
        if let Some(label) = place(face.label) {
            rows.push(&face.scores.head);
            labels.push(label);
        }
    }
    let tuning = tune_gla(&rows, &labels, counts)?;
    Ok(match tuning.after > tuning.before {
        true => tuning.gla,
        false => Gla::neutral(counts.len()),
    })
}

fn confusion(
    classifier: &FaceClassifier,
    faces: &[&TuningFace],
    gla: &Gla,
    combination: Combination,
) -> Result<Confusion, TuningError> {
    let controls = FaceControls {
        gla: false,
        blend: combination.blend,
        confidence: combination.confidence,
        ..classifier.default_controls()
    };
    let mut confusion = Confusion::new(classifier.classes().len());
    for face in faces {
        let scores = FaceScores {
            head: gla.adjust(&face.scores.head),
            ..face.scores.clone()
        };
        let decision = classifier.decide(&classifier.combine(&scores, &controls), &controls)?;
        let decided = classifier
            .classes()
            .iter()
            .position(|class| *class == decision.label);
        confusion.add(face.label, decided.unwrap_or_default());
    }
    Ok(confusion)
}

/// The temperature that makes probabilities honest, and how honest they are before and after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Temperature {
    /// Logits are divided by it: above 1 for a classifier that is too sure.
    pub temperature: f32,
    /// Expected calibration error before, in `[0, 1]`.
    pub error_before: f64,
    /// Mean of the errors of each half of the persons with the temperature of the other half.
    pub error_after: f64,
}

/// Finds the temperature with the least mean negative logarithm of the true class's probability. `rows` gives a face's
/// probabilities and the index of its class among them.
///
/// # Errors
///
/// [`TuningError::Persons`] if there are fewer than two.
pub fn tune_temperature<'a>(
    faces: &'a [TuningFace],
    plan: &TuningPlan,
    row: impl Fn(&'a TuningFace) -> Option<(&'a [f32], usize)>,
) -> Result<Temperature, TuningError> {
    let rows = |faces: &[&'a TuningFace]| -> Vec<(&'a [f32], usize)> {
        faces.iter().filter_map(|face| row(face)).collect()
    };
    let all = rows(&faces.iter().collect::<Vec<_>>());
    let mut after = Vec::new();
    for [one, other] in halves(faces, plan)? {
        let parts = [rows(&one), rows(&other)];
        after.push(calibration_error(&parts[0], best_temperature(&parts[1])));
        after.push(calibration_error(&parts[1], best_temperature(&parts[0])));
    }
    Ok(Temperature {
        temperature: best_temperature(&all),
        error_before: calibration_error(&all, 1.0),
        error_after: mean(&after),
    })
}

impl Temperature {
    /// Probabilities at this temperature.
    pub fn apply(&self, row: &[f32]) -> Vec<f32> {
        tempered(row, self.temperature)
    }
}

/// Golden-section search on the logarithm of the temperature, from a tenth to ten.
fn best_temperature(rows: &[(&[f32], usize)]) -> f32 {
    const GOLDEN: f32 = 0.618_034;
    let (mut low, mut high) = (0.1_f32.ln(), 10_f32.ln());
    for _ in 0..30 {
        let step = GOLDEN * (high - low);
        let (left, right) = (high - step, low + step);
        if loss(rows, left.exp()) < loss(rows, right.exp()) {
            high = right;
        } else {
            low = left;
        }
    }
    f32::midpoint(low, high).exp()
}

fn loss(rows: &[(&[f32], usize)], temperature: f32) -> f64 {
    let losses = rows
        .iter()
        .map(|(row, label)| -f64::from(tempered(row, temperature)[*label].max(1e-12).ln()));
    losses.sum::<f64>() / rows.len().max(1) as f64
}

/// Probabilities at another temperature.
fn tempered(row: &[f32], temperature: f32) -> Vec<f32> {
    let powers: Vec<f32> = row
        .iter()
        .map(|p| (p + 1e-12).powf(temperature.recip()))
        .collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn calibration_error(rows: &[(&[f32], usize)], temperature: f32) -> f64 {
    let pairs = rows.iter().map(|(row, label)| {
        let row = tempered(row, temperature);
        let best = argmax(&row).unwrap_or_default();
        (row[best], best == *label)
    });
    expected_calibration_error(pairs)
}

impl Spread {
    pub(crate) fn of(values: &[f64]) -> Self {
        Self {
            mean: mean(values),
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(person: usize, row: [f32; 2], label: usize) -> TuningFace {
        TuningFace {
            scores: FaceScores {
                head: row.to_vec(),
                ..FaceScores::default()
            },
            label,
            person: format!("person {person}"),
        }
    }

    fn own(face: &TuningFace) -> Option<(&[f32], usize)> {
        Some((&face.scores.head, face.label))
    }

    /// A classifier that says .9 and is right three times in four, logit 2.2 where 1.1 would be honest.
    fn too_sure() -> Vec<TuningFace> {
        (0..400)
            .map(|index| face(index / 8, [0.9, 0.1], usize::from(index % 4 == 0)))
            .collect()
    }

    #[test]
    fn a_classifier_that_is_too_sure_is_cooled_until_it_is_honest() {
        let faces = too_sure();
        let found = tune_temperature(&faces, &TuningPlan::default(), own).expect("fifty persons");
        assert!((found.temperature - 2.0).abs() < 1e-2, "{found:?}");
        assert!((found.error_before - 0.15).abs() < 1e-6, "{found:?}");
        assert!(found.error_after < 1e-3, "{found:?}");
        let cool = tempered(&[0.9, 0.1], found.temperature);
        assert!((cool[0] - 0.75).abs() < 1e-3, "{cool:?}");
    }

    #[test]
    fn no_person_is_in_both_halves() {
        let faces = too_sure();
        for [one, other] in halves(&faces, &TuningPlan::default()).expect("fifty persons") {
            let persons = |faces: &[&TuningFace]| -> BTreeSet<String> {
                faces.iter().map(|face| face.person.clone()).collect()
            };
            assert!(persons(&one).is_disjoint(&persons(&other)));
            assert_eq!((one.len(), other.len()), (200, 200));
        }
        let error = halves(&faces[..8], &TuningPlan::default()).expect_err("one person");
        assert!(
            error
                .to_string()
                .starts_with("the pictures are of 1 persons"),
            "{error}"
        );
    }
}
