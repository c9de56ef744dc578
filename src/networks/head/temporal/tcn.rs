//! Temporal convolutional network (TCN): residual convolutions over time with doubling dilation.
//!
//! The published network has five, with a receptive field of 63 frames. It is not causal: the field is centred.

use burn::module::Module;
use burn::nn::{BatchNorm, Dropout};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::CLASSES;
use super::parameters::{Convolution, Names, Source, axes, count_layers, stored_kernel};
use super::sequence::TemporalNetwork;
use crate::head::batch_norm;
use crate::weights::{Weights, WeightsError};

pub(super) const INPUT: &str = "temporal_head.input_proj";
pub(super) const OUTPUT: &str = "temporal_head.proj";
/// Largest number of layers; with more, the dilation exceeds the length of any window.
const MAX_LAYERS: usize = 12;

#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) features: usize,
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) kernel: usize,
}

#[derive(Module, Debug)]
pub(super) struct Tcn {
    input: Convolution,
    layers: Vec<Layer>,
    output: Convolution,
}

#[derive(Module, Debug)]
struct Layer {
    convolution: Convolution,
    norm: BatchNorm,
}

impl Sizes {
    pub(super) fn published(features: usize) -> Self {
        Self::new(features, 256, 5)
    }

    pub(super) fn new(features: usize, hidden: usize, layers: usize) -> Self {
        Self {
            features,
            hidden,
            layers,
            kernel: 3,
        }
    }

    pub(super) fn from_weights(weights: &Weights) -> Result<Self, WeightsError> {
        let [hidden, features, _] = axes(weights, &format!("{INPUT}.weight"))?;
        let first = format!("{}.weight", convolution_key(0));
        let kernel = stored_kernel(weights, &first)?;
        let network = "temporal convolutional network";
        let layers = count_layers(weights, network, MAX_LAYERS, |number| {
            format!("{}.weight", convolution_key(number))
        })?;
        Ok(Self {
            features,
            hidden,
            layers,
            kernel,
        })
    }
}

pub(super) fn convolution_key(layer: usize) -> String {
    format!("temporal_head.layers.{layer}.0")
}

pub(super) fn norm_key(layer: usize) -> String {
    format!("temporal_head.layers.{layer}.1")
}

impl Tcn {
    pub(super) fn build(sizes: Sizes, source: &mut Source) -> Result<Self, WeightsError> {
        let Sizes {
            features,
            hidden,
            layers,
            kernel,
        } = sizes;
        let layer = |source: &mut Source, number| {
            let shape = [hidden, hidden, kernel];
            Ok(Layer {
                convolution: source.convolution(&convolution_key(number), shape, 1 << number)?,
                norm: source.batch_norm(&norm_key(number), hidden)?,
            })
        };
        Ok(Self {
            input: source.convolution(INPUT, [hidden, features, 1], 1)?,
            layers: (0..layers)
                .map(|number| layer(source, number))
                .collect::<Result<_, WeightsError>>()?,
            output: source.convolution(OUTPUT, [CLASSES, hidden, 1], 1)?,
        })
    }
}

impl TemporalNetwork for Tcn {
    fn features(&self) -> usize {
        self.input.weight.dims()[1]
    }

    fn names(&self) -> Names<'_> {
        let mut names = Names::default();
        names.convolution(INPUT, &self.input);
        for (number, layer) in self.layers.iter().enumerate() {
            names.convolution(&convolution_key(number), &layer.convolution);
            names.batch_norm(&norm_key(number), &layer.norm);
        }
        names.convolution(OUTPUT, &self.output);
        names
    }

    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let mut frames = self.input.forward(features.swap_dims(1, 2));
        for layer in &self.layers {
            let residual = relu(layer.normalise(layer.convolution.forward(frames.clone())));
            frames = frames + dropout.forward(residual);
        }
        self.output.forward(frames).swap_dims(1, 2)
    }
}

impl Layer {
    /// Applies batch norm; with the statistics of the batch in training.
    fn normalise(&self, frames: Tensor<3>) -> Tensor<3> {
        if frames.device().is_autodiff() && self.norm.training.is_enabled() {
            batch_norm::forward_training(&self.norm, frames)
        } else {
            batch_norm::forward(&self.norm, frames)
        }
    }
}
