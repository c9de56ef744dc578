//! How far each part of a face is moved: the layers of MediaPipe's `face_blendshapes.tflite`.
//!
//! An MLP-Mixer (Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for Vision", 2021) over 146 landmarks, after
//! Grishchenko et al., "Blendshapes GHUM: Real-time Monocular Facial Blendshape Prediction", 2023. Tokens are no feature
//! maps, so it is a list of layers instead of a walk.

use affectlens_cpu::Activation;

use super::layer::{Convolution, ConvolutionConfig, Place};
use crate::label::BLENDSHAPES;

/// Name of the architecture in a weights file.
pub const NAME: &str = "face-blendshapes";

/// Landmarks that the network looks at.
pub const POINTS: usize = 146;
/// What the landmarks are condensed to, and one token more that gathers the result.
pub const TOKENS: usize = 97;
/// Numbers a token.
pub const CHANNELS: usize = 64;
/// Blocks that mix tokens, then channels.
pub const BLOCKS: usize = 4;
const TOKEN_HIDDEN: usize = 384;
const CHANNEL_HIDDEN: usize = 256;

/// Canonical name of the token that gathers the result, `[CHANNELS]`.
pub const TOKEN: &str = "token";

/// Canonical name of the scale of a block's norm, `[CHANNELS]`; `part` is `token` or `channel`.
pub fn norm(block: usize, part: &str) -> String {
    format!("blocks.{block}.{part}_norm.scale")
}

/// The fully connected layers in the order in which they run; published as 1x1 convolutions.
pub fn layers() -> Vec<Convolution> {
    let layer = |name: &str, inputs, outputs| {
        let config = ConvolutionConfig::pointwise(inputs, outputs, Activation::Identity);
        Place::default().convolution(name, config)
    };
    let mut layers = vec![
        layer("condense", POINTS, TOKENS - 1),
        layer("embed", 2, CHANNELS),
    ];
    for block in 0..BLOCKS {
        for (part, width, hidden) in [
            ("tokens", TOKENS, TOKEN_HIDDEN),
            ("channels", CHANNELS, CHANNEL_HIDDEN),
        ] {
            layers.push(layer(&format!("blocks.{block}.{part}.0"), width, hidden));
            layers.push(layer(&format!("blocks.{block}.{part}.1"), hidden, width));
        }
    }
    layers.push(layer("output", CHANNELS, BLENDSHAPES.len()));
    layers
}
