//! BlazeFace, full range: the face detector for faces within about five metres of the camera.
//!
//! In the form that MediaPipe publishes with sparse weights: double blocks (depthwise 3x3, pointwise to a quarter of the
//! channels, depthwise 3x3, pointwise back, shortcut) from 96 pixels of side to 6, a feature pyramid back up to 48 (Lin et
//! al., "Feature Pyramid Networks for Object Detection", 2017), and heads on it alone.

use affectlens_cpu::Activation;

use super::layer::{Convolution, ConvolutionConfig, Padding, Place};
use super::walk::{Beside, Walk};
use crate::metadata::Normalisation;

/// Name of the architecture in a weights file.
pub const NAME: &str = "blazeface-full-range";

/// Side of the square input, pixels.
pub const INPUT_SIDE: u32 = 192;

/// Pixels to `[-1, 1]`.
pub const NORMALISATION: Normalisation = super::normalisation::HALF;

/// Numbers of an anchor's box: 4 of the box, 2 for each of 6 keypoints.
pub const BOX_VALUES: usize = 16;

/// Cells along each side, with one anchor each.
pub const CELLS: usize = 48;

/// Anchors.
pub const ANCHORS: usize = CELLS * CELLS;

/// Cells along each side of a pixel of the heads' output: the anchors of `PATCH * PATCH` neighbouring cells stand side by
/// side there.
pub const PATCH: usize = 2;

const STEM_CHANNELS: usize = 32;

/// The stages: channels between blocks, channels inside of them, blocks. All but the first halve the side.
const STAGES: [(usize, usize, usize); 5] = [
    (32, 8, 2),
    (64, 16, 3),
    (128, 32, 3),
    (192, 48, 3),
    (384, 96, 4),
];

/// The pyramid from the smallest maps up: stage whose maps join it, channels between blocks, channels inside of them,
/// blocks.
const PYRAMID: [(usize, usize, usize, usize); 3] = [(3, 96, 48, 2), (2, 64, 32, 2), (1, 48, 24, 1)];

/// Walks the network; gives the boxes of all anchors (centre x, centre y, width, height and six keypoints x, y, all in
/// input pixels and but for the size relative to the anchor), then the logits of all their scores. Anchors run over the
/// patches of cells row by row, and over the cells of each patch row by row.
pub(super) fn describe<W: Walk>(walk: &mut W, input: &W::Map) -> Result<Vec<W::Map>, W::Error> {
    let stem = ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Relu);
    let stem = Place::default().convolution("stem", stem.padded(Padding::Half));
    let mut maps = walk.convolution(&stem, input)?;
    let mut before = STEM_CHANNELS;
    let mut joining = Vec::with_capacity(PYRAMID.len());
    for (stage, (channels, inside, blocks)) in STAGES.into_iter().enumerate() {
        for index in 0..blocks {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let block = Place::same(format!("stages.{stage}.{index}"));
            maps = describe_block(walk, &block, [before, inside, channels], stride, &maps)?;
            before = channels;
        }
        if let Some(level) = PYRAMID.iter().position(|&(joins, ..)| joins == stage) {
            let config = ConvolutionConfig::pointwise(channels, PYRAMID[level].1, Activation::Relu);
            let lateral = Place::same(format!("pyramid.{level}")).convolution("lateral", config);
            joining.push(walk.convolution(&lateral, &maps)?);
        }
    }
    for (level, (_, channels, inside, blocks)) in PYRAMID.into_iter().enumerate() {
        let place = Place::same(format!("pyramid.{level}"));
        let reduce = ConvolutionConfig::pointwise(before, channels, Activation::Relu);
        let reduced = walk.convolution(&place.convolution("reduce", reduce), &maps)?;
        let joined = &joining[PYRAMID.len() - 1 - level];
        maps = walk.enlarge(&reduced, Activation::Identity, joined);
        for index in 0..blocks {
            let block = place.within(&index.to_string(), &index.to_string());
            maps = describe_block(walk, &block, [channels, inside, channels], 1, &maps)?;
        }
        before = channels;
    }
    let scores = describe_head(walk, "scores", before, 1, &maps)?;
    let boxes = describe_head(walk, "boxes", before, BOX_VALUES, &maps)?;
    Ok(vec![boxes, scores])
}

/// A double block; without a shortcut where the size changes.
fn describe_block<W: Walk>(
    walk: &mut W,
    block: &Place,
    [before, inside, after]: [usize; 3],
    stride: usize,
    input: &W::Map,
) -> Result<W::Map, W::Error> {
    let reduce = ConvolutionConfig::pointwise(before, inside, Activation::Relu);
    let expand = ConvolutionConfig::pointwise(inside, after, Activation::Relu);
    let maps = walk.convolution(&depthwise(block, "first", before, stride), input)?;
    let maps = walk.convolution(&block.convolution("reduce", reduce), &maps)?;
    let maps = walk.convolution(&depthwise(block, "second", inside, 1), &maps)?;
    let beside = Beside::shortcut((stride == 1).then_some(input));
    walk.convolution_beside(&block.convolution("expand", expand), &maps, beside)
}

/// A value of every anchor of a patch, from the four pixels that it covers and those around them.
fn describe_head<W: Walk>(
    walk: &mut W,
    name: &str,
    channels: usize,
    values: usize,
    maps: &W::Map,
) -> Result<W::Map, W::Error> {
    let head = Place::same(name);
    let outputs = PATCH * PATCH * values;
    let pointwise = ConvolutionConfig::pointwise(channels, outputs, Activation::Identity);
    let maps = walk.convolution(&head.convolution("pointwise", pointwise), maps)?;
    walk.convolution(&depthwise(&head, "depthwise", outputs, PATCH), &maps)
}

fn depthwise(place: &Place, name: &str, channels: usize, stride: usize) -> Convolution {
    let config = ConvolutionConfig::depthwise(channels, 3, stride, Activation::Identity);
    place.convolution(name, config.padded(Padding::Half))
}
