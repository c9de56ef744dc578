//! Rows of numbers with labels.

use std::fmt::Debug;

use affectlens::weights::sha256;
use affectlens_data::FeatureRows;

use crate::FitError;

/// Rows with the label of each.
#[derive(Debug)]
pub struct Examples<'a, L> {
    /// Embeddings or scores.
    pub rows: &'a FeatureRows,
    /// One a row.
    pub labels: &'a [L],
}

impl<L> Clone for Examples<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Examples<'_, L> {}

impl<L> Examples<'_, L> {
    /// Confirms that there are examples, each with a label and a row of that width.
    pub(crate) fn check(&self, part: &'static str, width: usize) -> Result<(), FitError> {
        let (rows, labels) = (self.rows.len(), self.labels.len());
        if rows != labels {
            return Err(FitError::Count { part, rows, labels });
        }
        if rows == 0 {
            return Err(FitError::Empty(part));
        }
        if self.rows.width() != width {
            return Err(FitError::Width {
                part,
                expected: width,
                got: self.rows.width(),
            });
        }
        Ok(())
    }
}

impl<L: Debug> Examples<'_, L> {
    /// A text that other examples do not have: their number and width, and a digest of the labels and of the sum of each
    /// row.
    pub(crate) fn fingerprint(&self) -> String {
        let sums = self.rows.iter().map(|row| row.iter().sum::<f32>());
        let mut bytes: Vec<u8> = sums.flat_map(f32::to_le_bytes).collect();
        for label in self.labels {
            bytes.extend(format!("{label:?} ").into_bytes());
        }
        let digest = sha256(&bytes);
        format!(
            "{}x{} {}",
            self.rows.len(),
            self.rows.width(),
            &digest[..12]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_labels_and_other_rows_have_another_fingerprint() {
        let rows = FeatureRows::from_rows([[1.0, 2.0], [3.0, 4.0]]).expect("finite");
        let other = FeatureRows::from_rows([[1.0, 2.0], [3.0, 4.5]]).expect("finite");
        let print = |rows: &FeatureRows, labels: &[usize]| Examples { rows, labels }.fingerprint();
        let first = print(&rows, &[0, 1]);
        assert!(first.starts_with("2x2 "), "{first}");
        assert_eq!(first, print(&rows, &[0, 1]));
        assert_ne!(first, print(&rows, &[1, 0]));
        assert_ne!(first, print(&other, &[0, 1]));
    }
}
