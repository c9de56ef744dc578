//! Transformer encoder over the frames of a window, with learned positions.
//!
//! Layers are post-norm like PyTorch's `TransformerEncoderLayer`: layer norm follows each residual sum.

use burn::module::{Module, Param};
use burn::nn::{Dropout, LayerNorm};
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Tensor, s};

use super::CLASSES;
use super::kind::LONGEST_WINDOW;
use super::parameters::{Affine, Initial, Names, Source, axes, count_layers, dropped, malformed};
use super::sequence::TemporalNetwork;
use crate::kernel::product;
use crate::weights::{Weights, WeightsError};

const INPUT: &str = "temporal_head.input_proj";
const POSITIONS: &str = "temporal_head.pos_embed";
const NORM: &str = "temporal_head.norm";
const OUTPUT: &str = "temporal_head.proj";
/// Number of attention heads per layer.
const HEADS: usize = 4;
/// Most layers; published ones have 2 or 3.
const MAX_LAYERS: usize = 24;

#[derive(Clone, Copy)]
pub(super) struct Sizes {
    features: usize,
    layers: usize,
    width: usize,
    /// Units of the feed-forward network in each layer.
    hidden: usize,
    positions: usize,
}

#[derive(Module, Debug)]
pub(super) struct Transformer {
    input: Affine,
    /// `[1, positions, width]`.
    positions: Param<Tensor<3>>,
    layers: Vec<Layer>,
    norm: LayerNorm,
    output: Affine,
}

#[derive(Module, Debug)]
struct Layer {
    /// Queries, keys and values, stacked in one matrix.
    attention_input: Affine,
    attention_output: Affine,
    attention_norm: LayerNorm,
    hidden: Affine,
    output: Affine,
    output_norm: LayerNorm,
}

impl Sizes {
    pub(super) fn published(features: usize, layers: usize) -> Self {
        Self {
            features,
            layers,
            width: 256,
            hidden: 1024,
            positions: LONGEST_WINDOW,
        }
    }

    pub(super) fn from_weights(weights: &Weights) -> Result<Self, WeightsError> {
        let [width, features] = axes(weights, &format!("{INPUT}.weight"))?;
        if width % HEADS != 0 {
            return Err(malformed(format!(
                "`{INPUT}.weight` has {width} outputs, expected a multiple of {HEADS}, the number of attention heads"
            )));
        }
        let [_, positions, _] = axes(weights, POSITIONS)?;
        let layers = count_layers(weights, "transformer", MAX_LAYERS, |number| {
            layer_key(number, "self_attn.in_proj_weight")
        })?;
        let hidden = match layers {
            0 => 0,
            _ => axes::<2>(weights, &layer_key(0, "linear1.weight"))?[0],
        };
        Ok(Self {
            features,
            layers,
            width,
            hidden,
            positions,
        })
    }
}

fn layer_key(layer: usize, part: &str) -> String {
    format!("temporal_head.transformer.layers.{layer}.{part}")
}

fn attention_names(layer: usize) -> [String; 2] {
    ["self_attn.in_proj_weight", "self_attn.in_proj_bias"].map(|part| layer_key(layer, part))
}

impl Transformer {
    pub(super) fn build(sizes: Sizes, source: &mut Source) -> Result<Self, WeightsError> {
        let width = sizes.width;
        Ok(Self {
            input: source.affine(INPUT, [width, sizes.features])?,
            positions: source.parameter(
                POSITIONS,
                [1, sizes.positions, width],
                Initial::Normal(0.02),
            )?,
            layers: (0..sizes.layers)
                .map(|number| Layer::build(number, [width, sizes.hidden], source))
                .collect::<Result<_, _>>()?,
            norm: source.layer_norm(NORM, width)?,
            output: source.affine(OUTPUT, [CLASSES, width])?,
        })
    }

    pub(super) fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Number of learned positions, the largest number of frames.
    pub(super) fn positions(&self) -> usize {
        self.positions.dims()[1]
    }
}

impl TemporalNetwork for Transformer {
    fn features(&self) -> usize {
        self.input.weight.dims()[1]
    }

    fn names(&self) -> Names<'_> {
        let mut names = Names::default();
        names.affine(INPUT, &self.input);
        names.add(POSITIONS, &self.positions);
        for (number, layer) in self.layers.iter().enumerate() {
            let [weight, bias] = attention_names(number);
            names.add(weight, &layer.attention_input.weight);
            names.add(bias, &layer.attention_input.bias);
            let key = |part| layer_key(number, part);
            names.affine(&key("self_attn.out_proj"), &layer.attention_output);
            names.layer_norm(&key("norm1"), &layer.attention_norm);
            names.affine(&key("linear1"), &layer.hidden);
            names.affine(&key("linear2"), &layer.output);
            names.layer_norm(&key("norm2"), &layer.output_norm);
        }
        names.layer_norm(NORM, &self.norm);
        names.affine(OUTPUT, &self.output);
        names
    }

    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let [_, time, _] = features.dims();
        let positions = self.positions.val().slice(s![.., 0..time]);
        let mut frames = self.input.forward(features) + positions;
        for layer in &self.layers {
            frames = layer.forward(frames, dropout);
        }
        let frames = dropped(dropout, self.norm.forward(frames));
        self.output.forward(frames)
    }
}

impl Layer {
    fn build(
        number: usize,
        [width, hidden]: [usize; 2],
        source: &mut Source,
    ) -> Result<Self, WeightsError> {
        let key = |part| layer_key(number, part);
        // PyTorch's Xavier initialisation of the stacked matrix.
        let packed = Initial::Uniform((6.0 / (4 * width) as f32).sqrt());
        let projection = ["self_attn.out_proj.weight", "self_attn.out_proj.bias"].map(key);
        Ok(Self {
            attention_input: source.affine_named(
                &attention_names(number),
                [3 * width, width],
                [packed, Initial::Zero],
            )?,
            attention_output: source.affine_named(
                &projection,
                [width, width],
                [Initial::for_inputs(width), Initial::Zero],
            )?,
            attention_norm: source.layer_norm(&key("norm1"), width)?,
            hidden: source.affine(&key("linear1"), [hidden, width])?,
            output: source.affine(&key("linear2"), [width, hidden])?,
            output_norm: source.layer_norm(&key("norm2"), width)?,
        })
    }

    fn forward(&self, frames: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let attended = dropped(dropout, self.attend(frames.clone(), dropout));
        let frames = self.attention_norm.forward(frames + attended);
        let hidden = dropped(dropout, gelu(self.hidden.forward(frames.clone())));
        let output = dropped(dropout, self.output.forward(hidden));
        self.output_norm.forward(frames + output)
    }

    fn attend(&self, frames: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let [batch, time, width] = frames.dims();
        let packed = self.attention_input.forward(frames);
        let heads = |index: usize| {
            packed
                .clone()
                .narrow(2, index * width, width)
                .reshape([batch, time, HEADS, width / HEADS])
                .swap_dims(1, 2)
        };
        let [queries, keys, values] = [0, 1, 2].map(heads);
        let scale = ((width / HEADS) as f32).sqrt();
        let scores = softmax(product(queries, keys.transpose()) / scale, 3);
        let attended = product(dropped(dropout, scores), values);
        let attended = attended.swap_dims(1, 2).reshape([batch, time, width]);
        self.attention_output.forward(attended)
    }
}
