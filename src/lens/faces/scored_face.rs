//! A face of one frame on its way through the networks.

use super::FaceScores;
use crate::face::{Detection, Landmarks};

/// Faces in one run of a network, at most: each needs some megabytes.
pub(super) const MOST_TOGETHER: usize = 16;

/// A face that was found in a frame, and its scores.
pub(super) struct ScoredFace {
    pub(super) detection: Detection,
    pub(super) scores: FaceScores,
    /// What the mesh sees there, if it has looked.
    pub(super) landmarks: Option<Landmarks>,
    /// Whether the mesh sees a face, where it has looked.
    pub(super) look: Option<bool>,
}

impl ScoredFace {
    /// A face that nothing has looked at yet.
    pub(super) fn new(detection: Detection) -> Self {
        Self {
            detection,
            scores: FaceScores::default(),
            landmarks: None,
            look: None,
        }
    }
}
