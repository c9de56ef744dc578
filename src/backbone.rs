//! Networks that turn a face into an embedding, and where their weights have a classifier into logits.
//!
//! Each network is built from one block table and held in folded form: batch norm is folded into the
//! convolutions when published weights are brought into canonical ones ([`canonical_weights`]).

mod convolution;
mod cpu;
mod efficientnet;
mod mobilenet_v1;
mod parameters;

use burn::tensor::{Device, Tensor};

pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use mobilenet_v1::MobileNetV1;

use crate::kernel::{Map, Planner};
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
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Backbone {
    /// MobileNetV1, trained to recognise persons.
    FaceRes(MobileNetV1),
    /// EfficientNet, trained on expressions.
    EmotiEffNet(EfficientNet),
}

/// What a backbone says about a batch of faces.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// `[batch, width]`, not unit length.
    pub embedding: Tensor<2>,
    /// `[batch, outputs]` before softmax, where the weights have a classifier.
    pub logits: Option<Tensor<2>>,
}

impl Backbone {
    /// Builds the network that the metadata names.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a name that is not in [`NAMES`]; other [`WeightsError`]s for
    /// a missing, misshapen or unexpected parameter.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let name = weights.metadata.architecture.as_str();
        if name == FACERES {
            return Ok(Self::FaceRes(MobileNetV1::load(weights, device)?));
        }
        let config = EfficientNetConfig::from_name(name).ok_or_else(|| unknown(name))?;
        Ok(Self::EmotiEffNet(EfficientNet::load(
            config, weights, device,
        )?))
    }

    /// Architecture name, one of [`NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::FaceRes(_) => FACERES,
            Self::EmotiEffNet(network) => network.config().name,
        }
    }

    /// Side of the square input, pixels.
    pub fn input_side(&self) -> u32 {
        match self {
            Self::FaceRes(_) => MobileNetV1::SIDE,
            Self::EmotiEffNet(network) => network.config().side,
        }
    }

    /// How pixels become input.
    pub fn normalisation(&self) -> Normalisation {
        match self {
            Self::FaceRes(_) => FACERES_NORMALISATION,
            Self::EmotiEffNet(_) => IMAGENET_NORMALISATION,
        }
    }

    /// Length of the embedding.
    pub fn width(&self) -> usize {
        match self {
            Self::FaceRes(_) => MobileNetV1::WIDTH,
            Self::EmotiEffNet(network) => network.config().width(),
        }
    }

    /// What the first logits stand for; empty without a classifier or where its classes are unknown.
    pub fn classes(&self) -> &[Expression] {
        match self {
            Self::FaceRes(_) => &[],
            Self::EmotiEffNet(network) => network.classes(),
        }
    }

    /// Embeds faces.
    ///
    /// # Shapes
    ///
    /// - faces: `[batch, 3, side, side]`, RGB, normalised by [`crop`](crate::crop) as
    ///   [`normalisation`](Self::normalisation) says
    ///
    /// # Panics
    ///
    /// If the faces have another shape.
    pub fn forward(&self, faces: Tensor<4>) -> Embedded {
        let [_, channels, height, width] = faces.dims();
        let side = self.input_side() as usize;
        assert_eq!(
            [channels, height, width],
            [3, side, side],
            "faces for {}: [channels, height, width]",
            self.name()
        );
        match self {
            Self::FaceRes(network) => Embedded {
                embedding: network.forward(faces),
                logits: None,
            },
            Self::EmotiEffNet(network) => {
                let embedding = network.forward(faces);
                Embedded {
                    logits: network.classify(embedding.clone()),
                    embedding,
                }
            }
        }
    }
}

/// Name and side of the input, pixels, of the backbone of that architecture name.
pub(crate) fn input_of(architecture: &str) -> Result<(&'static str, u32), WeightsError> {
    if architecture == FACERES {
        return Ok((FACERES, MobileNetV1::SIDE));
    }
    let config =
        EfficientNetConfig::from_name(architecture).ok_or_else(|| unknown(architecture))?;
    Ok((config.name, config.side))
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
