//! Face detection with MediaPipe's BlazeFace.
//!
//! A frame is letterboxed into the network's square, so a face must have some size there to be detected. With the short
//! range, a square of 128 pixels, it must measure at least about a tenth of the frame's longer side: suited to webcams and
//! portraits, not to crowds. The full range, a square of 192 pixels, finds smaller ones.

mod anchors;
mod blazeface;
mod gpu;
mod letterbox;
mod search;
mod suppression;
mod view;

use std::borrow::Cow;

use burn::tensor::Tensor;
use thiserror::Error;

pub(crate) use anchors::{centres_of, decode_anchor};
pub use blazeface::{
    ANCHOR_VALUES, ANCHORS, ARCHITECTURE, DetectorRange, INPUT_SIDE, NORMALISATION, plan,
};
pub(crate) use gpu::{FaceCropper, GpuFaces};
pub(crate) use search::FaceSearch;
pub(crate) use suppression::suppress;

use crate::crop::batch;
use crate::device::OpenedDevice;
use crate::face::Detection;
use crate::frame::Frame;
use crate::kernel::{Gpu, Network, read_back};
use crate::weights::{Weights, WeightsError};
use gpu::GpuDetector;
use view::View;

/// Default score of a face, in `[0, 1]`, from which the short range reports it; see [`FaceDetector::with_threshold`].
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
    range: DetectorRange,
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
    /// [`WeightsError`] unless the weights are those of a [`DetectorRange`], complete and without further parameters.
    pub fn load<'a>(
        weights: impl Into<Cow<'a, Weights>>,
        device: &OpenedDevice,
    ) -> Result<Self, WeightsError> {
        let weights = weights.into();
        let range = DetectorRange::of(&weights)?;
        let detector = Self {
            range,
            network: Network::build(plan(weights)?, device).map_err(WeightsError::Network)?,
            device: device.clone(),
            threshold: range.default_threshold(),
            gpu: None,
        };
        Ok(detector.with_threshold(range.default_threshold()))
    }

    /// The faces that the network is made for.
    pub fn range(&self) -> DetectorRange {
        self.range
    }

    /// Sets the score of a face, in `[0, 1]`, from which it is reported.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f32) -> Self {
        self.set_threshold(threshold);
        self
    }

    /// Sets the score of a face, in `[0, 1]`, from which it is reported; a GPU compiles a kernel for it.
    pub fn set_threshold(&mut self, threshold: f32) {
        self.threshold = threshold;
        self.gpu =
            Gpu::of(&self.device.device).map(|gpu| GpuDetector::new(gpu, self.range, threshold));
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
        let whole = View::whole(frame, self.range.input_side());
        let mut faces = self.look(&[whole]).await?;
        Ok(faces.pop().unwrap_or_default())
    }

    /// The faces of each view, best first, in frame pixels; one run of the network, at least one view.
    async fn look(&self, views: &[View]) -> Result<Vec<Vec<Detection>>, DetectError> {
        let pictures: Vec<_> = views.iter().map(|view| view.picture().clone()).collect();
        let input = batch(&pictures, &NORMALISATION, &self.device.device)
            .expect("views of one network have one size");
        let values = read(vec![self.network.forward(input)]).await?;
        let length = self.range.anchors() * ANCHOR_VALUES;
        let faces = views
            .iter()
            .zip(values[0].chunks_exact(length))
            .map(|(view, values)| {
                check_scores(anchors::logits(self.range, values))?;
                let candidates = anchors::decode(self.range, values, self.threshold);
                let faces = suppression::suppress(candidates, suppression::SAME_FACE_OVERLAP);
                Ok(faces.into_iter().map(|face| view.in_frame(face)).collect())
            });
        faces.collect()
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

fn check_scores(logits: impl ExactSizeIterator<Item = f32>) -> Result<(), DetectError> {
    let anchors = logits.len();
    match logits.filter(|logit| !logit.is_finite()).count() {
        0 => Ok(()),
        count => Err(DetectError::NotFinite { count, anchors }),
    }
}
