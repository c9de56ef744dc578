//! Logistic regression with an L2 penalty, to convergence.

/// Step after which nothing changes any more, relative to the largest possible slope.
const TOLERANCE: f64 = 1e-7;
const MOST_STEPS: usize = 5000;

/// Weights and bias that minimise the mean logistic loss of `rows` plus `penalty / 2` times the squared weights; the bias is
/// free. Deterministic: accelerated gradient steps from zero (Nesterov 1983).
///
/// # Panics
///
/// If there are no rows, or not as many labels as rows.
pub(super) fn logistic_regression(
    rows: &[Vec<f32>],
    labels: &[bool],
    penalty: f64,
) -> (Vec<f64>, f64) {
    assert_eq!(rows.len(), labels.len(), "a label a row");
    let (count, width) = (rows.len() as f64, rows[0].len());
    let squares = rows.iter().flatten().map(|it| f64::from(*it).powi(2));
    // The loss of a row bends by at most a quarter of its squared length; weights and bias each get half of the room, so
    // that a large penalty does not slow the bias down.
    let weight_step = 0.5 / (penalty + squares.sum::<f64>() / count / 4.0);
    let mut steps = vec![weight_step; width];
    steps.push(2.0);
    // The last value is the bias.
    let mut now = vec![0.0; width + 1];
    let mut ahead = now.clone();
    let mut momentum = 1.0_f64;
    for _ in 0..MOST_STEPS {
        let mut gradient: Vec<f64> = ahead[..width].iter().map(|it| it * penalty).collect();
        gradient.push(0.0);
        for (row, label) in rows.iter().zip(labels) {
            let score = score(row, &ahead[..width], ahead[width]);
            let error = (1.0 / (1.0 + (-score).exp()) - f64::from(u8::from(*label))) / count;
            for (slope, value) in gradient.iter_mut().zip(row) {
                *slope += error * f64::from(*value);
            }
            gradient[width] += error;
        }
        if gradient.iter().all(|slope| slope.abs() < TOLERANCE) {
            break;
        }
        let next: Vec<f64> = ahead
            .iter()
            .zip(gradient.iter().zip(&steps))
            .map(|(at, (slope, step))| at - step * slope)
            .collect();
        // Starts anew where the steps have gone past the valley.
        let uphill: f64 = next
            .iter()
            .zip(&now)
            .zip(&gradient)
            .map(|((next, now), slope)| slope * (next - now))
            .sum();
        let following = match uphill > 0.0 {
            true => 1.0,
            false => (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0,
        };
        let push = if uphill > 0.0 {
            0.0
        } else {
            (momentum - 1.0) / following
        };
        ahead = next
            .iter()
            .zip(&now)
            .map(|(next, now)| next + push * (next - now))
            .collect();
        now = next;
        momentum = following;
    }
    let bias = now.pop().unwrap_or_default();
    (now, bias)
}

/// `row * weights + bias`.
pub(super) fn score(row: &[f32], weights: &[f64], bias: f64) -> f64 {
    let products = row
        .iter()
        .zip(weights)
        .map(|(value, weight)| f64::from(*value) * weight);
    products.sum::<f64>() + bias
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_is_the_one_that_newton_finds() {
        // One feature; by Newton's method in f64: weight 0.8239, bias -0.4120 at penalty 0.1.
        let rows: Vec<Vec<f32>> = [-1.0, 0.0, 1.0, 2.0].map(|value| vec![value]).to_vec();
        let labels = [false, false, true, true];
        let (weights, bias) = logistic_regression(&rows, &labels, 0.1);
        let slope = |weights: &[f64], bias: f64| -> [f64; 2] {
            let mut slope = [0.1 * weights[0], 0.0];
            for (row, label) in rows.iter().zip(labels) {
                let error =
                    1.0 / (1.0 + (-score(row, weights, bias)).exp()) - f64::from(u8::from(label));
                slope[0] += error * f64::from(row[0]) / 4.0;
                slope[1] += error / 4.0;
            }
            slope
        };
        assert!(slope(&weights, bias).iter().all(|it| it.abs() < 1e-6));
        assert!(
            weights[0] > 0.5 && (bias + weights[0] / 2.0).abs() < 1e-4,
            "{weights:?} {bias}"
        );
    }

    #[test]
    fn a_penalty_shrinks_weights_and_leaves_the_bias_to_the_classes() {
        let rows = vec![
            vec![1.0, 50.0],
            vec![-1.0, 50.0],
            vec![1.0, 50.0],
            vec![-2.0, 50.0],
        ];
        let labels = [true, false, true, true];
        let (weights, bias) = logistic_regression(&rows, &labels, 1e9);
        assert!(weights.iter().all(|it| it.abs() < 1e-6));
        assert!((bias - 3.0_f64.ln()).abs() < 1e-3, "{bias}");
    }
}
