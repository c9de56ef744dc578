//! Valence and arousal from the outputs of a backbone: `Linear -> tanh`, or with a hidden layer
//! `Linear -> ReLU -> Linear -> tanh`.
//!
//! The regression head of the HSEmotion team at ABAW-10 (section 3.2), whose inputs are the ten outputs of MT-DDAMFN;
//! the notebook adds the tanh. Names are PyTorch's: `fc` for a single layer, `net.0` and `net.2` of a `Sequential` for
//! two.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::linear::{self, Uniform};
use crate::kernel::{Activation, Map, Planner};
use crate::weights::{Metadata, Weights, WeightsError};

const ARCHITECTURE: &str = "valence-arousal";
const SINGLE: &str = "fc";
const HIDDEN: [&str; 2] = ["net.0", "net.2"];
/// Number of outputs: valence, arousal.
const OUTPUTS: usize = 2;

/// Sizes of a [`ValenceArousal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValenceArousalConfig {
    /// Length of the input.
    pub inputs: usize,
    /// Number of hidden units; `None` for the published single layer.
    pub hidden: Option<usize>,
}

/// Regression head for valence and arousal.
#[derive(Module, Debug)]
pub struct ValenceArousal {
    hidden: Option<Linear>,
    output: Linear,
}

impl ValenceArousalConfig {
    /// Creates a network with random weights, the same for the same seed on every device; PyTorch's default
    /// distribution.
    pub fn init(&self, seed: u64, device: &Device) -> ValenceArousal {
        let mut uniform = Uniform::new(seed);
        let hidden = self
            .hidden
            .map(|hidden| uniform.linear(self.inputs, hidden, device));
        let output = uniform.linear(self.hidden.unwrap_or(self.inputs), OUTPUTS, device);
        ValenceArousal { hidden, output }
    }
}

impl ValenceArousal {
    /// Loads `fc`, or `net.0` and `net.2`, with the sizes of the weights.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for another architecture, or for a parameter that is missing, unexpected or of the wrong shape.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        Ok(match stored_hidden(weights)? {
            None => Self {
                hidden: None,
                output: linear::load(
                    weights,
                    SINGLE,
                    [OUTPUTS, linear::sizes(weights, SINGLE)?[1]],
                    device,
                )?,
            },
            Some(sizes) => Self {
                hidden: Some(linear::load(weights, HIDDEN[0], sizes, device)?),
                output: linear::load(weights, HIDDEN[1], [OUTPUTS, sizes[0]], device)?,
            },
        })
    }

    /// Adds the network to a plan and returns valence and arousal **before** the tanh, which the caller applies after
    /// reading back ([`f32::tanh`]); `scores` is a feature map of one pixel.
    ///
    /// # Errors
    ///
    /// The errors of [`load`](Self::load), and [`WeightsError::Shape`] if the input has another length.
    pub fn plan(
        weights: &Weights,
        planner: &mut Planner,
        scores: Map,
    ) -> Result<Map, WeightsError> {
        let output = |key, planner: &mut Planner, input| {
            linear::plan(weights, key, OUTPUTS, Activation::Identity, planner, input)
        };
        let Some([hidden, _]) = stored_hidden(weights)? else {
            return output(SINGLE, planner, scores);
        };
        let units = linear::plan(
            weights,
            HIDDEN[0],
            hidden,
            Activation::Relu,
            planner,
            scores,
        )?;
        output(HIDDEN[1], planner, units)
    }

    /// Copies the parameters into a table in PyTorch's layout; the metadata names the architecture only.
    ///
    /// Reads back from the device; in a browser this works for a network on the CPU only.
    pub fn to_weights(&self) -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: ARCHITECTURE.to_owned(),
            ..Metadata::default()
        });
        match &self.hidden {
            None => linear::store(&mut weights, SINGLE, &self.output),
            Some(hidden) => {
                linear::store(&mut weights, HIDDEN[0], hidden);
                linear::store(&mut weights, HIDDEN[1], &self.output);
            }
        }
        weights
    }

    /// Predicts valence and arousal.
    ///
    /// # Shapes
    ///
    /// - scores: `[batch, inputs]`
    /// - output: `[batch, 2]`, valence and arousal in `(-1, 1)`
    pub fn forward(&self, scores: Tensor<2>) -> Tensor<2> {
        let units = match &self.hidden {
            None => scores,
            Some(hidden) => relu(hidden.forward(scores)),
        };
        self.output.forward(units).tanh()
    }
}

/// Sizes of the stored hidden layer, outputs and inputs; `None` without a hidden layer.
fn stored_hidden(weights: &Weights) -> Result<Option<[usize; 2]>, WeightsError> {
    let is_hidden = weights.iter().any(|(name, _)| name.starts_with("net."));
    let keys: &[&str] = if is_hidden { &HIDDEN } else { &[SINGLE] };
    linear::expect(weights, ARCHITECTURE, keys, &[])?;
    is_hidden
        .then(|| linear::sizes(weights, HIDDEN[0]))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{device::OpenedDevice, kernel::Network, kernel::Plan};

    fn table(hidden: Option<usize>) -> Weights {
        ValenceArousalConfig { inputs: 10, hidden }
            .init(3, &Device::flex())
            .to_weights()
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        for (hidden, expected) in [(None, 22), (Some(128), 1_666)] {
            let network = ValenceArousal::load(&table(hidden), &Device::flex()).expect("loads");
            assert_eq!(network.num_params(), expected);
            assert_eq!(network.to_weights(), table(hidden), "the round trip");
        }
    }

    #[test]
    fn plan_gives_valence_and_arousal_before_the_tanh() {
        let rows = [[0.3_f32, -2.0, 1.5, 0.0, 4.0, -1.0, 0.2, 0.1, 0.7, -0.4]];
        for hidden in [None, Some(5)] {
            let weights = table(hidden);
            let network = ValenceArousal::load(&weights, &Device::flex()).expect("loads");
            let expected: Vec<f32> = network
                .forward(Tensor::from_data(rows, &Device::flex()))
                .into_data()
                .try_into_vec()
                .expect("f32");
            let mut planner = Plan::of_input(1, 1, 10);
            let input = planner.input();
            let output = ValenceArousal::plan(&weights, &mut planner, input).expect("fits");
            let planned = Network::new(planner.finish(&[output]), &OpenedDevice::cpu())
                .forward(Tensor::<2>::from_data(rows, &Device::flex()).reshape([1, 1, 1, 10]));
            let planned: Vec<f32> = planned.into_data().try_into_vec().expect("f32");
            for (planned, expected) in planned.iter().zip(&expected) {
                assert!(
                    (planned.tanh() - expected).abs() < 1e-6,
                    "{planned}, expected {expected}"
                );
            }
            let mut planner = Plan::of_input(1, 1, 8);
            let input = planner.input();
            let error =
                ValenceArousal::plan(&weights, &mut planner, input).expect_err("8 inputs for 10");
            assert!(error.to_string().contains("has shape"), "{error}");
        }
    }

    #[test]
    fn foreign_weights_are_refused() {
        let refusal = |change: fn(&mut Weights)| {
            let mut weights = table(None);
            change(&mut weights);
            ValenceArousal::load(&weights, &Device::flex())
                .expect_err("must be refused")
                .to_string()
        };
        assert_eq!(
            refusal(|weights| weights
                .insert("fc.weight", vec![3, 10], vec![0.0; 30])
                .expect("30 values")),
            "weight `fc.weight` has shape [3, 10], expected [2, 10]"
        );
        assert_eq!(
            refusal(|weights| weights
                .insert("net.0.weight", vec![1, 1], vec![0.0])
                .expect("one value")),
            "weight `fc.bias` does not belong to valence-arousal"
        );
        assert!(
            refusal(|weights| _ = weights.remove("fc.bias"))
                .starts_with("weight `fc.bias` is missing")
        );
    }
}
