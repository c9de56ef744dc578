//! Means over the windows that cover a frame, and over neighbouring frames.

use super::WindowError;

/// Running mean of probabilities.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    pub(super) fn add(&mut self, value: f32) {
        self.sum += f64::from(value);
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Mean of the values added, 0 without any.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "summed in f64, reported in f32"
    )]
    pub(super) fn value(&self) -> f32 {
        if self.is_empty() {
            return 0.0;
        }
        (self.sum / f64::from(self.count)) as f32
    }
}

/// Smooths frame probabilities with a box filter `width` frames wide; beyond the ends the first and last value repeat.
///
/// This is the smoothing of the published violence detection, other than
/// [`smooth_centred`](crate::smoothing::smooth_centred) for faces, whose window is cut at the ends. A width of 1
/// changes nothing.
///
/// # Errors
///
/// [`WindowError::Even`] if `width` is even.
pub fn smooth_repeating(values: &[f32], width: usize) -> Result<Vec<f32>, WindowError> {
    if width.is_multiple_of(2) {
        return Err(WindowError::Even { got: width });
    }
    let half = width / 2;
    let last = values.len().saturating_sub(1);
    Ok((0..values.len())
        .map(|frame| {
            let mut mean = Mean::default();
            for neighbour in frame..frame + width {
                mean.add(values[neighbour.saturating_sub(half).min(last)]);
            }
            mean.value()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_repeat_when_smoothed() {
        let smoothed = smooth_repeating(&[0.0, 0.0, 1.0], 3).expect("odd");
        assert_eq!(smoothed, [0.0, 0.333_333_34, 0.666_666_7]);
        assert_eq!(smooth_repeating(&[], 5), Ok(vec![]));
        assert_eq!(
            smooth_repeating(&[1.0], 4).expect_err("even").to_string(),
            "smoothing window of 4 frames, expected an odd number"
        );
    }
}
