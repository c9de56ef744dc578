//! VideoMAE.
//!
//! Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training" (2022): a
//! transformer over tubes of some frames and a square of pixels, all of which see each other. Positions are sines and cosines
//! (Vaswani et al. 2017). Names are those of Hugging Face's `VideoMAEModel`.

use affectlens_cpu::Activation;

use crate::architecture::arrangement::Arrangement;
use crate::architecture::clip_layer::ClipConvolutionConfig;
use crate::architecture::layer::{ConvolutionConfig, Place};
use crate::architecture::walk::{Beside, SelfAttention, Walk};

/// Added to the variance of layer norms.
pub(super) const EPSILON: f32 = 1e-12;
/// Longest of the wave lengths of positions, but for a factor of 2 pi.
const WAVE_LENGTH: f64 = 10_000.0;

/// Sizes of a VideoMAE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoMaeConfig {
    /// Side of a tube, pixels.
    pub patch: usize,
    /// Frames of a tube.
    pub tubelet: usize,
    /// Numbers of a tube, and features of a moment.
    pub width: usize,
    /// Layers of the transformer.
    pub layers: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Hidden channels of a layer.
    pub hidden: usize,
    /// Whether a layer norm follows the last layer.
    pub has_norm: bool,
}

impl VideoMaeConfig {
    /// The small one.
    pub const SMALL: Self = Self {
        patch: 16,
        tubelet: 2,
        width: 384,
        layers: 12,
        heads: 6,
        hidden: 1536,
        has_norm: false,
    };
    /// The base, whose sizes a config has that does not name others.
    pub const BASE: Self = Self {
        width: 768,
        heads: 12,
        hidden: 3072,
        ..Self::SMALL
    };

    /// Moments of a clip, and tubes of a moment.
    pub(super) fn tubes(&self, frames: usize, side: u32) -> [usize; 2] {
        let across = side as usize / self.patch;
        [frames / self.tubelet, across * across]
    }

    /// Walks the network; gives the means of the tubes of each moment.
    pub(super) fn describe<W: Walk>(
        &self,
        walk: &mut W,
        frames: usize,
        side: u32,
        input: &W::Map,
    ) -> Result<W::Map, W::Error> {
        let [moments, tubes] = self.tubes(frames, side);
        let patches =
            ClipConvolutionConfig::patches(frames, [self.tubelet, self.patch], self.width);
        let projection = "embeddings.patch_embeddings.projection";
        let patches = Place::default().plain_clip_convolution(projection, patches);
        // Of checkpoints with a classifier.
        let patches = patches.unused(&["fc_norm", "classifier"]);
        let maps = walk.clip_convolution(&patches, input, None)?;
        let row = Arrangement {
            addend: positions(moments * tubes, self.width),
            ..Arrangement::reshaped(1, moments * tubes)
        };
        let mut row = walk.arrange(&row, &maps);
        for index in 0..self.layers {
            let layer = Place::same(format!("encoder.layer.{index}"));
            row = self.describe_layer(walk, &layer, row)?;
        }
        if self.has_norm {
            let norm = Place::default().norm("layernorm", self.width);
            row = walk.layer_norm(&norm.epsilon(EPSILON), &row)?;
        }
        let maps = walk.arrange(&Arrangement::reshaped(moments, tubes), &row);
        Ok(walk.frame_average(moments, &maps))
    }

    /// Attention and a pair of fully connected layers, each after a norm and added to what comes in.
    fn describe_layer<W: Walk>(
        &self,
        walk: &mut W,
        layer: &Place,
        input: W::Map,
    ) -> Result<W::Map, W::Error> {
        let Self { width, hidden, .. } = *self;
        let dense = |name: &str, [inputs, outputs]: [usize; 2], activation| {
            let config = ConvolutionConfig::pointwise(inputs, outputs, activation);
            layer.convolution(name, config).dense()
        };
        let square = |name: &str| dense(name, [width, width], Activation::Identity);
        let norm = |name: &str| layer.norm(name, width).epsilon(EPSILON);
        let attention = SelfAttention {
            all: vec![
                square("attention.attention.query").bias("attention.attention.q_bias"),
                square("attention.attention.key").unbiased(),
                square("attention.attention.value").bias("attention.attention.v_bias"),
            ],
            output: square("attention.output.dense"),
            heads: self.heads,
            bias: None,
        };
        let normal = walk.layer_norm(&norm("layernorm_before"), &input)?;
        let row = walk.attention(&attention, &normal, &input)?;
        let normal = walk.layer_norm(&norm("layernorm_after"), &row)?;
        let expand = dense("intermediate.dense", [width, hidden], Activation::Gelu);
        let project = dense("output.dense", [hidden, width], Activation::Identity);
        let expanded = walk.convolution(&expand, &normal)?;
        walk.convolution_beside(&project, &expanded, Beside::shortcut(Some(&row)))
    }
}

/// Sines and cosines of each place, `[places, width]`.
#[expect(clippy::cast_possible_truncation, reason = "they are added to f32")]
fn positions(places: usize, width: usize) -> Vec<f32> {
    let rates: Vec<f64> = (0..width)
        .map(|channel| WAVE_LENGTH.powf(-((channel / 2 * 2) as f64) / width as f64))
        .collect();
    let values = (0..places).flat_map(|place| {
        rates.iter().enumerate().map(move |(channel, rate)| {
            let angle = place as f64 * rate;
            match channel % 2 {
                0 => angle.sin() as f32,
                _ => angle.cos() as f32,
            }
        })
    });
    values.collect()
}
