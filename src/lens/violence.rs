//! Violence in streams of frames: embed each frame once, score windows of them, average where windows overlap.
//!
//! The published systems take every frame in windows of 32 (SPEC 5.6). A head that was trained at a rate of its own gets
//! the frames nearest to that rate; the frames between them have the probability of the one before.

use std::collections::VecDeque;

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{
    backbone::Backbone,
    calibration::ViolenceSettings,
    crop,
    device::OpenedDevice,
    error::LensError,
    frame::Frame,
    head::TemporalHead,
    kernel::read_back,
    report::{LiveViolence, ViolenceReport, ViolenceUpdate},
    weights::Weights,
    windowing::{Sampler, StreamingWindows, Windows},
};

/// Key of a head's metadata: the backbone whose embeddings it was trained on.
const EMBEDDING: &str = "embedding";

/// Files that tell violence.
#[derive(Clone, Debug)]
pub struct ViolenceWeights {
    /// Backbone that embeds whole frames.
    pub backbone: Weights,
    /// Temporal head over its embeddings; its metadata carries the settings.
    pub head: Weights,
}

/// What a user may change while frames come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ViolenceControls {
    /// A frame is violent if its probability is at or above it, in `[0, 1]`.
    pub violence_threshold: f32,
    /// The head runs on a live stream each time so many frames have been embedded.
    pub violence_every: usize,
}

impl Default for ViolenceControls {
    fn default() -> Self {
        Self {
            violence_threshold: ViolenceSettings::default().threshold,
            violence_every: 1,
        }
    }
}

/// What tells violence, and how long it looks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViolenceFacts {
    /// Architecture of the backbone.
    pub backbone: String,
    /// Architecture of the head.
    pub head: String,
    /// Frames of a window.
    pub length: usize,
    /// Frames a second that are embedded; `None` for all.
    pub frames_per_second: Option<f32>,
    /// From the first to the last frame of a window at that rate, milliseconds; for all frames as long as 25 a second.
    pub span_ms: f64,
}

/// What streams are assumed to have until two of their frames are known, milliseconds a frame.
const USUAL_INTERVAL_MS: f64 = 40.0;

/// Tells violence in one stream of frames.
///
/// A webcam takes each estimate at once ([`Self::analyze`]), and later windows refine it; a file takes final ones later
/// ([`Self::push`], [`Self::finish`]).
#[derive(Debug)]
pub struct ViolenceLens {
    embedder: Embedder,
    /// On the CPU: its input has just been read back, and it is small.
    head: TemporalHead,
    facts: ViolenceFacts,
    windows: Windows,
    controls: ViolenceControls,
    stream: Option<Stream>,
}

/// Describes whole frames.
#[derive(Debug)]
struct Embedder {
    device: OpenedDevice,
    backbone: Backbone,
}

/// What is remembered of a stream.
#[derive(Debug)]
struct Stream {
    windows: StreamingWindows,
    sampler: Sampler,
    /// The newest embedded frames; the last is number `windows.count() - 1`.
    samples: VecDeque<Sample>,
    /// Frames of a file without a final probability, with the number of their sample.
    pending: VecDeque<(u64, usize)>,
}

#[derive(Debug)]
struct Sample {
    frame: u64,
    time_ms: f64,
    embedding: Vec<f32>,
}

/// A frame of a file with its final probability.
pub type ScoredFrame = (u64, ViolenceReport);

impl ViolenceLens {
    /// Puts the networks on the device; on a GPU all kernels are compiled and tried.
    ///
    /// # Errors
    ///
    /// [`LensError`] if the weights do not fit or the GPU refuses a kernel.
    pub async fn load(weights: &ViolenceWeights, device: &OpenedDevice) -> Result<Self, LensError> {
        let wrong = |part| move |source| LensError::Weights { part, source };
        let backbone =
            Backbone::load(&weights.backbone, device).map_err(wrong("violence backbone"))?;
        let head = TemporalHead::load(&weights.head, &OpenedDevice::cpu().device)
            .map_err(wrong("violence head"))?;
        let settings = ViolenceSettings::read(&weights.head.metadata.extra)?;
        check_fit(&weights.head, &head, &settings, &backbone)?;
        let windows = Windows::new(settings.length, settings.step)?;
        let interval = Sampler::new(settings.frames_per_second).interval_ms();
        let lens = Self {
            facts: ViolenceFacts {
                backbone: backbone.facts().name.to_owned(),
                head: weights.head.metadata.architecture.clone(),
                length: settings.length,
                frames_per_second: settings.frames_per_second,
                span_ms: (windows.span() - 1) as f64 * interval.unwrap_or(USUAL_INTERVAL_MS),
            },
            controls: ViolenceControls {
                violence_threshold: settings.threshold,
                ..ViolenceControls::default()
            },
            embedder: Embedder {
                device: device.clone(),
                backbone,
            },
            head,
            windows,
            stream: None,
        };
        if device.has_gpu() {
            let blank =
                Frame::from_rgb(64, 48, vec![0; 64 * 48 * 3]).expect("as many bytes as pixels");
            device
                .check_kernels(async || lens.embedder.embed(&blank).await)
                .await??;
        }
        Ok(lens)
    }

    /// What tells violence, and how long it looks.
    pub fn facts(&self) -> &ViolenceFacts {
        &self.facts
    }

    /// The controls in force; at first those that the head was tuned for.
    pub fn controls(&self) -> &ViolenceControls {
        &self.controls
    }

    /// Changes the controls; the threshold acts at once, how often the head runs with the next stream.
    ///
    /// # Errors
    ///
    /// [`LensError::Control`] for a value out of range; the old controls stay in force.
    pub fn configure(&mut self, controls: ViolenceControls) -> Result<(), LensError> {
        let threshold = controls.violence_threshold;
        if !(0.0..=1.0).contains(&threshold) {
            return Err(LensError::Control {
                name: "violenceThreshold",
                expected: "a number from 0 to 1",
                got: f64::from(threshold),
            });
        }
        if controls.violence_every == 0 {
            return Err(LensError::Control {
                name: "violenceEvery",
                expected: "at least 1",
                got: 0.0,
            });
        }
        self.controls = controls;
        Ok(())
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.stream = None;
    }

    /// Takes a frame of a live stream, and says what is known so far.
    ///
    /// # Errors
    ///
    /// [`LensError`] if the device fails; the stream then goes on without the frame.
    pub async fn analyze(
        &mut self,
        frame: &Frame,
        number: u64,
        time_ms: f64,
    ) -> Result<ViolenceReport, LensError> {
        let live = StreamingWindows::live(self.windows, self.controls.violence_every)?;
        let rate = self.facts.frames_per_second;
        let stream = self.stream.get_or_insert_with(|| Stream::new(live, rate));
        let scored_window = stream
            .take(&self.embedder, &self.head, frame, number, time_ms)
            .await?;
        let updated = scored_window.map_or_else(Vec::new, |start| stream.windows.frames(start));
        let interval = stream.interval_ms();
        let Some(probability) = stream.newest() else {
            return Ok(ViolenceReport::WarmingUp {
                warming_up_ms: stream.windows.warm_up() as f64 * interval,
            });
        };
        let updates = updated.into_iter().filter_map(|index| {
            let sample = stream.sample(index)?;
            Some(ViolenceUpdate {
                frame: sample.frame,
                time_ms: sample.time_ms,
                probability: stream.windows.probability(index)?,
                is_final: stream.windows.is_final(index),
            })
        });
        let live = LiveViolence {
            delay_ms: stream.windows.delay() as f64 * interval,
            updates: updates.collect(),
        };
        Ok(scored(probability, &self.controls, Some(live)))
    }

    /// Takes a frame of a file; gives the frames whose probabilities have become final, in order.
    ///
    /// # Errors
    ///
    /// As [`Self::analyze`].
    pub async fn push(
        &mut self,
        frame: &Frame,
        number: u64,
        time_ms: f64,
    ) -> Result<Vec<ScoredFrame>, LensError> {
        let rate = self.facts.frames_per_second;
        let clip = StreamingWindows::clip(self.windows);
        let stream = self.stream.get_or_insert_with(|| Stream::new(clip, rate));
        stream
            .take(&self.embedder, &self.head, frame, number, time_ms)
            .await?;
        let newest = stream.windows.count() - 1;
        stream.pending.push_back((number, newest));
        Ok(stream.complete(&self.controls))
    }

    /// Ends a file; gives the frames that were left. A file shorter than a window is scored as if its last frame went on.
    ///
    /// # Errors
    ///
    /// [`LensError::Window`], which it never should.
    pub fn finish(&mut self) -> Result<Vec<ScoredFrame>, LensError> {
        let Some(mut stream) = self.stream.take() else {
            return Ok(Vec::new());
        };
        for start in stream.windows.finish() {
            stream.score(&self.head, start)?;
        }
        Ok(stream.complete(&self.controls))
    }
}

/// Confirms that a head was made for the backbone and for its windows.
fn check_fit(
    weights: &Weights,
    head: &TemporalHead,
    settings: &ViolenceSettings,
    backbone: &Backbone,
) -> Result<(), LensError> {
    let name = backbone.facts().name;
    if let Some(embedding) = weights.metadata.extra.get(EMBEDDING)
        && embedding != name
    {
        return Err(LensError::Embedding {
            part: "violence head",
            expected: embedding.clone(),
            got: name.to_owned(),
        });
    }
    let misfit = |what, expected, got| {
        Err(LensError::ViolenceHead {
            what,
            expected,
            got,
        })
    };
    let (width, features) = (backbone.facts().width, head.config().features);
    if width != features {
        let expected = format!("{width}, as `{name}` has");
        return misfit("length of the embeddings", expected, features);
    }
    match head.longest_window() {
        Some(longest) if longest < settings.length => {
            let expected = format!("at most {longest}");
            misfit("number of frames in a window", expected, settings.length)
        }
        _ => Ok(()),
    }
}

fn scored(
    probability: f32,
    controls: &ViolenceControls,
    live: Option<LiveViolence>,
) -> ViolenceReport {
    ViolenceReport::Scored {
        probability,
        violent: probability >= controls.violence_threshold,
        live,
    }
}

impl Embedder {
    async fn embed(&self, frame: &Frame) -> Result<Vec<f32>, LensError> {
        let facts = self.backbone.facts();
        let squashed = crop::resize(frame, facts.input_side);
        let batch = crop::batch(&[squashed], &facts.normalisation, &self.device.device)?;
        let embedding = self.backbone.forward(batch).embedding;
        let read = read_back(vec![embedding]).await;
        let mut read = read.map_err(|error| LensError::ReadBack {
            reason: error.to_string(),
        })?;
        self.device.check()?;
        Ok(read.swap_remove(0))
    }
}

impl Stream {
    fn new(windows: StreamingWindows, frames_per_second: Option<f32>) -> Self {
        Self {
            windows,
            sampler: Sampler::new(frames_per_second),
            samples: VecDeque::new(),
            pending: VecDeque::new(),
        }
    }

    /// Takes the next frame: embeds it if the sampler wants it, and scores the window that is then due; gives the start of
    /// that window.
    async fn take(
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

    fn sample(&self, index: usize) -> Option<&Sample> {
        let first = self.windows.count() - self.samples.len();
        self.samples.get(index.checked_sub(first)?)
    }

    /// Runs the head on a window.
    fn score(&mut self, head: &TemporalHead, start: usize) -> Result<(), LensError> {
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
    fn newest(&self) -> Option<f32> {
        let newest = (0..self.samples.len()).map(|back| self.windows.count() - 1 - back);
        newest
            .filter_map(|index| self.windows.probability(index))
            .next()
    }

    /// Between two frames that are embedded, milliseconds: by the grid, but no less than the stream has shown.
    fn interval_ms(&self) -> f64 {
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
    fn complete(&mut self, controls: &ViolenceControls) -> Vec<ScoredFrame> {
        let mut complete = Vec::new();
        while let Some(&(frame, index)) = self.pending.front()
            && self.windows.is_final(index)
        {
            // Every frame is covered: the windows are never forced apart.
            let probability = self.windows.probability(index).unwrap_or_default();
            complete.push((frame, scored(probability, controls, None)));
            self.pending.pop_front();
        }
        complete
    }
}
