//! The method's tables, ours beside the published figures: rows of systems, columns of scores.
//!
//! Each table is a constant with the published rows; computing fills in ours. As published, biases, thresholds, windows and
//! the best epoch are chosen on the data that the rows are scored on.

mod action_units;
mod expression;
mod valence_arousal;
mod violence;

use std::fmt::Write as _;

use serde::Serialize;

use affectlens_data::VideoFeatures;

pub use action_units::action_unit_table;
pub use expression::{HeardExpressions, expression_table};
pub use valence_arousal::valence_arousal_table;
pub use violence::{violence_presets, violence_table};

/// One table: rows of systems, columns of scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// Task, as the command line names it.
    pub task: &'static str,
    /// Names of the scores, all in `[-1, 1]`.
    pub scores: Vec<&'static str>,
    /// In the order of the publication.
    pub rows: Vec<TableRow>,
}

/// One system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableRow {
    /// Letter of the table and number of the row.
    pub id: &'static str,
    /// What it is.
    pub system: &'static str,
    /// Ours, one a score; empty where the row cannot be computed.
    pub ours: Vec<f64>,
    /// The published figures, one a score; `None` where none was published.
    pub published: Vec<Option<f64>>,
    /// What is missing to compute it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
}

/// A head, and the rows of the validation frames that it reads.
#[derive(Debug)]
pub struct HeadWithRows<'a, L, H> {
    /// The rows are the embeddings.
    pub validation: &'a VideoFeatures<L>,
    /// What reads them.
    pub head: &'a H,
}

/// What a row is computed from besides the faces, or what is missing: the file, as a user would look for it.
pub type Available<T> = Result<T, String>;

/// A published table; `S` names how its systems are computed.
struct Published<S: 'static, const SCORES: usize> {
    task: &'static str,
    scores: [&'static str; SCORES],
    rows: &'static [PublishedRow<S, SCORES>],
}

/// A system of a publication: its id, its name, how it is computed, and its figures.
struct PublishedRow<S, const SCORES: usize>(&'static str, &'static str, S, [Option<f64>; SCORES]);

/// Our scores of a row, or what it needs.
type Computed<const SCORES: usize> = Result<[f64; SCORES], String>;

impl<S: Copy, const SCORES: usize> Published<S, SCORES> {
    /// The table with our scores of the systems that can be computed.
    fn fill(&self, mut compute: impl FnMut(S) -> Computed<SCORES>) -> Table {
        let row = |PublishedRow(id, system, computes, published): &PublishedRow<S, SCORES>| {
            let computed = compute(*computes);
            TableRow {
                id,
                system,
                published: published.to_vec(),
                needs: computed.as_ref().err().cloned(),
                ours: computed.map_or_else(|_| Vec::new(), Vec::from),
            }
        };
        Table {
            task: self.task,
            scores: self.scores.to_vec(),
            rows: self.rows.iter().map(row).collect(),
        }
    }
}

impl Table {
    /// As a Markdown table, with a score a pair of columns.
    pub fn markdown(&self) -> String {
        let mut text = format!("| {} | system |", self.task);
        for score in &self.scores {
            // Writing to a string cannot fail.
            let _ = write!(text, " {score} | published |");
        }
        text.push_str("\n|---|---|");
        text.push_str(&"---:|---:|".repeat(self.scores.len()));
        for row in &self.rows {
            let _ = write!(text, "\n| {} | {} |", row.id, row.system);
            for (place, published) in row.published.iter().enumerate() {
                let ours = match (row.ours.get(place), &row.needs) {
                    (Some(ours), _) => format!("{ours:.4}"),
                    (None, Some(needs)) if place == 0 => format!("needs {needs}"),
                    (None, _) => String::new(),
                };
                let published = published.map_or_else(String::new, |it| format!("{it:.4}"));
                let _ = write!(text, " {ours} | {published} |");
            }
        }
        text.push('\n');
        text
    }
}
