//! Windows of a whole video: their frames, and the mean probability of each frame.

use super::WindowError;
use super::averaging::Mean;

/// Longest window, frames of the video: a week of 30 frames a second.
const LONGEST_SPAN: usize = 30 * 3600 * 24 * 7;

/// Layout of the windows of a video.
///
/// A window has `length` frames that are `step` frames apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    length: usize,
    step: usize,
    stride: Stride,
}

/// Frames between the starts of neighbouring windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stride {
    /// Half a window. With a step above 1 there are `step` series of windows, one for each offset, so that every frame
    /// is covered.
    Covering,
    /// Fixed number of frames, one series of windows.
    Fixed(usize),
}

impl Windows {
    /// Creates windows of `length` frames, `step` frames apart, that overlap by half and cover every frame.
    ///
    /// # Errors
    ///
    /// [`WindowError::Zero`] if `length` or `step` is 0, [`WindowError::Span`] for windows longer than any video.
    pub fn new(length: usize, step: usize) -> Result<Self, WindowError> {
        for (what, number) in [("length", length), ("step", step)] {
            if number == 0 {
                return Err(WindowError::Zero { what });
            }
        }
        let span = length.checked_mul(step);
        if span.is_none_or(|span| span > LONGEST_SPAN) {
            return Err(WindowError::Span { length, step });
        }
        Ok(Self {
            length,
            step,
            stride: Stride::Covering,
        })
    }

    /// Starts a window every `stride` frames, as the published code does.
    ///
    /// With a step above 1 some frames may never be covered, see [`uncovered`](Self::uncovered).
    ///
    /// # Errors
    ///
    /// [`WindowError::Zero`] if `stride` is 0.
    pub fn with_stride(self, stride: usize) -> Result<Self, WindowError> {
        if stride == 0 {
            return Err(WindowError::Zero { what: "stride" });
        }
        Ok(Self {
            stride: Stride::Fixed(stride),
            ..self
        })
    }

    /// Published default stride, half a window: `max(1, length * step / 2)` frames.
    pub fn half(&self) -> usize {
        (self.length * self.step / 2).max(1)
    }

    /// Number of frames per window.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Number of video frames from the first to the last frame of a window, inclusive: `(length - 1) * step + 1`.
    pub fn span(&self) -> usize {
        (self.length - 1) * self.step + 1
    }

    /// Lists the first frame of each window of a video with `frames` frames, ascending.
    ///
    /// The last window ends with the video. A video shorter than a window has one window, at frame 0, or as many as
    /// there are offsets below the step if every frame is to be covered.
    pub fn starts(&self, frames: usize) -> Vec<usize> {
        let last = frames.saturating_sub(self.span());
        let stride = self.stride();
        let offsets = self.offsets().min(frames.max(1));
        let mut starts: Vec<usize> = (0..offsets)
            .flat_map(|first| (first..=last.max(first)).step_by(stride))
            .chain(match self.stride {
                // The last window of each offset.
                Stride::Covering => (last + 1).saturating_sub(offsets)..=last,
                Stride::Fixed(_) => last..=last,
            })
            .collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    /// Frames between the starts of neighbouring windows with the same offset.
    pub(super) fn stride(&self) -> usize {
        match self.stride {
            Stride::Covering => self.half(),
            Stride::Fixed(stride) => stride,
        }
    }

    /// Number of series of windows, each with its own offset below the step.
    pub(super) fn offsets(&self) -> usize {
        match self.stride {
            Stride::Covering => self.step,
            Stride::Fixed(_) => 1,
        }
    }

    /// Lists the frames of the window that starts at `start`, in a video with `frames` frames.
    ///
    /// Beyond the end of a short video the last frame repeats.
    pub fn frames(&self, start: usize, frames: usize) -> Vec<usize> {
        let last = frames.saturating_sub(1);
        let indices = (0..self.length).map(|index| start + index * self.step);
        indices.map(|frame| frame.min(last)).collect()
    }

    /// Counts the frames of a video that no window covers; their probability is always 0.
    pub fn uncovered(&self, frames: usize) -> usize {
        let mut covered = vec![false; frames];
        for start in self.starts(frames) {
            for frame in self.frames(start, frames) {
                if let Some(covered) = covered.get_mut(frame) {
                    *covered = true;
                }
            }
        }
        covered.into_iter().filter(|covered| !covered).count()
    }

    /// Averages each frame's probability over the windows that cover it; 0 for a frame without a window.
    ///
    /// `probabilities` holds one row per window, in the order of [`starts`](Self::starts), with one probability per
    /// frame of the window. A frame that repeats in a window counts as often as it occurs.
    ///
    /// # Errors
    ///
    /// [`WindowError::Start`] for the wrong number of rows, [`WindowError::Probabilities`] for a row of the wrong
    /// length.
    pub fn average<R: AsRef<[f32]>>(
        &self,
        probabilities: &[R],
        frames: usize,
    ) -> Result<Vec<f32>, WindowError> {
        let starts = self.starts(frames);
        if starts.len() != probabilities.len() {
            return Err(WindowError::Start {
                start: starts.get(probabilities.len()).copied().unwrap_or(frames),
                expected: format!("{} windows, got {}", starts.len(), probabilities.len()),
            });
        }
        let mut means = vec![Mean::default(); frames];
        for (start, row) in starts.into_iter().zip(probabilities) {
            let row = row.as_ref();
            self.check_length(start, row)?;
            for (frame, probability) in self.frames(start, frames).into_iter().zip(row) {
                if let Some(mean) = means.get_mut(frame) {
                    mean.add(*probability);
                }
            }
        }
        Ok(means.iter().map(Mean::value).collect())
    }

    pub(super) fn check_length(
        &self,
        start: usize,
        probabilities: &[f32],
    ) -> Result<(), WindowError> {
        if probabilities.len() == self.length {
            return Ok(());
        }
        Err(WindowError::Probabilities {
            start,
            expected: self.length,
            got: probabilities.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn windows(length: usize, step: usize) -> Windows {
        Windows::new(length, step).expect("above 0")
    }

    fn published(length: usize, step: usize, stride: Option<usize>) -> Windows {
        let windows = windows(length, step);
        let stride = stride.unwrap_or(windows.half());
        windows.with_stride(stride).expect("above 0")
    }

    #[test]
    fn windows_longer_than_any_video_are_refused() {
        for (length, step) in [(usize::MAX, 2), (2, usize::MAX), (usize::MAX, 1)] {
            let error = Windows::new(length, step).expect_err("too long");
            assert_eq!(error, WindowError::Span { length, step });
        }
    }

    #[test]
    fn published_starts() {
        assert_eq!(published(32, 1, None).starts(100), [0, 16, 32, 48, 64, 68]);
        assert_eq!(published(32, 2, None).starts(100), [0, 32, 37]);
        assert_eq!(published(32, 1, None).starts(20), [0]);
        let short = published(32, 1, None).frames(0, 20);
        assert_eq!(short.iter().filter(|frame| **frame == 19).count(), 13);
        let trap = published(32, 2, Some(16));
        assert_eq!(trap.starts(100), [0, 16, 32, 37]);
        assert_eq!(trap.uncovered(100), 20);
    }

    #[test]
    fn frames_that_no_window_covers_have_probability_zero() {
        let trap = published(2, 2, Some(2));
        let rows = vec![[1.0, 1.0]; trap.starts(6).len()];
        assert_eq!(trap.starts(6), [0, 2, 3]);
        assert_eq!(
            trap.average(&rows, 6).expect("fits"),
            [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]
        );
        assert_eq!(trap.uncovered(6), 1);
        assert_eq!(windows(2, 2).uncovered(6), 0);
    }

    #[test]
    fn sizes_that_do_not_match_are_refused() {
        assert_eq!(
            Windows::new(0, 1).expect_err("no frames").to_string(),
            "length of windows is 0, expected at least 1"
        );
        let windows = windows(4, 1);
        assert_eq!(
            windows
                .average(&[[0.5; 3]], 4)
                .expect_err("three")
                .to_string(),
            "window at frame 0 has 3 probabilities, expected 4"
        );
        assert!(windows.average::<[f32; 4]>(&[], 4).is_err());
    }

    proptest! {
        #[test]
        fn by_default_every_frame_is_covered(
            length in 1_usize..40, step in 1_usize..5, frames in 1_usize..300,
        ) {
            let windows = windows(length, step);
            prop_assert_eq!(windows.uncovered(frames), 0);
            let starts = windows.starts(frames);
            prop_assert!(starts.is_sorted());
            prop_assert!(starts.iter().all(|start| *start < step || start + windows.span() <= frames));
            let ones = vec![vec![1.0; length]; starts.len()];
            prop_assert!(windows.average(&ones, frames).expect("fits").iter().all(|p| *p == 1.0));
        }
    }
}
