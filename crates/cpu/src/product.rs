//! A chunk of a matrix product: brings pixels into rows and goes over them tile by tile.

use crate::activation::{Activate, Activation};
use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::{NONE, PackedStep, ZEROS, scratch_row};
use crate::tile::{self, Tile};

/// Runs one chunk.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn run<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    let (_, columns) = step.grid(memory.batch);
    let (chunk_row, chunk_column) = (chunk / columns, chunk % columns);
    let pixels = step.destination.pixels();
    let rows = memory.batch * pixels;
    let first = chunk_row * step.chunk_rows as usize;
    let last = (first + step.chunk_rows as usize).min(rows);
    let first_panel = chunk_column * step.chunk_columns as usize;
    let last_panel = (first_panel + step.chunk_columns as usize).min(step.panels as usize);
    let frame = step.frame();
    let mut start = first;
    while start < last {
        let rest = match step.gathers() || step.advance().is_some() || step.span.moves() {
            // A band of lines, or of overlapping rows, lies in one frame.
            true => frame - start % frame,
            false => last,
        };
        let block = Block {
            start,
            rows: (last - start).min(step.block as usize).min(rest),
        };
        let [first_tap, end] = step.span.taps(start % pixels / frame);
        for tap in first_tap..end {
            let tap = Tap {
                tap,
                is_first: tap == first_tap,
                is_last: tap + 1 == end,
            };
            // SAFETY: the block is inside of the maps, and no other chunk writes its rows of these panels.
            unsafe {
                let source = gather::<L>(memory, step, block, tap);
                let shortcut = match tap.is_first {
                    true => pool::<L>(memory, step, block),
                    false => so_far(memory, step, block),
                };
                for panel in first_panel..last_panel {
                    multiply::<L>(
                        memory,
                        step,
                        [block.start, block.rows, panel],
                        tap,
                        source,
                        shortcut,
                    );
                }
            }
        }
        start += block.rows;
    }
}

/// Output pixels that are worked on at a time, counted over all pictures.
#[derive(Clone, Copy)]
struct Block {
    start: usize,
    rows: usize,
}

/// One of the frames that outputs see. Its products are added to those of the frames before it, in the output's memory: the
/// weights of a frame at a time stay in the second cache.
#[derive(Clone, Copy)]
struct Tap {
    tap: usize,
    is_first: bool,
    is_last: bool,
}

/// A matrix, row by row.
#[derive(Clone, Copy)]
struct Rows {
    first: *const f32,
    stride: usize,
}

/// Rows of a product in memory: lines of pixels that are equally far from each other.
#[derive(Clone, Copy)]
struct Source {
    pixels: Rows,
    /// Pixels of a line.
    line: usize,
    line_stride: usize,
    /// From one run of a window to the next.
    run_stride: usize,
}

impl Source {
    fn of_pixels(first: *const f32, stride: usize, count: usize) -> Self {
        Self {
            pixels: Rows { first, stride },
            line: count,
            line_stride: 0,
            run_stride: 0,
        }
    }
}

unsafe fn multiply<L: Lanes>(
    memory: &Memory,
    step: &PackedStep,
    [start, rows, panel]: [usize; 3],
    tap: Tap,
    source: Source,
    shortcut: Rows,
) {
    let vector = step.panel_start(panel);
    let vectors = step.panel_start(panel + 1) - vector;
    let column = vector * L::WIDTH;
    let stride = step.destination.stride as usize;
    let shortcut_vectors = (shortcut.stride / L::WIDTH)
        .saturating_sub(vector)
        .min(vectors);
    let activation = match tap.is_last {
        true => step.activation,
        false => Activation::Identity,
    };
    // SAFETY: panels, biases and slopes are as long as the step says, and so are zeros; the block lies in the maps.
    unsafe {
        let weights = memory.parameters.add(step.weight as usize);
        let output = memory.map(step.destination).add(start * stride + column);
        let runs = step.runs();
        let depth = step.depth as usize / step.span.kernel as usize;
        let inputs_before = column * step.depth as usize + tap.tap * depth * vectors * L::WIDTH;
        let tile = Tile {
            runs,
            run_stride: source.run_stride,
            depth: depth / runs,
            rows: source.pixels.first,
            row_stride: source.pixels.stride,
            panel: weights.add(inputs_before),
            bias: match tap.is_first {
                true => memory.parameters.add(step.bias as usize + column),
                false => zeros(memory, step),
            },
            output,
            output_stride: stride,
            shortcut: shortcut.first.wrapping_add(column),
            shortcut_stride: shortcut.stride,
            shortcut_vectors,
            limits: activation.limits(),
        };
        for line in 0..rows / source.line {
            let pixel = line * source.line;
            let output = output.add(pixel * stride);
            let tile = Tile {
                rows: source.pixels.first.add(line * source.line_stride),
                output,
                shortcut: tile.shortcut.wrapping_add(pixel * shortcut.stride),
                ..tile
            };
            tile::multiply_rows::<L>(source.line, vectors, tile);
            if !activation.is_clamp() {
                L::enter(Activate {
                    activation,
                    values: output,
                    rows: source.line,
                    row_stride: stride,
                    vectors,
                    slopes: match step.slope {
                        NONE => core::ptr::null(),
                        slope => memory.parameters.add(slope as usize + column),
                    },
                });
            }
        }
    }
}

/// Zeros at the end of scratch memory: the bias of all frames but the first.
unsafe fn zeros(memory: &Memory, step: &PackedStep) -> *const f32 {
    // SAFETY: a step that sees several frames has room for them.
    unsafe {
        let zeros = memory.scratch.add(step.scratch() - ZEROS);
        zeros.write_bytes(0, ZEROS);
        zeros
    }
}

/// The rows of the product, in scratch memory where they are not pixels of the source.
unsafe fn gather<L: Lanes>(memory: &Memory, step: &PackedStep, block: Block, tap: Tap) -> Source {
    let pixel = step.source.stride as usize;
    // SAFETY: the block lies in the maps, and scratch memory holds a block of rows.
    unsafe {
        let source = memory.map(step.source);
        let stride = scratch_row(step.depth as usize);
        let rows = Source::of_pixels(memory.scratch, stride, block.rows);
        if step.sums.is_present() {
            let bands = step.sums.height as usize;
            let stride_sums = step.sums.stride as usize;
            let sums = memory.map(step.sums);
            for row in 0..block.rows {
                L::enter(Mean {
                    bands: sums.add((block.start + row) * bands * stride_sums),
                    count: bands,
                    stride: stride_sums,
                    factor: 1.0 / step.source.pixels() as f32,
                    output: memory.scratch.add(row * stride),
                });
            }
            rows
        } else if step.gate.is_present() {
            let pixels = step.source.pixels();
            let gates = memory.map(step.gate);
            let mut row = 0;
            while row < block.rows {
                let picture = (block.start + row) / pixels;
                let count = ((picture + 1) * pixels - block.start - row).min(block.rows - row);
                L::enter(Gate {
                    source: source.add((block.start + row) * pixel),
                    rows: count,
                    pixel,
                    gate: gates.add(picture * step.gate.stride as usize),
                    output: memory.scratch.add(row * stride),
                    stride,
                });
                row += count;
            }
            rows
        } else if step.gathers() {
            let [_, width] = step.band(block.rows);
            let frame = step.frame();
            L::enter(Band {
                step,
                source: source.add(seen_frame(step, block, tap)),
                first: block.start % frame / step.destination.width as usize,
                rows: block.rows,
                output: memory.scratch,
            });
            Source {
                pixels: Rows {
                    first: memory.scratch,
                    stride: step.stride as usize * pixel,
                },
                line: step.destination.width as usize,
                line_stride: step.stride as usize * width * pixel,
                run_stride: width * pixel,
            }
        } else if let Some(advance) = step.advance() {
            let pixels = step.destination.pixels();
            let (picture, first) = (block.start / pixels, block.start % pixels);
            let first = source.add(picture * step.source.len() + first * advance * pixel);
            Source::of_pixels(first, advance * pixel, block.rows)
        } else if step.span.moves() {
            let first = block.start % step.frame() * pixel;
            let source = source.add(seen_frame(step, block, tap) + first);
            Source::of_pixels(source, pixel, block.rows)
        } else {
            Source::of_pixels(source.add(block.start * pixel), pixel, block.rows)
        }
    }
}

/// Place in the source of the frame that a tap of the block's frame sees.
fn seen_frame(step: &PackedStep, block: Block, tap: Tap) -> usize {
    let pixels = step.destination.pixels();
    let (picture, frame) = (block.start / pixels, block.start % pixels / step.frame());
    let seen = step.span.seen(frame, tap.tap);
    let seen = seen.expect("taps in the padding are left out");
    let frames = step.span.frames as usize;
    (picture * frames + seen) * (step.source.len() / frames)
}

/// What the output has of the frames before.
unsafe fn so_far(memory: &Memory, step: &PackedStep, block: Block) -> Rows {
    let stride = step.destination.stride as usize;
    // SAFETY: the block lies in the map.
    unsafe {
        Rows {
            first: memory.map(step.destination).add(block.start * stride),
            stride,
        }
    }
}

/// The rows of the shortcut; without one, rows of no length.
unsafe fn pool<L: Lanes>(memory: &Memory, step: &PackedStep, block: Block) -> Rows {
    let stride = step.shortcut.stride as usize;
    if !step.shortcut.is_present() {
        return Rows {
            first: core::ptr::null(),
            stride,
        };
    }
    // SAFETY: the shortcut has the size of the output, or twice that where it is pooled.
    unsafe {
        let shortcut = memory.map(step.shortcut);
        if step.pools_shortcut == 0 {
            return Rows {
                first: shortcut.add(block.start * stride),
                stride,
            };
        }
        let output = memory
            .scratch
            .add(step.scratch() - step.block as usize * stride);
        L::enter(Pool {
            step,
            shortcut,
            block,
            output,
        });
        Rows {
            first: output,
            stride,
        }
    }
}

/// `factor * sum of bands`
struct Mean {
    bands: *const f32,
    count: usize,
    stride: usize,
    factor: f32,
    output: *mut f32,
}

impl Kernel for Mean {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for column in (0..self.stride).step_by(L::WIDTH) {
            // SAFETY: bands and output are `stride` long.
            unsafe {
                let mut sum = L::load(self.bands.add(column));
                for band in 1..self.count {
                    sum = sum.add(L::load(self.bands.add(band * self.stride + column)));
                }
                sum.mul(L::splat(self.factor))
                    .store(self.output.add(column));
            }
        }
    }
}

/// Pixels of one picture times the gate of their channel.
struct Gate {
    source: *const f32,
    rows: usize,
    pixel: usize,
    gate: *const f32,
    output: *mut f32,
    stride: usize,
}

impl Kernel for Gate {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for row in 0..self.rows {
            for column in (0..self.pixel).step_by(L::WIDTH) {
                // SAFETY: pixels and gate are `pixel` long, which the rows of the output hold.
                unsafe {
                    L::load(self.source.add(row * self.pixel + column))
                        .mul(L::load(self.gate.add(column)))
                        .store(self.output.add(row * self.stride + column));
                }
            }
        }
    }
}

/// The part of a frame that some lines of output see, with its padding.
struct Band<'a> {
    step: &'a PackedStep,
    /// The frame.
    source: *const f32,
    /// First line of the output.
    first: usize,
    /// Pixels of the output.
    rows: usize,
    output: *mut f32,
}

impl Kernel for Band<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let PackedStep {
            source,
            stride,
            padding,
            span,
            ..
        } = *self.step;
        let pixel = source.stride as usize;
        let end = (source.height / span.frames) as isize;
        let [height, width] = self.step.band(self.rows);
        let left = padding[1] as usize;
        let real = (source.width as usize).min(width - left);
        for row in 0..height {
            let y = (self.first * stride as usize + row) as isize - padding[0] as isize;
            // SAFETY: only rows inside of the frame are read; the output has room for the band.
            unsafe {
                let output = self.output.add(row * width * pixel);
                if y < 0 || y >= end {
                    fill::<L>(output, width * pixel);
                    continue;
                }
                let start = y as usize * source.width as usize * pixel;
                fill::<L>(output, left * pixel);
                let output = output.add(left * pixel);
                copy::<L>(self.source.add(start), output, real * pixel);
                fill::<L>(output.add(real * pixel), (width - left - real) * pixel);
            }
        }
    }
}

#[inline(always)]
unsafe fn copy<L: Lanes>(from: *const f32, to: *mut f32, length: usize) {
    let mut index = 0;
    // SAFETY: the caller's promise.
    unsafe {
        while index + L::WIDTH <= length {
            L::load(from.add(index)).store(to.add(index));
            index += L::WIDTH;
        }
        while index < length {
            *to.add(index) = *from.add(index);
            index += 1;
        }
    }
}

#[inline(always)]
unsafe fn fill<L: Lanes>(to: *mut f32, length: usize) {
    for index in 0..length {
        // SAFETY: the caller's promise.
        unsafe { *to.add(index) = 0.0 };
    }
}

/// The largest of each two by two pixels.
struct Pool<'a> {
    step: &'a PackedStep,
    shortcut: *const f32,
    block: Block,
    output: *mut f32,
}

impl Kernel for Pool<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let PackedStep {
            shortcut,
            destination,
            ..
        } = *self.step;
        let pixel = shortcut.stride as usize;
        let line = shortcut.width as usize * pixel;
        for row in 0..self.block.rows {
            let index = self.block.start + row;
            let [picture, index] = [index / destination.pixels(), index % destination.pixels()];
            let [y, x] = [
                index / destination.width as usize,
                index % destination.width as usize,
            ];
            for column in (0..pixel).step_by(L::WIDTH) {
                // SAFETY: the shortcut has twice the height and width of the destination.
                unsafe {
                    let corner = self
                        .shortcut
                        .add(picture * shortcut.len() + 2 * y * line + 2 * x * pixel + column);
                    let above = L::load(corner).max(L::load(corner.add(pixel)));
                    let below = L::load(corner.add(line)).max(L::load(corner.add(line + pixel)));
                    above
                        .max(below)
                        .store(self.output.add(row * pixel + column));
                }
            }
        }
    }
}
