//! What a head reads of the windows of a video.

use super::{ClipFeatureError, ClipFeatures, FrameFeatures};

/// Features of the windows of a video: of every frame, or of a few moments of each window.
#[derive(Clone, Debug)]
pub enum WindowFeatures {
    /// By a backbone that sees one frame at a time.
    Frames(FrameFeatures),
    /// By a network that sees a window as a whole.
    Clips(ClipFeatures),
}

impl From<FrameFeatures> for WindowFeatures {
    fn from(features: FrameFeatures) -> Self {
        Self::Frames(features)
    }
}

impl From<ClipFeatures> for WindowFeatures {
    fn from(features: ClipFeatures) -> Self {
        Self::Clips(features)
    }
}

impl WindowFeatures {
    /// Number of frames.
    pub fn len(&self) -> usize {
        match self {
            Self::Frames(features) => features.len(),
            Self::Clips(features) => features.len(),
        }
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of a frame or moment.
    pub fn width(&self) -> usize {
        match self {
            Self::Frames(features) => features.width(),
            Self::Clips(features) => features.width(),
        }
    }

    /// Rows of a window of that many frames.
    pub fn moments(&self, length: usize) -> usize {
        match self {
            Self::Frames(_) => length,
            Self::Clips(features) => features.moments(),
        }
    }

    /// Features of frames one by one, if that is what they are.
    pub fn frames(&self) -> Option<&FrameFeatures> {
        match self {
            Self::Frames(features) => Some(features),
            Self::Clips(_) => None,
        }
    }

    /// The features of some frames, in that order; beyond the end the last frame repeats.
    #[must_use]
    pub fn select(self, frames: &[usize]) -> Self {
        match self {
            Self::Frames(features) => Self::Frames(features.select(frames)),
            Self::Clips(features) => Self::Clips(features.select(frames)),
        }
    }

    /// Computes what is not known of some windows at once, and keeps it for later runs.
    ///
    /// # Errors
    ///
    /// As [`ClipFeatures::prepare`].
    pub fn prepare(&self, clips: &[Vec<usize>]) -> Result<(), ClipFeatureError> {
        match self {
            Self::Frames(_) => Ok(()),
            Self::Clips(features) => features.prepare(clips),
        }
    }

    /// Values of a window, one row a [moment](Self::moments).
    ///
    /// # Errors
    ///
    /// As [`ClipFeatures::clip`].
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn clip(&self, frames: &[usize]) -> Result<Vec<f32>, ClipFeatureError> {
        self.augmented_clip(frames, || false)
    }

    /// The same, with mirror images as [`FrameFeatures::augmented_clip`] has them; a network over clips has none.
    ///
    /// # Errors
    ///
    /// As [`ClipFeatures::clip`].
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn augmented_clip(
        &self,
        frames: &[usize],
        is_mirrored: impl FnMut() -> bool,
    ) -> Result<Vec<f32>, ClipFeatureError> {
        match self {
            Self::Frames(features) => Ok(features.augmented_clip(frames, is_mirrored)),
            Self::Clips(features) => features.clip(frames),
        }
    }
}
