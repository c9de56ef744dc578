//! What tests of training share: made-up examples, what `tests/goldens/training.py` wrote, and the check of a few steps
//! against it.

use std::{collections::BTreeMap, fs, marker::PhantomData, path::Path};

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor, TensorData},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Deserialize;

use affectlens_data::FeatureRows;

use super::{
    classifier::{ClassifierScore, LabelledEmbeddings},
    error::FitError,
    fit::{Fitted, Recipe, fit},
    optimizer::ParameterOptimizer,
    schedule::{Plan, Schedule},
};
use affectlens::weights::{Metadata, Weights};

/// Examples of three classes in squares about their centres, each with its number of examples.
pub(super) fn clouds(seed: u64, classes: [([f32; 2], usize); 3]) -> LabelledEmbeddings {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut rows, mut labels) = (FeatureRows::new(2), vec![]);
    for (label, (centre, count)) in classes.into_iter().enumerate() {
        for _ in 0..count {
            let row = centre.map(|c| c + random.random_range(-1.0..1.0));
            rows.push(&row).expect("two values");
            labels.push(label);
        }
    }
    LabelledEmbeddings { rows, labels }
}

/// Trains without an interruption, and with one after that many epochs, from the checkpoints that were there then; gives
/// both results and the number of epochs after the interruption.
pub(super) fn interrupt<T>(
    after: usize,
    train: impl Fn(Option<&Path>, &mut dyn FnMut()) -> T,
) -> ([T; 2], usize) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [run, kept] = ["run", "kept"].map(|name| folder.path().join(name));
    let copy = |from: &Path, to: &Path| {
        fs::create_dir(to).expect("temporary folder");
        for file in fs::read_dir(from).expect("was written") {
            let file = file.expect("a checkpoint");
            fs::copy(file.path(), to.join(file.file_name())).expect("a checkpoint");
        }
    };
    let path = run.join("checkpoint.safetensors");
    let whole = train(None, &mut || {});
    let mut epochs = 0;
    let _ = train(Some(&path), &mut || {
        epochs += 1;
        if epochs == after {
            copy(&run, &kept);
        }
    });
    fs::remove_dir_all(&run).expect("was written");
    copy(&kept, &run);
    let mut more = 0;
    let resumed = train(Some(&path), &mut || more += 1);
    ([whole, resumed], more)
}

/// A few f32 steps, with sums in another order.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
pub(super) struct Golden {
    pub(super) class_weights: Vec<f32>,
    pub(super) positive_weights: Vec<f32>,
    pub(super) losses: Vec<f32>,
    pub(super) concordance: [f64; 2],
    pub(super) plateau: PlateauGolden,
    rate: f64,
    pub(super) expression: Steps,
    pub(super) valence_arousal: Steps,
    pub(super) action_units: Steps,
    pub(super) action_unit_logits: Steps,
}

#[derive(Deserialize)]
pub(super) struct PlateauGolden {
    pub(super) losses: Vec<f64>,
    pub(super) rates: Vec<f64>,
}

#[derive(Deserialize)]
struct Parameter {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// A network before and after a few steps of Adam on one batch.
#[derive(Deserialize)]
pub(super) struct Steps {
    decay: f32,
    rows: Vec<Vec<f32>>,
    labels: Vec<Vec<f32>>,
    before: BTreeMap<String, Parameter>,
    losses: Vec<f64>,
    after: BTreeMap<String, Parameter>,
    pub(super) outputs: Vec<Vec<f32>>,
}

pub(super) fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/goldens/training.json")).expect("generated")
}

/// What `tests/goldens/violence.py` wrote.
#[derive(Deserialize)]
pub(super) struct ViolenceGolden {
    /// Picture, operation, step of the magnitude, sign, digest of the pixels.
    pub(super) operations: Vec<(usize, u8, u8, bool, String)>,
    pub(super) logits: Vec<[f32; 2]>,
    /// -1 for none.
    pub(super) labels: Vec<i8>,
    pub(super) losses: [f32; 4],
    pub(super) adam_w: ViolenceSteps,
    pub(super) nesterov: ViolenceSteps,
}

#[derive(Deserialize)]
pub(super) struct ViolenceSteps {
    pub(super) rows: Vec<Vec<f32>>,
    pub(super) labels: Vec<Vec<i64>>,
    pub(super) before: BTreeMap<String, Vec<f32>>,
    pub(super) after: BTreeMap<String, Vec<f32>>,
}

pub(super) fn violence() -> ViolenceGolden {
    serde_json::from_str(include_str!("../../../tests/goldens/violence.json")).expect("generated")
}

/// What `tests/goldens/faces.py` wrote.
#[derive(Deserialize)]
pub(super) struct FacesGolden {
    pub(super) losses: [f32; 2],
    /// Of all gradients before they are scaled.
    pub(super) norm: f32,
    pub(super) parameters: BTreeMap<String, ParameterStep>,
    /// The first values of each running statistic.
    pub(super) statistics: BTreeMap<String, Vec<f32>>,
    pub(super) view: ViewGolden,
}

/// A parameter in a training step.
#[derive(Deserialize)]
pub(super) struct ParameterStep {
    /// Norm, and product with seeded numbers.
    pub(super) gradient: [f64; 2],
    /// Where gradients are largest, and the values there after the step.
    pub(super) places: Vec<usize>,
    pub(super) after: Vec<f32>,
}

/// A picture as it is augmented.
#[derive(Deserialize)]
pub(super) struct ViewGolden {
    pub(super) map: [[f32; 3]; 2],
    pub(super) contrast: f32,
    pub(super) brightness: f32,
    pub(super) levels: Vec<f32>,
    pub(super) plain: Vec<f32>,
    pub(super) averaged: Vec<u8>,
}

pub(super) fn faces() -> FacesGolden {
    serde_json::from_str(include_str!("../../../tests/goldens/faces.json")).expect("generated")
}

impl Steps {
    pub(super) fn rows(&self, device: &Device) -> Tensor<2> {
        matrix(&self.rows, device)
    }

    pub(super) fn labels(&self, device: &Device) -> Tensor<2> {
        matrix(&self.labels, device)
    }

    pub(super) fn classes(&self, device: &Device) -> Tensor<1, Int> {
        self.labels(device).squeeze_dim::<1>(1).int()
    }

    /// Parameters before the first step.
    pub(super) fn before(&self, architecture: &str) -> Weights {
        before(architecture, &[self])
    }

    /// Takes the steps and confirms losses and parameters.
    pub(super) fn assert_steps<N: Module>(
        &self,
        network: N,
        loss: impl Fn(&N) -> Tensor<1>,
        to_weights: impl Fn(&N) -> Weights,
    ) -> N {
        let schedule = Schedule {
            epochs: self.losses.len(),
            learning_rate: golden().rate,
            weight_decay: self.decay,
            ..Schedule::default()
        };
        let recipe = OneBatch {
            loss,
            schedule,
            network: PhantomData,
        };
        let Fitted {
            network, epochs, ..
        } = fit(network, recipe, None, |_| {}).expect("does not diverge");
        for (epoch, expected) in epochs.iter().zip(&self.losses) {
            assert!(
                (epoch.loss - expected).abs() < f64::from(TOLERANCE),
                "{}, expected {expected}",
                epoch.loss
            );
        }
        let weights = to_weights(&network);
        for (name, expected) in &self.after {
            let got = weights.get(name).expect("has it");
            assert_eq!(got.shape, expected.shape, "{name}");
            assert_close(name, &got.values, &expected.values);
        }
        network
    }

    pub(super) fn assert_outputs(&self, outputs: Tensor<2>) {
        let outputs: Vec<f32> = outputs.into_data().try_into_vec().expect("f32");
        assert_close("outputs", &outputs, &self.outputs.concat());
    }
}

/// The same loss in every epoch.
struct OneBatch<N, L> {
    loss: L,
    schedule: Schedule,
    network: PhantomData<N>,
}

impl<N: Module, L: Fn(&N) -> Tensor<1>> Recipe for OneBatch<N, L> {
    type Network = N;
    type Batch = ();
    type Input = ();
    type Score = ClassifierScore;
    type Error = FitError;

    fn plan(&self) -> Plan {
        self.schedule.plan()
    }

    fn optimizer(&self, network: &N) -> ParameterOptimizer {
        self.schedule.optimizer(network)
    }

    fn made_of(&self) -> String {
        String::new()
    }

    fn draw(&mut self, _: &mut StdRng) -> Vec<()> {
        vec![()]
    }

    fn prepare(&self, (): (), _: &mut StdRng) -> Result<(), FitError> {
        Ok(())
    }

    fn loss(&self, network: &N, (): ()) -> Option<Tensor<1>> {
        Some((self.loss)(network))
    }

    fn validate(&self, _: &N) -> Result<Option<ClassifierScore>, FitError> {
        Ok(None)
    }
}

/// Parameters before the first step, of networks that share a file.
pub(super) fn before(architecture: &str, parts: &[&Steps]) -> Weights {
    let mut weights = Weights::new(Metadata {
        architecture: architecture.to_owned(),
        ..Metadata::default()
    });
    for (name, Parameter { shape, values }) in parts.iter().flat_map(|part| &part.before) {
        weights
            .insert(name, shape.clone(), values.clone())
            .expect("generated");
    }
    weights
}

#[track_caller]
pub(super) fn assert_close(name: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{name}");
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() < TOLERANCE,
            "{name}[{index}]: {got}, expected {expected}"
        );
    }
}

fn matrix(rows: &[Vec<f32>], device: &Device) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), device)
}
