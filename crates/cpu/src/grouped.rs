//! A chunk of a convolution along a row in groups of channels: one group of some pixels.
//!
//! The group's channels are brought next to each other, so that what an output sees is one run of floats.

use crate::activation::{Activate, Activation};
use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::{PackedStep, ZEROS};
use crate::tile::{self, Tile};

/// Inputs that are worked on at a time, so that their weights stay in the nearest caches.
const DEPTH: usize = 768;

/// Runs one chunk.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn run<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    let pixels = step.source.pixels();
    let chunk_rows = step.chunk_rows as usize;
    let (blocks, groups) = (pixels.div_ceil(chunk_rows), step.groups as usize);
    let (block, group, picture) = (
        chunk % blocks,
        chunk / blocks % groups,
        chunk / blocks / groups,
    );
    let first = block * chunk_rows;
    let rows = chunk_rows.min(pixels - first);
    let kernel = step.kernel[1] as usize;
    let inputs = step.depth as usize / kernel;
    let outputs = step.channels as usize / groups;
    let stored = step.vectors as usize * L::WIDTH;
    // SAFETY: the group's channels of these pixels lie in the maps, no other chunk writes them, and scratch memory has
    // room for what `PackedStep::scratch` adds up.
    unsafe {
        let band = memory.scratch;
        let sums = band.add((chunk_rows + kernel) * inputs);
        let zeros = sums.add(chunk_rows * outputs.next_multiple_of(16));
        zeros.write_bytes(0, ZEROS);
        L::enter(Band {
            step,
            source: memory
                .map(step.source)
                .add(picture * step.source.len() + group * inputs),
            first,
            rows: rows + kernel - 1,
            inputs,
            output: band,
        });
        let weights = memory.parameters.add(
            step.weight as usize + group * (step.depth as usize * stored).next_multiple_of(16),
        );
        let bias = memory
            .parameters
            .add(step.bias as usize + group * stored.next_multiple_of(16));
        let taps = (DEPTH / inputs).max(1);
        let mut tap = 0;
        while tap < kernel {
            let count = taps.min(kernel - tap);
            for panel in 0..step.panels as usize {
                let vector = step.panel_start(panel);
                let vectors = step.panel_start(panel + 1) - vector;
                let column = vector * L::WIDTH;
                let tile = Tile {
                    runs: 1,
                    run_stride: 0,
                    depth: count * inputs,
                    rows: band.add(tap * inputs),
                    row_stride: inputs,
                    panel: weights
                        .add(column * step.depth as usize + tap * inputs * vectors * L::WIDTH),
                    bias: if tap == 0 { bias.add(column) } else { zeros },
                    output: sums.add(column),
                    output_stride: stored,
                    shortcut: sums.add(column),
                    shortcut_stride: stored,
                    shortcut_vectors: if tap == 0 { 0 } else { vectors },
                    limits: Activation::Identity.limits(),
                };
                tile::multiply_rows::<L>(rows, vectors, tile);
            }
            tap += count;
        }
        if step.activation != Activation::Identity {
            L::enter(Activate {
                activation: step.activation,
                values: sums,
                rows,
                row_stride: stored,
                vectors: step.vectors as usize,
                slopes: core::ptr::null(),
            });
        }
        store(memory, step, [picture, first, rows, group], sums, stored);
    }
}

/// Brings sums into the map, and adds what is to be added.
unsafe fn store(
    memory: &Memory,
    step: &PackedStep,
    [picture, first, rows, group]: [usize; 4],
    sums: *const f32,
    stored: usize,
) {
    let outputs = step.channels as usize / step.groups as usize;
    let stride = step.destination.stride as usize;
    // SAFETY: the caller's promise.
    unsafe {
        let place = picture * step.destination.len() + first * stride;
        let output = memory.map(step.destination).add(place);
        for row in 0..rows {
            let from = sums.add(row * stored);
            let to = output.add(row * stride + group * outputs);
            to.copy_from_nonoverlapping(from, outputs);
            if step.shortcut.is_present() {
                let place = picture * step.shortcut.len()
                    + (first + row) * step.shortcut.stride as usize
                    + group * outputs;
                let addend = memory.map(step.shortcut).add(place);
                for channel in 0..outputs {
                    *to.add(channel) += *addend.add(channel);
                }
            }
            if group + 1 == step.groups as usize {
                let channels = step.channels as usize;
                output
                    .add(row * stride + channels)
                    .write_bytes(0, stride - channels);
            }
        }
    }
}

/// The channels of a group in some pixels, with zeros before and after the row.
struct Band<'a> {
    step: &'a PackedStep,
    /// The group's first channel in the picture's first pixel.
    source: *const f32,
    first: usize,
    rows: usize,
    inputs: usize,
    output: *mut f32,
}

impl Kernel for Band<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let pixels = self.step.source.pixels() as isize;
        let stride = self.step.source.stride as usize;
        for row in 0..self.rows {
            let pixel = (self.first + row) as isize - self.step.padding[1] as isize;
            // SAFETY: only pixels of the picture are read; the output has room for the rows.
            unsafe {
                let output = self.output.add(row * self.inputs);
                if pixel < 0 || pixel >= pixels {
                    output.write_bytes(0, self.inputs);
                } else {
                    let source = self.source.add(pixel as usize * stride);
                    output.copy_from_nonoverlapping(source, self.inputs);
                }
            }
        }
    }
}
