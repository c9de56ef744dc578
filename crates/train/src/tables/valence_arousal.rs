//! Valence and arousal on the validation part of Aff-Wild2 (HSEmotion team at ABAW-10, table 2).

use burn::tensor::Device;

use super::{
    AUDIO, Published, PublishedRow,
    Source::{Needs, Ours},
    Table,
};
use affectlens::{
    head::ValenceArousal,
    metrics::{Covariance, ValenceArousalScores},
};
use affectlens_data::VideoFeatures;

/// A computed row.
#[derive(Clone, Copy, Debug)]
enum System {
    /// Valence and arousal of the backbone itself.
    Pretrained,
    /// The head, frame by frame.
    Head,
    /// The head, smoothed over that many frames to each side.
    Smoothed(usize),
}

const fn figures(valence: f64, arousal: f64, mean: f64) -> [Option<f64>; 3] {
    [Some(valence), Some(arousal), Some(mean)]
}

#[rustfmt::skip]
const TABLE: Published<System, 3> = {
    use System::{Head, Pretrained, Smoothed};
    Published {
        task: "valence-arousal",
        scores: ["CCC valence", "CCC arousal", "mean"],
        rows: &[
            PublishedRow("V1", "wav2vec 2.0", Needs(AUDIO), figures(-0.011, 0.244, 0.116)),
            PublishedRow("V2", "LibreFace, MLP", Needs("LibreFace"), figures(0.307, 0.418, 0.362)),
            PublishedRow("V3", "MT-DDAMFN, pretrained", Ours(Pretrained), figures(0.413, 0.229, 0.321)),
            PublishedRow("V4", "MT-DDAMFN, MLP", Ours(Head), figures(0.469, 0.538, 0.503)),
            // The figures fit neither window: they lie between both.
            PublishedRow("V5", "V4, smoothing over 25 frames to each side", Ours(Smoothed(25)), figures(0.510, 0.615, 0.562)),
            PublishedRow("V5", "V4, smoothing over 50 frames to each side", Ours(Smoothed(50)), figures(0.510, 0.615, 0.562)),
        ],
    }
};

/// Table 2. `head` is trained on the outputs of the backbone, whose last two are valence and arousal if
/// `has_valence_arousal`.
pub fn valence_arousal_table(
    validation: &VideoFeatures<[f32; 2]>,
    head: &ValenceArousal,
    has_valence_arousal: bool,
) -> Table {
    let labels = validation.labels();
    let predicted = validation
        .outputs
        .forward(&Device::flex(), |batch| head.forward(batch));
    let score = |rows: &[Vec<f32>]| {
        let pairs: Vec<[f32; 2]> = rows.iter().map(|row| [row[0], row[1]]).collect();
        let scores = ValenceArousalScores::new(&pairs, &labels, Covariance::Sample);
        [scores.valence, scores.arousal, scores.mean]
    };
    TABLE.fill(|system| match system {
        System::Pretrained if !has_valence_arousal => {
            Err("a backbone that predicts valence and arousal")
        }
        System::Pretrained => Ok(score(&validation.labelled(&last_two(validation)))),
        System::Head => Ok(score(&validation.labelled(&predicted))),
        System::Smoothed(half_window) => Ok(score(&validation.smoothed(&predicted, half_window))),
    })
}

/// Valence and arousal among the outputs of the backbone.
fn last_two(features: &VideoFeatures<[f32; 2]>) -> Vec<Vec<f32>> {
    let row = |row: Vec<f32>| {
        let own = row[row.len() - 2..].iter();
        own.map(|value| value.clamp(-1.0, 1.0)).collect()
    };
    features.outputs.iter().map(row).collect()
}
