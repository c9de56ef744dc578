//! Takes parameters out of weights, so that their memory goes as they are used.

use crate::backbone::Parameters;
use crate::kernel::{Activation, Weighted};
use crate::weights::{Weights, WeightsError};

/// The parameters that nobody has taken yet.
pub(super) struct Tensors(Parameters<'static>);

impl Tensors {
    pub(super) fn new(weights: Weights) -> Self {
        Self(Parameters::new(weights))
    }

    /// The values of the parameter of that name and shape.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        Ok(self.0.values(name, shape)?.into_owned())
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
        self.0.finish(architecture)
    }
}
