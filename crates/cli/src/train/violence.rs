//! `affectlens train violence`: clips or the videos of DVD to a temporal head's weights file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use burn::tensor::Device;
use serde::Serialize;

use super::{DeviceOption, command_line, keep_score, show_training, stamp};
use crate::{
    probability,
    progress::Terminal,
    readers::{open_source, open_videos},
};
use affectlens::{
    backbone::{TrainableBackbone, canonical_weights},
    calibration::ViolenceSettings,
    head::{TemporalHead, TemporalKind},
    weights::{Precision, PublishedWeights, Weights, file_sha256, sha256},
    windowing::Windows,
};
use affectlens_data::{
    ClipFolders, ClipScores, Part, VideoData, VideoPictures, VideoSource, Videos, read_folds,
    score_video,
};
use affectlens_train::{
    Augmentation, Boundary, ClassWeighting, FrameLoss, MotionFold, ViolenceError, ViolenceNetwork,
    ViolenceRecipe, ViolenceReport, draw_curves, mean_and_spread, train_end_to_end, train_motion,
    train_violence,
};

/// Backbone of the default head.
const BACKBONE: &str = "efficientnet-lite0";

/// Options of `affectlens train violence`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Folder with DIR/violent/*.mp4 and DIR/non-violent/*.mp4 (or fight, noFight), or with DIR/train and
    /// DIR/validation that have these.
    #[arg(long, value_name = "DIR", required_unless_present = "dvd")]
    data: Option<PathBuf>,
    /// DVD's root folder, with Training and Validation.
    #[arg(long, value_name = "ROOT", conflicts_with = "data")]
    dvd: Option<PathBuf>,
    /// The head's weights file to write.
    #[arg(long, value_name = "FILE", required_unless_present = "folds")]
    out: Option<PathBuf>,
    /// Published recipe that the other options change.
    #[arg(long, value_name = "NAME", value_parser = ViolenceRecipe::PRESETS.map(|(name, _)| name))]
    preset: Option<String>,
    /// Backbone that embeds frames [default: the preset's, else efficientnet-lite0].
    #[arg(long, value_name = "NAME")]
    backbone: Option<String>,
    /// Network over the embeddings of a clip's frames [default: tcn].
    #[arg(long, value_name = "NAME", value_parser = kind)]
    head: Option<TemporalKind>,
    /// Passes over the training videos, one clip of each [default: 18].
    #[arg(long)]
    epochs: Option<usize>,
    /// Frames of a clip [default: 32].
    #[arg(long, value_name = "FRAMES")]
    length: Option<usize>,
    /// Frames from one to the next of a training clip [default: 2].
    #[arg(long, value_name = "FRAMES")]
    step: Option<usize>,
    /// Frames from one to the next of a window in use, kept in the file.
    #[arg(long, value_name = "FRAMES", default_value_t = 1)]
    frame_step: usize,
    /// Look at so many frames a second, in training and in use; without it at all.
    #[arg(long, value_name = "RATE", value_parser = positive)]
    frames_per_second: Option<f32>,
    /// Probability from which a frame is violent, kept in the file.
    #[arg(long, value_name = "P", value_parser = probability, default_value_t = 0.5)]
    threshold: f32,
    /// Clips that go through the network together [default: 2].
    #[arg(long, value_name = "CLIPS")]
    batch: Option<usize>,
    /// Batches that make one step of the optimiser [default: 8].
    #[arg(long, value_name = "BATCHES")]
    accumulate: Option<usize>,
    /// Make a step of the batches at the end of an epoch that do not fill one; as published they are dropped.
    #[arg(long)]
    keep_partial_step: bool,
    /// Step size; the schedule rises to six times as much [default: 0.00006].
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Decay of weights [default: 0.0005].
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Part of a label that is spread over both classes [default: 0.02].
    #[arg(long, value_name = "PART")]
    label_smoothing: Option<f32>,
    /// Focal loss of this gamma instead of cross-entropy.
    #[arg(long, value_name = "GAMMA", conflicts_with = "label_smoothing")]
    focal: Option<f32>,
    /// Class weights by the effective number of frames with this beta, instead of by their number.
    #[arg(long, value_name = "BETA")]
    class_balanced: Option<f64>,
    /// Multiplies the weight of violence in the loss [default: 1.15].
    #[arg(long, value_name = "FACTOR")]
    violent_weight: Option<f64>,
    /// Look closer at changes: weight of the frames about them in an extra term of the loss; published is 2.
    #[arg(long, value_name = "WEIGHT")]
    boundary: Option<f32>,
    /// Frames about a change, to each side.
    #[arg(
        long,
        value_name = "FRAMES",
        default_value_t = 3,
        requires = "boundary"
    )]
    boundary_radius: usize,
    /// Probability with which a clip is centred on a violent frame [default: 0.1].
    #[arg(long, value_name = "P")]
    positive_clips: Option<f64>,
    /// Take the mirror image of a frame with probability one half; its features are computed once too.
    #[arg(long)]
    mirror: bool,
    /// Train the backbone too, on pictures, with the preset's augmentation; slow without a GPU.
    #[arg(long, requires_all = ["published", "backbone_out"], conflicts_with_all = ["folds", "mirror"])]
    end_to_end: bool,
    /// The backbone's published state dict, from which --end-to-end starts: .safetensors, .pth or .pt.
    #[arg(long, value_name = "FILE", requires = "end_to_end")]
    published: Option<PathBuf>,
    /// The trained backbone's weights file to write; it goes with the head.
    #[arg(long, value_name = "FILE", requires = "end_to_end")]
    backbone_out: Option<PathBuf>,
    /// Start of the random numbers [default: 67].
    #[arg(long)]
    seed: Option<u64>,
    /// List with the columns `file` (FOLDER/NAME below DIR) and `fold`: trains without each fold and scores it, before
    /// training on everything for --out.
    #[arg(long, value_name = "FILE.csv", requires = "data")]
    folds: Option<PathBuf>,
    /// How often all folds are trained, each time with the next seed.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "folds")]
    seeds: u64,
    /// Folder of the checkpoint that is written after each epoch; a run that finds one goes on from there.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Picture of loss and F1 over the epochs to write.
    #[arg(long, value_name = "FILE.svg")]
    curves: Option<PathBuf>,
    /// Rights in the trained parameters, kept in the file.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "not stated; depends on the rights in the training videos"
    )]
    licence: String,
    /// Where the backbone runs.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Folder with weights files; the default is the cache that `affectlens weights fetch` fills.
    #[arg(long = "weights", value_name = "DIR")]
    weights: Option<PathBuf>,
}

fn kind(name: &str) -> Result<TemporalKind, String> {
    let known = || TemporalKind::ALL.map(TemporalKind::name).join(", ");
    TemporalKind::from_name(name).ok_or_else(|| format!("expected one of {}", known()))
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
    let source = open_source(args.data.as_deref(), args.dvd.as_deref())?;
    match (&args.published, &args.backbone_out) {
        (Some(published), Some(out)) => end_to_end(args, &source, published, out),
        _ => frozen(args, &source),
    }
}

fn frozen(args: &Args, source: &VideoSource) -> Result<()> {
    let recipe = args.recipe()?;
    let mut reader = open_videos(args.backbone(), args.weights.clone(), args.device)?;
    reader.frames_per_second = args.frames_per_second(&recipe);
    reader.mirrored = args.mirror;
    let [training, validation] = source.parts(&reader)?;
    let mut scores = BTreeMap::new();
    let mut parts = Vec::new();
    if let Some(list) = &args.folds {
        let VideoSource::Clips(ClipFolders::Whole(clips)) = source else {
            bail!("--folds takes a folder without train and validation");
        };
        let folds = read_folds(list, clips)?;
        (scores, parts) = args.cross_validate(&training, &folds, &recipe)?;
    } else if recipe.head.is_motion() {
        bail!(
            "--head {} needs --folds: clips that were held out say how far to trust it",
            recipe.head.name()
        );
    }
    let Some(out) = &args.out else { return Ok(()) };
    let checkpoint = args.checkpoint(&recipe, &reader.weights().metadata.source_sha256);
    let (data, checkpoint) = ([&training.data, &validation.data], checkpoint.as_deref());
    let trained = match recipe.head {
        head if head.is_motion() => train_motion(
            data[0],
            data[1],
            &parts,
            &recipe,
            checkpoint,
            show_training(),
        )?,
        _ => train_violence(data[0], data[1], &recipe, checkpoint, show_training())?,
    };
    let mut head = trained.weights;
    head.metadata.extra.extend(scores);
    let skipped = training.skipped + validation.skipped;
    args.write(head, reader.weights(), &recipe, &trained.report)?;
    args.print(out, skipped, &trained.report)
}

fn end_to_end(
    args: &Args,
    source: &VideoSource,
    published: &Path,
    backbone_out: &Path,
) -> Result<()> {
    let recipe = args.recipe()?;
    if recipe.head.is_motion() {
        bail!(
            "--head {} is trained on features of a frozen backbone, not with --end-to-end",
            recipe.head.name()
        );
    }
    let parts = |side| {
        let rate = args.frames_per_second(&recipe);
        Ok(source.pictures(side, rate, &Terminal::default())?)
    };
    let checkpoint = args.checkpoint(&recipe, &file_sha256(published)?);
    let trained = train_on_pictures(
        (args.backbone(), published),
        parts,
        &recipe,
        args.device,
        checkpoint.as_deref(),
    )?;
    let mut backbone = trained.backbone;
    backbone.metadata.licence.clone_from(&args.licence);
    backbone.write(backbone_out, Precision::Half)?;
    args.write(trained.head, &backbone, &recipe, &trained.report)?;
    let out = args.out.as_deref().unwrap_or(backbone_out);
    args.print(out, 0, &trained.report)
}

/// Backbone and head that were trained together.
pub(crate) struct Trained {
    /// In canonical form.
    pub(crate) backbone: Weights,
    pub(crate) head: Weights,
    report: ViolenceReport,
}

/// Trains a backbone from its published state dict, with a head; `parts` gives pictures of the side that it takes.
pub(crate) fn train_on_pictures(
    (name, published): (&str, &Path),
    parts: impl FnOnce(u32) -> Result<[VideoPictures; 2]>,
    recipe: &ViolenceRecipe,
    device: DeviceOption,
    checkpoint: Option<&Path>,
) -> Result<Trained> {
    let device = device.open()?.device.autodiff();
    let read = PublishedWeights::read(published)?;
    let encoder = TrainableBackbone::load(name, read.named(), &device)
        .with_context(|| format!("`{}` as {name}", published.display()))?;
    let [training, validation] = &parts(encoder.facts().input_side)?;
    let frames = |part, video, frames: &[usize]| {
        let pictures = match part {
            Part::Training => training,
            Part::Validation => validation,
        };
        let read = pictures.frames(video, frames);
        read.map_err(|error| ViolenceError::Frames(error.to_string()))
    };
    let trained = train_end_to_end(
        ViolenceNetwork::new(encoder, recipe, &device),
        &device,
        [&training.videos, &validation.videos],
        frames,
        recipe,
        checkpoint,
        show_training(),
    )?;
    let state = trained.network.backbone_weights();
    let digest = sha256(&state.to_safetensors(Precision::Single)?);
    let mut backbone = canonical_weights(name, &PublishedWeights::Named(state))?;
    backbone.metadata.source = command_line();
    backbone.metadata.source_sha256 = digest;
    Ok(Trained {
        backbone,
        head: trained.network.head_weights(),
        report: trained.report,
    })
}

impl Args {
    fn backbone(&self) -> &str {
        let published = ViolenceRecipe::PRESETS
            .iter()
            .find(|(name, _)| self.preset.as_deref() == Some(*name))
            .map(|(_, backbone)| *backbone);
        self.backbone.as_deref().or(published).unwrap_or(BACKBONE)
    }

    /// The checkpoint of a backbone with that digest.
    fn checkpoint(&self, recipe: &ViolenceRecipe, backbone: &str) -> Option<PathBuf> {
        let folder = self.resume.as_ref()?;
        let frames_per_second = self.frames_per_second(recipe);
        let Self {
            end_to_end, mirror, ..
        } = self;
        let of = format!("{backbone} {end_to_end} {frames_per_second:?} {mirror}");
        let digest = sha256(of.as_bytes());
        Some(folder.join(format!("checkpoint-{}.safetensors", &digest[..12])))
    }

    /// Stamps the head with where it comes from and how it is used; writes it, and the curves.
    fn write(
        &self,
        mut head: Weights,
        backbone: &Weights,
        recipe: &ViolenceRecipe,
        report: &ViolenceReport,
    ) -> Result<()> {
        if let Some(path) = &self.curves {
            fs::write(path, draw_curves(&report.epochs, "macro-F1"))
                .with_context(|| format!("--curves `{}`", path.display()))?;
        }
        let Some(out) = &self.out else { return Ok(()) };
        stamp(&mut head, backbone);
        head.metadata.licence.clone_from(&self.licence);
        head.metadata.source = command_line();
        let extra = &mut head.metadata.extra;
        ViolenceSettings {
            length: recipe.length,
            step: self.frame_step,
            frames_per_second: self.frames_per_second(recipe),
            threshold: self.threshold,
        }
        .write(extra);
        if let Some(validation) = report.validation {
            keep_score(extra, "macro_f1", validation.macro_f1);
        }
        Ok(head.write(out, Precision::Half)?)
    }

    fn print(&self, out: &Path, skipped_videos: usize, report: &ViolenceReport) -> Result<()> {
        let summary = Summary {
            out,
            skipped_videos,
            report,
        };
        println!("{}", serde_json::to_string(&summary)?);
        Ok(())
    }

    /// Frames a second that are looked at; the motion head has a rate of its own.
    fn frames_per_second(&self, recipe: &ViolenceRecipe) -> Option<f32> {
        let default = recipe
            .head
            .is_motion()
            .then_some(ViolenceRecipe::MOTION_RATE);
        self.frames_per_second.or(default)
    }

    /// The published recipe with what the options change.
    fn recipe(&self) -> Result<ViolenceRecipe> {
        let published = match &self.preset {
            Some(name) => ViolenceRecipe::preset(name)
                .with_context(|| format!("there is no preset `{name}`"))?,
            None => match self.head {
                Some(head) if head.is_motion() => ViolenceRecipe::motion(head),
                _ => ViolenceRecipe::default(),
            },
        };
        let loss = match (self.focal, self.label_smoothing) {
            (Some(gamma), _) => FrameLoss::Focal { gamma },
            (None, Some(smoothing)) => FrameLoss::CrossEntropy { smoothing },
            (None, None) => published.loss,
        };
        Ok(ViolenceRecipe {
            head: self.head.unwrap_or(published.head),
            length: self.length.unwrap_or(published.length),
            step: self.step.unwrap_or(published.step),
            epochs: self.epochs.unwrap_or(published.epochs),
            batch: self.batch.unwrap_or(published.batch),
            accumulate: self.accumulate.unwrap_or(published.accumulate),
            keeps_partial_step: self.keep_partial_step,
            learning_rate: self.learning_rate.unwrap_or(published.learning_rate),
            weight_decay: self.weight_decay.unwrap_or(published.weight_decay),
            loss,
            weighting: match self.class_balanced {
                Some(beta) => ClassWeighting::Balanced { beta },
                None => published.weighting,
            },
            violent_weight: self.violent_weight.unwrap_or(published.violent_weight),
            boundary: self.boundary.map(|weight| Boundary {
                weight,
                radius: self.boundary_radius,
            }),
            positive_clips: self.positive_clips.unwrap_or(published.positive_clips),
            // Features of frames are there once, as they are.
            augmentation: match self.mirror {
                true => Augmentation::Flip,
                false if self.end_to_end => published.augmentation,
                false => Augmentation::None,
            },
            seed: self.seed.unwrap_or(published.seed),
            ..published
        })
    }

    /// Trains without each fold and scores it; prints a table, and gives what the head's file says of it and the motion
    /// heads that were trained.
    fn cross_validate(
        &self,
        clips: &Videos,
        folds: &BTreeMap<String, Vec<usize>>,
        recipe: &ViolenceRecipe,
    ) -> Result<(BTreeMap<String, String>, Vec<MotionFold>)> {
        let windows = Windows::new(recipe.length, self.frame_step)?;
        let videos_of = |members: &[usize]| -> [Vec<usize>; 2] {
            let is_member = |video: &usize| members.contains(&clips.places[*video]);
            let (scored, trained) = (0..clips.places.len()).partition(is_member);
            [scored, trained]
        };
        let mut table = Table::default();
        let mut motion_folds = Vec::new();
        for seed in (0..self.seeds).map(|more| recipe.seed.wrapping_add(more)) {
            let recipe = ViolenceRecipe {
                seed,
                ..recipe.clone()
            };
            let mut scores = ClipScores::default();
            let mut score = |head: &TemporalHead, videos: &[usize]| -> Result<()> {
                for (video, features) in clips.data.select(videos).iter() {
                    let probabilities = score_video(head, features, &windows, false)?;
                    scores.add(video.labels.contains(&Some(true)), &probabilities);
                }
                Ok(())
            };
            let mut of_seed = Vec::new();
            for (fold, members) in folds {
                eprintln!("seed {seed}, without fold {fold}");
                let [scored, trained] = videos_of(members);
                if recipe.head.is_motion() {
                    of_seed.push(MotionFold::train(&clips.data, &scored, &recipe)?);
                    continue;
                }
                let training = clips.data.select(&trained);
                let trained =
                    train_violence(&training, &VideoData::default(), &recipe, None, |_| {})?;
                let head = TemporalHead::load(&trained.weights, &Device::flex())?;
                score(&head, &scored)?;
            }
            for (number, fold) in of_seed.iter().enumerate() {
                let others = of_seed
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != number);
                let others: Vec<&MotionFold> = others.map(|(_, fold)| fold).collect();
                score(&fold.head(&others)?, &fold.videos)?;
            }
            table.add("all", seed, &scores, self.threshold)?;
            for (part, name) in ["network", "linear"].into_iter().enumerate() {
                let mut scores = ClipScores::default();
                let held_out = of_seed.iter().flat_map(|fold| &fold.scores);
                for (violent, parts) in held_out {
                    scores.add(*violent, &[1.0 / (1.0 + (-parts[part]).exp())]);
                }
                if recipe.head == TemporalKind::Motion {
                    table.add(name, seed, &scores, 0.5)?;
                }
            }
            motion_folds.extend(of_seed);
        }
        Ok((table.finish(), motion_folds))
    }
}

/// Accuracy and area under the curve of clips that were held out, a row a seed and part of the head.
#[derive(Default)]
struct Table(Vec<(&'static str, [f64; 2])>);

impl Table {
    fn add(
        &mut self,
        part: &'static str,
        seed: u64,
        scores: &ClipScores,
        threshold: f32,
    ) -> Result<()> {
        let accuracy = scores.confusion(threshold).accuracy();
        let area = scores.area().context("clips of one kind alone")?;
        if self.0.is_empty() {
            println!("part     seed  accuracy  AUC");
        }
        println!("{part:<8} {seed:>4}  {accuracy:.4}    {area:.4}");
        self.0.push((part, [accuracy, area]));
        Ok(())
    }

    /// Prints mean and spread; gives those of the whole head by the names they have in its file.
    fn finish(self) -> BTreeMap<String, String> {
        let mut said = BTreeMap::new();
        for part in ["all", "network", "linear"] {
            let rows = self.0.iter().filter(|(of, _)| *of == part);
            let rows: Vec<[f64; 2]> = rows.map(|(_, row)| *row).collect();
            if rows.is_empty() {
                continue;
            }
            let column = |column: usize| -> [f64; 2] {
                let values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
                mean_and_spread(&values)
            };
            let columns = [("accuracy", column(0)), ("auc", column(1))];
            let text = |[mean, spread]: [f64; 2]| format!("{mean:.4} ± {spread:.4}");
            println!(
                "{part:<8} mean  {}  {}",
                text(columns[0].1),
                text(columns[1].1)
            );
            if part == "all" {
                said.extend(
                    columns.map(|(name, value)| (format!("cross_validation_{name}"), text(value))),
                );
            }
        }
        said
    }
}
