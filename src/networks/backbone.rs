//! Networks that turn a face or a whole frame into an embedding, and where their weights have a classifier into logits.
//!
//! Each network is one block table with two forms. [`Backbone`] runs the folded plan on own kernels; the modules
//! ([`EfficientNet`], [`MobileNetV1`], [`MobileFaceNet`], [`Ddamfn`], [`ConvNext`], [`ResNet18`]) are the same network
//! in Burn's own operations, what the plan is compared with.
//! Batch norm is folded into the convolutions when published weights are brought into canonical ones
//! ([`canonical_weights`]).

mod classifier;
mod convnext;
mod convolution;
mod ddamfn;
mod efficientnet;
mod mobilefacenet;
mod mobilenet_v1;
mod normalisation;
mod parameters;
#[cfg(not(target_family = "wasm"))]
mod published;
mod resnet;
#[cfg(not(target_family = "wasm"))]
mod trainable;

use burn::tensor::Tensor;

pub use convnext::{ConvNext, ConvNextConfig};
pub use ddamfn::Ddamfn;
pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use mobilefacenet::MobileFaceNet;
pub use mobilenet_v1::MobileNetV1;
pub(crate) use parameters::Parameters;
#[cfg(not(target_family = "wasm"))]
use published::PublishedNetwork;
pub use resnet::ResNet18;
#[cfg(not(target_family = "wasm"))]
pub use trainable::TrainableBackbone;

use crate::device::OpenedDevice;
use crate::kernel::{Map, Network, Plan, Planner};
use crate::label::Expression;
#[cfg(not(target_family = "wasm"))]
use crate::weights::{Metadata, PublishedWeights, faceres_from_tfjs};
use crate::weights::{Normalisation, Weights, WeightsError};

/// Architecture name of [`Architecture::FaceRes`].
const FACERES: &str = "faceres";

/// Every backbone, as weights files and the command line name it.
pub const NAMES: [&str; 11] = [
    FACERES,
    EfficientNetConfig::B0.name,
    EfficientNetConfig::B2.name,
    MobileFaceNet::NAME,
    Ddamfn::NAME,
    ConvNextConfig::TINY.name,
    ConvNextConfig::TINY_MULTISCALE.name,
    EfficientNetConfig::FRAME_B0.name,
    EfficientNetConfig::FRAME_B0_MULTISCALE.name,
    EfficientNetConfig::LITE0.name,
    ResNet18::NAME,
];

/// A network that [`NAMES`] names.
#[derive(Clone, Copy, Debug)]
enum Architecture {
    FaceRes,
    EfficientNet(EfficientNetConfig),
    MobileFaceNet,
    Ddamfn,
    ConvNext(ConvNextConfig),
    ResNet18,
}

impl Architecture {
    fn of(name: &str) -> Result<Self, WeightsError> {
        Ok(match name {
            FACERES => Self::FaceRes,
            MobileFaceNet::NAME => Self::MobileFaceNet,
            Ddamfn::NAME => Self::Ddamfn,
            ResNet18::NAME => Self::ResNet18,
            _ => {
                let efficientnet = EfficientNetConfig::from_name(name).map(Self::EfficientNet);
                let found =
                    efficientnet.or_else(|| ConvNextConfig::from_name(name).map(Self::ConvNext));
                return found.ok_or_else(|| WeightsError::Architecture {
                    expected: NAMES.join("`, `"),
                    got: name.to_owned(),
                });
            }
        })
    }

    /// Whether the network looks at whole frames: its outputs are no expressions.
    fn describes_frames(self) -> bool {
        match self {
            Self::EfficientNet(config) => config.describes_frames,
            Self::ConvNext(_) | Self::ResNet18 => true,
            Self::FaceRes | Self::MobileFaceNet | Self::Ddamfn => false,
        }
    }

    /// Its state dict; `faceres` is published as a graph of its own.
    #[cfg(not(target_family = "wasm"))]
    fn published(self) -> Option<PublishedNetwork> {
        match self {
            Self::FaceRes => None,
            Self::EfficientNet(config) => Some(efficientnet::published(config)),
            Self::MobileFaceNet => Some(mobilefacenet::published()),
            Self::Ddamfn => Some(ddamfn::published()),
            Self::ConvNext(config) => Some(convnext::published(config)),
            Self::ResNet18 => Some(resnet::published()),
        }
    }

    fn facts(self) -> Facts {
        let of = |name, input_side, normalisation, width| Facts {
            name,
            input_side,
            normalisation,
            width,
        };
        match self {
            Self::FaceRes => of(
                FACERES,
                MobileNetV1::SIDE,
                FACERES_NORMALISATION,
                MobileNetV1::WIDTH,
            ),
            Self::EfficientNet(config) => of(
                config.name,
                config.side,
                config.normalisation,
                config.width(),
            ),
            Self::MobileFaceNet => of(
                MobileFaceNet::NAME,
                MobileFaceNet::SIDE,
                HALF_NORMALISATION,
                MobileFaceNet::WIDTH,
            ),
            Self::Ddamfn => of(
                Ddamfn::NAME,
                Ddamfn::SIDE,
                IMAGENET_NORMALISATION,
                Ddamfn::WIDTH,
            ),
            Self::ConvNext(config) => of(
                config.name,
                config.side,
                IMAGENET_NORMALISATION,
                config.width(),
            ),
            Self::ResNet18 => of(
                ResNet18::NAME,
                ResNet18::SIDE,
                IMAGENET_NORMALISATION,
                ResNet18::WIDTH,
            ),
        }
    }
}

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

/// Of EfficientNet-Lite.
const LITE_NORMALISATION: Normalisation = Normalisation {
    mean: [127.0; 3],
    std: [128.0; 3],
};

/// From -1 to 1.
const HALF_NORMALISATION: Normalisation = Normalisation {
    mean: [127.5; 3],
    std: [127.5; 3],
};

/// A network with its weights, ready on a device.
#[derive(Debug)]
pub struct Backbone {
    facts: Facts,
    outputs: Outputs,
    network: Network,
}

/// What the outputs of a backbone's classifier are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// What the first outputs, logits before softmax, stand for; empty without a classifier or where its classes are
    /// unknown, and for networks that describe whole frames.
    pub classes: Vec<Expression>,
    /// Whether two more outputs follow the classes: valence and arousal, linear and not clipped to [-1, 1].
    pub valence_arousal: bool,
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

/// What a backbone says about a batch of faces or frames.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// `[batch, width]`, not unit length.
    pub embedding: Tensor<2>,
    /// `[batch, outputs]` before softmax, where the weights have a classifier; [`Backbone::outputs`] says what they
    /// are.
    pub logits: Option<Tensor<2>>,
}

impl Facts {
    /// The facts of a backbone.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a name that is not in [`NAMES`].
    pub fn of(name: &str) -> Result<Self, WeightsError> {
        Ok(Architecture::of(name)?.facts())
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
        let maps: Vec<Map> = [Some(embedding), logits].into_iter().flatten().collect();
        Ok(Self {
            facts,
            outputs: outputs(weights)?,
            network: Network::new(&planner.finish(&maps), device),
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

/// What the first logits of a backbone with these weights stand for: [`Outputs::classes`].
///
/// # Errors
///
/// As [`outputs`].
pub fn classes(weights: &Weights) -> Result<Vec<Expression>, WeightsError> {
    Ok(outputs(weights)?.classes)
}

/// What the classifier's outputs of a backbone with these weights are. Where there are two more than named classes,
/// they are valence and arousal, as in EmotiEffLib's and DDAMFN's multi-task models.
///
/// # Errors
///
/// [`WeightsError`] if more classes are named than the classifier has outputs, or for an unknown architecture.
pub fn outputs(weights: &Weights) -> Result<Outputs, WeightsError> {
    match Architecture::of(&weights.metadata.architecture)? {
        Architecture::FaceRes => Ok(Outputs::default()),
        architecture if architecture.describes_frames() => Ok(Outputs::default()),
        _ => classifier::outputs(weights),
    }
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
    match Architecture::of(&weights.metadata.architecture)? {
        Architecture::FaceRes => Ok((MobileNetV1::plan(weights, planner, faces)?, None)),
        Architecture::EfficientNet(config) => EfficientNet::plan(config, weights, planner, faces),
        Architecture::MobileFaceNet => MobileFaceNet::plan(weights, planner, faces),
        Architecture::Ddamfn => Ddamfn::plan(weights, planner, faces),
        Architecture::ConvNext(config) => ConvNext::plan(config, weights, planner, faces),
        Architecture::ResNet18 => ResNet18::plan(weights, planner, faces),
    }
}

/// Brings a published file of the backbone `name` into canonical form: our names, batch norm folded, metadata
/// filled in. Licence and source stay those of the published table.
///
/// `faceres` is read from tfjs; the EmotiEffNets and MobileFaceNet from a state dict or from EmotiEffLib's ONNX files;
/// MT-DDAMFN from a state dict. Networks for whole frames are read from timm's or torchvision's state dict, or out of a
/// violence detector's, under `encoder`; its other parameters are left aside.
///
/// # Errors
///
/// [`WeightsError`] for an unknown name, or a missing, misshapen or unexpected parameter.
#[cfg(not(target_family = "wasm"))]
pub fn canonical_weights(
    name: &str,
    published: &PublishedWeights,
) -> Result<Weights, WeightsError> {
    let architecture = Architecture::of(name)?;
    let facts = architecture.facts();
    let metadata = Metadata {
        architecture: name.to_owned(),
        input_side: Some(facts.input_side),
        normalisation: Some(facts.normalisation),
        ..published.named().metadata.clone()
    };
    match architecture.published() {
        Some(network) => network.canonical(published, metadata),
        None => {
            let mut weights = faceres_from_tfjs(published.named())?;
            weights.metadata = metadata;
            Ok(weights)
        }
    }
}
