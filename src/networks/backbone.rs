//! Networks that turn a face or a whole frame into an embedding, and where their weights have a classifier into logits.
//!
//! Each network is described once, in the crate `affectlens-formats`. [`Backbone`] runs the folded plan on own kernels;
//! `PlainNetwork` is the same network in Burn's own operations: what the plan is compared with and, unfolded, what
//! `TrainableBackbone` trains. Batch norm is folded into the convolutions when published weights are brought into
//! canonical ones (`canonical_weights`).

#[cfg(test)]
mod comparison;
mod folded;
mod outputs;
mod parameters;
#[cfg(not(target_family = "wasm"))]
mod plain;
#[cfg(not(target_family = "wasm"))]
mod trainable;

use std::borrow::Cow;

use burn::tensor::Tensor;

pub use affectlens_formats::architecture::{
    Architecture, ConvNextConfig, EfficientNetConfig, Facts, MobileNetConfig, NAMES,
};
#[cfg(not(target_family = "wasm"))]
pub use affectlens_formats::{architecture::MobileVitConfig, canonical_weights};
#[cfg(test)]
pub(crate) use comparison::{assert_plan_equals_plain, seeded_weights};
pub(crate) use folded::plan_network;
pub use outputs::{Outputs, classes, outputs};
pub(crate) use parameters::Parameters;
#[cfg(not(target_family = "wasm"))]
pub use plain::{GreyBackbone, PlainNetwork};
#[cfg(not(target_family = "wasm"))]
pub use trainable::TrainableBackbone;

use crate::device::OpenedDevice;
use crate::kernel::{Map, Network, Plan, Planner};
use crate::label::Expression;
use crate::weights::{Weights, WeightsError};

/// A network with its weights, ready on a device.
#[derive(Debug)]
pub struct Backbone {
    facts: Facts,
    outputs: Outputs,
    network: Network,
}

/// The embeddings of a batch of faces or frames, and their logits.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// `[batch, width]`, not unit length.
    pub embedding: Tensor<2>,
    /// `[batch, outputs]` before softmax, where the weights have a classifier; [`Backbone::outputs`] says what they
    /// are.
    pub logits: Option<Tensor<2>>,
}

impl Backbone {
    /// Builds the network that the metadata names.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a name that is not in [`NAMES`]; other [`WeightsError`]s for
    /// a missing, misshapen or unexpected parameter.
    pub fn load<'a>(
        weights: impl Into<Cow<'a, Weights>>,
        device: &OpenedDevice,
    ) -> Result<Self, WeightsError> {
        let weights = weights.into();
        let facts = Facts::of_weights(&weights)?;
        let outputs = outputs(&weights)?;
        let side = facts.input_side as usize;
        let mut planner = Plan::of_input(side, side, 3);
        let faces = planner.input();
        let (embedding, logits) = plan(weights, &mut planner, faces)?;
        let maps: Vec<Map> = [Some(embedding), logits].into_iter().flatten().collect();
        Ok(Self {
            facts,
            outputs,
            network: Network::build(planner.finish(&maps), device)
                .map_err(WeightsError::Network)?,
        })
    }

    /// Name, input and embedding.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the first logits stand for; empty without a classifier or where its classes are unknown.
    pub fn classes(&self) -> &[Expression] {
        &self.outputs.classes
    }

    /// What the logits are.
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// What carries the network out.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Embeds faces.
    ///
    /// # Shapes
    ///
    /// - faces: `[batch, side, side, 3]`, RGB, normalised by [`crop`](crate::crop) as [`Facts::normalisation`] says
    ///
    /// # Panics
    ///
    /// If the faces have another shape.
    pub fn forward(&self, faces: Tensor<4>) -> Embedded {
        let values = self.network.forward(faces);
        let outputs = self.network.outputs();
        let output = |index: usize| {
            let range = outputs.get(index)?;
            Some(values.clone().narrow(1, range.start, range.len()))
        };
        Embedded {
            embedding: output(0).expect("every backbone embeds"),
            logits: output(1),
        }
    }
}

/// Adds the network that the metadata names to a plan whose map `faces` is its input; gives the embedding and,
/// where the weights have a classifier, its logits.
///
/// # Errors
///
/// As [`Backbone::load`].
pub fn plan<'a>(
    weights: impl Into<Cow<'a, Weights>>,
    planner: &mut Planner,
    faces: Map,
) -> Result<(Map, Option<Map>), WeightsError> {
    let weights = weights.into();
    let architecture = Architecture::backbone(&weights.metadata.architecture)?;
    let mut outputs = plan_network(architecture, weights, planner, faces)?.into_iter();
    let embedding = outputs.next().expect("every backbone embeds");
    Ok((embedding, outputs.next()))
}
