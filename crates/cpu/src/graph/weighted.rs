use alloc::{vec, vec::Vec};

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
        Self {
            weight: outputs_last(weight, [outputs, inputs, taps]),
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

/// `[outputs, inputs, taps]` to `[taps, inputs, outputs]`.
fn outputs_last(weight: &[f32], [outputs, inputs, taps]: [usize; 3]) -> Vec<f32> {
    /// Outputs that are read side by side, so that whole vectors are written.
    const SIDE_BY_SIDE: usize = 4;
    let mut reordered = vec![0.0; weight.len()];
    let read = inputs * taps;
    let mut whole = weight.chunks_exact(SIDE_BY_SIDE * read);
    for (four, rows) in whole.by_ref().enumerate() {
        let (first, rest) = rows.split_at(read);
        let (second, rest) = rest.split_at(read);
        let (third, fourth) = rest.split_at(read);
        let values = first.iter().zip(second).zip(third.iter().zip(fourth));
        for (place, ((&first, &second), (&third, &fourth))) in values.enumerate() {
            let row = place % taps * inputs + place / taps;
            let written = &mut reordered[row * outputs + SIDE_BY_SIDE * four..];
            written[..SIDE_BY_SIDE].copy_from_slice(&[first, second, third, fourth]);
        }
    }
    let done = outputs - outputs % SIDE_BY_SIDE;
    for (output, row) in whole.remainder().chunks_exact(read).enumerate() {
        for (place, &value) in row.iter().enumerate() {
            let row = place % taps * inputs + place / taps;
            reordered[row * outputs + done + output] = value;
        }
    }
    reordered
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
    fn every_weight_is_found_at_its_place() {
        for sizes @ [outputs, inputs, taps] in [[1, 1, 1], [4, 3, 2], [7, 2, 9], [10, 5, 1]] {
            let weight: Vec<f32> = (0_u8..)
                .map(f32::from)
                .take(outputs * inputs * taps)
                .collect();
            let reordered = outputs_last(&weight, sizes);
            for (place, value) in weight.iter().enumerate() {
                let [output, input, tap] =
                    [place / (inputs * taps), place / taps % inputs, place % taps];
                let found = reordered[(tap * inputs + input) * outputs + output];
                assert_eq!(found.to_bits(), value.to_bits(), "{sizes:?}: {place}");
            }
        }
    }

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
