//! Bidirectional long short-term memory (LSTM), then one layer per frame.

use super::Predict;
use super::layers::{Dense, Matrix, sigmoid};
use super::parameters::Parameters;
use super::rows::Rows;
use super::tcn::Convolution;
use crate::head::temporal::CLASSES;
use crate::head::temporal::lstm::{NESTED, PLAIN, Sizes, parameter_names};
use crate::head::temporal::{crf, lstm};
use crate::weights::WeightsError;

/// LSTM layers, then a layer that sees one frame.
#[derive(Debug)]
pub(super) struct BiLstm {
    /// Forward and backward.
    layers: Vec<[Direction; 2]>,
    head: Head,
}

#[derive(Debug)]
enum Head {
    Dense(Dense),
    Convolution(Convolution),
}

#[derive(Debug)]
struct Direction {
    /// From the inputs to the gates input, forget, cell and output; both biases together.
    inputs: Dense,
    /// From the state to the same gates.
    state: Matrix,
}

impl BiLstm {
    pub(super) fn load(source: &mut Parameters) -> Result<Self, WeightsError> {
        let sizes = lstm::BiLstm::stored_sizes(source.weights)?;
        Ok(Self {
            layers: layers(PLAIN[0], sizes, source)?,
            head: Head::Dense(source.dense(PLAIN[1], [CLASSES, 2 * sizes.hidden])?),
        })
    }

    /// With a convolution one frame wide behind the LSTM.
    pub(super) fn load_nested(source: &mut Parameters) -> Result<Self, WeightsError> {
        let sizes = lstm::BiLstmConv::stored_sizes(source.weights)?;
        let shape = [CLASSES, 2 * sizes.hidden, 1];
        Ok(Self {
            layers: layers(NESTED[0], sizes, source)?,
            head: Head::Convolution(Convolution::load(NESTED[1], shape, 1, source)?),
        })
    }

    /// Whose logits a conditional random field reads: it decodes them, and changes nothing about a frame's probability.
    pub(super) fn load_emissions(source: &mut Parameters) -> Result<Self, WeightsError> {
        let network = Self::load(source)?;
        source.take(crf::TRANSITIONS, &[CLASSES; 2])?;
        source.take(crf::START, &[CLASSES])?;
        source.take(crf::END, &[CLASSES])?;
        Ok(network)
    }
}

fn layers(
    key: &str,
    sizes: Sizes,
    source: &mut Parameters,
) -> Result<Vec<[Direction; 2]>, WeightsError> {
    let mut layers = Vec::new();
    for number in 0..sizes.layers {
        let inputs = match number {
            0 => sizes.features,
            _ => 2 * sizes.hidden,
        };
        let mut direction = |suffix| {
            Direction::load(
                parameter_names(key, number, suffix),
                [inputs, sizes.hidden],
                source,
            )
        };
        layers.push([direction("")?, direction("_reverse")?]);
    }
    Ok(layers)
}

impl Predict for BiLstm {
    fn features(&self) -> usize {
        self.layers[0][0].inputs.matrix.inputs
    }

    fn logits(&self, mut frames: Rows) -> Rows {
        for [forward, backward] in &self.layers {
            let hidden = forward.state.inputs;
            let mut states = Rows::zeros(frames.count(), 2 * hidden);
            forward.run(&frames, 0..frames.count(), &mut states, 0);
            backward.run(&frames, (0..frames.count()).rev(), &mut states, hidden);
            frames = states;
        }
        match &self.head {
            Head::Dense(layer) => layer.forward(&frames),
            Head::Convolution(layer) => layer.logits(frames),
        }
    }
}

impl Direction {
    fn load(
        [weight_ih, weight_hh, bias_ih, bias_hh]: [String; 4],
        [inputs, hidden]: [usize; 2],
        source: &mut Parameters,
    ) -> Result<Self, WeightsError> {
        let gates = 4 * hidden;
        let mut inputs = source.dense_named(weight_ih, bias_ih, [gates, inputs])?;
        for (bias, other) in inputs.bias.iter_mut().zip(source.take(bias_hh, &[gates])?) {
            *bias += other;
        }
        Ok(Self {
            inputs,
            state: source.matrix(weight_hh, [gates, hidden])?,
        })
    }

    /// Goes through the frames in an order, and writes the state after each into its row, from a column on.
    fn run(
        &self,
        frames: &Rows,
        order: impl Iterator<Item = usize>,
        states: &mut Rows,
        column: usize,
    ) {
        let mut gates = self.inputs.forward(frames);
        let hidden = self.state.inputs;
        let [mut state, mut cell] = [vec![0.0; hidden], vec![0.0; hidden]];
        let gates_of_frame = 4 * hidden;
        for frame in order {
            let gates = &mut gates.values[frame * gates_of_frame..][..gates_of_frame];
            self.state.add_products(&state, gates);
            for unit in 0..hidden {
                let gate = |number: usize| gates[number * hidden + unit];
                cell[unit] = sigmoid(gate(1)) * cell[unit] + sigmoid(gate(0)) * gate(2).tanh();
                state[unit] = sigmoid(gate(3)) * cell[unit].tanh();
            }
            let row = frame * states.width + column;
            states.values[row..][..hidden].copy_from_slice(&state);
        }
    }
}
