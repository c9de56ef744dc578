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

/// What gets packed parameters.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&[f32]);

/// Packed parameters. Each method appends some and gives the place of the first float.
pub(crate) struct Parameters<'a> {
    /// Floats so far.
    length: usize,
    take: Option<Take<'a>>,
    /// Floats in a vector.
    width: usize,
    /// Vectors of a panel at most.
    panel: usize,
}

impl<'a> Parameters<'a> {
    /// Parameters whose places alone count.
    pub(crate) fn counted(set: InstructionSet) -> Self {
        let [width, panel, _] = set.sizes();
        Self {
            length: 0,
            take: None,
            width,
            panel,
        }
    }

    /// Parameters that `take` gets in their order, whole lines at a time.
    pub(crate) fn taken(set: InstructionSet, take: Take<'a>) -> Self {
        Self {
            take: Some(take),
            ..Self::counted(set)
        }
    }

    /// Floats of whole lines.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Floats in a vector.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Vectors of a panel at most.
    pub(crate) fn panel(&self) -> usize {
        self.panel
    }

    /// Begins on a line of its own; `write` appends so many floats, unless they are only counted.
    fn append(&mut self, length: usize, write: impl FnOnce(&mut Vec<f32>)) -> u32 {
        let start = narrow(self.length);
        let whole = length.next_multiple_of(16);
        self.length += whole;
        if let Some(take) = &mut self.take {
            let mut floats = Vec::with_capacity(whole);
            write(&mut floats);
            assert_eq!(floats.len(), length, "packed parameters");
            floats.resize(whole, 0.0);
            take(&floats);
        }
        start
    }

    /// One value per channel, in whole vectors.
    pub(crate) fn row(&mut self, values: &[f32], pad: f32) -> u32 {
        let length = values.len().next_multiple_of(self.width);
        self.append(length, |row| {
            row.extend_from_slice(values);
            row.resize(length, pad);
        })
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
        let length = channels.next_multiple_of(self.width);
        let taps = weight.chunks_exact(channels);
        self.append(taps.len() * length, |rows| {
            for tap in taps {
                rows.extend_from_slice(tap);
                rows.resize(rows.len().next_multiple_of(length), 0.0);
            }
        })
    }

    /// `[taps, inputs, outputs]` to `[panel, taps, inputs, outputs of the panel]`; a tap has `pixel` inputs in memory.
    pub(crate) fn panels(
        &mut self,
        step: &PackedStep,
        weight: &[f32],
        sizes @ [_, _, pixel, taps]: [usize; 4],
    ) -> u32 {
        let width = self.width;
        let length = taps * pixel * step.vectors as usize * width;
        self.append(length, |panels| {
            panels.resize(length, 0.0);
            write_panels(panels, step, width, weight, sizes);
        })
    }
}

/// What [`Parameters::panels`] says, into zeros; vectors have `width` floats.
fn write_panels(
    panels: &mut [f32],
    step: &PackedStep,
    width: usize,
    weight: &[f32],
    [inputs, outputs, pixel, taps]: [usize; 4],
) {
    let mut rest = panels;
    for panel in 0..step.panels as usize {
        let [first, last] = [panel, panel + 1].map(|it| step.panel_start(it) * width);
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
