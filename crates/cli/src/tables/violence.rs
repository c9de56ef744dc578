//! The rows of DVD's table that have a preset.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use burn::tensor::Device;

use super::Args;
use crate::{
    progress::Terminal,
    readers::open_videos,
    train::{show_training, violence::train_on_pictures},
};
use affectlens::{
    head::TemporalHead,
    metrics::Confusion,
    weights::{Precision, Weights},
    windowing::Windows,
};
use affectlens_data::{Dvd, Part, VideoSource, Videos, add_frames, score_video};
use affectlens_train::{Augmentation, ViolenceRecipe, head_recipe, violence_table};

/// Published: what is at least as probable is violent.
const THRESHOLD: f32 = 0.5;

impl Args {
    /// Trains the presets and scores whole validation videos with every frame in a window; presets whose weights are not
    /// there are left out. Gives the table as Markdown and JSON.
    pub(super) fn violence(&self) -> Result<(String, String)> {
        let root = self.dvd.as_deref().context("--dvd ROOT is missing")?;
        let mut backbones: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (preset, backbone) in ViolenceRecipe::PRESETS {
            backbones.entry(backbone).or_default().push(preset);
        }
        let mut ours: BTreeMap<&str, Confusion> = BTreeMap::new();
        for (backbone, presets) in backbones {
            match &self.end_to_end {
                Some(folder) => {
                    let Some(published) = state_dict(folder, backbone) else {
                        complain!(
                            "affectlens: no rows of {backbone}: `{}` has no state dict of it",
                            folder.display()
                        );
                        continue;
                    };
                    for preset in presets {
                        let confusion = self.whole_network(root, preset, backbone, &published)?;
                        ours.insert(preset, confusion);
                    }
                }
                None => self.frozen(root, backbone, &presets, &mut ours)?,
            }
        }
        let table = violence_table(&ours);
        let markdown = format!("## {}\n\n{}\n", table.task, table.markdown());
        Ok((markdown, serde_json::to_string_pretty(&table)?))
    }

    fn recipe(&self, preset: &str) -> Result<ViolenceRecipe> {
        let published = ViolenceRecipe::preset(preset).context("a published preset")?;
        Ok(ViolenceRecipe {
            epochs: self.epochs.unwrap_or(published.epochs),
            ..published
        })
    }

    fn frozen(
        &self,
        root: &Path,
        backbone: &str,
        presets: &[&'static str],
        ours: &mut BTreeMap<&str, Confusion>,
    ) -> Result<()> {
        let reader = match open_videos(backbone, self.weights.clone(), self.device) {
            Ok(reader) => reader,
            Err(error) => {
                complain!("affectlens: no rows of {backbone}: {error:#}");
                return Ok(());
            }
        };
        let [training, validation] = VideoSource::Dvd(Dvd::new(root)).parts(&reader)?;
        for preset in presets {
            let recipe = ViolenceRecipe {
                // Features of frames are there once, as they are.
                augmentation: Augmentation::None,
                ..self.recipe(preset)?
            };
            let frames: usize = training.frames.iter().map(|(frames, _)| frames).sum();
            let made_of = reader.key();
            let videos = training.places.len();
            let trained_on = format!("{made_of} {videos} videos, {frames} frames, {recipe:?}");
            let length = recipe.length;
            let weights = self.head(preset, reader.weights(), trained_on, || {
                let data = [&training.data, &validation.data];
                let recipe = head_recipe(recipe);
                Ok(recipe.train(data, &[], None, &mut show_training())?.weights)
            })?;
            ours.insert(preset, score(&weights, length, &validation)?);
        }
        Ok(())
    }

    /// Files of the preset are in a folder of its name; an interrupted run goes on.
    fn whole_network(
        &self,
        root: &Path,
        preset: &str,
        backbone: &str,
        published: &Path,
    ) -> Result<Confusion> {
        let recipe = self.recipe(preset)?;
        let folder = self.out.join(preset);
        complain!("{preset}: training");
        let trained = train_on_pictures(
            (backbone, published),
            |side| {
                let source = VideoSource::Dvd(Dvd::new(root));
                Ok(source.pictures(side, None, &Terminal::default())?)
            },
            &recipe,
            self.device,
            Some(&folder.join("checkpoint.safetensors")),
        )?;
        let file = folder.join(format!("{backbone}.safetensors"));
        trained.backbone.write(&file, Precision::Lossless)?;
        let reader = open_videos(backbone, Some(folder), self.device)?;
        let videos = Dvd::new(root).read(Part::Validation)?;
        score(
            &trained.head,
            recipe.length,
            &reader.dvd(&videos, "validation")?,
        )
    }
}

fn state_dict(folder: &Path, backbone: &str) -> Option<PathBuf> {
    let file = |extension| folder.join(format!("{backbone}.{extension}"));
    let mut files = ["safetensors", "pth", "pt"].map(file).into_iter();
    files.find(|path| path.exists())
}

/// All labelled frames of the videos together. With a step of 1 the published windows, half a window apart, cover every
/// frame.
fn score(head: &Weights, length: usize, videos: &Videos) -> Result<Confusion> {
    let head = TemporalHead::load(head, &Device::flex())?;
    let windows = Windows::new(length, 1)?;
    let mut confusion = Confusion::new(2);
    for (video, features) in videos.data.iter() {
        let probabilities = score_video(&head, features, &windows, false)?;
        add_frames(&mut confusion, &video.labels, &probabilities, THRESHOLD);
    }
    Ok(confusion)
}
