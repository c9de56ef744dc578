//! Takes a network's parameters out of a weights table and notices those that nobody took.

use std::collections::BTreeSet;

use burn::module::Param;
use burn::tensor::{Device, Tensor};

use crate::weights::{Weights, WeightsError};

/// The parameters of one network on their way to a device.
pub(super) struct Parameters<'a> {
    weights: &'a Weights,
    device: &'a Device,
    taken: BTreeSet<String>,
}

impl<'a> Parameters<'a> {
    /// Begins with nothing taken.
    pub(super) fn new(weights: &'a Weights, device: &'a Device) -> Self {
        Self {
            weights,
            device,
            taken: BTreeSet::new(),
        }
    }

    /// The parameter of that name and shape, frozen.
    pub(super) fn take<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, WeightsError> {
        let tensor = self.weights.tensor(name, shape, self.device)?;
        self.taken.insert(name.to_owned());
        Ok(Param::from_tensor(tensor).set_require_grad(false))
    }

    /// Confirms that the table held nothing else.
    pub(super) fn finish(self, architecture: &str) -> Result<(), WeightsError> {
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
