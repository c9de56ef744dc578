//! Torch checkpoints: zip archives and the older pickles, by way of the `pytorch-reader` crate.
//!
//! Converted checkpoints often store kernels in TensorFlow's order with strides that say so; the crate gathers
//! them into row-major order. It also reads a pickled module as its `state_dict` where it can.

use std::path::Path;

use pytorch_reader::{DType, PytorchError, PytorchReader};

use super::disk::{MAX_FILE_BYTES, at};
use super::element::{Element, MAX_VALUES, decode_exactly, insert_finite, malformed, value_count};
use super::{Metadata, Weights, WeightsError};

const FORMAT: &str = "torch";
/// Keys under which training scripts put the parameters beside other things.
const NESTS: [&str; 2] = ["model_state_dict.", "state_dict."];

/// Reads a `.pt`, `.pth` or `.bin` file.
///
/// What lies under `model_state_dict` or `state_dict` is taken alone; integer tensors (batch-norm counters) are
/// not parameters and are left out.
///
/// # Errors
///
/// [`WeightsError::Io`] if the file cannot be opened, [`WeightsError::Malformed`] if it is not a whole checkpoint
/// of finite numbers, [`WeightsError::Unsupported`] for modules that were pickled whole and cannot be taken apart.
pub fn read_torch(path: &Path) -> Result<Weights, WeightsError> {
    let size = std::fs::metadata(path).map_err(|source| at(path, source))?.len();
    if size > MAX_FILE_BYTES {
        return Err(malformed(
            FORMAT,
            format!("{size} bytes, expected at most {MAX_FILE_BYTES}"),
        ));
    }
    let reader = PytorchReader::new(path).map_err(refusal)?;
    let mut tensors: Vec<_> = reader.into_tensors().into_values().collect();
    if tensors.is_empty() {
        return Err(malformed(FORMAT, "no tensors"));
    }
    tensors.sort_by(|left, right| left.name.cmp(&right.name));
    let nest = NESTS
        .into_iter()
        .find(|nest| tensors.iter().any(|tensor| tensor.name.starts_with(nest)));

    let mut weights = Weights::new(Metadata::default());
    let mut total = 0_usize;
    for tensor in tensors {
        let Some(name) = tensor.name.strip_prefix(nest.unwrap_or_default()) else {
            continue;
        };
        let element = match tensor.dtype() {
            DType::F16 => Element::F16,
            DType::BF16 => Element::Bf16,
            DType::F32 => Element::F32,
            DType::F64 => Element::F64,
            _ => continue,
        };
        // A view can claim far more values than the file has bytes.
        total = total.saturating_add(value_count(FORMAT, name, tensor.shape())?);
        if total > MAX_VALUES {
            return Err(malformed(FORMAT, format!("more than {MAX_VALUES} values")));
        }
        let bytes = tensor.read().map_err(|error| malformed(FORMAT, error.to_string()))?;
        let values = decode_exactly(FORMAT, name, tensor.shape(), element, &bytes)?;
        insert_finite(&mut weights, FORMAT, name, tensor.shape().to_vec(), values)?;
    }
    Ok(weights)
}

fn refusal(error: PytorchError) -> WeightsError {
    match error {
        // The root is some Python object that the crate could not take apart.
        PytorchError::InvalidFormat(reason) if reason.contains("Expected a dictionary") => WeightsError::Unsupported {
            format: FORMAT,
            what: format!("a whole pickled module ({reason}; use the publisher's ONNX file or save the state_dict)"),
        },
        error => malformed(FORMAT, error.to_string()),
    }
}
