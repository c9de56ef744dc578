//! Transformer encoder over the frames of a window, with learned positions.
//!
//! Layers are post-norm like PyTorch's `TransformerEncoderLayer`: layer norm follows each residual sum.

use burn::module::{Module, Param};
use burn::nn::{Dropout, LayerNorm};
use burn::tensor::activation::gelu;
use burn::tensor::{Tensor, s};

use super::CLASSES;
use super::attention::{Attention, HEADS, packed_weight};
use super::kind::LONGEST_WINDOW;
use super::parameters::{Affine, Initial, Names, Source, axes, count_layers, malformed};
use super::sequence::TemporalNetwork;
use crate::weights::{Weights, WeightsError};

pub(super) const INPUT: &str = "temporal_head.input_proj";
pub(super) const POSITIONS: &str = "temporal_head.pos_embed";
pub(super) const NORM: &str = "temporal_head.norm";
pub(super) const OUTPUT: &str = "temporal_head.proj";
/// Most layers; published ones have 2 or 3.
const MAX_LAYERS: usize = 24;

#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) features: usize,
    pub(super) layers: usize,
    pub(super) width: usize,
    /// Units of the feed-forward network in each layer.
    pub(super) hidden: usize,
    pub(super) positions: usize,
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
    attention: Attention,
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
            packed_weight(&attention_key(number))
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

pub(super) fn layer_key(layer: usize, part: &str) -> String {
    format!("temporal_head.transformer.layers.{layer}.{part}")
}

pub(super) fn attention_key(layer: usize) -> String {
    layer_key(layer, "self_attn")
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
            layer
                .attention
                .add_names(&attention_key(number), &mut names);
            let key = |part| layer_key(number, part);
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
        let frames = dropout.forward(self.norm.forward(frames));
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
        Ok(Self {
            attention: Attention::build(&attention_key(number), width, source)?,
            attention_norm: source.layer_norm(&key("norm1"), width)?,
            hidden: source.affine(&key("linear1"), [hidden, width])?,
            output: source.affine(&key("linear2"), [width, hidden])?,
            output_norm: source.layer_norm(&key("norm2"), width)?,
        })
    }

    fn forward(&self, frames: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let attended = self.attention.to_itself(frames.clone(), dropout);
        let attended = dropout.forward(attended);
        let frames = self.attention_norm.forward(frames + attended);
        let hidden = dropout.forward(gelu(self.hidden.forward(frames.clone())));
        let output = dropout.forward(self.output.forward(hidden));
        self.output_norm.forward(frames + output)
    }
}
