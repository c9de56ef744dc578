//! Reports as a table: a line a face and a line a person, and a line with empty fields for a frame without any.

use affectlens::{
    face::BoundingBox,
    label::{ActionUnit, Expression},
    lens::Lens,
    person::KEYPOINTS,
    report::{ExpressionReport, FaceReport, FrameReport, PersonReport, ViolenceReport},
    task::{Task, Tasks},
};

const FRAME_COLUMNS: [&str; 3] = ["file", "frame", "time_ms"];
/// What a line is about; where people are looked for.
const KIND_COLUMN: &str = "kind";
const BOX_COLUMNS: [&str; 6] = ["id", "x", "y", "width", "height", "score"];
/// Behind the name of each point of a body.
const KEYPOINT_COLUMNS: [&str; 4] = ["x", "y", "z", "visibility"];
const EXPRESSION_COLUMNS: [&str; 3] = ["label", "confidence", "source"];
const VALENCE_AROUSAL_COLUMNS: [&str; 3] = ["valence", "arousal", "valence_arousal_source"];
const BASELINE_COLUMN: &str = "baseline";
const PERSONAL_COLUMN: &str = "personal";
const VIOLENCE_COLUMNS: [&str; 2] = ["violence_probability", "violent"];
/// Before the name of a class: what sound alone says of it.
const AUDIO_PREFIX: &str = "audio_";
const SPEECH_COLUMN: &str = "speech";

/// Which columns a table has.
pub(super) struct Columns {
    tasks: Tasks,
    classes: Vec<Expression>,
    action_units: Vec<ActionUnit>,
    /// Whether one tells whether a neutral look was taken off.
    pub(super) has_baseline: bool,
    /// Whether one tells whether a personal head had a part.
    pub(super) has_personal: bool,
    /// Classes of what sound alone says; none if it says nothing.
    pub(super) heard: Vec<Expression>,
    /// Whether one tells how likely somebody speaks.
    pub(super) has_speech: bool,
}

impl Columns {
    /// The columns of a lens.
    pub(super) fn new(tasks: Tasks, lens: &Lens) -> Self {
        let faces = lens.faces();
        Self {
            tasks,
            classes: faces.map_or_else(Vec::new, |faces| faces.classifier().classes().to_vec()),
            action_units: faces.map_or_else(Vec::new, |faces| faces.action_units().to_vec()),
            has_baseline: false,
            has_personal: false,
            heard: Vec::new(),
            has_speech: false,
        }
    }

    /// The header.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = FRAME_COLUMNS.map(str::to_owned).to_vec();
        if self.has_people() {
            names.push(KIND_COLUMN.to_owned());
        }
        names.extend(BOX_COLUMNS.map(str::to_owned));
        names.extend(self.face_names());
        if self.has_people() {
            names.extend(
                KEYPOINTS
                    .iter()
                    .flat_map(|point| KEYPOINT_COLUMNS.map(|number| format!("{point}_{number}"))),
            );
        }
        if self.tasks.contains(Task::Violence) {
            names.extend(VIOLENCE_COLUMNS.map(str::to_owned));
        }
        let heard = self.heard.iter();
        names.extend(heard.map(|class| AUDIO_PREFIX.to_owned() + class.name()));
        if self.has_speech {
            names.push(SPEECH_COLUMN.to_owned());
        }
        names
    }

    fn has_people(&self) -> bool {
        self.tasks.contains(Task::Pose)
    }

    /// The columns of faces behind those of boxes.
    fn face_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if self.tasks.contains(Task::Expression) {
            names.extend(EXPRESSION_COLUMNS.map(str::to_owned));
            names.extend(self.classes.iter().map(|class| class.name().to_owned()));
        }
        if self.tasks.contains(Task::ValenceArousal) {
            names.extend(VALENCE_AROUSAL_COLUMNS.map(str::to_owned));
        }
        if self.tasks.contains(Task::ActionUnits) {
            names.push("action_units_source".to_owned());
            names.extend(self.action_units.iter().map(|unit| unit.name().to_owned()));
        }
        if self.has_baseline {
            names.push(BASELINE_COLUMN.to_owned());
        }
        if self.has_personal {
            names.push(PERSONAL_COLUMN.to_owned());
        }
        names
    }

    /// The lines of a frame.
    pub(super) fn rows(&self, file: &str, report: &FrameReport) -> Vec<Vec<String>> {
        let frame = [
            harmless(file),
            report.frame.to_string(),
            report.time_ms.to_string(),
        ];
        let mut of_all = self.violence(report);
        of_all.extend(self.audio(report));
        let faces = report.faces.iter().map(|face| self.face(face));
        let people = report.people.iter().flatten();
        let people = people.map(|person| self.person(person));
        let mut found: Vec<_> = faces.chain(people).collect();
        if found.is_empty() {
            let width = self.names().len() - frame.len() - of_all.len();
            found.push(vec![String::new(); width]);
        }
        found
            .into_iter()
            .map(|it| [&frame[..], &it[..], &of_all[..]].concat())
            .collect()
    }

    fn audio(&self, report: &FrameReport) -> Vec<String> {
        let audio = report.audio.as_ref();
        let heard = audio.and_then(|audio| audio.probabilities.as_ref());
        let of_class = |class: &Expression| {
            let found = heard?.iter().find(|(other, _)| other == class);
            found.map(|(_, probability)| *probability)
        };
        let classes = self.heard.iter().map(|class| number(of_class(class)));
        let speech = self
            .has_speech
            .then(|| number(audio.and_then(|it| it.speech)));
        classes.chain(speech).collect()
    }

    /// What faces and people have alike.
    fn boxed(&self, kind: &str, id: u64, place: &BoundingBox, score: f32) -> Vec<String> {
        let mut fields = Vec::new();
        if self.has_people() {
            fields.push(kind.to_owned());
        }
        fields.push(id.to_string());
        fields
            .extend([place.x, place.y, place.width, place.height, score].map(|it| it.to_string()));
        fields
    }

    fn person(&self, person: &PersonReport) -> Vec<String> {
        let place = &person.bounding_box;
        let mut fields = self.boxed("person", person.id, place, person.score);
        fields.extend(vec![String::new(); self.face_names().len()]);
        let numbers = person.keypoints.as_flattened().iter();
        fields.extend(numbers.map(|number| number.to_string()));
        fields
    }

    fn violence(&self, report: &FrameReport) -> Vec<String> {
        match &report.violence {
            _ if !self.tasks.contains(Task::Violence) => Vec::new(),
            Some(ViolenceReport::Scored {
                probability,
                violent,
                ..
            }) => vec![probability.to_string(), violent.to_string()],
            _ => vec![String::new(); VIOLENCE_COLUMNS.len()],
        }
    }

    fn face(&self, face: &FaceReport) -> Vec<String> {
        let mut fields = self.boxed("face", face.id, &face.bounding_box, face.score);
        if self.tasks.contains(Task::Expression) {
            fields.extend(self.expression(face.expression.as_ref()));
        }
        if self.tasks.contains(Task::ValenceArousal) {
            let source = face.sources.valence_arousal.map(|it| it.source.name());
            fields.extend([number(face.valence), number(face.arousal)]);
            fields.push(source.unwrap_or_default().to_owned());
        }
        if self.tasks.contains(Task::ActionUnits) {
            fields.extend(self.units(face));
        }
        if self.has_baseline {
            fields.push(face.baseline.to_string());
        }
        if self.has_personal {
            fields.push(face.personal.to_string());
        }
        if self.has_people() {
            fields.extend(vec![
                String::new();
                KEYPOINTS.len() * KEYPOINT_COLUMNS.len()
            ]);
        }
        fields
    }

    fn expression(&self, report: Option<&ExpressionReport>) -> Vec<String> {
        let Some(report) = report else {
            return vec![String::new(); EXPRESSION_COLUMNS.len() + self.classes.len()];
        };
        let mut fields = vec![
            report.label.name().to_owned(),
            report.confidence.to_string(),
            report.source.name().to_owned(),
        ];
        let probabilities = report.probabilities.iter();
        fields.extend(probabilities.map(|(_, probability)| probability.to_string()));
        fields
    }

    fn units(&self, face: &FaceReport) -> Vec<String> {
        let source = face.sources.action_units.as_ref();
        let source = source.map(|it| it.source.name());
        let mut fields = vec![source.unwrap_or_default().to_owned()];
        let strengths = face.action_units.as_deref().unwrap_or_default();
        fields.extend(self.action_units.iter().map(|unit| {
            let found = strengths.iter().find(|(other, _)| other == unit);
            number(found.map(|(_, strength)| *strength))
        }));
        fields
    }
}

/// A file's name that no spreadsheet takes for a formula: the same file, from the folder that it is in.
fn harmless(file: &str) -> String {
    match file.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("./{file}"),
        false => file.to_owned(),
    }
}

/// A number that is not known is an empty field.
fn number(value: Option<f32>) -> String {
    value.map_or_else(String::new, |it| it.to_string())
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use affectlens::report::{
        ActionUnitOrigin, ActionUnitSource, AudioReport, ExpressionSource, Sources,
        ValenceArousalOrigin, ValenceArousalSource,
    };

    use super::*;

    const PLACE: BoundingBox = BoundingBox {
        x: 1.5,
        y: -2.0,
        width: 30.0,
        height: 40.25,
    };

    fn face(id: u64) -> FaceReport {
        FaceReport {
            id,
            bounding_box: PLACE,
            score: 0.75,
            expression: None,
            valence: None,
            arousal: None,
            action_units: None,
            sources: Sources::default(),
            baseline: false,
            personal: false,
            landmarks: None,
        }
    }

    fn frame(number: u64, faces: Vec<FaceReport>) -> FrameReport {
        FrameReport {
            frame: number,
            time_ms: 12.5 * f64::from(u32::try_from(number).expect("small")),
            restarted: false,
            faces,
            violence: None,
            people: None,
            audio: None,
        }
    }

    /// A frame of which everything is told, one of which little is, and one without anybody.
    fn full_reports() -> Vec<FrameReport> {
        let told = FaceReport {
            expression: Some(ExpressionReport {
                label: Expression::Anger,
                confidence: 0.75,
                source: ExpressionSource::Blend,
                probabilities: vec![(Expression::Neutral, 0.25), (Expression::Anger, 0.75)],
            }),
            valence: Some(-0.5),
            arousal: Some(0.0),
            action_units: Some(vec![(ActionUnit::Au2, 0.5), (ActionUnit::Au12, 1.0)]),
            sources: Sources {
                valence_arousal: Some(ValenceArousalOrigin {
                    source: ValenceArousalSource::Derived,
                }),
                action_units: Some(ActionUnitOrigin {
                    source: ActionUnitSource::Blendshapes,
                    proxies: &[],
                    present: None,
                }),
            },
            baseline: true,
            personal: true,
            ..face(0)
        };
        let person = PersonReport {
            id: 7,
            bounding_box: PLACE,
            score: 0.5,
            keypoints: vec![[1.0, 2.0, -0.5, 0.25]; KEYPOINTS.len()],
        };
        let full = FrameReport {
            violence: Some(ViolenceReport::Scored {
                probability: 0.625,
                violent: true,
                live: None,
                window: None,
            }),
            people: Some(vec![person]),
            audio: Some(AudioReport {
                probabilities: Some(vec![(Expression::Other, 0.5), (Expression::Fear, 0.5)]),
                speech: Some(0.125),
                live: None,
            }),
            ..frame(0, vec![told, face(1)])
        };
        let nobody = FrameReport {
            people: Some(Vec::new()),
            ..frame(2, Vec::new())
        };
        vec![full, frame(1, vec![face(1)]), nobody]
    }

    /// Compares a file of the package's tests with what it should hold; writes it first where that is asked for.
    fn assert_holds(name: &str, expected: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pkg-config/tests");
        let file = folder.join(name);
        if env::var_os("AFFECTLENS_WRITE_NAMES").is_some() {
            fs::write(&file, expected).expect("the file can be written");
        }
        let held = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(held, expected, "run with AFFECTLENS_WRITE_NAMES=1");
    }

    /// `export.test.mjs` makes the same table from the same reports.
    #[test]
    fn the_npm_package_is_tested_with_these_tables() {
        let columns = Columns {
            tasks: Tasks::new(&Task::ALL),
            classes: vec![Expression::Neutral, Expression::Anger],
            action_units: vec![ActionUnit::Au2, ActionUnit::Au12],
            has_baseline: true,
            has_personal: true,
            heard: vec![Expression::Other, Expression::Fear],
            has_speech: true,
        };
        let reports = full_reports();
        let rows = reports
            .iter()
            .flat_map(|report| columns.rows("=1.mp4", report));
        let table: String = std::iter::once(columns.names())
            .chain(rows)
            .map(|row| row.join(",") + "\n")
            .collect();
        assert_holds("reports.csv", &table);
        let lines = reports.iter().map(serde_json::to_string);
        let lines: Result<String, _> = lines.map(|line| line.map(|it| it + "\n")).collect();
        assert_holds("reports.jsonl", &lines.expect("reports are JSON"));
    }

    #[test]
    fn names_that_begin_like_formulas_still_name_the_file() {
        assert_eq!(harmless("=HYPERLINK(1).png"), "./=HYPERLINK(1).png");
        assert_eq!(harmless("-1.png"), "./-1.png");
        assert_eq!(harmless("a=b.png"), "a=b.png");
        assert_eq!(harmless(""), "");
    }
}
