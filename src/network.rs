//! Any one network by itself: numbers in, numbers out, nothing decided about faces.
//!
//! What the benchmarks time, and a way in for those who bring their own crops.

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use thiserror::Error;

use crate::{
    backbone::{self, Backbone},
    detect::{self, BlazeFace},
    device::{DeviceError, DeviceKind, OpenedDevice},
    kernel::{self, KernelForm, Plan},
    weights::{Weights, WeightsError},
};

/// Runs well on adapters of every kind.
const FORM: KernelForm = KernelForm {
    workgroup_tiles: false,
    half: false,
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
    /// Kernels launched; `None` where the device does not count them.
    pub dispatches: Option<u32>,
    /// Times that the host waited for numbers of the GPU; none on the CPU.
    pub read_backs: u32,
    /// Bytes that came with them.
    pub bytes_read_back: u64,
}

#[derive(Debug)]
enum Kind {
    Fused(kernel::Network),
    Backbone(Backbone),
    BlazeFace(BlazeFace),
}

/// A network with its weights, on its device.
#[derive(Debug)]
pub struct Network {
    kind: Kind,
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
        let fused = match device.kind {
            DeviceKind::Cpu => None,
            DeviceKind::Vulkan | DeviceKind::WebGpu => {
                kernel::Network::new(&plan, &device.device, FORM)
            }
        };
        let kind = match fused {
            Some(network) => Kind::Fused(network),
            None if facts.name == detect::ARCHITECTURE => {
                Kind::BlazeFace(BlazeFace::load(weights, &device.device)?)
            }
            None => Kind::Backbone(Backbone::load(weights, &device.device)?),
        };
        Ok(Self {
            kind,
            device,
            facts,
            stats: RunStats::default(),
        })
    }

    /// What the network takes and gives.
    pub fn facts(&self) -> &NetworkFacts {
        &self.facts
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
    pub async fn run(&mut self, input: Vec<f32>, batch: usize) -> Result<Vec<f32>, NetworkError> {
        let NetworkFacts { name, side, .. } = self.facts;
        let pixels = side as usize;
        if batch == 0 || input.len() != batch * 3 * pixels * pixels {
            return Err(NetworkError::Input {
                batch,
                side,
                got: input.len(),
            });
        }
        let output = self.forward(input, batch, pixels);
        let read_back = |reason: String| NetworkError::ReadBack { name, reason };
        let output = output.into_data_async().await;
        // A lost device gives numbers too.
        self.device.check()?;
        let output = output.map_err(|error| read_back(error.to_string()))?;
        let values: Vec<f32> = output
            .try_into_vec()
            .map_err(|error| read_back(error.to_string()))?;
        if self.device.kind != DeviceKind::Cpu {
            self.stats = RunStats {
                dispatches: self.dispatches(),
                read_backs: 1,
                bytes_read_back: size_of_val(values.as_slice()) as u64,
            };
        }
        Ok(values)
    }

    /// `[batch, values]`: one tensor, so that it is read back at once.
    fn forward(&self, input: Vec<f32>, batch: usize, side: usize) -> Tensor<2> {
        let device = &self.device.device;
        let channels_first = [batch, 3, side, side];
        match &self.kind {
            Kind::Fused(network) => {
                let input = channels_last(&input, side * side);
                let input = TensorData::new(input, [batch, side, side, 3]);
                network.forward(Tensor::from_data(input, device))
            }
            Kind::BlazeFace(network) => {
                let input = TensorData::new(input, channels_first);
                let anchors = network.forward(Tensor::from_data(input, device));
                anchors.flatten(1, 2)
            }
            Kind::Backbone(network) => {
                let input = TensorData::new(input, channels_first);
                let embedded = network.forward(Tensor::from_data(input, device));
                match embedded.logits {
                    Some(logits) => Tensor::cat(vec![embedded.embedding, logits], 1),
                    None => embedded.embedding,
                }
            }
        }
    }

    fn dispatches(&self) -> Option<u32> {
        match &self.kind {
            Kind::Fused(network) => u32::try_from(network.dispatches()).ok(),
            Kind::Backbone(_) | Kind::BlazeFace(_) => None,
        }
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
    let (name, side) = backbone::input_of(&weights.metadata.architecture)?;
    let mut planner = Plan::of_input(side as usize, side as usize, 3);
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
        name,
        side,
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
