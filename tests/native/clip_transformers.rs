//! Transformers over clips against transformers and torchvision, with seeded weights.

use std::collections::BTreeMap;

use affectlens::backbone::{Architecture, PlainNetwork, TrainableBackbone, canonical_weights};
use affectlens::clip::{ClipBackbone, ClipConfig, VideoMaeConfig};
use affectlens::device::{self, DeviceChoice, OpenedDevice};
use affectlens::frame::Frame;
use affectlens::weights::{Metadata, PublishedWeights, Weights};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use crate::backbones::{RELATIVE, assert_close};
use crate::clips::{clip, clips, features, values};
use crate::seeded::{Shapes, golden_file, state_dict};
use crate::trainable::{Expected, assert_gradients, training_pass};

const NAMES: [&str; 3] = ["videomae-small", "videomae-crime", "swin3d-t"];
/// Every so many features are in the goldens.
const STEP: usize = 7;
/// Of gradients: sums over a clip's pixels and back through all layers. Those of PyTorch differ from its own with 64 bits by a
/// tenth of it.
const RELATIVE_GRADIENT: f32 = 1e-4;
/// On a GPU: twelve layers of sums in another order.
const RELATIVE_GPU: f32 = 1e-4;

/// What `tests/goldens/clip_transformers.py` wrote.
#[derive(Deserialize)]
struct Golden {
    shapes: Shapes,
    config: Option<serde_json::Value>,
    /// By the size of the clip: its frames, and their side.
    features: BTreeMap<String, Vec<f32>>,
    gradients: Expected,
}

impl Golden {
    fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(golden_file(&format!("clips/{name}.json")));
        serde_json::from_str(&text.expect("committed")).expect("generated")
    }

    /// The seeded state dict, with its config.
    fn published(&self) -> Weights {
        let mut weights = state_dict(&self.shapes);
        let config = self.config.iter().map(ToString::to_string);
        let config = config.map(|json| ("config".to_owned(), json));
        weights.metadata.extra = config.collect();
        weights
    }

    /// Frames and side of each clip, and its features.
    fn clips(&self) -> impl Iterator<Item = (usize, u32, &[f32])> {
        self.features.iter().map(|(size, features)| {
            let (frames, side) = size.split_once('x').expect("frames and side");
            let size = (frames.parse(), side.parse());
            let (Ok(frames), Ok(side)) = size else {
                panic!("{size:?}")
            };
            (frames, side, features.as_slice())
        })
    }
}

fn canonical(name: &str, published: Weights) -> Result<Weights, String> {
    let converted = canonical_weights(name, &PublishedWeights::Named(published));
    converted.map_err(|error| error.to_string())
}

fn config(weights: &Weights) -> ClipConfig {
    let config = ClipConfig::of_metadata(&weights.metadata);
    config.expect("sizes").expect("a network over clips")
}

fn some(features: Vec<f32>) -> Vec<f32> {
    features.into_iter().step_by(STEP).collect()
}

fn compare_sizes(device: &OpenedDevice, relative: f32, sides: impl Fn(u32) -> bool) {
    for name in NAMES {
        let golden = Golden::read(name);
        let weights = canonical(name, golden.published()).expect("the published layout");
        for (frames, side, expected) in golden.clips().filter(|(_, side, _)| sides(*side)) {
            let config = config(&weights).of_size(frames, side);
            let network = ClipBackbone::of_size(config, &weights, device).expect("canonical");
            let clip = Tensor::from_data(clip(frames, side).into_data(), &device.device);
            let features = some(features(&network, clip));
            assert_close(&features, expected, relative);
        }
    }
}

#[test]
fn transformers_over_clips_equal_the_published_ones() {
    compare_sizes(&OpenedDevice::cpu(), RELATIVE, |side| side < 224);
}

#[test]
#[ignore = "takes seconds and a gigabyte: run cargo xtask test"]
fn transformers_over_clips_of_their_own_size_equal_the_published_ones() {
    compare_sizes(&OpenedDevice::cpu(), RELATIVE, |side| side == 224);
}

#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn transformers_over_clips_on_a_gpu_equal_the_published_ones() {
    let gpu = pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan adapter");
    compare_sizes(&gpu, RELATIVE_GPU, |side| side == 32);
}

#[test]
fn a_training_pass_over_clips_of_transformers_equals_pytorch() {
    let device = Device::flex().autodiff();
    for name in NAMES {
        let golden = Golden::read(name);
        let published = golden.published();
        let (frames, side, expected) = golden
            .clips()
            .find(|(frames, side, _)| (*frames, *side) == first_size(name))
            .expect("that of the gradients");
        let weights = canonical(name, published.clone()).expect("the published layout");
        let config = config(&weights).of_size(frames, side);
        let every_layer = match name {
            "swin3d-t" => config.of_stochastic_depth(0.0),
            _ => config,
        };
        let network = TrainableBackbone::of_clips(every_layer, &published, &device);
        let network = network.expect("the published layout");
        let clip = Tensor::from_data(clip(frames, side).into_data(), &device);
        let (gradients, features) = training_pass(&network, clip);
        assert_close(&some(features), expected, RELATIVE);
        assert_gradients(&network, &gradients, &golden.gradients, RELATIVE_GRADIENT);
        // What is written is what is read, and folded.
        let again = canonical(name, network.to_weights()).expect("published names");
        assert!(again == weights, "{name}");
        let plain = PlainNetwork::load(Architecture::Clip(config), &weights, &Device::flex());
        let clip = crate::clips::clip(frames, side);
        let plain = plain.expect("canonical").forward(clip).remove(0);
        assert_close(&some(values(plain)), expected, RELATIVE);
    }
}

/// Drawn anew in each training pass, and not at all without gradients.
#[test]
fn training_leaves_layers_of_swin_out_of_samples() {
    let config = ClipConfig::SWIN3D_TEST;
    let device = Device::flex().autodiff();
    let drawn = TrainableBackbone::init(config.name, 3, &device).expect("is known");
    let published = drawn.to_weights();
    let often = config.of_stochastic_depth(0.9);
    let drawn = TrainableBackbone::of_clips(often, &published, &device).expect("its own");
    let never = config.of_stochastic_depth(0.0);
    let whole = TrainableBackbone::of_clips(never, &published, &device).expect("its own");
    let clips = |device: &Device| clips(4, config.frames, config.side as usize, device);
    let pass = |network: &TrainableBackbone| values(network.forward(clips(&device)));
    let first = pass(&drawn);
    assert_ne!(pass(&drawn), first, "other layers");
    assert_ne!(pass(&whole), first);
    let infer = |network: TrainableBackbone| {
        let network = network.valid();
        values(network.forward(clips(&Device::flex())))
    };
    assert_eq!(infer(drawn), infer(whole.clone()));
    assert_close(&infer(whole.clone()), &pass(&whole), RELATIVE);
}

/// Size of the clips of the gradients.
fn first_size(name: &str) -> (usize, u32) {
    match name {
        "videomae-crime" => (8, 32),
        _ => (16, 32),
    }
}

#[test]
fn clips_of_other_sizes_are_refused_by_videomae() {
    let name = "videomae-small";
    let weights = canonical(name, Golden::read(name).published()).expect("the published layout");
    let config = ClipConfig::VIDEOMAE_SMALL.of_size(16, 32);
    let network = ClipBackbone::of_size(config, &weights, &OpenedDevice::cpu());
    let network = network.expect("canonical");
    assert_eq!(network.moments(), 8);
    let black = |side: u32| {
        let pixels = vec![0; side as usize * side as usize * 3];
        Frame::from_rgb(side, side, pixels).expect("a full picture")
    };
    let refusal = |frames: &[Frame]| {
        let prepared = network.prepare_clip(frames);
        prepared.expect_err("no clip").to_string()
    };
    assert_eq!(
        refusal(&vec![black(32); 15]),
        "clip has 15 frames, `videomae-small` looks at 16 at a time"
    );
    assert_eq!(
        refusal(&vec![black(64); 16]),
        "frame 0 of the clip has 64 x 64 pixels, `videomae-small` expects 32 x 32"
    );
    let mut weights = weights;
    weights.metadata.input_side = Some(180);
    let load = |weights: &Weights| {
        let loaded = ClipBackbone::load(weights, &OpenedDevice::cpu());
        loaded.expect_err("must be refused").to_string()
    };
    assert!(load(&weights).ends_with("input side is 180, expected 224 pixels"));
    weights.metadata.input_side = Some(224);
    let classes = weights.insert("classifier.weight", vec![5, 384], vec![0.0; 5 * 384]);
    classes.expect("as many values");
    assert!(load(&weights).ends_with(
        "`classifier.weight` gives classes, expected the layers of videomae-small that give features alone"
    ));
}

#[test]
fn every_layout_of_videomae_gives_the_same_weights() {
    let golden = Golden::read("videomae-small");
    let whole = golden.published();
    let expected = canonical("videomae-small", whole.clone()).expect("with a classifier");
    // `VideoMAEModel` alone, one with a classifier whose names have no prefix, and a violence detector's.
    let mut bare = Weights::default();
    let mut classifier = Weights::default();
    let mut detector = Weights::default();
    for (name, tensor) in whole.iter() {
        match name.strip_prefix("videomae.") {
            Some(name) => {
                bare.put(name.to_owned(), tensor.clone());
                classifier.put(name.to_owned(), tensor.clone());
                detector.put(format!("encoder.{name}"), tensor.clone());
            }
            None => classifier.put(name.to_owned(), tensor.clone()),
        }
    }
    let head = detector.insert("head.weight", vec![2, 384], vec![0.0; 768]);
    head.expect("as many values");
    assert!(bare.len() < classifier.len());
    for published in [bare.clone(), classifier, detector] {
        let got = canonical("videomae-small", published).expect("the published layout");
        assert!(got == expected);
    }
    let refusal = |change: &dyn Fn(&mut Weights)| {
        let mut weights = bare.clone();
        change(&mut weights);
        canonical("videomae-small", weights).expect_err("must be refused")
    };
    let missing = refusal(&|weights| {
        weights.remove("encoder.layer.3.attention.attention.q_bias");
    });
    assert!(
        missing.starts_with("weight `encoder.layer.3.attention.attention.q_bias` is missing"),
        "{missing}"
    );
    let insert = |weights: &mut Weights, name: &str, shape: &[usize]| {
        let values = vec![0.0; shape.iter().product()];
        let inserted = weights.insert(name, shape.to_vec(), values);
        inserted.expect("as many values");
    };
    // Of networks that end with a layer norm.
    let unknown = refusal(&|weights| insert(weights, "layernorm.weight", &[384]));
    assert_eq!(
        unknown,
        "weight `layernorm.weight` does not belong to videomae-small"
    );
    let misshapen = refusal(&|weights| {
        insert(
            weights,
            "encoder.layer.7.attention.output.dense.weight",
            &[384, 64],
        );
    });
    assert_eq!(
        misshapen,
        "weight `encoder.layer.7.attention.output.dense.weight` has shape [384, 64], expected [384, 384]"
    );
}

#[test]
fn sizes_of_videomae_crime_are_those_of_its_config() {
    let name = "videomae-crime";
    let golden = Golden::read(name);
    let weights = canonical(name, golden.published()).expect("the published layout");
    let network = ClipBackbone::load(&weights, &OpenedDevice::cpu()).expect("canonical");
    let ClipConfig { frames, side, .. } = *network.config();
    assert_eq!((frames, side, network.config().width()), (8, 32, 40));
    // Canonical weights know their sizes.
    let other = ClipConfig::VIDEOMAE_CRIME.of_sizes(VideoMaeConfig::SMALL);
    assert_eq!(other.width(), 384);

    let refusal = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut golden = Golden::read(name);
        golden.config.iter_mut().for_each(change);
        canonical(name, golden.published()).expect_err("must be refused")
    };
    for (key, value, got) in [
        ("hidden_size", 48, 40),
        ("num_hidden_layers", 3, 2),
        ("intermediate_size", 80, 72),
        ("patch_size", 16, 8),
        ("tubelet_size", 2, 4),
    ] {
        assert_eq!(
            refusal(&|config| config[key] = value.into()),
            format!(
                "weights file is malformed: weights are of a VideoMAE with `{key}` {got}, the config says {value} for videomae-crime"
            )
        );
    }
    assert_eq!(
        refusal(&|config| config["num_attention_heads"] = 3.into()),
        "VideoMAE config file is malformed: `num_attention_heads` is 3, expected a divisor of `hidden_size`, 40"
    );
    assert_eq!(
        refusal(&|config| config["use_mean_pooling"] = true.into()),
        "weight `layernorm.bias` does not belong to videomae-crime"
    );
    let mut published = golden.published();
    published.metadata = Metadata::default();
    assert!(
        canonical(name, published)
            .expect_err("which sizes?")
            .contains("has the sizes that its config says, and there is none")
    );
    let small = canonical("videomae-small", golden.published());
    assert_eq!(
        small.expect_err("another network"),
        "weights file is malformed: weights are of a VideoMAE with `hidden_size` 40, expected 384 for videomae-small"
    );
}

#[test]
fn other_layouts_are_refused_by_swin() {
    let name = "swin3d-t";
    let whole = Golden::read(name).published();
    let expected = canonical(name, whole.clone()).expect("torchvision's layout");
    let changed = |change: &dyn Fn(&mut Weights)| {
        let mut weights = whole.clone();
        change(&mut weights);
        canonical(name, weights)
    };
    let insert = |weights: &mut Weights, name: &str, shape: &[usize]| {
        let values = vec![0.0; shape.iter().product()];
        let inserted = weights.insert(name, shape.to_vec(), values);
        inserted.expect("as many values");
    };
    // Without classes, and with what torchvision computes from the size of windows.
    let alone = changed(&|weights| {
        for part in ["weight", "bias"] {
            weights.remove(&format!("head.{part}"));
        }
        let index = "features.4.3.attn.relative_position_index";
        insert(weights, index, &[392 * 392]);
    });
    assert!(alone.expect("the published layout") == expected);
    let table = "features.0.1.attn.relative_position_bias_table";
    let missing = changed(&|weights| _ = weights.remove(table)).expect_err("must be refused");
    assert!(
        missing.starts_with(&format!("weight `{table}` is missing")),
        "{missing}"
    );
    // That of windows of 16 frames.
    let misshapen = changed(&|weights| insert(weights, table, &[31 * 169, 3]));
    assert_eq!(
        misshapen.expect_err("must be refused"),
        format!("weight `{table}` has shape [5239, 3], expected [2535, 3]")
    );
    let unknown = changed(&|weights| insert(weights, "features.0.1.attn.scale", &[3]));
    assert_eq!(
        unknown.expect_err("must be refused"),
        "weight `features.0.1.attn.scale` does not belong to swin3d-t"
    );
    let mut weights = expected;
    let load = |weights: &Weights| {
        let loaded = ClipBackbone::load(weights, &OpenedDevice::cpu());
        loaded.expect_err("must be refused").to_string()
    };
    weights.metadata.input_side = Some(112);
    assert!(load(&weights).ends_with("input side is 112, expected 224 pixels"));
    weights.metadata.input_side = Some(224);
    insert(&mut weights, "classifier.weight", &[5, 768]);
    assert!(load(&weights).ends_with(
        "`classifier.weight` gives classes, expected the layers of swin3d-t that give features alone"
    ));
}
