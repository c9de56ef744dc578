//! Attention of several heads, in the layout of PyTorch's `MultiheadAttention`.

use burn::module::Module;
use burn::nn::Dropout;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::parameters::{Affine, Initial, Names, Source};
use crate::weights::WeightsError;

/// Number of attention heads.
pub(super) const HEADS: usize = 4;

#[derive(Module, Debug)]
pub(super) struct Attention {
    /// Queries, keys and values, stacked in one matrix.
    input: Affine,
    output: Affine,
}

/// Name of the weight of queries, keys and values.
pub(super) fn packed_weight(key: &str) -> String {
    format!("{key}.in_proj_weight")
}

pub(super) fn packed_names(key: &str) -> [String; 2] {
    [packed_weight(key), format!("{key}.in_proj_bias")]
}

pub(super) fn output_names(key: &str) -> [String; 2] {
    ["weight", "bias"].map(|part| format!("{key}.out_proj.{part}"))
}

impl Attention {
    /// Attention between frames of `width` numbers, a multiple of [`HEADS`].
    pub(super) fn build(
        key: &str,
        width: usize,
        source: &mut Source,
    ) -> Result<Self, WeightsError> {
        // PyTorch's Xavier initialisation of the stacked matrix.
        let packed = Initial::Uniform((6.0 / (4 * width) as f32).sqrt());
        let initial = [packed, Initial::Zero];
        let input = source.affine_named(&packed_names(key), [3 * width, width], initial)?;
        let initial = [Initial::for_inputs(width), Initial::Zero];
        let output = source.affine_named(&output_names(key), [width, width], initial)?;
        Ok(Self { input, output })
    }

    pub(super) fn add_names<'a>(&'a self, key: &str, names: &mut Names<'a>) {
        for (layer, [weight, bias]) in [
            (&self.input, packed_names(key)),
            (&self.output, output_names(key)),
        ] {
            names.add(weight, &layer.weight);
            names.add(bias, &layer.bias);
        }
    }

    /// Attends from each frame of `[batch, time, width]` to all of the same window.
    pub(super) fn to_itself(&self, frames: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let width = self.width();
        let packed = self.input.forward(frames);
        let parts = [0, 1, 2].map(|index| packed.clone().narrow(2, index * width, width));
        self.attend(parts, dropout)
    }

    /// Attends from each frame to all frames of the same window in another stream, both `[batch, time, width]`.
    pub(super) fn to_others(
        &self,
        frames: Tensor<3>,
        others: Tensor<3>,
        dropout: &Dropout,
    ) -> Tensor<3> {
        let width = self.width();
        let queries = self.input.forward_rows(frames, 0..width);
        let packed = self.input.forward_rows(others, width..3 * width);
        let [keys, values] = [0, 1].map(|index| packed.clone().narrow(2, index * width, width));
        self.attend([queries, keys, values], dropout)
    }

    fn width(&self) -> usize {
        self.output.bias.dims()[0]
    }

    /// Queries, keys and values to `[batch, time, width]`.
    fn attend(&self, parts: [Tensor<3>; 3], dropout: &Dropout) -> Tensor<3> {
        let [batch, time, width] = parts[0].dims();
        let heads = |part: Tensor<3>| {
            part.reshape([batch, time, HEADS, width / HEADS])
                .swap_dims(1, 2)
        };
        let [queries, keys, values] = parts.map(heads);
        let scale = ((width / HEADS) as f32).sqrt();
        let scores = softmax(queries.matmul(keys.transpose()) / scale, 3);
        let attended = dropout.forward(scores).matmul(values);
        let attended = attended.swap_dims(1, 2).reshape([batch, time, width]);
        self.output.forward(attended)
    }
}
