use alloc::vec::Vec;

use super::expect;
use crate::Activation;

/// Weights with the bias and the activation that follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    /// Weights, output channel last; the order of the other axes is that of the [`Step`](super::Step).
    pub weight: Vec<f32>,
    /// One bias per output channel.
    pub bias: Vec<f32>,
    /// Activation after the bias and the shortcut.
    pub activation: Activation,
    /// One slope per output channel for [`Activation::Prelu`], else empty.
    pub slopes: Vec<f32>,
}

impl Weighted {
    /// Weights in the order of PyTorch and of the canonical weights files.
    ///
    /// # Shapes
    ///
    /// - weight: `[outputs, inputs, kernel, kernel]`; `[channels, 1, kernel, kernel]` if depthwise
    /// - bias: `[outputs]`
    ///
    /// # Panics
    ///
    /// If the weight is not a multiple of the bias.
    pub fn from_outputs_first(
        weight: &[f32],
        bias: &[f32],
        kernel: usize,
        activation: Activation,
    ) -> Self {
        Self::from_taps(weight, bias, kernel * kernel, activation)
    }

    /// Weights in the order of PyTorch, `[outputs, inputs, taps]`, whatever the axes of the taps.
    ///
    /// # Panics
    ///
    /// If the weight is not a multiple of the bias.
    pub fn from_taps(weight: &[f32], bias: &[f32], taps: usize, activation: Activation) -> Self {
        let outputs = bias.len();
        assert_eq!(weight.len() % (outputs * taps), 0, "weights of a kernel");
        let inputs = weight.len() / (outputs * taps);
        let mut reordered = Vec::with_capacity(weight.len());
        for tap in 0..taps {
            for input in 0..inputs {
                reordered.extend((0..outputs).map(|o| weight[(o * inputs + input) * taps + tap]));
            }
        }
        Self {
            weight: reordered,
            bias: bias.to_vec(),
            activation,
            slopes: Vec::new(),
        }
    }

    #[track_caller]
    pub(super) fn check(&self, weights: usize, outputs: usize) {
        let slopes = match self.activation {
            Activation::Prelu => outputs,
            _ => 0,
        };
        expect("weight", &[weights], &[self.weight.len()]);
        expect("bias", &[outputs], &[self.bias.len()]);
        expect("slopes", &[slopes], &[self.slopes.len()]);
    }
}

/// Weighted sums over the rows and over the columns of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct LineSums {
    /// `[width, channels]` for rows, then `[height, channels]` for columns.
    pub weight: Vec<f32>,
    /// `[2, channels]`: for rows, for columns.
    pub bias: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_reordered_with_outputs_last() {
        // Two outputs, three inputs, one pixel; then depthwise, two channels of 2x2.
        let dense = Weighted::from_outputs_first(
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            &[0.0; 2],
            1,
            Activation::Identity,
        );
        assert_eq!(dense.weight, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let depthwise = Weighted::from_outputs_first(
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            &[0.0; 2],
            2,
            Activation::Identity,
        );
        assert_eq!(depthwise.weight, [1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0]);
    }
}
