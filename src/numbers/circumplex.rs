//! Valence and arousal where no model was trained on them: each expression has a place in the circumplex of affect
//! (Russell 1980), and probabilities weigh the places.
//!
//! The places are the mean ratings that Russell and Mehrabian (1977) give for the words angry, disgusted, fearful,
//! joyful, sad and surprised. Neutral and other lie in the middle, contempt halfway between anger and disgust: that is
//! ours. No score is claimed for what comes out.

use crate::label::Expression;

/// Valence and arousal of an expression, both in `[-1, 1]`.
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

/// The places of some expressions, weighted by their probabilities.
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
    fn certain_expressions_lie_on_their_places_and_none_leaves_the_square() {
        for expression in Expression::ALL {
            assert_eq!(valence_arousal(&[(expression, 1.0)]), place(expression));
            assert!(place(expression).iter().all(|value| value.abs() <= 1.0));
        }
        assert_eq!(valence_arousal(&[]), [0.0, 0.0]);
    }
}
