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
        /// Samples of one vector.
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
    device: OpenedDevice,
}

impl Wav2Vec2 {
    /// Puts the network that the metadata names on a device. The weights are taken apart on the way: they are not twice in
    /// memory.
    ///
    /// # Errors
    ///
    /// [`AudioError::Weights`] for another network, or a missing, misshapen or unexpected parameter.
    pub fn load(weights: Weights, device: &OpenedDevice) -> Result<Self, AudioError> {
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
            encoder: Encoder::new(plan, device),
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
    pub fn embed(&mut self, samples: &[f32]) -> Result<Vec<f32>, AudioError> {
        let least = affectlens_formats::architecture::samples_of(1);
        if samples.len() < least || samples.len() > MOST_SAMPLES {
            return Err(AudioError::Length {
                got: samples.len(),
                least,
                most: MOST_SAMPLES,
            });
        }
        if let Some(sample) = samples.iter().position(|sample| !sample.is_finite()) {
            return Err(AudioError::NotFinite { sample });
        }
        let vectors = self
            .extractor
            .extract(samples, &self.device)
            .and_then(|features| self.encoder.encode(features, &self.device));
        // A lost device gives numbers too.
        self.device.check()?;
        vectors.map_err(|error: ExecutionError| AudioError::ReadBack {
            name: self.config.name,
            reason: error.to_string(),
        })
    }
}
