//! Expressions of labelled pictures.

use super::EvaluationError;
use crate::{LabelledPictures, Observer, picture::read_picture};
use affectlens::{
    faces::{FaceClassifier, FaceControls, FaceScores},
    frame::Frame,
    label::Expression,
    metrics::{Confusion, argmax, expected_calibration_error},
};

/// Pictures that go through the networks together.
const BATCH: usize = 16;

/// Which part of the pipeline decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidingModel {
    /// The pretrained classifier alone.
    Pretrained,
    /// The adapted head with its class biases.
    Head,
    /// Head, biases, blend and confident filter, as pictures and videos are analysed.
    Full,
}

/// A classifier of pictures that each show one face.
#[derive(Debug)]
pub struct PictureClassifier {
    /// Backbone and classifiers.
    pub classifier: FaceClassifier,
    /// How the classifiers are put together.
    pub controls: FaceControls,
    /// Which of them decides.
    pub model: DecidingModel,
}

impl PictureClassifier {
    /// The classes that can be decided on; empty without such a model.
    pub fn classes(&self) -> &[Expression] {
        match self.model {
            DecidingModel::Pretrained => self.classifier.pretrained_classes(),
            DecidingModel::Head => self.classifier.head_classes(),
            DecidingModel::Full => self.classifier.classes(),
        }
    }

    /// Decides on a face with this label.
    pub(super) fn decide(
        &self,
        scores: &FaceScores,
        truth: usize,
    ) -> Result<PictureDecision, EvaluationError> {
        let Self {
            classifier,
            controls,
            model,
        } = self;
        let likeliest = |row: &[f32]| argmax(row).map(|index| (index, row[index]));
        let found = match model {
            DecidingModel::Pretrained => likeliest(&scores.pretrained),
            DecidingModel::Head => likeliest(&classifier.calibrate(scores, controls)),
            DecidingModel::Full => {
                let decision =
                    classifier.decide(&classifier.combine(scores, controls), controls)?;
                let mut classes = self.classes().iter();
                let index = classes.position(|&class| class == decision.label);
                index.map(|index| (index, decision.confidence))
            }
        };
        let (prediction, probability) = found.ok_or(EvaluationError::ForeignClass {
            got: "another class",
            data: "its list",
        })?;
        Ok(PictureDecision {
            truth,
            prediction,
            probability,
        })
    }
}

/// Scores the face in each picture. `visit` is given some pictures at a time, with the index and the scores of each;
/// pictures that cannot be read are complaints.
///
/// # Errors
///
/// [`EvaluationError`] if the device fails, or no picture can be read, and those of `visit`.
pub(super) fn visit_faces(
    classifier: &FaceClassifier,
    pictures: &LabelledPictures,
    observer: &dyn Observer,
    mut visit: impl FnMut(&[Frame], Vec<(usize, FaceScores)>) -> Result<(), EvaluationError>,
) -> Result<(), EvaluationError> {
    observer.begin("scoring", "pictures", Some(pictures.len() as u64));
    let mut is_any_read = false;
    for (batch, paths) in pictures.paths.chunks(BATCH).enumerate() {
        let (mut faces, mut places) = (Vec::new(), Vec::new());
        for (place, path) in paths.iter().enumerate() {
            match read_picture(path) {
                Ok(face) => {
                    faces.push(face);
                    places.push(batch * BATCH + place);
                }
                Err(error) => observer.complain(&format_args!("skipped {error}")),
            }
        }
        let scores = pollster::block_on(classifier.score(&faces))?;
        visit(&faces, places.into_iter().zip(scores).collect())?;
        is_any_read |= !faces.is_empty();
        observer.reach((batch * BATCH + paths.len()) as u64);
    }
    observer.end();
    match is_any_read {
        true => Ok(()),
        false => Err(EvaluationError::NoPictures {
            count: pictures.len(),
        }),
    }
}

/// Probabilities of the face in each picture, before calibration, with the picture's index; pictures that cannot be read
/// are complaints.
///
/// # Errors
///
/// [`EvaluationError`] if the device fails, or no picture can be read.
pub fn score_faces(
    classifier: &FaceClassifier,
    pictures: &LabelledPictures,
    observer: &dyn Observer,
) -> Result<Vec<(usize, FaceScores)>, EvaluationError> {
    let mut all = Vec::with_capacity(pictures.len());
    visit_faces(classifier, pictures, observer, |_, scores| {
        all.extend(scores);
        Ok(())
    })?;
    Ok(all)
}

/// A decision on a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureDecision {
    /// Index of the label.
    pub truth: usize,
    /// Index of the class that was decided on.
    pub prediction: usize,
    /// Probability of that class, in `[0, 1]`.
    pub probability: f32,
}

/// How a classifier does on pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureScores {
    /// Labels, as indices of the classes, against predictions.
    pub confusion: Confusion,
    /// Expected calibration error of the decisions, in `[0, 1]`.
    pub calibration_error: f64,
}

impl PictureScores {
    /// The scores of decisions among `classes` classes.
    pub fn new(classes: usize, decisions: &[PictureDecision]) -> Self {
        let mut confusion = Confusion::new(classes);
        for it in decisions {
            confusion.add(it.truth, it.prediction);
        }
        let pairs = decisions
            .iter()
            .map(|it| (it.probability, it.prediction == it.truth));
        Self {
            calibration_error: expected_calibration_error(pairs),
            confusion,
        }
    }
}

/// Compares predictions with labels, which are indices of the classes.
///
/// # Errors
///
/// As [`score_faces`].
pub fn score_pictures(
    classifier: &PictureClassifier,
    pictures: &LabelledPictures,
    labels: &[usize],
    observer: &dyn Observer,
) -> Result<PictureScores, EvaluationError> {
    let decisions: Result<Vec<_>, _> = score_faces(&classifier.classifier, pictures, observer)?
        .iter()
        .map(|(place, scores)| classifier.decide(scores, labels[*place]))
        .collect();
    Ok(PictureScores::new(classifier.classes().len(), &decisions?))
}
