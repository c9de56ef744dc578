//! Attention without the whole of its scores: some pixels look at some keys at a time, and what they have seen so far is
//! kept as a sum with its largest score (Milakov and Gimelshein 2018, Dao et al. 2022).
//!
//! Keys and values are first brought into panels, as weights of a product are: for each head keys,
//! `[panels, length, keys of a panel]`, then values, `[panels, keys, columns of a panel]`.

use crate::activation::{Activation, power_of_two};
use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::{APART, KEYS, NONE, PackedStep, ZEROS, packed_head};
use crate::tile::{self, Tile};

/// One head of one row of pixels.
#[derive(Clone, Copy)]
struct Head {
    /// Counted over all pictures.
    row: usize,
    head: usize,
    /// Channels of a query, a key and a value.
    length: usize,
    /// Pixels, and keys with what fills the last panel up.
    pixels: usize,
    keys: usize,
}

impl Head {
    fn new(step: &PackedStep, packed_keys: u32, row: usize, head: usize) -> Self {
        Self {
            row,
            head,
            length: step.depth as usize,
            pixels: step.source.width as usize,
            keys: packed_keys as usize,
        }
    }

    /// First float of the head's queries (part 0), keys (1) or values (2).
    unsafe fn part(&self, memory: &Memory, step: &PackedStep, part: usize) -> *const f32 {
        let column = (part * step.groups as usize + self.head) * self.length;
        // SAFETY: the caller has a step of attention.
        unsafe {
            memory
                .map(step.source)
                .add(self.row * step.source.row() + column)
        }
    }

    /// Floats before the head's keys in panels, in the line of its row.
    fn packed(&self) -> usize {
        self.head * self.keys * packed_head(self.length)
    }
}

/// Vectors of a value, and where a panel of them begins.
fn value_panels<L: Lanes>(length: usize) -> (usize, impl Fn(usize) -> usize) {
    let vectors = length.div_ceil(L::WIDTH);
    let panels = vectors.div_ceil(L::PANEL);
    let start = move |panel: usize| panel * (vectors / panels) + panel.min(vectors % panels);
    (panels, start)
}

/// Brings keys and values of one head into panels.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn pack<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    let heads = step.groups as usize;
    let head = Head::new(step, step.destination.width, chunk / heads, chunk % heads);
    // SAFETY: keys and values lie in the source, and the head's panels in the destination.
    unsafe {
        let place = head.row * step.destination.row() + head.packed();
        L::enter(Pack {
            head,
            stride: step.source.stride as usize,
            keys: head.part(memory, step, 1),
            values: head.part(memory, step, 2),
            output: memory.map(step.destination).add(place),
        });
    }
}

struct Pack {
    head: Head,
    stride: usize,
    keys: *const f32,
    values: *const f32,
    output: *mut f32,
}

impl Kernel for Pack {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Head {
            length,
            pixels,
            keys,
            ..
        } = self.head;
        let panel = L::PANEL * L::WIDTH;
        let (panels, start) = value_panels::<L>(length);
        // SAFETY: the caller's promise.
        unsafe {
            for key in 0..keys {
                let to = self.output.add(key / panel * panel * length + key % panel);
                for channel in 0..length {
                    *to.add(channel * panel) = match key < pixels {
                        true => *self.keys.add(key * self.stride + channel),
                        false => 0.0,
                    };
                }
            }
            let output = self.output.add(keys * length);
            for panel in 0..panels {
                let [first, last] = [start(panel), start(panel + 1)].map(|it| it * L::WIDTH);
                let real = last.min(length) - first;
                let width = last - first;
                for key in 0..keys {
                    let to = output.add(keys * first + key * width);
                    if key < pixels {
                        let from = self.values.add(key * self.stride + first);
                        to.copy_from_nonoverlapping(from, real);
                        to.add(real).write_bytes(0, width - real);
                    } else {
                        to.write_bytes(0, width);
                    }
                }
            }
        }
    }
}

/// Runs one chunk: some pixels of a row, and one head.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn run<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    let pixels = step.source.width as usize;
    let chunk_rows = step.chunk_rows as usize;
    let (blocks, heads) = (pixels.div_ceil(chunk_rows), step.groups as usize);
    // Neighbouring chunks look at the same keys.
    let (block, head, line) = (
        chunk % blocks,
        chunk / blocks % heads,
        chunk / blocks / heads,
    );
    let first = block * chunk_rows;
    let rows = chunk_rows.min(pixels - first);
    let head = Head::new(step, step.shortcut.width, line, head);
    // SAFETY: the caller has a step of attention.
    let bias = unsafe { Bias::new(memory, step, &head) };
    let length = head.length;
    let stored = length.next_multiple_of(L::WIDTH);
    let stride = step.source.stride as usize;
    let panel_keys = L::PANEL * L::WIDTH;
    let (panels, start) = value_panels::<L>(length);
    // SAFETY: the pixels' channels of this head lie in the maps, no other chunk writes them, and scratch memory has room
    // for what `PackedStep::scratch` adds up.
    unsafe {
        let scores = memory.scratch;
        let sums = scores.add(chunk_rows * KEYS);
        let largest = sums.add(chunk_rows * length.next_multiple_of(16));
        let totals = largest.add(chunk_rows);
        let zeros = totals.add(chunk_rows);
        zeros.write_bytes(0, ZEROS);
        sums.write_bytes(0, rows * stored);
        totals.write_bytes(0, rows);
        for row in 0..rows {
            *largest.add(row) = f32::NEG_INFINITY;
        }
        let queries = head.part(memory, step, 0).add(first * stride);
        let keys = memory
            .map(step.shortcut)
            .add(line * step.shortcut.row() + head.packed());
        let values = keys.add(head.keys * length);
        let plain = Tile {
            runs: 1,
            run_stride: 0,
            depth: length,
            rows: queries,
            row_stride: stride,
            panel: keys,
            bias: zeros,
            output: scores,
            output_stride: KEYS,
            shortcut: core::ptr::null(),
            shortcut_stride: 0,
            shortcut_vectors: 0,
            limits: Activation::Identity.limits(),
        };
        for key in (0..pixels).step_by(KEYS) {
            let count = KEYS.min(pixels - key);
            for panel in 0..count.div_ceil(panel_keys) {
                let tile = Tile {
                    panel: keys.add((key + panel * panel_keys) * length),
                    output: scores.add(panel * panel_keys),
                    ..plain
                };
                tile::multiply_rows::<L>(rows, L::PANEL, tile);
            }
            if let Some(bias) = &bias {
                for row in 0..rows {
                    bias.add(scores.add(row * KEYS), first + row, key, count);
                }
            }
            L::enter(Weigh {
                scores,
                rows,
                count,
                factor: step.epsilon,
                largest,
                totals,
                sums,
                stored,
            });
            for panel in 0..panels {
                let vectors = start(panel + 1) - start(panel);
                let column = start(panel) * L::WIDTH;
                let sums = sums.add(column);
                let tile = Tile {
                    depth: count,
                    rows: scores,
                    row_stride: KEYS,
                    panel: values.add(head.keys * column + key * vectors * L::WIDTH),
                    output: sums,
                    output_stride: stored,
                    shortcut: sums,
                    shortcut_stride: stored,
                    shortcut_vectors: vectors,
                    ..plain
                };
                tile::multiply_rows::<L>(rows, vectors, tile);
            }
        }
        let stride = step.destination.stride as usize;
        let output = memory
            .map(step.destination)
            .add(line * step.destination.row() + first * stride);
        for row in 0..rows {
            let output = output.add(row * stride);
            let share = 1.0 / *totals.add(row);
            for channel in 0..length {
                *output.add(head.head * length + channel) =
                    *sums.add(row * stored + channel) * share;
            }
            if head.head + 1 == heads {
                let channels = heads * length;
                output.add(channels).write_bytes(0, stride - channels);
            }
        }
    }
}

/// What is added to scores, in their own measure.
struct Bias {
    /// For each place of two pixels to each other, from that of a pixel to itself on.
    table: *const f32,
    /// Codes of the pixels.
    codes: *const u32,
    /// Regions of the row's pixels; null where there is one.
    regions: *const u32,
    /// For scores between regions.
    apart: f32,
}

impl Bias {
    /// What is added for a head; none where that is nothing.
    unsafe fn new(memory: &Memory, step: &PackedStep, head: &Head) -> Option<Self> {
        if step.weight == NONE {
            return None;
        }
        let places = step.advance as usize;
        let row = head.row % step.source.height as usize;
        // SAFETY: the caller has a step of attention, whose parameters are as many as compiling packed.
        unsafe {
            let parameter = |place: u32| memory.parameters.add(place as usize);
            Some(Self {
                table: parameter(step.weight).add(head.head * places + places / 2),
                codes: parameter(step.bias).cast(),
                regions: match step.slope {
                    NONE => core::ptr::null(),
                    place => parameter(place).add(row * head.pixels).cast(),
                },
                apart: APART * core::f32::consts::LOG2_E / step.epsilon,
            })
        }
    }

    /// Adds to the scores of a query with some keys.
    #[inline]
    unsafe fn add(&self, scores: *mut f32, query: usize, key: usize, count: usize) {
        // SAFETY: the caller's promise; compiling checked that codes are no further apart than half of the table.
        unsafe {
            let table = self.table.add(*self.codes.add(query) as usize);
            for index in 0..count {
                *scores.add(index) += *table.sub(*self.codes.add(key + index) as usize);
            }
            if self.regions.is_null() {
                return;
            }
            let region = *self.regions.add(query);
            for index in 0..count {
                if *self.regions.add(key + index) != region {
                    *scores.add(index) += self.apart;
                }
            }
        }
    }
}

/// Scores become weights relative to the largest score so far; sums and totals of earlier keys are brought down to it.
struct Weigh {
    scores: *mut f32,
    rows: usize,
    /// Scores of a row.
    count: usize,
    factor: f32,
    largest: *mut f32,
    totals: *mut f32,
    sums: *mut f32,
    /// Floats of a row of sums.
    stored: usize,
}

impl Kernel for Weigh {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let end = self.count.next_multiple_of(L::WIDTH);
        // SAFETY: the caller's promise; rows of scores are whole vectors.
        unsafe {
            let factor = L::splat(self.factor);
            for row in 0..self.rows {
                let scores = self.scores.add(row * KEYS);
                for key in self.count..end {
                    *scores.add(key) = f32::NEG_INFINITY;
                }
                let mut top = L::load(scores);
                for key in (L::WIDTH..end).step_by(L::WIDTH) {
                    top = top.max(L::load(scores.add(key)));
                }
                let before = *self.largest.add(row);
                let largest = greatest(top).max(before);
                let total = self.totals.add(row);
                if largest > before {
                    *self.largest.add(row) = largest;
                    let scale = power_of_two(L::splat(before - largest).mul(factor));
                    let sums = self.sums.add(row * self.stored);
                    for column in (0..self.stored).step_by(L::WIDTH) {
                        let sum = sums.add(column);
                        L::load(sum).mul(scale).store(sum);
                    }
                    *total *= greatest(scale);
                }
                let largest = L::splat(largest);
                let mut sum = L::splat(0.0);
                for key in (0..end).step_by(L::WIDTH) {
                    let score = scores.add(key);
                    let weight = power_of_two(L::load(score).sub(largest).mul(factor));
                    weight.store(score);
                    sum = sum.add(weight);
                }
                *total += sum.total();
            }
        }
    }
}

/// The largest float of a vector.
#[inline(always)]
unsafe fn greatest<L: Lanes>(vector: L) -> f32 {
    let mut values = [f32::NEG_INFINITY; 16];
    // SAFETY: no vector is wider than 16 floats.
    unsafe { vector.store(values.as_mut_ptr()) };
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}
