//! How long and how fast a network is trained.

use burn::module::Module;

use crate::{FitError, UpdateRule, optimizer::ParameterOptimizer, state};

/// Optimiser, passes and stopping.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Passes over the training data, at most.
    pub epochs: usize,
    /// Examples a step; balanced batches have their own size.
    pub batch: usize,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// L2 penalty that is added to the gradient, of biases too; 0 for none.
    pub weight_decay: f32,
    /// When the step size is reduced; only action units measure the validation loss that this takes.
    pub plateau: Option<Plateau>,
    /// When training ends before the last epoch.
    pub early_stop: Option<EarlyStop>,
    /// Start of the random numbers that initialise weights and draw batches.
    pub seed: u64,
}

impl Default for Schedule {
    /// The published one for expressions: 10 epochs of Adam at 1e-3 with batches of 256.
    fn default() -> Self {
        Self {
            epochs: 10,
            batch: 256,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            plateau: None,
            early_stop: None,
            seed: 0,
        }
    }
}

/// Reduces the step size when the validation loss no longer falls, as PyTorch's `ReduceLROnPlateau` does in mode
/// `min` with its default threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// Multiplies the step size.
    pub factor: f64,
    /// Epochs without improvement that are tolerated.
    pub patience: usize,
}

/// Ends training when the validation score no longer rises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyStop {
    /// A score counts as better, and its state is kept, only if it is higher by more than this.
    pub improvement: f64,
    /// Epochs without improvement after which training ends.
    pub patience: usize,
}

impl Default for EarlyStop {
    /// The published one: 1e-4, six epochs.
    fn default() -> Self {
        Self {
            improvement: 1e-4,
            patience: 6,
        }
    }
}

impl Schedule {
    /// The plan of a network that steps after every batch.
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            epochs: self.epochs,
            accumulate: 1,
            keeps_partial_step: false,
            gradient_norm: None,
            rate: LearningRate::Reduced(ReducedRate::new(self.learning_rate, self.plateau)),
            early_stop: self.early_stop,
            average: None,
            keeps_last: false,
            random: Randomness::Continued(self.seed),
        }
    }

    /// Adam over all parameters of a network.
    pub(crate) fn optimizer<N: Module>(&self, network: &N) -> ParameterOptimizer {
        let decay = f64::from(self.weight_decay);
        let parameters = state::parameters(network);
        ParameterOptimizer::new(UpdateRule::Adam, decay, &parameters, |_| 1.0)
    }

    pub(crate) fn check(&self) -> Result<(), FitError> {
        FitError::expect_counts(&[("epochs", self.epochs), ("batch", self.batch)])?;
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(FitError::setting(
                "learning rate",
                "a number above 0",
                self.learning_rate,
            ));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err(FitError::setting(
                "weight decay",
                "a number of at least 0",
                self.weight_decay,
            ));
        }
        if let Some(Plateau { factor, .. }) = self.plateau
            && !(factor > 0.0 && factor < 1.0)
        {
            return Err(FitError::setting(
                "plateau factor",
                "a number above 0 and below 1",
                factor,
            ));
        }
        Ok(())
    }
}

/// A step size that rises to a peak and falls below its start, along cosines, as PyTorch's `OneCycleLR` with
/// `three_phase=False` gives it (Smith & Topin 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OneCycle {
    /// Optimiser steps that are planned.
    pub(crate) steps: usize,
    /// Part of the steps in which the step size rises, from 0 to 1.
    pub(crate) warm_up: f64,
    /// Peak over start.
    pub(crate) start_divisor: f64,
    /// Start over end.
    pub(crate) end_divisor: f64,
}

impl OneCycle {
    /// PyTorch's divisors: 25 and 1e4.
    pub(crate) fn new(steps: usize, warm_up: f64) -> Self {
        Self {
            steps,
            warm_up,
            start_divisor: 25.0,
            end_divisor: 1e4,
        }
    }

    /// Step size of a step, counted from 0, with that peak; that of the last one after the end.
    pub(crate) fn rate(&self, peak: f64, step: usize) -> f64 {
        let start = peak / self.start_divisor;
        self.anneal(step, [start, peak, start / self.end_divisor])
    }

    /// Momentum of a step: it falls to the first value while the step size rises, and rises to the second again.
    pub(crate) fn momentum(&self, [least, most]: [f64; 2], step: usize) -> f64 {
        self.anneal(step, [most, least, most])
    }

    fn anneal(&self, step: usize, [start, peak, end]: [f64; 3]) -> f64 {
        let top = self.warm_up * self.steps as f64 - 1.0;
        let (last, step) = (self.steps as f64 - 1.0, step as f64);
        let (from, to, part) = if step < top {
            (start, peak, step / top)
        } else if last > top {
            (peak, end, ((step - top) / (last - top)).min(1.0))
        } else {
            (start, peak, 1.0)
        };
        to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * part).cos())
    }
}

/// A step size that rises evenly to its peak, and falls along a cosine to a hundredth of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WarmCosine {
    /// Optimiser steps that are planned.
    pub(crate) steps: usize,
    /// Those in which the step size rises.
    pub(crate) warm_up: usize,
}

impl WarmCosine {
    /// Share of the peak at the end.
    const LEAST: f64 = 0.01;

    /// Step size of a step, counted from 0.
    pub(crate) fn rate(&self, peak: f64, step: usize) -> f64 {
        if step < self.warm_up {
            return peak * step.max(1) as f64 / self.warm_up as f64;
        }
        let falling = self.steps.saturating_sub(self.warm_up).max(1);
        let part = ((step - self.warm_up) as f64 / falling as f64).min(1.0);
        let fall = 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
        peak * (Self::LEAST + (1.0 - Self::LEAST) * fall)
    }
}

/// Step size and momentum of each step.
#[derive(Debug)]
pub(crate) enum LearningRate {
    /// A step size that a [`Plateau`] may reduce.
    Reduced(ReducedRate),
    /// A step size that rises and falls along a cosine, and its peak.
    Cosine(WarmCosine, f64),
    /// A step size along a cycle.
    OneCycle {
        cycle: OneCycle,
        /// Highest step size.
        peak: f64,
        /// Least and highest momentum.
        momentum: [f64; 2],
    },
}

/// A step size and what [`Plateau`] remembers.
#[derive(Debug)]
pub(crate) struct ReducedRate {
    value: f64,
    plateau: Option<Plateau>,
    lowest: f64,
    bad_epochs: usize,
}

impl LearningRate {
    /// Step size and momentum of a step, counted from 0.
    pub(crate) fn at(&self, step: usize) -> [f64; 2] {
        match self {
            Self::Reduced(rate) => [rate.value, 0.0],
            Self::Cosine(cosine, peak) => [cosine.rate(*peak, step), 0.0],
            Self::OneCycle {
                cycle,
                peak,
                momentum,
            } => [cycle.rate(*peak, step), cycle.momentum(*momentum, step)],
        }
    }

    /// Notes the validation loss of an epoch.
    pub(crate) fn note(&mut self, loss: f64) {
        if let Self::Reduced(rate) = self {
            rate.note(loss);
        }
    }
}

impl ReducedRate {
    fn new(value: f64, plateau: Option<Plateau>) -> Self {
        Self {
            value,
            plateau,
            lowest: f64::INFINITY,
            bad_epochs: 0,
        }
    }

    fn note(&mut self, loss: f64) {
        /// Relative; smaller improvements do not count.
        const THRESHOLD: f64 = 1e-4;
        /// A smaller change of the step size is not made.
        const LEAST_CHANGE: f64 = 1e-8;
        let Some(Plateau { factor, patience }) = self.plateau else {
            return;
        };
        if loss < self.lowest * (1.0 - THRESHOLD) {
            self.lowest = loss;
            self.bad_epochs = 0;
            return;
        }
        self.bad_epochs += 1;
        if self.bad_epochs > patience {
            self.bad_epochs = 0;
            let reduced = self.value * factor;
            if self.value - reduced > LEAST_CHANGE {
                self.value = reduced;
            }
        }
    }
}

/// How long a network is trained, and in which steps.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Passes over the training data, at most.
    pub(crate) epochs: usize,
    /// Batches whose gradients make one step.
    pub(crate) accumulate: usize,
    /// Whether the batches at the end of an epoch that do not fill a step make one of their own.
    pub(crate) keeps_partial_step: bool,
    /// Largest norm of all gradients together.
    pub(crate) gradient_norm: Option<f32>,
    /// Step sizes.
    pub(crate) rate: LearningRate,
    /// When training ends before the last epoch.
    pub(crate) early_stop: Option<EarlyStop>,
    /// How much of the average of the network's values over all steps a step keeps at most; it is the average that is
    /// scored and kept then. None for the network as it is.
    pub(crate) average: Option<f64>,
    /// Whether the last epoch is kept, whatever the scores.
    pub(crate) keeps_last: bool,
    /// Where random numbers come from.
    pub(crate) random: Randomness,
}

/// Where the random numbers of an epoch come from, each with its seed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Randomness {
    /// One sequence goes through all epochs.
    Continued(u64),
    /// Each epoch has a sequence of its own, and so has the dropout of the network's device.
    PerEpoch(u64),
}

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::*;

    #[test]
    fn plateau_is_that_of_pytorch() {
        let golden = golden();
        let plateau = Plateau {
            factor: 0.5,
            patience: 2,
        };
        let mut rate = ReducedRate::new(1e-3, Some(plateau));
        for (loss, expected) in golden.plateau.losses.iter().zip(&golden.plateau.rates) {
            rate.note(*loss);
            assert_eq!(rate.value, *expected, "after {loss}");
        }
        assert!(golden.plateau.rates.last() < golden.plateau.rates.first());
    }

    #[test]
    fn cosine_rises_from_its_first_step_and_ends_at_a_hundredth() {
        let cosine = WarmCosine {
            steps: 110,
            warm_up: 10,
        };
        for (step, expected) in [
            (0, 0.2),
            (1, 0.2),
            (5, 1.0),
            (10, 2.0),
            (60, 1.01),
            (110, 0.02),
            (900, 0.02),
        ] {
            let rate = cosine.rate(2.0, step);
            assert!((rate - expected).abs() < 1e-12, "step {step}: {rate}");
        }
        let short = WarmCosine {
            steps: 1,
            warm_up: 0,
        };
        assert_eq!(short.rate(1.0, 0), 1.0);
    }

    /// Made with PyTorch, printed with six digits.
    #[test]
    fn one_cycle_is_that_of_pytorch() {
        let cycle = OneCycle::new(126, 0.25);
        for (step, expected) in [
            (0, 1.44e-5),
            (10, 9.8244e-5),
            (31, 3.59975e-4),
            (60, 2.80158e-4),
            (107, 3.12783e-5),
            (125, 1.44e-9),
            (500, 1.44e-9),
        ] {
            let rate = cycle.rate(3.6e-4, step);
            assert!((rate / expected - 1.0).abs() < 1e-5, "step {step}: {rate}");
        }
        let whole = OneCycle::new(101, 11.0 / 101.0);
        let momentum = [0, 10, 100].map(|step| whole.momentum([0.85, 0.95], step));
        for (momentum, expected) in momentum.into_iter().zip([0.95, 0.85, 0.95]) {
            assert!((momentum - expected).abs() < 1e-12, "{momentum}");
        }
        for steps in [1, 2] {
            assert!(OneCycle::new(steps, 0.25).rate(1.0, 0) <= 1.0);
        }
    }
}
