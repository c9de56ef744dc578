//! Networks over clips against torchvision and PyTorch, with seeded weights.

use affectlens::backbone::{Architecture, PlainNetwork, canonical_weights};
use affectlens::clip::{ClipBackbone, ClipConfig};
use affectlens::device::OpenedDevice;
use affectlens::frame::Frame;
use affectlens::weights::{PublishedWeights, Weights};
use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;

use crate::backbones::{RELATIVE, assert_close};
use crate::seeded::{Shapes, golden_file, state_dict, uniform};

/// Those of this generator.
const NAMES: [&str; 4] = ["r3d-18", "r2plus1d-18", "s3d", "slowfast-r50"];
/// Side of the small clips, pixels.
const SMALL: u32 = 32;

/// What `tests/goldens/clips.py` wrote.
#[derive(Deserialize)]
struct Golden {
    shapes: Shapes,
    /// Features of a clip of small frames, `[moments, width]`; of many moments every ninth feature.
    small: Vec<f32>,
    /// The same of frames of the network's own size.
    whole: Vec<f32>,
}

fn golden(name: &str) -> Golden {
    let text = std::fs::read_to_string(golden_file(&format!("clips/{name}.json")));
    serde_json::from_str(&text.expect("committed")).expect("generated")
}

pub(crate) fn canonical(name: &str, weights: Weights) -> Result<Weights, String> {
    let converted = canonical_weights(name, &PublishedWeights::Named(weights));
    converted.map_err(|error| error.to_string())
}

/// Canonical weights of a network from its published layout.
fn seeded(name: &str) -> Weights {
    canonical(name, state_dict(&golden(name).shapes)).expect("the published layout")
}

/// The clips that the generator draws, `[count, channels, frames, side, side]` there, with frames below each other:
/// `[count, 3, frames * side, side]`.
pub(crate) fn clips(count: usize, frames: usize, side: usize, device: &Device) -> Tensor<4> {
    let shape = [count, 3, frames * side, side];
    let values = uniform("input", shape.iter().product());
    let values = values.into_iter().map(|value| 2.0 * value).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The first of them.
pub(crate) fn clip(frames: usize, side: u32) -> Tensor<4> {
    clips(1, frames, side as usize, &Device::flex())
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

pub(crate) fn features(network: &ClipBackbone, clips: Tensor<4>) -> Vec<f32> {
    values(network.forward(clips.permute([0, 2, 3, 1])))
}

/// Of many moments every ninth feature.
pub(crate) fn some(moments: usize, features: &[f32]) -> Vec<f32> {
    let width = features.len() / moments;
    let every = if moments > 2 { 9 } else { 1 };
    let moments = features.chunks_exact(width);
    moments
        .flat_map(|it| it.iter().step_by(every))
        .copied()
        .collect()
}

#[test]
fn clip_networks_equal_pytorch() {
    for (name, moments) in [
        ("r3d-18", 2),
        ("r2plus1d-18", 2),
        ("s3d", 2),
        ("slowfast-r50", 16),
    ] {
        let (weights, golden) = (seeded(name), golden(name));
        let config = ClipConfig::from_name(name).expect("a network over clips");
        let config = config.of_size(config.frames, SMALL);
        let network = ClipBackbone::of_size(config, &weights, &OpenedDevice::cpu());
        let network = network.expect("canonical");
        assert_eq!(network.moments(), moments, "{name}");
        let clip = clip(config.frames, SMALL);
        let folded = features(&network, clip.clone());
        assert_close(&some(moments, &folded), &golden.small, RELATIVE);
        let architecture = Architecture::Clip(config);
        let plain = PlainNetwork::load(architecture, &weights, &Device::flex());
        let plain = plain.expect("canonical").forward(clip).remove(0);
        assert_close(&some(moments, &values(plain)), &golden.small, RELATIVE);
    }
}

#[test]
#[ignore = "takes seconds and a gigabyte: run cargo xtask test"]
fn clip_networks_of_their_own_size_equal_pytorch() {
    for name in NAMES {
        let weights = seeded(name);
        let network = ClipBackbone::load(&weights, &OpenedDevice::cpu()).expect("canonical");
        let ClipConfig { frames, side, .. } = *network.config();
        let features = features(&network, clip(frames, side));
        let features = some(network.moments(), &features);
        assert_close(&features, &golden(name).whole, RELATIVE);
    }
}

#[test]
fn published_layouts_have_the_published_parameter_counts() {
    // Five classes in place of Kinetics' 400.
    for (name, classes, expected) in [
        ("r3d-18", 5 * 513, 33_166_272),
        ("r2plus1d-18", 5 * 513, 31_300_125),
        ("s3d", 5 * 1025, 7_910_048),
        ("slowfast-r50", 5 * 2305, 33_644_488),
    ] {
        let shapes = golden(name).shapes;
        let learned = shapes.iter().filter(|(name, _)| !name.contains("running_"));
        let count: usize = learned
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        assert_eq!(count - classes, expected, "{name}");
    }
}

/// Several clips at once are as each is alone, and prepared frames make the clip that they are.
#[test]
fn clips_do_not_see_each_other() {
    let weights = seeded("s3d");
    let config = ClipConfig::S3D.of_size(8, SMALL);
    let network = ClipBackbone::of_size(config, &weights, &OpenedDevice::cpu());
    let network = network.expect("canonical");
    let first = clip(8, SMALL);
    let second = first.clone() * -0.5;
    let alone = [first.clone(), second.clone()].map(|clip| features(&network, clip));
    let both = features(&network, Tensor::cat(vec![first, second], 0));
    assert_close(&both, &alone.concat(), RELATIVE);

    let frame = |number: u8| {
        let pixels = (0..SMALL * SMALL * 3).map(|value| (value % 251) as u8 ^ (17 * number));
        Frame::from_rgb(SMALL, SMALL, pixels.collect()).expect("a full picture")
    };
    let frames: Vec<Frame> = (0..8).map(frame).collect();
    let prepared = network.prepare_clip(&frames).expect("eight small frames");
    let once = network.embed(&prepared.iter().collect::<Vec<_>>());
    let once = once.expect("eight frames");
    assert_eq!(once.dims(), [1, 1024]);
    let reversed = network.embed(&prepared.iter().rev().collect::<Vec<_>>());
    let apart = values(once - reversed.expect("eight frames"));
    assert!(
        apart.iter().any(|value| value.abs() > 1e-3),
        "time has a direction"
    );
}

#[test]
fn clips_of_another_size_are_refused() {
    let weights = seeded("r3d-18");
    let config = ClipConfig::R3D_18.of_size(16, SMALL);
    let network = ClipBackbone::of_size(config, &weights, &OpenedDevice::cpu());
    let network = network.expect("canonical");
    let black = |side: u32| {
        let pixels = vec![0; side as usize * side as usize * 3];
        Frame::from_rgb(side, side, pixels).expect("a full picture")
    };
    let refusal = |frames: &[Frame]| {
        let prepared = network.prepare_clip(frames);
        prepared.expect_err("no clip").to_string()
    };
    assert_eq!(
        refusal(&vec![black(SMALL); 15]),
        "clip has 15 frames, `r3d-18` looks at 16 at a time"
    );
    let mut frames = vec![black(SMALL); 16];
    frames[3] = black(180);
    assert_eq!(
        refusal(&frames),
        "frame 3 of the clip has 180 x 180 pixels, `r3d-18` expects 32 x 32"
    );
    let frame = network.prepare(&black(180));
    let error = network.embed(&[&frame; 15]).expect_err("no clip");
    assert_eq!(
        error.to_string(),
        "clip has 15 frames, `r3d-18` looks at 16 at a time"
    );
}

#[test]
fn other_weights_are_refused() {
    let load = |weights: &Weights| {
        let loaded = ClipBackbone::load(weights, &OpenedDevice::cpu());
        loaded.expect_err("must be refused").to_string()
    };
    let mut weights = Weights::default();
    weights.metadata.architecture = "resnet50".to_owned();
    assert_eq!(
        load(&weights),
        "weights are for architecture `resnet50`, expected `r3d-18`, `r2plus1d-18`, `s3d`, `slowfast-r50`, `videomae-small`, `videomae-crime`, `swin3d-t`"
    );
    weights.metadata.architecture = "s3d".to_owned();
    weights.metadata.input_side = Some(180);
    assert!(load(&weights).ends_with("input side is 180, expected 224 pixels"));
    weights.metadata.input_side = Some(224);
    let classes = weights.insert("classifier.weight", vec![400, 1024], vec![0.0; 400 * 1024]);
    classes.expect("as many values");
    let message = load(&weights);
    assert!(
        message.ends_with(
            "`classifier.weight` gives classes, expected the layers of s3d that give features alone"
        ),
        "{message}"
    );

    let published = |change: &dyn Fn(&mut Weights)| {
        let mut weights = state_dict(&golden("s3d").shapes);
        change(&mut weights);
        canonical("s3d", weights)
    };
    let whole = published(&|_| ()).expect("torchvision's layout");
    let alone = published(&|weights| {
        for part in ["weight", "bias"] {
            weights.remove(&format!("classifier.1.{part}"));
        }
    });
    assert!(
        alone.expect("features alone") == whole,
        "classes are left out"
    );
    let refusal = |change: &dyn Fn(&mut Weights)| published(change).expect_err("must be refused");
    let missing = refusal(&|weights| _ = weights.remove("features.5.branch3.1.0.weight"));
    assert!(
        missing.starts_with("weight `features.5.branch3.1.0.weight` is missing"),
        "{missing}"
    );
    let unknown = refusal(&|weights| {
        let inserted = weights.insert("fc.bias", vec![1], vec![0.0]);
        inserted.expect("one value");
    });
    assert_eq!(unknown, "weight `fc.bias` does not belong to s3d");
    let graph = PublishedWeights::Graph {
        named: Weights::default(),
        convolutions: vec![],
        operations: vec![],
        classifier: None,
    };
    let error = canonical_weights("s3d", &graph);
    assert_eq!(
        error.expect_err("a graph").to_string(),
        "published file is malformed: `s3d` is read from a state dict, the file is a graph (ONNX)"
    );
}

/// Both pathways and what joins them are named where they are not as published.
#[test]
fn malformed_pathways_are_refused() {
    let name = "slowfast-r50";
    let whole = state_dict(&golden(name).shapes);
    let refusal = |change: &dyn Fn(&mut Weights)| {
        let mut weights = whole.clone();
        change(&mut weights);
        canonical(name, weights).expect_err("must be refused")
    };
    let lateral = "blocks.2.multipathway_fusion";
    let missing = refusal(&|weights| {
        weights.remove(&format!("{lateral}.norm.running_var"));
    });
    assert!(
        missing.starts_with(&format!("weight `{lateral}.norm.running_var` is missing")),
        "{missing}"
    );
    let insert = |weights: &mut Weights, name: &str, shape: &[usize]| {
        let values = vec![0.0; shape.iter().product()];
        let inserted = weights.insert(name, shape.to_vec(), values);
        inserted.expect("as many values");
    };
    // That of SlowFast-R101.
    let lateral = format!("{lateral}.conv_fast_to_slow.weight");
    let misshapen = refusal(&|weights| insert(weights, &lateral, &[128, 64, 5, 1, 1]));
    assert_eq!(
        misshapen,
        format!("weight `{lateral}` has shape [128, 64, 5, 1, 1], expected [128, 64, 7, 1, 1]")
    );
    let unknown = refusal(&|weights| insert(weights, "blocks.5.pool.weight", &[1]));
    assert_eq!(
        unknown,
        "weight `blocks.5.pool.weight` does not belong to slowfast-r50"
    );
    let mut alone = whole.clone();
    for part in ["weight", "bias"] {
        alone.remove(&format!("blocks.6.proj.{part}"));
    }
    assert!(
        canonical(name, alone) == canonical(name, whole),
        "classes are left out"
    );
}
