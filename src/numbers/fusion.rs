//! Fusion of two models: class lists are matched, probabilities blended.
//!
//! The order of classes and the blends are those of the HSEmotion team at ABAW-10, section 3.1 and its notebook.

use crate::label::Expression;
use crate::probability::{PROBABILITY_FLOOR, softmax};

/// Reorders scores from the class order `from` to the class order `to`.
///
/// A class that is missing from `from` gets 0. A class that is missing from `to` is dropped together with its
/// probability: the rest is not renormalised, so a model that predicts the dropped class is less confident in all
/// others. One exception, from the published notebook: AffectNet's contempt is stored in Aff-Wild2's column `other`,
/// where it takes probability but is never predicted (see [`decide`](crate::filtering::decide)).
///
/// # Panics
///
/// If `scores` and `from` differ in length.
pub fn map_classes(scores: &[f32], from: &[Expression], to: &[Expression]) -> Vec<f32> {
    assert_eq!(scores.len(), from.len(), "each class needs one score");
    let column = |class| from.iter().position(|&candidate| candidate == class);
    to.iter()
        .map(|&class| {
            let takes_contempt = class == Expression::Other && !to.contains(&Expression::Contempt);
            let source = column(class).or_else(|| {
                takes_contempt
                    .then(|| column(Expression::Contempt))
                    .flatten()
            });
            source.map_or(0.0, |index| scores[index])
        })
        .collect()
}

/// Fills the classes that a model lacks from another model.
///
/// The result has the class order `to`. Classes missing from `classes` get their probability from `other` (over
/// `other_classes`); `scores` (over `classes`) are scaled to share the remaining probability. Classes that neither
/// model has get 0.
///
/// # Panics
///
/// If scores and classes differ in length.
pub(crate) fn complete_classes(
    scores: &[f32],
    classes: &[Expression],
    other: &[f32],
    other_classes: &[Expression],
    to: &[Expression],
) -> Vec<f32> {
    let own = map_classes(scores, classes, to);
    let borrowed = map_classes(other, other_classes, to);
    let missing: f32 = to
        .iter()
        .zip(&borrowed)
        .filter(|(class, _)| !classes.contains(class))
        .map(|(_, p)| p)
        .sum();
    let share = (1.0 - missing).max(0.0);
    to.iter()
        .zip(own.iter().zip(&borrowed))
        .map(|(class, (own, borrowed))| {
            if classes.contains(class) {
                own * share
            } else {
                *borrowed
            }
        })
        .collect()
}

/// Averages two rows of probabilities with `weight` for `first` and `1 - weight` for `second` (equation 4 of section
/// 3.1).
///
/// # Panics
///
/// If the slices differ in length.
pub fn blend(first: &[f32], second: &[f32], weight: f32) -> Vec<f32> {
    assert_eq!(
        first.len(),
        second.len(),
        "blended rows need the same number of classes"
    );
    first
        .iter()
        .zip(second)
        .map(|(first, second)| weight * first + (1.0 - weight) * second)
        .collect()
}

/// Averages the probabilities of faces with those that sound gives, `weight` for the face, where their classes differ.
///
/// Over the same classes in the same order this is [`blend`], as published. A class that only the sound knows is left out
/// and the others share its probability; a class that only the face knows keeps the face's.
///
/// # Panics
///
/// If scores and classes differ in length.
pub fn blend_with_sound(
    face: &[f32],
    classes: &[Expression],
    sound: &[f32],
    sound_classes: &[Expression],
    weight: f32,
) -> Vec<f32> {
    if classes == sound_classes {
        return blend(face, sound, weight);
    }
    assert_eq!(face.len(), classes.len(), "each class needs one score");
    let shared: f32 = sound_classes
        .iter()
        .zip(sound)
        .filter(|(class, _)| classes.contains(class))
        .map(|(_, p)| p)
        .sum();
    // Sound that speaks of other classes alone says nothing about these.
    if shared <= PROBABILITY_FLOOR {
        return face.to_vec();
    }
    let sound: Vec<f32> = sound.iter().map(|p| p / shared).collect();
    let sound = complete_classes(&sound, sound_classes, face, classes, classes);
    blend(face, &sound, weight)
}

/// Averages the logarithms of two rows of probabilities, `weight` for `first` and `1 - weight` for `second`, and
/// normalises the result to sum to 1.
///
/// A class is likely only if both models give it some probability. The paper's audio-visual result without smoothing
/// is blended this way.
///
/// # Panics
///
/// If the slices differ in length.
pub fn blend_logarithms(first: &[f32], second: &[f32], weight: f32) -> Vec<f32> {
    assert_eq!(
        first.len(),
        second.len(),
        "blended rows need the same number of classes"
    );
    let logarithm = |p: f32| (p + PROBABILITY_FLOOR).ln();
    let scores: Vec<f32> = first
        .iter()
        .zip(second)
        .map(|(&first, &second)| weight * logarithm(first) + (1.0 - weight) * logarithm(second))
        .collect();
    softmax(&scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::{AFF_WILD2, AFFECTNET_7, AFFECTNET_8};
    use Expression::{Anger, Fear, Happiness, Neutral};

    #[test]
    fn affectnet_becomes_aff_wild2_with_contempt_in_the_column_of_other() {
        let logits = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert_eq!(
            map_classes(&logits, &AFFECTNET_8, &AFF_WILD2),
            [5.0, 0.0, 2.0, 3.0, 4.0, 6.0, 7.0, 1.0]
        );
    }

    #[test]
    fn seven_classes_leave_the_column_of_other_empty() {
        let scores = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(
            map_classes(&scores, &AFFECTNET_7, &AFF_WILD2),
            [4.0, 0.0, 1.0, 2.0, 3.0, 5.0, 6.0, 0.0]
        );
        assert_eq!(
            map_classes(&[0.3, 0.7], &[Anger, Fear], &[Fear, Neutral]),
            [0.7, 0.0]
        );
    }

    #[test]
    fn contempt_keeps_its_own_column_where_there_is_one() {
        let to = [Expression::Contempt, Expression::Other];
        assert_eq!(
            map_classes(&[0.4], &[Expression::Contempt], &to),
            [0.4, 0.0]
        );
    }

    #[test]
    fn missing_class_is_taken_from_the_other_model_and_the_rest_shares_what_is_left() {
        let to = [Neutral, Fear, Happiness];
        let completed = complete_classes(
            &[0.25, 0.75],
            &[Neutral, Happiness],
            &[0.2, 0.3, 0.5],
            &to,
            &to,
        );
        assert_eq!(completed[1], 0.3);
        assert!(
            (completed[0] - 0.175).abs() < 1e-6 && (completed[2] - 0.525).abs() < 1e-6,
            "{completed:?}"
        );
        assert!((completed.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn sound_of_other_classes_moves_the_classes_that_both_know() {
        let face_classes = [Neutral, Happiness, Expression::Contempt];
        let sound_classes = [Neutral, Happiness, Expression::Other];
        let face = [0.25, 0.5, 0.25];
        let blended = |sound: &[f32], weight| {
            blend_with_sound(&face, &face_classes, sound, &sound_classes, weight)
        };
        // Without `other` the sound says 1 to 3; of the face's classes contempt keeps its quarter.
        let half = blended(&[0.1, 0.3, 0.6], 0.5);
        let expected = [0.218_75, 0.531_25, 0.25];
        for (got, expected) in half.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{half:?}");
        }
        assert_eq!(blended(&[0.1, 0.3, 0.6], 1.0), face);
        assert_eq!(blended(&[0.0, 0.0, 1.0], 0.5), face, "nothing is shared");
        let same = blend_with_sound(&face, &face_classes, &[1.0, 0.0, 0.0], &face_classes, 0.6);
        assert_eq!(same, blend(&face, &[1.0, 0.0, 0.0], 0.6));
    }

    #[test]
    fn blends_are_weighted_means() {
        let mixed = blend(&[1.0, 0.0], &[0.0, 1.0], 0.6);
        assert!((mixed[0] - 0.6).abs() < 1e-6 && (mixed[1] - 0.4).abs() < 1e-6);
        // sqrt(.9 * .5) : sqrt(.1 * .5) = 3 : 1
        let pooled = blend_logarithms(&[0.9, 0.1], &[0.5, 0.5], 0.5);
        assert!((pooled[0] - 0.75).abs() < 1e-6, "{pooled:?}");
        let alone = blend_logarithms(&[0.9, 0.1], &[0.5, 0.5], 1.0);
        assert!((alone[0] - 0.9).abs() < 1e-6, "{alone:?}");
    }
}
