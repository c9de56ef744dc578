//! Expressions of labelled pictures.

use super::EvaluationError;
use crate::{LabelledPictures, Observer, picture::read_picture};
use affectlens::{
    faces::{FaceClassifier, FaceControls, FaceScores},
    label::Expression,
    metrics::{Confusion, argmax},
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

    /// Index of the class of a face.
    fn predict(&self, scores: &FaceScores) -> Result<usize, EvaluationError> {
        let Self {
            classifier,
            controls,
            model,
        } = self;
        let index = match model {
            DecidingModel::Pretrained => argmax(&scores.pretrained),
            DecidingModel::Head => argmax(&classifier.calibrate(scores, controls)),
            DecidingModel::Full => {
                let decision =
                    classifier.decide(&classifier.combine(scores, controls), controls)?;
                self.classes()
                    .iter()
                    .position(|&class| class == decision.label)
            }
        };
        index.ok_or(EvaluationError::ForeignClass {
            got: "another class",
            data: "its list",
        })
    }
}

/// Labels, as indices of the classes, against predictions; pictures that cannot be read are complaints.
///
/// # Errors
///
/// [`EvaluationError`] if the device fails, or no picture can be read.
pub fn score_pictures(
    classifier: &PictureClassifier,
    pictures: &LabelledPictures,
    labels: &[usize],
    observer: &dyn Observer,
) -> Result<Confusion, EvaluationError> {
    observer.begin("scoring", "pictures", Some(pictures.len() as u64));
    let mut confusion = Confusion::new(classifier.classes().len());
    let mut done = 0;
    for (paths, labels) in pictures.paths.chunks(BATCH).zip(labels.chunks(BATCH)) {
        let (mut faces, mut truths) = (Vec::new(), Vec::new());
        for (path, &label) in paths.iter().zip(labels) {
            match read_picture(path) {
                Ok(face) => {
                    faces.push(face);
                    truths.push(label);
                }
                Err(error) => observer.complain(&format_args!("skipped {error}")),
            }
        }
        let scores = pollster::block_on(classifier.classifier.score(&faces))?;
        for (scores, truth) in scores.iter().zip(truths) {
            confusion.add(truth, classifier.predict(scores)?);
        }
        done += paths.len() as u64;
        observer.reach(done);
    }
    observer.end();
    if confusion.count() == 0 {
        return Err(EvaluationError::NoPictures {
            count: pictures.len(),
        });
    }
    Ok(confusion)
}
