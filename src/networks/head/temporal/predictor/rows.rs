//! Numbers of the frames of a window.

/// A matrix, row by row; a row is a frame.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) values: Vec<f32>,
    /// Numbers of a row, at least one.
    pub(super) width: usize,
}

impl Rows {
    pub(super) fn new(values: Vec<f32>, width: usize) -> Self {
        Self { values, width }
    }

    pub(super) fn zeros(count: usize, width: usize) -> Self {
        Self::new(vec![0.0; count * width], width)
    }

    /// `count` times the same row.
    pub(super) fn repeated(row: &[f32], count: usize) -> Self {
        Self::new(row.repeat(count), row.len())
    }

    pub(super) fn count(&self) -> usize {
        self.values.len() / self.width
    }

    pub(super) fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    pub(super) fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.width)
    }

    /// Adds rows of the same shape.
    pub(super) fn add(&mut self, others: &Self) {
        for (value, other) in self.values.iter_mut().zip(&others.values) {
            *value += other;
        }
    }

    /// Mean over the rows, of which there is at least one.
    pub(super) fn mean(&self) -> Vec<f32> {
        let mut sums = vec![0.0; self.width];
        for row in self.iter() {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let count = self.count() as f32;
        sums.iter().map(|sum| sum / count).collect()
    }
}
