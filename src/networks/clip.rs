//! Networks that turn a clip of frames into features of several moments.

use std::borrow::Cow;

use affectlens_formats::architecture::{Architecture, Classifier};
use burn::tensor::Tensor;
use thiserror::Error;

pub use affectlens_formats::architecture::{CLIP_NAMES, ClipConfig, VideoMaeConfig};

use crate::backbone::plan_network;
use crate::crop::{normalise, resize};
use crate::device::OpenedDevice;
use crate::frame::Frame;
use crate::kernel::{Network, Plan, on_device};
use crate::weights::{Normalisation, Weights, WeightsError};

/// A network over clips with its weights, ready on a device.
#[derive(Debug)]
pub struct ClipBackbone {
    config: ClipConfig,
    normalisation: Normalisation,
    moments: usize,
    device: OpenedDevice,
    network: Network,
}

/// A frame in the size and the numbers that a network over clips reads: made once, however many clips hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipFrame {
    side: u32,
    /// `[side, side, 3]`
    values: Vec<f32>,
}

/// Why frames are no clip.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClipError {
    /// There are more or fewer than the network looks at.
    #[error("clip has {got} frames, `{name}` looks at {expected} at a time")]
    Frames {
        /// Name of the network.
        name: &'static str,
        /// Frames of its clips.
        expected: usize,
        /// Frames that there are.
        got: usize,
    },
    /// A frame has another size.
    #[error("frame {index} of the clip has {} x {} pixels, `{name}` expects {expected} x {expected}", got[0], got[1])]
    Side {
        /// Name of the network.
        name: &'static str,
        /// Number of the frame, from 0.
        index: usize,
        /// Side of the network's input, pixels.
        expected: u32,
        /// Width and height of the frame, pixels.
        got: [u32; 2],
    },
}

impl ClipBackbone {
    /// Builds the network that the metadata names.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a name that is not in [`CLIP_NAMES`]; [`WeightsError::Malformed`] for a network of
    /// another input side, or with a classifier; other [`WeightsError`]s for a missing, misshapen or unexpected parameter.
    pub fn load<'a>(
        weights: impl Into<Cow<'a, Weights>>,
        device: &OpenedDevice,
    ) -> Result<Self, WeightsError> {
        let weights = weights.into();
        let name = &weights.metadata.architecture;
        let config = ClipConfig::of_metadata(&weights.metadata)?;
        let config = config.ok_or_else(|| WeightsError::Architecture {
            expected: CLIP_NAMES.join("`, `"),
            got: name.clone(),
        })?;
        let malformed = |reason| WeightsError::Malformed {
            format: "weights",
            reason,
        };
        match weights.metadata.input_side {
            Some(side) if side != config.side => {
                let expected = config.side;
                return Err(malformed(format!(
                    "input side is {side}, expected {expected} pixels"
                )));
            }
            _ => {}
        }
        if weights.get(Classifier::WEIGHT).is_some() {
            let weight = Classifier::WEIGHT;
            return Err(malformed(format!(
                "`{weight}` gives classes, expected the layers of {name} that give features alone"
            )));
        }
        Self::of_size(config, weights, device)
    }

    /// Builds a network for clips of another size than its published one: more or fewer frames, or another side.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a missing, misshapen or unexpected parameter, or a size that the device has no memory for.
    ///
    /// # Panics
    ///
    /// If clips are so small that a layer sees nothing.
    pub fn of_size<'a>(
        config: ClipConfig,
        weights: impl Into<Cow<'a, Weights>>,
        device: &OpenedDevice,
    ) -> Result<Self, WeightsError> {
        let facts = Architecture::Clip(config).facts();
        let facts = facts.expect("a network over clips has facts");
        let plan = plan_clip(config, weights)?;
        let moments = plan.outputs().iter().map(|map| plan.shape(*map).pixels());
        Ok(Self {
            config,
            normalisation: facts.normalisation,
            moments: moments.sum(),
            device: device.clone(),
            network: Network::build(plan, device).map_err(WeightsError::Network)?,
        })
    }

    /// Name, frames and side of the clips, and features of a moment.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// Moments of a clip that there are features of, at equal distances.
    pub fn moments(&self) -> usize {
        self.moments
    }

    /// What carries the network out.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Squashes a frame to the size of the input, and normalises it.
    pub fn prepare(&self, frame: &Frame) -> ClipFrame {
        let side = self.config.side;
        ClipFrame {
            side,
            values: normalise(&resize(frame, side), &self.normalisation),
        }
    }

    /// Normalises the frames of a clip, which have the size of the input already.
    ///
    /// # Errors
    ///
    /// [`ClipError`] for another number of frames, or a frame of another size.
    pub fn prepare_clip(&self, frames: &[Frame]) -> Result<Vec<ClipFrame>, ClipError> {
        let ClipConfig { name, side, .. } = self.config;
        self.expect_frames(frames.len())?;
        let sizes = frames.iter().map(|frame| [frame.width(), frame.height()]);
        if let Some((index, got)) = sizes.enumerate().find(|(_, size)| *size != [side; 2]) {
            return Err(ClipError::Side {
                name,
                index,
                expected: side,
                got,
            });
        }
        Ok(frames.iter().map(|frame| self.prepare(frame)).collect())
    }

    /// Gives the features of the moments of a clip, before any interpolation to its frames.
    ///
    /// # Shapes
    ///
    /// - output: `[1, moments * width]`, a moment after the other
    ///
    /// # Errors
    ///
    /// [`ClipError`] for another number of frames, or a frame that was prepared for another size.
    pub fn embed(&self, frames: &[&ClipFrame]) -> Result<Tensor<2>, ClipError> {
        let ClipConfig { name, side, .. } = self.config;
        self.expect_frames(frames.len())?;
        if let Some(index) = frames.iter().position(|frame| frame.side != side) {
            return Err(ClipError::Side {
                name,
                index,
                expected: side,
                got: [frames[index].side; 2],
            });
        }
        let mut values = Vec::with_capacity(frames.len() * frames[0].values.len());
        for frame in frames {
            values.extend_from_slice(&frame.values);
        }
        let side = side as usize;
        let shape = [1, frames.len() * side, side, 3];
        let clip = on_device(values, shape, &self.device.device);
        Ok(self.network.forward(clip))
    }

    /// Gives the features of clips.
    ///
    /// # Shapes
    ///
    /// - clips: `[batch, frames * side, side, 3]`, frames below each other, RGB, normalised
    /// - output: `[batch, moments, width]`
    ///
    /// # Panics
    ///
    /// If the clips have another shape.
    pub fn forward(&self, clips: Tensor<4>) -> Tensor<3> {
        let features = self.network.forward(clips);
        let [batch, _] = features.dims();
        features.reshape([batch, self.moments, self.config.width()])
    }

    fn expect_frames(&self, got: usize) -> Result<(), ClipError> {
        match self.config.frames {
            expected if expected != got => Err(ClipError::Frames {
                name: self.config.name,
                expected,
                got,
            }),
            _ => Ok(()),
        }
    }
}

/// A network as a plan whose output are the features of the moments.
///
/// # Errors
///
/// As [`ClipBackbone::of_size`].
pub(crate) fn plan_clip<'a>(
    config: ClipConfig,
    weights: impl Into<Cow<'a, Weights>>,
) -> Result<Plan, WeightsError> {
    let side = config.side as usize;
    let mut planner = Plan::of_input(config.frames * side, side, 3);
    let clip = planner.input();
    let maps = plan_network(Architecture::Clip(config), weights, &mut planner, clip)?;
    Ok(planner.finish(&maps))
}
