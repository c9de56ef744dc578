//! Whether somebody speaks: Silero VAD (Silero Team, "Silero VAD", 2024), the network for 16 kHz.
//!
//! A million multiplications for 32 ms of sound: plain loops on the CPU, whatever the device of the other networks.

use affectlens_formats::architecture::silero_vad::{
    CHUNK, CONTEXT, CONVOLUTIONS, FREQUENCIES, NAME, TAPS, TRANSFORM, TimeConvolution, UNITS,
    WINDOW,
};
pub use affectlens_formats::architecture::silero_vad::{
    CHUNK as VOICE_CHUNK, NAME as VOICE_ARCHITECTURE, RATE as VOICE_RATE,
};

use crate::backbone::Parameters;
use crate::weights::{Weights, WeightsError};

/// Samples from one window of the transform to the next.
const HOP: usize = WINDOW / 2;
/// Samples at the end that are a mirror image of those before them.
const MIRRORED: usize = 64;
/// Louder samples, more than those of 16-bit files taken for numbers from -1 to 1, are cut off: squares stay finite.
const LOUDEST: f32 = 32_768.0;
/// Sums that a product is kept in: lanes of a vector register.
const LANES: usize = 8;

/// Follows one stream of sound and tells for each 32 ms how likely somebody speaks.
#[derive(Clone, Debug)]
pub struct VoiceActivity {
    /// Rows of [`WINDOW`].
    transform: Vec<f32>,
    convolutions: Vec<Convolution>,
    gates: [Affine; 2],
    output: Affine,
    /// Samples before the next ones.
    context: [f32; CONTEXT],
    hidden: [f32; UNITS],
    cell: [f32; UNITS],
}

#[derive(Clone, Debug)]
struct Convolution {
    affine: Affine,
    shape: TimeConvolution,
}

/// Rows of weights with a bias each.
#[derive(Clone, Debug)]
struct Affine {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl VoiceActivity {
    /// Takes the published parameters.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
    pub fn load(weights: &Weights) -> Result<Self, WeightsError> {
        weights.expect_architecture(NAME)?;
        let mut parameters = Parameters::new(weights);
        let transform = parameters.values(TRANSFORM, &[2 * FREQUENCIES, 1, WINDOW])?;
        let mut affine = |weight: &str, bias: &str, shape: &[usize]| {
            Ok::<_, WeightsError>(Affine {
                weight: parameters.values(weight, shape)?.to_vec(),
                bias: parameters.values(bias, &shape[..1])?.to_vec(),
            })
        };
        let convolutions = CONVOLUTIONS.into_iter().map(|shape| {
            let [weight, bias] = ["weight", "bias"].map(|part| format!("{}.{part}", shape.name));
            let affine = affine(&weight, &bias, &[shape.outputs, shape.inputs, TAPS])?;
            Ok(Convolution { affine, shape })
        });
        let convolutions = convolutions.collect::<Result<_, WeightsError>>()?;
        let mut gates = |part: &str| {
            let [weight, bias] = ["weight", "bias"].map(|kind| format!("lstm_cell.{kind}_{part}"));
            affine(&weight, &bias, &[4 * UNITS, UNITS])
        };
        let gates = [gates("ih")?, gates("hh")?];
        let output = affine("final_conv.weight", "final_conv.bias", &[1, UNITS, 1])?;
        parameters.finish(NAME)?;
        Ok(Self {
            transform: transform.to_vec(),
            convolutions,
            gates,
            output,
            context: [0.0; CONTEXT],
            hidden: [0.0; UNITS],
            cell: [0.0; UNITS],
        })
    }

    /// Probability that somebody speaks in the next [`VOICE_CHUNK`] samples, mono, [`VOICE_RATE`] a second, -1 to 1. What
    /// is not finite counts as silence.
    pub fn hear(&mut self, samples: &[f32; CHUNK]) -> f32 {
        let mut sound = [0.0; CONTEXT + CHUNK + MIRRORED];
        sound[..CONTEXT].copy_from_slice(&self.context);
        for (place, sample) in sound[CONTEXT..].iter_mut().zip(samples) {
            if sample.is_finite() {
                *place = sample.clamp(-LOUDEST, LOUDEST);
            }
        }
        let end = CONTEXT + CHUNK;
        for mirrored in 0..MIRRORED {
            sound[end + mirrored] = sound[end - 2 - mirrored];
        }
        self.context.copy_from_slice(&sound[end - CONTEXT..end]);
        let mut steps = self.magnitudes(&sound);
        for convolution in &self.convolutions {
            steps = convolution.forward(&steps);
        }
        self.step(&steps[0]);
        let heard = self.hidden.map(|value| value.max(0.0));
        sigmoid(self.output.forward(&heard)[0])
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.context = [0.0; CONTEXT];
        self.hidden = [0.0; UNITS];
        self.cell = [0.0; UNITS];
    }

    /// Strength of each frequency in each window.
    fn magnitudes(&self, sound: &[f32]) -> Vec<Vec<f32>> {
        let (cosines, sines) = self.transform.split_at(FREQUENCIES * WINDOW);
        let strength = |window: &[f32]| {
            let rows = cosines.chunks_exact(WINDOW).zip(sines.chunks_exact(WINDOW));
            let parts = rows.map(|(cosine, sine)| dot(cosine, window).hypot(dot(sine, window)));
            parts.collect()
        };
        sound.windows(WINDOW).step_by(HOP).map(strength).collect()
    }

    /// One step of the LSTM cell, gates in PyTorch's order: input, forget, cell, output.
    fn step(&mut self, input: &[f32]) {
        let [from_input, from_hidden] = &self.gates;
        let mut gates = from_input.forward(input);
        for (gate, part) in gates.iter_mut().zip(from_hidden.forward(&self.hidden)) {
            *gate += part;
        }
        let gate = |kind: usize, unit: usize| gates[kind * UNITS + unit];
        for unit in 0..UNITS {
            let kept = sigmoid(gate(1, unit)) * self.cell[unit];
            self.cell[unit] = kept + sigmoid(gate(0, unit)) * gate(2, unit).tanh();
            self.hidden[unit] = sigmoid(gate(3, unit)) * self.cell[unit].tanh();
        }
    }
}

impl Convolution {
    /// Convolves steps of time, `[inputs]` each, and applies ReLU.
    fn forward(&self, steps: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let TimeConvolution { inputs, stride, .. } = self.shape;
        let at = |middle: usize| {
            let mut seen = vec![0.0; inputs * TAPS];
            for tap in 0..TAPS {
                let step = (middle + tap).checked_sub(1).and_then(|it| steps.get(it));
                for (channel, value) in step.into_iter().flatten().enumerate() {
                    seen[channel * TAPS + tap] = *value;
                }
            }
            let outputs = self.affine.forward(&seen);
            outputs.into_iter().map(|value| value.max(0.0)).collect()
        };
        (0..steps.len()).step_by(stride).map(at).collect()
    }
}

impl Affine {
    fn forward(&self, input: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(input.len()).zip(&self.bias);
        rows.map(|(row, bias)| dot(row, input) + bias).collect()
    }
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}
