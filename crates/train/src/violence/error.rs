//! Why violence cannot be trained or scored.

use thiserror::Error;

use crate::FitError;
use affectlens::{weights::WeightsError, windowing::WindowError};
use affectlens_data::{ClipFeatureError, FeatureError, ScoreError};

/// Why violence cannot be trained or scored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ViolenceError {
    /// Data, settings or a checkpoint do not fit.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A network's parameters do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Windows do not fit.
    #[error(transparent)]
    Windows(#[from] WindowError),
    /// A feature cannot be kept.
    #[error("video `{video}`: {source}")]
    Feature {
        /// Name of the video.
        video: String,
        /// What does not fit.
        source: FeatureError,
    },
    /// A video has no frames.
    #[error("video `{video}` has no frames, expected at least one")]
    NoFrames {
        /// Name of the video.
        video: String,
    },
    /// Features have another width than the head.
    #[error("video `{video}` has features of {got} values, expected {expected}")]
    Width {
        /// Name of the video.
        video: String,
        /// Values that the head takes.
        expected: usize,
        /// Values that came.
        got: usize,
    },
    /// A head reads a second stream, and the features cannot have one.
    #[error(
        "head `{head}` reads {stream} behind the features of frames, expected more than {second} values a frame, got {got}"
    )]
    SecondStream {
        /// Name of the kind of head.
        head: &'static str,
        /// The second stream.
        stream: &'static str,
        /// Its values a frame.
        second: usize,
        /// Values that came.
        got: usize,
    },
    /// A head reads features of every frame, and there are those of clips.
    #[error(
        "head `{head}` reads features of single frames, got those of a network over clips; expected a head such as \
         `bilstm-conv` or `conv1d`"
    )]
    SingleFrames {
        /// Name of the kind of head.
        head: &'static str,
    },
    /// Clips have another length than the network over clips looks at.
    #[error("clips have {got} frames, `{backbone}` looks at {expected} at a time")]
    ClipLength {
        /// Name of the network.
        backbone: &'static str,
        /// Frames that it looks at.
        expected: usize,
        /// Frames of the recipe's clips.
        got: usize,
    },
    /// A clip has no features.
    #[error(transparent)]
    Features(#[from] ClipFeatureError),
    /// Frames of a clip cannot be read or do not fit.
    #[error("frames of a clip: {0}")]
    Frames(String),
    /// Windows are longer than the head takes.
    #[error(transparent)]
    Score(#[from] ScoreError),
}
