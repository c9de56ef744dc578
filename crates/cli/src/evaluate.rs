//! `affectlens evaluate`: scores a model on labelled pictures, clips, or the videos of Aff-Wild2 or DVD.

mod action_units;
mod affwild2;
mod expression;
mod valence_arousal;
mod violence;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::{DeviceOption, WeightsOptions, outputs::expect_outputs, probability};
use affectlens::metrics::Scores;

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

impl Model {
    /// Confirms that a head decides: there is no pretrained classifier of sound.
    fn expect_head(self) -> Result<()> {
        if self == Self::Pretrained {
            bail!("no pretrained network decides by sound, expected --model head or full");
        }
        Ok(())
    }
}

/// Prints scores as a table.
fn print<C: Copy + PartialEq>(
    scores: &Scores<C>,
    name: impl Fn(C) -> &'static str,
    examples: &str,
) {
    say!(
        "accuracy {:.4}, macro-F1 {:.4}, {} {examples}",
        scores.accuracy,
        scores.macro_f1,
        scores.count
    );
    say!(
        "{:>11} {:>9} {:>7} {:>7}  taken for",
        "",
        "precision",
        "recall",
        "F1"
    );
    for (class, row) in scores.classes.iter().zip(&scores.confusion) {
        let of_class = |scores: &[(C, f64)]| {
            let score = scores.iter().find(|(other, _)| other == class);
            score.map_or_else(|| "-".to_owned(), |(_, score)| format!("{score:.4}"))
        };
        let [precision, recall, f1] =
            [&scores.precision, &scores.recall, &scores.per_class].map(|scores| of_class(scores));
        let taken_for: Vec<String> = row.iter().map(|count| format!("{count:>5}")).collect();
        say!(
            "{:>11} {precision:>9} {recall:>7} {f1:>7}  {}",
            name(*class),
            taken_for.join(" ")
        );
    }
}
