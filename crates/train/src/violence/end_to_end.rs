//! Backbone and head trained together, on pictures.

use std::path::Path;

use burn::{
    module::{Module, ParamId},
    tensor::{Device, Tensor, TensorData},
};
use rand::rngs::StdRng;

use super::{
    Augmentation, LabelledVideo, ViolenceError, ViolenceRecipe, ViolenceReport, ViolenceScore,
    clips::Clip,
    coherent::augment_clip,
    training::{ClipSource, fit_clips},
};
use crate::TrainingEvent;
use affectlens::{
    backbone::TrainableBackbone,
    crop,
    frame::Frame,
    head::{FusionKind, SecondStream, TemporalConfig, TemporalHead, TemporalKind},
    weights::{Normalisation, Weights},
    windowing::Windows,
};
use affectlens_data::{Part, check_window_length, repair_clip};

/// Before the backbone's parameters, as in published checkpoints.
const ENCODER: &str = "encoder.";

/// A backbone for frames or clips with a head over the frames of a clip.
#[derive(Module, Debug)]
pub struct ViolenceNetwork {
    encoder: TrainableBackbone,
    head: TemporalHead,
}

impl ViolenceNetwork {
    /// A backbone with a head of random weights, which may read a second stream.
    pub fn new(encoder: TrainableBackbone, recipe: &ViolenceRecipe, device: &Device) -> Self {
        let second = recipe.head.fusion().map(FusionKind::stream);
        let config = TemporalConfig {
            kind: recipe.head,
            features: encoder.facts().width + second.map_or(0, SecondStream::width),
        };
        Self {
            head: config.init(recipe.seed, device),
            encoder,
        }
    }

    /// Logits of the frames of clips of one length.
    ///
    /// # Shapes
    ///
    /// - frames: `[clips * time, 3, side, side]`, normalised as the backbone says, clip after clip
    /// - second: `[clips, time, width]`, for a head that reads a second stream
    /// - output: `[clips, time, 2]`, not violent and violent, before softmax
    pub fn forward(&self, frames: Tensor<4>, clips: usize, second: Option<Tensor<3>>) -> Tensor<3> {
        let [count, ..] = frames.dims();
        let features = self.encoder.forward_clips(frames, clips);
        let features = match second {
            Some(second) => Tensor::cat(vec![features, second], 2),
            None => features,
        };
        self.head.forward_moments(features, count / clips.max(1))
    }

    /// The backbone's state dict under published names.
    pub fn backbone_weights(&self) -> Weights {
        self.encoder.to_weights()
    }

    /// The head's parameters.
    pub fn head_weights(&self) -> Weights {
        self.head.to_weights()
    }

    /// The published name of each parameter that is trained.
    fn parameters(&self) -> Vec<(String, ParamId)> {
        let encoder = self.encoder.parameters().into_iter();
        encoder
            .map(|(name, id)| (format!("{ENCODER}{name}"), id))
            .chain(self.head.parameters())
            .collect()
    }
}

/// A trained network and how it went.
#[derive(Debug)]
pub struct TrainedNetwork {
    /// The state of the best epoch.
    pub network: ViolenceNetwork,
    /// How training went.
    pub report: ViolenceReport,
}

/// Frames of a video as they are trained on.
#[derive(Clone, Debug)]
pub struct VideoFrames {
    /// `None` where one cannot be read.
    pub pictures: Vec<Option<Frame>>,
    /// Numbers of the second stream, one frame after the other; `None` where none is read.
    pub second: Option<Vec<f32>>,
}

impl From<Vec<Option<Frame>>> for VideoFrames {
    fn from(pictures: Vec<Option<Frame>>) -> Self {
        Self {
            pictures,
            second: None,
        }
    }
}

/// Trains backbone and head together on `device`, an autodiff device that the network lives on; the epoch with the
/// highest macro-F1 on the validation clips is kept, the last one without validation videos.
///
/// `frames` gives some frames of a video of a part, each `side` by `side` pixels. What gives the numbers of a second stream is not
/// trained.
///
/// # Errors
///
/// [`ViolenceError`] as [`HeadRecipe::train`](super::HeadRecipe::train), those of `frames`, for frames of another size, for a
/// head that reads a second stream where there is none, and for one over the moments of a network over clips.
pub fn train_end_to_end(
    network: ViolenceNetwork,
    device: &Device,
    [training, validation]: [&[LabelledVideo]; 2],
    frames: impl Fn(Part, usize, &[usize]) -> Result<VideoFrames, ViolenceError>,
    recipe: &ViolenceRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_, ViolenceScore>),
) -> Result<TrainedNetwork, ViolenceError> {
    let head = network.head.config().kind;
    if head.fusion().is_some() && network.encoder.clip().is_some() {
        return Err(ViolenceError::SingleFrames { head: head.name() });
    }
    check_window_length(&network.head, recipe.length)?;
    if let Some(clip) = network.encoder.clip()
        && clip.frames != recipe.length
    {
        return Err(ViolenceError::ClipLength {
            backbone: clip.name,
            expected: clip.frames,
            got: recipe.length,
        });
    }
    let windows = Windows::new(recipe.length.max(1), recipe.step.max(1))?;
    let facts = network.encoder.facts();
    let pictures = Pictures {
        read: frames,
        head,
        parts: [training, validation],
        windows,
        augmentation: recipe.augmentation,
        side: facts.input_side,
        normalisation: facts.normalisation,
        device,
    };
    let videos = [training, validation];
    let fitted = fit_clips(network, pictures, videos, recipe, checkpoint, on_event)?;
    let report = ViolenceReport::new(training, &fitted);
    Ok(TrainedNetwork {
        network: fitted.network,
        report,
    })
}

/// Pictures of the frames, read anew for each clip.
struct Pictures<'a, F> {
    read: F,
    head: TemporalKind,
    parts: [&'a [LabelledVideo]; 2],
    windows: Windows,
    augmentation: Augmentation,
    side: u32,
    normalisation: Normalisation,
    /// With gradients.
    device: &'a Device,
}

impl<F> ClipSource for Pictures<'_, F>
where
    F: Fn(Part, usize, &[usize]) -> Result<VideoFrames, ViolenceError>,
{
    type Network = ViolenceNetwork;
    /// Pictures of all clips, the number of clips, and the second stream of them where the head reads one.
    type Frames = (Tensor<4>, usize, Option<Tensor<3>>);

    fn parameters(network: &ViolenceNetwork) -> Vec<(String, ParamId)> {
        network.parameters()
    }

    fn frames(
        &self,
        part: Part,
        clips: &[Clip],
        mut random: Option<&mut StdRng>,
    ) -> Result<Self::Frames, ViolenceError> {
        let (videos, device) = match part {
            Part::Training => (self.parts[0], self.device.clone()),
            Part::Validation => (self.parts[1], self.device.clone().inner()),
        };
        let stream = self.head.fusion().map(FusionKind::stream);
        let mut pictures = Vec::with_capacity(clips.len() * self.windows.length());
        let mut numbers = Vec::new();
        for clip in clips {
            let frames = videos[clip.video].labels.len();
            let frames = self.windows.frames(clip.start, frames);
            let read = (self.read)(part, clip.video, &frames)?;
            if let Some(stream) = stream {
                let second = read.second.unwrap_or_default();
                if second.len() != frames.len() * stream.width() {
                    return Err(ViolenceError::SecondStream {
                        head: self.head.name(),
                        stream: stream.name(),
                        second: stream.width(),
                        got: second.len() / frames.len().max(1),
                    });
                }
                numbers.extend(second);
            }
            let clip = whole_clip(read.pictures, self.side);
            pictures.extend(match random.as_deref_mut() {
                Some(random) => augment_clip(clip, self.augmentation, random),
                None => clip,
            });
        }
        let batch = crop::batch(&pictures, &self.normalisation, &device)
            .map_err(|error| ViolenceError::Frames(error.to_string()))?;
        let second = stream.map(|stream| {
            let shape = [clips.len(), self.windows.length(), stream.width()];
            Tensor::from_data(TensorData::new(numbers, shape), &device)
        });
        Ok((batch.permute([0, 3, 1, 2]), clips.len(), second))
    }

    fn logits(&self, network: &ViolenceNetwork, frames: Self::Frames) -> Tensor<3> {
        let (frames, clips, second) = frames;
        network.forward(frames, clips, second)
    }
}

/// Frames that cannot be read become the first one that can, or black.
fn whole_clip(read: Vec<Option<Frame>>, side: u32) -> Vec<Frame> {
    let places: Vec<usize> = (0..read.len()).collect();
    match repair_clip(&places, |place| read[place].is_some()) {
        Some(places) => places
            .into_iter()
            .filter_map(|place| read[place].clone())
            .collect(),
        None => {
            let pixels = vec![0; side as usize * side as usize * 3];
            let black = Frame::from_rgb(side, side, pixels).expect("a side of at least one pixel");
            vec![black; read.len()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state;

    /// Violence is red here, and the rest blue.
    fn videos() -> Vec<LabelledVideo> {
        (0..6)
            .map(|number| LabelledVideo {
                name: number.to_string(),
                labels: (0..6)
                    .map(|frame| Some((frame >= 3) == (number % 2 == 0)))
                    .collect(),
            })
            .collect()
    }

    fn picture(violent: bool, shade: usize) -> Frame {
        let shade = u8::try_from(shade * 9).expect("a level");
        let colour = if violent {
            [220, shade, 30]
        } else {
            [30, shade, 220]
        };
        Frame::from_rgb(32, 32, colour.repeat(32 * 32)).expect("whole pixels")
    }

    #[test]
    fn backbone_and_head_learn_together_and_go_on_after_an_interruption() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("checkpoint.safetensors");
        let kept = folder.path().join("kept.safetensors");
        let device = Device::flex().autodiff();
        let recipe = ViolenceRecipe {
            head: TemporalKind::Tcn,
            length: 4,
            step: 1,
            epochs: 4,
            accumulate: 1,
            learning_rate: 1e-3,
            augmentation: Augmentation::Flip,
            ..ViolenceRecipe::default()
        };
        let videos = videos();
        let frames = |_: Part, video: usize, frames: &[usize]| {
            let label = |frame: usize| videos[video].labels[frame] == Some(true);
            let frames = frames.iter();
            let frames = frames.map(|&frame| (frame != 1).then(|| picture(label(frame), frame)));
            Ok(frames.collect::<Vec<_>>().into())
        };
        let run = |checkpoint: Option<&Path>| {
            let encoder = TrainableBackbone::init("convnext-test", 1, &device).expect("is known");
            let network = ViolenceNetwork::new(encoder, &recipe, &device);
            let on_event = |event: TrainingEvent<'_, ViolenceScore>| match event {
                TrainingEvent::Epoch(epoch) if epoch.epoch == 2 => {
                    std::fs::copy(&path, &kept).expect("was written");
                }
                _ => {}
            };
            let parts = [videos.as_slice(), &[]];
            train_end_to_end(
                network, &device, parts, frames, &recipe, checkpoint, on_event,
            )
            .expect("valid data")
        };
        let whole = run(Some(&path));
        let losses: Vec<f64> = whole.report.epochs.iter().map(|epoch| epoch.loss).collect();
        assert!(losses[3] < 0.8 * losses[0], "{losses:?}");
        let before = TrainableBackbone::init("convnext-test", 1, &device).expect("is known");
        assert_ne!(whole.network.backbone_weights(), before.to_weights());

        std::fs::copy(&kept, &path).expect("was written");
        let again = run(Some(&path));
        assert_eq!(again.report.epochs[..2], whole.report.epochs[..2]);
        assert_eq!(again.report.epochs.len(), 4);
        // Dropout draws from numbers that other tests of this process draw from too.
        let close = |a: f64, b: f64| (a - b).abs() < 0.3;
        let last = |it: &TrainedNetwork| it.report.epochs[3].loss;
        assert!(close(last(&again), last(&whole)));
    }

    #[test]
    fn a_network_over_clips_learns_with_its_head() {
        let device = Device::flex().autodiff();
        let recipe = ViolenceRecipe {
            head: TemporalKind::BiLstmConv,
            length: 16,
            step: 1,
            epochs: 8,
            accumulate: 1,
            learning_rate: 1e-3,
            layer_decay: Some(0.9),
            augmentation: Augmentation::Coherent {
                least_area: 0.75,
                colour: 0.1,
            },
            ..ViolenceRecipe::default()
        };
        let videos: Vec<LabelledVideo> = (0..6)
            .map(|number| LabelledVideo {
                name: number.to_string(),
                labels: (0..20)
                    .map(|frame| Some((frame >= 10) == (number % 2 == 0)))
                    .collect(),
            })
            .collect();
        let frames = |_: Part, video: usize, frames: &[usize]| {
            let label = |frame: usize| videos[video].labels[frame] == Some(true);
            let frames = frames.iter();
            let frames = frames.map(|&frame| (frame != 1).then(|| picture(label(frame), frame)));
            Ok(frames.collect::<Vec<_>>().into())
        };
        let run = |recipe: &ViolenceRecipe| {
            let encoder = TrainableBackbone::init("r3d-test", 1, &device).expect("is known");
            let network = ViolenceNetwork::new(encoder, recipe, &device);
            let parts = [videos.as_slice(), &[]];
            train_end_to_end(network, &device, parts, frames, recipe, None, |_| {})
        };
        let trained = run(&recipe).expect("valid data");
        let losses: Vec<f64> = trained.report.epochs.iter().map(|it| it.loss).collect();
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least < 0.9 * losses[0], "{losses:?}");
        let before = TrainableBackbone::init("r3d-test", 1, &device).expect("is known");
        assert_ne!(trained.network.backbone_weights(), before.to_weights());

        let short = ViolenceRecipe {
            length: 8,
            ..recipe
        };
        assert_eq!(
            run(&short).expect_err("too short").to_string(),
            "clips have 8 frames, `r3d-test` looks at 16 at a time"
        );
    }

    #[test]
    fn backbone_and_head_learn_beside_a_second_stream() {
        // Pictures tell nothing here, and one number of the skeletons everything.
        let device = Device::flex().autodiff();
        let recipe = ViolenceRecipe {
            head: TemporalKind::from_name("skeleton-gated-tcn").expect("is one"),
            length: 4,
            step: 1,
            epochs: 8,
            accumulate: 1,
            learning_rate: 1e-3,
            backbone_multiplier: 1.0,
            augmentation: Augmentation::Flip,
            ..ViolenceRecipe::default()
        };
        let videos = videos();
        let run = |width: usize| {
            let frames = |_: Part, video: usize, frames: &[usize]| {
                let rows = frames.iter().flat_map(|&frame| {
                    let violent = videos[video].labels[frame] == Some(true);
                    let mut row = vec![0.1; width];
                    row[7] = if violent { 3.0 } else { -3.0 };
                    row
                });
                Ok(VideoFrames {
                    second: Some(rows.collect()),
                    pictures: frames.iter().map(|_| Some(picture(true, 3))).collect(),
                })
            };
            let encoder = TrainableBackbone::init("convnext-test", 1, &device).expect("is known");
            let network = ViolenceNetwork::new(encoder, &recipe, &device);
            let parts = [videos.as_slice(), &[]];
            train_end_to_end(network, &device, parts, frames, &recipe, None, |_| {})
        };
        let trained = run(406).expect("valid data");
        let losses: Vec<f64> = trained.report.epochs.iter().map(|it| it.loss).collect();
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least < 0.8 * losses[0], "{losses:?}");
        let before = TrainableBackbone::init("convnext-test", 1, &device).expect("is known");
        assert_ne!(trained.network.backbone_weights(), before.to_weights());
        let error = run(405).expect_err("too few numbers");
        assert!(
            error
                .to_string()
                .starts_with("head `skeleton-gated-tcn` reads skeletons behind"),
            "{error}"
        );
    }

    #[test]
    fn parameters_have_published_names_and_go_from_one_network_to_another() {
        let device = Device::flex();
        let encoder = TrainableBackbone::init("convnext-test", 1, &device).expect("is known");
        let network = ViolenceNetwork::new(encoder, &ViolenceRecipe::default(), &device);
        let names: Vec<String> = network
            .parameters()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        for name in [
            "encoder.head.norm.weight",
            "temporal_head.input_proj.weight",
        ] {
            assert!(names.iter().any(|it| it == name), "{name} of {names:?}");
        }
        let table = state::read(&network);
        let other = TrainableBackbone::init("convnext-test", 2, &device).expect("is known");
        let other = ViolenceNetwork::new(other, &ViolenceRecipe::default(), &device);
        let other = state::write(other, &table).expect("the same network");
        assert_eq!(state::read(&other), table);
        assert_eq!(other.backbone_weights(), network.backbone_weights());
    }

    #[test]
    fn a_clip_without_readable_frames_is_black() {
        let red = picture(true, 0);
        let repaired = whole_clip(vec![None, Some(red.clone())], 32);
        assert_eq!(repaired, [red.clone(), red]);
        let black = whole_clip(vec![None, None], 2);
        assert!(black.len() == 2 && black[0].pixels().iter().all(|level| *level == 0));
    }
}
