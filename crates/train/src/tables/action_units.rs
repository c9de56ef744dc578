//! Action units on the validation part of Aff-Wild2 (HSEmotion team at ABAW-10, table 3).

use burn::tensor::Device;

use super::{Available, HeadWithRows, Published, PublishedRow, Table};
use crate::{RecipeError, action_units::tune_thresholds};
use affectlens::{
    calibration::{ActionUnitScore, ActionUnitSettings, sigmoid},
    head::{ActionUnits, Mlp},
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

/// Which networks speak.
#[derive(Clone, Copy, Debug)]
enum Networks {
    /// That over the backbone's logits.
    Logits,
    /// That over embeddings.
    Embeddings,
    /// The average of these two.
    Both,
    /// That over sound.
    Sound,
}

impl Networks {
    /// Those over faces, with the weight of the network over embeddings.
    const FACES: [(Self, f32); 3] = [
        (Self::Logits, 0.0),
        (Self::Embeddings, 1.0),
        (Self::Both, 0.5),
    ];
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
    use Networks::{Both, Embeddings, Logits, Sound};
    Published {
        task: "action-units",
        scores: ["mean F1", "mean F1 on logits"],
        rows: &[
            // Of an older system, whose thresholds were tuned and compared with probabilities.
            PublishedRow("A1", "wav2vec 2.0, tuned thresholds", system(Sound, true, 0), [Some(0.313), None]),
            PublishedRow("A2", "logits", system(Logits, false, 0), [None, Some(0.475)]),
            PublishedRow("A3", "logits, tuned thresholds", system(Logits, true, 0), [None, Some(0.483)]),
            PublishedRow("A4", "logits, smoothing", system(Logits, false, 7), [None, Some(0.486)]),
            PublishedRow("A5", "logits, smoothing, tuned thresholds", system(Logits, true, 7), [None, Some(0.493)]),
            PublishedRow("A6", "embeddings", system(Embeddings, false, 0), [None, Some(0.527)]),
            PublishedRow("A7", "embeddings, tuned thresholds", system(Embeddings, true, 0), [None, Some(0.529)]),
            PublishedRow("A8", "embeddings, smoothing", system(Embeddings, false, 5), [None, Some(0.540)]),
            PublishedRow("A9", "embeddings, smoothing, tuned thresholds", system(Embeddings, true, 5), [None, Some(0.542)]),
            PublishedRow("A10", "both", system(Both, false, 0), [None, Some(0.537)]),
            PublishedRow("A11", "both, tuned thresholds", system(Both, true, 0), [None, Some(0.539)]),
            PublishedRow("A12", "both, smoothing", system(Both, false, 7), [None, Some(0.546)]),
            PublishedRow("A13", "both, smoothing, tuned thresholds", system(Both, true, 5), [None, Some(0.547)]),
        ],
    }
};

/// Table 3. The first score compares probabilities, the second one logits: how the published figures came about, with
/// thresholds that were tuned on probabilities. `sound` is trained on vectors of sound.
///
/// # Errors
///
/// [`RecipeError`] if the thresholds cannot be tuned.
pub fn action_unit_table(
    validation: &VideoFeatures<[bool; 12]>,
    head: &ActionUnits,
    sound: &Available<HeadWithRows<[bool; 12], Mlp>>,
) -> Result<Table, RecipeError> {
    let outputs = Outputs::new(validation, head);
    let mut faces = Vec::new();
    for (_, blend) in Networks::FACES {
        let scores = [ActionUnitScore::Probability, ActionUnitScore::Logit]
            .map(|score| outputs.blend(blend, score));
        faces.push(Scored::new(validation, scores)?);
    }
    let heard = match sound {
        Ok(HeadWithRows { validation, head }) => {
            let logits = validation
                .embeddings
                .forward(&Device::flex(), |batch| head.forward(batch));
            let probabilities = logits
                .iter()
                .map(|row| row.iter().copied().map(sigmoid).collect());
            Ok(Scored::new(validation, [probabilities.collect(), logits])?)
        }
        Err(needs) => Err(needs.clone()),
    };
    Ok(TABLE.fill(|system| {
        let scored = match system.networks {
            Networks::Sound => heard.as_ref().map_err(Clone::clone)?,
            networks => &faces[networks as usize],
        };
        Ok(scored.mean_f1(system))
    }))
}

/// Scores of all rows, as probabilities and as logits, with the thresholds that suit the probabilities best.
struct Scored<'a> {
    validation: &'a VideoFeatures<[bool; 12]>,
    labels: Vec<[bool; 12]>,
    scores: [Vec<Vec<f32>>; 2],
    tuned: Vec<f32>,
}

impl<'a> Scored<'a> {
    fn new(
        validation: &'a VideoFeatures<[bool; 12]>,
        scores: [Vec<Vec<f32>>; 2],
    ) -> Result<Self, RecipeError> {
        let labels = validation.labels();
        let tuned = tune_thresholds(&validation.labelled(&scores[0]), &labels)?.thresholds;
        Ok(Self {
            validation,
            labels,
            scores,
            tuned,
        })
    }

    /// Mean F1 of probabilities and of logits.
    fn mean_f1(&self, system: System) -> [f64; 2] {
        let thresholds = match system.tuned {
            true => self.tuned.clone(),
            false => vec![0.5; self.tuned.len()],
        };
        self.scores.each_ref().map(|scores| {
            let scores = match system.half_window {
                0 => self.validation.labelled(scores),
                half_window => self.validation.smoothed(scores, half_window),
            };
            let units = &AFF_WILD2_ACTION_UNITS;
            ActionUnitScores::new(&scores, &self.labels, &thresholds, units).mean_f1
        })
    }
}

/// Logits of both networks over faces for each frame.
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

    fn blend(&self, blend: f32, score: ActionUnitScore) -> Vec<Vec<f32>> {
        let settings = ActionUnitSettings {
            blend,
            score,
            ..ActionUnitSettings::neutral(&AFF_WILD2_ACTION_UNITS)
        };
        let pairs = self.embedding.iter().zip(&self.logits);
        pairs
            .map(|(one, other)| settings.blend(one, other))
            .collect()
    }
}
