//! The published presets: configurations for DVD in the HSEmotion team's code for ABAW-10.

use super::{Augmentation, Boundary, FrameLoss, ViolenceRecipe};
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

impl ViolenceRecipe {
    /// Published presets by name, each with its backbone for frames.
    pub const PRESETS: [(&'static str, &'static str); 4 + TWO_STREAMS.len()] = [
        ("convnext_tiny_tcn_clip32", "convnext-tiny"),
        ("convnext_tiny_clip32", "convnext-tiny"),
        (TWO_STREAMS[0].0, "convnext-tiny"),
        (TWO_STREAMS[1].0, "convnext-tiny"),
        (TWO_STREAMS[2].0, "convnext-tiny"),
        (TWO_STREAMS[3].0, "convnext-tiny"),
        (TWO_STREAMS[4].0, "convnext-tiny"),
        (TWO_STREAMS[5].0, "convnext-tiny"),
        (TWO_STREAMS[6].0, "convnext-tiny"),
        (TWO_STREAMS[7].0, "convnext-tiny"),
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
            _ => return Self::two_streams(name),
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
            assert_eq!(recipe.multiplier(name), multiplier, "{name}");
        }
    }
}
