//! How a classifier is trained.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor};
use rand::{rngs::StdRng, seq::SliceRandom};

use super::{ClassifierScore, LabelledEmbeddings, Loss, TrainingConfig, class_counts, confusion};
use crate::{
    FitError, Schedule, TrainingEvent,
    fit::{Fitted, Recipe, fit},
    loss::{focal_loss, weighted_cross_entropy},
    optimizer::ParameterOptimizer,
    sampling::{ClassSampler, mixing_share},
    schedule::Plan,
};
use affectlens::head::{Mlp, MlpConfig};

/// Trains a classifier and keeps the epoch with the best macro-F1 on the validation data; without such data, the
/// last epoch.
///
/// The same data, configuration and seed give the same classifier on the same machine. With `checkpoint` every epoch is
/// written to that file, and an interrupted run goes on from there to the same result.
///
/// # Errors
///
/// [`FitError`] for data that does not fit together, a class without training examples, a loss that diverges, or a
/// checkpoint of another run.
pub(crate) fn train_mlp(
    training: &LabelledEmbeddings,
    validation: Option<&LabelledEmbeddings>,
    classes: usize,
    config: &TrainingConfig,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_, ClassifierScore>),
) -> Result<Fitted<Mlp, ClassifierScore>, FitError> {
    let inputs = training.rows.width();
    training.check("training", inputs, classes)?;
    if let Some(validation) = validation {
        validation.check("validation", inputs, classes)?;
    }
    config.check(training.labels.len())?;
    let device = Device::flex().autodiff();
    let weights = config.class_weights(&class_counts(&training.labels, classes))?;
    let Schedule { batch, seed, .. } = config.schedule;
    let network = MlpConfig {
        inputs,
        hidden: config.hidden,
        classes,
    }
    .init(seed, &device);
    let recipe = Classification {
        training,
        validation,
        classes,
        config,
        weights: Tensor::from_data(weights.as_slice(), &device),
        sampler: ClassSampler::new(config.sampling, batch, &training.labels, classes),
        device,
    };
    fit(network, recipe, checkpoint, on_event)
}

/// The recipe of a classifier.
struct Classification<'a> {
    training: &'a LabelledEmbeddings,
    validation: Option<&'a LabelledEmbeddings>,
    classes: usize,
    config: &'a TrainingConfig,
    /// Weight of each class in the loss.
    weights: Tensor<1>,
    sampler: ClassSampler,
    device: Device,
}

/// Examples that are mixed into those of a batch.
struct Mixup {
    partners: Vec<usize>,
    /// Weight of the batch's own examples.
    share: f32,
}

impl Recipe for Classification<'_> {
    type Network = Mlp;
    type Batch = Vec<usize>;
    type Input = (Vec<usize>, Option<Mixup>);
    type Score = ClassifierScore;
    type Error = FitError;

    fn plan(&self) -> Plan {
        self.config.schedule.plan()
    }

    fn optimizer(&self, network: &Mlp) -> ParameterOptimizer {
        self.config.schedule.optimizer(network)
    }

    fn made_of(&self) -> String {
        let validation = self.validation.map(|it| it.examples().fingerprint());
        let training = self.training.examples().fingerprint();
        format!("{:?} {training} {validation:?}", self.config)
    }

    fn draw(&mut self, random: &mut StdRng) -> Vec<Vec<usize>> {
        self.sampler.batches(random)
    }

    fn prepare(&self, batch: Vec<usize>, random: &mut StdRng) -> Result<Self::Input, FitError> {
        let mixup = self.config.mixup.map(|alpha| {
            let share = mixing_share(alpha, random);
            let mut partners = batch.clone();
            partners.shuffle(random);
            Mixup { partners, share }
        });
        Ok((batch, mixup))
    }

    fn loss(&self, mlp: &Mlp, (batch, mixup): Self::Input) -> Option<Tensor<1>> {
        let (rows, labels) = self.training.batch(&batch, &self.device);
        let Some(Mixup { partners, share }) = mixup else {
            return Some(self.loss_of(mlp.forward(rows), labels));
        };
        let (other_rows, other_labels) = self.training.batch(&partners, &self.device);
        let logits = mlp.forward(rows * share + other_rows * (1.0 - share));
        let own = self.loss_of(logits.clone(), labels);
        Some(own * share + self.loss_of(logits, other_labels) * (1.0 - share))
    }

    fn validate(&self, mlp: &Mlp) -> Result<Option<ClassifierScore>, FitError> {
        let confusion = self.validation.map(|it| confusion(mlp, it, self.classes));
        Ok(confusion.map(|confusion| ClassifierScore {
            macro_f1: confusion.macro_f1(),
            accuracy: confusion.accuracy(),
        }))
    }
}

impl Classification<'_> {
    fn loss_of(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let weights = self.weights.clone();
        match self.config.loss {
            Loss::WeightedCrossEntropy => weighted_cross_entropy(logits, labels, weights),
            Loss::Focal { gamma, .. } => focal_loss(logits, labels, weights, gamma),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        EarlyStop, EpochReport, Sampling,
        classifier::predict,
        golden::{self, golden},
    };
    use affectlens_data::FeatureRows;

    /// Three clouds in the plane, ten points of the first for each of the last.
    fn clouds(seed: u64) -> LabelledEmbeddings {
        golden::clouds(
            seed,
            [([0.0, 0.0], 200), ([3.0, 0.0], 60), ([0.0, 3.0], 20)],
        )
    }

    fn config() -> TrainingConfig {
        TrainingConfig {
            hidden: 16,
            schedule: Schedule {
                epochs: 8,
                batch: 32,
                learning_rate: 1e-2,
                ..Schedule::default()
            },
            ..TrainingConfig::default()
        }
    }

    #[test]
    fn steps_are_those_of_pytorch() {
        let golden = golden();
        let device = Device::flex().autodiff();
        let mlp = Mlp::load(&golden.expression.before("mlp"), &device).expect("generated");
        let weights = Tensor::<1>::from_data(golden.class_weights.as_slice(), &device);
        let golden = &golden.expression;
        let trained = golden.assert_steps(
            mlp,
            |mlp| {
                let logits = mlp.forward(golden.rows(&device));
                weighted_cross_entropy(logits, golden.classes(&device), weights.clone())
            },
            Mlp::to_weights,
        );
        golden.assert_outputs(trained.forward(golden.rows(&Device::flex())));
    }

    #[test]
    fn separable_classes_are_learned_and_the_best_epoch_is_kept() {
        let focal = TrainingConfig::focal();
        // Classes that are drawn alike are not weighted once more.
        let unweighted = Loss::Focal {
            gamma: 0.0,
            beta: 0.0,
        };
        for (loss, sampling, mixup) in [
            (Loss::WeightedCrossEntropy, Sampling::Shuffled, None),
            (unweighted, Sampling::Weighted, Some(0.2)),
            (focal.loss, Sampling::Shuffled, None),
            (focal.loss, focal.sampling, None),
        ] {
            let config = TrainingConfig {
                loss,
                sampling,
                mixup,
                ..config()
            };
            let validation = clouds(2);
            let trained = train_mlp(&clouds(1), Some(&validation), 3, &config, None, |_| {})
                .expect("valid data");
            let f1 = |epoch: &EpochReport<ClassifierScore>| {
                epoch.validation.expect("there is validation data").macro_f1
            };
            let highest = trained.epochs.iter().map(f1).fold(0.0, f64::max);
            assert!(highest > 0.97, "{config:?}: {:?}", trained.epochs);
            let first = trained.epochs.iter().find(|epoch| f1(epoch) == highest);
            assert_eq!(Some(&trained.best), first, "the first of equal epochs");
            assert_eq!(
                confusion(&trained.network, &validation, 3).macro_f1(),
                highest,
                "the state is that epoch's"
            );
        }
    }

    #[test]
    fn training_stops_when_the_score_no_longer_rises() {
        let mut config = config();
        config.schedule.epochs = 30;
        config.schedule.early_stop = Some(EarlyStop {
            improvement: 2.0,
            patience: 3,
        });
        let trained =
            train_mlp(&clouds(1), Some(&clouds(2)), 3, &config, None, |_| {}).expect("valid data");
        assert_eq!((trained.epochs.len(), trained.best.epoch), (4, 1));
    }

    #[test]
    fn same_seed_gives_the_same_classifier() {
        let (training, validation) = (clouds(1), clouds(2));
        let run = |seed| {
            let config = TrainingConfig {
                mixup: Some(1.0),
                schedule: Schedule {
                    seed,
                    epochs: 2,
                    ..config().schedule
                },
                ..config()
            };
            let trained = train_mlp(&training, Some(&validation), 3, &config, None, |_| {})
                .expect("valid data");
            predict(&trained.network, &validation.rows, &Device::flex())
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn last_epoch_is_kept_without_validation_data() {
        let trained = train_mlp(&clouds(1), None, 3, &config(), None, |_| {}).expect("valid data");
        assert_eq!((trained.best.epoch, trained.best.validation), (8, None));
    }

    #[test]
    fn data_that_does_not_fit_is_refused() {
        let data = clouds(1);
        let refuse = |training: &LabelledEmbeddings, validation: &LabelledEmbeddings, classes| {
            train_mlp(training, Some(validation), classes, &config(), None, |_| {})
                .expect_err("invalid data")
                .to_string()
        };
        let empty = LabelledEmbeddings::default();
        assert_eq!(
            refuse(&empty, &data, 3),
            "training data has no examples, expected at least one"
        );
        assert_eq!(
            refuse(&data, &empty, 3),
            "validation data has no examples, expected at least one"
        );
        assert_eq!(
            refuse(&data, &data, 2),
            "training example 260 has label 2, expected less than 2"
        );
        assert_eq!(
            refuse(&data, &data, 4),
            "class 3 has no training example, expected at least one"
        );
        let narrow = LabelledEmbeddings {
            rows: FeatureRows::from_rows([[1.0]]).expect("one value"),
            labels: vec![0],
        };
        assert_eq!(
            refuse(&data, &narrow, 3),
            "validation rows have 1 values, expected 2"
        );
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let refuse = |change: fn(&mut TrainingConfig)| {
            let mut config = config();
            change(&mut config);
            train_mlp(&clouds(1), None, 3, &config, None, |_| {})
                .expect_err("out of range")
                .to_string()
        };
        assert_eq!(
            refuse(|it| it.mixup = Some(2.0)),
            "mixup is 2, expected a number from 0.01 to 1"
        );
        for (per_class, change) in [
            (
                0,
                (|it| it.sampling = Sampling::Balanced { per_class: 0 }) as fn(&mut TrainingConfig),
            ),
            (281, |it| {
                it.sampling = Sampling::Balanced { per_class: 281 }
            }),
        ] {
            assert_eq!(
                refuse(change),
                format!(
                    "examples a class is {per_class}, expected at least 1 and at most the number of training examples"
                )
            );
        }
        assert_eq!(
            refuse(|it| it.schedule.learning_rate = f64::NAN),
            "learning rate is NaN, expected a number above 0"
        );
    }
}
