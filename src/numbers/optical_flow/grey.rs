//! Pictures without colours, as OpenCV makes them of coloured ones.

use thiserror::Error;

use crate::frame::Frame;

/// Weights of red, green and blue in a level, of 2^15 in all: those of Rec. 601.
const LUMA: [u32; 3] = [9798, 19235, 3735];
const LUMA_BITS: u32 = 15;
/// Bits of the weights of two neighbours when a picture is resized.
const WEIGHT_BITS: u32 = 11;

/// A picture of grey levels, rows from top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreyPicture {
    width: usize,
    height: usize,
    levels: Vec<u8>,
}

/// Levels make no picture.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "picture of {width}x{height} pixels has {got} levels, expected as many as pixels, at least 1"
)]
pub struct GreyError {
    width: usize,
    height: usize,
    got: usize,
}

impl GreyPicture {
    /// A picture of `width * height` levels.
    ///
    /// # Errors
    ///
    /// [`GreyError`] for an empty picture or another number of levels.
    pub fn new(width: usize, height: usize, levels: Vec<u8>) -> Result<Self, GreyError> {
        let got = levels.len();
        if got == 0 || width.checked_mul(height) != Some(got) {
            return Err(GreyError { width, height, got });
        }
        Ok(Self {
            width,
            height,
            levels,
        })
    }

    /// The brightness of a coloured picture.
    pub fn of(frame: &Frame) -> Self {
        let (pixels, _) = frame.pixels().as_chunks::<3>();
        let level = |pixel: &[u8; 3]| {
            let parts = pixel.iter().zip(LUMA);
            let sum: u32 = parts
                .map(|(level, weight)| u32::from(*level) * weight)
                .sum();
            rounded(sum, LUMA_BITS)
        };
        Self {
            width: frame.width() as usize,
            height: frame.height() as usize,
            levels: pixels.iter().map(level).collect(),
        }
    }

    /// The picture squashed or stretched to `width * height` pixels, each between its four nearest ones. Much smaller pictures
    /// lose what lies between: nothing is averaged over more than four pixels.
    ///
    /// # Panics
    ///
    /// If a side is 0.
    #[must_use]
    pub fn resized(&self, width: usize, height: usize) -> Self {
        assert!(width > 0 && height > 0, "a picture has pixels");
        if [width, height] == [self.width, self.height] {
            return self.clone();
        }
        let across = neighbours(self.width, width);
        let down = neighbours(self.height, height);
        let row = |y: usize| -> Vec<u32> {
            let row = &self.levels[y * self.width..][..self.width];
            let at = |it: &Neighbours| {
                let [first, second] = it.places.map(|place| u32::from(row[place]));
                first * it.weights[0] + second * it.weights[1]
            };
            across.iter().map(at).collect()
        };
        let mut levels = Vec::with_capacity(width * height);
        // The rows that were used last; the next one often needs one of them again.
        let mut rows: [(usize, Vec<u32>); 2] = [0, 0].map(|y| (y, row(y)));
        for it in &down {
            let [upper, lower] = it.places;
            if rows[0].0 != upper {
                rows.swap(0, 1);
            }
            for (kept, y) in rows.iter_mut().zip([upper, lower]) {
                if kept.0 != y {
                    *kept = (y, row(y));
                }
            }
            let [upper, lower] = [&rows[0].1, &rows[1].1];
            // OpenCV drops bits of the rows and of their shares, so that 16 are enough for each.
            let share = |sum: u32, weight: u32| (weight * (sum >> 4)) >> 16;
            levels.extend(upper.iter().zip(lower).map(|(upper, lower)| {
                let sum = share(*upper, it.weights[0]) + share(*lower, it.weights[1]);
                rounded(sum, 2)
            }));
        }
        Self {
            width,
            height,
            levels,
        }
    }

    /// Width, pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height, pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Levels, `width * height`.
    pub fn levels(&self) -> &[u8] {
        &self.levels
    }
}

/// The two pixels that a pixel of the resized picture lies between, and their shares.
struct Neighbours {
    places: [usize; 2],
    weights: [u32; 2],
}

fn neighbours(from: usize, to: usize) -> Vec<Neighbours> {
    let whole = (1_u32 << WEIGHT_BITS) as f32;
    let at = |(places, share): ([usize; 2], f32)| Neighbours {
        places,
        weights: [1.0 - share, share].map(|share| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of 1"
            )]
            let weight = (share * whole).round_ties_even() as u32;
            weight
        }),
    };
    (0..to).map(|place| at(between(place, from, to))).collect()
}

/// The two pixels that a pixel lies between when `from` of them become `to`, and the share of the second one; beyond the
/// middles of the outer pixels there is one of them alone.
pub(super) fn between(place: usize, from: usize, to: usize) -> ([usize; 2], f32) {
    let last = from - 1;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "OpenCV keeps single precision; pictures are narrower than 2^24 pixels"
    )]
    let position = ((place as f64 + 0.5) * (from as f64 / to as f64) - 0.5) as f32;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no less than 0, below the side of a picture"
    )]
    let first = position.max(0.0) as usize;
    if position < 0.0 || first >= last {
        let only = if position < 0.0 { 0 } else { last };
        return ([only, (only + 1).min(last)], 0.0);
    }
    ([first, first + 1], position - position.floor())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "weights of all parts make 1"
)]
fn rounded(sum: u32, bits: u32) -> u8 {
    ((sum + (1 << (bits - 1))) >> bits) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_must_make_a_picture() {
        assert!(GreyPicture::new(2, 1, vec![3, 4]).is_ok());
        for (width, height, levels) in [
            (0, 0, vec![]),
            (2, 2, vec![1, 2, 3]),
            (usize::MAX, 2, vec![1]),
        ] {
            assert!(GreyPicture::new(width, height, levels).is_err());
        }
        let error = GreyPicture::new(2, 2, vec![1]).expect_err("three are missing");
        assert_eq!(
            error.to_string(),
            "picture of 2x2 pixels has 1 levels, expected as many as pixels, at least 1"
        );
    }

    #[test]
    fn grey_stays_grey_and_green_is_brightest() {
        let frame = Frame::from_rgb(4, 1, vec![77, 77, 77, 255, 0, 0, 0, 255, 0, 0, 0, 255]);
        assert_eq!(
            GreyPicture::of(&frame.expect("four pixels")).levels(),
            [77, 76, 150, 29]
        );
    }

    #[test]
    fn half_the_size_is_the_mean_of_four_and_one_pixel_fills_a_picture() {
        let picture =
            GreyPicture::new(4, 2, vec![0, 10, 100, 100, 20, 30, 101, 101]).expect("eight");
        assert_eq!(picture.resized(2, 1).levels(), [15, 101]);
        assert_eq!(picture.resized(4, 2), picture);
        let one = GreyPicture::new(1, 1, vec![9]).expect("one pixel");
        assert_eq!(one.resized(3, 2).levels(), [9; 6]);
    }
}
