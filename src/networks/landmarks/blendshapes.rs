//! How far each part of a face is moved, from its landmarks.
//!
//! MediaPipe's `face_blendshapes.tflite`: an MLP-Mixer (Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for
//! Vision", 2021) over 146 landmarks, after Grishchenko et al., "Blendshapes GHUM: Real-time Monocular Facial
//! Blendshape Prediction", 2023. It is small enough to stay on the CPU whatever the device of the mesh.

use std::borrow::Cow;

use affectlens_formats::architecture::Convolution;
pub use affectlens_formats::architecture::blendshapes::NAME as BLENDSHAPES_ARCHITECTURE;
use affectlens_formats::architecture::blendshapes::{
    BLOCKS, CHANNELS, POINTS, TOKEN, TOKENS, layers, norm,
};

use crate::backbone::Parameters;
use crate::device::OpenedDevice;
use crate::face::Landmarks;
use crate::kernel::{
    Activation, Map, Network, Plan, Planner, Shortcut, Weighted, on_device, on_host,
};
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

/// Rows of the input beside those of landmarks: one carries the biases, the other marks the gathering token.
const MARKS: usize = 2;
/// x, y, and the mark of the gathering token.
const AXES: usize = 3;

/// Computes blendshapes from landmarks.
#[derive(Debug)]
pub struct Blendshapes {
    network: Network,
    device: OpenedDevice,
}

impl Blendshapes {
    /// Takes the parameters by their canonical names. Where the device is a GPU, the network runs on the CPU.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
    pub fn load<'a>(
        weights: impl Into<Cow<'a, Weights>>,
        device: &OpenedDevice,
    ) -> Result<Self, WeightsError> {
        let device = match device.has_gpu() {
            true => OpenedDevice::cpu(),
            false => device.clone(),
        };
        let network = Network::build(plan(weights)?, &device).map_err(WeightsError::Network)?;
        Ok(Self { network, device })
    }

    /// Gives the scores of each face, in `[0, 1]`, in the order of [`BLENDSHAPES`].
    ///
    /// Neither place nor size of a face in its frame matter; its tilt does a little.
    pub fn scores(&self, faces: &[&Landmarks]) -> Vec<[f32; BLENDSHAPES.len()]> {
        if faces.is_empty() {
            return Vec::new();
        }
        let values = faces.iter().flat_map(|face| marked(&normalised(face)));
        let shape = [faces.len(), 1, AXES, POINTS + MARKS];
        let points = on_device(values.collect(), shape, &self.device.device);
        let scores = on_host(self.network.forward(points));
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

/// The input of the network: x of all points, y of all points, and marks.
fn marked(points: &[f32]) -> Vec<f32> {
    let along = |axis: usize| points.iter().skip(axis).step_by(2).copied();
    let mut values = Vec::with_capacity(AXES * (POINTS + MARKS));
    for axis in 0..2 {
        values.extend(along(axis));
        values.extend([1.0, 0.0]);
    }
    values.extend([0.0; POINTS]);
    values.extend([0.0, 1.0]);
    values
}

/// The network as a plan. Layers over tokens see them as channels, and the numbers of a token as pixels.
///
/// # Shapes
///
/// - input: `[batch, 1, 3, 148]`, as [`marked`] gives it
/// - output: `[batch, 52]`, in `[0, 1]`
fn plan<'a>(weights: impl Into<Cow<'a, Weights>>) -> Result<Plan, WeightsError> {
    let weights = weights.into();
    weights.expect_architecture(BLENDSHAPES_ARCHITECTURE)?;
    let mut parameters = Parameters::new(weights);
    let linears = layers()
        .iter()
        .map(|layer| Linear::load(layer, &mut parameters))
        .collect::<Result<Vec<_>, _>>()?;
    let mut linears = linears.into_iter();
    let mut next = || linears.next().expect("a layer for each row of the table");
    let (condense, embed) = (next(), next());
    let token = parameters.values(TOKEN, &[CHANNELS])?;
    let mut planner = Plan::of_input(1, AXES, POINTS + MARKS);
    let input = planner.input();
    let x = planner.pointwise(input, condense.with_gathering_token());
    let x = planner.transpose(x);
    let mut x = planner.pointwise(x, embed.with_token(&token));
    for block in 0..BLOCKS {
        let mut normalise = |planner: &mut Planner, part: &str, x: Map| {
            let scale = parameters
                .values(&norm(block, part), &[CHANNELS])?
                .into_owned();
            let bias = vec![0.0; CHANNELS];
            Ok::<_, WeightsError>(planner.layer_norm(x, scale, bias, EPSILON))
        };
        let (first, second) = (next(), next());
        let y = normalise(&mut planner, "token", x)?;
        let y = planner.transpose(y);
        let y = planner.pointwise(y, first.weighted(Activation::Relu));
        let tokens = planner.transpose(x);
        // Only the gathering token of the last block is looked at.
        let (tokens, second) = match block + 1 == BLOCKS {
            true => {
                let gathering = planner.pointwise(tokens, gathering_token());
                (gathering, second.first())
            }
            false => (tokens, second),
        };
        let y = add(&mut planner, y, &second, tokens);
        x = planner.transpose(y);
        let (first, second) = (next(), next());
        let y = normalise(&mut planner, "channel", x)?;
        let y = planner.pointwise(y, first.weighted(Activation::Relu));
        x = add(&mut planner, y, &second, x);
    }
    let scores = planner.pointwise(x, next().weighted(Activation::Sigmoid));
    parameters.finish(BLENDSHAPES_ARCHITECTURE)?;
    Ok(planner.finish(&[scores]))
}

/// A layer whose result is added to a map.
fn add(planner: &mut Planner, input: Map, layer: &Linear, map: Map) -> Map {
    let shortcut = Shortcut { map, pooled: false };
    planner.gated_pointwise(
        input,
        layer.weighted(Activation::Identity),
        None,
        Some(shortcut),
    )
}

/// Of all tokens, the first.
fn gathering_token() -> Weighted {
    let mut weight = vec![0.0; TOKENS];
    weight[0] = 1.0;
    linear(weight, vec![0.0], Activation::Identity)
}

fn linear(weight: Vec<f32>, bias: Vec<f32>, activation: Activation) -> Weighted {
    Weighted {
        weight,
        bias,
        activation,
        slopes: Vec::new(),
    }
}

/// A fully connected layer, its weight `[outputs, inputs]`.
struct Linear<'a> {
    weight: Cow<'a, [f32]>,
    bias: Cow<'a, [f32]>,
}

impl<'a> Linear<'a> {
    fn load(layer: &Convolution, parameters: &mut Parameters<'a>) -> Result<Self, WeightsError> {
        let shape = layer.config.weight_shape();
        let mut load = |part: &str, shape: &[usize]| {
            parameters.values(&format!("{}.{part}", layer.name), shape)
        };
        Ok(Self {
            weight: load("weight", &shape)?,
            bias: load("bias", &shape[..1])?,
        })
    }

    fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len()
    }

    /// `[inputs, outputs]`
    fn turned(&self) -> Vec<f32> {
        let inputs = self.inputs();
        let input = |input: usize| self.weight.iter().skip(input).step_by(inputs);
        (0..inputs).flat_map(input).copied().collect()
    }

    fn weighted(&self, activation: Activation) -> Weighted {
        linear(self.turned(), self.bias.to_vec(), activation)
    }

    /// The layer that gives the first output alone.
    fn first(&self) -> Self {
        Self {
            weight: self.weight[..self.inputs()].to_vec().into(),
            bias: self.bias[..1].to_vec().into(),
        }
    }

    /// As an input of [`marked`] takes it: biases come from the row of ones, where they do not meet the mark, and the mark of
    /// the gathering token becomes a token before the others.
    fn with_gathering_token(&self) -> Weighted {
        let outputs = self.bias.len();
        let mut weight = Vec::with_capacity((POINTS + MARKS) * (outputs + 1));
        for row in self.turned().chunks_exact(outputs).chain([&*self.bias]) {
            weight.push(0.0);
            weight.extend(row);
        }
        weight.push(1.0);
        weight.resize(weight.len() + outputs, 0.0);
        linear(weight, vec![0.0; outputs + 1], Activation::Identity)
    }

    /// The mark becomes the gathering token, which is no sum with a bias.
    fn with_token(&self, token: &[f32]) -> Weighted {
        let mut weight = self.turned();
        weight.extend(
            token
                .iter()
                .zip(&*self.bias)
                .map(|(token, bias)| token - bias),
        );
        linear(weight, self.bias.to_vec(), Activation::Identity)
    }
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
        let network = Blendshapes::load(&weights, &OpenedDevice::cpu()).expect("canonical weights");
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
        let network = Blendshapes::load(&weights, &OpenedDevice::cpu()).expect("canonical weights");
        let scores = network.scores(&[&face(0.0, 7.0)]);
        assert!(scores[0].iter().all(|score| score.is_finite()));
    }

    #[test]
    fn incomplete_and_foreign_weights_are_refused() {
        let mut weights = seeded();
        weights
            .insert("extra", vec![1], vec![0.0])
            .expect("one value");
        let error =
            Blendshapes::load(&weights, &OpenedDevice::cpu()).expect_err("a weight too many");
        assert_eq!(
            error.to_string(),
            "weight `extra` does not belong to face-blendshapes"
        );
        weights.metadata.architecture = "faceres".to_owned();
        assert!(matches!(
            Blendshapes::load(&weights, &OpenedDevice::cpu()),
            Err(WeightsError::Architecture { .. })
        ));
    }
}
