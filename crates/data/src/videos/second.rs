//! A second stream of features beside those of a video's frames.

use affectlens::skeleton::WIDTH;

use super::FrameFeatures;
use crate::SkeletonRows;

/// A second stream of features of a video.
#[derive(Clone, Debug, PartialEq)]
pub enum SecondFeatures {
    /// Where people are and how they move.
    Skeletons {
        /// The numbers of frames.
        rows: SkeletonRows,
        /// Row of each frame; those of frames beyond the end are the last.
        places: Vec<usize>,
    },
    /// Features of pictures of the optical flow.
    Flow(Box<FrameFeatures>),
}

impl From<SkeletonRows> for SecondFeatures {
    fn from(rows: SkeletonRows) -> Self {
        let places = (0..rows.len()).collect();
        Self::Skeletons { rows, places }
    }
}

impl SecondFeatures {
    /// Numbers of a frame.
    pub fn width(&self) -> usize {
        match self {
            Self::Skeletons { .. } => WIDTH,
            Self::Flow(features) => features.width(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Skeletons { places, .. } => places.len(),
            Self::Flow(features) => features.len(),
        }
    }

    /// Those of some frames, in that order; beyond the end the last frame repeats.
    pub(super) fn select(self, frames: &[usize]) -> Self {
        let last = self.len().saturating_sub(1);
        match self {
            Self::Skeletons { rows, places } => Self::Skeletons {
                places: frames.iter().map(|&it| places[it.min(last)]).collect(),
                rows,
            },
            Self::Flow(features) => Self::Flow(Box::new(features.select(frames))),
        }
    }

    /// Values of a clip, one row a frame. Pictures are replaced by their mirror images as those of the frames are, each on
    /// its own; skeletons are not, as published.
    pub(super) fn clip(&self, frames: &[usize], is_mirrored: &mut dyn FnMut() -> bool) -> Vec<f32> {
        let last = self.len().saturating_sub(1);
        let frames: Vec<usize> = frames.iter().map(|&frame| frame.min(last)).collect();
        match self {
            Self::Skeletons { rows, places } => {
                let rows = frames.iter().map(|&frame| rows.row(places[frame]));
                rows.flatten().copied().collect()
            }
            Self::Flow(features) => features.augmented_clip(&frames, is_mirrored),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_there_in_every_frame() {
        let nobody = SecondFeatures::from(SkeletonRows::nobody());
        assert_eq!(nobody.width(), WIDTH);
        let clip = nobody.clip(&[0, 7], &mut || panic!("skeletons have no mirror images"));
        assert_eq!(clip, vec![0.0; 2 * WIDTH]);
        assert_eq!(nobody.select(&[3, 4, 5]).len(), 3);
    }
}
