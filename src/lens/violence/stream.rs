//! What is remembered of a stream: the newest embedded frames, and the windows over them.

use std::collections::VecDeque;

use super::embedder::{Before, Embedder, Seen};
use crate::{
    error::LensError,
    frame::Frame,
    head::TemporalPredictor,
    part::Found,
    report::{LiveViolence, ViolenceReport, ViolenceWindow},
    windowing::{Sampler, StreamingWindows},
};

/// Milliseconds per frame that a stream is assumed to have until two of its frames are known.
pub(super) const USUAL_INTERVAL_MS: f64 = 40.0;

/// Share of the head's rate below which frames come too slowly for it; a head of all frames is taken for one of the usual
/// rate. Of 45 clips of fights the default head found 31 at its own rate, 27 at three quarters of it and 11 at half.
const SLOWEST_SHARE: f64 = 0.75;

/// A stream of frames, as far as later windows need it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) windows: StreamingWindows,
    sampler: Sampler,
    /// The newest embedded frames; the last is number `windows.count() - 1`.
    samples: VecDeque<Sample>,
    /// Of the frame before, for a second stream.
    pub(super) before: Before,
    /// Frames of a file without a final probability, with the number of their sample.
    pending: VecDeque<(u64, usize)>,
}

/// A frame that was embedded, or prepared for a network over windows.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) frame: u64,
    pub(super) time_ms: f64,
    seen: Seen,
    /// The longest window that has covered it.
    window: Option<ViolenceWindow>,
}

/// The report on a frame whose probability is known.
pub(super) fn scored(
    probability: f32,
    threshold: f32,
    live: Option<LiveViolence>,
    window: Option<ViolenceWindow>,
) -> ViolenceReport {
    ViolenceReport::Scored {
        probability,
        violent: probability >= threshold,
        live,
        window,
    }
}

impl Stream {
    pub(super) fn new(windows: StreamingWindows, frames_per_second: Option<f32>) -> Self {
        Self {
            windows,
            sampler: Sampler::new(frames_per_second),
            samples: VecDeque::new(),
            before: Before::default(),
            pending: VecDeque::new(),
        }
    }

    /// Takes the next frame: embeds it if the sampler wants it, and scores the window that is then due; gives the start of
    /// that window.
    pub(super) async fn take(
        &mut self,
        embedder: &Embedder,
        head: &TemporalPredictor,
        frame: &Frame,
        number: u64,
        time_ms: f64,
    ) -> Result<Option<usize>, LensError> {
        // A frame that cannot be embedded leaves its place to the next one.
        let mut sampler = self.sampler;
        let seen = match sampler.takes(time_ms) {
            true => Some(embedder.see(frame, &mut self.before).await?),
            false => None,
        };
        self.sampler = sampler;
        let Some(seen) = seen else {
            return Ok(None);
        };
        let due = self.push(Sample {
            frame: number,
            time_ms,
            seen,
            window: None,
        });
        if let Some(start) = due {
            self.score(embedder, head, start).await?;
        }
        Ok(due)
    }

    /// Takes the next embedded frame; gives the start of the window that is to be run now, if any.
    fn push(&mut self, sample: Sample) -> Option<usize> {
        self.samples.push_back(sample);
        if self.samples.len() > self.windows.kept() {
            self.samples.pop_front();
        }
        self.windows.push()
    }

    /// Takes note of a frame of a file; its probability will be that of the newest embedded frame.
    pub(super) fn await_probability(&mut self, frame: u64) {
        self.pending.push_back((frame, self.windows.count() - 1));
    }

    /// An embedded frame by its number among the embedded ones, if it is still remembered.
    pub(super) fn sample(&self, index: usize) -> Option<&Sample> {
        let first = self.windows.count() - self.samples.len();
        self.samples.get(index.checked_sub(first)?)
    }

    /// Runs the head on a window.
    pub(super) async fn score(
        &mut self,
        embedder: &Embedder,
        head: &TemporalPredictor,
        start: usize,
    ) -> Result<(), LensError> {
        let frames = self.windows.frames(start);
        let samples = frames.iter().filter_map(|index| self.sample(*index));
        let seen: Vec<&Seen> = samples.map(|sample| &sample.seen).collect();
        let window = embedder.window(&seen).await?;
        let probabilities = head.predict(&window, frames.len());
        self.windows.add(start, &probabilities)?;
        self.remember_window(&frames);
        Ok(())
    }

    /// Takes note of how long a window over these frames is; at the end of a short file the last one repeats.
    fn remember_window(&mut self, frames: &[usize]) {
        let window = match *frames {
            [first, .., last] => self.window(first, last),
            _ => None,
        };
        let first_kept = self.windows.count() - self.samples.len();
        for index in frames {
            let sample = index.checked_sub(first_kept);
            let sample = sample.and_then(|index| self.samples.get_mut(index));
            let (Some(sample), Some(window)) = (sample, window) else {
                continue;
            };
            let is_longest = sample.window.is_none_or(|it| it.span_ms < window.span_ms);
            if is_longest {
                sample.window = Some(window);
            }
        }
    }

    /// The window from one embedded frame to another; `None` if no time passes between them.
    fn window(&self, first: usize, last: usize) -> Option<ViolenceWindow> {
        let span_ms = self.sample(last)?.time_ms - self.sample(first)?.time_ms;
        let frames_per_second = (last - first) as f64 * 1000.0 / span_ms;
        let wanted = 1000.0 / self.sampler.interval_ms().unwrap_or(USUAL_INTERVAL_MS);
        (span_ms > 0.0).then_some(ViolenceWindow {
            span_ms,
            frames_per_second,
            too_slow: frames_per_second < SLOWEST_SHARE * wanted,
        })
    }

    /// How long the first window will be if frames go on coming as they do.
    pub(super) fn filling_window(&self) -> Option<ViolenceWindow> {
        let so_far = self.window(0, self.windows.count().checked_sub(1)?)?;
        Some(ViolenceWindow {
            span_ms: self.windows.delay() as f64 * self.interval_ms(),
            ..so_far
        })
    }

    /// Estimate of the newest frame that has one, and the longest window that covers it.
    pub(super) fn newest(&self) -> Option<(f32, Option<ViolenceWindow>)> {
        let mut newest = (0..self.samples.len()).map(|back| self.windows.count() - 1 - back);
        newest.find_map(|index| {
            let probability = self.windows.probability(index)?;
            Some((probability, self.sample(index)?.window))
        })
    }

    /// Between two frames that are embedded, milliseconds: by the grid, but no less than the stream has shown.
    pub(super) fn interval_ms(&self) -> f64 {
        let grid = self.sampler.interval_ms();
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return grid.unwrap_or(USUAL_INTERVAL_MS);
        };
        let gaps = self.samples.len() - 1;
        let seen = (gaps > 0).then(|| (last.time_ms - first.time_ms) / gaps as f64);
        match (grid, seen) {
            (Some(grid), Some(seen)) => grid.max(seen),
            (Some(interval), None) | (None, Some(interval)) => interval,
            (None, None) => USUAL_INTERVAL_MS,
        }
    }

    /// The frames whose probabilities are final, in order.
    pub(super) fn complete(&mut self, threshold: f32) -> Vec<Found<ViolenceReport>> {
        let mut complete = Vec::new();
        while let Some(&(frame, index)) = self.pending.front()
            && self.windows.is_final(index)
        {
            // Only a stride from the head's file leaves frames out; they count as not violent.
            let probability = self.windows.probability(index).unwrap_or_default();
            let window = self.sample(index).and_then(|sample| sample.window);
            let window = window.filter(|window| window.too_slow);
            complete.push(Found {
                frame,
                found: scored(probability, threshold, None, window),
            });
            self.pending.pop_front();
        }
        complete
    }
}
