//! SlowFast-R50.
//!
//! Feichtenhofer et al., "SlowFast Networks for Video Recognition" (2019), table 1: a ResNet-50 over every fourth frame, and
//! one of an eighth of its channels over all frames, which tells the first what it sees before each stage. Names are
//! PyTorchVideo's.

use affectlens_cpu::Activation;

use crate::architecture::clip_layer::{ClipConvolutionConfig, ClipPool};
use crate::architecture::layer::Place;
use crate::architecture::walk::Walk;

/// Channels of the slow pathway's stem in the published network.
pub(super) const CHANNELS: usize = 64;

/// The slow pathway's channels to one of the fast one.
const CHANNELS_OF_SLOW: usize = 8;
/// Frames of the fast pathway to one of the slow one.
const FRAMES_OF_A_STEP: usize = 4;
/// Frames that a convolution from the fast to the slow pathway sees.
const LATERAL_KERNEL: usize = 7;
/// Channels of such a convolution for each one of the fast pathway.
const LATERAL_CHANNELS: usize = 2;
/// A block gives so many channels for each one that its convolutions have in between.
const EXPANSION: usize = 4;
/// Blocks of each stage, and the stride of the first of them in pixels.
const STAGES: [(usize, usize); 4] = [(3, 1), (4, 2), (6, 2), (3, 2)];
/// Added to the variance of batch norms.
const EPSILON: f64 = 1e-5;

/// One of the two networks.
struct Pathway {
    /// Number among the publisher's pathways.
    number: usize,
    /// Frames from one that it looks at to the next.
    step: usize,
    /// Channels of the stem, and within the blocks of the first stage.
    channels: usize,
    /// Frames that the stem sees.
    stem: usize,
    /// Frames that the first convolution of a block sees, stage by stage.
    kernels: [usize; STAGES.len()],
}

/// The slow pathway, of so many channels, and the fast one.
fn pathways(channels: usize) -> [Pathway; 2] {
    [
        Pathway {
            number: 0,
            step: FRAMES_OF_A_STEP,
            channels,
            stem: 1,
            kernels: [1, 1, 3, 3],
        },
        Pathway {
            number: 1,
            step: 1,
            channels: channels / CHANNELS_OF_SLOW,
            stem: 5,
            kernels: [3; STAGES.len()],
        },
    ]
}

/// Features of a moment, those of the slow pathway and those of the fast one, for that many channels of the slow one's stem.
pub(super) fn width(channels: usize) -> usize {
    let last = |pathway: Pathway| pathway.outputs(STAGES.len() - 1);
    pathways(channels).map(last).iter().sum()
}

/// Maps of a pathway on the way.
struct Clip<M> {
    maps: M,
    frames: usize,
    channels: usize,
}

/// Walks the network, whose slow pathway begins with that many channels; gives the means of the last frames of both pathways,
/// the slow one's interpolated to the fast one's.
pub(super) fn describe<W: Walk>(
    walk: &mut W,
    channels: usize,
    frames: usize,
    input: &W::Map,
) -> Result<W::Map, W::Error> {
    let [slow_pathway, fast_pathway] = pathways(channels);
    let mut slow = slow_pathway.describe_stem(walk, frames, input)?;
    let mut fast = fast_pathway.describe_stem(walk, frames, input)?;
    for stage in 0..STAGES.len() {
        slow = tell(walk, stage, &fast, &slow)?;
        slow = slow_pathway.describe_stage(walk, stage, &slow)?;
        fast = fast_pathway.describe_stage(walk, stage, &fast)?;
    }
    let [of_slow, of_fast] = [&slow, &fast].map(|clip| walk.frame_average(clip.frames, &clip.maps));
    let of_slow = walk.interpolate_frames([slow.frames, fast.frames], &of_slow);
    Ok(walk.join(&[of_slow, of_fast]))
}

/// The slow pathway's channels, and after them what a convolution along time makes of the fast one's.
fn tell<W: Walk>(
    walk: &mut W,
    stage: usize,
    fast: &Clip<W::Map>,
    slow: &Clip<W::Map>,
) -> Result<Clip<W::Map>, W::Error> {
    let lateral = ClipConvolutionConfig {
        inputs: fast.channels,
        outputs: LATERAL_CHANNELS * fast.channels,
        frames: fast.frames,
        kernel: [LATERAL_KERNEL, 1],
        stride: [FRAMES_OF_A_STEP, 1],
        activation: Activation::Relu,
    };
    let place = Place::same(format!("blocks.{stage}.multipathway_fusion"));
    let layer = place.clip_convolution(["conv_fast_to_slow", "norm"], lateral, EPSILON);
    let told = walk.clip_convolution(&layer, &fast.maps, None)?;
    Ok(Clip {
        maps: walk.join(&[slow.maps.clone(), told]),
        frames: slow.frames,
        channels: slow.channels + lateral.outputs,
    })
}

impl Pathway {
    /// Channels of a stage's output.
    fn outputs(&self, stage: usize) -> usize {
        (EXPANSION * self.channels) << stage
    }

    /// A part of one of the publisher's blocks.
    fn place(&self, block: usize) -> Place {
        let number = self.number;
        Place::same(format!("blocks.{block}.multipathway_blocks.{number}"))
    }

    fn describe_stem<W: Walk>(
        &self,
        walk: &mut W,
        frames: usize,
        input: &W::Map,
    ) -> Result<Clip<W::Map>, W::Error> {
        let config = ClipConvolutionConfig {
            inputs: 3,
            outputs: self.channels,
            frames,
            kernel: [self.stem, 7],
            // Frames that are left out are not looked at.
            stride: [self.step, 2],
            activation: Activation::Relu,
        };
        // Kinetics' classes.
        let layer = self
            .place(0)
            .clip_convolution(["conv", "norm"], config, EPSILON)
            .unused(&["blocks.6.proj"]);
        let maps = walk.clip_convolution(&layer, input, None)?;
        let pool = ClipPool {
            frames: config.output_frames(),
            kernel: [1, 3],
            stride: [1, 2],
            padding: [0, 1],
        };
        Ok(Clip {
            maps: walk.clip_max_pool(pool, &maps),
            frames: pool.frames,
            channels: self.channels,
        })
    }

    fn describe_stage<W: Walk>(
        &self,
        walk: &mut W,
        stage: usize,
        clip: &Clip<W::Map>,
    ) -> Result<Clip<W::Map>, W::Error> {
        let (blocks, first_stride) = STAGES[stage];
        let outputs = self.outputs(stage);
        let (mut maps, mut inputs) = (clip.maps.clone(), clip.channels);
        for index in 0..blocks {
            let part = format!("res_blocks.{index}");
            let block = Block {
                place: self.place(stage + 1).within(&part, &part),
                frames: clip.frames,
                kernel: self.kernels[stage],
                inputs,
                outputs,
                stride: if index == 0 { first_stride } else { 1 },
            };
            maps = block.describe(walk, &maps)?;
            inputs = outputs;
        }
        Ok(Clip {
            maps,
            frames: clip.frames,
            channels: outputs,
        })
    }
}

/// A convolution along time or of single pixels, one within frames, one of single pixels, and a shortcut.
struct Block {
    place: Place,
    frames: usize,
    /// Frames that the first convolution sees.
    kernel: usize,
    inputs: usize,
    outputs: usize,
    stride: usize,
}

impl Block {
    fn describe<W: Walk>(&self, walk: &mut W, maps: &W::Map) -> Result<W::Map, W::Error> {
        let Self {
            ref place,
            frames,
            kernel,
            inputs,
            outputs,
            stride,
        } = *self;
        let between = outputs / EXPANSION;
        let pointwise =
            |channels, activation| ClipConvolutionConfig::pointwise(frames, channels, activation);
        let shortcut = if stride != 1 || inputs != outputs {
            let config = ClipConvolutionConfig {
                stride: [1, stride],
                ..pointwise([inputs, outputs], Activation::Identity)
            };
            let layer = place.clip_convolution(["branch1_conv", "branch1_norm"], config, EPSILON);
            walk.clip_convolution(&layer, maps, None)?
        } else {
            maps.clone()
        };
        let first = ClipConvolutionConfig {
            kernel: [kernel, 1],
            ..pointwise([inputs, between], Activation::Relu)
        };
        let second = ClipConvolutionConfig {
            kernel: [1, 3],
            stride: [1, stride],
            ..pointwise([between; 2], Activation::Relu)
        };
        let third = pointwise([between, outputs], Activation::Relu);
        let branch = place.within("branch2", "branch2");
        let layer = |names, config| branch.clip_convolution(names, config, EPSILON);
        let maps = walk.clip_convolution(&layer(["conv_a", "norm_a"], first), maps, None)?;
        let maps = walk.clip_convolution(&layer(["conv_b", "norm_b"], second), &maps, None)?;
        walk.clip_convolution(&layer(["conv_c", "norm_c"], third), &maps, Some(&shortcut))
    }
}
