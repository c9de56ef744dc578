//! Bidirectional long short-term memory (LSTM), then one layer per frame.
//!
//! PyTorch's layout: the rows of the gates are stacked in the order input, forget, cell, output, and there are two bias
//! vectors.

use burn::module::{Module, Param};
use burn::nn::Dropout;
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::CLASSES;
use super::convolution::Pointwise;
use super::parameters::{Affine, Initial, Names, Source, axes, count_layers};
use super::sequence::TemporalNetwork;
use crate::weights::{Weights, WeightsError};

/// Names of the LSTM and the linear layer of a [`BiLstm`].
pub(super) const PLAIN: [&str; 2] = ["lstm", "head"];
/// Names of the LSTM and the convolution of a [`BiLstmConv`].
pub(super) const NESTED: [&str; 2] = ["temporal_head.lstm", "temporal_head.proj"];

/// Most layers; published ones have 2.
const MAX_LAYERS: usize = 12;

#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) features: usize,
    /// Units per direction.
    pub(super) hidden: usize,
    pub(super) layers: usize,
}

/// LSTM, then a linear layer.
#[derive(Module, Debug)]
pub(super) struct BiLstm {
    lstm: Lstm,
    head: Affine,
}

/// LSTM, then a convolution one frame wide.
#[derive(Module, Debug)]
pub(super) struct BiLstmConv {
    lstm: Lstm,
    proj: Pointwise,
}

#[derive(Module, Debug)]
struct Lstm {
    layers: Vec<Layer>,
}

#[derive(Module, Debug)]
struct Layer {
    forward: Direction,
    reverse: Direction,
}

#[derive(Module, Debug)]
struct Direction {
    /// `[4 * hidden, inputs]`.
    weight_ih: Param<Tensor<2>>,
    /// `[4 * hidden, hidden]`.
    weight_hh: Param<Tensor<2>>,
    bias_ih: Param<Tensor<1>>,
    bias_hh: Param<Tensor<1>>,
}

impl Sizes {
    pub(super) fn published(features: usize) -> Self {
        Self {
            features,
            hidden: 256,
            layers: 2,
        }
    }

    fn from_weights(weights: &Weights, key: &str) -> Result<Self, WeightsError> {
        let [_, features] = axes(weights, &format!("{key}.weight_ih_l0"))?;
        let [_, hidden] = axes(weights, &format!("{key}.weight_hh_l0"))?;
        let layers = count_layers(weights, "LSTM", MAX_LAYERS, |number| {
            format!("{key}.weight_ih_l{number}")
        })?;
        Ok(Self {
            features,
            hidden,
            layers,
        })
    }
}

impl BiLstm {
    pub(super) fn build(sizes: Sizes, source: &mut Source) -> Result<Self, WeightsError> {
        Ok(Self {
            lstm: Lstm::build(PLAIN[0], sizes, source)?,
            head: source.affine(PLAIN[1], [CLASSES, 2 * sizes.hidden])?,
        })
    }

    pub(super) fn stored_sizes(weights: &Weights) -> Result<Sizes, WeightsError> {
        Sizes::from_weights(weights, PLAIN[0])
    }
}

impl TemporalNetwork for BiLstm {
    fn features(&self) -> usize {
        self.lstm.features()
    }

    fn names(&self) -> Names<'_> {
        let mut names = Names::default();
        self.lstm.add_names(PLAIN[0], &mut names);
        names.affine(PLAIN[1], &self.head);
        names
    }

    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let frames = self.lstm.forward(features, dropout);
        self.head.forward(dropout.forward(frames))
    }
}

impl BiLstmConv {
    pub(super) fn build(sizes: Sizes, source: &mut Source) -> Result<Self, WeightsError> {
        Ok(Self {
            lstm: Lstm::build(NESTED[0], sizes, source)?,
            proj: Pointwise::build(NESTED[1], 2 * sizes.hidden, source)?,
        })
    }

    pub(super) fn stored_sizes(weights: &Weights) -> Result<Sizes, WeightsError> {
        Sizes::from_weights(weights, NESTED[0])
    }
}

impl TemporalNetwork for BiLstmConv {
    fn features(&self) -> usize {
        self.lstm.features()
    }

    fn names(&self) -> Names<'_> {
        let mut names = Names::default();
        self.lstm.add_names(NESTED[0], &mut names);
        self.proj.add_names(NESTED[1], &mut names);
        names
    }

    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let frames = self.lstm.forward(features, dropout);
        self.proj.forward(frames, dropout)
    }
}

impl Lstm {
    fn build(key: &str, sizes: Sizes, source: &mut Source) -> Result<Self, WeightsError> {
        let Sizes {
            features,
            hidden,
            layers,
        } = sizes;
        let mut direction = |number, suffix: &str| {
            let inputs = if number == 0 { features } else { 2 * hidden };
            let initial = Initial::for_inputs(hidden);
            let names = parameter_names(key, number, suffix);
            Ok(Direction {
                weight_ih: source.parameter(&names[0], [4 * hidden, inputs], initial)?,
                weight_hh: source.parameter(&names[1], [4 * hidden, hidden], initial)?,
                bias_ih: source.parameter(&names[2], [4 * hidden], initial)?,
                bias_hh: source.parameter(&names[3], [4 * hidden], initial)?,
            })
        };
        let layers = (0..layers).map(|number| {
            Ok(Layer {
                forward: direction(number, "")?,
                reverse: direction(number, "_reverse")?,
            })
        });
        Ok(Self {
            layers: layers.collect::<Result<_, WeightsError>>()?,
        })
    }

    fn features(&self) -> usize {
        self.layers[0].forward.weight_ih.dims()[1]
    }

    fn add_names<'a>(&'a self, key: &str, names: &mut Names<'a>) {
        for (number, layer) in self.layers.iter().enumerate() {
            for (suffix, direction) in [("", &layer.forward), ("_reverse", &layer.reverse)] {
                let [weight_ih, weight_hh, bias_ih, bias_hh] = parameter_names(key, number, suffix);
                names.add(weight_ih, &direction.weight_ih);
                names.add(weight_hh, &direction.weight_hh);
                names.add(bias_ih, &direction.bias_ih);
                names.add(bias_hh, &direction.bias_hh);
            }
        }
    }

    /// Runs all layers, with dropout between them, from `[batch, time, features]` to `[batch, time, 2 * hidden]`.
    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let mut frames = features;
        for (number, layer) in self.layers.iter().enumerate() {
            if number > 0 {
                frames = dropout.forward(frames);
            }
            frames = layer.forward(frames);
        }
        frames
    }
}

/// Names of the parameters of a [`Direction`], in the order of its fields.
pub(super) fn parameter_names(key: &str, layer: usize, suffix: &str) -> [String; 4] {
    ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        .map(|part| format!("{key}.{part}_l{layer}{suffix}"))
}

impl Layer {
    /// Runs both directions from `[batch, time, inputs]` to `[batch, time, 2 * hidden]`; each step is one batch of two
    /// matrix products.
    fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let [batch, time, _] = frames.dims();
        let [_, hidden] = self.forward.weight_hh.dims();
        let gates: Tensor<4> = Tensor::stack(
            vec![
                self.forward.input_gates(frames.clone()),
                self.reverse.input_gates(frames.flip([1])),
            ],
            0,
        );
        let recurrent: Tensor<3> = Tensor::stack(
            vec![
                self.forward.weight_hh.val().transpose(),
                self.reverse.weight_hh.val().transpose(),
            ],
            0,
        );
        let mut state = Tensor::<3>::zeros([2, batch, hidden], &gates.device());
        let mut cell = state.clone();
        let mut states = Vec::with_capacity(time);
        for step in 0..time {
            let gates = gates.clone().narrow(2, step, 1).squeeze_dim::<3>(2)
                + state.matmul(recurrent.clone());
            let gate = |index| gates.clone().narrow(2, index * hidden, hidden);
            cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * gate(2).tanh();
            state = sigmoid(gate(3)) * cell.clone().tanh();
            states.push(state.clone());
        }
        let states: Tensor<4> = Tensor::stack(states, 2);
        let direction = |index| states.clone().narrow(0, index, 1).squeeze_dim::<3>(0);
        Tensor::cat(vec![direction(0), direction(1).flip([1])], 2)
    }
}

impl Direction {
    /// Contribution of the inputs and biases to the gates of all steps, `[batch, time, 4 * hidden]`.
    fn input_gates(&self, frames: Tensor<3>) -> Tensor<3> {
        let [batch, time, inputs] = frames.dims();
        let [gates, _] = self.weight_ih.dims();
        let frames = frames.reshape([batch * time, inputs]);
        let product = frames.matmul(self.weight_ih.val().transpose());
        let bias = self.bias_ih.val() + self.bias_hh.val();
        (product + bias.unsqueeze()).reshape([batch, time, gates])
    }
}
