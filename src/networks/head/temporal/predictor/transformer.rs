//! Transformer encoder over the frames of a window.

use super::Predict;
use super::layers::{Dense, LayerNorm, gelu};
use super::parameters::Parameters;
use super::rows::Rows;
use crate::head::temporal::CLASSES;
use crate::head::temporal::attention::{HEADS, output_names, packed_names};
use crate::head::temporal::transformer::{
    INPUT, NORM, OUTPUT, POSITIONS, Sizes, attention_key, layer_key,
};
use crate::weights::WeightsError;

#[derive(Debug)]
pub(super) struct Transformer {
    input: Dense,
    /// Learned numbers of each place in a window.
    positions: Rows,
    layers: Vec<Layer>,
    norm: LayerNorm,
    output: Dense,
}

#[derive(Debug)]
struct Layer {
    attention: Attention,
    attention_norm: LayerNorm,
    hidden: Dense,
    output: Dense,
    output_norm: LayerNorm,
}

/// Attention from each frame to all of the same window.
#[derive(Debug)]
struct Attention {
    /// Queries, keys and values side by side.
    input: Dense,
    output: Dense,
}

impl Transformer {
    pub(super) fn load(source: &mut Parameters) -> Result<Self, WeightsError> {
        let sizes = Sizes::from_weights(source.weights)?;
        let width = sizes.width;
        let positions = source.take(POSITIONS, &[1, sizes.positions, width])?;
        let positions = Rows::new(positions.to_vec(), width);
        let layers =
            (0..sizes.layers).map(|number| Layer::load(number, [width, sizes.hidden], source));
        let layers = layers.collect::<Result<_, _>>()?;
        Ok(Self {
            input: source.dense(INPUT, [width, sizes.features])?,
            positions,
            layers,
            norm: source.layer_norm(NORM, width)?,
            output: source.dense(OUTPUT, [CLASSES, width])?,
        })
    }
}

impl Predict for Transformer {
    fn features(&self) -> usize {
        self.input.matrix.inputs
    }

    fn logits(&self, frames: Rows) -> Rows {
        let mut frames = self.input.forward(&frames);
        // As many as there are frames.
        frames.add(&self.positions);
        for layer in &self.layers {
            frames = layer.forward(frames);
        }
        self.output.forward(&self.norm.forward(frames))
    }

    fn longest_window(&self) -> Option<usize> {
        Some(self.positions.count())
    }
}

impl Layer {
    fn load(
        number: usize,
        [width, hidden]: [usize; 2],
        source: &mut Parameters,
    ) -> Result<Self, WeightsError> {
        let key = |part| layer_key(number, part);
        Ok(Self {
            attention: Attention::load(&attention_key(number), width, source)?,
            attention_norm: source.layer_norm(&key("norm1"), width)?,
            hidden: source.dense(&key("linear1"), [hidden, width])?,
            output: source.dense(&key("linear2"), [width, hidden])?,
            output_norm: source.layer_norm(&key("norm2"), width)?,
        })
    }

    fn forward(&self, mut frames: Rows) -> Rows {
        frames.add(&self.attention.forward(&frames));
        let mut frames = self.attention_norm.forward(frames);
        let mut hidden = self.hidden.forward(&frames);
        for value in &mut hidden.values {
            *value = gelu(*value);
        }
        frames.add(&self.output.forward(&hidden));
        self.output_norm.forward(frames)
    }
}

impl Attention {
    fn load(key: &str, width: usize, source: &mut Parameters) -> Result<Self, WeightsError> {
        let [weight, bias] = packed_names(key);
        let input = source.dense_named(weight, bias, [3 * width, width])?;
        let [weight, bias] = output_names(key);
        let output = source.dense_named(weight, bias, [width, width])?;
        Ok(Self { input, output })
    }

    fn forward(&self, frames: &Rows) -> Rows {
        let (count, width) = (frames.count(), frames.width);
        let packed = self.input.forward(frames);
        let part = |frame: usize, start: usize| &packed.row(frame)[start..][..width / HEADS];
        let scale = ((width / HEADS) as f32).sqrt();
        let mut attended = Rows::zeros(count, width);
        for (frame, row) in attended.iter_mut().enumerate() {
            for (head, sums) in row.chunks_exact_mut(width / HEADS).enumerate() {
                let start = head * (width / HEADS);
                let query = part(frame, start);
                let scores = (0..count).map(|other| {
                    let key = part(other, width + start);
                    query.iter().zip(key).map(|(a, b)| a * b).sum::<f32>() / scale
                });
                for (other, share) in softmax(scores.collect()).into_iter().enumerate() {
                    for (sum, value) in sums.iter_mut().zip(part(other, 2 * width + start)) {
                        *sum += share * value;
                    }
                }
            }
        }
        self.output.forward(&attended)
    }
}

fn softmax(mut scores: Vec<f32>) -> Vec<f32> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in &mut scores {
        *score = (*score - largest).exp();
    }
    let sum: f32 = scores.iter().sum();
    for score in &mut scores {
        *score /= sum;
    }
    scores
}
