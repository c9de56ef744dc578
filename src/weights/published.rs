//! What a published file holds before it is renamed into a network's own keys.
//!
//! Files with good names (tfjs, torch, safetensors) give a table. Graph files (ONNX after constant folding,
//! tflite) often have numbers for names; there the order of the convolutions says which is which.

use super::{WeightTensor, Weights};

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
}
