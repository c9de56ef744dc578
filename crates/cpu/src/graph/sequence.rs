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
            Self::GroupedConvolution { .. } | Self::Attention { .. }
        )
    }
}
