//! How far pixels move, from the polynomials around them in two pictures.
//!
//! A displacement `d` turns the polynomial `r'A r + b' r + c` into one with the same `A` and `b - 2 A d`. So each pixel gives
//! two equations for `d`, and a window of them the least squares' answer.

use super::expansion::{Expansion, Polynomial};

/// Pixels to each side of a window.
const REACH: usize = 7;
/// What one pixel of a window counts.
const SHARE: f64 = 1.0 / ((2 * REACH + 1) * (2 * REACH + 1)) as f64;
/// Keeps windows without any texture from dividing by nothing.
const LEAST: f64 = 1e-3;
/// What the outermost pixels count, from the border on: their polynomials know one side alone.
const BORDER: [f32; 5] = [0.14, 0.14, 0.4472, 0.4472, 0.4472];

/// The least squares of a pixel: the matrix's entries (y y), (x y) and (x x), then the right side's, y and x.
type Equations = [f32; 5];

/// Moves each vector of `flow` to where the polynomials say, `rounds` times.
pub(super) fn improve(before: &Expansion, after: &Expansion, flow: &mut [[f32; 2]], rounds: usize) {
    let mut equations = vec![[0.0; 5]; flow.len()];
    for _ in 0..rounds {
        set_up(before, after, flow, &mut equations);
        solve(&equations, before.width, before.height, flow);
    }
}

fn set_up(before: &Expansion, after: &Expansion, flow: &[[f32; 2]], equations: &mut [Equations]) {
    let (width, height) = (before.width, before.height);
    let share = |place: usize, side: usize| {
        let from_end = side - 1 - place;
        [place, from_end]
            .into_iter()
            .filter_map(|distance| BORDER.get(distance))
            .product::<f32>()
    };
    let shares: Vec<f32> = (0..width).map(|x| share(x, width)).collect();
    for y in 0..height {
        let share_of_row = share(y, height);
        let rows = y * width..(y + 1) * width;
        let pixels = flow[rows.clone()]
            .iter()
            .zip(&before.polynomials[rows.clone()])
            .zip(&shares)
            .zip(&mut equations[rows]);
        for (x, (((vector, polynomial), share), equations)) in pixels.enumerate() {
            let moved = at(after, x, y, *vector);
            *equations = of_pixel(polynomial, moved, *vector, share * share_of_row);
        }
    }
}

/// The polynomial where a pixel has moved to, between four pixels; none beyond the border.
#[inline]
fn at(after: &Expansion, x: usize, y: usize, [dx, dy]: [f32; 2]) -> Option<Polynomial> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "pictures are narrower than 2^24 pixels"
    )]
    let (x, y) = (x as f32 + dx, y as f32 + dy);
    // Not a number is beyond the border too.
    if !(x >= 0.0 && y >= 0.0) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no less than 0; more than fits is beyond the border"
    )]
    let (left, top) = (x as usize, y as usize);
    if left >= after.width - 1 || top >= after.height - 1 {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "pictures are narrower than 2^24 pixels"
    )]
    let (x, y) = (x - left as f32, y - top as f32);
    let start = top * after.width + left;
    let upper: &[Polynomial; 2] = after.polynomials[start..].first_chunk()?;
    let lower: &[Polynomial; 2] = after.polynomials[start + after.width..].first_chunk()?;
    let weights = [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y];
    Some(std::array::from_fn(|term| {
        weights[0] * upper[0][term]
            + weights[1] * upper[1][term]
            + weights[2] * lower[0][term]
            + weights[3] * lower[1][term]
    }))
}

#[inline]
fn of_pixel(
    before: &Polynomial,
    after: Option<Polynomial>,
    [dx, dy]: [f32; 2],
    share: f32,
) -> Equations {
    let [y, x, yy, xx, xy] = *before;
    // Half of the mean of both x y: it stands twice in the matrix.
    let (slope, [yy, xx, xy]) = match after {
        Some(after) => (
            [after[0], after[1]],
            [
                (yy + after[2]) * 0.5,
                (xx + after[3]) * 0.5,
                (xy + after[4]) * 0.25,
            ],
        ),
        None => ([0.0; 2], [yy, xx, xy * 0.5]),
    };
    let down = (y - slope[0]) * 0.5 + yy * dy + xy * dx;
    let right = (x - slope[1]) * 0.5 + xy * dy + xx * dx;
    let [yy, xx, xy, down, right] = [yy, xx, xy, down, right].map(|it| it * share);
    [
        yy * yy + xy * xy,
        (yy + xx) * xy,
        xx * xx + xy * xy,
        yy * down + xy * right,
        xy * down + xx * right,
    ]
}

/// The answers of all windows. Sums move along with the window, in double precision: a number that went in comes out again
/// without a trace.
fn solve(equations: &[Equations], width: usize, height: usize, flow: &mut [[f32; 2]]) {
    let row = |y: usize| &equations[y * width..][..width];
    let mut columns = vec![[0.0_f64; 5]; width];
    for y in 0..=2 * REACH {
        let above = row(y.saturating_sub(REACH).min(height - 1));
        for (sums, pixel) in columns.iter_mut().zip(above) {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += f64::from(*value);
            }
        }
    }
    for (y, vectors) in flow.chunks_exact_mut(width).enumerate() {
        if y > 0 {
            let enters = row((y + REACH).min(height - 1));
            let leaves = row((y - 1).saturating_sub(REACH));
            for ((sums, enters), leaves) in columns.iter_mut().zip(enters).zip(leaves) {
                for term in 0..5 {
                    sums[term] += f64::from(enters[term]) - f64::from(leaves[term]);
                }
            }
        }
        let mut sums = [0.0; 5];
        for x in 0..=2 * REACH {
            let column = &columns[x.saturating_sub(REACH).min(width - 1)];
            for term in 0..5 {
                sums[term] += column[term];
            }
        }
        for (x, vector) in vectors.iter_mut().enumerate() {
            if x > 0 {
                let enters = &columns[(x + REACH).min(width - 1)];
                let leaves = &columns[(x - 1).saturating_sub(REACH)];
                for term in 0..5 {
                    sums[term] += enters[term] - leaves[term];
                }
            }
            *vector = answer(&sums);
        }
    }
}

#[inline]
fn answer(sums: &[f64; 5]) -> [f32; 2] {
    let [yy, xy, xx, down, right] = sums.map(|sum| sum * SHARE);
    let divisor = 1.0 / (yy * xx - xy * xy + LEAST);
    #[expect(clippy::cast_possible_truncation, reason = "vectors are single")]
    let vector = [
        (yy * right - xy * down) * divisor,
        (xx * down - xy * right) * divisor,
    ]
    .map(|it| it as f32);
    vector
}
