//! ONNX models.
use super::{PublishedWeights, WeightsError};

/// Reads a graph.
pub(super) fn read_graph(_bytes: &[u8]) -> Result<PublishedWeights, WeightsError> {
    Err(WeightsError::Unsupported {
        format: "onnx",
        what: "a graph".to_owned(),
    })
}
