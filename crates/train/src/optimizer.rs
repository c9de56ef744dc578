//! Adam, AdamW and SGD over named parameters, each with a step size of its own and a state that can be written to a file.

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleMapper, Param, ParamId},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};

use affectlens::weights::{Weights, WeightsError};

/// How a gradient changes a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpdateRule {
    /// PyTorch's `Adam` with its default betas and epsilon (Kingma & Ba 2015): decay is added to the gradient, of every
    /// parameter.
    Adam,
    /// PyTorch's `AdamW` with its default betas and epsilon (Loshchilov & Hutter 2019): decay acts on the parameter.
    AdamW,
    /// PyTorch's `SGD` with Nesterov's momentum: decay is added to the gradient.
    Nesterov,
}

const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// An [`UpdateRule`] with what it remembers of each parameter.
///
/// But for [`UpdateRule::Adam`], parameters of less than two axes (biases, scales of norms) do not decay.
#[derive(Debug)]
pub(crate) struct ParameterOptimizer {
    rule: UpdateRule,
    weight_decay: f64,
    slots: Vec<Slot>,
    places: HashMap<ParamId, usize>,
    steps: usize,
}

#[derive(Debug)]
struct Slot {
    name: String,
    multiplier: f64,
    /// First and second moment, or the velocity alone; flat.
    moments: Vec<Tensor<1>>,
}

impl ParameterOptimizer {
    /// An optimiser of the parameters with these names; `multiplier` gives by what the step size of each is multiplied.
    pub(crate) fn new(
        rule: UpdateRule,
        weight_decay: f64,
        parameters: &[(String, ParamId)],
        multiplier: impl Fn(&str) -> f64,
    ) -> Self {
        let slot = |(name, _): &(String, ParamId)| Slot {
            name: name.clone(),
            multiplier: multiplier(name),
            moments: Vec::new(),
        };
        Self {
            rule,
            weight_decay,
            slots: parameters.iter().map(slot).collect(),
            places: (0..)
                .zip(parameters)
                .map(|(place, (_, id))| (*id, place))
                .collect(),
            steps: 0,
        }
    }

    /// Steps that were taken.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Updates the parameters that have a gradient; others, and those without a name, stay as they are.
    ///
    /// `momentum` is that of [`UpdateRule::Nesterov`].
    pub(crate) fn step<N: Module>(
        &mut self,
        network: N,
        gradients: GradientsParams,
        rate: f64,
        momentum: f64,
    ) -> N {
        self.steps += 1;
        network.map(&mut Update {
            optimizer: self,
            gradients,
            rate,
            momentum,
        })
    }

    /// Adds the state to a table, below `optimizer.`.
    pub(crate) fn store(&self, weights: &mut Weights) -> Result<(), WeightsError> {
        weights.insert(STEPS, vec![1], vec![self.steps as f32])?;
        for (place, slot) in self.slots.iter().enumerate() {
            for (moment, values) in slot.moments.iter().enumerate() {
                let values: Vec<f32> = values
                    .to_data()
                    .convert::<f32>()
                    .try_into_vec()
                    .expect("just converted to f32");
                weights.insert(slot.key(place, moment), vec![values.len()], values)?;
            }
        }
        Ok(())
    }

    /// Takes the state that [`store`](Self::store) wrote.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the number of steps is missing.
    pub(crate) fn restore(
        &mut self,
        weights: &Weights,
        device: &Device,
    ) -> Result<(), WeightsError> {
        // Whole numbers up to 2^24 are exact.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count that was written as such"
        )]
        let steps = weights.values(STEPS, &[1])?[0] as usize;
        self.steps = steps;
        for (place, slot) in self.slots.iter_mut().enumerate() {
            let kept = (0..BETAS.len()).map_while(|moment| weights.get(&slot.key(place, moment)));
            let tensors = kept.map(|kept| {
                let values = TensorData::new(kept.values.clone(), [kept.values.len()]);
                Tensor::from_data(values, device)
            });
            slot.moments = tensors.collect();
        }
        Ok(())
    }
}

const STEPS: &str = "optimizer.steps";

impl Slot {
    fn key(&self, place: usize, moment: usize) -> String {
        format!("optimizer.{place}.{moment}.{}", self.name)
    }
}

struct Update<'a> {
    optimizer: &'a mut ParameterOptimizer,
    gradients: GradientsParams,
    rate: f64,
    momentum: f64,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let optimizer = &mut *self.optimizer;
        let Some(&place) = optimizer.places.get(&parameter.id) else {
            return parameter;
        };
        let Some(gradient) = self.gradients.remove::<D>(parameter.id) else {
            return parameter;
        };
        let (id, tensor, mapper) = parameter.consume();
        let shape = tensor.dims();
        let Slot {
            multiplier,
            moments,
            ..
        } = &mut optimizer.slots[place];
        let rate = self.rate * *multiplier;
        let decays = D >= 2 || optimizer.rule == UpdateRule::Adam;
        let decay = if decays { optimizer.weight_decay } else { 0.0 };
        let flat = |tensor: Tensor<D>| tensor.inner().reshape([-1]);
        let (values, gradient): (Tensor<1>, Tensor<1>) = (flat(tensor), flat(gradient));
        let updated = match optimizer.rule {
            UpdateRule::Adam => adam(values, gradient, moments, rate, decay, optimizer.steps),
            UpdateRule::AdamW => adam_w(values, gradient, moments, rate, decay, optimizer.steps),
            UpdateRule::Nesterov => nesterov(values, gradient, moments, rate, decay, self.momentum),
        };
        let updated = Tensor::from_inner(updated.reshape(shape)).require_grad();
        Param::from_mapped_value(id, updated, mapper)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "constants, and a number of steps that fits"
)]
fn adam(
    values: Tensor<1>,
    gradient: Tensor<1>,
    moments: &mut Vec<Tensor<1>>,
    rate: f64,
    decay: f64,
    steps: usize,
) -> Tensor<1> {
    // In f32 and in the order of Burn's Adam, which trained heads before: the same to the last bit.
    let [first, second] = BETAS.map(|beta| beta as f32);
    let gradient = match decay {
        0.0 => gradient,
        decay => values.clone() * decay + gradient,
    };
    if moments.len() != BETAS.len() {
        *moments = vec![gradient.zeros_like(); BETAS.len()];
    }
    let new = [gradient.clone(), gradient.square()];
    for ((moment, new), beta) in moments.iter_mut().zip(new).zip([first, second]) {
        *moment = moment.clone() * beta + new * (1.0 - beta);
    }
    let correction = |beta: f32| 1.0 - beta.powi(steps as i32);
    let root = correction(second).sqrt();
    let scale = moments[1].clone().sqrt() + EPSILON as f32 * root;
    let step = moments[0].clone() * (root / correction(first)) / scale;
    values - step * rate
}

fn adam_w(
    values: Tensor<1>,
    gradient: Tensor<1>,
    moments: &mut Vec<Tensor<1>>,
    rate: f64,
    decay: f64,
    steps: usize,
) -> Tensor<1> {
    if moments.len() != BETAS.len() {
        *moments = vec![gradient.zeros_like(); BETAS.len()];
    }
    let new = [gradient.clone(), gradient.square()];
    for ((moment, new), beta) in moments.iter_mut().zip(new).zip(BETAS) {
        *moment = moment.clone() * beta + new * (1.0 - beta);
    }
    let correction = |beta: f64| 1.0 - beta.powf(steps as f64);
    let root = moments[1].clone().sqrt() / correction(BETAS[1]).sqrt() + EPSILON;
    values * (1.0 - rate * decay) - moments[0].clone() / root * (rate / correction(BETAS[0]))
}

fn nesterov(
    values: Tensor<1>,
    gradient: Tensor<1>,
    moments: &mut Vec<Tensor<1>>,
    rate: f64,
    decay: f64,
    momentum: f64,
) -> Tensor<1> {
    let gradient = gradient + values.clone() * decay;
    let velocity = match moments.pop() {
        Some(velocity) => velocity * momentum + gradient.clone(),
        None => gradient.clone(),
    };
    *moments = vec![velocity.clone()];
    values - (gradient + velocity * momentum) * rate
}

#[cfg(test)]
mod tests {
    use burn::{nn::Linear, optim::GradientsAccumulator, tensor::Int};

    use super::*;
    use crate::{
        OneCycle,
        golden::{ViolenceSteps, assert_close, violence},
        gradients::clip_by_norm,
        weighted_cross_entropy,
    };

    #[derive(Module, Debug)]
    struct Network {
        encoder: Linear,
        head: Linear,
    }

    impl Network {
        fn new(steps: &ViolenceSteps, device: &Device) -> Self {
            let linear = |name: &str, inputs: usize, outputs: usize| {
                let values = |part: &str| steps.before[&format!("{name}.{part}")].clone();
                let weight = TensorData::new(values("weight"), [outputs, inputs]);
                let weight = Tensor::<2>::from_data(weight, device).transpose();
                Linear {
                    weight: Param::from_tensor(weight),
                    bias: Some(Param::from_data(values("bias").as_slice(), device)),
                }
            };
            Self {
                encoder: linear("encoder", 3, 4),
                head: linear("head", 4, 2),
            }
        }

        fn parameters(&self) -> Vec<(String, ParamId)> {
            let linear = |name: &str, linear: &Linear| {
                let bias = linear.bias.as_ref().expect("has one").id;
                [
                    (format!("{name}.weight"), linear.weight.id),
                    (format!("{name}.bias"), bias),
                ]
            };
            let layers = [linear("encoder", &self.encoder), linear("head", &self.head)];
            layers.concat()
        }
    }

    /// Takes the steps; after `interrupted` of them the state goes through a table into another optimiser.
    fn take(rule: UpdateRule, steps: &ViolenceSteps, interrupted: Option<usize>) {
        let device = Device::flex().autodiff();
        let mut network = Network::new(steps, &device);
        let parameters = network.parameters();
        let optimizer = || {
            ParameterOptimizer::new(rule, 0.05, &parameters, |name| {
                if name.contains("head") { 1.0 } else { 0.15 }
            })
        };
        let mut current = optimizer();
        let cycle = OneCycle::new(6, 0.5);
        for step in 0..4 {
            if interrupted == Some(step) {
                let mut state = Weights::default();
                current.store(&mut state).expect("fits");
                current = optimizer();
                current
                    .restore(&state, &Device::flex())
                    .expect("was stored");
            }
            let mut accumulated = GradientsAccumulator::new();
            for batch in [2 * step, 2 * step + 1] {
                let rows = TensorData::new(steps.rows[batch].clone(), [6, 3]);
                let hidden = network
                    .encoder
                    .forward(Tensor::<2>::from_data(rows, &device));
                let logits = network.head.forward(hidden.tanh());
                let labels = Tensor::<1, Int>::from_data(steps.labels[batch].as_slice(), &device);
                let loss = weighted_cross_entropy(logits, labels, Tensor::ones([2], &device));
                let gradients = (loss / 2.0).backward();
                accumulated.accumulate(&network, GradientsParams::from_grads(gradients, &network));
            }
            let gradients = clip_by_norm(&network, accumulated.grads(), 0.4);
            let momentum = cycle.momentum([0.85, 0.95], step);
            network = current.step(network, gradients, cycle.rate(0.2, step), momentum);
        }
        for (name, linear) in [("encoder", &network.encoder), ("head", &network.head)] {
            let got = |tensor: TensorData| -> Vec<f32> { tensor.try_into_vec().expect("f32") };
            let weight = got(linear.weight.val().transpose().into_data());
            let bias = got(linear.bias.as_ref().expect("has one").val().into_data());
            for (part, got) in [("weight", weight), ("bias", bias)] {
                let name = format!("{name}.{part}");
                assert_close(&name, &got, &steps.after[&name]);
            }
        }
    }

    #[test]
    fn steps_are_those_of_pytorch() {
        let golden = violence();
        take(UpdateRule::AdamW, &golden.adam_w, None);
        take(UpdateRule::Nesterov, &golden.nesterov, None);
    }

    #[test]
    fn interrupted_steps_go_on_as_if_they_had_not_been() {
        let golden = violence();
        take(UpdateRule::AdamW, &golden.adam_w, Some(2));
        take(UpdateRule::Nesterov, &golden.nesterov, Some(2));
    }
}
