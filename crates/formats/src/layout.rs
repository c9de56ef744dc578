//! Axis orders of convolution kernels.

/// `[height, width, in, out]` (TensorFlow) to `[out, in, height, width]`.
pub(crate) fn oihw_from_hwio(
    values: &[f32],
    [height, width, input, output]: [usize; 4],
) -> Vec<f32> {
    permute(values, [height, width, input, output], [3, 2, 0, 1])
}

/// `[height, width, channels, multiplier]` (TensorFlow depthwise) to `[channels * multiplier, 1, height, width]`.
pub(crate) fn depthwise_from_hwcm(values: &[f32], axes: [usize; 4]) -> Vec<f32> {
    permute(values, axes, [2, 3, 0, 1])
}

/// `[out, height, width, in]` (tflite) to `[out, in, height, width]`. With one output it also turns a tflite
/// depthwise kernel `[1, height, width, channels]` into `[channels, 1, height, width]`.
pub(crate) fn oihw_from_ohwi(values: &[f32], axes: [usize; 4]) -> Vec<f32> {
    permute(values, axes, [0, 3, 1, 2])
}

/// Moves axis `order[n]` to place `n`.
fn permute(values: &[f32], axes: [usize; 4], order: [usize; 4]) -> Vec<f32> {
    let strides = [axes[1] * axes[2] * axes[3], axes[2] * axes[3], axes[3], 1];
    let mut moved = Vec::with_capacity(values.len());
    let [a, b, c, d] = order;
    for i in 0..axes[a] {
        for j in 0..axes[b] {
            for k in 0..axes[c] {
                let start = i * strides[a] + j * strides[b] + k * strides[c];
                moved.extend((0..axes[d]).map(|l| values[start + l * strides[d]]));
            }
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_of_two_by_one_are_turned() {
        // [height 1, width 2, in 2, out 1]
        assert_eq!(
            oihw_from_hwio(&[0.0, 1.0, 2.0, 3.0], [1, 2, 2, 1]),
            [0.0, 2.0, 1.0, 3.0]
        );
        // [height 2, width 1, channels 2, multiplier 1]
        assert_eq!(
            depthwise_from_hwcm(&[0.0, 1.0, 2.0, 3.0], [2, 1, 2, 1]),
            [0.0, 2.0, 1.0, 3.0]
        );
        // [out 2, height 1, width 1, in 2]
        assert_eq!(
            oihw_from_ohwi(&[0.0, 1.0, 2.0, 3.0], [2, 1, 1, 2]),
            [0.0, 1.0, 2.0, 3.0]
        );
    }
}
