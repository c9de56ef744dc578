//! Any one network by itself: numbers in, numbers out, nothing decided about faces.
//!
//! What the benchmarks time, and a way in for those who bring their own crops.

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use thiserror::Error;

use crate::{
    backbone,
    detect::{self, BlazeFace},
    device::{DeviceError, DeviceKind, OpenedDevice},
    kernel::{self, Counters, Plan, read_back},
    weights::{Weights, WeightsError},
};

/// Why a network gives no numbers.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The weights do not fit the network that they name.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// As many values as `batch` pictures do not have.
    #[error("input has {got} values, expected {batch} x 3 x {side} x {side}")]
    Input {
        /// Pictures, at least one.
        batch: usize,
        /// Side of the network's input, pixels.
        side: u32,
        /// Values that came.
        got: usize,
    },
    /// The device is gone.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The output could not be read from the device.
    #[error("output of {name} cannot be read from the device: {reason}")]
    ReadBack {
        /// Architecture name.
        name: &'static str,
        /// What the device said.
        reason: String,
    },
}

/// What a part of the output holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputPart {
    /// `embedding`, `logits` or `anchors`.
    pub name: &'static str,
    /// Shape for one picture.
    pub shape: Vec<usize>,
}

/// What a network takes and gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkFacts {
    /// Architecture name.
    pub name: &'static str,
    /// Side of the square input, pixels.
    pub side: u32,
    /// What the values of one picture are, in order.
    pub outputs: Vec<OutputPart>,
}

/// What one run asked of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunStats {
    /// Kernels started; `None` on the CPU.
    pub dispatches: Option<u64>,
    /// Times that the host waited for numbers of the GPU; none on the CPU.
    pub read_backs: u64,
    /// Bytes that came with them.
    pub bytes_read_back: u64,
}

/// A network with its weights, on its device.
#[derive(Debug)]
pub struct Network {
    network: kernel::Network,
    device: OpenedDevice,
    facts: NetworkFacts,
    stats: RunStats,
}

impl Network {
    /// Puts the network that the weights name on a device.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Weights`] if they do not fit, or name no network.
    pub fn load(weights: &Weights, device: OpenedDevice) -> Result<Self, NetworkError> {
        let (plan, facts) = plan(weights)?;
        Ok(Self {
            network: kernel::Network::new(&plan, &device),
            device,
            facts,
            stats: RunStats::default(),
        })
    }

    /// What the network takes and gives.
    pub fn facts(&self) -> &NetworkFacts {
        &self.facts
    }

    /// CPU threads of a run, the calling one included; none on a GPU.
    pub fn threads(&self) -> usize {
        self.network.threads()
    }

    /// What the last [`run`](Self::run) asked of the device.
    pub fn stats(&self) -> RunStats {
        self.stats
    }

    /// Gives the outputs of each picture after the other, and of one picture the parts of
    /// [`NetworkFacts::outputs`] after each other.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, side, side]`, RGB, normalised as the weights' metadata says
    ///
    /// # Errors
    ///
    /// [`NetworkError::Input`] for another number of values, others if the device fails.
    pub async fn run(&mut self, input: &[f32], batch: usize) -> Result<Vec<f32>, NetworkError> {
        let NetworkFacts { name, side, .. } = self.facts;
        let pixels = side as usize;
        if batch == 0 || input.len() != batch * 3 * pixels * pixels {
            return Err(NetworkError::Input {
                batch,
                side,
                got: input.len(),
            });
        }
        let before = Counters::of_this_thread();
        let input = channels_last(input, pixels * pixels);
        let input = TensorData::new(input, [batch, pixels, pixels, 3]);
        let input = Tensor::from_data(input, &self.device.device);
        let output = read_back(vec![self.network.forward(input)]).await;
        // A lost device gives numbers too.
        self.device.check()?;
        let output = output.map_err(|error| NetworkError::ReadBack {
            name,
            reason: error.to_string(),
        })?;
        let counted = Counters::of_this_thread().since(before);
        self.stats = RunStats {
            dispatches: (self.device.kind != DeviceKind::Cpu).then_some(counted.dispatches),
            read_backs: counted.read_backs,
            bytes_read_back: counted.bytes_read_back,
        };
        Ok(output.concat())
    }
}

/// The network that the weights name, and what it gives.
fn plan(weights: &Weights) -> Result<(Plan, NetworkFacts), WeightsError> {
    if weights.metadata.architecture == detect::ARCHITECTURE {
        let facts = NetworkFacts {
            name: detect::ARCHITECTURE,
            side: detect::INPUT_SIDE,
            outputs: vec![OutputPart {
                name: "anchors",
                shape: vec![detect::ANCHORS, detect::ANCHOR_VALUES],
            }],
        };
        return Ok((BlazeFace::plan(weights)?, facts));
    }
    let facts = backbone::Facts::of(&weights.metadata.architecture)?;
    let side = facts.input_side as usize;
    let mut planner = Plan::of_input(side, side, 3);
    let input = planner.input();
    let (embedding, logits) = backbone::plan(weights, &mut planner, input)?;
    let maps: Vec<_> = [embedding].into_iter().chain(logits).collect();
    let outputs = ["embedding", "logits"]
        .into_iter()
        .zip(&maps)
        .map(|(name, map)| OutputPart {
            name,
            shape: vec![planner.shape(*map).len()],
        })
        .collect();
    let facts = NetworkFacts {
        name: facts.name,
        side: facts.input_side,
        outputs,
    };
    Ok((planner.finish(&maps), facts))
}

/// `[batch, 3, pixels]` to `[batch, pixels, 3]`.
fn channels_last(values: &[f32], pixels: usize) -> Vec<f32> {
    let mut last = Vec::with_capacity(values.len());
    for picture in values.chunks_exact(3 * pixels) {
        let (red, rest) = picture.split_at(pixels);
        let (green, blue) = rest.split_at(pixels);
        for ((red, green), blue) in red.iter().zip(green).zip(blue) {
            last.extend([red, green, blue]);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::{DeviceChoice, open},
        weights::Metadata,
    };

    fn cpu() -> OpenedDevice {
        pollster::block_on(open(DeviceChoice::Cpu)).expect("every machine has one")
    }

    #[test]
    fn weights_that_name_no_network_are_refused() {
        let weights = Weights::new(Metadata {
            architecture: "mlp".to_owned(),
            ..Metadata::default()
        });
        let error = Network::load(&weights, cpu()).expect_err("not a network for pictures");
        assert!(
            error
                .to_string()
                .starts_with("weights are for architecture `mlp`"),
            "{error}"
        );
    }
}
