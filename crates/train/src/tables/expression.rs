//! Expressions on the validation part of Aff-Wild2 (HSEmotion team at ABAW-10, table 1).

use burn::tensor::Device;

use super::{Available, HeadWithRows, Published, PublishedRow, Table};
use crate::predict;
use affectlens::{
    calibration::{CalibrationError, softmax, tune_gla},
    filtering::decide,
    fusion::{blend, blend_logarithms},
    head::Mlp,
    label::{AFF_WILD2, Expression},
    metrics::{Confusion, argmax},
};
use affectlens_data::{FeatureRows, VideoFeatures};

/// Frames to each side that are averaged.
const WINDOW: usize = 50;
/// Weight of faces where they are blended with sound.
const FACES: f32 = 0.6;

/// A computed row.
#[derive(Clone, Copy, Debug)]
struct System {
    speaks: Speaks,
    /// Whether class biases are added (GLA).
    gla: bool,
    /// Whether a video is smoothed.
    smooth: bool,
    /// Probability above which the pretrained classifier decides.
    filter: Option<f32>,
}

/// Which heads speak.
#[derive(Clone, Copy, Debug)]
enum Speaks {
    /// That over faces, trained with cross-entropy.
    CrossEntropy,
    /// That over faces, trained with the focal loss.
    Focal,
    /// That over sound.
    Sound,
    /// The first and that over sound, averaged as logarithms.
    Pooled,
    /// The same, averaged as probabilities.
    Blended,
}

const fn system(speaks: Speaks, gla: bool, smooth: bool, filter: Option<f32>) -> System {
    System {
        speaks,
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
    use Speaks::{Blended, CrossEntropy, Focal, Pooled, Sound};
    Published {
        task: "expression",
        scores: ["macro-F1", "accuracy"],
        rows: &[
            PublishedRow("E1", "wav2vec 2.0, focal", system(Sound, false, false, None), figures(0.3050, 0.4008)),
            PublishedRow("E2", "E1, GLA", system(Sound, true, false, None), figures(0.3233, 0.4215)),
            PublishedRow("E3", "E2, smoothing", system(Sound, true, true, None), figures(0.3875, 0.5174)),
            PublishedRow("E4", "EmotiEffNet", system(CrossEntropy, false, false, None), figures(0.3868, 0.4759)),
            PublishedRow("E5", "E4, GLA", system(CrossEntropy, true, false, None), figures(0.4140, 0.5162)),
            PublishedRow("E6", "E5, filter", system(CrossEntropy, true, false, Some(0.9)), figures(0.4250, 0.5222)),
            PublishedRow("E7", "EmotiEffNet, focal", system(Focal, false, false, None), figures(0.3899, 0.5022)),
            PublishedRow("E8", "E7, GLA", system(Focal, true, false, None), figures(0.4018, 0.5190)),
            PublishedRow("E9", "wav2vec 2.0 + EmotiEffNet, GLA", system(Pooled, true, false, None), figures(0.4311, 0.5340)),
            PublishedRow("E10", "E5, smoothing", system(CrossEntropy, true, true, None), figures(0.4485, 0.5541)),
            PublishedRow("E11", "E10, filter", system(CrossEntropy, true, true, Some(0.8)), figures(0.4579, 0.5569)),
            PublishedRow("E12", "E10 + wav2vec 2.0", system(Blended, true, true, None), figures(0.4604, 0.5750)),
            PublishedRow("E13", "E12, filter", system(Blended, true, true, Some(0.8)), figures(0.4740, 0.5798)),
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

/// A head over sound, what the validation frames hear, and the training frames of each class.
#[derive(Debug)]
pub struct HeardExpressions<'a> {
    /// The head and its rows.
    pub sound: HeadWithRows<'a, usize, Mlp>,
    /// Training frames of each class.
    pub counts: &'a [usize],
}

/// Table 1. `cross_entropy` and `focal` are trained heads over [`AFF_WILD2`], `counts` the training frames of each
/// class, `pretrained` the pretrained classifier's classes. Where a frame with a face hears nothing, the face speaks alone.
///
/// # Errors
///
/// [`CalibrationError`] if the biases cannot be tuned.
pub fn expression_table(
    validation: &VideoFeatures<usize>,
    [cross_entropy, focal]: [&Mlp; 2],
    counts: &[usize],
    pretrained: &[Expression],
    heard: &Available<HeardExpressions>,
) -> Result<Table, CalibrationError> {
    let faces = Frames::new(validation);
    let cross_entropy = faces.probabilities(cross_entropy, counts)?;
    let focal = faces.probabilities(focal, counts)?;
    let sure = pretrained_probabilities(&validation.outputs, pretrained);
    let filter = Filter {
        sure: &sure,
        classes: pretrained,
    };
    let heard = match heard {
        Ok(HeardExpressions { sound, counts }) => {
            let frames = Frames::new(sound.validation);
            let probabilities = frames.probabilities(sound.head, counts)?;
            let rows = validation.rows_among(sound.validation);
            let with_sound = |mix: fn(&[f32], &[f32], f32) -> Vec<f32>| {
                let pairs = cross_entropy.adjusted.iter().zip(&rows);
                let mixed = pairs.map(|(face, row)| match row {
                    Some(row) => mix(face, &probabilities.adjusted[*row], FACES),
                    None => face.clone(),
                });
                mixed.collect::<Vec<_>>()
            };
            Ok(Heard {
                pooled: with_sound(blend_logarithms),
                blended: with_sound(blend),
                frames,
                probabilities,
            })
        }
        Err(needs) => Err(needs.clone()),
    };
    Ok(TABLE.fill(|system| {
        let heard = || heard.as_ref().map_err(Clone::clone);
        let rows = match system.speaks {
            Speaks::CrossEntropy => cross_entropy.rows(system),
            Speaks::Focal => focal.rows(system),
            Speaks::Pooled => &heard()?.pooled,
            Speaks::Blended => &heard()?.blended,
            Speaks::Sound => {
                let heard = heard()?;
                let rows = heard.probabilities.rows(system);
                return Ok(heard.frames.score(rows, system, None));
            }
        };
        Ok(faces.score(rows, system, Some(&filter)))
    }))
}

/// What the rows with sound are scored with.
struct Heard<'a> {
    frames: Frames<'a>,
    probabilities: Probabilities,
    /// Of the frames with a face.
    pooled: Vec<Vec<f32>>,
    blended: Vec<Vec<f32>>,
}

/// Probabilities of a head, without and with biases.
struct Probabilities {
    plain: Vec<Vec<f32>>,
    adjusted: Vec<Vec<f32>>,
}

impl Probabilities {
    fn rows(&self, system: System) -> &Vec<Vec<f32>> {
        match system.gla {
            true => &self.adjusted,
            false => &self.plain,
        }
    }
}

/// The pretrained classifier, which decides where it is sure.
struct Filter<'a> {
    /// Its probabilities, a row a crop.
    sure: &'a [Vec<f32>],
    classes: &'a [Expression],
}

impl Filter<'_> {
    /// The class of a frame.
    fn decide(&self, row: &[f32], sure: &[f32], threshold: f32) -> usize {
        let decision =
            decide(row, &AFF_WILD2, sure, self.classes, threshold).expect("a probability a class");
        let class = AFF_WILD2.iter().position(|it| *it == decision.label);
        class.unwrap_or_default()
    }
}

/// Frames with faces or sound, and their labels.
struct Frames<'a> {
    validation: &'a VideoFeatures<usize>,
    labels: Vec<usize>,
}

impl<'a> Frames<'a> {
    fn new(validation: &'a VideoFeatures<usize>) -> Self {
        Self {
            labels: validation.labels(),
            validation,
        }
    }

    fn probabilities(
        &self,
        head: &Mlp,
        counts: &[usize],
    ) -> Result<Probabilities, CalibrationError> {
        let plain = predict(head, &self.validation.embeddings, &Device::flex());
        let labelled = self.validation.labelled(&plain);
        let gla = tune_gla(&labelled, &self.labels, counts)?.gla;
        let adjusted = plain.iter().map(|row| gla.adjust(row)).collect();
        Ok(Probabilities { plain, adjusted })
    }

    /// Macro-F1 and accuracy over the labelled frames.
    fn score(&self, rows: &[Vec<f32>], system: System, filter: Option<&Filter>) -> [f64; 2] {
        let frames = |rows: &[Vec<f32>]| match system.smooth {
            true => self.validation.smoothed(rows, WINDOW),
            false => self.validation.labelled(rows),
        };
        let rows = frames(rows);
        let classes: Vec<usize> = match system.filter.zip(filter) {
            None => rows
                .iter()
                .map(|row| argmax(row).unwrap_or_default())
                .collect(),
            Some((threshold, filter)) => {
                let pairs = rows.iter().zip(frames(filter.sure));
                pairs
                    .map(|(row, sure)| filter.decide(row, &sure, threshold))
                    .collect()
            }
        };
        let confusion = Confusion::from_pairs(AFF_WILD2.len(), &self.labels, &classes);
        [confusion.macro_f1(), confusion.accuracy()]
    }
}
