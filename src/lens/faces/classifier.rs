//! From face crops to the two models' probabilities, and from smoothed probabilities to a decision.

use burn::tensor::Tensor;

use super::{
    ClassifierWeights, FaceControls,
    plan::{ClassifierPlan, Outputs},
};
use crate::{
    backbone::Facts,
    calibration::{ActionUnitSettings, ExpressionSettings, softmax},
    circumplex,
    correction::{apply, unit},
    crop::{self, FaceMargins},
    detect::{DEFAULT_THRESHOLD, FaceCropper, GpuFaces},
    device::OpenedDevice,
    error::LensError,
    face::{BoundingBox, Detection},
    filtering,
    frame::Frame,
    fusion::{blend_logarithms, blend_with_sound, complete_classes, map_classes},
    kernel::{Network, read_back},
    label::Expression,
    personal::{Model, PersonalHead},
    report::{AudioReport, ExpressionReport, ExpressionSource, ValenceArousalSource},
    role::Role,
    weights::WeightsError,
};

/// Probabilities of one face in one frame, before calibration; none where no task reads them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaceScores {
    /// Probabilities of the adapted head, over its classes; empty without a head.
    pub head: Vec<f32>,
    /// Probabilities of the pretrained classifier, over its classes; empty without one.
    pub pretrained: Vec<f32>,
    /// Valence and arousal in `[-1, 1]`, where a head or the backbone predicts them.
    pub valence_arousal: Option<[f32; 2]>,
    /// Action units, one score per unit of [`FaceLens::action_units`](super::FaceLens::action_units); `None` where this
    /// face has none.
    pub action_units: Option<Vec<f32>>,
    /// What sound gives at the time of the frame, where a head over it is heard.
    pub sound: Option<SoundScores>,
    /// Embedding of the face, of length 1; empty where it is not kept.
    pub embedding: Vec<f32>,
    /// What a personal head adds to the logarithm of each class of a report; empty without one.
    pub personal: Vec<f32>,
}

impl FaceScores {
    /// What sound gives, where the controls let it count.
    fn heard(&self, controls: &FaceControls) -> Option<&SoundScores> {
        self.sound.as_ref().filter(|sound| sound.counts(controls))
    }
}

/// What a head over sound gives at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundScores {
    /// Probability of each class, with the head's class biases.
    pub probabilities: Vec<(Expression, f32)>,
    /// Whether somebody speaks; `None` where nobody listens for that.
    pub is_speech: Option<bool>,
}

impl SoundScores {
    /// What a report says of sound, where it says something of expressions.
    pub(crate) fn of_report(heard: &AudioReport) -> Option<Self> {
        Some(Self {
            probabilities: heard.probabilities.clone()?,
            is_speech: heard.speech.map(|speech| speech >= SPEECH),
        })
    }

    /// Whether it counts: sound without speech does not where only speech is to count.
    fn counts(&self, controls: &FaceControls) -> bool {
        controls.face_weight < 1.0 && (!controls.speech_only || self.is_speech != Some(false))
    }
}

/// Probability that somebody speaks from which sound counts as speech.
const SPEECH: f32 = 0.5;

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
    embedding_width: usize,
    personal: Option<PersonalHead>,
}

impl FaceClassifier {
    /// Puts backbone and classifiers on the device.
    ///
    /// # Errors
    ///
    /// [`LensError`] if a file does not fit its architecture or the files do not fit each other.
    pub fn load(mut weights: ClassifierWeights, device: &OpenedDevice) -> Result<Self, LensError> {
        let ClassifierPlan {
            facts,
            plan,
            outputs,
            pretrained_classes,
            head_classes,
            valence_arousal,
            action_units,
        } = ClassifierPlan::build(&mut weights)?;
        let settings = read_settings(&weights, head_classes.len(), pretrained_classes.len())?;
        let network = Network::build(plan, device).map_err(WeightsError::Network);
        let network = network.map_err(LensError::weights(Role::Backbone))?;
        let margins = margins(&settings);
        let embedding_width = network.outputs()[outputs.embedding].len();
        let cropper = device
            .has_gpu()
            .then(|| FaceCropper::new(facts.input_side, &facts.normalisation, margins));
        Ok(Self {
            device: device.clone(),
            backbone: facts,
            network,
            outputs,
            cropper,
            classes: report_classes(&head_classes, &pretrained_classes),
            pretrained_classes,
            head_classes,
            settings,
            valence_arousal,
            action_units,
            embedding_width,
            personal: None,
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
            turned: false,
            detector_threshold: DEFAULT_THRESHOLD,
            face_weight: FaceControls::FACE_WEIGHT,
            speech_only: false,
        }
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
        let values = read_back(tensors).await.map_err(LensError::read_back)?;
        self.device.check()?;
        Ok(values)
    }

    /// Probabilities from logits, one row per face.
    pub(super) fn scores(&self, logits: &[f32]) -> Result<Vec<FaceScores>, LensError> {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(LensError::read_back("a score is not a number"));
        }
        let ranges = self.network.outputs();
        let width = ranges.last().map_or(1, |last| last.end);
        let Outputs {
            head,
            pretrained,
            valence_arousal,
            action_units,
            embedding,
            ..
        } = self.outputs;
        Ok(logits
            .chunks_exact(width)
            .map(|row| {
                let part = |output: usize| &row[ranges[output].clone()];
                let embedding = unit(part(embedding));
                let personal = self.personal.as_ref();
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
                    sound: None,
                    personal: personal.map_or_else(Vec::new, |head| head.correction.of(&embedding)),
                    embedding,
                }
            })
            .collect())
    }

    /// Valence and arousal from the last two values of an output.
    fn pair(&self, values: &[f32]) -> [f32; 2] {
        let last = [values[values.len() - 2], values[values.len() - 1]];
        match self.valence_arousal {
            ValenceArousalSource::Head => last.map(f32::tanh),
            _ => last.map(|value| value.clamp(-1.0, 1.0)),
        }
    }

    /// The part of the model that gives valence and arousal.
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
        let mut row = self.blend(scores, controls);
        row.extend(self.correct(&scores.pretrained, &self.pretrained_classes, scores));
        row
    }

    /// The probabilities of [`Self::classes`] without sound and a personal head.
    pub fn general(&self, scores: &FaceScores, controls: &FaceControls) -> Vec<f32> {
        if scores.head.is_empty() {
            scores.pretrained.clone()
        } else {
            self.blend_seen(scores, controls)
        }
    }

    /// Probabilities over some of [`Self::classes`] with what a personal head adds; as they are without one.
    pub fn correct(&self, row: &[f32], classes: &[Expression], scores: &FaceScores) -> Vec<f32> {
        if scores.personal.is_empty() || row.is_empty() {
            return row.to_vec();
        }
        apply(row, &map_classes(&scores.personal, &self.classes, classes))
    }

    /// The personal head in force.
    pub fn personal(&self) -> Option<&PersonalHead> {
        self.personal.as_ref()
    }

    /// Puts a personal head in force for what is scored from now on.
    pub(super) fn set_personal(&mut self, head: Option<PersonalHead>) {
        self.personal = head;
    }

    /// What a personal head has to fit.
    pub(super) fn model(&self) -> Model<'_> {
        Model {
            backbone: self.backbone.name,
            width: self.embedding_width,
            classes: &self.classes,
        }
    }

    /// The head's probabilities with its class biases, if the controls ask for them.
    pub fn calibrate(&self, scores: &FaceScores, controls: &FaceControls) -> Vec<f32> {
        if controls.gla {
            self.settings.gla.adjust(&scores.head)
        } else {
            scores.head.clone()
        }
    }

    /// Whether sound has a part in what [`Self::combine`] makes of the scores.
    pub(super) fn hears(&self, scores: &FaceScores, controls: &FaceControls) -> bool {
        self.has_head() && scores.heard(controls).is_some()
    }

    fn blend(&self, scores: &FaceScores, controls: &FaceControls) -> Vec<f32> {
        let seen = self.correct(&self.general(scores, controls), &self.classes, scores);
        match scores.heard(controls) {
            Some(SoundScores { probabilities, .. }) if !scores.head.is_empty() => {
                let (classes, sound): (Vec<_>, Vec<_>) = probabilities.iter().copied().unzip();
                blend_with_sound(&seen, &self.classes, &sound, &classes, controls.face_weight)
            }
            _ => seen,
        }
    }

    /// What both classifiers of faces give.
    fn blend_seen(&self, scores: &FaceScores, controls: &FaceControls) -> Vec<f32> {
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
            ExpressionSource::Head | ExpressionSource::Blend => combined.to_vec(),
            ExpressionSource::Pretrained => {
                map_classes(pretrained, &self.pretrained_classes, &self.classes)
            }
        };
        Ok(ExpressionReport {
            label: decision.label,
            confidence: decision.confidence,
            source: decision.source,
            probabilities: self.classes.iter().copied().zip(probabilities).collect(),
        })
    }
}

/// The classes of a report. A head may know fewer classes than the pretrained classifier; the others are reported
/// where that one is confident.
fn report_classes(head: &[Expression], pretrained: &[Expression]) -> Vec<Expression> {
    if head.is_empty() {
        return pretrained.to_vec();
    }
    let is_known = |class: &Expression| head.contains(class) || pretrained.contains(class);
    Expression::ALL.into_iter().filter(is_known).collect()
}

/// Biases, blend and threshold are the head's; how a face is cropped is also in the pretrained classifier's file.
fn read_settings(
    weights: &ClassifierWeights,
    head_classes: usize,
    pretrained_classes: usize,
) -> Result<ExpressionSettings, LensError> {
    Ok(match (&weights.head, &weights.pretrained) {
        (Some(head), _) => ExpressionSettings::read(&head.metadata.extra, head_classes)?,
        (None, Some(pretrained)) => {
            ExpressionSettings::read(&pretrained.metadata.extra, pretrained_classes)?
        }
        (None, None) => ExpressionSettings::neutral(0),
    })
}

fn margins(settings: &ExpressionSettings) -> FaceMargins {
    FaceMargins {
        margin: settings.crop_margin,
        rise: settings.crop_rise,
    }
}
