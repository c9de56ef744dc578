//! MediaPipe's face mesh with irises (`face_landmarks_detector.tflite`): a face to 478 points.
//!
//! Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019, in the form that
//! MediaPipe publishes with its face landmarker: one trunk of bottleneck blocks with PReLU (1x1 to half the channels,
//! depthwise 3x3, 1x1 back, shortcut), from 128 pixels of side to 2, and a head a kind of output. The published third
//! output, a tongue that is out, is left away.

use affectlens_cpu::Activation;

use super::layer::{Convolution, ConvolutionConfig, Padding, Place};
use super::walk::{Beside, Shortcut, Walk};
use crate::metadata::Normalisation;

/// Name of the architecture in a weights file.
pub const NAME: &str = "face-mesh";

/// Side of the square input, pixels.
pub const INPUT_SIDE: u32 = 256;

/// Pixels to `[0, 1]`.
pub const NORMALISATION: Normalisation = Normalisation {
    mean: [0.0; 3],
    std: [255.0; 3],
};

/// Landmarks of a face.
pub const POINTS: usize = 478;

/// Numbers that the network gives for a face: x, y, z of each landmark in input pixels, then the logit of presence.
pub const VALUES: usize = 3 * POINTS + 1;

const STEM_CHANNELS: usize = 16;

/// The stages: channels inside the blocks, channels between them, blocks, stride of the first block.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (8, 16, 4, 1),
    (16, 32, 5, 2),
    (32, 64, 5, 2),
    (64, 128, 5, 2),
    (64, 128, 5, 2),
    (64, 128, 5, 2),
    (64, 128, 5, 2),
];

/// Side of the trunk's output and of the heads' kernels, pixels.
const LAST_SIDE: usize = 2;
const LAST_CHANNELS: usize = STAGES[6].1;

/// Walks the network; gives x, y, z of each landmark in input pixels, then the logit of presence.
pub(super) fn describe<W: Walk>(walk: &mut W, input: &W::Map) -> Result<Vec<W::Map>, W::Error> {
    let stem = ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Prelu);
    let mut maps = walk.convolution(&Place::default().convolution("stem", stem), input)?;
    let mut before = STEM_CHANNELS;
    let mut count = 0;
    for (inside, after, blocks, first_stride) in STAGES {
        for index in 0..blocks {
            let stride = if index == 0 { first_stride } else { 1 };
            let block = Place::same(format!("blocks.{count}"));
            maps = describe_block(walk, &block, [before, inside, after], stride, maps)?;
            before = after;
            count += 1;
        }
    }
    let heads = [head("landmarks", 3 * POINTS), head("presence", 1)];
    Ok(vec![walk.stacked(&heads, 1, &maps)?])
}

fn describe_block<W: Walk>(
    walk: &mut W,
    block: &Place,
    [before, inside, after]: [usize; 3],
    stride: usize,
    input: W::Map,
) -> Result<W::Map, W::Error> {
    // The kernel of the first convolution is as large as its stride.
    let reduce = ConvolutionConfig::dense(before, inside, stride, stride, Activation::Prelu);
    let depthwise = ConvolutionConfig::depthwise(inside, 3, 1, Activation::Identity);
    let expand = ConvolutionConfig::pointwise(inside, after, Activation::Prelu);
    let maps = walk.convolution(&block.convolution("reduce", reduce), &input)?;
    let maps = walk.convolution(&block.convolution("depthwise", depthwise), &maps)?;
    let shortcut = Shortcut {
        map: &input,
        pooled: stride > 1,
    };
    let beside = Beside {
        gate: None,
        shortcut: Some(shortcut),
    };
    walk.convolution_beside(&block.convolution("expand", expand), &maps, beside)
}

/// A convolution over the whole last map.
pub(crate) fn head(name: &str, outputs: usize) -> Convolution {
    let (channels, side) = (LAST_CHANNELS, LAST_SIDE);
    let config = ConvolutionConfig::dense(channels, outputs, side, 1, Activation::Identity);
    Place::default().convolution(name, config.padded(Padding::None))
}
