//! Pointwise convolutions: `activation((input * gate) x weight + bias + shortcut)`.

use super::builder::ShaderBuilder;
use super::shader::{Element, Shader};
use crate::kernel::Activation;

/// How the work is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tiling {
    /// Each invocation computes [`ROWS`] pixels of four channels by itself. No workgroup memory, no barriers: what
    /// adapters emulated in software need.
    Registers,
    /// A workgroup computes 64 pixels of 64 channels and shares what it reads.
    Workgroup,
    /// A workgroup computes four channels of one pixel and divides the sum: for fully connected layers.
    Dense,
}

/// Form of a pointwise convolution; channels are counted in fours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pointwise {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) activation: Activation,
    /// Pixels of one picture, where there is a gate or a pooled shortcut; otherwise pictures are one long row.
    pub(super) pixels: usize,
    pub(super) gate: Option<GateForm>,
    pub(super) shortcut: Option<ShortcutForm>,
    pub(super) input: Element,
    pub(super) output: Element,
    /// Weights alone; biases, gates and slopes are f32.
    pub(super) weight: Element,
}

/// Factors of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GateForm {
    /// One number per channel.
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

/// Invocations per group.
const GROUP: usize = 64;
/// Pixels per invocation.
const ROWS: usize = 4;
/// Pixels, and channels, of a workgroup's tile; both tiles of an inner step are one `vec4` an invocation.
const TILE: usize = 64;
const TILE_GROUP: usize = 256;

impl Pointwise {
    /// Buffers in order: input, weight, bias, then gate, shortcut and slopes where there are any.
    pub(super) fn shader(&self, tiling: Tiling) -> Shader {
        let (name, group, text) = match tiling {
            Tiling::Registers => (
                "pointwise",
                GROUP,
                include_str!("shaders/pointwise-registers.wgsl"),
            ),
            Tiling::Workgroup => (
                "pointwise-workgroup",
                TILE_GROUP,
                include_str!("shaders/pointwise-workgroup.wgsl"),
            ),
            Tiling::Dense => ("dense", GROUP, include_str!("shaders/pointwise-dense.wgsl")),
        };
        let has_line_gates = matches!(self.gate, Some(GateForm::Lines { .. }));
        assert!(
            !has_line_gates || tiling == Tiling::Workgroup,
            "gates of lines come with workgroup tiles"
        );
        self.bindings(ShaderBuilder::new(name, group))
            .count("ROWS", ROWS)
            .activation("activate", self.activation)
            .source(self.gate_text())
            .source(self.shortcut_text())
            .source(include_str!("shaders/pointwise-store.wgsl"))
            .source(text)
            .finish()
    }

    /// Groups and numbers for a batch.
    pub(super) fn launch(&self, tiling: Tiling, batch: usize) -> (usize, Vec<usize>) {
        // Where pictures are kept apart a tile never holds pixels of two of them.
        let (pictures, rows) = self.rows(batch);
        let groups = match tiling {
            Tiling::Registers => (pictures * rows.div_ceil(ROWS) * self.outputs).div_ceil(GROUP),
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

    fn bindings(&self, builder: ShaderBuilder) -> ShaderBuilder {
        let mut builder = builder
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
            builder = builder
                .reads("shortcut", shortcut.element)
                .numbers(&["shortcut_channels"]);
            if shortcut.pooled_width.is_some() {
                builder = builder.numbers(&["width"]);
            }
        }
        if self.activation == Activation::Prelu {
            builder = builder.reads("slopes", Element::F32);
        }
        builder.writes("output", self.output)
    }

    /// `fn gates_of(picture, row)` and `fn gated(x, gates, k)`: the input times its gates.
    fn gate_text(&self) -> &'static str {
        match self.gate {
            None => include_str!("shaders/pointwise-gate-none.wgsl"),
            Some(GateForm::Channels) => include_str!("shaders/pointwise-gate-channels.wgsl"),
            Some(GateForm::Lines { .. }) => include_str!("shaders/pointwise-gate-lines.wgsl"),
        }
    }

    /// `fn add_shortcut(x, picture, row, column)`
    fn shortcut_text(&self) -> &'static str {
        match self.shortcut {
            None => include_str!("shaders/pointwise-shortcut-none.wgsl"),
            Some(ShortcutForm {
                pooled_width: None, ..
            }) => include_str!("shaders/pointwise-shortcut-same.wgsl"),
            Some(_) => include_str!("shaders/pointwise-shortcut-pooled.wgsl"),
        }
    }
}
