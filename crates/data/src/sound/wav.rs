//! WAV files of one or two channels, read without ffmpeg.

use std::{
    fs::File,
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use hound::{SampleFormat, WavReader, WavSpec};
use resampler::{Attenuation, Latency, ResamplerFir};

use super::{SAMPLE_RATE, SoundError};

/// Rates that are brought to 16 kHz here; a filter for others would be too short or too long.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Samples of the file that are read together.
const PIECE: usize = 4_096;
/// Larger sizes stand in headers of files that were written to a pipe, whose length nobody knew.
const LARGEST: u64 = (1 << 32) - (1 << 16);

/// An open WAV file.
pub(super) struct WavSound {
    reader: WavReader<BufReader<File>>,
    spec: WavSpec,
    /// Where the file has another rate.
    filter: Option<Filter>,
    /// What was read from the file and is not read from here yet.
    ready: Vec<f32>,
    /// Samples of the file that were read, of all channels.
    taken: u32,
    is_over: bool,
    /// Why the file ended early.
    fault: Option<String>,
}

impl std::fmt::Debug for WavSound {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("WavSound")
            .field("spec", &self.spec)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl WavSound {
    /// Opens a file; `None` if it is no WAV file, or one that ffmpeg has to read: compressed, of more than two channels, or
    /// of an unknown length.
    ///
    /// # Errors
    ///
    /// [`SoundError::Io`] if the file cannot be read.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, SoundError> {
        let at = |error| SoundError::Io {
            path: path.to_owned(),
            error,
        };
        if std::fs::metadata(path).map_err(at)?.is_dir() {
            return Err(at(io::ErrorKind::IsADirectory.into()));
        }
        let mut file = BufReader::new(File::open(path).map_err(at)?);
        let mut head = Vec::new();
        (&mut file).take(12).read_to_end(&mut head).map_err(at)?;
        if head.len() < 12 || &head[..4] != b"RIFF" || &head[8..] != b"WAVE" {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(0)).map_err(at)?;
        // What this reader does not know ffmpeg may.
        let Ok(reader) = WavReader::new(file) else {
            return Ok(None);
        };
        let spec = reader.spec();
        let bytes = u64::from(reader.len()) * u64::from(spec.bits_per_sample.div_ceil(8));
        let is_known = matches!(spec.channels, 1 | 2)
            && RATES.contains(&spec.sample_rate)
            && (1..LARGEST).contains(&bytes);
        Ok(is_known.then(|| Self {
            filter: (spec.sample_rate != SAMPLE_RATE).then(|| Filter::new(spec.sample_rate)),
            reader,
            spec,
            ready: Vec::new(),
            taken: 0,
            is_over: false,
            fault: None,
        }))
    }

    /// Some of the next samples, `most` of them at most; none at the end.
    ///
    /// # Errors
    ///
    /// Why there are no more.
    pub(super) fn read(&mut self, most: usize) -> Result<Vec<f32>, String> {
        while self.ready.is_empty() && !self.is_over {
            let mixed = self.read_mixed();
            match &mut self.filter {
                None => self.ready = mixed,
                Some(filter) => {
                    filter.add(&mixed, &mut self.ready);
                    if self.is_over {
                        filter.finish(&mut self.ready);
                    }
                }
            }
        }
        if self.ready.is_empty() {
            return self.fault.take().map_or_else(|| Ok(Vec::new()), Err);
        }
        let after = self.ready.split_off(most.min(self.ready.len()));
        Ok(std::mem::replace(&mut self.ready, after))
    }

    /// The mean of the channels of the next samples.
    fn read_mixed(&mut self) -> Vec<f32> {
        let WavSpec {
            channels,
            bits_per_sample,
            sample_format,
            ..
        } = self.spec;
        let wanted = PIECE * usize::from(channels);
        let mut samples: Vec<f32> = Vec::with_capacity(wanted);
        let read = match sample_format {
            SampleFormat::Float => {
                let read = self.reader.samples::<f32>().take(wanted);
                collect(read, 1.0, &mut samples)
            }
            SampleFormat::Int => {
                let largest = (1_u64 << (bits_per_sample.clamp(1, 32) - 1)) as f32;
                let read = self.reader.samples::<i32>().take(wanted);
                let read = read.map(|sample| Ok(sample? as f32));
                collect(read, 1.0 / largest, &mut samples)
            }
        };
        self.taken += u32::try_from(samples.len()).unwrap_or(u32::MAX);
        self.is_over = read.is_err() || samples.len() < wanted;
        if let Err(error) = read {
            let all = self.reader.len();
            let at = format!("after {} of {all} samples", self.taken);
            self.fault = Some(match error {
                hound::Error::IoError(_) => format!("the file is cut off {at}"),
                error => format!("{error} {at}"),
            });
        }
        let channels = usize::from(channels);
        let mixed = samples
            .chunks_exact(channels)
            .map(|sample| sample.iter().sum::<f32>() / channels as f32);
        mixed.collect()
    }
}

/// Scaled samples up to the first that cannot be read.
fn collect(
    read: impl Iterator<Item = hound::Result<f32>>,
    scale: f32,
    samples: &mut Vec<f32>,
) -> hound::Result<()> {
    for sample in read {
        samples.push(sample? * scale);
    }
    Ok(())
}

/// A low-pass filter that brings sound to 16 kHz, without the delay that it has.
struct Filter {
    filter: ResamplerFir,
    rate: u32,
    output: Vec<f32>,
    /// Samples of the file, and those of 16 kHz that were made of them.
    taken: u64,
    given: u64,
}

impl Filter {
    fn new(rate: u32) -> Self {
        // Its filter spans 128 samples of the lower rate.
        let latency = Latency::Sample64;
        let filter = ResamplerFir::new_from_hz(1, rate, SAMPLE_RATE, latency, Attenuation::Db90);
        let mut filter = Self {
            output: vec![0.0; filter.buffer_size_output()],
            filter,
            rate,
            taken: 0,
            given: 0,
        };
        // The first sample is to lie in the middle of the filter, which is the last tap of its first half.
        let before = vec![0.0; filter.filter.delay().saturating_sub(1)];
        filter.push(&before, &mut Vec::new());
        filter
    }

    fn add(&mut self, samples: &[f32], ready: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        self.push(samples, ready);
    }

    /// Adds what the filter still holds, so that the sound is as long as it was.
    fn finish(&mut self, ready: &mut Vec<f32>) {
        let before = ready.len();
        let missing = (self.taken * u64::from(SAMPLE_RATE)).div_ceil(u64::from(self.rate));
        let missing = missing.saturating_sub(self.given);
        // Twice the delay is enough, and one sample more for what is cut of fractions.
        let after = vec![0.0; 2 * self.filter.delay() + 1];
        self.push(&after, ready);
        let missing = usize::try_from(missing).unwrap_or(usize::MAX);
        ready.truncate(before.saturating_add(missing));
    }

    fn push(&mut self, mut samples: &[f32], ready: &mut Vec<f32>) {
        while !samples.is_empty() {
            let (consumed, produced) = self
                .filter
                .resample(samples, &mut self.output)
                .expect("one channel fits buffers of any length");
            ready.extend(&self.output[..produced]);
            self.given += produced as u64;
            samples = &samples[consumed..];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{f32::consts::TAU, path::PathBuf};

    use super::*;
    use crate::Sound;

    fn write(folder: &tempfile::TempDir, spec: WavSpec, samples: &[f32]) -> PathBuf {
        let path = folder.path().join("a.wav");
        let mut writer = hound::WavWriter::create(&path, spec).expect("temporary file");
        let largest = (1_u64 << (spec.bits_per_sample - 1)) as f32 - 1.0;
        for sample in samples {
            let written = match spec.sample_format {
                SampleFormat::Float => writer.write_sample(*sample),
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "in the range of the format"
                )]
                SampleFormat::Int => writer.write_sample((sample * largest).round() as i32),
            };
            written.expect("fits");
        }
        writer.finalize().expect("writable");
        path
    }

    fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16) -> WavSpec {
        WavSpec {
            channels,
            sample_rate,
            bits_per_sample,
            sample_format: match bits_per_sample {
                32 => SampleFormat::Float,
                _ => SampleFormat::Int,
            },
        }
    }

    /// All samples, read in pieces that fit nothing, and the complaint.
    fn read(path: &Path) -> (Vec<f32>, Option<String>) {
        let mut sound = Sound::open(path).expect("a WAV file");
        let mut samples = Vec::new();
        loop {
            let piece = sound.read(1_234);
            if piece.is_empty() {
                assert_eq!(sound.given(), samples.len() as u64);
                return (samples, sound.close());
            }
            samples.extend(piece);
        }
    }

    /// A tone of 440 Hz.
    fn tone(rate: u32, seconds: f32) -> Vec<f32> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of samples"
        )]
        let count = (rate as f32 * seconds) as u32;
        let sample = |place: u32| 0.5 * (TAU * 440.0 * place as f32 / rate as f32).sin();
        (0..count).map(sample).collect()
    }

    #[test]
    fn every_depth_is_read_and_channels_are_averaged() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let expected = [0.5, -0.25, 0.75, 0.0];
        for bits in [8, 16, 24, 32] {
            let tolerance = 2.0_f32.powi(2 - i32::from(bits.min(24)));
            let stereo = expected.map(|it| [it + 0.125, it - 0.125]).concat();
            for (channels, samples) in [(1, &expected[..]), (2, &stereo)] {
                let path = write(&folder, spec(channels, SAMPLE_RATE, bits), samples);
                let (got, complaint) = read(&path);
                assert_eq!(complaint, None);
                assert_eq!(got.len(), 4);
                for (got, expected) in got.iter().zip(expected) {
                    assert!((got - expected).abs() < tolerance, "{bits}: {got}");
                }
            }
        }
    }

    #[test]
    fn other_rates_keep_length_place_and_height_of_a_tone() {
        /// Away from the ends, where the filter reaches over them.
        const TOLERANCE: f32 = 2e-3;
        let folder = tempfile::tempdir().expect("temporary folder");
        let expected = tone(SAMPLE_RATE, 0.5);
        for rate in [8_000, 11_025, 22_050, 44_100, 48_000, 192_000] {
            let path = write(&folder, spec(1, rate, 32), &tone(rate, 0.5));
            let (got, complaint) = read(&path);
            assert_eq!(complaint, None);
            assert!(
                got.len().abs_diff(expected.len()) <= 1,
                "{rate}: {}",
                got.len()
            );
            let inner = 200..expected.len() - 200;
            let apart = got[inner.clone()].iter().zip(&expected[inner]);
            let worst = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < TOLERANCE, "{rate}: {worst}");
        }
        // What 16 kHz cannot hold is not heard as something else.
        let high: Vec<f32> = (0..24_000_u32)
            .map(|place| (TAU * (place * 5 % 16) as f32 / 16.0).sin())
            .collect();
        let (got, _) = read(&write(&folder, spec(1, 48_000, 32), &high));
        assert!(got[200..7_800].iter().all(|it| it.abs() < 1e-3));
    }

    #[test]
    fn a_file_that_is_cut_off_gives_what_it_has_and_says_so() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for rate in [SAMPLE_RATE, 48_000] {
            let path = write(&folder, spec(1, rate, 16), &tone(rate, 1.0));
            let bytes = std::fs::read(&path).expect("was written");
            std::fs::write(&path, &bytes[..44 + rate as usize]).expect("temporary file");
            let (samples, complaint) = read(&path);
            assert_eq!(samples.len(), 8_000, "{rate}");
            let expected = format!("the file is cut off after {} of {rate} samples", rate / 2);
            assert_eq!(complaint, Some(expected));
        }
    }

    #[test]
    fn a_sample_that_is_not_a_number_ends_the_sound() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let samples = [0.1, 0.2, f32::NAN, 0.3];
        let path = write(&folder, spec(1, SAMPLE_RATE, 32), &samples);
        let (samples, complaint) = read(&path);
        assert_eq!(samples, [0.1, 0.2]);
        assert_eq!(complaint.as_deref(), Some("sample 2 is not a number"));
    }

    #[test]
    fn other_files_are_left_to_ffmpeg_and_missing_ones_are_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = write(&folder, spec(6, SAMPLE_RATE, 16), &[0.0; 6]);
        assert!(WavSound::open(&path).expect("is there").is_none());
        for bytes in [
            &b""[..],
            b"RIFF",
            b"RIFF\0\0\0\0WAVE",
            b"ID3 and so on, an MP3",
        ] {
            std::fs::write(&path, bytes).expect("temporary file");
            assert!(WavSound::open(&path).expect("is there").is_none());
        }
        let missing = folder.path().join("none.wav");
        let error = Sound::open(&missing).expect_err("is not there").to_string();
        assert!(error.contains("none.wav`: "), "{error}");
        let error = Sound::open(folder.path())
            .expect_err("a folder")
            .to_string();
        assert!(error.contains("is a directory"), "{error}");
    }
}
