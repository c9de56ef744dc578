//! Heads and whole networks that tell violent frames, from videos with a label a frame: the recipe of the HSEmotion team
//! for DVD (SPEC 5.1, 5.5).

mod augmentation;
mod checkpoint;
mod clips;
mod end_to_end;
mod fit;
mod frozen;
mod motion;
mod recipe;
mod score;
mod scores;
mod video_data;

pub use augmentation::flip;
pub use end_to_end::{TrainedNetwork, ViolenceNetwork, train_end_to_end};
pub use fit::{TrainingEvent, ViolenceError, ViolenceScore};
pub use frozen::{TrainedViolence, ViolenceReport, train_violence};
pub use motion::{MotionFold, train_motion};
pub use recipe::{Augmentation, Boundary, ClassWeighting, FrameLoss, ViolenceRecipe};
pub use score::score_video;
pub use scores::{ClipScores, add_frames, mean_and_spread};
pub use video_data::{FrameFeatures, LabelledVideo, VideoData};
