//! The training loop over clips, for heads on frozen features and for whole networks.

use std::{fmt, path::Path};

use burn::{
    module::{Module, ParamId},
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{Device, Int, Tensor, TensorData},
};
use rand::{SeedableRng, rngs::StdRng};
use serde::Serialize;
use thiserror::Error;

use super::{
    Boundary, FrameLoss, LabelledVideo, ViolenceRecipe,
    checkpoint::Checkpoint,
    clips::{Clip, training_clips, validation_clips},
};
use crate::{
    EpochReport, EpochScore, FitError, Fitted, OneCycle,
    loss::{boundary_cross_entropy, boundary_weights, focal_loss, smoothed_cross_entropy},
    optimizer::{ParameterOptimizer, clip_by_norm},
};
use affectlens::{
    metrics::Confusion,
    weights::{Weights, WeightsError, sha256},
    windowing::{WindowError, Windows},
};
use affectlens_data::{FeatureError, Part};

/// Start of the random numbers that choose the validation clips, the published one.
const VALIDATION_SEED: u64 = 67;
/// Clips that are scored together.
const SCORED: usize = 16;
/// Part of the boundary term in the loss, the published one.
const BOUNDARY_PART: f32 = 0.5;

/// Why violence cannot be trained or scored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ViolenceError {
    /// Data or settings do not fit.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A network's parameters do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Windows do not fit.
    #[error(transparent)]
    Windows(#[from] WindowError),
    /// A feature cannot be kept.
    #[error("video `{video}`: {source}")]
    Feature {
        /// Name of the video.
        video: String,
        /// What does not fit.
        source: FeatureError,
    },
    /// A video has no frames.
    #[error("video `{video}` has no frames, expected at least one")]
    NoFrames {
        /// Name of the video.
        video: String,
    },
    /// Features have another width than the head.
    #[error("video `{video}` has features of {got} values, expected {expected}")]
    Width {
        /// Name of the video.
        video: String,
        /// Values that the head takes.
        expected: usize,
        /// Values that came.
        got: usize,
    },
    /// Frames of a clip cannot be read or do not fit.
    #[error("frames of a clip: {0}")]
    Frames(String),
    /// Windows are longer than the head takes.
    #[error("windows have {got} frames, expected at most {most} for this head")]
    Length {
        /// Frames that the head takes.
        most: usize,
        /// Frames of a window.
        got: usize,
    },
    /// An interrupted run cannot go on.
    #[error("checkpoint `{path}` {reason}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What was expected and what came.
        reason: String,
    },
}

/// A network over clips that can be trained: a temporal head, or a backbone with one.
pub(super) trait ClipNetwork: Module {
    /// The published name of each parameter that is trained.
    fn parameters(&self) -> Vec<(String, ParamId)>;

    /// All parameters and running statistics; the metadata names the architecture.
    fn to_weights(&self) -> Weights;

    /// Takes what [`to_weights`](Self::to_weights) gave.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for what does not fit.
    fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError>;
}

/// What happens while a network is trained.
#[derive(Clone, Copy, Debug)]
pub enum TrainingEvent<'a> {
    /// A batch went through the network.
    Batch {
        /// Number of the epoch, from 1.
        epoch: usize,
        /// Batches of the epoch so far.
        done: usize,
        /// Batches of an epoch.
        of: usize,
    },
    /// An epoch is over, and its checkpoint is written.
    Epoch(&'a EpochReport<ViolenceScore>),
}

/// How well frames of the validation clips are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ViolenceScore {
    /// Mean of the two F1.
    pub macro_f1: f64,
    /// F1 of frames with violence.
    pub violent_f1: f64,
    /// F1 of frames without violence.
    pub calm_f1: f64,
}

impl ViolenceScore {
    /// Of a table whose class 1 is violent; a class that neither is there nor was predicted has 0.
    pub fn new(confusion: &Confusion) -> Self {
        let f1 = |class| confusion.f1(class).unwrap_or_default();
        Self {
            macro_f1: (f1(0) + f1(1)) / 2.0,
            violent_f1: f1(1),
            calm_f1: f1(0),
        }
    }
}

impl EpochScore for ViolenceScore {
    fn score(&self) -> f64 {
        self.macro_f1
    }
}

impl fmt::Display for ViolenceScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            macro_f1,
            violent_f1,
            calm_f1,
        } = self;
        write!(
            f,
            "macro-F1 {macro_f1:.4} (violent {violent_f1:.4}, non-violent {calm_f1:.4})"
        )
    }
}

/// Labelled frames without and with violence.
pub(super) fn frame_counts(videos: &[LabelledVideo]) -> [usize; 2] {
    let mut counts = [0; 2];
    for label in videos.iter().flat_map(|video| &video.labels).flatten() {
        counts[usize::from(*label)] += 1;
    }
    counts
}

/// Trains a network that lives on `device`, an autodiff device.
///
/// `logits` gives `[clips, frames, 2]` of clips of a part; with random numbers it augments, on the autodiff device,
/// without it is on the device below. With `checkpoint` every epoch is written to that file, and a run that finds one
/// goes on from there to the same result. Random numbers of an epoch depend on the seed and its number alone.
pub(super) fn fit_clips<N: ClipNetwork>(
    mut network: N,
    device: &Device,
    [training, validation]: [&[LabelledVideo]; 2],
    recipe: &ViolenceRecipe,
    checkpoint: Option<&Path>,
    logits: impl Fn(&N, Part, &[Clip], Option<&mut StdRng>) -> Result<Tensor<3>, ViolenceError>,
    mut on_event: impl FnMut(TrainingEvent<'_>),
) -> Result<Fitted<N, ViolenceScore>, ViolenceError> {
    if training.is_empty() {
        return Err(FitError::Empty("training").into());
    }
    recipe.check(training.len())?;
    for video in training.iter().chain(validation) {
        if video.labels.is_empty() {
            return Err(ViolenceError::NoFrames {
                video: video.name.clone(),
            });
        }
    }
    let windows = Windows::new(recipe.length, recipe.step)?;
    let counts = frame_counts(training);
    let class_weights = recipe.class_weights(counts).map_err(FitError::from)?;
    let criterion = Criterion {
        recipe,
        windows,
        class_weights: Tensor::from_data(class_weights, device),
        device,
    };
    let validated = validation_clips(
        validation,
        &windows,
        recipe.validation_clips,
        VALIDATION_SEED,
    );
    let validate = |network: &N| -> Result<Option<ViolenceScore>, ViolenceError> {
        let mut confusion = Confusion::new(2);
        for clips in validated.chunks(SCORED) {
            let logits = values(logits(network, Part::Validation, clips, None)?);
            let labels = clip_labels(validation, clips, &windows);
            for (label, logits) in labels.into_iter().zip(logits.chunks(2)) {
                if let Some(label) = label {
                    confusion.add(usize::from(label), usize::from(logits[1] > logits[0]));
                }
            }
        }
        Ok((confusion.count() > 0).then(|| ViolenceScore::new(&confusion)))
    };

    let multiplier = |name: &str| recipe.multiplier(name);
    let parameters = network.parameters();
    let mut optimizer =
        ParameterOptimizer::new(recipe.rule, recipe.weight_decay, &parameters, multiplier);
    let cycle = OneCycle::new(
        recipe.steps(training.len())[1] * recipe.epochs,
        recipe.warm_up,
    );
    let peak = recipe.learning_rate * recipe.peak;

    let names = |videos: &[LabelledVideo]| -> Vec<String> {
        let name = |it: &LabelledVideo| format!("{} {}", it.name, it.labels.len());
        videos.iter().map(name).collect()
    };
    let data = sha256(format!("{:?} {:?}", names(training), names(validation)).as_bytes());
    let made_of = format!("{recipe:?} {counts:?} {}", &data[..12]);
    let mut epochs: Vec<EpochReport<ViolenceScore>> = Vec::new();
    let mut best: Option<(N, EpochReport<ViolenceScore>)> = None;
    if let Some(kept) = checkpoint
        .map(|path| Checkpoint::read(path, &made_of))
        .transpose()?
        .flatten()
    {
        network = N::load(&kept.network, device)?;
        // The parameters were made anew, in the same order.
        let parameters = network.parameters();
        optimizer =
            ParameterOptimizer::new(recipe.rule, recipe.weight_decay, &parameters, multiplier);
        optimizer.restore(&kept.optimizer, &device.clone().inner())?;
        epochs = kept.epochs;
        let report = epochs.get(kept.best - 1).cloned();
        let state = N::load(&kept.best_network, &device.clone().inner())?;
        best = report.map(|report| (state, report));
    }

    for epoch in epochs.len() + 1..=recipe.epochs {
        let seed = epoch_seed(recipe.seed, epoch);
        let mut random = StdRng::seed_from_u64(seed);
        // Of dropout.
        device.seed(seed);
        let clips = training_clips(training, &windows, recipe.positive_clips, &mut random);
        let batches: Vec<&[Clip]> = clips.chunks_exact(recipe.batch).collect();
        let (mut sum, mut rate, mut done) = (0.0, 0.0, 0);
        for group in batches.chunks(recipe.accumulate) {
            let is_step = group.len() == recipe.accumulate || recipe.keeps_partial_step;
            let mut accumulated = GradientsAccumulator::new();
            for clips in group {
                let logits = logits(&network, Part::Training, clips, Some(&mut random))?;
                done += 1;
                on_event(TrainingEvent::Batch {
                    epoch,
                    done,
                    of: batches.len(),
                });
                let Some(loss) = criterion.loss(logits, training, clips) else {
                    continue;
                };
                sum += f64::from(loss.clone().into_scalar::<f32>());
                if is_step {
                    let scaled = loss / recipe.accumulate as f32;
                    let gradients = GradientsParams::from_grads(scaled.backward(), &network);
                    accumulated.accumulate(&network, gradients);
                }
            }
            if is_step {
                let gradients = clip_by_norm(&network, accumulated.grads(), recipe.gradient_norm);
                let step = optimizer.steps();
                rate = cycle.rate(peak, step);
                let momentum = cycle.momentum(recipe.momentum, step);
                network = optimizer.step(network, gradients, rate, momentum);
            }
        }
        let loss = sum / batches.len() as f64;
        if !loss.is_finite() {
            return Err(FitError::Diverged { epoch }.into());
        }
        let state = network.valid();
        let report = EpochReport {
            epoch,
            loss,
            learning_rate: rate,
            validation: validate(&state)?,
        };
        let score = |report: &EpochReport<ViolenceScore>| report.validation.map(|it| it.macro_f1);
        let is_better = match (score(&report), best.as_ref().and_then(|(_, it)| score(it))) {
            (Some(score), Some(best)) => score > best,
            _ => true,
        };
        epochs.push(report);
        if is_better {
            best = Some((state, report));
        }
        if let (Some(path), Some((best, best_report))) = (checkpoint, &best) {
            let mut state = Weights::default();
            optimizer.store(&mut state)?;
            Checkpoint {
                network: network.to_weights(),
                optimizer: state,
                best_network: best.to_weights(),
                best: best_report.epoch,
                epochs: epochs.clone(),
            }
            .write(path, &made_of)?;
        }
        on_event(TrainingEvent::Epoch(&report));
    }
    let (network, best) = best.ok_or(FitError::Empty("training"))?;
    Ok(Fitted {
        network,
        best,
        epochs,
    })
}

/// SplitMix64 of both, so that neighbouring seeds share no epoch.
fn epoch_seed(seed: u64, epoch: usize) -> u64 {
    let mut bits = seed.wrapping_add((epoch as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .expect("just converted to f32")
}

fn clip_labels(videos: &[LabelledVideo], clips: &[Clip], windows: &Windows) -> Vec<Option<bool>> {
    let labels = |clip: &Clip| {
        let labels = &videos[clip.video].labels;
        let frames = windows.frames(clip.start, labels.len());
        frames.into_iter().map(|frame| labels[frame])
    };
    clips.iter().flat_map(labels).collect()
}

struct Criterion<'a> {
    recipe: &'a ViolenceRecipe,
    windows: Windows,
    class_weights: Tensor<1>,
    device: &'a Device,
}

impl Criterion<'_> {
    /// The loss of a batch over its labelled frames; `None` if there are none.
    fn loss(
        &self,
        logits: Tensor<3>,
        videos: &[LabelledVideo],
        clips: &[Clip],
    ) -> Option<Tensor<1>> {
        let all = clip_labels(videos, clips, &self.windows);
        let (places, labels): (Vec<i64>, Vec<i64>) = (0..)
            .zip(&all)
            .filter_map(|(place, label)| Some((place, i64::from((*label)?))))
            .unzip();
        if labels.is_empty() {
            return None;
        }
        let of = |numbers: &[i64]| Tensor::<1, Int>::from_data(numbers, self.device);
        let [clips, frames, classes] = logits.dims();
        let logits = logits
            .reshape([clips * frames, classes])
            .select(0, of(&places));
        let labels = of(&labels);
        let weights = self.class_weights.clone();
        let main = match self.recipe.loss {
            FrameLoss::CrossEntropy { smoothing } => {
                smoothed_cross_entropy(logits.clone(), labels.clone(), weights, smoothing)
            }
            FrameLoss::Focal { gamma } => {
                focal_loss(logits.clone(), labels.clone(), weights, gamma)
            }
        };
        let Some(Boundary { weight, radius }) = self.recipe.boundary else {
            return Some(main);
        };
        let frame_weights: Vec<f32> = all
            .chunks(frames)
            .flat_map(|labels| {
                let weights = boundary_weights(labels, weight, radius);
                let labelled = weights.into_iter().zip(labels);
                labelled.filter_map(|(weight, label)| label.map(|_| weight))
            })
            .collect();
        let count = frame_weights.len();
        let frame_weights = Tensor::from_data(TensorData::new(frame_weights, [count]), self.device);
        Some(main + boundary_cross_entropy(logits, labels, frame_weights) * BOUNDARY_PART)
    }
}

#[cfg(test)]
mod tests {
    use burn::{module::Param, nn::Linear};

    use super::*;
    use affectlens::weights::{Metadata, OnDevice};

    /// One layer a frame, without dropout: what other tests draw does not matter.
    #[derive(Module, Debug)]
    struct Network {
        head: Linear,
    }

    impl ClipNetwork for Network {
        fn parameters(&self) -> Vec<(String, ParamId)> {
            let bias = self.head.bias.as_ref().expect("has one").id;
            let weight = ("head.weight".to_owned(), self.head.weight.id);
            vec![weight, ("head.bias".to_owned(), bias)]
        }

        fn to_weights(&self) -> Weights {
            let mut weights = Weights::new(Metadata {
                architecture: "linear".to_owned(),
                ..Metadata::default()
            });
            let bias = self.head.bias.as_ref().expect("has one").val();
            let weight = values(self.head.weight.val());
            weights
                .insert("head.weight", vec![1, 2], weight)
                .expect("two");
            weights
                .insert("head.bias", vec![2], values(bias))
                .expect("two");
            weights
        }

        fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
            weights.expect_architecture("linear")?;
            let weight = weights.tensor("head.weight", [1, 2], device)?;
            let bias = weights.tensor("head.bias", [2], device)?;
            Ok(Self {
                head: Linear {
                    weight: Param::from_tensor(weight),
                    bias: Some(Param::from_tensor(bias)),
                },
            })
        }
    }

    fn videos(count: usize) -> Vec<LabelledVideo> {
        let label = |number: usize, frame: usize| match (number + frame / 4) % 3 {
            0 => None,
            place => Some(place == 1),
        };
        (0..count)
            .map(|number| LabelledVideo {
                name: number.to_string(),
                labels: (0..20 + number).map(|frame| label(number, frame)).collect(),
            })
            .collect()
    }

    fn recipe() -> ViolenceRecipe {
        ViolenceRecipe {
            length: 8,
            epochs: 5,
            accumulate: 2,
            learning_rate: 0.02,
            boundary: Some(Boundary {
                weight: 2.0,
                radius: 1,
            }),
            ..ViolenceRecipe::default()
        }
    }

    /// Trains on the label itself, with noise in training.
    fn run(
        recipe: &ViolenceRecipe,
        checkpoint: Option<&Path>,
        mut on_epoch: impl FnMut(&EpochReport<ViolenceScore>),
    ) -> Result<Fitted<Network, ViolenceScore>, ViolenceError> {
        use rand::RngExt as _;
        let plain = Device::flex();
        let device = plain.clone().autodiff();
        let (training, validation) = (videos(9), videos(3));
        let windows = Windows::new(recipe.length, recipe.step).expect("above 0");
        let mut start = Weights::new(Metadata {
            architecture: "linear".to_owned(),
            ..Metadata::default()
        });
        start
            .insert("head.weight", vec![1, 2], vec![0.1, 0.0])
            .expect("two");
        start
            .insert("head.bias", vec![2], vec![0.0, 0.1])
            .expect("two");
        fit_clips(
            Network::load(&start, &device).expect("fits"),
            &device,
            [&training, &validation],
            recipe,
            checkpoint,
            |network: &Network, part, clips, mut random| {
                let (videos, device) = match part {
                    Part::Training => (&training, &device),
                    Part::Validation => (&validation, &plain),
                };
                let labels = clip_labels(videos, clips, &windows).into_iter();
                let inputs: Vec<f32> = labels
                    .map(|label| {
                        let noise = random.as_mut().map_or(0.0, |it| it.random_range(-0.5..0.5));
                        noise + if label == Some(true) { 1.0 } else { -1.0 }
                    })
                    .collect();
                let shape = [clips.len(), windows.length(), 1];
                let inputs = Tensor::<3>::from_data(TensorData::new(inputs, shape), device);
                Ok(network.head.forward(inputs))
            },
            |event| {
                if let TrainingEvent::Epoch(epoch) = event {
                    on_epoch(epoch);
                }
            },
        )
    }

    #[test]
    fn an_interrupted_run_ends_as_if_it_had_not_been() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("run/checkpoint.safetensors");
        let kept = folder.path().join("kept.safetensors");
        let whole = run(&recipe(), None, |_| {}).expect("valid data");
        let first = run(&recipe(), Some(&path), |epoch| {
            if epoch.epoch == 2 {
                std::fs::copy(&path, &kept).expect("was written");
            }
        });
        std::fs::copy(&kept, &path).expect("was written");
        let mut epochs = Vec::new();
        let second = run(&recipe(), Some(&path), |epoch| epochs.push(epoch.epoch));
        assert_eq!(epochs, [3, 4, 5]);
        for again in [first, second] {
            let again = again.expect("valid data");
            assert_eq!((&again.epochs, &again.best), (&whole.epochs, &whole.best));
            assert_eq!(again.network.to_weights(), whole.network.to_weights());
        }
        assert!(
            whole.epochs[4].loss < whole.epochs[0].loss,
            "{:?}",
            whole.epochs
        );

        let other = ViolenceRecipe {
            seed: 1,
            ..recipe()
        };
        let error = run(&other, Some(&path), |_| {}).expect_err("another recipe");
        assert!(
            error.to_string().contains("is of another run: made of"),
            "{error}"
        );
        std::fs::write(&path, b"cut off").expect("temporary file");
        assert!(run(&recipe(), Some(&path), |_| {}).is_err());
    }

    #[test]
    fn trailing_batches_make_no_step_unless_asked_for() {
        // Nine videos are four batches of two: one step of three batches, and one batch that is left.
        let recipe = ViolenceRecipe {
            accumulate: 3,
            epochs: 2,
            ..recipe()
        };
        let rates = |recipe: &ViolenceRecipe| {
            let fitted = run(recipe, None, |_| {}).expect("valid data");
            fitted
                .epochs
                .iter()
                .map(|it| it.learning_rate)
                .collect::<Vec<_>>()
        };
        let cycle = OneCycle::new(4, recipe.warm_up);
        let rate = |step| cycle.rate(0.12, step);
        assert_eq!(rates(&recipe), [rate(0), rate(1)]);
        let all = ViolenceRecipe {
            keeps_partial_step: true,
            ..recipe
        };
        assert_eq!(rates(&all), [rate(1), rate(3)]);
    }
}
