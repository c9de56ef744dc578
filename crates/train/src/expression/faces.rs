//! What a backbone and its classifiers minimise, on which batches of pictures.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt as _, rngs::StdRng, seq::SliceRandom as _};

use super::{
    RecipeError,
    face_sets::{EndToEndRecipe, FaceScore, FaceSet},
    network::{BatchPart, FaceBatch, FaceNetwork},
    picture::View,
};
use crate::{
    ClassifierScore, FitError, UpdateRule,
    classifier::class_counts,
    fit::Recipe,
    optimizer::ParameterOptimizer,
    sampling::mixing_share,
    schedule::{LearningRate, Plan, Randomness, WarmCosine},
    state,
};
use affectlens::{
    backbone::GreyBackbone,
    calibration::{AbsentClasses, class_weights},
    head::MlpConfig,
    metrics::{Confusion, argmax},
    weights::Weights,
};

/// Length of the embedding.
pub(super) const EMBEDDING: usize = 1024;
/// Units of the hidden layer of a classifier.
pub(super) const HIDDEN: usize = 128;
/// Parts of the embedding and of the hidden units that are dropped.
const DROPOUT: [f32; 2] = [0.3, 0.2];
/// Part of a label that is spread over all classes.
const SMOOTHING: f32 = 0.08;
/// Parameter of mixup, which one batch in four has.
const MIXUP: f64 = 0.4;
/// Part of the steps in which the step size rises.
const WARM_UP: f64 = 0.06;
/// Largest norm of all gradients together.
pub(super) const GRADIENT_NORM: f32 = 2.0;
/// What a step keeps of the average at most.
const AVERAGE: f64 = 0.998;
/// Pictures of each set that the first batch norms are made of.
const FIRST: usize = 64;
/// Pictures that are scored together.
const SCORED: usize = 64;
/// The recipe with its pictures.
pub(super) struct Faces<'a> {
    sets: &'a [FaceSet],
    recipe: &'a EndToEndRecipe,
    device: &'a Device,
    /// Of the classes of each set.
    class_weights: Vec<Vec<f32>>,
}

/// Which pictures of each set go through the network together.
pub(super) struct Draw {
    examples: Vec<Vec<usize>>,
    is_mixed: bool,
}

impl<'a> Faces<'a> {
    pub(super) fn new(
        sets: &'a [FaceSet],
        recipe: &'a EndToEndRecipe,
        device: &'a Device,
    ) -> Result<Self, FitError> {
        let weights = sets.iter().map(|set| {
            let counts = class_counts(&set.training.labels, set.classes.len());
            // A class without examples would never be predicted: to leave it out is the caller's decision.
            let weights = class_weights(&counts, AbsentClasses::Refuse)?;
            Ok(weights.into_iter().map(f32::sqrt).collect())
        });
        Ok(Self {
            class_weights: weights.collect::<Result<_, FitError>>()?,
            sets,
            recipe,
            device,
        })
    }

    fn side(&self) -> usize {
        self.recipe.side as usize
    }

    /// Batches of an epoch; those that would not be full are left out.
    fn steps(&self) -> usize {
        (self.sets[0].training.labels.len() / self.recipe.batch).max(1)
    }

    pub(super) fn network(&self, backbone: &Weights) -> Result<FaceNetwork, RecipeError> {
        let device = self.device.clone().inner();
        let first = self.sets.iter().flat_map(|set| {
            let pictures = &set.training.pictures;
            pictures.iter().step_by(pictures.len().div_ceil(FIRST))
        });
        let first: Vec<Vec<f32>> = first
            .map(|picture| View::PLAIN.apply(picture, self.side()))
            .collect();
        let encoder = GreyBackbone::restore(backbone, self.batch(&first, &device), self.device)?;
        let heads = (0..).zip(self.sets).map(|(place, set)| {
            let config = MlpConfig {
                inputs: encoder.width(),
                hidden: HIDDEN,
                classes: set.classes.len(),
            };
            config.init(self.recipe.seed.wrapping_add(place), self.device)
        });
        Ok(FaceNetwork {
            heads: heads.collect(),
            encoder,
        })
    }

    /// `[batch, 1, side, side]` of levels.
    fn batch(&self, pictures: &[Vec<f32>], device: &Device) -> Tensor<4> {
        let side = self.side();
        let mean = GreyBackbone::mean();
        let values = pictures.iter().flatten().map(|level| level - mean);
        let shape = [pictures.len(), 1, side, side];
        Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), shape), device)
    }

    /// Probabilities of a set's validation pictures.
    pub(super) fn predict(&self, network: &FaceNetwork, place: usize) -> Vec<Vec<f32>> {
        let device = self.device.clone().inner();
        let pictures = self.sets[place].validation.pictures.chunks(SCORED);
        let rows = pictures.flat_map(|pictures| {
            let plain = pictures.iter().map(|it| View::PLAIN.apply(it, self.side()));
            let batch = self.batch(&plain.collect::<Vec<_>>(), &device);
            network.predict(place, batch)
        });
        rows.collect()
    }
}

impl Recipe for Faces<'_> {
    type Network = FaceNetwork;
    type Batch = Draw;
    type Input = FaceBatch;
    type Score = FaceScore;
    type Error = FitError;

    fn plan(&self) -> Plan {
        let steps = self.steps() * self.recipe.epochs;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of the steps"
        )]
        let warm_up = (WARM_UP * steps as f64) as usize;
        Plan {
            epochs: self.recipe.epochs,
            accumulate: 1,
            keeps_partial_step: false,
            gradient_norm: Some(GRADIENT_NORM),
            rate: LearningRate::Cosine(WarmCosine { steps, warm_up }, self.recipe.learning_rate),
            early_stop: None,
            average: Some(AVERAGE),
            keeps_last: true,
            random: Randomness::PerEpoch(self.recipe.seed),
        }
    }

    fn optimizer(&self, network: &FaceNetwork) -> ParameterOptimizer {
        let decay = f64::from(self.recipe.weight_decay);
        let parameters = state::parameters(network);
        ParameterOptimizer::new(UpdateRule::AdamW, decay, &parameters, |_| 1.0)
    }

    fn made_of(&self) -> String {
        let sets: Vec<String> = self.sets.iter().map(FaceSet::fingerprint).collect();
        format!("{:?} {sets:?}", self.recipe)
    }

    fn draw(&mut self, random: &mut StdRng) -> Vec<Draw> {
        let mut order: Vec<usize> = (0..self.sets[0].training.labels.len()).collect();
        order.shuffle(random);
        let batches = order.chunks(self.recipe.batch).take(self.steps());
        let draw = |(step, first): (usize, &[usize])| {
            let further = self.sets[1..].iter().map(|set| {
                let all = set.training.labels.len();
                let drawn = (0..self.recipe.further_batch).map(|_| random.random_range(0..all));
                drawn.collect()
            });
            let further: Vec<Vec<usize>> = further.collect();
            Draw {
                examples: [vec![first.to_vec()], further].concat(),
                is_mixed: step % 4 == 3,
            }
        };
        batches.enumerate().map(draw).collect()
    }

    fn prepare(&self, draw: Draw, random: &mut StdRng) -> Result<FaceBatch, FitError> {
        let side = self.side();
        let share = draw.is_mixed.then(|| mixing_share(MIXUP, random));
        let (mut pictures, mut parts) = (Vec::new(), Vec::new());
        for (place, examples) in draw.examples.iter().enumerate() {
            let FaceSet {
                classes, training, ..
            } = &self.sets[place];
            let mut levels = Vec::with_capacity(examples.len());
            for &example in examples {
                let view = View::draw(side, random);
                levels.push(view.apply(&training.pictures[example], side));
            }
            let labels = examples.iter().map(|&example| training.labels[example]);
            let mut targets: Vec<Vec<f32>> =
                labels.map(|label| smoothed(label, classes.len())).collect();
            if let Some(share) = share {
                let mut partners: Vec<usize> = (0..examples.len()).collect();
                partners.shuffle(random);
                mix(&mut levels, &partners, share);
                mix(&mut targets, &partners, share);
            }
            pictures.extend(levels);
            let shape = [examples.len(), classes.len()];
            let widths = [EMBEDDING, HIDDEN];
            let dropout = [0, 1].map(|layer: usize| {
                let shape = [examples.len(), widths[layer]];
                let kept = keep(shape[0] * shape[1], DROPOUT[layer], random);
                Tensor::from_data(TensorData::new(kept, shape), self.device)
            });
            parts.push(BatchPart {
                targets: Tensor::from_data(TensorData::new(targets.concat(), shape), self.device),
                dropout,
                class_weights: Tensor::from_data(self.class_weights[place].as_slice(), self.device),
                weight: match place {
                    0 => 1.0,
                    _ => self.recipe.further_weight,
                },
            });
        }
        Ok(FaceBatch {
            pictures: self.batch(&pictures, self.device),
            parts,
        })
    }

    fn loss(&self, network: &FaceNetwork, batch: FaceBatch) -> Option<Tensor<1>> {
        Some(network.loss(batch))
    }

    fn validate(&self, network: &FaceNetwork) -> Result<Option<FaceScore>, FitError> {
        let scores = self.sets.iter().enumerate().map(|(place, set)| {
            let mut confusion = Confusion::new(set.classes.len());
            let rows = self.predict(network, place);
            for (row, &label) in rows.iter().zip(&set.validation.labels) {
                confusion.add(label, argmax(row).unwrap_or_default());
            }
            ClassifierScore {
                macro_f1: confusion.macro_f1(),
                accuracy: confusion.accuracy(),
            }
        });
        Ok(Some(FaceScore(scores.collect())))
    }
}

/// Most of a label's weight on its class.
fn smoothed(label: usize, classes: usize) -> Vec<f32> {
    let mut target = vec![SMOOTHING / classes as f32; classes];
    target[label] += 1.0 - SMOOTHING;
    target
}

/// `share` of each row, and the rest of its partner's.
fn mix(rows: &mut [Vec<f32>], partners: &[usize], share: f32) {
    let others: Vec<Vec<f32>> = partners.iter().map(|&it| rows[it].clone()).collect();
    for (row, other) in rows.iter_mut().zip(others) {
        for (value, other) in row.iter_mut().zip(other) {
            *value = share * *value + (1.0 - share) * other;
        }
    }
}

/// Factors that drop a part of as many numbers and keep the mean of all.
fn keep(count: usize, dropped: f32, random: &mut StdRng) -> Vec<f32> {
    let kept = 1.0 / (1.0 - dropped);
    let factor = |_| match random.random::<f32>() < dropped {
        true => 0.0,
        false => kept,
    };
    (0..count).map(factor).collect()
}
