//! Heads over the features of a backbone that stays as it is.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use serde::Serialize;

use super::{
    Augmentation, LabelledVideo, TrainingEvent, VideoData, ViolenceError, ViolenceRecipe,
    ViolenceScore,
    clips::Clip,
    fit::{ClipNetwork, fit_clips, frame_counts},
    motion,
    score::check_length,
};
use crate::{EpochReport, Fitted};
use affectlens::{
    head::{TemporalConfig, TemporalHead, TemporalKind},
    weights::{Weights, WeightsError},
    windowing::Windows,
};
use affectlens_data::Part;

/// Features of some clips, `[clips, frames, values]`.
fn batch(
    data: &VideoData,
    clips: &[Clip],
    windows: &Windows,
    mut mirror: Option<&mut StdRng>,
    device: &Device,
) -> Tensor<3> {
    let mut values = Vec::with_capacity(clips.len() * windows.length() * data.width());
    for clip in clips {
        let features = data.features(clip.video);
        let frames = windows.frames(clip.start, features.len());
        values.extend(features.clip(&frames, mirror.as_deref_mut()));
    }
    let shape = [clips.len(), windows.length(), data.width()];
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl ClipNetwork for TemporalHead {
    fn parameters(&self) -> Vec<(String, burn::module::ParamId)> {
        self.parameters()
    }

    fn to_weights(&self) -> Weights {
        self.to_weights()
    }

    fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        Self::load(weights, device)
    }
}

/// A trained network and how it went.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedViolence {
    /// Parameters, 32-bit; the metadata names the architecture.
    pub weights: Weights,
    /// How training went.
    pub report: ViolenceReport,
}

/// How the training of a network for violence went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViolenceReport {
    /// Training videos.
    pub videos: usize,
    /// Their labelled frames without and with violence.
    pub frames: [usize; 2],
    /// The epoch whose state was kept.
    pub epoch: usize,
    /// Scores of the validation clips in that epoch, if there are any.
    pub validation: Option<ViolenceScore>,
    /// All epochs.
    pub epochs: Vec<EpochReport<ViolenceScore>>,
}

impl ViolenceReport {
    /// Of a head that is not trained in epochs.
    pub(super) fn without_epochs(training: &VideoData) -> Self {
        Self {
            videos: training.videos().len(),
            frames: frame_counts(training.videos()),
            epoch: 0,
            validation: None,
            epochs: Vec::new(),
        }
    }

    pub(super) fn new<N>(training: &[LabelledVideo], fitted: &Fitted<N, ViolenceScore>) -> Self {
        Self {
            videos: training.len(),
            frames: frame_counts(training),
            epoch: fitted.best.epoch,
            validation: fitted.best.validation,
            epochs: fitted.epochs.clone(),
        }
    }
}

/// Trains a head on the features of a frozen backbone, on the CPU; the epoch with the highest macro-F1 on the validation
/// clips is kept, the last one without validation videos.
///
/// With `checkpoint` an interrupted run goes on where it stopped, to the same result.
///
/// # Errors
///
/// [`ViolenceError`] for data or settings that do not fit, a class without frames, a checkpoint of another run, or a loss
/// that diverges.
pub fn train_violence(
    training: &VideoData,
    validation: &VideoData,
    recipe: &ViolenceRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_>),
) -> Result<TrainedViolence, ViolenceError> {
    let features = training.width();
    for (video, rows) in validation.iter() {
        if rows.width() != features {
            return Err(ViolenceError::Width {
                video: video.name.clone(),
                expected: features,
                got: rows.width(),
            });
        }
    }
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    let windows = Windows::new(recipe.length.max(1), recipe.step.max(1))?;
    let config = TemporalConfig {
        kind: recipe.head,
        features,
    };
    let head = match recipe.head {
        TemporalKind::Motion | TemporalKind::MotionLinear => {
            motion::initial_head(training, recipe, &device)?
        }
        _ => config.init(recipe.seed, &device),
    };
    check_length(&head, recipe.length)?;
    let is_mirrored = recipe.augmentation != Augmentation::None;
    let fitted = fit_clips(
        head,
        &device,
        [training.videos(), validation.videos()],
        recipe,
        checkpoint,
        |head: &TemporalHead, part, clips, random| {
            let (data, device) = match part {
                Part::Training => (training, &device),
                Part::Validation => (validation, &plain),
            };
            let random = random.filter(|_| is_mirrored);
            Ok(head.forward(batch(data, clips, &windows, random, device)))
        },
        on_event,
    )?;
    Ok(TrainedViolence {
        weights: fitted.network.to_weights(),
        report: ViolenceReport::new(training.videos(), &fitted),
    })
}
#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;
    use crate::{FrameFeatures, UpdateRule, score_video};
    use affectlens_data::FeatureRows;

    /// Videos whose violent half has another feature than the rest, with noise.
    fn videos(count: usize, seed: u64) -> VideoData {
        use rand::SeedableRng as _;
        let mut random = StdRng::seed_from_u64(seed);
        let mut data = VideoData::default();
        for number in 0..count {
            let frames = 20 + number % 7;
            let label = |frame: usize| (frame >= 10) == number.is_multiple_of(2);
            let rows = (0..frames).map(|frame| {
                let level = if label(frame) { 1.0 } else { -1.0 };
                [0, 1, 2].map(|_| level + random.random_range(-0.5..0.5_f32))
            });
            let features = FrameFeatures::new(FeatureRows::from_rows(rows).expect("finite"));
            let video = LabelledVideo {
                name: number.to_string(),
                labels: (0..frames).map(|frame| Some(label(frame))).collect(),
            };
            data.push(video, features).expect("fits");
        }
        data
    }

    fn recipe() -> ViolenceRecipe {
        ViolenceRecipe {
            head: TemporalKind::Conv1d,
            length: 8,
            epochs: 5,
            accumulate: 2,
            learning_rate: 0.02,
            augmentation: Augmentation::None,
            ..ViolenceRecipe::default()
        }
    }

    #[test]
    fn violence_is_learned_and_found_in_whole_videos() {
        let (training, validation) = (videos(12, 1), videos(4, 2));
        for rule in [UpdateRule::AdamW, UpdateRule::Nesterov] {
            let recipe = ViolenceRecipe { rule, ..recipe() };
            let trained = train_violence(&training, &validation, &recipe, None, |_| {});
            let TrainedViolence { weights, report } = trained.expect("valid data");
            assert_eq!((report.epochs.len(), report.videos), (5, 12));
            let first = report.epochs.first().expect("five").loss;
            assert!(
                report.epochs.iter().all(|epoch| epoch.loss <= first),
                "{report:?}"
            );
            assert!(
                report.validation.expect("has some").macro_f1 > 0.95,
                "{report:?}"
            );
            let head = TemporalHead::load(&weights, &Device::flex()).expect("was trained");
            let windows = Windows::new(8, 1).expect("above 0");
            for (video, features) in validation.iter() {
                let probabilities = score_video(&head, features, &windows, false).expect("fits");
                let decisions: Vec<_> = probabilities.iter().map(|it| Some(*it >= 0.5)).collect();
                assert_eq!(decisions, video.labels);
            }
        }
    }

    #[test]
    fn data_that_cannot_be_trained_is_refused() {
        let data = videos(4, 1);
        let refuse = |training: &VideoData, validation: &VideoData, recipe: ViolenceRecipe| {
            train_violence(training, validation, &recipe, None, |_| {})
                .expect_err("must be refused")
                .to_string()
        };
        let none = VideoData::default();
        assert_eq!(
            refuse(&none, &none, recipe()),
            "training data has no examples, expected at least one"
        );
        assert!(refuse(&data.select(&[0]), &none, recipe()).starts_with("batch times"));
        let long = ViolenceRecipe {
            head: TemporalKind::Transformer { layers: 1 },
            length: 1000,
            ..recipe()
        };
        assert_eq!(
            refuse(&data, &none, long),
            "windows have 1000 frames, expected at most 128 for this head"
        );
        let mut wide = VideoData::default();
        let rows = FeatureRows::from_rows([[1.0; 5]]).expect("finite");
        let video = LabelledVideo {
            name: "b".to_owned(),
            labels: vec![Some(true)],
        };
        wide.push(video, FrameFeatures::new(rows))
            .expect("one frame");
        assert_eq!(
            refuse(&data, &wide, recipe()),
            "video `b` has features of 5 values, expected 3"
        );
    }
}
