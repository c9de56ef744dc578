//! What a user may change while frames come, and the range of each control.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{calibration::ViolenceSettings, detect::DEFAULT_THRESHOLD};

/// The controls of both parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Controls {
    /// Controls of expression, valence, arousal and action units.
    pub faces: FaceControls,
    /// Controls of violence.
    pub violence: ViolenceControls,
}

/// Controls of expression, valence, arousal and action units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaceControls {
    /// Whether the head's class biases (GLA) are applied.
    pub gla: bool,
    /// Frames to each side over which expressions are averaged; 0 switches smoothing off.
    pub half_window: usize,
    /// The same for valence and arousal.
    pub valence_arousal_half_window: usize,
    /// The same for action units.
    pub action_units_half_window: usize,
    /// Probability above which the pretrained classifier decides, in `[0, 1]`; 1 leaves all to the head.
    pub confidence: f32,
    /// Weight of the head in the average of log-probabilities with the pretrained classifier, in `[0, 1]`.
    pub blend: f32,
    /// Whether reports hold the points of the face mesh, where one is loaded.
    pub landmarks: bool,
    /// Whether faces on their side or upside down are looked for too: frames are then looked at in four directions.
    pub turned: bool,
    /// Score of a detection, in `[0, 1]`, from which it may be a face.
    pub detector_threshold: f32,
    /// Weight of the face in the average of probabilities with those of sound, in `[0, 1]`, where a head over sound is
    /// heard; 1 leaves sound out.
    pub face_weight: f32,
    /// Whether sound counts only where somebody speaks: where the voice detector gives .5 or more.
    pub speech_only: bool,
}

/// Controls of violence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ViolenceControls {
    /// A frame is violent if its probability is at or above it, in `[0, 1]`.
    pub threshold: f32,
    /// On a live stream the head runs once per this number of embedded frames.
    pub every: usize,
}

/// One control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Control {
    /// Field of [`Controls`] that holds the control.
    pub part: &'static str,
    /// Field of the control in its part.
    pub field: &'static str,
    /// Values that the control takes.
    pub range: ControlRange,
}

/// Values that a control takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ControlRange {
    /// Yes or no.
    Flag,
    /// A whole number, both ends included.
    Whole {
        /// The least.
        least: u32,
        /// The greatest.
        most: u32,
    },
    /// A number from 0 to 1.
    Share,
}

/// A control is out of its range.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("{}", self.naming(&format!("{}.{}", control.part, control.field)))]
pub struct ControlError {
    /// The control.
    pub control: Control,
    /// Value that came.
    pub got: f64,
}

const FRAMES: ControlRange = ControlRange::Whole {
    least: 0,
    most: 1000,
};
const COUNT: ControlRange = ControlRange::Whole {
    least: 1,
    most: 1000,
};

const HALF_WINDOW: Control = Control::of_faces("half_window", FRAMES);
const VALENCE_AROUSAL_HALF_WINDOW: Control =
    Control::of_faces("valence_arousal_half_window", FRAMES);
const ACTION_UNITS_HALF_WINDOW: Control = Control::of_faces("action_units_half_window", FRAMES);
const CONFIDENCE: Control = Control::of_faces("confidence", ControlRange::Share);
const BLEND: Control = Control::of_faces("blend", ControlRange::Share);
const DETECTOR_THRESHOLD: Control = Control::of_faces("detector_threshold", ControlRange::Share);
const FACE_WEIGHT: Control = Control::of_faces("face_weight", ControlRange::Share);
const THRESHOLD: Control = Control::of_violence("threshold", ControlRange::Share);
const EVERY: Control = Control::of_violence("every", COUNT);

/// Every control, in the order of the fields of [`Controls`].
pub const CONTROLS: [Control; 13] = [
    Control::of_faces("gla", ControlRange::Flag),
    HALF_WINDOW,
    VALENCE_AROUSAL_HALF_WINDOW,
    ACTION_UNITS_HALF_WINDOW,
    CONFIDENCE,
    BLEND,
    Control::of_faces("landmarks", ControlRange::Flag),
    Control::of_faces("turned", ControlRange::Flag),
    DETECTOR_THRESHOLD,
    FACE_WEIGHT,
    Control::of_faces("speech_only", ControlRange::Flag),
    THRESHOLD,
    EVERY,
];

/// Frames; about half a second of a webcam.
const LIVE_HALF_WINDOW: usize = 5;
/// Action units come and go faster than expressions.
const LIVE_ACTION_UNITS_HALF_WINDOW: usize = 2;

impl Controls {
    /// Confirms that all controls are in range.
    ///
    /// # Errors
    ///
    /// [`ControlError`] for the first one that is not.
    pub fn check(&self) -> Result<(), ControlError> {
        self.faces.check()?;
        self.violence.check()
    }
}

impl FaceControls {
    /// The published window of valence and arousal.
    pub const VALENCE_AROUSAL_HALF_WINDOW: usize = 50;
    /// The published window of action units.
    pub const ACTION_UNITS_HALF_WINDOW: usize = 5;
    /// The published weight of the face beside sound.
    pub const FACE_WEIGHT: f32 = 0.6;

    /// The same controls for a live stream, whose reports must not lag behind the face by seconds: windows of at most
    /// 11 frames instead of the published ones for recordings. Sound counts only where somebody speaks: a microphone hears
    /// everything.
    #[must_use]
    pub fn live(self) -> Self {
        Self {
            half_window: self.half_window.min(LIVE_HALF_WINDOW),
            valence_arousal_half_window: LIVE_HALF_WINDOW,
            action_units_half_window: LIVE_ACTION_UNITS_HALF_WINDOW,
            speech_only: true,
            ..self
        }
    }

    /// Confirms that the controls are in range.
    ///
    /// # Errors
    ///
    /// [`ControlError`] for the first one that is not.
    pub fn check(&self) -> Result<(), ControlError> {
        CONFIDENCE.check(f64::from(self.confidence))?;
        BLEND.check(f64::from(self.blend))?;
        DETECTOR_THRESHOLD.check(f64::from(self.detector_threshold))?;
        FACE_WEIGHT.check(f64::from(self.face_weight))?;
        HALF_WINDOW.check(self.half_window as f64)?;
        VALENCE_AROUSAL_HALF_WINDOW.check(self.valence_arousal_half_window as f64)?;
        ACTION_UNITS_HALF_WINDOW.check(self.action_units_half_window as f64)
    }
}

impl Default for FaceControls {
    /// The controls of a live stream before the weights are known.
    fn default() -> Self {
        Self {
            gla: true,
            half_window: LIVE_HALF_WINDOW,
            valence_arousal_half_window: LIVE_HALF_WINDOW,
            action_units_half_window: LIVE_ACTION_UNITS_HALF_WINDOW,
            confidence: 1.0,
            blend: 1.0,
            landmarks: false,
            turned: false,
            detector_threshold: DEFAULT_THRESHOLD,
            face_weight: Self::FACE_WEIGHT,
            speech_only: true,
        }
    }
}

impl ViolenceControls {
    /// Confirms that the controls are in range.
    ///
    /// # Errors
    ///
    /// [`ControlError`] for the first one that is not.
    pub fn check(&self) -> Result<(), ControlError> {
        THRESHOLD.check(f64::from(self.threshold))?;
        EVERY.check(self.every as f64)
    }
}

impl Default for ViolenceControls {
    fn default() -> Self {
        Self {
            threshold: ViolenceSettings::default().threshold,
            every: 1,
        }
    }
}

impl Control {
    const fn of_faces(field: &'static str, range: ControlRange) -> Self {
        Self {
            part: "faces",
            field,
            range,
        }
    }

    const fn of_violence(field: &'static str, range: ControlRange) -> Self {
        Self {
            part: "violence",
            field,
            range,
        }
    }

    /// The name in JavaScript, inside the object of its part: `halfWindow`.
    pub fn javascript_name(&self) -> String {
        let mut words = self.field.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| name + &capitalised(word))
    }

    /// The name in JavaScript without an object around it: `halfWindow`, `violenceThreshold`.
    pub fn flat_name(&self) -> String {
        let name = self.javascript_name();
        match self.part {
            "faces" => name,
            part => part.to_owned() + &capitalised(&name),
        }
    }

    /// Whether a number is in the range.
    fn check(&self, got: f64) -> Result<(), ControlError> {
        let is_in_range = match self.range {
            ControlRange::Flag => got == 0.0 || got == 1.0,
            ControlRange::Whole { least, most } => {
                got.fract() == 0.0 && (f64::from(least)..=f64::from(most)).contains(&got)
            }
            ControlRange::Share => (0.0..=1.0).contains(&got),
        };
        let control = *self;
        is_in_range
            .then_some(())
            .ok_or(ControlError { control, got })
    }
}

impl ControlError {
    /// The message with the control named as the caller writes it.
    pub fn naming(&self, control: &str) -> String {
        format!(
            "`{control}` is {}, expected {}",
            self.got, self.control.range
        )
    }
}

/// What messages call the range.
impl fmt::Display for ControlRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => out.write_str("a boolean"),
            Self::Whole { least, most } => write!(out, "a whole number from {least} to {most}"),
            Self::Share => out.write_str("a number from 0 to 1"),
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_table_names_every_field_as_javascript_sees_it() {
        let fields = serde_json::to_value(Controls::default()).expect("plain values");
        let mut named = json!({ "faces": {}, "violence": {} });
        for control in CONTROLS {
            let name = control.javascript_name();
            let value = fields[control.part][&name].clone();
            let fits = match control.range {
                ControlRange::Flag => value.is_boolean(),
                ControlRange::Whole { .. } => value.is_u64(),
                ControlRange::Share => value.is_f64(),
            };
            assert!(fits, "{control:?} has {value}");
            named[control.part][name] = value;
        }
        assert_eq!(named, fields);
        let text = |value: &Value| value.to_string();
        assert_eq!(text(&named), text(&fields), "in the same order");
    }

    #[test]
    fn flat_names_begin_with_the_part_unless_it_is_faces() {
        assert_eq!(HALF_WINDOW.flat_name(), "halfWindow");
        assert_eq!(THRESHOLD.flat_name(), "violenceThreshold");
        assert_eq!(EVERY.flat_name(), "violenceEvery");
    }

    #[test]
    fn a_control_out_of_range_is_named() {
        let mut controls = Controls::default();
        assert_eq!(controls.check(), Ok(()));
        let refusal = |controls: &Controls| controls.check().expect_err("out of range").to_string();
        controls.violence.every = 0;
        assert_eq!(
            refusal(&controls),
            "`violence.every` is 0, expected a whole number from 1 to 1000"
        );
        controls.faces.half_window = 1001;
        assert_eq!(
            refusal(&controls),
            "`faces.half_window` is 1001, expected a whole number from 0 to 1000"
        );
        controls.faces.blend = f32::NAN;
        assert_eq!(
            refusal(&controls),
            "`faces.blend` is NaN, expected a number from 0 to 1"
        );
    }
}
