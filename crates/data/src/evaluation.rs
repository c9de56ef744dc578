//! Scores of models on data sets, and what they predict for the test parts of challenges.

mod action_units;
mod age_gender;
mod clip_scores;
mod expressions;
mod groups;
mod intervals;
mod predictor;
mod score;
mod sound;
mod videos;
mod violence;

use thiserror::Error;

use crate::DvdError;
use affectlens::{
    detect::DetectError, error::LensError, landmarks::LandmarksError, weights::WeightsError,
    windowing::WindowError,
};

pub use action_units::{ActionUnitPair, ActionUnitPairs, BlendshapeUnits, score_action_units};
pub use age_gender::{AgeAndGender, AgeAndGenderReader};
pub use clip_scores::{ClipScores, add_frames};
pub use expressions::{
    DecidingModel, PictureClassifier, PictureDecision, PictureScores, score_faces, score_pictures,
};
pub use groups::{GroupBy, GroupScores, GroupedPrediction, predict_groups, score_groups};
pub use predictor::{
    ActionUnitPredictor, ExpressionPredictor, FramePredictor, ValenceArousalPredictor,
};
pub use score::{ScoreError, check_window_length, score_video};
pub use sound::{
    AudioVisual, SoundActionUnitPredictor, SoundExpressionPredictor, SoundValenceArousalPredictor,
};
pub use videos::{predict_frames, predict_submission};
pub use violence::{FrameProbabilities, ViolenceScorer, ViolenceScores};

/// Why a model cannot be scored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The pipeline failed.
    #[error(transparent)]
    Lens(#[from] LensError),
    /// The detector failed.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The mesh of a face could not be computed.
    #[error(transparent)]
    Landmarks(#[from] LandmarksError),
    /// A network's parameters do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Windows do not fit.
    #[error(transparent)]
    Windows(#[from] WindowError),
    /// A head cannot score a video.
    #[error("video `{video}`: {error}")]
    Video {
        /// Name of the video.
        video: String,
        /// What does not fit.
        error: ScoreError,
    },
    /// A submission cannot be made.
    #[error(transparent)]
    Dvd(#[from] DvdError),
    /// No picture can be read.
    #[error("none of the {count} pictures can be read")]
    NoPictures {
        /// Number of pictures.
        count: usize,
    },
    /// No picture shows a face.
    #[error("no face was found in the {count} pictures")]
    NoFaces {
        /// Number of pictures.
        count: usize,
    },
    /// Nothing can be scored.
    #[error("no frame has a label")]
    NoLabels,
    /// The model decided on a class that the data set does not have.
    #[error("the model decided on {got}, which is no class of {data}")]
    ForeignClass {
        /// Name of the class.
        got: &'static str,
        /// The data set or list of classes.
        data: &'static str,
    },
    /// A head has other classes than the data set.
    #[error("the head has {got} classes, expected those of {data} in its metadata")]
    Classes {
        /// Classes of the head.
        got: usize,
        /// The data set.
        data: &'static str,
    },
    /// A head predicts another number of action units than the data set has.
    #[error("the head predicts {got} action units, expected {expected}")]
    UnitCount {
        /// Units of the data set.
        expected: usize,
        /// Units of the head.
        got: usize,
    },
}
