//! Predictions from sound, alone or beside faces.

use burn::tensor::Device;

use super::{EvaluationError, ExpressionPredictor, FramePredictor, predictor::decide_units};
use crate::{FeatureRows, Observer, SampleList, VideoFeatures};
use affectlens::{
    calibration::{ActionUnitSettings, sigmoid},
    error::LensError,
    faces::FaceControls,
    head::{Mlp, ValenceArousal},
    label::{AFF_WILD2, AFF_WILD2_ACTION_UNITS},
    metrics::argmax,
    smoothing::smooth_centred,
    sound::SoundHead,
    weights::Weights,
};

/// Expressions of a head over sound, with its class biases.
#[derive(Debug)]
pub struct SoundExpressionPredictor {
    head: SoundHead,
    has_gla: bool,
}

impl SoundExpressionPredictor {
    /// Loads the head; without `gla` its biases count for nothing.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if weights or settings do not fit, or the classes are not those of Aff-Wild2.
    pub fn load(weights: &Weights, gla: bool) -> Result<Self, EvaluationError> {
        let encoder = weights.metadata.embedding().unwrap_or_default();
        let head = SoundHead::load(weights, encoder)?;
        if head.classes() != AFF_WILD2 {
            return Err(EvaluationError::Classes {
                got: head.classes().len(),
                data: "Aff-Wild2",
            });
        }
        Ok(Self { head, has_gla: gla })
    }
}

impl FramePredictor for SoundExpressionPredictor {
    type Label = usize;

    fn rows(&self, vectors: &FeatureRows, _: &FeatureRows) -> Vec<Vec<f32>> {
        let mut rows = vectors.forward(&Device::flex(), |batch| self.head.forward(batch));
        for row in &mut rows {
            *row = self.head.probabilities(row, self.has_gla);
        }
        rows
    }

    fn half_window(&self) -> usize {
        self.head.half_window()
    }

    fn decide(&self, row: &[f32]) -> Result<usize, EvaluationError> {
        Ok(argmax(row).unwrap_or_default())
    }
}

/// Valence and arousal of a head over sound.
#[derive(Debug)]
pub struct SoundValenceArousalPredictor {
    head: ValenceArousal,
}

impl SoundValenceArousalPredictor {
    /// Loads the head.
    ///
    /// # Errors
    ///
    /// [`EvaluationError::Weights`] if it does not fit.
    pub fn load(weights: &Weights) -> Result<Self, EvaluationError> {
        let head = ValenceArousal::load(weights, &Device::flex())?;
        Ok(Self { head })
    }
}

impl FramePredictor for SoundValenceArousalPredictor {
    type Label = [f32; 2];

    fn rows(&self, vectors: &FeatureRows, _: &FeatureRows) -> Vec<Vec<f32>> {
        vectors.forward(&Device::flex(), |batch| self.head.forward(batch))
    }

    fn half_window(&self) -> usize {
        FaceControls::VALENCE_AROUSAL_HALF_WINDOW
    }

    fn decide(&self, row: &[f32]) -> Result<[f32; 2], EvaluationError> {
        Ok([row[0], row[1]])
    }
}

/// Action units of a head over sound.
#[derive(Debug)]
pub struct SoundActionUnitPredictor {
    head: Mlp,
    settings: ActionUnitSettings,
}

impl SoundActionUnitPredictor {
    /// Loads the head.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if weights or settings do not fit.
    pub fn load(weights: &Weights) -> Result<Self, EvaluationError> {
        let head = Mlp::load(weights, &Device::flex())?;
        let units = AFF_WILD2_ACTION_UNITS.len();
        let got = head.config().classes;
        if got != units {
            return Err(EvaluationError::UnitCount {
                expected: units,
                got,
            });
        }
        let settings = ActionUnitSettings::read(&weights.metadata.extra, units);
        Ok(Self {
            head,
            settings: settings.map_err(LensError::from)?,
        })
    }
}

impl FramePredictor for SoundActionUnitPredictor {
    type Label = [bool; 12];

    fn rows(&self, vectors: &FeatureRows, _: &FeatureRows) -> Vec<Vec<f32>> {
        let mut rows = vectors.forward(&Device::flex(), |batch| self.head.forward(batch));
        for logit in rows.iter_mut().flatten() {
            *logit = sigmoid(*logit);
        }
        rows
    }

    fn half_window(&self) -> usize {
        FaceControls::ACTION_UNITS_HALF_WINDOW
    }

    fn decide(&self, row: &[f32]) -> Result<[bool; 12], EvaluationError> {
        decide_units(&self.settings, row)
    }
}

/// Faces and sound of the same videos, each with what decides on them.
#[derive(Clone, Copy, Debug)]
pub struct AudioVisual<'a> {
    /// Decides on faces, with the confident filter.
    pub faces: &'a ExpressionPredictor,
    /// Frames with a face.
    pub seen: &'a VideoFeatures<usize>,
    /// Decides on sound.
    pub sound: &'a SoundExpressionPredictor,
    /// Frames with sound.
    pub heard: &'a VideoFeatures<usize>,
    /// Weight of the face in the average of probabilities, in `[0, 1]`.
    pub face_weight: f32,
}

impl AudioVisual<'_> {
    /// The published weight of the face.
    pub const FACE_WEIGHT: f32 = FaceControls::FACE_WEIGHT;

    /// Expressions for the labelled frames with a face: face and sound averaged as probabilities (HSEmotion team at
    /// ABAW-10, equation 4), then gaps filled and windows, then the confident filter. A frame that hears nothing is decided
    /// by the face alone.
    ///
    /// # Errors
    ///
    /// Those of the predictors.
    pub fn predict_frames(&self, half_window: usize) -> Result<Vec<usize>, EvaluationError> {
        let heard = self.rows_of_sound();
        let mut rows = self.faces.rows(&self.seen.embeddings, &self.seen.outputs);
        for (row, place) in rows.iter_mut().zip(self.seen.rows_among(self.heard)) {
            if let Some(place) = place {
                self.faces.blend_sound(row, &heard[place], self.face_weight);
            }
        }
        let smoothed = self.seen.smoothed(&rows, half_window);
        smoothed.iter().map(|row| self.faces.decide(row)).collect()
    }

    /// The text of a submission for a sample list, whose videos are those of `seen` and `heard`: gaps between faces are
    /// filled first, as published, so that sound counts in frames without a face too. A video without crops is a complaint.
    ///
    /// # Errors
    ///
    /// Those of the predictors.
    pub fn predict_submission(
        &self,
        list: &SampleList,
        half_window: usize,
        observer: &dyn Observer,
    ) -> Result<String, EvaluationError> {
        let heard = self.rows_of_sound();
        let rows = self.faces.rows(&self.seen.embeddings, &self.seen.outputs);
        let mut videos = self.seen.videos.iter().zip(&self.heard.videos);
        list.submission(|wanted| {
            let (seen, of_sound) = videos.next().expect("features of each video of the list");
            if seen.frames.is_empty() {
                let name = &wanted.name;
                observer.complain(&format_args!("`{name}` has no crops, its rows are neutral"));
            }
            let mut dense = seen.smoothed(&rows, 0, wanted.files.len());
            for (frame, row) in of_sound.frames.iter().zip(&heard[of_sound.first..]) {
                if let Some(dense) = dense.get_mut(frame - 1) {
                    self.faces.blend_sound(dense, row, self.face_weight);
                }
            }
            let smoothed = smooth_centred(&dense, half_window);
            smoothed.iter().map(|row| self.faces.decide(row)).collect()
        })
    }

    fn rows_of_sound(&self) -> Vec<Vec<f32>> {
        self.sound.rows(&self.heard.embeddings, &self.heard.outputs)
    }
}
