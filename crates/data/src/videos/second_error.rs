//! Why a second stream cannot be read.

use std::path::PathBuf;

use thiserror::Error;

use crate::{DvdError, EmbedError, EmbedderError, FolderError, SkeletonError};

/// Why the second stream of a video cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecondStreamError {
    /// No folder was given.
    #[error("no folder with {stream} was given")]
    NoFolder {
        /// What is missing.
        stream: &'static str,
    },
    /// A video has no file or folder of its own.
    #[error("video `{video}` has no {stream}: expected `{}`", path.display())]
    Missing {
        /// Name of the video.
        video: String,
        /// What is missing.
        stream: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
    /// A file of skeletons cannot be read.
    #[error(transparent)]
    Skeletons(#[from] SkeletonError),
    /// A folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A folder of pictures cannot be read.
    #[error(transparent)]
    Pictures(#[from] DvdError),
    /// The weights of the backbone for pictures of the optical flow do not fit.
    #[error("optical flow: {0}")]
    Backbone(#[from] EmbedderError),
    /// That backbone gives other features than the heads read.
    #[error(
        "optical flow: backbone `{backbone}` gives {got} numbers a picture, expected {expected}"
    )]
    Width {
        /// Its name.
        backbone: String,
        /// Numbers that the heads read.
        expected: usize,
        /// Numbers that it gives.
        got: usize,
    },
    /// That backbone failed.
    #[error("optical flow: {0}")]
    Embed(#[from] EmbedError),
}
