//! WAV files of speech, as networks for sound take them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec};
use thiserror::Error;

/// Samples in a second.
const SAMPLE_RATE: u32 = 16_000;
/// Most samples that are read: four hours.
const MOST_SAMPLES: u32 = 4 * 3600 * SAMPLE_RATE;

/// Why a WAV file is not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file cannot be opened, or is no whole WAV file.
    #[error("`{path}`: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the reader said.
        error: hound::Error,
    },
    /// Sound of another rate, of several channels, or too much of it.
    #[error(
        "`{path}` has {channels} channels of {samples} samples at {rate} Hz, expected one at 16000 Hz, at most 4 hours"
    )]
    Form {
        /// The file.
        path: String,
        /// Channels that it has.
        channels: u16,
        /// Samples a channel.
        samples: u32,
        /// Samples in a second.
        rate: u32,
    },
}

/// The samples of a mono WAV file at 16 kHz, full scale at one.
///
/// # Errors
///
/// [`WavError`] for another file.
pub fn read_wav(path: &Path) -> Result<Vec<f32>, WavError> {
    let name = || path.display().to_string();
    let refuse = |error| WavError::Read {
        path: name(),
        error,
    };
    let mut reader = WavReader::open(path).map_err(refuse)?;
    let WavSpec {
        channels,
        sample_rate,
        bits_per_sample,
        sample_format,
    } = reader.spec();
    let samples = reader.duration();
    if channels != 1 || sample_rate != SAMPLE_RATE || samples > MOST_SAMPLES {
        return Err(WavError::Form {
            path: name(),
            channels,
            samples,
            rate: sample_rate,
        });
    }
    let samples = match sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect(),
        SampleFormat::Int => read_integers(&mut reader, bits_per_sample),
    };
    samples.map_err(refuse)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "samples have 24 bits of meaning at most"
)]
fn read_integers(
    reader: &mut WavReader<BufReader<File>>,
    bits: u16,
) -> Result<Vec<f32>, hound::Error> {
    let scale = 0.5_f32.powi(i32::from(bits) - 1);
    let samples = reader.samples::<i32>();
    samples.map(|sample| Ok(sample? as f32 * scale)).collect()
}

/// Brings a block of sound to a mean of zero and a variance of one, as wav2vec 2.0's publisher does.
#[expect(clippy::cast_possible_truncation, reason = "networks compute in f32")]
pub fn normalise_block(samples: &mut [f32]) {
    /// Number that is added to the variance.
    const EPSILON: f64 = 1e-7;
    let count = samples.len().max(1) as f64;
    let mean = samples.iter().map(|it| f64::from(*it)).sum::<f64>() / count;
    let squares = samples.iter().map(|it| (f64::from(*it) - mean).powi(2));
    let scale = 1.0 / (squares.sum::<f64>() / count + EPSILON).sqrt();
    for sample in samples {
        *sample = ((f64::from(*sample) - mean) * scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with so many channels at a rate; sixteen bits.
    fn file(channels: u16, rate: u32, samples: &[i16]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        let spec = WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(file.path(), spec).expect("temporary file");
        for sample in samples {
            writer.write_sample(*sample).expect("temporary file");
        }
        writer.finalize().expect("temporary file");
        file
    }

    #[test]
    fn full_scale_is_one() {
        let read = read_wav(file(1, 16_000, &[0, 16_384, i16::MIN]).path());
        assert_eq!(read.expect("mono"), [0.0, 0.5, -1.0]);
    }

    #[test]
    fn other_sound_is_refused_by_what_it_is() {
        let stereo = file(2, 44_100, &[1, 2, 3, 4]);
        let error = read_wav(stereo.path()).expect_err("two channels");
        let expected =
            "has 2 channels of 2 samples at 44100 Hz, expected one at 16000 Hz, at most 4 hours";
        assert!(error.to_string().ends_with(expected), "{error}");
        let text = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(text.path(), "not a sound").expect("temporary file");
        assert!(matches!(read_wav(text.path()), Err(WavError::Read { .. })));
    }

    #[test]
    fn blocks_have_a_mean_of_zero_and_a_variance_of_one() {
        let mut block: Vec<f32> = (0..1000).map(|it| (it as f32).sin() + 3.0).collect();
        normalise_block(&mut block);
        let mean = block.iter().sum::<f32>() / 1000.0;
        let variance = block.iter().map(|it| it * it).sum::<f32>() / 1000.0;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-5);
        let mut silence = [0.25; 40];
        normalise_block(&mut silence);
        assert_eq!(silence, [0.0; 40]);
    }
}
