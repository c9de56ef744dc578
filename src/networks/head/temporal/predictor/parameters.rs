//! Parameters of a file, and which of them a network has.

use std::collections::BTreeSet;

use super::layers::{Dense, LayerNorm, Matrix};
use crate::weights::{Weights, WeightsError};

/// Parameters by their published names. What is taken is noted: a file may hold no others.
pub(super) struct Parameters<'a> {
    pub(super) weights: &'a Weights,
    taken: BTreeSet<String>,
}

impl<'a> Parameters<'a> {
    pub(super) fn new(weights: &'a Weights) -> Self {
        Self {
            weights,
            taken: BTreeSet::new(),
        }
    }

    pub(super) fn take(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
    ) -> Result<&'a [f32], WeightsError> {
        let name = name.into();
        let values = self.weights.values(&name, shape)?;
        self.taken.insert(name);
        Ok(values)
    }

    /// Matrix in PyTorch's layout, of shape `[outputs, inputs]`.
    pub(super) fn matrix(
        &mut self,
        name: impl Into<String>,
        [outputs, inputs]: [usize; 2],
    ) -> Result<Matrix, WeightsError> {
        let values = self.take(name, &[outputs, inputs])?;
        Ok(Matrix::from_outputs([outputs, inputs], values))
    }

    /// Linear layer with `KEY.weight` of shape `[outputs, inputs]` and `KEY.bias`.
    pub(super) fn dense(&mut self, key: &str, shape: [usize; 2]) -> Result<Dense, WeightsError> {
        self.dense_named(format!("{key}.weight"), format!("{key}.bias"), shape)
    }

    pub(super) fn dense_named(
        &mut self,
        weight: String,
        bias: String,
        shape: [usize; 2],
    ) -> Result<Dense, WeightsError> {
        Ok(Dense {
            matrix: self.matrix(weight, shape)?,
            bias: self.take(bias, &shape[..1])?.to_vec(),
        })
    }

    pub(super) fn layer_norm(
        &mut self,
        key: &str,
        width: usize,
    ) -> Result<LayerNorm, WeightsError> {
        Ok(LayerNorm {
            scale: self.take(format!("{key}.weight"), &[width])?.to_vec(),
            shift: self.take(format!("{key}.bias"), &[width])?.to_vec(),
        })
    }

    /// Confirms that every parameter of the file was taken.
    pub(super) fn expect_no_others(&self) -> Result<(), WeightsError> {
        let mut names = self.weights.iter().map(|(name, _)| name);
        match names.find(|name| !self.taken.contains(*name)) {
            None => Ok(()),
            Some(name) => Err(WeightsError::Unexpected {
                name: name.to_owned(),
                architecture: self.weights.metadata.architecture.clone(),
            }),
        }
    }
}
