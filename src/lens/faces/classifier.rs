//! From face crops to the two models' probabilities, and from smoothed probabilities to a decision.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::ClassifierWeights;
use crate::{
    backbone::{self, Facts},
    calibration::{ActionUnitSettings, ExpressionSettings, softmax},
    circumplex,
    crop::{self, FaceMargins},
    detect::{FaceCropper, GpuFaces},
    device::OpenedDevice,
    error::LensError,
    face::{BoundingBox, Detection},
    filtering::{self, Source},
    frame::Frame,
    fusion::{blend_logarithms, complete_classes, map_classes},
    head::{ActionUnits, Mlp, ValenceArousal},
    kernel::{Map, Network, Plan, read_back},
    label::Expression,
    report::{ExpressionReport, ValenceArousalSource},
    weights::Weights,
};

/// What a user may change while frames come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaceControls {
    /// Whether the head's class biases (GLA) are applied.
    pub gla: bool,
    /// Frames to each side over which expressions are averaged; 0 switches smoothing off.
    pub half_window: usize,
    /// The same for valence and arousal.
    pub valence_arousal_half_window: usize,
    /// The same for action units.
    pub action_units_half_window: usize,
    /// Probability above which the pretrained classifier decides, in `[0, 1]`; 1 leaves all to the head.
    pub confidence: f32,
    /// Weight of the head in the average of log-probabilities with the pretrained classifier, in `[0, 1]`.
    pub blend: f32,
    /// Whether reports hold the points of the face mesh, where one is loaded.
    pub landmarks: bool,
}

/// Frames; about half a second of a webcam.
const LIVE_HALF_WINDOW: usize = 5;
/// Action units come and go faster than expressions.
const LIVE_ACTION_UNITS_HALF_WINDOW: usize = 2;

impl Default for FaceControls {
    /// Those of a live stream before anything is known of the weights.
    fn default() -> Self {
        Self {
            gla: true,
            half_window: LIVE_HALF_WINDOW,
            valence_arousal_half_window: LIVE_HALF_WINDOW,
            action_units_half_window: LIVE_ACTION_UNITS_HALF_WINDOW,
            confidence: 1.0,
            blend: 1.0,
            landmarks: false,
        }
    }
}

impl FaceControls {
    /// The published window of valence and arousal.
    pub const VALENCE_AROUSAL_HALF_WINDOW: usize = 50;
    /// The published window of action units.
    pub const ACTION_UNITS_HALF_WINDOW: usize = 5;
}

/// Probabilities of one face in one frame, before calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceScores {
    /// Of the adapted head, over its classes; empty without a head.
    pub head: Vec<f32>,
    /// Of the pretrained classifier, over its classes; empty without one.
    pub pretrained: Vec<f32>,
    /// Where a head or the backbone says them, in `[-1, 1]`.
    pub valence_arousal: Option<[f32; 2]>,
    /// One a unit of [`FaceClassifier::action_units`]; `None` where nothing says them of this face.
    pub action_units: Option<Vec<f32>>,
}

/// Backbone and classifiers on a device.
#[derive(Debug)]
pub struct FaceClassifier {
    device: OpenedDevice,
    backbone: Facts,
    /// From faces to the logits of all classifiers.
    network: Network,
    outputs: Outputs,
    cropper: Option<FaceCropper>,
    pretrained_classes: Vec<Expression>,
    head_classes: Vec<Expression>,
    classes: Vec<Expression>,
    settings: ExpressionSettings,
    valence_arousal: ValenceArousalSource,
    action_units: Option<ActionUnitSettings>,
}

/// Which of the network's outputs is whose.
#[derive(Debug, Default)]
struct Outputs {
    maps: Vec<Map>,
    head: Option<usize>,
    pretrained: Option<usize>,
    valence_arousal: Option<usize>,
    /// Of the network on embeddings and of the one on logits.
    action_units: Option<[usize; 2]>,
}

impl Outputs {
    /// Gives a map out, once.
    fn add(&mut self, map: Map) -> usize {
        let place = self.maps.iter().position(|other| *other == map);
        place.unwrap_or_else(|| {
            self.maps.push(map);
            self.maps.len() - 1
        })
    }
}

impl FaceClassifier {
    /// Puts backbone and classifiers on the device.
    ///
    /// # Errors
    ///
    /// [`LensError`] if a file does not fit its architecture or the files do not fit each other.
    pub fn load(weights: &ClassifierWeights, device: &OpenedDevice) -> Result<Self, LensError> {
        let at = |part| move |source| LensError::Weights { part, source };
        let architecture = &weights.backbone.metadata.architecture;
        let facts = Facts::of(architecture).map_err(at("backbone"))?;
        let side = facts.input_side as usize;
        let mut planner = Plan::of_input(side, side, 3);
        let faces = planner.input();
        let (embedding, backbone_logits) =
            backbone::plan(&weights.backbone, &mut planner, faces).map_err(at("backbone"))?;
        let mut plan_mlp = |part: &'static str,
                            weights: &Option<Weights>|
         -> Result<Option<(Map, Vec<Expression>)>, LensError> {
            let Some(weights) = weights else {
                return Ok(None);
            };
            expect_embedding(part, weights, architecture)?;
            let logits = Mlp::plan(weights, &mut planner, embedding).map_err(at(part))?;
            Ok(Some((logits, weights.metadata.classes.clone())))
        };
        let pretrained = plan_mlp("pretrained classifier", &weights.pretrained)?;
        let head = plan_mlp("head", &weights.head)?;
        let says = backbone::outputs(&weights.backbone).map_err(at("backbone"))?;
        let pretrained = match (pretrained, backbone_logits) {
            (None, Some(logits)) => {
                (!says.classes.is_empty()).then_some((logits, says.classes.clone()))
            }
            (pretrained, _) => pretrained,
        };
        if head.is_none() && pretrained.is_none() {
            return Err(LensError::NoClassifier {
                backbone: architecture.clone(),
            });
        }
        let mut outputs = Outputs::default();
        outputs.head = head.as_ref().map(|(logits, _)| outputs.add(*logits));
        outputs.pretrained = pretrained.as_ref().map(|(logits, _)| outputs.add(*logits));
        // Heads of the other tasks look at what the backbone says, or at the pretrained classifier in its place.
        let said = backbone_logits.or(pretrained.as_ref().map(|(logits, _)| *logits));
        let scores = || {
            said.ok_or_else(|| LensError::NoClassifier {
                backbone: architecture.clone(),
            })
        };
        let mut action_units = None;
        if let Some(file) = &weights.action_units_head {
            let part = "action-unit head";
            expect_embedding(part, file, architecture)?;
            let logits =
                ActionUnits::plan(file, &mut planner, embedding, scores()?).map_err(at(part))?;
            let units = planner.shape(logits[0]).channels;
            outputs.action_units = Some(logits.map(|logits| outputs.add(logits)));
            action_units = Some(ActionUnitSettings::read(&file.metadata.extra, units)?);
        }
        let valence_arousal = match &weights.valence_arousal_head {
            Some(file) => {
                let part = "valence/arousal head";
                expect_embedding(part, file, architecture)?;
                let values =
                    ValenceArousal::plan(file, &mut planner, scores()?).map_err(at(part))?;
                outputs.valence_arousal = Some(outputs.add(values));
                ValenceArousalSource::Head
            }
            _ if says.valence_arousal => {
                outputs.valence_arousal = backbone_logits.map(|logits| outputs.add(logits));
                ValenceArousalSource::Backbone
            }
            _ => ValenceArousalSource::Derived,
        };
        let network = Network::new(&planner.finish(&outputs.maps), device);
        let classes_of = |part: Option<(Map, Vec<Expression>)>| part.map(|(_, classes)| classes);
        let head_classes = classes_of(head).unwrap_or_default();
        let pretrained_classes = classes_of(pretrained).unwrap_or_default();
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
        let classes = if head_classes.is_empty() {
            pretrained_classes.clone()
        } else {
            Expression::ALL.into_iter().filter(knows).collect()
        };
        let margins = margins(&settings);
        let cropper = device
            .has_gpu()
            .then(|| FaceCropper::new(facts.input_side, &facts.normalisation, margins));
        Ok(Self {
            device: device.clone(),
            backbone: facts,
            network,
            outputs,
            cropper,
            pretrained_classes,
            head_classes,
            classes,
            settings,
            valence_arousal,
            action_units,
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
    pub fn default_controls(&self) -> FaceControls {
        FaceControls {
            gla: self.has_head(),
            half_window: self.settings.half_window,
            valence_arousal_half_window: FaceControls::VALENCE_AROUSAL_HALF_WINDOW,
            action_units_half_window: FaceControls::ACTION_UNITS_HALF_WINDOW,
            confidence: self.settings.confidence,
            blend: self.settings.blend,
            landmarks: false,
        }
    }

    /// The same for a live stream, whose reports must not lag behind the face by seconds: a window of at most
    /// 11 frames instead of the published one for recordings.
    pub fn live_controls(&self) -> FaceControls {
        let controls = self.default_controls();
        FaceControls {
            half_window: controls.half_window.min(LIVE_HALF_WINDOW),
            valence_arousal_half_window: LIVE_HALF_WINDOW,
            action_units_half_window: LIVE_ACTION_UNITS_HALF_WINDOW,
            ..controls
        }
    }

    /// Confirms that the controls are in range.
    ///
    /// # Errors
    ///
    /// [`LensError::Control`].
    pub fn check(&self, controls: &FaceControls) -> Result<(), LensError> {
        for (name, value) in [
            ("confidence", controls.confidence),
            ("blend", controls.blend),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(LensError::Control {
                    name,
                    expected: "a number from 0 to 1",
                    got: f64::from(value),
                });
            }
        }
        for (name, frames) in [
            ("half_window", controls.half_window),
            (
                "valence_arousal_half_window",
                controls.valence_arousal_half_window,
            ),
            (
                "action_units_half_window",
                controls.action_units_half_window,
            ),
        ] {
            if frames > 1000 {
                return Err(LensError::Control {
                    name,
                    expected: "at most 1000 frames",
                    got: frames as f64,
                });
            }
        }
        Ok(())
    }

    /// Cuts a detected face out of its frame, framed like the pictures that the head was trained on; a tilted face is
    /// turned upright.
    ///
    /// # Errors
    ///
    /// [`LensError::Crop`] if the box lies outside the frame.
    pub fn crop(&self, frame: &Frame, face: &Detection) -> Result<Frame, LensError> {
        let margins = margins(&self.settings);
        Ok(crop::crop_aligned(
            frame,
            &face.bounding_box,
            &margins,
            face.roll(),
        )?)
    }

    /// The part of a frame that [`Self::crop`] cuts out if the face is upright.
    pub fn region(&self, bounding_box: &BoundingBox) -> BoundingBox {
        margins(&self.settings).region(bounding_box)
    }

    fn has_head(&self) -> bool {
        !self.head_classes.is_empty()
    }

    /// Scores face crops of any size; all of them go through the networks as one batch, with one read-back.
    ///
    /// # Errors
    ///
    /// [`LensError::ReadBack`] or [`LensError::Device`] if the device fails.
    pub async fn score(&self, crops: &[Frame]) -> Result<Vec<FaceScores>, LensError> {
        if crops.is_empty() {
            return Ok(Vec::new());
        }
        let Facts {
            input_side,
            normalisation,
            ..
        } = &self.backbone;
        let inputs: Vec<_> = crops
            .iter()
            .map(|face| crop::resize(face, *input_side))
            .collect();
        let faces = crop::batch(&inputs, normalisation, &self.device.device)?;
        let logits = self.read(vec![self.network.forward(faces)]).await?;
        self.scores(&logits[0])
    }

    /// Scores faces that a detector found on the same GPU: `count` of them, from `first` on. What comes back is for
    /// [`Self::scores`], once it was read.
    ///
    /// # Panics
    ///
    /// On the CPU.
    pub(super) fn forward_found(&self, faces: &GpuFaces, first: usize, count: usize) -> Tensor<2> {
        let cropper = self.cropper.as_ref().expect("faces are found on a GPU");
        self.network.forward(cropper.crop(faces, first, count))
    }

    /// Fetches results, all at once, from a device that still computes.
    pub(super) async fn read(&self, tensors: Vec<Tensor<2>>) -> Result<Vec<Vec<f32>>, LensError> {
        let values = read_back(tensors)
            .await
            .map_err(|error| LensError::ReadBack {
                reason: error.to_string(),
            })?;
        self.device.check()?;
        Ok(values)
    }

    /// Probabilities from logits, one row a face.
    pub(super) fn scores(&self, logits: &[f32]) -> Result<Vec<FaceScores>, LensError> {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(LensError::ReadBack {
                reason: "a score is not a number".to_owned(),
            });
        }
        let ranges = self.network.outputs();
        let width = ranges.last().map_or(1, |last| last.end);
        let Outputs {
            head,
            pretrained,
            valence_arousal,
            action_units,
            ..
        } = self.outputs;
        Ok(logits
            .chunks_exact(width)
            .map(|row| {
                let part = |output: usize| &row[ranges[output].clone()];
                // Multi-task classifiers append valence and arousal to the classes.
                let probabilities = |output: Option<usize>, classes: &[Expression]| {
                    output.map_or_else(Vec::new, |output| softmax(&part(output)[..classes.len()]))
                };
                FaceScores {
                    head: probabilities(head, &self.head_classes),
                    pretrained: probabilities(pretrained, &self.pretrained_classes),
                    valence_arousal: valence_arousal.map(|output| self.pair(part(output))),
                    action_units: action_units.and_then(|[embedding, logits]| {
                        let settings = self.action_units.as_ref()?;
                        Some(settings.blend(part(embedding), part(logits)))
                    }),
                }
            })
            .collect())
    }

    /// Valence and arousal from the output that says them.
    fn pair(&self, values: &[f32]) -> [f32; 2] {
        let last = [values[values.len() - 2], values[values.len() - 1]];
        match self.valence_arousal {
            ValenceArousalSource::Head => last.map(f32::tanh),
            _ => last.map(|value| value.clamp(-1.0, 1.0)),
        }
    }

    /// What says valence and arousal.
    pub fn valence_arousal_source(&self) -> ValenceArousalSource {
        self.valence_arousal
    }

    /// How the action-unit head's scores become decisions, if there is such a head.
    pub fn action_unit_settings(&self) -> Option<&ActionUnitSettings> {
        self.action_units.as_ref()
    }

    /// Valence and arousal of one frame: predicted, or derived from the expressions.
    pub fn valence_arousal(&self, scores: &FaceScores, controls: &FaceControls) -> [f32; 2] {
        scores.valence_arousal.unwrap_or_else(|| {
            let row = self.combine(scores, controls);
            let classes = self.classes.iter().copied();
            circumplex::valence_arousal(&classes.zip(row).collect::<Vec<_>>())
        })
    }

    /// Calibrates and blends: the row that is smoothed, [`Self::classes`] of the combined models followed by
    /// [`Self::pretrained_classes`] of the pretrained one.
    pub fn combine(&self, scores: &FaceScores, controls: &FaceControls) -> Vec<f32> {
        let mut row = if scores.head.is_empty() {
            scores.pretrained.clone()
        } else {
            self.blend(scores, controls)
        };
        row.extend(&scores.pretrained);
        row
    }

    /// The head's probabilities with its class biases, if the controls ask for them.
    pub fn calibrate(&self, scores: &FaceScores, controls: &FaceControls) -> Vec<f32> {
        if controls.gla {
            self.settings.gla.adjust(&scores.head)
        } else {
            scores.head.clone()
        }
    }

    fn blend(&self, scores: &FaceScores, controls: &FaceControls) -> Vec<f32> {
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
    /// [`LensError::Filter`] if the row has the wrong width.
    pub fn decide(
        &self,
        row: &[f32],
        controls: &FaceControls,
    ) -> Result<ExpressionReport, LensError> {
        let (combined, pretrained) = row.split_at(self.classes.len().min(row.len()));
        let known: &[Expression] = if pretrained.is_empty() {
            &[]
        } else {
            &self.pretrained_classes
        };
        // Without a head the pretrained classifier decides however unsure it is.
        let threshold = if self.has_head() {
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

/// A head fits only the embeddings that it was trained on.
fn expect_embedding(
    part: &'static str,
    weights: &Weights,
    architecture: &str,
) -> Result<(), LensError> {
    let trained_on = weights.metadata.extra.get("embedding");
    match trained_on.filter(|it| *it != architecture) {
        Some(expected) => Err(LensError::Embedding {
            part,
            expected: expected.clone(),
            got: architecture.to_owned(),
        }),
        None => Ok(()),
    }
}

fn margins(settings: &ExpressionSettings) -> FaceMargins {
    FaceMargins {
        margin: settings.crop_margin,
        rise: settings.crop_rise,
    }
}
