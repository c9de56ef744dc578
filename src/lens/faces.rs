//! Expression, valence, arousal and action units of the faces in frames and streams.
//!
//! Frame, detect, crop, embed, classify, track, confirm; then, read back, calibrate, blend, fill gaps, smooth and
//! filter. The order is that of the reference implementation (HSEmotion team at ABAW-10): bias first, then blend, then
//! gaps, then the window, and the confident filter on pretrained probabilities smoothed in the same way.

mod action_units;
mod baseline;
mod classifier;
mod confirmation;
mod finder;
mod following;
mod plan;
mod scored_face;
mod stream;
mod track;

use crate::weights::Weights;

pub use crate::controls::FaceControls;
pub use classifier::{FaceClassifier, FaceScores, SoundScores};
pub use stream::FaceLens;

/// Files that the pipeline is made of.
#[derive(Clone, Debug)]
pub struct FaceWeights {
    /// Face detector, architecture `blazeface-short-range`, or `blazeface-full-range` for smaller faces.
    pub detector: Weights,
    /// A second one, architecture `blazeface-full-range`, for faces that the first one is too coarse for.
    pub full_range_detector: Option<Weights>,
    /// Backbone and heads that classify a face.
    pub classifier: ClassifierWeights,
    /// Face mesh, architecture `face-mesh`; it confirms faces, and without it every detection counts as one.
    pub mesh: Option<Weights>,
    /// Blendshapes of the mesh, architecture `face-blendshapes`.
    pub blendshapes: Option<Weights>,
}

/// Files of a backbone and of the heads over its embeddings.
#[derive(Clone, Debug)]
pub struct ClassifierWeights {
    /// Backbone that embeds a face.
    pub backbone: Weights,
    /// Classifier that plays the pretrained part, architecture `mlp`; a backbone with a classifier of its own
    /// needs none.
    pub pretrained: Option<Weights>,
    /// Classifier adapted to the data at hand, architecture `mlp`; its metadata carries the settings.
    pub head: Option<Weights>,
    /// Valence and arousal from the backbone's outputs, architecture `valence-arousal`; without it the backbone gives
    /// them, or they are derived from the expressions.
    pub valence_arousal_head: Option<Weights>,
    /// Action units from embedding and outputs, architecture `action-units`; without it they come from blendshapes.
    pub action_units_head: Option<Weights>,
}
