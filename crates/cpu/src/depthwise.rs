//! Convolutions of each channel on its own, a few neighbouring output pixels at a time.
//!
//! Sums stay in registers while the window slides: every input vector is loaded once and goes into each output
//! that sees it.

use crate::activation::{Activate, Activation, silu};
use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::{NONE, PackedStep};

/// Output pixels of a strip; seven divides the sides of most maps.
const LONG: usize = 7;
const MIDDLE: usize = 4;

/// Floats of channels that are finished before the next ones: the rows of the window stay in the first cache.
const CHANNELS: usize = 256;

/// Runs one chunk.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn run<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    let (_, columns) = step.grid(memory.batch);
    let height = step.destination.height as usize;
    let bands = height.div_ceil(step.chunk_rows as usize);
    let (row, column) = (chunk / columns, chunk % columns);
    let (picture, band) = (row / bands, row % bands);
    let rows = [
        band * step.chunk_rows as usize,
        ((band + 1) * step.chunk_rows as usize).min(height),
    ];
    let chunk_columns = step.chunk_columns as usize * L::WIDTH;
    let first = column * chunk_columns;
    let last = (first + chunk_columns).min(step.destination.stride as usize);
    // SAFETY: the rows and channels lie in the maps, and no other chunk writes them.
    unsafe {
        let sums = if step.sums.is_present() {
            let sums = memory
                .map(step.sums)
                .add((picture * bands + band) * step.sums.stride as usize);
            for column in (first..last).step_by(L::WIDTH) {
                Plane::clear::<L>(sums.add(column));
            }
            sums
        } else {
            core::ptr::null_mut()
        };
        let plane = Plane {
            step,
            parameters: memory.parameters,
            source: memory.map(step.source).add(picture * step.source.len()),
            output: memory
                .map(step.destination)
                .add(picture * step.destination.len()),
            sums,
        };
        let mut start = first;
        while start < last {
            let end = (start + CHANNELS).min(last);
            match (step.kernel[0], step.stride) {
                (3, 1) if step.depth == 2 => plane.rows::<L, 3, 1, 2>(rows, [start, end]),
                (3, 1) => plane.rows::<L, 3, 1, 1>(rows, [start, end]),
                (3, 2) => plane.rows::<L, 3, 2, 1>(rows, [start, end]),
                (5, 1) => plane.rows::<L, 5, 1, 1>(rows, [start, end]),
                (5, 2) => plane.rows::<L, 5, 2, 1>(rows, [start, end]),
                (7, 1) => plane.rows::<L, 7, 1, 1>(rows, [start, end]),
                (7, 2) => plane.rows::<L, 7, 2, 1>(rows, [start, end]),
                (9, 2) => plane.rows::<L, 9, 2, 1>(rows, [start, end]),
                (kernel, stride) => unreachable!("depthwise kernel {kernel}, stride {stride}"),
            }
            start = end;
        }
    }
}

/// One picture of a depthwise step.
#[derive(Clone, Copy)]
struct Plane<'a> {
    step: &'a PackedStep,
    parameters: *const f32,
    source: *const f32,
    output: *mut f32,
    /// Sums over this band's rows, or null.
    sums: *mut f32,
}

impl Plane<'_> {
    unsafe fn clear<L: Lanes>(sums: *mut f32) {
        for index in 0..L::WIDTH {
            // SAFETY: the caller's promise.
            unsafe { *sums.add(index) = 0.0 };
        }
    }

    unsafe fn rows<L: Lanes, const K: usize, const S: usize, const G: usize>(
        self,
        [first, last]: [usize; 2],
        channels: [usize; 2],
    ) {
        let width = self.step.destination.width as usize;
        for y in first..last {
            let mut x = 0;
            while x < width {
                let rest = width - x;
                let length = match rest {
                    LONG.. => LONG,
                    // A longer strip that begins further left costs less than many short ones.
                    5.. if width >= LONG => LONG,
                    MIDDLE.. => MIDDLE,
                    2.. if width >= MIDDLE => MIDDLE,
                    _ => 1,
                };
                let start = (x + length).min(width) - length;
                let strip = Strip {
                    plane: self,
                    y,
                    x: start,
                    done: x - start,
                    channels,
                };
                // SAFETY: the strip lies in the row.
                unsafe {
                    match length {
                        LONG => strip.enter::<L, K, S, LONG, G>(),
                        MIDDLE => strip.enter::<L, K, S, MIDDLE, G>(),
                        _ => strip.enter::<L, K, S, 1, G>(),
                    }
                }
                x = start + length;
            }
        }
    }
}

/// Some neighbouring output pixels of a row.
#[derive(Clone, Copy)]
struct Strip<'a> {
    plane: Plane<'a>,
    y: usize,
    x: usize,
    /// Pixels at the left that an earlier strip has counted into the sums.
    done: usize,
    channels: [usize; 2],
}

impl Strip<'_> {
    unsafe fn enter<L: Lanes, const K: usize, const S: usize, const P: usize, const G: usize>(
        self,
    ) {
        let PackedStep {
            source,
            destination,
            padding,
            activation,
            ..
        } = *self.plane.step;
        let top = self.y as isize * S as isize - padding[0] as isize;
        let left = self.x as isize * S as isize - padding[1] as isize;
        let span = (P - 1) * S + K;
        let clip = |start: isize, span: usize, end: u32| {
            let first = (-start).clamp(0, span as isize) as usize;
            let last = (end as isize - start).clamp(first as isize, span as isize) as usize;
            [first, last]
        };
        let taps = clip(top, K, source.height);
        let columns = clip(left, span, source.width);
        let window = Window::<K, S, P, G> {
            strip: self,
            corner: (top * source.width as isize + left) * source.stride as isize,
            taps,
            columns,
        };
        // SAFETY: only taps and columns inside of the picture are read.
        unsafe {
            if columns == [0, span] {
                L::enter(Inner(window));
            } else {
                L::enter(Outer(window));
            }
            if !activation.is_clamp() && activation != Activation::Silu {
                let [first, last] = self.channels;
                let stride = destination.stride as usize;
                let pixel = self.y * destination.width as usize + self.x;
                let values = self.plane.output.add(pixel * stride + first);
                L::enter(Activate {
                    activation,
                    values,
                    rows: P,
                    row_stride: stride,
                    vectors: (last - first) / L::WIDTH,
                    slopes: match self.plane.step.slope {
                        NONE => core::ptr::null(),
                        slope => self.plane.parameters.add(slope as usize + first),
                    },
                });
                if !self.plane.sums.is_null() {
                    L::enter(Count {
                        values: values.add(self.done * stride),
                        rows: P - self.done,
                        row_stride: stride,
                        vectors: (last - first) / L::WIDTH,
                        sums: self.plane.sums.add(first),
                    });
                }
            }
        }
    }
}

/// `K` rows and columns, seen `S` pixels apart by `P` output pixels, and in each the `G` channels of a group: the
/// output's own first.
struct Window<'a, const K: usize, const S: usize, const P: usize, const G: usize> {
    strip: Strip<'a>,
    /// The window's first pixel from the first of the picture; may lie outside.
    corner: isize,
    /// Rows of the window that lie in the picture.
    taps: [usize; 2],
    /// Columns of the strip's input that lie in the picture.
    columns: [usize; 2],
}

/// A window whose columns all lie in the picture.
struct Inner<'a, const K: usize, const S: usize, const P: usize, const G: usize>(
    Window<'a, K, S, P, G>,
);

/// A window that reaches over an edge.
struct Outer<'a, const K: usize, const S: usize, const P: usize, const G: usize>(
    Window<'a, K, S, P, G>,
);

impl<const K: usize, const S: usize, const P: usize, const G: usize> Kernel
    for Inner<'_, K, S, P, G>
{
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller's promise.
        unsafe { self.0.slide::<L, false>() }
    }
}

impl<const K: usize, const S: usize, const P: usize, const G: usize> Kernel
    for Outer<'_, K, S, P, G>
{
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller's promise.
        unsafe { self.0.slide::<L, true>() }
    }
}

impl<const K: usize, const S: usize, const P: usize, const G: usize> Window<'_, K, S, P, G> {
    #[inline(always)]
    unsafe fn slide<L: Lanes, const EDGE: bool>(self) {
        let Strip {
            plane,
            y,
            x,
            done,
            channels,
        } = self.strip;
        let step = plane.step;
        let pixel = step.source.stride as usize;
        let line = step.source.width as usize * pixel;
        let [first_tap, last_tap] = self.taps;
        let [first_column, last_column] = self.columns;
        let is_silu = step.activation == Activation::Silu;
        let (low, high) = step.activation.limits();
        let counts = !plane.sums.is_null() && (is_silu || step.activation.is_clamp());
        let output = (y * step.destination.width as usize + x) * pixel;
        // SAFETY: channels lie in a pixel; rows and columns outside of the picture are left out.
        unsafe {
            let (low, high) = (L::splat(low), L::splat(high));
            let weights = plane.parameters.add(step.weight as usize);
            let bias = plane.parameters.add(step.bias as usize);
            let mut channel = channels[0];
            while channel < channels[1] {
                let mut sums = [L::load(bias.add(channel)); P];
                for tap in first_tap..last_tap {
                    let mut weight = [[L::splat(0.0); G]; K];
                    for (column, weight) in weight.iter_mut().enumerate() {
                        for (input, weight) in weight.iter_mut().enumerate() {
                            let place = (tap * K + column) * G + input;
                            *weight = L::load(weights.add(place * pixel + channel));
                        }
                    }
                    let row = plane
                        .source
                        .wrapping_offset(self.corner)
                        .wrapping_add(tap * line + channel);
                    for column in 0..(P - 1) * S + K {
                        if EDGE && !(first_column <= column && column < last_column) {
                            continue;
                        }
                        let value = L::load(row.wrapping_add(column * pixel));
                        for (offset, weight) in weight.iter().enumerate() {
                            if column >= offset
                                && (column - offset) % S == 0
                                && (column - offset) / S < P
                            {
                                let sum = &mut sums[(column - offset) / S];
                                *sum = value.mul_add(weight[0], *sum);
                                if G == 2 {
                                    *sum = value.swap_pairs().mul_add(weight[G - 1], *sum);
                                }
                            }
                        }
                    }
                }
                for sum in &mut sums {
                    *sum = if is_silu {
                        silu(*sum)
                    } else {
                        sum.max(low).min(high)
                    };
                }
                for (index, sum) in sums.iter().enumerate() {
                    sum.store(plane.output.add(output + index * pixel + channel));
                }
                if counts {
                    let count = plane.sums.add(channel);
                    let mut total = L::load(count);
                    for (index, sum) in sums.iter().enumerate() {
                        if index >= done {
                            total = total.add(*sum);
                        }
                    }
                    total.store(count);
                }
                channel += L::WIDTH;
            }
        }
    }
}

/// Adds rows to sums.
struct Count {
    values: *const f32,
    rows: usize,
    row_stride: usize,
    vectors: usize,
    sums: *mut f32,
}

impl Kernel for Count {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for vector in 0..self.vectors {
            let column = vector * L::WIDTH;
            // SAFETY: the caller's promise.
            unsafe {
                let mut total = L::load(self.sums.add(column));
                for row in 0..self.rows {
                    total = total.add(L::load(self.values.add(row * self.row_stride + column)));
                }
                total.store(self.sums.add(column));
            }
        }
    }
}
