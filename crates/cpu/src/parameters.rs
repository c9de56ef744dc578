//! Parameters as the loops read them: whole vectors of channels, weights of products in panels.

use crate::activation::Activation;
use crate::instructions::InstructionSet;
use crate::lower::Operation;
use crate::packed::{PackedStep, narrow};

/// Sixteen floats on a cache line of their own.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; 16]);

impl Line {
    pub(crate) const ZERO: Self = Self([0.0; 16]);
}

/// Packed parameters. Each method appends some and gives the place of the first float.
pub(crate) struct Parameters {
    floats: Vec<f32>,
    /// Floats in a vector.
    width: usize,
    /// Vectors of a panel at most.
    panel: usize,
}

impl Parameters {
    pub(crate) fn new(set: InstructionSet) -> Self {
        let [width, panel, _] = set.sizes();
        Self {
            floats: Vec::new(),
            width,
            panel,
        }
    }

    /// Floats in a vector.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Vectors of a panel at most.
    pub(crate) fn panel(&self) -> usize {
        self.panel
    }

    fn begin(&mut self) -> u32 {
        self.floats
            .resize(self.floats.len().next_multiple_of(16), 0.0);
        narrow(self.floats.len())
    }

    /// One value per channel, in whole vectors.
    pub(crate) fn row(&mut self, values: &[f32], pad: f32) -> u32 {
        let start = self.begin();
        self.floats.extend_from_slice(values);
        let end = start as usize + values.len().next_multiple_of(self.width);
        self.floats.resize(end, pad);
        start
    }

    /// The bias of a convolution.
    pub(crate) fn bias(&mut self, operation: &Operation<'_>) -> u32 {
        // What fills the last vector is to be zero after the activation too.
        let pad = match operation.activation {
            Activation::Sigmoid => -1e4,
            _ => 0.0,
        };
        self.row(&operation.bias, pad)
    }

    /// `[taps, channels]` in whole vectors.
    pub(crate) fn taps(&mut self, weight: &[f32], channels: usize) -> u32 {
        let start = self.begin();
        for tap in weight.chunks_exact(channels) {
            self.floats.extend_from_slice(tap);
            let filled = self.floats.len() - start as usize;
            let end = start as usize + filled.next_multiple_of(self.width);
            self.floats.resize(end, 0.0);
        }
        start
    }

    /// `[taps, inputs, outputs]` to `[panel, taps, inputs, outputs of the panel]`; a tap has `pixel` inputs in memory.
    pub(crate) fn panels(
        &mut self,
        step: &PackedStep,
        operation: &Operation<'_>,
        [inputs, outputs, pixel]: [usize; 3],
    ) -> u32 {
        let start = self.begin();
        let taps = operation.window.kernel * operation.window.kernel;
        for panel in 0..step.panels as usize {
            let first = step.panel_start(panel) * self.width;
            let last = step.panel_start(panel + 1) * self.width;
            for tap in 0..taps {
                for input in 0..pixel {
                    let filled = self.floats.len();
                    if input < inputs {
                        let row = &operation.weight[(tap * inputs + input) * outputs..][..outputs];
                        self.floats
                            .extend_from_slice(&row[first.min(outputs)..last.min(outputs)]);
                    }
                    self.floats.resize(filled + last - first, 0.0);
                }
            }
        }
        start
    }

    pub(crate) fn into_lines(self) -> Vec<Line> {
        let chunks = self.floats.chunks(16);
        chunks
            .map(|chunk| {
                let mut line = Line::ZERO;
                line.0[..chunk.len()].copy_from_slice(chunk);
                line
            })
            .collect()
    }
}
