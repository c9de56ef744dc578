//! Predictions for the frames in which no face was found.
//!
//! Interpolation follows the ABAW-10 notebook of the HSEmotion team.

use thiserror::Error;

/// Error from [`fill_gaps`].
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapError {
    /// The numbers of frames and rows differ.
    #[error("{frames} frame numbers for {rows} rows, expected one for each row")]
    Count {
        /// Frame numbers received.
        frames: usize,
        /// Rows received.
        rows: usize,
    },
    /// A frame number is zero or not larger than the one before.
    #[error("frame number {got} follows {previous}, expected a larger one")]
    Order {
        /// Frame number before it; 0 at the start, since frames count from 1.
        previous: usize,
        /// Frame number received.
        got: usize,
    },
    /// A row has another width than the first.
    #[error("row of frame {frame} has {got} values, expected {expected}")]
    Width {
        /// Frame number.
        frame: usize,
        /// Values in the first row.
        expected: usize,
        /// Values in this row.
        got: usize,
    },
    /// The clip ends before the last present frame.
    #[error("clip has {length} frames, expected at least {last}, the last frame with a row")]
    Length {
        /// Requested length of the clip.
        length: usize,
        /// Number of the last present frame.
        last: usize,
    },
}

/// Fills the missing frames of a clip; the result has one row for each of the frames 1 to `length`.
///
/// `present` holds the frame number of each row, ascending and counted from 1. Frames before the first present frame
/// copy its row, frames after the last copy the last row, and frames between two present frames are interpolated
/// linearly. Without any present frame the result is empty.
///
/// # Errors
///
/// [`GapError`] for frame numbers that do not ascend, do not match the rows or exceed `length`, and for rows of
/// different widths.
pub fn fill_gaps<R: AsRef<[f32]>>(
    present: &[usize],
    rows: &[R],
    length: usize,
) -> Result<Vec<Vec<f32>>, GapError> {
    if present.len() != rows.len() {
        return Err(GapError::Count {
            frames: present.len(),
            rows: rows.len(),
        });
    }
    let width = rows.first().map_or(0, |row| row.as_ref().len());
    let mut dense = Vec::with_capacity(length);
    for (position, (&frame, row)) in present.iter().zip(rows).enumerate() {
        let row = row.as_ref();
        let previous = position
            .checked_sub(1)
            .map(|before| (present[before], rows[before].as_ref()));
        let last = previous.map_or(0, |(number, _)| number);
        if frame <= last {
            return Err(GapError::Order {
                previous: last,
                got: frame,
            });
        }
        if row.len() != width {
            return Err(GapError::Width {
                frame,
                expected: width,
                got: row.len(),
            });
        }
        if frame > length {
            // The last number rather than this one, so that the message names a sufficient length.
            let last = present.last().copied().unwrap_or(frame);
            return Err(GapError::Length { length, last });
        }
        for missing in last + 1..frame {
            dense.push(previous.map_or_else(
                || row.to_vec(),
                |(number, before)| interpolate(before, row, missing - number, frame - number),
            ));
        }
        dense.push(row.to_vec());
    }
    if let Some(last) = dense.last().cloned() {
        dense.resize(length, last);
    }
    Ok(dense)
}

/// Interpolates between two rows: the row at `step` of `steps` from `before` to `after`.
pub(crate) fn interpolate(before: &[f32], after: &[f32], step: usize, steps: usize) -> Vec<f32> {
    let weight = 1.0 - step as f32 / steps as f32;
    before
        .iter()
        .zip(after)
        .map(|(before, after)| weight * before + (1.0 - weight) * after)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_interpolated_and_ends_are_copied() {
        let dense = fill_gaps(&[3, 4, 7], &[[10.0], [20.0], [50.0]], 9).expect("valid rows");
        let expected = [10.0, 10.0, 10.0, 20.0, 30.0, 40.0, 50.0, 50.0, 50.0];
        for (row, expected) in dense.iter().zip(expected) {
            assert!(
                (row[0] - expected).abs() < 1e-5,
                "{row:?}, expected {expected}"
            );
        }
        assert_eq!(dense.len(), 9);
    }

    #[test]
    fn clip_without_a_face_stays_empty() {
        assert_eq!(fill_gaps::<[f32; 2]>(&[], &[], 5), Ok(vec![]));
    }

    #[test]
    fn frame_numbers_that_do_not_match_are_refused() {
        let rows = [[0.0], [1.0]];
        assert_eq!(
            fill_gaps(&[1], &rows, 2),
            Err(GapError::Count { frames: 1, rows: 2 })
        );
        assert_eq!(
            fill_gaps(&[0, 1], &rows, 2),
            Err(GapError::Order {
                previous: 0,
                got: 0
            })
        );
        assert_eq!(
            fill_gaps(&[2, 2], &rows, 2),
            Err(GapError::Order {
                previous: 2,
                got: 2
            })
        );
        assert_eq!(
            fill_gaps(&[1, 7], &rows, 6),
            Err(GapError::Length { length: 6, last: 7 })
        );
        let ragged = [vec![0.0], vec![1.0, 2.0]];
        let error = fill_gaps(&[1, 2], &ragged, 2).expect_err("second row is wider");
        assert_eq!(error.to_string(), "row of frame 2 has 2 values, expected 1");
    }
}
