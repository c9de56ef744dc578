//! From logits to probabilities.

/// Added to a probability before its logarithm, so that 0 stays finite.
pub(crate) const PROBABILITY_FLOOR: f32 = 1e-12;

/// Converts a logit to a probability.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// Converts logits to probabilities that sum to 1; empty without logits.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut probabilities: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f32 = probabilities.iter().sum();
    for probability in &mut probabilities {
        *probability /= sum;
    }
    probabilities
}
