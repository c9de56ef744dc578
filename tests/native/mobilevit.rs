//! MobileViT against timm, with seeded weights.

use std::collections::BTreeMap;

use affectlens::backbone::{
    self, Architecture, Backbone, MobileVitConfig, PlainNetwork, canonical_weights,
};
use affectlens::device::{self, DeviceChoice, KernelForm, OpenedDevice};
use affectlens::kernel::{Network, Plan, read_back};
use affectlens::label::AFFECTNET_8;
use affectlens::weights::{OnnxGraph, PublishedWeights, Weights, read_onnx};
use burn::tensor::{Device, Tensor};
use prost::Message;
use serde::Deserialize;

use crate::backbones::{Model, RELATIVE, assert_close, channels_last, fold, seeded_faces, values};
use crate::seeded::{Shapes, golden_file, parameter, seeded, state_dict};

/// With 16-bit floats in memory.
const RELATIVE_HALF: f32 = 2e-2;
/// Added to the variance by batch norms.
const EPSILON: f64 = 1e-5;

/// What `tests/goldens/mobilevit.py` wrote.
#[derive(Deserialize)]
struct Golden {
    /// Of the picture, pixels.
    side: usize,
    shapes: Shapes,
    /// ONNX initializer -> published parameter.
    layers: BTreeMap<String, String>,
    embedding: Vec<f32>,
    logits: Vec<f32>,
}

fn golden(name: &str) -> Golden {
    let file = golden_file(&format!("backbones/{name}.json"));
    let text = std::fs::read_to_string(file).expect("committed");
    serde_json::from_str(&text).expect("generated")
}

/// Embedding and outputs of the folded form for the golden's picture, whose side is not that of the network's facts.
fn folded(weights: &Weights, side: usize, device: &OpenedDevice) -> Vec<Vec<f32>> {
    let mut planner = Plan::of_input(side, side, 3);
    let input = planner.input();
    let (embedding, outputs) = backbone::plan(weights, &mut planner, input).expect("canonical");
    let plan = planner.finish(&[embedding, outputs.expect("ten outputs")]);
    let network = Network::new(&plan, device);
    let faces = channels_last(seeded_faces(1, side, &Device::flex()), device);
    let output = pollster::block_on(read_back(vec![network.forward(faces)]));
    let output = output.expect("the kernels run").remove(0);
    let (embedding, outputs) = output.split_at(output.len() - 10);
    vec![embedding.to_vec(), outputs.to_vec()]
}

#[track_caller]
fn assert_golden(config: MobileVitConfig, device: &OpenedDevice, tolerance: f32) {
    let golden = golden(config.name);
    let got = folded(&seeded(config.name), golden.side, device);
    assert_eq!(got[0].len(), config.features);
    assert_close(&got[0], &golden.embedding, tolerance);
    assert_close(&got[1], &golden.logits, tolerance);
}

#[test]
fn the_folded_form_equals_timm() {
    for config in [
        MobileVitConfig::S,
        MobileVitConfig::XS,
        MobileVitConfig::XXS,
    ] {
        assert_golden(config, &OpenedDevice::cpu(), RELATIVE);
    }
}

#[test]
fn the_plain_form_equals_timm() {
    for config in [MobileVitConfig::XS, MobileVitConfig::XXS] {
        let golden = golden(config.name);
        let device = Device::flex();
        let architecture = Architecture::MobileVit(config);
        let network = PlainNetwork::load(architecture, &seeded(config.name), &device);
        let network = network.expect("canonical");
        let mut outputs = network.forward(seeded_faces(1, golden.side, &device));
        let logits = outputs.pop().expect("ten outputs");
        let embedding = outputs.pop().expect("an embedding");
        assert_close(&values(embedding), &golden.embedding, RELATIVE);
        assert_close(&values(logits), &golden.logits, RELATIVE);
    }
}

/// The number of a picture's outputs says what they are: eight logits, valence and arousal.
#[test]
fn a_multi_task_checkpoint_embeds_and_classifies() {
    let config = MobileVitConfig::XXS;
    let device = OpenedDevice::cpu();
    let network = Backbone::load(seeded(config.name), &device).expect("canonical");
    assert_eq!(network.classes(), AFFECTNET_8);
    assert!(network.outputs().valence_arousal);
    assert_eq!(network.facts().input_side, 224);
    // Noise is alike once it is averaged; a face of other contrast is not.
    let [weak, strong] = [1.0, 4.0].map(|contrast| seeded_faces(1, 224, &device.device) * contrast);
    let faces = channels_last(Tensor::cat(vec![weak, strong], 0), &device);
    let both = values(network.forward(faces.clone()).embedding);
    let singles = faces.split(1, 0).into_iter();
    let singles = singles.flat_map(|face| values(network.forward(face).embedding));
    assert_close(&both, &singles.collect::<Vec<_>>(), RELATIVE);
    assert_eq!(both.len(), 2 * config.features);
}

/// Shape guards: a parameter more or less is another network. Batch norms count two numbers a channel.
#[test]
fn published_layouts_have_the_published_parameter_counts() {
    for (name, expected) in [
        ("mobilevit-s", 4_937_632),
        ("mobilevit-xs", 1_932_848),
        ("mobilevit-xxs", 951_024),
    ] {
        let shapes = golden(name).shapes;
        let parameters = shapes
            .iter()
            .filter(|(name, _)| !name.contains("running_") && !name.starts_with("head."));
        let count: usize = parameters
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        assert_eq!(count, expected, "{name}");
    }
}

/// The published parameter `name` as the exporter writes it.
fn exported(golden: &Golden, name: &str) -> Vec<f32> {
    let (layer, part) = name.rsplit_once('.').expect("layer.kind");
    if let Some(unit) = layer.strip_suffix(".conv") {
        return fold(&golden.shapes, name, &format!("{unit}.bn"), EPSILON);
    }
    let shape = &golden.shapes[name];
    let values = parameter(name, shape);
    match shape.as_slice() {
        [_, inputs] if layer != "head.fc" && part == "weight" => (0..*inputs)
            .flat_map(|input| values.iter().skip(input).step_by(*inputs).copied())
            .collect(),
        _ => values,
    }
}

/// The exported file of XXS, complete again.
fn onnx_graph(golden: &Golden) -> OnnxGraph {
    let stripped = std::fs::read(golden_file("backbones/mobilevit-xxs.onnx")).expect("committed");
    let mut model = Model::decode(stripped.as_slice()).expect("exported");
    for tensor in &mut model.graph.as_mut().expect("has a graph").initializers {
        let values = exported(golden, &golden.layers[&tensor.name]);
        tensor.raw_data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
    }
    read_onnx(&model.encode_to_vec()).expect("EmotiEffLib's layout")
}

#[test]
fn onnx_layout_gives_the_weights_of_the_state_dict() {
    let golden = golden("mobilevit-xxs");
    let graph = onnx_graph(&golden);
    let from_graph = canonical_weights("mobilevit-xxs", &graph.clone().into());
    let from_graph = from_graph.expect("EmotiEffLib's layout");
    let from_names = seeded("mobilevit-xxs");
    assert_eq!(from_graph.len(), from_names.len());
    for (key, expected) in from_names.iter() {
        // Not `assert_eq!`, which would print thousands of numbers.
        assert!(from_graph.get(key) == Some(expected), "{key}");
    }
    assert_eq!(from_graph.metadata, from_names.metadata);
    let mut cut = graph.clone();
    cut.operations.retain(|it| it.constants.is_empty());
    let error = canonical_weights("mobilevit-xxs", &cut.into()).expect_err("no matrices");
    assert_eq!(
        error.to_string(),
        "graph file is malformed: no MatMul for stages.2.1.transformer.0.attn.qkv"
    );
    let mut unnamed = graph;
    unnamed.named.remove("stages.2.1.transformer.0.norm1.bias");
    let error = canonical_weights("mobilevit-xxs", &unnamed.into()).expect_err("no norm");
    let missing = "weight `stages.2.1.transformer.0.norm1.bias` is missing";
    assert!(error.to_string().starts_with(missing), "{error}");
}

#[test]
fn canonical_weights_that_do_not_fit_are_refused() {
    let refusal = |change: &dyn Fn(&mut Weights)| {
        let mut weights = seeded("mobilevit-xxs");
        change(&mut weights);
        let error = Backbone::load(&weights, &OpenedDevice::cpu()).expect_err("must be refused");
        error.to_string()
    };
    let insert = |weights: &mut Weights, name: &str, shape: &[usize]| {
        let values = vec![0.0; shape.iter().product()];
        let inserted = weights.insert(name, shape.to_vec(), values);
        inserted.expect("as many values");
    };
    let name = "stages.4.1.transformer.1.attn.proj.weight";
    assert!(
        refusal(&|weights| _ = weights.remove(name))
            .starts_with(&format!("weight `{name}` is missing"))
    );
    assert_eq!(
        refusal(&|weights| insert(weights, name, &[96, 96])),
        format!("weight `{name}` has shape [96, 96], expected [96, 96, 1, 1]")
    );
    assert_eq!(
        refusal(&|weights| insert(weights, "stages.2.1.transformer.2.norm1.bias", &[64])),
        "weight `stages.2.1.transformer.2.norm1.bias` does not belong to mobilevit-xxs"
    );
    assert_eq!(
        refusal(&|weights| weights.metadata.architecture = "mobilevit-m".to_owned()),
        format!(
            "weights are for architecture `mobilevit-m`, expected `{}`",
            backbone::NAMES.join("`, `")
        )
    );
    let published = PublishedWeights::Named(state_dict(&golden("mobilevit-xs").shapes));
    let error = canonical_weights("mobilevit-xxs", &published).expect_err("another width");
    assert_eq!(
        error.to_string(),
        "weights are for architecture `mobilevit-xs`, expected `mobilevit-xxs`"
    );
}

/// XS has heads of 30 channels; its last map and that of XXS are not whole patches.
#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn the_folded_form_equals_timm_on_a_gpu() {
    let gpu = pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan adapter");
    for config in [MobileVitConfig::XS, MobileVitConfig::XXS] {
        assert_golden(config, &gpu, RELATIVE);
    }
    let kernels = KernelForm {
        half: true,
        ..KernelForm::default()
    };
    let gpu = OpenedDevice { kernels, ..gpu };
    assert_golden(MobileVitConfig::XXS, &gpu, RELATIVE_HALF);
}
