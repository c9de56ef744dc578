//! Convolutions on the CPU with bias and activation in the same pass.
//!
//! Burn's flex backend multiplies matrices well, so pointwise convolutions stay with it. Around them it makes
//! one pass for each of bias, sigmoid and product, takes exponentials one by one, and steps through stride
//! two one pixel at a time; that was more than half of a forward pass. Here a depthwise convolution (and the
//! stem) runs over a plane that was split into its stride phases first: every tap then reads contiguous
//! pixels, and one loop over the plane, with a few wasted pixels at row ends, is all there is.
//!
//! Tensors go to slices and back without a copy, and there is no unsafe code: the loops are plain, compiled
//! once for each instruction set, and vectorised by the compiler.

#![expect(
    clippy::extra_unused_type_parameters,
    reason = "loops are compiled once for each instruction set"
)]

use std::array;

use burn::tensor::{Tensor, TensorData};
use macerator::Simd;

use super::convolution::{ConvolutionConfig, Coupling, same_padding};
use crate::kernel::Activation;

/// `activation(convolve(maps, weight) + bias)`.
///
/// # Shapes
///
/// - maps: `[batch, inputs, height, width]`
/// - weight: `[outputs, inputs of one output, kernel, kernel]`
/// - bias: `[outputs]`
/// - output: `[batch, outputs, ceil(height / stride), ceil(width / stride)]`
pub(super) fn convolve(
    maps: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    config: &ConvolutionConfig,
) -> Tensor<4> {
    match (config.coupling, config.kernel, config.stride) {
        (Coupling::Dense { .. }, 1, 1) => multiply(maps, weight, bias, config.activation),
        (_, 3, _) => slide::<3>(maps, weight, bias, config),
        (_, 5, _) => slide::<5>(maps, weight, bias, config),
        (_, kernel, _) => unreachable!("no network here has a {kernel}x{kernel} convolution"),
    }
}

/// A pointwise convolution: a matrix product over channels.
fn multiply(
    maps: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    activation: Activation,
) -> Tensor<4> {
    let device = maps.device();
    let [batch, inputs, height, width] = maps.dims();
    let [outputs, ..] = weight.dims();
    let pixels = height * width;
    let product: TensorData = if batch == 1 {
        weight
            .reshape([outputs, inputs])
            .matmul(maps.reshape([inputs, pixels]))
            .into_data()
    } else {
        weight
            .reshape([1, outputs, inputs])
            .matmul(maps.reshape([batch, inputs, pixels]))
            .into_data()
    };
    let bias = bias.into_data();
    let bias = values(&bias);
    let mut product = product;
    for (plane, &bias) in values_mut(&mut product)
        .chunks_exact_mut(pixels)
        .zip(bias.iter().cycle())
    {
        finish(plane, bias, activation);
    }
    let (bytes, _, dtype) = product.into_parts();
    Tensor::from_data(
        TensorData::from_bytes(bytes, [batch, outputs, height, width], dtype),
        &device,
    )
}

/// A convolution with a kernel of `K` by `K` pixels, depthwise or with few input channels.
fn slide<const K: usize>(
    maps: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    config: &ConvolutionConfig,
) -> Tensor<4> {
    let device = maps.device();
    let [batch, inputs, height, width] = maps.dims();
    let [outputs, fan_in, ..] = weight.dims();
    let phases = Phases::new(height, width, K, config.stride);
    let (maps, weight, bias) = (maps.into_data(), weight.into_data(), bias.into_data());
    let (maps, weight, bias) = (values(&maps), values(&weight), values(&bias));
    let is_depthwise = matches!(config.coupling, Coupling::Depthwise { .. });

    let pixels = phases.height * phases.width;
    let mut output = vec![0.0_f32; batch * outputs * pixels];
    let mut split = vec![0.0_f32; fan_in * phases.len()];
    let mut flat = vec![0.0_f32; phases.flat_len()];
    for (index, plane) in output.chunks_exact_mut(pixels).enumerate() {
        let (image, channel) = (index / outputs, index % outputs);
        if is_depthwise {
            phases.split(
                &maps[(image * inputs + channel) * height * width..][..height * width],
                &mut split,
            );
        } else if channel == 0 {
            let image = &maps[image * inputs * height * width..][..inputs * height * width];
            for (plane, split) in image
                .chunks_exact(height * width)
                .zip(split.chunks_exact_mut(phases.len()))
            {
                phases.split(plane, split);
            }
        }
        flat.fill(bias[channel]);
        let weight = &weight[channel * fan_in * K * K..][..fan_in * K * K];
        accumulate::<K>(&mut flat, &split, weight, &phases);
        finish(&mut flat, 0.0, config.activation);
        for (row, flat) in plane
            .chunks_exact_mut(phases.width)
            .zip(flat.chunks(phases.columns))
        {
            row.copy_from_slice(&flat[..phases.width]);
        }
    }
    Tensor::from_data(
        TensorData::new(output, [batch, outputs, phases.height, phases.width]),
        &device,
    )
}

/// A padded plane taken apart into `stride * stride` planes, one for each remainder of row and column.
struct Phases {
    stride: usize,
    /// Padding above and to the left, pixels.
    before: [usize; 2],
    input_width: usize,
    /// Output size, pixels.
    height: usize,
    width: usize,
    /// Size of one phase, pixels.
    rows: usize,
    columns: usize,
}

impl Phases {
    fn new(height: usize, width: usize, kernel: usize, stride: usize) -> Self {
        let before = [
            same_padding(height, kernel, stride).0,
            same_padding(width, kernel, stride).0,
        ];
        let input_width = width;
        let [height, width] = [height.div_ceil(stride), width.div_ceil(stride)];
        let reach = (kernel - 1) / stride;
        Self {
            stride,
            before,
            input_width,
            height,
            width,
            rows: height + reach,
            columns: width + reach,
        }
    }

    /// Floats of one split plane.
    fn len(&self) -> usize {
        self.stride * self.stride * self.rows * self.columns
    }

    /// Outputs of one plane when every row is as long as a phase's, up to the last real one.
    fn flat_len(&self) -> usize {
        (self.height - 1) * self.columns + self.width
    }

    /// Where the pixels that a kernel tap sees begin.
    #[inline]
    fn offset(&self, tap_row: usize, tap_column: usize) -> usize {
        let phase = tap_row % self.stride * self.stride + tap_column % self.stride;
        phase * self.rows * self.columns
            + tap_row / self.stride * self.columns
            + tap_column / self.stride
    }

    /// Distributes a plane; the padding is what is left alone, so `split` starts as zeros.
    fn split(&self, plane: &[f32], split: &mut [f32]) {
        let [above, left] = self.before;
        for (row, pixels) in plane.chunks_exact(self.input_width).enumerate() {
            let start = self.offset(row + above, left);
            if self.stride == 1 {
                split[start..start + pixels.len()].copy_from_slice(pixels);
                continue;
            }
            for (column, _) in pixels.iter().enumerate().take(self.stride) {
                let start = self.offset(row + above, column + left);
                let wanted = pixels[column..].iter().step_by(self.stride);
                for (to, from) in split[start..].iter_mut().zip(wanted) {
                    *to = *from;
                }
            }
        }
    }
}

/// Outputs that are summed up while they stay in the first-level cache.
const BLOCK: usize = 2048;

/// Adds `weight * pixels` of every tap of every input channel.
fn accumulate<const K: usize>(flat: &mut [f32], split: &[f32], weight: &[f32], phases: &Phases) {
    for (block_index, block) in flat.chunks_mut(BLOCK).enumerate() {
        let start = block_index * BLOCK;
        for (weight, split) in weight
            .chunks_exact(K * K)
            .zip(split.chunks_exact(phases.len()))
        {
            for (tap_row, weight) in weight.chunks_exact(K).enumerate() {
                let weight: [f32; K] = array::from_fn(|tap| weight[tap]);
                let taps: [&[f32]; K] = array::from_fn(|tap| {
                    &split[phases.offset(tap_row, tap) + start..][..block.len()]
                });
                accumulate_row(block, taps, weight);
            }
        }
    }
}

#[macerator::with_simd]
fn accumulate_row<S: Simd, const K: usize>(block: &mut [f32], taps: [&[f32]; K], weight: [f32; K]) {
    for (index, sum) in block.iter_mut().enumerate() {
        let mut total = *sum;
        for tap in 0..K {
            total = multiply_add::<S>(taps[tap][index], weight[tap], total);
        }
        *sum = total;
    }
}

/// `activation(x + bias)` in place.
fn finish(plane: &mut [f32], bias: f32, activation: Activation) {
    match activation {
        Activation::Identity => add(plane, bias),
        Activation::Relu6 => add_relu6(plane, bias),
        Activation::Silu => add_silu(plane, bias),
        other => unreachable!("no network here has {other:?}"),
    }
}

#[macerator::with_simd]
fn add<S: Simd>(plane: &mut [f32], bias: f32) {
    for value in plane {
        *value += bias;
    }
}

#[macerator::with_simd]
fn add_relu6<S: Simd>(plane: &mut [f32], bias: f32) {
    for value in plane {
        *value = (*value + bias).clamp(0.0, 6.0);
    }
}

#[macerator::with_simd]
fn add_silu<S: Simd>(plane: &mut [f32], bias: f32) {
    for value in plane {
        let x = *value + bias;
        *value = x / (1.0 + exponential::<S>(-x));
    }
}

/// `e^x` within two units in the last place; saturates at `e^88` and `e^-87`.
///
/// The usual reduction to `2^n * e^r` with `|r| <= ln 2 / 2`, and the polynomial of the Cephes library.
#[inline(always)]
fn exponential<S: Simd>(x: f32) -> f32 {
    /// Adding it leaves the nearest integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = multiply_add::<S>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = multiply_add::<S>(n, -LN_2_LOW, multiply_add::<S>(n, -LN_2_HIGH, x));
    let mut tail = 1.987_569_2e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_66,
        0.5,
    ] {
        tail = multiply_add::<S>(tail, r, coefficient);
    }
    let fraction = multiply_add::<S>(tail, r * r, r) + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    fraction * power
}

/// `a * b + c`, fused where that is one instruction.
#[inline(always)]
fn multiply_add<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    // Eight lanes mean AVX2 or better, which has the instruction; elsewhere `mul_add` may be a library call.
    if S::lanes32() >= 8 {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

fn values(data: &TensorData) -> &[f32] {
    data.as_slice().expect("networks compute in f32")
}

fn values_mut(data: &mut TensorData) -> &mut [f32] {
    data.as_mut_slice().expect("networks compute in f32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        struct Sweep;
        impl macerator::WithSimd for Sweep {
            type Output = f64;
            fn with_simd<S: Simd>(self) -> f64 {
                (-8700..8700)
                    .map(|step| step as f32 * 0.01)
                    .map(|x| (f64::from(exponential::<S>(x)) / f64::from(x).exp() - 1.0).abs())
                    .fold(0.0, f64::max)
            }
        }
        let worst = macerator::AutoArch::new().dispatch(Sweep);
        assert!(worst < 3e-7, "worst relative error {worst}");
    }
}
