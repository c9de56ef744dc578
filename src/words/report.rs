//! Reports on frames: the same JSON from the command line, the npm package and the page.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    face::BoundingBox,
    label::{ActionUnit, Expression},
};

/// All that was found in one frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FrameReport {
    /// Number of the frame in its stream, from 0.
    pub frame: u64,
    /// Time of the frame in its stream, milliseconds.
    pub time_ms: f64,
    /// Whether a new stream began by itself with this frame, because its time lies before the last one or far after it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
    /// Faces by descending detection score.
    pub faces: Vec<FaceReport>,
    /// Violence, if that task was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violence: Option<ViolenceReport>,
    /// People, those that are followed first, if that task was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<Vec<PersonReport>>,
    /// What is heard at the time of the frame, if somebody listens and there is sound then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioReport>,
}

/// One person in one frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonReport {
    /// Number that stays with the person from frame to frame; the numbers of faces are others.
    pub id: u64,
    /// Left, top, width, height of the box around all points, frame pixels.
    #[serde(rename = "box", serialize_with = "box_as_array")]
    pub bounding_box: BoundingBox,
    /// How sure the network is that there is a person, in `[0, 1]`.
    pub score: f32,
    /// x, y, z and visibility of each point in the order of [`KEYPOINTS`](crate::person::KEYPOINTS): x and y in frame
    /// pixels, z in the same scale, towards the camera negative; visibility in `[0, 1]`.
    pub keypoints: Vec<[f32; 4]>,
}

/// What is heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AudioReport {
    /// Probability of each expression under the head over sound, in its class order, where there is such a head.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_pairs_as_map"
    )]
    pub probabilities: Option<Vec<(Expression, f32)>>,
    /// Probability that somebody speaks, in `[0, 1]`, where that is listened for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech: Option<f32>,
    /// Present in a live stream with a head over sound.
    #[serde(flatten)]
    pub live: Option<LiveAudio>,
}

/// What a live stream hears expressions in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LiveAudio {
    /// Length of the sound that the probabilities are of, milliseconds.
    pub window_ms: f64,
    /// From the end of that sound to the time of the frame, milliseconds.
    pub delay_ms: f64,
}

/// Violence in one frame, as far as it is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ViolenceReport {
    /// No window of a live stream is full yet.
    WarmingUp {
        /// Time until the first one is, milliseconds.
        warming_up_ms: f64,
        /// The window at the rate of the frames so far; present if they come too slowly.
        #[serde(skip_serializing_if = "Option::is_none")]
        window: Option<ViolenceWindow>,
    },
    /// The mean over the windows that cover the frame.
    Scored {
        /// Probability of violence, in `[0, 1]`.
        probability: f32,
        /// Whether the probability is at or above the threshold.
        violent: bool,
        /// Present in a live stream; the probabilities of a file are final.
        #[serde(flatten)]
        live: Option<LiveViolence>,
        /// The longest window that covers the frame; in a file only if its frames come too slowly.
        #[serde(skip_serializing_if = "Option::is_none")]
        window: Option<ViolenceWindow>,
    },
}

/// A window as its frames really came.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ViolenceWindow {
    /// From the first to the last frame, milliseconds.
    pub span_ms: f64,
    /// Embedded frames a second.
    pub frames_per_second: f64,
    /// Whether that is so few that the probability says little: the head was trained on more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub too_slow: bool,
}

/// What a live stream adds to the newest estimate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveViolence {
    /// How long after a frame its probability may still change, milliseconds.
    pub delay_ms: f64,
    /// Frames whose estimate is new.
    pub updates: Vec<ViolenceUpdate>,
}

/// A frame that another window has covered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ViolenceUpdate {
    /// Number of the frame.
    pub frame: u64,
    /// Time of the frame, milliseconds.
    pub time_ms: f64,
    /// Mean over the windows so far.
    pub probability: f32,
    /// Whether the probability is final: no later window covers the frame.
    #[serde(rename = "final")]
    pub is_final: bool,
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
    /// The expression, if that task was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<ExpressionReport>,
    /// Smoothed valence, unpleasant to pleasant, in `[-1, 1]`, if that task was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valence: Option<f32>,
    /// Smoothed arousal, calm to excited, in `[-1, 1]`, if that task was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arousal: Option<f32>,
    /// Smoothed strength of each action unit in `[0, 1]`, by ascending number, if that task was asked for and the
    /// face's mesh was found.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "action_units_as_map"
    )]
    pub action_units: Option<Vec<(ActionUnit, f32)>>,
    /// Where valence, arousal and action units come from.
    #[serde(skip_serializing_if = "Sources::is_empty")]
    pub sources: Sources,
    /// Whether the person's neutral look was taken off expression and action units.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// Whether a personal head had a part in the expression.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
    /// The mesh's points if they were asked for: x and y in frame pixels, z towards the camera negative, in the same
    /// scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landmarks: Option<Vec<[f32; 3]>>,
}

/// Where the numbers of a face come from, as far as they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sources {
    /// Source of valence and arousal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valence_arousal: Option<ValenceArousalOrigin>,
    /// Source of the action units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_units: Option<ActionUnitOrigin>,
}

impl Sources {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where valence and arousal come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ValenceArousalOrigin {
    /// The part of the model that gives them.
    pub source: ValenceArousalSource,
}

/// The part of the model that gives valence and arousal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValenceArousalSource {
    /// A head that was trained on them.
    Head,
    /// The backbone's own outputs.
    Backbone,
    /// No model was trained on them: they are the expressions' places in the circumplex, weighted by probability.
    Derived,
}

/// Where action units come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionUnitOrigin {
    /// The part of the model that gives them.
    pub source: ActionUnitSource,
    /// Units whose strength is taken from a related movement, not from their own.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub proxies: &'static [ActionUnit],
    /// Units at or above the head's thresholds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<Vec<ActionUnit>>,
}

/// The part of the model that gives action units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionUnitSource {
    /// A head that was trained on them.
    Head,
    /// Blendshapes of the face's mesh, mapped to units.
    Blendshapes,
}

impl ValenceArousalSource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Head, Self::Backbone, Self::Derived];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Backbone => "backbone",
            Self::Derived => "derived",
        }
    }
}

impl ActionUnitSource {
    /// Every source.
    pub const ALL: [Self; 2] = [Self::Head, Self::Blendshapes];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Blendshapes => "blendshapes",
        }
    }
}

/// The expression of one face.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpressionReport {
    /// The decision.
    pub label: Expression,
    /// Smoothed probability of the label under the model that decided.
    pub confidence: f32,
    /// The model that decided.
    pub source: ExpressionSource,
    /// Smoothed probability of each class under the model that decided, in its class order.
    #[serde(serialize_with = "pairs_as_map")]
    pub probabilities: Vec<(Expression, f32)>,
}

/// Model that predicted an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpressionSource {
    /// The pretrained classifier, which was confident.
    Pretrained,
    /// The trained head.
    Head,
    /// The trained head, averaged with a head over sound.
    Blend,
}

impl ExpressionSource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Pretrained, Self::Head, Self::Blend];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pretrained => "pretrained",
            Self::Head => "head",
            Self::Blend => "blend",
        }
    }
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

/// Numbers of expressions, which serialize as a map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ByExpression<T: Serialize>(
    #[serde(serialize_with = "pairs_as_map")] pub Vec<(Expression, T)>,
);

fn pairs_as_map<T: Serialize, S: Serializer>(
    pairs: &[(Expression, T)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (expression, probability) in pairs {
        map.serialize_entry(expression.name(), probability)?;
    }
    map.end()
}

fn optional_pairs_as_map<S: Serializer>(
    pairs: &Option<Vec<(Expression, f32)>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    pairs_as_map(pairs.as_deref().unwrap_or_default(), serializer)
}

fn action_units_as_map<S: Serializer>(
    units: &Option<Vec<(ActionUnit, f32)>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let units = units.as_deref().unwrap_or_default();
    serializer.collect_map(units.iter().map(|(unit, strength)| (unit.name(), strength)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> FaceReport {
        FaceReport {
            id: 0,
            bounding_box: BoundingBox {
                x: 1.0,
                y: 2.0,
                width: 3.0,
                height: 4.0,
            },
            score: 0.5,
            expression: Some(ExpressionReport {
                label: Expression::Happiness,
                confidence: 0.75,
                source: ExpressionSource::Head,
                probabilities: vec![(Expression::Neutral, 0.25), (Expression::Happiness, 0.75)],
            }),
            valence: None,
            arousal: None,
            action_units: None,
            sources: Sources::default(),
            baseline: false,
            personal: false,
            landmarks: None,
        }
    }

    fn json(face: FaceReport) -> String {
        let report = FrameReport {
            frame: 12,
            time_ms: 480.0,
            restarted: false,
            faces: vec![face],
            violence: None,
            people: None,
            audio: None,
        };
        serde_json::to_string(&report).expect("plain values")
    }

    #[test]
    fn json_has_the_documented_fields_in_order() {
        assert_eq!(
            json(face()),
            r#"{"frame":12,"time_ms":480.0,"faces":[{"id":0,"box":[1.0,2.0,3.0,4.0],"score":0.5,"expression":{"label":"happiness","confidence":0.75,"source":"head","probabilities":{"neutral":0.25,"happiness":0.75}}}]}"#
        );
    }

    #[test]
    fn the_first_frame_of_a_stream_that_began_by_itself_says_so() {
        let report = FrameReport {
            frame: 7,
            time_ms: 0.0,
            restarted: true,
            faces: vec![],
            violence: None,
            people: None,
            audio: None,
        };
        assert_eq!(
            serde_json::to_string(&report).expect("plain values"),
            r#"{"frame":7,"time_ms":0.0,"restarted":true,"faces":[]}"#
        );
    }

    #[test]
    fn people_are_there_where_they_were_asked_for_even_if_nobody_is() {
        let person = PersonReport {
            id: 2,
            bounding_box: face().bounding_box,
            score: 0.5,
            keypoints: vec![[1.0, 2.0, -3.0, 0.25]],
        };
        let json = |people| {
            let report = FrameReport {
                frame: 0,
                time_ms: 0.0,
                restarted: false,
                faces: vec![],
                violence: None,
                people: Some(people),
                audio: None,
            };
            serde_json::to_string(&report).expect("plain values")
        };
        assert_eq!(
            json(vec![person]),
            r#"{"frame":0,"time_ms":0.0,"faces":[],"people":[{"id":2,"box":[1.0,2.0,3.0,4.0],"score":0.5,"keypoints":[[1.0,2.0,-3.0,0.25]]}]}"#
        );
        assert_eq!(
            json(vec![]),
            r#"{"frame":0,"time_ms":0.0,"faces":[],"people":[]}"#
        );
    }

    fn violence_json(violence: ViolenceReport) -> String {
        serde_json::to_string(&violence).expect("plain values")
    }

    fn window(frames_per_second: f64, too_slow: bool) -> ViolenceWindow {
        ViolenceWindow {
            span_ms: 15_000.0 / frames_per_second,
            frames_per_second,
            too_slow,
        }
    }

    #[test]
    fn violence_is_one_number_in_a_file_and_more_in_a_stream() {
        let scored = |live, window| ViolenceReport::Scored {
            probability: 0.75,
            violent: true,
            live,
            window,
        };
        let warming_up = |window| ViolenceReport::WarmingUp {
            warming_up_ms: 1250.0,
            window,
        };
        assert_eq!(
            violence_json(warming_up(None)),
            r#"{"warming_up_ms":1250.0}"#
        );
        assert_eq!(
            violence_json(warming_up(Some(window(2.0, true)))),
            r#"{"warming_up_ms":1250.0,"window":{"span_ms":7500.0,"frames_per_second":2.0,"too_slow":true}}"#
        );
        assert_eq!(
            violence_json(scored(None, None)),
            r#"{"probability":0.75,"violent":true}"#
        );
        assert_eq!(
            violence_json(scored(None, Some(window(2.0, true)))),
            r#"{"probability":0.75,"violent":true,"window":{"span_ms":7500.0,"frames_per_second":2.0,"too_slow":true}}"#
        );
        let update = ViolenceUpdate {
            frame: 3,
            time_ms: 125.0,
            probability: 0.5,
            is_final: false,
        };
        let live = LiveViolence {
            delay_ms: 1875.0,
            updates: vec![update],
        };
        assert_eq!(
            violence_json(scored(Some(live), Some(window(8.0, false)))),
            r#"{"probability":0.75,"violent":true,"delay_ms":1875.0,"updates":[{"frame":3,"time_ms":125.0,"probability":0.5,"final":false}],"window":{"span_ms":1875.0,"frames_per_second":8.0}}"#
        );
    }

    #[test]
    fn sound_is_reported_as_far_as_it_is_heard() {
        let json = |audio: &AudioReport| serde_json::to_string(audio).expect("plain values");
        let speech = AudioReport {
            speech: Some(0.75),
            ..AudioReport::default()
        };
        assert_eq!(json(&speech), r#"{"speech":0.75}"#);
        let all = AudioReport {
            probabilities: Some(vec![(Expression::Neutral, 0.25), (Expression::Other, 0.75)]),
            live: Some(LiveAudio {
                window_ms: 4000.0,
                delay_ms: 250.0,
            }),
            ..speech
        };
        assert_eq!(
            json(&all),
            r#"{"probabilities":{"neutral":0.25,"other":0.75},"speech":0.75,"window_ms":4000.0,"delay_ms":250.0}"#
        );
    }

    #[test]
    fn every_source_is_named() {
        let origin = ActionUnitOrigin {
            source: ActionUnitSource::Blendshapes,
            proxies: &[ActionUnit::Au6],
            present: None,
        };
        let report = FaceReport {
            expression: None,
            valence: Some(0.5),
            arousal: Some(-0.25),
            action_units: Some(vec![(ActionUnit::Au6, 0.0), (ActionUnit::Au12, 1.0)]),
            sources: Sources {
                valence_arousal: Some(ValenceArousalOrigin {
                    source: ValenceArousalSource::Derived,
                }),
                action_units: Some(origin),
            },
            baseline: true,
            personal: true,
            ..face()
        };
        let expected = r#""score":0.5,"valence":0.5,"arousal":-0.25,"action_units":{"AU6":0.0,"AU12":1.0},"sources":{"valence_arousal":{"source":"derived"},"action_units":{"source":"blendshapes","proxies":["AU6"]}},"baseline":true,"personal":true}]}"#;
        assert!(json(report.clone()).ends_with(expected), "{}", json(report));
    }
}
