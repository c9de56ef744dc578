//! Features of the frames of a video.

use super::SecondFeatures;
use crate::{FeatureError, FeatureRows};

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
    /// What lies behind these features in each frame.
    second: Option<SecondFeatures>,
}

impl FrameFeatures {
    /// Features of frames that can all be read, in their order.
    pub fn new(rows: FeatureRows) -> Self {
        Self {
            places: (0..rows.len()).map(Some).collect(),
            black: vec![0.0; rows.width()],
            rows,
            mirrored: None,
            second: None,
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
            second: None,
        })
    }

    /// The same with a second stream behind the features of each frame; frames beyond its end have its last numbers.
    #[must_use]
    pub fn with_second(self, second: SecondFeatures) -> Self {
        Self {
            second: Some(second),
            ..self
        }
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

    /// Numbers of a frame, with those of the second stream.
    pub fn width(&self) -> usize {
        let second = self.second.as_ref().map_or(0, SecondFeatures::width);
        self.black.len() + second
    }

    /// The features of some frames, in that order; beyond the end the last frame repeats.
    pub fn select(self, frames: &[usize]) -> Self {
        let last = self.places.len().saturating_sub(1);
        let place = |frame: &usize| self.places.get((*frame).min(last)).copied().flatten();
        Self {
            places: frames.iter().map(place).collect(),
            second: self.second.map(|second| second.select(frames)),
            ..self
        }
    }

    /// Values of a clip, one row a frame: a frame that cannot be read is replaced by the first one of the clip that can,
    /// and the clip is black if none can.
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn clip(&self, frames: &[usize]) -> Vec<f32> {
        self.augmented_clip(frames, || false)
    }

    /// The same, with the mirror image in the place of each frame for which `is_mirrored` says so. It is not asked where
    /// there are no mirror images.
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn augmented_clip(
        &self,
        frames: &[usize],
        mut is_mirrored: impl FnMut() -> bool,
    ) -> Vec<f32> {
        let own = self.own_clip(frames, &mut is_mirrored);
        let Some(second) = &self.second else {
            return own;
        };
        let beside = second.clip(frames, &mut is_mirrored);
        let widths = [self.black.len(), second.width()];
        let rows = own.chunks(widths[0]).zip(beside.chunks(widths[1]));
        rows.flat_map(|(own, beside)| [own, beside].concat())
            .collect()
    }

    /// The clip without the second stream.
    fn own_clip(&self, frames: &[usize], is_mirrored: &mut dyn FnMut() -> bool) -> Vec<f32> {
        let is_readable = |frame: usize| self.places[frame].is_some();
        let Some(frames) = repair_clip(frames, is_readable) else {
            return self.black.repeat(frames.len());
        };
        let places = frames.into_iter().filter_map(|frame| self.places[frame]);
        let row = |place: usize| match &self.mirrored {
            Some(mirrored) if is_mirrored() => mirrored.row(place),
            _ => self.rows.row(place),
        };
        places.flat_map(row).collect()
    }
}

/// Replaces the frames of a clip that cannot be read by the first one that can; `None` if none can: the clip is black
/// then.
pub fn repair_clip(frames: &[usize], is_readable: impl Fn(usize) -> bool) -> Option<Vec<usize>> {
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
    use super::*;

    #[test]
    fn frames_that_cannot_be_read_are_replaced_within_their_clip() {
        let rows = FeatureRows::from_rows([[1.0], [2.0], [3.0]]).expect("finite");
        let places = vec![None, Some(0), Some(1), None, None, Some(2)];
        let features = FrameFeatures::with_places(rows, places, vec![9.0]).expect("one value");
        assert_eq!(features.clip(&[0, 1, 2, 3]), [1.0, 1.0, 2.0, 1.0]);
        assert_eq!(features.clip(&[3, 4]), [9.0, 9.0], "black");
        let features = features.select(&[4, 5, 6]);
        assert_eq!(
            features.clip(&[0, 1, 2]),
            [3.0; 3],
            "the last frame repeats"
        );
    }

    #[test]
    fn a_second_stream_is_repaired_and_prolonged_on_its_own() {
        let rows = |values: &[f32]| {
            let rows = values.iter().map(|value| [*value]);
            FeatureRows::from_rows(rows).expect("finite")
        };
        let places = vec![None, Some(0), Some(1), Some(1)];
        let frames = FrameFeatures::with_places(rows(&[1.0, 2.0]), places, vec![9.0]);
        let places = vec![Some(0), None];
        let flow = FrameFeatures::with_places(rows(&[5.0]), places, vec![8.0]);
        let flow = SecondFeatures::Flow(Box::new(flow.expect("one value")));
        let features = frames.expect("one value").with_second(flow);
        assert_eq!((features.len(), features.width()), (4, 2));
        assert_eq!(features.clip(&[0, 1, 2]), [1.0, 5.0, 1.0, 5.0, 2.0, 5.0]);
        assert_eq!(features.clip(&[1, 3]), [1.0, 8.0, 2.0, 8.0], "black");
        let features = features.select(&[3, 1, 0]);
        assert_eq!(features.clip(&[0, 2]), [2.0, 5.0, 2.0, 5.0]);
    }

    #[test]
    fn mirror_images_are_taken_where_they_are_asked_for() {
        let rows = |value: f32| FeatureRows::from_rows(vec![[value]; 3]).expect("finite");
        let features = FrameFeatures::new(rows(0.0));
        let every_other = || {
            let mut asked = 0;
            move || {
                asked += 1;
                asked % 2 == 0
            }
        };
        assert_eq!(features.augmented_clip(&[0, 1, 2], every_other()), [0.0; 3]);
        let features = features.with_mirrored(rows(1.0)).expect("fits");
        let clip = features.augmented_clip(&[0, 1, 2], every_other());
        assert_eq!(clip, [0.0, 1.0, 0.0]);
        assert_eq!(features.clip(&[0, 1, 2]), [0.0; 3]);
        assert!(
            FrameFeatures::new(rows(0.0))
                .with_mirrored(FeatureRows::new(1))
                .is_err()
        );
    }

    #[test]
    fn unreadable_frames_become_the_first_readable_one() {
        let repaired = repair_clip(&[1, 2, 3, 3], |frame| frame != 1);
        assert_eq!(repaired, Some(vec![2, 2, 3, 3]));
        assert_eq!(repair_clip(&[1, 2], |_| false), None);
    }
}
