//! Violence in streams of frames: embed or prepare each frame once, score windows of them, average where windows overlap.
//!
//! The published systems take every frame in windows of 32 (HSEmotion team at ABAW-10, section 3.3). A head
//! that was trained at a rate of its own gets the frames nearest to that rate; the frames between them have the
//! probability of the one before.

mod embedder;
mod files;
mod frames;
#[cfg(not(target_family = "wasm"))]
mod second;
mod stream;

use serde::Serialize;

pub use crate::controls::ViolenceControls;
use crate::{
    calibration::ViolenceSettings,
    device::OpenedDevice,
    error::LensError,
    frame::Frame,
    head::TemporalPredictor,
    part::{Found, expect_embedding, warm_up},
    person::Person,
    report::{LiveViolence, ViolenceReport, ViolenceUpdate},
    role::Role,
    weights::Weights,
    windowing::{Sampler, StreamingWindows, Windows},
};
use embedder::{Before, Embedder};
pub use files::{SecondWeights, ViolenceWeights};
use stream::{Stream, USUAL_INTERVAL_MS, scored};

/// Longest step between the frames of a network over windows: what is kept of them stays below a gigabyte.
const MOST_STEP: usize = 32;

/// The networks that detect violence, and how long their window is.
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

/// Detects violence in one stream of frames.
///
/// A webcam takes each estimate at once ([`Self::analyze`]), and later windows refine it; a file takes final ones later
/// ([`Self::push`], [`Self::finish`]). The caller numbers the frames, in ascending order;
/// [`Lens`](crate::lens::Lens) does.
#[derive(Debug)]
pub struct ViolenceLens {
    embedder: Embedder,
    head: TemporalPredictor,
    facts: ViolenceFacts,
    windows: Windows,
    controls: ViolenceControls,
    stream: Option<Stream>,
    /// The people in the next frame, where somebody has looked for them.
    people: Option<Vec<Person>>,
}

impl ViolenceLens {
    /// Puts the networks on the device; on a GPU all kernels are compiled and tried.
    ///
    /// # Errors
    ///
    /// [`LensError`] if the weights do not fit or the GPU refuses a kernel.
    pub async fn load(weights: ViolenceWeights, device: &OpenedDevice) -> Result<Self, LensError> {
        let ViolenceWeights {
            backbone,
            head: file,
            second,
        } = weights;
        let embedder = Embedder::load(backbone, &file, second, device).await?;
        let head =
            TemporalPredictor::load(&file).map_err(LensError::weights(Role::ViolenceHead))?;
        let settings = ViolenceSettings::read(&file.metadata.extra)?;
        check_fit(&file, &head, &settings, &embedder)?;
        let windows = Windows::new(settings.length, settings.step)?;
        let windows = match settings.stride {
            Some(stride) => windows.with_stride(stride)?,
            None => windows,
        };
        let interval = Sampler::new(settings.frames_per_second).interval_ms();
        let lens = Self {
            facts: ViolenceFacts {
                backbone: embedder.name().to_owned(),
                head: file.metadata.architecture.clone(),
                length: settings.length,
                frames_per_second: settings.frames_per_second,
                span_ms: (windows.span() - 1) as f64 * interval.unwrap_or(USUAL_INTERVAL_MS),
            },
            controls: ViolenceControls {
                threshold: settings.threshold,
                ..ViolenceControls::default()
            },
            embedder,
            head,
            windows,
            stream: None,
            people: None,
        };
        let embedder = &lens.embedder;
        warm_up(device, async |blank| {
            let seen = embedder.see(blank, &mut Before::default()).await?;
            let window = vec![&seen; embedder.length().unwrap_or(1)];
            embedder.window(&window).await.map(drop)
        })
        .await?;
        Ok(lens)
    }

    /// The networks that detect violence, and how long their window is.
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
        controls.check()?;
        self.controls = controls;
        Ok(())
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.stream = None;
        self.people = None;
    }

    /// Tells who is in the next frame: where the head reads skeletons, nobody is looked for a second time.
    pub fn meet(&mut self, people: Vec<Person>) {
        self.people = Some(people);
    }

    /// Takes a frame of a live stream, and reports what is known so far.
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
        let live = StreamingWindows::live(self.windows, self.controls.every)?;
        let rate = self.facts.frames_per_second;
        let people = self.people.take();
        let stream = self.stream.get_or_insert_with(|| Stream::new(live, rate));
        stream.before.people = people;
        let scored_window = stream
            .take(&self.embedder, &self.head, frame, number, time_ms)
            .await?;
        let updated = scored_window.map_or_else(Vec::new, |start| stream.windows.frames(start));
        let interval = stream.interval_ms();
        let Some((probability, window)) = stream.newest() else {
            return Ok(ViolenceReport::WarmingUp {
                warming_up_ms: stream.windows.warm_up() as f64 * interval,
                window: stream.filling_window().filter(|window| window.too_slow),
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
        let threshold = self.controls.threshold;
        Ok(scored(probability, threshold, Some(live), window))
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
    ) -> Result<Vec<Found<ViolenceReport>>, LensError> {
        let rate = self.facts.frames_per_second;
        let clip = StreamingWindows::clip(self.windows);
        let people = self.people.take();
        let stream = self.stream.get_or_insert_with(|| Stream::new(clip, rate));
        stream.before.people = people;
        stream
            .take(&self.embedder, &self.head, frame, number, time_ms)
            .await?;
        stream.await_probability(number);
        Ok(stream.complete(self.controls.threshold))
    }

    /// Ends a file; gives the frames that were left. A file shorter than a window is scored as if its last frame went on.
    ///
    /// # Errors
    ///
    /// [`LensError`] if the device fails.
    pub async fn finish(&mut self) -> Result<Vec<Found<ViolenceReport>>, LensError> {
        let Some(mut stream) = self.stream.take() else {
            return Ok(Vec::new());
        };
        for start in stream.windows.finish() {
            stream.score(&self.embedder, &self.head, start).await?;
        }
        Ok(stream.complete(self.controls.threshold))
    }
}

/// Confirms that a head was made for the backbone and for its windows.
fn check_fit(
    weights: &Weights,
    head: &TemporalPredictor,
    settings: &ViolenceSettings,
    embedder: &Embedder,
) -> Result<(), LensError> {
    let name = embedder.name();
    expect_embedding(Role::ViolenceHead, &weights.metadata, name)?;
    let misfit = |what, expected, got| {
        Err(LensError::ViolenceHead {
            what,
            expected,
            got,
        })
    };
    let (width, features) = (embedder.width(), head.features());
    if width != features {
        let expected = format!("{width}, as `{name}` has");
        return misfit("length of the embeddings", expected, features);
    }
    match embedder.length() {
        Some(length) if length != settings.length => {
            let expected = format!("{length}, as `{name}` looks at");
            return misfit("number of frames in a window", expected, settings.length);
        }
        Some(_) if settings.step > MOST_STEP => {
            let expected = format!("at most {MOST_STEP}, as `{name}` reads frames again");
            return misfit(
                "step between the frames of a window",
                expected,
                settings.step,
            );
        }
        _ => {}
    }
    match head.longest_window() {
        Some(longest) if longest < settings.length => {
            let expected = format!("at most {longest}");
            misfit("number of frames in a window", expected, settings.length)
        }
        _ => Ok(()),
    }
}
