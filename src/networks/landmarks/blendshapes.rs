//! How far each part of a face is moved, from its landmarks.
//!
//! MediaPipe's `face_blendshapes.tflite`: an MLP-Mixer (Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for
//! Vision", 2021) over 146 landmarks, after Grishchenko et al., "Blendshapes GHUM: Real-time Monocular Facial
//! Blendshape Prediction", 2023. It is small enough to stay on the CPU, in Burn's own operations, whatever the device of
//! the mesh.

use affectlens_formats::architecture::Convolution;
pub use affectlens_formats::architecture::blendshapes::NAME as BLENDSHAPES_ARCHITECTURE;
use affectlens_formats::architecture::blendshapes::{
    BLOCKS, CHANNELS, POINTS, TOKEN, layers, norm,
};
use burn::module::{Module, Param};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};

use crate::backbone::Parameters;
use crate::face::Landmarks;
use crate::kernel::product;
use crate::label::BLENDSHAPES;
use crate::weights::{Weights, WeightsError};

/// Landmarks that the network looks at, in its order (`face_blendshapes_graph.cc` of MediaPipe).
#[rustfmt::skip]
const SEEN: [usize; POINTS] = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
];

/// As published: 1e-6 rounded to 16 bits.
const EPSILON: f32 = 1.013_279e-6;
/// Distance of the landmarks from their mean, on average, as the network expects it.
const SPREAD: f32 = 0.5;

/// Computes blendshapes from landmarks.
#[derive(Debug)]
pub struct Blendshapes {
    mixer: Mixer,
}

impl Blendshapes {
    /// Takes the parameters by their canonical names.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
    pub fn load(weights: &Weights) -> Result<Self, WeightsError> {
        let mixer = Mixer::load(weights, &Device::flex())?;
        Ok(Self { mixer })
    }

    /// Gives the scores of each face, in `[0, 1]`, in the order of [`BLENDSHAPES`].
    ///
    /// Neither place nor size of a face in its frame matter; its tilt does a little.
    pub fn scores(&self, faces: &[&Landmarks]) -> Vec<[f32; BLENDSHAPES.len()]> {
        if faces.is_empty() {
            return Vec::new();
        }
        let values: Vec<f32> = faces.iter().flat_map(|face| normalised(face)).collect();
        let points = TensorData::new(values, [faces.len(), POINTS, 2]);
        let scores = self
            .mixer
            .forward(Tensor::from_data(points, &Device::flex()));
        let scores = scores.into_data();
        let scores = scores.as_slice::<f32>().expect("networks compute in f32");
        scores.as_chunks().0.to_vec()
    }
}

/// x and y of the landmarks that the network looks at, about their mean and of one size.
fn normalised(face: &Landmarks) -> Vec<f32> {
    let seen = SEEN.map(|index| face.points[index]);
    let count = POINTS as f32;
    let mean = [0, 1].map(|axis| seen.iter().map(|point| point[axis]).sum::<f32>() / count);
    let centred = seen.map(|[x, y, _]| [x - mean[0], y - mean[1]]);
    let spread = centred.iter().map(|[x, y]| x.hypot(*y)).sum::<f32>() / count;
    // All points in one place have no size to be brought to.
    let scale = if spread > 0.0 { SPREAD / spread } else { 0.0 };
    centred
        .as_flattened()
        .iter()
        .map(|value| value * scale)
        .collect()
}

/// The network.
#[derive(Module, Debug)]
struct Mixer {
    condense: Linear,
    embed: Linear,
    token: Param<Tensor<3>>,
    blocks: Vec<Block>,
    output: Linear,
}

/// Mixes tokens, then channels.
#[derive(Module, Debug)]
struct Block {
    token_norm: Param<Tensor<3>>,
    tokens: [Linear; 2],
    channel_norm: Param<Tensor<3>>,
    channels: [Linear; 2],
}

/// Weight `[1, outputs, inputs]`; bias `[1, outputs, 1]`.
#[derive(Module, Debug)]
struct Linear {
    weight: Param<Tensor<3>>,
    bias: Param<Tensor<3>>,
}

impl Mixer {
    fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        weights.expect_architecture(BLENDSHAPES_ARCHITECTURE)?;
        let mut parameters = Parameters::new(weights);
        let mut linears = layers()
            .iter()
            .map(|layer| Linear::load(layer, &mut parameters, device))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        let mut next = || linears.next().expect("a layer for each row of the table");
        let (condense, embed) = (next(), next());
        let token = row(TOKEN, &mut parameters, device)?;
        let blocks = (0..BLOCKS)
            .map(|index| {
                Ok(Block {
                    token_norm: row(&norm(index, "token"), &mut parameters, device)?,
                    tokens: [next(), next()],
                    channel_norm: row(&norm(index, "channel"), &mut parameters, device)?,
                    channels: [next(), next()],
                })
            })
            .collect::<Result<Vec<_>, WeightsError>>()?;
        let output = next();
        parameters.finish(BLENDSHAPES_ARCHITECTURE)?;
        Ok(Self {
            condense,
            embed,
            token,
            blocks,
            output,
        })
    }

    /// # Shapes
    ///
    /// - points: `[batch, 146, 2]`
    /// - output: `[batch, 1, 52]`, in `[0, 1]`
    fn forward(&self, points: Tensor<3>) -> Tensor<3> {
        let [batch, ..] = points.dims();
        let x = self.embed.over_channels(self.condense.over_tokens(points));
        let token = self.token.val().repeat_dim(0, batch);
        let x = Tensor::cat(vec![token, x], 1);
        let (last, blocks) = self.blocks.split_last().expect("a table of blocks");
        let x = blocks
            .iter()
            .fold(x, |x, block| block.mix_channels(block.mix_tokens(x)));
        // Only the gathering token of the last block is looked at.
        let x = last.mix_channels(last.mix_tokens(x).narrow(1, 0, 1));
        sigmoid(self.output.over_channels(x))
    }
}

impl Block {
    fn mix_tokens(&self, x: Tensor<3>) -> Tensor<3> {
        let [first, second] = &self.tokens;
        let y = normalise(x.clone(), &self.token_norm);
        x + second.over_tokens(relu(first.over_tokens(y)))
    }

    fn mix_channels(&self, x: Tensor<3>) -> Tensor<3> {
        let [first, second] = &self.channels;
        let y = normalise(x.clone(), &self.channel_norm);
        x + second.over_channels(relu(first.over_channels(y)))
    }
}

impl Linear {
    fn load(
        layer: &Convolution,
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let shape = layer.config.weight_shape();
        let [outputs, inputs, ..] = shape;
        let mut load = |part: &str, shape: &[usize], as_shape: [usize; 3]| {
            let values = parameters.values(&format!("{}.{part}", layer.name), shape)?;
            Ok(parameter(values, as_shape, device))
        };
        Ok(Self {
            weight: load("weight", &shape, [1, outputs, inputs])?,
            bias: load("bias", &[outputs], [1, outputs, 1])?,
        })
    }

    /// `[batch, inputs, channels]` to `[batch, outputs, channels]`.
    fn over_tokens(&self, x: Tensor<3>) -> Tensor<3> {
        product(self.weight.val(), x) + self.bias.val()
    }

    /// `[batch, tokens, inputs]` to `[batch, tokens, outputs]`.
    fn over_channels(&self, x: Tensor<3>) -> Tensor<3> {
        product(x, self.weight.val().swap_dims(1, 2)) + self.bias.val().swap_dims(1, 2)
    }
}

/// Layer norm over the channels of each token, without a shift.
fn normalise(x: Tensor<3>, scale: &Param<Tensor<3>>) -> Tensor<3> {
    let x = x.clone() - x.mean_dim(2);
    let variance = x.clone().powi_scalar(2).mean_dim(2);
    x / (variance + EPSILON).sqrt() * scale.val()
}

/// One number a channel.
fn row(
    name: &str,
    parameters: &mut Parameters<'_>,
    device: &Device,
) -> Result<Param<Tensor<3>>, WeightsError> {
    let values = parameters.values(name, &[CHANNELS])?;
    Ok(parameter(values, [1, 1, CHANNELS], device))
}

fn parameter(values: &[f32], shape: [usize; 3], device: &Device) -> Param<Tensor<3>> {
    let values = TensorData::new(values.to_vec(), shape);
    Param::from_tensor(Tensor::from_data(values, device)).set_require_grad(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Metadata;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        let number = |index: usize| ((index * 7919 + seed * 104_729) % 1009) as f32;
        (0..count)
            .map(|index| (number(index) - 504.0) / 5000.0)
            .collect()
    }

    fn seeded() -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: BLENDSHAPES_ARCHITECTURE.to_owned(),
            ..Metadata::default()
        });
        let mut insert = |name: String, shape: &[usize], values: Vec<f32>| {
            let inserted = weights.insert(name, shape.to_vec(), values);
            inserted.expect("as many values");
        };
        for (seed, layer) in layers().iter().enumerate() {
            let shape = layer.config.weight_shape();
            let count = shape.iter().product();
            let name = &layer.name;
            insert(format!("{name}.weight"), &shape, values(count, seed));
            insert(
                format!("{name}.bias"),
                &shape[..1],
                values(shape[0], seed + 50),
            );
        }
        let ones = || vec![1.0; CHANNELS];
        insert(TOKEN.to_owned(), &[CHANNELS], ones());
        for block in 0..BLOCKS {
            for part in ["token", "channel"] {
                insert(norm(block, part), &[CHANNELS], ones());
            }
        }
        weights
    }

    fn face(scale: f32, shift: f32) -> Landmarks {
        let places = values(Landmarks::COUNT * 2, 9);
        let point = |index: usize| {
            let place = |axis: usize| (places[index * 2 + axis] * scale) + shift;
            [place(0), place(1), 0.0]
        };
        Landmarks {
            points: Box::new(std::array::from_fn(point)),
            presence: 1.0,
        }
    }

    #[test]
    fn place_and_size_of_a_face_do_not_matter() {
        let weights = seeded();
        let network = Blendshapes::load(&weights).expect("canonical weights");
        let (near, far) = (face(4000.0, 900.0), face(100.0, 50.0));
        let [a, b] = network.scores(&[&near, &far])[..] else {
            panic!("two faces")
        };
        let apart = |a: [f32; 52], b: [f32; 52]| {
            let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
            apart.fold(0.0, f32::max)
        };
        assert!(apart(a, b) < 1e-4, "{}", apart(a, b));
        assert!(apart(network.scores(&[&far])[0], b) < 1e-6, "one by one");
        assert!(a.iter().all(|score| (0.0..=1.0).contains(score)));
        assert!(network.scores(&[]).is_empty());
    }

    #[test]
    fn points_in_one_place_give_finite_scores() {
        let weights = seeded();
        let network = Blendshapes::load(&weights).expect("canonical weights");
        let scores = network.scores(&[&face(0.0, 7.0)]);
        assert!(scores[0].iter().all(|score| score.is_finite()));
    }

    #[test]
    fn incomplete_and_foreign_weights_are_refused() {
        let mut weights = seeded();
        weights
            .insert("extra", vec![1], vec![0.0])
            .expect("one value");
        let error = Blendshapes::load(&weights).expect_err("a weight too many");
        assert_eq!(
            error.to_string(),
            "weight `extra` does not belong to face-blendshapes"
        );
        weights.metadata.architecture = "faceres".to_owned();
        assert!(matches!(
            Blendshapes::load(&weights),
            Err(WeightsError::Architecture { .. })
        ));
    }
}
