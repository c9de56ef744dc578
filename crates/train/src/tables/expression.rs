//! Expressions on the validation part of Aff-Wild2 (HSEmotion team at ABAW-10, table 1).

use burn::tensor::Device;

use super::{
    AUDIO, Published, PublishedRow,
    Source::{Needs, Ours},
    Table,
};
use crate::predict;
use affectlens::{
    calibration::{CalibrationError, softmax, tune_gla},
    filtering::decide,
    head::Mlp,
    label::{AFF_WILD2, Expression},
    metrics::{Confusion, argmax},
};
use affectlens_data::{FeatureRows, VideoFeatures};

/// Frames to each side that are averaged.
const WINDOW: usize = 50;

/// A computed row.
#[derive(Clone, Copy, Debug)]
struct System {
    head: Head,
    /// Whether class biases are added (GLA).
    gla: bool,
    /// Whether a video is smoothed.
    smooth: bool,
    /// Probability above which the pretrained classifier decides.
    filter: Option<f32>,
}

/// What a head was trained with.
#[derive(Clone, Copy, Debug)]
enum Head {
    CrossEntropy,
    Focal,
}

const fn system(head: Head, gla: bool, smooth: bool, filter: Option<f32>) -> System {
    System {
        head,
        gla,
        smooth,
        filter,
    }
}

const fn figures(macro_f1: f64, accuracy: f64) -> [Option<f64>; 2] {
    [Some(macro_f1), Some(accuracy)]
}

#[rustfmt::skip]
const TABLE: Published<System, 2> = {
    use Head::{CrossEntropy, Focal};
    Published {
        task: "expression",
        scores: ["macro-F1", "accuracy"],
        rows: &[
            PublishedRow("E1", "wav2vec 2.0, focal", Needs(AUDIO), figures(0.3050, 0.4008)),
            PublishedRow("E2", "E1, GLA", Needs(AUDIO), figures(0.3233, 0.4215)),
            PublishedRow("E3", "E2, smoothing", Needs(AUDIO), figures(0.3875, 0.5174)),
            PublishedRow("E4", "EmotiEffNet", Ours(system(CrossEntropy, false, false, None)), figures(0.3868, 0.4759)),
            PublishedRow("E5", "E4, GLA", Ours(system(CrossEntropy, true, false, None)), figures(0.4140, 0.5162)),
            PublishedRow("E6", "E5, filter", Ours(system(CrossEntropy, true, false, Some(0.9))), figures(0.4250, 0.5222)),
            PublishedRow("E7", "EmotiEffNet, focal", Ours(system(Focal, false, false, None)), figures(0.3899, 0.5022)),
            PublishedRow("E8", "E7, GLA", Ours(system(Focal, true, false, None)), figures(0.4018, 0.5190)),
            PublishedRow("E9", "wav2vec 2.0 + EmotiEffNet, GLA", Needs(AUDIO), figures(0.4311, 0.5340)),
            PublishedRow("E10", "E5, smoothing", Ours(system(CrossEntropy, true, true, None)), figures(0.4485, 0.5541)),
            PublishedRow("E11", "E10, filter", Ours(system(CrossEntropy, true, true, Some(0.8))), figures(0.4579, 0.5569)),
            PublishedRow("E12", "E10 + wav2vec 2.0", Needs(AUDIO), figures(0.4604, 0.5750)),
            PublishedRow("E13", "E12, filter", Needs(AUDIO), figures(0.4740, 0.5798)),
        ],
    }
};

/// Probabilities of the pretrained classifier, one row a crop: softmax over its classes. What its outputs hold beside
/// those, valence and arousal, is left out.
///
/// # Panics
///
/// If there are fewer outputs than classes.
fn pretrained_probabilities(outputs: &FeatureRows, classes: &[Expression]) -> Vec<Vec<f32>> {
    let rows = outputs.iter();
    rows.map(|row| softmax(&row[..classes.len()])).collect()
}

/// Table 1. `cross_entropy` and `focal` are trained heads over [`AFF_WILD2`], `counts` the training frames of each
/// class, `pretrained` the pretrained classifier's classes.
///
/// # Errors
///
/// [`CalibrationError`] if the biases cannot be tuned.
pub fn expression_table(
    validation: &VideoFeatures<usize>,
    cross_entropy: &Mlp,
    focal: &Mlp,
    counts: &[usize],
    pretrained: &[Expression],
) -> Result<Table, CalibrationError> {
    let scoring = Scoring {
        validation,
        labels: validation.labels(),
        sure: pretrained_probabilities(&validation.outputs, pretrained),
        pretrained,
    };
    let heads = [
        scoring.probabilities(cross_entropy, counts)?,
        scoring.probabilities(focal, counts)?,
    ];
    Ok(TABLE.fill(|system| {
        let [plain, adjusted] = &heads[match system.head {
            Head::CrossEntropy => 0,
            Head::Focal => 1,
        }];
        Ok(scoring.score(if system.gla { adjusted } else { plain }, system))
    }))
}

/// What all rows are scored with.
struct Scoring<'a> {
    validation: &'a VideoFeatures<usize>,
    labels: Vec<usize>,
    /// Probabilities of the pretrained classifier.
    sure: Vec<Vec<f32>>,
    pretrained: &'a [Expression],
}

impl Scoring<'_> {
    /// Probabilities of a head, without and with biases.
    fn probabilities(
        &self,
        head: &Mlp,
        counts: &[usize],
    ) -> Result<[Vec<Vec<f32>>; 2], CalibrationError> {
        let plain = predict(head, &self.validation.embeddings, &Device::flex());
        let labelled = self.validation.labelled(&plain);
        let gla = tune_gla(&labelled, &self.labels, counts)?.gla;
        let adjusted = plain.iter().map(|row| gla.adjust(row)).collect();
        Ok([plain, adjusted])
    }

    /// Macro-F1 and accuracy over the labelled frames.
    fn score(&self, rows: &[Vec<f32>], system: System) -> [f64; 2] {
        let frames = |rows: &[Vec<f32>]| match system.smooth {
            true => self.validation.smoothed(rows, WINDOW),
            false => self.validation.labelled(rows),
        };
        let rows = frames(rows);
        let classes: Vec<usize> = match system.filter {
            None => rows
                .iter()
                .map(|row| argmax(row).unwrap_or_default())
                .collect(),
            Some(threshold) => {
                let pairs = rows.iter().zip(frames(&self.sure));
                pairs
                    .map(|(row, sure)| self.filter(row, &sure, threshold))
                    .collect()
            }
        };
        let confusion = Confusion::from_pairs(AFF_WILD2.len(), &self.labels, &classes);
        [confusion.macro_f1(), confusion.accuracy()]
    }

    /// The class of a frame, where the pretrained classifier decides if it is sure.
    fn filter(&self, row: &[f32], sure: &[f32], threshold: f32) -> usize {
        let decision = decide(row, &AFF_WILD2, sure, self.pretrained, threshold)
            .expect("a probability a class");
        let class = AFF_WILD2.iter().position(|it| *it == decision.label);
        class.unwrap_or_default()
    }
}
