//! BlazeFace, short range: the face detector for faces within about two metres of the camera.
//!
//! Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019, in the form
//! that MediaPipe publishes: 16 single blocks (depthwise 3x3, pointwise, shortcut) and two heads.

use affectlens_cpu::Activation;

use super::layer::{ConvolutionConfig, Place};
use super::walk::{Shortcut, Walk};
use crate::metadata::Normalisation;

/// Name of the architecture in a weights file.
pub const NAME: &str = "blazeface-short-range";

/// Side of the square input, pixels.
pub const INPUT_SIDE: u32 = 128;

/// Pixels to `[-1, 1]`.
pub const NORMALISATION: Normalisation = super::normalisation::HALF;

/// Numbers that the network gives for each anchor: 4 of the box, 2 for each of 6 keypoints, 1 score.
pub const ANCHOR_VALUES: usize = BOX_VALUES + 1;
const BOX_VALUES: usize = 16;

const STEM_CHANNELS: usize = 24;

/// The blocks: channels in, channels out, stride.
const BLOCKS: [(usize, usize, usize); 16] = [
    (24, 24, 1),
    (24, 28, 1),
    (28, 32, 2),
    (32, 36, 1),
    (36, 42, 1),
    (42, 48, 2),
    (48, 56, 1),
    (56, 64, 1),
    (64, 72, 1),
    (72, 80, 1),
    (80, 88, 1),
    (88, 96, 2),
    (96, 96, 1),
    (96, 96, 1),
    (96, 96, 1),
    (96, 96, 1),
];

/// The heads: blocks before it, channels there, cells along each side, anchors in each cell.
pub const HEADS: [(usize, usize, usize, usize); 2] = [(11, 88, 16, 2), (16, 96, 8, 6)];

/// Anchors of both heads.
pub const ANCHORS: usize =
    HEADS[0].2 * HEADS[0].2 * HEADS[0].3 + HEADS[1].2 * HEADS[1].2 * HEADS[1].3;

/// Walks the network; gives the values of the anchors of each head, those of one anchor side by side: centre x, centre y,
/// width, height and six keypoints x, y, all in input pixels and but for the size relative to the anchor, last the
/// score's logit.
pub(super) fn describe<W: Walk>(walk: &mut W, input: &W::Map) -> Result<Vec<W::Map>, W::Error> {
    let stem = ConvolutionConfig::dense(3, STEM_CHANNELS, 5, 2, Activation::Relu);
    let mut maps = walk.convolution(&Place::default().convolution("stem", stem), input)?;
    let mut outputs = Vec::with_capacity(HEADS.len());
    for (index, (inputs, channels, stride)) in BLOCKS.into_iter().enumerate() {
        let block = Place::same(format!("blocks.{index}"));
        let depthwise = ConvolutionConfig::depthwise(inputs, 3, stride, Activation::Identity);
        let pointwise = ConvolutionConfig::pointwise(inputs, channels, Activation::Relu);
        let shortcut = Shortcut {
            map: &maps,
            pooled: stride > 1,
        };
        maps = walk.separable(
            &block.convolution("depthwise", depthwise),
            &block.convolution("pointwise", pointwise),
            &maps,
            shortcut,
        )?;
        let head = HEADS.iter().position(|&(blocks, ..)| blocks == index + 1);
        if let Some(head) = head {
            outputs.push(describe_head(walk, head, &maps)?);
        }
    }
    Ok(outputs)
}

fn describe_head<W: Walk>(walk: &mut W, index: usize, maps: &W::Map) -> Result<W::Map, W::Error> {
    let (_, channels, _, anchors) = HEADS[index];
    let head = Place::same(format!("heads.{index}"));
    let part = |name: &str, values: usize| {
        let outputs = anchors * values;
        let config = ConvolutionConfig::pointwise(channels, outputs, Activation::Identity);
        head.convolution(name, config)
    };
    walk.stacked(
        &[part("boxes", BOX_VALUES), part("scores", 1)],
        anchors,
        maps,
    )
}
