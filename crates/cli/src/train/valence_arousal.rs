//! `affectlens train valence-arousal`: the videos of Aff-Wild2 to a regressor of valence and arousal.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use super::{
    options::{FaceOptions, PictureCounts, ScheduleOptions, keep_score},
    show_epochs,
};
use affectlens::weights::Precision;
use affectlens_data::{Keep, Part};
use affectlens_train::{Examples, ValenceArousalLoss, ValenceArousalRecipe, train_valence_arousal};

/// Options of `affectlens train valence-arousal`.
#[derive(clap::Args, Debug)]
#[command(mut_args(|arg| ScheduleOptions::with_defaults(arg, &ValenceArousalRecipe::default().schedule)))]
pub(super) struct Args {
    /// Root folder of Aff-Wild2, with cropped/VIDEO/00001.jpg and the annotations of the task; use a backbone that has
    /// a classifier of its own.
    #[arg(long, value_name = "ROOT")]
    affwild2: PathBuf,
    #[command(flatten)]
    schedule: ScheduleOptions,
    /// Width of a hidden layer; the published network has none.
    #[arg(long, value_name = "UNITS")]
    hidden: Option<usize>,
    /// Loss.
    #[arg(long, value_enum, default_value_t)]
    loss: Distance,
    #[command(flatten)]
    face: FaceOptions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Distance {
    /// One minus the mean concordance.
    #[default]
    Concordance,
    /// One minus the mean concordance, plus half the mean squared error.
    Combined,
    /// Equation (5) of the paper "HSEmotion team at ABAW-10".
    Paper,
}

/// Trains a regressor and writes it.
pub(super) fn run(args: &Args) -> Result<()> {
    args.face.expect_writable()?;
    let reader = args.face.reader(&args.affwild2)?;
    let (training, training_frames) = reader.read::<[f32; 2]>(Part::Training, Keep::Labelled)?;
    let (validation, validation_frames) =
        reader.read::<[f32; 2]>(Part::Validation, Keep::Labelled)?;
    let labels = [training.labels(), validation.labels()];
    let backbone = reader.weights();
    let trained = train_valence_arousal(
        Examples {
            rows: &training.outputs,
            labels: &labels[0],
        },
        Examples {
            rows: &validation.outputs,
            labels: &labels[1],
        },
        &args.recipe(),
        args.face.checkpoint("valence-arousal", backbone).as_deref(),
        show_epochs(""),
    )?;
    let mut weights = trained.weights;
    let scores = &trained.report.validation;
    let extra = &mut weights.metadata.extra;
    keep_score(extra, "ccc_valence", scores.valence);
    keep_score(extra, "ccc_arousal", scores.arousal);
    args.face.write(weights, backbone, Precision::Lossless)?;
    let counts = PictureCounts {
        used: labels.map(|labels| labels.len()),
        skipped: training.failures.len() + validation.failures.len(),
        frames: Some([training_frames, validation_frames]),
    };
    args.face.print(counts, &trained.report)
}

impl Args {
    /// The published recipe with what the options change.
    fn recipe(&self) -> ValenceArousalRecipe {
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
            schedule: self
                .schedule
                .apply(ValenceArousalRecipe::default().schedule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::parse;

    #[test]
    fn without_options_the_recipe_is_the_published_one() {
        let args: Args = parse("--affwild2 a --out o");
        assert_eq!(args.recipe(), ValenceArousalRecipe::default());
    }
}
