//! The parts that a data set is handed out in.

/// What a model is trained on, or what it is scored on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// For training.
    Training,
    /// For validation: epochs and thresholds are chosen on it, and models are scored on it.
    Validation,
}
