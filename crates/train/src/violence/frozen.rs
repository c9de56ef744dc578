//! Heads over the features of a backbone that stays as it is.

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, rngs::StdRng};
use serde::Serialize;

use super::{
    Augmentation, LabelledVideo, TrainingEvent, ViolenceError, ViolenceRecipe, ViolenceScore,
    clips::{Clip, repair},
    fit::{ClipNetwork, fit_clips, frame_counts, values},
    motion,
};
use crate::{EpochReport, Fitted};
use affectlens::{
    head::{TemporalConfig, TemporalHead, TemporalKind},
    weights::{Weights, WeightsError},
    windowing::Windows,
};
use affectlens_data::{FeatureError, FeatureRows, Part};

/// Windows that go through a head together.
const WINDOWS: usize = 16;

/// Features of a video's frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameFeatures {
    /// Features of the pictures that could be read.
    rows: FeatureRows,
    /// The same of their mirror images.
    mirrored: Option<FeatureRows>,
    /// Row of each frame; `None` where no picture can be read.
    places: Vec<Option<usize>>,
    /// Features of a black frame: what a clip without any readable frame is made of.
    black: Vec<f32>,
}

impl FrameFeatures {
    /// Features of frames that can all be read, in their order.
    pub fn new(rows: FeatureRows) -> Self {
        Self {
            places: (0..rows.len()).map(Some).collect(),
            black: vec![0.0; rows.width()],
            rows,
            mirrored: None,
        }
    }

    /// Features of frames that may share pictures or have none: `places` is the row of each frame, `black` are the
    /// features of a black frame.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Width`] if `black` has another width than the rows.
    ///
    /// # Panics
    ///
    /// If a place is no row.
    pub fn with_places(
        rows: FeatureRows,
        places: Vec<Option<usize>>,
        black: Vec<f32>,
    ) -> Result<Self, FeatureError> {
        if !rows.is_empty() && rows.width() != black.len() {
            return Err(FeatureError::Width {
                row: rows.len(),
                expected: rows.width(),
                got: black.len(),
            });
        }
        let is_row = |place: &usize| *place < rows.len();
        assert!(places.iter().flatten().all(is_row), "a place is a row");
        Ok(Self {
            rows,
            mirrored: None,
            places,
            black,
        })
    }

    /// The same with the features of mirror images, one a row.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Width`] if there are not as many, of the same width.
    pub fn with_mirrored(self, mirrored: FeatureRows) -> Result<Self, FeatureError> {
        let shape = |rows: &FeatureRows| [rows.len(), rows.width()];
        if shape(&mirrored) != shape(&self.rows) {
            return Err(FeatureError::Width {
                row: mirrored.len(),
                expected: self.rows.width(),
                got: mirrored.width(),
            });
        }
        Ok(Self {
            mirrored: Some(mirrored),
            ..self
        })
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Numbers of a frame.
    pub fn width(&self) -> usize {
        self.black.len()
    }

    /// The features of some frames, in that order; beyond the end the last frame repeats.
    pub fn select(self, frames: &[usize]) -> Self {
        let last = self.places.len().saturating_sub(1);
        let place = |frame: &usize| self.places.get((*frame).min(last)).copied().flatten();
        Self {
            places: frames.iter().map(place).collect(),
            ..self
        }
    }

    /// Values of a clip, one row a frame; with random numbers each frame is its mirror image with probability one half.
    pub(super) fn clip(&self, frames: &[usize], mut mirror: Option<&mut StdRng>) -> Vec<f32> {
        let is_readable = |frame: usize| self.places[frame].is_some();
        let Some(frames) = repair(frames, is_readable) else {
            return self.black.repeat(frames.len());
        };
        let places = frames.into_iter().filter_map(|frame| self.places[frame]);
        let mut is_mirrored = || {
            mirror
                .as_mut()
                .is_some_and(|random| random.random_bool(0.5))
        };
        let row = |place: usize| match &self.mirrored {
            Some(mirrored) if is_mirrored() => mirrored.row(place),
            _ => self.rows.row(place),
        };
        places.flat_map(row).collect()
    }
}

/// Videos with labels and features.
#[derive(Clone, Debug, Default)]
pub struct VideoData {
    videos: Vec<LabelledVideo>,
    /// Of each video.
    features: Vec<Arc<FrameFeatures>>,
}

impl VideoData {
    /// Adds a video. There are as many frames as labels: features beyond them are left out, the last ones repeat where
    /// there are too few.
    ///
    /// # Errors
    ///
    /// [`ViolenceError::NoFrames`] or [`ViolenceError::Width`].
    pub fn push(
        &mut self,
        video: LabelledVideo,
        features: FrameFeatures,
    ) -> Result<(), ViolenceError> {
        if video.labels.is_empty() || features.is_empty() {
            return Err(ViolenceError::NoFrames { video: video.name });
        }
        if let Some(first) = self.features.first()
            && first.width() != features.width()
        {
            return Err(ViolenceError::Width {
                video: video.name,
                expected: first.width(),
                got: features.width(),
            });
        }
        let frames: Vec<usize> = (0..video.labels.len()).collect();
        self.features.push(Arc::new(features.select(&frames)));
        self.videos.push(video);
        Ok(())
    }

    /// Some of the videos.
    ///
    /// # Panics
    ///
    /// If there is no such video.
    #[must_use]
    pub fn select(&self, videos: &[usize]) -> Self {
        Self {
            videos: videos.iter().map(|&it| self.videos[it].clone()).collect(),
            features: videos.iter().map(|&it| self.features[it].clone()).collect(),
        }
    }

    /// Labels and features of the videos, in order; there are as many of both.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&LabelledVideo, &FrameFeatures)> {
        let features = self.features.iter().map(AsRef::as_ref);
        self.videos.iter().zip(features)
    }

    /// Values of a frame; 0 without videos.
    pub fn width(&self) -> usize {
        self.features.first().map_or(0, |features| features.width())
    }

    fn batch(
        &self,
        clips: &[Clip],
        windows: &Windows,
        mut mirror: Option<&mut StdRng>,
        device: &Device,
    ) -> Tensor<3> {
        let mut values = Vec::with_capacity(clips.len() * windows.length() * self.width());
        for clip in clips {
            let features = &self.features[clip.video];
            let frames = windows.frames(clip.start, features.len());
            values.extend(features.clip(&frames, mirror.as_deref_mut()));
        }
        let shape = [clips.len(), windows.length(), self.width()];
        Tensor::from_data(TensorData::new(values, shape), device)
    }
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
            videos: training.videos.len(),
            frames: frame_counts(&training.videos),
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
    for (video, rows) in validation.videos.iter().zip(&validation.features) {
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
        [&training.videos, &validation.videos],
        recipe,
        checkpoint,
        |head: &TemporalHead, part, clips, random| {
            let (data, device) = match part {
                Part::Training => (training, &device),
                Part::Validation => (validation, &plain),
            };
            let random = random.filter(|_| is_mirrored);
            Ok(head.forward(data.batch(clips, &windows, random, device)))
        },
        on_event,
    )?;
    Ok(TrainedViolence {
        weights: fitted.network.to_weights(),
        report: ViolenceReport::new(&training.videos, &fitted),
    })
}

/// Confirms that a head takes windows of so many frames.
pub(super) fn check_length(head: &TemporalHead, length: usize) -> Result<(), ViolenceError> {
    match head.longest_window() {
        Some(most) if length > most => Err(ViolenceError::Length { most, got: length }),
        _ => Ok(()),
    }
}

/// Violent probability of each frame of a video: the mean over the windows that cover it, 0 where none does. With
/// `viterbi` a head with a conditional random field gives each window's most likely sequence, zeros and ones, instead.
///
/// # Errors
///
/// [`ViolenceError`] if the head takes other features.
pub fn score_video(
    head: &TemporalHead,
    features: &FrameFeatures,
    windows: &Windows,
    viterbi: bool,
) -> Result<Vec<f32>, ViolenceError> {
    let expected = head.config().features;
    if features.width() != expected {
        return Err(ViolenceError::Width {
            video: String::new(),
            expected,
            got: features.width(),
        });
    }
    check_length(head, windows.length())?;
    let frames = features.len();
    let mut probabilities = Vec::new();
    for starts in windows.starts(frames).chunks(WINDOWS) {
        let clip = |start: &usize| features.clip(&windows.frames(*start, frames), None);
        let rows: Vec<f32> = starts.iter().flat_map(clip).collect();
        let shape = [starts.len(), windows.length(), expected];
        let logits = head.forward(Tensor::from_data(
            TensorData::new(rows, shape),
            &Device::flex(),
        ));
        let logits = values(logits);
        let rows = logits.chunks(windows.length() * 2);
        let best = |row: &[f32]| head.decode(row).filter(|_| viterbi);
        probabilities.extend(rows.map(|row| match best(row) {
            Some(path) => path.into_iter().map(|it| f32::from(u8::from(it))).collect(),
            None => head.probabilities(row),
        }));
    }
    Ok(windows.average(&probabilities, frames)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UpdateRule;

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
    fn frames_that_cannot_be_read_are_replaced_within_their_clip() {
        let rows = FeatureRows::from_rows([[1.0], [2.0], [3.0]]).expect("finite");
        let places = vec![None, Some(0), Some(1), None, None, Some(2)];
        let features = FrameFeatures::with_places(rows, places, vec![9.0]).expect("one value");
        assert_eq!(features.clip(&[0, 1, 2, 3], None), [1.0, 1.0, 2.0, 1.0]);
        assert_eq!(features.clip(&[3, 4], None), [9.0, 9.0], "black");
        let mut data = VideoData::default();
        let labels = vec![Some(true); 8];
        let video = LabelledVideo {
            name: "a".to_owned(),
            labels,
        };
        data.push(video, features).expect("has frames");
        let (_, features) = data.iter().next().expect("one");
        assert_eq!(
            features.clip(&[5, 6, 7], None),
            [3.0; 3],
            "the last frame repeats"
        );
        let error = data.push(LabelledVideo::default(), FrameFeatures::default());
        assert!(matches!(error, Err(ViolenceError::NoFrames { .. })));
    }

    #[test]
    fn mirror_images_are_taken_half_of_the_time() {
        use rand::SeedableRng as _;
        let rows = |value: f32| FeatureRows::from_rows(vec![[value]; 300]).expect("finite");
        let features = FrameFeatures::new(rows(0.0))
            .with_mirrored(rows(1.0))
            .expect("fits");
        let frames: Vec<usize> = (0..300).collect();
        let mut random = StdRng::seed_from_u64(5);
        let sum: f32 = features.clip(&frames, Some(&mut random)).iter().sum();
        assert!((100.0..200.0).contains(&sum), "{sum}");
        assert!(
            features
                .clip(&frames, None)
                .iter()
                .all(|value| *value == 0.0)
        );
        assert!(
            FrameFeatures::new(rows(0.0))
                .with_mirrored(FeatureRows::new(1))
                .is_err()
        );
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
