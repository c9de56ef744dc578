//! `affectlens tables`: the method's tables on Aff-Wild2 and DVD, ours beside the published figures.

mod violence;

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use serde::Serialize;

use super::{DeviceOption, WeightsOptions, readers::open_crops, train::stamp};
use affectlens::{
    device::OpenedDevice,
    head::{ActionUnits, Mlp, ValenceArousal},
    label::AFF_WILD2,
    weights::{Precision, Weights},
};
use affectlens_data::{AffWild2, CropReader, FrameCounts, Keep, Part};
use affectlens_train::{
    ActionUnitExamples, ActionUnitRecipe, Examples, ExpressionRecipe, LabelledEmbeddings, Table,
    TrainingConfig, ValenceArousalRecipe, action_unit_table, expression_table, train_action_units,
    train_expression, train_valence_arousal, valence_arousal_table,
};

/// Backbones of the published rows.
const EXPRESSION_BACKBONE: &str = "emotieffnet-b0";
const VALENCE_AROUSAL_BACKBONE: &str = "mt-ddamfn";

/// Options of `affectlens tables`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Aff-Wild2's root folder, with cropped/VIDEO/00001.jpg and the three annotation trees.
    #[arg(long, value_name = "ROOT", required_unless_present = "dvd")]
    affwild2: Option<PathBuf>,
    /// DVD's root folder, with Training and Validation, instead: the table of violence, with the published presets on
    /// features of frozen backbones.
    #[arg(long, value_name = "ROOT", conflicts_with_all = ["affwild2", "backbone"])]
    dvd: Option<PathBuf>,
    /// Train the backbones of DVD's rows too, as published, from state dicts `DIR/NAME.safetensors`, `.pth` or `.pt`,
    /// `NAME` as convnext-tiny; slow without a GPU.
    #[arg(long, value_name = "DIR", requires = "dvd")]
    end_to_end: Option<PathBuf>,
    /// Passes over DVD's training videos [default: the presets'].
    #[arg(long, requires = "dvd")]
    epochs: Option<usize>,
    /// Backbone of all rows [default: emotieffnet-b0 for expressions and action units, mt-ddamfn for valence and
    /// arousal].
    #[arg(long, value_name = "NAME")]
    backbone: Option<String>,
    /// Folder that heads, tables.md and tables.json are written to; heads that are there and were trained on the same
    /// features are used again.
    #[arg(long, value_name = "DIR", default_value = "affwild2-tables")]
    out: PathBuf,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    json: bool,
    /// Where networks run.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Folder with weights files; the default is the cache that `affectlens weights fetch` fills.
    #[arg(long = "weights", value_name = "DIR")]
    weights: Option<PathBuf>,
}

/// What `tables.json` holds.
#[derive(Serialize)]
struct Report {
    tables: Vec<Table>,
    /// Of each task: training and validation frames.
    frames: BTreeMap<&'static str, [FrameCounts; 2]>,
    backbones: BTreeMap<&'static str, String>,
    /// Folder of the cached features of each task.
    features: BTreeMap<&'static str, PathBuf>,
    /// Numbers of a cached row that are the embedding; the others are outputs.
    embedding_widths: BTreeMap<&'static str, usize>,
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

/// Trains what is missing, prints the tables and keeps them.
pub(super) fn run(args: &Args) -> Result<()> {
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("--out `{}`", args.out.display()))?;
    let mut report = Report {
        tables: Vec::new(),
        frames: BTreeMap::new(),
        backbones: BTreeMap::new(),
        features: BTreeMap::new(),
        embedding_widths: BTreeMap::new(),
    };
    let Some(root) = &args.affwild2 else {
        let table = args.violence()?;
        let markdown = format!("## {}\n\n{}\n", table.task, table.markdown());
        let json = serde_json::to_string_pretty(&table)?;
        return args.keep(&markdown, json);
    };
    let tree = AffWild2::open(root)?;
    let device = args.device.open()?;
    let reader = args.reader(&tree, &device, EXPRESSION_BACKBONE)?;
    args.expression(&reader, &mut report)?;
    let (reader, images) = match &args.backbone {
        Some(_) => (None, reader),
        None => (
            Some(reader),
            args.reader(&tree, &device, VALENCE_AROUSAL_BACKBONE)?,
        ),
    };
    args.valence_arousal(&images, &mut report)?;
    args.action_units(reader.as_ref().unwrap_or(&images), &mut report)?;

    let markdown = report.markdown();
    let json = serde_json::to_string_pretty(&report)?;
    args.keep(&markdown, json)
}

impl Args {
    /// Writes both forms and prints the one that was asked for.
    fn keep(&self, markdown: &str, json: String) -> Result<()> {
        for (name, text) in [("tables.md", markdown), ("tables.json", &json)] {
            let path = self.out.join(name);
            std::fs::write(&path, text).with_context(|| format!("`{}`", path.display()))?;
        }
        print!(
            "{}",
            if self.json {
                json + "\n"
            } else {
                markdown.to_owned()
            }
        );
        Ok(())
    }

    fn reader(
        &self,
        tree: &AffWild2,
        device: &OpenedDevice,
        published: &str,
    ) -> Result<CropReader> {
        let options = WeightsOptions {
            folder: self.weights.clone(),
            backbone: self
                .backbone
                .clone()
                .unwrap_or_else(|| published.to_owned()),
        };
        open_crops(tree.clone(), &options, device.clone())
    }

    /// A head from the folder, if it was trained on `trained_on`; else it is trained and written.
    fn head(
        &self,
        name: &str,
        reader: &CropReader,
        trained_on: &str,
        train: impl FnOnce() -> Result<Weights>,
    ) -> Result<Weights> {
        let trained_on = format!("{} {trained_on}", reader.embedder().key());
        self.head_over(name, reader.weights(), trained_on, train)
    }

    fn head_over(
        &self,
        name: &str,
        backbone: &Weights,
        trained_on: String,
        train: impl FnOnce() -> Result<Weights>,
    ) -> Result<Weights> {
        let path = self.out.join(format!("{name}.safetensors"));
        if let Ok(kept) = Weights::read(&path)
            && kept.metadata.extra.get(TRAINED_ON) == Some(&trained_on)
        {
            eprintln!("{name}: trained before");
            return Ok(kept);
        }
        eprintln!("{name}: training");
        let mut weights = train()?;
        stamp(&mut weights, backbone);
        weights
            .metadata
            .extra
            .insert(TRAINED_ON.to_owned(), trained_on);
        weights.write(&path, Precision::Lossless)?;
        Ok(weights)
    }

    fn expression(&self, reader: &CropReader, report: &mut Report) -> Result<()> {
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
            let weights = self.head(name, reader, &data, || {
                let recipe = ExpressionRecipe {
                    training: training_config,
                    ..ExpressionRecipe::default()
                };
                let show = |epoch: &_| eprintln!("{epoch}");
                let trained = train_expression(&training, &scored, &AFF_WILD2, &recipe, show)?;
                Ok(trained.weights)
            })?;
            Ok(Mlp::load(&weights, &Device::flex())?)
        };
        let cross_entropy = head("expression", TrainingConfig::default())?;
        let focal = head("expression-focal", TrainingConfig::focal())?;
        let classes = reader.embedder().classes();
        let table = expression_table(&validation, &cross_entropy, &focal, &counts, classes)?;
        report.add(reader, frames, table);
        Ok(())
    }

    fn valence_arousal(&self, reader: &CropReader, report: &mut Report) -> Result<()> {
        let (training, training_frames) =
            reader.read::<[f32; 2]>(Part::Training, Keep::Labelled)?;
        let (validation, validation_frames) =
            reader.read::<[f32; 2]>(Part::Validation, Keep::All)?;
        let frames = [training_frames, validation_frames];
        let weights = self.head("valence-arousal", reader, &format!("{frames:?}"), || {
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
                |epoch| eprintln!("{epoch}"),
            )?;
            Ok(trained.weights)
        })?;
        let head = ValenceArousal::load(&weights, &Device::flex())?;
        let says = reader.embedder().has_valence_arousal();
        report.add(
            reader,
            frames,
            valence_arousal_table(&validation, &head, says),
        );
        Ok(())
    }

    fn action_units(&self, reader: &CropReader, report: &mut Report) -> Result<()> {
        let (training, training_frames) =
            reader.read::<[bool; 12]>(Part::Training, Keep::Labelled)?;
        let (validation, validation_frames) =
            reader.read::<[bool; 12]>(Part::Validation, Keep::All)?;
        let frames = [training_frames, validation_frames];
        let weights = self.head("action-units", reader, &format!("{frames:?}"), || {
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
                |part, epoch| eprintln!("{part}, {epoch}"),
            )?;
            Ok(trained.weights)
        })?;
        let head = ActionUnits::load(&weights, &Device::flex())?;
        report.add(reader, frames, action_unit_table(&validation, &head)?);
        Ok(())
    }
}

/// Key of what a head was trained on, in its metadata.
const TRAINED_ON: &str = "trained_on";
