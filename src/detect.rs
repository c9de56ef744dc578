//! Finds faces in a frame.
//!
//! A frame is letterboxed into the network's 128-pixel square, so a face must be at least about a tenth of the
//! frame's longer side to be found: meant for a webcam or a portrait, not for a crowd.

mod anchors;
mod blazeface;
mod letterbox;
mod suppression;

use burn::tensor::Device;
use thiserror::Error;

pub use blazeface::{
    ANCHOR_VALUES, ANCHORS, ARCHITECTURE, BlazeFace, INPUT_SIDE, NORMALISATION, canonical_weights,
};

use crate::crop::batch;
use crate::face::{BoundingBox, Detection};
use crate::frame::Frame;
use crate::weights::{Weights, WeightsError};
use letterbox::Letterbox;

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
    network: BlazeFace,
    device: Device,
    threshold: f32,
}

impl FaceDetector {
    /// Puts the network on a device.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] unless these are the weights of [`ARCHITECTURE`], all of them and nothing else.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let network = BlazeFace::load(weights, device)?;
        Ok(Self {
            network,
            device: device.clone(),
            threshold: DEFAULT_THRESHOLD,
        })
    }

    /// Sets the score, in `[0, 1]`, that a face must reach.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
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
        let fitted = letterbox::letterbox(frame, INPUT_SIDE);
        let input = batch(
            std::slice::from_ref(&fitted.picture),
            &NORMALISATION,
            &self.device,
        )
        .expect("one picture is a batch");
        let output = self.network.forward(input).into_data_async().await;
        let values = output.map_err(|error| DetectError::Read {
            reason: error.to_string(),
        })?;
        let values: Vec<f32> = values.try_into_vec().map_err(|error| DetectError::Read {
            reason: error.to_string(),
        })?;
        check_scores(&values)?;
        let candidates = anchors::decode(&values, self.threshold);
        let faces = suppression::suppress(candidates, suppression::SAME_FACE_OVERLAP);
        Ok(faces
            .into_iter()
            .map(|face| in_frame(face, &fitted))
            .collect())
    }
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

fn in_frame(face: Detection, fitted: &Letterbox) -> Detection {
    let BoundingBox {
        x,
        y,
        width,
        height,
    } = face.bounding_box;
    let [left, top] = fitted.to_frame([x, y]);
    let [right, bottom] = fitted.to_frame([x + width, y + height]);
    Detection {
        bounding_box: BoundingBox {
            x: left,
            y: top,
            width: right - left,
            height: bottom - top,
        },
        score: face.score,
        keypoints: face.keypoints.map(|point| fitted.to_frame(point)),
    }
}
