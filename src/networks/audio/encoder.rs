//! The transformer over the vectors of a block.

use affectlens_formats::architecture::SPEECH_EPSILON;
use burn::tensor::ExecutionError;

use super::Wav2Vec2Config;
use super::tensors::Tensors;
use crate::device::OpenedDevice;
use crate::kernel::{
    Activation, Map, Network, Plan, Planner, Shortcut, Weighted, on_device, read_back,
};
use crate::weights::WeightsError;

/// The transformer, for blocks of the length of the last one. In loops of this process another length costs nothing: weights
/// stay as they are packed. On a GPU and in workers the network is written anew, unless all blocks are of one length.
#[derive(Debug)]
pub(super) struct Encoder {
    network: Network,
    /// Where the network itself cannot change its length.
    plan: Option<Plan>,
    length: usize,
}

impl Encoder {
    /// Takes blocks of any length, or of so many vectors alone.
    pub(super) fn new(mut plan: Plan, vectors: Option<usize>, device: &OpenedDevice) -> Self {
        if let Some(vectors) = vectors {
            plan.set_length(vectors);
        }
        let length = plan.input().width;
        let is_written_anew = vectors.is_none() && !Network::takes_any_length(device);
        let (network, plan) = match is_written_anew {
            true => (Network::new(&plan, device), Some(plan)),
            false => (Network::new(plan, device), None),
        };
        Self {
            network,
            plan,
            length,
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.network.threads()
    }

    /// `[vectors, channels]` to `[vectors, width]`.
    pub(super) async fn encode(
        &mut self,
        features: Vec<f32>,
        device: &OpenedDevice,
    ) -> Result<Vec<f32>, ExecutionError> {
        let channels = self.network.input().channels;
        let length = features.len() / channels;
        if length != self.length {
            match &mut self.plan {
                None => self.network.set_length(length),
                Some(plan) => {
                    plan.set_length(length);
                    self.network = Network::new(&*plan, device);
                }
            }
            self.length = length;
        }
        let input = on_device(features, [1, 1, length, channels], &device.device);
        let read = read_back(vec![self.network.forward(input)]).await?;
        Ok(read.into_iter().flatten().collect())
    }
}

/// The transformer over one vector; [`Plan::set_length`] gives it others.
pub(super) fn plan(config: Wav2Vec2Config, tensors: &mut Tensors) -> Result<Plan, WeightsError> {
    let Wav2Vec2Config {
        channels, width, ..
    } = config;
    let mut planner = Plan::of_input(1, 1, channels);
    let maps = planner.input();
    let maps = norm(&mut planner, maps, tensors, "projection.norm", channels)?;
    let projection = tensors.dense("projection", [width, channels], Activation::Identity)?;
    let maps = planner.pointwise(maps, projection);
    let position = position(config, tensors)?;
    let sizes = [
        config.position_kernel,
        config.position_kernel / 2,
        config.position_groups,
    ];
    let maps = planner.grouped_convolution(maps, sizes, position, Some(maps));
    let mut maps = norm(&mut planner, maps, tensors, "encoder.norm", width)?;
    for index in 0..config.layers {
        maps = layer(config, &mut planner, maps, tensors, index)?;
    }
    Ok(planner.finish(&[maps]))
}

/// The convolution that positions come from, group by group.
fn position(config: Wav2Vec2Config, tensors: &mut Tensors) -> Result<Weighted, WeightsError> {
    let Wav2Vec2Config {
        width,
        position_kernel: kernel,
        position_groups: groups,
        ..
    } = config;
    let shape = [width, width / groups, kernel];
    let [weight, bias] = tensors.layer("position", &shape)?;
    let parts = weight.chunks_exact(weight.len() / groups);
    let parts = parts
        .zip(bias.chunks_exact(width / groups))
        .map(|(weight, bias)| Weighted::from_taps(weight, bias, kernel, Activation::Gelu).weight);
    Ok(Weighted {
        weight: parts.collect::<Vec<_>>().concat(),
        bias,
        activation: Activation::Gelu,
        slopes: Vec::new(),
    })
}

/// Attention and a pair of fully connected layers, each added to what it reads and normalised.
fn layer(
    config: Wav2Vec2Config,
    planner: &mut Planner,
    maps: Map,
    tensors: &mut Tensors,
    index: usize,
) -> Result<Map, WeightsError> {
    let Wav2Vec2Config { width, hidden, .. } = config;
    let name = |part: &str| format!("layers.{index}.{part}");
    let shortcut = |map| {
        let pooled = false;
        Some(Shortcut { map, pooled })
    };
    let (mut weight, mut bias) = (Vec::new(), Vec::new());
    for part in ["query", "key", "value"] {
        let part = name(&format!("attention.{part}"));
        let [part_weight, part_bias] = tensors.layer(&part, &[width, width])?;
        weight.extend(part_weight);
        bias.extend(part_bias);
    }
    let all = Weighted::from_taps(&weight, &bias, 1, Activation::Identity);
    drop(weight);
    let attended = planner.pointwise(maps, all);
    let attended = planner.attention(attended, config.heads);
    let output = name("attention.output");
    let output = tensors.dense(&output, [width, width], Activation::Identity)?;
    let maps = planner.gated_pointwise(attended, output, None, shortcut(maps));
    let maps = norm(planner, maps, tensors, &name("norm1"), width)?;
    let first = tensors.dense(&name("fc1"), [hidden, width], Activation::Gelu)?;
    let second = tensors.dense(&name("fc2"), [width, hidden], Activation::Identity)?;
    let hidden = planner.pointwise(maps, first);
    let maps = planner.gated_pointwise(hidden, second, None, shortcut(maps));
    norm(planner, maps, tensors, &name("norm2"), width)
}

fn norm(
    planner: &mut Planner,
    maps: Map,
    tensors: &mut Tensors,
    name: &str,
    channels: usize,
) -> Result<Map, WeightsError> {
    let [gain, bias] = tensors.layer(name, &[channels])?;
    Ok(planner.layer_norm(maps, gain, bias, SPEECH_EPSILON))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{AudioError, Wav2Vec2};
    use super::*;
    use crate::weights::{Metadata, Weights};

    /// Canonical weights without a pattern.
    pub(crate) fn seeded(config: Wav2Vec2Config) -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: config.name.to_owned(),
            ..Metadata::default()
        });
        for (seed, parameter) in config.parameters().into_iter().enumerate() {
            let count = parameter.shape.iter().product::<usize>();
            let fan_in = parameter.shape.iter().skip(1).product::<usize>();
            let number = |index: usize| {
                let number = ((index * 7919 + seed * 104_729) % 1009) as f32 / 504.0 - 1.0;
                match parameter.shape.len() {
                    1 if parameter.name.ends_with("norm.weight") => 1.0 + 0.2 * number,
                    1 => 0.2 * number,
                    _ => number * (3.0 / fan_in as f32).sqrt(),
                }
            };
            let values = (0..count).map(number).collect();
            let inserted = weights.insert(parameter.name, parameter.shape, values);
            inserted.expect("as many values");
        }
        weights
    }

    fn sound(samples: usize) -> Vec<f32> {
        let sample = |it: usize| (it as f32 * 0.05).sin() + ((it * it % 31) as f32 - 15.0) / 40.0;
        (0..samples).map(sample).collect()
    }

    #[test]
    fn blocks_do_not_depend_on_those_before_them() {
        let config = Wav2Vec2Config::TEST;
        let device = OpenedDevice::cpu();
        let load = || Wav2Vec2::load(seeded(config), &device).expect("seeded");
        let mut network = load();
        for samples in [400, 20_000, 719, 20_000] {
            let block = sound(samples);
            let vectors = pollster::block_on(network.embed(&block)).expect("long enough");
            assert_eq!(vectors.len(), super::super::vectors_of(samples) * 24);
            let alone = pollster::block_on(load().embed(&block)).expect("long enough");
            assert!(vectors == alone, "{samples} samples");
        }
    }

    #[test]
    fn a_network_for_blocks_of_one_length_gives_the_same_and_refuses_others() {
        let config = Wav2Vec2Config::TEST;
        let device = OpenedDevice::cpu();
        let mut any = Wav2Vec2::load(seeded(config), &device).expect("seeded");
        let fixed = Wav2Vec2::load_for(seeded(config), 20_000, &device);
        let mut fixed = fixed.expect("seeded");
        for seed in [0, 7] {
            let block = &sound(20_000 + seed)[seed..];
            let expected = pollster::block_on(any.embed(block)).expect("long enough");
            let got = pollster::block_on(fixed.embed(block)).expect("of that length");
            assert!(got == expected);
        }
        let refused = pollster::block_on(fixed.embed(&sound(19_999)));
        assert_eq!(
            refused.expect_err("another length").to_string(),
            "sound has 19999 samples, expected 20000 to 20000"
        );
        let short = Wav2Vec2::load_for(seeded(config), 399, &device);
        assert!(matches!(short, Err(AudioError::Length { got: 399, .. })));
    }

    #[test]
    fn sound_without_an_embedding_is_refused() {
        let mut network =
            Wav2Vec2::load(seeded(Wav2Vec2Config::TEST), &OpenedDevice::cpu()).expect("seeded");
        let mut refusal = |samples: &[f32]| {
            let refused = pollster::block_on(network.embed(samples));
            refused.expect_err("none").to_string()
        };
        assert_eq!(
            refusal(&[0.0; 399]),
            "sound has 399 samples, expected 400 to 9600000"
        );
        let mut broken = sound(500);
        broken[77] = f32::NAN;
        assert_eq!(refusal(&broken), "sound is not finite at sample 77");
    }

    #[test]
    fn weights_of_another_network_are_refused() {
        let refusal = |weights| {
            let error = Wav2Vec2::load(weights, &OpenedDevice::cpu()).expect_err("no such network");
            assert!(matches!(error, AudioError::Weights(_)));
            error.to_string()
        };
        let mut weights = seeded(Wav2Vec2Config::TEST);
        weights.metadata.architecture = "resnet18".to_owned();
        assert_eq!(
            refusal(weights),
            "weights are for architecture `resnet18`, expected `wav2vec2-base`"
        );
        let mut weights = seeded(Wav2Vec2Config::TEST);
        weights
            .insert("layers.2.fc1.bias", vec![1], vec![0.0])
            .expect("one value");
        assert_eq!(
            refusal(weights),
            "weight `layers.2.fc1.bias` does not belong to wav2vec2-test"
        );
        let mut weights = seeded(Wav2Vec2Config::TEST);
        weights.remove("layers.1.attention.key.weight");
        assert!(refusal(weights).starts_with("weight `layers.1.attention.key.weight` is missing"));
    }
}
