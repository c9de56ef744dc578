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
use affectlens_data::{EmbedSoundError, HeardExpressions, Sound, SoundError};
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

    /// Opens the sound of a video, and listens to all of it for expressions.
    pub(super) fn listen(&mut self, path: &Path) -> Result<Listening, EmbedSoundError> {
        let speech = self.voice.as_ref().map(|voice| Speech::open(path, voice));
        let speech = speech.transpose()?;
        let expressions = self.expressions.as_mut().map(|ears| {
            let bar = ProgressBar::new_spinner().with_message("listening to the sound");
            bar.enable_steady_tick(Duration::from_millis(200));
            let network = &mut ears.network;
            let heard = HeardExpressions::hear(path, network, &ears.head, ears.has_gla);
            bar.finish_and_clear();
            heard
        });
        Ok(Listening {
            speech,
            expressions: expressions.transpose()?,
        })
    }
}

impl Listening {
    /// What is heard at a frame, which is counted from 0; none where the sound is over. Frames are asked for in ascending
    /// order.
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
    sound: Sound,
    voice: VoiceActivity,
    /// Chunks that were listened to.
    chunks: u64,
    is_over: bool,
    /// Of the last chunk.
    probability: f32,
}

impl Speech {
    /// Opens the sound of a video.
    fn open(path: &Path, voice: &VoiceActivity) -> Result<Self, SoundError> {
        Ok(Self {
            sound: Sound::open(path)?,
            voice: voice.clone(),
            chunks: 0,
            is_over: false,
            probability: 0.0,
        })
    }

    /// What is heard at a time, in milliseconds from the start; none where the sound is over. Times are asked for in
    /// ascending order: what was heard before is gone.
    fn at(&mut self, time_ms: f64) -> Option<f32> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of chunks; beyond all of them the sound is over"
        )]
        let chunk = (time_ms / 1000.0 * f64::from(VOICE_RATE) / VOICE_CHUNK as f64) as u64;
        while self.chunks <= chunk && !self.is_over {
            self.listen();
        }
        (chunk < self.chunks).then_some(self.probability)
    }

    /// Listens to one chunk more; what is missing of the last one is silence.
    fn listen(&mut self) {
        let read = self.sound.read(VOICE_CHUNK);
        self.is_over = read.len() < VOICE_CHUNK;
        if read.is_empty() {
            return;
        }
        let mut samples = [0.0; VOICE_CHUNK];
        samples[..read.len()].copy_from_slice(&read);
        self.probability = self.voice.hear(&samples);
        self.chunks += 1;
    }

    /// Ends the reading; gives what was wrong with the sound.
    fn close(self) -> Option<String> {
        self.sound.close()
    }
}
