//! What is heard live.

use std::collections::VecDeque;

use super::{
    SoundWeights,
    expression::{LiveExpressions, WINDOW},
};
use crate::{
    device::OpenedDevice,
    error::LensError,
    report::AudioReport,
    role::Role,
    voice::{VOICE_CHUNK, VOICE_RATE, VoiceActivity},
};

/// How long what was heard is remembered, milliseconds; frames are looked at within that time.
const REMEMBERED_MS: f64 = 10_000.0;
/// Pieces whose times differ by less follow each other: clocks of cameras and microphones are not the same.
const TOLERANCE_MS: f64 = 250.0;

/// What a microphone hears beside the frames of a camera: whether somebody speaks, and expressions where there is a network
/// for them.
///
/// Sound comes in pieces, with the time of each on the clock of the frames. Where a piece does not follow the one before,
/// listening begins anew.
#[derive(Debug)]
pub struct LiveSound {
    voice: VoiceActivity,
    /// Samples that wait until they fill a chunk.
    rest: Vec<f32>,
    /// Time at which the next piece should begin; `None` before the first one.
    next_ms: Option<f64>,
    /// End of each chunk, and how likely somebody speaks in it.
    heard: VecDeque<(f64, f32)>,
    expressions: Option<LiveExpressions>,
}

impl LiveSound {
    /// Most samples of a piece: ten seconds.
    pub const MOST_SAMPLES: usize = 10 * VOICE_RATE as usize;
    /// Length of a chunk, milliseconds.
    const CHUNK_MS: f64 = VOICE_CHUNK as f64 * Self::SAMPLE_MS;
    const SAMPLE_MS: f64 = 1000.0 / VOICE_RATE as f64;

    /// Puts the network that listens for voices on the CPU, and the one for expressions on the device.
    ///
    /// # Errors
    ///
    /// [`LensError`] if weights do not fit.
    pub fn load(weights: SoundWeights, device: &OpenedDevice) -> Result<Self, LensError> {
        let SoundWeights { voice, expression } = weights;
        let voice = VoiceActivity::load(&voice).map_err(LensError::weights(Role::Voice))?;
        let expressions = expression.map(|weights| LiveExpressions::load(weights, device));
        Ok(Self {
            expressions: expressions.transpose()?,
            voice,
            rest: Vec::with_capacity(VOICE_CHUNK),
            next_ms: None,
            heard: VecDeque::new(),
        })
    }

    /// Hears the next samples, mono, 16 kHz, -1 to 1, of which the first is of the time `time_ms`. What is not finite
    /// counts as silence.
    ///
    /// # Errors
    ///
    /// [`LensError::Sound`] for more than [`Self::MOST_SAMPLES`], [`LensError::Time`] for a time that is not finite, others
    /// if the device fails; what was heard before stays.
    pub async fn hear(&mut self, samples: &[f32], time_ms: f64) -> Result<(), LensError> {
        if !time_ms.is_finite() {
            return Err(LensError::Time { got: time_ms });
        }
        if samples.len() > Self::MOST_SAMPLES {
            return Err(LensError::Sound {
                got: samples.len(),
                most: Self::MOST_SAMPLES,
            });
        }
        let follows = |next: f64| (time_ms - next).abs() <= TOLERANCE_MS;
        // What follows keeps its own pace: clocks drift, and a chunk must not end before it began.
        let mut next = match self.next_ms {
            Some(next) if follows(next) => next,
            _ => {
                self.reset();
                time_ms
            }
        };
        let drift = time_ms - next;
        let all = samples;
        let mut samples = samples;
        while self.rest.len() + samples.len() >= VOICE_CHUNK {
            let (first, others) = samples.split_at(VOICE_CHUNK - self.rest.len());
            self.rest.extend(first);
            samples = others;
            next += first.len() as f64 * Self::SAMPLE_MS;
            let chunk: &[f32; VOICE_CHUNK] = self.rest.as_slice().try_into().expect("filled");
            let probability = self.voice.hear(chunk);
            self.heard.push_back((next, probability));
            self.rest.clear();
        }
        self.rest.extend(samples);
        next += samples.len() as f64 * Self::SAMPLE_MS;
        // A part of what the clocks are apart is made up for with each piece.
        self.next_ms = Some(next + drift / 8.0);
        let oldest = next - REMEMBERED_MS;
        while self.heard.front().is_some_and(|(end, _)| *end < oldest) {
            self.heard.pop_front();
        }
        match &mut self.expressions {
            Some(expressions) => expressions.hear(all, next).await,
            None => Ok(()),
        }
    }

    /// Length of the sound that expressions are heard in, milliseconds; `None` where they are not.
    pub fn window_ms(&self) -> Option<f64> {
        self.expressions
            .as_ref()
            .map(|_| WINDOW as f64 * Self::SAMPLE_MS)
    }

    /// What is heard at a time; `None` where nothing was heard then, or it is forgotten. The newest chunk, which is not over
    /// when its frame is taken, stands for the time since. With `gla` the class biases of the head count.
    pub fn at(&self, time_ms: f64, gla: bool) -> Option<AudioReport> {
        let speech = self.speech(time_ms)?;
        let expressions = self.expressions.as_ref();
        let (probabilities, live) = expressions
            .and_then(|expressions| expressions.at(time_ms, gla))
            .unzip();
        Some(AudioReport {
            probabilities,
            speech: Some(speech),
            live,
        })
    }

    /// Whether somebody speaks at a time.
    fn speech(&self, time_ms: f64) -> Option<f32> {
        let newest = self.heard.back()?;
        let within = self.heard.iter().find(|(end, _)| *end > time_ms);
        let (end, speech) = within.unwrap_or(newest);
        let apart = match within {
            Some(_) => end - Self::CHUNK_MS - time_ms,
            None => time_ms - end - Self::CHUNK_MS,
        };
        (apart <= TOLERANCE_MS).then_some(*speech)
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.voice.reset();
        self.rest.clear();
        self.next_ms = None;
        self.heard.clear();
        if let Some(expressions) = &mut self.expressions {
            expressions.reset();
        }
    }
}
