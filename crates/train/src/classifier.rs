//! Training of a classifier over embeddings.

use std::{fmt, path::Path};

use burn::tensor::{Device, Int, Tensor};
use rand::{rngs::StdRng, seq::SliceRandom};
use serde::Serialize;

use crate::{
    EarlyStop, EpochScore, Examples, FitError, Fitted, Sampling, Schedule, TrainingEvent,
    fit::{Plan, Recipe, fit},
    loss::{focal_loss, weighted_cross_entropy},
    optimizer::ParameterOptimizer,
    sampling::{ClassSampler, mixing_share},
};
use affectlens::{
    calibration::{AbsentClasses, class_balanced_weights, class_weights, softmax},
    head::{Mlp, MlpConfig},
    metrics::{Confusion, argmax},
};
use affectlens_data::FeatureRows;

/// Embeddings with the class of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledEmbeddings {
    /// One row an example.
    pub rows: FeatureRows,
    /// Class of each row.
    pub labels: Vec<usize>,
}

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Cross-entropy weighted by inverse class frequency.
    WeightedCrossEntropy,
    /// Focal loss with class-balanced weights.
    Focal {
        /// How strongly examples that are already right fade out.
        gamma: f32,
        /// Of the class weights: 0 weighs all alike, towards 1 they approach the inverse class frequency.
        beta: f64,
    },
}

/// How a classifier is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingConfig {
    /// Width of the hidden layer.
    pub hidden: usize,
    /// What is minimised.
    pub loss: Loss,
    /// How batches are drawn.
    pub sampling: Sampling,
    /// Parameter of mixup's beta distribution, from .01 to 1; `None` mixes nothing.
    pub mixup: Option<f64>,
    /// Optimiser, passes and stopping.
    pub schedule: Schedule,
}

impl Default for TrainingConfig {
    /// The published recipe: 128 hidden units, weighted cross-entropy.
    fn default() -> Self {
        Self {
            hidden: 128,
            loss: Loss::WeightedCrossEntropy,
            sampling: Sampling::Shuffled,
            mixup: None,
            schedule: Schedule::default(),
        }
    }
}

impl TrainingConfig {
    /// The published focal variant: batches of eight examples a class, and an early stop.
    pub fn focal() -> Self {
        Self {
            loss: Loss::Focal {
                gamma: 2.0,
                beta: 0.99,
            },
            sampling: Sampling::Balanced { per_class: 8 },
            schedule: Schedule {
                early_stop: Some(EarlyStop::default()),
                ..Schedule::default()
            },
            ..Self::default()
        }
    }

    /// Weights of the classes in the loss, from their numbers of training examples.
    fn class_weights(&self, counts: &[usize]) -> Result<Vec<f32>, FitError> {
        // A class without examples would never be predicted: to leave it out is the caller's decision.
        let weights = class_weights(counts, AbsentClasses::Refuse)?;
        Ok(match self.loss {
            Loss::WeightedCrossEntropy => weights,
            Loss::Focal { beta, .. } => class_balanced_weights(counts, beta)?,
        })
    }

    fn check(&self, examples: usize) -> Result<(), FitError> {
        self.schedule.check()?;
        if self.hidden == 0 {
            return Err(FitError::setting("hidden width", "at least 1", self.hidden));
        }
        if let Sampling::Balanced { per_class } = self.sampling
            && !(1..=examples).contains(&per_class)
        {
            let expected = "at least 1 and at most the number of training examples";
            return Err(FitError::setting("examples a class", expected, per_class));
        }
        if let Some(alpha) = self.mixup
            && !(0.01..=1.0).contains(&alpha)
        {
            return Err(FitError::setting("mixup", "a number from 0.01 to 1", alpha));
        }
        if let Loss::Focal { gamma, beta } = self.loss
            && !(gamma >= 0.0 && (0.0..1.0).contains(&beta))
        {
            return Err(FitError::setting(
                "focal loss",
                "gamma of at least 0 and beta from 0 to below 1",
                format!("{gamma} and {beta}"),
            ));
        }
        Ok(())
    }
}

/// Scores of a classifier on the validation data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassifierScore {
    /// Decides which epoch is the best.
    pub macro_f1: f64,
    /// Share of examples predicted right.
    pub accuracy: f64,
}

impl EpochScore for ClassifierScore {
    fn score(&self) -> f64 {
        self.macro_f1
    }

    fn numbers(&self) -> Vec<f64> {
        vec![self.macro_f1, self.accuracy]
    }

    fn from_numbers(numbers: &[f64]) -> Option<Self> {
        let &[macro_f1, accuracy] = numbers else {
            return None;
        };
        Some(Self { macro_f1, accuracy })
    }
}

impl fmt::Display for ClassifierScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "macro-F1 {:.4}, accuracy {:.4}",
            self.macro_f1, self.accuracy
        )
    }
}

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
pub fn train_mlp(
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
    /// Of the classes, in the loss.
    weights: Tensor<1>,
    sampler: ClassSampler,
    device: Device,
}

/// Examples that are mixed into those of a batch.
struct Mixup {
    partners: Vec<usize>,
    /// Of the batch's own examples.
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

/// Class probabilities of each row.
///
/// # Panics
///
/// If the rows have another width than the classifier's input.
pub fn predict(mlp: &Mlp, rows: &FeatureRows, device: &Device) -> Vec<Vec<f32>> {
    let mut rows = rows.forward(device, |batch| mlp.forward(batch));
    for row in &mut rows {
        *row = softmax(row);
    }
    rows
}

/// Number of examples of each class.
pub(super) fn class_counts(labels: &[usize], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for &label in labels {
        counts[label] += 1;
    }
    counts
}

fn confusion(mlp: &Mlp, data: &LabelledEmbeddings, classes: usize) -> Confusion {
    let mut confusion = Confusion::new(classes);
    for (row, &label) in predict(mlp, &data.rows, &Device::flex())
        .iter()
        .zip(&data.labels)
    {
        confusion.add(label, argmax(row).unwrap_or_default());
    }
    confusion
}

impl LabelledEmbeddings {
    fn examples(&self) -> Examples<'_, usize> {
        Examples {
            rows: &self.rows,
            labels: &self.labels,
        }
    }

    fn check(&self, part: &'static str, width: usize, classes: usize) -> Result<(), FitError> {
        self.examples().check(part, width)?;
        match self.labels.iter().position(|&label| label >= classes) {
            None => Ok(()),
            Some(row) => Err(FitError::Label {
                part,
                row,
                label: self.labels[row],
                classes,
            }),
        }
    }

    /// Rows `[batch, width]` and labels `[batch]` of some examples.
    fn batch(&self, examples: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let labels: Vec<i64> = examples
            .iter()
            .map(|&example| self.labels[example] as i64)
            .collect();
        (
            self.rows.batch(examples, device),
            Tensor::from_data(labels.as_slice(), device),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{super::golden::golden, *};
    use crate::EpochReport;

    /// Three clouds in the plane, ten points of the first for each of the last.
    fn clouds(seed: u64) -> LabelledEmbeddings {
        super::super::golden::clouds(
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
