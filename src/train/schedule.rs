//! How long and how fast a network is trained.

use super::FitError;

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
    pub(super) fn check(&self) -> Result<(), FitError> {
        for (what, value) in [("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return Err(FitError::setting(what, "at least 1", value));
            }
        }
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

/// A step size and what [`Plateau`] remembers.
#[derive(Debug)]
pub(super) struct LearningRate {
    pub(super) value: f64,
    plateau: Option<Plateau>,
    lowest: f64,
    bad_epochs: usize,
}

impl LearningRate {
    pub(super) fn new(schedule: &Schedule) -> Self {
        Self {
            value: schedule.learning_rate,
            plateau: schedule.plateau,
            lowest: f64::INFINITY,
            bad_epochs: 0,
        }
    }

    /// Notes the validation loss of an epoch.
    pub(super) fn note(&mut self, loss: f64) {
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

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::*;

    #[test]
    fn plateau_is_that_of_pytorch() {
        let golden = golden();
        let mut rate = LearningRate::new(&Schedule {
            plateau: Some(Plateau {
                factor: 0.5,
                patience: 2,
            }),
            ..Schedule::default()
        });
        for (loss, expected) in golden.plateau.losses.iter().zip(&golden.plateau.rates) {
            rate.note(*loss);
            assert_eq!(rate.value, *expected, "after {loss}");
        }
        assert!(golden.plateau.rates.last() < golden.plateau.rates.first());
    }
}
