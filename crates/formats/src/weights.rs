//! Named tensors with the facts that travel with them.
//!
//! Every published format is read into one [`Weights`] table; the canonical file is safetensors, whose
//! metadata says which architecture the tensors belong to, how its input is normalised, what its classes
//! are and where they came from. Networks take their parameters from the table by name and shape.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::WeightsError;
use crate::metadata::Metadata;

/// Most units of a layer whose size the file decides: classes, hidden units, the length of an embedding. Loops and GPU
/// kernels are made for sizes of this order; the largest published classifier has 21,843 rows.
pub const MAX_UNITS: usize = 1 << 15;

/// Confirms that a layer whose size the file decides has a size that a network can have.
///
/// # Errors
///
/// [`WeightsError::Malformed`] that names the parameter and what was expected.
pub fn expect_units(name: &str, units: usize) -> Result<usize, WeightsError> {
    if (1..=MAX_UNITS).contains(&units) {
        return Ok(units);
    }
    Err(WeightsError::Malformed {
        format: "weights",
        reason: format!("`{name}` has {units} units along an axis, expected 1 to {MAX_UNITS}"),
    })
}

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
    pub fn put(&mut self, name: String, tensor: WeightTensor) {
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

    /// Takes out the values of a parameter whose shape is known.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values); the parameter then stays.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        self.values(name, shape)?;
        let tensor = self.remove(name);
        Ok(tensor.map(|tensor| tensor.values).unwrap_or_default())
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

impl From<Weights> for Cow<'_, Weights> {
    fn from(weights: Weights) -> Self {
        Self::Owned(weights)
    }
}

impl<'a> From<&'a Weights> for Cow<'a, Weights> {
    fn from(weights: &'a Weights) -> Self {
        Self::Borrowed(weights)
    }
}
