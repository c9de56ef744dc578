//! One convolution a frame wide: each frame is judged on its own.

use burn::module::Module;
use burn::nn::Dropout;
use burn::tensor::Tensor;

use super::CLASSES;
use super::parameters::{Convolution, Names, Source, dropped};
use crate::weights::WeightsError;

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

    pub(super) fn features(&self) -> usize {
        self.convolution.weight.dims()[1]
    }

    pub(super) fn add_names<'a>(&'a self, key: &str, names: &mut Names<'a>) {
        names.convolution(key, &self.convolution);
    }

    pub(super) fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let frames = dropped(dropout, features).swap_dims(1, 2);
        self.convolution.forward(frames).swap_dims(1, 2)
    }
}
