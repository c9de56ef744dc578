//! Torch checkpoints: zip archives and the older pickles, by way of the `pytorch-reader` crate.
//!
//! Converted checkpoints often store kernels in TensorFlow's order with strides that say so; the crate gathers
//! them into row-major order. It also reads a pickled module as its `state_dict` where it can.

use std::path::Path;

use pytorch_reader::{DType, PytorchError, PytorchReader};

use crate::disk::{MAX_FILE_BYTES, at};
use crate::element::{Element, MAX_VALUES, decode_exactly, insert_finite, malformed, value_count};
use crate::error::WeightsError;
use crate::metadata::Metadata;
use crate::weights::Weights;
use crate::wrapper::own_names;

const FORMAT: &str = "torch";

/// Reads a torch checkpoint, of whatever extension.
///
/// The parameters get the names that the network gives them: keys such as `state_dict` and wrappers such as `module`
/// before them are taken off, and what is beside the network is left out, as are integers (batch-norm counters).
///
/// # Errors
///
/// [`WeightsError::Io`] if the file cannot be opened, [`WeightsError::Malformed`] if it is not a whole checkpoint
/// of finite numbers, [`WeightsError::Unsupported`] for modules that were pickled whole and cannot be taken apart.
pub fn read_torch(path: &Path) -> Result<Weights, WeightsError> {
    let size = std::fs::metadata(path)
        .map_err(|source| at(path, source))?
        .len();
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
    let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    let names = own_names(&names);

    let mut weights = Weights::new(Metadata::default());
    let mut total = 0_usize;
    for (tensor, name) in tensors.iter().zip(names) {
        let Some(name) = name.as_deref() else {
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
        let bytes = tensor
            .read()
            .map_err(|error| malformed(FORMAT, error.to_string()))?;
        let values = decode_exactly(FORMAT, name, tensor.shape(), element, &bytes)?;
        insert_finite(&mut weights, FORMAT, name, tensor.shape().to_vec(), values)?;
    }
    Ok(weights)
}

fn refusal(error: PytorchError) -> WeightsError {
    match error {
        // The root is some Python object that the crate could not take apart.
        PytorchError::InvalidFormat(reason) if reason.contains("Expected a dictionary") => {
            WeightsError::Unsupported {
                format: FORMAT,
                what: format!(
                    "a whole pickled module ({reason}; use the publisher's ONNX file or save the state_dict)"
                ),
            }
        }
        error => malformed(FORMAT, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ZIP: &[u8] = include_bytes!("../../../tests/goldens/weights/zip.pth");
    const LEGACY: &[u8] = include_bytes!("../../../tests/goldens/weights/legacy.pth");
    const NESTED: &[u8] = include_bytes!("../../../tests/goldens/weights/nested.pth");
    const MODEL: &[u8] = include_bytes!("../../../tests/goldens/weights/model.pth");
    const MODULE: &[u8] = include_bytes!("../../../tests/goldens/weights/module.pt");

    fn read(bytes: &[u8]) -> Result<Weights, WeightsError> {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), bytes).expect("temporary file");
        read_torch(file.path())
    }

    #[test]
    fn strided_kernels_are_gathered_from_both_containers() {
        for bytes in [ZIP, LEGACY, NESTED, MODEL] {
            let weights = read(bytes).expect("valid checkpoint");
            let counting: Vec<_> = (0..24_u8).map(f32::from).collect();
            assert_eq!(
                weights.values("conv.weight", &[2, 3, 2, 2]).expect("there"),
                counting
            );
            assert_eq!(
                weights.values("conv.bias", &[2]).expect("there"),
                [0.5, -1.5]
            );
            assert_eq!(
                weights.values("double", &[2, 1]).expect("there"),
                [2.0, 4.0]
            );
            assert_eq!(weights.values("brain", &[2]).expect("there"), [1.0, -3.0]);
            assert_eq!(
                weights.values("view", &[3]).expect("there"),
                [4.0, 5.0, 6.0]
            );
            // Neither the integer counter nor the optimiser beside the nested parameters.
            assert_eq!(weights.len(), 5);
        }
    }

    #[test]
    fn a_pickled_module_is_read_as_its_state() {
        let weights = read(MODULE).expect("a plain module");
        assert_eq!(weights.get("0.weight").expect("there").shape, [3, 2]);
        assert_eq!(weights.get("0.bias").expect("there").shape, [3]);
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [
            &b""[..],
            b"not a checkpoint",
            b"PK\x03\x04 nonsense",
            b"\x80\x02]q\x00.",
        ] {
            let text = read(bytes).expect_err("not a checkpoint").to_string();
            assert!(text.starts_with("torch file "), "{text}");
        }
        let text = read_torch(Path::new("nowhere/a.pth"))
            .expect_err("no such file")
            .to_string();
        assert!(text.starts_with("`nowhere/a.pth`: "), "{text}");
    }

    #[test]
    fn truncated_checkpoints_are_refused() {
        for bytes in [ZIP, LEGACY] {
            for part in 1..8 {
                let text = read(&bytes[..bytes.len() * part / 8])
                    .expect_err("truncated")
                    .to_string();
                assert!(text.starts_with("torch file is malformed: "), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn damaged_checkpoints_never_panic(
            legacy: bool,
            cut in 0_usize..3500,
            flips in prop::collection::vec((0_usize..3500, any::<u8>()), 0..8),
        ) {
            let mut bytes = if legacy { LEGACY.to_vec() } else { ZIP.to_vec() };
            for (index, mask) in flips {
                let index = index % bytes.len();
                bytes[index] ^= mask;
            }
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
