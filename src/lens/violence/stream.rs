//! What is remembered of a stream: the newest embedded frames, and the windows over them.

use std::collections::VecDeque;

use burn::tensor::{Tensor, TensorData};

use crate::{
    backbone::Backbone,
    crop,
    device::OpenedDevice,
    error::LensError,
    frame::Frame,
    head::TemporalHead,
    kernel::read_back,
    part::Found,
    report::{LiveViolence, ViolenceReport},
    windowing::{Sampler, StreamingWindows},
};

/// Milliseconds per frame that a stream is assumed to have until two of its frames are known.
pub(super) const USUAL_INTERVAL_MS: f64 = 40.0;

/// Embeds whole frames.
#[derive(Debug)]
pub(super) struct Embedder {
    pub(super) device: OpenedDevice,
    pub(super) backbone: Backbone,
}

/// A stream of frames, as far as later windows need it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) windows: StreamingWindows,
    sampler: Sampler,
    /// The newest embedded frames; the last is number `windows.count() - 1`.
    samples: VecDeque<Sample>,
    /// Frames of a file without a final probability, with the number of their sample.
    pending: VecDeque<(u64, usize)>,
}

/// An embedded frame.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) frame: u64,
    pub(super) time_ms: f64,
    embedding: Vec<f32>,
}

/// The report on a frame whose probability is known.
pub(super) fn scored(
    probability: f32,
    threshold: f32,
    live: Option<LiveViolence>,
) -> ViolenceReport {
    ViolenceReport::Scored {
        probability,
        violent: probability >= threshold,
        live,
    }
}

impl Embedder {
    pub(super) async fn embed(&self, frame: &Frame) -> Result<Vec<f32>, LensError> {
        let facts = self.backbone.facts();
        let squashed = crop::resize(frame, facts.input_side);
        let batch = crop::batch(&[squashed], &facts.normalisation, &self.device.device)?;
        let embedding = self.backbone.forward(batch).embedding;
        let read = read_back(vec![embedding]).await;
        let mut read = read.map_err(LensError::read_back)?;
        self.device.check()?;
        Ok(read.swap_remove(0))
    }
}

impl Stream {
    pub(super) fn new(windows: StreamingWindows, frames_per_second: Option<f32>) -> Self {
        Self {
            windows,
            sampler: Sampler::new(frames_per_second),
            samples: VecDeque::new(),
            pending: VecDeque::new(),
        }
    }

    /// Takes the next frame: embeds it if the sampler wants it, and scores the window that is then due; gives the start of
    /// that window.
    pub(super) async fn take(
        &mut self,
        embedder: &Embedder,
        head: &TemporalHead,
        frame: &Frame,
        number: u64,
        time_ms: f64,
    ) -> Result<Option<usize>, LensError> {
        if !self.sampler.takes(time_ms) {
            return Ok(None);
        }
        let due = self.push(Sample {
            frame: number,
            time_ms,
            embedding: embedder.embed(frame).await?,
        });
        if let Some(start) = due {
            self.score(head, start)?;
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
    pub(super) fn score(&mut self, head: &TemporalHead, start: usize) -> Result<(), LensError> {
        let frames = self.windows.frames(start);
        let samples = frames.iter().filter_map(|index| self.sample(*index));
        let values: Vec<f32> = samples
            .flat_map(|sample| sample.embedding.iter().copied())
            .collect();
        let shape = [1, frames.len(), head.config().features];
        let window = Tensor::from_data(TensorData::new(values, shape), &OpenedDevice::cpu().device);
        let logits = head.forward(window).into_data();
        let logits: Vec<f32> = logits.iter().collect();
        self.windows.add(start, &head.probabilities(&logits))?;
        Ok(())
    }

    /// Estimate of the newest frame that has one.
    pub(super) fn newest(&self) -> Option<f32> {
        let newest = (0..self.samples.len()).map(|back| self.windows.count() - 1 - back);
        newest
            .filter_map(|index| self.windows.probability(index))
            .next()
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
            // Every frame is covered: the windows are never forced apart.
            let probability = self.windows.probability(index).unwrap_or_default();
            complete.push(Found {
                frame,
                found: scored(probability, threshold, None),
            });
            self.pending.pop_front();
        }
        complete
    }
}
