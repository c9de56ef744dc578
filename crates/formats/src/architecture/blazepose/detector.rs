//! BlazePose's detector (`pose_detection.tflite`): people, each by a box about the face and four key points.
//!
//! The trunk and a pyramid of two levels over it (Lin et al., "Feature Pyramid Networks for Object Detection", 2017). The
//! heads read maps of twice the side, into which the channels of the trunk's and the pyramid's maps are laid out (depth
//! to space), and halve them again.

use affectlens_cpu::Activation;

use super::trunk::{Trunk, block, pointwise};
use crate::architecture::layer::{Convolution, ConvolutionConfig, Padding, Place};
use crate::architecture::walk::{Shortcut, Walk};
use crate::metadata::Normalisation;

/// Name of the architecture in a weights file.
pub const NAME: &str = "pose-detector";

/// Side of the square input, pixels.
pub const INPUT_SIDE: u32 = 224;

/// Pixels to `[-1, 1]`.
pub const NORMALISATION: Normalisation = crate::architecture::normalisation::HALF;

/// Key points of a person: middle of the hips, a point on the circle around the whole body above it, and the same two for
/// the upper body.
pub const KEYPOINTS: usize = 4;

/// Numbers of an anchor's box: 4 of the box, 2 for each key point.
pub const BOX_VALUES: usize = 4 + 2 * KEYPOINTS;

/// The grids of anchors: cells along each side, anchors in each cell.
pub const GRIDS: [(usize, usize); 3] = [(28, 2), (14, 2), (7, 6)];

/// Anchors of all grids.
pub const ANCHORS: usize = {
    let mut anchors = 0;
    let mut grid = 0;
    while grid < GRIDS.len() {
        let (cells, each) = GRIDS[grid];
        anchors += cells * cells * each;
        grid += 1;
    }
    anchors
};

const TRUNK: Trunk = Trunk {
    first: 16,
    blocks: &[
        block(64, 3, 2, 24),
        block(144, 3, 1, 24),
        block(144, 5, 2, 40),
        block(240, 5, 1, 40),
        block(240, 3, 2, 80),
        block(480, 3, 1, 80),
        block(480, 3, 1, 80),
        block(480, 5, 1, 112),
        block(672, 5, 1, 112),
        block(672, 5, 1, 112),
        block(672, 5, 2, 192),
        block(1152, 5, 1, 192),
        block(1152, 5, 1, 192),
        block(1152, 5, 1, 192),
    ],
    last: 1152,
};

/// The pyramid from the smallest maps up: which halving of the trunk takes the map that joins it, channels.
const PYRAMID: [(usize, usize); 2] = [(3, 192), (2, 96)];
/// Residual blocks of a level.
const LEVEL_BLOCKS: usize = 2;

/// Walks the network; gives the boxes of each grid, those of one anchor side by side (centre x, centre y, width, height
/// and four key points x, y, all in input pixels and but for the size relative to the anchor), then the logits of the
/// scores of each grid. Anchors run over the cells row by row.
pub(in crate::architecture) fn describe<W: Walk>(
    walk: &mut W,
    input: &W::Map,
) -> Result<Vec<W::Map>, W::Error> {
    let mut joining = Vec::with_capacity(PYRAMID.len());
    let last = TRUNK.describe(walk, input, |walk, halvings, maps, inputs| {
        let Some(level) = PYRAMID.iter().position(|&(at, _)| at == halvings) else {
            return Ok(());
        };
        let place = Place::same(format!("pyramid.{level}.lateral"));
        let maps = walk.convolution(&plain_depthwise(&place, "depthwise", inputs, 1), maps)?;
        let outputs = PYRAMID[level].1;
        joining.push(walk.convolution(
            &pointwise(&place, "pointwise", inputs, outputs, true),
            &maps,
        )?);
        Ok(())
    })?;
    // The trunk comes to the larger map first.
    joining.reverse();
    let mut levels = vec![(last, TRUNK.last)];
    for (level, (joined, (_, channels))) in joining.iter().zip(PYRAMID).enumerate() {
        let (above, inputs) = &levels[level];
        let place = Place::same(format!("pyramid.{level}"));
        // The published graph enlarges before it convolves and clamps: the same in another order, at a quarter of the cost.
        let reduced = walk.convolution(
            &pointwise(&place, "reduce", *inputs, channels, false),
            above,
        )?;
        let mut maps = walk.enlarge(&reduced, Activation::Relu6, joined);
        for block in 0..LEVEL_BLOCKS {
            let place = place.within(&block.to_string(), &block.to_string());
            let shortcut = Shortcut {
                map: &maps,
                pooled: false,
            };
            maps = walk.separable(
                &plain_depthwise(&place, "depthwise", channels, 1),
                &pointwise(&place, "pointwise", channels, channels, true),
                &maps,
                shortcut,
            )?;
        }
        levels.push((maps, channels));
    }
    // The finest grid first.
    let (mut boxes, mut scores) = (Vec::new(), Vec::new());
    for (grid, (maps, channels)) in levels.iter().rev().enumerate() {
        let (_, anchors) = GRIDS[grid];
        for (name, values, outputs) in [
            ("scores", 1, &mut scores),
            ("boxes", BOX_VALUES, &mut boxes),
        ] {
            let place = Place::same(format!("heads.{grid}.{name}"));
            let unpacked = channels / 4;
            outputs.push(walk.unpacked_separable(
                &plain_depthwise(&place, "depthwise", unpacked, 2),
                &pointwise(&place, "pointwise", unpacked, anchors * values, false),
                maps,
            )?);
        }
    }
    Ok(boxes.into_iter().chain(scores).collect())
}

/// A depthwise convolution without an activation.
fn plain_depthwise(place: &Place, name: &str, channels: usize, stride: usize) -> Convolution {
    let config = ConvolutionConfig::depthwise(channels, 3, stride, Activation::Identity);
    place.convolution(name, config.padded(Padding::Half))
}
