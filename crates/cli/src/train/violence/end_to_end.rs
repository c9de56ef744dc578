//! Backbone and head trained together, on pictures.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::{
    DeviceOption,
    train::{command_line, show_training},
};
use affectlens::{
    backbone::{TrainableBackbone, canonical_weights},
    weights::{Precision, PublishedWeights, Weights, sha256},
};
use affectlens_data::{Part, VideoPictures};
use affectlens_train::{
    VideoFrames, ViolenceError, ViolenceNetwork, ViolenceRecipe, ViolenceReport, train_end_to_end,
};

/// Backbone and head that were trained together.
pub(crate) struct Trained {
    /// In canonical form.
    pub(crate) backbone: Weights,
    pub(crate) head: Weights,
    pub(super) report: ViolenceReport,
}

/// Trains a backbone from its published state dict, with a head; `parts` gives pictures of the side that it takes.
pub(crate) fn train_on_pictures(
    (name, published): (&str, &Path),
    parts: impl FnOnce(u32) -> Result<[VideoPictures; 2]>,
    recipe: &ViolenceRecipe,
    device: DeviceOption,
    checkpoint: Option<&Path>,
) -> Result<Trained> {
    let device = device.open()?.device.autodiff();
    let read = PublishedWeights::read_for(name, published).context("--published")?;
    let encoder = TrainableBackbone::load(name, read.named(), &device)
        .with_context(|| format!("`{}` as {name}", published.display()))?;
    let [training, validation] = &parts(encoder.facts().input_side)?;
    let frames = |part, video, frames: &[usize]| {
        let pictures = match part {
            Part::Training => training,
            Part::Validation => validation,
        };
        let read = pictures.frames(video, frames);
        Ok(VideoFrames {
            pictures: read.map_err(|error| ViolenceError::Frames(error.to_string()))?,
            second: pictures.second(video, frames),
        })
    };
    let trained = train_end_to_end(
        ViolenceNetwork::new(encoder, recipe, &device),
        &device,
        [&training.videos, &validation.videos],
        frames,
        recipe,
        checkpoint,
        show_training(),
    )?;
    let state = trained.network.backbone_weights();
    let digest = sha256(&state.to_safetensors(Precision::Single)?);
    let mut backbone = canonical_weights(name, &PublishedWeights::Named(state))?;
    backbone.metadata.source = command_line();
    backbone.metadata.source_sha256 = digest;
    Ok(Trained {
        backbone,
        head: trained.network.head_weights(),
        report: trained.report,
    })
}
