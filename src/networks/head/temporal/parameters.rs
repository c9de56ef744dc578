//! Parameters of temporal heads, random or from a file, in PyTorch's layout and with their published names.

use std::ops::Range;

use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::head::batch_norm;
use crate::head::linear::{self, Uniform};
use crate::weights::{OnDevice, Weights, WeightsError, expect_units};

/// Longest kernel of a convolution over time, frames; published ones have 3. Every tap is a matrix product.
const MAX_KERNEL: usize = 63;

/// Source of parameters and sizes.
pub(super) struct Source<'a> {
    origin: Origin<'a>,
    device: &'a Device,
}

enum Origin<'a> {
    /// Random parameters of a head for embeddings of length `features`.
    Seed {
        uniform: Uniform,
        features: usize,
    },
    File(&'a Weights),
}

/// Initial value of a parameter.
#[derive(Clone, Copy)]
pub(super) enum Initial {
    /// Uniform between plus and minus this bound.
    Uniform(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    Zero,
    One,
    /// One, then zeros.
    First,
}

impl Initial {
    /// PyTorch's default for the weights and biases of a layer whose units have `inputs` inputs.
    pub(super) fn for_inputs(inputs: usize) -> Self {
        Self::Uniform(1.0 / (inputs as f32).sqrt())
    }
}

impl<'a> Source<'a> {
    pub(super) fn seeded(seed: u64, features: usize, device: &'a Device) -> Self {
        let uniform = Uniform::new(seed);
        Self {
            origin: Origin::Seed { uniform, features },
            device,
        }
    }

    pub(super) fn file(weights: &'a Weights, device: &'a Device) -> Self {
        Self {
            origin: Origin::File(weights),
            device,
        }
    }

    /// Sizes of a network: `published` for embeddings of the requested length, or `stored` in the file.
    pub(super) fn sizes<S>(
        &self,
        published: impl FnOnce(usize) -> S,
        stored: impl FnOnce(&Weights) -> Result<S, WeightsError>,
    ) -> Result<S, WeightsError> {
        match self.origin {
            Origin::Seed { features, .. } => Ok(published(features)),
            Origin::File(weights) => stored(weights),
        }
    }

    /// Whether a file has a parameter of that name; random parameters have no optional ones.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self.origin, Origin::File(weights) if weights.get(name).is_some())
    }

    pub(super) fn parameter<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        initial: Initial,
    ) -> Result<Param<Tensor<D>>, WeightsError> {
        let tensor = match &mut self.origin {
            Origin::File(weights) => weights.tensor(name, shape, self.device)?,
            Origin::Seed { uniform, .. } => {
                let count = shape.iter().product();
                let values = match initial {
                    Initial::Uniform(bound) => uniform.values(count, bound),
                    Initial::Normal(deviation) => uniform.normal_values(count, deviation),
                    Initial::Zero => vec![0.0; count],
                    Initial::One => vec![1.0; count],
                    Initial::First => (0..count)
                        .map(|index| f32::from(u8::from(index == 0)))
                        .collect(),
                };
                Tensor::from_data(TensorData::new(values, shape), self.device)
            }
        };
        Ok(Param::from_tensor(tensor))
    }

    /// Linear layer with `KEY.weight` of shape `[outputs, inputs]` and `KEY.bias`.
    pub(super) fn affine(
        &mut self,
        key: &str,
        [outputs, inputs]: [usize; 2],
    ) -> Result<Affine, WeightsError> {
        let initial = Initial::for_inputs(inputs);
        self.affine_named(&weight_and_bias(key), [outputs, inputs], [initial; 2])
    }

    /// Linear layer with given names and initial values of weight and bias.
    pub(super) fn affine_named(
        &mut self,
        [weight, bias]: &[String; 2],
        [outputs, inputs]: [usize; 2],
        initial: [Initial; 2],
    ) -> Result<Affine, WeightsError> {
        Ok(Affine {
            weight: self.parameter(weight, [outputs, inputs], initial[0])?,
            bias: self.parameter(bias, [outputs], initial[1])?,
        })
    }

    /// Convolution with `KEY.weight` of shape `[outputs, inputs, kernel]` and `KEY.bias`.
    pub(super) fn convolution(
        &mut self,
        key: &str,
        [outputs, inputs, kernel]: [usize; 3],
        dilation: usize,
    ) -> Result<Convolution, WeightsError> {
        let initial = Initial::for_inputs(inputs * kernel);
        let [weight, bias] = weight_and_bias(key);
        Ok(Convolution {
            weight: self.parameter(&weight, [outputs, inputs, kernel], initial)?,
            bias: self.parameter(&bias, [outputs], initial)?,
            dilation,
        })
    }

    pub(super) fn batch_norm(
        &mut self,
        key: &str,
        channels: usize,
    ) -> Result<BatchNorm, WeightsError> {
        match self.origin {
            Origin::File(weights) => batch_norm::load(weights, key, channels, self.device),
            Origin::Seed { .. } => Ok(BatchNormConfig::new(channels).init(self.device)),
        }
    }

    pub(super) fn layer_norm(
        &mut self,
        key: &str,
        channels: usize,
    ) -> Result<LayerNorm, WeightsError> {
        let mut layer = LayerNormConfig::new(channels).init(self.device);
        if let Origin::File(weights) = self.origin {
            let tensor = |name| weights.tensor(&format!("{key}.{name}"), [channels], self.device);
            layer.gamma = Param::from_tensor(tensor("weight")?);
            layer.beta = Some(Param::from_tensor(tensor("bias")?));
        }
        Ok(layer)
    }
}

/// Convolution over time with zero padding, so that the output is as long as the input, in PyTorch's layout.
///
/// It is computed as one matrix product per kernel tap: Burn's own convolutions would add a megabyte of GPU kernels,
/// compressed, to the download of a browser.
#[derive(Module, Debug)]
pub(super) struct Convolution {
    /// `[outputs, inputs, kernel]`, the kernel odd.
    pub(super) weight: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
    dilation: usize,
}

impl Convolution {
    /// Convolves `[batch, inputs, time]` to `[batch, outputs, time]`.
    pub(super) fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let [batch, inputs, time] = frames.dims();
        let [outputs, _, kernel] = self.weight.dims();
        let reach = self.dilation * (kernel / 2);
        let padded = match reach {
            0 => frames,
            _ => {
                let padding = Tensor::zeros([batch, inputs, reach], &frames.device());
                Tensor::cat(vec![padding.clone(), frames, padding], 2)
            }
        };
        let bias = self.bias.val().reshape([1, outputs, 1]);
        (0..kernel).fold(bias.expand([batch, outputs, time]), |sum, tap| {
            let weight = self
                .weight
                .val()
                .narrow(2, tap, 1)
                .reshape([1, outputs, inputs]);
            let shifted = padded.clone().narrow(2, tap * self.dilation, time);
            sum + weight.expand([batch, outputs, inputs]).matmul(shifted)
        })
    }
}

/// Linear layer in PyTorch's layout.
#[derive(Module, Debug)]
pub(super) struct Affine {
    /// `[outputs, inputs]`.
    pub(super) weight: Param<Tensor<2>>,
    pub(super) bias: Param<Tensor<1>>,
}

impl Affine {
    /// Maps `[batch, time, inputs]` to `[batch, time, outputs]`.
    pub(super) fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        affine(input, self.weight.val(), self.bias.val())
    }

    /// The same for some of the outputs.
    pub(super) fn forward_rows(&self, input: Tensor<3>, rows: Range<usize>) -> Tensor<3> {
        let (start, count) = (rows.start, rows.len());
        let weight = self.weight.val().narrow(0, start, count);
        affine(input, weight, self.bias.val().narrow(0, start, count))
    }
}

fn affine(input: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    let [batch, time, inputs] = input.dims();
    let [outputs, _] = weight.dims();
    let input = input.reshape([batch * time, inputs]);
    let product = input.matmul(weight.transpose());
    (product + bias.unsqueeze()).reshape([batch, time, outputs])
}

/// Parameter or statistic of a head that is stored in weights files.
pub(super) trait Stored {
    /// Id of a trained parameter; `None` for a statistic.
    fn id(&self) -> Option<ParamId>;

    fn write(&self, weights: &mut Weights, name: String);
}

impl<const D: usize> Stored for Param<Tensor<D>> {
    fn id(&self) -> Option<ParamId> {
        Some(self.id)
    }

    fn write(&self, weights: &mut Weights, name: String) {
        linear::insert(weights, name, self.dims().to_vec(), self.val());
    }
}

impl Stored for RunningState<Tensor<1>> {
    fn id(&self) -> Option<ParamId> {
        None
    }

    fn write(&self, weights: &mut Weights, name: String) {
        let values = self.value_sync();
        linear::insert(weights, name, values.dims().to_vec(), values);
    }
}

/// Parameters and statistics of a head with their published names, as a weights file stores them.
#[derive(Default)]
pub(super) struct Names<'a>(pub(super) Vec<(String, &'a dyn Stored)>);

impl<'a> Names<'a> {
    pub(super) fn add(&mut self, name: impl Into<String>, stored: &'a dyn Stored) {
        self.0.push((name.into(), stored));
    }

    fn add_pair(&mut self, key: &str, weight: &'a dyn Stored, bias: &'a dyn Stored) {
        for (name, stored) in weight_and_bias(key).into_iter().zip([weight, bias]) {
            self.add(name, stored);
        }
    }

    pub(super) fn affine(&mut self, key: &str, layer: &'a Affine) {
        self.add_pair(key, &layer.weight, &layer.bias);
    }

    pub(super) fn convolution(&mut self, key: &str, layer: &'a Convolution) {
        self.add_pair(key, &layer.weight, &layer.bias);
    }

    pub(super) fn batch_norm(&mut self, key: &str, layer: &'a BatchNorm) {
        let parts: [&dyn Stored; 4] = [
            &layer.gamma,
            &layer.beta,
            &layer.running_mean,
            &layer.running_var,
        ];
        for (name, part) in batch_norm::NAMES.into_iter().zip(parts) {
            self.add(format!("{key}.{name}"), part);
        }
    }

    pub(super) fn layer_norm(&mut self, key: &str, layer: &'a LayerNorm) {
        let bias = layer.beta.as_ref().expect("every layer norm has a bias");
        self.add_pair(key, &layer.gamma, bias);
    }
}

fn weight_and_bias(key: &str) -> [String; 2] {
    ["weight", "bias"].map(|part| format!("{key}.{part}"))
}

/// Shape of a stored parameter.
pub(super) fn axes<const D: usize>(
    weights: &Weights,
    name: &str,
) -> Result<[usize; D], WeightsError> {
    let Some(tensor) = weights.get(name) else {
        // Fails with the message for a missing parameter.
        return weights.values(name, &[]).map(|_| [0; D]);
    };
    match <[usize; D]>::try_from(tensor.shape.as_slice()) {
        Ok(shape) if !shape.contains(&0) => {
            for axis in shape {
                expect_units(name, axis)?;
            }
            Ok(shape)
        }
        _ => Err(malformed(format!(
            "`{name}` has shape {:?}, expected {D} axes without an empty one",
            tensor.shape
        ))),
    }
}

/// Frames that a stored convolution over time spans, an odd number.
pub(super) fn stored_kernel(weights: &Weights, name: &str) -> Result<usize, WeightsError> {
    let [_, _, kernel] = axes(weights, name)?;
    if kernel % 2 == 0 {
        return Err(malformed(format!(
            "`{name}` has a kernel of {kernel}, expected an odd one"
        )));
    }
    if kernel > MAX_KERNEL {
        return Err(malformed(format!(
            "`{name}` has a kernel of {kernel}, expected at most {MAX_KERNEL}"
        )));
    }
    Ok(kernel)
}

/// Number of consecutive layers in the file, `most` at most; `parameter` names one parameter of a layer by its number.
///
/// # Errors
///
/// [`WeightsError::Malformed`] for more.
pub(super) fn count_layers(
    weights: &Weights,
    network: &str,
    most: usize,
    parameter: impl Fn(usize) -> String,
) -> Result<usize, WeightsError> {
    let is_there = |number: &usize| weights.get(&parameter(*number)).is_some();
    let layers = (0..).take_while(is_there).count();
    if layers > most {
        let reason = format!("{network} has {layers} layers, expected at most {most}");
        return Err(malformed(reason));
    }
    Ok(layers)
}

pub(super) fn malformed(reason: String) -> WeightsError {
    WeightsError::Malformed {
        format: "weights",
        reason,
    }
}
