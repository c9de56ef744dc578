//! What is reported while a network is trained.

use std::fmt;

use serde::Serialize;

/// How an epoch went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochReport<S> {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean loss of its batches.
    pub loss: f64,
    /// Step size of the optimiser, at the last step of the epoch.
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

/// Scores on the validation data, which decide which epoch is the best.
pub trait EpochScore: Sized {
    /// Higher is better.
    fn score(&self) -> f64;

    /// Loss on the validation data, where a [`Plateau`](crate::Plateau) is to watch it.
    fn loss(&self) -> Option<f64> {
        None
    }

    /// All of its numbers, for a checkpoint.
    fn numbers(&self) -> Vec<f64>;

    /// The score with these [`numbers`](Self::numbers); `None` if there are too few or too many.
    fn from_numbers(numbers: &[f64]) -> Option<Self>;
}

/// What happens while a network is trained.
#[derive(Clone, Copy, Debug)]
pub enum TrainingEvent<'a, S> {
    /// A batch went through the network.
    Batch {
        /// Number of the epoch, from 1.
        epoch: usize,
        /// Batches of the epoch so far.
        done: usize,
        /// Batches of an epoch.
        of: usize,
    },
    /// An epoch is over, and its checkpoint is written.
    Epoch(&'a EpochReport<S>),
}
