//! Face crops and their conversion to network input.

mod aligned;
mod gpu;
mod resizing;
mod rotated;

use burn::tensor::{Device, Tensor};
use thiserror::Error;

use crate::face::{BoundingBox, RotatedBox};
use crate::frame::Frame;
use crate::kernel::on_device;
use crate::weights::Normalisation;
pub use resizing::resize;
pub(crate) use rotated::crop_on_black;
pub use rotated::crop_rotated;

pub(crate) use aligned::{ALIGNED_ROLL, FaceMargins, crop_aligned};
pub(crate) use gpu::{GpuFrame, Letterboxer, Resampler, letterbox_taps};
pub(crate) use resizing::resize_to;

/// Error from cropping a region or batching crops.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum CropError {
    /// No whole pixel of the region lies inside the frame, or the region is not finite.
    #[error(
        "region at ({}, {}) of {}x{} pixels covers nothing of the {width}x{height} frame",
        region.x, region.y, region.width, region.height
    )]
    Empty {
        /// Region, frame pixels.
        region: BoundingBox,
        /// Width of the frame, pixels.
        width: u32,
        /// Height of the frame, pixels.
        height: u32,
    },
    /// A rotated region has no area or is not finite.
    #[error(
        "tilted region around ({}, {}) of {}x{} pixels, turned by {}, has no area",
        region.centre[0], region.centre[1], region.width, region.height, region.roll
    )]
    Degenerate {
        /// Region, frame pixels.
        region: RotatedBox,
    },
    /// A batch has no pictures.
    #[error("batch has no pictures, expected at least one")]
    NoPictures,
    /// The pictures of a batch have different sizes.
    #[error("picture {index} of the batch is {}x{} pixels, expected {}x{} like the first", got.0, got.1, expected.0, expected.1)]
    Size {
        /// Index in the batch, from 0.
        index: usize,
        /// Width and height of the first picture.
        expected: (u32, u32),
        /// Width and height of this picture.
        got: (u32, u32),
    },
}

/// Returns whether at least one whole pixel of the region lies inside the frame, so that [`crop`] succeeds.
pub(crate) fn covers(frame: &Frame, region: &BoundingBox) -> bool {
    clamp_edges(region.x, region.width, frame.width()).is_some()
        && clamp_edges(region.y, region.height, frame.height()).is_some()
}

/// Crops a region of a frame.
///
/// The four edges are truncated to whole pixels and clamped to the frame, without margin or alignment, as in
/// EmotiEffLib.
///
/// # Errors
///
/// [`CropError::Empty`] if no whole pixel is left.
///
/// ```
/// use affectlens::{crop::crop, face::BoundingBox, frame::Frame};
///
/// let frame = Frame::from_rgb(4, 4, vec![0; 4 * 4 * 3])?;
/// let face = crop(&frame, &BoundingBox { x: 1.9, y: -3.0, width: 9.0, height: 5.5 })?;
/// assert_eq!((face.width(), face.height()), (3, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn crop(frame: &Frame, region: &BoundingBox) -> Result<Frame, CropError> {
    let empty = || CropError::Empty {
        region: *region,
        width: frame.width(),
        height: frame.height(),
    };
    let (left, right) = clamp_edges(region.x, region.width, frame.width()).ok_or_else(empty)?;
    let (top, bottom) = clamp_edges(region.y, region.height, frame.height()).ok_or_else(empty)?;

    let stride = frame.width() as usize * 3;
    let columns = left as usize * 3..right as usize * 3;
    let rows = frame
        .pixels()
        .chunks_exact(stride)
        .take(bottom as usize)
        .skip(top as usize);
    let pixels = rows
        .flat_map(|row| &row[columns.clone()])
        .copied()
        .collect();
    Ok(Frame::from_rgb(right - left, bottom - top, pixels)
        .expect("a clamped region holds whole pixels"))
}

/// Crops a region and resizes it to a square of `side` pixels.
///
/// # Errors
///
/// [`CropError::Empty`] if no whole pixel is left.
pub fn crop_face(frame: &Frame, region: &BoundingBox, side: u32) -> Result<Frame, CropError> {
    Ok(resize(&crop(frame, region)?, side))
}

/// Normalises the pixels for a network: `(pixel - mean) / std` per channel, in the order of the pixels.
pub(crate) fn normalise(frame: &Frame, normalisation: &Normalisation) -> Vec<f32> {
    let mut values = vec![0.0; frame.pixels().len()];
    write_normalised(frame, normalisation, &mut values);
    values
}

/// The same into as many values as the picture has.
fn write_normalised(frame: &Frame, normalisation: &Normalisation, values: &mut [f32]) {
    let Normalisation { mean, std } = normalisation;
    let (pixels, values) = (frame.pixels().as_chunks().0, values.as_chunks_mut().0);
    for (&[red, green, blue], value) in pixels.iter().zip(values) {
        *value = [
            (f32::from(red) - mean[0]) / std[0],
            (f32::from(green) - mean[1]) / std[1],
            (f32::from(blue) - mean[2]) / std[2],
        ];
    }
}

/// Batches pictures of one size into a tensor.
///
/// # Shapes
///
/// - output: `[batch, height, width, 3]`, RGB, `(pixel - mean) / std` per channel
///
/// # Errors
///
/// [`CropError::NoPictures`] without pictures, [`CropError::Size`] for pictures of different sizes.
pub fn batch(
    pictures: &[Frame],
    normalisation: &Normalisation,
    device: &Device,
) -> Result<Tensor<4>, CropError> {
    let first = pictures.first().ok_or(CropError::NoPictures)?;
    let expected = (first.width(), first.height());
    let length = first.pixels().len();
    let mut values = vec![0.0; pictures.len() * length];
    let targets = values.chunks_exact_mut(length);
    for (index, (picture, target)) in pictures.iter().zip(targets).enumerate() {
        let got = (picture.width(), picture.height());
        if got != expected {
            return Err(CropError::Size {
                index,
                expected,
                got,
            });
        }
        write_normalised(picture, normalisation, target);
    }
    let shape = [
        pictures.len(),
        first.height() as usize,
        first.width() as usize,
        3,
    ];
    Ok(on_device(values, shape, device))
}

/// First and one past the last whole pixel of `start..start + length` inside `0..limit`; `None` without a whole pixel.
fn clamp_edges(start: f32, length: f32, limit: u32) -> Option<(u32, u32)> {
    if !start.is_finite() || !length.is_finite() {
        return None;
    }
    // `as` truncates towards zero and saturates, which is also the lower clamp.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "edges are truncated to whole pixels"
    )]
    let clamp = |edge: f32| (edge as u32).min(limit);
    let (first, end) = (clamp(start), clamp(start + length));
    (first < end).then_some((first, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose bytes are numbered.
    pub(super) fn numbered(width: u32, height: u32) -> Frame {
        let pixels = (0..width * height * 3)
            .map(|value| u8::try_from(value).expect("a small picture"))
            .collect();
        Frame::from_rgb(width, height, pixels).expect("a full picture")
    }

    pub(super) fn region(x: f32, y: f32, width: f32, height: f32) -> BoundingBox {
        BoundingBox {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn edges_are_truncated_not_rounded() {
        let face = crop(&numbered(5, 4), &region(1.9, 1.2, 2.0, 1.9)).expect("inside");
        assert_eq!((face.width(), face.height()), (2, 2));
        assert_eq!(
            face.pixels(),
            [18, 19, 20, 21, 22, 23, 33, 34, 35, 36, 37, 38]
        );
    }

    #[test]
    fn region_over_the_border_is_clamped() {
        let frame = numbered(5, 4);
        assert_eq!(
            crop(&frame, &region(-9.0, -9.0, 99.0, 99.0)).expect("covers all"),
            frame
        );
        let corner = crop(&frame, &region(4.0, 3.0, 1e30, 1e30)).expect("the last pixel");
        assert_eq!(corner.pixels(), [57, 58, 59]);
    }

    #[test]
    fn region_without_a_pixel_is_refused() {
        let frame = numbered(5, 4);
        for outside in [
            region(5.0, 0.0, 3.0, 3.0),
            region(-7.0, 0.0, 7.5, 3.0),
            region(1.1, 1.1, 0.5, 0.5),
            region(2.0, 2.0, -1.0, 1.0),
            region(f32::NAN, 0.0, 1.0, 1.0),
            region(0.0, 0.0, f32::INFINITY, 1.0),
        ] {
            assert!(crop(&frame, &outside).is_err(), "{outside:?}");
        }
        assert_eq!(
            crop(&frame, &region(5.0, 0.0, 3.0, 3.0))
                .expect_err("beside the frame")
                .to_string(),
            "region at (5, 0) of 3x3 pixels covers nothing of the 5x4 frame"
        );
    }

    #[test]
    fn pixels_stay_in_order_and_are_normalised() {
        let frame = Frame::from_rgb(2, 1, vec![10, 20, 30, 40, 50, 60]).expect("two pixels");
        let normalisation = Normalisation {
            mean: [10.0, 0.0, 30.0],
            std: [1.0, 10.0, 2.0],
        };
        assert_eq!(
            normalise(&frame, &normalisation),
            [0.0, 2.0, 0.0, 30.0, 5.0, 15.0]
        );
    }

    #[test]
    fn batch_holds_the_pictures_in_order() {
        let normalisation = Normalisation {
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        let (first, second) = (numbered(2, 3), resize_to(&numbered(3, 3), 2, 3));
        let tensor = batch(
            &[first.clone(), second.clone()],
            &normalisation,
            &Device::flex(),
        )
        .expect("equal sizes");
        assert_eq!(tensor.dims(), [2, 3, 2, 3]);
        let expected = [
            normalise(&first, &normalisation),
            normalise(&second, &normalisation),
        ]
        .concat();
        assert_eq!(
            tensor.into_data().try_into_vec::<f32>().expect("f32"),
            expected
        );
    }

    #[test]
    fn batch_of_nothing_or_of_unequal_pictures_is_refused() {
        let normalisation = Normalisation {
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        let device = Device::flex();
        assert_eq!(
            batch(&[], &normalisation, &device).expect_err("no pictures"),
            CropError::NoPictures
        );
        let error =
            batch(&[numbered(2, 2), numbered(2, 3)], &normalisation, &device).expect_err("unequal");
        assert_eq!(
            error.to_string(),
            "picture 1 of the batch is 2x3 pixels, expected 2x2 like the first"
        );
    }
}
