//! S3D.
//!
//! Xie et al., "Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video Classification" (2018): the
//! inception blocks of GoogLeNet, each convolution over several pixels as one within frames and one along time. Names are
//! torchvision's.

use affectlens_cpu::Activation;

use crate::architecture::clip_layer::{ClipConvolution, ClipConvolutionConfig, ClipPool};
use crate::architecture::layer::Place;
use crate::architecture::walk::Walk;

/// How much of the network there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// The published channels to one here: 1, 2, 4 or 8.
    divisor: usize,
    /// Blocks before each pooling, at most.
    blocks: usize,
}

impl Size {
    pub(super) const PUBLISHED: Self = Self {
        divisor: 1,
        blocks: usize::MAX,
    };
    /// Shallow too: through all layers, without shortcuts, nothing is learned in seconds.
    pub(super) const SMALL: Self = Self {
        divisor: 8,
        blocks: 1,
    };

    /// Features of a moment.
    pub(super) fn width(self) -> usize {
        let last = BLOCKS
            .iter()
            .flat_map(|stage| stage.iter().take(self.blocks));
        last.last().map_or(0, Inception::outputs) / self.divisor
    }
}

/// Added to the variance of batch norms.
const EPSILON: f64 = 1e-3;
/// Share of a batch in what batch norms remember.
const MOMENTUM: f64 = 1e-3;

/// Windows of the poolings between blocks: frames and pixels, strides, padding.
const POOLS: [[[usize; 2]; 3]; 4] = [
    [[1, 3], [1, 2], [0, 1]],
    [[1, 3], [1, 2], [0, 1]],
    [[3, 3], [2, 2], [1, 1]],
    [[2, 2], [2, 2], [0, 0]],
];

/// Output channels of an inception block's four branches.
struct Inception {
    /// Number of the block among the publisher's layers.
    number: usize,
    pointwise: usize,
    /// Of a branch with a pointwise convolution before a separable one.
    separable: [[usize; 2]; 2],
    pooled: usize,
}

#[rustfmt::skip]
const BLOCKS: [&[Inception]; 3] = [
    &[
        Inception { number: 5, pointwise: 64, separable: [[96, 128], [16, 32]], pooled: 32 },
        Inception { number: 6, pointwise: 128, separable: [[128, 192], [32, 96]], pooled: 64 },
    ],
    &[
        Inception { number: 8, pointwise: 192, separable: [[96, 208], [16, 48]], pooled: 64 },
        Inception { number: 9, pointwise: 160, separable: [[112, 224], [24, 64]], pooled: 64 },
        Inception { number: 10, pointwise: 128, separable: [[128, 256], [24, 64]], pooled: 64 },
        Inception { number: 11, pointwise: 112, separable: [[144, 288], [32, 64]], pooled: 64 },
        Inception { number: 12, pointwise: 256, separable: [[160, 320], [32, 128]], pooled: 128 },
    ],
    &[
        Inception { number: 14, pointwise: 256, separable: [[160, 320], [32, 128]], pooled: 128 },
        Inception { number: 15, pointwise: 384, separable: [[192, 384], [48, 128]], pooled: 128 },
    ],
];

/// Walks the network; gives the means of the last frames.
pub(super) fn describe<W: Walk>(
    walk: &mut W,
    Size { divisor, blocks }: Size,
    frames: usize,
    input: &W::Map,
) -> Result<W::Map, W::Error> {
    let layer = |number: usize| Place::same(format!("features.{number}"));
    let mut clip = Clip { walk, frames };
    let [first, second, pools @ ..] = POOLS;
    let [stem, mut inputs] = [64, 192].map(|channels| channels / divisor);
    let maps = clip.separable(&layer(0), [3, stem], 7, 2, input)?;
    let maps = clip.pool(first, &maps);
    let maps = clip.pointwise(&layer(2), [stem, stem], &maps)?;
    let maps = clip.separable(&layer(3), [stem, inputs], 3, 1, &maps)?;
    let mut maps = clip.pool(second, &maps);
    for (stage, members) in BLOCKS.into_iter().enumerate() {
        for block in members.iter().take(blocks) {
            let block = block.divided(divisor);
            maps = clip.inception(&layer(block.number), &block, inputs, &maps)?;
            inputs = block.outputs();
        }
        if let Some(pool) = pools.get(stage) {
            maps = clip.pool(*pool, &maps);
        }
    }
    Ok(clip.walk.frame_average(clip.frames, &maps))
}

impl Inception {
    fn divided(&self, divisor: usize) -> Self {
        Self {
            number: self.number,
            pointwise: self.pointwise / divisor,
            separable: self
                .separable
                .map(|branch| branch.map(|channels| channels / divisor)),
            pooled: self.pooled / divisor,
        }
    }

    fn outputs(&self) -> usize {
        self.pointwise
            + self
                .separable
                .map(|[_, outputs]| outputs)
                .iter()
                .sum::<usize>()
            + self.pooled
    }
}

/// A walk over maps of so many frames.
struct Clip<'a, W> {
    walk: &'a mut W,
    frames: usize,
}

impl<W: Walk> Clip<'_, W> {
    fn inception(
        &mut self,
        place: &Place,
        block: &Inception,
        inputs: usize,
        maps: &W::Map,
    ) -> Result<W::Map, W::Error> {
        let part = |name: &str| place.within(name, name);
        let mut branches =
            vec![self.pointwise(&part("branch0"), [inputs, block.pointwise], maps)?];
        for (name, [between, outputs]) in ["branch1", "branch2"].into_iter().zip(block.separable) {
            let [first, second] = ["0", "1"].map(|member| part(&format!("{name}.{member}")));
            let narrow = self.pointwise(&first, [inputs, between], maps)?;
            branches.push(self.separable(&second, [between, outputs], 3, 1, &narrow)?);
        }
        let pooled = self.pool([[3, 3], [1, 1], [1, 1]], maps);
        branches.push(self.pointwise(&part("branch3.1"), [inputs, block.pooled], &pooled)?);
        Ok(self.walk.join(&branches))
    }

    fn pointwise(
        &mut self,
        place: &Place,
        channels: [usize; 2],
        maps: &W::Map,
    ) -> Result<W::Map, W::Error> {
        let config = ClipConvolutionConfig::pointwise(self.frames, channels, Activation::Relu);
        self.walk
            .clip_convolution(&normalised(place, config), maps, None)
    }

    /// A convolution within frames, and one along time.
    fn separable(
        &mut self,
        place: &Place,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        stride: usize,
        maps: &W::Map,
    ) -> Result<W::Map, W::Error> {
        let along_time = ClipConvolutionConfig {
            kernel: [kernel, 1],
            stride: [stride, 1],
            ..ClipConvolutionConfig::pointwise(self.frames, [outputs, outputs], Activation::Relu)
        };
        let within_frames = ClipConvolutionConfig {
            inputs,
            kernel: [1, kernel],
            stride: [1, stride],
            ..along_time
        };
        let [first, second] = ["0", "1"].map(|member| place.within(member, member));
        let mut first = normalised(&first, within_frames);
        if inputs == 3 {
            // Kinetics' classes.
            first = first.unused(&["classifier.1"]);
        }
        let maps = self.walk.clip_convolution(&first, maps, None)?;
        self.frames = along_time.output_frames();
        self.walk
            .clip_convolution(&normalised(&second, along_time), &maps, None)
    }

    fn pool(&mut self, [kernel, stride, padding]: [[usize; 2]; 3], maps: &W::Map) -> W::Map {
        let pool = ClipPool {
            frames: self.frames,
            kernel,
            stride,
            padding,
        };
        self.frames = pool.output_frames();
        self.walk.clip_max_pool(pool, maps)
    }
}

/// A convolution before a batch norm, the first and the second member of a part.
fn normalised(place: &Place, config: ClipConvolutionConfig) -> ClipConvolution {
    let convolution = place.clip_convolution(["0", "1"], config, EPSILON);
    convolution.momentum(MOMENTUM)
}
