//! Plans against networks in Burn's own operations.

use affectlens_formats::architecture::{Architecture, Layers};
use burn::tensor::{Device, Tensor, TensorData};

use super::PlainNetwork;
use crate::device::OpenedDevice;
use crate::kernel::{Activation, Network, Plan, read_back};
use crate::weights::{Metadata, Weights};

/// Relative to the largest output: f32 sums in another order.
const TOLERANCE: f32 = 1e-4;

/// Small numbers without a pattern that a wrong order would keep, the smaller the more are added up.
fn values(count: usize, fan_in: usize, seed: usize) -> Vec<f32> {
    let number = |index: usize| ((index * 7919 + seed * 104_729) % 1009) as f32 - 504.0;
    let scale = 1.0 / (504.0 * (fan_in as f32).sqrt());
    (0..count).map(|index| number(index) * scale).collect()
}

/// Canonical weights of a network of convolutions.
pub(crate) fn seeded_weights(architecture: Architecture) -> Weights {
    let mut weights = Weights::new(Metadata {
        architecture: architecture.name().to_owned(),
        ..Metadata::default()
    });
    let mut insert = |name: String, shape: &[usize], fan_in, seed| {
        let values = values(shape.iter().product(), fan_in, seed);
        let inserted = weights.insert(name, shape.to_vec(), values);
        inserted.expect("as many values");
    };
    let layers = Layers::new(architecture).convolutions();
    for (seed, layer) in layers.iter().enumerate() {
        let shape = layer.config.weight_shape();
        let fan_in = shape[1..].iter().product();
        let name = &layer.name;
        insert(format!("{name}.weight"), &shape, fan_in, seed);
        insert(format!("{name}.bias"), &shape[..1], 4, seed + 50);
        if layer.config.activation == Activation::Prelu {
            insert(format!("{name}.slopes"), &shape[..1], 1, seed);
        }
    }
    weights
}

/// Confirms that a plan gives what the network in Burn's own operations gives; gives the number of outputs.
#[track_caller]
pub(crate) fn assert_plan_equals_plain(
    architecture: Architecture,
    weights: &Weights,
    plan: &Plan,
) -> usize {
    let device = Device::flex();
    let input = plan.input();
    let picture = TensorData::new(
        values(input.len(), 1, 3),
        [1, input.height, input.width, input.channels],
    );
    let picture = Tensor::<4>::from_data(picture, &device);
    let network = PlainNetwork::load(architecture, weights, &device).expect("canonical weights");
    let plain = network.forward(picture.clone().permute([0, 3, 1, 2]));
    let plain = Tensor::cat(plain, 1);
    let folded = Network::new(plan, &OpenedDevice::cpu()).forward(picture);
    let values = pollster::block_on(read_back(vec![plain, folded])).expect("on the CPU");
    let [plain, folded] = values.as_slice() else {
        panic!("two outputs")
    };
    let scale = plain
        .iter()
        .fold(0.0_f32, |scale, value| scale.max(value.abs()));
    let apart = plain.iter().zip(folded);
    let worst = apart
        .map(|(plain, folded)| (plain - folded).abs())
        .fold(0.0, f32::max);
    assert_eq!(plain.len(), folded.len());
    assert!(
        scale > 0.0 && worst <= TOLERANCE * scale,
        "{worst} of {scale}"
    );
    plain.len()
}
