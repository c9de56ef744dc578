//! The trunk that both networks have.

use affectlens_cpu::Activation;

use crate::architecture::layer::{Convolution, ConvolutionConfig, Padding, Place};
use crate::architecture::walk::{Beside, Walk};

/// Channels of the stem.
pub(super) const STEM_CHANNELS: usize = 24;

/// An inverted residual: 1x1 to `hidden` channels, depthwise, 1x1 to `outputs`. There is a shortcut where the size stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    hidden: usize,
    kernel: usize,
    stride: usize,
    outputs: usize,
}

/// A row of a table of blocks.
pub(super) const fn block(hidden: usize, kernel: usize, stride: usize, outputs: usize) -> Block {
    Block {
        hidden,
        kernel,
        stride,
        outputs,
    }
}

/// Sizes of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trunk {
    /// Channels that the first block, which has no `hidden` ones, gives.
    pub(super) first: usize,
    /// The others.
    pub(super) blocks: &'static [Block],
    /// Channels of the last map, which is not brought back to fewer.
    pub(super) last: usize,
}

impl Trunk {
    /// Channels that the block of that place takes.
    pub(super) fn inputs(&self, place: usize) -> usize {
        match place.checked_sub(1) {
            Some(before) => self.blocks[before].outputs,
            None => self.first,
        }
    }

    /// Walks the trunk; gives the last map, a thirty-second of the input's side.
    ///
    /// Before a map is halved `side_branch` is told: how often that has happened so far (after the stem), the map, and its
    /// channels.
    pub(super) fn describe<W: Walk>(
        &self,
        walk: &mut W,
        input: &W::Map,
        mut side_branch: impl FnMut(&mut W, usize, &W::Map, usize) -> Result<(), W::Error>,
    ) -> Result<W::Map, W::Error> {
        let place = Place::default();
        let stem = ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Relu6);
        let stem = place.convolution("stem", stem.padded(Padding::Half));
        let maps = walk.convolution(&stem, input)?;
        let maps = walk.convolution(
            &depthwise(&place, "first.depthwise", STEM_CHANNELS, 3, 1),
            &maps,
        )?;
        let project = pointwise(&place, "first.project", STEM_CHANNELS, self.first, false);
        let mut maps = walk.convolution(&project, &maps)?;
        let mut halvings = 0;
        for (index, block) in self.blocks.iter().enumerate() {
            let place = Place::same(format!("blocks.{index}"));
            let inputs = self.inputs(index);
            let expand = pointwise(&place, "expand", inputs, block.hidden, true);
            let hidden = walk.convolution(&expand, &maps)?;
            if block.stride > 1 {
                side_branch(walk, halvings, &maps, inputs)?;
                halvings += 1;
            }
            let Block { kernel, stride, .. } = *block;
            let layer = depthwise(&place, "depthwise", block.hidden, kernel, stride);
            let hidden = walk.convolution(&layer, &hidden)?;
            let project = pointwise(&place, "project", block.hidden, block.outputs, false);
            let stays = stride == 1 && inputs == block.outputs;
            let beside = Beside::shortcut(stays.then_some(&maps));
            maps = walk.convolution_beside(&project, &hidden, beside)?;
        }
        let inputs = self.inputs(self.blocks.len());
        let expand = pointwise(&place, "last.expand", inputs, self.last, true);
        let maps = walk.convolution(&expand, &maps)?;
        walk.convolution(&depthwise(&place, "last.depthwise", self.last, 3, 1), &maps)
    }
}

/// A depthwise convolution, padded by half its kernel and clamped from 0 to 6.
pub(super) fn depthwise(
    place: &Place,
    name: &str,
    channels: usize,
    kernel: usize,
    stride: usize,
) -> Convolution {
    let config = ConvolutionConfig::depthwise(channels, kernel, stride, Activation::Relu6);
    place.convolution(name, config.padded(Padding::Half))
}

/// A 1x1 convolution, clamped from 0 to 6 or as it is.
pub(super) fn pointwise(
    place: &Place,
    name: &str,
    inputs: usize,
    outputs: usize,
    is_clamped: bool,
) -> Convolution {
    let activation = match is_clamped {
        true => Activation::Relu6,
        false => Activation::Identity,
    };
    place.convolution(
        name,
        ConvolutionConfig::pointwise(inputs, outputs, activation),
    )
}
