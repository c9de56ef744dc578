//! What is heard beside the frames of a video: whether somebody speaks, and expressions.

use std::{path::Path, time::Duration};

use affectlens::{
    audio::Wav2Vec2,
    device::OpenedDevice,
    report::AudioReport,
    sound::SoundHead,
    task::Task,
    voice::{VOICE_ARCHITECTURE, VOICE_CHUNK, VOICE_RATE, VoiceActivity},
};
use affectlens_data::{EmbedSoundError, HeardExpressions, Sound};
use anyhow::Result;
use indicatif::ProgressBar;

use crate::installed::{InstalledWeights, SOUND_BACKBONE};

/// The networks that listen.
pub(super) struct Ears {
    voice: Option<VoiceActivity>,
    expressions: Option<ExpressionEars>,
}

struct ExpressionEars {
    network: Wav2Vec2,
    head: SoundHead,
    /// Whether the class biases of the head count.
    has_gla: bool,
}

/// What is to be heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Expressions, and whether somebody speaks if the network for that is installed.
    pub(super) expressions: bool,
    /// Whether somebody speaks.
    pub(super) speech: bool,
    /// Whether the class biases of the head count.
    pub(super) has_gla: bool,
}

/// The sound of the video that is being analysed.
pub(super) struct Listening {
    speech: Option<Speech>,
    expressions: Option<HeardExpressions>,
}

impl Ears {
    /// Reads the networks for what is wanted; `None` if that is nothing.
    pub(super) fn open(
        wanted: Wanted,
        installed: &InstalledWeights,
        device: &OpenedDevice,
    ) -> Result<Option<Self>> {
        let has_voice = installed.path(VOICE_ARCHITECTURE).exists();
        let listens_for_speech = wanted.speech || wanted.expressions && has_voice;
        let voice = listens_for_speech.then(|| -> Result<_> {
            Ok(VoiceActivity::load(&installed.read(VOICE_ARCHITECTURE)?)?)
        });
        let expressions = wanted.expressions.then(|| -> Result<_> {
            // Small, and what most users lack: asked for first.
            let head = installed.sound_head(Task::Expression)?;
            let network = installed.read(SOUND_BACKBONE)?;
            Ok(ExpressionEars {
                head: SoundHead::load(&head, SOUND_BACKBONE)?,
                network: Wav2Vec2::load(network, device)?,
                has_gla: wanted.has_gla,
            })
        });
        let ears = Self {
            voice: voice.transpose()?,
            expressions: expressions.transpose()?,
        };
        Ok((ears.voice.is_some() || ears.expressions.is_some()).then_some(ears))
    }

    /// Classes of the expressions that are heard; none without them.
    pub(super) fn classes(&self) -> &[affectlens::label::Expression] {
        let head = self.expressions.as_ref().map(|ears| &ears.head);
        head.map_or(&[], SoundHead::classes)
    }

    /// Whether they tell whether somebody speaks.
    pub(super) fn hear_speech(&self) -> bool {
        self.voice.is_some()
    }

    /// Opens the sound of a video; for expressions it is listened to at once, all of it.
    pub(super) fn listen(&mut self, path: &Path) -> Result<Listening, EmbedSoundError> {
        let mut speech = self.voice.clone().map(Speech::new);
        let Some(ears) = &mut self.expressions else {
            if let Some(speech) = &mut speech {
                speech.sound = Some(Sound::open(path)?);
            }
            let expressions = None;
            return Ok(Listening {
                speech,
                expressions,
            });
        };
        let bar = ProgressBar::new_spinner().with_message("listening to the sound");
        bar.enable_steady_tick(Duration::from_millis(200));
        let listen = |samples: &[f32]| {
            if let Some(speech) = &mut speech {
                speech.hear(samples);
            }
        };
        let network = &mut ears.network;
        let heard = HeardExpressions::hear(path, network, &ears.head, ears.has_gla, listen);
        bar.finish_and_clear();
        if let Some(speech) = &mut speech {
            speech.end();
        }
        Ok(Listening {
            speech,
            expressions: Some(heard?),
        })
    }
}

impl Listening {
    /// What is heard at a frame, which is counted from 0; none where the sound is over.
    pub(super) fn at(&mut self, frame: u64, time_ms: f64) -> Option<AudioReport> {
        let expressions = self.expressions.as_ref();
        let probabilities = expressions.and_then(|heard| heard.at(frame, time_ms));
        let speech = self.speech.as_mut().and_then(|speech| speech.at(time_ms));
        (probabilities.is_some() || speech.is_some()).then_some(AudioReport {
            probabilities,
            speech,
            live: None,
        })
    }

    /// Ends the reading; gives what was wrong with the sound.
    pub(super) fn close(self) -> Vec<String> {
        match self.expressions {
            Some(heard) => heard.complaints,
            None => self.speech.and_then(Speech::close).into_iter().collect(),
        }
    }
}

/// Whether somebody speaks at the time of a frame.
struct Speech {
    voice: VoiceActivity,
    /// Of each chunk that was listened to.
    probabilities: Vec<f32>,
    /// Samples of a chunk that is not full.
    rest: Vec<f32>,
    /// What is read as far as it is asked for; none if the samples come from elsewhere.
    sound: Option<Sound>,
    is_over: bool,
}

impl Speech {
    fn new(voice: VoiceActivity) -> Self {
        Self {
            voice,
            probabilities: Vec::new(),
            rest: Vec::new(),
            sound: None,
            is_over: false,
        }
    }

    /// What is heard at a time, in milliseconds from the start; none where the sound is over.
    fn at(&mut self, time_ms: f64) -> Option<f32> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of chunks; beyond all of them the sound is over"
        )]
        let chunk = (time_ms / 1000.0 * f64::from(VOICE_RATE) / VOICE_CHUNK as f64) as usize;
        while self.probabilities.len() <= chunk && !self.is_over {
            self.read();
        }
        self.probabilities.get(chunk).copied()
    }

    /// Reads one chunk more.
    fn read(&mut self) {
        let Some(sound) = &mut self.sound else {
            self.is_over = true;
            return;
        };
        let samples = sound.read(VOICE_CHUNK);
        self.hear(&samples);
        if samples.len() < VOICE_CHUNK {
            self.end();
        }
    }

    /// Listens to the samples that come next.
    fn hear(&mut self, samples: &[f32]) {
        self.rest.extend_from_slice(samples);
        let (chunks, rest) = self.rest.as_chunks();
        self.probabilities
            .extend(chunks.iter().map(|chunk| self.voice.hear(chunk)));
        self.rest = rest.to_vec();
    }

    /// The sound is over; what is missing of the last chunk is silence.
    fn end(&mut self) {
        if !self.rest.is_empty() {
            self.rest.resize(VOICE_CHUNK, 0.0);
            self.hear(&[]);
        }
        self.is_over = true;
    }

    /// Ends the reading; gives what was wrong with the sound.
    fn close(self) -> Option<String> {
        self.sound?.close()
    }
}
