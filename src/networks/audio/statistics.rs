//! Means and variances over time of what a convolution gives, without running it.
//!
//! An output is `w . x` for the window `x` that it sees. Over all windows its mean is `w . m` and its variance `w' C w`,
//! where `m` and `C` are means and covariances of the samples at each place of a window. Both come out of one pass over the
//! sound whatever the number of channels, in f64.

/// Means and covariances of the samples of all windows.
#[derive(Debug)]
pub(super) struct WindowStatistics<const KERNEL: usize> {
    means: [f64; KERNEL],
    covariances: [[f64; KERNEL]; KERNEL],
}

impl<const KERNEL: usize> WindowStatistics<KERNEL> {
    /// Looks at every window of `KERNEL` samples, each `stride` after the one before; there is one at least.
    pub(super) fn of(samples: &[f32], stride: usize) -> Self {
        let windows = || samples.windows(KERNEL).step_by(stride);
        let count = windows().len() as f64;
        let mut means = [0.0; KERNEL];
        for window in windows() {
            for (mean, sample) in means.iter_mut().zip(window) {
                *mean += f64::from(*sample);
            }
        }
        means.iter_mut().for_each(|mean| *mean /= count);
        let mut covariances = [[0.0; KERNEL]; KERNEL];
        for window in windows() {
            let mut rests = [0.0; KERNEL];
            for ((rest, sample), mean) in rests.iter_mut().zip(window).zip(means) {
                *rest = f64::from(*sample) - mean;
            }
            for (row, rest) in covariances.iter_mut().zip(rests) {
                for (sum, other) in row.iter_mut().zip(rests) {
                    *sum += rest * other;
                }
            }
        }
        for sum in covariances.iter_mut().flatten() {
            *sum /= count;
        }
        Self { means, covariances }
    }

    /// Mean and variance of the outputs of a kernel.
    pub(super) fn under(&self, kernel: &[f32]) -> [f64; 2] {
        let product = |row: &[f64; KERNEL]| -> f64 {
            let products = row.iter().zip(kernel);
            products.map(|(x, w)| x * f64::from(*w)).sum()
        };
        let rows = self.covariances.iter().zip(kernel);
        let variance: f64 = rows.map(|(row, w)| product(row) * f64::from(*w)).sum();
        [product(&self.means), variance.max(0.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_of_the_outputs() {
        let samples: Vec<f32> = (0..103)
            .map(|it| ((it * it % 17) as f32).sin() + 0.3)
            .collect();
        let kernel = [0.5, -1.0, 0.25, 2.0];
        let outputs: Vec<f64> = samples
            .windows(4)
            .step_by(3)
            .map(|window| {
                let products = window.iter().zip(kernel);
                products
                    .map(|(x, w): (&f32, f32)| f64::from(*x) * f64::from(w))
                    .sum()
            })
            .collect();
        let mean = outputs.iter().sum::<f64>() / outputs.len() as f64;
        let squares = outputs.iter().map(|output| (output - mean).powi(2));
        let variance = squares.sum::<f64>() / outputs.len() as f64;
        let got = WindowStatistics::<4>::of(&samples, 3).under(&kernel);
        assert!((got[0] - mean).abs() < 1e-12 && (got[1] - variance).abs() < 1e-12);
    }

    #[test]
    fn silence_has_no_variance() {
        let statistics = WindowStatistics::<4>::of(&[0.25; 40], 2);
        assert_eq!(statistics.under(&[1.0, 1.0, 1.0, -1.0]), [0.5, 0.0]);
    }
}
