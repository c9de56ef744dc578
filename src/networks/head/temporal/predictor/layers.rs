//! Linear layers, layer norm and activations.

use super::rows::Rows;

/// Rows that share a pass over a matrix, so that it is read from the cache.
const ROWS_AT_ONCE: usize = 8;
/// Default of PyTorch's layer norm.
const EPSILON: f32 = 1e-5;

/// Matrix that rows are multiplied with.
#[derive(Debug)]
pub(super) struct Matrix {
    /// Input by input.
    values: Vec<f32>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl Matrix {
    /// Takes values input by input.
    pub(super) fn from_inputs([inputs, outputs]: [usize; 2], values: Vec<f32>) -> Self {
        Self {
            values,
            inputs,
            outputs,
        }
    }

    /// Takes values output by output, as PyTorch stores them.
    pub(super) fn from_outputs([outputs, inputs]: [usize; 2], values: &[f32]) -> Self {
        let column = |input: usize| values.iter().skip(input).step_by(inputs).copied();
        Self::from_inputs([inputs, outputs], (0..inputs).flat_map(column).collect())
    }

    pub(super) fn scale_outputs(&mut self, scales: &[f32]) {
        for weights in self.values.chunks_exact_mut(self.outputs) {
            for (weight, scale) in weights.iter_mut().zip(scales) {
                *weight *= scale;
            }
        }
    }

    /// Adds the products of rows of `inputs` numbers to rows of `outputs` sums.
    pub(super) fn add_products(&self, rows: &[f32], sums: &mut [f32]) {
        let rows = rows.chunks(ROWS_AT_ONCE * self.inputs);
        for (rows, sums) in rows.zip(sums.chunks_mut(ROWS_AT_ONCE * self.outputs)) {
            for (input, weights) in self.values.chunks_exact(self.outputs).enumerate() {
                let values = rows.iter().skip(input).step_by(self.inputs);
                for (value, sums) in values.zip(sums.chunks_exact_mut(self.outputs)) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += value * weight;
                    }
                }
            }
        }
    }
}

/// Linear layer.
#[derive(Debug)]
pub(super) struct Dense {
    pub(super) matrix: Matrix,
    pub(super) bias: Vec<f32>,
}

impl Dense {
    pub(super) fn forward(&self, frames: &Rows) -> Rows {
        let mut sums = Rows::repeated(&self.bias, frames.count());
        self.matrix.add_products(&frames.values, &mut sums.values);
        sums
    }
}

#[derive(Debug)]
pub(super) struct LayerNorm {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl LayerNorm {
    pub(super) fn forward(&self, mut frames: Rows) -> Rows {
        let count = frames.width as f32;
        for row in frames.iter_mut() {
            let mean = row.iter().sum::<f32>() / count;
            let squares = row.iter().map(|value| (value - mean).powi(2));
            let deviation = (squares.sum::<f32>() / count + EPSILON).sqrt();
            for (value, (scale, shift)) in row.iter_mut().zip(self.scale.iter().zip(&self.shift)) {
                *value = (*value - mean) / deviation * scale + shift;
            }
        }
        frames
    }
}

pub(super) fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

/// `x * (1 + erf(x / sqrt(2))) / 2`
pub(super) fn gelu(value: f32) -> f32 {
    0.5 * value * (1.0 + libm::erff(value * std::f32::consts::FRAC_1_SQRT_2))
}
