//! The innermost loop of a matrix product: a tile of sums that stays in registers.

use crate::lanes::{Kernel, Lanes, WIDEST_PANEL};

/// Floats of weights from the one that is read to the one that is brought closer meanwhile: large networks come from main
/// memory for every picture, and processors do not look ahead over the border of a page.
const AHEAD: usize = 2048;

/// `clamp(rows * panel + bias + shortcut)` for a few rows and one panel of weights.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// Runs of neighbouring inputs that one output sees: the rows of a window, else one.
    pub(crate) runs: usize,
    pub(crate) run_stride: usize,
    /// Inputs of a run.
    pub(crate) depth: usize,
    pub(crate) rows: *const f32,
    pub(crate) row_stride: usize,
    /// `[runs, depth, vectors of the panel]`
    pub(crate) panel: *const f32,
    pub(crate) bias: *const f32,
    pub(crate) output: *mut f32,
    pub(crate) output_stride: usize,
    pub(crate) shortcut: *const f32,
    pub(crate) shortcut_stride: usize,
    /// Vectors of the panel that have a shortcut.
    pub(crate) shortcut_vectors: usize,
    pub(crate) limits: (f32, f32),
}

impl Tile {
    /// The tile that many rows below.
    fn below(self, rows: usize) -> Self {
        Self {
            rows: self.rows.wrapping_add(rows * self.row_stride),
            output: self.output.wrapping_add(rows * self.output_stride),
            shortcut: self.shortcut.wrapping_add(rows * self.shortcut_stride),
            ..self
        }
    }
}

/// Tiles of one height below each other: where rows are short, a call takes as long as a tile.
struct Sized<const ROWS: usize, const VECTORS: usize> {
    first: Tile,
    count: usize,
}

impl<const ROWS: usize, const VECTORS: usize> Kernel for Sized<ROWS, VECTORS> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut tile = self.first;
        for _ in 0..self.count {
            // SAFETY: the caller hands in rows, panel, bias and output of this size.
            unsafe { compute::<L, ROWS, VECTORS>(&tile) };
            tile = tile.below(ROWS);
        }
    }
}

#[inline(always)]
unsafe fn compute<L: Lanes, const ROWS: usize, const VECTORS: usize>(tile: &Tile) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[L::splat(0.0); VECTORS]; ROWS];
        for vector in 0..VECTORS {
            let bias = L::load(tile.bias.add(vector * L::WIDTH));
            for row in &mut sums {
                row[vector] = bias;
            }
        }
        let mut panel = tile.panel;
        for run in 0..tile.runs {
            let rows = tile.rows.add(run * tile.run_stride);
            for index in 0..tile.depth {
                let mut weights = [L::splat(0.0); VECTORS];
                for (vector, weight) in weights.iter_mut().enumerate() {
                    let from = panel.add(vector * L::WIDTH);
                    *weight = L::load(from);
                    L::prefetch(from.wrapping_add(AHEAD));
                }
                panel = panel.add(VECTORS * L::WIDTH);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let value = L::splat(*rows.add(row * tile.row_stride + index));
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum = value.mul_add(weight, *sum);
                    }
                }
            }
        }
        for vector in 0..VECTORS {
            if vector < tile.shortcut_vectors {
                for (row, sums) in sums.iter_mut().enumerate() {
                    let shortcut = tile
                        .shortcut
                        .add(row * tile.shortcut_stride + vector * L::WIDTH);
                    sums[vector] = sums[vector].add(L::load(shortcut));
                }
            }
        }
        let (low, high) = (L::splat(tile.limits.0), L::splat(tile.limits.1));
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                let output = tile
                    .output
                    .add(row * tile.output_stride + vector * L::WIDTH);
                sum.max(low).min(high).store(output);
            }
        }
    }
}

/// Computes any number of rows by `vectors`, in tiles of nearly equal height rather than with a last one of a few rows.
///
/// # Safety
///
/// The pointers of the tile are good for the rows, and for `vectors` vectors, which a panel can have.
pub(crate) unsafe fn multiply_rows<L: Lanes>(rows: usize, vectors: usize, tile: Tile) {
    let tiles = rows.div_ceil(L::ROWS[vectors]);
    if tiles == 0 {
        return;
    }
    let (height, higher) = (rows / tiles, rows % tiles);
    // SAFETY: the caller's promise.
    unsafe {
        multiply::<L>(higher, [height + 1, vectors], tile);
        let below = tile.below(higher * (height + 1));
        multiply::<L>(tiles - higher, [height, vectors], below);
    }
}

/// Computes `count` tiles of `rows` by `vectors`, one below the other.
///
/// # Safety
///
/// `rows` is at most what `L::ROWS` says for `vectors`, and the pointers of the first tile are good for all rows.
unsafe fn multiply<L: Lanes>(count: usize, [rows, vectors]: [usize; 2], first: Tile) {
    if count == 0 {
        return;
    }
    macro_rules! sizes {
        ($($vectors:literal: $($rows:literal)*;)*) => {
            match (vectors, rows) {
                $($(
                    // SAFETY: the caller's promise.
                    ($vectors, $rows) if $rows <= const { L::ROWS[$vectors] } => unsafe {
                        L::enter(Sized::<$rows, $vectors> { first, count });
                    },
                )*)*
                _ => unreachable!("no tile of {rows} by {vectors}"),
            }
        };
    }
    sizes! {
        1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
        2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
        3: 1 2 3 4 5 6 7 8 9;
        4: 1 2 3 4 5 6;
    }
    const { assert!(L::PANEL <= WIDEST_PANEL) };
}
