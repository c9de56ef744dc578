//! Multi-layer perceptron (MLP) with one hidden layer: `Linear -> ReLU -> Linear`.
//!
//! The expression classifier of the HSEmotion team at ABAW-10, section 3.1. Names and layout are those of PyTorch's
//! `Sequential(Linear, ReLU, Linear)` with the name `net`.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::linear::{self, Uniform};
use crate::kernel::{Activation, Map, Planner};
use crate::weights::{Metadata, Weights, WeightsError};

/// Architecture in weights files.
const ARCHITECTURE: &str = "mlp";
/// Names of the hidden and the output layer.
const KEYS: [&str; 2] = ["net.0", "net.2"];

/// Sizes of an [`Mlp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpConfig {
    /// Length of the embedding.
    pub inputs: usize,
    /// Number of hidden units.
    pub hidden: usize,
    /// Number of classes.
    pub classes: usize,
}

/// Classifier of embeddings.
#[derive(Module, Debug)]
pub struct Mlp {
    hidden: Linear,
    output: Linear,
}

impl MlpConfig {
    /// Creates a network with random weights, the same for the same seed on every device.
    ///
    /// Weights and biases are uniform in `±1 / sqrt(inputs of the layer)`, PyTorch's default.
    ///
    /// ```
    /// use affectlens::head::MlpConfig;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let mlp = MlpConfig { inputs: 4, hidden: 3, classes: 2 }.init(7, &device);
    /// assert_eq!(mlp.forward(Tensor::zeros([5, 4], &device)).dims(), [5, 2]);
    /// ```
    pub fn init(&self, seed: u64, device: &Device) -> Mlp {
        let mut uniform = Uniform::new(seed);
        Mlp {
            hidden: uniform.linear(self.inputs, self.hidden, device),
            output: uniform.linear(self.hidden, self.classes, device),
        }
    }
}

impl Mlp {
    /// Sizes of the network.
    pub fn config(&self) -> MlpConfig {
        let [inputs, hidden] = self.hidden.weight.dims();
        let [_, classes] = self.output.weight.dims();
        MlpConfig {
            inputs,
            hidden,
            classes,
        }
    }

    /// Loads `net.0` and `net.2`, with the sizes of the weights.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for another architecture, or for a parameter that is missing, unexpected or of the wrong shape.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let MlpConfig {
            inputs,
            hidden,
            classes,
        } = stored_config(weights)?;
        Ok(Self {
            hidden: linear::load(weights, KEYS[0], [hidden, inputs], device)?,
            output: linear::load(weights, KEYS[1], [classes, hidden], device)?,
        })
    }

    /// Sizes of a network in a file.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for another architecture, or for a weight that is missing, unexpected or no matrix.
    pub fn config_of(weights: &Weights) -> Result<MlpConfig, WeightsError> {
        stored_config(weights)
    }

    /// Adds the network to a plan and returns the logits; `embedding` is a feature map of one pixel.
    ///
    /// # Errors
    ///
    /// The errors of [`load`](Self::load), and [`WeightsError::Shape`] if the embedding has another length.
    pub fn plan(
        weights: &Weights,
        planner: &mut Planner,
        embedding: Map,
    ) -> Result<Map, WeightsError> {
        let MlpConfig {
            hidden, classes, ..
        } = stored_config(weights)?;
        let units = linear::plan(
            weights,
            KEYS[0],
            hidden,
            Activation::Relu,
            planner,
            embedding,
        )?;
        linear::plan(
            weights,
            KEYS[1],
            classes,
            Activation::Identity,
            planner,
            units,
        )
    }

    /// Copies the parameters into a table in PyTorch's layout, `[outputs, inputs]`; the metadata names the architecture
    /// only.
    ///
    /// Reads back from the device; in a browser this works for a network on the CPU only.
    pub fn to_weights(&self) -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: ARCHITECTURE.to_owned(),
            ..Metadata::default()
        });
        linear::store(&mut weights, KEYS[0], &self.hidden);
        linear::store(&mut weights, KEYS[1], &self.output);
        weights
    }

    /// Classifies embeddings.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[batch, inputs]`
    /// - output: `[batch, classes]`, before softmax
    pub fn forward(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(embeddings)))
    }

    /// Classifies embeddings for training: embeddings and hidden units are multiplied by dropout, 0 for a dropped number
    /// and `1 / (1 - rate)` for a kept one.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[batch, inputs]`
    /// - dropout: `[batch, inputs]` and `[batch, hidden]`
    /// - output: `[batch, classes]`, before softmax
    pub fn forward_training(
        &self,
        embeddings: Tensor<2>,
        [of_embeddings, of_units]: [Tensor<2>; 2],
    ) -> Tensor<2> {
        let units = relu(self.hidden.forward(embeddings * of_embeddings));
        self.output.forward(units * of_units)
    }
}

/// Sizes of a stored network; the shapes of its parameters are checked when they are read.
fn stored_config(weights: &Weights) -> Result<MlpConfig, WeightsError> {
    linear::expect(weights, ARCHITECTURE, &KEYS, &[])?;
    let [hidden, inputs] = linear::sizes(weights, KEYS[0])?;
    let [classes, _] = linear::sizes(weights, KEYS[1])?;
    Ok(MlpConfig {
        inputs,
        hidden,
        classes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: MlpConfig = MlpConfig {
        inputs: 2,
        hidden: 2,
        classes: 2,
    };

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().expect("f32")
    }

    fn by_hand() -> Weights {
        let mut weights = SMALL.init(0, &Device::flex()).to_weights();
        weights
            .insert("net.0.weight", vec![2, 2], vec![1.0, 2.0, -3.0, 4.0])
            .expect("four values");
        weights
            .insert("net.0.bias", vec![2], vec![0.5, -100.0])
            .expect("two values");
        weights
            .insert("net.2.weight", vec![2, 2], vec![1.0, 10.0, -2.0, 10.0])
            .expect("four values");
        weights
            .insert("net.2.bias", vec![2], vec![0.0, 0.25])
            .expect("two values");
        weights
    }

    #[test]
    fn known_weights_give_known_logits() {
        let device = Device::flex();
        let mlp = Mlp::load(&by_hand(), &device).expect("loads");
        // Hidden: 1*1 + 2*3 + 0.5 = 7.5, and -3 + 12 - 100, which ReLU sets to 0.
        let logits = mlp.forward(Tensor::from_data([[1.0, 3.0]], &device));
        assert_eq!(values(logits), [7.5, -14.75]);
    }

    #[test]
    fn weights_survive_the_round_trip() {
        assert_eq!(
            Mlp::load(&by_hand(), &Device::flex())
                .expect("loads")
                .to_weights(),
            by_hand()
        );
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        let count = |inputs| {
            MlpConfig {
                inputs,
                hidden: 128,
                classes: 8,
            }
            .init(0, &Device::flex())
            .num_params()
        };
        assert_eq!([count(1280), count(768)], [165_000, 99_464]);
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let init = |seed| {
            MlpConfig {
                inputs: 64,
                hidden: 32,
                classes: 4,
            }
            .init(seed, &Device::flex())
            .to_weights()
        };
        assert_eq!(init(3), init(3));
        assert_ne!(init(3), init(4));
        let weights = init(3);
        let weight = &weights.get("net.0.weight").expect("is there").values;
        let bound = 1.0 / 8.0;
        assert!(weight.iter().all(|value| value.abs() <= bound));
        let mean_square =
            weight.iter().map(|value| value * value).sum::<f32>() / weight.len() as f32;
        assert!(
            (mean_square / (bound * bound / 3.0) - 1.0).abs() < 0.1,
            "not uniform: {mean_square}"
        );
    }

    #[test]
    fn every_parameter_learns() {
        let device = Device::flex().autodiff();
        let mlp = MlpConfig {
            inputs: 8,
            hidden: 16,
            classes: 3,
        }
        .init(1, &device);
        let gradients = mlp.forward(Tensor::ones([4, 8], &device)).sum().backward();
        for linear in [&mlp.hidden, &mlp.output] {
            assert!(linear.weight.grad(&gradients).is_some());
            assert!(
                linear
                    .bias
                    .as_ref()
                    .expect("has one")
                    .grad(&gradients)
                    .is_some()
            );
        }
    }

    #[test]
    fn foreign_weights_are_refused() {
        let refusal = |change: fn(&mut Weights)| {
            let mut weights = by_hand();
            change(&mut weights);
            Mlp::load(&weights, &Device::flex())
                .expect_err("must be refused")
                .to_string()
        };
        assert_eq!(
            refusal(|weights| weights.metadata.architecture = "faceres".to_owned()),
            "weights are for architecture `faceres`, expected `mlp`"
        );
        assert_eq!(
            refusal(|weights| weights
                .insert("net.4.bias", vec![0], vec![])
                .expect("empty")),
            "weight `net.4.bias` does not belong to mlp"
        );
        assert_eq!(
            refusal(|weights| weights
                .insert("net.2.weight", vec![2, 1], vec![0.0; 2])
                .expect("two values")),
            "weight `net.2.weight` has shape [2, 1], expected [2, 2]"
        );
        assert_eq!(
            refusal(|weights| weights
                .insert("net.0.weight", vec![0, 2], vec![])
                .expect("empty")),
            "weights file is malformed: `net.0.weight` has shape [0, 2], expected outputs and inputs"
        );
        assert_eq!(
            refusal(|weights| weights
                .insert("net.0.weight", vec![65_537, 1], vec![0.0; 65_537])
                .expect("as many values")),
            "weights file is malformed: `net.0.weight` has 65537 units along an axis, expected 1 to 32768"
        );
        assert!(
            refusal(|weights| _ = weights.remove("net.0.weight"))
                .starts_with("weight `net.0.weight` is missing")
        );
    }
}
