//! `affectlens analyze`: pictures, folders of frames and videos to reports.

use std::{
    fs::File,
    io::{self, BufRead as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{ValueEnum, builder::PossibleValue};
use indicatif::ProgressBar;
use serde::Serialize;

use super::{
    DeviceOption, WeightsOptions, probability,
    progress::progress,
    sources::{Input, Video},
};
use affectlens::{
    frame::Frame,
    label::{ActionUnit, Expression},
    lens::Lens,
    report::{FaceReport, FrameReport, ViolenceReport},
    task::{Task, Tasks},
};
use affectlens_data::picture::read_picture;

/// Options of `affectlens analyze`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Picture, video, folder of frames, or `-` for a list of files on standard input.
    input: PathBuf,
    /// What to analyse.
    #[arg(
        long,
        value_enum,
        value_name = "TASK,...",
        value_delimiter = ',',
        default_value = "expression"
    )]
    tasks: Vec<TaskOption>,
    /// Where reports go: FILE.jsonl or FILE.csv; standard output without it.
    #[arg(long, value_name = "FILE", value_parser = report_file)]
    out: Option<PathBuf>,
    /// Format on standard output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where networks run.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Frames to each side over which expressions are averaged; pictures are never smoothed.
    #[arg(long, value_name = "FRAMES", value_parser = half_window())]
    half_window: Option<u16>,
    /// The same for valence and arousal.
    #[arg(long, value_name = "FRAMES", value_parser = half_window())]
    valence_arousal_half_window: Option<u16>,
    /// The same for action units.
    #[arg(long, value_name = "FRAMES", value_parser = half_window())]
    action_units_half_window: Option<u16>,
    /// Report the points of the face mesh too (JSON only; needs the task action-units).
    #[arg(long)]
    landmarks: bool,
    /// Probability above which the pretrained classifier decides.
    #[arg(long, value_name = "P", value_parser = probability)]
    confidence: Option<f32>,
    /// Weight of the adapted head against the pretrained classifier.
    #[arg(long, value_name = "W", value_parser = probability)]
    blend: Option<f32>,
    /// Leave out the head's class biases.
    #[arg(long)]
    no_gla: bool,
    /// Probability from which a frame is violent; the default is the head's.
    #[arg(long, value_name = "P", value_parser = probability)]
    violence_threshold: Option<f32>,
    /// Frames a second of a folder of frames.
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
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// One line a face; with violence one line at least a frame.
    Csv,
}

fn format_of(file: &Path) -> Option<Format> {
    match file.extension()?.to_str()? {
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "csv" => Some(Format::Csv),
        _ => None,
    }
}

fn report_file(text: &str) -> Result<PathBuf, String> {
    let file = PathBuf::from(text);
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
    let format = args.format();
    let inputs = args.inputs()?;
    let tasks = args.tasks();
    let weights = args.weights.load(tasks)?;
    let device = args.device.open()?;
    let mut lens = pollster::block_on(Lens::load(&weights, tasks, &device))?;
    args.configure(&mut lens)?;

    let several = inputs.len() > 1;
    let mut output = Output {
        path: args.out.clone(),
        sink: None,
        format,
        columns: Columns {
            tasks,
            classes: lens
                .faces()
                .map_or_else(Vec::new, |faces| faces.classifier().classes().to_vec()),
            action_units: lens
                .faces()
                .map_or_else(Vec::new, |faces| faces.action_units().to_vec()),
        },
    };
    let mut failures = Failures::default();
    for path in inputs {
        let mut clip = Clip {
            lens: &mut lens,
            output: &mut output,
            failures: &mut failures,
            path: &path,
            named: several,
        };
        let done = Input::open(&path).and_then(|input| clip.analyze(input, args.fps));
        lens.reset();
        match done {
            Ok(()) => output.open()?,
            // The reader of our output has seen enough.
            Err(error) if is_closed_pipe(&error) => return Ok(()),
            Err(error) => failures.add(&error),
        }
    }
    failures.into_result()
}

impl Args {
    fn tasks(&self) -> Tasks {
        self.tasks.iter().map(|task| task.0).collect()
    }

    fn configure(&self, lens: &mut Lens) -> Result<()> {
        let mut controls = lens.controls();
        let faces = &mut controls.faces;
        faces.gla &= !self.no_gla;
        for (control, wanted) in [
            (&mut faces.half_window, self.half_window),
            (
                &mut faces.valence_arousal_half_window,
                self.valence_arousal_half_window,
            ),
            (
                &mut faces.action_units_half_window,
                self.action_units_half_window,
            ),
        ] {
            *control = wanted.map_or(*control, usize::from);
        }
        faces.landmarks = self.landmarks;
        faces.confidence = self.confidence.unwrap_or(faces.confidence);
        faces.blend = self.blend.unwrap_or(faces.blend);
        let violence = &mut controls.violence;
        violence.threshold = self.violence_threshold.unwrap_or(violence.threshold);
        Ok(lens.configure(controls)?)
    }

    fn format(&self) -> Format {
        self.out
            .as_deref()
            .and_then(format_of)
            .unwrap_or(self.format)
    }

    fn inputs(&self) -> Result<Vec<PathBuf>> {
        if self.input.as_os_str() != "-" {
            // Before weights are loaded: a mistyped name is answered at once.
            Input::open(&self.input)?;
            return Ok(vec![self.input.clone()]);
        }
        let lines = io::stdin()
            .lock()
            .lines()
            .collect::<Result<Vec<_>, _>>()
            .context("reading the list of files")?;
        let paths: Vec<_> = lines
            .iter()
            .filter(|line| !line.trim().is_empty())
            .map(PathBuf::from)
            .collect();
        if paths.is_empty() {
            bail!("the list of files is empty");
        }
        Ok(paths)
    }
}

/// One input on its way to the output.
struct Clip<'a> {
    lens: &'a mut Lens,
    output: &'a mut Output,
    failures: &'a mut Failures,
    path: &'a Path,
    named: bool,
}

impl Clip<'_> {
    fn analyze(&mut self, input: Input, fps: f64) -> Result<()> {
        match input {
            Input::Picture(path) => self.picture(&path),
            Input::Folder(frames) => self.folder(&frames, fps),
            Input::Video(path) => self.video(&path),
        }
    }

    fn picture(&mut self, path: &Path) -> Result<()> {
        if self.lens.violence().is_some() {
            bail!(
                "`{}` is a picture, violence is told from videos and folders of frames",
                path.display()
            );
        }
        let frame = read_picture(path)?;
        let report = pollster::block_on(self.lens.analyze(&frame, 0.0))
            .with_context(|| format!("`{}`", path.display()))?;
        self.write(&[report])
    }

    fn folder(&mut self, frames: &[PathBuf], fps: f64) -> Result<()> {
        let bar = progress("analysing", "frames", Some(frames.len() as u64));
        for (number, path) in frames.iter().enumerate() {
            match read_picture(path) {
                Ok(frame) => self.push(&frame, number as f64 * 1000.0 / fps)?,
                Err(error) => {
                    self.lens.skip();
                    bar.suspend(|| self.failures.add(&error.into()));
                }
            }
            bar.inc(1);
        }
        self.finish(&bar)
    }

    fn video(&mut self, path: &Path) -> Result<()> {
        let mut video = Video::open(path)?;
        let bar = progress("analysing", "frames", video.expected_frames);
        let mut number = 0_u64;
        let broken = loop {
            match video.next_frame() {
                Ok(Some(frame)) => self.push(&frame, number as f64 * 1000.0 / video.rate)?,
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
            number += 1;
            bar.inc(1);
        };
        self.finish(&bar)?;
        let complaint = match broken {
            Some(error) => Some(format!("{error:#}")),
            None => video.close()?,
        };
        match complaint {
            Some(complaint) => bail!(
                "`{}`: {complaint} ({number} frames were read)",
                path.display()
            ),
            None if number == 0 => bail!("`{}` has no frames", path.display()),
            None => Ok(()),
        }
    }

    fn push(&mut self, frame: &Frame, time_ms: f64) -> Result<()> {
        let reports = pollster::block_on(self.lens.push(frame, time_ms))?;
        self.write(&reports)
    }

    fn finish(&mut self, bar: &ProgressBar) -> Result<()> {
        let reports = self.lens.finish()?;
        bar.finish_and_clear();
        self.write(&reports)
    }

    fn write(&mut self, reports: &[FrameReport]) -> Result<()> {
        let file = self.named.then(|| self.path.display().to_string());
        reports
            .iter()
            .try_for_each(|report| self.output.write(file.as_deref(), report))
    }
}

/// What went wrong so far.
#[derive(Default)]
struct Failures(usize);

impl Failures {
    fn add(&mut self, error: &anyhow::Error) {
        self.0 += 1;
        eprintln!("affectlens: skipped: {error:#}");
    }

    fn into_result(self) -> Result<()> {
        match self.0 {
            0 => Ok(()),
            1 => bail!("1 input failed"),
            count => bail!("{count} inputs failed"),
        }
    }
}

/// Reports as they come: every line is whole and flushed, so that an interrupted run leaves valid output. A file
/// that exists is overwritten only once there is something to say.
struct Output {
    path: Option<PathBuf>,
    sink: Option<Box<dyn Write>>,
    format: Format,
    columns: Columns,
}

/// What a line of CSV tells of a face.
struct Columns {
    tasks: Tasks,
    classes: Vec<Expression>,
    action_units: Vec<ActionUnit>,
}

#[derive(Serialize)]
struct NamedReport<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(flatten)]
    report: &'a FrameReport,
}

impl Output {
    fn open(&mut self) -> Result<()> {
        if self.sink.is_some() {
            return Ok(());
        }
        self.sink = Some(match &self.path {
            Some(path) => {
                Box::new(File::create(path).with_context(|| format!("--out `{}`", path.display()))?)
            }
            None => Box::new(io::stdout().lock()),
        });
        if self.format == Format::Csv {
            let header = csv_line(self.columns.names())?;
            self.emit(&header)?;
        }
        Ok(())
    }

    fn write(&mut self, file: Option<&str>, report: &FrameReport) -> Result<()> {
        let lines = match self.format {
            Format::Jsonl => {
                let mut line = serde_json::to_vec(&NamedReport { file, report })?;
                line.push(b'\n');
                line
            }
            Format::Csv => {
                let mut lines = Vec::new();
                let frame = [
                    file.unwrap_or_default().to_owned(),
                    report.frame.to_string(),
                    report.time_ms.to_string(),
                ];
                for face in self.columns.faces(report) {
                    let mut fields = frame.to_vec();
                    fields.extend(face);
                    fields.extend(self.columns.violence(report));
                    lines.extend(csv_line(&fields)?);
                }
                lines
            }
        };
        self.emit(&lines)
    }

    fn emit(&mut self, bytes: &[u8]) -> Result<()> {
        self.open()?;
        let Some(sink) = &mut self.sink else {
            return Ok(());
        };
        sink.write_all(bytes)
            .and_then(|()| sink.flush())
            .context("writing reports")
    }
}

const FRAME_COLUMNS: [&str; 3] = ["file", "frame", "time_ms"];
const FACE_COLUMNS: [&str; 6] = ["id", "x", "y", "width", "height", "score"];

impl Columns {
    fn names(&self) -> Vec<String> {
        let mut names = FRAME_COLUMNS.to_vec();
        names.extend(FACE_COLUMNS);
        if self.tasks.contains(Task::Expression) {
            names.extend(["label", "confidence", "source"]);
            names.extend(self.classes.iter().map(|class| class.name()));
        }
        if self.tasks.contains(Task::ValenceArousal) {
            names.extend(["valence", "arousal", "valence_arousal_source"]);
        }
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        if self.tasks.contains(Task::ActionUnits) {
            names.push("action_units_source".to_owned());
            names.extend(self.action_units.iter().map(|unit| unit.name().to_owned()));
        }
        if self.tasks.contains(Task::Violence) {
            names.extend(["violence_probability", "violent"].map(str::to_owned));
        }
        names
    }

    /// What is told of each face; a frame without one has a line all the same where violence is told.
    fn faces(&self, report: &FrameReport) -> Vec<Vec<String>> {
        let mut faces: Vec<_> = report.faces.iter().map(|face| self.fields(face)).collect();
        if faces.is_empty() && self.tasks.contains(Task::Violence) {
            let width = self.names().len() - FRAME_COLUMNS.len() - self.violence(report).len();
            faces.push(vec![String::new(); width]);
        }
        faces
    }

    fn violence(&self, report: &FrameReport) -> Vec<String> {
        match &report.violence {
            _ if !self.tasks.contains(Task::Violence) => Vec::new(),
            Some(ViolenceReport::Scored {
                probability,
                violent,
                ..
            }) => vec![probability.to_string(), violent.to_string()],
            _ => vec![String::new(); 2],
        }
    }

    /// A number that is not known is an empty field.
    fn fields(&self, face: &FaceReport) -> Vec<String> {
        let place = &face.bounding_box;
        let mut fields = vec![face.id.to_string()];
        let number = |value: Option<f32>| value.map_or_else(String::new, |it| it.to_string());
        fields.extend(
            [place.x, place.y, place.width, place.height, face.score].map(|it| it.to_string()),
        );
        if self.tasks.contains(Task::Expression) {
            match &face.expression {
                Some(expression) => {
                    fields.push(expression.label.name().to_owned());
                    fields.push(expression.confidence.to_string());
                    fields.push(expression.source.name().to_owned());
                    let probabilities = expression.probabilities.iter();
                    fields.extend(probabilities.map(|(_, probability)| probability.to_string()));
                }
                None => fields.resize(fields.len() + 3 + self.classes.len(), String::new()),
            }
        }
        if self.tasks.contains(Task::ValenceArousal) {
            let source = face.sources.valence_arousal.map(|it| it.source.name());
            fields.extend([number(face.valence), number(face.arousal)]);
            fields.push(source.unwrap_or_default().to_owned());
        }
        if self.tasks.contains(Task::ActionUnits) {
            let source = face.sources.action_units.as_ref();
            let source = source.map(|it| it.source.name());
            fields.push(source.unwrap_or_default().to_owned());
            let strengths = face.action_units.as_deref().unwrap_or_default();
            fields.extend(self.action_units.iter().map(|unit| {
                let found = strengths.iter().find(|(other, _)| other == unit);
                number(found.map(|(_, strength)| *strength))
            }));
        }
        fields
    }
}

fn csv_line<I: IntoIterator<Item = T>, T: AsRef<[u8]>>(fields: I) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields)?;
    writer.into_inner().context("writing CSV")
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(closed)
}
