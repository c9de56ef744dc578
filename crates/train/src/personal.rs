//! What a personal head is worth: persons with many labelled pictures, of which a few are learnt from and the others read.

use std::collections::BTreeMap;

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::Serialize;

use crate::tuning::{Spread, TuningFace};
use affectlens::{
    correction::{Correction, LabelledFace},
    error::LensError,
    faces::{FaceClassifier, FaceControls, FaceScores},
};

/// How personal heads are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PersonalPlan {
    /// Pictures of an expression that are learnt from, at most; never more than half of a person's.
    pub pictures: usize,
    /// Pictures that a person has, at least.
    pub least: usize,
    /// Times that the pictures are drawn.
    pub draws: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// Means over the draws of one person, and over its expressions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonalScore {
    /// Whose pictures.
    pub person: String,
    /// How many there are.
    pub pictures: usize,
    /// Share of the pictures that were not learnt from that is read right without a personal head.
    pub accuracy_before: f64,
    /// The same with it.
    pub accuracy_after: f64,
    /// Mean over the expressions of the share of each that is read right without a personal head.
    pub recall_before: f64,
    /// The same with it.
    pub recall_after: f64,
}

/// Scores of several persons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonalScores {
    /// Pictures of an expression that were learnt from, at most.
    pub learnt: usize,
    /// Over the persons, without a personal head.
    pub accuracy_before: Spread,
    /// Over the persons, with it.
    pub accuracy_after: Spread,
    /// What it changes, over the persons.
    pub accuracy_change: Spread,
    /// Mean over the expressions, without a personal head.
    pub recall_before: Spread,
    /// Mean over the expressions, with it.
    pub recall_after: Spread,
    /// Each person.
    pub persons: Vec<PersonalScore>,
}

/// Judges personal heads on the persons that have enough pictures, two of two expressions among them; `None` if nobody has.
///
/// # Errors
///
/// [`LensError`] if a row is misshapen, which it never should be.
pub fn score_personal(
    classifier: &FaceClassifier,
    controls: &FaceControls,
    faces: &[TuningFace],
    plan: PersonalPlan,
) -> Result<Option<PersonalScores>, LensError> {
    let mut persons: BTreeMap<&str, Vec<&TuningFace>> = BTreeMap::new();
    for face in faces {
        persons.entry(&face.person).or_default().push(face);
    }
    let mut scores = Vec::new();
    for (person, faces) in persons {
        if faces.len() < plan.least {
            continue;
        }
        if let Some(means) = score_person(classifier, controls, &faces, plan)? {
            let [accuracy_before, recall_before, accuracy_after, recall_after] = means;
            scores.push(PersonalScore {
                person: person.to_owned(),
                pictures: faces.len(),
                accuracy_before,
                accuracy_after,
                recall_before,
                recall_after,
            });
        }
    }
    if scores.is_empty() {
        return Ok(None);
    }
    let spread = |value: fn(&PersonalScore) -> f64| {
        Spread::of(&scores.iter().map(value).collect::<Vec<_>>())
    };
    Ok(Some(PersonalScores {
        learnt: plan.pictures,
        accuracy_before: spread(|it| it.accuracy_before),
        accuracy_after: spread(|it| it.accuracy_after),
        accuracy_change: spread(|it| it.accuracy_after - it.accuracy_before),
        recall_before: spread(|it| it.recall_before),
        recall_after: spread(|it| it.recall_after),
        persons: scores,
    }))
}

/// Accuracy and mean recall before, then after; `None` if fewer than two expressions can be learnt.
fn score_person(
    classifier: &FaceClassifier,
    controls: &FaceControls,
    faces: &[&TuningFace],
    plan: PersonalPlan,
) -> Result<Option<[f64; 4]>, LensError> {
    let mut classes: BTreeMap<usize, Vec<&TuningFace>> = BTreeMap::new();
    for face in faces {
        classes.entry(face.label).or_default().push(face);
    }
    if classes.values().filter(|faces| faces.len() > 1).count() < 2 {
        return Ok(None);
    }
    let mut random = StdRng::seed_from_u64(plan.seed);
    let mut sums = [0.0; 4];
    for _ in 0..plan.draws {
        let (mut learnt, mut read) = (Vec::new(), Vec::new());
        for faces in classes.values_mut() {
            faces.shuffle(&mut random);
            let (first, others) = faces.split_at(plan.pictures.min(faces.len() / 2));
            learnt.extend(first.iter().map(|face| LabelledFace {
                embedding: face.scores.embedding.clone(),
                probabilities: classifier.general(&face.scores, controls),
                class: face.label,
            }));
            read.push(others.to_vec());
        }
        let correction = Correction::fit(&learnt.iter().collect::<Vec<_>>());
        let before = score(classifier, controls, &read, FaceScores::clone)?;
        let after = score(classifier, controls, &read, |scores| FaceScores {
            personal: correction.of(&scores.embedding),
            ..scores.clone()
        })?;
        for (sum, value) in sums.iter_mut().zip(before.into_iter().chain(after)) {
            *sum += value / plan.draws as f64;
        }
    }
    Ok(Some(sums))
}

/// Accuracy and mean recall on the faces of each class.
fn score(
    classifier: &FaceClassifier,
    controls: &FaceControls,
    classes: &[Vec<&TuningFace>],
    scores: impl Fn(&FaceScores) -> FaceScores,
) -> Result<[f64; 2], LensError> {
    let (mut right, mut count, mut recall) = (0, 0, 0.0);
    for faces in classes {
        let mut of_class = 0;
        for face in faces {
            let row = classifier.combine(&scores(&face.scores), controls);
            let decision = classifier.decide(&row, controls)?;
            of_class += usize::from(decision.label == classifier.classes()[face.label]);
        }
        right += of_class;
        count += faces.len();
        recall += of_class as f64 / faces.len() as f64 / classes.len() as f64;
    }
    Ok([right as f64 / count as f64, recall])
}
