//! The published presets: configurations for DVD in the HSEmotion team's code for ABAW-10.

use super::{Augmentation, FrameLoss, ViolenceRecipe};
use crate::UpdateRule;
use affectlens::head::TemporalKind;

impl ViolenceRecipe {
    /// Published presets by name, each with its backbone.
    pub const PRESETS: [(&'static str, &'static str); 4] = [
        ("convnext_tiny_tcn_clip32", "convnext-tiny"),
        ("convnext_tiny_clip32", "convnext-tiny"),
        ("efficientnet_best_reference_07186", "efficientnet-b0"),
        ("resnet18_best_reference_06626", "resnet18"),
    ];

    /// The recipe of a published preset.
    pub fn preset(name: &str) -> Option<Self> {
        let published = Self::default();
        Some(match name {
            "convnext_tiny_tcn_clip32" => published,
            "convnext_tiny_clip32" => Self {
                head: TemporalKind::BiLstm,
                epochs: 15,
                learning_rate: 5e-5,
                ..published
            },
            "efficientnet_best_reference_07186" => Self {
                head: TemporalKind::BiLstm,
                length: 16,
                epochs: 12,
                batch: 4,
                accumulate: 4,
                learning_rate: 8e-5,
                backbone_multiplier: 0.2,
                loss: FrameLoss::CrossEntropy { smoothing: 0.0 },
                validation_clips: 7,
                ..published
            },
            "resnet18_best_reference_06626" => Self {
                head: TemporalKind::Conv1d,
                length: 16,
                epochs: 15,
                batch: 4,
                accumulate: 4,
                rule: UpdateRule::Nesterov,
                learning_rate: 1e-3,
                peak: 50.0,
                warm_up: 0.1,
                backbone_multiplier: 1.0,
                loss: FrameLoss::CrossEntropy { smoothing: 0.05 },
                violent_weight: 1.0,
                positive_clips: 0.0,
                augmentation: Augmentation::Flip,
                validation_clips: 7,
                ..published
            },
            _ => return None,
        })
    }
}
