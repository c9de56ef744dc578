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
    pub(super) has_gate: bool,
    pub(super) shortcut: Option<ShortcutForm>,
    /// Of activations and weights; biases, gates and slopes are f32.
    pub(super) input: Element,
    pub(super) output: Element,
    pub(super) weight: Element,
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

    /// Groups and the two numbers for a batch.
    pub(super) fn launch(&self, tiling: Tiling, batch: usize) -> (usize, [usize; 2]) {
        // Where pictures are kept apart a tile never holds pixels of two of them.
        let (pictures, rows) = self.rows(batch);
        let groups = match tiling {
            Tiling::Registers { rows: tile } => {
                (pictures * rows.div_ceil(tile) * self.outputs).div_ceil(GROUP)
            }
            Tiling::Workgroup => pictures * rows.div_ceil(TILE) * self.outputs.div_ceil(TILE / 4),
            Tiling::Dense => pictures * rows * self.outputs,
        };
        (groups, [rows, pictures])
    }

    fn rows(&self, batch: usize) -> (usize, usize) {
        if self.keeps_pictures_apart() {
            (batch, self.pixels)
        } else {
            (1, batch * self.pixels)
        }
    }

    fn keeps_pictures_apart(&self) -> bool {
        self.has_gate
            || self
                .shortcut
                .is_some_and(|shortcut| shortcut.pooled_width.is_some())
    }

    fn builder(&self, name: &'static str, group: usize) -> ShaderBuilder {
        let mut builder = ShaderBuilder::new(name, group)
            .reads("input", self.input)
            .reads("weight", self.weight)
            .reads("bias", Element::F32);
        if self.has_gate {
            builder = builder.reads("gate", Element::F32);
        }
        if let Some(shortcut) = &self.shortcut {
            builder = builder.reads("shortcut", shortcut.element);
        }
        if self.activation == Activation::Prelu {
            builder = builder.reads("slopes", Element::F32);
        }
        builder
            .writes("output", self.output)
            .constants(&[("INPUTS", self.inputs), ("OUTPUTS", self.outputs)])
            .activation(self.activation)
            .text(&self.store())
    }

    /// `fn store(picture, row, column, sum)`: everything after the sum.
    fn store(&self) -> String {
        let shortcut = match &self.shortcut {
            None => String::new(),
            Some(ShortcutForm {
                channels,
                pooled_width: None,
                ..
            }) => format!(
                "    if (column < {channels}u) {{ x += vec4<f32>(shortcut[pixel * {channels}u + column]); }}\n"
            ),
            Some(ShortcutForm {
                channels,
                pooled_width: Some(width),
                ..
            }) => format!(
                "    if (column < {channels}u) {{
        let corner = picture * {whole}u + (row / {width}u) * {two_rows}u + (row % {width}u) * 2u;
        let at = corner * {channels}u + column;
        x += vec4<f32>(max(
            max(shortcut[at], shortcut[at + {channels}u]),
            max(shortcut[at + {below}u], shortcut[at + {below_right}u]),
        ));
    }}\n",
                whole = 4 * self.pixels,
                two_rows = 4 * width,
                below = 2 * width * channels,
                below_right = (2 * width + 1) * channels,
            ),
        };
        format!(
            "fn store(picture: u32, row: u32, column: u32, sum: vec4<f32>) {{
    let pixel = picture * launch.x + row;
    var x = sum + bias[column];
{shortcut}    output[pixel * OUTPUTS + column] = vec4<{}>(activate(x, column));
}}",
            self.output.scalar()
        )
    }

    fn registers(&self, rows: usize) -> Shader {
        let scale = if self.has_gate {
            " * gate[picture * INPUTS + k]"
        } else {
            ""
        };
        self.builder("pointwise", GROUP)
            .constants(&[("ROWS", rows), ("GROUP", GROUP)])
            .text(
                "fn main(group: u32, local: u32) {
    let invocation = group * GROUP + local;
    let column = invocation % OUTPUTS;
    let tiles = (launch.x + ROWS - 1u) / ROWS;
    let picture = invocation / OUTPUTS / tiles;
    let row = invocation / OUTPUTS % tiles * ROWS;
    if (picture >= launch.y) { return; }
    let first = picture * launch.x;",
            )
            .unroll(
                rows,
                "    let source$i = (first + min(row + $iu, launch.x - 1u)) * INPUTS; var sum$i = vec4<f32>();",
            )
            .text("    for (var k = 0u; k < INPUTS; k++) {\n        let at = k * 4u * OUTPUTS + column;")
            .unroll(4, "        let w$i = vec4<f32>(weight[at + $iu * OUTPUTS]);")
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
                "    if (row + $iu < launch.x) { store(picture, row + $iu, column, sum$i); }",
            )
            .text("}")
            .finish()
    }

    fn workgroup(&self) -> Shader {
        let scale = if self.has_gate {
            " * gate[picture * INPUTS + k]"
        } else {
            ""
        };
        // Each invocation: four pixels, 16 apart, of four channels. A step goes over 16 inputs.
        self.builder("pointwise-workgroup", TILE_GROUP)
            .constants(&[("COLUMN_TILES", self.outputs.div_ceil(TILE / 4))])
            .text(
                "var<workgroup> pixels: array<vec4<f32>, 256>;
var<workgroup> weights: array<vec4<f32>, 256>;
fn main(group: u32, local: u32) {
    let tiles = (launch.x + 63u) / 64u;
    let picture = group / COLUMN_TILES / tiles;
    let row = group / COLUMN_TILES % tiles * 64u;
    let columns = group % COLUMN_TILES * 16u;
    let column = columns + local % 16u;
    let below = local / 16u;
    let source = (picture * launch.x + min(row + local / 4u, launch.x - 1u)) * INPUTS;",
            )
            .unroll(4, "    var sum$i = vec4<f32>();")
            .text(&format!(
                "    for (var start = 0u; start < INPUTS; start += 4u) {{
        let k = min(start + local % 4u, INPUTS - 1u);
        // Past the last input pixels count as zero, so it does not matter which weights they meet.
        let inside = f32(start + local % 4u < INPUTS);
        pixels[local] = vec4<f32>(input[source + k]){scale} * inside;
        let weight_row = min(start * 4u + local / 16u, INPUTS * 4u - 1u);
        weights[local] = vec4<f32>(weight[weight_row * OUTPUTS + min(column, OUTPUTS - 1u)]);
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
            .text("        }\n        workgroupBarrier();\n    }\n    if (column >= OUTPUTS) { return; }")
            .unroll(
                4,
                "    { let at = row + below + $iu * 16u; if (at < launch.x) { store(picture, at, column, sum$i); } }",
            )
            .text("}")
            .finish()
    }

    fn dense(&self) -> Shader {
        let scale = if self.has_gate {
            " * gate[picture * INPUTS + k]"
        } else {
            ""
        };
        self.builder("dense", GROUP)
            .text(&format!(
                "var<workgroup> sums: array<vec4<f32>, 64>;
fn main(group: u32, local: u32) {{
    let column = group % OUTPUTS;
    let picture = group / OUTPUTS / launch.x;
    let row = group / OUTPUTS % launch.x;
    let source = (picture * launch.x + row) * INPUTS;
    var sum = vec4<f32>();
    for (var k = local; k < INPUTS; k += 64u) {{
        let x = vec4<f32>(input[source + k]){scale};
        let at = k * 4u * OUTPUTS + column;
        sum += x.x * vec4<f32>(weight[at]) + x.y * vec4<f32>(weight[at + OUTPUTS])
            + x.z * vec4<f32>(weight[at + 2u * OUTPUTS]) + x.w * vec4<f32>(weight[at + 3u * OUTPUTS]);
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
