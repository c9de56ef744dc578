//! Linear layers in PyTorch's layout: `KEY.weight` of shape `[outputs, inputs]` and `KEY.bias` of shape `[outputs]`.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};

use crate::kernel::{Activation, Map, Planner, Weighted};
use crate::weights::{OnDevice, Weights, WeightsError, expect_units};

/// Checks the architecture, and that each parameter is the weight or bias of one of `layers` or is named in `others`.
pub(super) fn expect(
    weights: &Weights,
    architecture: &str,
    layers: &[&str],
    others: &[&str],
) -> Result<(), WeightsError> {
    weights.expect_architecture(architecture)?;
    let is_expected = |name: &str| {
        let has_parameter =
            |key: &&str| matches!(name.strip_prefix(key), Some(".weight" | ".bias"));
        layers.iter().any(has_parameter) || others.contains(&name)
    };
    match weights.iter().find(|(name, _)| !is_expected(name)) {
        None => Ok(()),
        Some((name, _)) => Err(WeightsError::Unexpected {
            name: name.to_owned(),
            architecture: architecture.to_owned(),
        }),
    }
}

/// Numbers of outputs and inputs of a stored layer, from the shape of its weight.
pub(super) fn sizes(weights: &Weights, key: &str) -> Result<[usize; 2], WeightsError> {
    let name = format!("{key}.weight");
    match weights.get(&name).map(|tensor| tensor.shape.as_slice()) {
        Some(&[outputs, inputs]) if outputs > 0 && inputs > 0 => {
            Ok([expect_units(&name, outputs)?, expect_units(&name, inputs)?])
        }
        Some(shape) => Err(WeightsError::Malformed {
            format: "weights",
            reason: format!("`{name}` has shape {shape:?}, expected outputs and inputs"),
        }),
        None => weights.values(&name, &[]).map(|_| [0, 0]),
    }
}

pub(super) fn load(
    weights: &Weights,
    key: &str,
    [outputs, inputs]: [usize; 2],
    device: &Device,
) -> Result<Linear, WeightsError> {
    let weight = weights.tensor(&format!("{key}.weight"), [outputs, inputs], device)?;
    let bias = weights.tensor(&format!("{key}.bias"), [outputs], device)?;
    Ok(Linear {
        weight: Param::from_tensor(weight.transpose()),
        bias: Some(Param::from_tensor(bias)),
    })
}

/// Adds a layer to a plan; its input is a feature map of one pixel.
pub(super) fn plan(
    weights: &Weights,
    key: &str,
    outputs: usize,
    activation: Activation,
    planner: &mut Planner,
    input: Map,
) -> Result<Map, WeightsError> {
    let inputs = planner.shape(input).channels;
    let weight = weights.values(&format!("{key}.weight"), &[outputs, inputs])?;
    let bias = weights.values(&format!("{key}.bias"), &[outputs])?;
    let weighted = Weighted::from_outputs_first(weight, bias, 1, activation);
    Ok(planner.pointwise(input, weighted))
}

/// Writes a layer into a weights table.
pub(super) fn store(weights: &mut Weights, key: &str, linear: &Linear) {
    let [inputs, outputs] = linear.weight.dims();
    let weight = linear.weight.val().transpose();
    let bias = linear.bias.as_ref().expect("every layer has a bias").val();
    insert(
        weights,
        format!("{key}.weight"),
        vec![outputs, inputs],
        weight,
    );
    insert(weights, format!("{key}.bias"), vec![outputs], bias);
}

/// Writes a tensor into a weights table.
pub(super) fn insert<const D: usize>(
    weights: &mut Weights,
    name: String,
    shape: Vec<usize>,
    tensor: Tensor<D>,
) {
    let values = tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .expect("just converted to f32");
    weights
        .insert(name, shape, values)
        .expect("the shape is the tensor's own");
}

/// Random numbers by SplitMix64; Burn's own generators differ from device to device and are seeded globally.
pub(super) struct Uniform {
    state: u64,
}

impl Uniform {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Next number in `[0, 1)`, with 24 bits.
    fn next(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        (bits >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// Uniform numbers in `[-bound, bound)`.
    pub(super) fn values(&mut self, count: usize, bound: f32) -> Vec<f32> {
        (0..count)
            .map(|_| (2.0 * self.next() - 1.0) * bound)
            .collect()
    }

    /// Normally distributed numbers with mean 0, by the method of Box and Muller.
    pub(super) fn normal_values(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        (0..count)
            .map(|_| {
                let radius = (-2.0 * (1.0 - self.next()).ln()).sqrt();
                deviation * radius * (std::f32::consts::TAU * self.next()).cos()
            })
            .collect()
    }

    /// Layer with weights and biases uniform in `±1 / sqrt(inputs)`, PyTorch's default.
    pub(super) fn linear(&mut self, inputs: usize, outputs: usize, device: &Device) -> Linear {
        let bound = 1.0 / (inputs as f32).sqrt();
        let mut values = |count| self.values(count, bound);
        let weight = Tensor::from_data(
            TensorData::new(values(inputs * outputs), [inputs, outputs]),
            device,
        );
        let bias = Tensor::from_data(TensorData::new(values(outputs), [outputs]), device);
        Linear {
            weight: Param::from_tensor(weight),
            bias: Some(Param::from_tensor(bias)),
        }
    }
}
