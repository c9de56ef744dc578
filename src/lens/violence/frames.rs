//! Embeds one frame.

use crate::{
    backbone::Backbone, crop, device::OpenedDevice, error::LensError, frame::Frame,
    kernel::read_back,
};

/// What the network makes of a frame.
pub(super) async fn embed(
    backbone: &Backbone,
    frame: &Frame,
    device: &OpenedDevice,
) -> Result<Vec<f32>, LensError> {
    let facts = backbone.facts();
    let squashed = crop::resize(frame, facts.input_side);
    let batch = crop::batch(&[squashed], &facts.normalisation, &device.device)?;
    let network = backbone.network();
    let read = read_back(vec![network.forward(batch)]).await;
    let mut read = read.map_err(LensError::read_back)?;
    device.check()?;
    // The embedding is the first output; a classifier may follow.
    let embedding = network.outputs()[0].clone();
    Ok(read.swap_remove(0)[embedding].to_vec())
}
