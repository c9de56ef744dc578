//! Brings a frame of any size into the detector's square.

use crate::crop::resize_to;
use crate::face::{BoundingBox, Detection};
use crate::frame::Frame;

/// A square picture and the way back to the frame that it came from.
#[derive(Debug)]
pub(super) struct Letterbox {
    /// The frame, aspect ratio kept, centred on black.
    ///
    /// Black because MediaPipe, with whose border the network was published, fills with zeros.
    pub(super) picture: Frame,
    pub(super) fit: Fit,
}

/// How a frame lies in the middle of a square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    /// Size of the frame in the square, pixels.
    size: [u32; 2],
    offset: [u32; 2],
    /// Frame pixels for each pixel of the square, along x and y.
    scale: [f32; 2],
}

/// Fits a frame into a square.
pub(super) fn letterbox(frame: &Frame, side: u32) -> Letterbox {
    let fit = Fit::new(frame, side);
    let [width, height] = fit.size;
    let resized = resize_to(frame, width, height);

    let (row_bytes, resized_bytes) = (side as usize * 3, width as usize * 3);
    let mut pixels = vec![0; row_bytes * side as usize];
    let first = fit.offset[1] as usize * row_bytes + fit.offset[0] as usize * 3;
    for (target, row) in pixels[first..]
        .chunks_mut(row_bytes)
        .zip(resized.pixels().chunks_exact(resized_bytes))
    {
        target[..resized_bytes].copy_from_slice(row);
    }
    Letterbox {
        picture: Frame::from_rgb(side, side, pixels).expect("the square was made in this size"),
        fit,
    }
}

impl Fit {
    pub(super) fn new(frame: &Frame, side: u32) -> Self {
        let longest = frame.width().max(frame.height());
        // Rounded to whole pixels, so the scales of the two axes can differ by a little: each has its own way back.
        let fit = |length: u32| {
            let (length, side, longest) = (u64::from(length), u64::from(side), u64::from(longest));
            let fitted = ((length * side * 2 + longest) / (longest * 2)).max(1);
            u32::try_from(fitted).expect("no longer than the square's side")
        };
        let [width, height] = [fit(frame.width()), fit(frame.height())];
        Self {
            size: [width, height],
            offset: [(side - width) / 2, (side - height) / 2],
            scale: [ratio(frame.width(), width), ratio(frame.height(), height)],
        }
    }

    /// Width and height in the square, then left and top.
    pub(super) fn numbers(&self) -> [usize; 4] {
        let [width, height] = self.size;
        let [left, top] = self.offset;
        [width, height, left, top].map(|number| number as usize)
    }

    /// A point of the square in frame pixels.
    pub(super) fn to_frame(self, [x, y]: [f32; 2]) -> [f32; 2] {
        [
            (x - pixels(self.offset[0])) * self.scale[0],
            (y - pixels(self.offset[1])) * self.scale[1],
        ]
    }

    /// A face of the square in frame pixels.
    pub(super) fn in_frame(self, face: Detection) -> Detection {
        let BoundingBox {
            x,
            y,
            width,
            height,
        } = face.bounding_box;
        let [left, top] = self.to_frame([x, y]);
        let [right, bottom] = self.to_frame([x + width, y + height]);
        Detection {
            bounding_box: BoundingBox {
                x: left,
                y: top,
                width: right - left,
                height: bottom - top,
            },
            score: face.score,
            keypoints: face.keypoints.map(|point| self.to_frame(point)),
        }
    }
}

fn ratio(frame: u32, square: u32) -> f32 {
    pixels(frame) / pixels(square)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "pictures are narrower than 2^24 pixels"
)]
pub(super) fn pixels(length: u32) -> f32 {
    length as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32) -> Frame {
        Frame::from_rgb(width, height, vec![200; (width * height * 3) as usize])
            .expect("a full picture")
    }

    #[test]
    fn wide_frame_is_centred_between_black_bars() {
        let fitted = letterbox(&grey(1280, 720), 128);
        let is_bright =
            |row: usize| fitted.picture.pixels()[row * 128 * 3..][..128 * 3] == [200; 128 * 3];
        let is_black =
            |row: usize| fitted.picture.pixels()[row * 128 * 3..][..128 * 3] == [0; 128 * 3];
        assert!((0..28).all(is_black) && (28..100).all(is_bright) && (100..128).all(is_black));
    }

    #[test]
    fn corners_of_the_frame_are_found_again() {
        for (width, height) in [(1280, 720), (333, 1000), (128, 128), (7, 5000), (1, 1)] {
            let fitted = letterbox(&grey(width, height), 128);
            let shown = [
                128 - 2 * fitted.fit.offset[0],
                128 - 2 * fitted.fit.offset[1],
            ];
            let first = fitted
                .fit
                .to_frame([pixels(fitted.fit.offset[0]), pixels(fitted.fit.offset[1])]);
            assert_eq!(first, [0.0, 0.0], "{width}x{height}");
            let last = fitted.fit.to_frame([
                pixels(fitted.fit.offset[0] + shown[0]),
                pixels(fitted.fit.offset[1] + shown[1]),
            ]);
            // Half a pixel of the square at most, where the bars differ by one.
            assert!(
                (last[0] - pixels(width)).abs() <= fitted.fit.scale[0],
                "{width}x{height}: {last:?}"
            );
            assert!(
                (last[1] - pixels(height)).abs() <= fitted.fit.scale[1],
                "{width}x{height}: {last:?}"
            );
        }
    }
}
