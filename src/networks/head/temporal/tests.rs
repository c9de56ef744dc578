//! Temporal heads against PyTorch and the published figures.

use std::collections::BTreeMap;

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Gradients, TensorData};
use serde::Deserialize;

use super::*;
use crate::head::linear::Uniform;
#[cfg(not(target_family = "wasm"))]
use crate::weights::PublishedWeights;

/// Against PyTorch: f32 sums in another order over two layers of nine steps.
const TOLERANCE: f32 = 1e-5;
const WINDOW: [usize; 3] = [2, 9, 12];
/// Numbers of a frame in the second stream of the goldens.
const SECOND: usize = 5;
/// Moments that the goldens of a head over a network for clips have features of.
const MOMENTS: usize = 3;
/// Behind the names of these goldens.
const OVER_MOMENTS: &str = "+moments";

/// Output of `tests/goldens/temporal.py` for one kind.
#[derive(Deserialize)]
struct Golden {
    shapes: BTreeMap<String, Vec<usize>>,
    logits: Vec<f32>,
    loss: f32,
    gradients: BTreeMap<String, Vec<f32>>,
    running: BTreeMap<String, Vec<f32>>,
    #[serde(default)]
    best: Vec<Vec<u8>>,
}

fn golden(kind: TemporalKind) -> Golden {
    golden_named(kind.name())
}

fn golden_named(name: &str) -> Golden {
    let text = include_str!("../../../../tests/goldens/temporal.json");
    let mut golden: serde_json::Value = serde_json::from_str(text).expect("generated");
    serde_json::from_value(golden[name].take()).expect("generated")
}

/// Every kind, and its name among the goldens; with `+blocks` a head has the optional blocks for skeletons, with `+moments`
/// it reads features of [`MOMENTS`] moments.
fn goldens() -> Vec<(TemporalKind, String)> {
    let fusions = FusionKind::ALL.into_iter().map(TemporalKind::Fusion);
    let kinds = TemporalKind::ALL.into_iter().chain(fusions);
    let plain = kinds.map(|kind| (kind, kind.name().to_owned()));
    let blocks = ["skeleton-early-bilstm", "skeleton-attention-tcn"].map(|name| {
        let kind = TemporalKind::from_name(name).expect("is one");
        (kind, format!("{name}+blocks"))
    });
    let over_moments = [TemporalKind::Conv1d, TemporalKind::BiLstmConv]
        .map(|kind| (kind, format!("{}{OVER_MOMENTS}", kind.name())));
    plain.chain(blocks).chain(over_moments).collect()
}

/// Logits of seeded features; a second stream, the last numbers of a frame, has zeros in the place of negative numbers.
fn logits(head: &TemporalHead, name: &str, device: &Device) -> Tensor<3> {
    head.forward_moments(inputs(head.config().kind, name, device), WINDOW[1])
}

fn inputs(kind: TemporalKind, name: &str, device: &Device) -> Tensor<3> {
    let [batch, _, width] = WINDOW;
    match name.ends_with(OVER_MOMENTS) {
        true => seeded("features", [batch, MOMENTS, width], device),
        false => features(kind, device),
    }
}

fn features(kind: TemporalKind, device: &Device) -> Tensor<3> {
    let features = seeded("features", WINDOW, device);
    if kind.fusion().is_none() {
        return features;
    }
    let frames = WINDOW[2] - SECOND;
    let second = features.clone().narrow(2, frames, SECOND).clamp_min(0.0);
    Tensor::cat(vec![features.narrow(2, 0, frames), second], 2)
}

/// `uniform` of the generator script: `count` numbers in [-1, 1).
fn uniform(name: &str, count: usize) -> Vec<f32> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    Uniform::new(seed).values(count, 1.0)
}

fn seeded<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = uniform(name, shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl Golden {
    fn weights(&self, kind: TemporalKind) -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: kind.architecture(),
            ..Metadata::default()
        });
        for (name, shape) in &self.shapes {
            let is_norm = ["norm.weight", "norm1.weight", "norm2.weight"]
                .iter()
                .any(|end| name.ends_with(end))
                || name.ends_with("1.weight") && shape.len() == 1;
            let (centre, spread) = match name {
                _ if name.ends_with("running_var") || name.ends_with("_scale") => (1.0, 0.5),
                _ if is_norm => (1.0, 0.25),
                _ => (0.0, 0.5),
            };
            let values = uniform(name, shape.iter().product());
            let values = values.iter().map(|value| centre + spread * value);
            weights
                .insert(name, shape.clone(), values.collect())
                .expect("as many values");
        }
        weights
    }
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
            "{what}[{index}]: {got}, expected {expected}"
        );
    }
}

struct ById<'a>(&'a Gradients, BTreeMap<ParamId, Vec<f32>>);

impl ModuleVisitor for ById<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.0) {
            self.1.insert(param.id, read(gradient));
        }
    }
}

#[test]
fn heads_give_what_pytorch_gives() {
    let device = Device::flex();
    for (kind, name) in goldens() {
        let golden = golden_named(&name);
        let head = TemporalHead::load(&golden.weights(kind), &device).expect("loads");
        assert_eq!(head.config(), TemporalConfig { kind, features: 12 });
        assert_eq!(head.to_weights(), golden.weights(kind), "the round trip");
        let predictor = TemporalPredictor::load(&golden.weights(kind)).expect("loads");
        assert_eq!(predictor.features(), 12);
        let predicted = read(inputs(kind, &name, &device));
        let predicted = predicted.chunks(predicted.len() / WINDOW[0]);
        let predicted = predicted.flat_map(|window| predictor.logits(window, WINDOW[1]));
        assert_close(&name, &predicted.collect::<Vec<_>>(), &golden.logits);
        let logits = read(logits(&head, &name, &device));
        assert_close(&name, &logits, &golden.logits);
        let best = logits.chunks(18).filter_map(|window| head.decode(window));
        let best: Vec<Vec<u8>> = best
            .map(|path| path.into_iter().map(u8::from).collect())
            .collect();
        assert_eq!(best, golden.best);
    }
}

#[test]
fn heads_learn_what_pytorch_learns() {
    let device = Device::flex().autodiff();
    for (kind, name) in goldens() {
        let golden = golden_named(&name);
        let mut head = TemporalHead::load(&golden.weights(kind), &device).expect("loads");
        head.dropout.prob = 0.0;
        let logits = logits(&head, &name, &device);
        let labels = seeded("labels", [2, 9], &device).greater_elem(0.0).int();
        let loss = head
            .crf_loss(logits.clone(), labels)
            .unwrap_or_else(|| (logits * seeded("loss", [2, 9, 2], &device)).sum());
        assert_close(&name, &read(loss.clone()), &[golden.loss]);
        if golden.gradients.is_empty() {
            assert_eq!(
                kind,
                TemporalKind::MotionLinear,
                "no parameter has a gradient"
            );
            continue;
        }
        let gradients = loss.backward();
        let mut by_id = ById(&gradients, BTreeMap::new());
        head.visit(&mut by_id);
        let parameters = head.parameters();
        assert_eq!(parameters.len(), golden.gradients.len(), "{name}");
        for (name, id) in parameters {
            assert_close(&name, &by_id.1[&id], &golden.gradients[&name]);
        }
        let after = head.valid().to_weights();
        for (name, values) in &golden.running {
            let got = &after.get(name).expect("is there").values;
            assert_close(name, got, values);
        }
    }
}

#[cfg(not(target_family = "wasm"))]
#[test]
fn a_checkpoint_gives_its_head() {
    for (file, name) in [
        ("temporal.pt", "tcn"),
        ("fusion.pt", "skeleton-attention-bilstm"),
    ] {
        let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");
        let path = std::path::Path::new(goldens).join(file);
        let published = PublishedWeights::read(&path).expect("torch");
        let weights = temporal_from_checkpoint(&published).expect("a head");
        let kind = TemporalKind::from_name(name).expect("is one");
        assert_eq!(weights, golden(kind).weights(kind));
    }
}

#[test]
fn parameter_counts_are_the_published_ones() {
    let count = |kind| -> usize {
        let config = TemporalConfig {
            kind,
            features: 768,
        };
        let weights = config.init(0, &Device::flex()).to_weights();
        let trained = weights.iter().filter(|(name, _)| !name.contains("running"));
        trained.map(|(_, tensor)| tensor.values.len()).sum()
    };
    assert_eq!(count(TemporalKind::Tcn), 1_184_258);
    // ConvNeXt-T with it has 31,499,362 parameters, ConvNeXt-T 27,820,128.
    assert_eq!(count(TemporalKind::BiLstm), 31_499_362 - 27_820_128);
    assert_eq!(count(TemporalKind::Crf), count(TemporalKind::BiLstm) + 8);
    assert_eq!(count(TemporalKind::Conv1d), 1_538);
}

#[test]
fn fusions_have_as_many_parameters_as_published() {
    let count = |name: &str| -> usize {
        let kind = TemporalKind::from_name(name).expect("is one");
        let stream = kind.fusion().expect("reads two streams").stream();
        let config = TemporalConfig {
            kind,
            features: 768 + stream.width(),
        };
        let head = config.init(0, &Device::flex());
        assert_eq!(head.config(), config);
        let weights = head.to_weights();
        let trained = weights.iter().filter(|(name, _)| !name.contains("running"));
        trained.map(|(_, tensor)| tensor.values.len()).sum()
    };
    // With ConvNeXt-T; of the head, projection, cross-attention, LSTM and linear layer.
    assert_eq!(count("skeleton-attention-bilstm") + 27_820_128, 34_234_510);
    let [lstm, tcn] = [3_154_946, 1_184_258 - 256 * (768 - 512)];
    assert_eq!(
        count("skeleton-attention-bilstm"),
        105_004 + 3_154_432 + lstm
    );
    assert_eq!(count("skeleton-attention-tcn"), 105_004 + 3_154_432 + tcn);
    assert_eq!(count("flow-concat-bilstm"), (2048 + 1 + 2) * 512 + lstm);
}

/// Kinds with random weights and dropout, the last one over two streams.
fn random() -> impl Iterator<Item = TemporalKind> {
    let all = TemporalKind::ALL.into_iter();
    let fusion = TemporalKind::from_name("skeleton-attention-bilstm");
    all.filter(|kind| *kind != TemporalKind::MotionLinear)
        .chain(fusion)
}

/// Five features, and those of a second stream.
fn few_features(kind: TemporalKind) -> usize {
    5 + kind.fusion().map_or(0, |fusion| fusion.stream().width())
}

#[test]
fn the_seed_decides_the_weights() {
    for kind in random() {
        let init = |seed| {
            let features = few_features(kind);
            let config = TemporalConfig { kind, features };
            config.init(seed, &Device::flex()).to_weights()
        };
        assert_eq!(init(3), init(3));
        assert_ne!(init(3), init(4));
    }
    let weights = TemporalConfig {
        kind: TemporalKind::Transformer { layers: 3 },
        features: 5,
    }
    .init(0, &Device::flex())
    .to_weights();
    let positions = &weights
        .get("temporal_head.pos_embed")
        .expect("is there")
        .values;
    let mean_square =
        positions.iter().map(|value| value * value).sum::<f32>() / positions.len() as f32;
    assert!(
        (mean_square.sqrt() / 0.02 - 1.0).abs() < 0.02,
        "{mean_square}"
    );
    let head = TemporalHead::load(&weights, &Device::flex()).expect("loads");
    assert_eq!(head.config().kind, TemporalKind::Transformer { layers: 3 });
    assert_eq!(head.longest_window(), Some(128));
}

#[test]
fn dropout_is_for_training_only() {
    let device = Device::flex().autodiff();
    for kind in random() {
        let features = few_features(kind);
        let head = TemporalConfig { kind, features }.init(1, &device);
        let run = |head: &TemporalHead, device| {
            read(head.forward(Tensor::ones([1, 4, features], device)))
        };
        assert_ne!(run(&head, &device), run(&head, &device));
        let (plain, head) = (Device::flex(), head.valid());
        assert_eq!(run(&head, &plain), run(&head, &plain));
    }
}

#[test]
fn predictors_give_what_heads_give() {
    let device = Device::flex();
    let fusions = FusionKind::ALL.into_iter().map(TemporalKind::Fusion);
    for kind in TemporalKind::ALL.into_iter().chain(fusions) {
        let features = few_features(kind);
        let head = TemporalConfig { kind, features }.init(6, &device);
        let predictor = TemporalPredictor::load(&head.to_weights()).expect("loads");
        assert_eq!(predictor.longest_window(), head.longest_window());
        for frames in [1, 2, 33] {
            let window = seeded("window", [1, frames, features], &device);
            let got = predictor.logits(&read(window.clone()), frames);
            assert_close(kind.name(), &got, &read(head.forward(window)));
        }
    }
}

#[test]
fn a_frame_sees_31_frames_to_each_side() {
    let config = TemporalConfig {
        kind: TemporalKind::Tcn,
        features: 2,
    };
    let (device, mut changed) = (Device::flex(), vec![]);
    let head = config.init(5, &device);
    let run = |values: Vec<f32>| {
        let frames = Tensor::from_data(TensorData::new(values, [1, 80, 2]), &device);
        read(head.forward(frames))
    };
    let plain = run(vec![0.5; 160]);
    let mut values = vec![0.5; 160];
    values[2 * 40] = 9.0;
    for (frame, (got, before)) in run(values).chunks(2).zip(plain.chunks(2)).enumerate() {
        if got != before {
            changed.push(frame);
        }
    }
    assert_eq!((changed[0], changed[changed.len() - 1]), (40 - 31, 40 + 31));
}

#[test]
fn logits_become_probabilities() {
    let config = TemporalConfig {
        kind: TemporalKind::Conv1d,
        features: 1,
    };
    let head = config.init(0, &Device::flex());
    let probabilities = head.probabilities(&[0.0, 0.0, 1.0, 3.0, 500.0, -500.0]);
    assert_close("probabilities", &probabilities, &[0.5, 0.880_797, 0.0]);
    assert_eq!(head.decode(&[0.0, 1.0]), None);
}

#[test]
fn foreign_weights_are_refused() {
    let refusal = |kind: TemporalKind, change: fn(&mut Weights)| {
        let mut weights = golden(kind).weights(kind);
        change(&mut weights);
        let refusal = TemporalHead::load(&weights, &Device::flex()).expect_err("must be refused");
        let as_predictor = TemporalPredictor::load(&weights).expect_err("must be refused");
        assert_eq!(as_predictor.to_string(), refusal.to_string());
        refusal.to_string()
    };
    let transformer = TemporalKind::Transformer { layers: 2 };
    for (kind, change, expected) in [
        (
            TemporalKind::Tcn,
            (|weights| weights.metadata.architecture = "temporal-gru".to_owned())
                as fn(&mut Weights),
            "weights are for architecture `temporal-gru`, expected `temporal-tcn` or `temporal-bilstm` or \
             `temporal-bilstm-conv` or `temporal-conv1d` or `temporal-transformer` or `temporal-crf` or `temporal-motion` or \
             `temporal-motion-linear`",
        ),
        (
            TemporalKind::Tcn,
            |weights| {
                let name = "temporal_head.layers.0.0.weight";
                weights
                    .insert(name, vec![4, 4, 2], vec![0.0; 32])
                    .expect("32");
            },
            "weights file is malformed: `temporal_head.layers.0.0.weight` has a kernel of 2, expected an odd one",
        ),
        (
            TemporalKind::Tcn,
            |weights| {
                let name = "temporal_head.layers.0.0.weight";
                let shape = vec![1, 1, 200_001];
                weights
                    .insert(name, shape, vec![0.0; 200_001])
                    .expect("200001");
            },
            "weights file is malformed: `temporal_head.layers.0.0.weight` has 200001 units along an axis, expected 1 to \
             32768",
        ),
        (
            TemporalKind::Tcn,
            |weights| {
                let name = "temporal_head.layers.0.0.weight";
                weights
                    .insert(name, vec![4, 4, 65], vec![0.0; 1040])
                    .expect("1040");
            },
            "weights file is malformed: `temporal_head.layers.0.0.weight` has a kernel of 65, expected at most 63",
        ),
        (
            TemporalKind::BiLstm,
            |weights| {
                for layer in 2..14 {
                    let name = format!("lstm.weight_ih_l{layer}");
                    weights.insert(name, vec![1], vec![0.0]).expect("1");
                }
            },
            "weights file is malformed: LSTM has 14 layers, expected at most 12",
        ),
        (
            transformer,
            |weights| {
                for layer in 2..30 {
                    let name = format!(
                        "temporal_head.transformer.layers.{layer}.self_attn.in_proj_weight"
                    );
                    weights.insert(name, vec![1], vec![0.0]).expect("1");
                }
            },
            "weights file is malformed: transformer has 30 layers, expected at most 24",
        ),
        (
            TemporalKind::BiLstm,
            |weights| {
                let name = "lstm.bias_hh_l1_reverse";
                weights.insert(name, vec![3], vec![0.0; 3]).expect("3");
            },
            "weight `lstm.bias_hh_l1_reverse` has shape [3], expected [16]",
        ),
        (
            TemporalKind::BiLstm,
            |weights| {
                weights
                    .insert("crf.transitions", vec![0], vec![])
                    .expect("0")
            },
            "weight `crf.transitions` does not belong to temporal-bilstm",
        ),
        (
            TemporalKind::Conv1d,
            |weights| {
                weights
                    .insert("head.weight", vec![2, 0, 1], vec![])
                    .expect("0")
            },
            "weights file is malformed: `head.weight` has shape [2, 0, 1], expected 3 axes without an empty one",
        ),
        (
            transformer,
            |weights| {
                let name = "temporal_head.input_proj.weight";
                weights
                    .insert(name, vec![3, 12], vec![0.0; 36])
                    .expect("36");
            },
            "weights file is malformed: `temporal_head.input_proj.weight` has 3 outputs, expected a multiple of 4, \
             the number of attention heads",
        ),
    ] {
        assert_eq!(refusal(kind, change), expected);
    }
    let fusion = |name: &str| TemporalKind::from_name(name).expect("is one");
    fn zeros<const D: usize>(weights: &mut Weights, name: &str, shape: [usize; D]) {
        let values = vec![0.0; shape.iter().product()];
        weights
            .insert(name, shape.to_vec(), values)
            .expect("as many");
    }
    for (kind, change, expected) in [
        (
            fusion("skeleton-concat-bilstm"),
            (|weights| zeros(weights, "fusion.proj.0.weight", [8, 3])) as fn(&mut Weights),
            "weights file is malformed: fusion takes 3 values per frame, expected more than the 3 of its second stream",
        ),
        (
            fusion("skeleton-attention-bilstm"),
            |weights| {
                zeros(weights, "skeleton_proj.1.weight", [4, 5]);
                zeros(weights, "skeleton_proj.1.bias", [4]);
            },
            "weights file is malformed: fusion takes 3 values of the second stream, expected 4, as its projection gives",
        ),
        (
            fusion("flow-gated-tcn"),
            |weights| {
                zeros(weights, "fusion.flow_proj.weight", [6, 5]);
                zeros(weights, "fusion.flow_proj.bias", [6]);
            },
            "weights file is malformed: `fusion.flow_proj.weight` has 6 outputs, expected 8, as `fusion.rgb_proj.weight` has",
        ),
        (
            fusion("flow-concat-tcn"),
            |weights| zeros(weights, "temporal_head.input_proj.weight", [4, 9, 1]),
            "weights file is malformed: network over time takes 9 values per frame, expected 8, as the fusion gives",
        ),
        (
            fusion("skeleton-gated-tcn"),
            |weights| zeros(weights, "skeleton_denoise.conv.weight", [5, 5, 2]),
            "weights file is malformed: `skeleton_denoise.conv.weight` has a kernel of 2, expected an odd one",
        ),
    ] {
        assert_eq!(refusal(kind, change), expected);
    }
    assert!(
        refusal(TemporalKind::Crf, |weights| _ =
            weights.remove("lstm.weight_ih_l0"))
        .starts_with("weight `lstm.weight_ih_l0` is missing")
    );
}
