//! Which vector of a video's sound belongs to which of its frames (HSEmotion team at ABAW-10, notebook).

use super::{Pictures, SAMPLE_RATE};

/// Sound and pictures that differ by less are as long as each other: containers round.
const TOLERANCE_SECONDS: f64 = 1.0;

/// Which vector each frame of a video hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameVectors {
    /// Frames that have a number: one more than the container counts.
    frames: usize,
    /// Vectors that there are.
    vectors: usize,
    /// Vectors that sound as long as the pictures would have.
    expected: usize,
}

impl FrameVectors {
    /// Pairs the vectors of a sound of so many samples at 16 kHz with pictures.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of vectors"
    )]
    pub(crate) fn new(vectors: usize, samples: u64, pictures: Pictures) -> Self {
        let expected = match lengths_apart(samples, pictures) {
            // As published: frames and vectors are paired in proportion.
            None => vectors,
            Some([heard, seen]) => (vectors as f64 * seen / heard).round() as usize,
        };
        Self {
            frames: pictures.frames.saturating_add(1),
            vectors,
            expected,
        }
    }

    /// The vector of a frame, which is counted from 1; none beyond the frames or where the sound is over.
    pub(crate) fn of(&self, frame: usize) -> Option<usize> {
        let place = frame.checked_sub(1).filter(|place| *place < self.frames)?;
        let vector = place as u128 * self.expected as u128 / self.frames as u128;
        let vector = usize::try_from(vector).ok()?;
        (vector < self.vectors).then_some(vector)
    }

    /// The same for a frame with a crop: where it has none, that of the frame before.
    pub(crate) fn of_crop(&self, frame: usize) -> Option<usize> {
        self.of(frame).or_else(|| self.of(frame.checked_sub(1)?))
    }
}

/// Seconds of the sound and of the pictures, where they are not as long as each other.
pub(crate) fn lengths_apart(samples: u64, pictures: Pictures) -> Option<[f64; 2]> {
    let heard = samples as f64 / f64::from(SAMPLE_RATE);
    let seen = pictures.seconds?;
    ((heard - seen).abs() > TOLERANCE_SECONDS).then_some([heard, seen])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(vectors: usize, seconds: f64, pictures: Pictures) -> FrameVectors {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of samples"
        )]
        let samples = (seconds * f64::from(SAMPLE_RATE)) as u64;
        FrameVectors::new(vectors, samples, pictures)
    }

    fn heard(vectors: FrameVectors, frames: usize) -> Vec<Option<usize>> {
        (1..=frames).map(|frame| vectors.of(frame)).collect()
    }

    #[test]
    fn frames_and_vectors_are_paired_in_proportion() {
        let pictures = Pictures {
            frames: 9,
            seconds: Some(0.36),
        };
        let proportional = vectors(17, 0.36, pictures);
        // The specification's example: 17 vectors, a container that counts 9 frames.
        let expected = [0, 1, 3, 5, 6, 8, 10, 11, 13, 15].map(Some);
        assert_eq!(heard(proportional, 10), expected);
        assert_eq!([proportional.of(0), proportional.of(11)], [None; 2]);
        // A crop beyond what the container counts hears what the frame before heard, but not further.
        assert_eq!(proportional.of_crop(11), Some(15));
        assert_eq!(proportional.of_crop(12), None);
    }

    #[test]
    fn sound_of_another_length_keeps_its_pace() {
        let pictures = Pictures {
            frames: 7,
            seconds: Some(8.0),
        };
        // Four seconds of sound for eight seconds of pictures, two vectors a second.
        let short = vectors(8, 4.0, pictures);
        let first = [0, 2, 4, 6].map(Some);
        assert_eq!(heard(short, 8), [&first[..], &[None; 4]].concat());
        assert_eq!(short.of_crop(5), Some(6));
        assert_eq!(short.of_crop(6), None);
        let long = vectors(32, 16.0, pictures);
        assert_eq!(heard(long, 8), [0, 2, 4, 6, 8, 10, 12, 14].map(Some));
        // Containers round: what differs by less than a second is as long.
        let rounded = vectors(15, 7.5, pictures);
        assert_eq!(heard(rounded, 2), [Some(0), Some(1)]);
        assert_eq!(rounded.of(8), Some(13));
    }
}
