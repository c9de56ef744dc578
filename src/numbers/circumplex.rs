//! Valence and arousal from expression probabilities, for models that were not trained on valence and arousal.
//!
//! Each expression has a place in the circumplex of affect (Russell 1980); the estimate is the mean of the places,
//! weighted by the probabilities. The places are the mean ratings of Russell and Mehrabian (1977) for the words angry,
//! disgusted, fearful, joyful, sad and surprised. Neutral and other at the centre and contempt halfway between anger
//! and disgust are our own choice. The accuracy of these estimates has not been measured.

use crate::label::Expression;

/// Place of an expression in the circumplex: valence and arousal, both in `[-1, 1]`.
pub fn place(expression: Expression) -> [f32; 2] {
    match expression {
        Expression::Neutral | Expression::Other => [0.0, 0.0],
        Expression::Anger => [-0.51, 0.59],
        Expression::Disgust => [-0.60, 0.35],
        Expression::Fear => [-0.64, 0.60],
        Expression::Happiness => [0.76, 0.48],
        Expression::Sadness => [-0.63, -0.27],
        Expression::Surprise => [0.40, 0.67],
        Expression::Contempt => [-0.555, 0.47],
    }
}

/// Estimates valence and arousal, both in `[-1, 1]`, as the mean place of the expressions weighted by probability.
///
/// ```
/// use affectlens::{circumplex::valence_arousal, label::Expression};
///
/// let halves = valence_arousal(&[(Expression::Neutral, 0.5), (Expression::Happiness, 0.5)]);
/// assert_eq!(halves, [0.38, 0.24]);
/// ```
pub fn valence_arousal(probabilities: &[(Expression, f32)]) -> [f32; 2] {
    let mut sum = [0.0; 2];
    for (expression, probability) in probabilities {
        for (sum, value) in sum.iter_mut().zip(place(*expression)) {
            *sum += probability * value;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quadrant_but_the_calm_pleasant_one_has_an_expression() {
        let quadrant = |expression| place(expression).map(|value| value > 0.0);
        assert_eq!(quadrant(Expression::Happiness), [true, true]);
        assert_eq!(quadrant(Expression::Anger), [false, true]);
        assert_eq!(quadrant(Expression::Sadness), [false, false]);
    }

    #[test]
    fn a_certain_expression_gives_its_place_within_the_range() {
        for expression in Expression::ALL {
            assert_eq!(valence_arousal(&[(expression, 1.0)]), place(expression));
            assert!(place(expression).iter().all(|value| value.abs() <= 1.0));
        }
        assert_eq!(valence_arousal(&[]), [0.0, 0.0]);
    }
}
