//! What is said about a frame: the same JSON from the command line, the npm package and the page.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{face::BoundingBox, filtering::Source, label::Expression};

/// All that was found in one frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameReport {
    /// Number of the frame in its stream, from 0.
    pub frame: u64,
    /// Time of the frame in its stream, milliseconds.
    pub time_ms: f64,
    /// Faces by descending detection score.
    pub faces: Vec<FaceReport>,
}

/// One face in one frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaceReport {
    /// Number that stays with the face from frame to frame.
    pub id: u64,
    /// Left, top, width, height, frame pixels.
    #[serde(rename = "box", serialize_with = "box_as_array")]
    pub bounding_box: BoundingBox,
    /// How sure the detector is, in `[0, 1]`.
    pub score: f32,
    /// The expression.
    pub expression: ExpressionReport,
}

/// The expression of one face.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpressionReport {
    /// The decision.
    pub label: Expression,
    /// Smoothed probability of the label under the model that decided.
    pub confidence: f32,
    /// The model that decided.
    pub source: Source,
    /// Smoothed probability of each class under the model that decided, in its class order.
    #[serde(serialize_with = "pairs_as_map")]
    pub probabilities: Vec<(Expression, f32)>,
}

fn box_as_array<S: Serializer>(
    bounding_box: &BoundingBox,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    [
        bounding_box.x,
        bounding_box.y,
        bounding_box.width,
        bounding_box.height,
    ]
    .serialize(serializer)
}

fn pairs_as_map<S: Serializer>(
    pairs: &[(Expression, f32)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (expression, probability) in pairs {
        map.serialize_entry(expression.name(), probability)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_documented_fields_in_order() {
        let report = FrameReport {
            frame: 12,
            time_ms: 480.0,
            faces: vec![FaceReport {
                id: 0,
                bounding_box: BoundingBox {
                    x: 1.0,
                    y: 2.0,
                    width: 3.0,
                    height: 4.0,
                },
                score: 0.5,
                expression: ExpressionReport {
                    label: Expression::Happiness,
                    confidence: 0.75,
                    source: Source::Head,
                    probabilities: vec![(Expression::Neutral, 0.25), (Expression::Happiness, 0.75)],
                },
            }],
        };
        assert_eq!(
            serde_json::to_string(&report).expect("plain values"),
            r#"{"frame":12,"time_ms":480.0,"faces":[{"id":0,"box":[1.0,2.0,3.0,4.0],"score":0.5,"expression":{"label":"happiness","confidence":0.75,"source":"head","probabilities":{"neutral":0.25,"happiness":0.75}}}]}"#
        );
    }
}
