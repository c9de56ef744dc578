//! `affectlens train`: labelled pictures, or the videos of Aff-Wild2, to a head's weights file.

pub(super) mod violence;

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::{
    DeviceOption, WeightsOptions,
    options::expression,
    progress::{Terminal, progress},
    readers::{open_crops, picture_cache},
};
use affectlens::{
    calibration::{ActionUnitScore, ActionUnitSettings, ExpressionSettings},
    label::{AFF_WILD2, Expression},
    weights::{EMBEDDING, Precision, Weights},
};
use affectlens_data::{AffWild2, CropReader, Embedder, FrameCounts, Keep, LabelledPictures, Part};
use affectlens_train::{
    ActionUnitExamples, ActionUnitRecipe, EarlyStop, EpochReport, Examples, ExpressionRecipe,
    LabelledEmbeddings, Loss, Sampling, Schedule, TrainingConfig, TrainingEvent,
    ValenceArousalLoss, ValenceArousalRecipe, train_action_units, train_expression,
    train_valence_arousal,
};

/// Options of `affectlens train`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(flatten)]
    faces: FaceArgs,
    #[command(subcommand)]
    videos: Option<VideoTask>,
}

#[derive(clap::Subcommand, Debug)]
enum VideoTask {
    /// Trains a head that tells violent frames of videos.
    Violence(Box<violence::Args>),
}

/// Options of the tasks about faces.
#[derive(clap::Args, Debug)]
struct FaceArgs {
    /// What to train.
    // Required, but for the tasks with options of their own.
    #[arg(value_enum, required = true)]
    task: Option<Task>,
    /// Folder with DIR/train/LABEL/*.jpg and DIR/validation/LABEL/*.jpg; each picture is one face.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["training", "affwild2"])]
    data: Option<PathBuf>,
    /// Aff-Wild2's root folder, with cropped/VIDEO/00001.jpg and the annotation tree of the task; the backbone should
    /// be one with a classifier of its own.
    #[arg(long, value_name = "ROOT", conflicts_with_all = ["data", "training"])]
    affwild2: Option<PathBuf>,
    /// Folder LABEL/*.jpg of training pictures, instead of DIR/train; may be given several times.
    #[arg(
        long,
        value_name = "DIR",
        requires = "validation",
        conflicts_with = "data"
    )]
    training: Vec<PathBuf>,
    /// Folder LABEL/*.jpg of validation pictures, instead of DIR/validation; may be given several times.
    #[arg(
        long,
        value_name = "DIR",
        requires = "training",
        conflicts_with = "data"
    )]
    validation: Vec<PathBuf>,
    /// The weights file to write.
    #[arg(long, value_name = "FILE", required = true)]
    out: Option<PathBuf>,
    /// Labels whose pictures are left out.
    #[arg(
        long,
        value_name = "LABEL,...",
        value_delimiter = ',',
        value_parser = expression,
        conflicts_with = "affwild2"
    )]
    without: Vec<Expression>,
    /// Passes over the training pictures [default: as published, 10 for expressions, 5 for valence and arousal, 9 for
    /// action units].
    #[arg(long)]
    epochs: Option<usize>,
    /// Width of the hidden layer [default: 128 for expressions, none for valence and arousal, 256 for action units].
    #[arg(long)]
    hidden: Option<usize>,
    /// Examples a step [default: 256, 1024 or 512].
    #[arg(long)]
    batch: Option<usize>,
    /// Step size of Adam [default: 0.001].
    #[arg(long)]
    learning_rate: Option<f64>,
    /// L2 penalty on the parameters [default: 0, 1/1024 or 0.00001].
    #[arg(long)]
    weight_decay: Option<f32>,
    /// What valence and arousal minimise.
    #[arg(long, value_enum, default_value_t)]
    loss: Distance,
    /// What action-unit thresholds are compared with, kept in the file.
    #[arg(long, value_enum, default_value_t)]
    scores: ScoreKind,
    /// Focal loss of this gamma with class-balanced weights, instead of weighted cross-entropy.
    #[arg(long, value_name = "GAMMA")]
    focal: Option<f32>,
    /// Beta of the class-balanced weights.
    #[arg(long, default_value_t = 0.99, requires = "focal")]
    beta: f64,
    /// Batches of N examples of each class, instead of shuffled ones of --batch.
    #[arg(long, value_name = "N", conflicts_with_all = ["batch", "weighted_sampler"])]
    per_class: Option<usize>,
    /// Draw examples with replacement, each class as often as any other.
    #[arg(long)]
    weighted_sampler: bool,
    /// Mix pairs of examples (mixup) in shares of the beta distribution with this parameter, from 0.01 to 1.
    #[arg(long, value_name = "ALPHA")]
    mixup: Option<f64>,
    /// Stop when macro-F1 on the validation pictures has not risen by 0.0001 for so many epochs.
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<usize>,
    /// Start of the random numbers [default: 0, 0 or 42].
    #[arg(long)]
    seed: Option<u64>,
    /// Part of the training pictures on which the number of epochs is chosen; 0 chooses the epoch on validation.
    #[arg(long, value_name = "PART", default_value_t = 0.0)]
    holdout: f64,
    /// Do not tune class biases on the validation pictures.
    #[arg(long)]
    no_gla: bool,
    /// Threshold of the confident filter, kept in the file as its default.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    confidence: f32,
    /// Weight of this head against the pretrained classifier, kept in the file as its default.
    #[arg(long, value_name = "W", default_value_t = 1.0)]
    blend: f32,
    /// Frames to each side that are averaged in a video, kept in the file as its default.
    #[arg(long, value_name = "FRAMES", default_value_t = 50)]
    half_window: usize,
    /// Part of the detector's box to add on each side of a face, kept in the file: what makes a detected face look
    /// like the training pictures.
    #[arg(
        long,
        value_name = "PART",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    crop_margin: f32,
    /// Part of the detector's box by which the cropped region is moved up, kept in the file.
    #[arg(
        long,
        value_name = "PART",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    crop_rise: f32,
    /// Rights in the trained parameters, kept in the file.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "not stated; depends on the rights in the training pictures"
    )]
    licence: String,
    /// Where networks run.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    #[command(flatten)]
    weights: WeightsOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Task {
    /// A classifier of expressions.
    Expression,
    /// Valence and arousal from a backbone's outputs.
    ValenceArousal,
    /// Action units from a backbone's embeddings and outputs.
    ActionUnits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Distance {
    /// One minus the mean concordance.
    #[default]
    Concordance,
    /// The same with half the mean squared error.
    Combined,
    /// Equation (5) of the paper.
    Paper,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ScoreKind {
    /// Probabilities.
    #[default]
    Probability,
    /// Logits, against thresholds tuned on probabilities: the published way.
    Logit,
}

/// What is printed at the end.
#[derive(Serialize)]
struct Summary<'a, R> {
    out: &'a Path,
    training_pictures: usize,
    validation_pictures: usize,
    skipped_pictures: usize,
    /// Of Aff-Wild2: training and validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<[FrameCounts; 2]>,
    #[serde(flatten)]
    report: &'a R,
}

/// Trains a head and writes it.
pub(super) fn run(args: &Args) -> Result<()> {
    match (&args.videos, args.faces.task) {
        (Some(VideoTask::Violence(args)), _) => violence::run(args),
        (None, Some(task)) => faces(&args.faces, task),
        (None, None) => bail!("expected a task"),
    }
}

fn faces(args: &FaceArgs, task: Task) -> Result<()> {
    match (task, &args.affwild2) {
        (Task::Expression, None) => expression_of_pictures(args),
        (Task::Expression, Some(root)) => expression_of_videos(args, &args.reader(root)?),
        (Task::ValenceArousal, Some(root)) => valence_arousal(args, &args.reader(root)?),
        (Task::ActionUnits, Some(root)) => action_units(args, &args.reader(root)?),
        (Task::ValenceArousal | Task::ActionUnits, None) => {
            bail!("folders of pictures have no such labels; expected --affwild2 ROOT")
        }
    }
}

fn expression_of_pictures(args: &FaceArgs) -> Result<()> {
    let [mut training, mut validation] = args.pictures()?;
    for pictures in [&mut training, &mut validation] {
        let left_out = pictures.remove_labels(&args.without);
        if left_out > 0 {
            eprintln!("affectlens: {left_out} pictures left out by --without");
        }
    }
    let classes = training.classes();
    let labels = [
        training.class_indices(&classes)?,
        validation.class_indices(&classes)?,
    ];

    let weights = args.weights.installed().backbone()?;
    let embedder = Embedder::load(
        &args.weights.backbone,
        &weights,
        args.device.open()?,
        picture_cache(),
    )?;
    let [labels_training, labels_validation] = labels;
    let mut skipped = 0;
    let mut embed = |pictures, labels: &[usize], part| -> Result<LabelledEmbeddings> {
        let embedded = embedder.embed_pictures(pictures, labels, part, &Terminal::default())?;
        skipped += embedded.skipped;
        Ok(LabelledEmbeddings {
            rows: embedded.rows,
            labels: embedded.labels,
        })
    };
    let training = embed(&training, &labels_training, "training")?;
    let validation = embed(&validation, &labels_validation, "validation")?;
    let data = ExpressionData {
        training,
        validation,
        classes: &classes,
        skipped,
        frames: None,
    };
    train_and_write_expression(args, &weights, &data)
}

fn expression_of_videos(args: &FaceArgs, reader: &CropReader) -> Result<()> {
    let mut skipped = 0;
    let mut read = |part| -> Result<(LabelledEmbeddings, FrameCounts)> {
        let (features, counts) = reader.read::<usize>(part, Keep::Labelled)?;
        skipped += features.failures.len();
        let labels = features.labels();
        let rows = features.embeddings;
        Ok((LabelledEmbeddings { rows, labels }, counts))
    };
    let (training, training_frames) = read(Part::Training)?;
    let (validation, validation_frames) = read(Part::Validation)?;
    let data = ExpressionData {
        training,
        validation,
        classes: &AFF_WILD2,
        skipped,
        frames: Some([training_frames, validation_frames]),
    };
    train_and_write_expression(args, reader.weights(), &data)
}

struct ExpressionData<'a> {
    training: LabelledEmbeddings,
    validation: LabelledEmbeddings,
    classes: &'a [Expression],
    skipped: usize,
    frames: Option<[FrameCounts; 2]>,
}

fn train_and_write_expression(
    args: &FaceArgs,
    backbone: &Weights,
    data: &ExpressionData,
) -> Result<()> {
    let settings = args.settings()?;
    let recipe = args.expression_recipe();
    let ExpressionData {
        training,
        validation,
        ..
    } = data;
    let trained = train_expression(training, validation, data.classes, &recipe, show)?;
    let mut weights = trained.weights;
    let extra = &mut weights.metadata.extra;
    ExpressionSettings {
        gla: trained.gla,
        ..settings
    }
    .write(extra);
    extra.insert("counts".to_owned(), join(&trained.report.counts));
    let scores = trained
        .report
        .adjusted
        .as_ref()
        .unwrap_or(&trained.report.validation);
    keep_score(extra, "accuracy", scores.accuracy);
    keep_score(extra, "macro_f1", scores.macro_f1);
    args.write(weights, backbone, Precision::Half)?;
    args.print(
        [training.rows.len(), validation.rows.len()],
        data.skipped,
        data.frames,
        &trained.report,
    )
}

fn valence_arousal(args: &FaceArgs, reader: &CropReader) -> Result<()> {
    let (training, training_frames) = reader.read::<[f32; 2]>(Part::Training, Keep::Labelled)?;
    let (validation, validation_frames) =
        reader.read::<[f32; 2]>(Part::Validation, Keep::Labelled)?;
    let labels = [training.labels(), validation.labels()];
    let trained = train_valence_arousal(
        Examples {
            rows: &training.outputs,
            labels: &labels[0],
        },
        Examples {
            rows: &validation.outputs,
            labels: &labels[1],
        },
        &args.valence_arousal_recipe(),
        show,
    )?;
    let mut weights = trained.weights;
    let scores = &trained.report.validation;
    let extra = &mut weights.metadata.extra;
    keep_score(extra, "ccc_valence", scores.valence);
    keep_score(extra, "ccc_arousal", scores.arousal);
    args.write(weights, reader.weights(), Precision::Lossless)?;
    args.print(
        [labels[0].len(), labels[1].len()],
        training.failures.len() + validation.failures.len(),
        Some([training_frames, validation_frames]),
        &trained.report,
    )
}

fn action_units(args: &FaceArgs, reader: &CropReader) -> Result<()> {
    let (training, training_frames) = reader.read::<[bool; 12]>(Part::Training, Keep::Labelled)?;
    let (validation, validation_frames) =
        reader.read::<[bool; 12]>(Part::Validation, Keep::Labelled)?;
    let labels = [training.labels(), validation.labels()];
    let trained = train_action_units(
        ActionUnitExamples {
            embeddings: &training.embeddings,
            logits: &training.outputs,
            labels: &labels[0],
        },
        ActionUnitExamples {
            embeddings: &validation.embeddings,
            logits: &validation.outputs,
            labels: &labels[1],
        },
        &args.action_unit_recipe(),
        |part, epoch| eprintln!("{part}, {epoch}"),
    )?;
    let mut weights = trained.weights;
    let extra = &mut weights.metadata.extra;
    ActionUnitSettings {
        score: match args.scores {
            ScoreKind::Probability => ActionUnitScore::Probability,
            ScoreKind::Logit => ActionUnitScore::Logit,
        },
        ..trained.settings
    }
    .write(extra);
    keep_score(extra, "mean_f1", trained.report.blend.tuned.mean_f1);
    args.write(weights, reader.weights(), Precision::Half)?;
    args.print(
        [labels[0].len(), labels[1].len()],
        training.failures.len() + validation.failures.len(),
        Some([training_frames, validation_frames]),
        &trained.report,
    )
}

fn keep_score(extra: &mut BTreeMap<String, String>, name: &str, score: f64) {
    extra.insert(format!("validation_{name}"), format!("{score:.4}"));
}

impl FaceArgs {
    fn out(&self) -> Result<&Path> {
        self.out.as_deref().context("--out FILE is missing")
    }

    fn pictures(&self) -> Result<[LabelledPictures; 2]> {
        Ok(match &self.data {
            Some(data) => [
                LabelledPictures::read(&data.join("train"))?,
                LabelledPictures::read(&data.join("validation"))?,
            ],
            None => [
                LabelledPictures::read_all(&self.training)?,
                LabelledPictures::read_all(&self.validation)?,
            ],
        })
    }

    fn reader(&self, root: &Path) -> Result<CropReader> {
        open_crops(AffWild2::open(root)?, &self.weights, self.device.open()?)
    }

    /// The published schedule of a task, with what the options change.
    fn schedule(&self, published: Schedule) -> Schedule {
        Schedule {
            epochs: self.epochs.unwrap_or(published.epochs),
            batch: self.batch.unwrap_or(published.batch),
            learning_rate: self.learning_rate.unwrap_or(published.learning_rate),
            weight_decay: self.weight_decay.unwrap_or(published.weight_decay),
            plateau: published.plateau,
            early_stop: self.patience.map(|patience| EarlyStop {
                patience,
                ..EarlyStop::default()
            }),
            seed: self.seed.unwrap_or(published.seed),
        }
    }

    fn valence_arousal_recipe(&self) -> ValenceArousalRecipe {
        let published = ValenceArousalRecipe::default();
        ValenceArousalRecipe {
            hidden: self.hidden,
            loss: match self.loss {
                Distance::Concordance => ValenceArousalLoss::Concordance,
                Distance::Combined => ValenceArousalLoss::Combined {
                    concordance: 1.0,
                    squared_error: 0.5,
                },
                Distance::Paper => ValenceArousalLoss::Paper,
            },
            schedule: self.schedule(published.schedule),
        }
    }

    fn action_unit_recipe(&self) -> ActionUnitRecipe {
        let published = ActionUnitRecipe::default();
        ActionUnitRecipe {
            hidden: self.hidden.unwrap_or(published.hidden),
            schedule: self.schedule(published.schedule),
            ..published
        }
    }

    /// Stamps the file with where it comes from and writes it.
    fn write(&self, mut weights: Weights, backbone: &Weights, precision: Precision) -> Result<()> {
        stamp(&mut weights, backbone);
        weights.metadata.licence.clone_from(&self.licence);
        weights.metadata.source = command_line();
        Ok(weights.write(self.out()?, precision)?)
    }

    fn print<R: Serialize>(
        &self,
        [training_pictures, validation_pictures]: [usize; 2],
        skipped_pictures: usize,
        frames: Option<[FrameCounts; 2]>,
        report: &R,
    ) -> Result<()> {
        let summary = Summary {
            out: self.out()?,
            training_pictures,
            validation_pictures,
            skipped_pictures,
            frames,
            report,
        };
        println!("{}", serde_json::to_string(&summary)?);
        Ok(())
    }

    fn expression_recipe(&self) -> ExpressionRecipe {
        let published = TrainingConfig::default();
        ExpressionRecipe {
            training: TrainingConfig {
                hidden: self.hidden.unwrap_or(published.hidden),
                loss: self
                    .focal
                    .map_or(Loss::WeightedCrossEntropy, |gamma| Loss::Focal {
                        gamma,
                        beta: self.beta,
                    }),
                sampling: match self.per_class {
                    Some(per_class) => Sampling::Balanced { per_class },
                    None if self.weighted_sampler => Sampling::Weighted,
                    None => Sampling::Shuffled,
                },
                mixup: self.mixup,
                schedule: self.schedule(published.schedule),
            },
            holdout: self.holdout,
            without_gla: self.no_gla,
        }
    }

    /// The settings that the file will carry, checked by reading them as inference will.
    fn settings(&self) -> Result<ExpressionSettings> {
        let settings = ExpressionSettings {
            confidence: self.confidence,
            blend: self.blend,
            half_window: self.half_window,
            crop_margin: self.crop_margin,
            crop_rise: self.crop_rise,
            ..ExpressionSettings::neutral(0)
        };
        let mut extra = Default::default();
        settings.write(&mut extra);
        Ok(ExpressionSettings::read(&extra, 0)?)
    }
}

/// A head fits the backbone that it was trained on.
pub(super) fn stamp(weights: &mut Weights, backbone: &Weights) {
    let trained_on = &backbone.metadata;
    weights
        .metadata
        .source_sha256
        .clone_from(&trained_on.source_sha256);
    let extra = &mut weights.metadata.extra;
    extra.insert(EMBEDDING.to_owned(), trained_on.architecture.clone());
}

fn show(epoch: &EpochReport<impl Display>) {
    eprintln!("{epoch}");
}

/// Draws a bar of an epoch's batches, and a line for each epoch.
pub(super) fn show_training() -> impl FnMut(TrainingEvent<'_>) {
    let bar = progress("training", "batches", None);
    move |event| match event {
        TrainingEvent::Batch { done, of, .. } => {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        }
        TrainingEvent::Epoch(epoch) => {
            bar.suspend(|| show(epoch));
            bar.reset();
        }
    }
}

/// The command as it was given, without what does not change the parameters: the place of the program, of the
/// file and of the weights, and the licence, which the metadata has anyway.
fn command_line() -> String {
    let mut command = "affectlens".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let name = argument.split('=').next().unwrap_or_default();
        if ["--out", "--licence", "--weights"].contains(&name) {
            if name == argument {
                arguments.next();
            }
            continue;
        }
        command.push(' ');
        command.push_str(&argument);
    }
    command
}

fn join(counts: &[usize]) -> String {
    counts
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}
