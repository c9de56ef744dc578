//! From vectors of sound with action units to a classifier that is ready to be written to a file.

use std::path::Path;

use burn::tensor::Device;
use serde::Serialize;

use super::{
    ActionUnitValidation, Labels, ThresholdScores, UNITS, count_positives, network::NetworkRecipe,
    tune_thresholds,
};
use crate::{Examples, FitError, RecipeError, Schedule, TrainingEvent};
use affectlens::{
    calibration::{ActionUnitSettings, sigmoid},
    head::{Mlp, MlpConfig},
    label::AFF_WILD2_ACTION_UNITS,
    weights::Weights,
};

/// How action units are trained on sound.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundActionUnitRecipe {
    /// Width of the hidden layer.
    pub hidden: usize,
    /// Optimiser, passes and stopping.
    pub schedule: Schedule,
}

impl Default for SoundActionUnitRecipe {
    /// The recipe of the published row, an earlier system of the same authors: 128 hidden units, five epochs with batches
    /// of 512. They kept the epoch with the least validation loss, here the best mean F1 counts as for the other heads.
    fn default() -> Self {
        Self {
            hidden: 128,
            schedule: Schedule {
                epochs: 5,
                batch: 512,
                seed: 42,
                ..Schedule::default()
            },
        }
    }
}

/// A trained classifier and how it did.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedSoundActionUnits {
    /// Parameters of an MLP with an output an action unit, 32-bit; the metadata holds architecture and settings.
    pub weights: Weights,
    /// Names, and thresholds that were tuned on the validation data.
    pub settings: ActionUnitSettings,
    /// How training went.
    pub report: SoundActionUnitReport,
}

/// How the training of a classifier on sound went; scores are those of probabilities.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SoundActionUnitReport {
    /// Training examples.
    pub count: usize,
    /// Training examples that show each action unit.
    pub positives: Vec<usize>,
    /// The epoch whose state was kept.
    pub epoch: usize,
    /// Scores on the validation data.
    #[serde(flatten)]
    pub validation: ThresholdScores,
}

/// Trains a classifier of action units, in which each of them weighs as much present as absent, to the epoch with its best
/// mean F1 on the validation data, and tunes its thresholds there.
///
/// The same data, recipe and seed give the same classifier on the same machine. With `checkpoint` every epoch is written to
/// that file, and an interrupted run goes on from there to the same result.
///
/// # Errors
///
/// [`RecipeError`] for data that does not fit together, a setting out of range, or a checkpoint of another run.
pub fn train_sound_action_units(
    training: Examples<Labels>,
    validation: Examples<Labels>,
    recipe: &SoundActionUnitRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_, ActionUnitValidation>),
) -> Result<TrainedSoundActionUnits, RecipeError> {
    let config = MlpConfig {
        inputs: training.rows.width(),
        hidden: recipe.hidden,
        classes: UNITS,
    };
    training.check("training", config.inputs)?;
    validation.check("validation", config.inputs)?;
    recipe.check(training.labels.len())?;
    let positives = count_positives(training.labels);
    let weights = balanced_weights(&positives, training.labels.len());
    let schedule = &recipe.schedule;
    let network = config.init(schedule.seed, &Device::flex().autodiff());
    let fitted = NetworkRecipe::new([training, validation], &weights, schedule, Mlp::forward)
        .fit(network, checkpoint, on_event)?;

    let network = fitted.network;
    let logits = validation
        .rows
        .forward(&Device::flex(), |rows| network.forward(rows));
    let probabilities: Vec<Vec<f32>> = logits
        .into_iter()
        .map(|row| row.into_iter().map(sigmoid).collect())
        .collect();
    let scores = tune_thresholds(&probabilities, validation.labels)?;
    let settings = ActionUnitSettings {
        // There is no second network.
        blend: 1.0,
        thresholds: scores.thresholds.clone(),
        ..ActionUnitSettings::neutral(&AFF_WILD2_ACTION_UNITS)
    };
    let mut weights = network.to_weights();
    settings.write(&mut weights.metadata.extra);
    Ok(TrainedSoundActionUnits {
        weights,
        settings,
        report: SoundActionUnitReport {
            count: training.labels.len(),
            positives,
            epoch: fitted.best.epoch,
            validation: scores,
        },
    })
}

impl SoundActionUnitRecipe {
    fn check(&self, examples: usize) -> Result<(), FitError> {
        if self.hidden == 0 {
            return Err(FitError::setting("hidden width", "at least 1", 0));
        }
        for (what, value) in [
            ("batch", self.schedule.batch),
            ("number of training examples", examples),
        ] {
            if value < 2 {
                return Err(FitError::setting(what, "at least 2", value));
            }
        }
        self.schedule.check()
    }
}

/// Weights of negative and of positive labels with which both count the same in sum: half the examples divided by theirs.
#[expect(
    clippy::cast_possible_truncation,
    reason = "ratios are computed in f64 and used in f32"
)]
fn balanced_weights(positives: &[usize], examples: usize) -> [Vec<f32>; 2] {
    let weight = |count: usize| (examples as f64 / (2.0 * count.max(1) as f64)) as f32;
    let negatives = positives.iter().map(|count| weight(examples - count));
    let positives = positives.iter().map(|count| weight(*count));
    [negatives.collect(), positives.collect()]
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::golden::interrupt;
    use affectlens::metrics::ActionUnitScores;
    use affectlens_data::FeatureRows;

    /// Each action unit is heard in one number.
    fn data(seed: u64, count: usize) -> (FeatureRows, Vec<Labels>) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut rows = FeatureRows::new(UNITS);
        let labels = (0..count).map(|_| {
            let row: [f32; UNITS] = std::array::from_fn(|_| random.random_range(-1.0..1.0));
            rows.push(&row).expect("twelve values");
            row.map(|value| value > 0.6)
        });
        let labels = labels.collect();
        (rows, labels)
    }

    fn examples((rows, labels): &(FeatureRows, Vec<Labels>)) -> Examples<'_, Labels> {
        Examples { rows, labels }
    }

    fn recipe() -> SoundActionUnitRecipe {
        SoundActionUnitRecipe {
            hidden: 24,
            schedule: Schedule {
                epochs: 10,
                batch: 50,
                learning_rate: 2e-2,
                ..SoundActionUnitRecipe::default().schedule
            },
        }
    }

    #[test]
    fn both_labels_weigh_the_same_in_sum() {
        let weights = balanced_weights(&[25, 0, 100], 100);
        assert_eq!(weights, [[2.0 / 3.0, 0.5, 50.0], [2.0, 50.0, 0.5]]);
    }

    #[test]
    fn action_units_are_learned_and_survive_their_file() {
        let (training, validation) = (data(1, 600), data(2, 300));
        let trained = train_sound_action_units(
            examples(&training),
            examples(&validation),
            &recipe(),
            None,
            |_| {},
        )
        .expect("valid data");
        let report = &trained.report;
        assert!(report.validation.tuned.mean_f1 > 0.85, "{report:?}");
        assert!(report.validation.tuned.mean_f1 >= report.validation.half.mean_f1);
        let network = Mlp::load(&trained.weights, &Device::flex()).expect("own file");
        let logits = validation
            .0
            .forward(&Device::flex(), |rows| network.forward(rows));
        let half = ActionUnitScores::new(
            &logits,
            &validation.1,
            &[0.0; UNITS],
            &AFF_WILD2_ACTION_UNITS,
        );
        assert_eq!(half, report.validation.half);
        let settings = ActionUnitSettings::read(&trained.weights.metadata.extra, UNITS);
        assert_eq!(settings, Ok(trained.settings));
    }

    #[test]
    fn an_interrupted_run_ends_as_if_it_had_not_been() {
        let (training, validation) = (data(1, 200), data(2, 100));
        let ([whole, resumed], more) = interrupt(4, |checkpoint, on_epoch| {
            let on_event = |event: TrainingEvent<'_, ActionUnitValidation>| {
                if let TrainingEvent::Epoch(_) = event {
                    on_epoch();
                }
            };
            let [training, validation] = [&training, &validation].map(examples);
            train_sound_action_units(training, validation, &recipe(), checkpoint, on_event)
                .expect("valid data")
        });
        assert_eq!(more, 6);
        assert_eq!(resumed, whole);
    }

    #[test]
    fn data_that_does_not_fit_is_refused() {
        let (training, validation) = (data(1, 10), data(2, 5));
        let short = Examples {
            labels: &training.1[1..],
            ..examples(&training)
        };
        let refuse = |training, recipe: &SoundActionUnitRecipe| {
            train_sound_action_units(training, examples(&validation), recipe, None, |_| {})
                .expect_err("invalid data")
                .to_string()
        };
        assert_eq!(
            refuse(short, &recipe()),
            "training data has 9 labels for 10 rows, expected as many"
        );
        let narrow = SoundActionUnitRecipe {
            hidden: 0,
            ..recipe()
        };
        assert_eq!(
            refuse(examples(&training), &narrow),
            "hidden width is 0, expected at least 1"
        );
    }
}
