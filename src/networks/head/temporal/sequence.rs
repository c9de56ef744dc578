//! What the networks of all kinds of temporal heads have in common.

use burn::nn::Dropout;
use burn::tensor::Tensor;

use super::parameters::Names;

/// Network over the embeddings of the frames of a window.
pub(super) trait TemporalNetwork {
    /// Length of an embedding.
    fn features(&self) -> usize;

    /// Parameters and running statistics with their published names.
    fn names(&self) -> Names<'_>;

    /// Computes logits `[batch, time, 2]` from embeddings `[batch, time, features]`.
    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3>;
}
