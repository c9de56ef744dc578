//! Smoothing of one face while its frames come.

use std::collections::VecDeque;

use thiserror::Error;

use super::mean;
use crate::gaps::interpolate;

/// How far, in frames, a reader of delayed rows may fall behind beyond the window itself; older rows are forgotten.
const READER_LAG: u64 = 1024;

/// Which frames a smoothed row averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmoothingMode {
    /// As many frames after as before: the whole-clip result, `half_window` frames late.
    Delayed,
    /// The frame and the `2 * half_window` before it: at once, but lagging behind the face.
    Trailing,
}

/// Why a row is not taken.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SmoothingError {
    /// The frame is not after the last one.
    #[error("frame {got} follows frame {last}, expected a later one")]
    Order {
        /// Last frame that was taken.
        last: u64,
        /// Frame that came.
        got: u64,
    },
    /// The row has another width than the first.
    #[error("row of frame {frame} has {got} values, expected {expected}")]
    Width {
        /// Frame number.
        frame: u64,
        /// Values in the first row.
        expected: usize,
        /// Values in this row.
        got: usize,
    },
    /// The track has ended.
    #[error("frame {frame} comes after the track was closed")]
    Closed {
        /// Frame number.
        frame: u64,
    },
}

/// Smooths the rows of one tracked face as they come.
///
/// When the face comes back after a few missing frames, those are filled on the straight line between their
/// neighbours. Delayed rows equal [`fill_gaps`](crate::gaps::fill_gaps) and
/// [`smooth_centred`](super::smooth_centred) over the whole track; trailing rows equal
/// [`smooth_trailing`](super::smooth_trailing) over `2 * half_window + 1` frames. Memory is bounded: rows
/// further back than the window and 1024 frames are forgotten.
///
/// ```
/// use affectlens::smoothing::{SmoothingMode, TrackSmoother};
///
/// let mut track = TrackSmoother::new(SmoothingMode::Delayed, 1);
/// track.push(7, &[1.0])?;
/// assert_eq!(track.smoothed(7), None, "frame 8 is not known yet");
/// track.push(9, &[3.0])?;
/// assert_eq!(track.smoothed(8), Some(vec![2.0]));
/// track.close();
/// assert_eq!(track.smoothed(9), Some(vec![2.5]));
/// # Ok::<(), affectlens::smoothing::SmoothingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TrackSmoother {
    mode: SmoothingMode,
    half_window: u64,
    /// Rows without gaps; the first belongs to frame `start`.
    rows: VecDeque<Vec<f32>>,
    start: u64,
    closed: bool,
}

impl TrackSmoother {
    /// A track without frames.
    pub fn new(mode: SmoothingMode, half_window: usize) -> Self {
        Self {
            mode,
            half_window: half_window as u64,
            rows: VecDeque::new(),
            start: 0,
            closed: false,
        }
    }

    /// Takes the row of a frame in which the face was found.
    ///
    /// # Errors
    ///
    /// [`SmoothingError`] if the frame or the row does not fit the track; the track stays as it was.
    pub fn push(&mut self, frame: u64, row: &[f32]) -> Result<(), SmoothingError> {
        if self.closed {
            return Err(SmoothingError::Closed { frame });
        }
        let Some((last, before)) = self.last().zip(self.rows.back()) else {
            self.start = frame;
            self.rows.push_back(row.to_vec());
            return Ok(());
        };
        if frame <= last {
            return Err(SmoothingError::Order { last, got: frame });
        }
        if row.len() != before.len() {
            return Err(SmoothingError::Width {
                frame,
                expected: before.len(),
                got: row.len(),
            });
        }
        // A gap longer than what is kept anyway is only filled from where rows are kept.
        let oldest = frame.saturating_sub(self.kept());
        let before = before.clone();
        if oldest > last {
            self.rows.clear();
            self.start = oldest;
        }
        for missing in (last + 1).max(oldest)..frame {
            let filled = interpolate(&before, row, frames(missing - last), frames(frame - last));
            self.rows.push_back(filled);
        }
        self.rows.push_back(row.to_vec());
        while self.start < oldest {
            self.rows.pop_front();
            self.start += 1;
        }
        Ok(())
    }

    /// Ends the track: no more frames come, the last ones can be smoothed over what there is.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Last frame in which the face was found.
    pub fn last(&self) -> Option<u64> {
        (!self.rows.is_empty()).then(|| self.start + self.rows.len() as u64 - 1)
    }

    /// Frames by which a result waits for later ones.
    pub fn delay(&self) -> usize {
        match self.mode {
            SmoothingMode::Delayed => frames(self.half_window),
            SmoothingMode::Trailing => 0,
        }
    }

    /// The smoothed row of a frame.
    ///
    /// `None` before the track, after its last frame, while later frames are awaited (delayed mode), and for
    /// frames so old that they were forgotten. Frames in a filled gap have a row as soon as the face is back.
    pub fn smoothed(&self, frame: u64) -> Option<Vec<f32>> {
        let (_, reach_ahead) = self.reach();
        if !self.closed && frame.saturating_add(reach_ahead) > self.last()? {
            return None;
        }
        self.smoothed_so_far(frame)
    }

    /// The smoothed row of a frame over the rows that are there, whether or not later ones are awaited.
    pub fn smoothed_so_far(&self, frame: u64) -> Option<Vec<f32>> {
        let last = self.last()?;
        if frame < self.start || frame > last {
            return None;
        }
        let (reach_back, reach_ahead) = self.reach();
        let end = frame.saturating_add(reach_ahead);
        let first = frame.saturating_sub(reach_back).max(self.start) - self.start;
        let window = self
            .rows
            .range(frames(first)..=frames(end.min(last) - self.start));
        let count = window.len();
        let mut sums = vec![0.0_f64; self.rows.front()?.len()];
        for row in window {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        Some(sums.into_iter().map(|sum| mean(sum, count)).collect())
    }

    /// Frames before and after one that its window holds.
    fn reach(&self) -> (u64, u64) {
        match self.mode {
            SmoothingMode::Delayed => (self.half_window, self.half_window),
            SmoothingMode::Trailing => (self.half_window.saturating_mul(2), 0),
        }
    }

    /// Rows that are kept before the newest one.
    fn kept(&self) -> u64 {
        self.half_window
            .saturating_mul(2)
            .saturating_add(READER_LAG)
    }
}

// Rows are in memory, so there are never more of them than a `usize` counts.
fn frames(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gaps::fill_gaps;
    use crate::smoothing::{smooth_centred, smooth_trailing};

    /// Both sum the same values in f64, in another order.
    const TOLERANCE: f32 = 1e-6;

    fn assert_row(got: Option<Vec<f32>>, expected: &[f32], frame: u64) {
        let got = got.unwrap_or_else(|| panic!("frame {frame} has no row"));
        for (got_one, expected_one) in got.iter().zip(expected) {
            assert!(
                (got_one - expected_one).abs() <= TOLERANCE,
                "frame {frame}: {got:?}, expected {expected:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn frames_as_they_come_agree_with_the_whole_clip(
            start in 0_u64..100,
            steps in prop::collection::vec((1_usize..5, 0.0_f32..1.0, 0.0_f32..1.0), 1..60),
            half_window in 0_usize..12,
        ) {
            let mut present = vec![];
            let mut rows = vec![];
            for (step, x, y) in steps {
                present.push(present.last().map_or(1, |last| last + step));
                rows.push([x, y]);
            }
            let dense = fill_gaps(&present, &rows, *present.last().expect("one step")).expect("ascending frames");
            let centred = smooth_centred(&dense, half_window);
            let trailing = smooth_trailing(&dense, 2 * half_window + 1);

            let mut delayed = TrackSmoother::new(SmoothingMode::Delayed, half_window);
            let mut live = TrackSmoother::new(SmoothingMode::Trailing, half_window);
            let mut read = 0;
            for (&number, row) in present.iter().zip(&rows) {
                let frame = start + number as u64;
                delayed.push(frame, row).expect("ascending frames");
                live.push(frame, row).expect("ascending frames");
                assert_row(live.smoothed(frame), &trailing[number - 1], frame);
                while let Some(row) = delayed.smoothed(start + read as u64 + 1) {
                    assert_row(Some(row), &centred[read], start + read as u64 + 1);
                    read += 1;
                }
                prop_assert_eq!(read, number.saturating_sub(half_window), "rows come exactly half a window late");
            }
            delayed.close();
            for (number, expected) in centred.iter().enumerate().skip(read) {
                let frame = start + number as u64 + 1;
                assert_row(delayed.smoothed(frame), expected, frame);
            }
            prop_assert_eq!(delayed.smoothed(start + centred.len() as u64 + 1), None);
        }
    }

    #[test]
    fn memory_stays_bounded() {
        let mut track = TrackSmoother::new(SmoothingMode::Delayed, 10);
        for frame in 0..10_000 {
            track.push(frame, &[1.0]).expect("ascending frames");
        }
        assert_eq!(
            track.rows.len(),
            1045,
            "the newest, twice the half window, and the reader's lag"
        );
        assert_eq!(track.smoothed(100), None, "long forgotten");
        track.push(9_000_000, &[0.0]).expect("a long gap");
        assert_eq!(track.rows.len(), 1045);
        assert_eq!(track.last(), Some(9_000_000));
    }

    #[test]
    fn row_that_does_not_fit_is_refused_and_changes_nothing() {
        let mut track = TrackSmoother::new(SmoothingMode::Trailing, 1);
        track.push(3, &[1.0]).expect("first frame");
        assert_eq!(
            track.push(3, &[2.0]),
            Err(SmoothingError::Order { last: 3, got: 3 })
        );
        assert_eq!(
            track.push(4, &[2.0, 3.0]),
            Err(SmoothingError::Width {
                frame: 4,
                expected: 1,
                got: 2
            })
        );
        assert_eq!(track.smoothed(3), Some(vec![1.0]));
        track.close();
        assert_eq!(
            track.push(5, &[1.0]),
            Err(SmoothingError::Closed { frame: 5 })
        );
    }
}
