//! Networks that turn a face into an embedding, and where their weights have a classifier into logits.
//!
//! Each network is one block table with two forms. [`Backbone`] runs the folded plan on own kernels; the modules
//! ([`EfficientNet`], [`MobileNetV1`]) are the same network in Burn's own operations, what the plan is compared with.
//! Batch norm is folded into the convolutions when published weights are brought into canonical ones
//! ([`canonical_weights`]).

mod convolution;
mod efficientnet;
mod mobilenet_v1;
mod parameters;

use burn::tensor::Tensor;

pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use mobilenet_v1::MobileNetV1;
pub(crate) use parameters::Parameters;

use crate::device::OpenedDevice;
use crate::kernel::{Map, Network, Plan, Planner};
use crate::label::Expression;
#[cfg(feature = "native")]
use crate::weights::{Metadata, PublishedWeights, faceres_from_tfjs};
use crate::weights::{Normalisation, Weights, WeightsError};

/// Architecture name of [`Backbone::FaceRes`].
const FACERES: &str = "faceres";

/// Every backbone, as weights files and the command line name it.
pub const NAMES: [&str; 3] = [
    FACERES,
    EfficientNetConfig::B0.name,
    EfficientNetConfig::B2.name,
];

/// Pixels less the means of VGGFace2's publisher, as the published `faceres` expects them.
const FACERES_NORMALISATION: Normalisation = Normalisation {
    mean: [123.68, 116.779, 103.939],
    std: [1.0; 3],
};

/// ImageNet's mean and standard deviation on pixels from 0 to 255.
const IMAGENET_NORMALISATION: Normalisation = Normalisation {
    mean: [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
    std: [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0],
};

/// A network with its weights, ready on a device.
#[derive(Debug)]
pub struct Backbone {
    facts: Facts,
    classes: Vec<Expression>,
    network: Network,
}

/// What is known of a backbone before its weights are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// Architecture name, one of [`NAMES`].
    pub name: &'static str,
    /// Side of the square input, pixels.
    pub input_side: u32,
    /// How pixels become input.
    pub normalisation: Normalisation,
    /// Length of the embedding.
    pub width: usize,
}

/// What a backbone says about a batch of faces.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// `[batch, width]`, not unit length.
    pub embedding: Tensor<2>,
    /// `[batch, outputs]` before softmax, where the weights have a classifier.
    pub logits: Option<Tensor<2>>,
}

impl Facts {
    /// The facts of a backbone.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a name that is not in [`NAMES`].
    pub fn of(name: &str) -> Result<Self, WeightsError> {
        if name == FACERES {
            return Ok(Self {
                name: FACERES,
                input_side: MobileNetV1::SIDE,
                normalisation: FACERES_NORMALISATION,
                width: MobileNetV1::WIDTH,
            });
        }
        let config = EfficientNetConfig::from_name(name).ok_or_else(|| unknown(name))?;
        Ok(Self {
            name: config.name,
            input_side: config.side,
            normalisation: IMAGENET_NORMALISATION,
            width: config.width(),
        })
    }
}

impl Backbone {
    /// Builds the network that the metadata names.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a name that is not in [`NAMES`]; other [`WeightsError`]s for
    /// a missing, misshapen or unexpected parameter.
    pub fn load(weights: &Weights, device: &OpenedDevice) -> Result<Self, WeightsError> {
        let facts = Facts::of(&weights.metadata.architecture)?;
        let side = facts.input_side as usize;
        let mut planner = Plan::of_input(side, side, 3);
        let faces = planner.input();
        let (embedding, logits) = plan(weights, &mut planner, faces)?;
        let outputs: Vec<Map> = [Some(embedding), logits].into_iter().flatten().collect();
        Ok(Self {
            facts,
            classes: classes(weights)?,
            network: Network::new(&planner.finish(&outputs), device),
        })
    }

    /// Name, input and embedding.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the first logits stand for; empty without a classifier or where its classes are unknown.
    pub fn classes(&self) -> &[Expression] {
        &self.classes
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

/// What a backbone's outputs stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// Of the first ones.
    pub classes: Vec<Expression>,
    /// Whether the last two are valence and arousal.
    pub valence_arousal: bool,
}

/// temporary
pub fn outputs(weights: &Weights) -> Result<Outputs, WeightsError> {
    Ok(Outputs {
        classes: classes(weights)?,
        valence_arousal: false,
    })
}

/// What the first logits of a backbone with these weights stand for; empty without a classifier or where its
/// classes are unknown.
///
/// # Errors
///
/// [`WeightsError`] if more classes are named than the classifier has outputs, or for an unknown architecture.
pub fn classes(weights: &Weights) -> Result<Vec<Expression>, WeightsError> {
    if Facts::of(&weights.metadata.architecture)?.name == FACERES {
        return Ok(Vec::new());
    }
    efficientnet::classes(weights)
}

/// Adds the network that the metadata names to a plan whose map `faces` is its input; gives the embedding and,
/// where the weights have a classifier, its logits.
///
/// # Errors
///
/// As [`Backbone::load`].
pub fn plan(
    weights: &Weights,
    planner: &mut Planner,
    faces: Map,
) -> Result<(Map, Option<Map>), WeightsError> {
    let name = weights.metadata.architecture.as_str();
    if name == FACERES {
        return Ok((MobileNetV1::plan(weights, planner, faces)?, None));
    }
    let config = EfficientNetConfig::from_name(name).ok_or_else(|| unknown(name))?;
    EfficientNet::plan(config, weights, planner, faces)
}

/// Brings a published file of the backbone `name` into canonical form: our names, batch norm folded, metadata
/// filled in. Licence and source stay those of the published table.
///
/// `faceres` is read from tfjs; the EmotiEffNets from timm's state dict or from EmotiEffLib's ONNX files.
///
/// # Errors
///
/// [`WeightsError`] for an unknown name, or a missing, misshapen or unexpected parameter.
#[cfg(feature = "native")]
pub fn canonical_weights(
    name: &str,
    published: &PublishedWeights,
) -> Result<Weights, WeightsError> {
    if name == FACERES {
        let mut weights = faceres_from_tfjs(published.named())?;
        weights.metadata = Metadata {
            architecture: name.to_owned(),
            input_side: Some(MobileNetV1::SIDE),
            normalisation: Some(FACERES_NORMALISATION),
            ..published.named().metadata.clone()
        };
        return Ok(weights);
    }
    let config = EfficientNetConfig::from_name(name).ok_or_else(|| unknown(name))?;
    let metadata = Metadata {
        architecture: name.to_owned(),
        input_side: Some(config.side),
        normalisation: Some(IMAGENET_NORMALISATION),
        ..published.named().metadata.clone()
    };
    efficientnet::canonical(config, published, metadata)
}

fn unknown(name: &str) -> WeightsError {
    WeightsError::Architecture {
        expected: NAMES.join("`, `"),
        got: name.to_owned(),
    }
}
