//! A picture as a polynomial around each pixel: `level(x, y) = a + b x + c y + d x² + e y² + f x y`, fitted to 11 x 11 pixels
//! that weigh less the farther away they are.
//!
//! Weights are a product of one in x and one in y, and so are the sums of the fit: each coefficient takes a pass down the
//! columns and one along the rows.

use super::plane::Plane;

/// Pixels to each side.
const REACH: usize = 5;
const TAPS: usize = 2 * REACH + 1;
/// Spread of the weights, pixels.
const SIGMA: f64 = 1.2;

/// Coefficients of a pixel: of y, x, y², x² and x y. The constant says nothing about movement.
pub(super) type Polynomial = [f32; 5];

/// The polynomials of a picture.
#[derive(Clone, Debug)]
pub(super) struct Expansion {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) polynomials: Vec<Polynomial>,
}

/// What pixels at distances of -5 to 5 count in a coefficient.
#[derive(Clone, Copy)]
struct Weights {
    /// For what does not depend on the distance.
    level: [f32; TAPS],
    /// For the slope.
    slope: [f32; TAPS],
    /// For the curvature.
    curvature: [f32; TAPS],
}

impl Weights {
    fn new() -> Self {
        let distances: [f64; TAPS] = std::array::from_fn(|place| place as f64 - REACH as f64);
        let bell = distances.map(|it| (-it * it / (2.0 * SIGMA * SIGMA)).exp());
        let sum: f64 = bell.iter().sum();
        let bell = bell.map(|it| it / sum);
        let moment = |power: i32| -> f64 {
            let parts = bell.iter().zip(distances);
            parts
                .map(|(weight, distance)| weight * distance.powi(power))
                .sum()
        };
        let (second, fourth) = (moment(2), moment(4));
        // The inverse of the matrix of the weighted squares, of which these entries are not 0 (section 3 of the paper):
        // with 1, x² and y² it is [[1, s, s], [s, q, s²], [s, s², q]] for the moments s and q.
        let curvature = 1.0 / (fourth - second * second);
        let single = |values: [f64; TAPS]| {
            #[expect(clippy::cast_possible_truncation, reason = "sums are single too")]
            let single = values.map(|it| it as f32);
            single
        };
        Self {
            level: single(bell),
            slope: single(std::array::from_fn(|place| {
                bell[place] * distances[place] / second
            })),
            curvature: single(std::array::from_fn(|place| {
                let distance = distances[place];
                curvature * bell[place] * (distance * distance - second)
            })),
        }
    }
}

impl Expansion {
    /// The polynomials of levels; beyond the border they go on as they are there.
    pub(super) fn of(plane: &Plane) -> Self {
        let (width, height) = (plane.width, plane.height);
        let weights = Weights::new();
        let mut polynomials = Vec::with_capacity(width * height);
        let mut columns = [(); 3].map(|()| vec![0.0; width + 2 * REACH]);
        let mut coefficients = [(); 5].map(|()| vec![0.0; width]);
        for y in 0..height {
            let rows: [&[f32]; TAPS] = std::array::from_fn(|tap| {
                let row = (y + tap).saturating_sub(REACH).min(height - 1);
                &plane.levels[row * width..][..width]
            });
            for (column, weights) in
                columns
                    .iter_mut()
                    .zip([&weights.level, &weights.slope, &weights.curvature])
            {
                add_up(rows, weights, &mut column[REACH..][..width]);
                let (first, last) = (column[REACH], column[REACH + width - 1]);
                column[..REACH].fill(first);
                column[REACH + width..].fill(last);
            }
            let [level, slope, curvature] = columns.each_ref().map(|column| -> [&[f32]; TAPS] {
                std::array::from_fn(|tap| &column[tap..][..width])
            });
            let [in_y, in_x, in_yy, in_xx, in_xy] = &mut coefficients;
            add_up(slope, &weights.level, in_y);
            add_up(level, &weights.slope, in_x);
            add_up(curvature, &weights.level, in_yy);
            add_up(level, &weights.curvature, in_xx);
            add_up(slope, &weights.slope, in_xy);
            polynomials
                .extend((0..width).map(|x| [in_y[x], in_x[x], in_yy[x], in_xx[x], in_xy[x]]));
        }
        Self {
            width,
            height,
            polynomials,
        }
    }
}

/// Weighted sums of eleven rows.
fn add_up(rows: [&[f32]; TAPS], weights: &[f32; TAPS], sums: &mut [f32]) {
    let rows = rows.map(|row| &row[..sums.len()]);
    for (x, sum) in sums.iter_mut().enumerate() {
        let mut total = 0.0;
        for tap in 0..TAPS {
            total += rows[tap][x] * weights[tap];
        }
        *sum = total;
    }
}
