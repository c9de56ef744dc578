//! Heads that begin with random weights.

use std::path::Path;

use burn::tensor::Device;

use super::{
    Fold, HeadRecipe, TrainedViolence, VideoData, ViolenceError, ViolenceRecipe, ViolenceScore,
    features::fit_head,
};
use crate::{FitError, TrainingEvent};
use affectlens::head::{FusionKind, TemporalConfig};

/// The published recipe: a network over the frames of a clip.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TemporalRecipe {
    pub(super) settings: ViolenceRecipe,
}

impl HeadRecipe for TemporalRecipe {
    fn settings(&self) -> &ViolenceRecipe {
        &self.settings
    }

    fn train(
        &self,
        data: [&VideoData; 2],
        _: &[Fold],
        checkpoint: Option<&Path>,
        on_event: &mut dyn FnMut(TrainingEvent<'_, ViolenceScore>),
    ) -> Result<TrainedViolence, ViolenceError> {
        self.expect_second_stream(data[0])?;
        if self.settings.head.fusion().is_some() {
            expect_single_frames(&self.settings, data[0])?;
        }
        let config = TemporalConfig {
            kind: self.settings.head,
            features: data[0].width(),
        };
        let head = config.init(self.settings.seed, &Device::flex().autodiff());
        fit_head(head, data, &self.settings, checkpoint, on_event)
    }
}

/// Confirms that there are features of every frame, for a head that reads those alone.
pub(super) fn expect_single_frames(
    settings: &ViolenceRecipe,
    data: &VideoData,
) -> Result<(), ViolenceError> {
    let head = settings.head.name();
    match data.is_over_clips() {
        true => Err(ViolenceError::SingleFrames { head }),
        false => Ok(()),
    }
}

impl TemporalRecipe {
    /// Confirms that there can be a second stream in the features, if the head reads one.
    fn expect_second_stream(&self, data: &VideoData) -> Result<(), ViolenceError> {
        let head = self.settings.head;
        let stream = head.fusion().map(FusionKind::stream);
        match stream {
            Some(_) if data.width() == 0 => Err(FitError::Empty("training").into()),
            Some(stream) if data.width() <= stream.width() => Err(ViolenceError::SecondStream {
                head: head.name(),
                stream: stream.name(),
                second: stream.width(),
                got: data.width(),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::{Augmentation, UpdateRule, head_recipe};
    use affectlens::{
        head::{TemporalHead, TemporalKind},
        windowing::Windows,
    };
    use affectlens_data::{FeatureRows, FrameFeatures, LabelledVideo, score_video};

    /// Videos whose violent half has another feature than the rest, with noise.
    fn videos(count: usize, seed: u64) -> VideoData {
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
            let trained =
                head_recipe(recipe).train([&training, &validation], &[], None, &mut |_| {});
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
    fn a_second_stream_is_learned_where_frames_tell_nothing() {
        // One number of the skeletons tells violence; the frames all look the same.
        let data = |count: usize, seed: u64| {
            let mut random = StdRng::seed_from_u64(seed);
            let mut data = VideoData::default();
            for number in 0..count {
                let label = |frame: usize| (frame >= 10) == number.is_multiple_of(2);
                let rows = (0..20).map(|frame| {
                    let mut row = vec![0.25; 2 + 406];
                    row[2..].fill_with(|| random.random_range(-1.0..1.0));
                    row[9] = if label(frame) { 4.0 } else { -4.0 };
                    row
                });
                let features = FrameFeatures::new(FeatureRows::from_rows(rows).expect("finite"));
                let video = LabelledVideo {
                    name: number.to_string(),
                    labels: (0..20).map(|frame| Some(label(frame))).collect(),
                };
                data.push(video, features).expect("fits");
            }
            data
        };
        let (training, validation) = (data(8, 1), data(2, 2));
        let recipe = ViolenceRecipe {
            head: TemporalKind::from_name("skeleton-gated-tcn").expect("is one"),
            learning_rate: 1e-3,
            backbone_multiplier: 1.0,
            epochs: 6,
            ..recipe()
        };
        let trained = head_recipe(recipe).train([&training, &validation], &[], None, &mut |_| {});
        let report = trained.expect("valid data").report;
        assert!(
            report.validation.expect("has some").macro_f1 > 0.8,
            "{report:?}"
        );
    }

    #[test]
    fn data_that_cannot_be_trained_is_refused() {
        let data = videos(4, 1);
        let refuse = |training: &VideoData, validation: &VideoData, recipe: ViolenceRecipe| {
            head_recipe(recipe)
                .train([training, validation], &[], None, &mut |_| {})
                .expect_err("must be refused")
                .to_string()
        };
        let none = VideoData::default();
        assert_eq!(
            refuse(&none, &none, recipe()),
            "training data has no examples, expected at least one"
        );
        assert!(refuse(&data.select(&[0]), &none, recipe()).starts_with("batch is 2 of 1"));
        let fusion = ViolenceRecipe {
            head: TemporalKind::from_name("skeleton-attention-bilstm").expect("is one"),
            ..recipe()
        };
        assert_eq!(
            refuse(&none, &none, fusion.clone()),
            "training data has no examples, expected at least one"
        );
        assert_eq!(
            refuse(&data, &none, fusion),
            "head `skeleton-attention-bilstm` reads skeletons behind the features of frames, expected more than 406 values a \
             frame, got 3"
        );
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
