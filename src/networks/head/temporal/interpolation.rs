//! Features of a few moments of a window, spread over its frames.

use burn::tensor::{Tensor, TensorData};

use crate::kernel::linear_shares;

/// Interpolates linearly along time; before the centre of the first moment there are the features of the first, behind that
/// of the last those of the last.
///
/// # Shapes
///
/// - features: `[batch, moments, width]`, at least one moment
/// - output: `[batch, frames, width]`
pub(super) fn over_frames(features: Tensor<3>, frames: usize) -> Tensor<3> {
    let [batch, moments, _] = features.dims();
    if moments == frames {
        return features;
    }
    let shares = TensorData::new(linear_shares(moments, frames), [1, frames, moments]);
    let shares: Tensor<3> = Tensor::from_data(shares, &features.device());
    shares.expand([batch, frames, moments]).matmul(features)
}
