use alloc::vec::Vec;

use super::{Map, Weighted};

/// An operation over the pixels of a map in their order: sound in time, patches of a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Sequence {
    /// A convolution along a map of one row, without padding, in which every output channel sees every input channel.
    Convolution {
        /// Map of one row that is read.
        input: Map,
        /// Map of one row that is written.
        output: Map,
        /// Neighbouring pixels that an output sees.
        kernel: usize,
        /// Step between outputs, pixels.
        stride: usize,
        /// `[kernel, inputs, outputs]`
        weighted: Weighted,
    },
    /// A convolution of stride one along a map of one row, with zeros around it. Outputs of a group see inputs of the same
    /// group.
    GroupedConvolution {
        /// Map of one row that is read.
        input: Map,
        /// Map of one row that is written, as long as the input.
        output: Map,
        /// Neighbouring pixels that an output sees.
        kernel: usize,
        /// Pixels that an output sees before its own place.
        padding: usize,
        /// Groups that the channels of both maps are divided into.
        groups: usize,
        /// `[groups, kernel, inputs of a group, outputs of a group]`
        weighted: Weighted,
        /// Map as large as the output that is added after the activation.
        addend: Option<Map>,
    },
    /// Attention of every pixel to all of its row: `softmax(queries x keys / sqrt(length)) x values`, each head on its own
    /// part of the channels (Vaswani et al. 2017).
    Attention {
        /// Map that is read: queries, keys and values after each other, in each of them the heads after each other.
        input: Map,
        /// Map that is written: the heads after each other.
        output: Map,
        /// Heads.
        heads: usize,
        /// What is added to the scores before softmax.
        bias: Option<ScoreBias>,
    },
    /// The pixels of a map in another order, and numbers added to them.
    Arrange {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// For each pixel that is written, row by row, the number of the one that is read; none for zeros.
        places: Vec<Option<u32>>,
        /// What is added, `[pixels, channels]`; empty for nothing.
        addend: Vec<f32>,
    },
    /// Pixels in rows by their place in square patches that do not overlap, for attention between patches (MobileViT, Mehta
    /// and Rastegari 2021). Row `y * patch + x` has the pixels at column `x` and row `y` of all patches, in the order of the
    /// patches. A map whose sides are not whole patches is enlarged to whole ones on the way, bilinear between the centres of
    /// pixels.
    Unfold {
        /// Map that is read.
        input: Map,
        /// Map that is written: `[patch * patch, patches, channels]`.
        output: Map,
        /// Side of a patch, pixels.
        patch: usize,
    },
    /// The picture that [`Unfold`](Self::Unfold) brought into rows, as large as it was.
    Fold {
        /// Map that is read: `[patch * patch, patches, channels]`.
        input: Map,
        /// Map that is written.
        output: Map,
        /// Side of a patch, pixels.
        patch: usize,
    },
    /// Channels as pixels of one row, and pixels as channels: what mixes channels then mixes pixels.
    Transpose {
        /// Map that is read.
        input: Map,
        /// Map that is written: `[1, channels, pixels]`.
        output: Map,
    },
}

impl Sequence {
    /// The map that the operation writes.
    pub fn output(&self) -> Map {
        match self {
            Self::Convolution { output, .. }
            | Self::GroupedConvolution { output, .. }
            | Self::Attention { output, .. }
            | Self::Arrange { output, .. }
            | Self::Unfold { output, .. }
            | Self::Fold { output, .. }
            | Self::Transpose { output, .. } => *output,
        }
    }

    /// The maps that the operation reads: its input, and what is added.
    pub(super) fn inputs(&self) -> (Map, Option<Map>) {
        match self {
            Self::Convolution { input, .. }
            | Self::Attention { input, .. }
            | Self::Arrange { input, .. }
            | Self::Unfold { input, .. }
            | Self::Fold { input, .. }
            | Self::Transpose { input, .. } => (*input, None),
            Self::GroupedConvolution { input, addend, .. } => (*input, *addend),
        }
    }

    /// Whether the output is a row with as many pixels as the input.
    pub(super) fn keeps_length(&self) -> bool {
        matches!(
            self,
            Self::GroupedConvolution { .. } | Self::Attention { bias: None, .. }
        )
    }
}

/// What attention adds to its scores by how the pixels of a row lie to each other (Liu et al., "Swin Transformer", 2021).
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreBias {
    /// `[places, heads]`
    pub table: Vec<f32>,
    /// A number for each pixel of a row. The place of a query and a key in the table is the query's number, less the key's,
    /// plus half of how many places there are.
    pub codes: Vec<u32>,
    /// The region of each pixel of all rows. [`APART`](Self::APART) is added to scores between different regions. Empty where
    /// there is one region.
    pub regions: Vec<u32>,
}

impl ScoreBias {
    /// What is added to scores between regions, as published: so little is left of them that it does not count.
    pub const APART: f32 = crate::packed::APART;

    /// Places of the table.
    pub fn places(&self, heads: usize) -> usize {
        self.table.len() / heads
    }

    /// Panics where it does not fit to attention of so many heads over such a map.
    #[track_caller]
    pub(super) fn check(&self, heads: usize, [height, width]: [usize; 2]) {
        let places = self.places(heads);
        let largest = self.codes.iter().max().map_or(0, |code| *code as usize);
        assert!(
            self.table.len() == places * heads && places % 2 == 1 && largest <= places / 2,
            "a table of {} numbers does not fit to {heads} heads and codes up to {largest}",
            self.table.len()
        );
        super::expect("codes", &[width], &[self.codes.len()]);
        if !self.regions.is_empty() {
            super::expect("regions", &[height * width], &[self.regions.len()]);
        }
    }

    /// The table of a head.
    pub fn of_head(&self, head: usize, heads: usize) -> impl Iterator<Item = f32> {
        self.table.iter().skip(head).step_by(heads).copied()
    }
}
