//! Small classifiers over embeddings.

mod mlp;

pub use mlp::{Mlp, MlpConfig};
