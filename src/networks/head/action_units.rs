//! Action units from two outputs of a backbone: `Linear -> batch norm -> ReLU -> Linear` over the embedding, and one
//! linear layer over the expression logits.
//!
//! The two classifiers of the HSEmotion team at ABAW-10 (section 3.2), in one weights file. Their scores are averaged
//! after reading back, see [`ActionUnitSettings`](crate::calibration::ActionUnitSettings).

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::batch_norm::{self, EPSILON};
use super::linear::{self, Uniform};
use crate::kernel::{Activation, Map, Planner, Weighted};
use crate::weights::{Metadata, Weights, WeightsError};

const ARCHITECTURE: &str = "action-units";
const FC1: &str = "embedding.fc1";
const BN1: &str = "embedding.bn1";
const FC2: &str = "embedding.fc2";
const LOGITS: &str = "logits.fc";
const LAYERS: [&str; 4] = [FC1, BN1, FC2, LOGITS];
const RUNNING: [&str; 2] = ["embedding.bn1.running_mean", "embedding.bn1.running_var"];

/// Sizes of an [`ActionUnits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionUnitsConfig {
    /// Length of the embedding.
    pub embedding: usize,
    /// Number of hidden units of the embedding network.
    pub hidden: usize,
    /// Number of expression logits of the backbone.
    pub logits: usize,
    /// Number of action units.
    pub units: usize,
}

/// Classifiers of action units.
#[derive(Module, Debug)]
pub struct ActionUnits {
    /// Network over the embedding.
    pub embedding: EmbeddingNetwork,
    /// Network over the expression logits.
    pub logits: LogitsNetwork,
}

/// Network over the embedding: `Linear -> batch norm -> ReLU -> Linear`.
#[derive(Module, Debug)]
pub struct EmbeddingNetwork {
    fc1: Linear,
    bn1: BatchNorm,
    fc2: Linear,
}

/// Network over the expression logits: one linear layer.
#[derive(Module, Debug)]
pub struct LogitsNetwork {
    fc: Linear,
}

impl Default for ActionUnitsConfig {
    /// Published sizes: 256 hidden units, 8 expressions, 12 action units, EmotiEffNet-B0's 1280-d embedding.
    fn default() -> Self {
        Self {
            embedding: 1280,
            hidden: 256,
            logits: 8,
            units: 12,
        }
    }
}

impl ActionUnitsConfig {
    /// Creates networks with random weights, the same for the same seed on every device; PyTorch's default
    /// distributions.
    pub fn init(&self, seed: u64, device: &Device) -> ActionUnits {
        let mut uniform = Uniform::new(seed);
        ActionUnits {
            embedding: EmbeddingNetwork {
                fc1: uniform.linear(self.embedding, self.hidden, device),
                bn1: BatchNormConfig::new(self.hidden).init(device),
                fc2: uniform.linear(self.hidden, self.units, device),
            },
            logits: LogitsNetwork {
                fc: uniform.linear(self.logits, self.units, device),
            },
        }
    }
}

impl ActionUnits {
    /// Loads `embedding.fc1`, `embedding.bn1`, `embedding.fc2` and `logits.fc`, with the sizes of the weights.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for another architecture, or for a parameter that is missing, unexpected, of the wrong shape or
    /// of an invalid value.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let ActionUnitsConfig {
            embedding,
            hidden,
            logits,
            units,
        } = stored_config(weights)?;
        let fc1 = linear::load(weights, FC1, [hidden, embedding], device)?;
        let bn1 = batch_norm::load(weights, BN1, hidden, device)?;
        Ok(Self {
            embedding: EmbeddingNetwork {
                fc1,
                bn1,
                fc2: linear::load(weights, FC2, [units, hidden], device)?,
            },
            logits: LogitsNetwork {
                fc: linear::load(weights, LOGITS, [units, logits], device)?,
            },
        })
    }

    /// Adds both networks to a plan, with batch norm folded; returns the outputs of the embedding network and of the
    /// logits network. `embedding` and `logits` are feature maps of one pixel.
    ///
    /// # Errors
    ///
    /// The errors of [`load`](Self::load), and [`WeightsError::Shape`] if an input has another length.
    pub fn plan(
        weights: &Weights,
        planner: &mut Planner,
        embedding: Map,
        logits: Map,
    ) -> Result<[Map; 2], WeightsError> {
        let ActionUnitsConfig { hidden, units, .. } = stored_config(weights)?;
        let inputs = planner.shape(embedding).channels;
        let mut weight = weights
            .values(&format!("{FC1}.weight"), &[hidden, inputs])?
            .to_vec();
        let mut bias = weights.values(&format!("{FC1}.bias"), &[hidden])?.to_vec();
        let [gamma, beta, mean, variance] = batch_norm::values(weights, BN1, hidden)?;
        for unit in 0..hidden {
            let scale = gamma[unit] / (variance[unit] + EPSILON).sqrt();
            bias[unit] = (bias[unit] - mean[unit]) * scale + beta[unit];
            for weight in &mut weight[unit * inputs..][..inputs] {
                *weight *= scale;
            }
        }
        let folded = Weighted::from_outputs_first(&weight, &bias, 1, Activation::Relu);
        let hidden = planner.pointwise(embedding, folded);
        let mut output =
            |key, input| linear::plan(weights, key, units, Activation::Identity, planner, input);
        Ok([output(FC2, hidden)?, output(LOGITS, logits)?])
    }

    /// Copies the parameters into a table in PyTorch's layout; the metadata names the architecture only.
    ///
    /// Reads back from the device; in a browser this works for a network on the CPU only.
    pub fn to_weights(&self) -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: ARCHITECTURE.to_owned(),
            ..Metadata::default()
        });
        let EmbeddingNetwork { fc1, bn1, fc2 } = &self.embedding;
        for (key, layer) in [(FC1, fc1), (FC2, fc2), (LOGITS, &self.logits.fc)] {
            linear::store(&mut weights, key, layer);
        }
        batch_norm::store(&mut weights, BN1, bn1);
        weights
    }
}

impl EmbeddingNetwork {
    /// Computes the logits of the action units, with the running statistics of batch norm.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[batch, embedding]`
    /// - output: `[batch, units]`, before the sigmoid
    pub fn forward(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let units = batch_norm::forward(&self.bn1, self.fc1.forward(embeddings));
        self.fc2.forward(relu(units))
    }

    /// Computes the logits for training: batch norm uses the statistics of the batch and updates the running
    /// statistics, and hidden units are multiplied by `dropout`.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[batch, embedding]`, a batch of at least 2
    /// - dropout: `[batch, hidden]`, 0 for a dropped unit and `1 / (1 - rate)` for a kept one
    /// - output: `[batch, units]`, before the sigmoid
    pub fn forward_training(&self, embeddings: Tensor<2>, dropout: Tensor<2>) -> Tensor<2> {
        let units = batch_norm::forward_training(&self.bn1, self.fc1.forward(embeddings));
        self.fc2.forward(relu(units) * dropout)
    }

    /// Number of hidden units.
    pub fn hidden(&self) -> usize {
        self.fc1.weight.dims()[1]
    }
}

impl LogitsNetwork {
    /// Computes the logits of the action units.
    ///
    /// # Shapes
    ///
    /// - logits: `[batch, logits]`, expressions in the backbone's order
    /// - output: `[batch, units]`, before the sigmoid
    pub fn forward(&self, logits: Tensor<2>) -> Tensor<2> {
        self.fc.forward(logits)
    }
}

/// Sizes of the stored networks; the shapes of their parameters are checked when they are read.
fn stored_config(weights: &Weights) -> Result<ActionUnitsConfig, WeightsError> {
    linear::expect(weights, ARCHITECTURE, &LAYERS, &RUNNING)?;
    let [hidden, embedding] = linear::sizes(weights, FC1)?;
    let [units, logits] = linear::sizes(weights, LOGITS)?;
    Ok(ActionUnitsConfig {
        embedding,
        hidden,
        logits,
        units,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{device::OpenedDevice, kernel::Network, kernel::Plan};

    const SMALL: ActionUnitsConfig = ActionUnitsConfig {
        embedding: 6,
        hidden: 5,
        logits: 6,
        units: 3,
    };

    /// Weights with a batch norm that is not the identity.
    fn table() -> Weights {
        let mut weights = SMALL.init(1, &Device::flex()).to_weights();
        for (name, values) in batch_norm::NAMES.into_iter().zip([
            [1.0, -0.5, 2.0, 0.3, 1.5],
            [0.1, 0.2, -0.3, 0.4, 0.0],
            [0.5, -0.1, 0.0, 0.3, -0.2],
            [0.5, 2.0, 0.1, 1.0, 0.0],
        ]) {
            weights
                .insert(format!("{BN1}.{name}"), vec![5], values.to_vec())
                .expect("five values");
        }
        weights
    }

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_into_vec().expect("f32")
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        let weights = ActionUnitsConfig::default()
            .init(0, &Device::flex())
            .to_weights();
        let count = |part: &str| -> usize {
            weights
                .iter()
                .filter(|(name, _)| name.starts_with(part) && !name.contains("running"))
                .map(|(_, tensor)| tensor.values.len())
                .sum()
        };
        assert_eq!([count("embedding."), count("logits.")], [331_532, 108]);
    }

    #[test]
    fn weights_survive_the_round_trip() {
        let networks = ActionUnits::load(&table(), &Device::flex()).expect("loads");
        assert_eq!(networks.to_weights(), table());
    }

    #[test]
    fn folded_networks_agree_with_the_plain_ones() {
        /// A variance of 0 scales one unit by 316.
        const TOLERANCE: f32 = 1e-4;
        let rows = [[0.3_f32, -2.0, 1.5, 0.0, 4.0, -1.0], [1.0; 6]];
        let weights = table();
        let networks = ActionUnits::load(&weights, &Device::flex()).expect("loads");
        let input = Tensor::<2>::from_data(rows, &Device::flex());
        let expected = [
            networks.embedding.forward(input.clone()),
            networks.logits.forward(input.clone()),
        ];
        let expected = values(Tensor::cat(expected.to_vec(), 1));
        let mut planner = Plan::of_input(1, 1, 6);
        let map = planner.input();
        let outputs = ActionUnits::plan(&weights, &mut planner, map, map).expect("fits");
        let planned = Network::new(planner.finish(&outputs), &OpenedDevice::cpu())
            .forward(input.reshape([2, 1, 1, 6]));
        for (planned, expected) in values(planned).iter().zip(&expected) {
            assert!(
                (planned - expected).abs() < TOLERANCE * expected.abs().max(1.0),
                "{planned}, expected {expected}"
            );
        }
    }

    #[test]
    fn foreign_weights_are_refused() {
        let refusal = |change: fn(&mut Weights)| {
            let mut weights = table();
            change(&mut weights);
            let mut planner = Plan::of_input(1, 1, 6);
            let map = planner.input();
            let planned = ActionUnits::plan(&weights, &mut planner, map, map)
                .expect_err("must be refused")
                .to_string();
            let loaded = ActionUnits::load(&weights, &Device::flex()).expect_err("must be refused");
            assert_eq!(loaded.to_string(), planned);
            planned
        };
        assert_eq!(
            refusal(|weights| weights
                .insert("embedding.bn1.running_var", vec![5], vec![-1.0; 5])
                .expect("five values")),
            "weights file is malformed: `embedding.bn1.running_var` has -1, expected at least 0"
        );
        assert_eq!(
            refusal(|weights| weights
                .insert("embedding.fc2.bias", vec![2], vec![0.0; 2])
                .expect("two values")),
            "weight `embedding.fc2.bias` has shape [2], expected [3]"
        );
        assert!(
            refusal(|weights| _ = weights.remove("embedding.fc1.weight"))
                .starts_with("weight `embedding.fc1.weight` is missing")
        );
        assert_eq!(
            refusal(|weights| weights.insert("fc.bias", vec![0], vec![]).expect("empty")),
            "weight `fc.bias` does not belong to action-units"
        );
    }
}
