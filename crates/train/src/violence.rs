//! Heads and whole networks that detect violence in the frames of videos: the recipe of the HSEmotion team for DVD, and
//! our own for heads of movement.

mod augmentation;
mod clips;
mod coherent;
mod criterion;
mod end_to_end;
mod error;
mod features;
mod head;
mod layers;
mod motion;
mod presets;
mod recipe;
mod report;
mod scores;
mod temporal;
mod training;

pub use end_to_end::{TrainedNetwork, VideoFrames, ViolenceNetwork, train_end_to_end};
pub use error::ViolenceError;
pub use head::{Fold, HeadRecipe, PartScores, head_recipe, settings_for};
pub use recipe::{Augmentation, Boundary, ClassWeighting, FrameLoss, ViolenceRecipe};
pub use report::{TrainedViolence, ViolenceReport};
pub use scores::{ViolenceScore, mean_and_spread};

use affectlens_data::{LabelledVideo, VideoData, WindowFeatures};
