//! wav2vec 2.0 against transformers, with seeded weights.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use affectlens::audio::{Wav2Vec2, Wav2Vec2Config, vectors_of};
use affectlens::backbone::canonical_weights;
use affectlens::device::{self, DeviceChoice, KernelForm, OpenedDevice};
use affectlens::weights::{PublishedWeights, Weights};
use serde::Deserialize;

use crate::seeded::{Shapes, golden_file, parameter, uniform};

/// Relative to the largest output: f32 sums in another order over 20 layers.
const RELATIVE: f32 = 1e-4;

/// What `tests/goldens/wav2vec2.py` wrote.
#[derive(Deserialize)]
struct Golden {
    shapes: Shapes,
    outputs: BTreeMap<usize, Output>,
}

#[derive(Deserialize)]
struct Output {
    vectors: usize,
    /// From one committed value to the next.
    step: usize,
    values: Vec<f32>,
}

fn golden() -> Golden {
    let text = std::fs::read_to_string(golden_file("wav2vec2.json")).expect("committed");
    serde_json::from_str(&text).expect("generated")
}

/// `parameter` of the generator script.
fn speech_parameter(name: &str, shape: &[usize]) -> Vec<f32> {
    if !name.ends_with("weight.original0") {
        return parameter(name, shape);
    }
    let mut values = uniform(name, shape.iter().product());
    values
        .iter_mut()
        .for_each(|value| *value = 3.0 + 0.75 * *value);
    values
}

/// Canonical weights of the seeded checkpoint.
fn seeded(shapes: &Shapes) -> Weights {
    let mut weights = Weights::default();
    for (name, shape) in shapes {
        let values = speech_parameter(name, shape);
        weights
            .insert(name, shape.clone(), values)
            .expect("as many values");
    }
    let published = PublishedWeights::Named(weights);
    canonical_weights("wav2vec2-base", &published).expect("the published layout")
}

/// `sound` of the generator script.
fn sound(length: usize) -> Vec<f32> {
    let noise = uniform("sound", length);
    let samples: Vec<f64> = noise
        .iter()
        .enumerate()
        .map(|(index, noise)| {
            let t = index as f64 / 16_000.0;
            let tones = (2.0 * PI * 220.0 * t).sin() + 0.5 * (2.0 * PI * 1_730.0 * t).sin();
            tones + 0.3 * f64::from(*noise)
        })
        .collect();
    let count = length as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let squares = samples.iter().map(|sample| (sample - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count + 1e-7).sqrt();
    let normal = samples.iter().map(|sample| (sample - mean) / deviation);
    normal.map(|sample| sample as f32).collect()
}

/// A small network's weights by their canonical names.
fn small() -> Weights {
    let config = Wav2Vec2Config::TEST;
    let mut weights = Weights::default();
    weights.metadata.architecture = config.name.to_owned();
    for it in config.parameters() {
        let values = parameter(&it.name, &it.shape);
        weights
            .insert(it.name, it.shape, values)
            .expect("as many values");
    }
    weights
}

#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn blocks_of_any_length_equal_the_cpu_on_a_gpu() {
    let gpu = pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan adapter");
    let gpu = OpenedDevice {
        kernels: KernelForm::default(),
        ..gpu
    };
    let load = |device| Wav2Vec2::load(small(), device).expect("canonical");
    let (mut ours, mut theirs) = (load(&gpu), load(&OpenedDevice::cpu()));
    for samples in [400, 40_000, 720] {
        let sound = sound(samples);
        let got = pollster::block_on(ours.embed(&sound)).expect("long enough");
        let expected = pollster::block_on(theirs.embed(&sound)).expect("long enough");
        assert_close(&got, &expected, &format!("{samples} samples"));
    }
}

#[track_caller]
fn assert_close<'a>(got: impl IntoIterator<Item = &'a f32>, expected: &[f32], what: &str) {
    let scale = expected.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
    let apart = got.into_iter().zip(expected).map(|(a, b)| (a - b).abs());
    let worst = apart.fold(0.0, f32::max) / scale;
    println!("{what}: {worst:.1e} of {scale}");
    assert!(worst <= RELATIVE, "{what}: {worst:e}");
}

#[test]
fn wav2vec2_agrees_with_transformers() {
    let Golden { shapes, outputs } = golden();
    let mut network = Wav2Vec2::load(seeded(&shapes), &OpenedDevice::cpu()).expect("canonical");
    assert_eq!(*network.config(), Wav2Vec2Config::BASE);
    for (samples, expected) in outputs {
        let vectors = pollster::block_on(network.embed(&sound(samples))).expect("long enough");
        assert_eq!(vectors_of(samples), expected.vectors);
        assert_eq!(vectors.len(), expected.vectors * 768);
        let got = vectors.iter().step_by(expected.step);
        assert_eq!(got.len(), expected.values.len());
        assert_close(got, &expected.values, &format!("{samples} samples"));
    }
}
