//! Predictions for frames from features that were computed before.

use burn::tensor::Device;

use super::EvaluationError;
use crate::{FeatureRows, FrameLabel, SubmissionRow};
use affectlens::{
    backbone,
    calibration::{ActionUnitSettings, softmax},
    device::OpenedDevice,
    error::LensError,
    faces::{ClassifierWeights, FaceClassifier, FaceControls, FaceScores},
    fusion::{blend, map_classes},
    head::{ActionUnits, Mlp, ValenceArousal},
    label::{AFF_WILD2, AFF_WILD2_ACTION_UNITS},
    weights::Weights,
};

/// Turns features into predictions: rows that can be averaged over frames, and a decision on each.
pub trait FramePredictor {
    /// What is predicted.
    type Label: FrameLabel + SubmissionRow + Copy;

    /// One row for each crop, from its embedding and the outputs of the backbone's classifier.
    fn rows(&self, embeddings: &FeatureRows, outputs: &FeatureRows) -> Vec<Vec<f32>>;

    /// Frames to each side that the published system averages over.
    fn half_window(&self) -> usize;

    /// The prediction of a row.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if the model does not fit the data set.
    fn decide(&self, row: &[f32]) -> Result<Self::Label, EvaluationError>;
}

/// Expressions as the pipeline decides them.
#[derive(Debug)]
pub struct ExpressionPredictor {
    classifier: FaceClassifier,
    controls: FaceControls,
    head: Option<Mlp>,
}

impl ExpressionPredictor {
    /// Loads the classifiers; where the backbone has classes of its own, features hold its outputs and the pretrained
    /// classifier is left out. `controls` gives the controls of the classifier.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if weights or controls do not fit.
    pub fn load(
        mut weights: ClassifierWeights,
        device: &OpenedDevice,
        controls: impl FnOnce(&FaceClassifier) -> Result<FaceControls, LensError>,
    ) -> Result<Self, EvaluationError> {
        if !backbone::outputs(&weights.backbone)?.classes.is_empty() {
            weights.pretrained = None;
        }
        let head = weights.head.as_ref();
        let head = head.map(|head| Mlp::load(head, &Device::flex()));
        let head = head.transpose()?;
        let classifier = FaceClassifier::load(weights, device)?;
        Ok(Self {
            controls: controls(&classifier)?,
            classifier,
            head,
        })
    }
}

impl ExpressionPredictor {
    /// Whether there is a head of its own beside the pretrained classifier.
    pub fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Averages the head's part of a row with probabilities of Aff-Wild2's classes, `weight` for the face; the pretrained
    /// classifier's part stays.
    pub(super) fn blend_sound(&self, row: &mut [f32], sound: &[f32], weight: f32) {
        let classes = self.classifier.classes();
        let sound = map_classes(sound, &AFF_WILD2, classes);
        let blended = blend(&row[..classes.len()], &sound, weight);
        row[..classes.len()].copy_from_slice(&blended);
    }
}

impl FramePredictor for ExpressionPredictor {
    type Label = usize;

    fn rows(&self, embeddings: &FeatureRows, outputs: &FeatureRows) -> Vec<Vec<f32>> {
        let head = self.head.as_ref().map(|head| {
            let logits = embeddings.forward(&Device::flex(), |batch| head.forward(batch));
            logits.iter().map(|row| softmax(row)).collect::<Vec<_>>()
        });
        let classes = self.classifier.pretrained_classes().len();
        let scores = outputs.iter().enumerate().map(|(row, outputs)| FaceScores {
            head: head
                .as_ref()
                .map_or_else(Vec::new, |head| head[row].clone()),
            pretrained: softmax(&outputs[..classes]),
            ..FaceScores::default()
        });
        scores
            .map(|scores| self.classifier.combine(&scores, &self.controls))
            .collect()
    }

    fn half_window(&self) -> usize {
        self.controls.half_window
    }

    fn decide(&self, row: &[f32]) -> Result<usize, EvaluationError> {
        let decision = self.classifier.decide(row, &self.controls)?;
        let place = AFF_WILD2.iter().position(|class| *class == decision.label);
        place.ok_or_else(|| EvaluationError::ForeignClass {
            got: decision.label.name(),
            data: "Aff-Wild2",
        })
    }
}

/// Valence and arousal of a head, or of the backbone itself.
#[derive(Debug)]
pub struct ValenceArousalPredictor {
    head: Option<ValenceArousal>,
}

impl ValenceArousalPredictor {
    /// Loads the head; without one the last two outputs of the backbone are taken.
    ///
    /// # Errors
    ///
    /// [`EvaluationError::Weights`] if they do not fit.
    pub fn load(head: Option<&Weights>) -> Result<Self, EvaluationError> {
        let head = head
            .map(|head| ValenceArousal::load(head, &Device::flex()))
            .transpose()?;
        Ok(Self { head })
    }
}

impl FramePredictor for ValenceArousalPredictor {
    type Label = [f32; 2];

    fn rows(&self, _: &FeatureRows, outputs: &FeatureRows) -> Vec<Vec<f32>> {
        match &self.head {
            Some(head) => outputs.forward(&Device::flex(), |batch| head.forward(batch)),
            None => {
                let last = |row: Vec<f32>| row[row.len() - 2..].to_vec();
                let clip = |row: Vec<f32>| row.into_iter().map(|it| it.clamp(-1.0, 1.0)).collect();
                outputs.iter().map(last).map(clip).collect()
            }
        }
    }

    fn half_window(&self) -> usize {
        FaceControls::VALENCE_AROUSAL_HALF_WINDOW
    }

    fn decide(&self, row: &[f32]) -> Result<[f32; 2], EvaluationError> {
        Ok([row[0], row[1]])
    }
}

/// Action units of a head.
#[derive(Debug)]
pub struct ActionUnitPredictor {
    head: ActionUnits,
    settings: ActionUnitSettings,
}

impl ActionUnitPredictor {
    /// Loads the head.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if weights or settings do not fit.
    pub fn load(weights: &Weights) -> Result<Self, EvaluationError> {
        let units = AFF_WILD2_ACTION_UNITS.len();
        let settings = ActionUnitSettings::read(&weights.metadata.extra, units);
        Ok(Self {
            head: ActionUnits::load(weights, &Device::flex())?,
            settings: settings.map_err(LensError::from)?,
        })
    }
}

impl FramePredictor for ActionUnitPredictor {
    type Label = [bool; 12];

    fn rows(&self, embeddings: &FeatureRows, outputs: &FeatureRows) -> Vec<Vec<f32>> {
        let device = Device::flex();
        let by_embedding = embeddings.forward(&device, |batch| self.head.embedding.forward(batch));
        let by_outputs = outputs.forward(&device, |batch| self.head.logits.forward(batch));
        let pairs = by_embedding.iter().zip(&by_outputs);
        pairs
            .map(|(one, other)| self.settings.blend(one, other))
            .collect()
    }

    fn half_window(&self) -> usize {
        FaceControls::ACTION_UNITS_HALF_WINDOW
    }

    fn decide(&self, row: &[f32]) -> Result<[bool; 12], EvaluationError> {
        decide_units(&self.settings, row)
    }
}

/// Whether each action unit of the data set is present.
pub(super) fn decide_units(
    settings: &ActionUnitSettings,
    row: &[f32],
) -> Result<[bool; 12], EvaluationError> {
    let present: Result<[bool; 12], Vec<bool>> = settings.present(row).try_into();
    present.map_err(|present| EvaluationError::UnitCount {
        expected: AFF_WILD2_ACTION_UNITS.len(),
        got: present.len(),
    })
}
