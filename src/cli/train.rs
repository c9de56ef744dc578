//! `affectlens train`: folders of labelled pictures to a head's weights file.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{DeviceOption, WeightsOptions};
use crate::{
    backbone::Backbone,
    calibration::ExpressionSettings,
    crop,
    device::OpenedDevice,
    frame::Frame,
    label::Expression,
    train::{
        EarlyStop, EmbeddingCache, EpochReport, ExpressionRecipe, FeatureRows, LabelledEmbeddings,
        LabelledPictures, Loss, Sampling, Schedule, TrainingConfig, TrainingReport,
        extract_embeddings, train_expression,
    },
    weights::{Metadata, Precision, cache_dir},
};

/// Options of `affectlens train`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// What to train.
    #[arg(value_enum)]
    task: Task,
    /// Folder with DIR/train/LABEL/*.jpg and DIR/validation/LABEL/*.jpg; each picture is one face.
    #[arg(long, value_name = "DIR", required_unless_present_all = ["training", "validation"])]
    data: Option<PathBuf>,
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
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Labels whose pictures are left out.
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',', value_parser = expression)]
    without: Vec<Expression>,
    /// Passes over the training pictures.
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    /// Width of the hidden layer.
    #[arg(long, default_value_t = 128)]
    hidden: usize,
    /// Examples a step.
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Step size of Adam.
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// L2 penalty on the parameters.
    #[arg(long, default_value_t = 0.0)]
    weight_decay: f32,
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
    /// Start of the random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
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
}

/// What is printed at the end.
#[derive(Serialize)]
struct Summary<'a> {
    out: &'a Path,
    training_pictures: usize,
    validation_pictures: usize,
    skipped_pictures: usize,
    #[serde(flatten)]
    report: &'a TrainingReport,
}

/// Trains a head and writes it.
pub(super) fn run(args: Args) -> Result<()> {
    let Task::Expression = args.task;
    let settings = args.settings()?;
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

    let backbone_weights = args.weights.read(&args.weights.backbone)?;
    let embedder = Embedder::load(
        &args.weights.backbone,
        &backbone_weights,
        args.device.open()?,
    )?;
    let [labels_training, labels_validation] = labels;
    let (training, skipped_training) = embedder.embed(&training, &labels_training, "training")?;
    let (validation, skipped_validation) =
        embedder.embed(&validation, &labels_validation, "validation")?;

    let trained = train_expression(&training, &validation, &classes, &args.recipe(), show)?;
    let mut weights = trained.weights;
    weights.metadata = Metadata {
        licence: args.licence.clone(),
        source: command_line(),
        source_sha256: backbone_weights.metadata.source_sha256.clone(),
        ..weights.metadata
    };
    let extra = &mut weights.metadata.extra;
    ExpressionSettings {
        gla: trained.gla,
        ..settings
    }
    .write(extra);
    extra.insert(
        "embedding".to_owned(),
        backbone_weights.metadata.architecture.clone(),
    );
    extra.insert("counts".to_owned(), join(&trained.report.counts));
    let scores = trained
        .report
        .adjusted
        .as_ref()
        .unwrap_or(&trained.report.validation);
    extra.insert(
        "validation_accuracy".to_owned(),
        format!("{:.4}", scores.accuracy),
    );
    extra.insert(
        "validation_macro_f1".to_owned(),
        format!("{:.4}", scores.macro_f1),
    );
    weights.write(&args.out, Precision::Half)?;

    let summary = Summary {
        out: &args.out,
        training_pictures: training.rows.len(),
        validation_pictures: validation.rows.len(),
        skipped_pictures: skipped_training + skipped_validation,
        report: &trained.report,
    };
    println!("{}", serde_json::to_string(&summary)?);
    Ok(())
}

impl Args {
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

    fn recipe(&self) -> ExpressionRecipe {
        ExpressionRecipe {
            training: TrainingConfig {
                hidden: self.hidden,
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
                schedule: Schedule {
                    epochs: self.epochs,
                    batch: self.batch,
                    learning_rate: self.learning_rate,
                    weight_decay: self.weight_decay,
                    plateau: None,
                    early_stop: self.patience.map(|patience| EarlyStop {
                        patience,
                        ..EarlyStop::default()
                    }),
                    seed: self.seed,
                },
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

/// A backbone with the cache of its embeddings.
struct Embedder {
    backbone: Backbone,
    device: OpenedDevice,
    cache: EmbeddingCache,
}

impl Embedder {
    fn load(name: &str, weights: &crate::weights::Weights, device: OpenedDevice) -> Result<Self> {
        let backbone =
            Backbone::load(weights, &device).with_context(|| format!("backbone `{name}`"))?;
        let metadata = &weights.metadata;
        if metadata.source_sha256.is_empty() {
            bail!(
                "weights of `{name}` do not say which file they came from; convert or fetch them again"
            );
        }
        let cache = EmbeddingCache {
            folder: cache_dir().join("embeddings"),
            key: format!(
                "{} {} whole picture {}",
                metadata.architecture,
                metadata.source_sha256,
                backbone.facts().input_side
            ),
        };
        Ok(Self {
            backbone,
            device,
            cache,
        })
    }

    /// Embeddings of the readable pictures with their labels, and how many were skipped.
    fn embed(
        &self,
        pictures: &LabelledPictures,
        labels: &[usize],
        part: &str,
    ) -> Result<(LabelledEmbeddings, usize)> {
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
            .expect("a valid template");
        let bar = ProgressBar::new(pictures.len() as u64)
            .with_style(style)
            .with_message(format!("embedding {part}"));
        let embedded = extract_embeddings(
            &pictures.paths,
            &self.cache,
            |picture| Ok(crop::resize(picture, self.backbone.facts().input_side)),
            |faces| self.forward(faces),
            |done| bar.set_position(done as u64),
        )?;
        bar.finish_and_clear();
        for failure in &embedded.failures {
            eprintln!(
                "affectlens: skipped `{}`: {}",
                failure.path.display(),
                failure.reason
            );
        }
        let mut data = LabelledEmbeddings {
            rows: FeatureRows::new(self.backbone.facts().width),
            labels: vec![],
        };
        for (row, &label) in embedded.rows.iter().zip(labels) {
            if let Some(row) = row {
                data.rows
                    .push(row)
                    .with_context(|| format!("embeddings of the {part} pictures"))?;
                data.labels.push(label);
            }
        }
        Ok((data, embedded.failures.len()))
    }

    fn forward(&self, faces: &[Frame]) -> Vec<Vec<f32>> {
        let batch = crop::batch(
            faces,
            &self.backbone.facts().normalisation,
            &self.device.device,
        );
        let Ok(batch) = batch else { return Vec::new() };
        let rows = pollster::block_on(self.backbone.forward(batch).embedding.into_data_async());
        let values = rows
            .ok()
            .and_then(|rows| rows.try_into_vec::<f32>().ok())
            .unwrap_or_default();
        values
            .chunks(self.backbone.facts().width)
            .map(<[f32]>::to_vec)
            .collect()
    }
}

fn show(epoch: &EpochReport<impl Display>) {
    eprintln!("{epoch}");
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

/// Reads an expression's name.
pub(super) fn expression(name: &str) -> Result<Expression, String> {
    let known = || Expression::ALL.map(Expression::name).join(", ");
    Expression::from_name(name).ok_or_else(|| format!("expected one of {}", known()))
}
