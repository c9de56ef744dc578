//! Kernels over whole maps or whole pixels: means, squeeze-and-excite, layer norm, the gathering of outputs.

use super::shader::{Element, Shader, ShaderBuilder};
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
            .constants(&[("GROUP", WIDE_GROUP)])
            .text(SPAN)
            .text(&format!(
                "var<workgroup> sums: array<vec4<f32>, GROUP>;
fn main(group: u32, local: u32) {{
    let picture = group / launch.slices;
    let first = group % launch.slices * launch.slice;
    let end = min(first + launch.slice, launch.pixels);
    let span = span_of(launch.channels);
    let lanes = GROUP / span;
    for (var start = 0u; start < launch.channels; start += GROUP) {{
        let channel = start + local % span;
        let lane = local / span;
        var sum = vec4<f32>();
        if (channel < launch.channels && lane < lanes) {{
            for (var pixel = first + lane; pixel < end; pixel += lanes) {{
                sum += vec4<f32>(input[(picture * launch.pixels + pixel) * launch.channels + channel]);
            }}
        }}
        sums[local] = sum;
        workgroupBarrier();
        if (lane == 0u && channel < launch.channels) {{
            for (var other = 1u; other < lanes; other++) {{ sum += sums[local + other * span]; }}
            output[group * launch.channels + channel] = vec4<{}>(sum / f32(launch.divisor));
        }}
        workgroupBarrier();
    }}
}}",
                self.output.scalar()
            ))
            .finish()
    }
}

/// Invocations of a group that look at different channels of the same pixel: with few channels several divide a
/// channel's pixels among them.
const SPAN: &str = "
fn span_of(channels: u32) -> u32 { return select(channels, GROUP, channels > GROUP / 2u); }";

/// Channels, in fours, for which workgroup memory is set aside: more than most networks have.
const ROOM: usize = 384;
/// The same for squeezed channels.
const SQUEEZED_ROOM: usize = 32;

/// Of what a squeeze-and-excite takes means.
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

/// What a squeeze-and-excite is made for; channels in fours.
#[derive(Clone, Copy, Debug)]
pub(super) struct SqueezeExcite {
    pub(super) of: Squeezed,
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
        let (groups, first, second) = match self.of {
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
        let (name, numbers, is_weighted) = match self.of {
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
            .constants(&[
                ("ROOM", self.channels.next_multiple_of(ROOM)),
                (
                    "SQUEEZED_ROOM",
                    self.squeezed.next_multiple_of(SQUEEZED_ROOM),
                ),
                ("GROUP", WIDE_GROUP),
            ])
            .text(SPAN);
        let named = |builder: ShaderBuilder, name: &str, activation: Activation| {
            // Two activations in one shader need two names.
            let text = ShaderBuilder::new("", 1).activation(activation).into_text();
            builder.text(&text.replace("fn activate", &format!("fn {name}")))
        };
        let builder = named(builder, "activate_reduce", self.reduce);
        let builder = named(builder, "activate_excite", self.excite);
        let text = match self.of {
            Squeezed::Pixels { .. } => SQUEEZE_EXCITE
                .replace("$start", "let count = launch.pixels; let kind = 0u;")
                .replace("$pixel", "group * launch.pixels + index")
                .replace("$mean", "sum / f32(launch.divisor)"),
            Squeezed::Lines { .. } => SQUEEZE_EXCITE.replace("$start", LINE).replace(
                "$pixel",
                "first + select(index * launch.width, index, kind == 0u)",
            ),
        };
        let text = match is_weighted {
            true => text
                .replace("$weight", " * line_weight[(kind * launch.width + index) * launch.channels + channel]")
                .replace("$mean", "sum + line_weight[(launch.width + launch.height + kind) * launch.channels + channel]"),
            false => text.replace("$weight", "").replace("$mean", "sum / f32(count)"),
        };
        builder.text(&text).finish()
    }
}

/// Rows have kind 0, columns 1; they begin at a pixel.
const LINE: &str = "
    let lines = launch.height + launch.width;
    let line = group % lines;
    let kind = select(1u, 0u, line < launch.height);
    let count = select(launch.height, launch.width, kind == 0u);
    let first = group / lines * launch.height * launch.width
        + select(line - launch.height, line * launch.width, kind == 0u);";

/// `means`, then `squeezed`, then the gate; the group waits for itself in between. What `$` stands before depends on
/// [`Squeezed`].
const SQUEEZE_EXCITE: &str = "
var<workgroup> sums: array<vec4<f32>, GROUP>;
var<workgroup> means: array<vec4<f32>, ROOM>;
var<workgroup> squeezed: array<f32, SQUEEZED_ROOM * 4u>;
fn main(group: u32, local: u32) {
    $start
    let span = span_of(launch.channels);
    let lanes = GROUP / span;
    for (var start = 0u; start < launch.channels; start += GROUP) {
        let channel = start + local % span;
        let lane = local / span;
        var sum = vec4<f32>();
        if (channel < launch.channels && lane < lanes) {
            for (var index = lane; index < count; index += lanes) {
                sum += vec4<f32>(input[($pixel) * launch.channels + channel])$weight;
            }
        }
        sums[local] = sum;
        workgroupBarrier();
        if (lane == 0u && channel < launch.channels) {
            for (var other = 1u; other < lanes; other++) { sum += sums[local + other * span]; }
            means[channel] = $mean;
        }
        workgroupBarrier();
    }
    // Each squeezed channel is a product of two vectors, divided among `parts` invocations.
    for (var start = 0u; start < launch.squeezed * 4u; start += GROUP / launch.parts) {
        let unit = start + local / launch.parts;
        var sum = vec4<f32>();
        if (unit < launch.squeezed * 4u) {
            for (var k = local % launch.parts; k < launch.channels; k += launch.parts) {
                sum += means[k] * vec4<f32>(reduce_weight[unit * launch.channels + k]);
            }
        }
        sums[local] = sum;
        workgroupBarrier();
        if (local % launch.parts == 0u && unit < launch.squeezed * 4u) {
            for (var other = 1u; other < launch.parts; other++) { sum += sums[local + other]; }
            let total = sum.x + sum.y + sum.z + sum.w + reduce_bias[unit / 4u][unit % 4u];
            squeezed[unit] = activate_reduce(vec4<f32>(total), 0u).x;
        }
        workgroupBarrier();
    }
    for (var channel = local; channel < launch.channels; channel += GROUP) {
        var sum = excite_bias[kind * launch.channels + channel];
        for (var k = 0u; k < launch.squeezed; k++) {
            let x = vec4<f32>(squeezed[4u * k], squeezed[4u * k + 1u], squeezed[4u * k + 2u], squeezed[4u * k + 3u]);
            let at = (kind * launch.squeezed + k) * 4u * launch.channels + channel;
            sum += x.x * vec4<f32>(excite_weight[at]) + x.y * vec4<f32>(excite_weight[at + launch.channels])
                + x.z * vec4<f32>(excite_weight[at + 2u * launch.channels]) + x.w * vec4<f32>(excite_weight[at + 3u * launch.channels]);
        }
        output[group * launch.channels + channel] = activate_excite(sum, channel);
    }
}";

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
        let mut gate = "gates[row] * gates[column]";
        if self.has_others {
            builder = builder.reads("others", Element::F32);
            gate = "max(gates[row] * gates[column], others[row] * others[column])";
        }
        builder
            .writes("output", self.output)
            .constants(&[("GROUP", GROUP)])
            .text(&format!(
                "fn main(group: u32, local: u32) {{
    let at = group * GROUP + local;
    if (at >= launch.invocations) {{ return; }}
    let channel = at % launch.channels;
    let pixel = at / launch.channels;
    let y = pixel / launch.width % launch.height;
    let lines = pixel / launch.width / launch.height * (launch.height + launch.width);
    let row = (lines + y) * launch.channels + channel;
    let column = (lines + launch.height + pixel % launch.width) * launch.channels + channel;
    output[at] = vec4<{}>(vec4<f32>(input[at]) * {gate});
}}",
                self.output.scalar()
            ))
            .finish()
    }
}

/// Layer norm over the `channels` of each pixel, of which the last few can be padding. Buffers: map, scale, bias.
/// One invocation a pixel; their count is the number of a launch.
pub(super) fn layer_norm(channels: usize, epsilon: f32, [input, output]: [Element; 2]) -> Shader {
    let stored = channels.div_ceil(4);
    ShaderBuilder::new("layer-norm", GROUP)
        .numbers(&["pixels"])
        .reads("input", input)
        .reads("scale", Element::F32)
        .reads("bias", Element::F32)
        .writes("output", output)
        .constants(&[
            ("CHANNELS", stored),
            ("PADDING", stored * 4 - channels),
            ("GROUP", GROUP),
        ])
        .text(&format!(
            "fn main(group: u32, local: u32) {{
    let pixel = group * GROUP + local;
    if (pixel >= launch.pixels) {{ return; }}
    let at = pixel * CHANNELS;
    var total = vec4<f32>();
    for (var k = 0u; k < CHANNELS; k++) {{ total += vec4<f32>(input[at + k]); }}
    let mean = dot(total, vec4<f32>(1.0)) / {channels}.0;
    var squares = vec4<f32>();
    for (var k = 0u; k < CHANNELS; k++) {{
        let x = vec4<f32>(input[at + k]) - mean;
        squares += x * x;
    }}
    // Padding is zero, so each of its squares is the mean's.
    let variance = (dot(squares, vec4<f32>(1.0)) - f32(PADDING) * mean * mean) / {channels}.0;
    let factor = inverseSqrt(variance + {epsilon:e});
    for (var k = 0u; k < CHANNELS; k++) {{
        let x = vec4<f32>(input[at + k]) - mean;
        output[at + k] = vec4<{}>(x * factor * scale[k] + bias[k]);
    }}
}}",
            output.scalar()
        ))
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
        .constants(&[("TOTAL", total), ("GROUP", GROUP)])
        .text(
            "fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.batch * TOTAL) { return; }
    let picture = at / TOTAL;
    var number = at % TOTAL;",
        );
    for (index, map) in maps.iter().enumerate() {
        let Gathered {
            pixels,
            channels,
            stored,
            ..
        } = map;
        let length = pixels * channels;
        builder = builder.text(&format!(
            "    if (number < {length}u) {{
        output[at] = f32(map{index}[(picture * {pixels}u + number / {channels}u) * {stored}u + number % {channels}u]);
        return;
    }}
    number -= {length}u;"
        ));
    }
    builder.text("}").finish()
}

/// Puts up to four buffers of f32 one after the other; the numbers of a launch are their lengths.
pub(super) fn join(parts: usize) -> Shader {
    let lengths = ["length0", "length1", "length2", "length3"];
    assert!(parts <= lengths.len(), "results to read together");
    let mut builder = ShaderBuilder::new("join", GROUP).numbers(&lengths[..parts]);
    for part in 0..parts {
        builder = builder.reads_scalars(&format!("part{part}"), Element::F32);
    }
    builder = builder
        .writes_scalars("output", Element::F32)
        .constants(&[("GROUP", GROUP)])
        .text(
            "fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    var number = at;",
        );
    for (part, length) in lengths.into_iter().take(parts).enumerate() {
        builder = builder.text(&format!(
            "    if (number < launch.{length}) {{ output[at] = part{part}[number]; return; }}
    number -= launch.{length};"
        ));
    }
    builder.text("}").finish()
}

/// Groups that [`gather`] and [`layer_norm`] need for so many invocations.
pub(super) fn groups(invocations: usize) -> usize {
    invocations.div_ceil(GROUP)
}
