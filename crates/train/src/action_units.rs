//! From embeddings and expression logits with action units to both classifiers, ready to be written to a file.

mod network;
mod report;
mod sound;

use std::path::Path;

use burn::tensor::Device;

use crate::{
    Examples, FitError, Plateau, RecipeError, Schedule, TrainingEvent, checkpoint::checkpoint_of,
    fit::Fitted,
};
use affectlens::{
    calibration::{ActionUnitSettings, positive_weights, sigmoid},
    head::{ActionUnits, ActionUnitsConfig, EmbeddingNetwork, LogitsNetwork},
    label::AFF_WILD2_ACTION_UNITS,
    weights::Weights,
};
use affectlens_data::FeatureRows;

use network::{Dropout, NetworkRecipe};
pub(crate) use report::tune_thresholds;
pub use report::{ActionUnitPart, ActionUnitReport, ActionUnitValidation, ThresholdScores};
pub use sound::{
    SoundActionUnitRecipe, SoundActionUnitReport, TrainedSoundActionUnits, train_sound_action_units,
};

/// The action units of Aff-Wild2.
const UNITS: usize = AFF_WILD2_ACTION_UNITS.len();
/// Whether each of [`AFF_WILD2_ACTION_UNITS`] is present.
type Labels = [bool; UNITS];

/// How action units are trained.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionUnitRecipe {
    /// Width of the embedding network's hidden layer.
    pub hidden: usize,
    /// Part of the hidden units that a training step leaves out.
    pub dropout: f32,
    /// Weight of the embedding network in the average of probabilities.
    pub blend: f32,
    /// Optimiser, passes and stopping, of each network.
    pub schedule: Schedule,
}

impl Default for ActionUnitRecipe {
    /// The published recipe: nine epochs with batches of 512, a weight decay of 1e-5, and a step size that is halved
    /// when the validation loss has not fallen for three epochs.
    fn default() -> Self {
        Self {
            hidden: 256,
            dropout: 0.3,
            blend: 0.5,
            schedule: Schedule {
                epochs: 9,
                batch: 512,
                weight_decay: 1e-5,
                plateau: Some(Plateau {
                    factor: 0.5,
                    patience: 2,
                }),
                seed: 42,
                ..Schedule::default()
            },
        }
    }
}

/// Two views of the same faces with their action units.
#[derive(Clone, Copy, Debug)]
pub struct ActionUnitExamples<'a> {
    /// Embeddings.
    pub embeddings: &'a FeatureRows,
    /// Expression logits of the same backbone.
    pub logits: &'a FeatureRows,
    /// Whether each of [`AFF_WILD2_ACTION_UNITS`] is present, one row a face.
    pub labels: &'a [Labels],
}

/// Trained networks and how they did.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedActionUnits {
    /// Parameters, 32-bit; the metadata holds architecture and settings.
    pub weights: Weights,
    /// Names, blend, and thresholds that were tuned on the validation data.
    pub settings: ActionUnitSettings,
    /// How training went.
    pub report: ActionUnitReport,
}

/// Trains both networks, each to the epoch with its best mean F1 on the validation data, and tunes the thresholds of
/// their average there.
///
/// The same data, recipe and seed give the same networks on the same machine. With `checkpoint` every epoch is written to
/// a file for each network beside that path, and an interrupted run goes on from there to the same result.
///
/// # Errors
///
/// [`RecipeError`] for data that does not fit together, a setting out of range, or a checkpoint of another run.
pub fn train_action_units(
    training: ActionUnitExamples,
    validation: ActionUnitExamples,
    recipe: &ActionUnitRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(ActionUnitPart, TrainingEvent<'_, ActionUnitValidation>),
) -> Result<TrainedActionUnits, RecipeError> {
    let config = ActionUnitsConfig {
        embedding: training.embeddings.width(),
        hidden: recipe.hidden,
        logits: training.logits.width(),
        units: UNITS,
    };
    training.check(["training embedding", "training logit"], config)?;
    validation.check(["validation embedding", "validation logit"], config)?;
    recipe.check(training.labels.len())?;
    let positives = count_positives(training.labels);
    let data = [training, validation];
    let (embedding, logits) = fit_networks(data, config, &positives, recipe, checkpoint, on_event)?;
    let epochs = [embedding.best.epoch, logits.best.epoch];
    let networks = ActionUnits {
        embedding: embedding.network,
        logits: logits.network,
    };

    let mut settings = ActionUnitSettings {
        blend: recipe.blend,
        ..ActionUnitSettings::neutral(&AFF_WILD2_ACTION_UNITS)
    };
    let [embedding, logits, blend] = score(&networks, validation, &settings)?;
    settings.thresholds.clone_from(&blend.thresholds);
    let mut weights = networks.to_weights();
    settings.write(&mut weights.metadata.extra);
    Ok(TrainedActionUnits {
        weights,
        settings,
        report: ActionUnitReport {
            count: training.labels.len(),
            positives,
            epochs,
            embedding,
            logits,
            blend,
        },
    })
}

/// Examples that show each action unit.
fn count_positives(labels: &[Labels]) -> Vec<usize> {
    let count = |unit: usize| labels.iter().filter(|labels| labels[unit]).count();
    (0..UNITS).map(count).collect()
}

type FittedPart<N> = Fitted<N, ActionUnitValidation>;

/// Trains one network after the other.
fn fit_networks(
    [training, validation]: [ActionUnitExamples; 2],
    config: ActionUnitsConfig,
    positives: &[usize],
    recipe: &ActionUnitRecipe,
    checkpoint: Option<&Path>,
    mut on_event: impl FnMut(ActionUnitPart, TrainingEvent<'_, ActionUnitValidation>),
) -> Result<(FittedPart<EmbeddingNetwork>, FittedPart<LogitsNetwork>), FitError> {
    let device = Device::flex().autodiff();
    let networks = config.init(recipe.schedule.seed, &device);
    let weights = [
        vec![1.0; UNITS],
        positive_weights(positives, training.labels.len()),
    ];
    let checkpoint = |part| checkpoint.map(|path| checkpoint_of(path, part));
    let dropout = Dropout {
        units: recipe.hidden,
        rate: recipe.dropout,
    };
    let embedding = NetworkRecipe::new(
        [training.with_embeddings(), validation.with_embeddings()],
        &weights,
        &recipe.schedule,
        EmbeddingNetwork::forward,
    )
    .with_dropout(dropout, EmbeddingNetwork::forward_training)
    .fit(
        networks.embedding,
        checkpoint("embedding").as_deref(),
        |event| on_event(ActionUnitPart::Embedding, event),
    )?;
    let logits = NetworkRecipe::new(
        [training.with_logits(), validation.with_logits()],
        &weights,
        &recipe.schedule,
        LogitsNetwork::forward,
    )
    .fit(networks.logits, checkpoint("logits").as_deref(), |event| {
        on_event(ActionUnitPart::Logits, event);
    })?;
    Ok((embedding, logits))
}

/// Scores of each network alone and of both, blended by the settings.
fn score(
    networks: &ActionUnits,
    validation: ActionUnitExamples,
    settings: &ActionUnitSettings,
) -> Result<[ThresholdScores; 3], RecipeError> {
    let device = Device::flex();
    let embedding = validation
        .embeddings
        .forward(&device, |rows| networks.embedding.forward(rows));
    let logits = validation
        .logits
        .forward(&device, |rows| networks.logits.forward(rows));
    let pairs = embedding.iter().zip(&logits);
    let blended: Vec<Vec<f32>> = pairs
        .map(|(one, other)| settings.blend(one, other))
        .collect();
    let alone = |logits: Vec<Vec<f32>>| -> Vec<Vec<f32>> {
        let probabilities = |row: Vec<f32>| row.into_iter().map(sigmoid).collect();
        logits.into_iter().map(probabilities).collect()
    };
    let tuned = |rows: &[Vec<f32>]| tune_thresholds(rows, validation.labels);
    Ok([
        tuned(&alone(embedding))?,
        tuned(&alone(logits))?,
        tuned(&blended)?,
    ])
}

impl<'a> ActionUnitExamples<'a> {
    fn check(&self, parts: [&'static str; 2], config: ActionUnitsConfig) -> Result<(), FitError> {
        self.with_embeddings().check(parts[0], config.embedding)?;
        self.with_logits().check(parts[1], config.logits)
    }

    fn with_embeddings(&self) -> Examples<'a, Labels> {
        Examples {
            rows: self.embeddings,
            labels: self.labels,
        }
    }

    fn with_logits(&self) -> Examples<'a, Labels> {
        Examples {
            rows: self.logits,
            labels: self.labels,
        }
    }
}

impl ActionUnitRecipe {
    fn check(&self, examples: usize) -> Result<(), FitError> {
        for (what, value, least) in [
            ("hidden width", self.hidden, 1),
            ("batch", self.schedule.batch, 2),
            ("number of training examples", examples, 2),
        ] {
            if value < least {
                let expected = ["at least 1", "at least 2"][least - 1];
                return Err(FitError::setting(what, expected, value));
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let expected = "a number from 0 to below 1";
            return Err(FitError::setting("dropout", expected, self.dropout));
        }
        if !(0.0..=1.0).contains(&self.blend) {
            return Err(FitError::setting(
                "blend",
                "a number from 0 to 1",
                self.blend,
            ));
        }
        self.schedule.check()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{
        EpochReport,
        golden::{before, golden, interrupt},
        loss::balanced_binary_cross_entropy,
    };
    use affectlens::{calibration::ActionUnitScore, metrics::ActionUnitScores};

    #[test]
    fn steps_are_those_of_pytorch() {
        let golden = golden();
        let device = Device::flex().autodiff();
        let parts = [&golden.action_units, &golden.action_unit_logits];
        let networks =
            ActionUnits::load(&before("action-units", &parts), &device).expect("generated");
        let positive = Tensor::<1>::from_data(golden.positive_weights.as_slice(), &device);
        let weights = [positive.ones_like(), positive];
        let loss = |logits, labels| balanced_binary_cross_entropy(logits, labels, weights.clone());

        let rows = golden.action_units.rows(&device);
        let units = networks.logits.clone();
        let trained = golden.action_units.assert_steps(
            networks.embedding,
            |network| {
                let mask = Tensor::ones([rows.dims()[0], network.hidden()], &device);
                let logits = network.forward_training(rows.clone(), mask);
                loss(logits, golden.action_units.labels(&device))
            },
            |embedding| {
                ActionUnits {
                    embedding: embedding.clone(),
                    logits: units.clone(),
                }
                .to_weights()
            },
        );
        let plain = Device::flex();
        golden
            .action_units
            .assert_outputs(trained.forward(golden.action_units.rows(&plain)));

        let golden = &golden.action_unit_logits;
        let trained = golden.assert_steps(
            networks.logits,
            |network| {
                loss(
                    network.forward(golden.rows(&device)),
                    golden.labels(&device),
                )
            },
            |logits| {
                ActionUnits {
                    embedding: trained.clone(),
                    logits: logits.clone(),
                }
                .to_weights()
            },
        );
        golden.assert_outputs(trained.forward(golden.rows(&plain)));
    }

    /// Each action unit shows in one number of the embedding; the logits know two of them.
    fn data(seed: u64, count: usize) -> (FeatureRows, FeatureRows, Vec<Labels>) {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut embeddings, mut logits) = (FeatureRows::new(UNITS), FeatureRows::new(2));
        let labels = (0..count).map(|_| {
            let row: [f32; UNITS] = std::array::from_fn(|_| random.random_range(-1.0..1.0));
            embeddings.push(&row).expect("twelve values");
            logits.push(&row[..2]).expect("two values");
            row.map(|value| value > 0.4)
        });
        let labels = labels.collect();
        (embeddings, logits, labels)
    }

    fn examples(data: &(FeatureRows, FeatureRows, Vec<Labels>)) -> ActionUnitExamples<'_> {
        ActionUnitExamples {
            embeddings: &data.0,
            logits: &data.1,
            labels: &data.2,
        }
    }

    fn recipe() -> ActionUnitRecipe {
        ActionUnitRecipe {
            hidden: 32,
            schedule: Schedule {
                epochs: 12,
                batch: 50,
                learning_rate: 1e-2,
                ..ActionUnitRecipe::default().schedule
            },
            ..ActionUnitRecipe::default()
        }
    }

    #[test]
    fn networks_are_trained_tuned_and_survive_their_file() {
        let (training, validation) = (data(1, 601), data(2, 300));
        let mut epochs = vec![];
        let run = |epochs: &mut Vec<_>| {
            train_action_units(
                examples(&training),
                examples(&validation),
                &recipe(),
                None,
                |part, event| {
                    if let TrainingEvent::Epoch(epoch) = event {
                        epochs.push((part, *epoch));
                    }
                },
            )
            .expect("valid data")
        };
        let trained = run(&mut epochs);
        let report = &trained.report;
        // Positive weights favour false alarms, so that .5 is not the best threshold.
        assert!(report.embedding.tuned.mean_f1 > 0.85, "{report:?}");
        assert!(
            report.logits.tuned.per_unit[0].1 > 0.85 && report.logits.tuned.mean_f1 < 0.7,
            "{report:?}"
        );
        assert!(report.blend.tuned.mean_f1 >= report.blend.half.mean_f1);
        for (part, kept) in [ActionUnitPart::Embedding, ActionUnitPart::Logits]
            .into_iter()
            .zip(report.epochs)
        {
            let f1 = |epoch: &EpochReport<ActionUnitValidation>| {
                epoch.validation.map(|it| it.mean_f1).expect("is scored")
            };
            let of_part = || epochs.iter().filter(|it| it.0 == part).map(|it| &it.1);
            assert_eq!(of_part().count(), 12);
            let highest = of_part().map(f1).fold(0.0, f64::max);
            let first = of_part().find(|epoch| f1(epoch) == highest).expect("some");
            assert_eq!(first.epoch, kept);
        }

        let networks = ActionUnits::load(&trained.weights, &Device::flex()).expect("own file");
        let logits = validation
            .0
            .forward(&Device::flex(), |rows| networks.embedding.forward(rows));
        let scores = ActionUnitScores::new(
            &logits,
            &validation.2,
            &[0.0; UNITS],
            &AFF_WILD2_ACTION_UNITS,
        );
        assert_eq!(scores, report.embedding.half);
        let settings = ActionUnitSettings::read(&trained.weights.metadata.extra, UNITS);
        assert_eq!(settings.as_ref(), Ok(&trained.settings));
        assert_eq!(trained.settings.score, ActionUnitScore::Probability);
        assert_eq!(trained.settings.thresholds, report.blend.thresholds);
        assert_eq!(run(&mut vec![]), trained, "the seed decides");
    }

    #[test]
    fn an_interrupted_run_ends_as_if_it_had_not_been() {
        let (training, validation) = (data(1, 301), data(2, 200));
        let recipe = ActionUnitRecipe {
            schedule: Schedule {
                epochs: 6,
                // Reduces the step size in every epoch: the checkpoint has to know of it.
                plateau: Some(Plateau {
                    factor: 0.5,
                    patience: 0,
                }),
                learning_rate: 0.3,
                ..recipe().schedule
            },
            ..recipe()
        };
        // In the first network, and in the second.
        for after in [2, 9] {
            let ([whole, resumed], more) = interrupt(after, |checkpoint, on_epoch| {
                let on_event = |_, event: TrainingEvent<'_, ActionUnitValidation>| {
                    if let TrainingEvent::Epoch(_) = event {
                        on_epoch();
                    }
                };
                let [training, validation] = [&training, &validation].map(examples);
                train_action_units(training, validation, &recipe, checkpoint, on_event)
                    .expect("valid data")
            });
            assert_eq!(more, 12 - after);
            assert_eq!(resumed, whole);
        }
    }

    #[test]
    fn data_that_does_not_fit_is_refused() {
        let data = data(1, 4);
        let refuse = |training: ActionUnitExamples, change: fn(&mut ActionUnitRecipe)| {
            let mut recipe = recipe();
            change(&mut recipe);
            train_action_units(training, examples(&data), &recipe, None, |_, _| {})
                .expect_err("invalid data")
                .to_string()
        };
        let short = ActionUnitExamples {
            logits: &data.1.select(&[0, 1]),
            ..examples(&data)
        };
        assert_eq!(
            refuse(short, |_| {}),
            "training logit data has 4 labels for 2 rows, expected as many"
        );
        let swapped = ActionUnitExamples {
            embeddings: &data.1,
            logits: &data.0,
            ..examples(&data)
        };
        assert_eq!(
            refuse(swapped, |_| {}),
            "validation embedding rows have 12 values, expected 2"
        );
        assert_eq!(
            refuse(examples(&data), |recipe| recipe.dropout = 1.0),
            "dropout is 1, expected a number from 0 to below 1"
        );
        assert_eq!(
            refuse(examples(&data), |recipe| recipe.schedule.batch = 1),
            "batch is 1, expected at least 2"
        );
    }
}
