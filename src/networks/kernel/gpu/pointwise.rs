//! Pointwise convolutions: `activation((input * gate) x weight + bias + shortcut)`.

use super::shader::{Element, Shader, ShaderBuilder};
use crate::kernel::Activation;

/// How the work is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tiling {
    /// Each invocation computes `rows` pixels of four channels by itself. No workgroup memory, no barriers: what
    /// adapters emulated in software need.
    Registers {
        /// Pixels an invocation.
        rows: usize,
    },
    /// A workgroup computes 64 pixels of 64 channels and shares what it reads.
    Workgroup,
    /// A workgroup computes four channels of one pixel and divides the sum: for fully connected layers.
    Dense,
}

/// What a pointwise convolution is made for; channels are counted in fours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pointwise {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) activation: Activation,
    /// Pixels of one picture, where there is a gate or a pooled shortcut; otherwise pictures are one long row.
    pub(super) pixels: usize,
    pub(super) gate: Option<GateForm>,
    pub(super) shortcut: Option<ShortcutForm>,
    /// Of activations and weights; biases, gates and slopes are f32.
    pub(super) input: Element,
    pub(super) output: Element,
    pub(super) weight: Element,
}

/// What pixels are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GateForm {
    /// A number a channel.
    Channels,
    /// The numbers of the pixel's row and of its column, rows first; only with [`Tiling::Workgroup`].
    Lines {
        /// Columns of the map.
        width: usize,
    },
}

/// How the shortcut lies in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortcutForm {
    /// Channels, in fours.
    pub(super) channels: usize,
    /// Columns of the output, if the shortcut is twice as large and pooled.
    pub(super) pooled_width: Option<usize>,
    pub(super) element: Element,
}

/// Invocations a group.
const GROUP: usize = 64;
/// Pixels, and channels, of a workgroup's tile; both tiles of an inner step are one `vec4` an invocation.
const TILE: usize = 64;
const TILE_GROUP: usize = 256;

impl Pointwise {
    /// Buffers in order: input, weight, bias, then gate, shortcut and slopes where there are any.
    pub(super) fn shader(&self, tiling: Tiling) -> Shader {
        match tiling {
            Tiling::Registers { rows } => self.registers(rows),
            Tiling::Workgroup => self.workgroup(),
            Tiling::Dense => self.dense(),
        }
    }

    /// Groups and numbers for a batch.
    pub(super) fn launch(&self, tiling: Tiling, batch: usize) -> (usize, Vec<usize>) {
        // Where pictures are kept apart a tile never holds pixels of two of them.
        let (pictures, rows) = self.rows(batch);
        let groups = match tiling {
            Tiling::Registers { rows: tile } => {
                (pictures * rows.div_ceil(tile) * self.outputs).div_ceil(GROUP)
            }
            Tiling::Workgroup => pictures * rows.div_ceil(TILE) * self.outputs.div_ceil(TILE / 4),
            Tiling::Dense => pictures * rows * self.outputs,
        };
        let mut numbers = vec![rows, pictures, self.inputs, self.outputs];
        if let Some(GateForm::Lines { width }) = self.gate {
            numbers.push(width);
        }
        if let Some(shortcut) = &self.shortcut {
            numbers.push(shortcut.channels);
            numbers.extend(shortcut.pooled_width);
        }
        (groups, numbers)
    }

    fn rows(&self, batch: usize) -> (usize, usize) {
        if self.keeps_pictures_apart() {
            (batch, self.pixels)
        } else {
            (1, batch * self.pixels)
        }
    }

    fn keeps_pictures_apart(&self) -> bool {
        self.gate.is_some()
            || self
                .shortcut
                .is_some_and(|shortcut| shortcut.pooled_width.is_some())
    }

    fn builder(&self, name: &'static str, group: usize) -> ShaderBuilder {
        let mut builder = ShaderBuilder::new(name, group)
            .numbers(&["rows", "pictures", "inputs", "outputs"])
            .reads("input", self.input)
            .reads("weight", self.weight)
            .reads("bias", Element::F32);
        if self.gate.is_some() {
            builder = builder.reads("gate", Element::F32);
        }
        if matches!(self.gate, Some(GateForm::Lines { .. })) {
            builder = builder.numbers(&["gate_width"]);
        }
        if let Some(shortcut) = &self.shortcut {
            builder = builder.reads("shortcut", shortcut.element);
        }
        if self.activation == Activation::Prelu {
            builder = builder.reads("slopes", Element::F32);
        }
        if let Some(shortcut) = &self.shortcut {
            builder = builder.numbers(&["shortcut_channels"]);
            if shortcut.pooled_width.is_some() {
                builder = builder.numbers(&["width"]);
            }
        }
        builder
            .writes("output", self.output)
            .activation(self.activation)
            .text(&self.store())
    }

    /// `fn store(picture, row, column, sum)`: everything after the sum.
    fn store(&self) -> String {
        let shortcut = match &self.shortcut {
            None => "",
            Some(ShortcutForm {
                pooled_width: None, ..
            }) => {
                "    if (column < launch.shortcut_channels) {
        x += vec4<f32>(shortcut[pixel * launch.shortcut_channels + column]);
    }\n"
            }
            Some(ShortcutForm {
                pooled_width: Some(_),
                ..
            }) => {
                "    if (column < launch.shortcut_channels) {
        let line = 2u * launch.width;
        let corner = picture * 4u * launch.rows + row / launch.width * 2u * line + row % launch.width * 2u;
        let at = corner * launch.shortcut_channels + column;
        let below = at + line * launch.shortcut_channels;
        x += vec4<f32>(max(
            max(shortcut[at], shortcut[at + launch.shortcut_channels]),
            max(shortcut[below], shortcut[below + launch.shortcut_channels]),
        ));
    }\n"
            }
        };
        format!(
            "fn store(picture: u32, row: u32, column: u32, sum: vec4<f32>) {{
    let pixel = picture * launch.rows + row;
    var x = sum + bias[column];
{shortcut}    output[pixel * launch.outputs + column] = vec4<{}>(activate(x, column));
}}",
            self.output.scalar()
        )
    }

    /// What multiplies an input in front of a tile's sum.
    fn scale(&self) -> &'static str {
        match self.gate {
            None => "",
            Some(GateForm::Channels) => " * gate[picture * launch.inputs + k]",
            Some(GateForm::Lines { .. }) => {
                unreachable!("gates of lines come with workgroup tiles")
            }
        }
    }

    fn registers(&self, rows: usize) -> Shader {
        let scale = self.scale();
        self.builder("pointwise", GROUP)
            .constants(&[("ROWS", rows), ("GROUP", GROUP)])
            .text(
                "fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    let column = invocation % launch.outputs;
    let tiles = (launch.rows + ROWS - 1u) / ROWS;
    let picture = invocation / launch.outputs / tiles;
    let row = invocation / launch.outputs % tiles * ROWS;
    if (picture >= launch.pictures) { return; }
    let first = picture * launch.rows;",
            )
            .unroll(
                rows,
                "    let source$i = (first + min(row + $iu, launch.rows - 1u)) * launch.inputs; var sum$i = vec4<f32>();",
            )
            .text("    for (var k = 0u; k < launch.inputs; k++) {\n        let at = k * 4u * launch.outputs + column;")
            .unroll(4, "        let w$i = vec4<f32>(weight[at + $iu * launch.outputs]);")
            .unroll(
                rows,
                &format!(
                    "        let x$i = vec4<f32>(input[source$i + k]){scale};
        sum$i += x$i.x * w0 + x$i.y * w1 + x$i.z * w2 + x$i.w * w3;"
                ),
            )
            .text("    }")
            .unroll(
                rows,
                "    if (row + $iu < launch.rows) { store(picture, row + $iu, column, sum$i); }",
            )
            .text("}")
            .finish()
    }

    fn workgroup(&self) -> Shader {
        let (lines, scale) = match self.gate {
            Some(GateForm::Lines { .. }) => (
                "
    let pixel = min(row + local / 4u, launch.rows - 1u);
    let height = launch.rows / launch.gate_width;
    let first_line = picture * (height + launch.gate_width);
    let row_gate = (first_line + pixel / launch.gate_width) * launch.inputs;
    let column_gate = (first_line + height + pixel % launch.gate_width) * launch.inputs;",
                " * gate[row_gate + k] * gate[column_gate + k]",
            ),
            _ => ("", self.scale()),
        };
        // Each invocation: four pixels, 16 apart, of four channels. A step goes over 16 inputs.
        self.builder("pointwise-workgroup", TILE_GROUP)
            .text(
                "var<workgroup> pixels: array<vec4<f32>, 256>;
var<workgroup> weights: array<vec4<f32>, 256>;
fn main(group: u32, local: u32) {
    let tiles = (launch.rows + 63u) / 64u;
    let column_tiles = (launch.outputs + 15u) / 16u;
    let picture = group / column_tiles / tiles;
    let row = group / column_tiles % tiles * 64u;
    let columns = group % column_tiles * 16u;
    let column = columns + local % 16u;
    let below = local / 16u;
    let source = (picture * launch.rows + min(row + local / 4u, launch.rows - 1u)) * launch.inputs;",
            )
            .text(lines)
            .unroll(4, "    var sum$i = vec4<f32>();")
            .text(&format!(
                "    for (var start = 0u; start < launch.inputs; start += 4u) {{
        let k = min(start + local % 4u, launch.inputs - 1u);
        // Past the last input pixels count as zero, so it does not matter which weights they meet.
        let inside = f32(start + local % 4u < launch.inputs);
        pixels[local] = vec4<f32>(input[source + k]){scale} * inside;
        let weight_row = min(start * 4u + local / 16u, launch.inputs * 4u - 1u);
        weights[local] = vec4<f32>(weight[weight_row * launch.outputs + min(column, launch.outputs - 1u)]);
        workgroupBarrier();
        for (var k4 = 0u; k4 < 4u; k4++) {{
            let at = k4 * 64u + local % 16u;
            let w0 = weights[at];
            let w1 = weights[at + 16u];
            let w2 = weights[at + 32u];
            let w3 = weights[at + 48u];"
            ))
            .unroll(
                4,
                "            let x$i = pixels[(below + $iu * 16u) * 4u + k4];
            sum$i += x$i.x * w0 + x$i.y * w1 + x$i.z * w2 + x$i.w * w3;",
            )
            .text("        }\n        workgroupBarrier();\n    }\n    if (column >= launch.outputs) { return; }")
            .unroll(
                4,
                "    { let at = row + below + $iu * 16u; if (at < launch.rows) { store(picture, at, column, sum$i); } }",
            )
            .text("}")
            .finish()
    }

    fn dense(&self) -> Shader {
        let scale = self.scale();
        self.builder("dense", GROUP)
            .text(&format!(
                "var<workgroup> sums: array<vec4<f32>, 64>;
fn main(group: u32, local: u32) {{
    let column = group % launch.outputs;
    let picture = group / launch.outputs / launch.rows;
    let row = group / launch.outputs % launch.rows;
    let source = (picture * launch.rows + row) * launch.inputs;
    var sum = vec4<f32>();
    for (var k = local; k < launch.inputs; k += 64u) {{
        let x = vec4<f32>(input[source + k]){scale};
        let at = k * 4u * launch.outputs + column;
        sum += x.x * vec4<f32>(weight[at]) + x.y * vec4<f32>(weight[at + launch.outputs])
            + x.z * vec4<f32>(weight[at + 2u * launch.outputs]) + x.w * vec4<f32>(weight[at + 3u * launch.outputs]);
    }}
    sums[local] = sum;
    workgroupBarrier();
    if (local < 8u) {{
        for (var other = local + 8u; other < 64u; other += 8u) {{ sum += sums[other]; }}
        sums[local] = sum;
    }}
    workgroupBarrier();
    if (local == 0u) {{
        for (var other = 1u; other < 8u; other++) {{ sum += sums[other]; }}
        store(picture, row, column, sum);
    }}
}}"
            ))
            .finish()
    }
}
