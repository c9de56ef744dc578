//! Named tensors with the facts that travel with them.
//!
//! Every published format is read into one [`Weights`] table; the canonical file is safetensors, whose
//! metadata says which architecture the tensors belong to, how its input is normalised, what its classes
//! are and where they came from. Networks take their parameters from the table by name and shape.

#[cfg(not(target_family = "wasm"))]
mod catalog;
#[cfg(not(target_family = "wasm"))]
mod command;
#[cfg(not(target_family = "wasm"))]
mod disk;
mod element;
#[cfg(not(target_family = "wasm"))]
mod faceres;
#[cfg(not(target_family = "wasm"))]
mod layout;
mod metadata;
#[cfg(not(target_family = "wasm"))]
mod onnx;
mod published;
mod safetensors_file;
#[cfg(not(target_family = "wasm"))]
mod tfjs;
#[cfg(not(target_family = "wasm"))]
mod tflite;
#[cfg(not(target_family = "wasm"))]
mod torch;

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

#[cfg(not(target_family = "wasm"))]
pub use catalog::{
    CATALOG, CatalogEntry, FetchStep, PublishedFile, Registry, Status, TASK_MEMBERS, TaskMember,
    cache_dir, fetch, status, weights_path,
};
#[cfg(not(target_family = "wasm"))]
pub use disk::{file_sha256, sha256};
#[cfg(not(target_family = "wasm"))]
pub use faceres::faceres_from_tfjs;
pub use metadata::{EMBEDDING, Metadata, Normalisation};
#[cfg(not(target_family = "wasm"))]
pub use onnx::{OnnxAttribute, OnnxGraph, OnnxNode, read_graph as read_onnx};
pub use published::{ExpectedConvolution, GraphConvolution, GraphOperation, PublishedWeights};
pub use safetensors_file::Precision;
#[cfg(not(target_family = "wasm"))]
pub use tfjs::{from_tfjs, read_tfjs};
#[cfg(not(target_family = "wasm"))]
pub use tflite::{TfliteGraph, read_graph as read_tflite, read_task_member};
#[cfg(not(target_family = "wasm"))]
pub use torch::read_torch;

/// One parameter: its shape, and its values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightTensor {
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// `shape.iter().product()` values.
    pub values: Vec<f32>,
}

/// Parameters by name, and what is known about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// Architecture, input, classes, origin.
    pub metadata: Metadata,
    tensors: BTreeMap<String, WeightTensor>,
}

/// Why weights cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A parameter is not in the file.
    #[error("weight `{name}` is missing{hint}")]
    Missing {
        /// Name that the network asks for.
        name: String,
        /// Names that are there, for the reader of the message.
        hint: String,
    },
    /// A parameter has another shape than the network's.
    #[error("weight `{name}` has shape {got:?}, expected {expected:?}")]
    Shape {
        /// Name of the parameter.
        name: String,
        /// Shape that the network asks for.
        expected: Vec<usize>,
        /// Shape in the file.
        got: Vec<usize>,
    },
    /// A parameter that the network does not know.
    #[error("weight `{name}` does not belong to {architecture}")]
    Unexpected {
        /// Name in the file.
        name: String,
        /// Architecture that was asked for.
        architecture: String,
    },
    /// The file belongs to another network.
    #[error("weights are for architecture `{got}`, expected `{expected}`")]
    Architecture {
        /// Architecture that was asked for.
        expected: String,
        /// Architecture in the metadata.
        got: String,
    },
    /// The bytes are not a valid file of their format.
    #[error("{format} file is malformed: {reason}")]
    Malformed {
        /// Name of the format.
        format: &'static str,
        /// What is wrong and where.
        reason: String,
    },
    /// The file holds something valid that is not supported.
    #[error("{format} file uses {what}, which is not supported")]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// The construct.
        what: String,
    },
    /// The bytes are not the published ones.
    #[error("`{name}` has sha256 {got}, expected {expected}")]
    Digest {
        /// File or package.
        name: String,
        /// Published digest, hexadecimal.
        expected: String,
        /// Digest of the bytes that came.
        got: String,
    },
    /// No default weights go by that name.
    #[error("no default weights `{name}` (there are `{known}`)")]
    Unknown {
        /// Name that was asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
    /// A program that fetches packages is missing, failed or hung.
    #[error("`{command}` {reason}")]
    Command {
        /// The command line.
        command: String,
        /// What happened, with the last lines that it wrote.
        reason: String,
    },
    /// The file system failed.
    #[error("`{path}`: {source}")]
    Io {
        /// File.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Weights {
    /// An empty table.
    pub fn new(metadata: Metadata) -> Self {
        Self {
            metadata,
            tensors: BTreeMap::new(),
        }
    }

    /// Adds or replaces a parameter.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if the value count does not match the shape.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        shape: Vec<usize>,
        values: Vec<f32>,
    ) -> Result<(), WeightsError> {
        let name = name.into();
        let expected = shape
            .iter()
            .try_fold(1_usize, |product, &axis| product.checked_mul(axis));
        if expected != Some(values.len()) {
            return Err(WeightsError::Malformed {
                format: "weights",
                reason: format!("`{name}` of shape {shape:?} has {} values", values.len()),
            });
        }
        self.tensors.insert(name, WeightTensor { shape, values });
        Ok(())
    }

    /// Adds or replaces a parameter that is whole.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn put(&mut self, name: String, tensor: WeightTensor) {
        self.tensors.insert(name, tensor);
    }

    /// The parameter of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&WeightTensor> {
        self.tensors.get(name)
    }

    /// Removes and returns a parameter.
    pub fn remove(&mut self, name: &str) -> Option<WeightTensor> {
        self.tensors.remove(name)
    }

    /// All parameters in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &WeightTensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The values of a parameter whose shape is known.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`] or [`WeightsError::Shape`].
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<&[f32], WeightsError> {
        let tensor = self.get(name).ok_or_else(|| self.missing(name))?;
        if tensor.shape != shape {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                got: tensor.shape.clone(),
            });
        }
        Ok(&tensor.values)
    }

    /// A parameter as a tensor on `device`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`] or [`WeightsError::Shape`].
    pub fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, WeightsError> {
        let values = self.values(name, &shape)?.to_vec();
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// Confirms that the metadata names this architecture.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`].
    pub fn expect_architecture(&self, expected: &str) -> Result<(), WeightsError> {
        if self.metadata.architecture == expected {
            return Ok(());
        }
        Err(WeightsError::Architecture {
            expected: expected.to_owned(),
            got: self.metadata.architecture.clone(),
        })
    }

    fn missing(&self, name: &str) -> WeightsError {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let near: Vec<_> = self
            .tensors
            .keys()
            .filter(|key| key.contains(stem))
            .take(3)
            .cloned()
            .collect();
        let hint = match (near.is_empty(), self.tensors.keys().next()) {
            (false, _) => format!(" (the file has `{}`)", near.join("`, `")),
            (true, Some(first)) => format!(
                " (the file has {} weights, the first is `{first}`)",
                self.tensors.len()
            ),
            (true, None) => " (the file has no weights)".to_owned(),
        };
        WeightsError::Missing {
            name: name.to_owned(),
            hint,
        }
    }
}
