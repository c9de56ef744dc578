//! Networks that embed sound.
//!
//! wav2vec 2.0 in folded form. Its group norm over time is folded into the convolution before it, anew for each block of
//! sound: the means and variances of that convolution's outputs follow from the sums of products of neighbouring samples,
//! so nothing has to be computed twice or kept. The convolutions then run over some seconds at a time, and the transformer
//! over all vectors of the block, with attention that never holds its scores whole.

mod encoder;
mod extractor;
mod statistics;
mod tensors;

use burn::tensor::ExecutionError;
use thiserror::Error;

pub use affectlens_formats::architecture::{SAMPLE_RATE, SPEECH_NAMES, Wav2Vec2Config, vectors_of};

use crate::device::{DeviceError, OpenedDevice};
use crate::weights::{Weights, WeightsError};
use encoder::Encoder;
use extractor::Extractor;
use tensors::Tensors;

/// Most samples of a block: ten minutes.
pub const MOST_SAMPLES: usize = 600 * SAMPLE_RATE as usize;

/// Samples of one vector.
const LEAST_SAMPLES: usize = 400;

/// Why sound has no embedding.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The weights do not fit the network that they name.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Too little sound for one vector, or more than memory is meant for.
    #[error("sound has {got} samples, expected {least} to {most}")]
    Length {
        /// Samples that came.
        got: usize,
        /// Fewest samples of a block.
        least: usize,
        /// Most samples of a block.
        most: usize,
    },
    /// A sample that is no number.
    #[error("sound is not finite at sample {sample}")]
    NotFinite {
        /// Place of the first such sample, from zero.
        sample: usize,
    },
    /// The device is gone.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The vectors could not be read from the device.
    #[error("output of {name} cannot be read from the device: {reason}")]
    ReadBack {
        /// Architecture name.
        name: &'static str,
        /// What the device said.
        reason: String,
    },
}

/// wav2vec 2.0 with its weights, ready on a device.
#[derive(Debug)]
pub struct Wav2Vec2 {
    config: Wav2Vec2Config,
    extractor: Extractor,
    encoder: Encoder,
    /// Samples of every block, where all are of one length.
    samples: Option<usize>,
    device: OpenedDevice,
}

impl Wav2Vec2 {
    /// Puts the network that the metadata names on a device, for blocks of any length. The weights are taken apart on the
    /// way: they are not twice in memory.
    ///
    /// # Errors
    ///
    /// [`AudioError::Weights`] for another network, or a missing, misshapen or unexpected parameter.
    pub fn load(weights: Weights, device: &OpenedDevice) -> Result<Self, AudioError> {
        Self::build(weights, None, device)
    }

    /// The same for blocks of one length alone, which on a GPU and in a browser needs half the memory.
    ///
    /// # Errors
    ///
    /// [`AudioError::Length`] for a length that has no embedding, and as [`Self::load`].
    pub fn load_for(
        weights: Weights,
        samples: usize,
        device: &OpenedDevice,
    ) -> Result<Self, AudioError> {
        expect_length(samples, LEAST_SAMPLES, MOST_SAMPLES)?;
        Self::build(weights, Some(samples), device)
    }

    fn build(
        weights: Weights,
        samples: Option<usize>,
        device: &OpenedDevice,
    ) -> Result<Self, AudioError> {
        let name = weights.metadata.architecture.as_str();
        let config = Wav2Vec2Config::from_name(name).ok_or_else(|| WeightsError::Architecture {
            expected: SPEECH_NAMES.join("`, `"),
            got: name.to_owned(),
        })?;
        let mut tensors = Tensors::new(weights);
        let extractor = Extractor::new(config, &mut tensors)?;
        let plan = encoder::plan(config, &mut tensors)?;
        tensors.finish(config.name)?;
        Ok(Self {
            config,
            extractor,
            encoder: Encoder::new(plan, samples.map(vectors_of), device),
            samples,
            device: device.clone(),
        })
    }

    /// Which network it is, and its sizes.
    pub fn config(&self) -> &Wav2Vec2Config {
        &self.config
    }

    /// Threads of a run on the CPU; zero on a GPU.
    pub fn threads(&self) -> usize {
        self.encoder.threads()
    }

    /// Embeds a block of sound: its last hidden states. Samples are taken as they are; the publisher's checkpoints expect
    /// a mean of zero and a variance of one over the block.
    ///
    /// # Shapes
    ///
    /// - samples: mono, 16 kHz
    /// - output: `[vectors, width]`, [`vectors_of`] of them, row by row
    ///
    /// # Errors
    ///
    /// [`AudioError::Length`] and [`AudioError::NotFinite`] for sound that has no embedding, others if the device fails.
    pub async fn embed(&mut self, samples: &[f32]) -> Result<Vec<f32>, AudioError> {
        let [least, most] = self
            .samples
            .map_or([LEAST_SAMPLES, MOST_SAMPLES], |it| [it; 2]);
        expect_length(samples.len(), least, most)?;
        if let Some(sample) = samples.iter().position(|sample| !sample.is_finite()) {
            return Err(AudioError::NotFinite { sample });
        }
        let vectors = match self.extractor.extract(samples, &self.device).await {
            Ok(features) => self.encoder.encode(features, &self.device).await,
            Err(error) => Err(error),
        };
        // A lost device gives numbers too.
        self.device.check()?;
        vectors.map_err(|error: ExecutionError| AudioError::ReadBack {
            name: self.config.name,
            reason: error.to_string(),
        })
    }
}

fn expect_length(got: usize, least: usize, most: usize) -> Result<(), AudioError> {
    match (least..=most).contains(&got) {
        true => Ok(()),
        false => Err(AudioError::Length { got, least, most }),
    }
}

/// Brings a block of samples to a mean of 0 and a variance of 1, as the feature extractor of wav2vec 2.0 does (Hugging Face
/// transformers). Silence stays silent.
pub fn normalise(block: &mut [f32]) {
    let count = block.len().max(1) as f64;
    let sum = |term: &dyn Fn(f64) -> f64| -> f64 {
        block.iter().map(|sample| term(f64::from(*sample))).sum()
    };
    let mean = sum(&|sample| sample) / count;
    let variance = sum(&|sample| (sample - mean).powi(2)) / count;
    let scale = 1.0 / (variance + 1e-7).sqrt();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "computed in f64 and used in f32"
    )]
    for sample in block {
        *sample = ((f64::from(*sample) - mean) * scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_a_mean_of_0_and_a_variance_of_1_and_silence_stays_silent() {
        // numpy: x = [.1, -.2, .3, .6]; (x - x.mean()) / sqrt(x.var() + 1e-7)
        let mut block = [0.1, -0.2, 0.3, 0.6];
        normalise(&mut block);
        let expected = [-0.342_997_17, -1.371_987_9, 0.342_997_17, 1.371_987_9];
        for (got, expected) in block.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{block:?}");
        }
        let mut silence = [0.25; 4];
        normalise(&mut silence);
        assert_eq!(silence, [0.0; 4]);
        normalise(&mut []);
    }
}
