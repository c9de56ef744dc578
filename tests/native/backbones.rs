//! Backbones against the published implementations, with seeded weights or the published ones.

use std::{collections::BTreeMap, path::Path};

use affectlens::backbone::{
    self, Architecture, Backbone, EfficientNetConfig, Outputs, PlainNetwork, canonical_weights,
};
use affectlens::crop;
use affectlens::device::{self, DeviceChoice, KernelForm, OpenedDevice};
use affectlens::head::Mlp;
use affectlens::label::{AFFECTNET_7, AFFECTNET_8};
use affectlens::weights::{PublishedWeights, Weights, cache_dir, read_onnx, weights_path};
use affectlens_data::picture::read_picture;
use burn::tensor::{Device, Tensor, TensorData};
use prost::Message;
use serde::Deserialize;

use crate::seeded::{Shapes, golden_file, parameter, seeded, state_dict, uniform};

/// Against timm and PyTorch: f32 sums in another order over some 80 layers.
pub(crate) const RELATIVE: f32 = 1e-4;
/// Against TensorFlow.js on its CPU backend, which sums in f32 too.
const RELATIVE_FACERES: f32 = 1e-3;
/// Between forms, batch sizes or devices.
const RELATIVE_SELF: f32 = 1e-4;
/// Beside Pillow, whose JPEG decoder upsamples chroma in another way; on the same pixels 1.5e-3 was measured.
const RELATIVE_PICTURE: f32 = 3e-2;
/// With 16-bit floats in memory.
const RELATIVE_HALF: f32 = 5e-3;
/// The same through MT-DDAMFN's 34 blocks.
const RELATIVE_HALF_DEEP: f32 = 2e-2;

/// What `tests/goldens/backbones.py` wrote.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) shapes: Shapes,
    /// ONNX initializer -> published parameter.
    layers: BTreeMap<String, String>,
    pub(crate) embedding: Vec<f32>,
    logits: Vec<f32>,
}

pub(crate) fn golden(name: &str) -> Golden {
    let text =
        std::fs::read_to_string(golden_file(&format!("backbones/{name}.json"))).expect("committed");
    serde_json::from_str(&text).expect("generated")
}

/// The published parameter `name` as the exporter writes it: batch norm is folded into convolutions.
fn folded(golden: &Golden, name: &str) -> Vec<f32> {
    let (layer, _) = name.rsplit_once('.').expect("layer.kind");
    let value = |name: &str| parameter(name, &golden.shapes[name]);
    if name == "features.features.layers.2.weight" {
        let weight = value(name);
        return (0..512)
            .flat_map(|input| weight.iter().skip(input).step_by(512).copied())
            .collect();
    }
    if let Some(unit) = layer.strip_suffix("layers.0") {
        return fold(&golden.shapes, name, &format!("{unit}layers.1"), 1e-5);
    }
    let (block, convolution) = layer
        .rsplit_once('.')
        .map_or(("", layer), |(block, name)| (block, name));
    let expands = golden
        .shapes
        .contains_key(&format!("{block}.conv_pwl.weight"));
    let number = match (convolution, expands) {
        ("conv_stem", _) | ("conv_pw", true) | ("conv_dw", false) => 1,
        ("conv_head", _) | ("conv_dw", true) | ("conv_pw", false) => 2,
        ("conv_pwl", _) => 3,
        _ => return value(name),
    };
    let batch_norm = if block.is_empty() {
        format!("bn{number}")
    } else {
        format!("{block}.bn{number}")
    };
    fold(&golden.shapes, name, &batch_norm, 1e-3)
}

/// A convolution's weight or bias with its batch norm.
pub(crate) fn fold(shapes: &Shapes, name: &str, batch_norm: &str, epsilon: f64) -> Vec<f32> {
    let value = |name: &str| parameter(name, &shapes[name]);
    let [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
        .map(|part| value(&format!("{batch_norm}.{part}")));
    let scale = |channel: usize| {
        f64::from(gamma[channel]) / (f64::from(variance[channel]) + epsilon).sqrt()
    };
    if name.ends_with(".bias") {
        return (0..gamma.len())
            .map(|channel| {
                (f64::from(beta[channel]) - f64::from(mean[channel]) * scale(channel)) as f32
            })
            .collect();
    }
    let weight = value(name);
    let fan_in = weight.len() / gamma.len();
    weight
        .iter()
        .enumerate()
        .map(|(index, &value)| (f64::from(value) * scale(index / fan_in)) as f32)
        .collect()
}

/// As much of `onnx.proto` as it takes to put the initializers' bytes back; nodes pass through unread.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Model {
    #[prost(message, optional, tag = "7")]
    pub(crate) graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graph {
    #[prost(bytes = "vec", repeated, tag = "1")]
    nodes: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) initializers: Vec<Initializer>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Initializer {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    pub(crate) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) raw_data: Vec<u8>,
}

/// The exported file, complete again.
fn onnx_file(name: &str, golden: &Golden) -> Vec<u8> {
    let stripped =
        std::fs::read(golden_file(&format!("backbones/{name}.onnx"))).expect("committed");
    let mut model = Model::decode(stripped.as_slice()).expect("exported");
    for tensor in &mut model.graph.as_mut().expect("has a graph").initializers {
        if let Some(parameter) = golden.layers.get(&tensor.name) {
            if parameter.starts_with("classifier.") {
                tensor.dims[0] = i64::try_from(golden.shapes[parameter][0]).expect("few");
            }
            tensor.raw_data = folded(golden, parameter)
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
        }
    }
    model.encode_to_vec()
}

pub(crate) fn values(tensor: Tensor<2>) -> Vec<f32> {
    pollster::block_on(tensor.into_data_async())
        .expect("read back")
        .try_into_vec()
        .expect("f32")
}

/// Largest difference, relative to the largest expected value.
fn difference(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    let largest = expected
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    got.iter()
        .zip(expected)
        .map(|(got, expected)| (got - expected).abs())
        .fold(0.0, f32::max)
        / largest
}

pub(crate) fn assert_close(got: &[f32], expected: &[f32], tolerance: f32) {
    let difference = difference(got, expected);
    assert!(
        difference < tolerance,
        "relative difference {difference}, tolerated {tolerance}"
    );
}

pub(crate) fn seeded_faces(count: usize, side: usize, device: &Device) -> Tensor<4> {
    let faces = uniform("input", count * 3 * side * side)
        .into_iter()
        .map(|value| 2.0 * value)
        .collect();
    Tensor::from_data(TensorData::new(faces, [count, 3, side, side]), device)
}

/// `[batch, channels, height, width]` as the folded form takes it.
pub(crate) fn channels_last(faces: Tensor<4>, device: &OpenedDevice) -> Tensor<4> {
    Tensor::from_data(faces.permute([0, 2, 3, 1]).into_data(), &device.device)
}

/// The network in Burn's own operations: embedding and outputs.
fn plain(weights: &Weights, faces: Tensor<4>) -> (Tensor<2>, Option<Tensor<2>>) {
    let architecture = Architecture::backbone(&weights.metadata.architecture).expect("a backbone");
    let network = PlainNetwork::load(architecture, weights, &Device::flex()).expect("canonical");
    let mut outputs = network.forward(faces).into_iter();
    (outputs.next().expect("an embedding"), outputs.next())
}

/// Networks that describe whole frames.
const FRAME_NETWORKS: [&str; 7] = [
    "convnext-tiny",
    "convnext-tiny-multiscale",
    "efficientnet-b0",
    "efficientnet-b0-multiscale",
    "efficientnet-lite0",
    "resnet18",
    "resnet50",
];

/// Both forms of the network `name` from its published layout against the published implementation.
#[track_caller]
fn assert_golden(name: &str) {
    assert_golden_of(name, name);
}

/// The same with the golden of another layout.
#[track_caller]
fn assert_golden_of(name: &str, file: &str) {
    let golden = golden(file);
    let published = PublishedWeights::Named(state_dict(&golden.shapes));
    let weights = canonical_weights(name, &published).expect("the published layout");
    let device = OpenedDevice::cpu();
    let network = Backbone::load(&weights, &device).expect("canonical");
    assert_eq!(network.facts().name, name);
    let describes_frames = FRAME_NETWORKS.contains(&name);
    let classes: &[_] = if describes_frames { &[] } else { &AFFECTNET_8 };
    assert_eq!(network.classes(), classes);
    assert_eq!(network.outputs().valence_arousal, golden.logits.len() == 10);
    let faces = seeded_faces(1, network.facts().input_side as usize, &Device::flex());
    let (embedding, logits) = plain(&weights, faces.clone());
    assert_close(&values(embedding), &golden.embedding, RELATIVE);
    let embedded = network.forward(channels_last(faces, &device));
    assert_close(&values(embedded.embedding), &golden.embedding, RELATIVE);
    for logits in [logits, embedded.logits] {
        assert_eq!(logits.is_some(), !golden.logits.is_empty(), "{file}");
        if let Some(logits) = logits {
            assert_close(&values(logits), &golden.logits, RELATIVE);
        }
    }
}

#[test]
fn emotieffnet_b0_equals_timm() {
    assert_golden("emotieffnet-b0");
}

#[test]
fn emotieffnet_b2_equals_timm() {
    assert_golden("emotieffnet-b2");
}

#[test]
fn mobilefacenet_equals_pytorch() {
    assert_golden("mobilefacenet");
}

#[test]
fn mt_ddamfn_equals_pytorch() {
    assert_golden("mt-ddamfn");
}

#[test]
fn convnext_equals_timm_and_torchvision() {
    assert_golden("convnext-tiny");
    assert_golden_of("convnext-tiny", "convnext-tiny-torchvision");
}

#[test]
fn plain_efficientnet_b0_equals_timm() {
    assert_golden("efficientnet-b0");
}

#[test]
fn efficientnet_lite0_equals_timm() {
    assert_golden("efficientnet-lite0");
}

#[test]
fn resnets_equal_torchvision() {
    assert_golden("resnet18");
    assert_golden("resnet50");
}

/// Out of a violence detector's checkpoint with a head.
#[test]
fn two_scales_equal_timms_feature_maps() {
    assert_golden("convnext-tiny-multiscale");
    assert_golden("efficientnet-b0-multiscale");
}

#[test]
fn a_violence_checkpoint_gives_its_backbone() {
    for (name, classifier) in [("convnext-tiny", "head.fc"), ("resnet18", "fc")] {
        let mut alone = state_dict(&golden(name).shapes);
        for part in ["weight", "bias"] {
            alone.remove(&format!("{classifier}.{part}"));
        }
        let mut wrapped = Weights::default();
        for (name, tensor) in alone.iter() {
            let name = format!("encoder.{name}");
            let values = tensor.values.clone();
            wrapped
                .insert(name, tensor.shape.clone(), values)
                .expect("as many values");
        }
        for name in [
            "temporal_head.proj.weight",
            "lstm.bias_hh_l0",
            "proj.weight",
            "head.bias",
        ] {
            wrapped.insert(name, vec![1], vec![0.0]).expect("one value");
        }
        let canonical = |weights| canonical_weights(name, &PublishedWeights::Named(weights));
        let expected = canonical(alone).expect("the backbone alone");
        // Not `assert_eq!`, which would print millions of numbers.
        assert!(canonical(wrapped.clone()).expect("a checkpoint") == expected);
        wrapped
            .insert("encoder.age.bias", vec![0], vec![])
            .expect("empty");
        let error = canonical(wrapped).expect_err("not a backbone's");
        assert_eq!(
            error.to_string(),
            format!("weight `age.bias` does not belong to {name}")
        );
    }
}

/// An ImageNet file serves the network of two scales too: what that leaves out is known by name.
#[test]
fn a_whole_network_gives_its_two_scales() {
    for name in ["convnext-tiny", "efficientnet-b0"] {
        let published = PublishedWeights::Named(state_dict(&golden(name).shapes));
        let [whole, scales] = [name.to_owned(), format!("{name}-multiscale")]
            .map(|name| canonical_weights(&name, &published).expect("timm's layout"));
        assert!(scales.len() < whole.len());
        for (key, tensor) in scales.iter() {
            assert!(whole.get(key) == Some(tensor), "{key}");
        }
    }
}

/// Shape guards: a parameter more or less is another network. Batch norms count two numbers a channel.
#[test]
fn published_layouts_have_the_published_parameter_counts() {
    for (name, unused, expected) in [
        ("mobilefacenet", 0, 2_064_650),
        // Without the batch norm of the ten classes.
        ("mt-ddamfn", 20, 4_188_946),
        // Without classifiers.
        ("convnext-tiny", 8 * 769, 27_820_128),
        ("efficientnet-b0", 8 * 1281, 4_007_548),
        ("efficientnet-lite0", 5 * 1281, 3_371_008),
        ("resnet18", 5 * 513, 11_176_512),
        ("resnet50", 5 * 2049, 23_508_032),
    ] {
        let golden = golden(name);
        let parameters = golden.shapes.iter();
        let count: usize = parameters
            .filter(|(name, _)| !name.contains("running_"))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        assert_eq!(count - unused, expected, "{name}");
    }
}

/// `enet_b0_8_va_mtl`: EmotiEffNet-B0 with ten outputs.
#[test]
fn the_multi_task_emotieffnet_is_read_from_both_layouts() {
    let mut golden = golden("emotieffnet-b0");
    golden
        .shapes
        .insert("classifier.weight".to_owned(), vec![10, 1280]);
    golden.shapes.insert("classifier.bias".to_owned(), vec![10]);
    let named = PublishedWeights::Named(state_dict(&golden.shapes));
    let weights = canonical_weights("emotieffnet-b0", &named).expect("timm's layout");
    let graph = read_onnx(&onnx_file("emotieffnet-b0", &golden)).expect("EmotiEffLib's layout");
    let from_graph = canonical_weights("emotieffnet-b0", &graph.into()).expect("the same");
    assert_eq!(from_graph, weights);
    let outputs = backbone::outputs(&weights).expect("a backbone");
    assert_eq!(
        outputs,
        Outputs {
            classes: AFFECTNET_8.to_vec(),
            valence_arousal: true,
        }
    );
    let device = OpenedDevice::cpu();
    let network = Backbone::load(&weights, &device).expect("canonical");
    let faces = channels_last(seeded_faces(1, 224, &device.device), &device);
    let embedded = network.forward(faces);
    let [weight, bias] = ["weight", "bias"].map(|part| {
        let name = format!("classifier.{part}");
        parameter(&name, &golden.shapes[&name])
    });
    let rows = weight.chunks_exact(1280).zip(bias);
    let expected: Vec<f32> = rows
        .map(|(row, bias)| {
            let products = row.iter().zip(&golden.embedding);
            let sum: f64 = products
                .map(|(weight, value)| f64::from(weight * value))
                .sum();
            sum as f32 + bias
        })
        .collect();
    let logits = values(embedded.logits.expect("ten outputs"));
    assert_close(&logits, &expected, RELATIVE);
}

#[test]
fn onnx_layout_gives_the_weights_of_the_state_dict() {
    for name in ["emotieffnet-b0", "emotieffnet-b2", "mobilefacenet"] {
        let golden = golden(name);
        let graph = read_onnx(&onnx_file(name, &golden)).expect("EmotiEffLib's layout");
        let from_graph = canonical_weights(name, &graph.into()).expect("EmotiEffLib's layout");
        let from_names =
            canonical_weights(name, &PublishedWeights::Named(state_dict(&golden.shapes)))
                .expect("timm's layout");
        assert_eq!(from_graph.len(), from_names.len());
        for (key, expected) in from_names.iter() {
            assert_eq!(from_graph.get(key), Some(expected), "{key}");
        }
        assert_eq!(from_graph.metadata, from_names.metadata);
    }
}

#[test]
fn classes_follow_the_number_of_outputs() {
    let golden = golden("emotieffnet-b0");
    let canonical = |outputs: usize, name: &str| {
        let mut weights = state_dict(&golden.shapes);
        weights.remove("classifier.weight");
        weights.remove("classifier.bias");
        if outputs > 0 {
            weights
                .insert(
                    format!("{name}.weight"),
                    vec![outputs, 1280],
                    vec![0.0; outputs * 1280],
                )
                .expect("counted");
            weights
                .insert(format!("{name}.bias"), vec![outputs], vec![0.0; outputs])
                .expect("counted");
        }
        canonical_weights("emotieffnet-b0", &PublishedWeights::Named(weights))
            .expect("any classifier")
    };
    let metadata = |outputs| canonical(outputs, "classifier.0").metadata;
    assert_eq!(metadata(8).classes, AFFECTNET_8);
    assert_eq!(metadata(7).classes, AFFECTNET_7);
    assert_eq!(metadata(10).classes, AFFECTNET_8);
    assert_eq!(metadata(10).extra["outputs"], "affectnet8+va");
    assert_eq!(metadata(1000).classes, []);
    let multi_task = canonical(10, "classifier");
    assert_eq!(
        multi_task
            .get("classifier.weight")
            .expect("kept whole")
            .shape,
        [10, 1280]
    );
    assert!(canonical(0, "").get("classifier.weight").is_none());
}

#[test]
fn published_weights_of_another_network_are_refused() {
    let golden = golden("emotieffnet-b0");
    let refusal = |name: &str, change: fn(&mut Weights)| {
        let mut weights = state_dict(&golden.shapes);
        change(&mut weights);
        let published = PublishedWeights::Named(weights);
        canonical_weights(name, &published)
            .expect_err("must be refused")
            .to_string()
    };
    assert_eq!(
        refusal("emotieffnet-b2", |_| ()),
        "weight `blocks.0.1.conv_dw.weight` is missing (the file has 311 weights, the first is `blocks.0.0.bn1.bias`)"
    );
    assert_eq!(
        refusal("emotieffnet-b0", |weights| _ =
            weights.insert("fc.bias", vec![1], vec![0.0])),
        "weight `fc.bias` does not belong to emotieffnet-b0"
    );
    assert_eq!(
        refusal("resnet-152", |_| ()),
        "weights are for architecture `resnet-152`, expected `expression-mobilenet`, `faceres`, `emotieffnet-b0`, `emotieffnet-b2`, `mobilefacenet`, `mt-ddamfn`, `mobilevit-s`, `mobilevit-xs`, `mobilevit-xxs`, `convnext-tiny`, `convnext-tiny-multiscale`, `efficientnet-b0`, `efficientnet-b0-multiscale`, `efficientnet-lite0`, `resnet18`, `resnet50`"
    );
}

#[test]
fn other_layouts_of_the_small_networks_are_refused() {
    let refusal = |name: &str, change: &dyn Fn(&mut Weights)| {
        let mut weights = state_dict(&golden(name).shapes);
        change(&mut weights);
        canonical_weights(name, &PublishedWeights::Named(weights))
            .expect_err("must be refused")
            .to_string()
    };
    let empty = |name: &'static str| {
        move |weights: &mut Weights| weights.insert(name, vec![0], vec![]).expect("empty")
    };
    // What is left out goes by its name: the same elsewhere is refused.
    assert_eq!(
        refusal("mt-ddamfn", &empty("features.1.conv_dw.bn.weight")),
        "weight `features.1.conv_dw.bn.weight` does not belong to mt-ddamfn"
    );
    assert_eq!(
        refusal("mt-ddamfn", &empty("cat_head2.CoordAtt.conv1.bias")),
        "weight `cat_head2.CoordAtt.conv1.bias` does not belong to mt-ddamfn"
    );
    assert_eq!(
        refusal("mobilefacenet", &empty("bn.weight")),
        "weight `bn.weight` does not belong to mobilefacenet"
    );
    assert_eq!(
        refusal("mt-ddamfn", &empty("features.2.CA.conv2.weight")),
        "weight `features.2.CA.conv2.weight` has shape [0], expected [128, 8, 1, 1]"
    );
    let text = refusal("mobilefacenet", &|weights| {
        weights.remove("features.layers.3.layers.1.layers.1.layers.2.weight");
    });
    assert!(
        text.starts_with("weight `features.layers.3.layers.1.layers.1.layers.2.weight` is missing"),
        "{text}"
    );
    let mut graph = read_onnx(&onnx_file("mobilefacenet", &golden("mobilefacenet")))
        .expect("EmotiEffLib's layout");
    graph.operations.truncate(2);
    let text = canonical_weights("mobilefacenet", &graph.into())
        .expect_err("a layer less")
        .to_string();
    assert_eq!(
        text,
        "graph file is malformed: no PRelu for blocks.0.conv_pw"
    );
}

#[test]
fn a_batch_of_two_equals_two_singles() {
    let device = OpenedDevice::cpu();
    for weights in [
        seeded("faceres"),
        seeded("emotieffnet-b0"),
        seeded("mt-ddamfn"),
    ] {
        let network = Backbone::load(&weights, &device).expect("canonical");
        let side = network.facts().input_side as usize;
        // Noise is alike once it is averaged; a face of other contrast is not.
        let [weak, strong] =
            [1.0, 4.0].map(|contrast| seeded_faces(1, side, &device.device) * contrast);
        let faces = channels_last(Tensor::cat(vec![weak, strong], 0), &device);
        let both = values(network.forward(faces.clone()).embedding);
        let singles = faces
            .split(1, 0)
            .into_iter()
            .flat_map(|face| values(network.forward(face).embedding));
        assert_close(&both, &singles.collect::<Vec<_>>(), RELATIVE_SELF);
        assert!(both.iter().all(|value| value.is_finite()));
        assert!(
            difference(&both[..both.len() / 2], &both[both.len() / 2..]) > 0.01,
            "features collapsed"
        );
    }
}

#[test]
#[should_panic(expected = "input of a network")]
fn faces_of_another_size_are_refused() {
    let device = OpenedDevice::cpu();
    let network = Backbone::load(seeded("faceres"), &device).expect("canonical");
    network.forward(Tensor::zeros([1, 112, 112, 3], &device.device));
}

#[test]
fn canonical_weights_of_another_shape_are_refused() {
    let refusal = |change: fn(&mut Weights)| {
        let mut weights = seeded("faceres");
        change(&mut weights);
        Backbone::load(&weights, &OpenedDevice::cpu())
            .expect_err("must be refused")
            .to_string()
    };
    assert_eq!(
        refusal(|weights| weights
            .insert("conv_stem.bias", vec![31], vec![0.0; 31])
            .expect("counted")),
        "weight `conv_stem.bias` has shape [31], expected [32]"
    );
    assert_eq!(
        refusal(|weights| weights.insert("age.bias", vec![0], vec![]).expect("empty")),
        "weight `age.bias` does not belong to faceres"
    );
    assert!(
        refusal(|weights| _ = weights.remove("blocks.12.conv_pw.weight"))
            .starts_with("weight `blocks.12.conv_pw.weight` is missing")
    );
}

#[test]
fn names_lead_to_the_network() {
    assert_eq!(
        affectlens::backbone::NAMES,
        [
            "expression-mobilenet",
            "faceres",
            "emotieffnet-b0",
            "emotieffnet-b2",
            "mobilefacenet",
            "mt-ddamfn",
            "mobilevit-s",
            "mobilevit-xs",
            "mobilevit-xxs",
            "convnext-tiny",
            "convnext-tiny-multiscale",
            "efficientnet-b0",
            "efficientnet-b0-multiscale",
            "efficientnet-lite0",
            "resnet18",
            "resnet50"
        ]
    );
    assert_eq!(
        EfficientNetConfig::from_name("emotieffnet-b2"),
        Some(EfficientNetConfig::B2)
    );
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn faceres_equals_the_published_graph() {
    #[derive(Deserialize)]
    struct FaceRes {
        embedding: Vec<f32>,
    }
    let text = std::fs::read_to_string(golden_file("faceres.json")).expect("committed");
    let golden: FaceRes = serde_json::from_str(&text).expect("generated");
    let weights = Weights::read(&weights_path(&cache_dir(), "faceres")).expect("fetched");
    let device = OpenedDevice::cpu();
    let network = Backbone::load(&weights, &device).expect("canonical");
    let normalisation = network.facts().normalisation;
    assert_eq!(weights.metadata.normalisation, Some(normalisation));
    let face = patterned_face(224, normalisation.mean, &device.device);
    let embedded = network.forward(channels_last(face, &device));
    assert_close(
        &values(embedded.embedding),
        &golden.embedding,
        RELATIVE_FACERES,
    );
    assert!(embedded.logits.is_none());
}

#[test]
fn the_built_in_expression_network_equals_pytorch() {
    #[derive(Deserialize)]
    struct Golden {
        embedding: Vec<f32>,
        logits: BTreeMap<String, Vec<f32>>,
    }
    let text = std::fs::read_to_string(golden_file("expression-mobilenet.json"));
    let golden: Golden = serde_json::from_str(&text.expect("committed")).expect("generated");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let read = |name: &str| Weights::read(&models.join(format!("{name}.safetensors")));
    let device = OpenedDevice::cpu();
    let network = read("expression-mobilenet").expect("committed");
    let network = Backbone::load(&network, &device).expect("canonical");
    let side = network.facts().input_side as usize;
    let face = patterned_face(side, network.facts().normalisation.mean, &device.device);
    let embedding = network.forward(channels_last(face, &device)).embedding;
    for (name, logits) in golden.logits {
        let head = read(&name).expect("committed");
        let head = Mlp::load(&head, &device.device).expect("a head");
        assert_close(&values(head.forward(embedding.clone())), &logits, RELATIVE);
    }
    assert_close(&values(embedding), &golden.embedding, RELATIVE);
}

/// Pictures of sunglasses and of a mask: the weights tell them from ImageNet's other classes, and so does every
/// strided kernel of the file.
#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn lite0_recognises_what_timm_recognises() {
    #[derive(Deserialize)]
    struct Lite0 {
        pictures: BTreeMap<String, Seen>,
    }
    #[derive(Deserialize)]
    struct Seen {
        classes: Vec<usize>,
        logits: Vec<f32>,
        embedding: Vec<f32>,
    }
    let text = std::fs::read_to_string(golden_file("lite0.json")).expect("committed");
    let golden: Lite0 = serde_json::from_str(&text).expect("generated");
    let file = "published/efficientnet-lite0/efficientnet-lite0-57934424.pth";
    let published = PublishedWeights::read(&cache_dir().join(file)).expect("fetched");
    let whole = canonical_weights("efficientnet-lite0", &published).expect("published layout");
    let path = weights_path(&cache_dir(), "efficientnet-lite0");
    let installed = Weights::read(&path).expect("fetched");
    assert!(installed.get("classifier.weight").is_none());
    let device = OpenedDevice::cpu();
    let [whole, installed] =
        [whole, installed].map(|weights| Backbone::load(&weights, &device).expect("canonical"));
    let normalisation = whole.facts().normalisation;
    for (name, seen) in golden.pictures {
        let picture = read_picture(&cache_dir().join("media").join(name)).expect("a picture");
        let frame = crop::resize(&picture, whole.facts().input_side);
        let frame = crop::batch(&[frame], &normalisation, &device.device).expect("one frame");
        let embedded = whole.forward(frame.clone());
        let logits = values(embedded.logits.expect("ImageNet's classes"));
        assert_eq!(logits.len(), 1000);
        let got: Vec<f32> = seen.classes.iter().map(|class| logits[*class]).collect();
        assert_close(&got, &seen.logits, RELATIVE_PICTURE);
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        assert_eq!(logits[seen.classes[0]], largest);
        for embedding in [embedded.embedding, installed.forward(frame).embedding] {
            assert_close(&values(embedding), &seen.embedding, RELATIVE_PICTURE);
        }
    }
}

/// The input of `tests/goldens/faceres.mjs` and, smaller, of `tests/goldens/expression_mobilenet.py`.
fn patterned_face(side: usize, mean: [f32; 3], device: &Device) -> Tensor<4> {
    let (width, top, shift) = match side {
        224 => (224, 90, 6),
        _ => (96, 39, 5),
    };
    assert_eq!(side, usize::try_from(width).expect("pixels"));
    let mut faces = Vec::with_capacity(3 * side * side);
    for (channel, mean) in (0..3_i32).zip(mean) {
        for (y, x) in (0..width).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let ramp = x * (channel + 1) + y * (3 - channel);
            let (right, down) = (x - width / 2, y - top);
            let rings = (right * right + down * down) >> (shift + channel);
            faces.push(((ramp + 4 * rings) & 255) as f32 - mean);
        }
    }
    Tensor::from_data(TensorData::new(faces, [1, 3, side, side]), device)
}

/// The folded form of backbones against Burn's own operations.
#[track_caller]
fn assert_folded_equals_plain(names: &[&str], device: &OpenedDevice, tolerance: f32) {
    for name in names {
        let weights = seeded(name);
        let network = Backbone::load(&weights, device).expect("canonical");
        let side = network.facts().input_side as usize;
        let faces = seeded_faces(1, side, &Device::flex());
        let folded = network.forward(channels_last(faces.clone(), device));
        let (embedding, _) = plain(&weights, faces);
        assert_close(&values(folded.embedding), &values(embedding), tolerance);
    }
}

#[test]
fn faceres_in_folded_form_equals_the_plain_one() {
    assert_folded_equals_plain(&["faceres"], &OpenedDevice::cpu(), RELATIVE_SELF);
}

fn gpu() -> OpenedDevice {
    pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan adapter")
}

#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn folded_form_equals_the_plain_one_on_the_gpu() {
    assert_folded_equals_plain(&backbone::NAMES, &gpu(), RELATIVE_SELF);
}

#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn sixteen_bit_floats_are_close_enough() {
    let device = gpu();
    assert!(device.has_f16(), "the adapter cannot compute with f16");
    let kernels = KernelForm {
        half: true,
        ..KernelForm::default()
    };
    let device = OpenedDevice { kernels, ..device };
    let names = ["faceres", "emotieffnet-b0", "emotieffnet-b2"];
    assert_folded_equals_plain(&names, &device, RELATIVE_HALF);
    assert_folded_equals_plain(&["mt-ddamfn"], &device, RELATIVE_HALF_DEEP);
}

#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn networks_take_few_dispatches() {
    let device = gpu();
    for (name, most) in [
        ("emotieffnet-b0", 70),
        ("mobilefacenet", 55),
        ("mt-ddamfn", 180),
        ("mobilevit-s", 120),
        ("convnext-tiny", 90),
        ("efficientnet-lite0", 55),
        ("resnet18", 25),
        ("resnet50", 60),
    ] {
        let network = Backbone::load(seeded(name), &device).expect("canonical");
        let dispatches = network.network().dispatches();
        assert!(dispatches <= most, "{name}: {dispatches} dispatches");
    }
}
