//! How sure scores of few examples are.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use affectlens::metrics::Confusion;

/// Standard deviations of a normal distribution to each side that hold 95 % of it.
const DEVIATIONS: f64 = 1.959_964;
/// Draws of a bootstrap.
const DRAWS: usize = 1000;
const SEED: u64 = 0;

/// The 95 % interval of a share (Wilson 1927); `[0, 1]` without examples.
pub(super) fn wilson(hits: u64, count: u64) -> [f64; 2] {
    if count == 0 {
        return [0.0, 1.0];
    }
    let (n, squared) = (count as f64, DEVIATIONS * DEVIATIONS);
    let share = hits as f64 / n;
    let centre = share + squared / (2.0 * n);
    let reach = DEVIATIONS * (share * (1.0 - share) / n + squared / (4.0 * n * n)).sqrt();
    let scale = 1.0 + squared / n;
    [(centre - reach) / scale, (centre + reach) / scale].map(|edge| edge.clamp(0.0, 1.0))
}

/// The 95 % interval of macro-F1: percentiles over a thousand samples, drawn from the examples with replacement, by a fixed
/// seed (Efron 1979). `None` without examples.
pub(super) fn bootstrap(classes: usize, pairs: &[[usize; 2]]) -> Option<[f64; 2]> {
    if pairs.is_empty() {
        return None;
    }
    let mut random = StdRng::seed_from_u64(SEED);
    let mut scores = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let mut confusion = Confusion::new(classes);
        for _ in pairs {
            let [truth, prediction] = pairs[random.random_range(0..pairs.len())];
            confusion.add(truth, prediction);
        }
        scores.push(confusion.macro_f1());
    }
    scores.sort_by(f64::total_cmp);
    Some([scores[DRAWS / 40], scores[DRAWS - 1 - DRAWS / 40]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula in Python, with 1.959963984540054 deviations.
    #[test]
    fn intervals_of_shares_are_those_of_wilson() {
        for (hits, count, expected) in [
            (8, 10, [0.490_162, 0.943_318]),
            (0, 20, [0.0, 0.161_125]),
            (300, 400, [0.705_323, 0.789_921]),
        ] {
            let interval = wilson(hits, count);
            for (edge, expected) in interval.into_iter().zip(expected) {
                assert!((edge - expected).abs() < 1e-6, "{hits}/{count}: {edge}");
            }
        }
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
    }

    #[test]
    fn macro_f1_is_within_an_interval_that_narrows_with_more_examples() {
        let few: Vec<[usize; 2]> = (0..40)
            .map(|it| [it % 2, usize::from(it % 5 == 0)])
            .collect();
        let many = few.repeat(16);
        let score = Confusion::from_pairs(
            2,
            &few.iter().map(|pair| pair[0]).collect::<Vec<_>>(),
            &few.iter().map(|pair| pair[1]).collect::<Vec<_>>(),
        );
        let width = |pairs: &[[usize; 2]]| {
            let [low, high] = bootstrap(2, pairs).expect("examples");
            assert!(low < score.macro_f1() && score.macro_f1() < high);
            assert_eq!(bootstrap(2, pairs), Some([low, high]), "a fixed seed");
            high - low
        };
        let (wide, narrow) = (width(&few), width(&many));
        // Four times as narrow, but for what chance does to percentiles.
        assert!((3.0..5.5).contains(&(wide / narrow)), "{wide} {narrow}");
        assert_eq!(bootstrap(2, &[]), None);
    }
}
