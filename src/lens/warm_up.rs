//! Compiles the kernels of a GPU before the first real frame.

use crate::{device::OpenedDevice, error::LensError, frame::Frame};

/// Runs networks once on a blank frame, where there is a GPU: every kernel is compiled and tried.
///
/// # Errors
///
/// [`LensError::Device`] if the GPU refuses a kernel, or the error of `run`.
pub(super) async fn warm_up(
    device: &OpenedDevice,
    run: impl AsyncFnOnce(&Frame) -> Result<(), LensError>,
) -> Result<(), LensError> {
    if !device.has_gpu() {
        return Ok(());
    }
    let blank = Frame::from_rgb(64, 48, vec![0; 64 * 48 * 3]).expect("as many bytes as pixels");
    device.check_kernels(async || run(&blank).await).await?
}
