//! The rows of DVD's table that have a preset.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use serde::Serialize;

use super::Args;
use crate::{
    progress::Terminal,
    readers::open_videos,
    train::{show_training, violence::train_on_pictures},
    two_streams::stream_of,
};
use affectlens::{
    head::{SecondStream, TemporalHead},
    metrics::Confusion,
    weights::{Precision, Weights},
    windowing::Windows,
};
use affectlens_data::{Dvd, Part, VideoReader, VideoSource, Videos, add_frames, score_video};
use affectlens_train::{
    Augmentation, Table, ViolenceRecipe, head_recipe, violence_presets, violence_table,
};

/// Published: what is at least as probable is violent.
const THRESHOLD: f32 = 0.5;
/// The preset whose backbone heads over two streams take when it is trained here.
const ENCODER: &str = "convnext_tiny_clip32";

/// The table, and what a second computation needs.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    table: Table,
    /// Folders of the cached features, by preset: of the frames, and of the optical flow.
    features: BTreeMap<&'static str, Vec<PathBuf>>,
}

/// Presets on the same features.
struct Group {
    backbone: &'static str,
    stream: Option<SecondStream>,
    presets: Vec<&'static str>,
}

impl Group {
    /// All presets that have a row; those over one stream come first.
    fn all() -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for preset in violence_presets() {
            let backbones = ViolenceRecipe::PRESETS.into_iter();
            let backbone = backbones.filter(|(name, _)| *name == preset);
            let stream = ViolenceRecipe::preset(preset).and_then(|it| stream_of(it.head));
            for (_, backbone) in backbone {
                let mut found = groups.iter_mut();
                let found = found.find(|it| (it.backbone, it.stream) == (backbone, stream));
                match found {
                    Some(group) => group.presets.push(preset),
                    None => groups.push(Self {
                        backbone,
                        stream,
                        presets: vec![preset],
                    }),
                }
            }
        }
        groups.sort_by_key(|group| group.stream.is_some());
        groups
    }
}

impl Args {
    /// Trains the presets and scores whole validation videos with every frame in a window; presets whose weights or second
    /// stream are not there, or do not fit, are left out. Gives the table as Markdown and JSON.
    pub(super) fn violence(&self) -> Result<(String, String)> {
        let root = self.dvd.as_deref().context("--dvd ROOT is missing")?;
        self.second_stream.expect_folders()?;
        // What is wrong with the data is wrong for every row.
        for part in [Part::Training, Part::Validation] {
            Dvd::new(root).read(part)?;
        }
        let streams = [SecondStream::Skeletons, SecondStream::Flow].into_iter();
        let given: Vec<_> = streams.filter(|it| self.second_stream.has(*it)).collect();
        let mut ours: BTreeMap<&str, Confusion> = BTreeMap::new();
        let mut features = BTreeMap::new();
        for group in Group::all() {
            match (&self.end_to_end, group.stream) {
                (_, Some(stream)) if !given.contains(&stream) => {}
                (Some(folder), None) => {
                    let Some(published) = state_dict(folder, group.backbone) else {
                        complain!(
                            "affectlens: no rows of {}: `{}` has no state dict of it",
                            group.backbone,
                            folder.display()
                        );
                        continue;
                    };
                    for preset in group.presets {
                        let row = self.whole_network(root, preset, group.backbone, &published);
                        keep(&mut ours, preset, row);
                    }
                }
                // As published, on the backbone of an earlier run.
                (Some(_), Some(_)) => {
                    let folder = self.out.join(ENCODER);
                    self.frozen(root, &group, Some(folder), &mut ours, &mut features);
                }
                (None, _) => {
                    let folder = self.weights.clone();
                    self.frozen(root, &group, folder, &mut ours, &mut features);
                }
            }
        }
        let table = violence_table(&ours, &given);
        let markdown = format!("## {}\n\n{}\n", table.task, table.markdown());
        let report = Report { table, features };
        Ok((markdown, serde_json::to_string_pretty(&report)?))
    }

    fn recipe(&self, preset: &str) -> Result<ViolenceRecipe> {
        let published = ViolenceRecipe::preset(preset).context("a published preset")?;
        Ok(ViolenceRecipe {
            epochs: self.epochs.unwrap_or(published.epochs),
            ..published
        })
    }

    /// What reads the group's features, with the weights of a folder.
    fn video_reader(&self, group: &Group, weights: Option<PathBuf>) -> Result<VideoReader> {
        let mut reader = open_videos(group.backbone, weights, self.device)?;
        let weights = self.weights.as_deref();
        let open = |stream| {
            let options = &self.second_stream;
            options.reader(stream, None, weights, self.device)
        };
        reader.second = group.stream.map(open).transpose()?;
        Ok(reader)
    }

    fn frozen(
        &self,
        root: &Path,
        group: &Group,
        weights: Option<PathBuf>,
        ours: &mut BTreeMap<&str, Confusion>,
        features: &mut BTreeMap<&'static str, Vec<PathBuf>>,
    ) {
        let read = || -> Result<_> {
            let reader = self.video_reader(group, weights)?;
            let parts = VideoSource::Dvd(Dvd::new(root)).parts(&reader)?;
            Ok((reader, parts))
        };
        let (reader, parts) = match read() {
            Ok(read) => read,
            Err(error) => {
                let presets = group.presets.join(", ");
                complain!(
                    "affectlens: no rows of {} ({presets}): {error:#}",
                    group.backbone
                );
                return;
            }
        };
        for &preset in &group.presets {
            features.insert(preset, reader.folders());
            keep(ours, preset, self.on_features(preset, &reader, &parts));
        }
    }

    /// Trains a preset's head on features, and scores it.
    fn on_features(
        &self,
        preset: &str,
        reader: &VideoReader,
        [training, validation]: &[Videos; 2],
    ) -> Result<Confusion> {
        let recipe = ViolenceRecipe {
            // Features of frames and clips are there once, as they are.
            augmentation: Augmentation::None,
            ..self.recipe(preset)?
        };
        let frames: usize = training.frames.iter().map(|(frames, _)| frames).sum();
        let made_of = reader.key();
        let videos = training.places.len();
        let trained_on = format!("{made_of} {videos} videos, {frames} frames, {recipe:?}");
        let length = recipe.length;
        let head = recipe.head;
        let weights = self.head(preset, reader.weights(), trained_on, || {
            let data = [&training.data, &validation.data];
            let recipe = head_recipe(recipe);
            let mut trained = recipe.train(data, &[], None, &mut show_training())?.weights;
            self.second_stream.stamp(head, &mut trained);
            Ok(trained)
        })?;
        score(&weights, length, validation)
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
                Ok(source.pictures(side, None, None, &Terminal::default())?)
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

/// Keeps a row; one that cannot be computed takes none of the others with it.
fn keep<'a>(ours: &mut BTreeMap<&'a str, Confusion>, preset: &'a str, row: Result<Confusion>) {
    match row {
        Ok(confusion) => {
            ours.insert(preset, confusion);
        }
        Err(error) => complain!("affectlens: no row of {preset}: {error:#}"),
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
