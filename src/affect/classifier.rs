//! From face crops to the two models' probabilities, and from smoothed probabilities to a decision.

use burn::tensor::{Tensor, activation::softmax};
use serde::{Deserialize, Serialize};

use super::{AffectError, ExpressionWeights};
use crate::{
    backbone::Backbone,
    calibration::ExpressionSettings,
    crop,
    device::OpenedDevice,
    face::BoundingBox,
    filtering::{self, Source},
    frame::Frame,
    fusion::{blend_logarithms, complete_classes, map_classes},
    head::Mlp,
    label::Expression,
    report::ExpressionReport,
    weights::Weights,
};

/// What a user may change while frames come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpressionControls {
    /// Whether the head's class biases (GLA) are applied.
    pub gla: bool,
    /// Frames to each side that are averaged; 0 switches smoothing off.
    pub half_window: usize,
    /// Probability above which the pretrained classifier decides, in `[0, 1]`; 1 leaves all to the head.
    pub confidence: f32,
    /// Weight of the head in the average of log-probabilities with the pretrained classifier, in `[0, 1]`.
    pub blend: f32,
}

/// Frames; about half a second of a webcam.
const LIVE_HALF_WINDOW: usize = 5;

/// Probabilities of one face in one frame, before calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceScores {
    /// Of the adapted head, over its classes; empty without a head.
    pub head: Vec<f32>,
    /// Of the pretrained classifier, over its classes; empty without one.
    pub pretrained: Vec<f32>,
}

/// Backbone and classifiers on a device.
#[derive(Debug)]
pub struct ExpressionClassifier {
    device: OpenedDevice,
    backbone: Backbone,
    pretrained: Option<Mlp>,
    pretrained_classes: Vec<Expression>,
    head: Option<Mlp>,
    head_classes: Vec<Expression>,
    classes: Vec<Expression>,
    settings: ExpressionSettings,
}

impl ExpressionClassifier {
    /// Puts backbone and classifiers on the device.
    ///
    /// # Errors
    ///
    /// [`AffectError`] if a file does not fit its architecture or the files do not fit each other.
    pub fn load(weights: &ExpressionWeights, device: &OpenedDevice) -> Result<Self, AffectError> {
        let at = |part| move |source| AffectError::Weights { part, source };
        let backbone = Backbone::load(&weights.backbone, &device.device).map_err(at("backbone"))?;
        let architecture = &weights.backbone.metadata.architecture;
        let load_mlp = |part: &'static str, weights: &Option<Weights>| -> Result<_, AffectError> {
            let Some(weights) = weights else {
                return Ok((None, Vec::new()));
            };
            if let Some(expected) = weights
                .metadata
                .extra
                .get("embedding")
                .filter(|it| *it != architecture)
            {
                return Err(AffectError::Embedding {
                    part,
                    expected: expected.clone(),
                    got: architecture.clone(),
                });
            }
            let mlp = Mlp::load(weights, &device.device).map_err(at(part))?;
            Ok((Some(mlp), weights.metadata.classes.clone()))
        };
        let (pretrained, mut pretrained_classes) =
            load_mlp("pretrained classifier", &weights.pretrained)?;
        let (head, head_classes) = load_mlp("head", &weights.head)?;
        if pretrained.is_none() {
            pretrained_classes = backbone.classes().to_vec();
        }
        if head.is_none() && pretrained_classes.is_empty() {
            return Err(AffectError::NoClassifier {
                backbone: architecture.clone(),
            });
        }
        // Biases, blend and threshold are the head's; how a face is cropped the pretrained file says as well.
        let settings = match (&weights.head, &weights.pretrained) {
            (Some(head), _) => ExpressionSettings::read(&head.metadata.extra, head_classes.len())?,
            (None, Some(pretrained)) => {
                ExpressionSettings::read(&pretrained.metadata.extra, pretrained_classes.len())?
            }
            (None, None) => ExpressionSettings::neutral(0),
        };
        // A head may know fewer classes; the others are the pretrained classifier's, where it is confident.
        let knows =
            |class: &Expression| head_classes.contains(class) || pretrained_classes.contains(class);
        let classes = match head {
            Some(_) => Expression::ALL.into_iter().filter(knows).collect(),
            None => pretrained_classes.clone(),
        };
        Ok(Self {
            device: device.clone(),
            backbone,
            pretrained,
            pretrained_classes,
            head,
            head_classes,
            classes,
            settings,
        })
    }

    /// Classes of a report, in order.
    pub fn classes(&self) -> &[Expression] {
        &self.classes
    }

    /// Classes of the pretrained classifier's scores.
    pub fn pretrained_classes(&self) -> &[Expression] {
        &self.pretrained_classes
    }

    /// Classes of the head's scores.
    pub fn head_classes(&self) -> &[Expression] {
        &self.head_classes
    }

    /// The controls that the head was tuned with.
    pub fn default_controls(&self) -> ExpressionControls {
        ExpressionControls {
            gla: self.head.is_some(),
            half_window: self.settings.half_window,
            confidence: self.settings.confidence,
            blend: self.settings.blend,
        }
    }

    /// The same for a live stream, whose reports must not lag behind the face by seconds: a window of at most
    /// 11 frames instead of the published one for recordings.
    pub fn live_controls(&self) -> ExpressionControls {
        let controls = self.default_controls();
        ExpressionControls {
            half_window: controls.half_window.min(LIVE_HALF_WINDOW),
            ..controls
        }
    }

    /// Confirms that the controls are in range.
    ///
    /// # Errors
    ///
    /// [`AffectError::Control`].
    pub fn check(&self, controls: &ExpressionControls) -> Result<(), AffectError> {
        for (name, value) in [
            ("confidence", controls.confidence),
            ("blend", controls.blend),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(AffectError::Control {
                    name,
                    expected: "a number from 0 to 1",
                    got: f64::from(value),
                });
            }
        }
        if controls.half_window > 1000 {
            let got = controls.half_window as f64;
            return Err(AffectError::Control {
                name: "half_window",
                expected: "at most 1000 frames",
                got,
            });
        }
        Ok(())
    }

    /// Cuts a detected face out of its frame, framed like the pictures that the head was trained on.
    ///
    /// # Errors
    ///
    /// [`AffectError::Crop`] if the box lies outside the frame.
    pub fn crop(&self, frame: &Frame, bounding_box: &BoundingBox) -> Result<Frame, AffectError> {
        Ok(crop::crop(frame, &self.settings.face_region(bounding_box))?)
    }

    /// Scores face crops of any size; all of them go through the networks as one batch, with one read-back.
    ///
    /// # Errors
    ///
    /// [`AffectError::ReadBack`] or [`AffectError::Device`] if the device fails.
    pub async fn score(&self, crops: &[Frame]) -> Result<Vec<FaceScores>, AffectError> {
        if crops.is_empty() {
            return Ok(Vec::new());
        }
        let side = self.backbone.input_side();
        let inputs: Vec<_> = crops.iter().map(|face| crop::resize(face, side)).collect();
        let faces = crop::batch(&inputs, &self.backbone.normalisation(), &self.device.device)?;
        let embedded = self.backbone.forward(faces);
        let mut columns: Vec<Tensor<2>> = Vec::new();
        if let Some(head) = &self.head {
            columns.push(softmax(head.forward(embedded.embedding.clone()), 1));
        }
        let pretrained_logits = match &self.pretrained {
            Some(pretrained) => Some(pretrained.forward(embedded.embedding)),
            // Multi-task classifiers append valence and arousal to the classes.
            None => embedded
                .logits
                .map(|logits| logits.narrow(1, 0, self.pretrained_classes.len())),
        };
        columns.extend(pretrained_logits.map(|logits| softmax(logits, 1)));
        let read_back = |reason: String| AffectError::ReadBack { reason };
        let scores = Tensor::cat(columns, 1)
            .into_data_async()
            .await
            .map_err(|error| read_back(error.to_string()))?;
        self.device.check()?;
        let scores = scores
            .try_into_vec::<f32>()
            .map_err(|error| read_back(format!("{error:?}")))?;
        if scores.iter().any(|score| !score.is_finite()) {
            return Err(read_back("a score is not a number".to_owned()));
        }
        let width = scores.len() / crops.len();
        Ok(scores
            .chunks_exact(width)
            .map(|row| {
                let (head, pretrained) = row.split_at(self.head_classes.len());
                FaceScores {
                    head: head.to_vec(),
                    pretrained: pretrained.to_vec(),
                }
            })
            .collect())
    }

    /// Calibrates and blends: the row that is smoothed, [`Self::classes`] of the combined models followed by
    /// [`Self::pretrained_classes`] of the pretrained one.
    pub fn combine(&self, scores: &FaceScores, controls: &ExpressionControls) -> Vec<f32> {
        let mut row = if scores.head.is_empty() {
            scores.pretrained.clone()
        } else {
            self.blend(scores, controls)
        };
        row.extend(&scores.pretrained);
        row
    }

    /// The head's probabilities with its class biases, if the controls ask for them.
    pub fn calibrate(&self, scores: &FaceScores, controls: &ExpressionControls) -> Vec<f32> {
        if controls.gla {
            self.settings.gla.adjust(&scores.head)
        } else {
            scores.head.clone()
        }
    }

    fn blend(&self, scores: &FaceScores, controls: &ExpressionControls) -> Vec<f32> {
        let classes = &self.classes;
        // A class that only the pretrained classifier knows is left to the confident filter: lent to the head it
        // was right once in a hundred times (fear on press photos).
        let head = map_classes(
            &self.calibrate(scores, controls),
            &self.head_classes,
            classes,
        );
        if scores.pretrained.is_empty() || controls.blend >= 1.0 {
            return head;
        }
        let pretrained = complete_classes(
            &scores.pretrained,
            &self.pretrained_classes,
            &head,
            classes,
            classes,
        );
        blend_logarithms(&head, &pretrained, controls.blend)
    }

    /// Decides on a (smoothed) row of [`Self::combine`].
    ///
    /// # Errors
    ///
    /// [`AffectError::Filter`] if the row has the wrong width.
    pub fn decide(
        &self,
        row: &[f32],
        controls: &ExpressionControls,
    ) -> Result<ExpressionReport, AffectError> {
        let (combined, pretrained) = row.split_at(self.classes.len().min(row.len()));
        let known: &[Expression] = if pretrained.is_empty() {
            &[]
        } else {
            &self.pretrained_classes
        };
        // Without a head the pretrained classifier decides however unsure it is.
        let threshold = if self.head.is_some() {
            controls.confidence
        } else {
            -1.0
        };
        let decision = filtering::decide(combined, &self.classes, pretrained, known, threshold)?;
        let probabilities = match decision.source {
            Source::Head => combined.to_vec(),
            Source::Pretrained => map_classes(pretrained, &self.pretrained_classes, &self.classes),
        };
        Ok(ExpressionReport {
            label: decision.label,
            confidence: decision.confidence,
            source: decision.source,
            probabilities: self.classes.iter().copied().zip(probabilities).collect(),
        })
    }
}
