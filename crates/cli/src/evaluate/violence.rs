//! `affectlens evaluate violence`: a temporal head on clips or on DVD, or its submission for DVD's test part.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use burn::tensor::Device;
use serde::Serialize;

use super::print;
use crate::{
    DeviceOption, WeightsOptions, probability,
    videos::{VideoReader, Videos},
};
use affectlens::{
    calibration::ViolenceSettings,
    head::{TemporalHead, TemporalKind},
    label::VIOLENCE,
    metrics::{Confusion, Scores},
    weights::{EMBEDDING, Weights},
    windowing::{Windows, smooth_repeating, spread},
};
use affectlens_data::{
    ClipFolders, Dvd, Part, parse_template, read_test_videos, submission_csv, write_submission,
};
use affectlens_train::{ClipScores, add_frames, score_video};

/// Options of `affectlens evaluate violence`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Folder with DIR/violent/*.mp4 and DIR/non-violent/*.mp4 (or fight, noFight), or with DIR/validation that has
    /// these.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["dvd", "test"])]
    data: Option<PathBuf>,
    /// DVD's root folder: its validation videos are scored.
    #[arg(long, value_name = "ROOT", conflicts_with_all = ["data", "test"])]
    dvd: Option<PathBuf>,
    /// Folder with TEST/ID/1.jpg or TEST/ID.mp4 of DVD's test part, for --submission.
    #[arg(
        long,
        value_name = "TEST",
        requires = "submission",
        conflicts_with = "data"
    )]
    test: Option<PathBuf>,
    /// Instead of scores: the zip archive to write, with Frame_Number and Label of each test video.
    #[arg(long, value_name = "FILE.zip", requires = "test")]
    submission: Option<PathBuf>,
    /// Folder with ID.csv that says which frame numbers the submission has; all without.
    #[arg(long, value_name = "DIR", requires = "submission")]
    template: Option<PathBuf>,
    /// The head [default: violence-head.safetensors in the folder with weights files, else the built-in one].
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Windows start every N frames, as published (half a window's span there); frames that no window covers count as
    /// not violent. Without it windows overlap by half and cover every frame.
    #[arg(long, value_name = "N")]
    stride: Option<usize>,
    /// Frames from one to the next of a window [default: the head's].
    #[arg(long, value_name = "N")]
    frame_step: Option<usize>,
    /// Probability from which a frame is violent [default: the head's].
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f32>,
    /// Average each frame's probability over so many frames, an odd number; beyond the ends the outermost ones repeat.
    #[arg(long, value_name = "FRAMES", default_value_t = 1)]
    smooth: usize,
    /// Take the most likely sequence of each window under a head's conditional random field instead of probabilities.
    #[arg(long)]
    viterbi: bool,
    /// One line of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Where the backbone runs.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Folder with weights files; the default is the cache that `affectlens weights fetch` fills.
    #[arg(long = "weights", value_name = "DIR")]
    weights: Option<PathBuf>,
}

/// What is printed: of clips where these are labelled as a whole, else of frames.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    scores: Scores<&'static str>,
    /// Of the clips' mean probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    auc: Option<f64>,
    /// Of the frames of clips.
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<Scores<&'static str>>,
    /// Frames that no window covers.
    uncovered: usize,
    skipped_videos: usize,
}

/// A head with what it reads.
struct Scorer {
    head: TemporalHead,
    settings: ViolenceSettings,
    windows: Windows,
    smooth: usize,
    viterbi: bool,
    reader: VideoReader,
}

/// Scores a head and prints the result, or writes a submission.
pub(super) fn run(args: &Args) -> Result<()> {
    let scorer = args.open()?;
    if let (Some(test), Some(out)) = (&args.test, &args.submission) {
        return scorer.submit(test, out, args.template.as_deref());
    }
    let (videos, are_clips) = match (&args.data, &args.dvd) {
        (Some(folder), _) => {
            let clips = match ClipFolders::read(folder)? {
                ClipFolders::Parts([_, validation]) => validation,
                ClipFolders::Whole(clips) => clips,
            };
            (scorer.reader.clips(&clips, "clips")?, true)
        }
        (None, Some(root)) => {
            let videos = Dvd::new(root).read(Part::Validation)?;
            (scorer.reader.dvd(&videos, "validation")?, false)
        }
        (None, None) => bail!("expected --data DIR or --dvd ROOT"),
    };
    let report = scorer.report(&videos, are_clips)?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    let what = if are_clips { "clips" } else { "frames" };
    print(&report.scores, |class| class, what);
    if let Some(auc) = report.auc {
        println!("AUC {auc:.4}");
    }
    if let Some(frames) = &report.frames {
        println!();
        print(frames, |class| class, "frames");
    }
    Ok(())
}

impl Args {
    fn open(&self) -> Result<Scorer> {
        let (name, weights) = match &self.head {
            Some(path) => {
                let (name, read) = (path.display().to_string(), Weights::read(path));
                let weights = read.with_context(|| format!("head of violence `{name}`"))?;
                (name, weights)
            }
            None => {
                let options = WeightsOptions {
                    folder: self.weights.clone(),
                    backbone: String::new(),
                };
                ("violence-head".to_owned(), options.violence_head()?)
            }
        };
        let extra = &weights.metadata.extra;
        let backbone = extra
            .get(EMBEDDING)
            .with_context(|| format!("`{name}` does not say its backbone"))?;
        let settings = ViolenceSettings::read(extra)?;
        let settings = ViolenceSettings {
            step: self.frame_step.unwrap_or(settings.step),
            threshold: self.threshold.unwrap_or(settings.threshold),
            ..settings
        };
        let head =
            TemporalHead::load(&weights, &Device::flex()).with_context(|| format!("`{name}`"))?;
        if self.viterbi && head.config().kind != TemporalKind::Crf {
            bail!(
                "--viterbi: `{name}` is a `{}` head, expected a `crf` one",
                head.config().kind.name()
            );
        }
        if self.smooth.is_multiple_of(2) {
            bail!("--smooth is {}, expected an odd number", self.smooth);
        }
        let windows = Windows::new(settings.length, settings.step)?;
        let mut reader = VideoReader::open(backbone, self.weights.clone(), self.device)?;
        reader.frames_per_second = settings.frames_per_second;
        Ok(Scorer {
            head,
            smooth: self.smooth,
            viterbi: self.viterbi,
            windows: match self.stride {
                Some(stride) => windows.with_stride(stride)?,
                None => windows,
            },
            settings,
            reader,
        })
    }
}

impl Scorer {
    /// Probabilities of all frames of each video, and how many frames no window covers.
    fn probabilities(&self, videos: &Videos) -> Result<(Vec<Vec<f32>>, usize)> {
        let mut all = Vec::new();
        let mut uncovered = 0;
        for ((video, features), (frames, sampled)) in videos.data.iter().zip(&videos.frames) {
            let scored = score_video(&self.head, features, &self.windows, self.viterbi)
                .with_context(|| format!("video `{}`", video.name))?;
            uncovered += self.windows.uncovered(features.len());
            let scored = spread(&scored, sampled, *frames);
            all.push(smooth_repeating(&scored, self.smooth)?);
        }
        if uncovered > 0 {
            eprintln!(
                "affectlens: {uncovered} frames are in no window and count as not violent, whatever they show"
            );
        }
        Ok((all, uncovered))
    }

    fn report(&self, videos: &Videos, are_clips: bool) -> Result<Report> {
        let (probabilities, uncovered) = self.probabilities(videos)?;
        let threshold = self.settings.threshold;
        let mut frames = Confusion::new(2);
        let mut clips = ClipScores::default();
        for (labels, probabilities) in videos.labels.iter().zip(&probabilities) {
            add_frames(&mut frames, labels, probabilities, threshold);
            if are_clips {
                clips.add(labels.contains(&Some(true)), probabilities);
            }
        }
        if frames.count() == 0 {
            bail!("no frame has a label");
        }
        let of_frames = Scores::new(&frames, &VIOLENCE);
        let (scores, of_frames) = match are_clips {
            true => (
                Scores::new(&clips.confusion(threshold), &VIOLENCE),
                Some(of_frames),
            ),
            false => (of_frames, None),
        };
        Ok(Report {
            scores,
            auc: clips.area(),
            frames: of_frames,
            uncovered,
            skipped_videos: videos.skipped,
        })
    }

    fn submit(&self, test: &Path, out: &Path, template: Option<&Path>) -> Result<()> {
        let videos = self.reader.dvd(&read_test_videos(test)?, "test")?;
        let (probabilities, _) = self.probabilities(&videos)?;
        let mut files = Vec::new();
        for ((video, _), probabilities) in videos.data.iter().zip(&probabilities) {
            let violent: Vec<bool> = probabilities
                .iter()
                .map(|it| *it >= self.settings.threshold)
                .collect();
            let numbers = match template {
                Some(folder) => {
                    let path = folder.join(format!("{}.csv", video.name));
                    let text = fs::read_to_string(&path)
                        .with_context(|| format!("template `{}`", path.display()))?;
                    Some(parse_template(&text, &path)?)
                }
                None => None,
            };
            files.push((
                video.name.clone(),
                submission_csv(&violent, numbers.as_deref()),
            ));
        }
        write_submission(out, &files)?;
        println!("{} videos in {}", files.len(), out.display());
        Ok(())
    }
}
