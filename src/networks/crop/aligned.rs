//! Crops of detected faces: margins around the box, and tilted faces turned upright.

use super::{CropError, crop, crop_rotated};
use crate::face::{BoundingBox, RotatedBox};
use crate::frame::Frame;

/// Tilt of a face above which [`crop_aligned`] turns it upright, radians (20 degrees).
pub(crate) const ALIGNED_ROLL: f32 = std::f32::consts::PI / 9.0;

/// Extent of a face crop relative to the detected box.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FaceMargins {
    /// Margin on each side, as a fraction of the box's width and height.
    pub(crate) margin: f32,
    /// Upward shift of the crop, as a fraction of the box's height.
    pub(crate) rise: f32,
}

impl FaceMargins {
    /// Region to crop for a detected face, frame pixels.
    pub(crate) fn region(&self, face: &BoundingBox) -> BoundingBox {
        let (dx, dy) = (face.width * self.margin, face.height * self.margin);
        BoundingBox {
            x: face.x - dx,
            y: face.y - dy - face.height * self.rise,
            width: face.width + 2.0 * dx,
            height: face.height + 2.0 * dy,
        }
    }

    /// Region to crop for a face tilted by `roll` radians: [`region`](Self::region) turned about the centre of the box.
    pub(crate) fn tilted_region(&self, face: &BoundingBox, roll: f32) -> RotatedBox {
        let region = self.region(face);
        let centre = |bounds: &BoundingBox| {
            [
                bounds.x + bounds.width / 2.0,
                bounds.y + bounds.height / 2.0,
            ]
        };
        let ([x, y], [region_x, region_y]) = (centre(face), centre(&region));
        let (sine, cosine) = roll.sin_cos();
        let (right, down) = (region_x - x, region_y - y);
        RotatedBox {
            centre: [
                x + right * cosine - down * sine,
                y + right * sine + down * cosine,
            ],
            width: region.width,
            height: region.height,
            roll,
        }
    }
}

/// Crops a detected face with margins, turned upright if it is tilted by more than [`ALIGNED_ROLL`].
///
/// A smaller tilt is not corrected: there, interpolation loses more accuracy than the tilt. `roll` is the tilt in
/// radians from [`Detection::roll`](crate::face::Detection::roll) or [`Landmarks::roll`](crate::face::Landmarks::roll).
///
/// # Errors
///
/// [`CropError::Empty`] if no whole pixel is left, or [`CropError::Degenerate`] for a tilted region without area.
pub(crate) fn crop_aligned(
    frame: &Frame,
    face: &BoundingBox,
    margins: &FaceMargins,
    roll: f32,
) -> Result<Frame, CropError> {
    if roll.abs() <= ALIGNED_ROLL {
        return crop(frame, &margins.region(face));
    }
    let region = margins.tilted_region(face, roll);
    let longest = frame.width().max(frame.height());
    // One pixel of the crop per pixel of the frame, at most the frame's size.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and regions that are not finite are refused"
    )]
    let [width, height] =
        [region.width, region.height].map(|length| (length.round() as u32).clamp(1, longest));
    crop_rotated(frame, &region, width, height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::tests::{numbered, region};

    #[test]
    fn margins_grow_on_all_sides_and_move_up() {
        let margins = FaceMargins {
            margin: 0.25,
            rise: 0.5,
        };
        let face = region(10.0, 20.0, 8.0, 4.0);
        assert_eq!(margins.region(&face), region(8.0, 17.0, 12.0, 6.0));
        assert_eq!(FaceMargins::default().region(&face), face);
    }

    #[test]
    fn a_lying_face_is_cropped_as_the_upright_one() {
        let upright = numbered(8, 9);
        let pixel = |x: usize, y: usize| upright.pixels()[(y * 8 + x) * 3..][..3].to_vec();
        // Turned clockwise: what was at (x, y) is at (9 - y, x) from edge to edge.
        let pixels = (0..8).flat_map(|x| (0..9).rev().flat_map(move |y| pixel(x, y)));
        let lying = Frame::from_rgb(9, 8, pixels.collect()).expect("a full picture");
        let margins = FaceMargins {
            margin: 0.25,
            rise: 0.25,
        };
        let quarter = std::f32::consts::FRAC_PI_2;
        let expected = crop_aligned(
            &upright,
            &region(2.0, 3.0, 4.0, 4.0),
            &margins,
            ALIGNED_ROLL,
        );
        let expected = expected.expect("inside");
        assert_eq!((expected.width(), expected.height()), (6, 6));
        assert_eq!(
            crop_aligned(&lying, &region(2.0, 2.0, 4.0, 4.0), &margins, quarter),
            Ok(expected)
        );
        let nowhere = region(f32::NAN, 2.0, 4.0, 4.0);
        assert!(crop_aligned(&lying, &nowhere, &margins, quarter).is_err());
        assert!(crop_aligned(&lying, &region(2.0, 2.0, 4.0, 4.0), &margins, f32::NAN).is_err());
    }
}
