//! Trains heads on frozen features: expression, valence and arousal, action units, violence.
//!
//! The recipes are those of the HSEmotion team at ABAW-10. What is trained takes rows and labels and gives weights; where
//! they come from and go to is the caller's.

mod action_units;
mod affwild2;
mod classifier;
mod curves;
mod dataset;
mod dvd;
mod embedding;
mod epochs;
mod expression;
mod features;
mod folder;
#[cfg(test)]
mod golden;
mod logistic;
mod loss;
mod optimizer;
mod sampling;
mod schedule;
mod tables;
mod valence_arousal;
mod violence;

pub use action_units::{
    ActionUnitExamples, ActionUnitPart, ActionUnitRecipe, ActionUnitReport, ActionUnitValidation,
    ThresholdScores, TrainedActionUnits, train_action_units,
};
pub use affwild2::{
    AffWild2, AffWild2Error, AnnotatedVideo, AnnotatedVideos, FrameCounts, FrameLabel, Keep, Part,
    SampleList, SampleVideo, SubmissionRow, VideoFeatures, VideoRows, parse_annotations,
};
pub use classifier::{
    ClassifierScore, LabelledEmbeddings, Loss, TrainingConfig, predict, train_mlp,
};
pub use curves::draw_curves;
pub use dataset::{DatasetError, LabelledPictures};
pub use dvd::{
    Dvd, DvdError, DvdVideo, parse_frame_labels, parse_template, read_test_videos, submission_csv,
    write_submission,
};
pub use embedding::{
    EmbeddedPictures, EmbeddedVideo, EmbeddingCache, ExtractionError, Failure, extract_embeddings,
    extract_video, extract_video_file,
};
pub use epochs::{EpochReport, EpochScore, Examples, FitError, Fitted};
pub use expression::{
    ExpressionRecipe, RecipeError, TrainedHead, TrainingReport, train_expression,
};
pub use features::{FeatureError, FeatureRows};
pub use loss::{
    ValenceArousalLoss, batch_concordance, boundary_cross_entropy, boundary_weights, focal_loss,
    smoothed_cross_entropy, weighted_binary_cross_entropy, weighted_cross_entropy,
};
pub use optimizer::UpdateRule;
pub use sampling::Sampling;
pub use schedule::{EarlyStop, OneCycle, Plateau, Schedule};
pub use tables::{
    Table, TableRow, action_unit_table, expression_table, pretrained_probabilities,
    valence_arousal_table, violence_table,
};
pub use valence_arousal::{
    TrainedValenceArousal, ValenceArousalRecipe, ValenceArousalReport, train_valence_arousal,
};
pub use violence::{
    Augmentation, Boundary, ClassWeighting, ClipFile, ClipFolders, ClipScores, FoldError,
    FrameFeatures, FrameLoss, LabelledVideo, MotionFold, TrainedNetwork, TrainedViolence,
    TrainingEvent, VideoData, ViolenceError, ViolenceNetwork, ViolenceRecipe, ViolenceReport,
    ViolenceScore, add_frames, flip, mean_and_spread, read_folds, score_video, train_end_to_end,
    train_motion, train_violence,
};
