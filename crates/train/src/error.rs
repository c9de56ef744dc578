//! Why a network cannot be trained.

use std::fmt;

use thiserror::Error;

use affectlens::{calibration::CalibrationError, weights::WeightsError};

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
    /// An interrupted run cannot be resumed.
    #[error("checkpoint `{path}` {reason}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What was expected and what came.
        reason: String,
    },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Most epochs, examples of a batch and the like: a number beyond is a mistake, and sums and products of such numbers would
/// leave those that there are.
const MOST_COUNTED: usize = 1_000_000;

impl FitError {
    /// Confirms that each setting is a number that a run can have.
    pub(crate) fn expect_counts(settings: &[(&'static str, usize)]) -> Result<(), Self> {
        let wrong = |(_, count): &&(_, usize)| !(1..=MOST_COUNTED).contains(count);
        match settings.iter().find(wrong) {
            None => Ok(()),
            Some((what, 0)) => Err(Self::setting(what, "at least 1", 0)),
            Some((what, count)) => Err(Self::setting(what, "at most 1000000", count)),
        }
    }

    pub(crate) fn setting(
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
