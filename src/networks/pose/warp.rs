//! Upright crops of squares, to the bit as MediaPipe cuts them on a CPU.
//!
//! Points that the network guesses beyond the frame move by pixels where single levels of the crop differ, so that crops
//! like those of [`crop_rotated`](crate::crop::crop_rotated) would not do: here pixels are read at their upper left
//! corners, in steps of a 32nd pixel, and blended in whole numbers (OpenCV's `warpPerspective`).

use crate::face::RotatedBox;
use crate::frame::Frame;

/// Steps between two pixels, as a power of two.
const STEP_BITS: u32 = 5;
const STEPS: i32 = 1 << STEP_BITS;

/// What lies beyond the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Border {
    /// Black.
    Black,
    /// The outermost pixels again.
    Repeated,
}

/// A region of a frame, turned upright, `side` by `side` pixels, not antialiased; `None` for a region without area.
pub(super) fn warp(frame: &Frame, region: &RotatedBox, side: u32, border: Border) -> Option<Frame> {
    if !region.has_area() {
        return None;
    }
    let [x, y] = region.centre.map(f64::from);
    let [width, height] = [region.width, region.height].map(f64::from);
    let (sine, cosine) = f64::from(region.roll).sin_cos();
    let from_middle = |index: u32| f64::from(index) / f64::from(side) - 0.5;
    let columns: Vec<_> = (0..side)
        .map(|column| from_middle(column) * width)
        .map(|across| [x + across * cosine, y + across * sine])
        .collect();
    let mut pixels = Vec::with_capacity(side as usize * side as usize * 3);
    for row in 0..side {
        let down = from_middle(row) * height;
        let [left, top] = [down * sine, down * cosine];
        for [x, y] in &columns {
            let place = [x - left, y + top];
            pixels.extend(blended(frame, place.map(in_steps), border));
        }
    }
    Some(Frame::from_rgb(side, side, pixels).expect("the picture was made in this size"))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, and what lies so far away is beyond every frame"
)]
fn in_steps(coordinate: f64) -> i32 {
    (coordinate * f64::from(STEPS)).round_ties_even() as i32
}

/// The blend of the four pixels around a place.
fn blended(frame: &Frame, place: [i32; 2], border: Border) -> [u8; 3] {
    let [[left, across], [top, down]] = place.map(|at| [at >> STEP_BITS, at & (STEPS - 1)]);
    let corners = match inner_corners(frame, left, top) {
        Some(corners) => corners,
        None => {
            [[0, 0], [1, 0], [0, 1], [1, 1]].map(|[x, y]| pixel(frame, left + x, top + y, border))
        }
    };
    let weights = [
        (STEPS - across) * (STEPS - down),
        across * (STEPS - down),
        (STEPS - across) * down,
        across * down,
    ];
    std::array::from_fn(|channel| {
        let values = corners.iter().map(|corner| i32::from(corner[channel]));
        let sum: i32 = values
            .zip(weights)
            .map(|(value, weight)| value * weight)
            .sum();
        let rounded = (sum + STEPS * STEPS / 2) / (STEPS * STEPS);
        u8::try_from(rounded).expect("between the four values")
    })
}

/// A pixel and those right of it, below it, and right below it, where all four lie in the frame.
fn inner_corners(frame: &Frame, x: i32, y: i32) -> Option<[[u8; 3]; 4]> {
    let [x, y] = [usize::try_from(x).ok()?, usize::try_from(y).ok()?];
    let [width, height] = [frame.width() as usize, frame.height() as usize];
    if x + 1 >= width || y + 1 >= height {
        return None;
    }
    let start = (y * width + x) * 3;
    let (above, below) = frame.pixels()[start..].split_at(width * 3);
    let pair = |row: &[u8]| [[row[0], row[1], row[2]], [row[3], row[4], row[5]]];
    let [[first, second], [third, fourth]] = [pair(above), pair(below)];
    Some([first, second, third, fourth])
}

fn pixel(frame: &Frame, x: i32, y: i32, border: Border) -> [u8; 3] {
    let last = [frame.width(), frame.height()].map(last_pixel);
    let inside = [x.clamp(0, last[0]), y.clamp(0, last[1])];
    if border == Border::Black && inside != [x, y] {
        return [0; 3];
    }
    let [x, y] = inside.map(|at| usize::try_from(at).expect("clamped to the frame"));
    let start = (y * frame.width() as usize + x) * 3;
    [0, 1, 2].map(|channel| frame.pixels()[start + channel])
}

/// Place of the last pixel of an axis.
fn last_pixel(length: u32) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX) - 1
}

#[cfg(test)]
mod tests {
    use std::f32::consts::FRAC_PI_2;

    use super::*;

    /// 4x4 pixels; red is ten times the column, green ten times the row.
    fn grid() -> Frame {
        let pixel = |index: u8| [index % 4 * 10, index / 4 * 10, 7];
        Frame::from_rgb(4, 4, (0..16).flat_map(pixel).collect()).expect("sixteen pixels")
    }

    fn square(centre: [f32; 2], side: f32, roll: f32) -> RotatedBox {
        RotatedBox {
            centre,
            width: side,
            height: side,
            roll,
        }
    }

    #[test]
    fn the_whole_frame_is_copied() {
        let all = warp(&grid(), &square([2.0, 2.0], 4.0, 0.0), 4, Border::Black);
        assert_eq!(all, Some(grid()));
    }

    #[test]
    fn places_between_pixels_are_blended_in_steps() {
        // Half as many pixels would be read at 0 and 2; a step and a half is rounded to two steps.
        let moved = 1.5 / 32.0;
        let picture = warp(
            &grid(),
            &square([2.0 + moved, 2.0], 4.0, 0.0),
            2,
            Border::Black,
        );
        let picture = picture.expect("an area");
        assert_eq!(picture.pixels()[..6], [1, 0, 7, 21, 0, 7]);
    }

    #[test]
    fn beyond_the_border_it_is_black_or_the_border_repeats() {
        let region = square([-1.0, 1.0], 4.0, 0.0);
        let row = |border| {
            let picture = warp(&grid(), &region, 4, border).expect("an area");
            picture.pixels()[12..24].to_vec()
        };
        assert_eq!(row(Border::Black), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(row(Border::Repeated), [0, 0, 7].repeat(4));
    }

    #[test]
    fn the_short_way_inside_of_the_frame_reads_the_same_pixels() {
        let frame = grid();
        let at = |x, y| pixel(&frame, x, y, Border::Repeated);
        for (x, y) in (-2..6).flat_map(|x| (-2..6).map(move |y| (x, y))) {
            let corners = inner_corners(&frame, x, y);
            assert_eq!(
                corners.is_some(),
                (0..3).contains(&x) && (0..3).contains(&y)
            );
            let read = [at(x, y), at(x + 1, y), at(x, y + 1), at(x + 1, y + 1)];
            assert!(corners.is_none_or(|corners| corners == read), "{x}, {y}");
        }
    }

    #[test]
    fn a_quarter_turn_reads_columns_as_rows() {
        let turned = warp(
            &grid(),
            &square([2.0, 2.0], 4.0, FRAC_PI_2),
            4,
            Border::Repeated,
        );
        let turned = turned.expect("an area");
        // Clockwise in the picture: the crop's first row is read downwards, from beyond the right edge on.
        let reds: Vec<u8> = turned.pixels().iter().copied().step_by(3).collect();
        assert_eq!(reds[..8], [30, 30, 30, 30, 30, 30, 30, 30]);
        let greens: Vec<u8> = turned.pixels().iter().copied().skip(1).step_by(3).collect();
        assert_eq!(greens[..4], [0, 10, 20, 30]);
    }

    #[test]
    fn regions_without_area_or_far_away_are_harmless() {
        for side in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(
                warp(&grid(), &square([1.0, 1.0], side, 0.0), 4, Border::Black),
                None
            );
        }
        let far = warp(&grid(), &square([3e38, -3e38], 1e38, 0.3), 4, Border::Black);
        assert_eq!(far.expect("an area").pixels(), [0; 48]);
        let far = warp(
            &grid(),
            &square([3e38, -3e38], 1e38, 0.3),
            4,
            Border::Repeated,
        );
        assert_eq!(far.expect("an area").pixels()[..3], [30, 0, 7]);
    }
}
