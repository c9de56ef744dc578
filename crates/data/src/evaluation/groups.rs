//! Scores of the parts of a data set that a network takes for persons of an age or gender.

use serde::Serialize;

use super::{
    AgeAndGender, AgeAndGenderReader, EvaluationError, PictureClassifier, PictureDecision,
    expressions::visit_faces,
    intervals::{bootstrap, wilson},
};
use crate::{LabelledPictures, Observer};
use affectlens::metrics::Confusion;

/// From these years on a person counts as older.
const BANDS: [(f32, &str); 4] = [
    (f32::NEG_INFINITY, "0-17"),
    (18.0, "18-29"),
    (30.0, "30-49"),
    (50.0, "50 and older"),
];
/// Gender scores; those between are unsure.
const GENDERS: [(f32, &str); 3] = [
    (f32::NEG_INFINITY, "female (below .4)"),
    (0.4, "unsure (.4 to .6)"),
    (0.6, "male (.6 and more)"),
];

/// What pictures are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// Predicted age.
    Age,
    /// Predicted gender.
    Gender,
}

impl GroupBy {
    /// Names of the groups, and from which value on a person belongs to each.
    fn groups(self) -> &'static [(f32, &'static str)] {
        match self {
            Self::Age => &BANDS,
            Self::Gender => &GENDERS,
        }
    }

    fn value(self, person: &AgeAndGender) -> f32 {
        match self {
            Self::Age => person.age,
            Self::Gender => person.gender,
        }
    }

    /// Index of a person's group.
    fn group(self, person: &AgeAndGender) -> usize {
        let value = self.value(person);
        let mut groups = self.groups().iter();
        groups
            .rposition(|(from, _)| value >= *from)
            .unwrap_or_default()
    }
}

/// A picture with its label, what was decided, and whom it seems to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupedPrediction {
    /// The decision.
    pub decision: PictureDecision,
    /// Whom the picture seems to show.
    pub person: AgeAndGender,
}

/// Scores of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupScores {
    /// What the group was made by.
    pub by: GroupBy,
    /// Name of the group.
    pub group: &'static str,
    /// Number of its pictures.
    pub count: u64,
    /// Share of right decisions.
    pub accuracy: f64,
    /// Its 95 % interval (Wilson).
    pub accuracy_interval: [f64; 2],
    /// Mean F1 over the classes that occur in the group as a label or a decision.
    pub macro_f1: f64,
    /// Its 95 % interval (bootstrap over pictures); none without pictures.
    pub macro_f1_interval: Option<[f64; 2]>,
}

/// Decides on pictures and reads age and gender of each; pictures that cannot be read are complaints.
///
/// # Errors
///
/// [`EvaluationError`] if a device fails, or no picture can be read.
pub fn predict_groups(
    classifier: &PictureClassifier,
    reader: &AgeAndGenderReader,
    pictures: &LabelledPictures,
    labels: &[usize],
    observer: &dyn Observer,
) -> Result<Vec<GroupedPrediction>, EvaluationError> {
    let mut all = Vec::new();
    visit_faces(
        &classifier.classifier,
        pictures,
        observer,
        |faces, scores| {
            for ((place, scores), person) in scores.iter().zip(reader.read(faces)?) {
                let decision = classifier.decide(scores, labels[*place])?;
                all.push(GroupedPrediction { decision, person });
            }
            Ok(())
        },
    )?;
    Ok(all)
}

/// The scores of each group, in order; groups without pictures have a count of 0.
pub fn score_groups(
    predictions: &[GroupedPrediction],
    classes: usize,
    by: GroupBy,
) -> Vec<GroupScores> {
    let groups = by.groups().iter().enumerate();
    let scores = groups.map(|(index, (_, name))| {
        let members = predictions.iter();
        let members = members.filter(|it| by.group(&it.person) == index);
        let pairs: Vec<[usize; 2]> = members
            .map(|it| [it.decision.truth, it.decision.prediction])
            .collect();
        let mut confusion = Confusion::new(classes);
        for &[truth, prediction] in &pairs {
            confusion.add(truth, prediction);
        }
        let hits = (0..classes).map(|class| confusion.get(class, class)).sum();
        GroupScores {
            by,
            group: name,
            count: confusion.count(),
            accuracy: confusion.accuracy(),
            accuracy_interval: wilson(hits, confusion.count()),
            macro_f1: confusion.macro_f1(),
            macro_f1_interval: bootstrap(classes, &pairs),
        }
    });
    scores.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_scored_by_the_group_of_their_person() {
        let person = |age, gender| AgeAndGender { age, gender };
        let picture = |truth, prediction, person| GroupedPrediction {
            decision: PictureDecision {
                truth,
                prediction,
                probability: 0.5,
            },
            person,
        };
        let predictions = [
            picture(0, 0, person(17.9, 0.39)),
            picture(1, 1, person(18.0, 0.4)),
            picture(0, 1, person(29.9, 0.59)),
            picture(1, 1, person(71.0, 0.6)),
        ];
        let scores = |by| score_groups(&predictions, 2, by);
        let counts = |by| scores(by).iter().map(|it| it.count).collect::<Vec<_>>();
        assert_eq!(counts(GroupBy::Age), [1, 2, 0, 1]);
        assert_eq!(counts(GroupBy::Gender), [1, 2, 1]);
        let unsure = &scores(GroupBy::Gender)[1];
        assert_eq!(unsure.group, "unsure (.4 to .6)");
        assert_eq!((unsure.accuracy, unsure.macro_f1), (0.5, 1.0 / 3.0));
        let [low, high] = unsure.accuracy_interval;
        assert!(low < 0.5 && 0.5 < high);
        let none = &scores(GroupBy::Age)[2];
        assert_eq!((none.accuracy, none.macro_f1_interval), (0.0, None));
    }
}
