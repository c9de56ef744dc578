//! Trains heads on frozen features: expression, valence and arousal, action units, violence.
//!
//! The recipes are those of the HSEmotion team at ABAW-10. What is trained takes rows and labels and gives weights; where
//! they come from and go to is the caller's.

mod action_units;
mod classifier;
mod curves;
mod epochs;
mod expression;
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
pub use classifier::{
    ClassifierScore, LabelledEmbeddings, Loss, TrainingConfig, predict, train_mlp,
};
pub use curves::draw_curves;
pub use epochs::{EpochReport, EpochScore, Examples, FitError, Fitted};
pub use expression::{
    ExpressionRecipe, RecipeError, TrainedHead, TrainingReport, train_expression,
};
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
    Augmentation, Boundary, ClassWeighting, ClipScores, FrameFeatures, FrameLoss, LabelledVideo,
    MotionFold, TrainedNetwork, TrainedViolence, TrainingEvent, VideoData, ViolenceError,
    ViolenceNetwork, ViolenceRecipe, ViolenceReport, ViolenceScore, add_frames, flip,
    mean_and_spread, score_video, train_end_to_end, train_motion, train_violence,
};
