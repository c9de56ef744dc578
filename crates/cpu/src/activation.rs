//! Activations, and how they are computed over vectors.

use crate::lanes::{Kernel, Lanes};

/// Function of the sum of product, bias and shortcut of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `max(x, 0) + slope * min(x, 0)`, one slope a channel.
    Prelu,
    /// `x * sigmoid(x)`
    Silu,
    /// `x * (1 + erf(x / sqrt(2))) / 2`
    Gelu,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// `x * min(max(x + 3, 0), 6) / 6`
    Hardswish,
}

impl Activation {
    /// Limits of an activation that only clamps; a clamp costs nothing inside a tile.
    pub(crate) fn limits(self) -> (f32, f32) {
        match self {
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
            _ => (f32::NEG_INFINITY, f32::INFINITY),
        }
    }

    /// Whether [`limits`](Self::limits) is all there is to it.
    pub(crate) fn is_clamp(self) -> bool {
        matches!(self, Self::Identity | Self::Relu | Self::Relu6)
    }
}

/// `2^power`; saturates at the ends of the normal numbers.
#[inline(always)]
pub(crate) unsafe fn power_of_two<L: Lanes>(power: L) -> L {
    /// Adding it leaves the nearest integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// Least relative error over half a step either way, 8e-8.
    const POLYNOMIAL: [f32; 6] = [
        1.327_645_5e-3,
        9.675_54e-3,
        5.550_713_5e-2,
        0.240_221_2,
        0.693_146_94,
        1.000_000_1,
    ];
    // SAFETY: the caller's promise.
    unsafe {
        let power = power.max(L::splat(-125.0)).min(L::splat(125.0));
        let shifted = power.add(L::splat(ROUND));
        let rest = power.sub(shifted.sub(L::splat(ROUND)));
        let mut value = L::splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            value = value.mul_add(rest, L::splat(*coefficient));
        }
        value.scale(shifted)
    }
}

/// `1 / (1 + e^-x)`
#[inline(always)]
unsafe fn sigmoid<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's promise.
    unsafe {
        let power = power_of_two(x.mul(L::splat(-core::f32::consts::LOG2_E)));
        power.add(L::splat(1.0)).reciprocal()
    }
}

/// `x * sigmoid(x)`
#[inline(always)]
pub(crate) unsafe fn silu<L: Lanes>(x: L) -> L {
    // SAFETY: the caller's promise.
    unsafe { x.mul(sigmoid(x)) }
}

/// `x * (1 + erf(x / sqrt(2))) / 2`, with formula 7.1.26 of Abramowitz and Stegun (error below 2e-7).
#[inline(always)]
unsafe fn gelu<L: Lanes>(x: L) -> L {
    const POLYNOMIAL: [f32; 5] = [
        1.061_405_4,
        -1.453_152,
        1.421_413_7,
        -0.284_496_74,
        0.254_829_6,
    ];
    // SAFETY: the caller's promise.
    unsafe {
        let size = x.max(L::splat(0.0).sub(x));
        let t = size
            .mul_add(
                L::splat(0.327_591_1 * core::f32::consts::FRAC_1_SQRT_2),
                L::splat(1.0),
            )
            .reciprocal();
        let mut tail = L::splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            tail = tail.mul_add(t, L::splat(*coefficient));
        }
        let bell = power_of_two(x.mul(x).mul(L::splat(-0.5 * core::f32::consts::LOG2_E)));
        // |x| * erf(|x|) = x * erf(x)
        let rest = tail.mul(t).mul(bell);
        let erf = L::splat(1.0).sub(rest);
        size.mul_add(erf, x).mul(L::splat(0.5))
    }
}

/// Applies an activation to rows in place.
pub(crate) struct Activate {
    pub(crate) activation: Activation,
    pub(crate) values: *mut f32,
    pub(crate) rows: usize,
    pub(crate) row_stride: usize,
    /// Vectors of a row.
    pub(crate) vectors: usize,
    /// Slopes of [`Activation::Prelu`], from the first value on.
    pub(crate) slopes: *const f32,
}

impl Kernel for Activate {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the rows are the caller's, and so are the slopes of PReLU.
        unsafe {
            match self.activation {
                Activation::Silu => self.each(|x: L, _| silu(x)),
                Activation::Gelu => self.each(|x: L, _| gelu(x)),
                Activation::Sigmoid => self.each(|x: L, _| sigmoid(x)),
                Activation::Hardswish => self.each(|x: L, _| {
                    let part = x.add(L::splat(3.0)).max(L::splat(0.0)).min(L::splat(6.0));
                    x.mul(part).mul(L::splat(1.0 / 6.0))
                }),
                Activation::Prelu => self.each(|x: L, column| {
                    let slope = L::load(self.slopes.add(column));
                    let zero = L::splat(0.0);
                    x.min(zero).mul_add(slope, x.max(zero))
                }),
                clamp => {
                    let (low, high) = clamp.limits();
                    self.each(|x: L, _| x.max(L::splat(low)).min(L::splat(high)));
                }
            }
        }
    }
}

impl Activate {
    #[inline(always)]
    unsafe fn each<L: Lanes>(&self, act: impl Fn(L, usize) -> L) {
        for row in 0..self.rows {
            for vector in 0..self.vectors {
                let column = vector * L::WIDTH;
                // SAFETY: the caller's promise.
                unsafe {
                    let value = self.values.add(row * self.row_stride + column);
                    act(L::load(value), column).store(value);
                }
            }
        }
    }
}
