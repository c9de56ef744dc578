//! Steps without a product: means, layer normalisation, max pooling, enlarging, gates of lines.

use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::{Kind, NONE, PackedMap, PackedStep};

/// Runs one chunk.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn run<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    let (_, columns) = step.grid(memory.batch);
    let (row, column) = (chunk / columns, chunk % columns);
    let chunk_columns = step.chunk_columns as usize * L::WIDTH;
    let pixel = step.source.stride as usize;
    let columns = [
        column * chunk_columns,
        ((column + 1) * chunk_columns).min(pixel),
    ];
    let chunk_rows = step.chunk_rows as usize;
    // SAFETY: rows and columns lie in the maps, and no other chunk writes them.
    unsafe {
        let source = memory.map(step.source);
        let output = memory.map(step.destination);
        match step.kind {
            Kind::Average => L::enter(Average {
                step,
                source: source.add(row * step.source.len() / step.destination.pixels()),
                output: output.add(row * pixel),
                columns,
            }),
            Kind::Lines => L::enter(Lines {
                step,
                source: source.add(row * step.source.len()),
                output: output.add(row * step.destination.len()),
                columns,
                parameters: memory.parameters,
            }),
            Kind::LayerNorm => {
                let rows = memory.batch * step.destination.pixels();
                let first = row * chunk_rows;
                L::enter(LayerNorm {
                    step,
                    source: source.add(first * pixel),
                    output: output.add(first * pixel),
                    rows: chunk_rows.min(rows - first),
                    gain: memory.parameters.add(step.weight as usize),
                    bias: memory.parameters.add(step.bias as usize),
                });
            }
            _ => {
                let height = step.destination.height as usize;
                let bands = height.div_ceil(chunk_rows);
                let (picture, band) = (row / bands, row % bands);
                let source = source.add(picture * step.source.len());
                let output = output.add(picture * step.destination.len());
                let rows = [band * chunk_rows, ((band + 1) * chunk_rows).min(height)];
                if step.kind == Kind::LineGate {
                    let gates = |map: PackedMap| match map.is_present() {
                        true => memory.map(map).add(picture * map.len()).cast_const(),
                        false => core::ptr::null(),
                    };
                    L::enter(LineGate {
                        step,
                        source,
                        output,
                        gates: [gates(step.gate), gates(step.shortcut)],
                        rows,
                        columns,
                    });
                    return;
                }
                if step.kind == Kind::Enlarge {
                    let addend = memory.map(step.shortcut);
                    L::enter(Enlarge {
                        step,
                        source,
                        addend: addend.add(picture * step.shortcut.len()),
                        output,
                        rows,
                        columns,
                    });
                    return;
                }
                L::enter(MaxPool {
                    step,
                    source,
                    output,
                    rows,
                    columns,
                });
            }
        }
    }
}

struct Average<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
    columns: [usize; 2],
}

impl Kernel for Average<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let pixels = self.step.source.pixels() / self.step.destination.pixels();
        let pixel = self.step.source.stride as usize;
        for column in (self.columns[0]..self.columns[1]).step_by(L::WIDTH) {
            // SAFETY: columns lie in the pixels.
            unsafe {
                // Two sums: one alone would wait for each addition.
                let mut sums = [L::splat(0.0); 2];
                let mut index = 0;
                while index + 1 < pixels {
                    let value = self.source.add(index * pixel + column);
                    sums[0] = sums[0].add(L::load(value));
                    sums[1] = sums[1].add(L::load(value.add(pixel)));
                    index += 2;
                }
                if index < pixels {
                    sums[0] = sums[0].add(L::load(self.source.add(index * pixel + column)));
                }
                sums[0]
                    .add(sums[1])
                    .mul(L::splat(1.0 / pixels as f32))
                    .store(self.output.add(column));
            }
        }
    }
}

/// Rows first, then columns.
struct Lines<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
    columns: [usize; 2],
    parameters: *const f32,
}

impl Kernel for Lines<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let PackedMap { height, width, .. } = self.step.source;
        let [height, width] = [height, width].map(|side| side as usize);
        let pixel = self.step.source.stride as usize;
        let is_weighted = self.step.weight != NONE;
        for column in (self.columns[0]..self.columns[1]).step_by(L::WIDTH) {
            // SAFETY: columns lie in the pixels; weights are as many as lines, biases two.
            unsafe {
                let parameters_at = |start: u32| {
                    self.parameters
                        .wrapping_add((start as usize).wrapping_add(column))
                };
                let weights = parameters_at(self.step.weight);
                let biases = parameters_at(self.step.bias);
                let start = |line: usize| match is_weighted {
                    true => L::load(biases.wrapping_add(line * pixel)),
                    false => L::splat(0.0),
                };
                let weight = |line: usize, length: usize| match is_weighted {
                    true => L::load(weights.wrapping_add(line * pixel)),
                    false => L::splat(1.0 / length as f32),
                };
                let output = |line: usize| self.output.add(line * pixel + column);
                for x in 0..width {
                    start(1).store(output(height + x));
                }
                for y in 0..height {
                    let mut sums = [start(0), L::splat(0.0)];
                    let of_column = weight(width + y, height);
                    for x in 0..width {
                        let value = L::load(self.source.add((y * width + x) * pixel + column));
                        // Two sums: one alone would wait for each addition.
                        sums[x % 2] = value.mul_add(weight(x, width), sums[x % 2]);
                        let sum = output(height + x);
                        value.mul_add(of_column, L::load(sum)).store(sum);
                    }
                    sums[0].add(sums[1]).store(output(y));
                }
            }
        }
    }
}

struct LineGate<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
    /// The second may be null.
    gates: [*const f32; 2],
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Kernel for LineGate<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let PackedMap {
            height,
            width,
            stride,
            ..
        } = self.step.source;
        let [height, width, pixel] = [height, width, stride].map(|count| count as usize);
        let line = self.step.gate.stride as usize;
        for y in self.rows[0]..self.rows[1] {
            for x in 0..width {
                for column in (self.columns[0]..self.columns[1]).step_by(L::WIDTH) {
                    // SAFETY: pixels and lines lie in the maps, gates of columns behind those of rows.
                    unsafe {
                        let gate = |gates: *const f32| {
                            let of_column = gates.add((height + x) * line + column);
                            L::load(gates.add(y * line + column))
                                .mul(L::load(of_column.add(self.step.depth as usize)))
                        };
                        let mut factor = gate(self.gates[0]);
                        if !self.gates[1].is_null() {
                            factor = factor.max(gate(self.gates[1]));
                        }
                        let place = (y * width + x) * pixel + column;
                        L::load(self.source.add(place))
                            .mul(factor)
                            .store(self.output.add(place));
                    }
                }
            }
        }
    }
}

struct LayerNorm<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
    rows: usize,
    gain: *const f32,
    bias: *const f32,
}

impl Kernel for LayerNorm<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let pixel = self.step.source.stride as usize;
        let channels = self.step.channels as f32;
        let absent = pixel as f32 - channels;
        for row in 0..self.rows {
            // SAFETY: rows, gain and bias are `pixel` long.
            unsafe {
                let source = self.source.add(row * pixel);
                let mut sum = L::splat(0.0);
                for column in (0..pixel).step_by(L::WIDTH) {
                    sum = sum.add(L::load(source.add(column)));
                }
                let mean = sum.total() / channels;
                let mut sum = L::splat(0.0);
                for column in (0..pixel).step_by(L::WIDTH) {
                    let rest = L::load(source.add(column)).sub(L::splat(mean));
                    sum = rest.mul_add(rest, sum);
                }
                // Channels that only fill the last vector are zero, and were counted.
                let variance = (sum.total() - absent * mean * mean).max(0.0) / channels;
                let factor = L::splat(reciprocal_root(variance + self.step.epsilon));
                for column in (0..pixel).step_by(L::WIDTH) {
                    L::load(source.add(column))
                        .sub(L::splat(mean))
                        .mul(factor)
                        .mul_add(
                            L::load(self.gain.add(column)),
                            L::load(self.bias.add(column)),
                        )
                        .store(self.output.add(row * pixel + column));
                }
            }
        }
    }
}

/// `1 / sqrt(x)`; `core` has no root.
fn reciprocal_root(x: f32) -> f32 {
    let mut root = f32::from_bits(0x5f37_59df - (x.to_bits() >> 1));
    for _ in 0..4 {
        root *= 1.5 - 0.5 * x * root * root;
    }
    root
}

struct Enlarge<'a> {
    step: &'a PackedStep,
    source: *const f32,
    addend: *const f32,
    output: *mut f32,
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Kernel for Enlarge<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let PackedMap {
            height,
            width,
            stride,
            ..
        } = self.step.source;
        let [height, width, pixel] = [height, width, stride].map(|count| count as usize);
        let (low, high) = self.step.activation.limits();
        // The pixel that an output lies in, and the one that it is nearest to beside it; at the edge the same one.
        let pair = |at: usize, end: usize| {
            let beside = (at / 2 + at % 2).saturating_sub(1 - at % 2);
            [at / 2, beside.min(end - 1)]
        };
        for y in self.rows[0]..self.rows[1] {
            let rows = pair(y, height);
            for x in 0..2 * width {
                let columns = pair(x, width);
                for channel in (self.columns[0]..self.columns[1]).step_by(L::WIDTH) {
                    // SAFETY: pixels lie in the maps.
                    unsafe {
                        let across = |row: usize| {
                            let [own, beside] = columns.map(|column| {
                                L::load(self.source.add((row * width + column) * pixel + channel))
                            });
                            own.mul_add(L::splat(0.75), beside.mul(L::splat(0.25)))
                        };
                        let place = (y * 2 * width + x) * pixel + channel;
                        across(rows[0])
                            .mul_add(L::splat(0.75), across(rows[1]).mul(L::splat(0.25)))
                            .max(L::splat(low))
                            .min(L::splat(high))
                            .add(L::load(self.addend.add(place)))
                            .store(self.output.add(place));
                    }
                }
            }
        }
    }
}

struct MaxPool<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Kernel for MaxPool<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let PackedStep {
            source,
            destination,
            kernel,
            stride,
            padding,
            span,
            ..
        } = *self.step;
        let pixel = source.stride as usize;
        let [height, seen_height] = [
            destination.height / span.output,
            source.height / span.frames,
        ]
        .map(|it| it as usize);
        let clip = |index: usize, padding: u32, kernel: u32, end: u32| {
            let start = index as isize * stride as isize - padding as isize;
            let first = start.max(0) as usize;
            let last = (start + kernel as isize).clamp(0, end as isize) as usize;
            [first, last]
        };
        for y in self.rows[0]..self.rows[1] {
            let (frame, y_of_frame) = (y / height, y % height);
            let [first, last] = span.taps(frame);
            let frames = first..last;
            let rows = clip(
                y_of_frame,
                padding[0],
                kernel[0],
                source.height / span.frames,
            );
            for x in 0..destination.width as usize {
                let columns = clip(x, padding[1], kernel[1], source.width);
                for channel in (self.columns[0]..self.columns[1]).step_by(L::WIDTH) {
                    // SAFETY: only pixels inside of the picture are read.
                    unsafe {
                        let mut largest = L::splat(f32::NEG_INFINITY);
                        for seen in frames.clone().filter_map(|tap| span.seen(frame, tap)) {
                            for row in rows[0]..rows[1] {
                                for column in columns[0]..columns[1] {
                                    let row = seen * seen_height + row;
                                    let index = row * source.width as usize + column;
                                    largest = largest
                                        .max(L::load(self.source.add(index * pixel + channel)));
                                }
                            }
                        }
                        let index = y * destination.width as usize + x;
                        largest.store(self.output.add(index * pixel + channel));
                    }
                }
            }
        }
    }
}
