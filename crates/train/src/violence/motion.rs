//! The heads of movement: a network that is trained by gradients, a linear model by logistic regression, and how far
//! each is trusted by the scores of videos that neither has seen.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::{
    Augmentation, Fold, FrameLoss, HeadRecipe, PartScores, TrainedViolence, VideoData,
    ViolenceError, ViolenceRecipe, ViolenceReport, ViolenceScore, WindowFeatures,
    features::fit_head, temporal::expect_single_frames,
};
use crate::{TrainingEvent, logistic::logistic_regression, state::values};
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
/// Frames per second that the heads look at.
const FRAMES_PER_SECOND: f32 = 8.0;
/// Both parts, with the blend of the network, the linear model and a bias in which it stands alone.
const PARTS: [&str; 2] = ["network", "linear"];
const ALONE: [[f32; 3]; 2] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];

/// Our settings: clips of two seconds, strong regularisation, 60 passes.
pub(super) fn settings(head: TemporalKind) -> ViolenceRecipe {
    ViolenceRecipe {
        head,
        length: 16,
        step: 1,
        epochs: 60,
        batch: 64,
        accumulate: 1,
        learning_rate: 1e-3,
        peak: 1.0,
        backbone_multiplier: 1.0,
        weight_decay: 0.3,
        loss: FrameLoss::CrossEntropy { smoothing: 0.0 },
        violent_weight: 1.0,
        positive_clips: 0.0,
        augmentation: Augmentation::None,
        ..ViolenceRecipe::default()
    }
}

/// The recipe of [`TemporalKind::Motion`] and [`TemporalKind::MotionLinear`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MotionRecipe {
    pub(super) settings: ViolenceRecipe,
}

impl HeadRecipe for MotionRecipe {
    fn settings(&self) -> &ViolenceRecipe {
        &self.settings
    }

    fn needs_folds(&self) -> bool {
        true
    }

    fn trains_backbone(&self) -> bool {
        false
    }

    fn frames_per_second(&self) -> Option<f32> {
        Some(FRAMES_PER_SECOND)
    }

    fn parts(&self) -> &'static [&'static str] {
        match self.has_network() {
            true => &PARTS,
            false => &[],
        }
    }

    fn train(
        &self,
        data: [&VideoData; 2],
        folds: &[Fold],
        checkpoint: Option<&Path>,
        on_event: &mut dyn FnMut(TrainingEvent<'_, ViolenceScore>),
    ) -> Result<TrainedViolence, ViolenceError> {
        expect_single_frames(&self.settings, data[0])?;
        // Statistics and linear model are there from the start, and training leaves them as they are.
        let mut trained = match self.has_network() {
            true => {
                let head = self.initial_head(data[0], &Device::flex().autodiff())?;
                fit_head(head, data, &self.settings, checkpoint, on_event)?
            }
            false => TrainedViolence {
                weights: self.initial_head(data[0], &Device::flex())?.to_weights(),
                report: ViolenceReport::without_epochs(data[0].videos()),
            },
        };
        let scores: Vec<PartScores> = folds.iter().flat_map(|fold| fold.scores.clone()).collect();
        write_motion_blend(&mut trained.weights, blend(&scores))?;
        Ok(trained)
    }

    fn score_parts(
        &self,
        weights: &Weights,
        videos: &VideoData,
    ) -> Result<Vec<PartScores>, ViolenceError> {
        let windows = Windows::new(self.settings.length, self.settings.step)?;
        let mut heads = Vec::new();
        for blend in ALONE {
            let mut alone = weights.clone();
            write_motion_blend(&mut alone, blend)?;
            heads.push(TemporalHead::load(&alone, &Device::flex())?);
        }
        let scores = videos.iter().map(|(video, features)| {
            let score = |part: usize| mean_score(&heads[part], features, &windows);
            Ok(PartScores {
                violent: video.labels.contains(&Some(true)),
                parts: [score(0)?, score(1)?],
            })
        });
        scores.collect()
    }

    fn head_of(&self, folds: &[Fold], number: usize) -> Result<TemporalHead, ViolenceError> {
        let others = folds.iter().enumerate().filter(|(it, _)| *it != number);
        let scores: Vec<PartScores> = others.flat_map(|(_, fold)| fold.scores.clone()).collect();
        let mut weights = folds[number].weights.clone();
        write_motion_blend(&mut weights, blend(&scores))?;
        Ok(TemporalHead::load(&weights, &Device::flex())?)
    }
}

impl MotionRecipe {
    fn has_network(&self) -> bool {
        self.settings.head == TemporalKind::Motion
    }

    /// A head with the statistics of the training videos and the linear model, ready to be trained.
    fn initial_head(
        &self,
        data: &VideoData,
        device: &Device,
    ) -> Result<TemporalHead, ViolenceError> {
        let config = TemporalConfig {
            kind: self.settings.head,
            features: data.width(),
        };
        let head = config.init(self.settings.seed, &Device::flex());
        let mut weights = head.to_weights();
        statistics(data, &self.settings)?.write(&mut weights)?;
        Ok(TemporalHead::load(&weights, device)?)
    }
}

/// Weights of network and linear model from the scores of held-out videos; without bias, since both kinds of videos are
/// taken for equally frequent.
#[expect(
    clippy::cast_possible_truncation,
    reason = "fitted in f64, kept in f32"
)]
fn blend(scores: &[PartScores]) -> [f32; 3] {
    if scores.is_empty() {
        return ALONE[0];
    }
    // In units of their spread, so that the penalty takes both alike.
    let scale = [0, 1].map(|part| {
        let squares: f32 = scores.iter().map(|it| it.parts[part].powi(2)).sum();
        (squares / scores.len() as f32).sqrt().max(LEAST_SCALE)
    });
    // Both parts count alike: the labels decide how far the sum is trusted, and cannot favour a part.
    let rows: Vec<Vec<f32>> = scores
        .iter()
        .map(|PartScores { parts, .. }| vec![(parts[0] / scale[0] + parts[1] / scale[1]) / 2.0])
        .collect();
    let labels: Vec<bool> = scores.iter().map(|it| it.violent).collect();
    let (weights, _) = logistic_regression(&rows, &labels, BLEND_PENALTY);
    let trust = weights[0].max(f64::from(LEAST_SCALE)) as f32 / 2.0;
    let weight = |part: usize| match scale[part] {
        LEAST_SCALE => 0.0,
        scale => trust / scale,
    };
    [weight(0), weight(1), 0.0]
}

/// Mean over the windows of a video.
fn mean_score(
    head: &TemporalHead,
    features: &WindowFeatures,
    windows: &Windows,
) -> Result<f32, ViolenceError> {
    let frames = features.len();
    let starts = windows.starts(frames);
    let mut sum = 0.0;
    for start in &starts {
        let rows = features.clip(&windows.frames(*start, frames))?;
        let shape = [1, windows.length(), features.width()];
        let window = Tensor::from_data(TensorData::new(rows, shape), &Device::flex());
        let logits = values(head.forward(window));
        sum += logits[1] - logits[0];
    }
    Ok(sum / starts.len() as f32)
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
    let (mut levels, mut changes, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (video, features) in data.iter() {
        let frames = features.len();
        for start in windows.starts(frames) {
            let rows = features.clip(&windows.frames(start, frames))?;
            let rows: Vec<&[f32]> = rows.chunks(data.width()).collect();
            let [level, change] = mean_level_and_change(&rows);
            levels.push(level);
            changes.push(change);
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

/// Mean of each feature over the frames after the first, and of its absolute change from a frame to the next.
fn mean_level_and_change(rows: &[&[f32]]) -> [Vec<f32>; 2] {
    let pairs = rows.len().max(2) - 1;
    let after = |pair: usize| rows[(pair + 1).min(rows.len() - 1)];
    let mean = |value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
        let feature = |feature| {
            let values = (0..pairs).map(|pair| value(pair, feature));
            values.sum::<f32>() / pairs as f32
        };
        (0..rows[0].len()).map(feature).collect()
    };
    [
        mean(&|pair, feature| after(pair)[feature]),
        mean(&|pair, feature| (after(pair)[feature] - rows[pair][feature]).abs()),
    ]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{head_recipe, settings_for};
    use affectlens_data::{FeatureRows, FrameFeatures, LabelledVideo, score_video};

    /// Violent videos jump from frame to frame, the others drift.
    fn videos() -> VideoData {
        let mut data = VideoData::default();
        for number in 0_u8..8 {
            let violent = number.is_multiple_of(2);
            let rows = (0_u8..20).map(|frame| {
                let jump = if frame.is_multiple_of(2) { 1.0 } else { -1.0 };
                let size = if violent { 1.0 } else { 0.1 };
                [
                    jump * size + f32::from(number) / 10.0,
                    f32::from(frame) / 20.0,
                ]
            });
            let features = FrameFeatures::new(FeatureRows::from_rows(rows).expect("finite"));
            let video = LabelledVideo {
                name: number.to_string(),
                labels: vec![Some(violent); 20],
            };
            data.push(video, features).expect("fits");
        }
        data
    }

    #[test]
    fn movement_is_learned_and_parts_are_weighed_by_held_out_videos() {
        let data = videos();
        for kind in [TemporalKind::Motion, TemporalKind::MotionLinear] {
            let recipe = head_recipe(ViolenceRecipe {
                length: 8,
                epochs: 2,
                batch: 2,
                ..settings_for(kind)
            });
            assert!(recipe.needs_folds() && !recipe.trains_backbone());
            let fold = |held_out: [usize; 2]| recipe.hold_out(&data, &held_out).expect("valid");
            let folds = [fold([0, 1]), fold([2, 3])];
            assert_eq!((&folds[1].videos, folds[1].scores.len()), (&vec![2, 3], 2));

            let head = recipe.head_of(&folds, 1).expect("own head");
            let windows = Windows::new(8, 1).expect("above 0");
            let scored = data.select(&folds[1].videos);
            let scores: Vec<f32> = scored
                .iter()
                .map(|(_, features)| score_video(&head, features, &windows, false))
                .map(|scores| scores.expect("fits")[0])
                .collect();
            assert!(scores[0] > scores[1], "{kind:?}: {scores:?}");

            let none = VideoData::default();
            let trained = recipe
                .train([&data, &none], &folds, None, &mut |_| {})
                .expect("valid data");
            let blend = trained.weights.get("motion.blend").expect("is there");
            let is_used = [0, 1].map(|part: usize| blend.values[part] > 0.0);
            let has_network = kind == TemporalKind::Motion;
            assert_eq!(is_used, [has_network, true], "{blend:?}");
            let epochs = trained.report.epochs.len();
            assert_eq!(epochs, if has_network { 2 } else { 0 });
        }
    }
}
