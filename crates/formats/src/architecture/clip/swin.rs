//! Video Swin-T.
//!
//! Liu et al., "Video Swin Transformer" (2022): patches of 2 frames and 4x4 pixels, and transformers in which the patches of a
//! window see each other. Windows of every second layer are shifted by half of their size, and between stages four neighbours
//! become one. Names are torchvision's.

use affectlens_cpu::Activation;

use super::swin_windows::{Grid, Windows};
use crate::architecture::clip_layer::ClipConvolutionConfig;
use crate::architecture::layer::{ConvolutionConfig, Place};
use crate::architecture::walk::{Beside, PositionBias, SelfAttention, Walk};

/// Frames of a patch, and its side.
const PATCH: [usize; 2] = [2, 4];
/// Hidden channels of a layer relative to its own.
const MLP_RATIO: usize = 4;
/// Added to the variance of layer norms.
const EPSILON: f32 = 1e-5;

/// Sizes of a Video Swin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SwinConfig {
    /// Channels of the first stage.
    channels: usize,
    /// Channels of a head.
    head: usize,
    /// Layers of each stage.
    stages: [usize; 4],
    /// Probability that training leaves the last layer out of a sample; from 0 of the first one it rises evenly.
    stochastic_depth: f32,
}

impl SwinConfig {
    /// Swin-T.
    pub(super) const TINY: Self = Self {
        channels: 96,
        head: 32,
        stages: [2, 2, 6, 2],
        stochastic_depth: 0.1,
    };
    /// A smaller one, for tests of training.
    pub(super) const TEST: Self = Self {
        channels: 8,
        head: 8,
        stages: [1, 1, 2, 1],
        ..Self::TINY
    };

    /// The same left out of samples with another probability.
    pub(super) fn stochastic_depth(self, stochastic_depth: f32) -> Self {
        Self {
            stochastic_depth,
            ..self
        }
    }

    /// Features of a moment.
    pub(super) fn width(&self) -> usize {
        self.channels << (self.stages.len() - 1)
    }

    /// Walks the network; gives the means of the last patches of each moment.
    pub(super) fn describe<W: Walk>(
        &self,
        walk: &mut W,
        frames: usize,
        side: u32,
        input: &W::Map,
    ) -> Result<W::Map, W::Error> {
        let network = Place::default();
        let mut channels = self.channels;
        let patches = ClipConvolutionConfig::patches(frames, PATCH, channels);
        let patches = network.plain_clip_convolution("patch_embed.proj", patches);
        // Kinetics' classes.
        let patches = patches.unused(&["head"]);
        let maps = walk.clip_convolution(&patches, input, None)?;
        let mut maps = normalise(walk, &network, "patch_embed.norm", channels, &maps)?;
        let across = side as usize / PATCH[1];
        let mut grid = Grid([frames / PATCH[0], across, across]);
        let mut depth = 0;
        for (stage, layers) in self.stages.into_iter().enumerate() {
            if stage > 0 {
                let place = Place::same(format!("features.{}", 2 * stage - 1));
                maps = merge(walk, &place, grid, channels, &maps)?;
                grid = grid.merged();
                channels *= 2;
            }
            for index in 0..layers {
                let layer = Layer {
                    place: Place::same(format!("features.{}.{index}", 2 * stage)),
                    windows: grid.windows(index % 2 == 1),
                    channels,
                    heads: channels / self.head,
                    stochastic_depth: self.stochastic_depth_of(depth),
                };
                maps = layer.describe(walk, maps)?;
                depth += 1;
            }
        }
        let maps = normalise(walk, &network, "norm", channels, &maps)?;
        let Grid([moments, ..]) = grid;
        Ok(walk.frame_average(moments, &maps))
    }

    /// That of the layer which follows so many others.
    #[expect(clippy::cast_precision_loss, reason = "there are few layers")]
    fn stochastic_depth_of(&self, depth: usize) -> f32 {
        let layers: usize = self.stages.iter().sum();
        self.stochastic_depth * depth as f32 / (layers - 1) as f32
    }
}

/// Four neighbours become one with twice the channels.
fn merge<W: Walk>(
    walk: &mut W,
    place: &Place,
    grid: Grid,
    channels: usize,
    maps: &W::Map,
) -> Result<W::Map, W::Error> {
    let neighbours = grid.neighbours().map(|part| walk.arrange(&part, maps));
    let maps = walk.join(&neighbours);
    let maps = normalise(walk, place, "norm", 4 * channels, &maps)?;
    let config = ConvolutionConfig::pointwise(4 * channels, 2 * channels, Activation::Identity);
    let reduction = place.convolution("reduction", config);
    walk.convolution(&reduction.dense().unbiased(), &maps)
}

/// Attention within windows and a pair of fully connected layers, each after a norm and added to what comes in.
struct Layer {
    place: Place,
    windows: Windows,
    channels: usize,
    heads: usize,
    /// Of the attention and of the fully connected layers.
    stochastic_depth: f32,
}

impl Layer {
    fn describe<W: Walk>(&self, walk: &mut W, input: W::Map) -> Result<W::Map, W::Error> {
        let Self {
            place,
            windows,
            channels,
            heads,
            stochastic_depth,
        } = self;
        let dense = |name: &str, [inputs, outputs]: [usize; 2], activation| {
            let config = ConvolutionConfig::pointwise(inputs, outputs, activation);
            place.convolution(name, config).dense()
        };
        let table = "attn.relative_position_bias_table";
        let table = place.table(table, Windows::PLACES, *heads);
        let mut all = dense("attn.qkv", [*channels, 3 * channels], Activation::Identity);
        all = all.unused(&["attn.relative_position_index"]);
        let attention = SelfAttention {
            all: vec![all],
            output: dense("attn.proj", [*channels, *channels], Activation::Identity)
                .stochastic_depth(*stochastic_depth),
            heads: *heads,
            bias: Some(PositionBias {
                table,
                codes: windows.codes(),
                regions: windows.regions(),
            }),
        };
        let apart = windows.apart();
        let normal = normalise(walk, place, "norm1", *channels, &input)?;
        // Zeros that fill windows up come after the norm.
        let normal = walk.arrange(&apart, &normal);
        let rows = walk.arrange(&apart, &input);
        let rows = walk.attention(&attention, &normal, &rows)?;
        let maps = walk.arrange(&windows.together(), &rows);
        let normal = normalise(walk, place, "norm2", *channels, &maps)?;
        let hidden = MLP_RATIO * channels;
        let expand = dense("mlp.0", [*channels, hidden], Activation::Gelu);
        let project = dense("mlp.3", [hidden, *channels], Activation::Identity);
        let project = project.stochastic_depth(*stochastic_depth);
        let expanded = walk.convolution(&expand, &normal)?;
        walk.convolution_beside(&project, &expanded, Beside::shortcut(Some(&maps)))
    }
}

fn normalise<W: Walk>(
    walk: &mut W,
    place: &Place,
    name: &str,
    channels: usize,
    maps: &W::Map,
) -> Result<W::Map, W::Error> {
    walk.layer_norm(&place.norm(name, channels).epsilon(EPSILON), maps)
}

#[cfg(test)]
mod tests {
    use crate::architecture::{Architecture, ClipConfig, Layer, Layers};

    #[test]
    fn layers_are_left_out_as_torchvision_does() {
        let Layers { layers, .. } = Layers::new(Architecture::Clip(ClipConfig::SWIN3D_T));
        let of = |name: &str| {
            let layers = layers.iter().filter_map(|layer| match layer {
                Layer::Convolution(layer) if layer.name.ends_with(name) => {
                    Some(layer.stochastic_depth)
                }
                _ => None,
            });
            layers.collect::<Vec<_>>()
        };
        // `stochastic_depth.p` of the layers of `swin3d_t`.
        let rising: Vec<f32> = (0..12_u8)
            .map(|depth| 0.1 * f32::from(depth) / 11.0)
            .collect();
        assert_eq!(of("attn.proj"), rising);
        assert_eq!(of("mlp.3"), rising);
        assert_eq!(of("attn.qkv"), [0.0; 12]);
        assert_eq!(of("mlp.0"), [0.0; 12]);
        assert_eq!(of("reduction"), [0.0; 3]);
    }
}
