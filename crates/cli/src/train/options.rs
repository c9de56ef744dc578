//! Options that several tasks share, and what is done with them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Arg;
use serde::Serialize;

use super::{command_line, stamp};
use crate::{
    DeviceOption, WeightsOptions,
    options::{Modality, VideosOption},
    outputs::{expect_output_folder, expect_outputs},
    readers::{open_crops, open_sound},
};
use affectlens::weights::{Precision, Weights, sha256};
use affectlens_data::{AffWild2, CropReader, FrameCounts, SoundCounts, SoundReader};
use affectlens_train::{EarlyStop, Schedule};

/// How long and how fast a head for faces is trained.
#[derive(clap::Args, Debug)]
pub(super) struct ScheduleOptions {
    /// Epochs: passes over the training data.
    #[arg(long)]
    epochs: usize,
    /// Examples per step.
    #[arg(long, value_name = "EXAMPLES")]
    batch: usize,
    /// Learning rate of Adam.
    #[arg(long)]
    learning_rate: f64,
    /// L2 penalty on the parameters.
    #[arg(long)]
    weight_decay: f32,
    /// Stop when the validation score has not risen by 0.0001 for this many epochs.
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<usize>,
    /// Seed of the random numbers.
    #[arg(long)]
    seed: u64,
}

impl ScheduleOptions {
    /// Gives the options their defaults, those of a published schedule.
    pub(super) fn with_defaults(arg: Arg, published: &Schedule) -> Arg {
        let default = match arg.get_id().as_str() {
            "epochs" => published.epochs.to_string(),
            "batch" => published.batch.to_string(),
            "learning_rate" => published.learning_rate.to_string(),
            "weight_decay" => published.weight_decay.to_string(),
            "seed" => published.seed.to_string(),
            _ => return arg,
        };
        // Options hold borrowed text; these few live as long as the program.
        let default: &'static str = default.leak();
        arg.default_value(default).required(false)
    }

    /// The published schedule with what the options change.
    pub(super) fn apply(&self, published: Schedule) -> Schedule {
        Schedule {
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            early_stop: match self.patience {
                Some(patience) => Some(EarlyStop {
                    patience,
                    ..EarlyStop::default()
                }),
                None => published.early_stop,
            },
            seed: self.seed,
            ..published
        }
    }
}

/// Where an interrupted run is kept.
#[derive(clap::Args, Debug)]
pub(super) struct ResumeOption {
    /// Folder for a checkpoint after each epoch; a run that finds one there continues from it.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
}

impl ResumeOption {
    /// The checkpoint of a run; other runs have other files.
    pub(super) fn checkpoint(&self, run: &str) -> Option<PathBuf> {
        let digest = sha256(run.as_bytes());
        let name = format!("checkpoint-{}.safetensors", &digest[..12]);
        Some(self.resume.as_ref()?.join(name))
    }

    /// Confirms that checkpoints can be written.
    pub(super) fn expect_writable(&self) -> Result<()> {
        match &self.resume {
            Some(folder) => expect_output_folder("--resume", folder),
            None => Ok(()),
        }
    }
}

/// What is read of the videos of Aff-Wild2.
#[derive(clap::Args, Debug)]
pub(super) struct ModalityOptions {
    /// What the head reads.
    #[arg(long, value_enum, default_value_t, requires = "affwild2")]
    pub(super) modality: Modality,
    #[command(flatten)]
    videos: VideosOption,
}

/// The file to write, and where networks come from and run, for heads of faces.
#[derive(clap::Args, Debug)]
pub(super) struct FaceOptions {
    /// Weights file to write.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    resume: ResumeOption,
    /// Licence of the trained parameters; stored in the file.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "not stated; depends on the rights in the training pictures"
    )]
    pub(super) licence: String,
    /// Device that runs the networks.
    #[arg(long, value_enum, default_value_t)]
    pub(super) device: DeviceOption,
    #[command(flatten)]
    pub(super) weights: WeightsOptions,
}

/// What is printed at the end.
#[derive(Serialize)]
struct Summary<'a, R> {
    out: &'a Path,
    training_pictures: usize,
    validation_pictures: usize,
    skipped_pictures: usize,
    /// Training and validation frames of Aff-Wild2.
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<[FrameCounts; 2]>,
    /// The same by what is heard in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard: Option<[SoundCounts; 2]>,
    #[serde(flatten)]
    report: &'a R,
}

/// Training and validation pictures of a run.
#[derive(Clone, Copy, Default)]
pub(super) struct PictureCounts {
    pub(super) used: [usize; 2],
    pub(super) skipped: usize,
    /// Frames of Aff-Wild2, if that is where they come from.
    pub(super) frames: Option<[FrameCounts; 2]>,
    /// The same where their sound was read.
    pub(super) heard: Option<[SoundCounts; 2]>,
}

impl FaceOptions {
    /// Confirms that the file and checkpoints can be written, before anything is read.
    pub(super) fn expect_writable(&self) -> Result<()> {
        expect_outputs([("--out", Some(&self.out))])?;
        self.resume.expect_writable()
    }

    /// Reads crops of Aff-Wild2.
    pub(super) fn reader(&self, root: &Path) -> Result<CropReader> {
        open_crops(AffWild2::open(root)?, &self.weights, self.device.open()?)
    }

    /// Reads sound of Aff-Wild2, and gives what the network for it says of itself.
    pub(super) fn sound_reader(
        &self,
        root: &Path,
        options: &ModalityOptions,
    ) -> Result<(SoundReader, Weights)> {
        let tree = AffWild2::open(root)?;
        let videos = tree.videos(options.videos.videos.as_deref())?;
        open_sound(
            tree,
            videos,
            self.weights.folder.clone(),
            self.device.open()?,
        )
    }

    /// The checkpoint of a task's head over a backbone.
    pub(super) fn checkpoint(&self, task: &str, backbone: &Weights) -> Option<PathBuf> {
        let digest = backbone.digest();
        self.resume.checkpoint(&format!("{task} {digest}"))
    }

    /// Stamps the file with where it comes from and writes it.
    pub(super) fn write(
        &self,
        weights: Weights,
        backbone: &Weights,
        precision: Precision,
    ) -> Result<()> {
        self.write_to(("--out", &self.out), weights, backbone, precision)
    }

    /// The same for a file that another option names.
    pub(super) fn write_to(
        &self,
        (option, out): (&'static str, &Path),
        mut weights: Weights,
        backbone: &Weights,
        precision: Precision,
    ) -> Result<()> {
        stamp(&mut weights, backbone);
        weights.metadata.licence.clone_from(&self.licence);
        weights.metadata.source = command_line();
        weights.write(out, precision).context(option)
    }

    /// Prints how training went.
    pub(super) fn print<R: Serialize>(&self, counts: PictureCounts, report: &R) -> Result<()> {
        let [training_pictures, validation_pictures] = counts.used;
        let summary = Summary {
            out: &self.out,
            training_pictures,
            validation_pictures,
            skipped_pictures: counts.skipped,
            frames: counts.frames,
            heard: counts.heard,
            report,
        };
        crate::terminal::json(&summary)
    }
}

/// Keeps a score on the validation data in the file.
pub(super) fn keep_score(extra: &mut BTreeMap<String, String>, name: &str, score: f64) {
    extra.insert(format!("validation_{name}"), format!("{score:.4}"));
}
