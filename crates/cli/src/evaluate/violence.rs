//! `affectlens evaluate violence`: a temporal head on clips or on DVD, or its submission for DVD's test part.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use burn::tensor::Device;

use super::print;
use crate::{
    DeviceOption, folders::clip_folders, installed::InstalledWeights, options::frames,
    outputs::expect_outputs, probability, progress::Terminal, readers::open_videos,
    second_stream::SecondStreamOptions,
};
use affectlens::{
    calibration::ViolenceSettings,
    head::{TemporalHead, TemporalKind},
    weights::{EMBEDDING, Weights},
    windowing::Windows,
};
use affectlens_data::{
    ClipFolders, Dvd, Part, VideoReader, ViolenceScorer, ViolenceScores, read_test_videos,
    write_submission,
};

/// Options of `affectlens evaluate violence`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = clip_folders())]
pub(crate) struct Args {
    /// Folder with DIR/violent/*.mp4 and DIR/non-violent/*.mp4, or with DIR/validation that has these; for other names
    /// see below or --help.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["dvd", "test"])]
    data: Option<PathBuf>,
    /// Root folder of DVD; its validation videos are scored.
    #[arg(long, value_name = "ROOT", conflicts_with_all = ["data", "test"])]
    dvd: Option<PathBuf>,
    /// Folder with DVD's test videos, TEST/ID/1.jpg or TEST/ID.mp4, for --submission.
    #[arg(
        long,
        value_name = "TEST",
        requires = "submission",
        conflicts_with = "data"
    )]
    test: Option<PathBuf>,
    /// Zip archive to write instead of scores: Frame_Number and Label of each test video.
    #[arg(long, value_name = "FILE.zip", requires = "test")]
    submission: Option<PathBuf>,
    /// Folder with ID.csv files that list the frame numbers of the submission [default: all frames].
    #[arg(long, value_name = "DIR", requires = "submission")]
    template: Option<PathBuf>,
    /// Weights file of the head [default: violence-head.safetensors in --weights, otherwise the built-in head].
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    #[command(flatten)]
    second_stream: SecondStreamOptions,
    /// Distance between the starts of windows, as in the published systems; frames that no window covers count as not
    /// violent [default: from the head's file, otherwise windows overlap by half and cover every frame].
    #[arg(long, value_name = "N", value_parser = frames)]
    stride: Option<usize>,
    /// Distance between the frames of a window [default: from the head's file].
    #[arg(long, value_name = "N", value_parser = frames)]
    frame_step: Option<usize>,
    /// Probability from which a frame counts as violent [default: from the head's file].
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f32>,
    /// Odd number of frames over which each frame's probability is averaged; at the ends the outermost frame is
    /// repeated.
    #[arg(long, value_name = "FRAMES", value_parser = frames, default_value_t = 1)]
    smooth: usize,
    /// Decode each window to its most likely sequence of labels (Viterbi), for heads with a conditional random field.
    #[arg(long)]
    viterbi: bool,
    /// Print one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Device that runs the backbone.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Folder with weights files [default: the cache that `affectlens weights fetch` fills].
    #[arg(long = "weights", value_name = "DIR")]
    weights: Option<PathBuf>,
}

/// Scores a head and prints the result, or writes a submission.
pub(super) fn run(args: &Args) -> Result<()> {
    expect_outputs([("--submission", args.submission.as_ref())])?;
    let (scorer, reader) = args.open()?;
    if let (Some(test), Some(out)) = (&args.test, &args.submission) {
        return submit(&scorer, &reader, test, out, args.template.as_deref());
    }
    let (videos, are_clips) = match (&args.data, &args.dvd) {
        (Some(folder), _) => {
            let clips = ClipFolders::read_validation(folder)?;
            (reader.clips(&clips, "validation")?, true)
        }
        (None, Some(root)) => {
            let videos = Dvd::new(root).read(Part::Validation)?;
            (reader.dvd(&videos, "validation")?, false)
        }
        (None, None) => bail!("expected --data DIR or --dvd ROOT"),
    };
    let scores = scorer.score(&videos, are_clips, &Terminal::default())?;
    if args.json {
        crate::terminal::json(&scores)?;
        return Ok(());
    }
    print_scores(&scores);
    Ok(())
}

fn submit(
    scorer: &ViolenceScorer,
    reader: &VideoReader,
    test: &Path,
    out: &Path,
    template: Option<&Path>,
) -> Result<()> {
    let videos = reader.dvd(&read_test_videos(test)?, "test")?;
    let files = scorer.submissions(&videos, template, &Terminal::default())?;
    write_submission(out, &files)?;
    say!("{} videos in {}", files.len(), out.display());
    Ok(())
}

fn print_scores(scores: &ViolenceScores) {
    let what = match scores.frames {
        Some(_) => "clips",
        None => "frames",
    };
    print(&scores.scores, |class| class, what);
    if let Some(auc) = scores.auc {
        say!("AUC {auc:.4}");
    }
    if let Some(frames) = &scores.frames {
        say!("");
        print(frames, |class| class, "frames");
    }
}

impl Args {
    /// The head and its backbone, used as the options say.
    fn open(&self) -> Result<(ViolenceScorer, VideoReader)> {
        let (name, weights) = self.head()?;
        let extra = &weights.metadata.extra;
        let backbone = extra
            .get(EMBEDDING)
            .with_context(|| format!("`{name}` does not name its backbone"))?;
        let settings = ViolenceSettings::read(extra)?;
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
        let step = self.frame_step.unwrap_or(settings.step);
        let windows = Windows::new(settings.length, step)?;
        let mut reader = open_videos(backbone, self.weights.clone(), self.device)?;
        reader.frames_per_second = settings.frames_per_second;
        let (kind, folder) = (head.config().kind, self.weights.as_deref());
        let second = self
            .second_stream
            .open(kind, Some(&weights), folder, self.device);
        reader.second = second?;
        let scorer = ViolenceScorer {
            head,
            windows: match self.stride.or(settings.stride) {
                Some(stride) => windows.with_stride(stride)?,
                None => windows,
            },
            threshold: self.threshold.unwrap_or(settings.threshold),
            smooth: self.smooth,
            viterbi: self.viterbi,
        };
        Ok((scorer, reader))
    }

    /// Name and weights of the head.
    fn head(&self) -> Result<(String, Weights)> {
        match &self.head {
            Some(path) => {
                let name = path.display().to_string();
                let weights = Weights::read(path);
                Ok((name, weights.context("--head")?))
            }
            None => {
                let installed = InstalledWeights::new(self.weights.clone(), None);
                Ok(("violence-head".to_owned(), installed.violence_head()?))
            }
        }
    }
}
