//! Resizing like Pillow's bilinear filter.
//!
//! The filter is a triangle that widens when the picture shrinks (antialiasing), with rounding to 8 bits after each of
//! the two passes. The published backbones of EmotiEffLib were trained and evaluated on pictures resized this way;
//! plain bilinear interpolation loses accuracy on large faces.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::frame::Frame;

/// Resizes a frame to a square of `side` pixels; the aspect ratio is not kept.
///
/// # Panics
///
/// If `side` is 0.
pub fn resize(frame: &Frame, side: u32) -> Frame {
    resize_to(frame, side, side)
}

/// Resizes a frame; the aspect ratio is not kept.
pub(crate) fn resize_to(frame: &Frame, width: u32, height: u32) -> Frame {
    assert!(
        width > 0 && height > 0,
        "cannot resize a picture to {width}x{height} pixels"
    );
    if (frame.width(), frame.height()) == (width, height) {
        return frame.clone();
    }
    // Pillow (up to 12; later releases choose by shape) resizes along the rows first and rounds before it resizes along
    // the columns. One call would resize along the columns first: a fifth of the values would be one level off.
    let narrowed = convolve(
        frame.pixels(),
        frame.width(),
        frame.height(),
        width,
        frame.height(),
    );
    let resized = convolve(&narrowed, width, frame.height(), width, height);
    Frame::from_rgb(width, height, resized).expect("the picture was made in this size")
}

/// Resizes RGB bytes with a triangle filter.
fn convolve(pixels: &[u8], width: u32, height: u32, new_width: u32, new_height: u32) -> Vec<u8> {
    let source = ImageRef::new(width, height, pixels, PixelType::U8x3)
        .expect("a picture has three bytes per pixel");
    let mut target = Image::new(new_width, new_height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new()
        .resize(&source, &mut target, &options)
        .expect("both pictures are RGB");
    target.into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_to_the_same_size_changes_nothing() {
        let frame = Frame::from_rgb(6, 6, (0..108).collect()).expect("a full picture");
        assert_eq!(resize(&frame, 6), frame);
    }

    #[test]
    fn halving_weighs_by_a_widened_triangle() {
        // Output pixel 0 lies between input pixels 0 and 1 with weights 3, 3, 1; pixel 1 mirrors it.
        let pixels = [0, 0, 0, 70, 70, 70, 140, 140, 140, 210, 210, 210];
        let row = Frame::from_rgb(4, 1, pixels.to_vec()).expect("four pixels");
        assert_eq!(resize_to(&row, 2, 1).pixels(), [50, 50, 50, 160, 160, 160]);
    }
}
