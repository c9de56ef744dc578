//! What the parts of a lens have alike: results by frame, heads that fit their backbone, kernels that are tried first.

use crate::{device::OpenedDevice, error::LensError, frame::Frame, role::Role, weights::Metadata};

/// What a part found in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// Number of the frame.
    pub frame: u64,
    /// What was found.
    pub found: T,
}

/// Confirms that a head was trained on the embeddings of the backbone in use, if its file names them.
///
/// # Errors
///
/// [`LensError::Embedding`] if it was trained on others.
pub(crate) fn expect_embedding(
    role: Role,
    head: &Metadata,
    backbone: &str,
) -> Result<(), LensError> {
    match head.embedding() {
        Some(expected) if expected != backbone => Err(LensError::Embedding {
            role,
            expected: expected.to_owned(),
            got: backbone.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Runs networks once on a blank frame, where there is a GPU: every kernel is compiled and tried before the first real
/// frame.
///
/// # Errors
///
/// [`LensError::Device`] if the GPU refuses a kernel, or the error of `run`.
pub(crate) async fn warm_up(
    device: &OpenedDevice,
    run: impl AsyncFnOnce(&Frame) -> Result<(), LensError>,
) -> Result<(), LensError> {
    if !device.has_gpu() {
        return Ok(());
    }
    let blank = Frame::from_rgb(64, 48, vec![0; 64 * 48 * 3]).expect("as many bytes as pixels");
    device.check_kernels(async || run(&blank).await).await?
}
