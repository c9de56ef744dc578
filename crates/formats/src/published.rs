//! What a published file holds before it is renamed into a network's own keys.
//!
//! Files with good names (tfjs, torch, safetensors) give a table. Graph files (ONNX after constant folding,
//! tflite) often have numbers for names; there the order of the convolutions says which is which.

use crate::architecture::Convolution;
use crate::error::WeightsError;
use crate::metadata::Metadata;
use crate::weights::{WeightTensor, Weights};

/// One convolution of a graph file.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphConvolution {
    /// Name of the weight tensor in the file, for messages.
    pub name: String,
    /// `[out, in / groups, height, width]`, whatever the file's own order is.
    pub weight: WeightTensor,
    /// `[out]`.
    pub bias: Option<WeightTensor>,
    /// 1 for a plain convolution, the channel count for a depthwise one.
    pub groups: usize,
    /// Stride along height and width.
    pub strides: [usize; 2],
}

/// Another operation of a graph file with constants: `PRelu`, `MatMul` or `BatchNormalization`.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphOperation {
    /// As ONNX calls it.
    pub operator: String,
    /// In the order of its inputs, shapes as in the file.
    pub constants: Vec<WeightTensor>,
}

/// Parameters as their publisher laid them out.
#[derive(Clone, Debug, PartialEq)]
pub enum PublishedWeights {
    /// The names mean something.
    Named(Weights),
    /// The order of the graph means something.
    Graph {
        /// Every constant under its name in the file, shapes as in the file.
        named: Weights,
        /// Convolutions in execution order.
        convolutions: Vec<GraphConvolution>,
        /// Other operations with constants, in execution order.
        operations: Vec<GraphOperation>,
        /// Weight `[outputs, inputs]` and bias `[outputs]` of the last dense layer.
        classifier: Option<(WeightTensor, Option<WeightTensor>)>,
    },
}

impl PublishedWeights {
    /// The parameters by the names they have in the file.
    pub fn named(&self) -> &Weights {
        match self {
            Self::Named(weights) | Self::Graph { named: weights, .. } => weights,
        }
    }

    /// The convolutions of a graph under the names that their place in it gives them, each `name.weight` and
    /// `name.bias`. Licence, source and digest are taken over.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] for a file without a graph or another number of convolutions, strides or groups,
    /// [`WeightsError::Shape`] and [`WeightsError::Missing`] for the first convolution that is not the expected one.
    pub fn name_convolutions(
        &self,
        architecture: &str,
        expected: &[Convolution],
    ) -> Result<Weights, WeightsError> {
        let malformed = |reason| WeightsError::Malformed {
            format: "tflite",
            reason,
        };
        let Self::Graph {
            convolutions,
            named,
            ..
        } = self
        else {
            return Err(malformed(format!(
                "{architecture} is published as a graph, got a table of named weights"
            )));
        };
        if convolutions.len() != expected.len() {
            return Err(malformed(format!(
                "graph has {} convolutions, {architecture} has {}",
                convolutions.len(),
                expected.len()
            )));
        }
        let mut weights = Weights::new(Metadata {
            architecture: architecture.to_owned(),
            ..named.metadata.clone()
        });
        for (convolution, expected) in convolutions.iter().zip(expected) {
            let name = &expected.name;
            let config = expected.config;
            let weight = config.weight_shape();
            let (groups, stride) = (config.groups(), config.stride);
            let named_as = format!("{name} ({})", convolution.name);
            if convolution.weight.shape != weight {
                return Err(WeightsError::Shape {
                    name: named_as,
                    expected: weight.to_vec(),
                    got: convolution.weight.shape.clone(),
                });
            }
            if (convolution.groups, convolution.strides) != (groups, [stride, stride]) {
                return Err(malformed(format!(
                    "`{named_as}` has {} groups and strides {:?}, expected {groups} and {:?}",
                    convolution.groups,
                    convolution.strides,
                    [stride, stride]
                )));
            }
            let bias = convolution
                .bias
                .as_ref()
                .ok_or_else(|| WeightsError::Missing {
                    name: format!("{name}.bias"),
                    hint: String::new(),
                })?;
            if bias.shape != weight[..1] {
                return Err(WeightsError::Shape {
                    name: format!("{name}.bias"),
                    expected: weight[..1].to_vec(),
                    got: bias.shape.clone(),
                });
            }
            weights.insert(
                format!("{name}.weight"),
                weight.to_vec(),
                convolution.weight.values.clone(),
            )?;
            weights.insert(
                format!("{name}.bias"),
                bias.shape.clone(),
                bias.values.clone(),
            )?;
        }
        Ok(weights)
    }
}
