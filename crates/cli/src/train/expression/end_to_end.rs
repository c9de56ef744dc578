//! Backbone and classifiers trained together, on pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Arg, builder::ArgPredicate};
use serde::Serialize;

use super::{Args, leave_out};
use crate::{
    options::expression,
    outputs::expect_outputs,
    progress::Terminal,
    train::{
        command_line,
        options::{ScheduleOptions, keep_score},
        show_training,
    },
};
use affectlens::{
    calibration::ExpressionSettings,
    crop,
    frame::Frame,
    label::Expression,
    weights::{Precision, Weights, sha256},
};
use affectlens_data::{LabelledPictures, Observer as _, picture::read_picture};
use affectlens_train::{
    EndToEndRecipe, FaceSet, GreyPicture, LabelledFaces, TrainedHead, TrainingReport, train_faces,
};

/// What `--end-to-end` takes.
#[derive(clap::Args, Debug)]
pub(super) struct EndToEndOptions {
    /// Train the backbone too, from the one that --backbone names, on augmented grey pictures; slow without a GPU. Other
    /// defaults then: 14 epochs, batches of 96, learning rate 0.0012, weight decay 0.03.
    #[arg(
        long,
        requires = "backbone_out",
        conflicts_with_all = ["affwild2", "holdout", "focal", "hidden", "mixup", "patience", "per_class", "weighted_sampler"]
    )]
    end_to_end: bool,
    /// Weights file of the trained backbone to write; the heads need it.
    #[arg(long, value_name = "FILE", requires = "end_to_end")]
    backbone_out: Option<PathBuf>,
    /// Side of the pictures that the trained backbone takes, pixels.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = EndToEndRecipe::default().side,
        value_parser = side,
        requires = "end_to_end"
    )]
    side: u32,
    /// Folder with training pictures DIR/LABEL/*.jpg of a second, adapted head over the same backbone; can be repeated.
    #[arg(long, value_name = "DIR", requires_all = ["end_to_end", "adapted_validation", "adapted_out"])]
    adapted_training: Vec<PathBuf>,
    /// Folder with validation pictures of the adapted head; can be repeated.
    #[arg(long, value_name = "DIR", requires = "adapted_training")]
    adapted_validation: Vec<PathBuf>,
    /// Weights file of the adapted head to write.
    #[arg(long, value_name = "FILE", requires = "adapted_training")]
    adapted_out: Option<PathBuf>,
    /// Labels to leave out of the adapted head's pictures.
    #[arg(
        long,
        value_name = "LABEL,...",
        value_delimiter = ',',
        value_parser = expression,
        requires = "adapted_training"
    )]
    adapted_without: Vec<Expression>,
}

/// What is printed at the end.
#[derive(Serialize)]
struct Summary<'a> {
    backbone_out: &'a Path,
    skipped_pictures: usize,
    heads: Vec<HeadSummary<'a>>,
}

#[derive(Serialize)]
struct HeadSummary<'a> {
    out: &'a Path,
    training_pictures: usize,
    validation_pictures: usize,
    #[serde(flatten)]
    report: &'a TrainingReport,
}

impl EndToEndOptions {
    /// Other defaults for the options of the schedule.
    pub(super) fn with_defaults(arg: Arg) -> Arg {
        let recipe = EndToEndRecipe::default();
        let default = match arg.get_id().as_str() {
            "epochs" => recipe.epochs.to_string(),
            "batch" => recipe.batch.to_string(),
            "learning_rate" => recipe.learning_rate.to_string(),
            "weight_decay" => recipe.weight_decay.to_string(),
            _ => return arg,
        };
        // Options hold borrowed text; these few live as long as the program.
        let default: &'static str = default.leak();
        let is_set = ArgPredicate::Equals("true".into());
        arg.default_value_if("end_to_end", is_set, Some(default))
    }

    /// The file of the backbone, if one is to be trained.
    pub(super) fn backbone_out(&self) -> Option<&Path> {
        self.backbone_out.as_deref().filter(|_| self.end_to_end)
    }

    /// Confirms that the files can be written, beside that of `--out`.
    pub(super) fn expect_writable(&self, out: &PathBuf) -> Result<()> {
        expect_outputs([
            ("--out", Some(out)),
            ("--backbone-out", self.backbone_out.as_ref()),
            ("--adapted-out", self.adapted_out.as_ref()),
        ])
    }

    fn recipe(&self, schedule: &ScheduleOptions, without_gla: bool) -> EndToEndRecipe {
        let given = schedule.apply(Default::default());
        EndToEndRecipe {
            side: self.side,
            epochs: given.epochs,
            batch: given.batch,
            learning_rate: given.learning_rate,
            weight_decay: given.weight_decay,
            seed: given.seed,
            without_gla,
            ..EndToEndRecipe::default()
        }
    }
}

impl Args {
    /// Trains a backbone with one or two heads and writes them.
    pub(super) fn train_end_to_end(&self, backbone_out: &Path) -> Result<()> {
        let options = &self.end_to_end;
        let recipe = options.recipe(&self.schedule, self.no_gla);
        let settings = self.settings.read()?;
        let weights = self.face.weights.installed().backbone()?;
        let device = self.face.device.open()?.device.autodiff();
        let mut parts = vec![self.data.pictures()?];
        let mut files = vec![("--out", self.face.out.as_path())];
        if let Some(out) = &options.adapted_out {
            let without = &options.adapted_without;
            let training = LabelledPictures::read_all(&options.adapted_training, without)?;
            let validation = LabelledPictures::read_all(&options.adapted_validation, without)?;
            parts.push(leave_out([training, validation], without)?);
            files.push(("--adapted-out", out));
        }
        let mut skipped = 0;
        let sets = parts
            .iter()
            .map(|parts| read(parts, recipe.side, &mut skipped));
        let sets = sets.collect::<Result<Vec<_>>>()?;
        let checkpoint = self.face.checkpoint("expression end-to-end", &weights);
        let trained = train_faces(
            &weights,
            &sets,
            &recipe,
            &device,
            checkpoint.as_deref(),
            show_training(),
        )?;
        let mut backbone = trained.backbone;
        let digest = sha256(&backbone.to_safetensors(Precision::Single)?);
        backbone.metadata.licence.clone_from(&self.face.licence);
        backbone.metadata.source = command_line();
        backbone.metadata.source_sha256 = digest;
        let written = backbone.write(backbone_out, Precision::Half);
        written.context("--backbone-out")?;
        for ((option, out), head) in files.iter().zip(&trained.heads) {
            let file = file_of(head, &settings);
            self.face
                .write_to((option, out), file, &backbone, Precision::Half)?;
        }
        let heads = files.iter().zip(&trained.heads).zip(&sets);
        let summary = Summary {
            backbone_out,
            skipped_pictures: skipped,
            heads: heads
                .map(|(((_, out), head), set)| HeadSummary {
                    out,
                    training_pictures: set.training.labels.len(),
                    validation_pictures: set.validation.labels.len(),
                    report: &head.report,
                })
                .collect(),
        };
        crate::terminal::json(&summary)
    }
}

/// The file of a head with its settings and scores.
pub(super) fn file_of(head: &TrainedHead, settings: &ExpressionSettings) -> Weights {
    let mut weights = head.weights.clone();
    let extra = &mut weights.metadata.extra;
    ExpressionSettings {
        gla: head.gla.clone(),
        ..settings.clone()
    }
    .write(extra);
    let report = &head.report;
    let counts: Vec<String> = report.counts.iter().map(ToString::to_string).collect();
    extra.insert("counts".to_owned(), counts.join(" "));
    let scores = report.adjusted.as_ref().unwrap_or(&report.validation);
    keep_score(extra, "accuracy", scores.accuracy);
    keep_score(extra, "macro_f1", scores.macro_f1);
    weights
}

/// Pictures of both parts as they are trained on; those that cannot be read are complaints and counted.
fn read(parts: &[LabelledPictures; 2], side: u32, skipped: &mut usize) -> Result<FaceSet> {
    let [training, validation] = parts;
    let classes = training.classes();
    let mut read = |part, pictures: &LabelledPictures, grey: &dyn Fn(&Frame) -> GreyPicture| {
        let labels = pictures.class_indices(&classes)?;
        let observer = Terminal::default();
        let total = Some(pictures.len() as u64);
        observer.begin(&format!("reading {part}"), "pictures", total);
        let mut faces = LabelledFaces::default();
        for (done, (path, label)) in (1..).zip(pictures.paths.iter().zip(labels)) {
            match read_picture(path) {
                Ok(frame) => {
                    faces.pictures.push(grey(&frame));
                    faces.labels.push(label);
                }
                Err(error) => {
                    observer.complain(&format_args!("skipped {error}"));
                    *skipped += 1;
                }
            }
            observer.reach(done);
        }
        observer.end();
        pictures.expect_read(part, |class| {
            let index = classes.iter().position(|other| *other == class);
            index.is_some_and(|index| faces.labels.contains(&index))
        })?;
        anyhow::Ok(faces)
    };
    // A view may be a part of a picture: a third more than its side is kept.
    let training = read("training", training, &|frame| {
        GreyPicture::new(frame, side + side / 3)
    })?;
    let validation = read("validation", validation, &|frame| {
        GreyPicture::new(&crop::resize(frame, side), side)
    })?;
    Ok(FaceSet {
        classes: classes.clone(),
        training,
        validation,
    })
}

/// Reads a side that can be trained on.
fn side(text: &str) -> Result<u32, String> {
    let sides = EndToEndRecipe::SIDES;
    let side = text.parse().ok().filter(|side| sides.contains(side));
    side.ok_or_else(|| {
        format!(
            "expected a whole number from {} to {}",
            sides.start(),
            sides.end()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::parse;

    #[test]
    fn end_to_end_has_defaults_of_its_own() {
        let recipe = |line: &str| {
            let args: Args = parse(&format!("--data d --out o {line}"));
            args.end_to_end.recipe(&args.schedule, args.no_gla)
        };
        let end_to_end = "--end-to-end --backbone-out b";
        assert_eq!(recipe(end_to_end), EndToEndRecipe::default());
        let given = recipe(&format!(
            "{end_to_end} --epochs 3 --side 64 --seed 7 --no-gla"
        ));
        let expected = EndToEndRecipe {
            epochs: 3,
            side: 64,
            seed: 7,
            without_gla: true,
            ..EndToEndRecipe::default()
        };
        assert_eq!(given, expected);
        assert_eq!(recipe("").batch, 256);
    }
}
