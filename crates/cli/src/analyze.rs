//! `affectlens analyze`: pictures, folders of frames and videos to reports.

mod baseline;
mod clip;
mod list;
mod output;
mod shard;
mod skipped;
mod sound;
mod table;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{
    ValueEnum,
    builder::{OsStringValueParser, PossibleValue, TypedValueParser as _},
};

use super::{
    DetectorOption, DeviceOption, PoseOption, WeightsOptions, outputs::expect_other_file,
    probability, terminal::OutputError,
};
use affectlens::{
    lens::{Lens, NeutralSpan},
    people,
    personal::PersonalHead,
    task::{Task, Tasks},
};
use affectlens_data::Input;
use clip::Clip;
use output::{Format, Output, format_of};
use shard::Shard;
use sound::{Ears, Wanted};
use table::Columns;

/// Options of `affectlens analyze`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Picture, video, folder of frames, a pipe with a picture or video, or `-` for a list of files on standard input.
    input: PathBuf,
    /// Of the list of files on standard input take one share: every COUNT-th name of the sorted list, from the NUMBER-th
    /// on. Runs with the numbers 1 to COUNT do the whole list, each name once; the names taken are told on standard error.
    #[arg(long, value_name = "NUMBER/COUNT")]
    shard: Option<Shard>,
    /// Take each name of the list on standard input when its line comes, and end the reports of each file with a line
    /// {"file", "ended": true, "frames", "error"}: for programs that keep one process for many files.
    #[arg(long, conflicts_with = "shard")]
    follow: bool,
    /// Read folders within a folder too; each is a stream of its own.
    #[arg(long)]
    recursive: bool,
    /// Tasks to run.
    #[arg(
        long,
        value_enum,
        value_name = "TASK,...",
        value_delimiter = ',',
        default_value = "expression"
    )]
    tasks: Vec<TaskOption>,
    /// File for the reports, .jsonl or .csv [default: standard output].
    #[arg(long, value_name = "FILE", value_parser = OsStringValueParser::new().try_map(report_file))]
    out: Option<PathBuf>,
    /// Format of reports on standard output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Device that runs the networks.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Network that finds faces.
    #[arg(long, value_enum, default_value_t)]
    detector: DetectorOption,
    /// Look for faces on their side and upside down too: pictures and frames are looked at in four directions, which
    /// multiplies the cost of finding faces.
    #[arg(long)]
    turned: bool,
    /// Frames before and after each frame over which expressions are averaged; single pictures are not smoothed
    /// [default: from the head's file].
    #[arg(long, value_name = "FRAMES", value_parser = half_window())]
    half_window: Option<u16>,
    /// The same as --half-window, for valence and arousal.
    #[arg(long, value_name = "FRAMES", value_parser = half_window())]
    valence_arousal_half_window: Option<u16>,
    /// The same as --half-window, for action units.
    #[arg(long, value_name = "FRAMES", value_parser = half_window())]
    action_units_half_window: Option<u16>,
    /// Add the points of the face mesh to reports (JSON only; needs the weights `face-mesh`).
    #[arg(long)]
    landmarks: bool,
    /// Score of a detection from which it may be a face, from 0 to 1 [default: 0.5].
    #[arg(long, value_name = "SCORE", value_parser = probability)]
    detector_threshold: Option<f32>,
    /// Probability above which the pretrained classifier decides [default: from the head's file].
    #[arg(long, value_name = "P", value_parser = probability)]
    confidence: Option<f32>,
    /// Weight of the adapted head in the average with the pretrained classifier, from 0 to 1 [default: from the head's
    /// file].
    #[arg(long, value_name = "W", value_parser = probability)]
    blend: Option<f32>,
    /// Switch off GLA: the head's class biases for expressions that are rare in its training data.
    #[arg(long)]
    no_gla: bool,
    /// Probability from which a frame counts as violent [default: from the head's file].
    #[arg(long, value_name = "P", value_parser = probability)]
    violence_threshold: Option<f32>,
    /// People that are looked for in a frame at most.
    #[arg(long, value_name = "COUNT", default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(people::MOST)))]
    people: u16,
    /// Network for the points of a body.
    #[arg(long, value_enum, default_value_t)]
    pose: PoseOption,
    /// Time in which the people look neutral, from the start (0:03) or a range (0:10-0:13), [[H:]M:]S; what their faces
    /// show at rest is taken off their expressions and action units afterwards.
    #[arg(long, value_name = "SPAN", value_parser = baseline::span)]
    baseline: Option<NeutralSpan>,
    /// File of a personal head: what the model has learnt about the face of the only person in the input
    /// has a part in the expression of every face.
    #[arg(long, value_name = "FILE")]
    personal: Option<PathBuf>,
    /// Listen to the sound of the video too: what it says of expressions is averaged with what faces show, and reported
    /// by itself (needs the weights `wav2vec2-base` and `expression-audio-head`).
    #[arg(long)]
    audio: bool,
    /// Weight of the face in the average with the sound, from 0 to 1 [default: 0.6, as published].
    #[arg(long, value_name = "W", value_parser = probability, requires = "audio")]
    face_weight: Option<f32>,
    /// Average faces with the sound only where somebody speaks; elsewhere faces alone decide (needs the weights
    /// `silero-vad`).
    #[arg(long, requires = "audio")]
    speech_only: bool,
    /// Add how likely somebody speaks at the time of each frame, from the sound of the video (needs the weights
    /// `silero-vad`).
    #[arg(long)]
    speech: bool,
    /// Frames per second of a folder of frames.
    #[arg(long, value_name = "RATE", default_value_t = 25.0, value_parser = frame_rate)]
    fps: f64,
    #[command(flatten)]
    weights: WeightsOptions,
}

/// One of `--tasks`.
#[derive(Clone, Copy, Debug)]
struct TaskOption(Task);

impl ValueEnum for TaskOption {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [TaskOption; Task::ALL.len()] = {
            let mut all = [TaskOption(Task::Expression); Task::ALL.len()];
            let mut index = 0;
            while index < all.len() {
                all[index] = TaskOption(Task::ALL[index]);
                index += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Task::Expression => "Facial expression",
            Task::ValenceArousal => "Valence and arousal",
            Task::ActionUnits => "Action units",
            Task::Violence => "Violence, in videos and folders of frames",
            Task::Pose => "People and the points of their bodies",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

fn report_file(name: OsString) -> Result<PathBuf, String> {
    let file = PathBuf::from(name);
    if format_of(&file).is_some() {
        Ok(file)
    } else {
        Err("expected a name ending in .jsonl or .csv".to_owned())
    }
}

fn half_window() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(0..=1000)
}

fn frame_rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| *rate > 0.0 && rate.is_finite())
        .ok_or_else(|| "expected a number above 0".to_owned())
}

/// Analyses the input; files that fail are reported and skipped, and make the result an error at the end.
pub(super) fn run(args: &Args) -> Result<()> {
    let Inputs { named, several } = args.inputs()?;
    let tasks = args.tasks();
    if args.audio && !tasks.contains(Task::Expression) {
        bail!("--audio is about expressions, but that task was not asked for");
    }
    if args.baseline.is_some() && !tasks.need_faces() {
        bail!("--baseline is about faces, but no task about faces was asked for");
    }
    let installed = args.weights.installed();
    let weights = installed.load(tasks, args.detector, args.pose)?;
    let device = args.device.open()?;
    let mut ears = Ears::open(args.heard(), &installed, &device)?;
    let mut lens = pollster::block_on(Lens::load(weights, tasks, &device))?;
    args.configure(&mut lens)?;
    if let Some(file) = &args.personal {
        let head = read_head(file).and_then(|head| Ok(lens.set_personal(Some(&head))?));
        head.with_context(|| format!("--personal `{}`", file.display()))?;
    }

    let mut columns = Columns::new(tasks, &lens);
    columns.has_baseline = args.baseline.is_some();
    columns.has_personal = args.personal.is_some();
    if let Some(ears) = &ears {
        columns.heard = ears.classes().to_vec();
        columns.has_speech = ears.hear_speech();
    }
    let mut output = Output::new(args.out.clone(), args.format(), columns);
    let mut failures = Failures::default();
    for named in named {
        let Named { path, input } = named?;
        let opened = input.map_or_else(|| args.open(&path), Ok);
        let done = opened.and_then(|input| {
            let mut clip = Clip {
                lens: &mut lens,
                output: &mut output,
                failures: &mut failures,
                path: &path,
                named: several,
                baseline: args.baseline,
                ears: ears.as_mut(),
                files: Vec::new(),
            };
            let analyzed = clip.analyze(&input.content, args.fps);
            analyzed.map_err(|error| by_its_name(error, &path, &input))
        });
        lens.reset();
        let error = match done {
            Ok(()) => {
                output.open()?;
                None
            }
            // Nothing that follows could be written either; the other inputs are not at fault.
            Err(error) if OutputError::of(&error).is_some() => return Err(error),
            Err(error) => {
                failures.add(&error);
                Some(format!("{error:#}"))
            }
        };
        output.end(args.follow, &path.display().to_string(), error)?;
    }
    failures.into_result()
}

/// The bytes of a personal head; of a file that is too large, one more than it may have.
fn read_head(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = PersonalHead::MOST_BYTES as u64 + 1;
    File::open(file)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is analysed, one after the other.
struct Inputs {
    named: Box<dyn Iterator<Item = Result<Named>>>,
    /// Whether there are several, so that reports name theirs.
    several: bool,
}

/// An input, opened already or only named.
struct Named {
    path: PathBuf,
    input: Option<Input>,
}

/// An error about the copy of a pipe becomes one about the pipe.
fn by_its_name(error: anyhow::Error, path: &Path, input: &Input) -> anyhow::Error {
    match input.copy() {
        Some(folder) if OutputError::of(&error).is_none() => {
            let copy = folder.join(path.file_name().unwrap_or(OsStr::new("pipe")));
            let copy = copy.display().to_string();
            anyhow!(format!("{error:#}").replace(&copy, &path.display().to_string()))
        }
        _ => error,
    }
}

impl Args {
    fn tasks(&self) -> Tasks {
        self.tasks.iter().map(|task| task.0).collect()
    }

    fn heard(&self) -> Wanted {
        Wanted {
            expressions: self.audio,
            speech: self.speech || self.speech_only,
            has_gla: !self.no_gla,
        }
    }

    /// What the options change of the controls that the weights ask for.
    fn configure(&self, lens: &mut Lens) -> Result<()> {
        let mut controls = lens.controls();
        let faces = &mut controls.faces;
        faces.gla &= !self.no_gla;
        faces.landmarks = self.landmarks;
        faces.turned = self.turned;
        change(&mut faces.half_window, self.half_window);
        change(
            &mut faces.valence_arousal_half_window,
            self.valence_arousal_half_window,
        );
        change(
            &mut faces.action_units_half_window,
            self.action_units_half_window,
        );
        change(&mut faces.confidence, self.confidence);
        change(&mut faces.blend, self.blend);
        change(&mut faces.detector_threshold, self.detector_threshold);
        change(&mut faces.face_weight, self.face_weight);
        faces.speech_only = self.speech_only;
        change(&mut controls.violence.threshold, self.violence_threshold);
        lens.look_for(usize::from(self.people));
        Ok(lens.configure(controls)?)
    }

    fn format(&self) -> Format {
        self.out
            .as_deref()
            .and_then(format_of)
            .unwrap_or(self.format)
    }

    fn inputs(&self) -> Result<Inputs> {
        let is_list = self.input.as_os_str() == "-";
        if let (false, Some(option)) = (is_list, self.list_option()) {
            bail!("{option} is about a list of files: give `-`, and the list on standard input");
        }
        if self.follow {
            if self.format() != Format::Jsonl {
                bail!("--follow writes lines of JSON, not a table");
            }
            let paths = list::follow(BufReader::new(io::stdin()));
            let named = paths.map(|path| path.map(|path| Named { path, input: None }));
            return Ok(Inputs {
                named: Box::new(named),
                several: true,
            });
        }
        let named: Vec<_> = match is_list {
            true => {
                let paths = self.listed(list::read(io::stdin().lock())?);
                paths.iter().try_for_each(|path| self.expect_kept(path))?;
                let named = paths.into_iter().map(|path| Named { path, input: None });
                named.collect()
            }
            // Before weights are loaded: a mistyped name is answered at once.
            false => vec![Named {
                path: self.input.clone(),
                input: Some(self.open(&self.input)?),
            }],
        };
        Ok(Inputs {
            // A share of one is a part of several all the same.
            several: named.len() > 1 || self.shard.is_some(),
            named: Box::new(named.into_iter().map(Ok)),
        })
    }

    /// The option that needs a list of files, if one was given.
    fn list_option(&self) -> Option<&'static str> {
        match (self.shard, self.follow) {
            (Some(_), _) => Some("--shard"),
            (None, true) => Some("--follow"),
            (None, false) => None,
        }
    }

    /// The names of a list that this run takes.
    fn listed(&self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        let Some(shard) = self.shard else {
            return paths;
        };
        let mine = shard.of(paths);
        complain!("affectlens: {}", shard.describe(&mine));
        mine
    }

    fn open(&self, path: &Path) -> Result<Input> {
        self.expect_kept(path)?;
        Ok(Input::open(path, self.recursive)?)
    }

    /// Confirms that reports do not overwrite an input.
    fn expect_kept(&self, path: &Path) -> Result<()> {
        match &self.out {
            Some(out) => expect_other_file(("--out", out), path),
            None => Ok(()),
        }
    }
}

/// Sets a control to the value of an option, where it was given.
fn change<T: From<U>, U>(control: &mut T, wanted: Option<U>) {
    if let Some(wanted) = wanted {
        *control = wanted.into();
    }
}

/// What went wrong so far.
#[derive(Default)]
struct Failures(usize);

impl Failures {
    /// Reports a file that was skipped.
    fn add(&mut self, error: &anyhow::Error) {
        self.0 += 1;
        complain!("affectlens: skipped: {error:#}");
    }

    fn into_result(self) -> Result<()> {
        match self.0 {
            0 => Ok(()),
            1 => bail!("1 input failed"),
            count => bail!("{count} inputs failed"),
        }
    }
}
