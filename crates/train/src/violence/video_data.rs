//! Videos with a label and features for each frame.

use std::sync::Arc;

use rand::{RngExt, rngs::StdRng};

use super::ViolenceError;
use affectlens_data::{FeatureError, FeatureRows};

/// What is known of a video's frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledVideo {
    /// What messages and tables call it.
    pub name: String,
    /// Whether each frame shows violence; `None` where that is not said.
    pub labels: Vec<Option<bool>>,
}

/// Features of a video's frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameFeatures {
    /// Features of the pictures that could be read.
    rows: FeatureRows,
    /// The same of their mirror images.
    mirrored: Option<FeatureRows>,
    /// Row of each frame; `None` where no picture can be read.
    places: Vec<Option<usize>>,
    /// Features of a black frame: what a clip without any readable frame is made of.
    black: Vec<f32>,
}

impl FrameFeatures {
    /// Features of frames that can all be read, in their order.
    pub fn new(rows: FeatureRows) -> Self {
        Self {
            places: (0..rows.len()).map(Some).collect(),
            black: vec![0.0; rows.width()],
            rows,
            mirrored: None,
        }
    }

    /// Features of frames that may share pictures or have none: `places` is the row of each frame, `black` are the
    /// features of a black frame.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Width`] if `black` has another width than the rows.
    ///
    /// # Panics
    ///
    /// If a place is no row.
    pub fn with_places(
        rows: FeatureRows,
        places: Vec<Option<usize>>,
        black: Vec<f32>,
    ) -> Result<Self, FeatureError> {
        if !rows.is_empty() && rows.width() != black.len() {
            return Err(FeatureError::Width {
                row: rows.len(),
                expected: rows.width(),
                got: black.len(),
            });
        }
        let is_row = |place: &usize| *place < rows.len();
        assert!(places.iter().flatten().all(is_row), "a place is a row");
        Ok(Self {
            rows,
            mirrored: None,
            places,
            black,
        })
    }

    /// The same with the features of mirror images, one a row.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Width`] if there are not as many, of the same width.
    pub fn with_mirrored(self, mirrored: FeatureRows) -> Result<Self, FeatureError> {
        let shape = |rows: &FeatureRows| [rows.len(), rows.width()];
        if shape(&mirrored) != shape(&self.rows) {
            return Err(FeatureError::Width {
                row: mirrored.len(),
                expected: self.rows.width(),
                got: mirrored.width(),
            });
        }
        Ok(Self {
            mirrored: Some(mirrored),
            ..self
        })
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Numbers of a frame.
    pub fn width(&self) -> usize {
        self.black.len()
    }

    /// The features of some frames, in that order; beyond the end the last frame repeats.
    pub fn select(self, frames: &[usize]) -> Self {
        let last = self.places.len().saturating_sub(1);
        let place = |frame: &usize| self.places.get((*frame).min(last)).copied().flatten();
        Self {
            places: frames.iter().map(place).collect(),
            ..self
        }
    }

    /// Values of a clip, one row a frame; with random numbers each frame is its mirror image with probability one half.
    pub(super) fn clip(&self, frames: &[usize], mut mirror: Option<&mut StdRng>) -> Vec<f32> {
        let is_readable = |frame: usize| self.places[frame].is_some();
        let Some(frames) = repair(frames, is_readable) else {
            return self.black.repeat(frames.len());
        };
        let places = frames.into_iter().filter_map(|frame| self.places[frame]);
        let mut is_mirrored = || {
            mirror
                .as_mut()
                .is_some_and(|random| random.random_bool(0.5))
        };
        let row = |place: usize| match &self.mirrored {
            Some(mirrored) if is_mirrored() => mirrored.row(place),
            _ => self.rows.row(place),
        };
        places.flat_map(row).collect()
    }
}

/// Videos with labels and features.
#[derive(Clone, Debug, Default)]
pub struct VideoData {
    videos: Vec<LabelledVideo>,
    /// Of each video.
    features: Vec<Arc<FrameFeatures>>,
}

impl VideoData {
    /// Adds a video. There are as many frames as labels: features beyond them are left out, the last ones repeat where
    /// there are too few.
    ///
    /// # Errors
    ///
    /// [`ViolenceError::NoFrames`] or [`ViolenceError::Width`].
    pub fn push(
        &mut self,
        video: LabelledVideo,
        features: FrameFeatures,
    ) -> Result<(), ViolenceError> {
        if video.labels.is_empty() || features.is_empty() {
            return Err(ViolenceError::NoFrames { video: video.name });
        }
        if let Some(first) = self.features.first()
            && first.width() != features.width()
        {
            return Err(ViolenceError::Width {
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
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&LabelledVideo, &FrameFeatures)> {
        let features = self.features.iter().map(AsRef::as_ref);
        self.videos.iter().zip(features)
    }

    /// Values of a frame; 0 without videos.
    pub fn width(&self) -> usize {
        self.features.first().map_or(0, |features| features.width())
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
    pub fn features(&self, video: usize) -> &FrameFeatures {
        &self.features[video]
    }
}

/// Replaces the frames of a clip that cannot be read by the first one that can; `None` if none can: the clip is black
/// then.
pub(super) fn repair(frames: &[usize], is_readable: impl Fn(usize) -> bool) -> Option<Vec<usize>> {
    let first = frames.iter().copied().find(|&frame| is_readable(frame))?;
    let frames = frames.iter().copied();
    Some(
        frames
            .map(|frame| if is_readable(frame) { frame } else { first })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn frames_that_cannot_be_read_are_replaced_within_their_clip() {
        let rows = FeatureRows::from_rows([[1.0], [2.0], [3.0]]).expect("finite");
        let places = vec![None, Some(0), Some(1), None, None, Some(2)];
        let features = FrameFeatures::with_places(rows, places, vec![9.0]).expect("one value");
        assert_eq!(features.clip(&[0, 1, 2, 3], None), [1.0, 1.0, 2.0, 1.0]);
        assert_eq!(features.clip(&[3, 4], None), [9.0, 9.0], "black");
        let mut data = VideoData::default();
        let labels = vec![Some(true); 8];
        let video = LabelledVideo {
            name: "a".to_owned(),
            labels,
        };
        data.push(video, features).expect("has frames");
        let (_, features) = data.iter().next().expect("one");
        assert_eq!(
            features.clip(&[5, 6, 7], None),
            [3.0; 3],
            "the last frame repeats"
        );
        let error = data.push(LabelledVideo::default(), FrameFeatures::default());
        assert!(matches!(error, Err(ViolenceError::NoFrames { .. })));
    }

    #[test]
    fn mirror_images_are_taken_half_of_the_time() {
        let rows = |value: f32| FeatureRows::from_rows(vec![[value]; 300]).expect("finite");
        let features = FrameFeatures::new(rows(0.0))
            .with_mirrored(rows(1.0))
            .expect("fits");
        let frames: Vec<usize> = (0..300).collect();
        let mut random = StdRng::seed_from_u64(5);
        let sum: f32 = features.clip(&frames, Some(&mut random)).iter().sum();
        assert!((100.0..200.0).contains(&sum), "{sum}");
        assert!(
            features
                .clip(&frames, None)
                .iter()
                .all(|value| *value == 0.0)
        );
        assert!(
            FrameFeatures::new(rows(0.0))
                .with_mirrored(FeatureRows::new(1))
                .is_err()
        );
    }

    #[test]
    fn unreadable_frames_become_the_first_readable_one() {
        let repaired = repair(&[1, 2, 3, 3], |frame| frame != 1);
        assert_eq!(repaired, Some(vec![2, 2, 3, 3]));
        assert_eq!(repair(&[1, 2], |_| false), None);
    }
}
