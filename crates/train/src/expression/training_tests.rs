//! Training of backbone and classifiers, against PyTorch and as a whole.

use std::collections::HashMap;

use burn::{
    module::{Module as _, ModuleVisitor, Param, ParamId},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};

use super::{
    EndToEndRecipe, FaceScore, FaceSet, GreyPicture, LabelledFaces,
    faces::{EMBEDDING, GRADIENT_NORM, HIDDEN},
    network::{BatchPart, FaceBatch, FaceNetwork},
    picture::View,
    train_faces,
};
use crate::{
    TrainingEvent, UpdateRule,
    golden::{faces, interrupt},
    gradients::clip_by_norm,
    optimizer::ParameterOptimizer,
    seeded::{parameter, seeded, uniform},
    state,
};
use affectlens::{
    backbone::{Backbone, GreyBackbone},
    crop,
    device::OpenedDevice,
    frame::Frame,
    head::Mlp,
    label::Expression,
    weights::{Metadata, Precision, Weights},
};

/// f32 sums through 27 layers and their batch norms.
const TOLERANCE: f32 = 1e-4;
const SIDE: usize = 64;
/// Step size and decay of the generator.
const RATE: f64 = 1.2e-3;
const DECAY: f64 = 0.05;
/// Pictures and classes of both sets.
const SETS: [(usize, usize); 2] = [(4, 7), (2, 6)];

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// As the generator makes it.
fn pictures(device: &Device) -> Tensor<4> {
    let count = SETS.iter().map(|(count, _)| count).sum();
    let levels = uniform("pictures", count * SIDE * SIDE);
    let levels = levels.into_iter().map(|level| 128.0 * level).collect();
    tensor(levels, [count, 1, SIDE, SIDE], device)
}

fn head(place: usize, classes: usize, device: &Device) -> Mlp {
    let mut weights = Weights::new(Metadata {
        architecture: "mlp".to_owned(),
        ..Metadata::default()
    });
    for (key, shape) in [
        ("net.0", vec![HIDDEN, EMBEDDING]),
        ("net.2", vec![classes, HIDDEN]),
    ] {
        for (part, shape) in [("bias", shape[..1].to_vec()), ("weight", shape)] {
            let name = format!("{key}.{part}");
            let values = parameter(&format!("heads.{place}.{name}"), &shape);
            weights.insert(name, shape, values).expect("as many");
        }
    }
    Mlp::load(&weights, device).expect("its own names")
}

fn golden_network(device: &Device) -> FaceNetwork {
    let heads = SETS.iter().enumerate();
    FaceNetwork {
        encoder: GreyBackbone::restore(&seeded("faceres"), pictures(device), device)
            .expect("canonical"),
        heads: heads
            .map(|(place, (_, classes))| head(place, *classes, device))
            .collect(),
    }
}

fn golden_batch(device: &Device) -> FaceBatch {
    let class_weights = [vec![1.0; 7], vec![1.0, 1.5, 9.0, 1.25, 4.0, 2.0]];
    let sets = SETS.iter().zip(class_weights).enumerate();
    let parts = sets.map(|(place, (&(count, classes), class_weights))| {
        let target = |label: usize| {
            let mut target = vec![0.1 / classes as f32; classes];
            target[label % classes] += 0.9;
            target
        };
        let mut targets: Vec<Vec<f32>> = (0..count).map(target).collect();
        let first = targets[0].clone();
        for (value, other) in targets[1].iter_mut().zip(first) {
            *value = 0.7 * *value + 0.3 * other;
        }
        let dropout = [(EMBEDDING, 0.3_f32), (HIDDEN, 0.2)].map(|(width, rate)| {
            let drawn = uniform(&format!("dropout {place} {width}"), count * width);
            let keep = |it: f32| f32::from(u8::from(it >= 2.0 * rate - 1.0)) / (1.0 - rate);
            tensor(
                drawn.into_iter().map(keep).collect(),
                [count, width],
                device,
            )
        });
        BatchPart {
            targets: tensor(targets.concat(), [count, classes], device),
            dropout,
            class_weights: tensor(class_weights, [classes], device),
            weight: [1.0, 0.4][place],
        }
    });
    FaceBatch {
        pictures: pictures(device),
        parts: parts.collect(),
    }
}

#[track_caller]
fn assert_close(name: &str, got: impl Into<f64>, expected: impl Into<f64>, scale: f32) {
    let (got, expected) = (got.into(), expected.into());
    assert!(
        (got - expected).abs() <= f64::from(TOLERANCE * scale.max(1.0)),
        "{name}: {got}, expected {expected}"
    );
}

/// Gradients under the names of `state::parameters`.
fn flat_gradients(network: &FaceNetwork, gradients: &GradientsParams) -> Weights {
    struct Reader<'a> {
        gradients: &'a GradientsParams,
        names: HashMap<ParamId, String>,
        table: Weights,
    }

    impl ModuleVisitor for Reader<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
                let values = state::values(gradient);
                let name = self.names[&parameter.id].clone();
                let shape = vec![values.len()];
                self.table.insert(name, shape, values).expect("as many");
            }
        }
    }

    let names = state::parameters(network).into_iter();
    let mut reader = Reader {
        gradients,
        names: names.map(|(name, id)| (id, name)).collect(),
        table: Weights::default(),
    };
    network.visit(&mut reader);
    reader.table
}

#[test]
fn a_training_step_equals_pytorch() {
    let device = Device::flex().autodiff();
    let golden = faces();
    let network = golden_network(&device);
    let loss = network.loss(golden_batch(&device));
    assert_close(
        "loss",
        loss.clone().into_scalar::<f32>(),
        golden.losses[0],
        1.0,
    );
    let gradients = GradientsParams::from_grads(loss.backward(), &network);
    let gradients = clip_by_norm(&network, gradients, GRADIENT_NORM);
    assert!(golden.norm > GRADIENT_NORM, "gradients are scaled");
    let table = flat_gradients(&network, &gradients);
    assert_eq!(table.len(), golden.parameters.len());
    for (name, step) in &golden.parameters {
        let gradient = &table.get(name).unwrap_or_else(|| panic!("{name}")).values;
        let seeded = uniform(&format!("gradient {name}"), gradient.len());
        let sum = |values: &[f32]| -> f64 {
            let pairs = gradient.iter().zip(values);
            pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let got = [sum(gradient).sqrt(), sum(&seeded)];
        for (got, expected) in got.into_iter().zip(step.gradient) {
            assert_close(name, got, expected, GRADIENT_NORM);
        }
    }
    let parameters = state::parameters(&network);
    let mut optimizer = ParameterOptimizer::new(UpdateRule::AdamW, DECAY, &parameters, |_| 1.0);
    let network = optimizer.step(network, gradients, RATE, 0.0);
    let table = state::read(&network.valid());
    for (name, step) in &golden.parameters {
        let values = &table.get(name).expect("is trained").values;
        for (&place, expected) in step.places.iter().zip(&step.after) {
            assert_close(name, values[place], *expected, expected.abs());
        }
    }
    for (name, expected) in &golden.statistics {
        let values = &table.get(name).expect("is remembered").values;
        for (got, expected) in values.iter().zip(expected) {
            assert_close(name, *got, *expected, expected.abs());
        }
    }
    let loss = network.loss(golden_batch(&device));
    assert_close(
        "second loss",
        loss.into_scalar::<f32>(),
        golden.losses[1],
        1.0,
    );
}

/// Before the first step, and for colours of one luminance.
#[test]
fn restored_and_folded_again_it_is_the_network_that_it_was() {
    let device = Device::flex();
    let weights = seeded("faceres");
    let network = GreyBackbone::restore(&weights, pictures(&device), &device);
    let network = network.expect("canonical");
    let written = network.to_weights(64);
    assert_eq!(written.metadata.input_side, Some(64));
    let file = written.to_safetensors(Precision::Single).expect("finite");
    let backbone = Weights::from_safetensors(&file).expect("own file");
    let backbone = Backbone::load(&backbone, &OpenedDevice::cpu()).expect("faceres");
    let level = |place: usize| [u8::try_from(place * 37 % 251).expect("a level"); 3];
    let picture = |pixel: &dyn Fn(usize) -> [u8; 3]| {
        let pixels = (0..SIDE * SIDE).flat_map(pixel).collect();
        Frame::from_rgb(64, 64, pixels).expect("whole pixels")
    };
    let grey = picture(&level);
    let normalisation = backbone.facts().normalisation;
    let embed = |frame: &Frame| {
        let batch = crop::batch(std::slice::from_ref(frame), &normalisation, &device).expect("one");
        state::values(backbone.forward(batch).embedding)
    };
    let embedding = embed(&grey);
    let levels = View::PLAIN.apply(&GreyPicture::new(&grey, 64), SIDE);
    let levels = levels.iter().map(|it| it - GreyBackbone::mean()).collect();
    let plain = network.forward(tensor(levels, [1, 1, SIDE, SIDE], &device));
    let largest = embedding.iter().fold(0.0_f32, |most, it| most.max(*it));
    for (got, expected) in state::values(plain).iter().zip(&embedding) {
        assert_close("embedding", *got, *expected, 10.0 * largest);
    }
    // As light as 76 of grey, but for rounding.
    let red = embed(&picture(&|_| [255, 0, 0]));
    let dark = embed(&picture(&|_| [76; 3]));
    let far = embed(&picture(&|_| [255; 3]));
    let distance = |other: &[f32]| -> f32 {
        let pairs = red.iter().zip(other);
        pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    };
    assert!(distance(&dark) < 0.02 * distance(&far));
}

/// Each class is light on a side of its own; the further set has two of them.
fn sets() -> [FaceSet; 2] {
    let picture = |label: usize, number: usize| {
        let pixel = |place: usize| {
            let (x, y) = (place % 40, place / 40);
            let is_marked = match label {
                0 => y < 12,
                1 => y > 28,
                _ => x < 12,
            };
            let level = 60 + 9 * number + place % 7 + if is_marked { 120 } else { 0 };
            [u8::try_from(level).expect("a level"); 3]
        };
        let frame = Frame::from_rgb(40, 40, (0..1600).flat_map(pixel).collect());
        GreyPicture::new(&frame.expect("whole pixels"), 40)
    };
    let faces = |classes: usize, count: usize| LabelledFaces {
        pictures: (0..count)
            .map(|it| picture(it % classes, it / classes))
            .collect(),
        labels: (0..count).map(|it| it % classes).collect(),
    };
    let all = [Expression::Happiness, Expression::Sadness, Expression::Fear];
    [(3, 16), (2, 6)].map(|(classes, count)| FaceSet {
        classes: all[..classes].to_vec(),
        training: faces(classes, count),
        validation: faces(classes, 2 * classes),
    })
}

fn recipe() -> EndToEndRecipe {
    EndToEndRecipe {
        side: 32,
        epochs: 3,
        batch: 8,
        further_batch: 4,
        seed: 3,
        ..EndToEndRecipe::default()
    }
}

#[test]
fn loss_falls_and_an_interrupted_run_ends_as_if_it_had_not_been() {
    let device = Device::flex().autodiff();
    let (sets, start) = (sets(), seeded("faceres"));
    let ([whole, resumed], more) = interrupt(2, |checkpoint, on_epoch| {
        let mut losses = Vec::new();
        let on_event = |event: TrainingEvent<'_, FaceScore>| {
            if let TrainingEvent::Epoch(epoch) = event {
                losses.push(epoch.loss);
                on_epoch();
            }
        };
        let trained = train_faces(&start, &sets, &recipe(), &device, checkpoint, on_event);
        (trained.expect("valid data"), losses)
    });
    let ((whole, losses), (resumed, rest)) = (whole, resumed);
    assert!(losses[2] < losses[0], "{losses:?}");
    assert_eq!((more, rest.as_slice()), (1, &losses[2..]));
    assert!(whole.backbone == resumed.backbone, "other parameters");
    assert_eq!(whole.heads, resumed.heads);
    assert_eq!(whole.backbone.metadata.input_side, Some(32));
    Backbone::load(&whole.backbone, &OpenedDevice::cpu()).expect("faceres");
    let classes = whole.heads.iter().map(|head| head.report.classes.len());
    assert_eq!(classes.collect::<Vec<_>>(), [3, 2]);
    assert_eq!(whole.heads[0].report.epoch, 3, "the last one");
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let device = Device::flex().autodiff();
    let refusal = |sets: &[FaceSet], change: fn(&mut EndToEndRecipe)| {
        let mut recipe = recipe();
        change(&mut recipe);
        let start = Weights::default();
        let trained = train_faces(&start, sets, &recipe, &device, None, |_| {});
        trained.expect_err("is refused").to_string()
    };
    let [first, further] = sets();
    let both = [first.clone(), further];
    assert_eq!(
        refusal(&both, |it| it.side = 31),
        "side is 31, expected from 32 to 512 pixels"
    );
    assert_eq!(
        refusal(&both, |it| it.learning_rate = f64::NAN),
        "learning rate is NaN, expected a number above 0"
    );
    assert_eq!(
        refusal(&[], |_| {}),
        "training data has no examples, expected at least one"
    );
    let one = FaceSet {
        validation: LabelledFaces {
            labels: vec![1; 6],
            ..first.validation.clone()
        },
        ..first.clone()
    };
    assert_eq!(
        refusal(&[one], |_| {}),
        "validation examples are all of one class, expected two or more"
    );
    let unseen = FaceSet {
        training: LabelledFaces {
            pictures: first.training.pictures[..2].to_vec(),
            labels: vec![0, 2],
        },
        ..first
    };
    assert_eq!(
        refusal(&[unseen], |_| {}),
        "class 1 has no training example, expected at least one"
    );
    assert_eq!(
        refusal(&both, |_| {}),
        "no `architecture` in the metadata, expected `faceres`"
    );
}
