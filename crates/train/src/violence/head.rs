//! What all recipes of heads on frozen features share, and which recipe a kind of head has.

use std::{fmt::Debug, path::Path};

use burn::tensor::Device;

use super::{
    TrainedViolence, VideoData, ViolenceError, ViolenceRecipe, ViolenceScore,
    motion::{self, MotionRecipe},
    temporal::TemporalRecipe,
};
use crate::TrainingEvent;
use affectlens::{
    head::{TemporalHead, TemporalKind},
    weights::Weights,
};

/// How a kind of head is trained on the features of a frozen backbone.
pub trait HeadRecipe: Debug {
    /// Settings of the training loop.
    fn settings(&self) -> &ViolenceRecipe;

    /// Whether it takes [`Fold`]s: scores of held-out videos decide how far each part of the head is trusted.
    fn needs_folds(&self) -> bool {
        false
    }

    /// Whether the backbone can be trained too, with [`train_end_to_end`](crate::train_end_to_end).
    fn trains_backbone(&self) -> bool {
        true
    }

    /// Frames per second that the head is made for; `None` for every frame.
    fn frames_per_second(&self) -> Option<f32> {
        None
    }

    /// Names of the parts of the head that a [`Fold`] scores; none if there is only the whole.
    fn parts(&self) -> &'static [&'static str] {
        &[]
    }

    /// Trains a head on the CPU; the epoch with the highest macro-F1 on the validation clips is kept, the last one without
    /// validation videos. `data` are training and validation videos.
    ///
    /// With `checkpoint` every epoch is written to that file, and an interrupted run goes on from there to the same
    /// result.
    ///
    /// # Errors
    ///
    /// [`ViolenceError`] for data or settings that do not fit, a class without frames, a checkpoint of another run, or a
    /// loss that diverges.
    fn train(
        &self,
        data: [&VideoData; 2],
        folds: &[Fold],
        checkpoint: Option<&Path>,
        on_event: &mut dyn FnMut(TrainingEvent<'_, ViolenceScore>),
    ) -> Result<TrainedViolence, ViolenceError>;

    /// Scores of the [`parts`](Self::parts) of a trained head for each video.
    ///
    /// # Errors
    ///
    /// [`ViolenceError`] for parameters or videos that do not fit.
    fn score_parts(&self, _: &Weights, _: &VideoData) -> Result<Vec<PartScores>, ViolenceError> {
        Ok(Vec::new())
    }

    /// Trains without some of the videos, and scores the parts of the head on these.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train).
    fn hold_out(&self, data: &VideoData, held_out: &[usize]) -> Result<Fold, ViolenceError> {
        let videos = 0..data.iter().len();
        let others: Vec<usize> = videos.filter(|video| !held_out.contains(video)).collect();
        let (training, none) = (data.select(&others), VideoData::default());
        let trained = self.train([&training, &none], &[], None, &mut |_| {})?;
        Ok(Fold {
            scores: self.score_parts(&trained.weights, &data.select(held_out))?,
            weights: trained.weights,
            videos: held_out.to_vec(),
        })
    }

    /// The head of a fold, with its parts weighed by the scores of all other folds.
    ///
    /// # Errors
    ///
    /// [`ViolenceError::Weights`] if the scores are not finite.
    ///
    /// # Panics
    ///
    /// If there is no such fold.
    fn head_of(&self, folds: &[Fold], number: usize) -> Result<TemporalHead, ViolenceError> {
        Ok(TemporalHead::load(&folds[number].weights, &Device::flex())?)
    }
}

/// A head that was trained without some of the videos.
#[derive(Clone, Debug)]
pub struct Fold {
    /// Its parameters.
    pub weights: Weights,
    /// The videos that were held out.
    pub videos: Vec<usize>,
    /// Scores of each of them, if the head has [`parts`](HeadRecipe::parts).
    pub scores: Vec<PartScores>,
}

/// How the parts of a head score a video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartScores {
    /// Whether the video is violent.
    pub violent: bool,
    /// Difference of the logits, by part.
    pub parts: [f32; 2],
}

/// The recipe of the kind of head that the settings name.
pub fn head_recipe(settings: ViolenceRecipe) -> Box<dyn HeadRecipe> {
    match settings.head {
        TemporalKind::Motion | TemporalKind::MotionLinear => Box::new(MotionRecipe { settings }),
        _ => Box::new(TemporalRecipe { settings }),
    }
}

/// Settings for a kind of head: ours for the heads of movement, else those of the best published system.
pub fn settings_for(head: TemporalKind) -> ViolenceRecipe {
    match head {
        TemporalKind::Motion | TemporalKind::MotionLinear => motion::settings(head),
        _ => ViolenceRecipe {
            head,
            ..ViolenceRecipe::default()
        },
    }
}
