//! The fully connected layer from an embedding to a backbone's outputs.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::Outputs;
use super::parameters::Parameters;
use crate::kernel::{Activation, Map, Planner, Weighted};
use crate::weights::{Weights, WeightsError};

pub(super) const CLASSIFIER_WEIGHT: &str = "classifier.weight";
pub(super) const CLASSIFIER_BIAS: &str = "classifier.bias";

/// Valence and arousal.
const AFFECT_OUTPUTS: usize = 2;

#[derive(Module, Debug)]
pub(super) struct Classifier {
    /// `[outputs, width]`
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Classifier {
    /// Takes `classifier.weight` and `classifier.bias` for the plain form, where they are.
    pub(super) fn load(
        width: usize,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Option<Self>, WeightsError> {
        let Some(outputs) = parameters.rows(CLASSIFIER_WEIGHT) else {
            return Ok(None);
        };
        Ok(Some(Self {
            weight: parameters.take(CLASSIFIER_WEIGHT, [outputs, width], device)?,
            bias: parameters.take(CLASSIFIER_BIAS, [outputs], device)?,
        }))
    }

    /// Adds the classifier to a plan, where there is one.
    pub(super) fn plan(
        parameters: &mut Parameters<'_>,
        planner: &mut Planner,
        embedding: Map,
    ) -> Result<Option<Map>, WeightsError> {
        let Some(outputs) = parameters.rows(CLASSIFIER_WEIGHT) else {
            return Ok(None);
        };
        let width = planner.shape(embedding).channels;
        let weight = parameters.values(CLASSIFIER_WEIGHT, &[outputs, width])?;
        let bias = parameters.values(CLASSIFIER_BIAS, &[outputs])?;
        let layer = Weighted::from_outputs_first(weight, bias, 1, Activation::Identity);
        Ok(Some(planner.pointwise(embedding, layer)))
    }

    /// `[batch, width]` to `[batch, outputs]`.
    pub(super) fn forward(&self, embedding: Tensor<2>) -> Tensor<2> {
        embedding.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }
}

/// What the classifier's outputs are, from the metadata's classes and the number of outputs.
pub(super) fn outputs(weights: &Weights) -> Result<Outputs, WeightsError> {
    let classes = weights.metadata.classes.clone();
    let outputs = weights
        .get(CLASSIFIER_BIAS)
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
