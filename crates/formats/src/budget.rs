//! The memory that reading a published file may take.

use std::cell::Cell;

use crate::element::{MAX_VALUES, malformed};
use crate::error::WeightsError;

/// Memory that reading a file may take for each of its bytes: 16-bit floats become 32-bit ones, and a graph names constants
/// and then uses them. Sparse constants of real files need more, but those files are small.
const BYTES_FOR_BYTE: usize = 32;
/// Memory that any file may take.
const LEAST_BUDGET: usize = 64 << 20;
/// Memory that no file may take more of: all values as they are stored, named and used.
const MOST_BUDGET: usize = (4 * MAX_VALUES).saturating_mul(size_of::<f32>());

/// What is left of the memory that reading a file may take. Files can name one constant many times: what is copied is
/// counted wherever it is copied.
#[derive(Debug)]
pub(crate) struct Budget {
    format: &'static str,
    most: usize,
    left: Cell<usize>,
}

impl Budget {
    /// The budget of a file of that many bytes.
    pub(crate) fn of_file(format: &'static str, length: usize) -> Self {
        let most = length.saturating_mul(BYTES_FOR_BYTE);
        let most = most.clamp(LEAST_BUDGET, MOST_BUDGET);
        Self {
            format,
            most,
            left: Cell::new(most),
        }
    }

    /// Counts bytes before they are used.
    pub(crate) fn take(&self, bytes: usize, what: &str) -> Result<(), WeightsError> {
        let left = self.left.get().checked_sub(bytes).ok_or_else(|| {
            let most = self.most;
            let reason = format!(
                "{what} would take it beyond {most} bytes of memory, the most for its size"
            );
            malformed(self.format, reason)
        })?;
        self.left.set(left);
        Ok(())
    }

    /// Counts a weight before its values are copied.
    pub(crate) fn take_values(&self, name: &str, count: usize) -> Result<(), WeightsError> {
        let bytes = count.saturating_mul(size_of::<f32>()) + name.len();
        self.take(bytes, &format!("weight `{name}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_take_memory_by_its_size() {
        let budget = Budget::of_file("onnx", 4 << 20);
        budget.take_values("a", 16 << 20).expect("64 MiB of 128");
        let error = budget
            .take_values("a", 16 << 20)
            .expect_err("and a byte for the name");
        assert_eq!(
            error.to_string(),
            "onnx file is malformed: weight `a` would take it beyond 134217728 bytes of memory, the most for its size"
        );
        Budget::of_file("onnx", 1)
            .take(64 << 20, "all")
            .expect("the least");
        Budget::of_file("onnx", usize::MAX)
            .take(1 << 31, "all")
            .expect("the most");
    }
}
