//! Kernels over whole maps or whole pixels: means, squeeze-and-excite, enlarging, layer norm, the gathering of outputs.

use super::builder::ShaderBuilder;
use super::shader::{Element, Shader};
use crate::kernel::Activation;

/// Invocations of the groups that add up a map.
const WIDE_GROUP: usize = 256;
const GROUP: usize = 64;

/// Sums of each channel over equal parts of a map's pixels, divided; one part is the mean. Written:
/// `[batch, slices, channels]`. One group adds up one part. One buffer: the map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) pixels: usize,
    /// In fours.
    pub(super) channels: usize,
    pub(super) slices: usize,
    pub(super) divisor: usize,
    pub(super) input: Element,
    pub(super) output: Element,
}

impl Sums {
    pub(super) fn launch(&self, batch: usize) -> (usize, Vec<usize>) {
        let slice = self.pixels.div_ceil(self.slices);
        let numbers = vec![self.pixels, self.channels, self.slices, slice, self.divisor];
        (batch * self.slices, numbers)
    }

    pub(super) fn shader(&self) -> Shader {
        ShaderBuilder::new("sums", WIDE_GROUP)
            .numbers(&["pixels", "channels", "slices", "slice", "divisor"])
            .reads("input", self.input)
            .writes("output", self.output)
            .source(include_str!("shaders/span.wgsl"))
            .source(include_str!("shaders/sums.wgsl"))
            .finish()
    }
}

/// Channels, in fours, for which workgroup memory is set aside: more than most networks have.
const ROOM: usize = 384;
/// Squeezed channels, in fours, for which workgroup memory is set aside.
const SQUEEZED_ROOM: usize = 32;

/// Pixels of which a squeeze-and-excite takes means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Squeezed {
    /// All pixels of a picture.
    Pixels {
        /// Pixels, or partial sums of pixels, of each picture.
        pixels: usize,
        /// Pixels that the mean is over.
        divisor: usize,
    },
    /// Each row and each column: coordinate attention.
    Lines {
        height: usize,
        width: usize,
        /// Whether lines have weights, and biases, instead.
        is_weighted: bool,
    },
}

/// Form of a squeeze-and-excite; channels in fours.
#[derive(Clone, Copy, Debug)]
pub(super) struct SqueezeExcite {
    pub(super) pixels: Squeezed,
    pub(super) channels: usize,
    pub(super) squeezed: usize,
    pub(super) reduce: Activation,
    pub(super) excite: Activation,
    pub(super) input: Element,
    pub(super) weight: Element,
}

impl SqueezeExcite {
    pub(super) fn launch(&self, batch: usize) -> (usize, Vec<usize>) {
        // Invocations that divide one squeezed channel's sum.
        let parts = (WIDE_GROUP / (self.squeezed * 4)).clamp(1, 16);
        let (groups, first, second) = match self.pixels {
            Squeezed::Pixels { pixels, divisor } => (batch, pixels, divisor),
            Squeezed::Lines { height, width, .. } => (batch * (height + width), height, width),
        };
        (
            groups,
            vec![first, second, self.channels, self.squeezed, parts],
        )
    }

    /// One group a picture or a line: mean, both layers, gate. Buffers: map, reduce's weight (outputs first) and
    /// bias, excite's weight and bias (of lines those of rows, then those of columns), and where lines are weighted
    /// the weights for rows, for columns, the bias of rows, of columns. Written: `[batch, lines, channels]`, f32.
    pub(super) fn shader(&self) -> Shader {
        let (name, numbers, is_weighted) = match self.pixels {
            Squeezed::Pixels { .. } => ("squeeze-excite", ["pixels", "divisor"], false),
            Squeezed::Lines { is_weighted, .. } => {
                ("coordinate-attention", ["height", "width"], is_weighted)
            }
        };
        let mut builder = ShaderBuilder::new(name, WIDE_GROUP)
            .numbers(&numbers)
            .numbers(&["channels", "squeezed", "parts"])
            .reads("input", self.input)
            .reads("reduce_weight", self.weight)
            .reads("reduce_bias", Element::F32)
            .reads("excite_weight", self.weight)
            .reads("excite_bias", Element::F32);
        if is_weighted {
            builder = builder.reads("line_weight", Element::F32);
        }
        let builder = builder
            .writes("output", Element::F32)
            .counts(&[
                ("ROOM", self.channels.next_multiple_of(ROOM)),
                (
                    "SQUEEZED_ROOM",
                    self.squeezed.next_multiple_of(SQUEEZED_ROOM),
                ),
            ])
            .activation("activate_reduce", self.reduce)
            .activation("activate_excite", self.excite)
            .source(include_str!("shaders/span.wgsl"));
        let [lines, weights] = self.pixels.texts();
        builder
            .source(lines)
            .source(weights)
            .source(include_str!("shaders/squeeze-excite.wgsl"))
            .finish()
    }
}

impl Squeezed {
    /// `fn line_of(group)`, the pixels of a group; `fn weighed(x, line, index, channel)` and
    /// `fn squeezed_of(sum, line, channel)`, what becomes of a pixel and of their sum.
    fn texts(self) -> [&'static str; 2] {
        match self {
            Self::Pixels { .. } => [
                include_str!("shaders/squeeze-pixels.wgsl"),
                include_str!("shaders/squeeze-pixels-mean.wgsl"),
            ],
            Self::Lines {
                is_weighted: false, ..
            } => [
                include_str!("shaders/squeeze-lines.wgsl"),
                include_str!("shaders/squeeze-lines-mean.wgsl"),
            ],
            Self::Lines {
                is_weighted: true, ..
            } => [
                include_str!("shaders/squeeze-lines.wgsl"),
                include_str!("shaders/squeeze-lines-weighted.wgsl"),
            ],
        }
    }
}

/// Every pixel times the gates of its row and its column. Buffers: map, gates, other gates where there are any.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineGate {
    pub(super) height: usize,
    pub(super) width: usize,
    /// In fours.
    pub(super) channels: usize,
    pub(super) has_others: bool,
    pub(super) input: Element,
    pub(super) output: Element,
}

impl LineGate {
    pub(super) fn launch(&self, batch: usize) -> (usize, Vec<usize>) {
        let invocations = batch * self.height * self.width * self.channels;
        let numbers = vec![invocations, self.height, self.width, self.channels];
        (groups(invocations), numbers)
    }

    pub(super) fn shader(&self) -> Shader {
        let mut builder = ShaderBuilder::new("line-gate", GROUP)
            .numbers(&["invocations", "height", "width", "channels"])
            .reads("input", self.input)
            .reads("gates", Element::F32);
        let mut gate = include_str!("shaders/line-gate-one.wgsl");
        if self.has_others {
            builder = builder.reads("others", Element::F32);
            gate = include_str!("shaders/line-gate-larger.wgsl");
        }
        builder
            .writes("output", self.output)
            .source(gate)
            .source(include_str!("shaders/line-gate.wgsl"))
            .finish()
    }
}

/// Twice as many pixels along each side, bilinear, activated, and a map of that size added. Buffers: map, what is added.
#[derive(Clone, Copy, Debug)]
pub(super) struct Enlarge {
    /// Before the addition.
    pub(super) activation: Activation,
    /// Of the map that is read.
    pub(super) height: usize,
    pub(super) width: usize,
    /// In fours.
    pub(super) channels: usize,
    /// Of the map, of what is added, of the output.
    pub(super) elements: [Element; 3],
}

impl Enlarge {
    pub(super) fn launch(&self, batch: usize) -> (usize, Vec<usize>) {
        let invocations = batch * 4 * self.height * self.width * self.channels;
        let numbers = vec![invocations, self.height, self.width, self.channels];
        (groups(invocations), numbers)
    }

    pub(super) fn shader(&self) -> Shader {
        let [input, addend, output] = self.elements;
        ShaderBuilder::new("enlarge", GROUP)
            .numbers(&["invocations", "height", "width", "channels"])
            .reads("input", input)
            .reads("addend", addend)
            .writes("output", output)
            .activation("activate", self.activation)
            .source(include_str!("shaders/enlarge.wgsl"))
            .finish()
    }
}

/// Layer norm over the `channels` of each pixel, of which the last few can be padding. Buffers: map, scale, bias.
/// One invocation a pixel; their count is the number of a launch.
pub(super) fn layer_norm(channels: usize, epsilon: f32, [input, output]: [Element; 2]) -> Shader {
    ShaderBuilder::new("layer-norm", GROUP)
        .numbers(&["pixels"])
        .reads("input", input)
        .reads("scale", Element::F32)
        .reads("bias", Element::F32)
        .writes("output", output)
        .counts(&[("CHANNELS", channels), ("STORED", channels.div_ceil(4))])
        .number("EPSILON", epsilon)
        .source(include_str!("shaders/layer-norm.wgsl"))
        .finish()
}

/// One map on its way into the gathered result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathered {
    pub(super) pixels: usize,
    pub(super) channels: usize,
    /// Channels in memory, padding included.
    pub(super) stored: usize,
    pub(super) element: Element,
}

/// Brings maps into one buffer `[batch, numbers]` of f32 without padding. The batch is the number of a launch.
pub(super) fn gather(maps: &[Gathered]) -> Shader {
    let total: usize = maps.iter().map(|map| map.pixels * map.channels).sum();
    let mut builder = ShaderBuilder::new("gather", GROUP).numbers(&["batch"]);
    for (index, map) in maps.iter().enumerate() {
        builder = builder.reads_scalars(&format!("map{index}"), map.element);
    }
    builder = builder
        .writes_scalars("output", Element::F32)
        .counts(&[("TOTAL", total), ("MAPS", maps.len())]);
    for (index, map) in maps.iter().enumerate() {
        builder = builder
            .count(&format!("PIXELS{index}"), map.pixels)
            .count(&format!("CHANNELS{index}"), map.channels)
            .count(&format!("STORED{index}"), map.stored);
    }
    builder.source(include_str!("shaders/gather.wgsl")).finish()
}

/// Puts up to four buffers of f32 one after the other; the numbers of a launch are their lengths.
pub(super) fn join(parts: usize) -> Shader {
    let lengths = ["length0", "length1", "length2", "length3"];
    assert!(parts <= lengths.len(), "results to read together");
    let mut builder = ShaderBuilder::new("join", GROUP).numbers(&lengths[..parts]);
    for part in 0..parts {
        builder = builder.reads_scalars(&format!("part{part}"), Element::F32);
    }
    builder
        .writes_scalars("output", Element::F32)
        .count("PARTS", parts)
        .source(include_str!("shaders/join.wgsl"))
        .finish()
}

/// Groups that [`gather`] and [`layer_norm`] need for a number of invocations.
pub(super) fn groups(invocations: usize) -> usize {
    invocations.div_ceil(GROUP)
}
