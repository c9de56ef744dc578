//! R3D-18 and R(2+1)D-18.
//!
//! Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition" (2018), table 1. In R(2+1)D each
//! convolution is one within frames and one along time, with as many channels between them as make the parameters about as
//! many. Names are torchvision's.

use affectlens_cpu::Activation;

use crate::architecture::clip_layer::{ClipConvolution, ClipConvolutionConfig};
use crate::architecture::layer::Place;
use crate::architecture::walk::Walk;

/// Channels of the stem in the published networks.
pub(super) const CHANNELS: usize = 64;

/// Channels between the two convolutions of a factored stem.
const FACTORED_STEM_CHANNELS: usize = 45;
const BLOCKS_OF_A_STAGE: usize = 2;
/// Of each stage: its channels in multiples of the stem's, and the stride of its first block in frames and in pixels.
const STAGES: [(usize, usize); 4] = [(1, 1), (2, 2), (4, 2), (8, 2)];
/// Added to the variance of batch norms.
const EPSILON: f64 = 1e-5;

/// Features of a moment, for that many channels of the stem.
pub(super) fn width(stem: usize) -> usize {
    let [.., (last, _)] = STAGES;
    last * stem
}

/// Walks the network, whose stem has `stem` channels; gives the means of the last frames.
pub(super) fn describe<W: Walk>(
    walk: &mut W,
    is_factored: bool,
    stem: usize,
    frames: usize,
    input: &W::Map,
) -> Result<W::Map, W::Error> {
    let mut frames = frames;
    let mut maps = describe_stem(walk, is_factored, stem, frames, input)?;
    let mut inputs = stem;
    for (stage, (multiple, first_stride)) in STAGES.into_iter().enumerate() {
        let channels = multiple * stem;
        for index in 0..BLOCKS_OF_A_STAGE {
            let block = Block {
                place: Place::same(format!("layer{}.{index}", stage + 1)),
                is_factored,
                frames,
                inputs,
                channels,
                stride: if index == 0 { first_stride } else { 1 },
            };
            (maps, frames) = block.describe(walk, &maps)?;
            inputs = channels;
        }
    }
    Ok(walk.frame_average(frames, &maps))
}

fn describe_stem<W: Walk>(
    walk: &mut W,
    is_factored: bool,
    outputs: usize,
    frames: usize,
    input: &W::Map,
) -> Result<W::Map, W::Error> {
    let stem = Place::same("stem");
    let (channels, kernel) = match is_factored {
        true => (FACTORED_STEM_CHANNELS, 1),
        false => (outputs, 3),
    };
    let first = ClipConvolutionConfig {
        inputs: 3,
        outputs: channels,
        frames,
        kernel: [kernel, 7],
        stride: [1, 2],
        activation: Activation::Relu,
    };
    // Kinetics' classes.
    let layer = normalised(&stem, ["0", "1"], first).unused(&["fc"]);
    let maps = walk.clip_convolution(&layer, input, None)?;
    if !is_factored {
        return Ok(maps);
    }
    let second = ClipConvolutionConfig {
        inputs: channels,
        outputs,
        kernel: [3, 1],
        stride: [1, 1],
        ..first
    };
    walk.clip_convolution(&normalised(&stem, ["3", "4"], second), &maps, None)
}

/// Two convolutions and a shortcut.
struct Block {
    place: Place,
    is_factored: bool,
    frames: usize,
    inputs: usize,
    channels: usize,
    stride: usize,
}

impl Block {
    /// Channels between a convolution within frames and one along time, the same for both of the block's pairs.
    fn between(&self) -> usize {
        let Self {
            inputs, channels, ..
        } = *self;
        27 * inputs * channels / (9 * inputs + 3 * channels)
    }

    /// Gives the block's map and its frames.
    fn describe<W: Walk>(&self, walk: &mut W, maps: &W::Map) -> Result<(W::Map, usize), W::Error> {
        let Self {
            ref place,
            frames,
            inputs,
            channels,
            stride,
            ..
        } = *self;
        let first = ClipConvolutionConfig {
            inputs,
            outputs: channels,
            frames,
            kernel: [3, 3],
            stride: [stride, stride],
            activation: Activation::Relu,
        };
        let shortcut = if stride != 1 || inputs != channels {
            let halve = ClipConvolutionConfig {
                kernel: [1, 1],
                activation: Activation::Identity,
                ..first
            };
            let halve = normalised(&place.within("downsample", "downsample"), ["0", "1"], halve);
            walk.clip_convolution(&halve, maps, None)?
        } else {
            maps.clone()
        };
        let second = ClipConvolutionConfig {
            inputs: channels,
            frames: first.output_frames(),
            stride: [1, 1],
            ..first
        };
        let inner = self.convolution(walk, "conv1", first, maps, None)?;
        let maps = self.convolution(walk, "conv2", second, &inner, Some(&shortcut))?;
        Ok((maps, second.frames))
    }

    /// A convolution, or the pair that it is made of.
    fn convolution<W: Walk>(
        &self,
        walk: &mut W,
        name: &str,
        config: ClipConvolutionConfig,
        maps: &W::Map,
        shortcut: Option<&W::Map>,
    ) -> Result<W::Map, W::Error> {
        let place = self.place.within(name, name);
        if !self.is_factored {
            let layer = normalised(&place, ["0", "1"], config);
            return walk.clip_convolution(&layer, maps, shortcut);
        }
        let [stride, step] = config.stride;
        let within_frames = ClipConvolutionConfig {
            outputs: self.between(),
            kernel: [1, 3],
            stride: [1, step],
            activation: Activation::Relu,
            ..config
        };
        let along_time = ClipConvolutionConfig {
            inputs: self.between(),
            kernel: [3, 1],
            stride: [stride, 1],
            ..config
        };
        let maps = walk.clip_convolution(
            &normalised(&place, ["0.0", "0.1"], within_frames),
            maps,
            None,
        )?;
        let layer = normalised(&place, ["0.3", "1"], along_time);
        walk.clip_convolution(&layer, &maps, shortcut)
    }
}

/// A convolution before a batch norm, both under the names of a part.
fn normalised(place: &Place, names: [&str; 2], config: ClipConvolutionConfig) -> ClipConvolution {
    place.clip_convolution(names, config, EPSILON)
}
