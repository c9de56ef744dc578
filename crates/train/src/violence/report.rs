//! What training of violence gives.

use serde::Serialize;

use super::{LabelledVideo, ViolenceScore, training::frame_counts};
use crate::{EpochReport, Fitted};
use affectlens::weights::Weights;

/// A trained head and how it went.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedViolence {
    /// Parameters, 32-bit; the metadata names the architecture.
    pub weights: Weights,
    /// How training went.
    pub report: ViolenceReport,
}

/// How the training of a network for violence went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViolenceReport {
    /// Training videos.
    pub videos: usize,
    /// Their labelled frames without and with violence.
    pub frames: [usize; 2],
    /// The epoch whose state was kept.
    pub epoch: usize,
    /// Scores of the validation clips in that epoch, if there are any.
    pub validation: Option<ViolenceScore>,
    /// All epochs.
    pub epochs: Vec<EpochReport<ViolenceScore>>,
}

impl ViolenceReport {
    /// The report of a head that is not trained in epochs.
    pub(super) fn without_epochs(training: &[LabelledVideo]) -> Self {
        Self {
            videos: training.len(),
            frames: frame_counts(training),
            epoch: 0,
            validation: None,
            epochs: Vec::new(),
        }
    }

    pub(super) fn new<N>(training: &[LabelledVideo], fitted: &Fitted<N, ViolenceScore>) -> Self {
        Self {
            epoch: fitted.best.epoch,
            validation: fitted.best.validation,
            epochs: fitted.epochs.clone(),
            ..Self::without_epochs(training)
        }
    }
}
