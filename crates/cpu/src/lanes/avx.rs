//! x86-64 with AVX-512 or with AVX2 and FMA.

use core::arch::x86_64::*;

use super::{Kernel, Lanes, WIDEST_PANEL};

/// Sixteen floats.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

/// Eight floats.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

macro_rules! lanes {
    (
        $name:ident, $features:literal, $width:literal, $panel:literal, $rows:expr,
        $set:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $fmadd:ident, $fnmadd:ident,
        $max:ident, $min:ident, $permute:ident, $reciprocal:ident,
        $to_bits:ident, $from_bits:ident, $shift:ident, $add_bits:ident
    ) => {
        // SAFETY of the blocks: the caller promises the instruction set and the pointers.
        #[expect(
            clippy::undocumented_unsafe_blocks,
            reason = "one promise for all, above"
        )]
        impl Lanes for $name {
            const WIDTH: usize = $width;
            const PANEL: usize = $panel;
            const ROWS: [usize; WIDEST_PANEL + 1] = $rows;

            #[inline(always)]
            unsafe fn splat(value: f32) -> Self {
                Self(unsafe { $set(value) })
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                Self(unsafe { $load(from) })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                Self(unsafe { $add(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                Self(unsafe { $sub(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                Self(unsafe { $mul(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
                Self(unsafe { $fmadd(self.0, factor.0, term.0) })
            }
            #[inline(always)]
            unsafe fn max(self, other: Self) -> Self {
                Self(unsafe { $max(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn min(self, other: Self) -> Self {
                Self(unsafe { $min(self.0, other.0) })
            }
            #[inline(always)]
            unsafe fn swap_pairs(self) -> Self {
                Self(unsafe { $permute::<0b10_11_00_01>(self.0) })
            }
            #[inline(always)]
            unsafe fn reciprocal(self) -> Self {
                // One step of Newton's method doubles the bits of the estimate.
                unsafe {
                    let estimate = $reciprocal(self.0);
                    let error = $fnmadd(self.0, estimate, $set(1.0));
                    Self($fmadd(estimate, error, estimate))
                }
            }
            #[inline(always)]
            unsafe fn scale(self, shifted: Self) -> Self {
                Self(unsafe {
                    $from_bits($add_bits(
                        $to_bits(self.0),
                        $shift::<23>($to_bits(shifted.0)),
                    ))
                })
            }
            #[inline(always)]
            fn prefetch(from: *const f32) {
                unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
            }
            #[inline]
            unsafe fn enter<K: Kernel>(kernel: K) {
                #[target_feature(enable = $features)]
                unsafe fn inside<K: Kernel>(kernel: K) {
                    // SAFETY: the caller's promise.
                    unsafe { kernel.run::<$name>() }
                }
                unsafe { inside(kernel) }
            }
        }
    };
}

lanes!(
    Avx512,
    "avx512f,fma",
    16,
    3,
    [0, 14, 14, 9, 6],
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    _mm512_fnmadd_ps,
    _mm512_max_ps,
    _mm512_min_ps,
    _mm512_permute_ps,
    _mm512_rcp14_ps,
    _mm512_castps_si512,
    _mm512_castsi512_ps,
    _mm512_slli_epi32,
    _mm512_add_epi32
);

lanes!(
    Avx2,
    "avx2,fma",
    8,
    2,
    [0, 10, 6, 0, 0],
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    _mm256_fnmadd_ps,
    _mm256_max_ps,
    _mm256_min_ps,
    _mm256_permute_ps,
    _mm256_rcp_ps,
    _mm256_castps_si256,
    _mm256_castsi256_ps,
    _mm256_slli_epi32,
    _mm256_add_epi32
);
