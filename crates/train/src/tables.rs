//! The face tables of the method (SPEC 7.1 to 7.3) on the validation part of Aff-Wild2, beside the published figures.
//!
//! As published, biases, thresholds, windows and the best epoch are chosen on the data that the rows are scored on.

use std::{collections::BTreeMap, fmt::Write as _};

use burn::tensor::Device;
use serde::Serialize;

use affectlens_data::{FeatureRows, VideoFeatures};

use super::{RecipeError, ViolenceScore, action_units::tune_thresholds, predict};
use affectlens::{
    calibration::{ActionUnitScore, ActionUnitSettings, CalibrationError, Gla, softmax, tune_gla},
    filtering::decide,
    head::{ActionUnits, Mlp, ValenceArousal},
    label::{AFF_WILD2, AFF_WILD2_ACTION_UNITS, Expression},
    metrics::{ActionUnitScores, Confusion, Covariance, ValenceArousalScores, argmax},
};

/// One table: rows of systems, columns of scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// Task, as the command line names it.
    pub task: &'static str,
    /// Names of the scores, all in `[-1, 1]`.
    pub scores: Vec<&'static str>,
    /// In the order of the publication.
    pub rows: Vec<TableRow>,
}

/// One system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableRow {
    /// Number in the specification.
    pub id: &'static str,
    /// What it is.
    pub system: &'static str,
    /// Ours, one a score; empty where the row cannot be computed.
    pub ours: Vec<f64>,
    /// The published figures, one a score; `None` where none was published.
    pub published: Vec<Option<f64>>,
    /// What is missing to compute it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<&'static str>,
}

impl Table {
    /// As a Markdown table, with a score a pair of columns.
    pub fn markdown(&self) -> String {
        let mut text = format!("| {} | system |", self.task);
        for score in &self.scores {
            // Writing to a string cannot fail.
            let _ = write!(text, " {score} | published |");
        }
        text.push_str("\n|---|---|");
        text.push_str(&"---:|---:|".repeat(self.scores.len()));
        for row in &self.rows {
            let _ = write!(text, "\n| {} | {} |", row.id, row.system);
            for (place, published) in row.published.iter().enumerate() {
                let ours = match (row.ours.get(place), row.needs) {
                    (Some(ours), _) => format!("{ours:.4}"),
                    (None, Some(needs)) if place == 0 => format!("needs {needs}"),
                    (None, _) => String::new(),
                };
                let published = published.map_or_else(String::new, |it| format!("{it:.4}"));
                let _ = write!(text, " {ours} | {published} |");
            }
        }
        text.push('\n');
        text
    }
}

const AUDIO: &str = "audio";

/// Rows of one table.
struct Rows(Vec<TableRow>);

impl Rows {
    fn add(
        &mut self,
        id: &'static str,
        system: &'static str,
        ours: Vec<f64>,
        published: &[Option<f64>],
    ) {
        self.0.push(TableRow {
            id,
            system,
            ours,
            published: published.to_vec(),
            needs: None,
        });
    }

    fn lack(
        &mut self,
        id: &'static str,
        system: &'static str,
        needs: &'static str,
        published: &[Option<f64>],
    ) {
        self.0.push(TableRow {
            id,
            system,
            ours: Vec::new(),
            published: published.to_vec(),
            needs: Some(needs),
        });
    }
}

/// Probabilities of the pretrained classifier, one row a crop: softmax over its classes. What its outputs hold beside
/// those, valence and arousal, is left out.
///
/// # Panics
///
/// If there are fewer outputs than classes.
pub fn pretrained_probabilities(outputs: &FeatureRows, classes: &[Expression]) -> Vec<Vec<f32>> {
    let rows = outputs.iter();
    rows.map(|row| softmax(&row[..classes.len()])).collect()
}

/// Frames to each side: E10, E11.
const EXPRESSION_WINDOW: usize = 50;

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
    let labels = validation.labels();
    let score = |rows: &[Vec<f32>]| {
        let mut confusion = Confusion::new(AFF_WILD2.len());
        for (row, label) in rows.iter().zip(&labels) {
            confusion.add(*label, argmax(row).unwrap_or_default());
        }
        vec![confusion.macro_f1(), confusion.accuracy()]
    };
    let probabilities = |mlp: &Mlp| predict(mlp, &validation.embeddings, &Device::flex());
    let tuned = |rows: &[Vec<f32>]| -> Result<Gla, CalibrationError> {
        Ok(tune_gla(&validation.labelled(rows), &labels, counts)?.gla)
    };
    let adjust = |gla: &Gla, rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
        rows.iter().map(|row| gla.adjust(row)).collect()
    };
    let filter = |rows: &[Vec<f32>], sure: &[Vec<f32>], threshold: f32| {
        let mut confusion = Confusion::new(AFF_WILD2.len());
        for ((row, sure), label) in rows.iter().zip(sure).zip(&labels) {
            let decision = decide(row, &AFF_WILD2, sure, pretrained, threshold)
                .expect("a probability a class");
            let class = AFF_WILD2.iter().position(|it| *it == decision.label);
            confusion.add(*label, class.unwrap_or_default());
        }
        vec![confusion.macro_f1(), confusion.accuracy()]
    };

    let plain = probabilities(cross_entropy);
    let adjusted = adjust(&tuned(&plain)?, &plain);
    let focal = probabilities(focal);
    let focal_adjusted = adjust(&tuned(&focal)?, &focal);
    let sure = pretrained_probabilities(&validation.outputs, pretrained);
    let smooth = |rows: &[Vec<f32>]| validation.smoothed(rows, EXPRESSION_WINDOW);

    let mut rows = Rows(Vec::new());
    let published = |f1: f64, accuracy: f64| [Some(f1), Some(accuracy)];
    rows.lack(
        "E1",
        "wav2vec 2.0, focal",
        AUDIO,
        &published(0.3050, 0.4008),
    );
    rows.lack("E2", "E1, GLA", AUDIO, &published(0.3233, 0.4215));
    rows.lack("E3", "E2, smoothing", AUDIO, &published(0.3875, 0.5174));
    let frames = |rows: &[Vec<f32>]| score(&validation.labelled(rows));
    rows.add(
        "E4",
        "EmotiEffNet",
        frames(&plain),
        &published(0.3868, 0.4759),
    );
    rows.add(
        "E5",
        "E4, GLA",
        frames(&adjusted),
        &published(0.4140, 0.5162),
    );
    let filtered = filter(
        &validation.labelled(&adjusted),
        &validation.labelled(&sure),
        0.9,
    );
    rows.add("E6", "E5, filter", filtered, &published(0.4250, 0.5222));
    rows.add(
        "E7",
        "EmotiEffNet, focal",
        frames(&focal),
        &published(0.3899, 0.5022),
    );
    rows.add(
        "E8",
        "E7, GLA",
        frames(&focal_adjusted),
        &published(0.4018, 0.5190),
    );
    rows.lack(
        "E9",
        "wav2vec 2.0 + EmotiEffNet, GLA",
        AUDIO,
        &published(0.4311, 0.5340),
    );
    let smoothed = smooth(&adjusted);
    rows.add(
        "E10",
        "E5, smoothing",
        score(&smoothed),
        &published(0.4485, 0.5541),
    );
    let filtered = filter(&smoothed, &smooth(&sure), 0.8);
    rows.add("E11", "E10, filter", filtered, &published(0.4579, 0.5569));
    rows.lack(
        "E12",
        "E10 + wav2vec 2.0",
        AUDIO,
        &published(0.4604, 0.5750),
    );
    rows.lack("E13", "E12, filter", AUDIO, &published(0.4740, 0.5798));
    Ok(Table {
        task: "expression",
        scores: vec!["macro-F1", "accuracy"],
        rows: rows.0,
    })
}

/// Table 2. `head` is trained on the outputs of the backbone, whose last two are valence and arousal if
/// `says_valence_arousal`.
pub fn valence_arousal_table(
    validation: &VideoFeatures<[f32; 2]>,
    head: &ValenceArousal,
    says_valence_arousal: bool,
) -> Table {
    let labels = validation.labels();
    let score = |rows: &[Vec<f32>]| {
        let pairs: Vec<[f32; 2]> = rows.iter().map(|row| [row[0], row[1]]).collect();
        let scores = ValenceArousalScores::new(&pairs, &labels, Covariance::Sample);
        vec![scores.valence, scores.arousal, scores.mean]
    };
    let mut rows = Rows(Vec::new());
    let published = |v: f64, a: f64, mean: f64| [Some(v), Some(a), Some(mean)];
    rows.lack("V1", "wav2vec 2.0", AUDIO, &published(-0.011, 0.244, 0.116));
    rows.lack(
        "V2",
        "LibreFace, MLP",
        "LibreFace",
        &published(0.307, 0.418, 0.362),
    );
    let figures = published(0.413, 0.229, 0.321);
    if says_valence_arousal {
        let own: Vec<Vec<f32>> = validation
            .outputs
            .iter()
            .map(|row| {
                row[row.len() - 2..]
                    .iter()
                    .map(|it| it.clamp(-1.0, 1.0))
                    .collect()
            })
            .collect();
        let own = score(&validation.labelled(&own));
        rows.add("V3", "MT-DDAMFN, pretrained", own, &figures);
    } else {
        let needs = "a backbone that says valence and arousal";
        rows.lack("V3", "MT-DDAMFN, pretrained", needs, &figures);
    }
    let predicted = validation
        .outputs
        .forward(&Device::flex(), |batch| head.forward(batch));
    let frames = score(&validation.labelled(&predicted));
    rows.add(
        "V4",
        "MT-DDAMFN, MLP",
        frames,
        &published(0.469, 0.538, 0.503),
    );
    let figures = published(0.510, 0.615, 0.562);
    let smoothed = |half_window| score(&validation.smoothed(&predicted, half_window));
    rows.add(
        "V5",
        "V4, smoothing over 25 frames to each side",
        smoothed(25),
        &figures,
    );
    rows.add(
        "V5",
        "V4, smoothing over 50 frames to each side",
        smoothed(50),
        &figures,
    );
    Table {
        task: "valence-arousal",
        scores: vec!["CCC valence", "CCC arousal", "mean"],
        rows: rows.0,
    }
}

/// Table 3. The first score compares probabilities, the second one logits: how the published figures came about, with
/// thresholds that were tuned on probabilities.
///
/// # Errors
///
/// [`RecipeError`] if the thresholds cannot be tuned.
pub fn action_unit_table(
    validation: &VideoFeatures<[bool; 12]>,
    head: &ActionUnits,
) -> Result<Table, RecipeError> {
    let labels = validation.labels();
    let device = Device::flex();
    let embedding = validation
        .embeddings
        .forward(&device, |batch| head.embedding.forward(batch));
    let logits = validation
        .outputs
        .forward(&device, |batch| head.logits.forward(batch));
    let blended = |weight: f32, score: ActionUnitScore| -> Vec<Vec<f32>> {
        let settings = ActionUnitSettings {
            blend: weight,
            score,
            ..ActionUnitSettings::neutral(&AFF_WILD2_ACTION_UNITS)
        };
        let pairs = embedding.iter().zip(&logits);
        pairs
            .map(|(one, other)| settings.blend(one, other))
            .collect()
    };
    let mut rows = Rows(Vec::new());
    rows.lack("A1", "wav2vec 2.0", AUDIO, &[None, Some(0.313)]);
    for (weight, system, table) in [
        (
            0.0,
            [
                "logits",
                "logits, tuned thresholds",
                "logits, smoothing",
                "logits, smoothing, tuned thresholds",
            ],
            [
                ("A2", 0, 0.475),
                ("A3", 0, 0.483),
                ("A4", 7, 0.486),
                ("A5", 7, 0.493),
            ],
        ),
        (
            1.0,
            [
                "embeddings",
                "embeddings, tuned thresholds",
                "embeddings, smoothing",
                "embeddings, smoothing, tuned thresholds",
            ],
            [
                ("A6", 0, 0.527),
                ("A7", 0, 0.529),
                ("A8", 5, 0.540),
                ("A9", 5, 0.542),
            ],
        ),
        (
            0.5,
            [
                "both",
                "both, tuned thresholds",
                "both, smoothing",
                "both, smoothing, tuned thresholds",
            ],
            [
                ("A10", 0, 0.537),
                ("A11", 0, 0.539),
                ("A12", 7, 0.546),
                ("A13", 5, 0.547),
            ],
        ),
    ] {
        let scores = [ActionUnitScore::Probability, ActionUnitScore::Logit]
            .map(|score| blended(weight, score));
        let tuned = tune_thresholds(&validation.labelled(&scores[0]), &labels)?.thresholds;
        for ((place, (id, half_window, published)), system) in
            table.into_iter().enumerate().zip(system)
        {
            let thresholds = if place % 2 == 1 {
                tuned.clone()
            } else {
                vec![0.5; tuned.len()]
            };
            let ours = scores.iter().map(|scores| {
                let scores = if half_window == 0 {
                    validation.labelled(scores)
                } else {
                    validation.smoothed(scores, half_window)
                };
                ActionUnitScores::new(&scores, &labels, &thresholds, &AFF_WILD2_ACTION_UNITS)
                    .mean_f1
            });
            rows.add(id, system, ours.collect(), &[None, Some(published)]);
        }
    }
    Ok(Table {
        task: "action-units",
        scores: vec!["mean F1", "mean F1 on logits"],
        rows: rows.0,
    })
}

/// Table 4 and the two systems that only the text names (SPEC 7.4). `ours` are the frames of the validation videos by
/// preset, class 1 violent; rows without are named with what they need.
pub fn violence_table(ours: &BTreeMap<&str, Confusion>) -> Table {
    const VIDEO: &str = "a video backbone";
    const SKELETONS: &str = "skeletons";
    const FLOW: &str = "optical flow";
    const WEIGHTS: &str = "its backbone's weights";
    let mut rows = Rows(Vec::new());
    let all = |[violent, calm, mean]: [f64; 3]| [Some(violent), Some(calm), Some(mean)];
    let text = |mean: f64| [None, None, Some(mean)];
    for (id, system, needs, published) in [
        ("D1", "SlowFast-R50", VIDEO, all([0.303, 0.661, 0.482])),
        ("D2", "R3D-18 + Conv1d", VIDEO, all([0.186, 0.797, 0.491])),
        ("D3", "S3D + Conv1d", VIDEO, all([0.268, 0.781, 0.524])),
        (
            "D4",
            "R(2+1)D-18 + Conv1d",
            VIDEO,
            all([0.335, 0.717, 0.526]),
        ),
        ("D5", "VideoMAE-Crime", VIDEO, all([0.283, 0.781, 0.532])),
        ("D6", "VideoMAE-Small", VIDEO, all([0.544, 0.659, 0.602])),
        ("D7", "S3D + BiLSTM", VIDEO, all([0.462, 0.752, 0.607])),
        ("D8", "R(2+1)D + BiLSTM", VIDEO, all([0.517, 0.778, 0.647])),
        (
            "D9",
            "ResNet-18 + Conv1d",
            WEIGHTS,
            all([0.556, 0.769, 0.663]),
        ),
        ("D10", "Video Swin-T", VIDEO, all([0.530, 0.812, 0.671])),
        (
            "D11",
            "EfficientNet-B0 + BiLSTM",
            WEIGHTS,
            all([0.681, 0.757, 0.719]),
        ),
        (
            "D12",
            "two streams, concatenated, BiLSTM",
            FLOW,
            all([0.658, 0.801, 0.730]),
        ),
        (
            "D13",
            "two streams, gated, BiLSTM",
            SKELETONS,
            all([0.669, 0.800, 0.735]),
        ),
        (
            "D14",
            "ConvNeXt-T + skeletons, early",
            SKELETONS,
            all([0.692, 0.810, 0.751]),
        ),
        (
            "D15",
            "skeleton attention + TCN",
            SKELETONS,
            all([0.723, 0.797, 0.760]),
        ),
        (
            "D16",
            "skeleton attention + BiLSTM",
            SKELETONS,
            all([0.715, 0.828, 0.772]),
        ),
        ("D17", "ConvNeXt-T + BiLSTM", WEIGHTS, text(0.782)),
        ("D18", "ConvNeXt-T + TCN", WEIGHTS, text(0.783)),
    ] {
        let preset = match id {
            "D9" => "resnet18_best_reference_06626",
            "D11" => "efficientnet_best_reference_07186",
            "D17" => "convnext_tiny_clip32",
            "D18" => "convnext_tiny_tcn_clip32",
            _ => "",
        };
        match ours.get(preset) {
            Some(confusion) => {
                let score = ViolenceScore::new(confusion);
                let ours = vec![score.violent_f1, score.calm_f1, score.macro_f1];
                rows.add(id, system, ours, &published);
            }
            None => rows.lack(id, system, needs, &published),
        }
    }
    Table {
        task: "violence",
        scores: vec!["F1 violent", "F1 non-violent", "macro-F1"],
        rows: rows.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_their_rows_and_others_say_what_they_need() {
        let confusion = Confusion::from_pairs(2, &[0, 1], &[0, 1]);
        let presets = crate::ViolenceRecipe::PRESETS.map(|(name, _)| name);
        let ours = presets.map(|name| (name, confusion.clone()));
        let table = violence_table(&ours.into_iter().collect());
        let computed: Vec<_> = table
            .rows
            .iter()
            .filter(|row| row.needs.is_none())
            .collect();
        let ids: Vec<_> = computed.iter().map(|row| row.id).collect();
        assert_eq!(ids, ["D9", "D11", "D17", "D18"]);
        assert!(computed.iter().all(|row| row.ours == [1.0; 3]));
        assert_eq!(table.rows.len(), 18);
        let text = violence_table(&BTreeMap::new()).markdown();
        assert!(
            text.contains("| D14 | ConvNeXt-T + skeletons, early | needs skeletons | 0.6920 |")
        );
    }
}
