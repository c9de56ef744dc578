//! The training loop of all heads.

use std::fmt;

use burn::{
    module::Module,
    optim::{AdamConfig, GradientsParams, decay::WeightDecayConfig},
    tensor::Tensor,
};
use rand::{SeedableRng, rngs::StdRng};
use serde::Serialize;
use thiserror::Error;

use affectlens_data::FeatureRows;

use super::schedule::{LearningRate, Schedule};
use affectlens::calibration::CalibrationError;

/// Why a network cannot be trained.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FitError {
    /// A part of the data is empty.
    #[error("{0} data has no examples, expected at least one")]
    Empty(&'static str),
    /// Rows and labels do not pair up.
    #[error("{part} data has {labels} labels for {rows} rows, expected as many")]
    Count {
        /// `training` or `validation`.
        part: &'static str,
        /// Rows that came.
        rows: usize,
        /// Labels that came.
        labels: usize,
    },
    /// Validation rows have another width than training rows.
    #[error("{part} rows have {got} values, expected {expected}")]
    Width {
        /// `training` or `validation`.
        part: &'static str,
        /// Width of the training rows.
        expected: usize,
        /// Width of these rows.
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
    /// Valence or arousal is out of range: Aff-Wild2 marks frames without a label with -5.
    #[error("{part} example {row} has valence or arousal {got}, expected a number from -1 to 1")]
    Value {
        /// `training` or `validation`.
        part: &'static str,
        /// Index of the row.
        row: usize,
        /// The value.
        got: f32,
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

impl FitError {
    pub(super) fn setting(
        what: &'static str,
        expected: &'static str,
        got: impl fmt::Display,
    ) -> Self {
        Self::Setting {
            what,
            expected,
            got: got.to_string(),
        }
    }
}

/// Rows with the label of each.
#[derive(Debug)]
pub struct Examples<'a, L> {
    /// Embeddings or scores.
    pub rows: &'a FeatureRows,
    /// One a row.
    pub labels: &'a [L],
}

impl<L> Clone for Examples<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Examples<'_, L> {}

impl<L> Examples<'_, L> {
    /// Confirms that there are examples, each with a label and a row of that width.
    pub(super) fn check(&self, part: &'static str, width: usize) -> Result<(), FitError> {
        let (rows, labels) = (self.rows.len(), self.labels.len());
        if rows != labels {
            return Err(FitError::Count { part, rows, labels });
        }
        if rows == 0 {
            return Err(FitError::Empty(part));
        }
        if self.rows.width() != width {
            return Err(FitError::Width {
                part,
                expected: width,
                got: self.rows.width(),
            });
        }
        Ok(())
    }
}

/// How an epoch went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochReport<S> {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean loss of its steps.
    pub loss: f64,
    /// Step size of the optimiser.
    pub learning_rate: f64,
    /// Scores on the validation data, if there is any.
    pub validation: Option<S>,
}

impl<S: fmt::Display> fmt::Display for EpochReport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}: loss {:.4}", self.epoch, self.loss)?;
        match &self.validation {
            Some(validation) => write!(f, ", {validation}"),
            None => Ok(()),
        }
    }
}

/// What decides which epoch is the best.
pub trait EpochScore {
    /// Higher is better.
    fn score(&self) -> f64;

    /// Loss on the validation data, where a [`Plateau`](super::Plateau) is to watch it.
    fn loss(&self) -> Option<f64> {
        None
    }
}

/// A trained network.
#[derive(Debug)]
pub struct Fitted<N, S> {
    /// The state of the best epoch, without gradients.
    pub network: N,
    /// The epoch with the highest score, the first of equals; the last one without validation data.
    pub best: EpochReport<S>,
    /// All epochs.
    pub epochs: Vec<EpochReport<S>>,
}

/// Trains a network on an autodiff device.
///
/// `batches` draws the examples of an epoch, `loss` is that of one batch, `validate` scores the network without
/// gradients after each epoch or gives `None` where there is nothing to score it on.
pub(super) fn fit<N: Module, S: EpochScore + Clone>(
    mut network: N,
    schedule: &Schedule,
    mut batches: impl FnMut(&mut StdRng) -> Vec<Vec<usize>>,
    mut loss: impl FnMut(&N, &[usize], &mut StdRng) -> Tensor<1>,
    validate: impl Fn(&N) -> Option<S>,
    mut on_epoch: impl FnMut(&EpochReport<S>),
) -> Result<Fitted<N, S>, FitError> {
    schedule.check()?;
    let mut random = StdRng::seed_from_u64(schedule.seed);
    let decay =
        (schedule.weight_decay > 0.0).then(|| WeightDecayConfig::new(schedule.weight_decay));
    // Burn's default epsilon is 1e-5; the published recipe has PyTorch's.
    let mut adam = AdamConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(decay)
        .init();
    let mut rate = LearningRate::new(schedule);
    let mut epochs: Vec<EpochReport<S>> = Vec::with_capacity(schedule.epochs);
    let mut best: Option<(N, EpochReport<S>)> = None;
    for epoch in 1..=schedule.epochs {
        let batches = batches(&mut random);
        let mut sum = 0.0;
        for batch in &batches {
            let loss = loss(&network, batch, &mut random);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = adam.step(rate.value, network, gradients);
            sum += f64::from(loss.into_scalar::<f32>());
        }
        let loss = sum / batches.len() as f64;
        if !loss.is_finite() {
            return Err(FitError::Diverged { epoch });
        }
        let state = network.valid();
        let report = EpochReport {
            epoch,
            loss,
            learning_rate: rate.value,
            validation: validate(&state),
        };
        on_epoch(&report);
        if let Some(loss) = report.validation.as_ref().and_then(EpochScore::loss) {
            rate.note(loss);
        }
        let score = |report: &EpochReport<S>| report.validation.as_ref().map(EpochScore::score);
        let margin = schedule.early_stop.map_or(0.0, |stop| stop.improvement);
        // Without validation data there is nothing to compare: each epoch replaces the one before.
        let is_better = match (score(&report), best.as_ref().and_then(|(_, it)| score(it))) {
            (Some(score), Some(best)) => score > best + margin,
            _ => true,
        };
        epochs.push(report.clone());
        if is_better {
            best = Some((state, report));
        }
        let since = |best: &EpochReport<S>| epoch - best.epoch;
        let is_late = |stop: super::EarlyStop| {
            best.as_ref()
                .is_some_and(|(_, best)| since(best) >= stop.patience.max(1))
        };
        if schedule.early_stop.is_some_and(is_late) {
            break;
        }
    }
    let (network, best) = best.ok_or(FitError::Empty("training"))?;
    Ok(Fitted {
        network,
        best,
        epochs,
    })
}
