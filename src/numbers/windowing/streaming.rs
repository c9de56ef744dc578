//! Windows over frames as they arrive.

use std::collections::VecDeque;

use super::averaging::Mean;
use super::{WindowError, Windows};

/// Windows over frames as they arrive, and each frame's mean probability over the windows that have covered it so far.
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
    /// Frames received.
    count: usize,
    /// Whether the clip has ended.
    is_finished: bool,
    /// Means of the newest frames; the first is frame `count - means.len()`.
    means: VecDeque<Mean>,
}

/// Choice of the windows to classify.
#[derive(Clone, Copy, Debug)]
enum Schedule {
    /// The newest full window each time this number of frames has arrived, without end.
    Live(usize),
    /// The windows of [`Windows::starts`], the last of them when the clip ends.
    Clip,
}

impl StreamingWindows {
    /// Schedules the newest full window every `every` frames, for a live stream.
    ///
    /// # Errors
    ///
    /// [`WindowError::Zero`] if `every` is 0.
    pub fn live(windows: Windows, every: usize) -> Result<Self, WindowError> {
        if every == 0 {
            return Err(WindowError::Zero { what: "stride" });
        }
        Ok(Self::new(windows, Schedule::Live(every)))
    }

    /// Schedules the windows of [`Windows::starts`], each as soon as its frames have arrived, for a clip.
    ///
    /// The number of frames need not be known in advance: [`finish`](Self::finish) lists the last windows.
    pub fn clip(windows: Windows) -> Self {
        Self::new(windows, Schedule::Clip)
    }

    fn new(windows: Windows, schedule: Schedule) -> Self {
        Self {
            windows,
            schedule,
            count: 0,
            is_finished: false,
            means: VecDeque::new(),
        }
    }

    /// Counts the next frame; returns the start of the window to classify now, if any.
    pub fn push(&mut self) -> Option<usize> {
        self.count += 1;
        self.means.push_back(Mean::default());
        if self.means.len() > self.kept() {
            self.means.pop_front();
        }
        let start = self.count.checked_sub(self.windows.span())?;
        self.is_scheduled(start).then_some(start)
    }

    /// Ends a clip; returns the starts of the windows still to classify, ascending.
    ///
    /// Beyond the end of a clip shorter than a window its last frame repeats.
    pub fn finish(&mut self) -> Vec<usize> {
        self.is_finished = true;
        if self.count == 0 {
            return Vec::new();
        }
        let span = self.windows.span();
        let mut starts = self.windows.starts(self.count);
        starts.retain(|start| start + span > self.count || !self.is_scheduled(*start));
        starts
    }

    /// Adds the probabilities of the window that starts at `start`, one per frame of the window.
    ///
    /// # Errors
    ///
    /// [`WindowError::Start`] if a frame of the window has not arrived or is no longer kept,
    /// [`WindowError::Probabilities`] for the wrong number of probabilities.
    pub fn add(&mut self, start: usize, probabilities: &[f32]) -> Result<(), WindowError> {
        self.windows.check_length(start, probabilities)?;
        let first = self.count - self.means.len();
        let is_full = start + self.windows.span() <= self.count;
        if start < first || !(is_full || self.is_finished) {
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

    /// Lists the frames of a window; beyond the end of a clip its last frame repeats.
    pub fn frames(&self, start: usize) -> Vec<usize> {
        self.windows.frames(start, self.count)
    }

    /// Mean probability of a frame so far; `None` if no window has covered it or it is no longer kept.
    pub fn probability(&self, frame: usize) -> Option<f32> {
        let first = self.count - self.means.len();
        let mean = self.means.get(frame.checked_sub(first)?)?;
        (!mean.is_empty()).then(|| mean.value())
    }

    /// Returns whether no later window covers a frame, so that its probability stays as it is.
    pub fn is_final(&self, frame: usize) -> bool {
        // The next window starts after `count - span` at the earliest; the last windows of a clip start up to one
        // offset earlier.
        let reach = match self.schedule {
            Schedule::Live(_) => self.windows.span(),
            Schedule::Clip => self.windows.span() + self.windows.offsets(),
        };
        self.is_finished || frame + reach <= self.count
    }

    /// Number of frames received.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Largest number of newest frames that are kept; a window needs no others.
    pub fn kept(&self) -> usize {
        // A frame keeps its mean for another span after it is final.
        2 * self.windows.span() + self.windows.offsets()
    }

    /// Number of frames still missing for the first full window.
    pub fn warm_up(&self) -> usize {
        self.windows.span().saturating_sub(self.count)
    }

    /// Number of frames after which a probability of a live stream no longer changes.
    pub fn delay(&self) -> usize {
        self.windows.span() - 1
    }

    fn is_scheduled(&self, start: usize) -> bool {
        match self.schedule {
            Schedule::Live(every) => start.is_multiple_of(every),
            Schedule::Clip => {
                let stride = self.windows.stride();
                (0..self.windows.offsets().min(start + 1))
                    .any(|offset| (start - offset).is_multiple_of(stride))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn windows(length: usize, step: usize, stride: Option<usize>) -> Windows {
        let windows = Windows::new(length, step).expect("above 0");
        stride.map_or(windows, |stride| {
            windows.with_stride(stride).expect("above 0")
        })
    }

    fn score(length: usize, start: usize) -> Vec<f32> {
        let indices = 0..length;
        indices
            .map(|index| ((start * 7 + index * 3) % 11) as f32 / 11.0)
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
    fn a_window_that_is_not_full_is_refused() {
        let mut stream = StreamingWindows::live(windows(4, 1, None), 1).expect("above 0");
        stream.push();
        assert!(stream.add(0, &[0.5; 4]).is_err());
        assert_eq!(stream.warm_up(), 3);
    }

    proptest! {
        #[test]
        fn a_live_stream_ends_where_the_whole_clip_does(
            length in 1_usize..12, step in 1_usize..4, every in 1_usize..6, more in 0_usize..60,
        ) {
            let windows = windows(length, step, Some(every));
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
            let windows = windows(length, step, stride);
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
}
