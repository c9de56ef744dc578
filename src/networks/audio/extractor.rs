//! The convolutions along the samples: from 16,000 numbers a second to 50 vectors.

use affectlens_formats::architecture::{
    SPEECH_EPSILON, SPEECH_KERNELS, SPEECH_STRIDES, samples_of,
};
use burn::tensor::ExecutionError;

use super::statistics::WindowStatistics;
use super::tensors::Tensors;
use super::{Wav2Vec2Config, vectors_of};
use crate::device::OpenedDevice;
use crate::kernel::{Activation, Network, Plan, Weighted, on_device, read_back};
use crate::weights::WeightsError;

/// Most vectors that are computed at a time: two seconds. The largest maps then have 12 MB.
const CHUNK: usize = 96;
/// Samples that an output of the first convolution sees.
const FIRST: usize = SPEECH_KERNELS[0];

/// The convolutions with their weights; a network of them is built for each block of sound.
#[derive(Debug)]
pub(super) struct Extractor {
    channels: usize,
    /// `[channels, samples]`
    first: Vec<f32>,
    /// Of the group norm after it.
    gain: Vec<f32>,
    bias: Vec<f32>,
    rest: Vec<Weighted>,
    chunk: usize,
}

impl Extractor {
    pub(super) fn new(config: Wav2Vec2Config, tensors: &mut Tensors) -> Result<Self, WeightsError> {
        let channels = config.channels;
        let first = tensors.take("extractor.0.weight", &[channels, 1, FIRST])?;
        let [gain, bias] = tensors.layer("extractor.0.norm", &[channels])?;
        let kernels = SPEECH_KERNELS.into_iter().enumerate().skip(1);
        let rest = kernels.map(|(index, kernel)| {
            let name = format!("extractor.{index}.weight");
            let weight = tensors.take(&name, &[channels, channels, kernel])?;
            let bias = vec![0.0; channels];
            Ok(Weighted::from_taps(
                &weight,
                &bias,
                kernel,
                Activation::Gelu,
            ))
        });
        Ok(Self {
            channels,
            first,
            gain,
            bias,
            rest: rest.collect::<Result<_, WeightsError>>()?,
            chunk: CHUNK,
        })
    }

    /// The vectors of a block of sound, `[vectors, channels]`.
    pub(super) async fn extract(
        &self,
        samples: &[f32],
        device: &OpenedDevice,
    ) -> Result<Vec<f32>, ExecutionError> {
        let vectors = vectors_of(samples.len());
        // Parts of nearly equal length; the last one begins earlier where it would be shorter.
        let parts = vectors.div_ceil(self.chunk);
        let part = vectors.div_ceil(parts);
        let network = Network::new(self.plan(samples, samples_of(part)), device);
        let hop: usize = SPEECH_STRIDES.iter().product();
        let mut features = vec![0.0; vectors * self.channels];
        for index in 0..parts {
            let first = (index * part).min(vectors - part);
            let window = samples[first * hop..][..samples_of(part)].to_vec();
            let shape = [1, 1, window.len(), 1];
            let input = on_device(window, shape, &device.device);
            let output = read_back(vec![network.forward(input)])
                .await?
                .swap_remove(0);
            features[first * self.channels..][..output.len()].copy_from_slice(&output);
        }
        Ok(features)
    }

    /// The convolutions over so many samples, with the group norm of this block in the first of them.
    fn plan(&self, block: &[f32], samples: usize) -> Plan {
        let mut planner = Plan::of_input(1, samples, 1);
        let mut maps = planner.input();
        let layers = [self.normalised(block)].into_iter();
        let layers = layers.chain(self.rest.iter().cloned());
        for ((layer, kernel), stride) in layers.zip(SPEECH_KERNELS).zip(SPEECH_STRIDES) {
            maps = planner.line_convolution(maps, kernel, stride, layer);
        }
        planner.finish(&[maps])
    }

    /// The first convolution with the group norm after it.
    #[expect(clippy::cast_possible_truncation, reason = "networks compute in f32")]
    fn normalised(&self, block: &[f32]) -> Weighted {
        let statistics = WindowStatistics::<FIRST>::of(block, SPEECH_STRIDES[0]);
        let mut weight = self.first.clone();
        let mut bias = Vec::with_capacity(self.channels);
        let norms = self.gain.iter().zip(&self.bias);
        for (kernel, (gain, shift)) in weight.chunks_exact_mut(FIRST).zip(norms) {
            let [mean, variance] = statistics.under(kernel);
            let scale = f64::from(*gain) / (variance + f64::from(SPEECH_EPSILON)).sqrt();
            bias.push((f64::from(*shift) - mean * scale) as f32);
            for weight in kernel {
                *weight = (f64::from(*weight) * scale) as f32;
            }
        }
        Weighted::from_taps(&weight, &bias, FIRST, Activation::Gelu)
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoder::tests::seeded;
    use super::*;

    /// f32 sums in another order.
    const TOLERANCE: f32 = 1e-5;

    #[test]
    fn parts_give_what_the_whole_gives() {
        let config = Wav2Vec2Config::TEST;
        let mut extractor =
            Extractor::new(config, &mut Tensors::new(seeded(config))).expect("seeded");
        let samples: Vec<f32> = (0..9_123).map(|it| (it as f32 * 0.37).sin()).collect();
        let device = OpenedDevice::cpu();
        let whole = pollster::block_on(extractor.extract(&samples, &device)).expect("on the CPU");
        assert_eq!(whole.len(), 28 * config.channels);
        for chunk in [1, 5, 27] {
            extractor.chunk = chunk;
            let parts =
                pollster::block_on(extractor.extract(&samples, &device)).expect("on the CPU");
            for (part, whole) in parts.iter().zip(&whole) {
                assert!((part - whole).abs() < TOLERANCE, "parts of {chunk}");
            }
        }
    }
}
