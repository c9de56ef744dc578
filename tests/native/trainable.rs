//! Backbones to be trained against PyTorch and against their folded form.

use std::collections::BTreeMap;

use affectlens::backbone::{Backbone, TrainableBackbone, canonical_weights};
use affectlens::device::OpenedDevice;
use affectlens::weights::{PublishedWeights, Weights, WeightsError};
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use serde::Deserialize;

use crate::backbones::{RELATIVE, assert_close, channels_last, golden, seeded_faces, values};
use crate::clips::{clips, some};
use crate::seeded::{golden_file, shapes_in, state_dict, uniform};

const NETWORKS: [&str; 3] = ["convnext-tiny", "efficientnet-b0", "resnet18"];
/// Small, so that a training step takes a moment; every stage still has pixels.
const SIDE: usize = 64;

/// Of gradients: sums over two pictures' pixels and back through all layers.
const RELATIVE_GRADIENT: f32 = 1e-3;
/// The same of half of the parameters.
const MEDIAN_GRADIENT: f32 = 1e-2;
/// What counts as no gradient, relative to the largest: a bias before a batch norm has none but for rounding.
const NO_GRADIENT: f32 = 1e-5;

/// What `tests/goldens/backbones.py` or `clips.py` wrote of a training step.
#[derive(Deserialize)]
struct Training {
    embedding: Vec<Vec<f32>>,
    statistics: BTreeMap<String, Vec<f32>>,
    gradients: Expected,
}

/// Of each parameter the norm of its gradient, and its product with seeded numbers.
pub(crate) type Expected = BTreeMap<String, [f32; 2]>;

fn loaded(name: &str, device: &Device) -> TrainableBackbone {
    let published = state_dict(&golden(name).shapes);
    TrainableBackbone::load(name, &published, device).expect("the published layout")
}

/// The folded network of what the trained one has become.
fn folded(network: &TrainableBackbone, frames: Tensor<4>) -> Vec<f32> {
    let published = PublishedWeights::Named(network.to_weights());
    let weights = canonical_weights(network.facts().name, &published).expect("published names");
    let device = OpenedDevice::cpu();
    let backbone = Backbone::load(&weights, &device).expect("canonical");
    values(backbone.forward(channels_last(frames, &device)).embedding)
}

#[test]
fn without_gradients_it_is_the_published_network() {
    for name in NETWORKS {
        let network = loaded(name, &Device::flex());
        let side = network.facts().input_side as usize;
        let frames = seeded_faces(1, side, &Device::flex());
        let embedding = values(network.forward(frames));
        assert_close(&embedding, &golden(name).embedding, RELATIVE);
    }
}

/// Gradients by parameter.
struct Gradient<'a> {
    gradients: &'a Gradients,
    found: BTreeMap<ParamId, Vec<f32>>,
}

impl ModuleVisitor for Gradient<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = parameter.val().grad(self.gradients) {
            let values = gradient.into_data().try_into_vec().expect("f32");
            self.found.insert(parameter.id, values);
        }
    }
}

/// The gradient of each parameter after a pass over pictures or clips, and their embeddings.
pub(crate) fn training_pass(
    network: &TrainableBackbone,
    pictures: Tensor<4>,
) -> (BTreeMap<ParamId, Vec<f32>>, Vec<f32>) {
    let device = pictures.device();
    let embedding = network.forward(pictures);
    let wanted = uniform("wanted", embedding.dims().iter().product());
    let wanted = Tensor::from_data(TensorData::new(wanted, embedding.dims()), &device);
    let loss = (embedding.clone() * wanted).sum();
    let mut gradient = Gradient {
        gradients: &loss.backward(),
        found: BTreeMap::new(),
    };
    network.visit(&mut gradient);
    (gradient.found, values(embedding))
}

/// Compares the gradients of a pass, and what batch norms remember of it; gives the embeddings, and the expected ones.
fn compare_training_pass(
    golden: &str,
    network: &TrainableBackbone,
    pictures: Tensor<4>,
    relative: f32,
) -> [Vec<f32>; 2] {
    let text = std::fs::read_to_string(golden_file(&format!("{golden}-training.json")));
    let expected: Training = serde_json::from_str(&text.expect("committed")).expect("generated");
    let (gradients, embedding) = training_pass(network, pictures);
    let weights = network.to_weights();
    for (name, statistic) in &expected.statistics {
        assert_close(
            &weights.get(name).expect("kept").values,
            statistic,
            RELATIVE,
        );
    }
    assert_gradients(network, &gradients, &expected.gradients, relative);
    [embedding, expected.embedding.concat()]
}

/// Compares the gradient of each parameter, and half of them more closely.
#[track_caller]
pub(crate) fn assert_gradients(
    network: &TrainableBackbone,
    gradients: &BTreeMap<ParamId, Vec<f32>>,
    expected: &Expected,
    relative: f32,
) {
    let name = network.facts().name;
    let largest = expected
        .values()
        .fold(0.0_f32, |largest, [norm, _]| largest.max(*norm));
    let parameters = network.parameters();
    // All but the classifier's two.
    assert_eq!(parameters.len(), expected.len());
    let mut apart = Vec::new();
    for (parameter, id) in parameters {
        let gradient = gradients[&id].iter().map(|value| f64::from(*value));
        let norm = gradient
            .clone()
            .map(|value| value * value)
            .sum::<f64>()
            .sqrt() as f32;
        let seeded = uniform(&format!("gradient {parameter}"), gradient.len());
        let product = gradient
            .zip(seeded)
            .map(|(value, seeded)| value * f64::from(seeded));
        let product = product.sum::<f64>() as f32;
        let [expected_norm, expected_product] = expected[&parameter];
        let distance = (norm - expected_norm)
            .abs()
            .max((product - expected_product).abs());
        let distance = (distance - NO_GRADIENT * largest) / expected_norm;
        assert!(
            distance < relative,
            "{name}: {parameter} has gradient {norm}, {product}; expected {expected_norm}, {expected_product}"
        );
        apart.push(distance);
    }
    apart.sort_by(f32::total_cmp);
    let median = apart[apart.len() / 2];
    assert!(median < MEDIAN_GRADIENT, "{name}: {median}");
}

#[test]
fn a_training_pass_equals_pytorch() {
    let device = Device::flex().autodiff();
    for name in NETWORKS {
        let network = loaded(name, &device);
        let golden = format!("backbones/{name}");
        let frames = seeded_faces(2, SIDE, &device);
        let [embedding, expected] =
            compare_training_pass(&golden, &network, frames, RELATIVE_GRADIENT);
        assert_close(&embedding, &expected, RELATIVE);
    }
}

#[test]
fn a_training_pass_over_clips_equals_pytorch() {
    let device = Device::flex().autodiff();
    // Rounding moves values over the bends of activations and pools, and the last batch norms of small clips have few: with
    // weights that differ by 3e-7 of themselves, or with 64 bits, PyTorch's own gradients change by half of the second number
    // at most, its features by a fifth of the first.
    for (name, moments, relative, relative_gradient) in [
        ("r3d-18", 2, RELATIVE, 5e-3),
        ("r2plus1d-18", 2, RELATIVE, 5e-2),
        ("s3d", 2, 1.1e-2, 0.11),
        ("slowfast-r50", 16, 1e-3, 5.6e-2),
    ] {
        let published = state_dict(&shapes_in("clips", name));
        let network = TrainableBackbone::load(name, &published, &device);
        let network = network.expect("the published layout");
        let golden = format!("clips/{name}");
        let clips = clips(2, 16, 32, &device);
        let [features, expected] =
            compare_training_pass(&golden, &network, clips, relative_gradient);
        // Of each clip.
        let features = features.chunks_exact(features.len() / 2);
        let features: Vec<f32> = features.flat_map(|clip| some(moments, clip)).collect();
        assert_close(&features, &expected, relative);
    }
}

#[test]
fn gradients_reach_every_named_parameter() {
    let device = Device::flex().autodiff();
    let network = TrainableBackbone::init("convnext-test", 5, &device).expect("a network");
    let (gradients, _) = training_pass(&network, seeded_faces(2, SIDE, &device));
    let parameters = network.parameters();
    for (name, id) in &parameters {
        let gradient = gradients
            .get(id)
            .unwrap_or_else(|| panic!("{name} has none"));
        assert!(gradient.iter().any(|value| *value != 0.0), "{name}");
    }
    assert_eq!(gradients.len(), parameters.len());
}

/// After a pass that moved the running statistics.
#[test]
fn what_was_trained_is_folded_for_inference() {
    let device = Device::flex().autodiff();
    let tiny = TrainableBackbone::init("convnext-test", 5, &device).expect("a network");
    for network in [loaded("resnet18", &device), tiny] {
        let side = network.facts().input_side as usize;
        let frames = seeded_faces(2, side, &Device::flex());
        network.forward(seeded_faces(2, side, &device));
        let embedding = values(network.valid().forward(frames.clone()));
        assert_close(&folded(&network, frames), &embedding, RELATIVE);
        let name = network.facts().name;
        let weights = network.to_weights();
        let again = TrainableBackbone::load(name, &weights, &device).expect("its own names");
        // Not `assert_eq!`, which would print millions of numbers.
        assert!(again.to_weights() == weights, "{name}");
        assert_eq!(again.parameters().len(), network.parameters().len());
    }
}

#[test]
fn the_same_seed_gives_the_same_network() {
    let weights = |seed| {
        let network = TrainableBackbone::init("convnext-test", seed, &Device::flex());
        network.expect("a network").to_weights()
    };
    assert!(weights(5) == weights(5));
    assert!(weights(5) != weights(6));
}

#[test]
fn other_networks_and_layouts_are_refused() {
    let refusal = |name: &str, weights: &Weights| {
        let loaded: Result<_, WeightsError> =
            TrainableBackbone::load(name, weights, &Device::flex());
        loaded.expect_err("must be refused").to_string()
    };
    assert_eq!(
        refusal("emotieffnet-b0", &Weights::default()),
        "weights are for architecture `emotieffnet-b0`, expected `convnext-tiny`, `convnext-tiny-multiscale`, `efficientnet-b0`, `efficientnet-b0-multiscale`, `efficientnet-lite0`, `resnet18`, `resnet50`, `r3d-18`, `r2plus1d-18`, `s3d`, `slowfast-r50`, `videomae-small`, `videomae-crime`, `swin3d-t`"
    );
    let mut weights = state_dict(&golden("resnet18").shapes);
    weights
        .insert("age.bias", vec![1], vec![0.0])
        .expect("one value");
    assert_eq!(
        refusal("resnet18", &weights),
        "weight `age.bias` does not belong to resnet18"
    );
    weights.remove("layer1.0.bn1.running_var");
    assert!(
        refusal("resnet18", &weights).starts_with("weight `layer1.0.bn1.running_var` is missing")
    );
    weights
        .insert("conv1.weight", vec![64], vec![0.0; 64])
        .expect("counted");
    assert_eq!(
        refusal("resnet18", &weights),
        "weight `conv1.weight` has shape [64], expected [64, 3, 7, 7]"
    );
}
