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
