//! Plain code.

use super::{Kernel, Lanes, WIDEST_PANEL};

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
        #[cfg(target_arch = "aarch64")]
        let product = {
            let [a, b, c] = [self.0, factor.0, term.0];
            Self([
                a[0].mul_add(b[0], c[0]),
                a[1].mul_add(b[1], c[1]),
                a[2].mul_add(b[2], c[2]),
                a[3].mul_add(b[3], c[3]),
            ])
        };
        #[cfg(not(target_arch = "aarch64"))]
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
    unsafe fn swap_pairs(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([b, a, d, c])
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
