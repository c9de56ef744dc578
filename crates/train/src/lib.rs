//! Trains heads on frozen features: expression, valence and arousal, action units, violence.
//!
//! The recipes are those of the HSEmotion team at ABAW-10. One loop ([`fit`]) trains every network; a recipe gives what is
//! minimised, how an epoch's batches are drawn, and how the network is scored. Training takes rows and labels and gives
//! weights; where they come from and go to is the caller's.

mod action_units;
mod checkpoint;
mod classifier;
mod curves;
mod epoch;
mod error;
mod examples;
mod expression;
mod fit;
#[cfg(test)]
mod golden;
mod gradients;
mod logistic;
mod loss;
mod optimizer;
mod sampling;
mod schedule;
mod state;
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
pub use epoch::{EpochReport, EpochScore, TrainingEvent};
pub use error::FitError;
pub use examples::Examples;
pub use expression::{
    ExpressionRecipe, RecipeError, TrainedHead, TrainingReport, train_expression,
};
pub use fit::Fitted;
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
    Augmentation, Boundary, ClassWeighting, Fold, FrameLoss, HeadRecipe, PartScores,
    TrainedNetwork, TrainedViolence, ViolenceError, ViolenceNetwork, ViolenceRecipe,
    ViolenceReport, ViolenceScore, head_recipe, mean_and_spread, settings_for, train_end_to_end,
};
