//! Takes parameters out of a weights table and notices what is left.

use std::collections::BTreeSet;

use crate::weights::{Weights, WeightsError};

/// The parameters of one network.
pub(crate) struct Parameters<'a> {
    weights: &'a Weights,
    taken: BTreeSet<String>,
}

impl<'a> Parameters<'a> {
    /// Begins with nothing taken.
    pub(crate) fn new(weights: &'a Weights) -> Self {
        Self {
            weights,
            taken: BTreeSet::new(),
        }
    }

    /// The values of the parameter of that name and shape.
    pub(crate) fn values(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<&'a [f32], WeightsError> {
        let values = self.weights.values(name, shape)?;
        self.taken.insert(name.to_owned());
        Ok(values)
    }

    /// First axis of a parameter that need not be there.
    pub(crate) fn rows(&self, name: &str) -> Option<usize> {
        let shape = &self.weights.get(name)?.shape;
        Some(shape.first().copied().unwrap_or_default())
    }

    /// Confirms that the table held nothing else.
    pub(crate) fn finish(self, architecture: &str) -> Result<(), WeightsError> {
        match self
            .weights
            .iter()
            .find(|(name, _)| !self.taken.contains(*name))
        {
            None => Ok(()),
            Some((name, _)) => Err(WeightsError::Unexpected {
                name: name.to_owned(),
                architecture: architecture.to_owned(),
            }),
        }
    }
}
