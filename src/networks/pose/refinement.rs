//! Points moved to where the heat maps are warm.

use affectlens_formats::architecture::blazepose::landmarks::{HEATMAP_SIDE, POINTS};

/// Pixels of a heat map on each side of a point that count.
const REACH: usize = 3;
/// Probability that a heat map must reach about a point to move it.
const MIN_PROBABILITY: f32 = 0.5;

/// Moves a point of the square, `[0, 1]`, to the middle of what its heat map shows about it.
///
/// `logits` are those of all heat maps, one pixel's side by side; a point beyond the map, or one that the map is not sure
/// of, stays where it is.
pub(super) fn refine(logits: &[f32], point: usize, place: [f32; 2]) -> [f32; 2] {
    let side = HEATMAP_SIDE as f32;
    let column = cell(place[0] * side, HEATMAP_SIDE);
    // MediaPipe asks for the column alone to lie in the map: below it there is nothing to see only beyond the reach.
    let row = cell(place[1] * side, HEATMAP_SIDE + REACH);
    let (Some(column), Some(row)) = (column, row) else {
        return place;
    };
    let around = |at: usize| at.saturating_sub(REACH)..(at + REACH + 1).min(HEATMAP_SIDE);
    let (mut total, mut largest, mut weighted) = (0.0, 0.0_f32, [0.0; 2]);
    for row in around(row) {
        for column in around(column) {
            let probability =
                probability_of(logits[(row * HEATMAP_SIDE + column) * POINTS + point]);
            total += probability;
            largest = largest.max(probability);
            weighted[0] += column as f32 * probability;
            weighted[1] += row as f32 * probability;
        }
    }
    if largest < MIN_PROBABILITY || total <= 0.0 {
        return place;
    }
    weighted.map(|sum| sum / side / total)
}

/// From a logit to a probability.
pub(super) fn probability_of(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The cell, of so many, that a coordinate lies in; the first one begins a cell before the map, where MediaPipe's rounding
/// towards zero puts it.
fn cell(coordinate: f32, cells: usize) -> Option<usize> {
    let is_inside = coordinate > -1.0 && coordinate < cells as f32;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "inside of the map"
    )]
    is_inside.then_some(coordinate.max(0.0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heat maps that are cold but for the cells of one point.
    fn heatmaps(point: usize, warm: &[([usize; 2], f32)]) -> Vec<f32> {
        let mut logits = vec![-1e3; HEATMAP_SIDE * HEATMAP_SIDE * POINTS];
        for &([column, row], logit) in warm {
            logits[(row * HEATMAP_SIDE + column) * POINTS + point] = logit;
        }
        logits
    }

    #[test]
    fn a_point_moves_to_the_middle_of_what_is_warm_about_it() {
        let logits = heatmaps(
            5,
            &[([10, 20], 100.0), ([12, 23], 100.0), ([14, 20], 100.0)],
        );
        // The third cell is four away from the tenth.
        let moved = refine(&logits, 5, [10.5 / 64.0, 20.9 / 64.0]);
        assert_eq!(moved, [11.0 / 64.0, 21.5 / 64.0]);
        let other = [10.5 / 64.0, 20.9 / 64.0];
        assert_eq!(refine(&logits, 6, other), other);
    }

    #[test]
    fn a_map_that_is_not_sure_moves_nothing() {
        let place = [0.3, 0.4];
        let [column, row] = [19, 25];
        assert_eq!(
            refine(&heatmaps(0, &[([column, row], -0.01)]), 0, place),
            place
        );
        let moved = refine(&heatmaps(0, &[([column, row], 0.0)]), 0, place);
        assert_eq!(moved, [19.0 / 64.0, 25.0 / 64.0]);
    }

    #[test]
    fn points_beyond_the_map_stay() {
        let logits = heatmaps(0, &[([0, 0], 100.0), ([63, 63], 100.0)]);
        for place in [
            [-0.02, 0.99],
            [1.0, 0.99],
            [0.98, 1.05],
            [f32::NAN, 0.5],
            [0.98, f32::INFINITY],
        ] {
            let same = refine(&logits, 0, place);
            assert!(same == place || place[0].is_nan() && same[0].is_nan());
        }
        assert_eq!(refine(&logits, 0, [-0.01, -0.01]), [0.0, 0.0]);
        let last = [63.0 / 64.0, 63.0 / 64.0];
        assert_eq!(refine(&logits, 0, [0.999, 0.999]), last);
        assert_eq!(refine(&logits, 0, [0.999, 1.04]), last, "just below");
    }
}
