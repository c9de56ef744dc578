//! Any one network by itself: numbers in, numbers out, nothing decided about faces.
//!
//! What the benchmarks time, and a way in for those who bring their own crops.

use serde::Serialize;
use thiserror::Error;

use crate::{
    backbone::{self, Facts},
    clip::{ClipConfig, plan_clip},
    detect::{self, DetectorRange},
    device::{DeviceError, OpenedDevice},
    face::Landmarks,
    kernel::{self, Counters, Plan, on_device, read_back},
    landmarks,
    pose::{self, PoseVersion},
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
    #[error("input has {got} values, expected {batch} x 3 x {}{side} x {side}", of_frames(*frames))]
    Input {
        /// Pictures, at least one.
        batch: usize,
        /// Frames of each; one of a picture.
        frames: usize,
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
    /// `embedding`, `logits`, `features`, `anchors`, `boxes`, `scores`, `landmarks`, `presence`, `points` or `heatmaps`.
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
    /// Frames of a clip; one for networks that look at pictures.
    pub frames: usize,
    /// What the values of one picture are, in order.
    pub outputs: Vec<OutputPart>,
}

impl NetworkFacts {
    /// Values of one picture or clip.
    pub fn input_len(&self) -> usize {
        let side = self.side as usize;
        3 * self.frames * side * side
    }
}

fn of_frames(frames: usize) -> String {
    match frames {
        1 => String::new(),
        frames => format!("{frames} x "),
    }
}

/// A network with its weights, on its device.
#[derive(Debug)]
pub struct Network {
    network: kernel::Network,
    device: OpenedDevice,
    facts: NetworkFacts,
    counters: Counters,
}

impl Network {
    /// Puts the network that the weights name on a device.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Weights`] if they do not fit, or name no network.
    pub fn load(weights: Weights, device: OpenedDevice) -> Result<Self, NetworkError> {
        let (plan, facts) = plan(weights)?;
        Ok(Self {
            network: kernel::Network::build(plan, &device).map_err(WeightsError::Network)?,
            device,
            facts,
            counters: Counters::default(),
        })
    }

    /// What the network takes and gives.
    pub fn facts(&self) -> &NetworkFacts {
        &self.facts
    }

    /// What the last [`run`](Self::run) asked of the device.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Threads of a run on the CPU; zero on a GPU.
    pub fn threads(&self) -> usize {
        self.network.threads()
    }

    /// Gives the outputs of each picture after the other, and of one picture the parts of
    /// [`NetworkFacts::outputs`] after each other.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, 3, side, side]`, over clips `[batch, 3, frames, side, side]`, RGB, normalised as the weights' metadata
    ///   says
    ///
    /// # Errors
    ///
    /// [`NetworkError::Input`] for another number of values, others if the device fails.
    pub async fn run(&mut self, input: &[f32], batch: usize) -> Result<Vec<f32>, NetworkError> {
        let NetworkFacts {
            name, side, frames, ..
        } = self.facts;
        if batch == 0 || input.len() != batch * self.facts.input_len() {
            return Err(NetworkError::Input {
                batch,
                frames,
                side,
                got: input.len(),
            });
        }
        let before = Counters::of_this_thread();
        let side = side as usize;
        let input = on_device(
            channels_last(input, frames * side * side),
            [batch, frames * side, side, 3],
            &self.device.device,
        );
        let output = read_back(vec![self.network.forward(input)]).await;
        self.counters = Counters::of_this_thread().since(before);
        // A lost device gives numbers too.
        self.device.check()?;
        let mut output = output.map_err(|error| NetworkError::ReadBack {
            name,
            reason: error.to_string(),
        })?;
        Ok(output.remove(0))
    }
}

/// The network that the weights name, and what it gives.
fn plan(weights: Weights) -> Result<(Plan, NetworkFacts), WeightsError> {
    let part = |name, shape: &[usize]| OutputPart {
        name,
        shape: shape.to_vec(),
    };
    if let Ok(range) = DetectorRange::of(&weights) {
        let anchors = range.anchors();
        let facts = NetworkFacts {
            name: range.architecture(),
            side: range.input_side(),
            frames: 1,
            outputs: match range {
                DetectorRange::Short => vec![part("anchors", &[anchors, detect::ANCHOR_VALUES])],
                DetectorRange::Full => vec![
                    part("boxes", &[anchors, detect::ANCHOR_VALUES - 1]),
                    part("scores", &[anchors, 1]),
                ],
            },
        };
        return Ok((detect::plan(weights)?, facts));
    }
    if weights.metadata.architecture == landmarks::MESH_ARCHITECTURE {
        let facts = NetworkFacts {
            name: landmarks::MESH_ARCHITECTURE,
            side: landmarks::MESH_INPUT_SIDE,
            frames: 1,
            outputs: vec![
                part("landmarks", &[Landmarks::COUNT, 3]),
                part("presence", &[1]),
            ],
        };
        return Ok((landmarks::plan(weights)?, facts));
    }
    if weights.metadata.architecture == pose::DETECTOR_ARCHITECTURE {
        let facts = NetworkFacts {
            name: pose::DETECTOR_ARCHITECTURE,
            side: pose::DETECTOR_SIDE,
            frames: 1,
            outputs: vec![
                part("boxes", &[pose::ANCHORS, pose::BOX_VALUES]),
                part("scores", &[pose::ANCHORS, 1]),
            ],
        };
        return Ok((pose::detector_plan(weights)?, facts));
    }
    if let Some(version) = PoseVersion::from_name(&weights.metadata.architecture) {
        let facts = NetworkFacts {
            name: version.name,
            side: pose::LANDMARKS_SIDE,
            frames: 1,
            outputs: vec![
                part("points", &[pose::POINTS, pose::POINT_VALUES]),
                part("presence", &[1]),
                part(
                    "heatmaps",
                    &[pose::HEATMAP_SIDE, pose::HEATMAP_SIDE, pose::POINTS],
                ),
            ],
        };
        return Ok((pose::landmarks_plan(weights)?, facts));
    }
    if let Some(config) = ClipConfig::of_metadata(&weights.metadata)? {
        return plan_over_clips(config, weights);
    }
    let Facts {
        name, input_side, ..
    } = Facts::of_weights(&weights)?;
    let mut planner = Plan::of_input(input_side as usize, input_side as usize, 3);
    let input = planner.input();
    let (embedding, logits) = backbone::plan(weights, &mut planner, input)?;
    let maps: Vec<_> = [embedding].into_iter().chain(logits).collect();
    let outputs = ["embedding", "logits"]
        .into_iter()
        .zip(&maps)
        .map(|(name, map)| part(name, &[planner.shape(*map).len()]))
        .collect();
    let facts = NetworkFacts {
        name,
        side: input_side,
        frames: 1,
        outputs,
    };
    Ok((planner.finish(&maps), facts))
}

fn plan_over_clips(
    config: ClipConfig,
    weights: Weights,
) -> Result<(Plan, NetworkFacts), WeightsError> {
    let plan = plan_clip(config, weights)?;
    let moments = plan.outputs().iter().map(|map| plan.shape(*map).pixels());
    let outputs = vec![OutputPart {
        name: "features",
        shape: vec![moments.sum(), config.width()],
    }];
    let facts = NetworkFacts {
        name: config.name,
        side: config.side,
        frames: config.frames,
        outputs,
    };
    Ok((plan, facts))
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
        let error = Network::load(weights, cpu()).expect_err("not a network for pictures");
        assert!(
            error
                .to_string()
                .starts_with("weights are for architecture `mlp`"),
            "{error}"
        );
    }
}
