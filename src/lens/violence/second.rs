//! What heads with two inputs read beside the embedding of a frame: skeletons, or an embedding of its optical flow.
//!
//! A page has no such heads, and its download no room for them.

use super::{files::SecondWeights, frames::embed};
use crate::{
    backbone::Backbone,
    device::OpenedDevice,
    error::LensError,
    frame::Frame,
    head::SecondStream,
    optical_flow::FlowPictures,
    people::load_landmarker,
    person::Person,
    pose::PoseLandmarker,
    role::Role,
    skeleton::{PEOPLE, Skeletons},
};

/// The networks of the second stream, on their device.
#[derive(Debug)]
pub(super) enum SecondInput {
    /// Looks at every frame as a picture of its own, as the published features were made.
    Skeletons(Box<PoseLandmarker>),
    /// Embeds pictures of the optical flow.
    Flow(Box<Backbone>),
}

/// What is remembered of the frame before: the second stream tells how it has changed.
#[derive(Debug, Default)]
pub(super) struct Before {
    skeletons: Skeletons,
    flow: FlowPictures,
}

impl SecondInput {
    /// Puts the networks on the device.
    pub(super) async fn load(
        weights: SecondWeights,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        Ok(match weights {
            SecondWeights::Skeletons(people) => {
                Self::Skeletons(Box::new(load_landmarker(*people, device).await?))
            }
            SecondWeights::Flow(weights) => {
                let backbone = Backbone::load(weights, device);
                Self::Flow(Box::new(
                    backbone.map_err(LensError::weights(Role::ViolenceBackbone))?,
                ))
            }
        })
    }

    /// Numbers of a frame.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Skeletons(_) => SecondStream::Skeletons.width(),
            Self::Flow(backbone) => backbone.facts().width,
        }
    }

    /// The numbers of the stream's next frame; `people` are those in it, where somebody has looked for them.
    pub(super) async fn see(
        &self,
        frame: &Frame,
        people: Option<Vec<Person>>,
        before: &mut Before,
        device: &OpenedDevice,
    ) -> Result<Vec<f32>, LensError> {
        match self {
            Self::Skeletons(landmarker) => {
                let people = match people {
                    Some(people) => people,
                    None => landmarker.find(frame, PEOPLE).await?,
                };
                let size = [frame.width(), frame.height()];
                Ok(before.skeletons.push(&people, size).to_vec())
            }
            Self::Flow(backbone) => embed(backbone, &before.flow.push(Some(frame)), device).await,
        }
    }
}
