//! The files that violence is detected with.

use crate::{head::SecondStream, people::PeopleWeights, weights::Weights};

/// Files that violence is detected with.
#[derive(Clone, Debug)]
pub struct ViolenceWeights {
    /// Backbone that embeds whole frames, or looks at windows of them.
    pub backbone: Weights,
    /// Temporal head over its embeddings; its metadata carries the settings.
    pub head: Weights,
    /// What tells the second stream, where the head reads two.
    pub second: Option<SecondWeights>,
}

/// Files that tell what some heads read beside the embeddings of frames. A page cannot use them.
#[derive(Clone, Debug)]
pub enum SecondWeights {
    /// What finds people, for heads that read skeletons.
    Skeletons(Box<PeopleWeights>),
    /// Backbone that embeds pictures of the optical flow, for heads that read it.
    Flow(Weights),
}

impl SecondWeights {
    /// Which stream they tell.
    pub fn stream(&self) -> SecondStream {
        match self {
            Self::Skeletons(_) => SecondStream::Skeletons,
            Self::Flow(_) => SecondStream::Flow,
        }
    }
}
