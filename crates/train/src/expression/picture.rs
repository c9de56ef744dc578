//! Grey pictures of faces, and what training makes of them.

use rand::{RngExt as _, rngs::StdRng};

use affectlens::{backbone::GreyBackbone, frame::Frame};

/// Largest turn to each side, degrees.
const TURN: f32 = 15.0;
/// Part of the picture that is seen, to each side of its middle; above 1 the border is drawn out.
const ZOOM: [f32; 2] = [0.78, 1.08];
/// Width over height of that part.
const STRETCH: [f32; 2] = [0.93, 1.07];
/// Largest shift to each side, in halves of the picture.
const SHIFT: f32 = 0.1;
/// Factor about the middle level.
const CONTRAST: [f32; 2] = [0.7, 1.3];
/// Largest change of all levels.
const BRIGHTNESS: f32 = 25.0;
/// How often a large picture is seen as small as half the side, and any picture with a part erased.
const SHRUNK: f64 = 0.4;
const ERASED: f64 = 0.3;
/// Sides of what is erased, in sides of the picture.
const HOLE: [f32; 2] = [0.1, 0.4];
const MIDDLE: f32 = 128.0;
const LIGHTEST: f32 = 255.0;

/// A grey picture, 8 bits a pixel, rows from top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreyPicture {
    width: usize,
    height: usize,
    levels: Vec<u8>,
}

impl GreyPicture {
    /// The luminance of a frame; one with more than `most` pixels a side is made smaller.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "luminance of 8 bits is within 8 bits"
    )]
    pub fn new(frame: &Frame, most: u32) -> Self {
        let pixels = frame.pixels().chunks_exact(3);
        let grey = |pixel: &[u8]| GreyBackbone::grey([pixel[0], pixel[1], pixel[2]]).round() as u8;
        let picture = Self {
            width: frame.width() as usize,
            height: frame.height() as usize,
            levels: pixels.map(grey).collect(),
        };
        let side = |side: usize| side.min(most.max(1) as usize);
        picture.averaged(side(picture.width), side(picture.height))
    }

    /// Sum of all levels.
    pub(super) fn sum(&self) -> u64 {
        self.levels.iter().map(|level| u64::from(*level)).sum()
    }

    /// A smaller picture, each pixel the mean of those that it touches.
    fn averaged(&self, width: usize, height: usize) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let span = |place: usize, new: usize, old: usize| {
            place * old / new..((place + 1) * old).div_ceil(new)
        };
        let mut levels = Vec::with_capacity(width * height);
        for y in 0..height {
            let rows = span(y, height, self.height);
            for x in 0..width {
                let columns = span(x, width, self.width);
                let count = (rows.len() * columns.len()) as u64;
                let row = |y: usize| &self.levels[y * self.width..][columns.clone()];
                let sum: u64 = rows.clone().flat_map(row).map(|it| u64::from(*it)).sum();
                levels.push(u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX));
            }
        }
        Self {
            width,
            height,
            levels,
        }
    }

    /// The level at a place between pixels, counted from the middle of the first; beyond the border that of the border.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places are clamped to the picture"
    )]
    fn level(&self, x: f32, y: f32) -> f32 {
        let axis = |place: f32, side: usize| {
            let place = place.clamp(0.0, (side - 1) as f32);
            let first = place as usize;
            (first, (first + 1).min(side - 1), place - first as f32)
        };
        let (left, right, across) = axis(x, self.width);
        let (top, bottom, down) = axis(y, self.height);
        let row = |y: usize| {
            let at = |x: usize| f32::from(self.levels[y * self.width + x]);
            at(left) + (at(right) - at(left)) * across
        };
        row(top) + (row(bottom) - row(top)) * down
    }
}

/// How a picture is seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    /// From places of the view to places of the picture: rows of a matrix and a shift, both with the middle at 0 and the
    /// edges at -1 and 1.
    pub(super) map: [[f32; 3]; 2],
    pub(super) contrast: f32,
    pub(super) brightness: f32,
    /// Whether the picture is made as small as half the side first.
    pub(super) is_shrunk: bool,
    pub(super) hole: Option<Hole>,
}

/// A rectangle of one level.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hole {
    /// First pixel and number of pixels along each axis, across and down.
    pub(super) columns: [usize; 2],
    pub(super) rows: [usize; 2],
    pub(super) level: f32,
}

impl View {
    /// The whole picture as it is.
    pub(super) const PLAIN: Self = Self {
        map: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        contrast: 1.0,
        brightness: 0.0,
        is_shrunk: false,
        hole: None,
    };

    /// A random one, `side` by `side` pixels.
    pub(super) fn draw(side: usize, random: &mut StdRng) -> Self {
        let (sine, cosine) = random.random_range(-TURN..TURN).to_radians().sin_cos();
        let mut between = |[least, most]: [f32; 2]| random.random_range(least..most);
        let (zoom, stretch) = (between(ZOOM), between(STRETCH));
        let shift = [0, 1].map(|_| between([-SHIFT, SHIFT]));
        let contrast = between(CONTRAST);
        let brightness = between([-BRIGHTNESS, BRIGHTNESS]);
        let flip = if random.random_bool(0.5) { -1.0 } else { 1.0 };
        let along = zoom * stretch * flip;
        Self {
            map: [
                [along * cosine, -zoom * sine, shift[0]],
                [along * sine, zoom * cosine, shift[1]],
            ],
            contrast,
            brightness,
            is_shrunk: random.random_bool(SHRUNK),
            hole: random.random_bool(ERASED).then(|| Hole::draw(side, random)),
        }
    }

    /// What is seen, `side` by `side` levels from 0 to 255.
    pub(super) fn apply(&self, picture: &GreyPicture, side: usize) -> Vec<f32> {
        let half = |of: usize| of.min(side.div_ceil(2));
        let small;
        let picture = match self.is_shrunk {
            true => {
                small = picture.averaged(half(picture.width), half(picture.height));
                &small
            }
            false => picture,
        };
        let middle = |place: usize| (2 * place + 1) as f32 / side as f32 - 1.0;
        let mut levels = Vec::with_capacity(side * side);
        for y in 0..side {
            for x in 0..side {
                let at = |row: usize, of: usize| {
                    let [along, across, shift] = self.map[row];
                    let place = along * middle(x) + across * middle(y) + shift;
                    ((place + 1.0) * of as f32 - 1.0) / 2.0
                };
                let level = picture.level(at(0, picture.width), at(1, picture.height));
                let level = (level - MIDDLE) * self.contrast + MIDDLE + self.brightness;
                levels.push(level.clamp(0.0, LIGHTEST));
            }
        }
        if let Some(Hole {
            columns: [left, width],
            rows: [top, height],
            level,
        }) = self.hole
        {
            for row in levels.chunks_exact_mut(side).skip(top).take(height) {
                row[left..left + width].fill(level);
            }
        }
        levels
    }
}

impl Hole {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of the side"
    )]
    fn draw(side: usize, random: &mut StdRng) -> Self {
        let [columns, rows] = [0, 1].map(|_| {
            let part = random.random_range(HOLE[0]..HOLE[1]);
            let length = (side as f32 * part) as usize;
            [random.random_range(0..side - length), length]
        });
        Self {
            columns,
            rows,
            level: random.random_range(0.0..LIGHTEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::golden::faces;

    fn picture(width: usize, height: usize) -> GreyPicture {
        let level = |place: usize| u8::try_from(place * 7919 % 65521 % 256).expect("a level");
        GreyPicture {
            width,
            height,
            levels: (0..width * height).map(level).collect(),
        }
    }

    /// Bilinear weights in another order of f32 operations, on levels to 255.
    const TOLERANCE: f32 = 2e-3;

    #[test]
    fn views_are_those_of_pytorch() {
        let golden = faces().view;
        let view = View {
            map: golden.map,
            contrast: golden.contrast,
            brightness: golden.brightness,
            hole: Some(Hole {
                columns: [2, 4],
                rows: [9, 3],
                level: 77.0,
            }),
            ..View::PLAIN
        };
        for (view, expected) in [(view, golden.levels), (View::PLAIN, golden.plain)] {
            let levels = view.apply(&picture(24, 20), 16);
            assert_eq!(levels.len(), expected.len());
            for (place, (level, expected)) in levels.iter().zip(expected).enumerate() {
                assert!(
                    (level - expected).abs() < TOLERANCE,
                    "{place}: {level}, expected {expected}"
                );
            }
        }
        let expected: Vec<u8> = golden.averaged;
        assert_eq!(picture(24, 20).averaged(7, 5).levels, expected);
    }

    #[test]
    fn frames_become_grey_and_no_larger_than_asked() {
        let frame = Frame::from_rgb(2, 1, vec![255, 0, 0, 0, 0, 255]).expect("two pixels");
        let grey = GreyPicture::new(&frame, 9);
        assert_eq!((grey.levels.as_slice(), grey.sum()), (&[76, 29][..], 105));
        let small = GreyPicture::new(&frame, 1);
        assert_eq!((small.width, small.levels), (1, vec![53]));
    }

    #[test]
    fn drawn_views_stay_within_their_bounds() {
        let mut random = StdRng::seed_from_u64(5);
        let (mut holes, mut flips) = (0, 0);
        for _ in 0..400 {
            let view = View::draw(32, &mut random);
            flips += usize::from(view.map[0][0] < 0.0);
            if let Some(Hole { columns, rows, .. }) = &view.hole {
                holes += 1;
                for [start, length] in [columns, rows] {
                    assert!((3..13).contains(length) && start + length < 33, "{view:?}");
                }
            }
            let levels = view.apply(&picture(5, 7), 32);
            assert!(levels.iter().all(|level| (0.0..=255.0).contains(level)));
        }
        assert!((80..160).contains(&holes) && (150..250).contains(&flips));
    }
}
