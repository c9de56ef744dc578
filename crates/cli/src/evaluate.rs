//! `affectlens evaluate`: scores a model on labelled pictures, clips, or the videos of Aff-Wild2 or DVD.

mod action_units;
mod affwild2;
mod expression;
mod valence_arousal;
mod violence;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;

use super::{DeviceOption, WeightsOptions, outputs::expect_outputs, probability};
use affectlens::{label::Expression, metrics::Scores};
use affectlens_data::{LabelledPictures, Part};

/// What messages call the pictures.
const SCORED: &str = "scored";

/// Options of `affectlens evaluate`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Scores expressions on pictures or Aff-Wild2.
    Expression(expression::Args),
    /// Scores valence and arousal on Aff-Wild2.
    ValenceArousal(valence_arousal::Args),
    /// Scores action units on pictures or Aff-Wild2.
    ActionUnits(action_units::Args),
    /// Scores a head that detects violence in the frames of videos.
    Violence(Box<violence::Args>),
}

/// Scores a model and prints the result.
pub(super) fn run(args: &Args) -> Result<()> {
    match &args.task {
        Task::Expression(args) => expression::run(args),
        Task::ValenceArousal(args) => valence_arousal::run(args),
        Task::ActionUnits(args) => action_units::run(args),
        Task::Violence(args) => violence::run(args),
    }
}

/// Options of all tasks about faces.
#[derive(clap::Args, Debug)]
struct FaceOptions {
    /// Sample file of the organisers: writes a submission for its videos to --out instead of scores.
    #[arg(long, value_name = "SAMPLE", requires = "affwild2", requires = "out")]
    submission: Option<PathBuf>,
    /// Submission file to write.
    #[arg(long, value_name = "FILE", requires = "submission")]
    out: Option<PathBuf>,
    /// Print one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Device that runs the networks.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    #[command(flatten)]
    weights: WeightsOptions,
}

impl FaceOptions {
    /// Confirms that the submission can be written, before anything is read.
    fn expect_writable(&self) -> Result<()> {
        expect_outputs([("--out", self.out.as_ref())])
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Model {
    /// Pretrained classifier alone.
    Pretrained,
    /// Adapted head with its class biases (GLA).
    Head,
    /// The whole pipeline, as in `affectlens analyze`: head, class biases, blend and confidence filter.
    #[default]
    Full,
}

/// The pictures of a folder, or of its validation part, two classes or more.
fn read_pictures(data: &Path, without: &[Expression]) -> Result<LabelledPictures> {
    let validation = Part::Validation.folder(data)?;
    let data = validation.as_deref().unwrap_or(data);
    let mut pictures = LabelledPictures::read(data, without)?;
    pictures.remove_labels(without);
    pictures.expect_classes(SCORED)?;
    Ok(pictures)
}

/// Prints scores as a table.
fn print<C: Copy + PartialEq>(
    scores: &Scores<C>,
    name: impl Fn(C) -> &'static str,
    examples: &str,
) {
    println!(
        "accuracy {:.4}, macro-F1 {:.4}, {} {examples}",
        scores.accuracy, scores.macro_f1, scores.count
    );
    println!("{:>11} {:>7}  taken for", "", "F1");
    for (class, row) in scores.classes.iter().zip(&scores.confusion) {
        let f1 = scores.per_class.iter().find(|(other, _)| other == class);
        let f1 = f1.map_or_else(|| "-".to_owned(), |(_, f1)| format!("{f1:.4}"));
        let taken_for: Vec<String> = row.iter().map(|count| format!("{count:>5}")).collect();
        println!("{:>11} {f1:>7}  {}", name(*class), taken_for.join(" "));
    }
}
