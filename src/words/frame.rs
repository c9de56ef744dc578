//! Pictures: video frames, photos and crops of them.

use thiserror::Error;

/// 8-bit RGB picture, rows from top to bottom, pixels from left to right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

/// Error from creating a [`Frame`].
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// Width or height is zero.
    #[error("picture is {width}x{height}, expected at least 1x1 pixels")]
    Empty {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// The number of bytes does not match the size.
    #[error("picture of {width}x{height} pixels has {got} bytes, expected {expected}")]
    Length {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// Bytes of a picture of this size.
        expected: usize,
        /// Bytes received.
        got: usize,
    },
    /// Planes of brightness and colours are no picture.
    #[error(
        "picture of {width}x{height} pixels in planes of {got} bytes, expected an even width and height and planes that lie \
         within the bytes"
    )]
    Planes {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// Bytes received.
        got: usize,
    },
}

impl Frame {
    /// Creates a picture from `width * height * 3` RGB bytes.
    ///
    /// # Errors
    ///
    /// [`FrameError`] for an empty picture or the wrong number of bytes.
    pub fn from_rgb(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, FrameError> {
        check_length(width, height, 3, pixels.len())?;
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Creates a picture from `width * height * 4` RGBA bytes; alpha is dropped, not blended.
    ///
    /// # Errors
    ///
    /// [`FrameError`] for an empty picture or the wrong number of bytes.
    pub fn from_rgba(width: u32, height: u32, rgba: &[u8]) -> Result<Self, FrameError> {
        check_length(width, height, 4, rgba.len())?;
        let mut pixels = vec![0; rgba.len() / 4 * 3];
        let targets = pixels.as_chunks_mut().0;
        for (target, &[red, green, blue, _]) in targets.iter_mut().zip(rgba.as_chunks().0) {
            *target = [red, green, blue];
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// The picture turned clockwise by quarters of a turn.
    #[must_use]
    pub fn turned(self, quarters: u16) -> Self {
        let quarters = quarters % 4;
        if quarters == 0 {
            return self;
        }
        let (width, height) = (self.width as usize, self.height as usize);
        // Where the first pixel goes, and how far the next one of its row and of its column goes from there; to the left and
        // up it goes by what wraps around.
        let (start, right, down) = match quarters {
            1 => (height - 1, height, usize::MAX),
            2 => (width * height - 1, usize::MAX, width.wrapping_neg()),
            _ => ((width - 1) * height, height.wrapping_neg(), 1),
        };
        let mut pixels = vec![0; self.pixels.len()];
        let targets: &mut [[u8; 3]] = pixels.as_chunks_mut().0;
        let rows = self.pixels.as_chunks().0.chunks_exact(width);
        for (row, sources) in rows.enumerate() {
            let mut place = start.wrapping_add(row.wrapping_mul(down));
            for source in sources {
                targets[place] = *source;
                place = place.wrapping_add(right);
            }
        }
        let (width, height) = match quarters {
            2 => (self.width, self.height),
            _ => (self.height, self.width),
        };
        Self {
            width,
            height,
            pixels,
        }
    }

    /// The mirror image: left and right exchanged.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let row_bytes = self.width as usize * 3;
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for row in self.pixels.chunks_exact(row_bytes) {
            pixels.extend(row.chunks_exact(3).rev().flatten());
        }
        Self { pixels, ..*self }
    }

    /// Width, pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height, pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// RGB bytes, `width * height * 3`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

fn check_length(width: u32, height: u32, channels: usize, got: usize) -> Result<(), FrameError> {
    if width == 0 || height == 0 {
        return Err(FrameError::Empty { width, height });
    }
    let expected = (width as usize)
        .saturating_mul(height as usize)
        .saturating_mul(channels);
    if got != expected {
        return Err(FrameError::Length {
            width,
            height,
            expected,
            got,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_dropped() {
        let frame = Frame::from_rgba(2, 1, &[1, 2, 3, 0, 4, 5, 6, 255]).expect("two pixels");
        assert_eq!(frame.pixels(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn mirror_images_exchange_left_and_right() {
        let frame = Frame::from_rgb(3, 2, (0..18).collect()).expect("six pixels");
        let mirrored = frame.mirrored();
        assert_eq!(
            mirrored.pixels(),
            [6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11]
        );
        assert_eq!(mirrored.mirrored(), frame);
    }

    #[test]
    fn turned_pictures_show_the_first_pixel_in_the_corner_where_it_goes() {
        let frame = Frame::from_rgb(3, 2, (0..18).collect()).expect("six pixels");
        let reds = |quarters| {
            let turned = frame.clone().turned(quarters);
            let reds = turned.pixels().iter().step_by(3).copied();
            ((turned.width(), turned.height()), reds.collect::<Vec<_>>())
        };
        assert_eq!(reds(0), ((3, 2), vec![0, 3, 6, 9, 12, 15]));
        assert_eq!(reds(1), ((2, 3), vec![9, 0, 12, 3, 15, 6]));
        assert_eq!(reds(2), ((3, 2), vec![15, 12, 9, 6, 3, 0]));
        assert_eq!(reds(3), ((2, 3), vec![6, 15, 3, 12, 0, 9]));
        assert_eq!(reds(4), reds(0));
    }

    #[test]
    fn empty_and_misshapen_pictures_are_refused() {
        assert_eq!(
            Frame::from_rgb(0, 4, vec![]),
            Err(FrameError::Empty {
                width: 0,
                height: 4
            })
        );
        let error = Frame::from_rgb(2, 2, vec![0; 11]).expect_err("one byte is missing");
        assert_eq!(
            error.to_string(),
            "picture of 2x2 pixels has 11 bytes, expected 12"
        );
    }
}
