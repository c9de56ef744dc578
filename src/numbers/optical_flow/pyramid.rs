//! A picture in several sizes, each as polynomials; the flow between two of them.

use super::{
    Flow, FlowError, GreyPicture, displacement::improve, expansion::Expansion, grey::between,
    plane::Plane,
};

/// Sizes besides the picture's own, each half of the one before.
const HALVINGS: i32 = 3;
/// A size with a shorter side than this is left out, pixels.
const LEAST_SIDE: f64 = 32.0;
/// How often each size corrects the vectors.
const ROUNDS: usize = 3;

/// A picture prepared for its flow to another one. Of consecutive frames each is prepared once, and serves as the later and
/// then as the earlier one.
///
/// It takes 27 bytes a pixel. Halves, quarters and eighths of the picture are left out where a side would have less than 32
/// pixels.
///
/// ```
/// use affectlens::optical_flow::{FlowPyramid, GreyPicture};
///
/// let picture = GreyPicture::new(40, 30, vec![7; 1200]).expect("as many levels as pixels");
/// let frame = FlowPyramid::new(&picture);
/// let flow = frame.flow_to(&frame).expect("of one size");
/// assert!(flow.vectors().iter().flatten().all(|pixels| pixels.abs() < 0.05));
/// ```
#[derive(Clone, Debug)]
pub struct FlowPyramid {
    /// The picture's own size first.
    sizes: Vec<Expansion>,
}

impl FlowPyramid {
    /// Prepares a picture.
    pub fn new(picture: &GreyPicture) -> Self {
        let plane = Plane {
            width: picture.width(),
            height: picture.height(),
            levels: picture.levels().iter().copied().map(f32::from).collect(),
        };
        #[expect(clippy::cast_precision_loss, reason = "sides of pictures")]
        let sides = [plane.width as f64, plane.height as f64];
        let scales = (0..=HALVINGS).map(|halvings| 0.5_f64.powi(halvings));
        let scales = scales.take_while(|scale| {
            *scale == 1.0 || sides.iter().all(|side| side * scale >= LEAST_SIDE)
        });
        let size = |scale: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a side or less"
            )]
            let [width, height] = sides.map(|side| (side * scale).round_ties_even() as usize);
            let blurred = plane.blurred(&blur(scale));
            Expansion::of(&blurred.resized(width, height))
        };
        Self {
            sizes: scales.map(size).collect(),
        }
    }

    /// How far each pixel of this picture moves to be where it is in another one.
    ///
    /// As in OpenCV, pixels at the right and the lower border have nothing to be compared with: near them even equal pictures
    /// have vectors of about a tenth of a pixel, unless they are of one colour.
    ///
    /// # Errors
    ///
    /// [`FlowError`] if the pictures are of different sizes.
    pub fn flow_to(&self, after: &Self) -> Result<Flow, FlowError> {
        let [own, other] = [self, after].map(|it| [it.sizes[0].width, it.sizes[0].height]);
        if own != other {
            return Err(FlowError::Sizes {
                before: own,
                after: other,
            });
        }
        let mut found: Option<Flow> = None;
        for (before, after) in self.sizes.iter().zip(&after.sizes).rev() {
            let (width, height) = (before.width, before.height);
            let mut vectors = match &found {
                None => vec![[0.0; 2]; width * height],
                Some(coarse) => {
                    let from = [coarse.width, coarse.height];
                    let mut vectors = resized(&coarse.vectors, from, [width, height]);
                    vectors
                        .as_flattened_mut()
                        .iter_mut()
                        .for_each(|it| *it *= 2.0);
                    vectors
                }
            };
            improve(before, after, &mut vectors, ROUNDS);
            found = Some(Flow {
                width,
                height,
                vectors,
            });
        }
        Ok(found.expect("a picture has its own size"))
    }
}

/// What neighbours count, from one side to the other, before a picture is made smaller by a scale.
fn blur(scale: f64) -> Vec<f32> {
    let sigma = (1.0 / scale - 1.0) * 0.5;
    if sigma == 0.0 {
        return vec![0.25, 0.5, 0.25];
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "18 at most"
    )]
    let taps = ((sigma * 5.0).round_ties_even() as usize | 1).max(3);
    let middle = (taps / 2) as f64;
    let bell: Vec<f64> = (0..taps)
        .map(|tap| {
            let distance = tap as f64 - middle;
            (-distance * distance / (2.0 * sigma * sigma)).exp()
        })
        .collect();
    let sum: f64 = bell.iter().sum();
    #[expect(clippy::cast_possible_truncation, reason = "levels are single too")]
    let kernel = bell.iter().map(|it| (it / sum) as f32).collect();
    kernel
}

impl Plane {
    /// Blurred in both directions; the border is a mirror.
    fn blurred(&self, kernel: &[f32]) -> Self {
        let (width, height) = (self.width, self.height);
        let reach = kernel.len() / 2;
        let mut levels = vec![0.0; width * height];
        let mut column = vec![0.0; width + 2 * reach];
        for (y, blurred) in levels.chunks_exact_mut(width).enumerate() {
            let sums = &mut column[reach..][..width];
            sums.fill(0.0);
            for (tap, weight) in kernel.iter().enumerate() {
                let row = &self.levels[mirrored(y + tap, reach, height) * width..][..width];
                add_weighted(sums, row, *weight);
            }
            for place in 0..reach {
                column[place] = column[reach + mirrored(place, reach, width)];
                let after = reach + width + place;
                column[after] = column[reach + mirrored(after, reach, width)];
            }
            for (tap, weight) in kernel.iter().enumerate() {
                add_weighted(blurred, &column[tap..][..width], *weight);
            }
        }
        Self {
            width,
            height,
            levels,
        }
    }

    fn resized(self, width: usize, height: usize) -> Self {
        let from = [self.width, self.height];
        if from == [width, height] {
            return self;
        }
        let (levels, _) = self.levels.as_chunks::<1>();
        Self {
            width,
            height,
            levels: resized(levels, from, [width, height]).into_flattened(),
        }
    }
}

fn add_weighted(sums: &mut [f32], values: &[f32], weight: f32) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

/// The place, less `reach`, mirrored at the middles of the first and the last pixel until it is one.
fn mirrored(place: usize, reach: usize, side: usize) -> usize {
    if side == 1 {
        return 0;
    }
    let period = 2 * (side - 1);
    // A multiple of the period that keeps the difference above 0.
    let place = (place + period * reach - reach) % period;
    place.min(period - place)
}

/// Values between those of the four nearest pixels.
fn resized<const N: usize>(
    values: &[[f32; N]],
    [width, height]: [usize; 2],
    [to_width, to_height]: [usize; 2],
) -> Vec<[f32; N]> {
    let across: Vec<_> = (0..to_width).map(|x| between(x, width, to_width)).collect();
    let mix = |one: &[f32; N], other: &[f32; N], share: f32| -> [f32; N] {
        std::array::from_fn(|term| one[term] * (1.0 - share) + other[term] * share)
    };
    let row = |y: usize| {
        let row = &values[y * width..][..width];
        let at =
            |([left, right], share): &([usize; 2], f32)| mix(&row[*left], &row[*right], *share);
        across.iter().map(at).collect::<Vec<_>>()
    };
    let mut resized = Vec::with_capacity(to_width * to_height);
    for y in 0..to_height {
        let ([upper, lower], share) = between(y, height, to_height);
        let rows = row(upper).into_iter().zip(row(lower));
        resized.extend(rows.map(|(upper, lower)| mix(&upper, &lower, share)));
    }
    resized
}
