//! Finds faces in a frame.
//!
//! A frame is letterboxed into the network's 128-pixel square, so a face must be at least about a tenth of the
//! frame's longer side to be found: meant for a webcam or a portrait, not for a crowd.

mod anchors;
mod blazeface;
mod gpu;
mod letterbox;
mod suppression;

use burn::tensor::Tensor;
use thiserror::Error;

pub use blazeface::{ANCHOR_VALUES, ANCHORS, ARCHITECTURE, INPUT_SIDE, NORMALISATION, plan};
pub(crate) use gpu::{FaceCropper, GpuFaces};

use crate::crop::batch;
use crate::device::OpenedDevice;
use crate::face::Detection;
use crate::frame::Frame;
use crate::kernel::{Gpu, Network, read_back};
use crate::weights::{Weights, WeightsError};
use gpu::GpuDetector;

/// Score that a face must reach unless [`FaceDetector::with_threshold`] says otherwise.
pub const DEFAULT_THRESHOLD: f32 = 0.5;

/// Why a frame could not be searched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DetectError {
    /// The device did not hand out the result: it was lost, or a kernel failed.
    #[error("face detector's output cannot be read from the device: {reason}")]
    Read {
        /// What the device said.
        reason: String,
    },
    /// The device handed out numbers that no picture gives.
    #[error("face detector's output is not finite for {count} of {anchors} anchors")]
    NotFinite {
        /// Anchors with such a score.
        count: usize,
        /// Anchors in all.
        anchors: usize,
    },
}

/// Finds faces, and keeps its network on one device.
#[derive(Debug)]
pub struct FaceDetector {
    network: Network,
    device: OpenedDevice,
    threshold: f32,
    gpu: Option<GpuDetector>,
}

impl FaceDetector {
    /// Puts the network on a device.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] unless these are the weights of [`ARCHITECTURE`], all of them and nothing else.
    pub fn load(weights: &Weights, device: &OpenedDevice) -> Result<Self, WeightsError> {
        let detector = Self {
            network: Network::new(&plan(weights)?, device),
            device: device.clone(),
            threshold: DEFAULT_THRESHOLD,
            gpu: None,
        };
        Ok(detector.with_threshold(DEFAULT_THRESHOLD))
    }

    /// Sets the score, in `[0, 1]`, that a face must reach.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self.gpu = Gpu::of(&self.device.device).map(|gpu| GpuDetector::new(gpu, threshold));
        self
    }

    /// Gives the faces in a frame, best score first.
    ///
    /// Boxes and keypoints are in frame pixels and can reach over the border.
    ///
    /// # Errors
    ///
    /// [`DetectError`] if the device fails.
    pub async fn detect(&self, frame: &Frame) -> Result<Vec<Detection>, DetectError> {
        if let Some(faces) = self.find_on_gpu(frame) {
            let values = read(vec![faces.values()]).await?;
            return faces.decode(&values[0]);
        }
        let fitted = letterbox::letterbox(frame, INPUT_SIDE);
        let input = batch(
            std::slice::from_ref(&fitted.picture),
            &NORMALISATION,
            &self.device.device,
        )
        .expect("one picture is a batch");
        let values = read(vec![self.network.forward(input)]).await?;
        check_scores(&values[0])?;
        let candidates = anchors::decode(&values[0], self.threshold);
        let faces = suppression::suppress(candidates, suppression::SAME_FACE_OVERLAP);
        Ok(faces
            .into_iter()
            .map(|face| fitted.fit.in_frame(face))
            .collect())
    }

    /// Finds faces that stay on the GPU until the caller reads them; `None` on the CPU.
    pub(crate) fn find_on_gpu(&self, frame: &Frame) -> Option<GpuFaces> {
        Some(self.gpu.as_ref()?.find(&self.network, frame))
    }
}

async fn read(tensors: Vec<Tensor<2>>) -> Result<Vec<Vec<f32>>, DetectError> {
    read_back(tensors).await.map_err(|error| DetectError::Read {
        reason: error.to_string(),
    })
}

fn check_scores(values: &[f32]) -> Result<(), DetectError> {
    let scores = values
        .chunks_exact(blazeface::ANCHOR_VALUES)
        .map(|anchor| anchor[blazeface::ANCHOR_VALUES - 1]);
    let anchors = scores.len();
    match scores.filter(|score| !score.is_finite()).count() {
        0 => Ok(()),
        count => Err(DetectError::NotFinite { count, anchors }),
    }
}
