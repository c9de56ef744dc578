//! wasm with 128-bit vectors, with or without the relaxed instructions.

use core::arch::wasm32::*;

use super::{Kernel, Lanes, WIDEST_PANEL};

/// Four floats.
#[derive(Clone, Copy)]
pub(crate) struct Simd128(v128);

impl Lanes for Simd128 {
    const WIDTH: usize = 4;
    const PANEL: usize = 2;
    const ROWS: [usize; WIDEST_PANEL + 1] = [0, 6, 6, 0, 0];

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(f32x4_splat(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { v128_load(from.cast()) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { v128_store(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(f32x4_sub(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(f32x4_mul(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        let sum = f32x4_relaxed_madd(self.0, factor.0, term.0);
        #[cfg(not(target_feature = "relaxed-simd"))]
        let sum = f32x4_add(f32x4_mul(self.0, factor.0), term.0);
        Self(sum)
    }
    // The pseudo forms are one instruction; the others look after NaN and signed zero.
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(f32x4_pmax(other.0, self.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(f32x4_pmin(other.0, self.0))
    }
    #[inline(always)]
    unsafe fn swap_pairs(self) -> Self {
        Self(i32x4_shuffle::<1, 0, 3, 2>(self.0, self.0))
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        Self(f32x4_div(f32x4_splat(1.0), self.0))
    }
    #[inline(always)]
    unsafe fn scale(self, shifted: Self) -> Self {
        Self(i32x4_add(self.0, i32x4_shl(shifted.0, 23)))
    }
    #[inline(never)]
    unsafe fn enter<K: Kernel>(kernel: K) {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Self>() }
    }
}
