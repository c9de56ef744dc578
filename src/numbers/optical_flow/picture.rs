//! Flow as pictures, which an encoder for pictures can read.

use super::{Flow, FlowPyramid, GreyPicture};
use crate::frame::Frame;

/// Width and height of the published flow pictures.
pub const SIDE: usize = 224;
/// A channel whose values differ by less than this is constant, pixels.
const LEAST_RANGE: f32 = 1e-6;

/// Makes the flow pictures of a stream, one frame after the other.
///
/// Frames are squashed to 224 x 224 grey levels. The picture of a frame shows how the last readable frame before it moved to
/// it: red is how far, green how far down, blue how far to the right, each stretched to 0 to 255 for this frame alone. So does
/// who reads the published pictures with OpenCV or any other library: OpenCV wrote right, down and length as blue, green
/// and red. A channel that is the same everywhere is 0, and so are the first frame and one that cannot be read.
///
/// ```
/// use affectlens::{frame::Frame, optical_flow::FlowPictures};
///
/// let frame = Frame::from_rgb(2, 1, vec![9; 6]).expect("two pixels");
/// let first = FlowPictures::default().push(Some(&frame));
/// assert_eq!((first.width(), first.height()), (224, 224));
/// assert!(first.pixels().iter().all(|level| *level == 0));
/// ```
#[derive(Clone, Debug, Default)]
pub struct FlowPictures {
    /// The last frame that could be read.
    before: Option<FlowPyramid>,
}

impl FlowPictures {
    /// The picture of the next frame; `None` for one that cannot be read.
    pub fn push(&mut self, frame: Option<&Frame>) -> Frame {
        let Some(frame) = frame else { return black() };
        let after = FlowPyramid::new(&GreyPicture::of(frame).resized(SIDE, SIDE));
        let flow = self.before.as_ref().map(|before| before.flow_to(&after));
        self.before = Some(after);
        match flow {
            Some(flow) => picture(&flow.expect("all are squashed to one size")),
            None => black(),
        }
    }
}

fn picture(flow: &Flow) -> Frame {
    let right = flow.vectors().iter().map(|[right, _]| *right).collect();
    let down = flow.vectors().iter().map(|[_, down]| *down).collect();
    let length = |[right, down]: &[f32; 2]| (right * right + down * down).sqrt();
    let lengths = flow.vectors().iter().map(length).collect();
    let [red, green, blue] = [lengths, down, right].map(stretched);
    let pixels = red.into_iter().zip(green).zip(blue);
    let pixels = pixels.flat_map(|((red, green), blue)| [red, green, blue]);
    frame(pixels.collect())
}

fn stretched(values: Vec<f32>) -> Vec<u8> {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let range = values.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least;
    if range < LEAST_RANGE {
        return vec![0; values.len()];
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 255; cut off as published"
    )]
    let level = |value: f32| ((value - least) / range * 255.0) as u8;
    values.into_iter().map(level).collect()
}

fn black() -> Frame {
    frame(vec![0; SIDE * SIDE * 3])
}

fn frame(pixels: Vec<u8>) -> Frame {
    #[expect(clippy::cast_possible_truncation, reason = "224")]
    let side = SIDE as u32;
    Frame::from_rgb(side, side, pixels).expect("three bytes a pixel")
}
