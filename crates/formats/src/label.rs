//! Labels of expressions, action units and blendshapes, and the class orders of published models.

use serde::{Deserialize, Serialize};

/// A facial expression. It describes the face, not what the person feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expression {
    /// No marked expression.
    Neutral,
    /// Anger.
    Anger,
    /// Disgust.
    Disgust,
    /// Fear.
    Fear,
    /// Happiness.
    Happiness,
    /// Sadness.
    Sadness,
    /// Surprise.
    Surprise,
    /// Anything else (Aff-Wild2 only).
    Other,
    /// Contempt (AffectNet only).
    Contempt,
}

/// Classes of heads for violence, in order.
pub const VIOLENCE: [&str; 2] = ["non-violent", "violent"];

impl Expression {
    /// Every expression, in the order of the enum.
    pub const ALL: [Self; 9] = [
        Self::Neutral,
        Self::Anger,
        Self::Disgust,
        Self::Fear,
        Self::Happiness,
        Self::Sadness,
        Self::Surprise,
        Self::Other,
        Self::Contempt,
    ];

    /// The name used in reports, files and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Anger => "anger",
            Self::Disgust => "disgust",
            Self::Fear => "fear",
            Self::Happiness => "happiness",
            Self::Sadness => "sadness",
            Self::Surprise => "surprise",
            Self::Other => "other",
            Self::Contempt => "contempt",
        }
    }

    /// Other names that are read.
    pub const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Neutral => &["neutrality"],
            Self::Anger => &["angry"],
            Self::Disgust => &["disgusted"],
            Self::Fear => &["fearful", "afraid", "scared"],
            Self::Happiness => &["happy"],
            Self::Sadness => &["sad"],
            Self::Surprise => &["surprised", "suprise"],
            Self::Other => &["others"],
            Self::Contempt => &["contemptuous"],
        }
    }

    /// Reads a name in any case, or one of the [`aliases`](Self::aliases).
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|it| it.name() == name || it.aliases().contains(&name.as_str()))
    }
}

use Expression::{Anger, Contempt, Disgust, Fear, Happiness, Neutral, Other, Sadness, Surprise};

/// An action unit of the Facial Action Coding System (Ekman, Friesen, Hager 2002): what a group of facial muscles does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ActionUnit {
    /// Inner brow raiser.
    Au1,
    /// Outer brow raiser.
    Au2,
    /// Brow lowerer.
    Au4,
    /// Upper lid raiser.
    Au5,
    /// Cheek raiser.
    Au6,
    /// Lid tightener.
    Au7,
    /// Upper lip raiser.
    Au10,
    /// Lip corner puller.
    Au12,
    /// Dimpler.
    Au14,
    /// Lip corner depressor.
    Au15,
    /// Chin raiser.
    Au17,
    /// Lip stretcher.
    Au20,
    /// Lip tightener.
    Au23,
    /// Lip pressor.
    Au24,
    /// Lips part.
    Au25,
    /// Jaw drop.
    Au26,
    /// Lip suck.
    Au28,
    /// Blink.
    Au45,
}

impl ActionUnit {
    /// Every action unit that some source here can tell, by ascending number.
    pub const ALL: [Self; 18] = [
        Self::Au1,
        Self::Au2,
        Self::Au4,
        Self::Au5,
        Self::Au6,
        Self::Au7,
        Self::Au10,
        Self::Au12,
        Self::Au14,
        Self::Au15,
        Self::Au17,
        Self::Au20,
        Self::Au23,
        Self::Au24,
        Self::Au25,
        Self::Au26,
        Self::Au28,
        Self::Au45,
    ];

    /// Number in the coding system.
    pub fn number(self) -> u8 {
        match self {
            Self::Au1 => 1,
            Self::Au2 => 2,
            Self::Au4 => 4,
            Self::Au5 => 5,
            Self::Au6 => 6,
            Self::Au7 => 7,
            Self::Au10 => 10,
            Self::Au12 => 12,
            Self::Au14 => 14,
            Self::Au15 => 15,
            Self::Au17 => 17,
            Self::Au20 => 20,
            Self::Au23 => 23,
            Self::Au24 => 24,
            Self::Au25 => 25,
            Self::Au26 => 26,
            Self::Au28 => 28,
            Self::Au45 => 45,
        }
    }

    /// The name used in reports and files: `AU12`.
    pub fn name(self) -> String {
        format!("AU{}", self.number())
    }

    /// Reads a name in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        let number = name
            .to_ascii_uppercase()
            .strip_prefix("AU")?
            .parse::<u8>()
            .ok()?;
        Self::ALL.into_iter().find(|unit| unit.number() == number)
    }
}

/// Output order of AffectNet 8-class models (alphabetical).
pub const AFFECTNET_8: [Expression; 8] = [
    Anger, Contempt, Disgust, Fear, Happiness, Neutral, Sadness, Surprise,
];
/// Output order of AffectNet 7-class models (alphabetical).
pub const AFFECTNET_7: [Expression; 7] =
    [Anger, Disgust, Fear, Happiness, Neutral, Sadness, Surprise];
/// Class order of Aff-Wild2.
pub const AFF_WILD2: [Expression; 8] = [
    Neutral, Anger, Disgust, Fear, Happiness, Sadness, Surprise, Other,
];
/// The action units of Aff-Wild2, in the order of its files.
pub const AFF_WILD2_ACTION_UNITS: [ActionUnit; 12] = [
    ActionUnit::Au1,
    ActionUnit::Au2,
    ActionUnit::Au4,
    ActionUnit::Au6,
    ActionUnit::Au7,
    ActionUnit::Au10,
    ActionUnit::Au12,
    ActionUnit::Au15,
    ActionUnit::Au23,
    ActionUnit::Au24,
    ActionUnit::Au25,
    ActionUnit::Au26,
];

/// How far each part of a face is moved, in the names of Apple's ARKit and the order of MediaPipe's blendshape
/// network.
pub const BLENDSHAPES: [&str; 52] = [
    "_neutral",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for expression in Expression::ALL {
            assert_eq!(Expression::from_name(expression.name()), Some(expression));
            for alias in expression.aliases() {
                assert_eq!(Expression::from_name(alias), Some(expression));
            }
        }
        assert_eq!(Expression::from_name("Happy"), Some(Happiness));
        assert_eq!(Expression::from_name("joy"), None);
    }

    #[test]
    fn every_action_unit_is_read_back() {
        for unit in ActionUnit::ALL {
            assert_eq!(ActionUnit::from_name(&unit.name()), Some(unit));
        }
        assert_eq!(ActionUnit::from_name("au12"), Some(ActionUnit::Au12));
        assert_eq!(ActionUnit::from_name("AU9"), None);
        assert!(ActionUnit::ALL.is_sorted_by_key(|unit| unit.number()));
    }
}
