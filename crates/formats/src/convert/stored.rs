//! Layers as files have them: names and shapes of a state dict beside canonical ones.

use crate::architecture::{BatchNorm, Layer, Published};
use crate::error::WeightsError;
use crate::weights::Weights;

/// A layer with weights.
#[derive(Debug)]
pub(super) struct StoredLayer {
    /// Canonical name without `.weight`, `.bias` and `.slopes`.
    pub(super) name: String,
    /// Shape of the weight in the state dict.
    pub(super) shape: Vec<usize>,
    /// Shape of the weight in a canonical file.
    pub(super) canonical_shape: Vec<usize>,
    pub(super) operation: Operation,
    /// Names in the state dict; none for a layer norm and a table, which have their canonical ones.
    pub(super) published: Option<Published>,
}

/// A parameter or running statistic of a state dict.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name in the state dict.
    pub name: String,
    /// Shape in the state dict.
    pub shape: Vec<usize>,
    /// What it is before training.
    pub fill: ParameterFill,
}

/// What a parameter is before training.
#[derive(Clone, Copy, Debug)]
pub enum ParameterFill {
    /// Random numbers.
    Random,
    /// 0.
    Zeros,
    /// 1.
    Ones,
    /// So little that a block begins as its shortcut.
    LayerScale,
}

/// What a layer is in a graph file.
#[derive(Debug)]
pub(super) enum Operation {
    Convolution {
        groups: usize,
        stride: usize,
    },
    /// A fully connected layer without bias, followed by batch norm.
    MatMul,
    /// A fully connected layer with a bias.
    Dense,
    /// A layer norm.
    Normalisation,
    /// What attention adds to its scores: one parameter under the layer's own name.
    Table,
}

impl From<Layer> for StoredLayer {
    fn from(layer: Layer) -> Self {
        match layer {
            Layer::Convolution(layer) => Self {
                shape: layer.published_shape(),
                canonical_shape: layer.config.weight_shape().to_vec(),
                operation: match (layer.published.is_dense, layer.published.has_bias) {
                    (true, false) => Operation::MatMul,
                    (true, true) => Operation::Dense,
                    (false, _) => Operation::Convolution {
                        groups: layer.config.groups(),
                        stride: layer.config.stride,
                    },
                },
                name: layer.name,
                published: Some(layer.published),
            },
            Layer::LineSum(layer) => Self {
                name: layer.name,
                shape: layer.weight_shape.to_vec(),
                canonical_shape: layer.weight_shape.to_vec(),
                operation: Operation::Convolution {
                    groups: layer.weight_shape[0],
                    stride: 1,
                },
                published: Some(layer.published),
            },
            #[cfg(not(target_family = "wasm"))]
            Layer::Clip(layer) => Self {
                name: layer.name,
                shape: layer.config.weight_shape().to_vec(),
                canonical_shape: layer.config.weight_shape().to_vec(),
                operation: Operation::Convolution {
                    groups: 1,
                    stride: layer.config.stride[1],
                },
                published: Some(layer.published),
            },
            #[cfg(not(target_family = "wasm"))]
            Layer::Table(table) => Self {
                name: table.name,
                shape: vec![table.places, table.heads],
                canonical_shape: vec![table.places, table.heads],
                operation: Operation::Table,
                published: None,
            },
            Layer::Norm(norm) => Self {
                name: norm.name,
                shape: vec![norm.channels],
                canonical_shape: vec![norm.channels],
                operation: Operation::Normalisation,
                published: None,
            },
        }
    }
}

impl StoredLayer {
    /// Name in a state dict.
    pub(super) fn published_name(&self) -> &str {
        let published = self.published.as_ref();
        published.map_or(&self.name, |published| &published.layer)
    }

    /// Name of the weight in a state dict.
    pub(super) fn published_weight(&self) -> String {
        self.weight_of(self.published_name())
    }

    /// Whole name of the bias in a state dict, if there is one of its own.
    pub(super) fn published_bias(&self) -> Option<String> {
        match (&self.published, &self.operation) {
            (_, Operation::Table) => None,
            (Some(names), _) => names.bias_name(),
            (None, _) => Some(format!("{}.bias", self.name)),
        }
    }

    /// Name of the weight of this layer under a name.
    fn weight_of(&self, name: &str) -> String {
        match self.operation {
            Operation::Table => name.to_owned(),
            _ => format!("{name}.weight"),
        }
    }

    /// The batch norm that follows in a state dict.
    pub(super) fn batch_norm(&self) -> Option<&BatchNorm> {
        self.published.as_ref()?.batch_norm.as_ref()
    }

    /// Whole name of the layer scale that follows in a state dict.
    pub(super) fn scale(&self) -> Option<&str> {
        self.published.as_ref()?.scale.as_deref()
    }

    /// Name of the PReLU that follows in a state dict.
    pub(super) fn slopes(&self) -> Option<&str> {
        self.published.as_ref()?.slopes.as_deref()
    }

    /// Everything that the layer has in a state dict but slopes, which the networks to be trained have none of.
    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let outputs = self.shape[..1].to_vec();
        let one = |name, fill| Parameter {
            name,
            shape: outputs.clone(),
            fill,
        };
        let mut parameters = vec![Parameter {
            name: self.published_weight(),
            shape: self.shape.clone(),
            fill: match self.operation {
                Operation::Normalisation => ParameterFill::Ones,
                Operation::Table => ParameterFill::Zeros,
                _ => ParameterFill::Random,
            },
        }];
        if let Some(bias) = self.published_bias() {
            parameters.push(one(bias, ParameterFill::Zeros));
        }
        if let Some(norm) = self.batch_norm() {
            let norm = &norm.name;
            for (part, fill) in [
                ("weight", ParameterFill::Ones),
                ("bias", ParameterFill::Zeros),
                ("running_mean", ParameterFill::Zeros),
                ("running_var", ParameterFill::Ones),
            ] {
                parameters.push(one(format!("{norm}.{part}"), fill));
            }
        }
        if let Some(scale) = self.scale() {
            parameters.push(one(scale.to_owned(), ParameterFill::LayerScale));
        }
        parameters
    }

    /// Adds the layer to canonical weights.
    pub(super) fn insert(
        &self,
        weights: &mut Weights,
        weight: Vec<f32>,
        bias: Vec<f32>,
        slopes: Option<&[f32]>,
    ) -> Result<(), WeightsError> {
        let name = &self.name;
        let outputs = self.shape[..1].to_vec();
        weights.insert(self.weight_of(name), self.canonical_shape.clone(), weight)?;
        if matches!(self.operation, Operation::Table) {
            return Ok(());
        }
        if let Some(slopes) = slopes {
            weights.insert(format!("{name}.slopes"), outputs.clone(), slopes.to_vec())?;
        }
        weights.insert(format!("{name}.bias"), outputs, bias)
    }
}
