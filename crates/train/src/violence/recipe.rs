//! How violence is trained.

use super::layers::layer_of;
use crate::{FitError, UpdateRule};
use affectlens::{
    calibration::{CalibrationError, class_balanced_weights},
    head::TemporalKind,
};

/// What a frame's logits are compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FrameLoss {
    /// Cross-entropy with class weights and label smoothing.
    CrossEntropy {
        /// Part of the label that is spread over both classes, from 0 to below 1.
        smoothing: f32,
    },
    /// Focal loss with class weights, divided by the number of frames.
    Focal {
        /// How fast frames fade that are right already.
        gamma: f32,
    },
}

/// How the loss weighs the classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassWeighting {
    /// `frames / (2 * frames of the class)`.
    Inverse,
    /// By the effective number of samples with this beta, summing to 2.
    Balanced {
        /// From 0 to below 1.
        beta: f64,
    },
}

/// A term of the loss that looks closer at changes between violence and none; half of it is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Boundary {
    /// Weight of the frames about a change.
    pub weight: f32,
    /// Frames to each side.
    pub radius: usize,
}

/// What is done to training frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Augmentation {
    /// Nothing.
    None,
    /// A mirror image with probability one half.
    Flip,
    /// One random operation of TrivialAugmentWide (Müller & Hutter 2021); on frozen features a mirror image stands for
    /// it, where there are features of mirror images.
    TrivialWide,
    /// To all frames of a clip alike: a square part of the picture, a mirror image with probability one half, brightness,
    /// contrast and saturation, and with probability .1 a black rectangle.
    Coherent {
        /// Least area of the part that is seen, above 0 to 1.
        least_area: f64,
        /// How far the factors of the colours go from 1, from 0 to below 1.
        colour: f64,
    },
}

/// How violence is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct ViolenceRecipe {
    /// Network over the frames' features.
    pub head: TemporalKind,
    /// Frames of a clip.
    pub length: usize,
    /// Frames from one to the next of a clip.
    pub step: usize,
    /// Passes over the training videos.
    pub epochs: usize,
    /// Clips that go through the network together.
    pub batch: usize,
    /// Batches whose gradients make one step of the optimiser.
    pub accumulate: usize,
    /// Whether the batches at the end of an epoch that do not fill a step make one of their own. As published they do
    /// not, and the schedule never ends, since it plans for that step.
    pub keeps_partial_step: bool,
    /// How gradients change parameters.
    pub rule: UpdateRule,
    /// Step size before the schedule multiplies it.
    pub learning_rate: f64,
    /// What the highest step size is multiplied by.
    pub peak: f64,
    /// Part of the schedule in which the step size rises.
    pub warm_up: f64,
    /// Least and highest momentum of [`UpdateRule::Nesterov`].
    pub momentum: [f64; 2],
    /// Multiplies the step size of parameters whose name has none of `head`, `lstm` and `drop`.
    pub backbone_multiplier: f64,
    /// Multiplies the step size of the backbone once more for each layer that follows a parameter's own, by their numbers in
    /// the published names; from above 0 to 1.
    pub layer_decay: Option<f64>,
    /// Decay of parameters of two axes and more.
    pub weight_decay: f64,
    /// Largest norm of all gradients together.
    pub gradient_norm: f32,
    /// What is minimised.
    pub loss: FrameLoss,
    /// How the loss weighs the classes.
    pub weighting: ClassWeighting,
    /// Multiplies the weight of violence.
    pub violent_weight: f64,
    /// Extra term about changes.
    pub boundary: Option<Boundary>,
    /// Probability with which a clip is centred on a violent frame.
    pub positive_clips: f64,
    /// What is done to training frames.
    pub augmentation: Augmentation,
    /// Clips of each validation video that every epoch is scored on.
    pub validation_clips: usize,
    /// Start of the random numbers.
    pub seed: u64,
}

impl Default for ViolenceRecipe {
    /// The published recipe of the best system, `convnext_tiny_tcn_clip32`.
    fn default() -> Self {
        Self {
            head: TemporalKind::Tcn,
            length: 32,
            step: 2,
            epochs: 18,
            batch: 2,
            accumulate: 8,
            keeps_partial_step: false,
            rule: UpdateRule::AdamW,
            learning_rate: 6e-5,
            peak: 6.0,
            warm_up: 0.25,
            momentum: [0.85, 0.95],
            backbone_multiplier: 0.15,
            layer_decay: None,
            weight_decay: 5e-4,
            gradient_norm: 1.0,
            loss: FrameLoss::CrossEntropy { smoothing: 0.02 },
            weighting: ClassWeighting::Inverse,
            violent_weight: 1.15,
            boundary: None,
            positive_clips: 0.1,
            augmentation: Augmentation::TrivialWide,
            validation_clips: 11,
            seed: 67,
        }
    }
}

impl ViolenceRecipe {
    /// By what the step sizes of parameters are multiplied, by their published names.
    pub(super) fn multipliers<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> impl Fn(&str) -> f64 {
        let of_backbone = |name: &&str| !is_of_head(name);
        let layers = names.into_iter().filter(of_backbone).map(layer_of);
        let deepest = layers.max().unwrap_or_default();
        let (multiplier, decay) = (self.backbone_multiplier, self.layer_decay.unwrap_or(1.0));
        move |name: &str| {
            if is_of_head(name) {
                return 1.0;
            }
            let behind = deepest.saturating_sub(layer_of(name));
            multiplier * decay.powi(i32::try_from(behind).unwrap_or(i32::MAX))
        }
    }

    /// Optimiser steps an epoch, as they are taken and as they are planned.
    pub(super) fn steps(&self, videos: usize) -> [usize; 2] {
        let batches = videos / self.batch;
        let planned = batches.div_ceil(self.accumulate);
        let taken = batches / self.accumulate;
        let done = match self.keeps_partial_step_of(videos) {
            true => planned,
            false => taken,
        };
        [done, planned]
    }

    /// Whether batches at the end of an epoch that do not fill a step are used: if that is asked for, or if there is no
    /// other step.
    pub(super) fn keeps_partial_step_of(&self, videos: usize) -> bool {
        self.keeps_partial_step || videos / self.batch < self.accumulate
    }

    /// Loss weights of frames without and with violence, from their numbers.
    ///
    /// # Errors
    ///
    /// [`CalibrationError::AbsentClass`] if there is none of either.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "weights are computed in f64 and used in f32"
    )]
    pub fn class_weights(&self, counts: [usize; 2]) -> Result<[f32; 2], CalibrationError> {
        if let Some(class) = counts.iter().position(|&count| count == 0) {
            return Err(CalibrationError::AbsentClass { class });
        }
        Ok(match self.weighting {
            ClassWeighting::Inverse => {
                let [calm, violent] =
                    counts.map(|count| (counts[0] + counts[1]) as f64 / (2 * count) as f64);
                [calm as f32, (violent * self.violent_weight) as f32]
            }
            ClassWeighting::Balanced { beta } => {
                let weights = class_balanced_weights(&counts, beta)?;
                let violent = f64::from(weights[1]) * self.violent_weight;
                let scale = 2.0 / (f64::from(weights[0]) + violent);
                [
                    (f64::from(weights[0]) * scale) as f32,
                    (violent * scale) as f32,
                ]
            }
        })
    }

    /// Confirms that training with this many videos is possible.
    pub(super) fn check(&self, videos: usize) -> Result<(), FitError> {
        self.check_counts()?;
        self.check_numbers()?;
        if self.steps(videos)[0] == 0 {
            return Err(FitError::setting(
                "batch",
                "at most the number of training videos",
                format!("{} of {videos}", self.batch),
            ));
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), FitError> {
        FitError::expect_counts(&[
            ("length of clips", self.length),
            ("step of clips", self.step),
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("accumulated batches", self.accumulate),
            ("validation clips", self.validation_clips),
        ])?;
        match self.head.longest_window() {
            Some(longest) if self.length > longest => Err(FitError::setting(
                "length of clips",
                "at most the frames that this head has positions for",
                format!("{} of {longest}", self.length),
            )),
            _ => Ok(()),
        }
    }

    fn check_numbers(&self) -> Result<(), FitError> {
        const ABOVE_0: (&str, fn(f64) -> bool) = ("a number above 0", |it| it > 0.0);
        const FROM_0: (&str, fn(f64) -> bool) = ("a number of at least 0", |it| it >= 0.0);
        const SHARE: (&str, fn(f64) -> bool) =
            ("a number from 0 to 1", |it| (0.0..=1.0).contains(&it));
        for (what, value, (expected, is_valid)) in [
            ("learning rate", self.learning_rate, ABOVE_0),
            ("peak of the learning rate", self.peak, ABOVE_0),
            ("weight decay", self.weight_decay, FROM_0),
            ("warm-up", self.warm_up, SHARE),
            ("share of violent clips", self.positive_clips, SHARE),
            ("decay of layers", self.layer_decay.unwrap_or(1.0), SHARE),
            ("weight of violence", self.violent_weight, ABOVE_0),
        ] {
            if !(is_valid(value) && value.is_finite()) {
                return Err(FitError::setting(what, expected, value));
            }
        }
        if let Augmentation::Coherent { least_area, colour } = self.augmentation {
            if !(least_area > 0.0 && least_area <= 1.0) {
                let expected = "a number above 0 to 1";
                return Err(FitError::setting(
                    "least area of frames",
                    expected,
                    least_area,
                ));
            }
            if !(0.0..1.0).contains(&colour) {
                let expected = "a number from 0 to below 1";
                return Err(FitError::setting("range of colours", expected, colour));
            }
        }
        match self.loss {
            FrameLoss::CrossEntropy { smoothing } if !(0.0..1.0).contains(&smoothing) => {
                let expected = "a number from 0 to below 1";
                Err(FitError::setting("label smoothing", expected, smoothing))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a parameter trains at the full step size: published code looks for these parts of its name.
fn is_of_head(name: &str) -> bool {
    ["head", "lstm", "drop"].iter().any(|it| name.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_sizes_of_layers_fall_towards_the_input() {
        let recipe = ViolenceRecipe {
            backbone_multiplier: 0.1,
            layer_decay: Some(0.5),
            ..ViolenceRecipe::default()
        };
        let names = [
            "encoder.features.0.0.weight",
            "encoder.features.6.1.norm1.weight",
            "encoder.norm.weight",
            "head.weight",
            // Would be the deepest, were it not at the full step size.
            "temporal_head.layers.9.0.weight",
        ];
        let multiplier = recipe.multipliers(names);
        // Of layers 1, 7 and 0; layer 7 is the last.
        let expected = [0.1 / 64.0, 0.1, 0.1 / 128.0, 1.0, 1.0];
        for (name, expected) in names.into_iter().zip(expected) {
            assert!((multiplier(name) - expected).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn published_steps_and_groups() {
        let recipe = ViolenceRecipe::default();
        assert_eq!(recipe.steps(103), [6, 7], "three batches are dropped");
        assert_eq!(recipe.steps(103)[1] * recipe.epochs, 126);
        assert_eq!(recipe.steps(15), [1, 1], "fewer than a step are all kept");
        for (name, multiplier) in [
            ("encoder.stages.0.blocks.0.conv_dw.weight", 0.15),
            ("encoder.head.norm.weight", 1.0),
            ("encoder.conv_head.weight", 1.0),
            ("temporal_head.input_proj.weight", 1.0),
            ("lstm.weight_ih_l0", 1.0),
        ] {
            assert_eq!(recipe.multipliers([name])(name), multiplier, "{name}");
        }
        for (name, _) in ViolenceRecipe::PRESETS {
            let preset = ViolenceRecipe::preset(name).expect("is one");
            preset.check(103).expect("can be trained");
        }
        assert_eq!(ViolenceRecipe::preset("slowfast"), None);
    }

    #[test]
    fn class_weights_are_the_published_ones() {
        let close = |got: [f32; 2], expected: [f32; 2]| {
            let is_close = |(a, b): (f32, f32)| (a - b).abs() < 1e-3;
            assert!(got.into_iter().zip(expected).all(is_close), "{got:?}");
        };
        let mut recipe = ViolenceRecipe::default();
        close(
            recipe.class_weights([56, 44]).expect("both"),
            [0.893, 1.307],
        );
        recipe.weighting = ClassWeighting::Balanced { beta: 0.9 };
        recipe.violent_weight = 1.5;
        // Effective numbers .1 / (1 - .9) = 1 and .1 / (1 - .81) = .526: 1.310, .690, then .690 * 1.5 and back to 2.
        close(
            recipe.class_weights([1, 2]).expect("both"),
            [1.1176, 0.8824],
        );
        let error = recipe.class_weights([7, 0]).expect_err("no violence");
        assert_eq!(
            error.to_string(),
            "class 1 has no training example, expected at least one"
        );
    }

    #[test]
    fn settings_that_cannot_be_trained_are_refused() {
        let refuse = |change: fn(&mut ViolenceRecipe)| {
            let mut recipe = ViolenceRecipe::default();
            change(&mut recipe);
            recipe.check(20).expect_err("must be refused").to_string()
        };
        assert_eq!(
            refuse(|it| it.batch = 21),
            "batch is 21 of 20, expected at most the number of training videos"
        );
        assert_eq!(
            refuse(|it| {
                it.head = TemporalKind::Transformer { layers: 2 };
                it.length = 129;
            }),
            "length of clips is 129 of 128, expected at most the frames that this head has positions for"
        );
        assert_eq!(
            refuse(|it| it.loss = FrameLoss::CrossEntropy { smoothing: 1.0 }),
            "label smoothing is 1, expected a number from 0 to below 1"
        );
        assert_eq!(
            refuse(|it| it.step = 0),
            "step of clips is 0, expected at least 1"
        );
        let changes: [fn(&mut ViolenceRecipe); 4] = [
            |it| it.epochs = usize::MAX,
            |it| it.batch = usize::MAX,
            |it| it.accumulate = usize::MAX,
            |it| it.validation_clips = 1_000_001,
        ];
        for change in changes {
            let refusal = refuse(change);
            assert!(refusal.ends_with("expected at most 1000000"), "{refusal}");
        }
        assert!(refuse(|it| it.learning_rate = f64::NAN).starts_with("learning rate is NaN"));
    }
}
