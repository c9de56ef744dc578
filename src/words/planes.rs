//! Frames of videos as decoders keep them: brightness and colours in planes of their own.
//!
//! They become red, green and blue with the numbers of ffmpeg's `swscale`, which has another way for each kind: 8 bits with colours
//! for two pixels, more bits, and colours for each pixel. Where its ways differ by a level, probabilities show it.

mod coefficients;
mod deep;
mod pairs;
mod whole;

use serde::Deserialize;

use crate::frame::{Frame, FrameError};
use coefficients::Coefficients;
use deep::Deep;
use pairs::Pairs;
use whole::Whole;

/// Bits of a number at most, of the kinds that ffmpeg converts so.
const MOST_BITS: u32 = 14;

/// A picture in planes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Planes {
    /// Pixels, an even number.
    pub width: u32,
    /// Pixels, an even number.
    pub height: u32,
    /// Bits of a number, from 8 on; from 9 on a number has two bytes, the lower one first.
    pub bits: u32,
    /// Whether two neighbours of a row share their colour, and whether two of a column do: both in 4:2:0, neither in 4:4:4.
    pub shared: [bool; 2],
    /// Where brightness, blue-difference and red-difference lie.
    pub planes: [Plane; 3],
    /// How much red and blue count in the brightness (ITU-T H.273).
    pub weights: [f64; 2],
    /// Whether black is 0 and white the largest number; else they are 16 and 235 of 8 bits.
    pub full_range: bool,
}

/// Where the numbers of a plane lie.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plane {
    /// Place of the first one, bytes.
    pub offset: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Bytes from one number of a row to the next.
    pub step: u32,
}

/// How rows of numbers become pixels.
enum Way {
    Pairs(Box<Pairs>),
    Deep(Box<Deep>),
    Whole(Whole),
}

impl Planes {
    /// The picture in red, green and blue.
    ///
    /// # Errors
    ///
    /// [`FrameError`] for an empty picture, one of an odd size or another number of bits, or one whose planes lie beyond
    /// `bytes`.
    pub fn to_frame(&self, bytes: &[u8]) -> Result<Frame, FrameError> {
        let Self { width, height, .. } = *self;
        if width == 0 || height == 0 {
            return Err(FrameError::Empty { width, height });
        }
        let is_whole = self.end().is_some_and(|end| end <= bytes.len());
        if !is_whole || width % 2 != 0 || height % 2 != 0 {
            return Err(FrameError::Planes {
                width,
                height,
                got: bytes.len(),
            });
        }
        let way = self.way();
        let mut pixels = vec![0; width as usize * height as usize * 3];
        let targets = pixels.chunks_exact_mut(width as usize * 3);
        for (row, target) in targets.enumerate() {
            let target = target.as_chunks_mut().0;
            let light = self.row(bytes, 0, row);
            match &way {
                Way::Deep(deep) if self.shared[1] => {
                    let [blue, red] = [1, 2].map(|plane| {
                        let rows = Deep::rows_around(row, self.rows(plane));
                        deep.between(rows.map(|row| self.row(bytes, plane, row)))
                    });
                    deep.write(&deep.rounded(light), &blue, &red, target);
                }
                Way::Deep(deep) => {
                    let [blue, red] = self.colours(bytes, row).map(|row| deep.rounded(row));
                    deep.write(&deep.rounded(light), &blue, &red, target);
                }
                Way::Pairs(pairs) => {
                    let [blue, red] = self.colours(bytes, row);
                    pairs.write(&light, &blue, &red, target);
                }
                Way::Whole(whole) => {
                    let [blue, red] = self.colours(bytes, row);
                    whole.write(&light, &blue, &red, target);
                }
            }
        }
        Ok(Frame::from_rgb(width, height, pixels).expect("the picture was made in this size"))
    }

    fn way(&self) -> Way {
        let coefficients = Coefficients::new(self.weights, self.full_range);
        match (self.shared[0], self.bits) {
            (false, bits) => Way::Whole(Whole::new(&coefficients, bits)),
            (true, 8) => Way::Pairs(Box::new(Pairs::new(self.weights, self.full_range))),
            (true, bits) => Way::Deep(Box::new(Deep::new(&coefficients, bits))),
        }
    }

    /// The colours of a row of pixels.
    fn colours(&self, bytes: &[u8], row: usize) -> [Vec<u16>; 2] {
        let row = row >> u32::from(self.shared[1]);
        [1, 2].map(|plane| self.row(bytes, plane, row))
    }

    /// Numbers of a row of a plane.
    fn columns(&self, plane: usize) -> usize {
        self.width as usize >> u32::from(plane > 0 && self.shared[0])
    }

    fn rows(&self, plane: usize) -> usize {
        self.height as usize >> u32::from(plane > 0 && self.shared[1])
    }

    /// The numbers of a row of a plane.
    fn row(&self, bytes: &[u8], plane: usize, row: usize) -> Vec<u16> {
        let Plane {
            offset,
            stride,
            step,
        } = self.planes[plane];
        let (columns, step) = (self.columns(plane), step as usize);
        let bytes = &bytes[offset as usize + row * stride as usize..];
        match (self.bits, step) {
            (8, 1) => bytes[..columns].iter().copied().map(u16::from).collect(),
            (8, _) => {
                let numbers = bytes.iter().step_by(step).take(columns);
                numbers.copied().map(u16::from).collect()
            }
            _ => {
                let number = |column| {
                    let at = column * step;
                    u16::from_le_bytes([bytes[at], bytes[at + 1]])
                };
                (0..columns).map(number).collect()
            }
        }
    }

    /// One past the last byte; `None` for a size, a place or a number of bits that there is not.
    fn end(&self) -> Option<usize> {
        let (width, height) = (self.width as usize, self.height as usize);
        let pixels = width.checked_mul(height)?.checked_mul(3)?;
        if isize::try_from(pixels).is_err() || !(8..=MOST_BITS).contains(&self.bits) {
            return None;
        }
        let size = if self.bits > 8 { 2 } else { 1 };
        let mut last = 0;
        for (index, plane) in self.planes.iter().enumerate() {
            let rows = (self.rows(index).saturating_sub(1)).checked_mul(plane.stride as usize)?;
            let step = plane.step as usize;
            let columns = (self.columns(index).saturating_sub(1)).checked_mul(step)?;
            let end = rows
                .checked_add(columns)?
                .checked_add(plane.offset as usize)?;
            last = last.max(end.checked_add(size)?);
            if step == 0 {
                return None;
            }
        }
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAMP: [u8; 8] = [16, 50, 100, 150, 180, 200, 220, 235];
    const SMALL: [f64; 2] = [0.299, 0.114];
    const LARGE: [f64; 2] = [0.2126, 0.0722];

    /// Four by two pixels, whose colours lie in planes of their own.
    fn planes(weights: [f64; 2], full_range: bool) -> Planes {
        let plane = |offset, stride| Plane {
            offset,
            stride,
            step: 1,
        };
        Planes {
            width: 4,
            height: 2,
            bits: 8,
            shared: [true; 2],
            planes: [plane(0, 4), plane(8, 2), plane(10, 2)],
            weights,
            full_range,
        }
    }

    fn pixels(planes: &Planes, light: [u8; 8], colours: [u8; 4]) -> Vec<[u8; 3]> {
        let frame = planes.to_frame(&[&light[..], &colours].concat());
        let frame = frame.expect("all planes are there");
        assert_eq!((frame.width(), frame.height()), (4, 2));
        frame.pixels().as_chunks().0.to_vec()
    }

    #[test]
    fn grey_stays_grey_from_black_to_white_in_either_range() {
        let grey = |full_range| pixels(&planes(SMALL, full_range), RAMP, [128; 4]);
        let expected = [0, 39, 97, 156, 190, 214, 237, 255];
        assert_eq!(grey(false), expected.map(|level| [level; 3]));
        assert_eq!(grey(true), RAMP.map(|level| [level; 3]));
    }

    /// `ffmpeg -f rawvideo -pix_fmt yuv420p -s 16x2 -i - [-vf scale=in_color_matrix=bt709] -f rawvideo -pix_fmt rgb24 -`
    #[test]
    fn colours_are_those_of_ffmpeg_which_cuts_off() {
        let ends = |planes: &Planes, colours| {
            let pixels = pixels(planes, [126; 8], colours);
            [pixels[0], pixels[2]]
        };
        let colours = [90, 200, 200, 60];
        let small = [[242, 83, 51], [19, 154, 255]];
        assert_eq!(ends(&planes(SMALL, false), colours), small);
        let large = [[255, 97, 47], [6, 148, 255]];
        assert_eq!(ends(&planes(LARGE, false), colours), large);
        // Both colours by turns in one plane.
        let mut by_turns = planes(SMALL, false);
        for (plane, offset) in by_turns.planes[1..].iter_mut().zip(8..) {
            *plane = Plane {
                offset,
                stride: 4,
                step: 2,
            };
        }
        assert_eq!(ends(&by_turns, [90, 200, 200, 60]), small);
    }

    #[test]
    fn what_is_too_bright_or_too_dark_for_a_colour_is_cut_off() {
        let light = [235, 235, 16, 16, 235, 235, 16, 16];
        let pixels = pixels(&planes(SMALL, false), light, [128, 128, 255, 0]);
        assert_eq!((pixels[0][0], pixels[2][0]), (255, 0));
    }

    /// 16 by 16 pixels, whose numbers rise along rows and columns, and start again at the top.
    fn made(bits: u32, shared: [bool; 2]) -> (Planes, Vec<u8>) {
        let unit = 1 << (bits - 8);
        let mut bytes = Vec::new();
        let planes = [
            [40 * unit + 3, 11 * unit + 1, 7 * unit + 2],
            [90 * unit + 1, 9 * unit + 3, 5 * unit + 1],
            [150 * unit + 2, 7 * unit + 1, 6 * unit + 3],
        ];
        let mut index = 0;
        let planes = planes.map(|[first, right, down]| {
            let [columns, rows] = match index {
                0 => [16, 16],
                _ => shared.map(|shared| 16 >> u32::from(shared)),
            };
            index += 1;
            let offset = u32::try_from(bytes.len()).expect("a small picture");
            let step = if bits > 8 { 2 } else { 1 };
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |at| (row, at))) {
                let number: u32 = (first + right * column + down * row) % (1 << bits);
                bytes.extend(&number.to_le_bytes()[..step as usize]);
            }
            Plane {
                offset,
                stride: columns * step,
                step,
            }
        });
        let planes = Planes {
            width: 16,
            height: 16,
            bits,
            shared,
            planes,
            weights: SMALL,
            full_range: false,
        };
        (planes, bytes)
    }

    /// `ffmpeg -f rawvideo -pix_fmt yuv422p -s 16x16 -i - -f rawvideo -pix_fmt rgb24 -`, and so on for the other kinds: the
    /// sixth pixel of the ninth row, and the fourth of the tenth.
    #[test]
    fn every_kind_has_the_colours_of_ffmpeg() {
        let kinds = [
            (8, [true, false], [[255, 79, 255], [255, 63, 225]]),
            (8, [false, false], [[0, 255, 255], [0, 250, 255]]),
            (10, [true, true], [[255, 112, 165], [239, 100, 133]]),
            (12, [true, false], [[255, 80, 201], [255, 66, 175]]),
            (10, [false, false], [[255, 52, 255], [255, 46, 225]]),
        ];
        for (bits, shared, expected) in kinds {
            let (planes, bytes) = made(bits, shared);
            let frame = planes.to_frame(&bytes).expect("all planes are there");
            let pixels: &[[u8; 3]] = frame.pixels().as_chunks().0;
            let found = [pixels[8 * 16 + 5], pixels[9 * 16 + 3]];
            assert_eq!(found, expected, "{bits} bits, {shared:?}");
        }
    }

    #[test]
    fn planes_that_are_not_there_are_refused() {
        let refused = |change: fn(&mut Planes)| {
            let mut planes = planes(SMALL, false);
            change(&mut planes);
            let error = planes.to_frame(&[0; 12]).expect_err("refused");
            error.to_string()
        };
        let empty = refused(|it| it.width = 0);
        assert_eq!(empty, "picture is 0x2, expected at least 1x1 pixels");
        let changes: [fn(&mut Planes); 9] = [
            |it| it.width = 3,
            |it| it.bits = 7,
            |it| it.bits = 10,
            |it| it.shared = [true, false],
            |it| it.planes[2].offset = 11,
            |it| it.planes[0].stride = u32::MAX,
            |it| it.planes[1].step = 0,
            |it| it.planes[0].step = 4,
            |it| (it.width, it.height) = (u32::MAX - 1, u32::MAX - 1),
        ];
        for change in changes {
            let message = refused(change);
            assert!(message.contains("planes of 12 bytes"), "{message}");
        }
    }
}
