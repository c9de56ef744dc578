//! How networks over clips are trained, whatever shows them the frames.

use std::path::Path;

use burn::{
    module::{Module, ParamId},
    tensor::Tensor,
};
use rand::rngs::StdRng;

use super::{
    LabelledVideo, ViolenceError, ViolenceRecipe, ViolenceScore,
    clips::{Clip, training_clips, validation_clips},
    criterion::Criterion,
};
use crate::{
    FitError, TrainingEvent,
    fit::{Fitted, Recipe, fit},
    optimizer::ParameterOptimizer,
    schedule::{LearningRate, OneCycle, Plan, Randomness},
    state::values,
};
use affectlens::{metrics::Confusion, weights::sha256, windowing::Windows};
use affectlens_data::Part;

/// Start of the random numbers that choose the validation clips, the published one.
const VALIDATION_SEED: u64 = 67;
/// Clips that are scored together.
const SCORED: usize = 16;

/// Frames of clips, and the network that sees them.
pub(super) trait ClipSource {
    /// What is trained.
    type Network: Module;
    /// Frames of some clips, ready for the network.
    type Frames;

    /// The published name of each parameter that is trained.
    fn parameters(network: &Self::Network) -> Vec<(String, ParamId)>;

    /// Frames of some clips. With random numbers they are augmented and on the network's autodiff device, else they are
    /// on the device below.
    fn frames(
        &self,
        part: Part,
        clips: &[Clip],
        random: Option<&mut StdRng>,
    ) -> Result<Self::Frames, ViolenceError>;

    /// Logits `[clips, frames, 2]` of all frames.
    fn logits(&self, network: &Self::Network, frames: Self::Frames) -> Tensor<3>;
}

/// Labelled frames without and with violence.
pub(super) fn frame_counts(videos: &[LabelledVideo]) -> [usize; 2] {
    let mut counts = [0; 2];
    for label in videos.iter().flat_map(|video| &video.labels).flatten() {
        counts[usize::from(*label)] += 1;
    }
    counts
}

/// Trains a network that is on an autodiff device.
///
/// With `checkpoint` every epoch is written to that file, and a run that finds one goes on from there to the same
/// result. Random numbers of an epoch depend on the seed and its number alone.
pub(super) fn fit_clips<S: ClipSource>(
    network: S::Network,
    source: S,
    [training, validation]: [&[LabelledVideo]; 2],
    recipe: &ViolenceRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_, ViolenceScore>),
) -> Result<Fitted<S::Network, ViolenceScore>, ViolenceError> {
    if training.is_empty() {
        return Err(FitError::Empty("training").into());
    }
    recipe.check(training.len())?;
    let mut videos = training.iter().chain(validation);
    if let Some(video) = videos.find(|video| video.labels.is_empty()) {
        let video = video.name.clone();
        return Err(ViolenceError::NoFrames { video });
    }
    let windows = Windows::new(recipe.length, recipe.step)?;
    let class_weights = recipe.class_weights(frame_counts(training));
    let clips = ClipRecipe {
        source,
        training,
        validation,
        recipe,
        windows,
        criterion: Criterion {
            loss: recipe.loss,
            boundary: recipe.boundary,
            class_weights: class_weights.map_err(FitError::from)?,
        },
        validated: validation_clips(
            validation,
            &windows,
            recipe.validation_clips,
            VALIDATION_SEED,
        ),
    };
    fit(network, clips, checkpoint, on_event)
}

/// The recipe of a network over clips.
struct ClipRecipe<'a, S> {
    source: S,
    training: &'a [LabelledVideo],
    validation: &'a [LabelledVideo],
    recipe: &'a ViolenceRecipe,
    windows: Windows,
    criterion: Criterion,
    /// The clips that every epoch is scored on.
    validated: Vec<Clip>,
}

impl<S: ClipSource> Recipe for ClipRecipe<'_, S> {
    type Network = S::Network;
    type Batch = Vec<Clip>;
    type Input = (Vec<Clip>, S::Frames);
    type Score = ViolenceScore;
    type Error = ViolenceError;

    fn plan(&self) -> Plan {
        let recipe = self.recipe;
        let [_, planned] = recipe.steps(self.training.len());
        Plan {
            epochs: recipe.epochs,
            accumulate: recipe.accumulate,
            keeps_partial_step: recipe.keeps_partial_step_of(self.training.len()),
            gradient_norm: Some(recipe.gradient_norm),
            rate: LearningRate::OneCycle {
                cycle: OneCycle::new(planned * recipe.epochs, recipe.warm_up),
                peak: recipe.learning_rate * recipe.peak,
                momentum: recipe.momentum,
            },
            early_stop: None,
            average: None,
            keeps_last: false,
            random: Randomness::PerEpoch(recipe.seed),
        }
    }

    fn optimizer(&self, network: &S::Network) -> ParameterOptimizer {
        let ViolenceRecipe {
            rule, weight_decay, ..
        } = *self.recipe;
        let parameters = S::parameters(network);
        let names = parameters.iter().map(|(name, _)| name.as_str());
        let multiplier = self.recipe.multipliers(names);
        ParameterOptimizer::new(rule, weight_decay, &parameters, multiplier)
    }

    fn made_of(&self) -> String {
        let names = |videos: &[LabelledVideo]| -> Vec<String> {
            let name = |it: &LabelledVideo| format!("{} {}", it.name, it.labels.len());
            videos.iter().map(name).collect()
        };
        let names = format!("{:?} {:?}", names(self.training), names(self.validation));
        let data = sha256(names.as_bytes());
        let counts = frame_counts(self.training);
        format!("{:?} {counts:?} {}", self.recipe, &data[..12])
    }

    fn draw(&mut self, random: &mut StdRng) -> Vec<Vec<Clip>> {
        let share = self.recipe.positive_clips;
        let clips = training_clips(self.training, &self.windows, share, random);
        let batches = clips.chunks_exact(self.recipe.batch);
        batches.map(<[Clip]>::to_vec).collect()
    }

    fn prepare(&self, clips: Vec<Clip>, random: &mut StdRng) -> Result<Self::Input, ViolenceError> {
        let frames = self.source.frames(Part::Training, &clips, Some(random))?;
        Ok((clips, frames))
    }

    fn loss(&self, network: &S::Network, (clips, frames): Self::Input) -> Option<Tensor<1>> {
        let logits = self.source.logits(network, frames);
        let labels = clip_labels(self.training, &clips, &self.windows);
        self.criterion.loss(logits, &labels)
    }

    fn validate(&self, network: &S::Network) -> Result<Option<ViolenceScore>, ViolenceError> {
        let mut confusion = Confusion::new(2);
        for clips in self.validated.chunks(SCORED) {
            let frames = self.source.frames(Part::Validation, clips, None)?;
            let logits = values(self.source.logits(network, frames));
            let labels = clip_labels(self.validation, clips, &self.windows);
            for (label, logits) in labels.into_iter().zip(logits.chunks(2)) {
                if let Some(label) = label {
                    confusion.add(usize::from(label), usize::from(logits[1] > logits[0]));
                }
            }
        }
        Ok((confusion.count() > 0).then(|| ViolenceScore::new(&confusion)))
    }
}

fn clip_labels(videos: &[LabelledVideo], clips: &[Clip], windows: &Windows) -> Vec<Option<bool>> {
    let labels = |clip: &Clip| {
        let labels = &videos[clip.video].labels;
        let frames = windows.frames(clip.start, labels.len());
        frames.into_iter().map(|frame| labels[frame])
    };
    clips.iter().flat_map(labels).collect()
}

#[cfg(test)]
mod tests {
    use burn::{
        nn::{Linear, LinearConfig},
        tensor::{Device, TensorData},
    };
    use rand::RngExt as _;

    use super::*;
    use crate::{Boundary, EpochReport, state};

    /// Shows a network the label itself, with noise in training.
    struct Labels {
        parts: [Vec<LabelledVideo>; 2],
        windows: Windows,
    }

    impl ClipSource for Labels {
        /// Without dropout: what other tests draw does not matter.
        type Network = Linear;
        type Frames = Tensor<3>;

        fn parameters(network: &Linear) -> Vec<(String, ParamId)> {
            let bias = network.bias.as_ref().expect("has one").id;
            let weight = ("head.weight".to_owned(), network.weight.id);
            vec![weight, ("head.bias".to_owned(), bias)]
        }

        fn frames(
            &self,
            part: Part,
            clips: &[Clip],
            mut random: Option<&mut StdRng>,
        ) -> Result<Tensor<3>, ViolenceError> {
            let (videos, device) = match part {
                Part::Training => (&self.parts[0], Device::flex().autodiff()),
                Part::Validation => (&self.parts[1], Device::flex()),
            };
            let labels = clip_labels(videos, clips, &self.windows).into_iter();
            let inputs: Vec<f32> = labels
                .map(|label| {
                    let noise = random.as_mut().map_or(0.0, |it| it.random_range(-0.5..0.5));
                    noise + if label == Some(true) { 1.0 } else { -1.0 }
                })
                .collect();
            let shape = [clips.len(), self.windows.length(), 1];
            Ok(Tensor::from_data(TensorData::new(inputs, shape), &device))
        }

        fn logits(&self, network: &Linear, frames: Tensor<3>) -> Tensor<3> {
            network.forward(frames)
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

    fn run(
        recipe: &ViolenceRecipe,
        checkpoint: Option<&Path>,
        mut on_epoch: impl FnMut(&EpochReport<ViolenceScore>),
    ) -> Result<Fitted<Linear, ViolenceScore>, ViolenceError> {
        let device = Device::flex().autodiff();
        let mut network = LinearConfig::new(1, 2).init(&device);
        network.weight = network
            .weight
            .map(|_| Tensor::from_data([[0.1, 0.0]], &device).require_grad());
        network.bias = network
            .bias
            .map(|bias| bias.map(|_| Tensor::from_data([0.0, 0.1], &device).require_grad()));
        let parts = [videos(9), videos(3)];
        let source = Labels {
            parts: parts.clone(),
            windows: Windows::new(recipe.length, recipe.step).expect("above 0"),
        };
        let videos = [parts[0].as_slice(), parts[1].as_slice()];
        fit_clips(network, source, videos, recipe, checkpoint, |event| {
            if let TrainingEvent::Epoch(epoch) = event {
                on_epoch(epoch);
            }
        })
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
            assert_eq!(state::read(&again.network), state::read(&whole.network));
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
