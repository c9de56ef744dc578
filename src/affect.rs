//! Expression, valence, arousal and action units of the faces in frames and streams.
//!
//! Frame, detect, track, crop, embed, classify; then, read back, calibrate, blend, fill gaps, smooth and
//! filter. The order is the published one (SPEC 3.8): bias first, then blend, then gaps, then the window,
//! and the confident filter on pretrained probabilities smoothed in the same way.

mod action_units;
mod classifier;
mod stream;
mod track;

use thiserror::Error;

use crate::{
    calibration::CalibrationError,
    crop::CropError,
    detect::DetectError,
    device::DeviceError,
    filtering::FilterError,
    landmarks::LandmarksError,
    smoothing::SmoothingError,
    weights::{Weights, WeightsError},
};

pub use classifier::{FaceClassifier, FaceControls, FaceScores};
pub use stream::FaceLens;

/// What is reported of a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tasks {
    /// The expression.
    pub expression: bool,
    /// Valence and arousal.
    pub valence_arousal: bool,
    /// Action units.
    pub action_units: bool,
}

impl Tasks {
    /// Only the expression.
    pub const EXPRESSION: Self = Self {
        expression: true,
        valence_arousal: false,
        action_units: false,
    };

    /// Reads names as users write them: `expression`, `valence-arousal`, `action-units`.
    ///
    /// # Errors
    ///
    /// The name that is none of them.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut tasks = Self {
            expression: false,
            ..Self::EXPRESSION
        };
        for name in names {
            match name {
                "expression" => tasks.expression = true,
                "valence-arousal" => tasks.valence_arousal = true,
                "action-units" => tasks.action_units = true,
                _ => return Err(name),
            }
        }
        Ok(tasks)
    }
}

/// Files that the pipeline is made of.
#[derive(Clone, Debug)]
pub struct FaceWeights {
    /// Face detector, architecture `blazeface-short-range`.
    pub detector: Weights,
    /// What says what a face shows.
    pub classifier: ClassifierWeights,
    /// Face mesh, architecture `face-mesh`.
    pub mesh: Option<Weights>,
    /// Blendshapes of the mesh, architecture `face-blendshapes`.
    pub blendshapes: Option<Weights>,
}

/// Files of a backbone and of what looks at its embeddings.
#[derive(Clone, Debug)]
pub struct ClassifierWeights {
    /// Backbone that embeds a face.
    pub backbone: Weights,
    /// Classifier that plays the pretrained part, architecture `mlp`; a backbone with a classifier of its own
    /// needs none.
    pub pretrained: Option<Weights>,
    /// Classifier adapted to the data at hand, architecture `mlp`; its metadata carries the settings.
    pub head: Option<Weights>,
    /// Valence and arousal from the backbone's outputs, architecture `valence-arousal`; without it the backbone says
    /// them, or they are derived from the expressions.
    pub valence_arousal_head: Option<Weights>,
    /// Action units from embedding and outputs, architecture `action-units`; without it they come from blendshapes.
    pub action_units_head: Option<Weights>,
}

/// Why a frame has no report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AffectError {
    /// Weights do not fit.
    #[error("{part}: {source}")]
    Weights {
        /// Which of the files.
        part: &'static str,
        /// What is wrong with it.
        source: WeightsError,
    },
    /// Neither the backbone nor a file classifies.
    #[error(
        "no classifier: backbone `{backbone}` has none of its own, and neither a pretrained classifier nor a head was given"
    )]
    NoClassifier {
        /// Architecture of the backbone.
        backbone: String,
    },
    /// Nothing says action units.
    #[error(
        "action units need weights `face-mesh` and `face-blendshapes`, or a head that was trained on them"
    )]
    NoActionUnits,
    /// A head was trained on other embeddings.
    #[error("{part} was trained on embeddings of `{expected}`, the backbone is `{got}`")]
    Embedding {
        /// Which of the heads.
        part: &'static str,
        /// Backbone that the head's metadata names.
        expected: String,
        /// Backbone in use.
        got: String,
    },
    /// The head's settings cannot be read.
    #[error("head: {0}")]
    Calibration(#[from] CalibrationError),
    /// A control is out of range.
    #[error("`{name}` is {got}, expected {expected}")]
    Control {
        /// Name of the control.
        name: &'static str,
        /// Range.
        expected: &'static str,
        /// Value that came.
        got: f64,
    },
    /// The detector failed.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The mesh of a face could not be computed.
    #[error(transparent)]
    Landmarks(#[from] LandmarksError),
    /// A face could not be cropped.
    #[error(transparent)]
    Crop(#[from] CropError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Results could not be read back from the device.
    #[error("results could not be read from the device: {reason}")]
    ReadBack {
        /// What the device said.
        reason: String,
    },
    /// Probabilities and classes do not pair up.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Frames came out of order.
    #[error(transparent)]
    Smoothing(#[from] SmoothingError),
}

impl AffectError {
    /// A stable word for programs; the message is for people.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Weights { .. }
            | Self::NoClassifier { .. }
            | Self::Embedding { .. }
            | Self::Calibration(_) => "weights-malformed",
            Self::NoActionUnits => "weights-missing",
            Self::Control { .. } => "bad-argument",
            Self::Crop(_) => "picture-size",
            Self::Device(error) | Self::Landmarks(LandmarksError::Device(error)) => match error {
                DeviceError::Lost => "device-lost",
                DeviceError::Refused { .. } => "device-failed",
                DeviceError::Unavailable { .. } => "webgpu-unavailable",
            },
            Self::Detect(_) | Self::Landmarks(_) | Self::ReadBack { .. } => "device-failed",
            Self::Filter(_) | Self::Smoothing(_) => "internal",
        }
    }
}
