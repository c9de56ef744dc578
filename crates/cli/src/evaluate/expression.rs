//! `affectlens evaluate expression`: classifiers on labelled pictures, or on the videos of Aff-Wild2.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{FaceOptions, Model, SCORED, affwild2, print, probability, read_pictures};
use crate::{folders::picture_folders, options::expression, progress::Terminal};
use affectlens::{
    error::LensError,
    faces::{FaceClassifier, FaceControls},
    label::Expression,
    metrics::Scores,
    task::Tasks,
};
use affectlens_data::{DecidingModel, ExpressionPredictor, PictureClassifier, score_pictures};

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
    #[command(flatten)]
    face: FaceOptions,
}

/// Scores the model, or writes its submission.
pub(super) fn run(args: &Args) -> Result<()> {
    args.face.expect_writable()?;
    match (&args.data, &args.affwild2) {
        (Some(data), _) => args.score_pictures(data),
        (None, Some(root)) => args.score_videos(root),
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
        let weights = face
            .weights
            .installed()
            .face_classifier(Tasks::EXPRESSION)?;
        let classifier = FaceClassifier::load(&weights, &face.device.open()?)?;
        let classifier = PictureClassifier {
            controls: self.controls(&classifier)?,
            classifier,
            model: self.model.into(),
        };
        let classes = classifier.classes();
        if classes.is_empty() {
            bail!(
                "there is no such model for backbone `{}`",
                face.weights.backbone
            );
        }
        let labels = pictures.class_indices(classes)?;
        let confusion = score_pictures(&classifier, &pictures, &labels, &Terminal::default())?;
        let scores = Scores::new(&confusion, classes);
        pictures.expect_read(SCORED, |class| {
            let mut rows = classes.iter().zip(&scores.confusion);
            let row = rows.find(|(other, _)| **other == class);
            row.is_some_and(|(_, row)| row.iter().any(|count| *count > 0))
        })?;
        if face.json {
            println!("{}", serde_json::to_string(&scores)?);
        } else {
            print(&scores, Expression::name, "pictures");
        }
        Ok(())
    }

    fn score_videos(&self, root: &Path) -> Result<()> {
        let (reader, device) = affwild2::open(&self.face, root)?;
        let installed = self.face.weights.installed();
        let mut weights = installed.face_classifier(Tasks::EXPRESSION)?;
        match self.model {
            Model::Pretrained => weights.head = None,
            Model::Head if weights.head.is_none() => {
                let backbone = &self.face.weights.backbone;
                bail!("there is no head for backbone `{backbone}`")
            }
            Model::Head | Model::Full => {}
        }
        let predictor = ExpressionPredictor::load(weights, &device, |classifier| {
            let mut controls = self.controls(classifier)?;
            if self.model == Model::Head {
                controls.confidence = 1.0;
                controls.blend = 1.0;
            }
            Ok(controls)
        })?;
        affwild2::evaluate(&self.face, self.model, &reader, &predictor)
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
