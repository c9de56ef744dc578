//! Takes a network's parameters out of a weights table and notices those that nobody took.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Param, ParamId, RunningState};
use burn::tensor::{Device, Tensor};

use crate::weights::{Weights, WeightsError};

/// The parameters of one network.
pub(crate) struct Parameters<'a> {
    weights: &'a Weights,
    taken: BTreeSet<String>,
    /// Of a network to be trained: where each convolution's parameters are, by its canonical name.
    unfolded: Option<BTreeMap<String, Unfolded>>,
    /// Of a network to be trained: parameters and running statistics, in the order in which they were taken.
    ids: Vec<(String, ParamId)>,
}

/// A convolution whose batch norm and layer scale stand beside it.
#[derive(Clone, Debug)]
pub(super) struct Unfolded {
    /// Name of the convolution.
    pub(super) name: String,
    /// Whether it has a bias of its own.
    pub(super) has_bias: bool,
    /// Name of the batch norm, and what is added to its variance.
    pub(super) batch_norm: Option<(String, f64)>,
    /// Name of the layer scale.
    pub(super) scale: Option<String>,
}

impl<'a> Parameters<'a> {
    /// Begins with nothing taken.
    pub(crate) fn new(weights: &'a Weights) -> Self {
        Self {
            weights,
            taken: BTreeSet::new(),
            unfolded: None,
            ids: Vec::new(),
        }
    }

    /// The same for a network to be trained.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn unfolded(weights: &'a Weights, layers: BTreeMap<String, Unfolded>) -> Self {
        Self {
            unfolded: Some(layers),
            ..Self::new(weights)
        }
    }

    /// Where the parameters of a convolution are.
    pub(super) fn convolution(&self, name: &str) -> Unfolded {
        let layers = self.unfolded.as_ref();
        let layer = layers.and_then(|layers| layers.get(name)).cloned();
        layer.unwrap_or_else(|| Unfolded {
            name: name.to_owned(),
            has_bias: true,
            batch_norm: None,
            scale: None,
        })
    }

    /// The parameter of that name and shape on a device, frozen unless the network is to be trained.
    pub(crate) fn take<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Param<Tensor<D>>, WeightsError> {
        let tensor = self.weights.tensor(name, shape, device)?;
        let is_trained = self.unfolded.is_some();
        let parameter = Param::from_tensor(tensor).set_require_grad(is_trained);
        self.note(name, parameter.id);
        Ok(parameter)
    }

    /// The running statistic of that name.
    pub(super) fn take_statistic(
        &mut self,
        name: &str,
        channels: usize,
        device: &Device,
    ) -> Result<RunningState<Tensor<1>>, WeightsError> {
        let id = ParamId::new();
        let tensor = self.weights.tensor(name, [channels], device)?;
        self.note(name, id);
        Ok(RunningState::with_id(id, tensor))
    }

    fn note(&mut self, name: &str, id: ParamId) {
        self.taken.insert(name.to_owned());
        if self.unfolded.is_some() {
            self.ids.push((name.to_owned(), id));
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

    /// What a network to be trained has taken, in order.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn ids(&self) -> &[(String, ParamId)] {
        &self.ids
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
