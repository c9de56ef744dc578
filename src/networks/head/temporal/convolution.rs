//! Convolution one frame wide: each frame is classified on its own.

use burn::module::Module;
use burn::nn::Dropout;
use burn::tensor::Tensor;

use super::CLASSES;
use super::parameters::{Convolution, Names, Source, axes};
use super::sequence::TemporalNetwork;
use crate::weights::{Weights, WeightsError};

/// Name of the convolution when it is the whole head.
pub(super) const HEAD: &str = "head";

#[derive(Module, Debug)]
pub(super) struct Pointwise {
    convolution: Convolution,
}

impl Pointwise {
    pub(super) fn build(
        key: &str,
        features: usize,
        source: &mut Source,
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            convolution: source.convolution(key, [CLASSES, features, 1], 1)?,
        })
    }

    /// Builds a convolution that is the whole head.
    pub(super) fn alone(features: usize, source: &mut Source) -> Result<Self, WeightsError> {
        Self::build(HEAD, features, source)
    }

    /// Length of the embeddings for a stored convolution that is the whole head.
    pub(super) fn stored_features(weights: &Weights) -> Result<usize, WeightsError> {
        let [_, features, _] = axes(weights, &format!("{HEAD}.weight"))?;
        Ok(features)
    }

    pub(super) fn add_names<'a>(&'a self, key: &str, names: &mut Names<'a>) {
        names.convolution(key, &self.convolution);
    }
}

impl TemporalNetwork for Pointwise {
    fn features(&self) -> usize {
        self.convolution.weight.dims()[1]
    }

    fn names(&self) -> Names<'_> {
        let mut names = Names::default();
        self.add_names(HEAD, &mut names);
        names
    }

    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let frames = dropout.forward(features).swap_dims(1, 2);
        self.convolution.forward(frames).swap_dims(1, 2)
    }
}
