//! The published presets: configurations for DVD in the HSEmotion team's code for ABAW-10.

use super::{Augmentation, Boundary, ClassWeighting, FrameLoss, ViolenceRecipe};
use crate::UpdateRule;
use affectlens::head::TemporalKind;

/// Presets of heads over two streams, and the kind of head. All but `twostream_concat_clip32` keep the backbone for frames
/// as `convnext_tiny_clip32` trained it.
const TWO_STREAMS: [(&str, &str); 8] = [
    (
        "skeleton_attention_bilstm_clip32_frozen_rgb",
        "skeleton-attention-bilstm",
    ),
    // The same under the name of a later list.
    ("sk_attn_frozen_ref_v1", "skeleton-attention-bilstm"),
    (
        "skeleton_attention_tcn_clip32_frozen_rgb",
        "skeleton-attention-tcn",
    ),
    ("skeleton_convnext_tiny_clip32", "skeleton-early-bilstm"),
    (
        "skeleton_convnext_tiny_clip32_frozen_rgb",
        "skeleton-early-bilstm",
    ),
    (
        "skeleton_gated_bilstm_clip32_frozen_rgb",
        "skeleton-gated-bilstm",
    ),
    ("twostream_concat_clip32", "flow-concat-bilstm"),
    ("twostream_concat_pretrained_rgb", "flow-concat-bilstm"),
];

/// Presets of heads over one stream of frames, and the backbone. The last is not the team's: the organisers' baseline, with
/// the recipe of the same head.
const ONE_STREAM: [(&str, &str); 5] = [
    ("convnext_tiny_tcn_clip32", "convnext-tiny"),
    ("convnext_tiny_clip32", "convnext-tiny"),
    ("efficientnet_best_reference_07186", "efficientnet-b0"),
    ("resnet18_best_reference_06626", "resnet18"),
    ("resnet50_bilstm", "resnet50"),
];

/// Presets over clips, the backbone and the kind of head. Those named `_temporal` have no preset of their own at the
/// publisher, whose defaults they are; `_push` and those after `slowfast_r50_v2` are its variants, under names of ours.
#[rustfmt::skip]
const OVER_CLIPS: [(&str, &str, TemporalKind); 14] = {
    use TemporalKind::{BiLstmConv, Conv1d};
    [
        ("r3d_18_temporal", "r3d-18", Conv1d),
        ("s3d_temporal", "s3d", Conv1d),
        ("r2plus1d_18_temporal", "r2plus1d-18", Conv1d),
        ("r3d_18_v2", "r3d-18", BiLstmConv),
        ("r3d_18_v2_push", "r3d-18", BiLstmConv),
        ("s3d_v2", "s3d", BiLstmConv),
        ("s3d_v2_push", "s3d", BiLstmConv),
        ("r2plus1d_18_v2", "r2plus1d-18", BiLstmConv),
        ("r2plus1d_18_v2_push", "r2plus1d-18", BiLstmConv),
        ("swin_v2_improved", "swin3d-t", Conv1d),
        ("videomae_small_v2_improved", "videomae-small", Conv1d),
        ("videomae_crime_v2", "videomae-crime", BiLstmConv),
        ("slowfast_r50_v2", "slowfast-r50", BiLstmConv),
        ("slowfast_r50_v2_focal", "slowfast-r50", BiLstmConv),
    ]
};

const PRESETS: usize = ONE_STREAM.len() + TWO_STREAMS.len() + OVER_CLIPS.len();

impl ViolenceRecipe {
    /// Published presets by name, each with its backbone.
    pub const PRESETS: [(&'static str, &'static str); PRESETS] = {
        let mut all = [ONE_STREAM[0]; PRESETS];
        let mut place = 0;
        while place < PRESETS {
            let second = place.saturating_sub(ONE_STREAM.len());
            let third = second.saturating_sub(TWO_STREAMS.len());
            all[place] = if place < ONE_STREAM.len() {
                ONE_STREAM[place]
            } else if second < TWO_STREAMS.len() {
                (TWO_STREAMS[second].0, "convnext-tiny")
            } else {
                (OVER_CLIPS[third].0, OVER_CLIPS[third].1)
            };
            place += 1;
        }
        all
    };

    /// The recipe of a published preset.
    pub fn preset(name: &str) -> Option<Self> {
        let published = Self::default();
        Some(match name {
            "convnext_tiny_tcn_clip32" => published,
            "convnext_tiny_clip32" | "resnet50_bilstm" => Self {
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
            _ => return Self::over_clips(name).or_else(|| Self::two_streams(name)),
        })
    }

    /// The preset of a head over clips.
    fn over_clips(name: &str) -> Option<Self> {
        let (_, _, head) = OVER_CLIPS.iter().find(|(preset, ..)| *preset == name)?;
        let smoothed = |smoothing| FrameLoss::CrossEntropy { smoothing };
        let common = Self {
            head: *head,
            length: 16,
            step: 1,
            epochs: 20,
            batch: 4,
            accumulate: 4,
            learning_rate: 5e-5,
            peak: 5.0,
            backbone_multiplier: 0.1,
            augmentation: Augmentation::Coherent {
                least_area: 0.75,
                colour: 0.1,
            },
            validation_clips: 7,
            ..Self::default()
        };
        Some(match name {
            _ if name.ends_with("_temporal") => Self {
                step: 2,
                epochs: 15,
                learning_rate: 1e-4,
                peak: 10.0,
                warm_up: 0.15,
                loss: smoothed(0.05),
                augmentation: Augmentation::Flip,
                ..common
            },
            _ if name.ends_with("_push") => Self {
                epochs: 25,
                learning_rate: 6e-5,
                peak: 6.0,
                backbone_multiplier: 0.15,
                loss: smoothed(0.01),
                violent_weight: 1.2,
                augmentation: Augmentation::Coherent {
                    least_area: 0.8,
                    colour: 0.08,
                },
                ..common
            },
            "swin_v2_improved" => Self {
                epochs: 16,
                batch: 7,
                accumulate: 3,
                learning_rate: 9e-5,
                peak: 8.0,
                warm_up: 0.2,
                layer_decay: Some(0.85),
                weighting: ClassWeighting::Balanced { beta: 0.9995 },
                violent_weight: 1.05,
                ..common
            },
            "videomae_small_v2_improved" => Self {
                batch: 2,
                accumulate: 6,
                learning_rate: 2e-5,
                peak: 3.0,
                backbone_multiplier: 0.12,
                layer_decay: Some(0.8),
                weight_decay: 1e-4,
                loss: smoothed(0.0),
                weighting: ClassWeighting::Balanced { beta: 0.9997 },
                violent_weight: 1.03,
                ..common
            },
            "videomae_crime_v2" => Self {
                epochs: 16,
                step: 2,
                learning_rate: 2e-5,
                backbone_multiplier: 0.05,
                layer_decay: Some(0.85),
                ..common
            },
            "slowfast_r50_v2" => Self {
                learning_rate: 3e-5,
                ..common
            },
            "slowfast_r50_v2_focal" => Self {
                epochs: 25,
                learning_rate: 4e-5,
                backbone_multiplier: 0.15,
                loss: FrameLoss::Focal { gamma: 1.2 },
                violent_weight: 1.3,
                ..common
            },
            _ => common,
        })
    }

    /// The preset of a head over two streams.
    fn two_streams(name: &str) -> Option<Self> {
        let (_, head) = TWO_STREAMS.iter().find(|(preset, _)| *preset == name)?;
        let published = Self {
            head: TemporalKind::from_name(head)?,
            ..Self::default()
        };
        Some(match *head {
            "flow-concat-bilstm" => Self {
                epochs: 25,
                learning_rate: 5e-5,
                warm_up: 0.2,
                boundary: Some(Boundary {
                    weight: 2.0,
                    radius: 3,
                }),
                ..published
            },
            _ if name == "skeleton_convnext_tiny_clip32_frozen_rgb" => Self {
                epochs: 20,
                learning_rate: 1e-4,
                backbone_multiplier: 1.0,
                warm_up: 0.2,
                ..published
            },
            _ => published,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use affectlens::head::SecondStream;

    fn preset(name: &str) -> ViolenceRecipe {
        ViolenceRecipe::preset(name).expect("is one")
    }

    #[test]
    fn heads_over_two_streams_have_their_published_recipes() {
        let published = preset("convnext_tiny_tcn_clip32");
        let attention = preset("skeleton_attention_bilstm_clip32_frozen_rgb");
        assert_eq!(attention, preset("sk_attn_frozen_ref_v1"));
        let head = attention.head;
        assert_eq!(attention, ViolenceRecipe { head, ..published });
        let early = preset("skeleton_convnext_tiny_clip32_frozen_rgb");
        assert_eq!((early.epochs, early.backbone_multiplier), (20, 1.0));
        assert_eq!(preset("skeleton_convnext_tiny_clip32").epochs, 18);
        let flow = preset("twostream_concat_pretrained_rgb");
        assert_eq!(flow, preset("twostream_concat_clip32"));
        let boundary = flow.boundary.map(|it| (it.weight, it.radius));
        assert_eq!((flow.epochs, boundary), (25, Some((2.0, 3))));
        let streams = TWO_STREAMS.map(|(name, _)| {
            let fusion = preset(name).head.fusion();
            fusion.expect("reads two streams").stream()
        });
        let skeletons = [SecondStream::Skeletons; 6];
        assert_eq!(streams[..6], skeletons);
        assert_eq!(streams[6..], [SecondStream::Flow; 2]);
    }

    #[test]
    fn heads_over_clips_have_their_published_recipes() {
        for (name, backbone, head) in OVER_CLIPS {
            let recipe = preset(name);
            assert_eq!((recipe.head, recipe.length), (head, 16), "{name}");
            assert!(ViolenceRecipe::PRESETS.contains(&(name, backbone)));
        }
        let rows = |name: &str| {
            let it = preset(name);
            let batches = [it.batch, it.accumulate];
            (
                it.epochs,
                it.step,
                batches,
                it.learning_rate,
                it.backbone_multiplier,
                it.peak,
            )
        };
        assert_eq!(rows("r2plus1d_18_v2"), (20, 1, [4, 4], 5e-5, 0.1, 5.0));
        assert_eq!(rows("s3d_v2_push"), (25, 1, [4, 4], 6e-5, 0.15, 6.0));
        assert_eq!(rows("s3d_temporal"), (15, 2, [4, 4], 1e-4, 0.1, 10.0));
        assert_eq!(rows("swin_v2_improved"), (16, 1, [7, 3], 9e-5, 0.1, 8.0));
        let videomae = preset("videomae_small_v2_improved");
        assert_eq!(
            (videomae.layer_decay, videomae.weight_decay),
            (Some(0.8), 1e-4)
        );
        assert_eq!(
            videomae.weighting,
            ClassWeighting::Balanced { beta: 0.9997 }
        );
        // The organisers' baseline differs from the team's system in its backbone.
        assert_eq!(preset("resnet50_bilstm"), preset("convnext_tiny_clip32"));
    }

    #[test]
    fn what_joins_the_streams_trains_at_the_rate_of_a_backbone() {
        let recipe = preset("skeleton_attention_bilstm_clip32_frozen_rgb");
        for (name, multiplier) in [
            ("fusion.cross_attn_rgb.in_proj_weight", 0.15),
            ("fusion.out_norm.weight", 0.15),
            ("skeleton_proj.1.weight", 0.15),
            ("skeleton_denoise.conv.weight", 0.15),
            ("skeleton_reliability_gate.mlp.0.weight", 0.15),
            ("rgb_encoder.stem.0.weight", 0.15),
            ("rgb_encoder.head.norm.weight", 1.0),
            ("lstm.weight_hh_l1_reverse", 1.0),
            ("head.bias", 1.0),
            ("temporal_head.proj.bias", 1.0),
        ] {
            assert_eq!(recipe.multipliers([name])(name), multiplier, "{name}");
        }
    }
}
