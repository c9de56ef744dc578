//! What a network's description is told to: one call an operation, in the order in which they run.

use affectlens_cpu::Activation;

use super::arrangement::Arrangement;
use super::clip_layer::{ClipConvolution, ClipPool};
use super::layer::{ChannelNorm, Classifier, Convolution, LineSum, PositionTable};

/// Lists, reads, plans or carries out a network, depending on what a map is.
///
/// A description calls it for each operation with the maps that earlier operations gave.
pub trait Walk {
    /// A feature map, or what stands for one.
    type Map: Clone;
    /// Why an operation is refused.
    type Error;

    /// A convolution: dense 1x1 ones of stride one may have a gate and a shortcut, other dense ones a shortcut that is not
    /// pooled.
    ///
    /// # Errors
    ///
    /// If the layer's parameters do not fit.
    fn convolution_beside(
        &mut self,
        layer: &Convolution,
        input: &Self::Map,
        beside: Beside<'_, Self::Map>,
    ) -> Result<Self::Map, Self::Error>;

    /// A convolution that only convolves.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn convolution(
        &mut self,
        layer: &Convolution,
        input: &Self::Map,
    ) -> Result<Self::Map, Self::Error> {
        self.convolution_beside(layer, input, Beside::default())
    }

    /// Depthwise convolutions of several kernel sides, each on its part of the channels.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn mixed_depthwise(
        &mut self,
        layers: &[Convolution],
        input: &Self::Map,
    ) -> Result<Self::Map, Self::Error>;

    /// A depthwise and a pointwise convolution with nothing between them, so that the first bias may be brought through
    /// the second weight.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn separable(
        &mut self,
        depthwise: &Convolution,
        pointwise: &Convolution,
        input: &Self::Map,
        shortcut: Shortcut<'_, Self::Map>,
    ) -> Result<Self::Map, Self::Error>;

    /// Convolutions of one kernel over the same input. Of their outputs, split into `groups` parts, the first parts
    /// follow each other, then the second ones, and so on.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn stacked(
        &mut self,
        layers: &[Convolution],
        groups: usize,
        input: &Self::Map,
    ) -> Result<Self::Map, Self::Error>;

    /// Means of channels and two fully connected layers: the gate of a later convolution (Hu et al. 2018).
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn squeeze_excite(
        &mut self,
        reduce: &Convolution,
        excite: &Convolution,
        input: &Self::Map,
    ) -> Result<Self::Map, Self::Error>;

    /// Gates of rows and of columns for [`line_gate`](Self::line_gate) (Hou et al. 2021).
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn coordinate_attention(
        &mut self,
        layers: &CoordinateAttention,
        input: &Self::Map,
    ) -> Result<Self::Map, Self::Error>;

    /// Every pixel times the gates of its row and its column; with other gates the larger product counts.
    fn line_gate(
        &mut self,
        input: &Self::Map,
        gates: &Self::Map,
        others: Option<&Self::Map>,
    ) -> Self::Map;

    /// A layer norm.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn layer_norm(
        &mut self,
        norm: &ChannelNorm,
        input: &Self::Map,
    ) -> Result<Self::Map, Self::Error>;

    /// Largest pixel of each window; padding never wins.
    fn max_pool(&mut self, pool: MaxPool, input: &Self::Map) -> Self::Map;

    /// A depthwise convolution of stride two over a map twice as wide and high, whose 2x2 pixels are the four quarters of
    /// each pixel's channels (TensorFlow's depth to space), and a pointwise one with nothing between them: outputs are as
    /// many pixels as the input.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn unpacked_separable(
        &mut self,
        depthwise: &Convolution,
        pointwise: &Convolution,
        input: &Self::Map,
    ) -> Result<Self::Map, Self::Error>;

    /// Twice as many pixels along each side, bilinear between the centres of pixels and flat beyond them; then the
    /// activation, one that only clamps, and plus a map that is as large as the result.
    fn enlarge(
        &mut self,
        input: &Self::Map,
        activation: Activation,
        addend: &Self::Map,
    ) -> Self::Map;

    /// The sum of two maps of one size.
    fn add(&mut self, first: &Self::Map, second: &Self::Map) -> Self::Map;

    /// Mean of each channel over all pixels: a map of one pixel.
    fn average(&mut self, input: &Self::Map) -> Self::Map;

    /// A convolution over the channels of two maps after each other.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    #[cfg(not(target_family = "wasm"))]
    fn convolution_of_two(
        &mut self,
        layer: &Convolution,
        first: &Self::Map,
        second: &Self::Map,
    ) -> Result<Self::Map, Self::Error>;

    /// Pixels in rows by their place in square patches of that side: row `y * patch + x` has the pixels at row `y` and
    /// column `x` of all patches. A map whose sides are not whole patches is enlarged to whole ones first, bilinear between
    /// the centres of pixels.
    #[cfg(not(target_family = "wasm"))]
    fn unfold(&mut self, input: &Self::Map, patch: usize) -> Self::Map;

    /// Rows of [`unfold`](Self::unfold) as a map again, as large as `picture`.
    #[cfg(not(target_family = "wasm"))]
    fn fold(&mut self, input: &Self::Map, patch: usize, picture: &Self::Map) -> Self::Map;

    /// The pixels of a map in another order, and numbers added to them.
    fn arrange(&mut self, arrangement: &Arrangement, input: &Self::Map) -> Self::Map;

    /// Attention of every pixel to all of its row, and a map added.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn attention(
        &mut self,
        layers: &SelfAttention,
        input: &Self::Map,
        addend: &Self::Map,
    ) -> Result<Self::Map, Self::Error>;

    /// A convolution over a clip, and a map that is added before its activation.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn clip_convolution(
        &mut self,
        layer: &ClipConvolution,
        input: &Self::Map,
        shortcut: Option<&Self::Map>,
    ) -> Result<Self::Map, Self::Error>;

    /// Largest pixel of each window over some frames; padding never wins.
    fn clip_max_pool(&mut self, pool: ClipPool, input: &Self::Map) -> Self::Map;

    /// Mean of each channel over the pixels of each frame: a map of one column.
    fn frame_average(&mut self, frames: usize, input: &Self::Map) -> Self::Map;

    /// As many frames as wanted, `[frames, wanted]`, linear between the centres of frames and flat beyond them.
    fn interpolate_frames(&mut self, frames: [usize; 2], input: &Self::Map) -> Self::Map;

    /// The channels of maps of one size after each other.
    fn join(&mut self, inputs: &[Self::Map]) -> Self::Map;

    /// The channels of two maps of one pixel after each other.
    fn concatenate(&mut self, first: &Self::Map, second: &Self::Map) -> Self::Map;

    /// The classifier, where the weights have it.
    ///
    /// # Errors
    ///
    /// As [`convolution_beside`](Self::convolution_beside).
    fn classifier(
        &mut self,
        classifier: &Classifier,
        embedding: &Self::Map,
    ) -> Result<Option<Self::Map>, Self::Error>;
}

/// What a convolution takes beside its input.
#[derive(Debug)]
pub struct Beside<'a, M> {
    /// A map of one pixel that the input's channels are multiplied with.
    pub gate: Option<&'a M>,
    /// What is added before the activation.
    pub shortcut: Option<Shortcut<'a, M>>,
}

impl<M> Default for Beside<'_, M> {
    fn default() -> Self {
        Self {
            gate: None,
            shortcut: None,
        }
    }
}

impl<'a, M> Beside<'a, M> {
    /// A map of the output's size that is added before the activation, where there is one.
    pub(super) fn shortcut(map: Option<&'a M>) -> Self {
        let pooled = false;
        Self {
            gate: None,
            shortcut: map.map(|map| Shortcut { map, pooled }),
        }
    }
}

/// A map that is added before the activation. Channels that it does not have count as zero.
#[derive(Debug)]
pub struct Shortcut<'a, M> {
    /// As large as the output, or with [`pooled`](Self::pooled) twice as large.
    pub map: &'a M,
    /// Whether the largest of each 2x2 pixels is added.
    pub pooled: bool,
}

/// The layers of a coordinate attention.
#[derive(Clone, Debug, PartialEq)]
pub struct CoordinateAttention {
    /// How rows and how columns are summed up; none for means.
    pub sums: Option<[LineSum; 2]>,
    /// Over sums of rows and of columns.
    pub reduce: Convolution,
    /// Gates of rows.
    pub rows: Convolution,
    /// Gates of columns.
    pub columns: Convolution,
}

/// The layers of an attention (Vaswani et al. 2017).
#[derive(Clone, Debug, PartialEq)]
pub struct SelfAttention {
    /// Queries, keys and values after each other, in each of them the heads after each other: one layer, or one for each.
    pub all: Vec<Convolution>,
    /// Of what the heads give.
    pub output: Convolution,
    /// Heads.
    pub heads: usize,
    /// What is added to scores.
    pub bias: Option<PositionBias>,
}

/// What attention adds to its scores by how the pixels of a row lie to each other.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionBias {
    /// Numbers that are added.
    pub table: PositionTable,
    /// A number for each pixel of a row: the row of the table for a query and a key is the query's number, less the key's, plus
    /// half of how many rows there are.
    pub codes: Vec<u32>,
    /// The region of each pixel of all rows; pixels of different regions do not see each other. Empty where all do.
    pub regions: Vec<u32>,
}

/// Window of a pooling with PyTorch's padding, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Side of the square window.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// On every side.
    pub padding: usize,
}
