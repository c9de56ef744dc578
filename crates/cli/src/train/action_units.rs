//! `affectlens train action-units`: the videos of Aff-Wild2 to both classifiers of action units.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::{
    options::{FaceOptions, ModalityOptions, PictureCounts, ScheduleOptions, keep_score},
    show_epochs,
};
use crate::options::{Modality, units};
use affectlens::{
    calibration::{ActionUnitScore, ActionUnitSettings},
    weights::Precision,
};
use affectlens_data::{Keep, Part, VideoFeatures};
use affectlens_train::{
    ActionUnitExamples, ActionUnitRecipe, Examples, SoundActionUnitRecipe, TrainedActionUnits,
    TrainedSoundActionUnits, train_action_units, train_sound_action_units,
};

/// Options of `affectlens train action-units`.
#[derive(clap::Args, Debug)]
#[command(mut_args(|arg| ScheduleOptions::with_defaults(arg, &ActionUnitRecipe::default().schedule)))]
pub(super) struct Args {
    /// Root folder of Aff-Wild2, with cropped/VIDEO/00001.jpg and the annotations of the task; use a backbone that has
    /// a classifier of its own.
    #[arg(long, value_name = "ROOT")]
    affwild2: PathBuf,
    #[command(flatten)]
    modality: ModalityOptions,
    #[command(flatten)]
    schedule: ScheduleOptions,
    /// Width of the hidden layer over embeddings [default: 256; 128 with --modality audio].
    #[arg(long, value_name = "UNITS", value_parser = units)]
    hidden: Option<usize>,
    /// Values that are compared with the thresholds of the action units; stored in the file. Those of sound are
    /// probabilities.
    #[arg(long, value_enum, default_value_t)]
    scores: ScoreKind,
    #[command(flatten)]
    face: FaceOptions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ScoreKind {
    /// Probabilities.
    #[default]
    Probability,
    /// Logits, compared with thresholds that were tuned on probabilities, as published.
    Logit,
}

/// Trains the classifiers and writes them.
pub(super) fn run(args: &Args) -> Result<()> {
    args.face.expect_writable()?;
    match args.modality.modality {
        Modality::Face => train_on_faces(args),
        Modality::Audio => train_on_sound(args),
    }
}

fn train_on_faces(args: &Args) -> Result<()> {
    let reader = args.face.reader(&args.affwild2)?;
    let (training, training_frames) = reader.read::<[bool; 12]>(Part::Training, Keep::Labelled)?;
    let (validation, validation_frames) =
        reader.read::<[bool; 12]>(Part::Validation, Keep::Labelled)?;
    let labels = [training.labels(), validation.labels()];
    let backbone = reader.weights();
    let trained = train_action_units(
        examples(&training, &labels[0]),
        examples(&validation, &labels[1]),
        &args.recipe(),
        args.face.checkpoint("action-units", backbone).as_deref(),
        |part, event| show_epochs(&format!("{part}, "))(event),
    )?;
    let TrainedActionUnits {
        mut weights,
        settings,
        report,
    } = trained;
    let extra = &mut weights.metadata.extra;
    ActionUnitSettings {
        score: match args.scores {
            ScoreKind::Probability => ActionUnitScore::Probability,
            ScoreKind::Logit => ActionUnitScore::Logit,
        },
        ..settings
    }
    .write(extra);
    keep_score(extra, "mean_f1", report.blend.tuned.mean_f1);
    args.face.write(weights, backbone, Precision::Half)?;
    let counts = PictureCounts {
        used: labels.map(|labels| labels.len()),
        skipped: training.failures.len() + validation.failures.len(),
        frames: Some([training_frames, validation_frames]),
        ..PictureCounts::default()
    };
    args.face.print(counts, &report)
}

/// Trains on all labelled frames that hear something, with a face or without, and scores those with a face.
fn train_on_sound(args: &Args) -> Result<()> {
    if args.scores == ScoreKind::Logit {
        bail!("--scores logit is for faces: thresholds of sound are compared with probabilities");
    }
    let (mut reader, backbone) = args.face.sound_reader(&args.affwild2, &args.modality)?;
    let (training, training_frames) = reader.read::<[bool; 12]>(Part::Training, Keep::Labelled)?;
    let (validation, validation_frames) = reader.read::<[bool; 12]>(Part::Validation, Keep::All)?;
    let labels = [training.labels(), validation.labels()];
    let TrainedSoundActionUnits {
        mut weights,
        report,
        ..
    } = train_sound_action_units(
        Examples {
            rows: &training.embeddings,
            labels: &labels[0],
        },
        Examples {
            rows: &validation.embeddings.select(&validation.labelled_rows()),
            labels: &labels[1],
        },
        &args.sound_recipe(),
        args.face.checkpoint("action-units", &backbone).as_deref(),
        show_epochs(""),
    )?;
    let score = report.validation.tuned.mean_f1;
    keep_score(&mut weights.metadata.extra, "mean_f1", score);
    args.face.write(weights, &backbone, Precision::Lossless)?;
    let counts = PictureCounts {
        used: labels.map(|labels| labels.len()),
        heard: Some([training_frames, validation_frames]),
        ..PictureCounts::default()
    };
    args.face.print(counts, &report)
}

fn examples<'a>(
    features: &'a VideoFeatures<[bool; 12]>,
    labels: &'a [[bool; 12]],
) -> ActionUnitExamples<'a> {
    ActionUnitExamples {
        embeddings: &features.embeddings,
        logits: &features.outputs,
        labels,
    }
}

impl Args {
    /// The published recipe with what the options change.
    fn recipe(&self) -> ActionUnitRecipe {
        let published = ActionUnitRecipe::default();
        ActionUnitRecipe {
            hidden: self.hidden.unwrap_or(published.hidden),
            schedule: self.schedule.apply(published.schedule),
            ..published
        }
    }

    /// The recipe for sound, with the schedule of that for faces but for its step size, which stays.
    fn sound_recipe(&self) -> SoundActionUnitRecipe {
        let published = SoundActionUnitRecipe::default();
        SoundActionUnitRecipe {
            hidden: self.hidden.unwrap_or(published.hidden),
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
        assert_eq!(args.recipe(), ActionUnitRecipe::default());
    }
}
