//! Why a video is passed over.

use std::path::PathBuf;

use thiserror::Error;

use super::second_error::SecondStreamError;
use crate::{EmbedVideoError, ExtractionError, FeatureError};

/// Why one video is skipped.
#[derive(Debug, Error)]
pub(super) enum SkipError {
    #[error("`{}`: {error}", path.display())]
    File {
        path: PathBuf,
        error: EmbedVideoError,
    },
    #[error(transparent)]
    Pictures(#[from] ExtractionError),
    #[error("video `{name}` has no frames")]
    NoFrames { name: String },
    #[error(transparent)]
    Feature(#[from] FeatureError),
    #[error(transparent)]
    Second(#[from] SecondStreamError),
}
