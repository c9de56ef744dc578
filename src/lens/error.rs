//! Why a frame has no report.

use thiserror::Error;

use crate::{
    audio::AudioError, calibration::CalibrationError, controls::ControlError, crop::CropError,
    detect::DetectError, device::DeviceError, filtering::FilterError, landmarks::LandmarksError,
    personal::PersonalError, pose::PoseError, role::Role, smoothing::SmoothingError,
    weights::WeightsError, windowing::WindowError,
};

/// Why a frame has no report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LensError {
    /// Weights do not fit.
    #[error("{role}: {source}")]
    Weights {
        /// The file.
        role: Role,
        /// What is wrong with it.
        source: WeightsError,
    },
    /// A file that a task cannot do without is not there.
    #[error("weights have no `{}`", role.name())]
    MissingWeights {
        /// The file.
        role: Role,
    },
    /// Neither the backbone nor a file classifies.
    #[error(
        "no classifier: backbone `{backbone}` has none of its own, and neither a pretrained classifier nor a head was given"
    )]
    NoClassifier {
        /// Architecture of the backbone.
        backbone: String,
    },
    /// No part of the model gives action units.
    #[error(
        "action units need weights `face-mesh` and `face-blendshapes`, or a head that was trained on them"
    )]
    NoActionUnits,
    /// A head was trained on other embeddings.
    #[error("{role} was trained on embeddings of `{expected}`, the backbone is `{got}`")]
    Embedding {
        /// The head.
        role: Role,
        /// Backbone that the head's metadata names.
        expected: String,
        /// Backbone in use.
        got: String,
    },
    /// A head has another number of outputs than its metadata has classes.
    #[error("{role} names {got} classes, expected {expected}")]
    Classes {
        /// The head.
        role: Role,
        /// Its outputs.
        expected: usize,
        /// Classes that it names.
        got: usize,
    },
    /// A head takes vectors of another length than its network gives.
    #[error("{role} takes vectors of {got} numbers, expected {expected}")]
    Inputs {
        /// The head.
        role: Role,
        /// Numbers of the network's vectors.
        expected: usize,
        /// Numbers that the head takes.
        got: usize,
    },
    /// A head's settings cannot be read.
    #[error("head: {0}")]
    Calibration(#[from] CalibrationError),
    /// A task of faces was called without one having been asked for at the start.
    #[error("faces are not analysed: none of their tasks was asked for")]
    NoFaces,
    /// A violence head takes embeddings of another length than the backbone gives, or shorter windows than its settings
    /// ask for.
    #[error("violence head: {what} is {got}, expected {expected}")]
    ViolenceHead {
        /// What does not fit.
        what: &'static str,
        /// What would.
        expected: String,
        /// What it is.
        got: usize,
    },
    /// A violence head reads more than frames.
    #[error(
        "violence head `{head}` also needs {stream}, {width} numbers a frame, and nothing that tells them was given (a page has \
         nothing); expected a head that reads frames alone"
    )]
    SecondStream {
        /// Architecture of the head.
        head: String,
        /// What it needs beside the frames.
        stream: &'static str,
        /// Numbers of it a frame.
        width: usize,
    },
    /// The time of a frame is no number of milliseconds.
    #[error("time of the frame is {got} ms, expected a finite number")]
    Time {
        /// Time that came.
        got: f64,
    },
    /// A piece of sound is too long.
    #[error("a piece of sound has {got} samples, expected at most {most}")]
    Sound {
        /// Samples that came.
        got: usize,
        /// Most samples of a piece.
        most: usize,
    },
    /// A span in which people look neutral has no length.
    #[error("neutral span lasts {got} ms, expected a finite number above 0")]
    NeutralSpan {
        /// Its length, milliseconds.
        got: f64,
    },
    /// A personal head cannot be made or used.
    #[error(transparent)]
    Personal(#[from] PersonalError),
    /// A control is out of range.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The detector failed.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The mesh of a face could not be computed.
    #[error(transparent)]
    Landmarks(#[from] LandmarksError),
    /// Sound could not be embedded.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// People could not be looked for.
    #[error(transparent)]
    Pose(#[from] PoseError),
    /// A face could not be cropped.
    #[error(transparent)]
    Crop(#[from] CropError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Results could not be read back from the device.
    #[error("results could not be read from the device: {reason}")]
    ReadBack {
        /// Reason that the device gave.
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
    /// Turns an error of a weights file into one that names the file.
    pub(crate) fn weights(role: Role) -> impl FnOnce(WeightsError) -> Self {
        move |source| Self::Weights { role, source }
    }

    /// Turns an error of a transfer from the device into one of a frame.
    pub(crate) fn read_back(error: impl std::fmt::Display) -> Self {
        Self::ReadBack {
            reason: error.to_string(),
        }
    }

    /// A stable word for programs; the message is for people.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Weights { .. }
            | Self::NoClassifier { .. }
            | Self::Embedding { .. }
            | Self::Classes { .. }
            | Self::Inputs { .. }
            | Self::Audio(AudioError::Weights(_))
            | Self::ViolenceHead { .. }
            | Self::SecondStream { .. }
            | Self::Calibration(_) => "weights-malformed",
            Self::MissingWeights { .. } | Self::NoActionUnits => "weights-missing",
            Self::Control(_)
            | Self::NoFaces
            | Self::Time { .. }
            | Self::Sound { .. }
            | Self::Audio(AudioError::Length { .. } | AudioError::NotFinite { .. })
            | Self::NeutralSpan { .. } => "bad-argument",
            Self::Personal(error) => error.code(),
            Self::Crop(_) => "picture-size",
            Self::Device(error)
            | Self::Landmarks(LandmarksError::Device(error))
            | Self::Audio(AudioError::Device(error))
            | Self::Pose(PoseError::Device(error)) => error.code(),
            Self::Detect(_)
            | Self::Landmarks(_)
            | Self::ReadBack { .. }
            | Self::Audio(_)
            | Self::Pose(_) => "device-failed",
            Self::Filter(_) | Self::Smoothing(_) | Self::Window(_) => "internal",
        }
    }
}
