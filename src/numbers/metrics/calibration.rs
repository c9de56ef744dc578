//! How far probabilities can be believed.

/// Bins of equal width.
const BINS: usize = 15;

/// Expected calibration error over fifteen bins (Guo et al., "On calibration of modern neural networks", 2017): the mean
/// gap between how sure a classifier is of its decisions and how often they are right, in `[0, 1]`; 0 without any.
///
/// A decision is its probability and whether it is right.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of fifteen bins"
)]
pub fn expected_calibration_error(decisions: impl IntoIterator<Item = (f32, bool)>) -> f64 {
    let mut bins = [(0.0, 0.0, 0_u32); BINS];
    for (sure, is_right) in decisions {
        let bin = ((sure * BINS as f32) as usize).min(BINS - 1);
        bins[bin].0 += f64::from(sure);
        bins[bin].1 += f64::from(u8::from(is_right));
        bins[bin].2 += 1;
    }
    let count: u32 = bins.iter().map(|bin| bin.2).sum();
    let gaps: f64 = bins
        .iter()
        .map(|(sure, right, _)| f64::abs(sure - right))
        .sum();
    gaps / f64::from(count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_mean_gap_of_the_bins() {
        let decisions = [(0.95, true), (0.95, true), (0.55, false), (1.0, true)];
        // The last bin holds .95, .95 and 1, all right; another .55, wrong.
        let expected = (3.0 - 2.9 + 0.55) / 4.0;
        let found = expected_calibration_error(decisions);
        assert!((found - expected).abs() < 1e-6, "{found}");
        assert_eq!(expected_calibration_error([]), 0.0);
    }
}
