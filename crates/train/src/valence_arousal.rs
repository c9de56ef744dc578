//! From rows of scores with valence and arousal to a regressor that is ready to be written to a file.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use serde::Serialize;

use crate::{
    EpochScore, Examples, FitError, RecipeError, Schedule, TrainingEvent, ValenceArousalLoss,
    fit::{Recipe, fit},
    optimizer::ParameterOptimizer,
    sampling::Shuffled,
    schedule::Plan,
};
use affectlens::{
    head::{ValenceArousal, ValenceArousalConfig},
    metrics::{Covariance, ValenceArousalScores},
    weights::Weights,
};

/// How valence and arousal are trained.
#[derive(Clone, Debug, PartialEq)]
pub struct ValenceArousalRecipe {
    /// Width of a hidden layer; `None` for the published single layer.
    pub hidden: Option<usize>,
    /// What is minimised.
    pub loss: ValenceArousalLoss,
    /// Optimiser, passes and stopping.
    pub schedule: Schedule,
}

impl Default for ValenceArousalRecipe {
    /// The published recipe: one layer, five epochs with batches of 1024 and a weight decay of 1/1024.
    fn default() -> Self {
        Self {
            hidden: None,
            loss: ValenceArousalLoss::Concordance,
            schedule: Schedule {
                epochs: 5,
                batch: 1024,
                weight_decay: 1.0 / 1024.0,
                ..Schedule::default()
            },
        }
    }
}

impl ValenceArousalRecipe {
    /// The recipe for sound and for LibreFace's scores: with a hidden layer of 128 units.
    pub fn with_hidden_layer() -> Self {
        Self {
            hidden: Some(128),
            ..Self::default()
        }
    }
}

/// A trained regressor and how it did.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedValenceArousal {
    /// Parameters, 32-bit; the metadata names the architecture.
    pub weights: Weights,
    /// How training went.
    pub report: ValenceArousalReport,
}

/// How the training of a regressor went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValenceArousalReport {
    /// Training examples.
    pub count: usize,
    /// The epoch whose state was kept.
    pub epoch: usize,
    /// Scores on the validation data.
    pub validation: ValenceArousalScores,
}

impl EpochScore for ValenceArousalScores {
    fn score(&self) -> f64 {
        self.mean
    }

    fn numbers(&self) -> Vec<f64> {
        vec![self.valence, self.arousal, self.mean, self.count as f64]
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count that was written as such"
    )]
    fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let &[valence, arousal, mean, count] = numbers else {
            return None;
        };
        Some(Self {
            valence,
            arousal,
            mean,
            count: count as usize,
        })
    }
}

/// Trains a regressor and keeps the epoch with the best mean concordance over all of the validation data.
///
/// The same data, recipe and seed give the same regressor on the same machine. With `checkpoint` every epoch is written
/// to that file, and an interrupted run goes on from there to the same result.
///
/// # Errors
///
/// [`RecipeError`] for data that does not fit together, a setting out of range, or a checkpoint of another run.
pub fn train_valence_arousal(
    training: Examples<[f32; 2]>,
    validation: Examples<[f32; 2]>,
    recipe: &ValenceArousalRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_, ValenceArousalScores>),
) -> Result<TrainedValenceArousal, RecipeError> {
    let inputs = training.rows.width();
    check(training, "training", inputs)?;
    check(validation, "validation", inputs)?;
    recipe.check()?;
    let device = Device::flex().autodiff();
    let config = ValenceArousalConfig {
        inputs,
        hidden: recipe.hidden,
    };
    let network = config.init(recipe.schedule.seed, &device);
    let regression = Regression {
        training,
        validation,
        recipe,
        order: Shuffled::new(training.labels.len()),
        device,
    };
    let fitted = fit(network, regression, checkpoint, on_event)?;
    Ok(TrainedValenceArousal {
        weights: fitted.network.to_weights(),
        report: ValenceArousalReport {
            count: training.labels.len(),
            epoch: fitted.best.epoch,
            validation: evaluate(&fitted.network, validation),
        },
    })
}

/// The recipe of a regressor.
struct Regression<'a> {
    training: Examples<'a, [f32; 2]>,
    validation: Examples<'a, [f32; 2]>,
    recipe: &'a ValenceArousalRecipe,
    order: Shuffled,
    device: Device,
}

impl Recipe for Regression<'_> {
    type Network = ValenceArousal;
    type Batch = Vec<usize>;
    type Input = Vec<usize>;
    type Score = ValenceArousalScores;
    type Error = FitError;

    fn plan(&self) -> Plan {
        self.recipe.schedule.plan()
    }

    fn optimizer(&self, network: &ValenceArousal) -> ParameterOptimizer {
        self.recipe.schedule.optimizer(network)
    }

    fn made_of(&self) -> String {
        let [training, validation] = [self.training, self.validation].map(|it| it.fingerprint());
        format!("{:?} {training} {validation}", self.recipe)
    }

    fn draw(&mut self, random: &mut StdRng) -> Vec<Vec<usize>> {
        self.order.batches(self.recipe.schedule.batch, random)
    }

    fn prepare(&self, batch: Vec<usize>, _: &mut StdRng) -> Result<Vec<usize>, FitError> {
        Ok(batch)
    }

    fn loss(&self, network: &ValenceArousal, batch: Vec<usize>) -> Option<Tensor<1>> {
        let labels = batch
            .iter()
            .flat_map(|&example| self.training.labels[example])
            .collect();
        let labels = TensorData::new::<f32, _>(labels, [batch.len(), 2]);
        let labels = Tensor::from_data(labels, &self.device);
        let predictions = network.forward(self.training.rows.batch(&batch, &self.device));
        Some(self.recipe.loss.measure(predictions, labels))
    }

    fn validate(&self, network: &ValenceArousal) -> Result<Option<Self::Score>, FitError> {
        Ok(Some(evaluate(network, self.validation)))
    }
}

impl ValenceArousalRecipe {
    fn check(&self) -> Result<(), FitError> {
        if self.hidden == Some(0) {
            return Err(FitError::setting("hidden width", "at least 1", 0));
        }
        self.schedule.check()
    }
}

fn evaluate(network: &ValenceArousal, data: Examples<[f32; 2]>) -> ValenceArousalScores {
    let rows = data
        .rows
        .forward(&Device::flex(), |batch| network.forward(batch));
    let predictions: Vec<[f32; 2]> = rows.iter().map(|row| [row[0], row[1]]).collect();
    ValenceArousalScores::new(&predictions, data.labels, Covariance::Population)
}

fn check(data: Examples<[f32; 2]>, part: &'static str, width: usize) -> Result<(), FitError> {
    data.check(part, width)?;
    for (row, label) in data.labels.iter().enumerate() {
        if let Some(&got) = label.iter().find(|value| !(-1.0..=1.0).contains(*value)) {
            return Err(FitError::Value { part, row, got });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use affectlens_data::FeatureRows;

    use super::*;
    use crate::{
        EarlyStop,
        golden::{golden, interrupt},
    };
    use affectlens::metrics::concordance;

    #[test]
    fn concordance_is_that_of_numpy() {
        let golden = golden();
        let device = Device::flex();
        let column = |values: Tensor<2>| -> Vec<f32> {
            let data = values.narrow(1, 0, 1).into_data();
            data.try_into_vec().expect("f32")
        };
        let predictions = column(golden.valence_arousal.rows(&device).tanh());
        let labels = column(golden.valence_arousal.labels(&device));
        for (covariance, expected) in [Covariance::Population, Covariance::Sample]
            .into_iter()
            .zip(golden.concordance)
        {
            let got = concordance(&predictions, &labels, covariance);
            assert!((got - expected).abs() < 1e-6, "{got}, expected {expected}");
        }
    }

    #[test]
    fn steps_are_those_of_pytorch() {
        let golden = golden().valence_arousal;
        let device = Device::flex().autodiff();
        let network =
            ValenceArousal::load(&golden.before("valence-arousal"), &device).expect("generated");
        let rows = golden.rows(&device);
        let trained = golden.assert_steps(
            network,
            |network| {
                let predictions = network.forward(rows.clone());
                ValenceArousalLoss::Concordance.measure(predictions, golden.labels(&device))
            },
            ValenceArousal::to_weights,
        );
        golden.assert_outputs(trained.forward(golden.rows(&Device::flex())));
    }

    /// Noisy rows whose first numbers are what valence and arousal follow.
    fn data(seed: u64) -> (FeatureRows, Vec<[f32; 2]>) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut rows = FeatureRows::new(4);
        let labels = (0..600).map(|_| {
            let row: [f32; 4] = std::array::from_fn(|_| random.random_range(-1.0..1.0));
            rows.push(&row).expect("four values");
            [(2.0 * row[0]).tanh(), (row[1] - 0.5).tanh()]
        });
        let labels = labels.collect();
        (rows, labels)
    }

    fn recipe() -> ValenceArousalRecipe {
        ValenceArousalRecipe {
            schedule: Schedule {
                epochs: 20,
                batch: 50,
                learning_rate: 2e-2,
                ..ValenceArousalRecipe::default().schedule
            },
            ..ValenceArousalRecipe::default()
        }
    }

    #[test]
    fn relation_is_learned_by_every_form_and_survives_its_file() {
        let ((rows, labels), (other_rows, other_labels)) = (data(1), data(2));
        let training = Examples {
            rows: &rows,
            labels: &labels,
        };
        let validation = Examples {
            rows: &other_rows,
            labels: &other_labels,
        };
        for (hidden, loss) in [
            (None, ValenceArousalLoss::Concordance),
            (None, ValenceArousalLoss::Paper),
            (Some(16), ValenceArousalLoss::Concordance),
        ] {
            let recipe = ValenceArousalRecipe {
                hidden,
                loss,
                ..recipe()
            };
            let mut highest = f64::NEG_INFINITY;
            let trained = train_valence_arousal(training, validation, &recipe, None, |event| {
                if let TrainingEvent::Epoch(epoch) = event {
                    highest = epoch.validation.expect("is scored").mean.max(highest);
                }
            })
            .expect("valid data");
            assert_eq!(trained.report.validation.mean, highest);
            assert!(highest > 0.97, "{recipe:?}: {:?}", trained.report);
            let network =
                ValenceArousal::load(&trained.weights, &Device::flex()).expect("own file");
            assert_eq!(evaluate(&network, validation), trained.report.validation);
        }
    }

    #[test]
    fn an_interrupted_run_ends_as_if_it_had_not_been() {
        let ((rows, labels), (other_rows, other_labels)) = (data(1), data(2));
        let training = Examples {
            rows: &rows,
            labels: &labels,
        };
        let validation = Examples {
            rows: &other_rows,
            labels: &other_labels,
        };
        let recipe = ValenceArousalRecipe {
            schedule: Schedule {
                early_stop: Some(EarlyStop {
                    improvement: 0.01,
                    patience: 2,
                }),
                ..recipe().schedule
            },
            ..recipe()
        };
        let epochs = Cell::new(0);
        let ([whole, resumed], more) = interrupt(3, |checkpoint, on_epoch| {
            epochs.set(0);
            let on_event = |event: TrainingEvent<'_, ValenceArousalScores>| {
                if let TrainingEvent::Epoch(epoch) = event {
                    epochs.set(epoch.epoch);
                    on_epoch();
                }
            };
            train_valence_arousal(training, validation, &recipe, checkpoint, on_event)
                .expect("valid data")
        });
        assert_eq!(resumed, whole);
        assert_eq!(epochs.get(), 3 + more);
        assert!((4..20).contains(&epochs.get()), "stops early: {epochs:?}");
    }

    #[test]
    fn unlabelled_frames_are_refused() {
        let (rows, mut labels) = data(1);
        let refuse = |labels: &[[f32; 2]]| {
            let data = Examples {
                rows: &rows,
                labels,
            };
            train_valence_arousal(data, data, &recipe(), None, |_| {})
                .expect_err("invalid data")
                .to_string()
        };
        assert_eq!(
            refuse(&labels[1..]),
            "training data has 599 labels for 600 rows, expected as many"
        );
        labels[7][1] = -5.0;
        assert_eq!(
            refuse(&labels),
            "training example 7 has valence or arousal -5, expected a number from -1 to 1"
        );
    }
}
