//! Whether somebody speaks at the time of a frame, from the sound of its video.

use std::path::Path;

use affectlens::{
    report::AudioReport,
    voice::{VOICE_CHUNK, VOICE_RATE, VoiceActivity},
};
use affectlens_data::{Sound, SoundError};

/// Listens to the sound of a video, beside its frames.
pub(super) struct Speech {
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
    pub(super) fn open(path: &Path, voice: &VoiceActivity) -> Result<Self, SoundError> {
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
    pub(super) fn at(&mut self, time_ms: f64) -> Option<AudioReport> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of chunks; beyond all of them the sound is over"
        )]
        let chunk = (time_ms / 1000.0 * f64::from(VOICE_RATE) / VOICE_CHUNK as f64) as u64;
        while self.chunks <= chunk && !self.is_over {
            self.listen();
        }
        let speech = self.probability;
        (chunk < self.chunks).then_some(AudioReport { speech })
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
    pub(super) fn close(self) -> Option<String> {
        self.sound.close()
    }
}
