//! Takes parameters out of weights, so that their memory goes as they are used.

use crate::kernel::{Activation, Weighted};
use crate::weights::{Weights, WeightsError};

/// The parameters that nobody has taken yet.
pub(super) struct Tensors(Weights);

impl Tensors {
    pub(super) fn new(weights: Weights) -> Self {
        Self(weights)
    }

    /// The values of the parameter of that name and shape.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        self.0.values(name, shape)?;
        let tensor = self.0.remove(name);
        Ok(tensor.map(|tensor| tensor.values).unwrap_or_default())
    }

    /// Weight and bias of a layer.
    pub(super) fn layer(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<[Vec<f32>; 2], WeightsError> {
        Ok([
            self.take(&format!("{name}.weight"), shape)?,
            self.take(&format!("{name}.bias"), &shape[..1])?,
        ])
    }

    /// A fully connected layer, `[outputs, inputs]`.
    pub(super) fn dense(
        &mut self,
        name: &str,
        shape: [usize; 2],
        activation: Activation,
    ) -> Result<Weighted, WeightsError> {
        let [weight, bias] = self.layer(name, &shape)?;
        Ok(Weighted::from_taps(&weight, &bias, 1, activation))
    }

    /// Confirms that nothing is left.
    pub(super) fn finish(self, architecture: &str) -> Result<(), WeightsError> {
        match self.0.iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(WeightsError::Unexpected {
                name: name.to_owned(),
                architecture: architecture.to_owned(),
            }),
        }
    }
}
