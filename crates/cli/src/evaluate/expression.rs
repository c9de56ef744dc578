//! `affectlens evaluate expression`: classifiers on labelled pictures, or on the videos of Aff-Wild2.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::{
    FaceOptions, Model,
    affwild2::{self, FrameReader as _, Printed as _},
    print, probability,
};
use crate::{
    folders::picture_folders,
    options::{SCORED, VideosOption, expression, read_pictures},
    persons::score_persons,
    progress::Terminal,
};
use affectlens::{
    device::OpenedDevice,
    error::LensError,
    faces::{ClassifierWeights, FaceClassifier, FaceControls},
    label::Expression,
    metrics::Scores,
    task::{Task, Tasks},
    weights::{cache_dir, published_faceres},
};
use affectlens_data::{
    AgeAndGenderReader, AudioVisual, CropReader, DecidingModel, ExpressionPredictor, GroupBy,
    GroupScores, LabelledPictures, PictureClassifier, PictureScores, SampleList,
    SoundExpressionPredictor, predict_groups, score_groups, score_pictures,
};

use affectlens_train::{PersonalPlan, PersonalScores, Spread, score_personal};

/// Pictures of a person from which personal heads are judged on it.
const PERSON_PICTURES: usize = 20;
/// Times that pictures are drawn to learn from.
const DRAWS: usize = 20;

/// Options of `affectlens evaluate expression`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = picture_folders())]
pub(super) struct Args {
    /// Folder with DIR/LABEL/*.jpg, or with DIR/validation that has these; each whole picture is one face.
    #[arg(long, value_name = "DIR", required_unless_present = "affwild2")]
    data: Option<PathBuf>,
    /// Root folder of Aff-Wild2; its validation videos are scored. --model full averages over windows, the others
    /// decide frame by frame.
    #[arg(long, value_name = "ROOT", conflicts_with = "data")]
    affwild2: Option<PathBuf>,
    /// Part of the pipeline that decides.
    #[arg(long, value_enum, default_value_t)]
    model: Model,
    /// What the model reads.
    #[arg(long, value_enum, default_value_t, requires = "affwild2")]
    modality: Modality,
    /// Weight of the face in the average of probabilities with sound.
    #[arg(long, value_name = "W", value_parser = probability, default_value_t = AudioVisual::FACE_WEIGHT)]
    face_weight: f32,
    #[command(flatten)]
    videos: VideosOption,
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
    #[arg(
        long,
        value_name = "LABEL,...",
        value_delimiter = ',',
        value_parser = expression,
        conflicts_with = "affwild2"
    )]
    without: Vec<Expression>,
    /// Score the pictures of each predicted age or gender too, with 95 % intervals. Both are guesses of the published
    /// `faceres`, whatever the backbone is.
    #[arg(
        long,
        value_name = "age,gender",
        value_delimiter = ',',
        value_parser = group,
        conflicts_with = "affwild2"
    )]
    by: Vec<GroupBy>,
    /// Judge personal heads instead: of each person with 20 pictures or more this many of each expression are learnt from,
    /// never more than half of them, and the others are read; pictures whose names differ in the last number only
    /// (anna_1.jpg, anna_2.jpg) are of one person.
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(1..=64),
        conflicts_with_all = ["affwild2", "by"]
    )]
    personal: Vec<u16>,
    #[command(flatten)]
    face: FaceOptions,
}

/// What an expression is read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Modality {
    /// Faces.
    #[default]
    Face,
    /// Sound of the videos, embedded by wav2vec2-base.
    Audio,
    /// Both, averaged.
    AudioVisual,
}

fn group(name: &str) -> Result<GroupBy, String> {
    match name {
        "age" => Ok(GroupBy::Age),
        "gender" => Ok(GroupBy::Gender),
        _ => Err("expected age or gender".to_owned()),
    }
}

/// Scores on pictures, as `--json` prints them.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    scores: Scores,
    /// Expected calibration error of the decisions, in `[0, 1]`.
    calibration_error: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<GroupScores>,
}

/// Scores the model, or writes its submission.
pub(super) fn run(args: &Args) -> Result<()> {
    args.face.expect_writable()?;
    match (&args.data, &args.affwild2) {
        (Some(data), _) if !args.personal.is_empty() => args.score_personal(data),
        (Some(data), _) => args.score_pictures(data),
        (None, Some(root)) => match args.modality {
            Modality::Face => args.score_videos(root),
            Modality::Audio => args.score_sound(root),
            Modality::AudioVisual => args.score_both(root),
        },
        (None, None) => bail!("expected --data DIR or --affwild2 ROOT"),
    }
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

impl Args {
    fn score_pictures(&self, data: &Path) -> Result<()> {
        let pictures = read_pictures(data, &self.without)?;
        let face = &self.face;
        let installed = face.weights.installed();
        let weights = installed.face_classifier(Tasks::EXPRESSION)?;
        let device = face.device.open()?;
        let classifier = FaceClassifier::load(weights, &device)?;
        let classifier = PictureClassifier {
            controls: self.controls(&classifier)?,
            classifier,
            model: self.model.into(),
        };
        let classes = classifier.classes();
        if classes.is_empty() {
            bail!(
                "there is no such model for backbone `{}`",
                installed.backbone_name()
            );
        }
        let labels = pictures.class_indices(classes)?;
        let (scored, groups) = match self.by.as_slice() {
            [] => {
                let observer = Terminal::default();
                let scored = score_pictures(&classifier, &pictures, &labels, &observer)?;
                (scored, Vec::new())
            }
            by => score_by_groups(&classifier, &pictures, &labels, by, &device)?,
        };
        let scores = Scores::new(&scored.confusion, classes);
        pictures.expect_read(SCORED, |class| {
            let mut rows = classes.iter().zip(&scores.confusion);
            let row = rows.find(|(other, _)| **other == class);
            row.is_some_and(|(_, row)| row.iter().any(|count| *count > 0))
        })?;
        let report = Report {
            scores,
            calibration_error: scored.calibration_error,
            groups,
        };
        if face.json {
            crate::terminal::json(&report)?;
        } else {
            print(&report.scores, Expression::name, "pictures");
            say!("expected calibration error {:.4}", report.calibration_error);
            print_groups(&report.groups);
        }
        Ok(())
    }

    fn score_personal(&self, data: &Path) -> Result<()> {
        let pictures = read_pictures(data, &self.without)?;
        let weights = self.deciding_weights()?;
        let classifier = FaceClassifier::load(weights, &self.face.device.open()?)?;
        let controls = self.deciding_controls(&classifier)?;
        let (faces, _) = score_persons(&classifier, &pictures)?;
        let mut all = Vec::new();
        for pictures in &self.personal {
            let plan = PersonalPlan {
                pictures: usize::from(*pictures),
                least: PERSON_PICTURES,
                draws: DRAWS,
                seed: 0,
            };
            let scores = score_personal(&classifier, &controls, &faces, plan)?;
            all.push(scores.ok_or_else(|| {
                anyhow!("nobody has {PERSON_PICTURES} pictures, expected one person or more, whose names differ in the last number only")
            })?);
        }
        if self.face.json {
            return crate::terminal::json(&all);
        }
        for scores in &all {
            print_personal(scores);
        }
        Ok(())
    }

    fn score_videos(&self, root: &Path) -> Result<()> {
        let (mut reader, predictor) = self.open_faces(root)?;
        affwild2::evaluate(&self.face, self.model, &mut reader, &predictor)
    }

    fn score_sound(&self, root: &Path) -> Result<()> {
        self.model.expect_head()?;
        let predictor = self.sound_predictor()?;
        let mut reader = affwild2::open_videos(&self.face, &self.videos, root)?;
        affwild2::evaluate(&self.face, self.model, &mut reader, &predictor)
    }

    fn score_both(&self, root: &Path) -> Result<()> {
        self.model.expect_head()?;
        let sound = self.sound_predictor()?;
        let (mut crops, faces) = self.open_faces(root)?;
        if !faces.has_head() {
            bail!("sound is averaged with a head, and there is none for the backbone");
        }
        let mut videos = affwild2::open_videos(&self.face, &self.videos, root)?;
        let window = affwild2::window(self.model, &faces);
        let list = self.face.submission.as_ref();
        let list = list.map(|sample| SampleList::read(sample)).transpose()?;
        let (seen, heard) = match &list {
            Some(list) => (crops.list(list)?, videos.list(list)?),
            None => (crops.validation()?, videos.validation()?),
        };
        let both = AudioVisual {
            faces: &faces,
            seen: &seen,
            sound: &sound,
            heard: &heard,
            face_weight: self.face_weight,
        };
        match list {
            Some(list) => {
                let text = both.predict_submission(&list, window, &Terminal::default())?;
                affwild2::write(&self.face, text)
            }
            None => {
                let predictions = both.predict_frames(window)?;
                ExpressionPredictor::print(&predictions, &seen.labels(), self.face.json)
            }
        }
    }

    fn sound_predictor(&self) -> Result<SoundExpressionPredictor> {
        let head = self.face.weights.installed().sound_head(Task::Expression)?;
        Ok(SoundExpressionPredictor::load(&head, !self.no_gla)?)
    }

    /// The crops, and what decides on them.
    fn open_faces(&self, root: &Path) -> Result<(CropReader, ExpressionPredictor)> {
        let (reader, device) = affwild2::open(&self.face, root)?;
        let weights = self.deciding_weights()?;
        let predictor = ExpressionPredictor::load(weights, &device, |classifier| {
            self.deciding_controls(classifier)
        })?;
        Ok((reader, predictor))
    }

    /// The files of the model that decides.
    fn deciding_weights(&self) -> Result<ClassifierWeights> {
        let installed = self.face.weights.installed();
        let mut weights = installed.face_classifier(Tasks::EXPRESSION)?;
        match self.model {
            Model::Pretrained => weights.head = None,
            Model::Head if weights.head.is_none() => {
                let backbone = installed.backbone_name();
                bail!("there is no head for backbone `{backbone}`")
            }
            Model::Head | Model::Full => {}
        }
        Ok(weights)
    }

    /// The controls with which it decides.
    fn deciding_controls(&self, classifier: &FaceClassifier) -> Result<FaceControls, LensError> {
        let mut controls = self.controls(classifier)?;
        if self.model == Model::Head {
            controls.confidence = 1.0;
            controls.blend = 1.0;
        }
        Ok(controls)
    }

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

/// Decides on all pictures, and scores them together and by groups.
fn score_by_groups(
    classifier: &PictureClassifier,
    pictures: &LabelledPictures,
    labels: &[usize],
    by: &[GroupBy],
    device: &OpenedDevice,
) -> Result<(PictureScores, Vec<GroupScores>)> {
    let published = published_faceres(&cache_dir()).map_err(|error| {
        anyhow!("--by needs the published faceres: {error}; run `affectlens weights fetch faceres`")
    })?;
    let reader = AgeAndGenderReader::load(&published, device)?;
    let observer = Terminal::default();
    let predictions = predict_groups(classifier, &reader, pictures, labels, &observer)?;
    let classes = classifier.classes().len();
    let decisions: Vec<_> = predictions.iter().map(|it| it.decision).collect();
    let groups = by.iter();
    let groups = groups.flat_map(|by| score_groups(&predictions, classes, *by));
    Ok((PictureScores::new(classes, &decisions), groups.collect()))
}

fn print_groups(groups: &[GroupScores]) {
    if groups.is_empty() {
        return;
    }
    say!("\nby what faceres takes the person for, with 95 % intervals");
    for scores in groups {
        let GroupScores { group, count, .. } = scores;
        let Some([low, high]) = scores.macro_f1_interval else {
            say!("{group:>18} {count:>6}");
            continue;
        };
        let [least, most] = scores.accuracy_interval;
        say!(
            "{group:>18} {count:>6}  accuracy {:.4} ({least:.4}-{most:.4})  macro-F1 {:.4} ({low:.4}-{high:.4})",
            scores.accuracy,
            scores.macro_f1
        );
    }
}

fn print_personal(scores: &PersonalScores) {
    let PersonalScores {
        learnt, persons, ..
    } = scores;
    say!(
        "{} persons, up to {learnt} pictures of an expression learnt, {DRAWS} draws",
        persons.len()
    );
    for it in persons {
        say!(
            "{:>28} {:>4} pictures  accuracy {:.3} -> {:.3}  mean recall {:.3} -> {:.3}",
            it.person,
            it.pictures,
            it.accuracy_before,
            it.accuracy_after,
            it.recall_before,
            it.recall_after
        );
    }
    let range =
        |Spread { mean, least, most }: &Spread| format!("{mean:.3} ({least:.3} to {most:.3})");
    say!("mean over persons (range)");
    say!(
        "  accuracy {} -> {}",
        range(&scores.accuracy_before),
        range(&scores.accuracy_after)
    );
    say!("  change {}", range(&scores.accuracy_change));
    say!(
        "  mean recall {} -> {}\n",
        range(&scores.recall_before),
        range(&scores.recall_after)
    );
}
