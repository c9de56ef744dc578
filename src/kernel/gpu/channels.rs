//! Kernels over whole maps or whole pixels: means, squeeze-and-excite, layer norm, the gathering of outputs.

use super::shader::{Element, Shader, ShaderBuilder};
use crate::kernel::Activation;

/// Invocations of the groups that add up a map.
const WIDE_GROUP: usize = 256;
const GROUP: usize = 64;

/// Sums of each channel over `slices` equal parts of a map's pixels; one slice with a divisor is the mean.
///
/// One group adds up one slice. `channels` in fours. One buffer: the map. Written: `[batch, slices, channels]`.
pub(super) fn partial_sums(
    pixels: usize,
    channels: usize,
    slices: usize,
    divisor: usize,
    [input, output]: [Element; 2],
) -> Shader {
    let lanes = (WIDE_GROUP / channels).max(1);
    ShaderBuilder::new("sums", WIDE_GROUP)
        .reads("input", input)
        .writes("output", output)
        .constants(&[
            ("PIXELS", pixels),
            ("CHANNELS", channels),
            ("SLICES", slices),
            ("SLICE", pixels.div_ceil(slices)),
            ("LANES", lanes),
            ("SPAN", span(channels)),
            ("GROUP", WIDE_GROUP),
        ])
        .text(&format!(
            "var<workgroup> sums: array<vec4<f32>, GROUP>;
fn main(group: u32, local: u32) {{
    let picture = group / SLICES;
    let first = group % SLICES * SLICE;
    let end = min(first + SLICE, PIXELS);
    for (var start = 0u; start < CHANNELS; start += GROUP) {{
        // With few channels several invocations divide a channel's pixels among them.
        let channel = start + local % SPAN;
        let lane = local / SPAN;
        var sum = vec4<f32>();
        if (channel < CHANNELS && lane < LANES) {{
            for (var pixel = first + lane; pixel < end; pixel += LANES) {{
                sum += vec4<f32>(input[(picture * PIXELS + pixel) * CHANNELS + channel]);
            }}
        }}
        sums[local] = sum;
        workgroupBarrier();
        if (lane == 0u && channel < CHANNELS) {{
            for (var other = 1u; other < LANES; other++) {{ sum += sums[local + other * CHANNELS]; }}
            output[group * CHANNELS + channel] = vec4<{}>(sum / {divisor}.0);
        }}
        workgroupBarrier();
    }}
}}",
            output.scalar()
        ))
        .finish()
}

/// Invocations of a group that look at different channels of the same pixel.
fn span(channels: usize) -> usize {
    if channels > WIDE_GROUP / 2 {
        WIDE_GROUP
    } else {
        channels
    }
}

/// What a squeeze-and-excite is made for; channels in fours.
#[derive(Clone, Copy, Debug)]
pub(super) struct SqueezeExcite {
    /// Pixels, or partial sums of pixels, of each picture.
    pub(super) pixels: usize,
    /// Pixels that the mean is over.
    pub(super) divisor: usize,
    pub(super) channels: usize,
    pub(super) squeezed: usize,
    pub(super) reduce: Activation,
    pub(super) excite: Activation,
    pub(super) input: Element,
    pub(super) weight: Element,
}

impl SqueezeExcite {
    /// One group a picture: mean, both layers, gate. Buffers: map, reduce's weight (outputs first) and bias,
    /// excite's weight and bias. Written: `[batch, channels]`, f32.
    pub(super) fn shader(&self) -> Shader {
        let lanes = (WIDE_GROUP / self.channels).max(1);
        // Invocations that divide one squeezed channel's sum.
        let parts = (WIDE_GROUP / (self.squeezed * 4)).clamp(1, 16);
        let builder = ShaderBuilder::new("squeeze-excite", WIDE_GROUP)
            .reads("input", self.input)
            .reads("reduce_weight", self.weight)
            .reads("reduce_bias", Element::F32)
            .reads("excite_weight", self.weight)
            .reads("excite_bias", Element::F32)
            .writes("output", Element::F32)
            .constants(&[
                ("PIXELS", self.pixels),
                ("CHANNELS", self.channels),
                ("SQUEEZED", self.squeezed),
                ("LANES", lanes),
                ("SPAN", span(self.channels)),
                ("PARTS", parts),
                ("GROUP", WIDE_GROUP),
            ]);
        let named = |builder: ShaderBuilder, name: &str, activation: Activation| {
            // Two activations in one shader need two names.
            let text = ShaderBuilder::new("", 1).activation(activation).into_text();
            builder.text(&text.replace("fn activate", &format!("fn {name}")))
        };
        let builder = named(builder, "activate_reduce", self.reduce);
        let builder = named(builder, "activate_excite", self.excite);
        builder
            .text(&format!(
                "var<workgroup> sums: array<vec4<f32>, GROUP>;
var<workgroup> means: array<vec4<f32>, CHANNELS>;
var<workgroup> squeezed: array<f32, SQUEEZED * 4u>;
fn main(group: u32, local: u32) {{
    for (var start = 0u; start < CHANNELS; start += GROUP) {{
        let channel = start + local % SPAN;
        let lane = local / SPAN;
        var sum = vec4<f32>();
        if (channel < CHANNELS && lane < LANES) {{
            for (var pixel = lane; pixel < PIXELS; pixel += LANES) {{
                sum += vec4<f32>(input[(group * PIXELS + pixel) * CHANNELS + channel]);
            }}
        }}
        sums[local] = sum;
        workgroupBarrier();
        if (lane == 0u && channel < CHANNELS) {{
            for (var other = 1u; other < LANES; other++) {{ sum += sums[local + other * CHANNELS]; }}
            means[channel] = sum / {divisor}.0;
        }}
        workgroupBarrier();
    }}
    // Each squeezed channel is a product of two vectors, divided among PARTS invocations.
    for (var start = 0u; start < SQUEEZED * 4u; start += GROUP / PARTS) {{
        let unit = start + local / PARTS;
        var sum = vec4<f32>();
        if (unit < SQUEEZED * 4u) {{
            for (var k = local % PARTS; k < CHANNELS; k += PARTS) {{
                sum += means[k] * vec4<f32>(reduce_weight[unit * CHANNELS + k]);
            }}
        }}
        sums[local] = sum;
        workgroupBarrier();
        if (local % PARTS == 0u && unit < SQUEEZED * 4u) {{
            for (var other = 1u; other < PARTS; other++) {{ sum += sums[local + other]; }}
            let total = sum.x + sum.y + sum.z + sum.w + reduce_bias[unit / 4u][unit % 4u];
            squeezed[unit] = activate_reduce(vec4<f32>(total), 0u).x;
        }}
        workgroupBarrier();
    }}
    for (var channel = local; channel < CHANNELS; channel += GROUP) {{
        var sum = excite_bias[channel];
        for (var k = 0u; k < SQUEEZED; k++) {{
            let x = vec4<f32>(squeezed[4u * k], squeezed[4u * k + 1u], squeezed[4u * k + 2u], squeezed[4u * k + 3u]);
            let at = k * 4u * CHANNELS + channel;
            sum += x.x * vec4<f32>(excite_weight[at]) + x.y * vec4<f32>(excite_weight[at + CHANNELS])
                + x.z * vec4<f32>(excite_weight[at + 2u * CHANNELS]) + x.w * vec4<f32>(excite_weight[at + 3u * CHANNELS]);
        }}
        output[group * CHANNELS + channel] = activate_excite(sum, channel);
    }}
}}",
                divisor = self.divisor
            ))
            .finish()
    }
}

/// Layer norm over the `channels` of each pixel, of which the last few can be padding. Buffers: map, scale, bias.
/// One invocation a pixel; `launch.x` is the number of pixels.
pub(super) fn layer_norm(channels: usize, epsilon: f32, [input, output]: [Element; 2]) -> Shader {
    let stored = channels.div_ceil(4);
    ShaderBuilder::new("layer-norm", GROUP)
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
    if (pixel >= launch.x) {{ return; }}
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

/// Brings maps into one buffer `[batch, numbers]` of f32 without padding. `launch.x` is the batch.
pub(super) fn gather(maps: &[Gathered]) -> Shader {
    let total: usize = maps.iter().map(|map| map.pixels * map.channels).sum();
    let mut builder = ShaderBuilder::new("gather", GROUP);
    for (index, map) in maps.iter().enumerate() {
        builder = builder.reads_scalars(&format!("map{index}"), map.element);
    }
    builder = builder
        .writes_scalars("output", Element::F32)
        .constants(&[("TOTAL", total), ("GROUP", GROUP)])
        .text(
            "fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= launch.x * TOTAL) { return; }
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

/// Puts up to four buffers of f32 one after the other; `launch.x` to `.w` are their lengths.
pub(super) fn join(parts: usize) -> Shader {
    let lengths = ["launch.x", "launch.y", "launch.z", "launch.w"];
    assert!(parts <= lengths.len(), "results to read together");
    let mut builder = ShaderBuilder::new("join", GROUP);
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
            "    if (number < {length}) {{ output[at] = part{part}[number]; return; }}
    number -= {length};"
        ));
    }
    builder.text("}").finish()
}

/// Groups that [`gather`] and [`layer_norm`] need for so many invocations.
pub(super) fn groups(invocations: usize) -> usize {
    invocations.div_ceil(GROUP)
}
