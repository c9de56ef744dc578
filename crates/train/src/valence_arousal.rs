//! From rows of scores with valence and arousal to a regressor that is ready to be written to a file.

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

use super::{
    epochs::{EpochReport, EpochScore, Examples, FitError, fit},
    expression::RecipeError,
    loss::ValenceArousalLoss,
    sampling::Shuffled,
    schedule::Schedule,
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
}

/// Trains a regressor and keeps the epoch with the best mean concordance over all of the validation data.
///
/// The same data, recipe and seed give the same regressor on the same machine.
///
/// # Errors
///
/// [`RecipeError`] for data that does not fit together or a setting out of range.
pub fn train_valence_arousal(
    training: Examples<[f32; 2]>,
    validation: Examples<[f32; 2]>,
    recipe: &ValenceArousalRecipe,
    on_epoch: impl FnMut(&EpochReport<ValenceArousalScores>),
) -> Result<TrainedValenceArousal, RecipeError> {
    let width = training.rows.width();
    check(training, "training", width)?;
    check(validation, "validation", width)?;
    if recipe.hidden == Some(0) {
        return Err(FitError::setting("hidden width", "at least 1", 0).into());
    }
    let device = Device::flex().autodiff();
    let schedule = &recipe.schedule;
    let network = ValenceArousalConfig {
        inputs: width,
        hidden: recipe.hidden,
    }
    .init(schedule.seed, &device);
    let mut order = Shuffled::new(training.labels.len());
    let fitted = fit(
        network,
        schedule,
        |random| order.batches(schedule.batch, random),
        |network: &ValenceArousal, batch, _| {
            let labels: Vec<f32> = batch
                .iter()
                .flat_map(|&example| training.labels[example])
                .collect();
            let labels = Tensor::from_data(TensorData::new(labels, [batch.len(), 2]), &device);
            let predictions = network.forward(training.rows.batch(batch, &device));
            recipe.loss.of(predictions, labels)
        },
        |network| Some(evaluate(network, validation)),
        on_epoch,
    )?;
    Ok(TrainedValenceArousal {
        weights: fitted.network.to_weights(),
        report: ValenceArousalReport {
            count: training.labels.len(),
            epoch: fitted.best.epoch,
            validation: evaluate(&fitted.network, validation),
        },
    })
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
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use affectlens_data::FeatureRows;

    use super::{super::golden::golden, *};
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
                ValenceArousalLoss::Concordance.of(predictions, golden.labels(&device))
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
            let trained = train_valence_arousal(training, validation, &recipe, |epoch| {
                highest = epoch.validation.expect("is scored").mean.max(highest);
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
    fn unlabelled_frames_are_refused() {
        let (rows, mut labels) = data(1);
        let refuse = |labels: &[[f32; 2]]| {
            let data = Examples {
                rows: &rows,
                labels,
            };
            train_valence_arousal(data, data, &recipe(), |_| {})
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
