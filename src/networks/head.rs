//! Heads: small networks over the outputs of a backbone that predict expression, valence and arousal, action units, and
//! from the frames of a video, violence.

mod action_units;
mod batch_norm;
mod linear;
mod mlp;
mod temporal;
mod valence_arousal;

pub use action_units::{ActionUnits, ActionUnitsConfig, EmbeddingNetwork, LogitsNetwork};
pub use mlp::{Mlp, MlpConfig};
pub use temporal::{
    FusionKind, Joining, MotionStatistics, OverTime, SecondStream, TemporalConfig, TemporalHead,
    TemporalKind, TemporalPredictor, kind_of_checkpoint, temporal_from_checkpoint,
    write_motion_blend,
};
pub use valence_arousal::{ValenceArousal, ValenceArousalConfig};
