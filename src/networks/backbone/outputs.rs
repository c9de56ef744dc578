//! What the outputs of a backbone's classifier stand for.

use affectlens_formats::architecture::{Architecture, Classifier};

use crate::label::Expression;
use crate::weights::{Weights, WeightsError};

/// Valence and arousal.
const AFFECT_OUTPUTS: usize = 2;

/// What the outputs of a backbone's classifier are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// What the first outputs, logits before softmax, stand for; empty without a classifier or where its classes are
    /// unknown, and for networks that describe whole frames.
    pub classes: Vec<Expression>,
    /// Whether two more outputs follow the classes: valence and arousal, linear and not clipped to [-1, 1].
    pub valence_arousal: bool,
}

/// What the first logits of a backbone with these weights stand for: [`Outputs::classes`].
///
/// # Errors
///
/// As [`outputs`].
pub fn classes(weights: &Weights) -> Result<Vec<Expression>, WeightsError> {
    Ok(outputs(weights)?.classes)
}

/// What the classifier's outputs of a backbone with these weights are. Where there are two more than named classes,
/// they are valence and arousal, as in EmotiEffLib's and DDAMFN's multi-task models.
///
/// # Errors
///
/// [`WeightsError`] if more classes are named than the classifier has outputs, or for an unknown architecture.
pub fn outputs(weights: &Weights) -> Result<Outputs, WeightsError> {
    let architecture = Architecture::backbone(&weights.metadata.architecture)?;
    if matches!(architecture, Architecture::MobileNetV1(_)) || architecture.describes_frames() {
        return Ok(Outputs::default());
    }
    let classes = weights.metadata.classes.clone();
    let outputs = weights
        .get(Classifier::BIAS)
        .and_then(|bias| bias.shape.first().copied())
        .unwrap_or_default();
    if classes.len() > outputs {
        return Err(WeightsError::Malformed {
            format: "weights",
            reason: format!(
                "{} classes are named, but the classifier has {outputs} outputs",
                classes.len()
            ),
        });
    }
    Ok(Outputs {
        valence_arousal: !classes.is_empty() && outputs == classes.len() + AFFECT_OUTPUTS,
        classes,
    })
}
