//! What each network is, described once.
//!
//! A description tells a [`Walk`] one operation after another, with sizes and with the names that parameters have in
//! canonical files and at the publisher. A walk that only lists ([`Layers`]) is what conversion needs; others plan the
//! folded network or carry it out.

mod arrangement;
pub mod blazeface;
pub mod blazeface_full_range;
pub mod blazepose;
pub mod blendshapes;
mod clip;
mod clip_layer;
mod convnext;
mod ddamfn;
mod efficientnet;
pub mod face_mesh;
mod layer;
mod list;
mod mobilefacenet;
mod mobilenet_v1;
#[cfg(not(target_family = "wasm"))]
mod mobilevit;
mod normalisation;
mod resnet;
pub mod silero_vad;
mod walk;
mod wav2vec2;

pub use affectlens_cpu::Activation;
pub use arrangement::Arrangement;
pub use blazepose::landmarks::PoseLandmarksConfig;
pub use clip::{
    CLIP_NAMES, CONFIG, ClipConfig, ClipConvolution, ClipConvolutionConfig, ClipPool,
    VideoMaeConfig,
};
pub use convnext::ConvNextConfig;
pub use efficientnet::EfficientNetConfig;
pub use layer::{
    BatchNorm, ChannelNorm, Classifier, Convolution, ConvolutionConfig, Coupling, LineSum, Padding,
    PositionTable, Published,
};
pub use list::{Layer, Layers};
pub use mobilenet_v1::MobileNetConfig;
#[cfg(not(target_family = "wasm"))]
pub use mobilevit::MobileVitConfig;
pub use resnet::ResNetConfig;
pub use walk::{Beside, CoordinateAttention, MaxPool, PositionBias, SelfAttention, Shortcut, Walk};
pub use wav2vec2::{
    EPSILON as SPEECH_EPSILON, KERNELS as SPEECH_KERNELS, SAMPLE_RATE, STRIDES as SPEECH_STRIDES,
    SpeechParameter, Wav2Vec2Config, samples_of, vectors_of,
};

#[cfg(not(target_family = "wasm"))]
pub(crate) use wav2vec2::{LEFT_ASIDE, POSITION, PUBLISHED_POSITION};

#[cfg(not(target_family = "wasm"))]
pub(crate) use convnext::{CLASSIFIER as CONVNEXT_CLASSIFIER, HEAD_NORM as CONVNEXT_HEAD_NORM};

use crate::error::WeightsError;
use crate::metadata::Normalisation;
use crate::weights::Weights;

/// Networks that embed sound, as weights files and the command line name them.
pub const SPEECH_NAMES: [&str; 1] = [Wav2Vec2Config::BASE.name];

/// Backbones for pictures; those with attention are not in browsers.
const COUNT: usize = if cfg!(target_family = "wasm") { 13 } else { 16 };

/// Every backbone for pictures, as weights files and the command line name it.
pub const NAMES: [&str; COUNT] = [
    MobileNetConfig::EXPRESSION.name,
    MobileNetConfig::FACERES.name,
    EfficientNetConfig::B0.name,
    EfficientNetConfig::B2.name,
    mobilefacenet::NAME,
    ddamfn::NAME,
    #[cfg(not(target_family = "wasm"))]
    MobileVitConfig::S.name,
    #[cfg(not(target_family = "wasm"))]
    MobileVitConfig::XS.name,
    #[cfg(not(target_family = "wasm"))]
    MobileVitConfig::XXS.name,
    ConvNextConfig::TINY.name,
    ConvNextConfig::TINY_MULTISCALE.name,
    EfficientNetConfig::FRAME_B0.name,
    EfficientNetConfig::FRAME_B0_MULTISCALE.name,
    EfficientNetConfig::LITE0.name,
    ResNetConfig::RESNET_18.name,
    ResNetConfig::RESNET_50.name,
];

/// A network over feature maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Architecture {
    /// MobileNetV1: embeds faces.
    MobileNetV1(MobileNetConfig),
    /// EfficientNet: embeds faces or whole frames.
    EfficientNet(EfficientNetConfig),
    /// MobileFaceNet: embeds faces.
    MobileFaceNet,
    /// MT-DDAMFN: embeds faces.
    Ddamfn,
    /// MobileViT: embeds faces.
    #[cfg(not(target_family = "wasm"))]
    MobileVit(MobileVitConfig),
    /// ConvNeXt: embeds whole frames.
    ConvNext(ConvNextConfig),
    /// ResNet: embeds whole frames.
    ResNet(ResNetConfig),
    /// A network over clips of frames.
    Clip(ClipConfig),
    /// BlazeFace, short range: finds faces.
    BlazeFace,
    /// BlazeFace, full range: finds smaller faces.
    BlazeFaceFullRange,
    /// The face mesh: finds landmarks.
    FaceMesh,
    /// BlazePose's detector: finds people.
    PoseDetector,
    /// BlazePose's landmarks: finds the points of a body.
    PoseLandmarks(PoseLandmarksConfig),
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

impl Facts {
    /// The facts of a backbone.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a name that is not in [`NAMES`].
    pub fn of(name: &str) -> Result<Self, WeightsError> {
        let architecture = Architecture::backbone(name)?;
        Ok(architecture.facts().expect("a backbone has facts"))
    }

    /// The facts of a backbone with these weights. The layers of MobileNetV1 fit pictures of any side, and the file says which
    /// one it was trained for; without a word it is that of its name.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of), and [`WeightsError::Malformed`] for a side that is too small or too large.
    pub fn of_weights(weights: &Weights) -> Result<Self, WeightsError> {
        let facts = Self::of(&weights.metadata.architecture)?;
        match weights.metadata.input_side {
            Some(side) if MobileNetConfig::from_name(facts.name).is_some() => Ok(Self {
                input_side: mobilenet_v1::check_side(side)?,
                ..facts
            }),
            _ => Ok(facts),
        }
    }
}

impl Architecture {
    /// The backbone of that name.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a name that is not in [`NAMES`].
    pub fn backbone(name: &str) -> Result<Self, WeightsError> {
        Ok(match name {
            mobilefacenet::NAME => Self::MobileFaceNet,
            ddamfn::NAME => Self::Ddamfn,
            _ => {
                let found = MobileNetConfig::from_name(name)
                    .map(Self::MobileNetV1)
                    .or_else(|| EfficientNetConfig::from_name(name).map(Self::EfficientNet))
                    .or_else(|| ConvNextConfig::from_name(name).map(Self::ConvNext))
                    .or_else(|| ResNetConfig::from_name(name).map(Self::ResNet));
                #[cfg(not(target_family = "wasm"))]
                let found = found.or_else(|| MobileVitConfig::from_name(name).map(Self::MobileVit));
                return found.ok_or_else(|| WeightsError::Architecture {
                    expected: NAMES.join("`, `"),
                    got: name.to_owned(),
                });
            }
        })
    }

    /// Name in weights files.
    pub fn name(self) -> &'static str {
        match self {
            Self::MobileNetV1(config) => config.name,
            Self::EfficientNet(config) => config.name,
            Self::MobileFaceNet => mobilefacenet::NAME,
            Self::Ddamfn => ddamfn::NAME,
            #[cfg(not(target_family = "wasm"))]
            Self::MobileVit(config) => config.name,
            Self::ConvNext(config) => config.name,
            Self::ResNet(config) => config.name,
            Self::Clip(config) => config.name,
            Self::BlazeFace => blazeface::NAME,
            Self::BlazeFaceFullRange => blazeface_full_range::NAME,
            Self::FaceMesh => face_mesh::NAME,
            Self::PoseDetector => blazepose::detector::NAME,
            Self::PoseLandmarks(config) => config.name,
        }
    }

    /// Input and embedding of a backbone for pictures, or of a network over clips; none for the others.
    pub fn facts(self) -> Option<Facts> {
        let (input_side, normalisation, width) = match self {
            Self::MobileNetV1(config) => (
                config.side,
                mobilenet_v1::NORMALISATION,
                mobilenet_v1::WIDTH,
            ),
            Self::EfficientNet(config) => (config.side, config.normalisation, config.width()),
            Self::MobileFaceNet => (
                mobilefacenet::SIDE,
                normalisation::HALF,
                mobilefacenet::WIDTH,
            ),
            Self::Ddamfn => (ddamfn::SIDE, normalisation::IMAGENET, ddamfn::WIDTH),
            #[cfg(not(target_family = "wasm"))]
            Self::MobileVit(config) => (mobilevit::SIDE, normalisation::IMAGENET, config.features),
            Self::ConvNext(config) => (config.side, normalisation::IMAGENET, config.width()),
            Self::ResNet(config) => (resnet::SIDE, normalisation::IMAGENET, config.width()),
            Self::Clip(config) => (config.side, normalisation::IMAGENET, config.width()),
            Self::BlazeFace
            | Self::BlazeFaceFullRange
            | Self::FaceMesh
            | Self::PoseDetector
            | Self::PoseLandmarks(_) => return None,
        };
        Some(Facts {
            name: self.name(),
            input_side,
            normalisation,
            width,
        })
    }

    /// Whether a backbone looks at whole frames: its outputs are no expressions.
    pub fn describes_frames(self) -> bool {
        match self {
            Self::EfficientNet(config) => config.describes_frames,
            Self::ConvNext(_) | Self::ResNet(_) => true,
            Self::Clip(_) => true,
            _ => false,
        }
    }

    /// Tells a walk the network, layer by layer; gives the output maps. A backbone's are the embedding and, where the
    /// weights have a classifier, its outputs.
    ///
    /// # Errors
    ///
    /// The first error of the walk.
    pub fn describe<W: Walk>(self, walk: &mut W, input: W::Map) -> Result<Vec<W::Map>, W::Error> {
        match self {
            Self::MobileNetV1(_) => mobilenet_v1::describe(walk, &input),
            Self::EfficientNet(config) => config.describe(walk, &input),
            Self::MobileFaceNet => mobilefacenet::describe(walk, &input),
            Self::Ddamfn => ddamfn::describe(walk, &input),
            #[cfg(not(target_family = "wasm"))]
            Self::MobileVit(config) => config.describe(walk, &input),
            Self::ConvNext(config) => config.describe(walk, &input),
            Self::ResNet(config) => config.describe(walk, &input),
            Self::Clip(config) => config.describe(walk, &input),
            Self::BlazeFace => blazeface::describe(walk, &input),
            Self::BlazeFaceFullRange => blazeface_full_range::describe(walk, &input),
            Self::FaceMesh => face_mesh::describe(walk, &input),
            Self::PoseDetector => blazepose::detector::describe(walk, &input),
            Self::PoseLandmarks(config) => config.describe(walk, &input),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metadata::Metadata;

    #[test]
    fn the_side_of_a_mobilenet_is_that_of_its_file() {
        let side = |name: &str, side: Option<u32>| {
            let weights = Weights::new(Metadata {
                architecture: name.to_owned(),
                input_side: side,
                ..Metadata::default()
            });
            Facts::of_weights(&weights).map(|facts| facts.input_side)
        };
        for (name, of_file, expected) in [
            ("faceres", None, 224),
            ("faceres", Some(96), 96),
            ("expression-mobilenet", Some(128), 128),
            ("mobilefacenet", Some(96), 112),
        ] {
            assert_eq!(side(name, of_file).expect("possible"), expected);
        }
        for impossible in [0, 31, 513, u32::MAX] {
            let error = side("faceres", Some(impossible)).expect_err("impossible");
            let expected = format!("input side is {impossible}, expected 32 to 512 pixels");
            assert!(error.to_string().ends_with(&expected), "{error}");
        }
    }

    /// Who hands weights over finds each of them once.
    #[test]
    fn every_layer_of_a_network_has_a_name_of_its_own() {
        let backbones = NAMES.map(|name| Architecture::backbone(name).expect("is listed"));
        let clips = CLIP_NAMES.map(|name| ClipConfig::from_name(name).expect("is listed"));
        let landmarks = PoseLandmarksConfig::ALL.map(Architecture::PoseLandmarks);
        let others = [
            Architecture::BlazeFace,
            Architecture::BlazeFaceFullRange,
            Architecture::FaceMesh,
            Architecture::PoseDetector,
        ];
        let all = backbones.into_iter().chain(clips.map(Architecture::Clip));
        for architecture in all.chain(landmarks).chain(others) {
            let mut names = BTreeSet::new();
            for layer in Layers::new(architecture).layers {
                let name = match layer {
                    Layer::Convolution(layer) => layer.name,
                    Layer::LineSum(layer) => layer.name,
                    Layer::Norm(layer) => layer.name,
                    Layer::Clip(layer) => layer.name,
                    Layer::Table(layer) => layer.name,
                };
                assert!(
                    names.insert(name.clone()),
                    "{}: `{name}` twice",
                    architecture.name()
                );
            }
            assert!(!names.is_empty(), "{}", architecture.name());
        }
    }
}
