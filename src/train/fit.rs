//! The training loop of a small classifier over embeddings.

use burn::{
    module::Module,
    optim::{AdamConfig, GradientsParams, ModuleOptimizer, decay::WeightDecayConfig},
    tensor::{Device, Int, Tensor, TensorData},
};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use thiserror::Error;

use super::loss::{focal_loss, weighted_cross_entropy};
use crate::{
    calibration::{
        AbsentClasses, CalibrationError, class_balanced_weights, class_weights, softmax,
    },
    head::{Mlp, MlpConfig},
    metrics::{Confusion, argmax},
};

/// Embeddings with the class of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledEmbeddings {
    /// One row an example, all of one width.
    pub rows: Vec<Vec<f32>>,
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
    /// Passes over the training data.
    pub epochs: usize,
    /// Examples a step.
    pub batch: usize,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// L2 penalty that is added to the gradient; 0 for none.
    pub weight_decay: f32,
    /// What is minimised.
    pub loss: Loss,
    /// Start of the random numbers that initialise weights and shuffle examples.
    pub seed: u64,
}

impl Default for TrainingConfig {
    /// The published recipe: 128 hidden units, 10 epochs of Adam at 1e-3 with batches of 256.
    fn default() -> Self {
        Self {
            hidden: 128,
            epochs: 10,
            batch: 256,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            loss: Loss::WeightedCrossEntropy,
            seed: 0,
        }
    }
}

/// How an epoch went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean loss of its steps.
    pub loss: f64,
    /// Macro-F1 on the validation data, if there is any.
    pub macro_f1: Option<f64>,
    /// Accuracy on the validation data, if there is any.
    pub accuracy: Option<f64>,
}

/// A trained classifier.
#[derive(Debug)]
pub struct TrainedMlp {
    /// The state of the best epoch, without gradients.
    pub mlp: Mlp,
    /// The epoch with the highest macro-F1, the first of equals; the last one without validation data.
    pub best: EpochReport,
    /// All epochs.
    pub epochs: Vec<EpochReport>,
}

/// Why a classifier cannot be trained.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FitError {
    /// A part of the data is empty.
    #[error("{0} data has no examples, expected at least one")]
    Empty(&'static str),
    /// Rows and labels do not pair up.
    #[error("{part} data has {labels} labels for {rows} embeddings, expected as many")]
    Count {
        /// `training` or `validation`.
        part: &'static str,
        /// Embeddings that came.
        rows: usize,
        /// Labels that came.
        labels: usize,
    },
    /// A row has another width than the first training row.
    #[error("{part} embedding {row} has {got} values, expected {expected}")]
    Width {
        /// `training` or `validation`.
        part: &'static str,
        /// Index of the row.
        row: usize,
        /// Width of the first training row.
        expected: usize,
        /// Width of this row.
        got: usize,
    },
    /// A label is not one of the classes.
    #[error("{part} example {row} has label {label}, expected less than {classes}")]
    Label {
        /// `training` or `validation`.
        part: &'static str,
        /// Index of the row.
        row: usize,
        /// The label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A setting makes training impossible.
    #[error("{what} is {got}, expected {expected}")]
    Setting {
        /// Name of the setting.
        what: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// The loss left the finite numbers.
    #[error("loss of epoch {epoch} is not a finite number, expected one: lower the learning rate")]
    Diverged {
        /// Number of the epoch, from 1.
        epoch: usize,
    },
    /// A class cannot be weighted.
    #[error(transparent)]
    Classes(#[from] CalibrationError),
}

/// Trains a classifier and keeps the epoch with the best macro-F1 on the validation data; without such data, the
/// last epoch.
///
/// The same data, configuration and seed give the same classifier on the same machine.
///
/// # Errors
///
/// [`FitError`] for data that does not fit together, a class without training examples, or a loss that diverges.
pub fn train_mlp(
    training: &LabelledEmbeddings,
    validation: Option<&LabelledEmbeddings>,
    classes: usize,
    config: &TrainingConfig,
    mut on_epoch: impl FnMut(&EpochReport),
) -> Result<TrainedMlp, FitError> {
    let width = training
        .rows
        .first()
        .ok_or(FitError::Empty("training"))?
        .len();
    training.check("training", width, classes)?;
    if let Some(validation) = validation {
        validation.check("validation", width, classes)?;
    }
    config.check()?;
    let counts = class_counts(&training.labels, classes);
    // A class without examples would never be predicted: to leave it out is the caller's decision.
    let weights = match config.loss {
        Loss::WeightedCrossEntropy => class_weights(&counts, AbsentClasses::Refuse)?,
        Loss::Focal { beta, .. } => {
            class_weights(&counts, AbsentClasses::Refuse)?;
            class_balanced_weights(&counts, beta)?
        }
    };

    let device = Device::flex().autodiff();
    let weights = Tensor::<1>::from_data(weights.as_slice(), &device);
    let mut random = StdRng::seed_from_u64(config.seed);
    let mut mlp = MlpConfig {
        inputs: width,
        hidden: config.hidden,
        classes,
    }
    .init(config.seed, &device);
    let mut adam = adam(config);
    let mut order: Vec<usize> = (0..training.rows.len()).collect();
    let mut epochs: Vec<EpochReport> = Vec::with_capacity(config.epochs);
    let mut best: Option<(Mlp, EpochReport)> = None;
    for epoch in 1..=config.epochs {
        order.shuffle(&mut random);
        let mut sum = 0.0;
        for batch in order.chunks(config.batch) {
            let (rows, labels) = training.batch(batch, &device);
            let logits = mlp.forward(rows);
            let loss = match config.loss {
                Loss::WeightedCrossEntropy => {
                    weighted_cross_entropy(logits, labels, weights.clone())
                }
                Loss::Focal { gamma, .. } => focal_loss(logits, labels, weights.clone(), gamma),
            };
            let gradients = GradientsParams::from_grads(loss.backward(), &mlp);
            mlp = adam.step(config.learning_rate, mlp, gradients);
            sum += f64::from(loss.into_scalar::<f32>());
        }
        let loss = sum / order.chunks(config.batch).len() as f64;
        if !loss.is_finite() {
            return Err(FitError::Diverged { epoch });
        }
        let confusion = validation.map(|data| confusion(&mlp.valid(), data, classes));
        let report = EpochReport {
            epoch,
            loss,
            macro_f1: confusion.as_ref().map(Confusion::macro_f1),
            accuracy: confusion.as_ref().map(Confusion::accuracy),
        };
        on_epoch(&report);
        epochs.push(report);
        // Without validation data there is nothing to compare: each epoch replaces the one before.
        let is_better = |best: f64| report.macro_f1.is_none_or(|macro_f1| macro_f1 > best);
        if best
            .as_ref()
            .and_then(|(_, best)| best.macro_f1)
            .is_none_or(is_better)
        {
            best = Some((mlp.valid(), report));
        }
    }
    let (mlp, best) = best.ok_or(FitError::Empty("training"))?;
    Ok(TrainedMlp { mlp, best, epochs })
}

/// Class probabilities of each row.
///
/// # Panics
///
/// If a row has another width than the classifier's input.
pub fn predict(mlp: &Mlp, rows: &[Vec<f32>], device: &Device) -> Vec<Vec<f32>> {
    /// Bounds memory; the result does not depend on it.
    const BATCH: usize = 1024;
    let mut probabilities = Vec::with_capacity(rows.len());
    for batch in rows.chunks(BATCH) {
        let logits = mlp.forward(tensor(batch.iter(), device));
        let [_, classes] = logits.dims();
        let logits = logits.into_data();
        let values = logits
            .as_slice::<f32>()
            .expect("a classifier over f32 gives f32");
        probabilities.extend(values.chunks(classes).map(softmax));
    }
    probabilities
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

fn adam(config: &TrainingConfig) -> ModuleOptimizer {
    let decay = (config.weight_decay > 0.0).then(|| WeightDecayConfig::new(config.weight_decay));
    // Burn's default epsilon is 1e-5; the published recipe has PyTorch's.
    AdamConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(decay)
        .init()
}

impl TrainingConfig {
    fn check(&self) -> Result<(), FitError> {
        let refuse = |what, expected, got| {
            Err(FitError::Setting {
                what,
                expected,
                got,
            })
        };
        for (what, value) in [
            ("hidden width", self.hidden),
            ("epochs", self.epochs),
            ("batch", self.batch),
        ] {
            if value == 0 {
                return refuse(what, "at least 1", value.to_string());
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return refuse(
                "learning rate",
                "a number above 0",
                self.learning_rate.to_string(),
            );
        }
        if let Loss::Focal { gamma, beta } = self.loss
            && !(gamma >= 0.0 && (0.0..1.0).contains(&beta))
        {
            return refuse(
                "focal loss",
                "gamma of at least 0 and beta from 0 to below 1",
                format!("{gamma} and {beta}"),
            );
        }
        Ok(())
    }
}

impl LabelledEmbeddings {
    fn check(&self, part: &'static str, width: usize, classes: usize) -> Result<(), FitError> {
        if self.rows.is_empty() {
            return Err(FitError::Empty(part));
        }
        if self.rows.len() != self.labels.len() {
            return Err(FitError::Count {
                part,
                rows: self.rows.len(),
                labels: self.labels.len(),
            });
        }
        for (row, (values, &label)) in self.rows.iter().zip(&self.labels).enumerate() {
            if values.len() != width {
                return Err(FitError::Width {
                    part,
                    row,
                    expected: width,
                    got: values.len(),
                });
            }
            if label >= classes {
                return Err(FitError::Label {
                    part,
                    row,
                    label,
                    classes,
                });
            }
        }
        Ok(())
    }

    /// Rows `[batch, width]` and labels `[batch]` of some examples.
    fn batch(&self, examples: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let labels: Vec<i64> = examples
            .iter()
            .map(|&example| self.labels[example] as i64)
            .collect();
        (
            tensor(examples.iter().map(|&example| &self.rows[example]), device),
            Tensor::from_data(labels.as_slice(), device),
        )
    }
}

fn tensor<'a>(rows: impl ExactSizeIterator<Item = &'a Vec<f32>>, device: &Device) -> Tensor<2> {
    let count = rows.len();
    let values: Vec<f32> = rows.flatten().copied().collect();
    let width = values.len() / count.max(1);
    Tensor::from_data(TensorData::new(values, [count, width]), device)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    /// Three clouds in the plane, ten points of the first for each of the last.
    fn clouds(seed: u64) -> LabelledEmbeddings {
        let mut random = StdRng::seed_from_u64(seed);
        let mut data = LabelledEmbeddings::default();
        for (label, (centre, count)) in [([0.0, 0.0], 200), ([3.0, 0.0], 60), ([0.0, 3.0], 20)]
            .into_iter()
            .enumerate()
        {
            for _ in 0..count {
                data.rows.push(
                    centre
                        .iter()
                        .map(|c| c + random.random_range(-1.0..1.0_f32))
                        .collect(),
                );
                data.labels.push(label);
            }
        }
        data
    }

    fn config() -> TrainingConfig {
        TrainingConfig {
            hidden: 16,
            epochs: 8,
            batch: 32,
            learning_rate: 1e-2,
            ..TrainingConfig::default()
        }
    }

    #[test]
    fn separable_classes_are_learned_and_the_best_epoch_is_kept() {
        for loss in [
            Loss::WeightedCrossEntropy,
            Loss::Focal {
                gamma: 2.0,
                beta: 0.99,
            },
        ] {
            let config = TrainingConfig { loss, ..config() };
            let validation = clouds(2);
            let trained =
                train_mlp(&clouds(1), Some(&validation), 3, &config, |_| {}).expect("valid data");
            let highest = trained
                .epochs
                .iter()
                .filter_map(|epoch| epoch.macro_f1)
                .fold(0.0, f64::max);
            assert!(highest > 0.97, "{:?}", trained.epochs);
            assert_eq!(trained.best.macro_f1, Some(highest));
            let first = trained
                .epochs
                .iter()
                .find(|epoch| epoch.macro_f1 == Some(highest))
                .expect("some epoch");
            assert_eq!(trained.best, *first, "the first of equal epochs");
            assert_eq!(
                confusion(&trained.mlp, &validation, 3).macro_f1(),
                highest,
                "the state is that epoch's"
            );
        }
    }

    #[test]
    fn same_seed_gives_the_same_classifier() {
        let (training, validation) = (clouds(1), clouds(2));
        let run = |seed| {
            let config = TrainingConfig {
                seed,
                epochs: 2,
                ..config()
            };
            let trained =
                train_mlp(&training, Some(&validation), 3, &config, |_| {}).expect("valid data");
            predict(&trained.mlp, &validation.rows, &Device::flex())
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn last_epoch_is_kept_without_validation_data() {
        let trained = train_mlp(&clouds(1), None, 3, &config(), |_| {}).expect("valid data");
        assert_eq!((trained.best.epoch, trained.best.macro_f1), (8, None));
    }

    #[test]
    fn data_that_does_not_fit_is_refused() {
        let data = clouds(1);
        let refuse = |training: &LabelledEmbeddings, validation: &LabelledEmbeddings, classes| {
            train_mlp(training, Some(validation), classes, &config(), |_| {})
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
        let mut ragged = data.clone();
        ragged.rows[5].push(0.0);
        assert_eq!(
            refuse(&data, &ragged, 3),
            "validation embedding 5 has 3 values, expected 2"
        );
    }
}
