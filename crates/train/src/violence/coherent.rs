//! What is done to the frames of a clip alike: a network over clips must not see movement that is none.
//!
//! As the scripts of the published systems describe it: a square part of the picture, a mirror image, brightness, contrast
//! and saturation, and rarely a black rectangle. Where the rectangle comes in the order is not published; here it is last.

use rand::{RngExt, rngs::StdRng};

use super::{
    Augmentation,
    augmentation::{Operation, augment},
};
use affectlens::{crop::resize, frame::Frame};

/// Probability of a black rectangle, and the least and highest part of the picture's side that its sides are.
const ERASED: f64 = 0.1;
const ERASED_SIDES: [f64; 2] = [0.1, 0.25];

/// One draw, applied to every frame of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Draw {
    /// Side of the part that is seen, and its place in what is left, as parts of the whole: across, down.
    side: f64,
    place: [f64; 2],
    is_mirrored: bool,
    brightness: f64,
    contrast: f64,
    saturation: f64,
    /// Width and height of the black rectangle as parts of the side, and its place in what is left.
    erased: Option<[[f64; 2]; 2]>,
}

/// What an augmentation makes of the frames of a clip, which are of one size.
pub(super) fn augment_clip(
    frames: Vec<Frame>,
    augmentation: Augmentation,
    random: &mut StdRng,
) -> Vec<Frame> {
    match augmentation {
        Augmentation::Coherent { least_area, colour } => {
            let draw = Draw::new(least_area, colour, random);
            frames.iter().map(|frame| draw.apply(frame)).collect()
        }
        each => {
            let frames = frames.into_iter();
            frames.map(|frame| augment(frame, each, random)).collect()
        }
    }
}

impl Draw {
    fn new(least_area: f64, colour: f64, random: &mut StdRng) -> Self {
        let mut pair = |[least, most]: [f64; 2]| -> [f64; 2] {
            [(); 2].map(|()| random.random_range(least..=most))
        };
        let place = pair([0.0, 1.0]);
        let [sides, corner] = [pair(ERASED_SIDES), pair([0.0, 1.0])];
        let mut factor = || random.random_range(1.0 - colour..=1.0 + colour);
        Self {
            place,
            brightness: factor(),
            contrast: factor(),
            saturation: factor(),
            side: random.random_range(least_area..=1.0).sqrt(),
            is_mirrored: random.random_bool(0.5),
            erased: random.random_bool(ERASED).then_some([sides, corner]),
        }
    }

    fn apply(&self, frame: &Frame) -> Frame {
        let size = [frame.width(), frame.height()];
        let [across, down] = size.map(|side| part_of(side, self.side).max(1));
        let corner = [
            part_of(size[0] - across, self.place[0]),
            part_of(size[1] - down, self.place[1]),
        ];
        let mut frame = match [across, down] == size {
            true => frame.clone(),
            // Clips come as squares of the network's side.
            false => resize(&cut(frame, corner, [across, down]), size[0]),
        };
        if self.is_mirrored {
            frame = frame.mirrored();
        }
        for operation in [
            Operation::Brightness(self.brightness),
            Operation::Contrast(self.contrast),
            Operation::Color(self.saturation),
        ] {
            frame = operation.apply(&frame);
        }
        match self.erased {
            Some([sides, place]) => erase(&frame, sides, place),
            None => frame,
        }
    }
}

/// A part of some pixels, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of at most 1 of a count"
)]
fn part_of(pixels: u32, part: f64) -> u32 {
    (f64::from(pixels) * part).round() as u32
}

fn cut(frame: &Frame, [left, top]: [u32; 2], [width, height]: [u32; 2]) -> Frame {
    let row = |y: u32| {
        let start = (y * frame.width() + left) as usize * 3;
        &frame.pixels()[start..start + width as usize * 3]
    };
    let pixels: Vec<u8> = (top..top + height).flat_map(row).copied().collect();
    Frame::from_rgb(width, height, pixels).expect("rows within the picture")
}

/// The frame with a black rectangle.
fn erase(frame: &Frame, sides: [f64; 2], place: [f64; 2]) -> Frame {
    let size = [frame.width(), frame.height()];
    let range = |axis: usize| {
        let length = part_of(size[axis], sides[axis]).max(1);
        let start = part_of(size[axis] - length, place[axis]);
        start..start + length
    };
    let (columns, rows) = (range(0), range(1));
    let mut pixels = frame.pixels().to_vec();
    for (place, pixel) in (0_u32..).zip(pixels.chunks_exact_mut(3)) {
        if columns.contains(&(place % size[0])) && rows.contains(&(place / size[0])) {
            pixel.fill(0);
        }
    }
    Frame::from_rgb(size[0], size[1], pixels).expect("as many pixels")
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const COHERENT: Augmentation = Augmentation::Coherent {
        least_area: 0.75,
        colour: 0.1,
    };

    fn picture() -> Frame {
        let level = |place: usize| u8::try_from(60 + place * 7919 % 101).expect("a level");
        let pixels = (0..20 * 20 * 3).map(level);
        Frame::from_rgb(20, 20, pixels.collect()).expect("whole pixels")
    }

    #[test]
    fn all_frames_of_a_clip_are_drawn_alike_and_clips_differ() {
        let mut random = StdRng::seed_from_u64(4);
        let mut clips = Vec::new();
        for _ in 0..20 {
            let clip = augment_clip(vec![picture(); 3], COHERENT, &mut random);
            assert!(clip.iter().all(|frame| *frame == clip[0]));
            assert_eq!([clip[0].width(), clip[0].height()], [20, 20]);
            clips.extend(clip.into_iter().take(1));
        }
        let first = &clips[0];
        assert!(clips[1..].iter().all(|frame| frame != first));
        let mut again = StdRng::seed_from_u64(4);
        assert_eq!(
            augment_clip(vec![picture()], COHERENT, &mut again),
            std::slice::from_ref(first)
        );
    }

    #[test]
    fn draws_are_as_often_and_as_far_as_published() {
        let mut random = StdRng::seed_from_u64(5);
        let draws: Vec<Draw> = (0..2000)
            .map(|_| Draw::new(0.75, 0.1, &mut random))
            .collect();
        let share = |is: &dyn Fn(&Draw) -> bool| {
            draws.iter().filter(|draw| is(draw)).count() as f64 / draws.len() as f64
        };
        assert!((share(&|it| it.is_mirrored) - 0.5).abs() < 0.04);
        assert!((share(&|it| it.erased.is_some()) - 0.1).abs() < 0.03);
        // The area is uniform, not the side.
        assert!((share(&|it| it.side * it.side < 0.875) - 0.5).abs() < 0.04);
        for draw in &draws {
            assert!((0.75_f64.sqrt()..=1.0).contains(&draw.side), "{draw:?}");
            for factor in [draw.brightness, draw.contrast, draw.saturation] {
                assert!((0.9..=1.1).contains(&factor), "{draw:?}");
            }
        }
    }

    #[test]
    fn parts_and_rectangles_lie_where_they_are_drawn() {
        let plain = Draw {
            side: 1.0,
            place: [0.0; 2],
            is_mirrored: false,
            brightness: 1.0,
            contrast: 1.0,
            saturation: 1.0,
            erased: None,
        };
        assert_eq!(plain.apply(&picture()), picture());
        let erased = Draw {
            erased: Some([[0.1, 0.25], [1.0, 0.0]]),
            ..plain
        };
        let frame = erased.apply(&picture());
        let is_black = |place: usize| frame.pixels()[place * 3..][..3] == [0; 3];
        let black: Vec<usize> = (0..400).filter(|place| is_black(*place)).collect();
        let expected = (0..5).flat_map(|row| [row * 20 + 18, row * 20 + 19]);
        assert_eq!(black, expected.collect::<Vec<_>>());
        let corner = cut(&picture(), [15, 10], [5, 10]);
        assert_eq!(
            corner.pixels()[..3],
            picture().pixels()[(10 * 20 + 15) * 3..][..3]
        );
        let half = Draw { side: 0.5, ..plain };
        let expected = resize(&cut(&picture(), [0, 0], [10, 10]), 20);
        assert_eq!(half.apply(&picture()), expected);
    }
}
