//! Videos with a label for each frame.

use std::sync::Arc;

use thiserror::Error;

use super::WindowFeatures;

/// What is known of a video's frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledVideo {
    /// What messages and tables call it.
    pub name: String,
    /// Whether each frame shows violence; `None` for frames that are not labelled.
    pub labels: Vec<Option<bool>>,
}

/// Why a video cannot be added to others.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VideoDataError {
    /// A video has no frames.
    #[error("video `{video}` has no frames, expected at least one")]
    NoFrames {
        /// Name of the video.
        video: String,
    },
    /// Features have another width than those of the other videos.
    #[error("video `{video}` has features of {got} values, expected {expected}")]
    Width {
        /// Name of the video.
        video: String,
        /// Values of a frame of the other videos.
        expected: usize,
        /// Values of a frame of this one.
        got: usize,
    },
}

/// Videos with labels and features.
#[derive(Clone, Debug, Default)]
pub struct VideoData {
    videos: Vec<LabelledVideo>,
    /// The features of each video.
    features: Vec<Arc<WindowFeatures>>,
}

impl VideoData {
    /// Adds a video. There are as many frames as labels: features beyond them are left out, the last ones repeat where
    /// there are too few.
    ///
    /// # Errors
    ///
    /// [`VideoDataError::NoFrames`] or [`VideoDataError::Width`].
    pub fn push(
        &mut self,
        video: LabelledVideo,
        features: impl Into<WindowFeatures>,
    ) -> Result<(), VideoDataError> {
        let features = features.into();
        if video.labels.is_empty() || features.is_empty() {
            return Err(VideoDataError::NoFrames { video: video.name });
        }
        if let Some(first) = self.features.first()
            && first.width() != features.width()
        {
            return Err(VideoDataError::Width {
                video: video.name,
                expected: first.width(),
                got: features.width(),
            });
        }
        let frames: Vec<usize> = (0..video.labels.len()).collect();
        self.features.push(Arc::new(features.select(&frames)));
        self.videos.push(video);
        Ok(())
    }

    /// Some of the videos.
    ///
    /// # Panics
    ///
    /// If there is no such video.
    #[must_use]
    pub fn select(&self, videos: &[usize]) -> Self {
        Self {
            videos: videos.iter().map(|&it| self.videos[it].clone()).collect(),
            features: videos.iter().map(|&it| self.features[it].clone()).collect(),
        }
    }

    /// Labels and features of the videos, in order; there are as many of both.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&LabelledVideo, &WindowFeatures)> {
        let features = self.features.iter().map(AsRef::as_ref);
        self.videos.iter().zip(features)
    }

    /// Values of a frame or moment; 0 without videos.
    pub fn width(&self) -> usize {
        self.features.first().map_or(0, |features| features.width())
    }

    /// Whether there are features of clips, not of frames one by one.
    pub fn is_over_clips(&self) -> bool {
        self.features
            .iter()
            .any(|features| features.frames().is_none())
    }

    /// The labels of all videos, in order.
    pub fn videos(&self) -> &[LabelledVideo] {
        &self.videos
    }

    /// Features of a video.
    ///
    /// # Panics
    ///
    /// If there is no such video.
    pub fn features(&self, video: usize) -> &WindowFeatures {
        &self.features[video]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FeatureRows, FrameFeatures};

    #[test]
    fn videos_without_frames_and_of_other_widths_are_refused() {
        let mut data = VideoData::default();
        let push = |data: &mut VideoData, name: &str, labels: usize, row: &[f32]| {
            let video = LabelledVideo {
                name: name.to_owned(),
                labels: vec![Some(true); labels],
            };
            let rows = FeatureRows::from_rows([row]).expect("finite");
            let pushed = data.push(video, FrameFeatures::new(rows));
            pushed.map_err(|error| error.to_string())
        };
        assert_eq!(push(&mut data, "a", 3, &[1.0, 2.0]), Ok(()));
        let (_, features) = data.iter().next().expect("one");
        assert_eq!(features.len(), 3, "as many frames as labels");
        assert_eq!(
            push(&mut data, "b", 0, &[1.0, 2.0]).expect_err("no labels"),
            "video `b` has no frames, expected at least one"
        );
        assert_eq!(
            push(&mut data, "c", 1, &[1.0]).expect_err("too narrow"),
            "video `c` has features of 1 values, expected 2"
        );
        assert_eq!((data.width(), data.videos().len()), (2, 1));
    }
}
