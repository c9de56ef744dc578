//! Parameters as the loops read them: whole vectors of channels, weights of products in panels.

use crate::activation::Activation;
use crate::instructions::InstructionSet;
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
    lines: Vec<Line>,
    /// Floats in a vector.
    width: usize,
    /// Vectors of a panel at most.
    panel: usize,
}

impl Parameters {
    /// Room for about that many floats.
    pub(crate) fn new(set: InstructionSet, floats: usize) -> Self {
        let [width, panel, _] = set.sizes();
        Self {
            lines: Vec::with_capacity(floats / 16 + floats / 256),
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

    /// Begins on a line of its own.
    fn append(&mut self, floats: &[f32]) -> u32 {
        let start = narrow(16 * self.lines.len());
        let (whole, rest) = floats.as_chunks();
        self.lines.extend(whole.iter().map(|&line| Line(line)));
        if !rest.is_empty() {
            let mut line = Line::ZERO;
            line.0[..rest.len()].copy_from_slice(rest);
            self.lines.push(line);
        }
        start
    }

    /// One value per channel, in whole vectors.
    pub(crate) fn row(&mut self, values: &[f32], pad: f32) -> u32 {
        let mut row = values.to_vec();
        row.resize(values.len().next_multiple_of(self.width), pad);
        self.append(&row)
    }

    /// The bias of a convolution.
    pub(crate) fn bias(&mut self, bias: &[f32], activation: Activation) -> u32 {
        // What fills the last vector is to be zero after the activation too.
        let pad = match activation {
            Activation::Sigmoid => -1e4,
            _ => 0.0,
        };
        self.row(bias, pad)
    }

    /// `[taps, channels]` in whole vectors.
    pub(crate) fn taps(&mut self, weight: &[f32], channels: usize) -> u32 {
        let mut rows = Vec::new();
        for tap in weight.chunks_exact(channels) {
            rows.extend_from_slice(tap);
            rows.resize(rows.len().next_multiple_of(self.width), 0.0);
        }
        self.append(&rows)
    }

    /// `[taps, inputs, outputs]` to `[panel, taps, inputs, outputs of the panel]`; a tap has `pixel` inputs in memory.
    pub(crate) fn panels(
        &mut self,
        step: &PackedStep,
        weight: &[f32],
        [inputs, outputs, pixel, taps]: [usize; 4],
    ) -> u32 {
        let mut panels = vec![0.0; taps * pixel * step.vectors as usize * self.width];
        let mut rest = panels.as_mut_slice();
        for panel in 0..step.panels as usize {
            let [first, last] = [panel, panel + 1].map(|it| step.panel_start(it) * self.width);
            let columns = first.min(outputs)..last.min(outputs);
            let length = last - first;
            let (written, after) = rest.split_at_mut(taps * pixel * length);
            rest = after;
            match length {
                // What the vectors of browsers make: runs of a known length are copied several times faster.
                4 if inputs == pixel && last <= outputs => {
                    copy_columns::<4>(weight, outputs, first, written)
                }
                8 if inputs == pixel && last <= outputs => {
                    copy_columns::<8>(weight, outputs, first, written)
                }
                _ => {
                    let rows = weight
                        .chunks_exact(inputs * outputs)
                        .zip(written.chunks_exact_mut(pixel * length));
                    for (tap, written) in rows {
                        for (row, written) in tap
                            .chunks_exact(outputs)
                            .zip(written.chunks_exact_mut(length))
                        {
                            written[..columns.len()].copy_from_slice(&row[columns.clone()]);
                        }
                    }
                }
            }
        }
        self.append(&panels)
    }

    pub(crate) fn into_lines(self) -> Vec<Line> {
        self.lines
    }
}

/// `LENGTH` columns of each row of `columns` floats, from the column `first` on.
fn copy_columns<const LENGTH: usize>(
    rows: &[f32],
    columns: usize,
    first: usize,
    written: &mut [f32],
) {
    let (written, _) = written.as_chunks_mut::<LENGTH>();
    for (row, written) in rows.chunks_exact(columns).zip(written) {
        if let Some(run) = row[first..].first_chunk() {
            *written = *run;
        }
    }
}
