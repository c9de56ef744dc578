//! Expression labels and the class orders that published models use (SPEC: class lists).

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

    /// Reads a name in any case; `angry`, `happy`, `sad` and the like are accepted.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let alias = match name.as_str() {
            "angry" => "anger",
            "disgusted" => "disgust",
            "fearful" => "fear",
            "happy" => "happiness",
            "sad" => "sadness",
            "surprised" => "surprise",
            other => other,
        };
        Self::ALL
            .into_iter()
            .find(|expression| expression.name() == alias)
    }
}

use Expression::{Anger, Contempt, Disgust, Fear, Happiness, Neutral, Other, Sadness, Surprise};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for expression in Expression::ALL {
            assert_eq!(Expression::from_name(expression.name()), Some(expression));
        }
        assert_eq!(Expression::from_name("Happy"), Some(Happiness));
        assert_eq!(Expression::from_name("joy"), None);
    }
}
