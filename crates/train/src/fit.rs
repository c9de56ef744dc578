//! The training loop of all networks.

use std::path::Path;

use burn::{
    module::Module,
    optim::{GradientsAccumulator, GradientsParams},
    tensor::Tensor,
};
use rand::{SeedableRng, rngs::StdRng};

use affectlens::weights::{Weights, WeightsError};

use crate::{
    EarlyStop, EpochReport, EpochScore, FitError, TrainingEvent,
    average::blend,
    checkpoint::{Checkpoint, refusal},
    gradients::clip_by_norm,
    optimizer::ParameterOptimizer,
    schedule::{Plan, Randomness},
    state,
};

/// What a network is trained on, what is minimised, and how it is scored.
///
/// An epoch draws its batches, prepares each with everything that is random about it, and steps along the gradient of
/// its loss.
pub(crate) trait Recipe {
    /// What is trained.
    type Network: Module;
    /// Which examples go through the network together.
    type Batch;
    /// These examples, ready for the network.
    type Input;
    /// Scores on the validation data.
    type Score: EpochScore + Clone;
    /// Why a batch cannot be prepared or scored.
    type Error: From<FitError>;

    /// How long and how fast to train.
    fn plan(&self) -> Plan;

    /// What changes the network's parameters.
    fn optimizer(&self, network: &Self::Network) -> ParameterOptimizer;

    /// A text that no run with other settings or on other data has; a checkpoint keeps it.
    fn made_of(&self) -> String;

    /// The batches of an epoch.
    fn draw(&mut self, random: &mut StdRng) -> Vec<Self::Batch>;

    /// Draws all that is random about a batch, such as dropout, and reads what is not in memory.
    fn prepare(&self, batch: Self::Batch, random: &mut StdRng) -> Result<Self::Input, Self::Error>;

    /// What is minimised; `None` for a batch without a label.
    fn loss(&self, network: &Self::Network, input: Self::Input) -> Option<Tensor<1>>;

    /// Scores the network, without gradients; `None` if there is no validation data.
    fn validate(&self, network: &Self::Network) -> Result<Option<Self::Score>, Self::Error>;
}

/// A trained network.
#[derive(Debug)]
pub(crate) struct Fitted<N, S> {
    /// The state of the best epoch, without gradients.
    pub(crate) network: N,
    /// The epoch with the highest score, the first of equals; the last one without validation data or where the plan says
    /// so.
    pub(crate) best: EpochReport<S>,
    /// All epochs.
    pub(crate) epochs: Vec<EpochReport<S>>,
}

/// Trains a network on the autodiff device where it is.
///
/// With `checkpoint` every epoch is written to that file, and a run that finds one goes on from there to the same
/// result.
pub(crate) fn fit<R: Recipe>(
    network: R::Network,
    recipe: R,
    checkpoint: Option<&Path>,
    mut on_event: impl FnMut(TrainingEvent<'_, R::Score>),
) -> Result<Fitted<R::Network, R::Score>, R::Error> {
    let mut fit = Fit::new(network, recipe);
    let checkpoint = checkpoint.map(|path| (path, fit.recipe.made_of()));
    if let Some((path, made_of)) = &checkpoint {
        fit.resume(path, made_of)?;
    }
    while !fit.is_over() {
        let report = fit.epoch(&mut on_event)?;
        if let Some((path, made_of)) = &checkpoint {
            fit.write(path, made_of)?;
        }
        on_event(TrainingEvent::Epoch(&report));
    }
    let (network, best) = fit.best.ok_or(FitError::Empty("training"))?;
    Ok(Fitted {
        network,
        best,
        epochs: fit.epochs,
    })
}

/// A run: the network, what trains it, and how it went so far.
struct Fit<R: Recipe> {
    recipe: R,
    plan: Plan,
    network: R::Network,
    optimizer: ParameterOptimizer,
    /// The average over steps, without gradients, if the plan asks for it.
    average: Option<R::Network>,
    random: StdRng,
    epochs: Vec<EpochReport<R::Score>>,
    /// The best epoch and the network as it was then.
    best: Option<(R::Network, EpochReport<R::Score>)>,
}

impl<R: Recipe> Fit<R> {
    fn new(network: R::Network, recipe: R) -> Self {
        let plan = recipe.plan();
        let (Randomness::Continued(seed) | Randomness::PerEpoch(seed)) = plan.random;
        Self {
            random: StdRng::seed_from_u64(seed),
            optimizer: recipe.optimizer(&network),
            average: plan.average.map(|_| network.valid()),
            network,
            plan,
            recipe,
            epochs: Vec::new(),
            best: None,
        }
    }

    /// Whether all epochs are done, or the score has not risen for too long.
    fn is_over(&self) -> bool {
        let is_late = |stop: EarlyStop| {
            let best = self.best.as_ref();
            best.is_some_and(|(_, best)| self.epochs.len() - best.epoch >= stop.patience.max(1))
        };
        self.epochs.len() >= self.plan.epochs || self.plan.early_stop.is_some_and(is_late)
    }

    /// Trains for an epoch and scores it.
    fn epoch(
        &mut self,
        on_event: &mut impl FnMut(TrainingEvent<'_, R::Score>),
    ) -> Result<EpochReport<R::Score>, R::Error> {
        let epoch = self.epochs.len() + 1;
        if let Randomness::PerEpoch(seed) = self.plan.random {
            let seed = epoch_seed(seed, epoch);
            self.random = StdRng::seed_from_u64(seed);
            for device in self.network.devices() {
                device.seed(seed);
            }
        }
        let mut batches = self.recipe.draw(&mut self.random).into_iter();
        let count = batches.len();
        let (mut sum, mut learning_rate) = (0.0, 0.0);
        while batches.len() > 0 {
            let group: Vec<R::Batch> = batches.by_ref().take(self.plan.accumulate).collect();
            let is_step = group.len() == self.plan.accumulate || self.plan.keeps_partial_step;
            let mut gradients = GradientsAccumulator::new();
            let left = batches.len() + group.len();
            for (place, batch) in group.into_iter().enumerate() {
                sum += self.batch(batch, is_step.then_some(&mut gradients))?;
                let done = count - left + place + 1;
                on_event(TrainingEvent::Batch {
                    epoch,
                    done,
                    batches: count,
                });
            }
            if is_step {
                learning_rate = self.step(gradients.grads());
            }
        }
        let loss = sum / count as f64;
        if !loss.is_finite() {
            return Err(FitError::Diverged { epoch }.into());
        }
        // A copy of its own: running statistics are shared by clones.
        let state = self.average.as_ref().unwrap_or(&self.network).valid();
        let report = EpochReport {
            epoch,
            loss,
            learning_rate,
            validation: self.recipe.validate(&state)?,
        };
        self.record(report.clone(), state);
        Ok(report)
    }

    /// The loss of a batch, 0 without labels; its gradients are added where it belongs to a step.
    fn batch(
        &mut self,
        batch: R::Batch,
        gradients: Option<&mut GradientsAccumulator<R::Network>>,
    ) -> Result<f64, R::Error> {
        let input = self.recipe.prepare(batch, &mut self.random)?;
        let Some(loss) = self.recipe.loss(&self.network, input) else {
            return Ok(0.0);
        };
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if let Some(gradients) = gradients {
            let part = (loss / self.plan.accumulate as f32).backward();
            let part = GradientsParams::from_grads(part, &self.network);
            gradients.accumulate(&self.network, part);
        }
        Ok(value)
    }

    /// Changes the network; gives the step size.
    fn step(&mut self, gradients: GradientsParams) -> f64 {
        let gradients = match self.plan.gradient_norm {
            Some(most) => clip_by_norm(&self.network, gradients, most),
            None => gradients,
        };
        let [rate, momentum] = self.plan.rate.at(self.optimizer.steps());
        let network = self.network.clone();
        self.network = self.optimizer.step(network, gradients, rate, momentum);
        if let (Some(average), Some(most)) = (self.average.take(), self.plan.average) {
            let before = (self.optimizer.steps() - 1) as f64;
            // Early steps are forgotten sooner.
            let keep = most.min((1.0 + before) / (10.0 + before));
            self.average = Some(blend(average, &self.network.valid(), keep));
        }
        rate
    }

    /// Adds an epoch, and keeps the network if it is the best so far.
    fn record(&mut self, report: EpochReport<R::Score>, state: R::Network) {
        let score = |report: &EpochReport<R::Score>| Some(report.validation.as_ref()?.score());
        self.note(&report);
        let margin = self.plan.early_stop.map_or(0.0, |stop| stop.improvement);
        let best = self.best.as_ref().and_then(|(_, best)| score(best));
        // Without validation data there is nothing to compare: each epoch replaces the one before.
        let is_better = match (score(&report), best) {
            (Some(score), Some(best)) => score > best + margin,
            _ => true,
        };
        self.epochs.push(report.clone());
        if is_better || self.plan.keeps_last {
            self.best = Some((state, report));
        }
    }

    /// Lets the step size follow the validation loss.
    fn note(&mut self, report: &EpochReport<R::Score>) {
        if let Some(loss) = report.validation.as_ref().and_then(EpochScore::loss) {
            self.plan.rate.note(loss);
        }
    }

    /// Goes on from the checkpoint, if there is one.
    fn resume(&mut self, path: &Path, made_of: &str) -> Result<(), R::Error> {
        let Some(kept) = Checkpoint::<R::Score>::read(path, made_of)? else {
            return Ok(());
        };
        let misfit =
            |error: WeightsError| refusal(path, format!("does not fit this network: {error}"));
        let restore = |table| state::write(self.network.clone(), table).map_err(misfit);
        // Running statistics are shared by clones of a network: the best state is taken first.
        let best = restore(&kept.best_network)?.valid();
        if let (Some(average), Some(kept)) = (&mut self.average, &kept.average) {
            *average = restore(kept)?.valid();
        }
        self.network = restore(&kept.network)?;
        let device = self.network.devices().first().map(|it| it.clone().inner());
        self.optimizer
            .restore(&kept.optimizer, &device.unwrap_or_default())
            .map_err(misfit)?;
        self.skip(kept.epochs.len())?;
        for report in &kept.epochs {
            self.note(report);
        }
        let report = kept.epochs.get(kept.best - 1).cloned();
        self.best = report.map(|report| (best, report));
        self.epochs = kept.epochs;
        Ok(())
    }

    /// Draws what some epochs draw.
    fn skip(&mut self, epochs: usize) -> Result<(), R::Error> {
        if let Randomness::Continued(_) = self.plan.random {
            for _ in 0..epochs {
                for batch in self.recipe.draw(&mut self.random) {
                    self.recipe.prepare(batch, &mut self.random)?;
                }
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path, made_of: &str) -> Result<(), FitError> {
        let Some((best, report)) = &self.best else {
            return Ok(());
        };
        let mut optimizer = Weights::default();
        self.optimizer.store(&mut optimizer)?;
        let checkpoint = Checkpoint {
            network: state::read(&self.network),
            optimizer,
            best_network: state::read(best),
            average: self.average.as_ref().map(state::read),
            best: report.epoch,
            epochs: self.epochs.clone(),
        };
        Ok(checkpoint.write(path, made_of)?)
    }
}

/// SplitMix64 of both, so that neighbouring seeds share no epoch.
fn epoch_seed(seed: u64, epoch: usize) -> u64 {
    let mut bits = seed.wrapping_add((epoch as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
