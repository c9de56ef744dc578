//! `affectlens train valence-arousal`: the videos of Aff-Wild2 to a regressor of valence and arousal.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use super::{
    options::{FaceOptions, ModalityOptions, PictureCounts, ScheduleOptions, keep_score},
    show_epochs,
};
use crate::options::{Modality, units};
use affectlens::weights::{Precision, Weights};
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
    modality: ModalityOptions,
    #[command(flatten)]
    schedule: ScheduleOptions,
    /// Width of a hidden layer; the published network for faces has none, that for sound 128 units.
    #[arg(long, value_name = "UNITS", value_parser = units)]
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
    match args.modality.modality {
        Modality::Face => args.train_on_faces(),
        Modality::Audio => args.train_on_sound(),
    }
}

impl Args {
    fn train_on_faces(&self) -> Result<()> {
        let reader = self.face.reader(&self.affwild2)?;
        let (training, training_frames) =
            reader.read::<[f32; 2]>(Part::Training, Keep::Labelled)?;
        let (validation, validation_frames) =
            reader.read::<[f32; 2]>(Part::Validation, Keep::Labelled)?;
        let labels = [training.labels(), validation.labels()];
        let examples = [
            Examples {
                rows: &training.outputs,
                labels: &labels[0],
            },
            Examples {
                rows: &validation.outputs,
                labels: &labels[1],
            },
        ];
        let counts = PictureCounts {
            used: labels.each_ref().map(Vec::len),
            skipped: training.failures.len() + validation.failures.len(),
            frames: Some([training_frames, validation_frames]),
            ..PictureCounts::default()
        };
        self.train(reader.weights(), examples, counts)
    }

    /// Trains on all labelled frames that hear something, with a face or without, and scores those with a face.
    fn train_on_sound(&self) -> Result<()> {
        let (mut reader, backbone) = self.face.sound_reader(&self.affwild2, &self.modality)?;
        let (training, training_frames) =
            reader.read::<[f32; 2]>(Part::Training, Keep::Labelled)?;
        let (validation, validation_frames) =
            reader.read::<[f32; 2]>(Part::Validation, Keep::All)?;
        let labels = [training.labels(), validation.labels()];
        let examples = [
            Examples {
                rows: &training.embeddings,
                labels: &labels[0],
            },
            Examples {
                rows: &validation.embeddings.select(&validation.labelled_rows()),
                labels: &labels[1],
            },
        ];
        let counts = PictureCounts {
            used: labels.each_ref().map(Vec::len),
            heard: Some([training_frames, validation_frames]),
            ..PictureCounts::default()
        };
        self.train(&backbone, examples, counts)
    }

    fn train(
        &self,
        backbone: &Weights,
        [training, validation]: [Examples<[f32; 2]>; 2],
        counts: PictureCounts,
    ) -> Result<()> {
        let trained = train_valence_arousal(
            training,
            validation,
            &self.recipe(),
            self.face.checkpoint("valence-arousal", backbone).as_deref(),
            show_epochs(""),
        )?;
        let mut weights = trained.weights;
        let scores = &trained.report.validation;
        let extra = &mut weights.metadata.extra;
        keep_score(extra, "ccc_valence", scores.valence);
        keep_score(extra, "ccc_arousal", scores.arousal);
        self.face.write(weights, backbone, Precision::Lossless)?;
        self.face.print(counts, &trained.report)
    }

    /// The published recipe with what the options change.
    fn recipe(&self) -> ValenceArousalRecipe {
        let published = match self.modality.modality {
            Modality::Face => ValenceArousalRecipe::default(),
            Modality::Audio => ValenceArousalRecipe::with_hidden_layer(),
        };
        ValenceArousalRecipe {
            hidden: self.hidden.or(published.hidden),
            loss: match self.loss {
                Distance::Concordance => ValenceArousalLoss::Concordance,
                Distance::Combined => ValenceArousalLoss::Combined {
                    concordance: 1.0,
                    squared_error: 0.5,
                },
                Distance::Paper => ValenceArousalLoss::Paper,
            },
            schedule: self.schedule.apply(published.schedule),
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
        let args: Args = parse("--affwild2 a --out o --modality audio");
        assert_eq!(args.recipe(), ValenceArousalRecipe::with_hidden_layer());
    }
}
