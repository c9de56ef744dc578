use alloc::vec::Vec;

use super::{Clip, LineSums, Map, Sequence, Weighted, Window};
use crate::Activation;

/// A map that is added before the activation. Channels that it does not have count as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortcut {
    /// Map as large as the output, or with [`pooled`](Self::pooled) twice as large.
    pub map: Map,
    /// Whether the largest of each 2x2 pixels is added.
    pub pooled: bool,
}

/// One operation of a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A convolution in which every output channel sees every input channel.
    Convolution {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// Pixels that the kernel reads.
        window: Window,
        /// `[kernel, kernel, inputs, outputs]`
        weighted: Weighted,
        /// Map as large as the output that is added before the activation.
        shortcut: Option<Map>,
    },
    /// A convolution of each channel on its own, or in groups of two neighbours.
    Depthwise {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// Pixels that the kernel reads.
        window: Window,
        /// Channels of a group: one or two.
        group: usize,
        /// `[kernel, kernel, group, channels]`
        weighted: Weighted,
    },
    /// A 1x1 convolution of stride one; on a map of one pixel, a fully connected layer.
    Pointwise {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// `[inputs, outputs]`
        weighted: Weighted,
        /// Map of one pixel that the input's channels are multiplied with.
        gate: Option<Map>,
        /// Map that is added before the activation.
        shortcut: Option<Shortcut>,
    },
    /// The mean of each channel and two fully connected layers: the gate of a later pointwise convolution (Hu et al.
    /// 2018).
    SqueezeExcite {
        /// Map that is read.
        input: Map,
        /// Map that is written; one pixel.
        output: Map,
        /// `[channels, squeezed]`
        reduce: Weighted,
        /// `[squeezed, channels]`
        excite: Weighted,
    },
    /// The mean or weighted sum of each row and each column, a fully connected layer, and another one for rows or for
    /// columns: gates of a later [`Step::LineGate`] (coordinate attention, Hou et al. 2021).
    CoordinateAttention {
        /// Map that is read.
        input: Map,
        /// Map that is written: `[height + width, 1, channels]`, rows first.
        output: Map,
        /// Weights of the sums; without them, means.
        sums: Option<LineSums>,
        /// `[channels, squeezed]`
        reduce: Weighted,
        /// `[squeezed, channels]`, with a sigmoid.
        rows: Weighted,
        /// `[squeezed, channels]`, with a sigmoid.
        columns: Weighted,
    },
    /// Every pixel times the gate of its row and the gate of its column.
    LineGate {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// Map that a [`Step::CoordinateAttention`] wrote.
        gates: Map,
        /// Another such map; then the larger of both products counts.
        others: Option<Map>,
    },
    /// The mean of each channel over all pixels.
    Average {
        /// Map that is read.
        input: Map,
        /// Map that is written; one pixel.
        output: Map,
    },
    /// The largest pixel of each window; padding never wins.
    MaxPool {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// Pixels that are compared.
        window: Window,
    },
    /// Twice as many pixels along each side, bilinear between the centres of pixels and flat beyond them, then an
    /// activation, and another map added to what that gives.
    Enlarge {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// What follows the enlargement: one that only clamps.
        activation: Activation,
        /// Map as large as the output that is added.
        addend: Map,
    },
    /// Layer normalisation of each pixel's channels: `(x - mean) / sqrt(variance + epsilon) * scale + bias`.
    LayerNorm {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// One factor per channel.
        scale: Vec<f32>,
        /// One bias per channel.
        bias: Vec<f32>,
        /// Number that is added to the variance.
        epsilon: f32,
    },
    /// An operation over pixels in their order.
    Sequence(Sequence),
    /// An operation over the frames of a clip.
    Clip(Clip),
}

impl Step {
    /// The map that the step writes.
    pub fn output(&self) -> Map {
        match self {
            Self::Convolution { output, .. }
            | Self::Depthwise { output, .. }
            | Self::Pointwise { output, .. }
            | Self::SqueezeExcite { output, .. }
            | Self::CoordinateAttention { output, .. }
            | Self::LineGate { output, .. }
            | Self::Average { output, .. }
            | Self::MaxPool { output, .. }
            | Self::Enlarge { output, .. }
            | Self::LayerNorm { output, .. } => *output,
            Self::Sequence(sequence) => sequence.output(),
            Self::Clip(clip) => clip.output(),
        }
    }

    /// The maps that the step reads.
    pub fn inputs(&self) -> Vec<Map> {
        let (input, others) = match *self {
            Self::Clip(ref clip) => return clip.inputs(),
            Self::Sequence(ref sequence) => {
                let (input, addend) = sequence.inputs();
                (input, [addend, None])
            }
            Self::Convolution {
                input, shortcut, ..
            } => (input, [shortcut, None]),
            Self::Pointwise {
                input,
                gate,
                shortcut,
                ..
            } => (input, [gate, shortcut.map(|shortcut| shortcut.map)]),
            Self::LineGate {
                input,
                gates,
                others,
                ..
            } => (input, [Some(gates), others]),
            Self::Enlarge { input, addend, .. } => (input, [Some(addend), None]),
            Self::Depthwise { input, .. }
            | Self::SqueezeExcite { input, .. }
            | Self::CoordinateAttention { input, .. }
            | Self::Average { input, .. }
            | Self::MaxPool { input, .. }
            | Self::LayerNorm { input, .. } => (input, [None, None]),
        };
        [Some(input)].into_iter().chain(others).flatten().collect()
    }
}
