//! A personal head: what a classifier of expressions has learnt about one person's face, as a file and from faces.

use serde::Serialize;
use thiserror::Error;

use crate::{
    correction::{Correction, LabelledFace, apply},
    label::Expression,
    metrics::argmax,
    report::ByExpression,
    weights::{EMBEDDING, Metadata, Weights, WeightsError},
};

/// Architecture of the file.
const ARCHITECTURE: &str = "personal-head";
/// Key of the file's version, and the version that is written and read.
const VERSION: &str = "version";
const CURRENT: &str = "1";
/// Names of the tensors.
const WEIGHT: &str = "weight";
const BIAS: &str = "bias";

/// Faces of one expression that are kept to learn from; further ones take the place of the oldest.
pub const MOST_FACES: usize = 64;

/// Why there is no personal head.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PersonalError {
    /// Nobody asked for expressions.
    #[error("a personal head is about expressions, but that task was not asked for")]
    NoExpressions,
    /// It is not clear whose face is meant.
    #[error("the newest picture shows {got} faces, expected one to learn from")]
    Faces {
        /// Faces in it.
        got: usize,
    },
    /// No classifier knows the expression.
    #[error("expression is `{}`, expected one of {}", .got.name(), names(.expected))]
    Expression {
        /// Expression that was to be learnt.
        got: Expression,
        /// Those that there are.
        expected: Vec<Expression>,
    },
    /// There is nothing to tell apart.
    #[error("faces of {got} expressions were learnt, expected two or more")]
    TooFew {
        /// Expressions with faces.
        got: usize,
    },
    /// A file is too large.
    #[error(
        "personal head: file has {got} bytes, expected at most {}",
        PersonalHead::MOST_BYTES
    )]
    Size {
        /// Bytes of it.
        got: usize,
    },
    /// A file is of another version.
    #[error("personal head: version is `{got}`, expected `{CURRENT}`")]
    Version {
        /// Version in the file.
        got: String,
    },
    /// A file was made for another model.
    #[error("personal head was made for {what} `{got}`, the model has `{expected}`")]
    Model {
        /// What differs.
        what: &'static str,
        /// The model's.
        expected: String,
        /// The file's.
        got: String,
    },
    /// A file is damaged or of another kind.
    #[error("personal head: {0}")]
    Weights(WeightsError),
}

// Not `#[from]`: the message would be told twice, by the error and as its source.
impl From<WeightsError> for PersonalError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(error)
    }
}

impl PersonalError {
    /// A stable word for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoExpressions
            | Self::Faces { .. }
            | Self::Expression { .. }
            | Self::TooFew { .. } => "bad-argument",
            _ => "weights-malformed",
        }
    }
}

/// What a personal head looks at: a face's embedding, and what the classifier says of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenFace {
    /// Of length 1.
    pub(crate) embedding: Vec<f32>,
    /// Over the classes of a report.
    pub(crate) probabilities: Vec<f32>,
}

/// The model that a personal head belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model<'a> {
    /// Architecture of the backbone.
    pub(crate) backbone: &'a str,
    /// Length of its embeddings.
    pub(crate) width: usize,
    /// Classes of a report, in order.
    pub(crate) classes: &'a [Expression],
}

/// A correction of a model's probabilities for one person.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonalHead {
    pub(crate) correction: Correction,
    /// Architecture of the backbone.
    backbone: String,
    classes: Vec<Expression>,
}

impl PersonalHead {
    /// Most bytes of a file: a hundred times those of the default model's.
    pub const MOST_BYTES: usize = 4 << 20;

    fn new(correction: Correction, model: Model) -> Self {
        Self {
            correction,
            backbone: model.backbone.to_owned(),
            classes: model.classes.to_vec(),
        }
    }

    /// Reads the bytes of a file.
    pub(crate) fn read(file: &[u8], model: Model) -> Result<Self, PersonalError> {
        if file.len() > Self::MOST_BYTES {
            return Err(PersonalError::Size { got: file.len() });
        }
        let weights = Weights::from_safetensors(file)?;
        weights.expect_architecture(ARCHITECTURE)?;
        let Metadata { classes, extra, .. } = &weights.metadata;
        let entry = |key| extra.get(key).cloned().unwrap_or_default();
        let got = entry(VERSION);
        if got != CURRENT {
            return Err(PersonalError::Version { got });
        }
        let backbone = ("backbone", model.backbone.to_owned(), entry(EMBEDDING));
        let classes = ("classes", names(model.classes), names(classes));
        for (what, expected, got) in [backbone, classes] {
            if got != expected {
                return Err(PersonalError::Model {
                    what,
                    expected,
                    got,
                });
            }
        }
        let count = model.classes.len();
        let values = |name, shape: &[usize]| weights.values(name, shape).map(<[f32]>::to_vec);
        let correction = Correction {
            weight: values(WEIGHT, &[count, model.width])?,
            bias: values(BIAS, &[count])?,
        };
        Ok(Self::new(correction, model))
    }

    /// The bytes of its file: safetensors with the tensors `bias` and `weight`, written by hand, since the library that
    /// writes any such file is as large as all else of personal heads, and every visitor loads it.
    pub fn to_file(&self) -> Vec<u8> {
        let Correction { weight, bias } = &self.correction;
        let (classes, backbone) = (self.classes.len(), &self.backbone);
        let width = weight.len() / classes.max(1);
        let names = names(&self.classes).replace(", ", r#"\",\""#);
        let split = 4 * bias.len();
        let end = split + 4 * weight.len();
        let mut header = format!(
            r#"{{"__metadata__":{{"architecture":"{ARCHITECTURE}","classes":"[\"{names}\"]","{EMBEDDING}":"{backbone}","{VERSION}":"{CURRENT}"}},"{BIAS}":{{"dtype":"F32","shape":[{classes}],"data_offsets":[0,{split}]}},"{WEIGHT}":{{"dtype":"F32","shape":[{classes},{width}],"data_offsets":[{split},{end}]}}}}"#
        );
        // Padded with spaces, as the format has it, so that the numbers begin at a multiple of eight bytes.
        while header.len() % 8 > 0 {
            header.push(' ');
        }
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        for value in bias.iter().chain(weight) {
            file.extend(value.to_le_bytes());
        }
        file
    }
}

/// How a personal head does on the faces that it was made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonalFit {
    /// Faces of each expression that it was made of.
    pub faces: ByExpression<usize>,
    /// Share of faces that the model reads right without it, each expression counting alike; `None` where no expression
    /// has two faces.
    pub before: Option<f32>,
    /// The same with it: each half of the faces of an expression is read with what the other half taught.
    pub after: Option<f32>,
}

/// Faces that are learnt from.
#[derive(Debug, Default)]
pub(crate) struct Lessons {
    /// By class of a report, in the order in which they came.
    faces: Vec<Vec<LabelledFace>>,
}

impl Lessons {
    /// Adds the only face of the newest picture.
    pub(crate) fn add(
        &mut self,
        seen: &[SeenFace],
        label: Expression,
        classes: &[Expression],
    ) -> Result<(), PersonalError> {
        let class = classes.iter().position(|class| *class == label);
        let class = class.ok_or_else(|| PersonalError::Expression {
            got: label,
            expected: classes.to_vec(),
        })?;
        let [face] = seen else {
            return Err(PersonalError::Faces { got: seen.len() });
        };
        self.faces.resize_with(classes.len(), Vec::new);
        let faces = &mut self.faces[class];
        if faces.len() == MOST_FACES {
            faces.remove(0);
        }
        let SeenFace {
            embedding,
            probabilities,
        } = face.clone();
        faces.push(LabelledFace {
            embedding,
            probabilities,
            class,
        });
        Ok(())
    }

    /// Faces of each class.
    pub(crate) fn counts(&self, classes: &[Expression]) -> Vec<(Expression, usize)> {
        let counts = self.faces.iter().map(Vec::len);
        classes
            .iter()
            .copied()
            .zip(counts.chain(std::iter::repeat(0)))
            .collect()
    }

    /// Forgets all faces.
    pub(crate) fn forget(&mut self) {
        self.faces.clear();
    }

    /// Learns from all faces.
    pub(crate) fn learn(&self, model: Model) -> Result<(PersonalHead, PersonalFit), PersonalError> {
        let got = self.faces.iter().filter(|faces| !faces.is_empty()).count();
        if got < 2 {
            return Err(PersonalError::TooFew { got });
        }
        let all: Vec<_> = self.faces.iter().flatten().collect();
        let [before, after] = self.score();
        let fit = PersonalFit {
            faces: ByExpression(self.counts(model.classes)),
            before,
            after,
        };
        Ok((PersonalHead::new(Correction::fit(&all), model), fit))
    }

    /// Mean over the expressions of the share that is read right, before and after. Halves are in the order of time:
    /// neighbours in a recording are alike.
    fn score(&self) -> [Option<f32>; 2] {
        let mut halves = [Vec::new(), Vec::new()];
        for faces in &self.faces {
            for (place, face) in faces.iter().enumerate() {
                halves[usize::from(2 * place >= faces.len())].push(face);
            }
        }
        let mut right = vec![[0.0_f32; 2]; self.faces.len()];
        for [learnt, read] in [[&halves[0], &halves[1]], [&halves[1], &halves[0]]] {
            if learnt.is_empty() {
                continue;
            }
            let correction = Correction::fit(learnt);
            for face in read {
                let corrected = apply(&face.probabilities, &correction.of(&face.embedding));
                let is_right = |row: &[f32]| f32::from(u8::from(argmax(row) == Some(face.class)));
                right[face.class][0] += is_right(&face.probabilities);
                right[face.class][1] += is_right(&corrected);
            }
        }
        // Of one face there are no halves.
        let scored = self.faces.iter().zip(&right);
        let scored: Vec<_> = scored.filter(|(faces, _)| faces.len() > 1).collect();
        [0, 1].map(|place| {
            let shares = scored
                .iter()
                .map(|(faces, right)| right[place] / faces.len() as f32);
            (!scored.is_empty()).then(|| shares.sum::<f32>() / scored.len() as f32)
        })
    }
}

fn names(classes: &[Expression]) -> String {
    let names: Vec<_> = classes.iter().map(|class| class.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Precision;

    const CLASSES: [Expression; 3] = [
        Expression::Neutral,
        Expression::Anger,
        Expression::Happiness,
    ];
    const MODEL: Model = Model {
        backbone: "seeded",
        width: 2,
        classes: &CLASSES,
    };

    /// Anger is read as neutral, and the other way round.
    fn seen(anger: f32) -> SeenFace {
        SeenFace {
            embedding: vec![1.0 - anger, anger],
            probabilities: vec![0.1 + 0.7 * anger, 0.8 - 0.7 * anger, 0.1],
        }
    }

    fn lessons(faces: usize) -> Lessons {
        let mut lessons = Lessons::default();
        for _ in 0..faces {
            for (anger, label) in [(0.0, CLASSES[0]), (1.0, CLASSES[1])] {
                let added = lessons.add(&[seen(anger)], label, &CLASSES);
                added.expect("one face of a class");
            }
        }
        lessons
    }

    fn learnt() -> PersonalHead {
        lessons(3).learn(MODEL).expect("two expressions").0
    }

    fn refusal(file: &[u8], model: Model) -> String {
        let error = PersonalHead::read(file, model).expect_err("does not fit");
        assert_eq!(error.code(), "weights-malformed");
        error.to_string()
    }

    #[test]
    fn what_is_learnt_is_scored_on_the_half_that_was_not_learnt_from() {
        let (_, fit) = lessons(3).learn(MODEL).expect("two expressions");
        assert_eq!((fit.before, fit.after), (Some(0.0), Some(1.0)));
        let json = serde_json::to_value(&fit).expect("JSON");
        let faces = serde_json::json!({ "neutral": 3, "anger": 3, "happiness": 0 });
        assert_eq!(json["faces"], faces);
        let (_, fit) = lessons(1).learn(MODEL).expect("two expressions");
        assert_eq!((fit.before, fit.after), (None, None));
    }

    #[test]
    fn the_newest_faces_are_kept() {
        let lessons = lessons(MOST_FACES + 3);
        let counts = lessons.counts(&CLASSES);
        let counts: Vec<_> = counts.iter().map(|it| it.1).collect();
        assert_eq!(counts, [MOST_FACES, MOST_FACES, 0]);
    }

    #[test]
    fn what_cannot_be_learnt_is_refused() {
        let mut lessons = Lessons::default();
        let mut refuse = |seen: &[SeenFace], label| {
            let error = lessons.add(seen, label, &CLASSES).expect_err("refused");
            assert_eq!(error.code(), "bad-argument");
            error.to_string()
        };
        assert_eq!(
            refuse(&[seen(0.0)], Expression::Fear),
            "expression is `fear`, expected one of neutral, anger, happiness"
        );
        for (faces, got) in [(vec![], 0), (vec![seen(0.0); 2], 2)] {
            let expected =
                format!("the newest picture shows {got} faces, expected one to learn from");
            assert_eq!(refuse(&faces, CLASSES[0]), expected);
        }
        lessons
            .add(&[seen(0.0)], CLASSES[0], &CLASSES)
            .expect("one face");
        let error = lessons.learn(MODEL).expect_err("one expression");
        assert_eq!(
            error.to_string(),
            "faces of 1 expressions were learnt, expected two or more"
        );
    }

    #[test]
    fn a_file_gives_the_head_back() {
        let head = learnt();
        let file = head.to_file();
        assert_eq!(PersonalHead::read(&file, MODEL).expect("fits"), head);
        assert_eq!(file, learnt().to_file(), "the same bytes");
    }

    #[test]
    fn a_file_of_another_model_is_refused() {
        let file = learnt().to_file();
        let model = |backbone, classes, width| Model {
            backbone,
            classes,
            width,
        };
        assert_eq!(
            refusal(&file, model("other", &CLASSES, 2)),
            "personal head was made for backbone `seeded`, the model has `other`"
        );
        assert_eq!(
            refusal(&file, model("seeded", &CLASSES[..2], 2)),
            "personal head was made for classes `neutral, anger, happiness`, the model has `neutral, anger`"
        );
        assert_eq!(
            refusal(&file, model("seeded", &CLASSES, 3)),
            "personal head: weight `weight` has shape [3, 2], expected [3, 3]"
        );
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let file = learnt().to_file();
        for length in [0, 7, file.len() / 2, file.len() - 1] {
            assert!(refusal(&file[..length], MODEL).starts_with("personal head: "));
        }
        let table = |change: &dyn Fn(&mut Weights)| {
            let mut weights = Weights::from_safetensors(&file).expect("a file of the format");
            change(&mut weights);
            let changed = weights.to_safetensors(Precision::Single);
            changed.expect("finite")
        };
        let newer = table(&|it| {
            it.metadata.extra.insert(VERSION.into(), "2".into());
        });
        assert_eq!(
            refusal(&newer, MODEL),
            "personal head: version is `2`, expected `1`"
        );
        let other = table(&|it| it.metadata.architecture = "mlp".to_owned());
        assert!(refusal(&other, MODEL).contains("personal-head"));
        let same = PersonalHead::read(&table(&|_| {}), MODEL);
        assert_eq!(same.expect("as the library writes it"), learnt());
        let large = vec![0; PersonalHead::MOST_BYTES + 1];
        assert_eq!(
            refusal(&large, MODEL),
            "personal head: file has 4194305 bytes, expected at most 4194304"
        );
    }
}
