//! Operations as they lie in memory: words without pointers, so that threads and wasm instances can share them.

use crate::activation::Activation;

/// The loop of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[cfg_attr(
    not(feature = "std"),
    expect(dead_code, reason = "steps are made elsewhere and read as words")
)]
pub(crate) enum Kind {
    /// A matrix product: pointwise, dense and fully connected convolutions.
    Product,
    /// A convolution of each channel on its own.
    Depthwise,
    /// Means over all pixels.
    Average,
    /// Layer normalisation over the channels of a pixel.
    LayerNorm,
    /// The largest value of a window.
    MaxPool,
    /// Means, or weighted sums, of each row and each column.
    Lines,
    /// Each pixel times the gates of its row and its column.
    LineGate,
    /// Twice as many pixels along each side, clamped, and the shortcut added.
    Enlarge,
    /// A convolution along a row in groups of channels.
    Grouped,
    /// Keys and values in panels.
    Keys,
    /// Attention to keys and values in panels.
    Attention,
    /// Pixels in rows by their place in a patch.
    Unfold,
    /// The picture of such rows.
    Fold,
    /// More or fewer frames, linear between their centres.
    Interpolate,
    /// A map as some of the channels of another.
    Join,
    /// Channels as pixels, and pixels as channels.
    Transpose,
    /// Pixels in another order.
    Arrange,
}

/// Keys of attention are filled up with zeros to a multiple of this: whole panels of every instruction set.
#[cfg(feature = "std")]
pub(crate) const KEY_ROUNDING: usize = 48;

/// Keys that attention works on at a time.
pub(crate) const KEYS: usize = 96;

/// What attention adds to scores between regions.
pub(crate) const APART: f32 = -100.0;

/// Floats of one pixel's key and value in panels, for heads of this length.
pub(crate) fn packed_head(length: usize) -> usize {
    length + length.next_multiple_of(16)
}

/// Place of a feature map in memory, `[batch, height, width, stride]`; a map that is not there has stride 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct PackedMap {
    /// First float in an arena for one picture; multiplied by the batch.
    pub(crate) offset: u32,
    pub(crate) height: u32,
    pub(crate) width: u32,
    /// Channels, rounded up to whole vectors.
    pub(crate) stride: u32,
}

impl PackedMap {
    pub(crate) fn is_present(self) -> bool {
        self.stride > 0
    }

    pub(crate) fn pixels(self) -> usize {
        self.height as usize * self.width as usize
    }

    /// Floats of one picture.
    pub(crate) fn len(self) -> usize {
        self.pixels() * self.stride as usize
    }

    /// Floats of one row of pixels.
    pub(crate) fn row(self) -> usize {
        self.width as usize * self.stride as usize
    }
}

/// Frames that a step over a clip reads; the frames of a map stand below each other. Pictures are clips of one frame.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct PackedSpan {
    /// Frames of the source.
    pub(crate) frames: u32,
    pub(crate) kernel: u32,
    pub(crate) stride: u32,
    /// Frames of padding before the clip.
    pub(crate) padding: u32,
    /// Frames of the destination.
    pub(crate) output: u32,
}

impl PackedSpan {
    /// Whether an output sees other frames than that of its own place.
    pub(crate) fn moves(self) -> bool {
        self.kernel != 1 || self.stride != 1
    }

    /// The frame of the source that a tap of an output frame sees; none in the padding.
    pub(crate) fn seen(self, frame: usize, tap: usize) -> Option<usize> {
        let seen = (frame * self.stride as usize + tap).checked_sub(self.padding as usize)?;
        (seen < self.frames as usize).then_some(seen)
    }

    /// The first tap of an output frame that sees a frame of the source, and the one after the last.
    pub(crate) fn taps(self, frame: usize) -> [usize; 2] {
        let start = frame * self.stride as usize;
        let [frames, padding, kernel] =
            [self.frames, self.padding, self.kernel].map(|it| it as usize);
        [
            padding.saturating_sub(start),
            kernel.min((frames + padding).saturating_sub(start)),
        ]
    }
}

/// One step. Offsets of parameters count floats from the program's first parameter; an absent one is
/// [`NONE`].
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct PackedStep {
    pub(crate) kind: Kind,
    pub(crate) activation: Activation,
    pub(crate) source: PackedMap,
    pub(crate) destination: PackedMap,
    /// Map that is added before the activation; for a line gate, the second gates, of which the larger counts.
    pub(crate) shortcut: PackedMap,
    /// Map that the source is multiplied with, `[batch, 1, 1, channels]`; for a line gate `[batch, height + width, 1, ..]`, where
    /// the gates of columns begin in the middle of a pixel.
    pub(crate) gate: PackedMap,
    /// Sums over each band of rows, `[batch, bands, 1, channels]`: a depthwise convolution writes them, and a product
    /// reads their mean as its source.
    pub(crate) sums: PackedMap,
    /// For attention, what is added to scores, `[heads, places]`; for an arrangement, the number of each pixel and one, a word.
    pub(crate) weight: u32,
    /// For attention, the code of each pixel of a row, a word.
    pub(crate) bias: u32,
    /// For attention, the region of each pixel of all rows, a word.
    pub(crate) slope: u32,
    pub(crate) kernel: [u32; 2],
    pub(crate) stride: u32,
    /// Pixels of padding above and to the left.
    pub(crate) padding: [u32; 2],
    /// Inputs of one output of a convolution; for a line gate, the position where gates of columns begin; for a join, the
    /// first channel of the destination that is written.
    pub(crate) depth: u32,
    /// Vectors of outputs, and the panels that they are split into.
    pub(crate) vectors: u32,
    pub(crate) panels: u32,
    /// Channels that are real; for a join, those that are written.
    pub(crate) channels: u32,
    /// Output rows of a chunk; for a product, output pixels.
    pub(crate) chunk_rows: u32,
    /// Vectors of a chunk; for a product, panels.
    pub(crate) chunk_columns: u32,
    /// Pixels of a product that are gathered or gated at a time.
    pub(crate) block: u32,
    /// Whether the shortcut has twice the size and is max-pooled.
    pub(crate) pools_shortcut: u32,
    /// Number that layer normalisation adds to the variance; for attention, the factor of scores before powers of two.
    pub(crate) epsilon: f32,
    /// Groups of a convolution, heads of attention, or the side of a patch.
    pub(crate) groups: u32,
    /// Pixels from one row of a product to the next, where rows are lines of the source that overlap; for attention, places of
    /// what is added to scores; else zero.
    pub(crate) advance: u32,
    /// Frames that a product or a pooling reads.
    pub(crate) span: PackedSpan,
    /// Zeros to the end of the cache line: every byte of a step is a byte of a word.
    pub(crate) rest: [u32; 2],
}

/// A map that is written or read from outside.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Port {
    pub(crate) map: PackedMap,
    pub(crate) channels: u32,
}

impl Port {
    /// Floats of one picture, as it is seen from outside.
    pub(crate) fn len(self) -> usize {
        self.map.pixels() * self.channels as usize
    }

    /// Fills the map with `[batch, height, width, channels]`; `map` is all of it.
    pub(crate) fn write(self, map: &mut [f32], from: &[f32]) {
        let [stride, channels] = [self.map.stride, self.channels].map(|count| count as usize);
        if stride == channels {
            map.copy_from_slice(from);
            return;
        }
        let pixels = map.chunks_exact_mut(stride);
        for (to, from) in pixels.zip(from.chunks_exact(channels)) {
            to[..channels].copy_from_slice(from);
            to[channels..].fill(0.0);
        }
    }

    /// Reads the map into rows of `width` floats, one a picture, from column `start` on; `map` is all of it.
    pub(crate) fn read(self, map: &[f32], to: &mut [f32], start: usize, width: usize) {
        let [stride, channels] = [self.map.stride, self.channels].map(|count| count as usize);
        let pictures = map.chunks_exact(self.map.len());
        for (map, row) in pictures.zip(to.chunks_exact_mut(width)) {
            let pixels = row[start..start + self.len()].chunks_exact_mut(channels);
            for (to, from) in pixels.zip(map.chunks_exact(stride)) {
                to.copy_from_slice(&from[..channels]);
            }
        }
    }
}

#[cfg(feature = "std")]
impl std::fmt::Display for PackedStep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [from, to] = [self.source, self.destination];
        write!(
            formatter,
            "{:?} {}x{}x{} to {}x{}x{}, kernel {}, stride {}, {:?}",
            self.kind,
            from.height,
            from.width,
            from.stride,
            to.height,
            to.width,
            self.channels,
            self.kernel[0],
            self.stride,
            self.activation
        )
    }
}

/// Floats of zeros in scratch memory: as many as the widest panel has.
pub(crate) const ZEROS: usize = 64;

/// An absent parameter.
pub(crate) const NONE: u32 = u32::MAX;

/// A size or an offset as a word.
#[cfg(feature = "std")]
pub(crate) fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("maps and parameters are checked to be smaller")
}

/// Columns of the rows of a matrix in scratch memory: whole vectors, and no power of two, whose rows would
/// push each other out of the cache.
pub(crate) fn scratch_row(columns: usize) -> usize {
    columns.next_multiple_of(16) + 16
}

impl PackedStep {
    /// Parts that can run at the same time.
    pub(crate) fn chunks(&self, batch: usize) -> usize {
        let (rows, columns) = self.grid(batch);
        rows * columns
    }

    /// Chunks along rows (over all pictures) and along columns.
    pub(crate) fn grid(&self, batch: usize) -> (usize, usize) {
        let chunk_rows = self.chunk_rows as usize;
        let columns = match self.kind {
            Kind::Product => self.panels,
            _ => self.vectors,
        };
        let columns = columns.div_ceil(self.chunk_columns) as usize;
        let rows = match self.kind {
            Kind::Product | Kind::LayerNorm | Kind::Arrange => {
                (batch * self.destination.pixels()).div_ceil(chunk_rows)
            }
            Kind::Depthwise | Kind::MaxPool | Kind::LineGate | Kind::Enlarge => {
                batch * (self.destination.height as usize).div_ceil(chunk_rows)
            }
            Kind::Unfold | Kind::Fold | Kind::Interpolate | Kind::Join => {
                batch * (self.destination.height as usize).div_ceil(chunk_rows)
            }
            Kind::Transpose => return (batch, 1),
            // A part of the picture for each pixel that is written.
            Kind::Average => batch * self.destination.pixels(),
            Kind::Lines => batch,
            Kind::Grouped | Kind::Keys | Kind::Attention => {
                let blocks = (self.source.width as usize).div_ceil(chunk_rows);
                let rows = batch * self.source.height as usize;
                return (rows * self.groups as usize * blocks, 1);
            }
        };
        (rows, columns)
    }

    /// First vector of a panel.
    pub(crate) fn panel_start(&self, panel: usize) -> usize {
        let (vectors, panels) = (self.vectors as usize, self.panels as usize);
        panel * (vectors / panels) + panel.min(vectors % panels)
    }

    /// Floats of scratch memory that one thread needs.
    pub(crate) fn scratch(&self) -> usize {
        match self.kind {
            Kind::Grouped => return self.grouped_scratch(),
            Kind::Attention => return self.attention_scratch(),
            _ => {}
        }
        if self.kind != Kind::Product {
            return 0;
        }
        let mut row = 0;
        if self.gate.is_present() || self.sums.is_present() {
            row += scratch_row(self.depth as usize);
        }
        if self.pools_shortcut != 0 {
            row += self.shortcut.stride as usize;
        }
        let mut length = self.block as usize * row;
        if self.gathers() {
            let [height, width] = self.band(self.block as usize);
            length += height * width * self.source.stride as usize;
        }
        match self.span.kernel {
            1 => length,
            _ => length + ZEROS,
        }
    }

    /// A band of the source, sums, and zeros.
    fn grouped_scratch(&self) -> usize {
        let rows = self.chunk_rows as usize;
        let kernel = self.kernel[1] as usize;
        let inputs = self.depth as usize / kernel;
        let outputs = (self.channels / self.groups) as usize;
        (rows + kernel) * inputs + rows * outputs.next_multiple_of(16) + ZEROS
    }

    /// Scores, sums, the largest score and the total of each row, and zeros.
    fn attention_scratch(&self) -> usize {
        let row = KEYS + (self.depth as usize).next_multiple_of(16) + 2;
        self.chunk_rows as usize * row + ZEROS
    }

    /// Pixels of a row of a product that begins one row later; none where rows do not overlap.
    pub(crate) fn advance(&self) -> Option<usize> {
        match self.advance {
            0 => None,
            pixels => Some(pixels as usize),
        }
    }

    /// Height and width, padding included, of the pixels that whole lines of output pixels see.
    pub(crate) fn band(&self, pixels: usize) -> [usize; 2] {
        let width = self.destination.width as usize;
        let [rows, columns] = self.kernel.map(|side| side as usize);
        [
            (pixels / width - 1) * self.stride as usize + rows,
            (width - 1) * self.stride as usize + columns,
        ]
    }

    /// Floats of a product's weights.
    #[cfg(feature = "std")]
    pub(crate) fn weights(&self) -> usize {
        self.depth as usize * self.destination.stride as usize
    }

    /// Pixels of one frame of the destination.
    pub(crate) fn frame(&self) -> usize {
        self.destination.pixels() / self.span.output as usize
    }

    /// Runs of neighbouring inputs of a frame that one output of a product sees.
    pub(crate) fn runs(&self) -> usize {
        match self.gathers() {
            true => self.kernel[0] as usize,
            false => 1,
        }
    }

    /// Whether pixels of the source are not already rows of the product.
    pub(crate) fn gathers(&self) -> bool {
        self.kernel != [1, 1] || self.stride != 1 || self.padding != [0, 0]
    }
}
