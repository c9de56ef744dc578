//! The sound of videos and sound files, as networks for speech take it: one channel, 16 kHz.
//!
//! A WAV file of one or two channels is read as it is; everything else is decoded by `ffmpeg` in a process of its own.
//! Sound streams through a pipe: nothing is written to a file, and no more of it is in memory than was asked for.

#[cfg(test)]
mod damaged;
mod decoded;
mod pairing;
mod probe;
mod wav;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{Decoder, Ending, VideoError};
use decoded::DecodedSound;
use wav::WavSound;

pub(crate) use pairing::{FrameVectors, lengths_apart};
pub(crate) use probe::Description;
pub use probe::Pictures;

pub use affectlens::audio::{SAMPLE_RATE, normalise};

/// The sound of a file from its start on.
#[derive(Debug)]
pub struct Sound {
    source: Source,
    /// Samples that were given.
    given: u64,
    /// Why the sound ended before its end.
    complaint: Option<String>,
}

#[derive(Debug)]
enum Source {
    Wav(Box<WavSound>),
    Decoded(DecodedSound),
}

/// Why a file gives no sound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SoundError {
    /// A file cannot be read.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The decoder is not there, too old, or does not answer.
    #[error(transparent)]
    Decoder(#[from] VideoError),
    /// A file has neither sound nor pictures.
    #[error("`{}` is neither a sound file nor a video: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A video is silent in that it has no sound at all.
    #[error("`{}` has no sound track", path.display())]
    NoTrack {
        /// The file.
        path: PathBuf,
    },
    /// There is a sound track, but not one sample of it can be read.
    #[error("`{}` has a sound track, but no sound can be read: {reason}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What the decoder complained about.
        reason: String,
    },
}

impl Sound {
    /// Starts to read a sound file, or the sound track of a video: the one that the file marks as its default, among equals
    /// that with the most channels.
    ///
    /// Channels are mixed to one as ffmpeg does it. Where a file does not say where its loudspeakers stand, they all count
    /// the same.
    ///
    /// # Errors
    ///
    /// [`SoundError`] if the file has no sound, or ffmpeg is needed and not installed.
    pub fn open(path: &Path) -> Result<Self, SoundError> {
        match WavSound::open(path)? {
            Some(wav) => Ok(Self::new(Source::Wav(Box::new(wav)))),
            None => Self::decode(path, &Description::read(path)?),
        }
    }

    /// Starts to decode a file that was described before.
    pub(crate) fn decode(path: &Path, described: &Description) -> Result<Self, SoundError> {
        let Some(track) = &described.track else {
            return Err(SoundError::NoTrack {
                path: path.to_owned(),
            });
        };
        let decoder = Decoder::installed()?;
        let decoded = DecodedSound::start(decoder, path, track)?;
        Ok(Self::new(Source::Decoded(decoded)))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            given: 0,
            complaint: None,
        }
    }

    /// The next `most` samples, around -1 to 1; fewer where the sound ends or cannot be read any further, which
    /// [`Self::close`] tells apart.
    pub fn read(&mut self, most: usize) -> Vec<f32> {
        let mut samples = Vec::new();
        while samples.len() < most && self.complaint.is_none() {
            let wanted = most - samples.len();
            let read = match &mut self.source {
                Source::Wav(wav) => wav.read(wanted),
                Source::Decoded(decoded) => decoded.read(wanted),
            };
            match read {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => samples.extend(piece),
                Err(complaint) => self.complaint = Some(complaint),
            }
        }
        // One of them would make a whole block worthless.
        if let Some(place) = samples.iter().position(|sample| !sample.is_finite()) {
            samples.truncate(place);
            let number = self.given + place as u64;
            self.complaint = Some(format!("sample {number} is not a number"));
        }
        self.given += samples.len() as u64;
        samples
    }

    /// Samples that were read.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Ends the reading, and gives what was wrong: why it ended early, or what the decoder complained about. What was read
    /// is whole.
    pub fn close(self) -> Option<String> {
        self.finish().complaint
    }

    /// Ends the reading, and gives how it ended, too.
    pub fn finish(self) -> Ending {
        let of_source = match self.source {
            Source::Wav(_) => Ending {
                complaint: None,
                is_whole: true,
            },
            Source::Decoded(decoded) => decoded.finish(),
        };
        Ending {
            is_whole: of_source.is_whole && self.complaint.is_none(),
            complaint: self.complaint.or(of_source.complaint),
        }
    }
}
