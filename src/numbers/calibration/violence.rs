//! How a violence head is used, as it travels in its weights file.

use std::collections::BTreeMap;

use super::{
    CalibrationError,
    settings::{number, refuse},
};

/// What a [`TemporalHead`](crate::head::TemporalHead) was trained and tuned to be used with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViolenceSettings {
    /// Frames of a window.
    pub length: usize,
    /// Frames from one frame of a window to the next; 1 takes every frame.
    pub step: usize,
    /// Frames from the start of a window to that of the next; without, windows overlap by half and cover every frame.
    pub stride: Option<usize>,
    /// Frames a second of the videos that the head was trained on; `None` takes videos at their own rate.
    pub frames_per_second: Option<f32>,
    /// A frame is violent if its probability is at or above it.
    pub threshold: f32,
}

const LENGTH: &str = "window_length";
const STEP: &str = "window_step";
const STRIDE: &str = "window_stride";
const FRAMES_PER_SECOND: &str = "frames_per_second";
const THRESHOLD: &str = "threshold";
impl Default for ViolenceSettings {
    /// The published windows of 32 frames, all frames, a threshold of .5.
    fn default() -> Self {
        Self {
            length: 32,
            step: 1,
            stride: None,
            frames_per_second: None,
            threshold: 0.5,
        }
    }
}

impl ViolenceSettings {
    /// Most frames of a window, and from one of its frames to the next: far beyond any published window, and keeps a damaged
    /// file from asking for all memory.
    pub const LONGEST: usize = 4096;

    /// Writes the settings into a file's metadata, beside what is there.
    pub fn write(&self, extra: &mut BTreeMap<String, String>) {
        for (key, value) in [
            (LENGTH, Some(self.length.to_string())),
            (STEP, Some(self.step.to_string())),
            (STRIDE, self.stride.map(|stride| stride.to_string())),
            (
                FRAMES_PER_SECOND,
                self.frames_per_second.map(|rate| rate.to_string()),
            ),
            (THRESHOLD, Some(self.threshold.to_string())),
        ] {
            match value {
                Some(value) => _ = extra.insert(key.to_owned(), value),
                None => _ = extra.remove(key),
            }
        }
    }

    /// Confirms that a file with these settings can be read again.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn check(&self) -> Result<(), CalibrationError> {
        let mut extra = BTreeMap::new();
        self.write(&mut extra);
        Self::read(&extra).map(drop)
    }

    /// Reads the settings; a setting that the file does not hold has its default.
    ///
    /// # Errors
    ///
    /// [`CalibrationError::Setting`] for a value that cannot be read or is out of range.
    pub fn read(extra: &BTreeMap<String, String>) -> Result<Self, CalibrationError> {
        let default = Self::default();
        let frames_per_second = match extra.get(FRAMES_PER_SECOND) {
            None => default.frames_per_second,
            Some(_) => Some(number(
                extra,
                FRAMES_PER_SECOND,
                0.0,
                0.01,
                1000.0,
                "a number from 0.01 to 1000",
            )?),
        };
        Ok(Self {
            length: count(extra, LENGTH, default.length)?,
            step: count(extra, STEP, default.step)?,
            stride: match extra.contains_key(STRIDE) {
                true => Some(count(extra, STRIDE, 1)?),
                false => default.stride,
            },
            frames_per_second,
            threshold: number(
                extra,
                THRESHOLD,
                default.threshold,
                0.0,
                1.0,
                "a number from 0 to 1",
            )?,
        })
    }
}

fn count(
    extra: &BTreeMap<String, String>,
    key: &'static str,
    default: usize,
) -> Result<usize, CalibrationError> {
    let Some(text) = extra.get(key) else {
        return Ok(default);
    };
    let value = text
        .parse()
        .ok()
        .filter(|value| (1..=ViolenceSettings::LONGEST).contains(value));
    value.ok_or_else(|| refuse(key, "a whole number from 1 to 4096", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_metadata() {
        let settings = ViolenceSettings {
            length: 16,
            step: 2,
            stride: Some(24),
            frames_per_second: Some(12.5),
            threshold: 0.36,
        };
        let mut extra = BTreeMap::from([("other".to_owned(), "left alone".to_owned())]);
        assert_eq!(
            ViolenceSettings::read(&extra),
            Ok(ViolenceSettings::default())
        );
        settings.write(&mut extra);
        assert_eq!(ViolenceSettings::read(&extra), Ok(settings));
        // A rate or stride from an earlier writing does not stay.
        ViolenceSettings::default().write(&mut extra);
        assert_eq!(
            ViolenceSettings::read(&extra),
            Ok(ViolenceSettings::default())
        );
    }

    #[test]
    fn settings_that_no_reader_takes_are_refused_before_they_are_written() {
        let good = ViolenceSettings::default();
        good.check().expect("published");
        for bad in [
            ViolenceSettings { step: 0, ..good },
            ViolenceSettings {
                length: 5000,
                ..good
            },
            ViolenceSettings {
                frames_per_second: Some(1e30),
                ..good
            },
            ViolenceSettings {
                threshold: f32::NAN,
                ..good
            },
        ] {
            bad.check().expect_err("no reader takes it");
        }
    }

    #[test]
    fn nonsense_is_named() {
        for (key, value, expected) in [
            ("window_length", "0", "a whole number from 1 to 4096"),
            ("window_length", "99999", "a whole number from 1 to 4096"),
            ("window_step", "-1", "a whole number from 1 to 4096"),
            ("window_stride", "0", "a whole number from 1 to 4096"),
            ("frames_per_second", "0", "a number from 0.01 to 1000"),
            ("frames_per_second", "inf", "a number from 0.01 to 1000"),
            ("threshold", "NaN", "a number from 0 to 1"),
        ] {
            let extra = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let error = ViolenceSettings::read(&extra).expect_err("nonsense");
            assert_eq!(
                error.to_string(),
                format!("setting `{key}` is `{value}`, expected {expected}")
            );
        }
    }
}
