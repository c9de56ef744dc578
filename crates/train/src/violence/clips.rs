//! Which frames of a video are trained and validated on.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::LabelledVideo;
use affectlens::windowing::Windows;

/// A window of a video, from its first frame on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clip {
    /// Index of the video.
    pub(super) video: usize,
    /// First frame.
    pub(super) start: usize,
}

/// Draws the clips of an epoch: one of each video, in random order.
///
/// A start is uniform over those that keep the clip within the video; with probability `positive` it is instead chosen so
/// that a random violent frame stands in the middle, as far as the ends of the video allow.
pub(super) fn training_clips(
    videos: &[LabelledVideo],
    windows: &Windows,
    positive: f64,
    random: &mut StdRng,
) -> Vec<Clip> {
    use rand::seq::SliceRandom as _;

    let mut order: Vec<usize> = (0..videos.len()).collect();
    order.shuffle(random);
    let mut draw = |video: usize| {
        let labels = &videos[video].labels;
        let last = labels.len().saturating_sub(windows.span());
        let start = random.random_range(0..=last);
        let violent = || -> Vec<usize> {
            let frames = 0..labels.len();
            frames
                .filter(|&frame| labels[frame] == Some(true))
                .collect()
        };
        let centred = match random.random_bool(positive) {
            true => violent().choose(random).copied(),
            false => None,
        };
        let start = match centred {
            Some(frame) => frame.saturating_sub(windows.span() / 2).min(last),
            None => start,
        };
        Clip { video, start }
    };
    order.into_iter().map(&mut draw).collect()
}

/// The clips that every epoch is validated on: `count` of each video, the same for the same seed.
pub(super) fn validation_clips(
    videos: &[LabelledVideo],
    windows: &Windows,
    count: usize,
    seed: u64,
) -> Vec<Clip> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut clips = Vec::with_capacity(videos.len() * count);
    for (video, LabelledVideo { labels, .. }) in videos.iter().enumerate() {
        let last = labels.len().saturating_sub(windows.span());
        clips.extend((0..count).map(|_| Clip {
            video,
            start: random.random_range(0..=last),
        }));
    }
    clips
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(labels: &[u8]) -> LabelledVideo {
        LabelledVideo {
            name: String::new(),
            labels: labels.iter().map(|&label| Some(label == 1)).collect(),
        }
    }

    fn windows(length: usize, step: usize) -> Windows {
        Windows::new(length, step).expect("above 0")
    }

    #[test]
    fn each_video_gives_one_clip_an_epoch_that_stays_inside() {
        let videos = [video(&[0; 50]), video(&[0; 7]), video(&[1])];
        let windows = windows(4, 2);
        let mut random = StdRng::seed_from_u64(1);
        let mut starts = [false; 44];
        for _ in 0..800 {
            let mut clips = training_clips(&videos, &windows, 0.0, &mut random);
            clips.sort_by_key(|clip| clip.video);
            let [long, exact, short] = clips.as_slice() else {
                panic!("three clips, got {clips:?}")
            };
            starts[long.start] = true;
            assert_eq!((exact.start, short.start), (0, 0));
        }
        assert_eq!(starts, [true; 44], "all starts from 0 to 50 - 7");
        assert_eq!(windows.frames(0, 1), [0; 4], "the last frame repeats");
    }

    #[test]
    fn violent_frames_are_centred_and_clamped() {
        let mut labels = [0; 50];
        labels[20] = 1;
        let mut random = StdRng::seed_from_u64(2);
        let mut start = |labels: &[u8]| {
            training_clips(&[video(labels)], &windows(4, 2), 1.0, &mut random)[0].start
        };
        assert_eq!(start(&labels), 17, "20 minus half of 7 frames");
        labels[20] = 0;
        labels[49] = 1;
        assert_eq!(start(&labels), 43);
        labels[49] = 0;
        labels[0] = 1;
        assert_eq!(start(&labels), 0);
    }

    #[test]
    fn validation_clips_depend_on_the_seed_alone() {
        let videos = [video(&[0; 90]), video(&[1; 3])];
        let clips = |seed| validation_clips(&videos, &windows(8, 2), 11, seed);
        assert_eq!(clips(67), clips(67));
        assert_ne!(clips(67), clips(68));
        assert_eq!(clips(67).len(), 22);
        assert!(clips(67).iter().all(|clip| clip.start <= 75));
        assert!(clips(67)[11..].iter().all(|clip| clip.start == 0));
    }
}
