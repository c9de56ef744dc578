//! Vectors of f32: what one instruction set does in one instruction.

#[cfg(target_arch = "x86_64")]
mod avx;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx::{Avx2, Avx512};
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
    /// `1 / self` within two units in the last place; `self` is normal.
    unsafe fn reciprocal(self) -> Self;
    /// `self * 2^n`, where the low bits of `shifted` hold `n`; both are normal.
    unsafe fn scale(self, shifted: Self) -> Self;

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

/// Four floats in plain code, for processors without a form of their own here.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 4]);

#[inline(always)]
fn zip(left: Plain, right: Plain, act: impl Fn(f32, f32) -> f32) -> Plain {
    let (left, right) = (left.0, right.0);
    Plain([
        act(left[0], right[0]),
        act(left[1], right[1]),
        act(left[2], right[2]),
        act(left[3], right[3]),
    ])
}

impl Lanes for Plain {
    const WIDTH: usize = 4;
    const PANEL: usize = 2;
    const ROWS: [usize; WIDEST_PANEL + 1] = [0, 4, 4, 0, 0];

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { from.cast::<[f32; 4]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 4]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        zip(self, other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        zip(self, other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        zip(self, other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        // Where fusing is one instruction of the whole architecture; elsewhere it would be a library call.
        #[cfg(all(target_arch = "aarch64", feature = "std"))]
        let product = {
            let [a, b, c] = [self.0, factor.0, term.0];
            Self([
                a[0].mul_add(b[0], c[0]),
                a[1].mul_add(b[1], c[1]),
                a[2].mul_add(b[2], c[2]),
                a[3].mul_add(b[3], c[3]),
            ])
        };
        #[cfg(not(all(target_arch = "aarch64", feature = "std")))]
        let product = zip(zip(self, factor, |a, b| a * b), term, |a, b| a + b);
        product
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        zip(self, other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        zip(self, other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        zip(self, self, |a, _| 1.0 / a)
    }
    #[inline(always)]
    unsafe fn scale(self, shifted: Self) -> Self {
        zip(self, shifted, |a, n| {
            f32::from_bits(a.to_bits().wrapping_add(n.to_bits() << 23))
        })
    }
    #[inline(never)]
    unsafe fn enter<K: Kernel>(kernel: K) {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Self>() }
    }
}
