//! Predictions averaged over neighbouring frames, for whole clips or for one face frame by frame.

mod track;

pub use track::{SmoothingError, SmoothingMode, TrackSmoother};

/// Averages each row over the frames `i - half_window ..= i + half_window`, cut at the ends of the clip.
///
/// The box filter of the HSEmotion team at ABAW-10 (section 3.1), applied after gaps are filled. `rows` holds one row
/// of scores per frame.
///
/// # Panics
///
/// If a row has another width than the first.
pub fn smooth_centred<R: AsRef<[f32]>>(rows: &[R], half_window: usize) -> Vec<Vec<f32>> {
    average_windows(rows, |frame| {
        (
            frame.saturating_sub(half_window),
            frame.saturating_add(half_window).min(rows.len() - 1),
        )
    })
}

/// Averages each row over the last `window` frames up to and including it, cut at the start of the clip.
///
/// No frame waits for a later one, so this suits live video. A window of 0 counts as 1.
///
/// # Panics
///
/// If a row has another width than the first.
pub fn smooth_trailing<R: AsRef<[f32]>>(rows: &[R], window: usize) -> Vec<Vec<f32>> {
    average_windows(rows, |frame| {
        (frame.saturating_sub(window.saturating_sub(1)), frame)
    })
}

/// Takes the median of each column over the frames `i - half_window ..= i + half_window`, cut at the ends of the clip.
///
/// A variant of [`smooth_centred`] that the HSEmotion team's ABAW-10 notebook compares with the mean, without a gain.
/// For an even number of frames it is the mean of the two middle values.
///
/// # Panics
///
/// If a row has another width than the first.
pub fn smooth_median<R: AsRef<[f32]>>(rows: &[R], half_window: usize) -> Vec<Vec<f32>> {
    let width = width(rows);
    (0..rows.len())
        .map(|frame| {
            let window = &rows[frame.saturating_sub(half_window)
                ..=frame.saturating_add(half_window).min(rows.len() - 1)];
            (0..width)
                .map(|column| median(window.iter().map(|row| row.as_ref()[column]).collect()))
                .collect()
        })
        .collect()
}

/// Averages one window per frame, from its first to its last frame; running sums make the cost independent of the size.
fn average_windows<R: AsRef<[f32]>>(
    rows: &[R],
    window: impl Fn(usize) -> (usize, usize),
) -> Vec<Vec<f32>> {
    let width = width(rows);
    // Sums of all rows before each row; in f64 the difference of two is exact enough for hours of video.
    let mut sums = vec![0.0_f64; width];
    for row in rows {
        let start = sums.len() - width;
        for (column, &value) in row.as_ref().iter().enumerate() {
            sums.push(sums[start + column] + f64::from(value));
        }
    }
    (0..rows.len())
        .map(|frame| {
            let (first, last) = window(frame);
            let (before, through) = (&sums[first * width..], &sums[(last + 1) * width..]);
            (0..width)
                .map(|column| mean(through[column] - before[column], last + 1 - first))
                .collect()
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "sums are kept in f64, results are f32 like the input"
)]
fn mean(sum: f64, count: usize) -> f32 {
    (sum / count as f64) as f32
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f32::midpoint(values[middle - 1], values[middle])
    }
}

fn width<R: AsRef<[f32]>>(rows: &[R]) -> usize {
    let width = rows.first().map_or(0, |row| row.as_ref().len());
    assert!(
        rows.iter().all(|row| row.as_ref().len() == width),
        "rows have different widths, expected {width} values each"
    );
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIP: [[f32; 1]; 5] = [[1.0], [2.0], [3.0], [4.0], [10.0]];

    fn assert_close(got: &[Vec<f32>], expected: &[f32]) {
        assert_eq!(got.len(), expected.len());
        for (row, expected) in got.iter().zip(expected) {
            assert!((row[0] - expected).abs() < 1e-4, "{got:?}");
        }
    }

    #[test]
    fn centred_window_is_cut_at_the_ends() {
        assert_close(&smooth_centred(&CLIP, 1), &[1.5, 2.0, 3.0, 5.6667, 7.0]);
        assert_close(&smooth_centred(&CLIP, 2), &[2.0, 2.5, 4.0, 4.75, 5.6667]);
        assert_close(&smooth_centred(&CLIP, 0), &[1.0, 2.0, 3.0, 4.0, 10.0]);
        assert_close(&smooth_centred(&CLIP, usize::MAX), &[4.0; 5]);
        assert!(smooth_centred::<[f32; 1]>(&[], 3).is_empty());
    }

    #[test]
    fn trailing_window_never_looks_ahead() {
        assert_close(&smooth_trailing(&CLIP, 3), &[1.0, 1.5, 2.0, 3.0, 5.6667]);
        assert_close(&smooth_trailing(&CLIP, 0), &[1.0, 2.0, 3.0, 4.0, 10.0]);
    }

    #[test]
    fn median_ignores_one_outlier() {
        assert_close(&smooth_median(&CLIP, 1), &[1.5, 2.0, 3.0, 4.0, 7.0]);
    }

    #[test]
    fn running_sums_agree_with_adding_each_window() {
        let clip: Vec<[f32; 2]> = (0..300_u16)
            .map(|i| [f32::from(i * 37 % 101) / 101.0, f32::from(i % 7)])
            .collect();
        for half_window in [0, 1, 7, 50, 400] {
            let smooth = smooth_centred(&clip, half_window);
            for frame in 0..clip.len() {
                let window = &clip
                    [frame.saturating_sub(half_window)..=(frame + half_window).min(clip.len() - 1)];
                for column in 0..2 {
                    let sum: f32 = window.iter().map(|row| row[column]).sum();
                    let expected = sum / window.len() as f32;
                    assert!(
                        (smooth[frame][column] - expected).abs() < 1e-5,
                        "frame {frame}, half window {half_window}"
                    );
                }
            }
        }
    }
}
