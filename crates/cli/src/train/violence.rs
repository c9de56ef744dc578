//! `affectlens train violence`: clips or the videos of DVD to a temporal head's weights file.

mod end_to_end;
mod folds;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::{
    DeviceOption, command_line,
    options::{ResumeOption, keep_score},
    show_training, stamp,
};
use crate::{
    folders::clip_folders,
    installed::InstalledWeights,
    options::frames,
    outputs::{expect_other_file, expect_outputs},
    probability,
    progress::Terminal,
    readers::{open_source, open_videos},
    second_stream::SecondStreamOptions,
};
use affectlens::{
    calibration::ViolenceSettings,
    clip::ClipConfig,
    head::{FusionKind, TemporalKind},
    weights::{Precision, PublishedWeights, Weights, file_sha256},
};
use affectlens_data::{ClipFolders, VideoSource, read_folds};
use affectlens_train::{
    Augmentation, Boundary, ClassWeighting, FrameLoss, HeadRecipe, ViolenceRecipe, ViolenceReport,
    draw_curves, head_recipe, settings_for,
};
pub(crate) use end_to_end::train_on_pictures;

/// Backbone of the default head.
const BACKBONE: &str = "efficientnet-lite0";

/// Options of `affectlens train violence`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = clip_folders())]
pub(crate) struct Args {
    /// Folder with DIR/violent/*.mp4 and DIR/non-violent/*.mp4, or with DIR/train and DIR/validation that have these; for
    /// other names see below or --help.
    #[arg(long, value_name = "DIR", required_unless_present = "dvd")]
    data: Option<PathBuf>,
    /// Root folder of DVD, with Training and Validation.
    #[arg(long, value_name = "ROOT", conflicts_with = "data")]
    dvd: Option<PathBuf>,
    /// Weights file of the head to write.
    #[arg(long, value_name = "FILE", required_unless_present = "folds")]
    out: Option<PathBuf>,
    /// Published recipe to start from; the other options override parts of it.
    #[arg(long, value_name = "NAME", value_parser = ViolenceRecipe::PRESETS.map(|(name, _)| name))]
    preset: Option<String>,
    /// Backbone for frames or clips of them [default: that of the preset, otherwise efficientnet-lite0].
    #[arg(long, value_name = "NAME")]
    backbone: Option<String>,
    /// Kind of head, which reads the embeddings of a clip's frames, or what a network over clips tells of it [default: tcn]. Those named skeleton- and flow- read a
    /// second stream too.
    #[arg(long, value_name = "NAME", value_parser = kind)]
    head: Option<TemporalKind>,
    #[command(flatten)]
    second_stream: SecondStreamOptions,
    /// Epochs; each takes one clip of every training video [default: 18].
    #[arg(long)]
    epochs: Option<usize>,
    /// Frames per clip [default: 32, or those of a network over clips].
    #[arg(long, value_name = "FRAMES", value_parser = frames)]
    length: Option<usize>,
    /// Distance between the frames of a training clip [default: 2].
    #[arg(long, value_name = "FRAMES", value_parser = frames)]
    step: Option<usize>,
    /// Distance between the frames of a window when the head is used; stored in the file.
    #[arg(long, value_name = "FRAMES", value_parser = frames, default_value_t = 1)]
    frame_step: usize,
    /// Distance between the starts of windows when the head is used; stored in the file [default: windows overlap by half and
    /// cover every frame].
    #[arg(long, value_name = "FRAMES", value_parser = frames)]
    stride: Option<usize>,
    /// Frames per second to use, in training and afterwards [default: all; 8 for the heads of movement].
    #[arg(long, value_name = "RATE", value_parser = positive)]
    frames_per_second: Option<f32>,
    /// Probability from which a frame counts as violent; stored in the file.
    #[arg(long, value_name = "P", value_parser = probability, default_value_t = 0.5)]
    threshold: f32,
    /// Clips per batch [default: 2].
    #[arg(long, value_name = "CLIPS")]
    batch: Option<usize>,
    /// Batches per step of the optimiser [default: 8].
    #[arg(long, value_name = "BATCHES")]
    accumulate: Option<usize>,
    /// Use the batches at the end of an epoch that do not fill a step; the published recipes drop them. Data that do not fill
    /// a single step are always used.
    #[arg(long)]
    keep_partial_step: bool,
    /// Learning rate at the start; the schedule rises to six times as much [default: 0.00006].
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Factor on the step size of the backbone for each layer towards the input [default: from the preset, otherwise 1].
    #[arg(long, value_name = "FACTOR", requires = "end_to_end")]
    layer_decay: Option<f64>,
    /// Weight decay [default: 0.0005].
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Label smoothing: share of a label that is spread over both classes [default: 0.02].
    #[arg(long, value_name = "PART")]
    label_smoothing: Option<f32>,
    /// Focal loss with this gamma, instead of cross-entropy.
    #[arg(long, value_name = "GAMMA", conflicts_with = "label_smoothing")]
    focal: Option<f32>,
    /// Class-balanced weights with this beta (effective number of frames), instead of inverse frequency.
    #[arg(long, value_name = "BETA")]
    class_balanced: Option<f64>,
    /// Factor on the weight of the violent class in the loss [default: 1.15].
    #[arg(long, value_name = "FACTOR")]
    violent_weight: Option<f64>,
    /// Boundary-aware loss: adds a term in which frames near a change of label have this weight; 2 as published [default:
    /// from the preset, otherwise none].
    #[arg(long, value_name = "WEIGHT")]
    boundary: Option<f32>,
    /// Frames before and after a change of label that count as near.
    #[arg(
        long,
        value_name = "FRAMES",
        value_parser = frames,
        default_value_t = 3,
        requires = "boundary"
    )]
    boundary_radius: usize,
    /// Probability of centring a clip on a violent frame [default: 0.1].
    #[arg(long, value_name = "P")]
    positive_clips: Option<f64>,
    /// Mirror each frame with probability one half; features of the mirrored frames are cached too.
    #[arg(long)]
    mirror: bool,
    /// Train the backbone as well, on augmented pictures; slow without a GPU.
    #[arg(long, requires_all = ["published", "backbone_out"], conflicts_with_all = ["folds", "mirror"])]
    end_to_end: bool,
    /// Published state dict of the backbone that --end-to-end starts from: .safetensors, .pth, .pt or .ckpt.
    #[arg(long, value_name = "FILE", requires = "end_to_end")]
    published: Option<PathBuf>,
    /// Weights file of the trained backbone to write; the head needs it.
    #[arg(long, value_name = "FILE", requires = "end_to_end")]
    backbone_out: Option<PathBuf>,
    /// Seed of the random numbers [default: 67].
    #[arg(long)]
    seed: Option<u64>,
    /// Cross-validation: a CSV file with the columns `file` (FOLDER/NAME below DIR) and `fold`. Each fold is scored by
    /// a head trained on the others, then a head is trained on everything for --out.
    #[arg(long, value_name = "FILE.csv", requires = "data")]
    folds: Option<PathBuf>,
    /// Repetitions of the cross-validation, each with the next seed.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "folds")]
    seeds: u64,
    #[command(flatten)]
    resume: ResumeOption,
    /// SVG file to write, with loss and F1 over the epochs.
    #[arg(long, value_name = "FILE.svg")]
    curves: Option<PathBuf>,
    /// Licence of the trained parameters; stored in the file.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "not stated; depends on the rights in the training videos"
    )]
    licence: String,
    /// Device that runs the backbone.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Folder with weights files [default: the cache that `affectlens weights fetch` fills].
    #[arg(long = "weights", value_name = "DIR")]
    weights: Option<PathBuf>,
}

fn kind(name: &str) -> Result<TemporalKind, String> {
    let fusions = FusionKind::ALL.map(FusionKind::name);
    let known = || [&TemporalKind::ALL.map(TemporalKind::name)[..], &fusions].concat();
    TemporalKind::from_name(name).ok_or_else(|| format!("expected one of {}", known().join(", ")))
}

fn positive(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|rate: &f32| *rate > 0.0 && rate.is_finite())
        .ok_or_else(|| "expected a number above 0".to_owned())
}

/// What is printed at the end.
#[derive(Serialize)]
struct Summary<'a> {
    out: &'a Path,
    skipped_videos: usize,
    #[serde(flatten)]
    report: &'a ViolenceReport,
}

/// Trains a head, and with `--end-to-end` its backbone, and writes what it trained.
pub(super) fn run(args: &Args) -> Result<()> {
    args.expect_writable()?;
    let clip = args.clip()?;
    let recipe = head_recipe(args.settings(clip)?);
    // The file's own reader decides, before anything is computed.
    args.head_settings(recipe.as_ref()).check()?;
    args.second_stream.expect_read(recipe.settings().head)?;
    expect_clip_length(clip, recipe.settings().length)?;
    let source = open_source(args.data.as_deref(), args.dvd.as_deref())?;
    match (&args.published, &args.backbone_out) {
        (Some(published), Some(out)) => args.end_to_end(&source, recipe.as_ref(), published, out),
        _ => args.frozen(&source, recipe.as_ref()),
    }
}

impl Args {
    fn frozen(&self, source: &VideoSource, recipe: &dyn HeadRecipe) -> Result<()> {
        let name = recipe.settings().head.name();
        let mut reader = open_videos(self.backbone(), self.weights.clone(), self.device)?;
        reader.frames_per_second = self.frames_per_second(recipe);
        reader.mirrored = self.mirror;
        let head = recipe.settings().head;
        let (weights, second) = (self.weights.as_deref(), &self.second_stream);
        reader.second = second.open(head, None, weights, self.device)?;
        let [training, validation] = source.parts(&reader)?;
        let (mut scores, mut folds) = (BTreeMap::new(), Vec::new());
        if let Some(list) = &self.folds {
            let VideoSource::Clips(ClipFolders::Whole(clips)) = source else {
                bail!("--folds takes a folder without train and validation");
            };
            let members = read_folds(list, clips)?;
            (scores, folds) = self.cross_validate(&training, &members, recipe)?;
        } else if recipe.needs_folds() {
            bail!("--head {name} needs --folds: it is scored on clips that it was not trained on");
        }
        let Some(out) = &self.out else { return Ok(()) };
        let checkpoint = self.checkpoint(recipe, &reader.key());
        let trained = recipe.train(
            [&training.data, &validation.data],
            &folds,
            checkpoint.as_deref(),
            &mut show_training(),
        )?;
        let mut head = trained.weights;
        head.metadata.extra.extend(scores);
        self.write(head, reader.weights(), recipe, &trained.report)?;
        let skipped = training.skipped + validation.skipped;
        print(out, skipped, &trained.report)
    }

    fn end_to_end(
        &self,
        source: &VideoSource,
        recipe: &dyn HeadRecipe,
        published: &Path,
        backbone_out: &Path,
    ) -> Result<()> {
        let settings = recipe.settings();
        if !recipe.trains_backbone() {
            bail!(
                "--head {} is trained on features of a frozen backbone, not with --end-to-end",
                settings.head.name()
            );
        }
        let (weights, options) = (self.weights.as_deref(), &self.second_stream);
        let second = options.open(settings.head, None, weights, self.device)?;
        let mut key = file_sha256(published)?;
        if let Some(second) = &second {
            key = format!("{key} {}", second.key());
        }
        let checkpoint = self.checkpoint(recipe, &key);
        let trained = train_on_pictures(
            (self.backbone(), published),
            |side| {
                let rate = self.frames_per_second(recipe);
                Ok(source.pictures(side, rate, second.as_ref(), &Terminal::default())?)
            },
            settings,
            self.device,
            checkpoint.as_deref(),
        )?;
        let mut backbone = trained.backbone;
        backbone.metadata.licence.clone_from(&self.licence);
        let written = backbone.write(backbone_out, Precision::Half);
        written.context("--backbone-out")?;
        self.write(trained.head, &backbone, recipe, &trained.report)?;
        let out = self.out.as_deref().unwrap_or(backbone_out);
        print(out, 0, &trained.report)
    }

    /// Confirms that what will be written can be, before anything is read.
    fn expect_writable(&self) -> Result<()> {
        expect_outputs([
            ("--out", self.out.as_ref()),
            ("--backbone-out", self.backbone_out.as_ref()),
            ("--curves", self.curves.as_ref()),
        ])?;
        if let Some(published) = &self.published {
            for (option, out) in [("--out", &self.out), ("--backbone-out", &self.backbone_out)] {
                if let Some(out) = out {
                    expect_other_file((option, out), published)?;
                }
            }
        }
        self.resume.expect_writable()
    }

    fn backbone(&self) -> &str {
        let published = ViolenceRecipe::PRESETS
            .iter()
            .find(|(name, _)| self.preset.as_deref() == Some(*name))
            .map(|(_, backbone)| *backbone);
        self.backbone.as_deref().or(published).unwrap_or(BACKBONE)
    }

    /// The clips that the backbone looks at, as its file says where its name does not; none if it looks at single frames.
    fn clip(&self) -> Result<Option<ClipConfig>> {
        let name = self.backbone();
        let known = ClipConfig::from_name(name);
        if !known.is_some_and(|clip| clip.has_config()) {
            return Ok(known);
        }
        let metadata = match &self.published {
            Some(published) => {
                let read = PublishedWeights::read_for(name, published).context("--published")?;
                read.named().metadata.clone()
            }
            None => {
                let installed = InstalledWeights::new(self.weights.clone(), Some(name.to_owned()));
                installed.backbone()?.metadata
            }
        };
        Ok(ClipConfig::of_published(name, &metadata)?)
    }

    /// The checkpoint of a backbone that goes by that digest.
    fn checkpoint(&self, recipe: &dyn HeadRecipe, backbone: &str) -> Option<PathBuf> {
        let frames_per_second = self.frames_per_second(recipe);
        let Self {
            end_to_end, mirror, ..
        } = self;
        let run = format!("{backbone} {end_to_end} {frames_per_second:?} {mirror}");
        self.resume.checkpoint(&run)
    }

    /// How the head is used, as its file says.
    fn head_settings(&self, recipe: &dyn HeadRecipe) -> ViolenceSettings {
        ViolenceSettings {
            length: recipe.settings().length,
            step: self.frame_step,
            stride: self.stride,
            frames_per_second: self.frames_per_second(recipe),
            threshold: self.threshold,
        }
    }

    /// Stamps the head with where it comes from and how it is used; writes it, and then the curves: they can be drawn again.
    fn write(
        &self,
        mut head: Weights,
        backbone: &Weights,
        recipe: &dyn HeadRecipe,
        report: &ViolenceReport,
    ) -> Result<()> {
        if let Some(out) = &self.out {
            stamp(&mut head, backbone);
            self.second_stream.stamp(recipe.settings().head, &mut head);
            head.metadata.licence.clone_from(&self.licence);
            head.metadata.source = command_line();
            let extra = &mut head.metadata.extra;
            self.head_settings(recipe).write(extra);
            if let Some(validation) = report.validation {
                keep_score(extra, "macro_f1", validation.macro_f1);
            }
            head.write(out, Precision::Half).context("--out")?;
        }
        if let Some(path) = &self.curves {
            fs::write(path, draw_curves(&report.epochs, "macro-F1"))
                .with_context(|| format!("--curves `{}`", path.display()))?;
        }
        Ok(())
    }

    /// Frames per second that are looked at; a recipe may have a rate of its own.
    fn frames_per_second(&self, recipe: &dyn HeadRecipe) -> Option<f32> {
        self.frames_per_second.or(recipe.frames_per_second())
    }

    /// The published settings with what the options change.
    fn settings(&self, clip: Option<ClipConfig>) -> Result<ViolenceRecipe> {
        let published = match (&self.preset, self.head) {
            (Some(name), _) => ViolenceRecipe::preset(name)
                .with_context(|| format!("there is no preset `{name}`"))?,
            (None, Some(head)) => settings_for(head),
            (None, None) => ViolenceRecipe::default(),
        };
        let length = match (&self.preset, clip) {
            (None, Some(clip)) => clip.frames,
            _ => published.length,
        };
        let loss = match (self.focal, self.label_smoothing) {
            (Some(gamma), _) => FrameLoss::Focal { gamma },
            (None, Some(smoothing)) => FrameLoss::CrossEntropy { smoothing },
            (None, None) => published.loss,
        };
        Ok(ViolenceRecipe {
            head: self.head.unwrap_or(published.head),
            length: self.length.unwrap_or(length),
            step: self.step.unwrap_or(published.step),
            epochs: self.epochs.unwrap_or(published.epochs),
            batch: self.batch.unwrap_or(published.batch),
            accumulate: self.accumulate.unwrap_or(published.accumulate),
            keeps_partial_step: self.keep_partial_step,
            learning_rate: self.learning_rate.unwrap_or(published.learning_rate),
            layer_decay: self.layer_decay.or(published.layer_decay),
            weight_decay: self.weight_decay.unwrap_or(published.weight_decay),
            loss,
            weighting: match self.class_balanced {
                Some(beta) => ClassWeighting::Balanced { beta },
                None => published.weighting,
            },
            violent_weight: self.violent_weight.unwrap_or(published.violent_weight),
            boundary: match self.boundary {
                Some(weight) => Some(Boundary {
                    weight,
                    radius: self.boundary_radius,
                }),
                None => published.boundary,
            },
            positive_clips: self.positive_clips.unwrap_or(published.positive_clips),
            // Features of frames and clips are there once, as they are.
            augmentation: match self.mirror {
                true => Augmentation::Flip,
                false if self.end_to_end => published.augmentation,
                false => Augmentation::None,
            },
            seed: self.seed.unwrap_or(published.seed),
            ..published
        })
    }
}

/// Confirms that a network over clips looks at as many frames as clips have.
fn expect_clip_length(clip: Option<ClipConfig>, length: usize) -> Result<()> {
    match clip {
        Some(clip) if clip.frames != length => bail!(
            "clips have {length} frames, `{}` looks at {} at a time",
            clip.name,
            clip.frames
        ),
        _ => Ok(()),
    }
}

fn print(out: &Path, skipped_videos: usize, report: &ViolenceReport) -> Result<()> {
    let summary = Summary {
        out,
        skipped_videos,
        report,
    };
    crate::terminal::json(&summary)
}
