//! Constants of which only the values that are not zero are stored: rows along the last axis, compressed (CSR).

use planus::Vector;
use planus::table_reader::Table;

use super::{FORMAT, ITEM_BYTES, MAX_AXES, SubTable, Tables, indices, optional, required};
use crate::budget::Budget;
use crate::element::{Element, decode_exactly, malformed, value_count};
use crate::error::WeightsError;

/// Most values of one tensor with its zeros: a small file must not fill the memory.
const MAX_SPARSE_VALUES: usize = 1 << 22;

const DENSE: i8 = 0;
const SPARSE_CSR: i8 = 1;

/// All values of a tensor, in row-major order.
///
/// # Errors
///
/// [`WeightsError::Unsupported`] unless the last axis alone is compressed, in order and without blocks;
/// [`WeightsError::Malformed`] if rows, places and values do not fit each other.
pub(super) fn decode(
    name: &str,
    shape: &[usize],
    element: Element,
    sparsity: &Table,
    data: &[u8],
    budget: &Budget,
) -> Result<Vec<f32>, WeightsError> {
    let count = value_count(FORMAT, name, shape)?;
    if count > MAX_SPARSE_VALUES {
        let reason = format!(
            "sparse weight `{name}` of shape {shape:?} has more than {MAX_SPARSE_VALUES} values"
        );
        return Err(malformed(FORMAT, reason));
    }
    let axes: Tables = required(sparsity, 2, "dim_metadata")?;
    budget.take(axes.0.len() * ITEM_BYTES, "axes of a sparse weight")?;
    let Some((last, axes)) = axes.0.split_last() else {
        return Err(malformed(FORMAT, format!("weight `{name}` has no axes")));
    };
    let formats = axes
        .iter()
        .map(|axis| Ok(optional(axis, 0, "format")?.unwrap_or(DENSE)))
        .collect::<Result<Vec<i8>, WeightsError>>()?;
    let order = indices(sparsity, 0, "traversal_order", MAX_AXES + 1)?;
    let is_in_order = (0..).zip(&order).all(|(axis, &found)| axis == found);
    let blocks = indices(sparsity, 1, "block_map", 1)?;
    let is_last_alone = optional::<i8>(last, 0, "format")?.unwrap_or(DENSE) == SPARSE_CSR
        && formats.iter().all(|&format| format == DENSE)
        && (order.len(), 1 + axes.len()) == (shape.len(), shape.len());
    if !(is_last_alone && is_in_order && blocks.is_empty()) {
        let what = format!("weight `{name}` that is not sparse along its last axis alone");
        return Err(WeightsError::Unsupported {
            format: FORMAT,
            what,
        });
    }
    let starts = places(last, [2, 3], "array_segments", budget)?;
    let columns = places(last, [4, 5], "array_indices", budget)?;
    let stored = decode_exactly(FORMAT, name, &[columns.len()], element, data)?;

    let width = shape[shape.len() - 1];
    let rows = count.checked_div(width).unwrap_or(0);
    let is_whole = starts.len() == rows + 1
        && starts.first() == Some(&0)
        && starts.last() == Some(&columns.len())
        && starts.is_sorted()
        && columns.iter().all(|&column| column < width);
    if !is_whole {
        let reason = format!("rows of sparse weight `{name}` do not fit its shape {shape:?}");
        return Err(malformed(FORMAT, reason));
    }
    let mut values = vec![0.0; count];
    for (row, bounds) in values.chunks_exact_mut(width.max(1)).zip(starts.windows(2)) {
        let range = bounds[0]..bounds[1];
        for (&column, &value) in columns[range.clone()].iter().zip(&stored[range]) {
            row[column] = value;
        }
    }
    Ok(values)
}

/// A vector of 32-, 16- or 8-bit numbers, by the union of that kind and value.
fn places(
    axis: &Table,
    [kind, value]: [usize; 2],
    name: &'static str,
    budget: &Budget,
) -> Result<Vec<usize>, WeightsError> {
    let refusal = |reason: &str| malformed(FORMAT, format!("{name}: {reason}"));
    // Many tensors can share one vector.
    let take = |count: usize| budget.take(count.saturating_mul(size_of::<usize>()), name);
    let SubTable(vector) = required(axis, value, name)?;
    match optional(axis, kind, name)?.unwrap_or(0_u8) {
        1 => {
            let Some(numbers) = optional::<Vector<i32>>(&vector, 0, name)? else {
                return Ok(Vec::new());
            };
            take(numbers.len())?;
            let numbers = numbers.iter().map(usize::try_from);
            numbers
                .collect::<Result<_, _>>()
                .map_err(|_| refusal("a negative number"))
        }
        2 => {
            let numbers: Vector<u16> = required(&vector, 0, name)?;
            take(numbers.len())?;
            Ok(numbers.iter().map(usize::from).collect())
        }
        3 => {
            let numbers: &[u8] = required(&vector, 0, name)?;
            take(numbers.len())?;
            Ok(numbers.iter().copied().map(usize::from).collect())
        }
        _ => Err(refusal("neither 32-, 16- nor 8-bit numbers")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::read_graph;

    /// `[3, 1, 1, 4]`, sparse 16-bit floats behind DENSIFY and DEQUANTIZE: 1 at column 1, 2 and 3 at columns 0 and 3,
    /// nothing in the last row.
    const SPARSE: &[u8] = include_bytes!("../../../../tests/goldens/weights/sparse.tflite");

    /// The fixture with one run of bytes, which must be in it once, replaced.
    fn patched(from: &[u8], to: &[u8]) -> Vec<u8> {
        let places: Vec<_> = (0..=SPARSE.len() - from.len())
            .filter(|&at| SPARSE[at..].starts_with(from))
            .collect();
        let [place] = places.as_slice() else {
            panic!("{} places", places.len())
        };
        let mut bytes = SPARSE.to_vec();
        bytes[*place..*place + to.len()].copy_from_slice(to);
        bytes
    }

    fn refusal(bytes: &[u8]) -> String {
        read_graph(bytes).expect_err("must be refused").to_string()
    }

    #[test]
    fn zeros_are_filled_in_and_names_are_those_that_the_network_consumes() {
        let graph = read_graph(SPARSE).expect("valid model");
        let names: Vec<_> = graph.named.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["kernel_dequantize"]);
        let [convolution] = graph.convolutions.as_slice() else {
            panic!("one convolution")
        };
        assert_eq!(convolution.weight.shape, [3, 4, 1, 1]);
        assert_eq!(
            convolution.weight.values,
            [0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0]
        );
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let misfit = "tflite file is malformed: rows of sparse weight `kernel_dequantize` do not fit its shape [3, 1, 1, 4]";
        let segments = |rows: [u16; 4]| rows.map(u16::to_le_bytes).concat();
        let stored = segments([0, 1, 3, 3]);
        assert_eq!(refusal(&patched(&stored, &segments([0, 3, 1, 3]))), misfit);
        assert_eq!(refusal(&patched(&stored, &segments([0, 1, 3, 9]))), misfit);
        assert_eq!(refusal(&patched(&stored, &segments([1, 1, 3, 3]))), misfit);
        // Length of the columns, then the columns.
        assert_eq!(
            refusal(&patched(&[3, 0, 0, 0, 1, 0, 3], &[3, 0, 0, 0, 1, 0, 4])),
            misfit
        );
        assert_eq!(
            refusal(&patched(&[3, 0, 0, 0, 1, 0, 3], &[2, 0, 0, 0, 1, 0, 3])),
            "tflite file is malformed: weight `kernel_dequantize` of shape [2] has 6 bytes, expected 4"
        );
    }

    proptest! {
        #[test]
        fn damaged_models_never_panic(
            cut in 0_usize..2000,
            flips in prop::collection::vec((0_usize..2000, any::<u8>()), 0..8),
        ) {
            let mut bytes = SPARSE.to_vec();
            for (index, mask) in flips {
                let index = index % bytes.len();
                bytes[index] ^= mask;
            }
            bytes.truncate(cut);
            let _ = read_graph(&bytes);
        }
    }
}
