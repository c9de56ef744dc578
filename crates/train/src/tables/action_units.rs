//! Action units on the validation part of Aff-Wild2 (HSEmotion team at ABAW-10, table 3).

use burn::tensor::Device;

use super::{
    AUDIO, Published, PublishedRow,
    Source::{Needs, Ours},
    Table,
};
use crate::{RecipeError, action_units::tune_thresholds};
use affectlens::{
    calibration::{ActionUnitScore, ActionUnitSettings},
    head::ActionUnits,
    label::AFF_WILD2_ACTION_UNITS,
    metrics::ActionUnitScores,
};
use affectlens_data::VideoFeatures;

/// A computed row.
#[derive(Clone, Copy, Debug)]
struct System {
    networks: Networks,
    /// Whether each action unit has a threshold of its own instead of .5.
    tuned: bool,
    /// Frames to each side that are averaged; 0 for none.
    half_window: usize,
}

/// Which of the two networks speak.
#[derive(Clone, Copy, Debug)]
enum Networks {
    Logits,
    Embeddings,
    Both,
}

impl Networks {
    const ALL: [Self; 3] = [Self::Logits, Self::Embeddings, Self::Both];

    /// Weight of the network over embeddings.
    fn blend(self) -> f32 {
        match self {
            Self::Logits => 0.0,
            Self::Embeddings => 1.0,
            Self::Both => 0.5,
        }
    }
}

const fn system(networks: Networks, tuned: bool, half_window: usize) -> System {
    System {
        networks,
        tuned,
        half_window,
    }
}

#[rustfmt::skip]
const TABLE: Published<System, 2> = {
    use Networks::{Both, Embeddings, Logits};
    Published {
        task: "action-units",
        scores: ["mean F1", "mean F1 on logits"],
        rows: &[
            PublishedRow("A1", "wav2vec 2.0", Needs(AUDIO), [None, Some(0.313)]),
            PublishedRow("A2", "logits", Ours(system(Logits, false, 0)), [None, Some(0.475)]),
            PublishedRow("A3", "logits, tuned thresholds", Ours(system(Logits, true, 0)), [None, Some(0.483)]),
            PublishedRow("A4", "logits, smoothing", Ours(system(Logits, false, 7)), [None, Some(0.486)]),
            PublishedRow("A5", "logits, smoothing, tuned thresholds", Ours(system(Logits, true, 7)), [None, Some(0.493)]),
            PublishedRow("A6", "embeddings", Ours(system(Embeddings, false, 0)), [None, Some(0.527)]),
            PublishedRow("A7", "embeddings, tuned thresholds", Ours(system(Embeddings, true, 0)), [None, Some(0.529)]),
            PublishedRow("A8", "embeddings, smoothing", Ours(system(Embeddings, false, 5)), [None, Some(0.540)]),
            PublishedRow("A9", "embeddings, smoothing, tuned thresholds", Ours(system(Embeddings, true, 5)), [None, Some(0.542)]),
            PublishedRow("A10", "both", Ours(system(Both, false, 0)), [None, Some(0.537)]),
            PublishedRow("A11", "both, tuned thresholds", Ours(system(Both, true, 0)), [None, Some(0.539)]),
            PublishedRow("A12", "both, smoothing", Ours(system(Both, false, 7)), [None, Some(0.546)]),
            PublishedRow("A13", "both, smoothing, tuned thresholds", Ours(system(Both, true, 5)), [None, Some(0.547)]),
        ],
    }
};

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
    let outputs = Outputs::new(validation, head);
    let mut scored = Vec::new();
    for networks in Networks::ALL {
        let scores = [ActionUnitScore::Probability, ActionUnitScore::Logit]
            .map(|score| outputs.blend(networks, score));
        let tuned = tune_thresholds(&validation.labelled(&scores[0]), &labels)?.thresholds;
        scored.push((scores, tuned));
    }
    Ok(TABLE.fill(|system| {
        let System {
            networks,
            tuned: is_tuned,
            half_window,
        } = system;
        let (scores, tuned) = &scored[networks as usize];
        let thresholds = match is_tuned {
            true => tuned.clone(),
            false => vec![0.5; tuned.len()],
        };
        let frames = |scores: &[Vec<f32>]| match half_window {
            0 => validation.labelled(scores),
            _ => validation.smoothed(scores, half_window),
        };
        Ok([0, 1].map(|kind: usize| {
            let scores = frames(&scores[kind]);
            ActionUnitScores::new(&scores, &labels, &thresholds, &AFF_WILD2_ACTION_UNITS).mean_f1
        }))
    }))
}

/// Logits of both networks for each frame.
struct Outputs {
    embedding: Vec<Vec<f32>>,
    logits: Vec<Vec<f32>>,
}

impl Outputs {
    fn new(validation: &VideoFeatures<[bool; 12]>, head: &ActionUnits) -> Self {
        let device = Device::flex();
        Self {
            embedding: validation
                .embeddings
                .forward(&device, |batch| head.embedding.forward(batch)),
            logits: validation
                .outputs
                .forward(&device, |batch| head.logits.forward(batch)),
        }
    }

    fn blend(&self, networks: Networks, score: ActionUnitScore) -> Vec<Vec<f32>> {
        let settings = ActionUnitSettings {
            blend: networks.blend(),
            score,
            ..ActionUnitSettings::neutral(&AFF_WILD2_ACTION_UNITS)
        };
        let pairs = self.embedding.iter().zip(&self.logits);
        pairs
            .map(|(one, other)| settings.blend(one, other))
            .collect()
    }
}
