//! Settings that turn the scores of the two action unit classifiers into predictions, as stored in their weights file.

use std::collections::BTreeMap;

use super::{
    CalibrationError,
    settings::{number, numbers, refuse},
    sigmoid,
};
use crate::{
    fusion,
    label::{AFF_WILD2_ACTION_UNITS, ActionUnit},
};

/// Kind of score that is averaged, smoothed and compared with the thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActionUnitScore {
    /// Probability.
    #[default]
    Probability,
    /// Logit, compared with thresholds that were tuned on probabilities; the HSEmotion team's ABAW-10 notebook computes
    /// its published results this way.
    Logit,
}

impl ActionUnitScore {
    /// Name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probability => "probability",
            Self::Logit => "logit",
        }
    }

    /// Parses a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Probability, Self::Logit]
            .into_iter()
            .find(|score| score.name() == name)
    }
}

/// Settings of the networks of [`ActionUnits`](crate::head::ActionUnits), tuned on validation data.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionUnitSettings {
    /// Action units in the order of the networks' outputs.
    pub units: Vec<ActionUnit>,
    /// Weight of the embedding network, in `[0, 1]`; the logits network has the rest.
    pub blend: f32,
    /// Threshold of each unit: it is present if its score is at or above.
    pub thresholds: Vec<f32>,
    /// Kind of score.
    pub score: ActionUnitScore,
}

const UNITS: &str = "action_units";
const BLEND: &str = "blend";
const THRESHOLDS: &str = "thresholds";
const SCORE: &str = "score";

impl ActionUnitSettings {
    /// Creates settings with equal weights and thresholds of 0.5 on probabilities.
    pub fn neutral(units: &[ActionUnit]) -> Self {
        Self {
            units: units.to_vec(),
            blend: 0.5,
            thresholds: vec![0.5; units.len()],
            score: ActionUnitScore::default(),
        }
    }

    /// Computes the scores of the action units from one frame's logits of both networks.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    pub fn blend(&self, embedding: &[f32], logits: &[f32]) -> Vec<f32> {
        let score = |logits: &[f32]| match self.score {
            ActionUnitScore::Probability => logits.iter().copied().map(sigmoid).collect(),
            ActionUnitScore::Logit => logits.to_vec(),
        };
        fusion::blend(&score(embedding), &score(logits), self.blend)
    }

    /// Returns which action units are present, one flag per score.
    pub fn present(&self, scores: &[f32]) -> Vec<bool> {
        let pairs = scores.iter().zip(&self.thresholds);
        pairs.map(|(score, threshold)| score >= threshold).collect()
    }

    /// Writes the settings into the metadata of a weights file; other entries stay.
    pub fn write(&self, extra: &mut BTreeMap<String, String>) {
        let units: Vec<String> = self.units.iter().map(|unit| unit.name()).collect();
        let thresholds: Vec<String> = self.thresholds.iter().map(ToString::to_string).collect();
        for (key, value) in [
            (UNITS, units.join(" ")),
            (BLEND, self.blend.to_string()),
            (THRESHOLDS, thresholds.join(" ")),
            (SCORE, self.score.name().to_owned()),
        ] {
            extra.insert(key.to_owned(), value);
        }
    }

    /// Reads the settings of networks with `outputs` outputs from the metadata of their weights file.
    ///
    /// Missing settings are those of [`neutral`](Self::neutral); without names the outputs are the twelve action units
    /// of Aff-Wild2.
    ///
    /// # Errors
    ///
    /// [`CalibrationError::Setting`] for a value that cannot be parsed or is out of range.
    pub fn read(
        extra: &BTreeMap<String, String>,
        outputs: usize,
    ) -> Result<Self, CalibrationError> {
        let text = extra.get(UNITS);
        let units: Option<Vec<ActionUnit>> = match text {
            None => Some(AFF_WILD2_ACTION_UNITS.to_vec()),
            Some(text) => text.split_whitespace().map(ActionUnit::from_name).collect(),
        };
        let units = units.filter(|units| units.len() == outputs);
        let units = units.ok_or_else(|| {
            let expected = "one action unit per output, separated by spaces";
            refuse(UNITS, expected, text.map_or("", String::as_str))
        })?;
        let mut settings = Self::neutral(&units);
        let expected = "a number from 0 to 1";
        settings.blend = number(extra, BLEND, settings.blend, 0.0, 1.0, expected)?;
        if let Some(text) = extra.get(THRESHOLDS) {
            let expected = "one finite number per action unit, separated by spaces";
            settings.thresholds = numbers(THRESHOLDS, text, outputs, expected)?;
        }
        if let Some(text) = extra.get(SCORE) {
            settings.score = ActionUnitScore::from_name(text)
                .ok_or_else(|| refuse(SCORE, "`probability` or `logit`", text))?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: [ActionUnit; 2] = [ActionUnit::Au1, ActionUnit::Au12];

    #[test]
    fn logits_are_blended_as_probabilities_or_as_they_are() {
        let settings = ActionUnitSettings {
            blend: 0.75,
            thresholds: vec![0.5, 0.62],
            ..ActionUnitSettings::neutral(&UNITS)
        };
        let logits = ([0.0, 2.0], [3.0_f32.ln(), -2.0]);
        let scores = settings.blend(&logits.0, &logits.1);
        let expected = [0.5 * 0.75 + 0.75 * 0.25, 0.690_398_5];
        assert!((scores[0] - expected[0]).abs() < 1e-6 && (scores[1] - expected[1]).abs() < 1e-6);
        assert_eq!(settings.present(&scores), [true, true]);
        let published = ActionUnitSettings {
            score: ActionUnitScore::Logit,
            ..settings
        };
        let scores = published.blend(&logits.0, &logits.1);
        assert!((scores[0] - 0.274_653_07).abs() < 1e-6 && scores[1] == 1.0);
        assert_eq!(published.present(&scores), [false, true]);
    }

    #[test]
    fn settings_survive_the_metadata() {
        let settings = ActionUnitSettings {
            units: UNITS.to_vec(),
            blend: 0.4,
            thresholds: vec![0.3, 0.7],
            score: ActionUnitScore::Logit,
        };
        let mut extra = BTreeMap::new();
        settings.write(&mut extra);
        assert_eq!(ActionUnitSettings::read(&extra, 2), Ok(settings));
        assert_eq!(
            ActionUnitSettings::read(&BTreeMap::new(), 12),
            Ok(ActionUnitSettings::neutral(&AFF_WILD2_ACTION_UNITS))
        );
    }

    #[test]
    fn unreadable_settings_are_named() {
        for (key, value, message) in [
            (
                "action_units",
                "AU1 AU99",
                "setting `action_units` is `AU1 AU99`, expected one action unit per output, separated by spaces",
            ),
            (
                "thresholds",
                "0.5",
                "setting `thresholds` is `0.5`, expected one finite number per action unit, separated by spaces",
            ),
            (
                "score",
                "odds",
                "setting `score` is `odds`, expected `probability` or `logit`",
            ),
        ] {
            let mut extra = BTreeMap::new();
            ActionUnitSettings::neutral(&UNITS).write(&mut extra);
            extra.insert(key.to_owned(), value.to_owned());
            let error = ActionUnitSettings::read(&extra, 2).expect_err("the value is invalid");
            assert_eq!(error.to_string(), message);
        }
    }
}
