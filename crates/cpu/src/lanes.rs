//! Vectors of f32: what one instruction set does in one instruction.

#[cfg(target_arch = "x86_64")]
mod avx;
#[cfg(feature = "std")]
mod plain;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx::{Avx2, Avx512};
#[cfg(feature = "std")]
pub(crate) use plain::Plain;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use wasm::Simd128;

/// Most vectors that a panel of weights is wide.
pub(crate) const WIDEST_PANEL: usize = 4;

/// A loop that is compiled once for each instruction set.
pub(crate) trait Kernel {
    /// Runs it.
    ///
    /// # Safety
    ///
    /// The processor has the instruction set of `L`, and the pointers of the kernel are good for what it says.
    unsafe fn run<L: Lanes>(self);
}

/// A vector of f32.
///
/// # Safety
///
/// Every method asks for a processor that has the instruction set; those that take pointers ask for
/// [`WIDTH`](Self::WIDTH) floats behind them.
pub(crate) trait Lanes: Copy {
    /// Floats in a vector.
    const WIDTH: usize;
    /// Vectors of a panel of weights; a layer is split into panels of this width or one less.
    const PANEL: usize;
    /// Rows of a tile by the vectors of its panel: as many sums as registers hold.
    const ROWS: [usize; WIDEST_PANEL + 1];

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `self * factor + term`, in one rounding or two.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// Even and odd floats in each other's place.
    unsafe fn swap_pairs(self) -> Self;
    /// `1 / self` within two units in the last place; `self` is normal.
    unsafe fn reciprocal(self) -> Self;
    /// `self * 2^n`, where the low bits of `shifted` hold `n`; both are normal.
    unsafe fn scale(self, shifted: Self) -> Self;

    /// Has memory brought closer that is read soon; any address will do.
    #[inline(always)]
    fn prefetch(_: *const f32) {}

    /// Runs a kernel with the instruction set switched on.
    unsafe fn enter<K: Kernel>(kernel: K);

    /// Sum over the vector.
    #[inline(always)]
    unsafe fn total(self) -> f32 {
        let mut values = [0.0; 16];
        // SAFETY: no vector is wider than 16 floats.
        unsafe { self.store(values.as_mut_ptr()) };
        values[..Self::WIDTH].iter().sum()
    }
}
