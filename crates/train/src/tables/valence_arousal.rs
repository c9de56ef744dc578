//! Valence and arousal on the validation part of Aff-Wild2 (HSEmotion team at ABAW-10, table 2).

use burn::tensor::Device;

use super::{Available, HeadWithRows, Published, PublishedRow, Table};
use affectlens::{
    head::ValenceArousal,
    metrics::{Covariance, ValenceArousalScores},
};
use affectlens_data::VideoFeatures;

/// A computed row.
#[derive(Clone, Copy, Debug)]
enum System {
    /// The head over sound, frame by frame.
    Sound,
    /// The head over LibreFace's scores, frame by frame.
    LibreFace,
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
    use System::{Head, LibreFace, Pretrained, Smoothed, Sound};
    Published {
        task: "valence-arousal",
        scores: ["CCC valence", "CCC arousal", "mean"],
        rows: &[
            PublishedRow("V1", "wav2vec 2.0", Sound, figures(-0.011, 0.244, 0.116)),
            PublishedRow("V2", "LibreFace, MLP", LibreFace, figures(0.307, 0.418, 0.362)),
            PublishedRow("V3", "MT-DDAMFN, pretrained", Pretrained, figures(0.413, 0.229, 0.321)),
            PublishedRow("V4", "MT-DDAMFN, MLP", Head, figures(0.469, 0.538, 0.503)),
            // The figures fit neither window: they lie between both.
            PublishedRow("V5", "V4, smoothing over 25 frames to each side", Smoothed(25), figures(0.510, 0.615, 0.562)),
            PublishedRow("V5", "V4, smoothing over 50 frames to each side", Smoothed(50), figures(0.510, 0.615, 0.562)),
        ],
    }
};

/// A head over rows that are no outputs of the backbone.
type Other<'a> = Available<HeadWithRows<'a, [f32; 2], ValenceArousal>>;

/// Table 2. `head` is trained on the outputs of the backbone, whose last two are valence and arousal if
/// `has_valence_arousal`; `sound` and `libreface` are trained on vectors of sound and on LibreFace's scores.
pub fn valence_arousal_table(
    validation: &VideoFeatures<[f32; 2]>,
    head: &ValenceArousal,
    has_valence_arousal: bool,
    sound: &Other,
    libreface: &Other,
) -> Table {
    let labels = validation.labels();
    let predicted = validation
        .outputs
        .forward(&Device::flex(), |batch| head.forward(batch));
    let score = |rows: &[Vec<f32>]| score(rows, &labels);
    TABLE.fill(|system| match system {
        System::Sound => score_other(sound),
        System::LibreFace => score_other(libreface),
        System::Pretrained if !has_valence_arousal => {
            Err("a backbone that predicts valence and arousal".to_owned())
        }
        System::Pretrained => Ok(score(&validation.labelled(&last_two(validation)))),
        System::Head => Ok(score(&validation.labelled(&predicted))),
        System::Smoothed(half_window) => Ok(score(&validation.smoothed(&predicted, half_window))),
    })
}

/// Concordance of both, and its mean.
fn score(rows: &[Vec<f32>], labels: &[[f32; 2]]) -> [f64; 3] {
    let pairs: Vec<[f32; 2]> = rows.iter().map(|row| [row[0], row[1]]).collect();
    let scores = ValenceArousalScores::new(&pairs, labels, Covariance::Sample);
    [scores.valence, scores.arousal, scores.mean]
}

fn score_other(other: &Other) -> Result<[f64; 3], String> {
    let HeadWithRows { validation, head } = other.as_ref().map_err(Clone::clone)?;
    let predicted = validation
        .embeddings
        .forward(&Device::flex(), |batch| head.forward(batch));
    Ok(score(
        &validation.labelled(&predicted),
        &validation.labels(),
    ))
}

/// Valence and arousal among the outputs of the backbone.
fn last_two(features: &VideoFeatures<[f32; 2]>) -> Vec<Vec<f32>> {
    let row = |row: Vec<f32>| {
        let own = row[row.len() - 2..].iter();
        own.map(|value| value.clamp(-1.0, 1.0)).collect()
    };
    features.outputs.iter().map(row).collect()
}
