//! What is done to training frames: mirror images, and TrivialAugmentWide (Müller & Hutter 2021) as torchvision applies
//! it to 8-bit tensors, with nearest interpolation and black where nothing is.

use rand::{RngExt, rngs::StdRng};

use super::Augmentation;
use affectlens::frame::Frame;

/// Steps of a magnitude.
const BINS: u8 = 31;

/// An operation of TrivialAugmentWide with its magnitude.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operation {
    /// Nothing.
    Identity,
    /// Pixels of a row move by this times its number.
    ShearX(f32),
    /// Pixels of a column move by this times its number.
    ShearY(f32),
    /// Moves to the right, pixels.
    TranslateX(i32),
    /// Moves down, pixels.
    TranslateY(i32),
    /// Turns against the clock, degrees.
    Rotate(f32),
    /// Away from black by this factor.
    Brightness(f64),
    /// Away from grey by this factor.
    Color(f64),
    /// Away from the mean grey by this factor.
    Contrast(f64),
    /// Away from the blurred picture by this factor.
    Sharpness(f64),
    /// Keeps this many bits of a level.
    Posterize(u8),
    /// Inverts levels from this one on.
    Solarize(f32),
    /// Stretches the levels of each channel over the whole range.
    AutoContrast,
    /// Makes the levels of each channel equally frequent.
    Equalize,
}

impl Operation {
    /// Number of operations.
    const COUNT: u8 = 14;

    /// The operation of an index below [`COUNT`](Self::COUNT), in torchvision's order, at a step of its magnitude from
    /// 0 to 30; `negative` turns the sign of those that have one.
    fn new(index: u8, bin: u8, negative: bool) -> Self {
        let part = |largest: f32| linspace(0.0, largest, bin);
        let signed = |largest: f32| {
            if negative {
                -part(largest)
            } else {
                part(largest)
            }
        };
        let factor = 1.0 + f64::from(signed(0.99));
        #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
        let pixels = signed(32.0) as i32;
        match index {
            1 => Self::ShearX(signed(0.99)),
            2 => Self::ShearY(signed(0.99)),
            3 => Self::TranslateX(pixels),
            4 => Self::TranslateY(pixels),
            5 => Self::Rotate(signed(135.0)),
            6 => Self::Brightness(factor),
            7 => Self::Color(factor),
            8 => Self::Contrast(factor),
            9 => Self::Sharpness(factor),
            // Thirty steps over six bits; no step lies between two.
            10 => Self::Posterize(8 - (bin + 2) / 5),
            11 => Self::Solarize(linspace(255.0, 0.0, bin)),
            12 => Self::AutoContrast,
            13 => Self::Equalize,
            _ => Self::Identity,
        }
    }

    /// A random one, as TrivialAugmentWide draws it.
    fn draw(random: &mut StdRng) -> Self {
        let index = random.random_range(0..Self::COUNT);
        Self::new(index, random.random_range(0..BINS), random.random_bool(0.5))
    }

    /// The picture after the operation, of the same size.
    pub(super) fn apply(self, picture: &Frame) -> Frame {
        let centre = [picture.width(), picture.height()].map(|side| -0.5 * f64::from(side));
        let sampled = |linear, centre, shift| sample(picture, linear, centre, shift);
        match self {
            Self::Identity => picture.clone(),
            Self::ShearX(part) => sampled([1.0, f64::from(part), 0.0, 1.0], centre, [0.0; 2]),
            Self::ShearY(part) => sampled([1.0, 0.0, f64::from(part), 1.0], centre, [0.0; 2]),
            Self::TranslateX(pixels) => {
                sampled([1.0, 0.0, 0.0, 1.0], [0.0; 2], [f64::from(pixels), 0.0])
            }
            Self::TranslateY(pixels) => {
                sampled([1.0, 0.0, 0.0, 1.0], [0.0; 2], [0.0, f64::from(pixels)])
            }
            Self::Rotate(degrees) => {
                let (sine, cosine) = f64::from(degrees).to_radians().sin_cos();
                sampled([cosine, -sine, sine, cosine], [0.0; 2], [0.0; 2])
            }
            Self::Brightness(factor) => blend(picture, factor, |_| [0.0; 3]),
            Self::Color(factor) => {
                let greys = greys(picture);
                blend(picture, factor, |place| [f32::from(greys[place]); 3])
            }
            Self::Contrast(factor) => {
                let greys = greys(picture);
                let sum: u64 = greys.iter().map(|grey| u64::from(*grey)).sum();
                let mean = sum as f32 / greys.len() as f32;
                blend(picture, factor, |_| [mean; 3])
            }
            Self::Sharpness(factor) => sharpen(picture, factor),
            Self::Posterize(bits) => levels(picture, |level, _| level & (0xff << (8 - bits))),
            Self::Solarize(threshold) => levels(picture, |level, _| {
                if f32::from(level) >= threshold {
                    255 - level
                } else {
                    level
                }
            }),
            Self::AutoContrast => tables(picture, auto_contrast),
            Self::Equalize => tables(picture, equalize),
        }
    }
}

/// As PyTorch spaces 31 numbers: the second half is counted from the end.
fn linspace(start: f32, end: f32, bin: u8) -> f32 {
    let last = BINS - 1;
    let step = (end - start) / f32::from(last);
    if bin < BINS / 2 {
        step.mul_add(f32::from(bin), start)
    } else {
        (-step).mul_add(f32::from(last - bin), end)
    }
}

/// What an augmentation makes of a frame on its own.
pub(super) fn augment(picture: Frame, augmentation: Augmentation, random: &mut StdRng) -> Frame {
    match augmentation {
        // Clips are drawn as a whole.
        Augmentation::None | Augmentation::Coherent { .. } => picture,
        Augmentation::Flip if random.random_bool(0.5) => picture.mirrored(),
        Augmentation::Flip => picture,
        Augmentation::TrivialWide => Operation::draw(random).apply(&picture),
    }
}

fn like(picture: &Frame, pixels: Vec<u8>) -> Frame {
    Frame::from_rgb(picture.width(), picture.height(), pixels)
        .expect("as many pixels as the picture")
}

/// Looks up where each pixel comes from: the linear map, about a centre, of its place less a shift, all from the middle
/// of the picture.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "torchvision's grid is f32; places are checked against the picture"
)]
fn sample(picture: &Frame, linear: [f64; 4], centre: [f64; 2], shift: [f64; 2]) -> Frame {
    let [a, b, c, d] = linear;
    let moved = [-centre[0] - shift[0], -centre[1] - shift[1]];
    let offset = [
        a * moved[0] + b * moved[1] + centre[0],
        c * moved[0] + d * moved[1] + centre[1],
    ];
    let sides = [picture.width(), picture.height()];
    let half = sides.map(|side| 0.5 * side as f32);
    let row = |x: f64, y: f64, offset: f64, half: f32| [x, y, offset].map(|it| it as f32 / half);
    let rows = [row(a, b, offset[0], half[0]), row(c, d, offset[1], half[1])];
    let mut pixels = Vec::with_capacity(picture.pixels().len());
    for y in 0..sides[1] {
        for x in 0..sides[0] {
            let [x, y] = [x as f32 - half[0] + 0.5, y as f32 - half[1] + 0.5];
            let [from_x, from_y] = [0, 1].map(|axis: usize| {
                let [along, across, offset] = rows[axis];
                let place = (x * along + y * across + offset + 1.0) * half[axis] - 0.5;
                place.round_ties_even()
            });
            let inside = |place: f32, side: u32| (0.0..side as f32).contains(&place);
            if inside(from_x, sides[0]) && inside(from_y, sides[1]) {
                let place = from_y as usize * sides[0] as usize + from_x as usize;
                pixels.extend_from_slice(&picture.pixels()[place * 3..][..3]);
            } else {
                pixels.extend([0; 3]);
            }
        }
    }
    like(picture, pixels)
}

fn levels(picture: &Frame, mut map: impl FnMut(u8, usize) -> u8) -> Frame {
    let pixels = picture.pixels().iter().enumerate();
    like(
        picture,
        pixels.map(|(place, &level)| map(level, place)).collect(),
    )
}

/// `factor` of the picture and the rest of another one, cut off to whole levels.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 8 bits"
)]
fn blend(picture: &Frame, factor: f64, other: impl Fn(usize) -> [f32; 3]) -> Frame {
    let [factor, rest] = [factor, 1.0 - factor].map(|part| part as f32);
    levels(picture, |level, place| {
        let other = other(place / 3)[place % 3];
        (factor * f32::from(level) + rest * other).clamp(0.0, 255.0) as u8
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the weights sum to less than 1"
)]
fn greys(picture: &Frame) -> Vec<u8> {
    let grey = |pixel: &[u8]| {
        let [red, green, blue] = [0, 1, 2].map(|channel: usize| f32::from(pixel[channel]));
        (0.2989 * red + 0.587 * green + 0.114 * blue) as u8
    };
    picture.pixels().chunks(3).map(grey).collect()
}

fn sharpen(picture: &Frame, factor: f64) -> Frame {
    let [width, height] = [picture.width() as usize, picture.height() as usize];
    if width <= 2 || height <= 2 {
        return picture.clone();
    }
    let pixels = picture.pixels();
    blend(picture, factor, |place| {
        let (x, y) = (place % width, place / width);
        [0, 1, 2].map(|channel: usize| {
            let level = |place: usize| f32::from(pixels[place * 3 + channel]);
            if x == 0 || y == 0 || x == width - 1 || y == height - 1 {
                return level(place);
            }
            let rows = [place - width, place, place + width];
            let sum: f32 = rows
                .into_iter()
                .map(|row| level(row - 1) + level(row) + level(row + 1))
                .sum();
            ((sum + 4.0 * level(place)) / 13.0).round_ties_even()
        })
    })
}

/// Maps each channel's levels by a table that is made of how often each occurs.
fn tables(picture: &Frame, table: fn(&[usize; 256]) -> [u8; 256]) -> Frame {
    let mut counts = [[0; 256]; 3];
    for pixel in picture.pixels().chunks(3) {
        for (counts, &level) in counts.iter_mut().zip(pixel) {
            counts[usize::from(level)] += 1;
        }
    }
    let tables = counts.map(|counts| table(&counts));
    levels(picture, |level, place| {
        tables[place % 3][usize::from(level)]
    })
}

fn identity() -> [u8; 256] {
    std::array::from_fn(|level| u8::try_from(level).unwrap_or(u8::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 8 bits"
)]
fn auto_contrast(counts: &[usize; 256]) -> [u8; 256] {
    let occurs = |level: &usize| counts[*level] > 0;
    match ((0..256).find(occurs), (0..256).rev().find(occurs)) {
        (Some(least), Some(most)) if least < most => {
            let scale = 255.0 / (most - least) as f32;
            std::array::from_fn(|level| {
                ((level as f32 - least as f32) * scale).clamp(0.0, 255.0) as u8
            })
        }
        _ => identity(),
    }
}

fn equalize(counts: &[usize; 256]) -> [u8; 256] {
    let last = counts.iter().rev().find(|count| **count > 0);
    let step = (counts.iter().sum::<usize>() - last.copied().unwrap_or_default()) / 255;
    if step == 0 {
        return identity();
    }
    let mut below = 0;
    counts.map(|count| {
        let level = (below + step / 2) / step;
        below += count;
        u8::try_from(level).unwrap_or(u8::MAX)
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::golden::violence;
    use affectlens::weights::sha256;

    /// As the generator makes it.
    fn picture(number: usize) -> Frame {
        let [width, height] = [[24, 20], [31, 17], [2, 2]][number];
        let level = |place: usize| (place * 7919 + number * 104_729) % 65521 % 256;
        let few = |level: usize| {
            if number == 1 {
                100 + level % 7 * 9
            } else {
                level
            }
        };
        let pixels = (0..width as usize * height as usize * 3)
            .map(|place| u8::try_from(few(level(place))).expect("a level"));
        Frame::from_rgb(width, height, pixels.collect()).expect("whole pixels")
    }

    #[test]
    fn operations_are_those_of_torchvision() {
        let wrong: Vec<_> = violence()
            .operations
            .into_iter()
            .filter(|(number, index, bin, negative, digest)| {
                let operation = Operation::new(*index, *bin, *negative);
                let applied = operation.apply(&picture(*number));
                sha256(applied.pixels())[..16] != *digest
            })
            .map(|(number, index, bin, negative, _)| (number, Operation::new(index, bin, negative)))
            .collect();
        assert_eq!(wrong, []);
    }

    #[test]
    fn mirror_images_are_drawn_for_each_frame() {
        let picture = Frame::from_rgb(3, 1, (0..9).collect()).expect("three pixels");
        let mirrored = picture.mirrored();
        let mut random = StdRng::seed_from_u64(3);
        let mut flips = 0;
        for _ in 0..400 {
            let drawn = augment(picture.clone(), Augmentation::Flip, &mut random);
            flips += usize::from(drawn == mirrored);
        }
        assert!((150..250).contains(&flips), "{flips}");
    }
}
