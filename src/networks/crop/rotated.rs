//! Upright crops of rotated regions.

use crate::face::RotatedBox;
use crate::frame::Frame;

use super::CropError;

/// Crops a rotated region of a frame and turns it upright, to `width` by `height` pixels.
///
/// Each pixel is interpolated bilinearly at its centre; beyond the border the frame's outermost pixels repeat, as in
/// MediaPipe's face landmark graph. A region that is shrunk is not antialiased.
///
/// # Errors
///
/// [`CropError::Degenerate`] for a region without area or with numbers that are not finite.
///
/// # Panics
///
/// If `width` or `height` is 0.
pub fn crop_rotated(
    frame: &Frame,
    region: &RotatedBox,
    width: u32,
    height: u32,
) -> Result<Frame, CropError> {
    crop_bordered(frame, region, [width, height], Border::Repeated)
}

/// The same with black beyond the border.
///
/// # Errors
///
/// As [`crop_rotated`].
///
/// # Panics
///
/// If `width` or `height` is 0.
pub(crate) fn crop_on_black(
    frame: &Frame,
    region: &RotatedBox,
    width: u32,
    height: u32,
) -> Result<Frame, CropError> {
    crop_bordered(frame, region, [width, height], Border::Black)
}

/// What lies beyond the border of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Border {
    /// The outermost pixels again.
    Repeated,
    Black,
}

fn crop_bordered(
    frame: &Frame,
    region: &RotatedBox,
    [width, height]: [u32; 2],
    border: Border,
) -> Result<Frame, CropError> {
    if !region.has_area() {
        return Err(CropError::Degenerate { region: *region });
    }
    let axes = [Axis::new(frame.width()), Axis::new(frame.height())];
    let [columns, rows] = [width, height].map(|count| part_centres(count).collect::<Vec<_>>());
    let [origin, right, down] =
        [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]].map(|corner| region.to_frame(corner));
    let [right, down] = [right, down].map(|end| [0, 1].map(|axis| end[axis] - origin[axis]));
    let mut pixels = vec![0; columns.len() * rows.len() * 3];
    let targets = pixels.as_chunks_mut().0.chunks_exact_mut(columns.len());
    for (targets, v) in targets.zip(rows) {
        for (targets, columns) in targets.chunks_mut(RUN).zip(columns.chunks(RUN)) {
            let mut places = [Places::default(), Places::default()];
            for (axis, places) in places.iter_mut().enumerate() {
                let down = v * down[axis];
                places.take(&axes[axis], columns, |u| {
                    origin[axis] + u * right[axis] + down
                });
            }
            let [reds, greens, blues] = blend(frame, &axes, &places);
            for (index, target) in targets.iter_mut().enumerate() {
                *target = [reds[index], greens[index], blues[index]];
            }
            if border == Border::Black {
                let is_held = |index| {
                    let mut both = axes.iter().zip(&places);
                    both.all(|(axis, places)| axis.holds(places.coordinate[index]))
                };
                for (index, target) in targets.iter_mut().enumerate() {
                    if !is_held(index) {
                        *target = [0; 3];
                    }
                }
            }
        }
    }
    Ok(Frame::from_rgb(width, height, pixels).expect("the picture was made in this size"))
}

/// Pixels that are computed together, in vectors where the processor has them.
const RUN: usize = 16;

/// Where a run of pixels is read along one axis.
#[derive(Default)]
struct Places {
    coordinate: [f32; RUN],
    /// The pixel at or before each place, and how far behind it the place lies, in `[0, 1]`.
    index: [i32; RUN],
    distance: [f32; RUN],
}

impl Places {
    #[inline]
    fn take(&mut self, axis: &Axis, columns: &[f32], coordinate: impl Fn(f32) -> f32) {
        let mut across = [0.0; RUN];
        across[..columns.len()].copy_from_slice(columns);
        for (at, &u) in across.iter().enumerate() {
            self.coordinate[at] = coordinate(u);
            // Pixel centres lie at half coordinates. Compared by hand: `clamp` is slow in wasm.
            let position = self.coordinate[at] - 0.5;
            let position = if position > 0.0 { position } else { 0.0 };
            let position = if position < axis.last {
                position
            } else {
                axis.last
            };
            // Cut off, which is the floor of what is not negative: without SSE 4.1 a floor is a call.
            #[expect(clippy::cast_possible_truncation, reason = "clamped to the frame")]
            let cut = position as i32;
            self.index[at] = cut;
            self.distance[at] = position - level(cut);
        }
    }
}

/// The colours between the four pixels around each place, by channel.
#[inline]
fn blend(
    frame: &Frame,
    [columns, rows]: &[Axis; 2],
    [across, down]: &[Places; 2],
) -> [[u8; RUN]; 3] {
    let source: &[[u8; 3]] = frame.pixels().as_chunks().0;
    let read = |place: usize| {
        let [red, green, blue] = source[place];
        i32::from_le_bytes([red, green, blue, 0])
    };
    // Above, left and right, and below.
    let mut corners = [[0; RUN]; 4];
    for (at, (&left, &top)) in across.index.iter().zip(&down.index).enumerate() {
        let (left, top) = (left as usize, top as usize);
        let [right, bottom] = [
            (left + 1).min(columns.count - 1),
            (top + 1).min(rows.count - 1),
        ];
        let [above, below] = [top * columns.count, bottom * columns.count];
        corners[0][at] = read(above + left);
        corners[1][at] = read(above + right);
        corners[2][at] = read(below + left);
        corners[3][at] = read(below + right);
    }
    let mut colours = [[0; RUN]; 3];
    for (channel, colour) in colours.iter_mut().enumerate() {
        let value = |corner: usize, at: usize| level((corners[corner][at] >> (8 * channel)) & 0xff);
        for (at, colour) in colour.iter_mut().enumerate() {
            let (left, right) = (value(0, at), value(1, at));
            let upper = left + (right - left) * across.distance[at];
            let (left, right) = (value(2, at), value(3, at));
            let lower = left + (right - left) * across.distance[at];
            // Between the four values, so from 0 to 255.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "rounded to the nearest level"
            )]
            let rounded = (upper + (lower - upper) * down.distance[at] + 0.5) as i32 as u8;
            *colour = rounded;
        }
    }
    colours
}

/// Centres of `count` equal parts of `[0, 1]`.
fn part_centres(count: u32) -> impl Iterator<Item = f32> {
    assert!(count > 0, "cannot crop to no pixels");
    let number = pixels(count);
    (0..count).map(move |index| (pixels(index) + 0.5) / number)
}

/// Pixels along one axis of a frame.
struct Axis {
    count: usize,
    last: f32,
}

impl Axis {
    fn new(length: u32) -> Self {
        Self {
            count: length as usize,
            last: pixels(length - 1),
        }
    }

    /// Whether a coordinate lies in the frame.
    fn holds(&self, coordinate: f32) -> bool {
        (0.0..=self.last + 1.0).contains(&coordinate)
    }
}

/// Signed, which processors convert faster.
#[expect(
    clippy::cast_precision_loss,
    reason = "pictures are narrower than 2^24 pixels"
)]
fn level(number: i32) -> f32 {
    number as f32
}

#[expect(
    clippy::cast_precision_loss,
    reason = "pictures are narrower than 2^24 pixels"
)]
fn pixels(length: u32) -> f32 {
    length as f32
}

#[cfg(test)]
mod tests {
    use std::f32::consts::FRAC_PI_2;

    use super::*;

    /// 4x3 pixels; red is ten times the column, green ten times the row.
    fn grid() -> Frame {
        let pixel = |index: u8| [index % 4 * 10, index / 4 * 10, 7];
        Frame::from_rgb(4, 3, (0..12).flat_map(pixel).collect()).expect("twelve pixels")
    }

    fn region(centre: [f32; 2], width: f32, height: f32, roll: f32) -> RotatedBox {
        RotatedBox {
            centre,
            width,
            height,
            roll,
        }
    }

    #[test]
    fn upright_region_of_whole_pixels_is_copied() {
        let all = crop_rotated(&grid(), &region([2.0, 1.5], 4.0, 3.0, 0.0), 4, 3);
        assert_eq!(all.expect("the whole frame"), grid());
    }

    #[test]
    fn beyond_the_border_pixels_repeat_or_are_black() {
        let half_outside = region([0.0, 1.5], 4.0, 3.0, 0.0);
        let repeated = crop_rotated(&grid(), &half_outside, 4, 3).expect("has area");
        let black = crop_on_black(&grid(), &half_outside, 4, 3).expect("has area");
        let row = |frame: &Frame| frame.pixels()[12..24].to_vec();
        assert_eq!(row(&repeated), [0, 10, 7, 0, 10, 7, 0, 10, 7, 10, 10, 7]);
        assert_eq!(row(&black), [0, 0, 0, 0, 0, 0, 0, 10, 7, 10, 10, 7]);
    }

    #[test]
    fn quarter_turn_brings_the_right_side_of_a_tilted_face_to_the_right() {
        // The head is tilted clockwise by a quarter: its right-hand side in the picture lies below.
        let turned =
            crop_rotated(&grid(), &region([2.0, 1.5], 3.0, 4.0, FRAC_PI_2), 3, 4).expect("turned");
        let expected = [3, 2, 1, 0]
            .into_iter()
            .flat_map(|column| [0, 1, 2].map(|row| [column * 10, row * 10, 7]))
            .flatten();
        assert_eq!(turned.pixels(), expected.collect::<Vec<u8>>());
    }

    #[test]
    fn between_pixels_values_are_blended_and_beyond_the_border_they_repeat() {
        let between =
            crop_rotated(&grid(), &region([2.0, 1.0], 2.0, 2.0, 0.0), 1, 1).expect("inside");
        assert_eq!(between.pixels(), [15, 5, 7]);
        let beyond =
            crop_rotated(&grid(), &region([-50.0, 90.0], 8.0, 8.0, 0.3), 2, 2).expect("clamped");
        assert_eq!(beyond.pixels(), [[0, 20, 7]; 4].concat());
    }

    #[test]
    fn region_without_area_is_refused() {
        for degenerate in [
            region([1.0, 1.0], 0.0, 1.0, 0.0),
            region([1.0, 1.0], 1.0, -1.0, 0.0),
            region([f32::NAN, 1.0], 1.0, 1.0, 0.0),
            region([1.0, 1.0], 1.0, 1.0, f32::INFINITY),
        ] {
            let error = crop_rotated(&grid(), &degenerate, 4, 4).expect_err("no area");
            assert!(error.to_string().starts_with("tilted region"), "{error}");
        }
    }
}
