//! Torch checkpoints.
use std::path::Path;

use super::{Weights, WeightsError};

/// Reads a checkpoint.
pub(super) fn read_torch(_path: &Path) -> Result<Weights, WeightsError> {
    Err(WeightsError::Unsupported {
        format: "torch",
        what: "a checkpoint".to_owned(),
    })
}
