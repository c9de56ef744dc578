//! Face detection with MediaPipe's short-range BlazeFace.
//!
//! A frame is letterboxed into the network's 128-pixel square, so a face must measure at least about a tenth of the
//! frame's longer side to be detected: suited to webcams and portraits, not to crowds.

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

/// Default score of a face, in `[0, 1]`, from which it is reported; see [`FaceDetector::with_threshold`].
pub const DEFAULT_THRESHOLD: f32 = 0.5;

/// Error from face detection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DetectError {
    /// The result could not be read from the device: the device was lost, or a kernel failed.
    #[error("face detector's output cannot be read from the device: {reason}")]
    Read {
        /// Message of the device.
        reason: String,
    },
    /// Scores read from the device are not finite, which no picture causes.
    #[error("face detector's output is not finite for {count} of {anchors} anchors")]
    NotFinite {
        /// Number of anchors with a score that is not finite.
        count: usize,
        /// Number of anchors.
        anchors: usize,
    },
}

/// Face detector with its network on one device.
#[derive(Debug)]
pub struct FaceDetector {
    network: Network,
    device: OpenedDevice,
    threshold: f32,
    gpu: Option<GpuDetector>,
}

impl FaceDetector {
    /// Loads the network onto a device.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] unless the weights are those of [`ARCHITECTURE`], complete and without further parameters.
    pub fn load(weights: &Weights, device: &OpenedDevice) -> Result<Self, WeightsError> {
        let detector = Self {
            network: Network::new(&plan(weights)?, device),
            device: device.clone(),
            threshold: DEFAULT_THRESHOLD,
            gpu: None,
        };
        Ok(detector.with_threshold(DEFAULT_THRESHOLD))
    }

    /// Sets the score of a face, in `[0, 1]`, from which it is reported.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self.gpu = Gpu::of(&self.device.device).map(|gpu| GpuDetector::new(gpu, threshold));
        self
    }

    /// Detects the faces in a frame, highest score first.
    ///
    /// Boxes and keypoints are in frame pixels and can extend beyond the frame.
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

    /// Starts detection on the GPU; the faces stay there until the caller reads them. `None` on the CPU.
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
