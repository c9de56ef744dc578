//! `affectlens evaluate`: scores a model on labelled pictures or the videos of Aff-Wild2.

mod action_units;
mod affwild2;
mod violence;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use super::{DeviceOption, WeightsOptions, probability, progress::progress, train::expression};
use affectlens::{
    faces::{FaceClassifier, FaceControls, FaceScores},
    label::Expression,
    metrics::{Confusion, Scores, argmax},
    task::Tasks,
};
use affectlens_data::{LabelledPictures, picture::read_picture};

/// Pictures that go through the networks together.
const BATCH: usize = 16;

/// Options of `affectlens evaluate`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(flatten)]
    faces: FaceArgs,
    #[command(subcommand)]
    videos: Option<VideoTask>,
}

#[derive(clap::Subcommand, Debug)]
enum VideoTask {
    /// Scores a head that tells violent frames of videos.
    Violence(Box<violence::Args>),
}

/// Options of the tasks about faces.
#[derive(clap::Args, Debug)]
struct FaceArgs {
    /// What to score.
    // Required, but for the tasks with options of their own.
    #[arg(value_enum, required = true)]
    task: Option<Task>,
    /// Folder DIR/LABEL/*.jpg; for expressions each whole picture is one face.
    #[arg(long, value_name = "DIR", required_unless_present = "affwild2")]
    data: Option<PathBuf>,
    /// Aff-Wild2's root folder: its validation videos are scored; `full` averages over windows, the others decide on
    /// each frame.
    #[arg(long, value_name = "ROOT", conflicts_with = "data")]
    affwild2: Option<PathBuf>,
    /// The organisers' sample file: instead of scores, a submission for its videos is written to --out.
    #[arg(long, value_name = "SAMPLE", requires = "affwild2", requires = "out")]
    submission: Option<PathBuf>,
    /// The submission file to write.
    #[arg(long, value_name = "FILE", requires = "submission")]
    out: Option<PathBuf>,
    /// Which part of the pipeline decides.
    #[arg(long, value_enum, default_value_t)]
    model: Model,
    /// One line of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Leave out the head's class biases.
    #[arg(long)]
    no_gla: bool,
    /// Probability above which the pretrained classifier decides; the head's file says the default.
    #[arg(long, value_name = "P", value_parser = probability)]
    confidence: Option<f32>,
    /// Weight of the head against the pretrained classifier; the head's file says the default.
    #[arg(long, value_name = "W", value_parser = probability)]
    blend: Option<f32>,
    /// Labels whose pictures are left out.
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',', value_parser = expression)]
    without: Vec<Expression>,
    /// Where networks run.
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
    /// With --affwild2 a head's action units; with --data whether those of blendshapes tell expressions from neutral faces; each picture's largest face is searched for.
    ActionUnits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Model {
    /// The pretrained classifier alone.
    Pretrained,
    /// The adapted head with its class biases.
    Head,
    /// Head, biases, blend and confident filter, as pictures and videos are analysed.
    #[default]
    Full,
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
    if let Some(root) = &args.affwild2 {
        return affwild2::run(&args, task, root);
    }
    let data = args.data.as_ref().context("--data DIR is missing")?;
    let mut pictures = LabelledPictures::read(data)?;
    pictures.remove_labels(&args.without);
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
    fn controls(&self, classifier: &FaceClassifier) -> Result<FaceControls> {
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
    let classifier = FaceClassifier::load(
        &args.weights.load_classifier(Tasks::EXPRESSION)?,
        &args.device.open()?,
    )?;
    let controls = args.controls(&classifier)?;
    let classes = match args.model {
        Model::Pretrained => classifier.pretrained_classes(),
        Model::Head => classifier.head_classes(),
        Model::Full => classifier.classes(),
    };
    if classes.is_empty() {
        bail!(
            "there is no such model for backbone `{}`",
            args.weights.backbone
        );
    }
    let labels = pictures.class_indices(classes)?;
    let predict = |scores: &FaceScores| -> Result<usize> {
        let index = match args.model {
            Model::Pretrained => argmax(&scores.pretrained),
            Model::Head => argmax(&classifier.calibrate(scores, &controls)),
            Model::Full => {
                let decision =
                    classifier.decide(&classifier.combine(scores, &controls), &controls)?;
                classes.iter().position(|&class| class == decision.label)
            }
        };
        index.context("the model decided on a class that is not in its list")
    };
    let confusion = score(&classifier, pictures, &labels, classes.len(), predict)?;
    let scores = Scores::new(&confusion, classes);
    if args.json {
        println!("{}", serde_json::to_string(&scores)?);
    } else {
        print(&scores, Expression::name, "pictures");
    }
    Ok(())
}

fn score(
    classifier: &FaceClassifier,
    pictures: &LabelledPictures,
    labels: &[usize],
    classes: usize,
    predict: impl Fn(&FaceScores) -> Result<usize>,
) -> Result<Confusion> {
    let bar = progress("scoring", "pictures", Some(pictures.len() as u64));
    let mut confusion = Confusion::new(classes);
    for (paths, labels) in pictures.paths.chunks(BATCH).zip(labels.chunks(BATCH)) {
        let (mut faces, mut truths) = (Vec::new(), Vec::new());
        for (path, &label) in paths.iter().zip(labels) {
            match read_picture(path) {
                Ok(face) => {
                    faces.push(face);
                    truths.push(label);
                }
                Err(error) => bar.suspend(|| eprintln!("affectlens: skipped {error}")),
            }
        }
        for (scores, truth) in pollster::block_on(classifier.score(&faces))?
            .iter()
            .zip(truths)
        {
            confusion.add(truth, predict(scores)?);
        }
        bar.inc(paths.len() as u64);
    }
    bar.finish_and_clear();
    if confusion.count() == 0 {
        bail!("none of the {} pictures can be read", pictures.len());
    }
    Ok(confusion)
}

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
