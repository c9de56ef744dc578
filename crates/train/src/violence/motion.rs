//! The motion head: its network is trained as the others are, its linear model by logistic regression, and scores of
//! videos that neither has seen say how far each is to be trusted.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::{
    FrameFeatures, TrainedViolence, VideoData, ViolenceError, ViolenceRecipe, ViolenceReport,
    fit::values, train_violence,
};
use crate::{TrainingEvent, logistic::logistic_regression};
use affectlens::{
    head::{MotionStatistics, TemporalConfig, TemporalHead, TemporalKind, write_motion_blend},
    weights::Weights,
    windowing::Windows,
};

/// Penalty on the linear model's weights, and on that of the sum of both parts. The first was chosen on the default head's
/// clips.
const LINEAR_PENALTY: f64 = 18.0;
const BLEND_PENALTY: f64 = 0.05;
/// Least scale: features that hardly ever change are not blown up.
const LEAST_SCALE: f32 = 1e-3;

/// A motion head and how each of its parts scores videos that it was not trained on.
#[derive(Debug)]
pub struct MotionFold {
    /// Its network and its linear model, not yet weighed against each other.
    pub weights: Weights,
    /// The videos that were held out.
    pub videos: Vec<usize>,
    /// Whether each is violent, and the score of both parts.
    pub scores: Vec<(bool, [f32; 2])>,
}

impl MotionFold {
    /// Trains without some of the videos and scores these.
    ///
    /// # Errors
    ///
    /// As [`train_violence`].
    pub fn train(
        data: &VideoData,
        held_out: &[usize],
        recipe: &ViolenceRecipe,
    ) -> Result<Self, ViolenceError> {
        let trained: Vec<usize> = (0..data.iter().len())
            .filter(|video| !held_out.contains(video))
            .collect();
        let training = data.select(&trained);
        let weights = train_parts(&training, &VideoData::default(), recipe, None, |_| {})?.weights;
        let windows = Windows::new(recipe.length, recipe.step)?;
        let mut parts = Vec::new();
        for blend in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]] {
            let mut part = weights.clone();
            write_motion_blend(&mut part, blend)?;
            parts.push(TemporalHead::load(&part, &Device::flex())?);
        }
        let scored = data.select(held_out);
        let scores = scored.iter().map(|(video, features)| {
            let of = |part: usize| mean_score(&parts[part], features, &windows);
            (video.labels.contains(&Some(true)), [of(0), of(1)])
        });
        Ok(Self {
            weights,
            videos: held_out.to_vec(),
            scores: scores.collect(),
        })
    }

    /// The head, its parts weighed by what other folds say of them.
    ///
    /// # Errors
    ///
    /// [`ViolenceError::Weights`] if the scores are not finite.
    pub fn head(&self, others: &[&Self]) -> Result<TemporalHead, ViolenceError> {
        let mut weights = self.weights.clone();
        write_motion_blend(&mut weights, blend(others))?;
        Ok(TemporalHead::load(&weights, &Device::flex())?)
    }
}

/// Trains a motion head on all videos; its parts are weighed by what folds of the same videos say of them.
///
/// # Errors
///
/// As [`train_violence`].
pub fn train_motion(
    training: &VideoData,
    validation: &VideoData,
    folds: &[MotionFold],
    recipe: &ViolenceRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_>),
) -> Result<TrainedViolence, ViolenceError> {
    let mut trained = train_parts(training, validation, recipe, checkpoint, on_event)?;
    let folds: Vec<&MotionFold> = folds.iter().collect();
    write_motion_blend(&mut trained.weights, blend(&folds))?;
    Ok(trained)
}

fn train_parts(
    training: &VideoData,
    validation: &VideoData,
    recipe: &ViolenceRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_>),
) -> Result<TrainedViolence, ViolenceError> {
    // Statistics and linear model are there from the start, and training leaves them as they are.
    if recipe.head != TemporalKind::MotionLinear {
        return train_violence(training, validation, recipe, checkpoint, on_event);
    }
    Ok(TrainedViolence {
        weights: initial_head(training, recipe, &Device::flex())?.to_weights(),
        report: ViolenceReport::without_epochs(training),
    })
}

/// Weights of network and linear model from the scores of held-out videos; without bias, since both kinds of videos are
/// taken for equally frequent.
#[expect(
    clippy::cast_possible_truncation,
    reason = "fitted in f64, kept in f32"
)]
fn blend(folds: &[&MotionFold]) -> [f32; 3] {
    let scores: Vec<(bool, [f32; 2])> = folds
        .iter()
        .flat_map(|fold| fold.scores.iter().copied())
        .collect();
    if scores.is_empty() {
        return [1.0, 0.0, 0.0];
    }
    // In units of their spread, so that the penalty takes both alike.
    let scale = [0, 1].map(|part| {
        let squares: f32 = scores.iter().map(|(_, parts)| parts[part].powi(2)).sum();
        (squares / scores.len() as f32).sqrt().max(LEAST_SCALE)
    });
    // Both parts count alike; how far the sum is to be trusted is all that labels say, so that they cannot favour a part.
    let rows: Vec<Vec<f32>> = scores
        .iter()
        .map(|(_, parts)| vec![(parts[0] / scale[0] + parts[1] / scale[1]) / 2.0])
        .collect();
    let labels: Vec<bool> = scores.iter().map(|(violent, _)| *violent).collect();
    let (weights, _) = logistic_regression(&rows, &labels, BLEND_PENALTY);
    let trust = weights[0].max(f64::from(LEAST_SCALE)) as f32 / 2.0;
    let weight = |part: usize| match scale[part] {
        LEAST_SCALE => 0.0,
        scale => trust / scale,
    };
    [weight(0), weight(1), 0.0]
}

/// Mean over the windows of a video.
fn mean_score(head: &TemporalHead, features: &FrameFeatures, windows: &Windows) -> f32 {
    let frames = features.len();
    let starts = windows.starts(frames);
    let scores = starts.iter().map(|start| {
        let rows = features.clip(&windows.frames(*start, frames), None);
        let shape = [1, windows.length(), features.width()];
        let window = Tensor::from_data(TensorData::new(rows, shape), &Device::flex());
        let logits = values(head.forward(window));
        logits[1] - logits[0]
    });
    scores.sum::<f32>() / starts.len() as f32
}

/// Means and scales of features and changes over all windows of the videos, and the linear model.
///
/// # Errors
///
/// [`ViolenceError::Windows`] for windows without frames.
fn statistics(
    data: &VideoData,
    recipe: &ViolenceRecipe,
) -> Result<MotionStatistics, ViolenceError> {
    let windows = Windows::new(recipe.length, recipe.step)?;
    let width = data.width();
    let (mut levels, mut changes, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (video, features) in data.iter() {
        let frames = features.len();
        for start in windows.starts(frames) {
            let rows = features.clip(&windows.frames(start, frames), None);
            let rows: Vec<&[f32]> = rows.chunks(width).collect();
            let pairs = rows.len().max(2) - 1;
            let mean = |value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
                let of = |feature| {
                    (0..pairs).map(|pair| value(pair, feature)).sum::<f32>() / pairs as f32
                };
                (0..width).map(of).collect()
            };
            let after = |pair: usize| rows[(pair + 1).min(rows.len() - 1)];
            levels.push(mean(&|pair, feature| after(pair)[feature]));
            changes.push(mean(&|pair, feature| {
                (after(pair)[feature] - rows[pair][feature]).abs()
            }));
            labels.push(video.labels.contains(&Some(true)));
        }
    }
    let (level_mean, level_scale) = mean_and_scale(&levels);
    let (change_mean, change_scale) = mean_and_scale(&changes);
    for row in &mut changes {
        for ((value, mean), scale) in row.iter_mut().zip(&change_mean).zip(&change_scale) {
            *value = (*value - mean) / scale;
        }
    }
    let (linear, _) = logistic_regression(&changes, &labels, LINEAR_PENALTY);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fitted in f64, kept in f32"
    )]
    let linear = linear.into_iter().map(|it| it as f32).collect();
    Ok(MotionStatistics {
        level_mean,
        level_scale,
        change_mean,
        change_scale,
        linear,
    })
}

/// Mean and standard deviation of each column.
fn mean_and_scale(rows: &[Vec<f32>]) -> (Vec<f32>, Vec<f32>) {
    let width = rows.first().map_or(0, Vec::len);
    let count = rows.len() as f32;
    let column = |column: usize| {
        let mean = rows.iter().map(|row| row[column]).sum::<f32>() / count;
        let squares: f32 = rows.iter().map(|row| (row[column] - mean).powi(2)).sum();
        (mean, (squares / count).sqrt() + LEAST_SCALE)
    };
    (0..width).map(column).unzip()
}

/// A head with the statistics of the training videos, ready to be trained.
pub(super) fn initial_head(
    data: &VideoData,
    recipe: &ViolenceRecipe,
    device: &Device,
) -> Result<TemporalHead, ViolenceError> {
    let config = TemporalConfig {
        kind: recipe.head,
        features: data.width(),
    };
    let mut weights = config.init(recipe.seed, &Device::flex()).to_weights();
    statistics(data, recipe)?.write(&mut weights)?;
    Ok(TemporalHead::load(&weights, device)?)
}
