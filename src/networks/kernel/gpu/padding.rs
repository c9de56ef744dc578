//! Parameters with their channels padded to fours.

use crate::kernel::{Activation, Weighted};

/// Input for which a sigmoid is 2e-35.
const SIGMOID_IS_ZERO: f32 = -80.0;

/// Weight, `[taps, stored inputs, outputs padded to fours]`, and bias.
pub(super) fn padded_weight_and_bias(
    weighted: &Weighted,
    inputs: usize,
    stored_inputs: usize,
) -> (Vec<f32>, Vec<f32>) {
    let outputs = weighted.bias.len();
    let weight = pad_weight(&weighted.weight, [inputs, outputs], stored_inputs);
    let mut bias = pad(&weighted.bias);
    if weighted.activation == Activation::Sigmoid {
        // Padding stays zero all through a network.
        bias[outputs..].fill(SIGMOID_IS_ZERO);
    }
    (weight, bias)
}

/// Values with zeros up to a multiple of four.
pub(super) fn pad(values: &[f32]) -> Vec<f32> {
    let mut padded = values.to_vec();
    padded.resize(values.len().next_multiple_of(4), 0.0);
    padded
}

/// `[taps, inputs, outputs]` to `[taps, stored inputs, outputs padded to fours]`.
pub(super) fn pad_weight(
    weight: &[f32],
    [inputs, outputs]: [usize; 2],
    stored_inputs: usize,
) -> Vec<f32> {
    let stored = outputs.next_multiple_of(4);
    let mut padded = Vec::new();
    for tap in weight.chunks_exact(inputs * outputs) {
        for row in tap.chunks_exact(outputs) {
            padded.extend_from_slice(row);
            padded.resize(padded.len() + stored - outputs, 0.0);
        }
        padded.resize(padded.len() + (stored_inputs - inputs) * stored, 0.0);
    }
    padded
}

/// Rows become columns; `columns` is the length of a row.
pub(super) fn transpose(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| matrix.iter().skip(column).step_by(columns).copied())
        .collect()
}
