//! How the scores of two classifiers of action units become decisions, as it travels in their weights file.

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

/// What is averaged, smoothed and compared with the thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActionUnitScore {
    /// Probabilities.
    #[default]
    Probability,
    /// Logits as they are, against thresholds that were tuned on probabilities: how the published numbers came about.
    Logit,
}

impl ActionUnitScore {
    /// The name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probability => "probability",
            Self::Logit => "logit",
        }
    }

    /// Reads a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Probability, Self::Logit]
            .into_iter()
            .find(|score| score.name() == name)
    }
}

/// What the networks of [`ActionUnits`](crate::head::ActionUnits) were tuned to be used with.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionUnitSettings {
    /// Outputs in order.
    pub units: Vec<ActionUnit>,
    /// Weight of the embedding network in the average with the logits network.
    pub blend: f32,
    /// A unit is present if its score is at or above its threshold.
    pub thresholds: Vec<f32>,
    /// What scores are.
    pub score: ActionUnitScore,
}

const UNITS: &str = "action_units";
const BLEND: &str = "blend";
const THRESHOLDS: &str = "thresholds";
const SCORE: &str = "score";

impl ActionUnitSettings {
    /// Equal weights and thresholds of .5 on probabilities.
    pub fn neutral(units: &[ActionUnit]) -> Self {
        Self {
            units: units.to_vec(),
            blend: 0.5,
            thresholds: vec![0.5; units.len()],
            score: ActionUnitScore::default(),
        }
    }

    /// Scores of the action units from the logits of both networks.
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

    /// Which action units are present.
    pub fn present(&self, scores: &[f32]) -> Vec<bool> {
        let pairs = scores.iter().zip(&self.thresholds);
        pairs.map(|(score, threshold)| score >= threshold).collect()
    }

    /// Writes the settings into a file's metadata, beside what is there.
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

    /// Reads the settings of networks with `outputs` outputs; what the file does not say stays neutral, and twelve
    /// outputs without names are those of Aff-Wild2.
    ///
    /// # Errors
    ///
    /// [`CalibrationError::Setting`] for a value that cannot be read or is out of range.
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
            let expected = "one action unit an output, separated by spaces";
            refuse(UNITS, expected, text.map_or("", String::as_str))
        })?;
        let mut settings = Self::neutral(&units);
        let part = "a number from 0 to 1";
        settings.blend = number(extra, BLEND, settings.blend, 0.0, 1.0, part)?;
        if let Some(text) = extra.get(THRESHOLDS) {
            let expected = "one finite number an action unit, separated by spaces";
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
                "setting `action_units` is `AU1 AU99`, expected one action unit an output, separated by spaces",
            ),
            (
                "thresholds",
                "0.5",
                "setting `thresholds` is `0.5`, expected one finite number an action unit, separated by spaces",
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
