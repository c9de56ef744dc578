//! The rows of DVD's table that have a preset.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::tensor::Device;

use super::Args;
use crate::{
    cli::{
        train::show_training,
        videos::{Source, VideoReader},
    },
    head::TemporalHead,
    metrics::Confusion,
    train::{
        Augmentation, Table, ViolenceRecipe, add_frames, score_video, train_violence,
        violence_table,
    },
    windowing::Windows,
};

/// Published: what is at least as probable is violent.
const THRESHOLD: f32 = 0.5;

impl Args {
    /// Trains the presets on frozen features and scores whole validation videos with every frame in a window; presets
    /// without installed weights are left out.
    pub(super) fn violence(&self) -> Result<Table> {
        let source = Source::open(None, self.dvd.as_deref())?;
        let mut backbones: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (preset, backbone) in ViolenceRecipe::PRESETS {
            backbones.entry(backbone).or_default().push(preset);
        }
        let mut ours: BTreeMap<&str, Confusion> = BTreeMap::new();
        for (backbone, presets) in backbones {
            let reader = match VideoReader::open(backbone, self.weights.clone(), self.device) {
                Ok(reader) => reader,
                Err(error) => {
                    eprintln!("affectlens: no rows of {backbone}: {error:#}");
                    continue;
                }
            };
            let [training, validation] = source.parts(&reader)?;
            for preset in presets {
                let Some(recipe) = ViolenceRecipe::preset(preset) else {
                    continue;
                };
                let recipe = ViolenceRecipe {
                    epochs: self.epochs.unwrap_or(recipe.epochs),
                    // Features of frames are there once, as they are.
                    augmentation: Augmentation::None,
                    ..recipe
                };
                let frames: usize = training.frames.iter().map(|(frames, _)| frames).sum();
                let digest = &reader.weights().metadata.source_sha256;
                let videos = training.places.len();
                let trained_on = format!("{digest} {videos} videos, {frames} frames, {recipe:?}");
                let weights = self.head_over(preset, reader.weights(), trained_on, || {
                    let data = [&training.data, &validation.data];
                    let show = show_training();
                    Ok(train_violence(data[0], data[1], &recipe, None, show)?.weights)
                })?;
                let head = TemporalHead::load(&weights, &Device::flex())?;
                // With a step of 1 the published windows, half a window apart, cover every frame.
                let windows = Windows::new(recipe.length, 1)?;
                let mut confusion = Confusion::new(2);
                for (video, features) in validation.data.iter() {
                    let probabilities = score_video(&head, features, &windows)?;
                    add_frames(&mut confusion, &video.labels, &probabilities, THRESHOLD);
                }
                ours.insert(preset, confusion);
            }
        }
        Ok(violence_table(&ours))
    }
}
