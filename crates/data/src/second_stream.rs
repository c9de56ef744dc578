//! What models with two inputs read beside the frames of a video: skeleton features or flow pictures, made once and kept.
//!
//! Both are laid out as the published violence systems have them: `<folder>/<video>.npy`, and `<folder>/<video>/<n>.jpg` with
//! a flow picture for each frame. A file or folder appears under its name when it is whole; until then it has another one.

mod flow;
mod frames;
mod listing;
mod skeletons;

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{DvdError, FoldError, FolderError, InputError, SkeletonError, VideoError};
use affectlens::pose::PoseError;

pub use flow::{encode_flow, extract_flow};
pub use frames::FrameSource;
pub use listing::{StreamVideo, clips_of, dvd_videos, named_videos};
pub use skeletons::extract_skeletons;

/// What became of a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extracted {
    /// It was there already.
    Kept,
    /// It was made of so many frames.
    Made {
        /// Number of frames.
        frames: usize,
        /// What the video's decoder complained about, or why it ended early.
        complaint: Option<String>,
    },
}

/// Why a video has no features or flow pictures.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StreamExtractionError {
    /// What was named cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// DVD cannot be read.
    #[error(transparent)]
    Dvd(#[from] DvdError),
    /// Folders of clips cannot be read.
    #[error(transparent)]
    Clips(#[from] FoldError),
    /// A folder cannot be listed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A picture is no video.
    #[error("`{}` is a picture, expected a video or a folder of frames", path.display())]
    Picture {
        /// The picture.
        path: PathBuf,
    },
    /// Two videos would be kept under one name.
    #[error("`{}` and `{}` would both be kept as `{name}`; rename one of them", paths[0].display(), paths[1].display())]
    SameName {
        /// The name.
        name: String,
        /// The videos.
        paths: [PathBuf; 2],
    },
    /// The video cannot be decoded.
    #[error("`{}`: {error}", path.display())]
    Video {
        /// The video.
        path: PathBuf,
        /// What is wrong with it.
        error: VideoError,
    },
    /// The decoder stopped, a disk failed: another time there may be more.
    #[error("video `{name}` could not be read to its end, nothing is kept: {reason}")]
    Interrupted {
        /// Name of the video.
        name: String,
        /// What happened.
        reason: String,
    },
    /// There is nothing to look at.
    #[error("video `{name}` has no frame that can be read{}", complaint.as_ref().map(|it| format!(": {it}")).unwrap_or_default())]
    NoFrames {
        /// Name of the video.
        name: String,
        /// What its decoder said.
        complaint: Option<String>,
    },
    /// The flow pictures that are there are those of other frames.
    #[error("`{}` holds {got} flow pictures, the video has {expected} frames; take the folder away to have it made anew", path.display())]
    OtherFrames {
        /// The folder.
        path: PathBuf,
        /// Number of frames.
        expected: usize,
        /// Number of flow pictures.
        got: usize,
    },
    /// The frames themselves are where the flow pictures belong.
    #[error("`{}` holds the frames of the video, expected another folder for its flow pictures", path.display())]
    Frames {
        /// The folder.
        path: PathBuf,
    },
    /// Skeleton features cannot be kept.
    #[error(transparent)]
    Skeleton(#[from] SkeletonError),
    /// People cannot be looked for.
    #[error(transparent)]
    Pose(#[from] PoseError),
    /// A result cannot be written.
    #[error("`{}`: {error}", path.display())]
    Write {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl StreamExtractionError {
    /// Whether the video is not at fault: what fails for one fails for the next.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Pose(_) | Self::Write { .. } | Self::Skeleton(SkeletonError::Io { .. })
        )
    }
}

/// The error of a file or folder that cannot be written.
fn unwritten(path: &Path, error: io::Error) -> StreamExtractionError {
    StreamExtractionError::Write {
        path: path.to_owned(),
        error,
    }
}

/// Makes the folder that a file or folder belongs in.
fn make_place(path: &Path) -> Result<(), StreamExtractionError> {
    match path.parent() {
        Some(parent) => std::fs::create_dir_all(parent).map_err(|error| unwritten(parent, error)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
