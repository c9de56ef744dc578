//! Settings of the expression pipeline that travel in the adapted head's weights file.

use std::collections::BTreeMap;

use super::{CalibrationError, Gla};

/// What the adapted head was tuned to be used with.
///
/// Training writes it into the metadata of the weights file, inference reads it there; no number of it stands
/// in code.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionSettings {
    /// Biases on the head's log-probabilities, one a class of the head.
    pub gla: Gla,
    /// Threshold of the confident filter, above which the pretrained classifier decides.
    pub confidence: f32,
    /// Weight of the head in the average of log-probabilities with the pretrained classifier; 1 is the head alone.
    pub blend: f32,
    /// Frames to each side that are averaged in a video.
    pub half_window: usize,
    /// Part of the detector's box that is added on each side before cropping; 0.1 makes it a fifth wider and higher.
    pub crop_margin: f32,
    /// Part of the box's height by which the cropped region is moved up: detectors box the features, training
    /// pictures show the whole head.
    pub crop_rise: f32,
}

const GLA: &str = "gla";
const CONFIDENCE: &str = "confidence";
const BLEND: &str = "blend";
const HALF_WINDOW: &str = "half_window";
const CROP_MARGIN: &str = "crop_margin";
const CROP_RISE: &str = "crop_rise";

impl ExpressionSettings {
    /// Settings that leave a head of `classes` classes as it is; the window is the paper's.
    pub fn neutral(classes: usize) -> Self {
        Self {
            gla: Gla::neutral(classes),
            confidence: 1.0,
            blend: 1.0,
            half_window: 50,
            crop_margin: 0.0,
            crop_rise: 0.0,
        }
    }

    /// Writes the settings into a file's metadata, beside what is there.
    pub fn write(&self, extra: &mut BTreeMap<String, String>) {
        let biases: Vec<String> = self.gla.biases.iter().map(ToString::to_string).collect();
        for (key, value) in [
            (GLA, biases.join(" ")),
            (CONFIDENCE, self.confidence.to_string()),
            (BLEND, self.blend.to_string()),
            (HALF_WINDOW, self.half_window.to_string()),
            (CROP_MARGIN, self.crop_margin.to_string()),
            (CROP_RISE, self.crop_rise.to_string()),
        ] {
            extra.insert(key.to_owned(), value);
        }
    }

    /// Most frames before and after each frame over which expressions are averaged; no analysis takes more.
    pub const LONGEST_HALF_WINDOW: usize = 1000;

    /// Reads the settings of a head with `classes` classes; a setting that the file does not hold stays neutral.
    ///
    /// # Errors
    ///
    /// [`CalibrationError::Setting`] for a value that cannot be read or is out of range.
    pub fn read(
        extra: &BTreeMap<String, String>,
        classes: usize,
    ) -> Result<Self, CalibrationError> {
        let mut settings = Self::neutral(classes);
        if let Some(text) = extra.get(GLA) {
            let expected = "one finite number a class, separated by spaces";
            settings.gla.biases = numbers(GLA, text, classes, expected)?;
        }
        settings.confidence = number(
            extra,
            CONFIDENCE,
            settings.confidence,
            0.0,
            1.0,
            "a number from 0 to 1",
        )?;
        settings.blend = number(
            extra,
            BLEND,
            settings.blend,
            0.0,
            1.0,
            "a number from 0 to 1",
        )?;
        settings.crop_margin = number(
            extra,
            CROP_MARGIN,
            settings.crop_margin,
            -0.4,
            2.0,
            "a number from -0.4 to 2",
        )?;
        settings.crop_rise = number(
            extra,
            CROP_RISE,
            settings.crop_rise,
            -1.0,
            1.0,
            "a number from -1 to 1",
        )?;
        if let Some(text) = extra.get(HALF_WINDOW) {
            settings.half_window = text
                .parse()
                .ok()
                .filter(|frames| *frames <= Self::LONGEST_HALF_WINDOW)
                .ok_or_else(|| refuse(HALF_WINDOW, "a whole number from 0 to 1000", text))?;
        }
        Ok(settings)
    }
}

pub(super) fn number(
    extra: &BTreeMap<String, String>,
    key: &'static str,
    default: f32,
    lowest: f32,
    highest: f32,
    expected: &'static str,
) -> Result<f32, CalibrationError> {
    let Some(text) = extra.get(key) else {
        return Ok(default);
    };
    let value = text
        .parse::<f32>()
        .ok()
        .filter(|value| (lowest..=highest).contains(value));
    value.ok_or_else(|| refuse(key, expected, text))
}

/// As many finite numbers as there should be, separated by spaces.
pub(super) fn numbers(
    key: &'static str,
    text: &str,
    count: usize,
    expected: &'static str,
) -> Result<Vec<f32>, CalibrationError> {
    let values = text.split_whitespace().map(str::parse);
    let values = values.collect::<Result<Vec<f32>, _>>().ok();
    values
        .filter(|values| values.len() == count && values.iter().all(|value| value.is_finite()))
        .ok_or_else(|| refuse(key, expected, text))
}

pub(super) fn refuse(key: &'static str, expected: &'static str, got: &str) -> CalibrationError {
    CalibrationError::Setting {
        key,
        expected,
        got: got.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_metadata() {
        let settings = ExpressionSettings {
            gla: Gla {
                biases: vec![0.1, -2.616_290_8],
            },
            confidence: 0.9,
            blend: 0.7,
            half_window: 12,
            crop_margin: 0.05,
            crop_rise: 0.1,
        };
        let mut extra = BTreeMap::new();
        settings.write(&mut extra);
        assert_eq!(ExpressionSettings::read(&extra, 2), Ok(settings));
        assert_eq!(
            ExpressionSettings::read(&BTreeMap::new(), 2),
            Ok(ExpressionSettings::neutral(2))
        );
    }

    #[test]
    fn unreadable_settings_are_named() {
        for (key, value, message) in [
            (
                "gla",
                "0.1",
                "setting `gla` is `0.1`, expected one finite number a class, separated by spaces",
            ),
            (
                "confidence",
                "1.5",
                "setting `confidence` is `1.5`, expected a number from 0 to 1",
            ),
            (
                "blend",
                "NaN",
                "setting `blend` is `NaN`, expected a number from 0 to 1",
            ),
            (
                "half_window",
                "-1",
                "setting `half_window` is `-1`, expected a whole number from 0 to 1000",
            ),
        ] {
            let extra = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let error = ExpressionSettings::read(&extra, 2).expect_err("the value is invalid");
            assert_eq!(error.to_string(), message);
        }
    }
}
