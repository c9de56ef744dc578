//! Evaluation metrics: confusion matrix, accuracy and F1 of classes, F1 of action units, concordance of valence and
//! arousal, area under the ROC curve.

mod binary;
mod calibration;
mod concordance;

use serde::{Serialize, Serializer, ser::SerializeMap};

pub use binary::ActionUnitScores;
pub(crate) use binary::BinaryCounts;
pub use calibration::expected_calibration_error;
pub use concordance::{Covariance, ValenceArousalScores, concordance};

use crate::label::Expression;

/// Confusion matrix: the number of examples for each pair of true and predicted class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// Creates an empty matrix for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Counts pairs of true and predicted classes.
    ///
    /// # Panics
    ///
    /// If a class is `classes` or above, or the slices differ in length.
    pub fn from_pairs(classes: usize, truths: &[usize], predictions: &[usize]) -> Self {
        assert_eq!(
            truths.len(),
            predictions.len(),
            "each true class needs one prediction"
        );
        let mut confusion = Self::new(classes);
        for (&truth, &prediction) in truths.iter().zip(predictions) {
            confusion.add(truth, prediction);
        }
        confusion
    }

    /// Counts one example.
    ///
    /// # Panics
    ///
    /// If a class is not below [`classes`](Self::classes).
    pub fn add(&mut self, truth: usize, prediction: usize) {
        let cell = self.cell(truth, prediction);
        self.counts[cell] += 1;
    }

    /// Moves one example of class `truth` from prediction `from` to prediction `to`.
    pub(crate) fn shift(&mut self, truth: usize, from: usize, to: usize) {
        let (from, to) = (self.cell(truth, from), self.cell(truth, to));
        self.counts[from] -= 1;
        self.counts[to] += 1;
    }

    /// Number of examples of class `truth` that were predicted as class `prediction`.
    pub fn get(&self, truth: usize, prediction: usize) -> u64 {
        self.counts[self.cell(truth, prediction)]
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of examples.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts with one row per true class and one column per predicted class.
    pub fn rows(&self) -> Vec<Vec<u64>> {
        self.counts
            .chunks(self.classes.max(1))
            .map(<[u64]>::to_vec)
            .collect()
    }

    /// Share of correct predictions, in `[0, 1]`; 0 without examples.
    pub fn accuracy(&self) -> f64 {
        let correct: u64 = (0..self.classes).map(|class| self.get(class, class)).sum();
        ratio(correct, self.count())
    }

    /// F1 of a class, in `[0, 1]`; `None` if the class occurs neither as a label nor as a prediction.
    pub fn f1(&self, class: usize) -> Option<f64> {
        let labelled: u64 = (0..self.classes).map(|other| self.get(class, other)).sum();
        let predicted: u64 = (0..self.classes).map(|other| self.get(other, class)).sum();
        let total = labelled + predicted;
        (total > 0).then(|| ratio(2 * self.get(class, class), total))
    }

    /// Share of the predictions of a class that are right, in `[0, 1]`; `None` if there are none.
    pub fn precision(&self, class: usize) -> Option<f64> {
        let predicted = (0..self.classes).map(|other| self.get(other, class)).sum();
        (predicted > 0).then(|| ratio(self.get(class, class), predicted))
    }

    /// Share of the examples of a class that are predicted as it, in `[0, 1]`; `None` if there are none.
    pub fn recall(&self, class: usize) -> Option<f64> {
        let labelled = (0..self.classes).map(|other| self.get(class, other)).sum();
        (labelled > 0).then(|| ratio(self.get(class, class), labelled))
    }

    /// Mean F1 over the classes that occur as a label or a prediction, scikit-learn's default; 0 without examples.
    pub fn macro_f1(&self) -> f64 {
        let (sum, occurring) = (0..self.classes)
            .filter_map(|class| self.f1(class))
            .fold((0.0, 0_u32), |(sum, n), f1| (sum + f1, n + 1));
        if occurring == 0 {
            0.0
        } else {
            sum / f64::from(occurring)
        }
    }

    fn cell(&self, truth: usize, prediction: usize) -> usize {
        assert!(
            truth < self.classes && prediction < self.classes,
            "class must be below {}",
            self.classes
        );
        truth * self.classes + prediction
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Report of the evaluation of a classifier, as the command line prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores<C = Expression> {
    /// Share of correct predictions.
    pub accuracy: f64,
    /// Mean F1 over the classes in `per_class`.
    pub macro_f1: f64,
    /// F1 of each class that occurs as a label or a prediction.
    #[serde(serialize_with = "as_map")]
    pub per_class: Vec<(C, f64)>,
    /// Share of right ones among the predictions of each class that is predicted.
    #[serde(serialize_with = "as_map")]
    pub precision: Vec<(C, f64)>,
    /// Share of right predictions for each class that occurs as a label.
    #[serde(serialize_with = "as_map")]
    pub recall: Vec<(C, f64)>,
    /// Counts with one row per true class and one column per predicted class, in the order of `classes`.
    pub confusion: Vec<Vec<u64>>,
    /// Number of examples.
    pub count: u64,
    /// Order of the rows and columns of `confusion`.
    pub classes: Vec<C>,
}

impl<C: Copy> Scores<C> {
    /// Computes the scores of a confusion matrix whose classes have the given names.
    ///
    /// # Panics
    ///
    /// If the number of names is not the number of classes.
    pub fn new(confusion: &Confusion, classes: &[C]) -> Self {
        assert_eq!(
            confusion.classes(),
            classes.len(),
            "each class needs one name"
        );
        let of_each = |score: &dyn Fn(usize) -> Option<f64>| {
            let named = classes.iter().enumerate();
            named
                .filter_map(|(class, &name)| score(class).map(|score| (name, score)))
                .collect()
        };
        Self {
            accuracy: confusion.accuracy(),
            macro_f1: confusion.macro_f1(),
            per_class: of_each(&|class| confusion.f1(class)),
            precision: of_each(&|class| confusion.precision(class)),
            recall: of_each(&|class| confusion.recall(class)),
            confusion: confusion.rows(),
            count: confusion.count(),
            classes: classes.to_vec(),
        }
    }
}

fn as_map<K: Serialize, S: Serializer>(
    scores: &[(K, f64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(scores.len()))?;
    for (name, score) in scores {
        map.serialize_entry(name, score)?;
    }
    map.end()
}

/// Index of the largest value; the lowest index on a tie, `None` for an empty slice.
pub fn argmax(values: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (index, &value) in values.iter().enumerate() {
        if best.is_none_or(|(_, largest)| value > largest) {
            best = Some((index, value));
        }
    }
    best.map(|(index, _)| index)
}

/// Area under the receiver operating characteristic (ROC) curve, in `[0, 1]`; `None` unless there are positive and
/// negative examples.
///
/// It is the probability that a positive example scores higher than a negative one, with ties counted half; 0.5 is
/// chance.
pub fn area_under_curve(positives: &[f32], negatives: &[f32]) -> Option<f64> {
    if positives.is_empty() || negatives.is_empty() {
        return None;
    }
    let mut negatives = negatives.to_vec();
    negatives.sort_by(f32::total_cmp);
    let ordered_pairs: f64 = positives
        .iter()
        .map(|score| {
            let below = negatives.partition_point(|other| other < score);
            let up_to = negatives.partition_point(|other| other <= score);
            (below + up_to) as f64 / 2.0
        })
        .sum();
    Some(ordered_pairs / (positives.len() as f64 * negatives.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    // scikit-learn: f1_score([0,0,1,2,2,2], [0,1,1,2,2,0], average=None) = [0.5, 2/3, 0.8]
    #[test]
    fn scores_are_those_of_scikit_learn() {
        let confusion = Confusion::from_pairs(3, &[0, 0, 1, 2, 2, 2], &[0, 1, 1, 2, 2, 0]);
        assert_eq!(confusion.rows(), [[1, 1, 0], [0, 1, 0], [1, 0, 2]]);
        assert_eq!(confusion.accuracy(), 4.0 / 6.0);
        assert_eq!(
            [confusion.f1(0), confusion.f1(1), confusion.f1(2)],
            [Some(0.5), Some(2.0 / 3.0), Some(0.8)]
        );
        assert!((confusion.macro_f1() - (0.5 + 2.0 / 3.0 + 0.8) / 3.0).abs() < 1e-15);
    }

    #[test]
    fn macro_f1_spans_labels_and_predictions_but_not_absent_classes() {
        let never_seen = Confusion::from_pairs(4, &[0, 1], &[0, 1]);
        assert_eq!(never_seen.macro_f1(), 1.0);
        let only_predicted = Confusion::from_pairs(4, &[0, 1], &[0, 3]);
        assert_eq!(only_predicted.f1(2), None);
        assert_eq!(only_predicted.macro_f1(), 1.0 / 3.0);
        assert_eq!(Confusion::new(3).macro_f1(), 0.0);
    }

    #[test]
    fn report_names_classes_in_order_and_leaves_absent_ones_out() {
        let confusion = Confusion::from_pairs(3, &[0, 2], &[0, 0]);
        let scores = Scores::new(
            &confusion,
            &[Expression::Neutral, Expression::Fear, Expression::Anger],
        );
        assert_eq!(
            serde_json::to_string(&scores).expect("plain data"),
            r#"{"accuracy":0.5,"macro_f1":0.3333333333333333,"per_class":{"neutral":0.6666666666666666,"anger":0.0},"precision":{"neutral":0.5},"recall":{"neutral":1.0,"anger":0.0},"confusion":[[1,0,0],[0,0,0],[1,0,0]],"count":2,"classes":["neutral","fear","anger"]}"#
        );
    }

    #[test]
    fn ties_go_to_the_lowest_index() {
        assert_eq!(argmax(&[0.2, 0.4, 0.4]), Some(1));
        assert_eq!(argmax(&[]), None);
    }

    #[test]
    fn area_is_the_share_of_pairs_in_order() {
        // scikit-learn: roc_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) = 0.75
        assert_eq!(area_under_curve(&[0.35, 0.8], &[0.1, 0.4]), Some(0.75));
        assert_eq!(
            area_under_curve(&[0.5, 0.9], &[0.5, 0.5, 0.1]),
            Some(5.0 / 6.0)
        );
        assert_eq!(area_under_curve(&[0.2; 3], &[0.2; 4]), Some(0.5));
        assert_eq!(area_under_curve(&[], &[0.2]), None);
    }
}
