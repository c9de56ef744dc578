//! The tables for faces, on Aff-Wild2.

mod sound;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Result;
use burn::tensor::Device;
use serde::Serialize;

use super::Args;
use crate::{WeightsOptions, readers::open_crops, train::show_epochs};
use affectlens::{
    device::OpenedDevice,
    head::{ActionUnits, Mlp, ValenceArousal},
    label::AFF_WILD2,
    weights::Weights,
};
use affectlens_data::{AffWild2, CropReader, FrameCounts, Keep, LibreFaceCounts, Part};
use affectlens_train::{
    ActionUnitExamples, ActionUnitRecipe, Available, Examples, ExpressionRecipe, HeardExpressions,
    LabelledEmbeddings, Table, TrainingConfig, ValenceArousalRecipe, action_unit_table,
    expression_table, train_action_units, train_expression, train_valence_arousal,
    valence_arousal_table,
};
use sound::{Sound, SoundReport, Trained};

/// Backbones of the published rows.
const EXPRESSION_BACKBONE: &str = "emotieffnet-b0";
const VALENCE_AROUSAL_BACKBONE: &str = "mt-ddamfn";

/// What `tables.json` holds.
#[derive(Default, Serialize)]
struct Report {
    tables: Vec<Table>,
    /// Training and validation frames by task.
    frames: BTreeMap<&'static str, [FrameCounts; 2]>,
    backbones: BTreeMap<&'static str, String>,
    /// Folder of the cached features of each task.
    features: BTreeMap<&'static str, PathBuf>,
    /// Numbers of a cached row that are the embedding; the others are outputs.
    embedding_widths: BTreeMap<&'static str, usize>,
    /// What the rows with sound were made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<SoundReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    libreface: Option<LibreFaceCounts>,
}

impl Report {
    fn add(&mut self, reader: &CropReader, frames: [FrameCounts; 2], table: Table) {
        let embedder = reader.embedder();
        let task = table.task;
        self.frames.insert(task, frames);
        let backbone = &reader.weights().metadata.architecture;
        self.backbones.insert(task, backbone.clone());
        self.features.insert(task, embedder.folder().to_owned());
        self.embedding_widths.insert(task, embedder.widths()[0]);
        self.tables.push(table);
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            let [training, validation] = self.frames[table.task].map(|counts| counts.usable);
            let backbone = &self.backbones[table.task];
            text += &format!(
                "## {}\n\n`{backbone}`, {training} training and {validation} validation frames\n\n{}\n",
                table.task,
                table.markdown()
            );
        }
        text
    }
}

impl Args {
    /// The tables as Markdown and JSON.
    pub(super) fn affwild2(&self, root: &Path) -> Result<(String, String)> {
        let mut report = Report::default();
        let tree = AffWild2::open(root)?;
        let device = self.device.open()?;
        let mut sound = self.sound(&tree, &device)?;
        let reader = self.reader(&tree, &device, EXPRESSION_BACKBONE)?;
        self.expression(&reader, &mut sound, &mut report)?;
        let (reader, images) = match &self.backbone {
            Some(_) => (None, reader),
            None => (
                Some(reader),
                self.reader(&tree, &device, VALENCE_AROUSAL_BACKBONE)?,
            ),
        };
        self.valence_arousal(&tree, &images, &mut sound, &mut report)?;
        let faces = reader.as_ref().unwrap_or(&images);
        self.action_units(faces, &mut sound, &mut report)?;
        report.sound = sound.as_ref().ok().map(Sound::report);
        Ok((report.markdown(), serde_json::to_string_pretty(&report)?))
    }

    fn reader(
        &self,
        tree: &AffWild2,
        device: &OpenedDevice,
        published: &str,
    ) -> Result<CropReader> {
        let options = WeightsOptions {
            folder: self.weights.clone(),
            backbone: self.backbone.clone().or(Some(published.to_owned())),
        };
        open_crops(tree.clone(), &options, device.clone())
    }

    /// A head that fits the features of the reader's backbone.
    fn head_over(
        &self,
        name: &str,
        reader: &CropReader,
        trained_on: &str,
        train: impl FnOnce() -> Result<Weights>,
    ) -> Result<Weights> {
        let trained_on = format!("{} {trained_on}", reader.embedder().key());
        self.head(name, reader.weights(), trained_on, train)
    }

    fn expression(
        &self,
        reader: &CropReader,
        sound: &mut Available<Sound>,
        report: &mut Report,
    ) -> Result<()> {
        let (training, training_frames) = reader.read::<usize>(Part::Training, Keep::Labelled)?;
        let (validation, validation_frames) = reader.read::<usize>(Part::Validation, Keep::All)?;
        let frames = [training_frames, validation_frames];
        let labels = training.labels();
        let mut counts = vec![0; AFF_WILD2.len()];
        for label in &labels {
            counts[*label] += 1;
        }
        let data = format!("{frames:?} {counts:?}");
        let training = LabelledEmbeddings {
            rows: training.embeddings,
            labels,
        };
        let examples = validation.labelled_rows();
        let scored = LabelledEmbeddings {
            rows: validation.embeddings.select(&examples),
            labels: validation.labels(),
        };
        let head = |name: &str, training_config: TrainingConfig| -> Result<Mlp> {
            let weights = self.head_over(name, reader, &data, || {
                let recipe = ExpressionRecipe {
                    training: training_config,
                    ..ExpressionRecipe::default()
                };
                let data = [&training, &scored];
                let show = show_epochs("");
                let trained = train_expression(data[0], data[1], &AFF_WILD2, &recipe, None, show)?;
                Ok(trained.weights)
            })?;
            Ok(Mlp::load(&weights, &Device::flex())?)
        };
        let cross_entropy = head("expression", TrainingConfig::default())?;
        let focal = head("expression-focal", TrainingConfig::focal())?;
        let classes = reader.embedder().classes();
        let heard = self.expression_of_sound(sound)?;
        let heard = available(&heard, |heard| HeardExpressions {
            sound: heard.with_rows(),
            counts: &heard.counts,
        });
        let heads = [&cross_entropy, &focal];
        let table = expression_table(&validation, heads, &counts, classes, &heard)?;
        report.add(reader, frames, table);
        Ok(())
    }

    fn valence_arousal(
        &self,
        tree: &AffWild2,
        reader: &CropReader,
        sound: &mut Available<Sound>,
        report: &mut Report,
    ) -> Result<()> {
        let (training, training_frames) =
            reader.read::<[f32; 2]>(Part::Training, Keep::Labelled)?;
        let (validation, validation_frames) =
            reader.read::<[f32; 2]>(Part::Validation, Keep::All)?;
        let frames = [training_frames, validation_frames];
        let weights = self.head_over("valence-arousal", reader, &format!("{frames:?}"), || {
            let trained = train_valence_arousal(
                Examples {
                    rows: &training.outputs,
                    labels: &training.labels(),
                },
                Examples {
                    rows: &validation.outputs.select(&validation.labelled_rows()),
                    labels: &validation.labels(),
                },
                &ValenceArousalRecipe::default(),
                None,
                show_epochs(""),
            )?;
            Ok(trained.weights)
        })?;
        let head = ValenceArousal::load(&weights, &Device::flex())?;
        let has_own = reader.embedder().has_valence_arousal();
        let others = [
            self.valence_arousal_of_sound(sound)?,
            self.valence_arousal_of_libreface(tree, report)?,
        ];
        let [heard, libreface] = others
            .each_ref()
            .map(|other| available(other, Trained::with_rows));
        let table = valence_arousal_table(&validation, &head, has_own, &heard, &libreface);
        report.add(reader, frames, table);
        Ok(())
    }

    fn action_units(
        &self,
        reader: &CropReader,
        sound: &mut Available<Sound>,
        report: &mut Report,
    ) -> Result<()> {
        let (training, training_frames) =
            reader.read::<[bool; 12]>(Part::Training, Keep::Labelled)?;
        let (validation, validation_frames) =
            reader.read::<[bool; 12]>(Part::Validation, Keep::All)?;
        let frames = [training_frames, validation_frames];
        let weights = self.head_over("action-units", reader, &format!("{frames:?}"), || {
            let examples = validation.labelled_rows();
            let trained = train_action_units(
                ActionUnitExamples {
                    embeddings: &training.embeddings,
                    logits: &training.outputs,
                    labels: &training.labels(),
                },
                ActionUnitExamples {
                    embeddings: &validation.embeddings.select(&examples),
                    logits: &validation.outputs.select(&examples),
                    labels: &validation.labels(),
                },
                &ActionUnitRecipe::default(),
                None,
                |part, event| show_epochs(&format!("{part}, "))(event),
            )?;
            Ok(trained.weights)
        })?;
        let head = ActionUnits::load(&weights, &Device::flex())?;
        let heard = self.action_units_of_sound(sound)?;
        let heard = available(&heard, Trained::with_rows);
        let table = action_unit_table(&validation, &head, &heard)?;
        report.add(reader, frames, table);
        Ok(())
    }
}

/// What is made of something that may be missing.
fn available<'a, T, U>(it: &'a Available<T>, make: impl FnOnce(&'a T) -> U) -> Available<U> {
    it.as_ref().map(make).map_err(Clone::clone)
}
