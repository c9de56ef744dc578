//! Embeddings of pictures and videos, computed once and kept.

mod cache;
mod clips;
mod expressions;
mod file;
mod pictures;
mod sound;
mod video;

use std::path::PathBuf;

use thiserror::Error;

use crate::FeatureError;
use affectlens::{crop::CropError, device::DeviceError, frame::Frame};

pub use cache::EmbeddingCache;
pub use clips::KeptClips;
pub use expressions::HeardExpressions;
pub use pictures::{EmbeddedPictures, Failure, extract_embeddings, extract_video};
pub use sound::{
    BLOCK_SECONDS, EmbedSound, EmbedSoundError, EmbeddedSound, SoundEmbedder, extract_sound,
};
pub use video::{EmbeddedVideo, extract_video_file};

/// A network that gives a row of numbers for each picture.
pub trait Embed {
    /// Brings a picture to the size of the network's input.
    ///
    /// Pictures are prepared one by one as they are decoded: a batch of large ones is never in memory as a whole.
    fn prepare(&self, picture: &Frame) -> Frame;

    /// One row for each prepared picture, in order.
    ///
    /// # Errors
    ///
    /// [`EmbedError`] if the pictures do not fit or the device fails.
    fn embed(&self, pictures: &[Frame]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Why a network gives no rows.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// Pictures are not of one size.
    #[error(transparent)]
    Pictures(#[from] CropError),
    /// The device is gone.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The rows cannot be read from the device.
    #[error("embeddings cannot be read from the device: {reason}")]
    ReadBack {
        /// What the device said.
        reason: String,
    },
    /// The network cannot be loaded, or failed.
    #[error("{reason}")]
    Network {
        /// What is wrong.
        reason: String,
    },
    /// There are more or fewer rows than pictures, or than a sound of that length has.
    #[error("network gave {got} embeddings, expected {expected}")]
    Count {
        /// Rows that belong to what went in.
        expected: usize,
        /// Rows that came out.
        got: usize,
    },
}

/// Why embeddings cannot be computed or kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExtractionError {
    /// The cache cannot be written, or what it depends on cannot be read.
    #[error("cache `{}`: {reason}", path.display())]
    Cache {
        /// File or folder.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The network failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// A row cannot be kept.
    #[error("embeddings of the {part} pictures: {error}")]
    Feature {
        /// Which pictures.
        part: String,
        /// What is wrong with the row.
        error: FeatureError,
    },
}

/// Embeds prepared pictures, and confirms that there is a row for each.
pub(crate) fn embed_all(
    network: &(impl Embed + ?Sized),
    pictures: &[Frame],
) -> Result<Vec<Vec<f32>>, EmbedError> {
    let rows = network.embed(pictures)?;
    if rows.len() != pictures.len() {
        return Err(EmbedError::Count {
            expected: pictures.len(),
            got: rows.len(),
        });
    }
    Ok(rows)
}
