//! Violence in the frames of DVD (HSEmotion team at ABAW-10, table 4, and two systems that only the text names), and the
//! organisers' baseline.

use std::collections::BTreeMap;

use super::{Published, PublishedRow, Table};
use crate::{ViolenceRecipe, ViolenceScore};
use affectlens::{
    head::{FusionKind, SecondStream},
    metrics::Confusion,
};

const fn figures(violent: f64, calm: f64, mean: f64) -> [Option<f64>; 3] {
    [Some(violent), Some(calm), Some(mean)]
}

const UNKNOWN: [Option<f64>; 3] = [None; 3];

const fn mean_alone(mean: f64) -> [Option<f64>; 3] {
    [None, None, Some(mean)]
}

/// Computed rows name their preset.
#[rustfmt::skip]
const TABLE: Published<&str, 3> = Published {
    task: "violence",
    scores: ["F1 violent", "F1 non-violent", "macro-F1"],
    rows: &[
        PublishedRow("D0", "organisers' baseline: ResNet-50 + BiLSTM", "resnet50_bilstm", UNKNOWN),
        PublishedRow("D1", "SlowFast-R50", "slowfast_r50_v2", figures(0.303, 0.661, 0.482)),
        PublishedRow("D2", "R3D-18 + Conv1d", "r3d_18_temporal", figures(0.186, 0.797, 0.491)),
        PublishedRow("D3", "S3D + Conv1d", "s3d_temporal", figures(0.268, 0.781, 0.524)),
        PublishedRow("D4", "R(2+1)D-18 + Conv1d", "r2plus1d_18_temporal", figures(0.335, 0.717, 0.526)),
        PublishedRow("D5", "VideoMAE-Crime", "videomae_crime_v2", figures(0.283, 0.781, 0.532)),
        PublishedRow("D6", "VideoMAE-Small", "videomae_small_v2_improved", figures(0.544, 0.659, 0.602)),
        PublishedRow("D7", "S3D + BiLSTM", "s3d_v2", figures(0.462, 0.752, 0.607)),
        PublishedRow("D8", "R(2+1)D + BiLSTM", "r2plus1d_18_v2", figures(0.517, 0.778, 0.647)),
        PublishedRow("D9", "ResNet-18 + Conv1d", "resnet18_best_reference_06626", figures(0.556, 0.769, 0.663)),
        PublishedRow("D10", "Video Swin-T", "swin_v2_improved", figures(0.530, 0.812, 0.671)),
        PublishedRow("D11", "EfficientNet-B0 + BiLSTM", "efficientnet_best_reference_07186", figures(0.681, 0.757, 0.719)),
        PublishedRow("D12", "two streams, concatenated, BiLSTM", "twostream_concat_pretrained_rgb", figures(0.658, 0.801, 0.730)),
        PublishedRow("D13", "two streams, gated, BiLSTM", "skeleton_gated_bilstm_clip32_frozen_rgb", figures(0.669, 0.800, 0.735)),
        PublishedRow("D14", "ConvNeXt-T + skeletons, early", "skeleton_convnext_tiny_clip32", figures(0.692, 0.810, 0.751)),
        PublishedRow("D15", "skeleton attention + TCN", "skeleton_attention_tcn_clip32_frozen_rgb", figures(0.723, 0.797, 0.760)),
        PublishedRow("D16", "skeleton attention + BiLSTM", "skeleton_attention_bilstm_clip32_frozen_rgb", figures(0.715, 0.828, 0.772)),
        PublishedRow("D17", "ConvNeXt-T + BiLSTM", "convnext_tiny_clip32", mean_alone(0.782)),
        PublishedRow("D18", "ConvNeXt-T + TCN", "convnext_tiny_tcn_clip32", mean_alone(0.783)),
    ],
};

/// The presets that have a row.
pub fn violence_presets() -> impl Iterator<Item = &'static str> {
    TABLE.rows.iter().map(|row| row.2)
}

/// Table 4. `ours` are the frames of the validation videos by preset, class 1 violent; rows without are named with what
/// they need. `given` are the second streams that there were.
pub fn violence_table(ours: &BTreeMap<&str, Confusion>, given: &[SecondStream]) -> Table {
    TABLE.fill(|preset| {
        let confusion = ours.get(preset).ok_or_else(|| needs(preset, given))?;
        let score = ViolenceScore::new(confusion);
        Ok([score.violent_f1, score.calm_f1, score.macro_f1])
    })
}

/// What the row of a preset needs.
fn needs(preset: &str, given: &[SecondStream]) -> String {
    let recipe = ViolenceRecipe::preset(preset);
    let fusion = recipe.and_then(|recipe| recipe.head.fusion());
    match fusion.map(FusionKind::stream) {
        Some(stream) if !given.contains(&stream) => stream.name().to_owned(),
        Some(SecondStream::Flow) => "the weights of its backbones".to_owned(),
        _ => "its backbone's weights".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_their_rows_and_others_say_what_they_need() {
        let confusion = Confusion::from_pairs(2, &[0, 1], &[0, 1]);
        let ours = violence_presets().map(|name| (name, confusion.clone()));
        let table = violence_table(&ours.collect(), &[]);
        let computed: Vec<_> = table
            .rows
            .iter()
            .filter(|row| row.needs.is_none())
            .collect();
        let ids: Vec<_> = computed.iter().map(|row| row.id).collect();
        let all: Vec<String> = (0..=18).map(|row| format!("D{row}")).collect();
        assert_eq!(ids, all);
        assert!(computed.iter().all(|row| row.ours == [1.0; 3]));
        let text = |given: &[SecondStream]| violence_table(&BTreeMap::new(), given).markdown();
        let row = "| D14 | ConvNeXt-T + skeletons, early | needs";
        assert!(text(&[]).contains(&format!("{row} skeletons | 0.6920 |")));
        let given = text(&[SecondStream::Skeletons]);
        assert!(given.contains(&format!("{row} its backbone's weights | 0.6920 |")));
        assert!(given.contains("concatenated, BiLSTM | needs optical flow |"));
    }
}
