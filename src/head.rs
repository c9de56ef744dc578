//! Small networks over embeddings and scores: expression, valence and arousal, action units.

mod action_units;
mod linear;
mod mlp;
mod valence_arousal;

pub use action_units::{ActionUnits, ActionUnitsConfig, EmbeddingNetwork, LogitsNetwork};
pub use mlp::{Mlp, MlpConfig};
pub use valence_arousal::{ValenceArousal, ValenceArousalConfig};
