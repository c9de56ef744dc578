//! Trains heads on frozen features: expression, valence and arousal, action units, violence. Backbones for violence and
//! expression can be trained with them.
//!
//! The recipes are those of the HSEmotion team at ABAW-10. One loop (`fit`) trains every network; a recipe gives what is
//! minimised, how an epoch's batches are drawn, and how the network is scored. Training takes rows and labels and gives
//! weights; where they come from and go to is the caller's.

mod action_units;
mod average;
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
mod personal;
mod sampling;
mod schedule;
#[cfg(test)]
#[path = "../../../tests/seeded/mod.rs"]
mod seeded;
mod state;
mod tables;
mod tuning;
mod valence_arousal;
mod violence;

pub use action_units::{
    ActionUnitExamples, ActionUnitPart, ActionUnitRecipe, ActionUnitReport, ActionUnitValidation,
    SoundActionUnitRecipe, SoundActionUnitReport, ThresholdScores, TrainedActionUnits,
    TrainedSoundActionUnits, train_action_units, train_sound_action_units,
};
pub use classifier::{ClassifierScore, LabelledEmbeddings, Loss, TrainingConfig, predict};
pub use curves::draw_curves;
pub use epoch::{EpochReport, EpochScore, TrainingEvent};
pub use error::FitError;
pub use examples::Examples;
pub use expression::{
    EndToEndRecipe, ExpressionRecipe, FaceScore, FaceSet, GreyPicture, LabelledFaces, RecipeError,
    TrainedFaces, TrainedHead, TrainingReport, train_expression, train_faces,
};
pub use loss::ValenceArousalLoss;
pub use optimizer::UpdateRule;
pub use personal::{PersonalPlan, PersonalScore, PersonalScores, score_personal};
pub use sampling::Sampling;
pub use schedule::{EarlyStop, Plateau, Schedule};
pub use tables::{
    Available, HeadWithRows, HeardExpressions, Table, TableRow, action_unit_table,
    expression_table, valence_arousal_table, violence_presets, violence_table,
};
pub use tuning::{
    Combination, CombinationScore, Spread, Temperature, Tuning, TuningError, TuningFace,
    TuningPlan, tune_combination, tune_temperature,
};
pub use valence_arousal::{
    TrainedValenceArousal, ValenceArousalRecipe, ValenceArousalReport, train_valence_arousal,
};
pub use violence::{
    Augmentation, Boundary, ClassWeighting, Fold, FrameLoss, HeadRecipe, PartScores,
    TrainedNetwork, TrainedViolence, VideoFrames, ViolenceError, ViolenceNetwork, ViolenceRecipe,
    ViolenceReport, ViolenceScore, head_recipe, mean_and_spread, settings_for, train_end_to_end,
};
