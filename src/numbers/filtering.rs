//! Confidence filter: the pretrained classifier predicts the expression if it is confident, otherwise the trained head.
//!
//! HSEmotion team at ABAW-10, section 3.1, equation 2.

use thiserror::Error;

use crate::{label::Expression, report::ExpressionSource};

/// Predicted expression of one face in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Predicted expression.
    pub label: Expression,
    /// Probability of the expression according to the model that predicted it, in `[0, 1]`.
    pub confidence: f32,
    /// Model that predicted it.
    pub source: ExpressionSource,
}

/// Error from [`decide`].
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterError {
    /// Probabilities and class list differ in length.
    #[error("{model} model gives {got} probabilities, expected {expected}, one per class")]
    Classes {
        /// `head` or `pretrained`.
        model: &'static str,
        /// Length of the class list.
        expected: usize,
        /// Probabilities received.
        got: usize,
    },
    /// The head has no classes.
    #[error("head has no classes, expected at least one")]
    Empty,
}

/// Predicts the expression from two models, each with smoothed probabilities over its own classes.
///
/// The pretrained model's most likely class is predicted if its probability is **above** `threshold`; contempt and
/// `other` take probability but are never predicted by it. Otherwise the head's most likely class is predicted. Ties go
/// to the lowest index. A threshold of 1 or more leaves every prediction to the head.
///
/// # Errors
///
/// [`FilterError`] if a model does not have one probability per class or the head has no classes.
pub fn decide(
    head: &[f32],
    head_classes: &[Expression],
    pretrained: &[f32],
    pretrained_classes: &[Expression],
    threshold: f32,
) -> Result<Decision, FilterError> {
    check("head", head, head_classes)?;
    check("pretrained", pretrained, pretrained_classes)?;
    let candidate = most_likely(pretrained, pretrained_classes, |class| {
        !matches!(class, Expression::Contempt | Expression::Other)
    });
    if let Some((label, confidence)) = candidate.filter(|&(_, confidence)| confidence > threshold) {
        return Ok(Decision {
            label,
            confidence,
            source: ExpressionSource::Pretrained,
        });
    }
    let (label, confidence) =
        most_likely(head, head_classes, |_| true).ok_or(FilterError::Empty)?;
    Ok(Decision {
        label,
        confidence,
        source: ExpressionSource::Head,
    })
}

fn most_likely(
    probabilities: &[f32],
    classes: &[Expression],
    allowed: impl Fn(Expression) -> bool,
) -> Option<(Expression, f32)> {
    let mut best: Option<(Expression, f32)> = None;
    for (&class, &probability) in classes
        .iter()
        .zip(probabilities)
        .filter(|(class, _)| allowed(**class))
    {
        if best.is_none_or(|(_, highest)| probability > highest) {
            best = Some((class, probability));
        }
    }
    best
}

fn check(
    model: &'static str,
    probabilities: &[f32],
    classes: &[Expression],
) -> Result<(), FilterError> {
    if probabilities.len() == classes.len() {
        return Ok(());
    }
    Err(FilterError::Classes {
        model,
        expected: classes.len(),
        got: probabilities.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::{AFF_WILD2, AFFECTNET_8};

    const HEAD: [f32; 8] = [0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.1, 0.1];

    #[test]
    fn confident_pretrained_model_wins() {
        let sure = [0.05, 0.02, 0.01, 0.01, 0.82, 0.03, 0.02, 0.04];
        let decision = decide(&HEAD, &AFF_WILD2, &sure, &AFF_WILD2, 0.8).expect("eight classes");
        assert_eq!(
            decision,
            Decision {
                label: Expression::Happiness,
                confidence: 0.82,
                source: ExpressionSource::Pretrained
            }
        );
    }

    #[test]
    fn value_at_the_threshold_is_not_enough() {
        let just = [0.05, 0.02, 0.01, 0.01, 0.8, 0.03, 0.02, 0.06];
        let decision = decide(&HEAD, &AFF_WILD2, &just, &AFF_WILD2, 0.8).expect("eight classes");
        assert_eq!(
            decision,
            Decision {
                label: Expression::Sadness,
                confidence: 0.3,
                source: ExpressionSource::Head
            }
        );
    }

    #[test]
    fn contempt_is_never_predicted_by_the_filter() {
        let contempt = [0.05, 0.01, 0.01, 0.01, 0.01, 0.01, 0.0, 0.90];
        let mapped = decide(&HEAD, &AFF_WILD2, &contempt, &AFF_WILD2, 0.8).expect("eight classes");
        assert_eq!(mapped.source, ExpressionSource::Head);
        let affectnet = [0.01, 0.95, 0.0, 0.0, 0.01, 0.01, 0.01, 0.01];
        let own_order =
            decide(&HEAD, &AFF_WILD2, &affectnet, &AFFECTNET_8, 0.5).expect("eight classes");
        assert_eq!(own_order.source, ExpressionSource::Head);
    }

    #[test]
    fn models_may_have_different_classes() {
        let classes = [Expression::Neutral, Expression::Fear];
        let decision =
            decide(&[1.0], &[Expression::Anger], &[0.05, 0.95], &classes, 0.9).expect("two lists");
        assert_eq!(decision.label, Expression::Fear);
        let unsure =
            decide(&[1.0], &[Expression::Anger], &[0.2, 0.8], &classes, 0.9).expect("two lists");
        assert_eq!(unsure.label, Expression::Anger);
    }

    #[test]
    fn lists_of_different_lengths_are_refused() {
        let error = decide(&[1.0], &[], &[], &[], 0.8).expect_err("no class for the probability");
        assert_eq!(
            error.to_string(),
            "head model gives 1 probabilities, expected 0, one per class"
        );
        assert_eq!(decide(&[], &[], &[], &[], 0.8), Err(FilterError::Empty));
    }
}
