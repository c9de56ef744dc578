//! How either of the two networks is trained.

use std::path::Path;

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use rand::{RngExt, rngs::StdRng};

use super::{ActionUnitValidation, Labels, UNITS};
use crate::{
    Examples, FitError, Schedule, TrainingEvent,
    fit::{Fitted, Recipe, fit},
    loss::balanced_binary_cross_entropy,
    optimizer::ParameterOptimizer,
    sampling::Shuffled,
    schedule::Plan,
};
use affectlens::{label::AFF_WILD2_ACTION_UNITS, metrics::ActionUnitScores};

/// Leaves hidden units out while training.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropout {
    /// Number of hidden units.
    pub(super) units: usize,
    /// Part of them that a step leaves out.
    pub(super) rate: f32,
}

/// The recipe of one network.
pub(super) struct NetworkRecipe<'a, N> {
    training: Examples<'a, Labels>,
    validation: Examples<'a, Labels>,
    /// Of negative and of positive labels, one an action unit.
    weights: &'a [Vec<f32>; 2],
    schedule: &'a Schedule,
    forward: fn(&N, Tensor<2>) -> Tensor<2>,
    dropout: Option<(Dropout, ForwardTraining<N>)>,
    order: Shuffled,
    device: Device,
}

/// Logits of rows, with a factor for each hidden unit.
type ForwardTraining<N> = fn(&N, Tensor<2>, Tensor<2>) -> Tensor<2>;

impl<'a, N: Module> NetworkRecipe<'a, N> {
    pub(super) fn new(
        [training, validation]: [Examples<'a, Labels>; 2],
        weights: &'a [Vec<f32>; 2],
        schedule: &'a Schedule,
        forward: fn(&N, Tensor<2>) -> Tensor<2>,
    ) -> Self {
        Self {
            training,
            validation,
            weights,
            schedule,
            forward,
            dropout: None,
            order: Shuffled::new(training.labels.len()),
            device: Device::flex(),
        }
    }

    pub(super) fn with_dropout(self, dropout: Dropout, forward: ForwardTraining<N>) -> Self {
        Self {
            dropout: Some((dropout, forward)),
            ..self
        }
    }

    /// Trains a network that is on the CPU's autodiff device.
    pub(super) fn fit(
        self,
        network: N,
        checkpoint: Option<&Path>,
        on_event: impl FnMut(TrainingEvent<'_, ActionUnitValidation>),
    ) -> Result<Fitted<N, ActionUnitValidation>, FitError> {
        fit(network, self, checkpoint, on_event)
    }

    fn cross_entropy<'l>(
        &self,
        logits: Tensor<2>,
        labels: impl ExactSizeIterator<Item = &'l Labels>,
    ) -> Tensor<1> {
        let device = logits.device();
        let [negative, positive] = self.weights;
        let weights = [negative, positive].map(|it| Tensor::from_data(it.as_slice(), &device));
        balanced_binary_cross_entropy(logits, label_tensor(labels, &device), weights)
    }
}

impl<N: Module> Recipe for NetworkRecipe<'_, N> {
    type Network = N;
    type Batch = Vec<usize>;
    type Input = (Vec<usize>, Option<TensorData>);
    type Score = ActionUnitValidation;
    type Error = FitError;

    fn plan(&self) -> Plan {
        self.schedule.plan()
    }

    fn optimizer(&self, network: &N) -> ParameterOptimizer {
        self.schedule.optimizer(network)
    }

    fn made_of(&self) -> String {
        let [training, validation] = [self.training, self.validation].map(|it| it.fingerprint());
        let dropout = self.dropout.map(|(dropout, _)| dropout);
        format!("{:?} {dropout:?} {training} {validation}", self.schedule)
    }

    fn draw(&mut self, random: &mut StdRng) -> Vec<Vec<usize>> {
        let mut batches = self.order.batches(self.schedule.batch, random);
        // The statistics of batch norm need two examples; another epoch has the one that is left out.
        batches.retain(|batch| batch.len() > 1);
        batches
    }

    fn prepare(&self, batch: Vec<usize>, random: &mut StdRng) -> Result<Self::Input, FitError> {
        let mask = |(dropout, _): (Dropout, _)| dropout.mask(batch.len(), random);
        let mask = self.dropout.map(mask);
        Ok((batch, mask))
    }

    fn loss(&self, network: &N, (batch, mask): Self::Input) -> Option<Tensor<1>> {
        let device = self.device.clone().autodiff();
        let rows = self.training.rows.batch(&batch, &device);
        let logits = match (self.dropout, mask) {
            (Some((_, forward)), Some(mask)) => {
                forward(network, rows, Tensor::from_data(mask, &device))
            }
            _ => (self.forward)(network, rows),
        };
        let labels = batch.iter().map(|&example| &self.training.labels[example]);
        Some(self.cross_entropy(logits, labels))
    }

    fn validate(&self, network: &N) -> Result<Option<ActionUnitValidation>, FitError> {
        let Examples { rows, labels } = self.validation;
        let logits = rows.forward(&self.device, |rows| (self.forward)(network, rows));
        // A logit of 0 is a probability of .5.
        let thresholds = [0.0; UNITS];
        let scores = ActionUnitScores::new(&logits, labels, &thresholds, &AFF_WILD2_ACTION_UNITS);
        let shape = [logits.len(), UNITS];
        let logits = Tensor::from_data(TensorData::new(logits.concat(), shape), &self.device);
        let loss = self.cross_entropy(logits, labels.iter());
        Ok(Some(ActionUnitValidation {
            mean_f1: scores.mean_f1,
            loss: f64::from(loss.into_scalar::<f32>()),
        }))
    }
}

/// Labels as `[batch, UNITS]` of 0 and 1.
fn label_tensor<'a>(
    labels: impl ExactSizeIterator<Item = &'a Labels>,
    device: &Device,
) -> Tensor<2> {
    let shape = [labels.len(), UNITS];
    let values: Vec<f32> = labels
        .flatten()
        .map(|&present| f32::from(u8::from(present)))
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl Dropout {
    /// Factors of the hidden units of some examples: 0 for a unit that is left out; the others make up for it. Burn's own
    /// dropout is seeded globally.
    fn mask(self, examples: usize, random: &mut StdRng) -> TensorData {
        let kept = 1.0 / (1.0 - self.rate);
        let mut draw = || match random.random::<f32>() < self.rate {
            true => 0.0,
            false => kept,
        };
        let values: Vec<f32> = (0..examples * self.units).map(|_| draw()).collect();
        TensorData::new(values, [examples, self.units])
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn dropout_keeps_the_mean() {
        let dropout = Dropout {
            units: 100,
            rate: 0.3,
        };
        let mask = dropout.mask(100, &mut StdRng::seed_from_u64(0));
        let mask: Vec<f32> = mask.try_into_vec().expect("f32");
        let mean = mask.iter().sum::<f32>() / 1e4;
        let dropped = mask.iter().filter(|&&value| value == 0.0).count();
        assert!((mean - 1.0).abs() < 0.02 && (2850..3150).contains(&dropped));
    }
}
