//! Many rows of numbers in little memory.

use burn::tensor::{Device, Tensor, TensorData};
use half::{f16, slice::HalfFloatSliceExt};
use thiserror::Error;

/// Rows of one width as 16-bit floats, as the published features are kept: the training part of Aff-Wild2 has
/// 1.4 million rows of 1280.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureRows {
    width: usize,
    values: Vec<f16>,
}

/// Why a row cannot be kept.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum FeatureError {
    /// The row has another width than the others.
    #[error("row {row} has {got} values, expected {expected}")]
    Width {
        /// Index of the row.
        row: usize,
        /// Width of the rows.
        expected: usize,
        /// Width of this row.
        got: usize,
    },
    /// A value is not finite as a 16-bit float.
    #[error("row {row} has value {got}, expected a number from -65504 to 65504")]
    Value {
        /// Index of the row.
        row: usize,
        /// The value.
        got: f32,
    },
}

impl FeatureRows {
    /// No rows, of that width.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            values: vec![],
        }
    }

    /// Rows of the first one's width.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn from_rows<R: AsRef<[f32]>>(
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Self, FeatureError> {
        let mut rows = rows.into_iter().peekable();
        let mut features = Self::new(rows.peek().map_or(0, |row| row.as_ref().len()));
        for row in rows {
            features.push(row.as_ref())?;
        }
        Ok(features)
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// [`FeatureError`] for a row of another width or a value that a 16-bit float cannot hold; nothing is added then.
    pub fn push(&mut self, row: &[f32]) -> Result<(), FeatureError> {
        let index = self.len();
        if row.len() != self.width || row.is_empty() {
            return Err(FeatureError::Width {
                row: index,
                expected: self.width.max(1),
                got: row.len(),
            });
        }
        let start = self.values.len();
        self.values.resize(start + self.width, f16::ZERO);
        self.values[start..].convert_from_f32_slice(row);
        if let Some(place) = self.values[start..].iter().position(|it| !it.is_finite()) {
            self.values.truncate(start);
            return Err(FeatureError::Value {
                row: index,
                got: row[place],
            });
        }
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn row(&self, index: usize) -> Vec<f32> {
        self.halves(index).to_f32_vec()
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Vec<f32>> + '_ {
        (0..self.len()).map(|index| self.row(index))
    }

    /// Rows `[examples, width]` on a device.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn batch(&self, examples: &[usize], device: &Device) -> Tensor<2> {
        let mut values = vec![0.0; examples.len() * self.width];
        for (row, &example) in values.chunks_exact_mut(self.width.max(1)).zip(examples) {
            self.halves(example).convert_to_f32_slice(row);
        }
        Tensor::from_data(
            TensorData::new(values, [examples.len(), self.width]),
            device,
        )
    }

    /// Copies of some rows.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn select(&self, examples: &[usize]) -> Self {
        let rows = examples.iter().flat_map(|&example| self.halves(example));
        Self {
            width: self.width,
            values: rows.copied().collect(),
        }
    }

    /// What a network makes of each row, in batches that bound memory; the result does not depend on them.
    ///
    /// `forward` maps `[batch, width]` to `[batch, outputs]` of 32-bit floats.
    pub fn forward(
        &self,
        device: &Device,
        forward: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> Vec<Vec<f32>> {
        const BATCH: usize = 1024;
        let examples: Vec<usize> = (0..self.len()).collect();
        let mut rows = Vec::with_capacity(examples.len());
        for examples in examples.chunks(BATCH) {
            let output = forward(self.batch(examples, device));
            let [_, outputs] = output.dims();
            let output = output.into_data();
            let values = output
                .as_slice::<f32>()
                .expect("a network over f32 gives f32");
            rows.extend(values.chunks(outputs).map(<[f32]>::to_vec));
        }
        rows
    }

    fn halves(&self, index: usize) -> &[f16] {
        &self.values[index * self.width..][..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_rounded_to_16_bits() {
        let rows = FeatureRows::from_rows([[1.0, 0.1], [-2.5, 3.0], [0.0, 65504.0]]).expect("fits");
        assert_eq!((rows.len(), rows.width()), (3, 2));
        assert_eq!(rows.row(0), [1.0, 0.099_975_586]);
        let batch = rows.batch(&[2, 0, 2], &Device::flex());
        let expected = [rows.row(2), rows.row(0), rows.row(2)];
        assert_eq!(
            rows.select(&[2, 0, 2]).iter().collect::<Vec<_>>(),
            &expected[..]
        );
        let values: Vec<f32> = batch.into_data().try_into_vec().expect("f32");
        assert_eq!(values, expected.concat());
        let doubled = rows.forward(&Device::flex(), |batch| batch * 2.0);
        assert_eq!(doubled[1], [-5.0, 6.0]);
    }

    #[test]
    fn rows_that_do_not_fit_are_refused_and_change_nothing() {
        let mut rows = FeatureRows::from_rows([[1.0, 2.0]]).expect("fits");
        let before = rows.clone();
        for (row, message) in [
            (&[1.0][..], "row 1 has 1 values, expected 2"),
            (
                &[0.0, 7e4],
                "row 1 has value 70000, expected a number from -65504 to 65504",
            ),
            (
                &[f32::NAN, 0.0],
                "row 1 has value NaN, expected a number from -65504 to 65504",
            ),
        ] {
            assert_eq!(
                rows.push(row).expect_err("does not fit").to_string(),
                message
            );
        }
        assert_eq!(rows, before);
        assert!(
            FeatureRows::new(0).push(&[]).is_err(),
            "rows of nothing have no number"
        );
    }
}
