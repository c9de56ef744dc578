//! Heads on the features of a backbone that stays as it is.

use std::path::Path;

use burn::{
    module::ParamId,
    tensor::{Device, Tensor, TensorData},
};
use rand::{RngExt, rngs::StdRng};

use super::{
    Augmentation, TrainedViolence, VideoData, ViolenceError, ViolenceRecipe, ViolenceReport,
    ViolenceScore,
    clips::Clip,
    training::{ClipSource, fit_clips},
};
use crate::TrainingEvent;
use affectlens::{head::TemporalHead, windowing::Windows};
use affectlens_data::{Part, check_window_length};

/// Features of the frames, computed once.
struct Features<'a> {
    training: &'a VideoData,
    validation: &'a VideoData,
    windows: Windows,
    /// Whether frames become their mirror image at random.
    mirrors: bool,
}

impl ClipSource for Features<'_> {
    type Network = TemporalHead;
    /// Features of the moments of all clips.
    type Frames = Tensor<3>;

    fn parameters(head: &TemporalHead) -> Vec<(String, ParamId)> {
        head.parameters()
    }

    fn frames(
        &self,
        part: Part,
        clips: &[Clip],
        random: Option<&mut StdRng>,
    ) -> Result<Tensor<3>, ViolenceError> {
        let plain = Device::flex();
        let (data, device) = match part {
            Part::Training => (self.training, plain.autodiff()),
            Part::Validation => (self.validation, plain),
        };
        let mut mirror = random.filter(|_| self.mirrors);
        let width = data.width();
        let mut moments = self.windows.length();
        let mut values = Vec::with_capacity(clips.len() * moments * width);
        for clip in clips {
            let features = data.features(clip.video);
            let frames = self.windows.frames(clip.start, features.len());
            moments = features.moments(frames.len());
            let is_mirrored = || {
                let random = mirror.as_deref_mut();
                random.is_some_and(|random| random.random_bool(0.5))
            };
            values.extend(features.augmented_clip(&frames, is_mirrored)?);
        }
        let values = TensorData::new(values, [clips.len(), moments, width]);
        Ok(Tensor::from_data(values, &device))
    }

    fn logits(&self, head: &TemporalHead, frames: Tensor<3>) -> Tensor<3> {
        head.forward_moments(frames, self.windows.length())
    }
}

/// Trains a head on the CPU, starting from one on its autodiff device. The epoch with the highest macro-F1 on the
/// validation clips is kept, the last one without validation videos.
pub(super) fn fit_head(
    head: TemporalHead,
    [training, validation]: [&VideoData; 2],
    recipe: &ViolenceRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_, ViolenceScore>),
) -> Result<TrainedViolence, ViolenceError> {
    let expected = head.config().features;
    for (video, features) in validation.iter() {
        if features.width() != expected {
            return Err(ViolenceError::Width {
                video: video.name.clone(),
                expected,
                got: features.width(),
            });
        }
    }
    check_window_length(&head, recipe.length)?;
    let features = Features {
        training,
        validation,
        windows: Windows::new(recipe.length.max(1), recipe.step.max(1))?,
        mirrors: recipe.augmentation != Augmentation::None,
    };
    let videos = [training.videos(), validation.videos()];
    let fitted = fit_clips(head, features, videos, recipe, checkpoint, on_event)?;
    Ok(TrainedViolence {
        weights: fitted.network.to_weights(),
        report: ViolenceReport::new(training.videos(), &fitted),
    })
}
