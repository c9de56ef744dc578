//! Windows of frames for networks that look at many frames at once, and frame probabilities from overlapping windows
//! (SPEC 5.6).

use std::collections::VecDeque;

use thiserror::Error;

/// Why there are no windows, or no scores from them.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowError {
    /// A number that must be at least one is zero.
    #[error("{what} of windows is 0, expected at least 1")]
    Zero {
        /// `length`, `step` or `stride`.
        what: &'static str,
    },
    /// A window gave another number of probabilities than it has frames.
    #[error("window at frame {start} has {got} probabilities, expected {expected}")]
    Probabilities {
        /// First frame of the window.
        start: usize,
        /// Frames of a window.
        expected: usize,
        /// Probabilities that came.
        got: usize,
    },
    /// A window lies beyond what is kept.
    #[error("window starts at frame {start}, expected {expected}")]
    Start {
        /// First frame of the window.
        start: usize,
        /// What would do.
        expected: String,
    },
    /// A box filter has no middle.
    #[error("smoothing window of {got} frames, expected an odd number")]
    Even {
        /// Its width.
        got: usize,
    },
}

/// How a video is cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    length: usize,
    step: usize,
    stride: Stride,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stride {
    /// Half a window, and a row of windows for each frame that a step passes over, so that every frame is covered.
    Covering,
    /// As given.
    Forced(usize),
}

impl Windows {
    /// Windows of `length` frames, `step` frames apart, that overlap by half and cover every frame.
    ///
    /// # Errors
    ///
    /// [`WindowError::Zero`].
    pub fn new(length: usize, step: usize) -> Result<Self, WindowError> {
        for (what, number) in [("length", length), ("step", step)] {
            if number == 0 {
                return Err(WindowError::Zero { what });
            }
        }
        Ok(Self {
            length,
            step,
            stride: Stride::Covering,
        })
    }

    /// Windows every `stride` frames, as published: with a step above 1 some frames may never be covered, see
    /// [`uncovered`](Self::uncovered).
    ///
    /// # Errors
    ///
    /// [`WindowError::Zero`].
    pub fn with_stride(self, stride: usize) -> Result<Self, WindowError> {
        if stride == 0 {
            return Err(WindowError::Zero { what: "stride" });
        }
        Ok(Self {
            stride: Stride::Forced(stride),
            ..self
        })
    }

    /// The published default, half a window: `max(1, length * step / 2)`.
    pub fn half(&self) -> usize {
        (self.length * self.step / 2).max(1)
    }

    /// Frames of a window.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Frames from the first to the last of a window, both counted: `(length - 1) * step + 1`.
    pub fn span(&self) -> usize {
        (self.length - 1) * self.step + 1
    }

    /// First frames of the windows of a video, ascending; a video that is shorter than a window has one, at 0, or one
    /// for each frame that a step passes over.
    pub fn starts(&self, frames: usize) -> Vec<usize> {
        let last = frames.saturating_sub(self.span());
        let stride = self.stride();
        let rows = self.rows().min(frames.max(1));
        let mut starts: Vec<usize> = (0..rows)
            .flat_map(|first| (first..=last.max(first)).step_by(stride))
            .chain(match self.stride {
                // The last window of each row.
                Stride::Covering => (last + 1).saturating_sub(rows)..=last,
                Stride::Forced(_) => last..=last,
            })
            .collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    /// Frames between the starts of a row of windows.
    fn stride(&self) -> usize {
        match self.stride {
            Stride::Covering => self.half(),
            Stride::Forced(stride) => stride,
        }
    }

    /// Rows of windows: one for each frame that a step passes over, if all are to be covered.
    fn rows(&self) -> usize {
        match self.stride {
            Stride::Covering => self.step,
            Stride::Forced(_) => 1,
        }
    }

    /// The frames of a window; beyond the end of a short video the last frame repeats.
    pub fn frames(&self, start: usize, frames: usize) -> Vec<usize> {
        let last = frames.saturating_sub(1);
        let places = (0..self.length).map(|place| start + place * self.step);
        places.map(|frame| frame.min(last)).collect()
    }

    /// How many frames of a video no window covers: their probability stays 0, whatever they show.
    pub fn uncovered(&self, frames: usize) -> usize {
        let mut covered = vec![false; frames];
        for start in self.starts(frames) {
            for frame in self.frames(start, frames) {
                if let Some(covered) = covered.get_mut(frame) {
                    *covered = true;
                }
            }
        }
        covered.into_iter().filter(|covered| !covered).count()
    }

    /// Mean probability of each frame over the windows that cover it; 0 where none does.
    ///
    /// `probabilities` are those of the windows that [`starts`](Self::starts) gives, in that order.
    ///
    /// # Errors
    ///
    /// [`WindowError`] if there are not as many windows, or a window has not as many probabilities as frames.
    pub fn average<R: AsRef<[f32]>>(
        &self,
        probabilities: &[R],
        frames: usize,
    ) -> Result<Vec<f32>, WindowError> {
        let starts = self.starts(frames);
        if starts.len() != probabilities.len() {
            return Err(WindowError::Start {
                start: starts.get(probabilities.len()).copied().unwrap_or(frames),
                expected: format!("{} windows, got {}", starts.len(), probabilities.len()),
            });
        }
        let mut means = vec![Mean::default(); frames];
        for (start, row) in starts.into_iter().zip(probabilities) {
            let row = row.as_ref();
            self.check(start, row)?;
            for (frame, probability) in self.frames(start, frames).into_iter().zip(row) {
                if let Some(mean) = means.get_mut(frame) {
                    mean.add(*probability);
                }
            }
        }
        Ok(means.iter().map(Mean::value).collect())
    }

    fn check(&self, start: usize, row: &[f32]) -> Result<(), WindowError> {
        if row.len() == self.length {
            return Ok(());
        }
        Err(WindowError::Probabilities {
            start,
            expected: self.length,
            got: row.len(),
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += f64::from(value);
        self.count += 1;
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "summed in f64, reported in f32"
    )]
    fn value(&self) -> f32 {
        if self.count == 0 {
            return 0.0;
        }
        (self.sum / f64::from(self.count)) as f32
    }
}

/// Windows over frames as they come, and each frame's mean over the windows that have covered it so far.
///
/// ```
/// use affectlens::windowing::{StreamingWindows, Windows};
///
/// let mut stream = StreamingWindows::live(Windows::new(2, 1)?, 1)?;
/// assert_eq!(stream.push(), None, "warming up");
/// assert_eq!(stream.push(), Some(0));
/// stream.add(0, &[0.0, 1.0])?;
/// assert_eq!(stream.push(), Some(1));
/// stream.add(1, &[0.5, 0.5])?;
/// assert_eq!(stream.probability(1), Some(0.75));
/// assert!(stream.is_final(1) && !stream.is_final(2));
/// # Ok::<(), affectlens::windowing::WindowError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamingWindows {
    windows: Windows,
    schedule: Schedule,
    /// Frames that came.
    count: usize,
    /// Whether no frame comes any more.
    finished: bool,
    /// Means of the newest frames; the first is frame `count - means.len()`.
    means: VecDeque<Mean>,
}

/// When a window is run.
#[derive(Clone, Copy, Debug)]
enum Schedule {
    /// The newest full one every so many frames, for ever.
    Live(usize),
    /// Those of [`Windows::starts`], the last of them when the clip ends.
    Clip,
}

impl StreamingWindows {
    /// Asks for the newest full window every `every` frames, once there are enough for the first.
    ///
    /// # Errors
    ///
    /// [`WindowError::Zero`].
    pub fn live(windows: Windows, every: usize) -> Result<Self, WindowError> {
        if every == 0 {
            return Err(WindowError::Zero { what: "stride" });
        }
        Ok(Self::new(windows, Schedule::Live(every)))
    }

    /// Asks for the windows that [`Windows::starts`] gives, as soon as their frames are there; how many frames there
    /// will be need not be known. [`finish`](Self::finish) asks for the last ones.
    pub fn clip(windows: Windows) -> Self {
        Self::new(windows, Schedule::Clip)
    }

    fn new(windows: Windows, schedule: Schedule) -> Self {
        Self {
            windows,
            schedule,
            count: 0,
            finished: false,
            means: VecDeque::new(),
        }
    }

    /// Takes the next frame; gives the start of the window that is to be run now, if any.
    pub fn push(&mut self) -> Option<usize> {
        self.count += 1;
        self.means.push_back(Mean::default());
        if self.means.len() > self.kept() {
            self.means.pop_front();
        }
        let start = self.count.checked_sub(self.windows.span())?;
        self.is_scheduled(start).then_some(start)
    }

    /// Ends a clip; gives the starts of the windows that are still to be run, ascending. Beyond the end of a clip that
    /// is shorter than a window its last frame repeats.
    pub fn finish(&mut self) -> Vec<usize> {
        self.finished = true;
        if self.count == 0 {
            return Vec::new();
        }
        let span = self.windows.span();
        let mut starts = self.windows.starts(self.count);
        starts.retain(|start| start + span > self.count || !self.is_scheduled(*start));
        starts
    }

    /// Takes the probabilities of a window.
    ///
    /// # Errors
    ///
    /// [`WindowError`] if the window reaches over the frames that are kept, or has not as many probabilities as frames.
    pub fn add(&mut self, start: usize, probabilities: &[f32]) -> Result<(), WindowError> {
        self.windows.check(start, probabilities)?;
        let first = self.count - self.means.len();
        let is_full = start + self.windows.span() <= self.count;
        if start < first || !(is_full || self.finished) {
            return Err(WindowError::Start {
                start,
                expected: format!("one within frames {first} to {}", self.count),
            });
        }
        let frames = self.windows.frames(start, self.count);
        for (frame, probability) in frames.into_iter().zip(probabilities) {
            self.means[frame - first].add(*probability);
        }
        Ok(())
    }

    /// The frames of a window; beyond the end of a clip its last frame repeats.
    pub fn frames(&self, start: usize) -> Vec<usize> {
        self.windows.frames(start, self.count)
    }

    /// Mean so far; `None` for a frame that no window has covered, or that is no longer kept.
    pub fn probability(&self, frame: usize) -> Option<f32> {
        let first = self.count - self.means.len();
        let mean = self.means.get(frame.checked_sub(first)?)?;
        (mean.count > 0).then(|| mean.value())
    }

    /// Whether no window that is still to come covers a frame.
    pub fn is_final(&self, frame: usize) -> bool {
        // The next window starts after `count - span` at the earliest, the last ones of a clip where they must.
        let reach = match self.schedule {
            Schedule::Live(_) => self.windows.span(),
            Schedule::Clip => self.windows.span() + self.windows.rows(),
        };
        self.finished || frame + reach <= self.count
    }

    /// Frames that came.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Newest frames that are remembered, at most; a window needs no others.
    pub fn kept(&self) -> usize {
        // A frame keeps its mean for as long again after it is final.
        2 * self.windows.span() + self.windows.rows()
    }

    /// Frames until the first window is full.
    pub fn warm_up(&self) -> usize {
        self.windows.span().saturating_sub(self.count)
    }

    /// Frames after which a probability of a live stream no longer changes.
    pub fn delay(&self) -> usize {
        self.windows.span() - 1
    }

    fn is_scheduled(&self, start: usize) -> bool {
        match self.schedule {
            Schedule::Live(every) => start.is_multiple_of(every),
            Schedule::Clip => {
                let stride = self.windows.stride();
                (0..self.windows.rows().min(start + 1))
                    .any(|first| (start - first).is_multiple_of(stride))
            }
        }
    }
}

/// Takes the frames of a stream that lie nearest to a regular grid in time.
///
/// ```
/// use affectlens::windowing::Sampler;
///
/// let mut eight_a_second = Sampler::new(Some(8.0));
/// let taken: Vec<_> = (0..30).filter(|frame| eight_a_second.takes(f64::from(*frame) * 1000.0 / 30.0)).collect();
/// assert_eq!(taken, [0, 4, 7, 11, 15, 19, 22, 26]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    /// Between the points of the grid; `None` takes every frame.
    interval_ms: Option<f64>,
    /// Time of the frame before.
    before_ms: Option<f64>,
    /// Next point of the grid.
    due_ms: f64,
}

impl Sampler {
    /// A grid of so many points a second, the first at the first frame; without a rate every frame is taken.
    pub fn new(frames_per_second: Option<f32>) -> Self {
        Self {
            interval_ms: frames_per_second.map(|rate| 1000.0 / f64::from(rate)),
            before_ms: None,
            due_ms: 0.0,
        }
    }

    /// Between two frames that are taken, if there are enough, milliseconds; `None` where every frame is taken.
    pub fn interval_ms(&self) -> Option<f64> {
        self.interval_ms
    }

    /// Whether the frame at this time is taken. A stream that is slower than the grid has each of its frames taken.
    pub fn takes(&mut self, time_ms: f64) -> bool {
        let Some(interval) = self.interval_ms else {
            return true;
        };
        let Some(before) = self.before_ms.replace(time_ms) else {
            self.due_ms = time_ms + interval;
            return true;
        };
        // The next frame, as far off as the one before, would lie farther from the point than this one.
        let half_gap = (time_ms - before).max(0.0) / 2.0;
        if time_ms + half_gap < self.due_ms {
            return false;
        }
        let missed = ((time_ms + half_gap - self.due_ms) / interval).floor();
        self.due_ms += interval * (missed.max(0.0) + 1.0);
        true
    }
}

/// The frames of a video of `rate` frames a second that a [`Sampler`] takes, ascending.
pub fn sampled_frames(frames: usize, rate: f64, per_second: Option<f32>) -> Vec<usize> {
    let mut sampler = Sampler::new(per_second);
    (0..frames)
        .filter(|frame| sampler.takes(*frame as f64 * 1000.0 / rate))
        .collect()
}

/// Values of all frames from those of some, ascending, the first among them: each frame gets that of the last before it
/// that has one, itself included, as in a stream; none where there are no values.
pub fn spread(values: &[f32], sampled: &[usize], frames: usize) -> Vec<f32> {
    let mut place = 0;
    let value = |frame: usize| {
        while sampled.get(place + 1).is_some_and(|next| *next <= frame) {
            place += 1;
        }
        values.get(place).copied()
    };
    (0..frames).map_while(value).collect()
}

/// Mean over `width` frames about each; beyond the ends the outermost values repeat.
///
/// # Errors
///
/// [`WindowError::Even`].
pub fn smooth_repeating(values: &[f32], width: usize) -> Result<Vec<f32>, WindowError> {
    if width.is_multiple_of(2) {
        return Err(WindowError::Even { got: width });
    }
    let half = width / 2;
    let last = values.len().saturating_sub(1);
    Ok((0..values.len())
        .map(|frame| {
            let mut mean = Mean::default();
            for place in frame..frame + width {
                mean.add(values[place.saturating_sub(half).min(last)]);
            }
            mean.value()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn windows(length: usize, step: usize) -> Windows {
        Windows::new(length, step).expect("above 0")
    }

    fn published(length: usize, step: usize, stride: Option<usize>) -> Windows {
        let windows = windows(length, step);
        let stride = stride.unwrap_or(windows.half());
        windows.with_stride(stride).expect("above 0")
    }

    #[test]
    fn published_starts() {
        assert_eq!(published(32, 1, None).starts(100), [0, 16, 32, 48, 64, 68]);
        assert_eq!(published(32, 2, None).starts(100), [0, 32, 37]);
        assert_eq!(published(32, 1, None).starts(20), [0]);
        let short = published(32, 1, None).frames(0, 20);
        assert_eq!(short.iter().filter(|frame| **frame == 19).count(), 13);
        let trap = published(32, 2, Some(16));
        assert_eq!(trap.starts(100), [0, 16, 32, 37]);
        assert_eq!(trap.uncovered(100), 20);
    }

    #[test]
    fn frames_that_no_window_covers_have_probability_zero() {
        let trap = published(2, 2, Some(2));
        let rows = vec![[1.0, 1.0]; trap.starts(6).len()];
        assert_eq!(trap.starts(6), [0, 2, 3]);
        assert_eq!(
            trap.average(&rows, 6).expect("fits"),
            [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]
        );
        assert_eq!(trap.uncovered(6), 1);
        assert_eq!(windows(2, 2).uncovered(6), 0);
    }

    #[test]
    fn ends_repeat_when_smoothed() {
        let smoothed = smooth_repeating(&[0.0, 0.0, 1.0], 3).expect("odd");
        assert_eq!(smoothed, [0.0, 0.333_333_34, 0.666_666_7]);
        assert_eq!(smooth_repeating(&[], 5), Ok(vec![]));
        assert_eq!(
            smooth_repeating(&[1.0], 4).expect_err("even").to_string(),
            "smoothing window of 4 frames, expected an odd number"
        );
    }

    #[test]
    fn frames_nearest_to_a_regular_grid_stand_for_those_after_them() {
        let sampled = sampled_frames(10, 30.0, Some(8.0));
        assert_eq!(sampled, [0, 4, 7], "3.75 apart");
        let spread_out = spread(&[0.1, 0.5, 0.9], &sampled, 10);
        assert_eq!(
            spread_out,
            [0.1, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9]
        );
        for per_second in [None, Some(30.0), Some(60.0)] {
            assert_eq!(sampled_frames(3, 30.0, per_second), [0, 1, 2]);
        }
        assert!(sampled_frames(0, 30.0, Some(8.0)).is_empty());
        assert!(spread(&[], &[], 3).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(
            Windows::new(0, 1).expect_err("no frames").to_string(),
            "length of windows is 0, expected at least 1"
        );
        let windows = windows(4, 1);
        assert_eq!(
            windows
                .average(&[[0.5; 3]], 4)
                .expect_err("three")
                .to_string(),
            "window at frame 0 has 3 probabilities, expected 4"
        );
        assert!(windows.average::<[f32; 4]>(&[], 4).is_err());
        let mut stream = StreamingWindows::live(windows, 1).expect("above 0");
        stream.push();
        assert!(stream.add(0, &[0.5; 4]).is_err(), "the window is not full");
        assert_eq!(stream.warm_up(), 3);
    }

    proptest! {
        #[test]
        fn by_default_every_frame_is_covered(
            length in 1_usize..40, step in 1_usize..5, frames in 1_usize..300,
        ) {
            let windows = windows(length, step);
            prop_assert_eq!(windows.uncovered(frames), 0);
            let starts = windows.starts(frames);
            prop_assert!(starts.is_sorted());
            prop_assert!(starts.iter().all(|start| *start < step || start + windows.span() <= frames));
            let ones = vec![vec![1.0; length]; starts.len()];
            prop_assert!(windows.average(&ones, frames).expect("fits").iter().all(|p| *p == 1.0));
        }

        #[test]
        fn a_live_stream_ends_where_the_whole_clip_does(
            length in 1_usize..12, step in 1_usize..4, every in 1_usize..6, more in 0_usize..60,
        ) {
            let windows = published(length, step, Some(every));
            let frames = windows.span() + more / every * every;
            let whole = whole(windows, frames);
            let mut stream = StreamingWindows::live(windows, every).expect("above 0");
            for frame in 0..frames {
                if let Some(start) = stream.push() {
                    stream.add(start, &score(length, start)).expect("just asked for");
                }
                if let Some(done) = frame.checked_sub(stream.delay()) {
                    prop_assert!(stream.is_final(done));
                    let expected = whole[done];
                    prop_assert!((stream.probability(done).unwrap_or(0.0) - expected).abs() < 1e-6);
                }
            }
        }

        #[test]
        fn a_clip_frame_by_frame_is_the_whole_clip(
            length in 1_usize..12, step in 1_usize..4, stride in prop::option::of(1_usize..9), frames in 1_usize..90,
        ) {
            let windows = stride.map_or(windows(length, step), |it| published(length, step, Some(it)));
            let whole = whole(windows, frames);
            let mut stream = StreamingWindows::clip(windows);
            let mut done = Vec::new();
            for frame in 0..frames {
                if let Some(start) = stream.push() {
                    stream.add(start, &score(length, start)).expect("just asked for");
                }
                prop_assert_eq!(stream.count(), frame + 1);
                while stream.is_final(done.len()) {
                    done.push(stream.probability(done.len()).unwrap_or(0.0));
                }
            }
            for start in stream.finish() {
                stream.add(start, &score(length, start)).expect("just asked for");
            }
            while done.len() < frames {
                prop_assert!(stream.is_final(done.len()));
                done.push(stream.probability(done.len()).unwrap_or(0.0));
            }
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
            prop_assert!(done.iter().zip(&whole).all(close), "{done:?} {whole:?}");
        }
    }

    fn score(length: usize, start: usize) -> Vec<f32> {
        let places = 0..length;
        places
            .map(|place| ((start * 7 + place * 3) % 11) as f32 / 11.0)
            .collect()
    }

    fn whole(windows: Windows, frames: usize) -> Vec<f32> {
        let starts = windows.starts(frames);
        let rows: Vec<_> = starts
            .into_iter()
            .map(|start| score(windows.length(), start))
            .collect();
        windows.average(&rows, frames).expect("fits")
    }

    #[test]
    fn a_slow_stream_is_taken_whole_and_a_jump_does_not_bunch_frames() {
        let mut sampler = Sampler::new(Some(8.0));
        assert!((0..5).all(|frame| sampler.takes(f64::from(frame) * 300.0)));
        assert!(sampler.takes(60_000.0));
        assert!(!sampler.takes(60_010.0));
        assert!((0..5).all(|_| Sampler::new(None).takes(0.0)));
    }
}
