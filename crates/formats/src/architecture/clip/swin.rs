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

/// Features of a moment.
pub(super) const WIDTH: usize = CHANNELS << (STAGES.len() - 1);

/// Frames of a patch, and its side.
const PATCH: [usize; 2] = [2, 4];
/// Channels of the first stage, and of a head.
const CHANNELS: usize = 96;
const HEAD: usize = 32;
/// Layers of each stage.
const STAGES: [usize; 4] = [2, 2, 6, 2];
/// Hidden channels of a layer relative to its own.
const MLP_RATIO: usize = 4;
/// Added to the variance of layer norms.
const EPSILON: f32 = 1e-5;

/// Walks the network; gives the means of the last patches of each moment.
pub(super) fn describe<W: Walk>(
    walk: &mut W,
    frames: usize,
    side: u32,
    input: &W::Map,
) -> Result<W::Map, W::Error> {
    let network = Place::default();
    let patches = ClipConvolutionConfig::patches(frames, PATCH, CHANNELS);
    let patches = network.plain_clip_convolution("patch_embed.proj", patches);
    // Kinetics' classes.
    let patches = patches.unused(&["head"]);
    let maps = walk.clip_convolution(&patches, input, None)?;
    let mut maps = normalise(walk, &network, "patch_embed.norm", CHANNELS, &maps)?;
    let across = side as usize / PATCH[1];
    let mut grid = Grid([frames / PATCH[0], across, across]);
    let mut channels = CHANNELS;
    for (stage, depth) in STAGES.into_iter().enumerate() {
        if stage > 0 {
            let place = Place::same(format!("features.{}", 2 * stage - 1));
            maps = merge(walk, &place, grid, channels, &maps)?;
            grid = grid.merged();
            channels *= 2;
        }
        for index in 0..depth {
            let layer = Layer {
                place: Place::same(format!("features.{}.{index}", 2 * stage)),
                windows: grid.windows(index % 2 == 1),
                channels,
            };
            maps = layer.describe(walk, maps)?;
        }
    }
    let maps = normalise(walk, &network, "norm", channels, &maps)?;
    let Grid([moments, ..]) = grid;
    Ok(walk.frame_average(moments, &maps))
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
}

impl Layer {
    fn describe<W: Walk>(&self, walk: &mut W, input: W::Map) -> Result<W::Map, W::Error> {
        let Self {
            place,
            windows,
            channels,
        } = self;
        let dense = |name: &str, [inputs, outputs]: [usize; 2], activation| {
            let config = ConvolutionConfig::pointwise(inputs, outputs, activation);
            place.convolution(name, config).dense()
        };
        let heads = channels / HEAD;
        let table = place.table("attn.relative_position_bias_table", Windows::PLACES, heads);
        let mut all = dense("attn.qkv", [*channels, 3 * channels], Activation::Identity);
        all = all.unused(&["attn.relative_position_index"]);
        let attention = SelfAttention {
            all: vec![all],
            output: dense("attn.proj", [*channels, *channels], Activation::Identity),
            heads,
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
