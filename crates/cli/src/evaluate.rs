//! `affectlens evaluate`: scores a model on labelled pictures or the videos of Aff-Wild2.

mod action_units;
mod affwild2;
mod violence;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use super::{
    DeviceOption, WeightsOptions, folders::picture_folders, options::expression,
    outputs::expect_outputs, probability, progress::Terminal,
};
use affectlens::{
    error::LensError,
    faces::{FaceClassifier, FaceControls},
    label::Expression,
    metrics::Scores,
    task::Tasks,
};
use affectlens_data::{DecidingModel, LabelledPictures, Part, PictureClassifier, score_pictures};

/// What messages call the pictures.
const SCORED: &str = "scored";

/// Options of `affectlens evaluate`.
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_long_help = picture_folders()
)]
pub(super) struct Args {
    #[command(flatten)]
    faces: FaceArgs,
    #[command(subcommand)]
    videos: Option<VideoTask>,
}

#[derive(clap::Subcommand, Debug)]
enum VideoTask {
    /// Scores a head that detects violence in the frames of videos.
    Violence(Box<violence::Args>),
}

/// Options of the tasks about faces.
#[derive(clap::Args, Debug)]
struct FaceArgs {
    /// Task to score.
    // Required, but for the tasks with options of their own.
    #[arg(value_enum, required = true)]
    task: Option<Task>,
    /// Folder with DIR/LABEL/*.jpg, or with DIR/validation that has these; for expressions each whole picture is one face.
    #[arg(long, value_name = "DIR", required_unless_present = "affwild2")]
    data: Option<PathBuf>,
    /// Root folder of Aff-Wild2; its validation videos are scored. --model full averages over windows, the others
    /// decide frame by frame.
    #[arg(long, value_name = "ROOT", conflicts_with = "data")]
    affwild2: Option<PathBuf>,
    /// Sample file of the organisers: writes a submission for its videos to --out instead of scores.
    #[arg(long, value_name = "SAMPLE", requires = "affwild2", requires = "out")]
    submission: Option<PathBuf>,
    /// Submission file to write.
    #[arg(long, value_name = "FILE", requires = "submission")]
    out: Option<PathBuf>,
    /// Part of the pipeline that decides.
    #[arg(long, value_enum, default_value_t)]
    model: Model,
    /// Print one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Switch off GLA: the head's class biases for expressions that are rare in its training data.
    #[arg(long)]
    no_gla: bool,
    /// Probability above which the pretrained classifier decides [default: from the head's file].
    #[arg(long, value_name = "P", value_parser = probability)]
    confidence: Option<f32>,
    /// Weight of the head in the average with the pretrained classifier [default: from the head's file].
    #[arg(long, value_name = "W", value_parser = probability)]
    blend: Option<f32>,
    /// Labels to leave out.
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',', value_parser = expression)]
    without: Vec<Expression>,
    /// Device that runs the networks.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    #[command(flatten)]
    weights: WeightsOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Task {
    /// Facial expression.
    Expression,
    /// Valence and arousal (only with --affwild2).
    ValenceArousal,
    /// Action units: with --affwild2 those of a head; with --data how well those of blendshapes separate each
    /// expression from neutral faces (AUC), on the largest face of each picture.
    ActionUnits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Model {
    /// Pretrained classifier alone.
    Pretrained,
    /// Adapted head with its class biases (GLA).
    Head,
    /// The whole pipeline, as in `affectlens analyze`: head, class biases, blend and confidence filter.
    #[default]
    Full,
}

impl From<Model> for DecidingModel {
    fn from(model: Model) -> Self {
        match model {
            Model::Pretrained => Self::Pretrained,
            Model::Head => Self::Head,
            Model::Full => Self::Full,
        }
    }
}

/// Scores a model and prints the result.
pub(super) fn run(args: Args) -> Result<()> {
    match (&args.videos, args.faces.task) {
        (Some(VideoTask::Violence(args)), _) => violence::run(args),
        (None, Some(task)) => faces(args.faces, task),
        (None, None) => bail!("expected a task"),
    }
}

fn faces(args: FaceArgs, task: Task) -> Result<()> {
    expect_outputs([("--out", args.out.as_ref())])?;
    if let Some(root) = &args.affwild2 {
        return affwild2::run(&args, task, root);
    }
    let data = args.data.as_ref().context("--data DIR is missing")?;
    let validation = Part::Validation.folder(data)?;
    let data = validation.as_ref().unwrap_or(data);
    let mut pictures = LabelledPictures::read(data, &args.without)?;
    pictures.remove_labels(&args.without);
    pictures.expect_classes(SCORED)?;
    match task {
        Task::Expression => expressions(&args, &pictures),
        Task::ActionUnits => {
            let FaceArgs {
                model,
                no_gla,
                confidence,
                blend,
                ..
            } = args;
            if model != Model::default() || no_gla || confidence.is_some() || blend.is_some() {
                bail!(
                    "--model, --no-gla, --confidence and --blend do not act on the action units of pictures"
                );
            }
            action_units::run(&args, &pictures)
        }
        Task::ValenceArousal => {
            bail!("folders of pictures have no such labels; expected --affwild2 ROOT")
        }
    }
}

impl FaceArgs {
    /// The classifier's defaults with what the options change.
    fn controls(&self, classifier: &FaceClassifier) -> Result<FaceControls, LensError> {
        let defaults = classifier.default_controls();
        let controls = FaceControls {
            gla: defaults.gla && !self.no_gla,
            confidence: self.confidence.unwrap_or(defaults.confidence),
            blend: self.blend.unwrap_or(defaults.blend),
            ..defaults
        };
        controls.check()?;
        Ok(controls)
    }
}

fn expressions(args: &FaceArgs, pictures: &LabelledPictures) -> Result<()> {
    let weights = args
        .weights
        .installed()
        .face_classifier(Tasks::EXPRESSION)?;
    let classifier = FaceClassifier::load(&weights, &args.device.open()?)?;
    let classifier = PictureClassifier {
        controls: args.controls(&classifier)?,
        classifier,
        model: args.model.into(),
    };
    let classes = classifier.classes();
    if classes.is_empty() {
        bail!(
            "there is no such model for backbone `{}`",
            args.weights.backbone
        );
    }
    let labels = pictures.class_indices(classes)?;
    let confusion = score_pictures(&classifier, pictures, &labels, &Terminal::default())?;
    let scores = Scores::new(&confusion, classes);
    pictures.expect_read(SCORED, |class| {
        let place = classes.iter().position(|other| *other == class);
        let row = place.and_then(|place| scores.confusion.get(place));
        row.is_some_and(|row| row.iter().any(|count| *count > 0))
    })?;
    if args.json {
        println!("{}", serde_json::to_string(&scores)?);
    } else {
        print(&scores, Expression::name, "pictures");
    }
    Ok(())
}

/// Prints scores as a table.
fn print<C: Copy + PartialEq>(
    scores: &Scores<C>,
    name: impl Fn(C) -> &'static str,
    examples: &str,
) {
    println!(
        "accuracy {:.4}, macro-F1 {:.4}, {} {examples}",
        scores.accuracy, scores.macro_f1, scores.count
    );
    println!("{:>11} {:>7}  taken for", "", "F1");
    for (class, row) in scores.classes.iter().zip(&scores.confusion) {
        let f1 = scores.per_class.iter().find(|(other, _)| other == class);
        let f1 = f1.map_or_else(|| "-".to_owned(), |(_, f1)| format!("{f1:.4}"));
        let taken_for: Vec<String> = row.iter().map(|count| format!("{count:>5}")).collect();
        println!("{:>11} {f1:>7}  {}", name(*class), taken_for.join(" "));
    }
}
