//! Brings published files into canonical form: our names, batch norm folded, metadata filled in.

mod aliases;
mod faceres;
mod folding;
mod graph;
mod landmarker;
mod mobilevit;
mod pose;
mod state_dict;
mod stored;
mod videomae;
mod wav2vec2;

pub use faceres::{age_and_gender_from_tfjs, faceres_from_tfjs};
pub(crate) use landmarker::full_range_weights;
pub use landmarker::{TASK_MEMBERS, TaskMember};
pub use state_dict::StateDict;
pub use stored::{Parameter, ParameterFill};

use crate::architecture::{Architecture, CONFIG, ClipConfig, MobileNetConfig, Wav2Vec2Config};
use crate::error::WeightsError;
use crate::metadata::{Metadata, Normalisation};
use crate::published::PublishedWeights;
use crate::weights::Weights;

/// Brings a published file of the backbone `name` into canonical form: our names, batch norm folded, metadata
/// filled in. Licence and source stay those of the published table.
///
/// `faceres` is read from tfjs; the EmotiEffNets, MobileFaceNet and MobileViT from a state dict or from EmotiEffLib's ONNX
/// files; MT-DDAMFN from a state dict. Networks for whole frames are read from timm's or torchvision's state dict, or out of a
/// violence detector's, under `encoder`; its other parameters are left aside. Networks over clips are read from torchvision's
/// or PyTorchVideo's state dict or likewise, without the classes of Kinetics; VideoMAE from Hugging Face's, `videomae-crime` with
/// the sizes of the config that [`PublishedWeights::read_for`] finds. wav2vec 2.0 is read from Hugging Face's
/// checkpoints, with or without a classifier.
///
/// # Errors
///
/// [`WeightsError`] for an unknown name, or a missing, misshapen or unexpected parameter.
pub fn canonical_weights(
    name: &str,
    published: &PublishedWeights,
) -> Result<Weights, WeightsError> {
    if let Some(config) = Wav2Vec2Config::from_name(name) {
        let metadata = Metadata {
            architecture: name.to_owned(),
            ..published.named().metadata.clone()
        };
        return wav2vec2::canonical(config, published.named(), metadata);
    }
    let mut metadata = Metadata {
        architecture: name.to_owned(),
        ..published.named().metadata.clone()
    };
    let architecture = match ClipConfig::of_metadata(&metadata)? {
        Some(config) => {
            expect_state_dict(name, published)?;
            videomae::expect_sizes(&config, published.named())?;
            let stored = config.config().map(|json| (CONFIG.to_owned(), json));
            metadata.extra.extend(stored);
            Architecture::Clip(config)
        }
        None => Architecture::backbone(name)?,
    };
    let facts = architecture.facts().expect("a backbone has facts");
    metadata.input_side = Some(facts.input_side);
    metadata.normalisation = Some(facts.normalisation);
    if let Architecture::MobileVit(config) = architecture {
        mobilevit::expect_variant(config, published.named())?;
    }
    match StateDict::new(architecture) {
        Some(layout) => layout.canonical(published, metadata),
        None if name != MobileNetConfig::FACERES.name => Err(WeightsError::Malformed {
            format: "published",
            reason: format!("`{name}` is trained by affectlens, whose files need no conversion"),
        }),
        None => {
            let mut weights = faceres_from_tfjs(published.named())?;
            weights.metadata = metadata;
            Ok(weights)
        }
    }
}

/// Confirms that a file names its parameters.
fn expect_state_dict(name: &str, published: &PublishedWeights) -> Result<(), WeightsError> {
    match published {
        PublishedWeights::Named(_) => Ok(()),
        PublishedWeights::Graph { .. } => Err(WeightsError::Malformed {
            format: "published",
            reason: format!("`{name}` is read from a state dict, the file is a graph (ONNX)"),
        }),
    }
}

/// The same weights with the side and the normalisation of the pictures that the network looks at.
fn pictured(mut weights: Weights, side: u32, normalisation: Normalisation) -> Weights {
    weights.metadata.input_side = Some(side);
    weights.metadata.normalisation = Some(normalisation);
    weights
}
