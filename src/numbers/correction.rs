//! What a few labelled faces of one person teach about a classifier: numbers that are added to the logarithms of its
//! probabilities.
//!
//! Multinomial logistic regression over embeddings, whose starting point is the classifier itself: its logarithms are the
//! offset, and a penalty on everything that is added pulls back to it. With few faces little changes; a class without
//! faces is not touched.

use crate::probability::softmax;

/// Penalty on the squares of the weights, of embeddings of length 1. Of .003 to .3 the one with the best mean over classes
/// that does not cost accuracy (docs/model-card.md).
const WEIGHT_PENALTY: f32 = 0.01;
/// Penalty on the squares of the biases: a person who shows each expression equally long says nothing of how often it comes.
const BIAS_PENALTY: f32 = 1.0;
/// Least logarithm that counts: what the classifier thinks impossible can be learnt all the same.
const LEAST_LOGARITHM: f32 = -8.0;
/// Steps of the fit; after half as many nothing moved by more than a hundredth.
const STEPS: usize = 100;

/// A face whose expression is known.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledFace {
    /// Its embedding, of length 1.
    pub embedding: Vec<f32>,
    /// Probabilities that the classifier gives it.
    pub probabilities: Vec<f32>,
    /// Index of its class among them.
    pub class: usize,
}

/// Numbers that are added to the logarithms of a classifier's probabilities: `weight * embedding + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// `[classes, width]`, row by row.
    pub weight: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
}

impl Correction {
    /// Fits a correction to faces: the least sum of the loss, in which every class that has faces weighs alike, and the
    /// penalties. The same faces in the same order always give the same numbers.
    ///
    /// # Panics
    ///
    /// If there are no faces, or they differ in width.
    pub fn fit(faces: &[&LabelledFace]) -> Self {
        let first = faces.first().expect("a correction is fitted to faces");
        let (width, classes) = (first.embedding.len(), first.probabilities.len());
        let mut counts = vec![0.0_f32; classes];
        let mut centre = vec![0.0_f32; width];
        for face in faces {
            counts[face.class] += 1.0;
            add_scaled(&mut centre, &face.embedding, 1.0 / faces.len() as f32);
        }
        let present = counts.iter().filter(|count| **count > 0.0).count() as f32;
        let importance = |face: &LabelledFace| 1.0 / (counts[face.class] * present);
        let centred: Vec<Vec<f32>> = faces
            .iter()
            .map(|face| {
                let mut row = face.embedding.clone();
                add_scaled(&mut row, &centre, -1.0);
                row
            })
            .collect();
        // The loss of a face bends by at most half of its squared length; weights and biases share the room.
        let bend = faces.iter().zip(&centred);
        let bend: f32 = bend
            .map(|(face, row)| importance(face) * dot(row, row))
            .sum();
        let steps = [
            0.5 / (WEIGHT_PENALTY + 0.5 * bend),
            0.5 / (BIAS_PENALTY + 0.5),
        ];
        let zero = Self {
            weight: vec![0.0; classes * width],
            bias: vec![0.0; classes],
        };
        let (mut now, mut ahead) = (zero.clone(), zero);
        let mut momentum = 1.0_f32;
        for _ in 0..STEPS {
            let mut next = ahead.clone();
            add_scaled(&mut next.weight, &ahead.weight, -steps[0] * WEIGHT_PENALTY);
            add_scaled(&mut next.bias, &ahead.bias, -steps[1] * BIAS_PENALTY);
            for (face, row) in faces.iter().zip(&centred) {
                let probabilities = apply(&face.probabilities, &ahead.of(row));
                for (class, probability) in probabilities.iter().enumerate() {
                    if counts[class] == 0.0 {
                        continue;
                    }
                    let error = probability - f32::from(u8::from(class == face.class));
                    let slope = importance(face) * error;
                    let weights = &mut next.weight[class * width..(class + 1) * width];
                    add_scaled(weights, row, -steps[0] * slope);
                    next.bias[class] -= steps[1] * slope;
                }
            }
            let following = (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0;
            let push = (momentum - 1.0) / following;
            // As far beyond as `push` times the way that was gone.
            ahead = next.clone();
            for (ahead, next, now) in [
                (&mut ahead.weight, &next.weight, &now.weight),
                (&mut ahead.bias, &next.bias, &now.bias),
            ] {
                add_scaled(ahead, next, push);
                add_scaled(ahead, now, -push);
            }
            (now, momentum) = (next, following);
        }
        for (class, bias) in now.bias.iter_mut().enumerate() {
            *bias -= dot(&now.weight[class * width..(class + 1) * width], &centre);
        }
        now
    }

    /// What is added to each class for an embedding of length 1.
    pub fn of(&self, embedding: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(embedding.len().max(1));
        let rows = rows.zip(&self.bias);
        rows.map(|(row, bias)| dot(row, embedding) + bias).collect()
    }
}

/// Corrected probabilities, which sum to 1.
pub fn apply(probabilities: &[f32], correction: &[f32]) -> Vec<f32> {
    let pairs = probabilities.iter().zip(correction);
    let logits = pairs.map(|(probability, add)| probability.ln().max(LEAST_LOGARITHM) + add);
    softmax(&logits.collect::<Vec<_>>())
}

/// A vector of length 1 in the same direction; zeros stay zeros.
pub fn unit(vector: &[f32]) -> Vec<f32> {
    let length = dot(vector, vector).sqrt().max(f32::MIN_POSITIVE);
    vector.iter().map(|value| value / length).collect()
}

// Not inlined: each place would get unrolled loops of its own, which every visitor would load.
#[inline(never)]
fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[inline(never)]
fn add_scaled(sum: &mut [f32], values: &[f32], scale: f32) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += scale * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(embedding: &[f32], probabilities: &[f32], class: usize) -> LabelledFace {
        LabelledFace {
            embedding: unit(embedding),
            probabilities: probabilities.to_vec(),
            class,
        }
    }

    fn loss(correction: &Correction, faces: &[LabelledFace]) -> f32 {
        // Two classes with two faces each.
        let losses = faces.iter().map(|face| {
            -apply(&face.probabilities, &correction.of(&face.embedding))[face.class].ln() / 4.0
        });
        let squares = |values: &[f32]| values.iter().map(|it| it * it).sum::<f32>() / 2.0;
        let centre: Vec<f32> = (0..2)
            .map(|axis| faces.iter().map(|it| it.embedding[axis]).sum::<f32>() / 4.0)
            .collect();
        let bias = correction.of(&centre);
        losses.sum::<f32>()
            + WEIGHT_PENALTY * squares(&correction.weight)
            + BIAS_PENALTY * squares(&bias)
    }

    fn misread() -> Vec<LabelledFace> {
        vec![
            face(&[1.0, 0.1], &[0.2, 0.7, 0.1], 0),
            face(&[1.0, 0.2], &[0.3, 0.6, 0.1], 0),
            face(&[0.1, 1.0], &[0.2, 0.7, 0.1], 1),
            face(&[0.2, 1.0], &[0.4, 0.5, 0.1], 1),
        ]
    }

    #[test]
    fn faces_that_were_misread_are_read_as_they_were_labelled() {
        let faces = misread();
        let fitted = Correction::fit(&faces.iter().collect::<Vec<_>>());
        for face in &faces {
            let row = apply(&face.probabilities, &fitted.of(&face.embedding));
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(row[face.class] > 0.5, "{row:?}");
        }
        assert!(
            fitted.weight[4..].iter().all(|it| *it == 0.0) && fitted.bias[2] == 0.0,
            "a class without faces is not touched"
        );
    }

    #[test]
    fn no_small_change_of_the_fit_is_better() {
        let faces = misread();
        let fitted = Correction::fit(&faces.iter().collect::<Vec<_>>());
        let least = loss(&fitted, &faces);
        for place in 0..4 {
            for by in [-0.02, 0.02] {
                let mut other = fitted.clone();
                other.weight[place] += by;
                assert!(loss(&other, &faces) > least - 1e-6, "weight {place} {by}");
            }
        }
        for class in 0..2 {
            for by in [-0.02, 0.02] {
                let mut other = fitted.clone();
                other.bias[class] += by;
                assert!(loss(&other, &faces) > least - 1e-6, "bias {class} {by}");
            }
        }
    }

    #[test]
    fn a_class_that_seemed_impossible_can_be_learnt() {
        let faces = [
            face(&[1.0, 0.0], &[0.9, 0.1, 0.0], 2),
            face(&[0.0, 1.0], &[0.9, 0.1, 0.0], 0),
        ];
        let fitted = Correction::fit(&[&faces[0], &faces[1]]);
        let row = apply(&faces[0].probabilities, &fitted.of(&faces[0].embedding));
        assert!(
            row[2] > 0.3 && row.iter().all(|it| it.is_finite()),
            "{row:?}"
        );
    }

    #[test]
    fn faces_that_are_read_right_change_little() {
        let faces = [
            face(&[1.0, 0.0], &[0.98, 0.02], 0),
            face(&[0.0, 1.0], &[0.02, 0.98], 1),
        ];
        let fitted = Correction::fit(&[&faces[0], &faces[1]]);
        let doubtful = apply(&[0.9, 0.1], &fitted.of(&unit(&[0.0, 1.0])));
        assert!(doubtful[0] > 0.5, "{doubtful:?}");
    }
}
