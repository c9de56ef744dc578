//! The average of a network's values over training steps (Polyak & Juditsky 1992), exponential: the last steps count most.

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    tensor::Tensor,
};

/// Moves all values of `average`, running statistics included, towards those of `current`, of which `1 - keep` comes in.
/// Both are without gradients.
pub(crate) fn blend<N: Module>(average: N, current: &N, keep: f64) -> N {
    let mut values = Values::default();
    current.visit(&mut values);
    average.map(&mut Blend { values, keep })
}

/// Flat values by parameter.
#[derive(Default)]
struct Values(HashMap<ParamId, Tensor<1>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.insert(parameter.id, parameter.val().reshape([-1]));
    }
}

struct Blend {
    values: Values,
    keep: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.values.0.remove(&parameter.id) else {
            return parameter;
        };
        let (id, tensor, mapper) = parameter.consume();
        let values = values.reshape(tensor.dims());
        let blended = tensor * self.keep + values * (1.0 - self.keep);
        Param::from_mapped_value(id, blended, mapper)
    }
}

#[cfg(test)]
mod tests {
    use affectlens::head::ActionUnitsConfig;
    use burn::tensor::Device;

    use super::*;
    use crate::state;

    #[test]
    fn parameters_and_running_statistics_are_blended_and_the_network_stays() {
        let device = Device::flex().autodiff();
        let config = ActionUnitsConfig {
            embedding: 2,
            hidden: 3,
            logits: 2,
            units: 2,
        };
        let network = config.init(1, &device);
        let before = network.valid();
        let rows = Tensor::<2>::from_data([[1.0, 2.0], [0.5, -1.0]], &device);
        let _ = network
            .embedding
            .forward_training(rows, Tensor::ones([2, 3], &device));
        let after = network.valid();
        let [old, new] = [&before, &after].map(state::read);
        let blended = state::read(&blend(before.valid(), &after, 0.75));
        for (name, tensor) in blended.iter() {
            let values = |table: &affectlens::weights::Weights| {
                table.get(name).expect("the same network").values.clone()
            };
            for ((value, old), new) in tensor.values.iter().zip(values(&old)).zip(values(&new)) {
                let expected = 0.75 * old + 0.25 * new;
                assert!((value - expected).abs() < 1e-6, "{name}: {value}");
            }
        }
        let mean = "embedding.bn1.running_mean";
        assert_ne!(blended.get(mean), old.get(mean));
        assert_eq!(state::read(&before), old, "the old one stays");
    }
}
