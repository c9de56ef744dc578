//! Why a frame has no report.

use thiserror::Error;

use crate::{
    calibration::CalibrationError, crop::CropError, detect::DetectError, device::DeviceError,
    filtering::FilterError, landmarks::LandmarksError, smoothing::SmoothingError,
    weights::WeightsError, windowing::WindowError,
};

/// Why a frame has no report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LensError {
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
    /// A head's settings cannot be read.
    #[error("head: {0}")]
    Calibration(#[from] CalibrationError),
    /// A task of faces was called without one having been asked for at the start.
    #[error("faces are not analysed: none of their tasks was asked for")]
    NoFaces,
    /// A violence head takes longer embeddings than the backbone gives, or shorter windows than its settings say.
    #[error("violence head: {what} is {got}, expected {expected}")]
    ViolenceHead {
        /// What does not fit.
        what: &'static str,
        /// What would.
        expected: String,
        /// What it is.
        got: usize,
    },
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
    /// Windows and probabilities do not pair up.
    #[error(transparent)]
    Window(#[from] WindowError),
}

impl LensError {
    /// A stable word for programs; the message is for people.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Weights { .. }
            | Self::NoClassifier { .. }
            | Self::Embedding { .. }
            | Self::ViolenceHead { .. }
            | Self::Calibration(_) => "weights-malformed",
            Self::NoActionUnits => "weights-missing",
            Self::Control { .. } | Self::NoFaces => "bad-argument",
            Self::Crop(_) => "picture-size",
            Self::Device(error) | Self::Landmarks(LandmarksError::Device(error)) => match error {
                DeviceError::Lost => "device-lost",
                DeviceError::Refused { .. } => "device-failed",
                DeviceError::Unavailable { .. } => "webgpu-unavailable",
            },
            Self::Detect(_) | Self::Landmarks(_) | Self::ReadBack { .. } => "device-failed",
            Self::Filter(_) | Self::Smoothing(_) | Self::Window(_) => "internal",
        }
    }
}
