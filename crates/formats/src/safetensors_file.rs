//! The canonical weights file: safetensors.
//!
//! The metadata keys are `architecture`, `input_side`, `mean`, `std` (of 0-255 pixels), `classes`, `licence`,
//! `source` and `source_sha256`, and `file_sha256`, which is the file's alone; every other key is kept word for word. The
//! same table always gives the same bytes, so a converted file can be compared with a fresh conversion.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use half::f16;
use safetensors::tensor::{Dtype, Metadata as Header, SafeTensorError, View};
use serde_json::{Map, Value};

use crate::content::{Format, HEAD_BYTES, impostor};
use crate::element::{Element, MAX_VALUES, decode_exactly, insert_finite, malformed};
use crate::error::WeightsError;
use crate::label::Expression;
use crate::metadata::{Metadata, Normalisation};
use crate::weights::{WeightTensor, Weights};

pub(crate) const FORMAT: &str = "safetensors";
/// Key of the digest of the file itself.
pub(crate) const FILE_DIGEST: &str = "file_sha256";
/// Bytes of the header's length, with which a file begins.
const LENGTH_BYTES: usize = 8;
/// Largest header that is parsed. The largest real one here is under 100 kB.
const MAX_HEADER_BYTES: u64 = 8 << 20;
/// Most entries that a file may have. The largest network here has under 1,000.
const MAX_ENTRIES: usize = 1 << 14;

/// How parameters are stored on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 16-bit floats: half the size, about three decimal digits.
    Half,
    /// 32-bit floats.
    Single,
    /// 16-bit floats for each tensor that loses nothing by it, 32-bit floats for the others.
    Lossless,
}

impl Weights {
    /// Reads the bytes of a safetensors file.
    ///
    /// Integer tensors (batch-norm counters) are not parameters and are left out.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] for anything but a whole, consistent file of finite numbers,
    /// [`WeightsError::Unsupported`] for 8-bit floats and other rarities.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, WeightsError> {
        Self::read_safetensors(bytes.len(), |range| bytes[range].into())
    }

    /// Reads a safetensors file of `length` bytes that lie elsewhere: `read` gives those of a range, first those of the header
    /// and then of one tensor after the other.
    ///
    /// # Errors
    ///
    /// As [`from_safetensors`](Self::from_safetensors).
    pub fn read_safetensors<'a>(
        length: usize,
        read: impl Fn(Range<usize>) -> Cow<'a, [u8]>,
    ) -> Result<Self, WeightsError> {
        let start = check_header_size(&read(0..length.min(HEAD_BYTES)), length)?;
        let header = parse_header(&read(LENGTH_BYTES..start))?;
        if start.checked_add(header.data_len()) != Some(length) {
            return Err(refusal(SafeTensorError::MetadataIncompleteBuffer));
        }
        let names = header.offset_keys();
        if names.len() > MAX_ENTRIES {
            return Err(malformed(
                FORMAT,
                format!("{} entries, expected at most {MAX_ENTRIES}", names.len()),
            ));
        }
        let mut weights = Self::new(read_metadata(header.metadata().as_ref())?);
        let mut total = 0_usize;
        for name in &names {
            let Some(tensor) = header.info(name) else {
                continue;
            };
            let Some(element) = element_of(name, tensor.dtype)? else {
                continue;
            };
            let (first, end) = tensor.data_offsets;
            let bytes = read(start + first..start + end);
            let values = decode_exactly(FORMAT, name, &tensor.shape, element, &bytes)?;
            total = total.saturating_add(values.len());
            if total > MAX_VALUES {
                return Err(malformed(FORMAT, format!("more than {MAX_VALUES} values")));
            }
            insert_finite(&mut weights, FORMAT, name, tensor.shape.clone(), values)?;
        }
        Ok(weights)
    }

    /// The bytes of a safetensors file; the same table gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unsupported`] for a value beyond ±65504 with [`Precision::Half`],
    /// [`WeightsError::Malformed`] for a value that is not finite or an extra metadata key that has another use.
    pub fn to_safetensors(&self, precision: Precision) -> Result<Vec<u8>, WeightsError> {
        let mut stored = Vec::with_capacity(self.len());
        for (name, tensor) in self.iter() {
            stored.push((name, StoredTensor::new(name, tensor, precision)?));
        }
        let metadata: HashMap<_, _> = write_metadata(&self.metadata)?.into_iter().collect();
        let bytes = safetensors::serialize(stored, Some(metadata))
            .map_err(|error| malformed(FORMAT, error.to_string()))?;
        sort_header(bytes)
    }
}

/// A tensor as bytes, in the order that the safetensors crate asks for it.
struct StoredTensor<'a> {
    shape: &'a [usize],
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl<'a> StoredTensor<'a> {
    fn new(
        name: &str,
        tensor: &'a WeightTensor,
        precision: Precision,
    ) -> Result<Self, WeightsError> {
        if let Some(index) = tensor.values.iter().position(|value| !value.is_finite()) {
            return Err(malformed(
                FORMAT,
                format!("weight `{name}` is not finite at index {index}"),
            ));
        }
        let half = match precision {
            Precision::Single => false,
            Precision::Lossless => tensor
                .values
                .iter()
                .all(|&value| f16::from_f32(value).to_f32() == value),
            Precision::Half => {
                if let Some(value) = tensor
                    .values
                    .iter()
                    .find(|&&value| !f16::from_f32(value).is_finite())
                {
                    let what = format!("weight `{name}` with value {value} at half precision");
                    return Err(WeightsError::Unsupported {
                        format: FORMAT,
                        what,
                    });
                }
                true
            }
        };
        let (dtype, bytes) = if half {
            (
                Dtype::F16,
                tensor
                    .values
                    .iter()
                    .flat_map(|&value| f16::from_f32(value).to_le_bytes())
                    .collect(),
            )
        } else {
            (
                Dtype::F32,
                tensor
                    .values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            )
        };
        Ok(Self {
            shape: &tensor.shape,
            dtype,
            bytes,
        })
    }
}

impl View for StoredTensor<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Where the header of a file of `length` bytes ends, told by its first ones. The safetensors crate would parse up to 100 MB
/// of JSON.
fn check_header_size(head: &[u8], length: usize) -> Result<usize, WeightsError> {
    if length == 0 {
        return Err(malformed(FORMAT, "the file is empty"));
    }
    let Some(header) = head.first_chunk().copied().map(u64::from_le_bytes) else {
        return Err(malformed(
            FORMAT,
            format!("{length} bytes, expected at least {LENGTH_BYTES}"),
        ));
    };
    if header > MAX_HEADER_BYTES {
        let reason = match other_content(head) {
            Some(content) => format!("it is {content}, expected safetensors"),
            None => format!("header of {header} bytes, expected at most {MAX_HEADER_BYTES}"),
        };
        return Err(malformed(FORMAT, reason));
    }
    let end = LENGTH_BYTES as u64 + header;
    match usize::try_from(end) {
        Ok(end) if end <= length => Ok(end),
        _ => Err(malformed(
            FORMAT,
            format!("header of {header} bytes in a file of {length} bytes"),
        )),
    }
}

/// Where the header of a file ends and its numbers begin.
pub(crate) fn header_end(bytes: &[u8]) -> Result<usize, WeightsError> {
    check_header_size(&bytes[..bytes.len().min(HEAD_BYTES)], bytes.len())
}

/// The header, whose tensors follow each other without gaps.
fn parse_header(json: &[u8]) -> Result<Header, WeightsError> {
    let text = str::from_utf8(json).map_err(SafeTensorError::InvalidHeader);
    let text = text.map_err(refusal)?;
    serde_json::from_str(text)
        .map_err(|error| refusal(SafeTensorError::InvalidHeaderDeserialization(error)))
}

/// What the bytes are instead, where that can be told by the first ones.
fn other_content(head: &[u8]) -> Option<String> {
    impostor(head).or_else(|| {
        let format = Format::of(head).filter(|format| *format != Format::Safetensors);
        format.map(|format| format.name().to_owned())
    })
}

/// What the crate says, in words for whoever has the file.
fn refusal(error: SafeTensorError) -> WeightsError {
    let reason = match error {
        SafeTensorError::MetadataIncompleteBuffer => {
            "not as many bytes as its header says, perhaps cut off".to_owned()
        }
        error => error.to_string(),
    };
    malformed(FORMAT, reason)
}

/// `None` for integers.
fn element_of(name: &str, dtype: Dtype) -> Result<Option<Element>, WeightsError> {
    match dtype {
        Dtype::F16 => Ok(Some(Element::F16)),
        Dtype::BF16 => Ok(Some(Element::Bf16)),
        Dtype::F32 => Ok(Some(Element::F32)),
        Dtype::F64 => Ok(Some(Element::F64)),
        Dtype::BOOL
        | Dtype::U8
        | Dtype::I8
        | Dtype::I16
        | Dtype::U16
        | Dtype::I32
        | Dtype::U32
        | Dtype::I64
        | Dtype::U64 => Ok(None),
        other => Err(WeightsError::Unsupported {
            format: FORMAT,
            what: format!("{other:?} for weight `{name}`"),
        }),
    }
}

fn read_metadata(entries: Option<&HashMap<String, String>>) -> Result<Metadata, WeightsError> {
    let mut entries: BTreeMap<_, _> = entries
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value))
        .collect();
    let mut take = |key: &str| entries.remove(key);
    let input_side = match take("input_side") {
        None => None,
        Some(side) => Some(
            side.parse()
                .map_err(|_| wrong("input_side", side, "a number of pixels"))?,
        ),
    };
    let normalisation = match (take("mean"), take("std")) {
        (None, None) => None,
        (Some(mean), Some(std)) => {
            let std = three("std", std)?;
            if std.contains(&0.0) {
                return Err(malformed(FORMAT, "metadata `std` is zero for a channel"));
            }
            Some(Normalisation {
                mean: three("mean", mean)?,
                std,
            })
        }
        (Some(_), None) => return Err(malformed(FORMAT, "metadata has `mean` but no `std`")),
        (None, Some(_)) => return Err(malformed(FORMAT, "metadata has `std` but no `mean`")),
    };
    let classes = match take("classes") {
        None => Vec::new(),
        Some(text) => classes(text)?,
    };
    take(FILE_DIGEST);
    let mut text = |key: &str| take(key).cloned().unwrap_or_default();
    Ok(Metadata {
        architecture: text("architecture"),
        input_side,
        normalisation,
        classes,
        licence: text("licence"),
        source: text("source"),
        source_sha256: text("source_sha256"),
        extra: entries
            .into_iter()
            .map(|(key, value)| (key, value.clone()))
            .collect(),
    })
}

fn three(key: &str, text: &str) -> Result<[f32; 3], WeightsError> {
    let numbers: [f32; 3] =
        serde_json::from_str(text).map_err(|_| wrong(key, text, "three numbers"))?;
    if numbers.iter().all(|number| number.is_finite()) {
        Ok(numbers)
    } else {
        Err(wrong(key, text, "three numbers"))
    }
}

fn classes(text: &str) -> Result<Vec<Expression>, WeightsError> {
    let names: Vec<String> =
        serde_json::from_str(text).map_err(|_| wrong("classes", text, "a list of names"))?;
    names
        .iter()
        .map(|name| {
            Expression::from_name(name)
                .ok_or_else(|| wrong("classes", name, "names of expressions"))
        })
        .collect()
}

fn wrong(key: &str, got: &str, expected: &str) -> WeightsError {
    malformed(
        FORMAT,
        format!("metadata `{key}` is `{got}`, expected {expected}"),
    )
}

fn write_metadata(metadata: &Metadata) -> Result<BTreeMap<String, String>, WeightsError> {
    let mut entries = BTreeMap::new();
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            entries.insert(key.to_owned(), value);
        }
    };
    put("architecture", metadata.architecture.clone());
    put("licence", metadata.licence.clone());
    put("source", metadata.source.clone());
    put("source_sha256", metadata.source_sha256.clone());
    if let Some(side) = metadata.input_side {
        put("input_side", side.to_string());
    }
    if let Some(normalisation) = metadata.normalisation {
        put("mean", json(&normalisation.mean)?);
        put("std", json(&normalisation.std)?);
    }
    if !metadata.classes.is_empty() {
        put("classes", json(&metadata.classes)?);
    }
    const KNOWN: [&str; 9] = [
        "architecture",
        "input_side",
        "mean",
        "std",
        "classes",
        "licence",
        "source",
        "source_sha256",
        FILE_DIGEST,
    ];
    for (key, value) in &metadata.extra {
        if KNOWN.contains(&key.as_str()) {
            return Err(malformed(
                FORMAT,
                format!("extra metadata `{key}` has a field of its own"),
            ));
        }
        entries.insert(key.clone(), value.clone());
    }
    Ok(entries)
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, WeightsError> {
    serde_json::to_string(value).map_err(|error| malformed(FORMAT, error.to_string()))
}

/// The safetensors crate writes the metadata in the random order of a hash map; this puts it in the order of
/// its keys, in place.
fn sort_header(mut bytes: Vec<u8>) -> Result<Vec<u8>, WeightsError> {
    let end = header_end(&bytes)?;
    let mut header: Map<String, Value> = serde_json::from_slice(&bytes[LENGTH_BYTES..end])
        .map_err(|error| malformed(FORMAT, error.to_string()))?;
    if let Some(Value::Object(metadata)) = header.get_mut("__metadata__") {
        metadata.sort_keys();
    }
    let text = json(&header)?;
    // The same entries in another order take the same room; the padding is already there.
    let written = &mut bytes[LENGTH_BYTES..end];
    written.fill(b' ');
    written[..text.len()].copy_from_slice(text.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    fn example() -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: "faceres".to_owned(),
            input_side: Some(224),
            normalisation: Some(Normalisation {
                mean: [123.68, 116.779, 103.939],
                std: [1.0; 3],
            }),
            classes: vec![Expression::Neutral, Expression::Anger],
            licence: "MIT".to_owned(),
            source: "npm x 1.0.0 y.bin".to_owned(),
            source_sha256: "00ff".to_owned(),
            extra: [("calibration".to_owned(), "{\"bias\": [0.1]}".to_owned())].into(),
        });
        weights
            .insert("exact", vec![2, 2], vec![0.5, -1.0, 2.25, 0.0])
            .expect("four values");
        weights
            .insert("fine", vec![1], vec![0.1])
            .expect("one value");
        weights
    }

    /// A file with a given header and data.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [
            &(header.len() as u64).to_le_bytes(),
            header.as_bytes(),
            data,
        ]
        .concat()
    }

    fn refusal(bytes: &[u8]) -> String {
        Weights::from_safetensors(bytes)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn single_and_lossless_files_give_the_table_back() {
        for precision in [Precision::Single, Precision::Lossless] {
            let bytes = example().to_safetensors(precision).expect("finite values");
            assert_eq!(
                Weights::from_safetensors(&bytes).expect("own file"),
                example()
            );
        }
    }

    #[test]
    fn a_file_elsewhere_is_read_tensor_by_tensor() {
        let bytes = example()
            .to_safetensors(Precision::Single)
            .expect("finite values");
        let start = header_end(&bytes).expect("own file");
        let asked = RefCell::new(Vec::new());
        let read = Weights::read_safetensors(bytes.len(), |range| {
            asked.borrow_mut().push(range.clone());
            bytes[range].into()
        });
        assert_eq!(read.expect("own file"), example());
        let (exact, fine) = (start..start + 16, start + 16..start + 20);
        let head = bytes.len().min(HEAD_BYTES);
        assert_eq!(asked.into_inner(), [0..head, 8..start, exact, fine]);
    }

    #[test]
    fn lossless_files_halve_what_they_can() {
        let single = example()
            .to_safetensors(Precision::Single)
            .expect("finite values");
        let lossless = example()
            .to_safetensors(Precision::Lossless)
            .expect("finite values");
        let data = |bytes: &[u8]| bytes.len() - header_end(bytes).expect("own file");
        assert_eq!(data(&single), 20);
        assert_eq!(data(&lossless), 12);
    }

    #[test]
    fn half_files_round_and_refuse_what_overflows() {
        let bytes = example()
            .to_safetensors(Precision::Half)
            .expect("small values");
        let read = Weights::from_safetensors(&bytes).expect("own file");
        assert_eq!(
            read.values("fine", &[1]).expect("there"),
            [f16::from_f32(0.1).to_f32()]
        );
        let mut large = Weights::default();
        large
            .insert("a", vec![1], vec![70000.0])
            .expect("one value");
        let error = large.to_safetensors(Precision::Half).expect_err("overflow");
        let expected = "safetensors file uses weight `a` with value 70000 at half precision, which is not supported";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_same_table_gives_the_same_bytes() {
        let first = example()
            .to_safetensors(Precision::Single)
            .expect("finite values");
        for _ in 0..8 {
            assert_eq!(
                example()
                    .to_safetensors(Precision::Single)
                    .expect("finite values"),
                first
            );
        }
    }

    #[test]
    fn every_float_type_is_read_and_integers_are_left_out() {
        let header = r#"{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},
            "b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},
            "steps":{"dtype":"I64","shape":[],"data_offsets":[10,18]}}"#;
        let data = [
            &1.5_f64.to_le_bytes()[..],
            &half::bf16::from_f32(-2.0).to_le_bytes(),
            &[7; 8],
        ]
        .concat();
        let weights = Weights::from_safetensors(&file(header, &data)).expect("valid file");
        assert_eq!(weights.values("a", &[1]).expect("there"), [1.5]);
        assert_eq!(weights.values("b", &[]).expect("there"), [-2.0]);
        assert_eq!(weights.len(), 2);
    }

    #[test]
    fn truncated_and_oversized_files_are_refused() {
        let bytes = example()
            .to_safetensors(Precision::Single)
            .expect("finite values");
        assert_eq!(
            refusal(&bytes[..5]),
            "safetensors file is malformed: 5 bytes, expected at least 8"
        );
        assert_eq!(
            refusal(&bytes[..20]),
            format!(
                "safetensors file is malformed: header of {} bytes in a file of 20 bytes",
                u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
            )
        );
        for wrong in [&bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat()] {
            let text = refusal(wrong);
            assert!(
                text.starts_with("safetensors file is malformed: "),
                "{text}"
            );
        }
        let huge = [&(9_u64 << 20).to_le_bytes()[..], &[b' '; 100]].concat();
        assert_eq!(
            refusal(&huge),
            "safetensors file is malformed: header of 9437184 bytes, expected at most 8388608"
        );
    }

    #[test]
    fn other_content_is_named() {
        for (bytes, expected) in [
            (&b""[..], "the file is empty"),
            (
                b"<!DOCTYPE html><title>404</title>",
                "it is a web page (HTML), perhaps of an error, expected safetensors",
            ),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                "it is a Git LFS pointer, which stands for the file (`git lfs pull` gets it), expected safetensors",
            ),
            (
                b"PK\x03\x04 and so on",
                "it is a zip archive, perhaps a torch checkpoint, expected safetensors",
            ),
        ] {
            let expected = format!("safetensors file is malformed: {expected}");
            assert_eq!(refusal(bytes), expected);
        }
        let bytes = example().to_safetensors(Precision::Single);
        let bytes = bytes.expect("finite values");
        assert_eq!(
            refusal(&bytes[..bytes.len() - 1]),
            "safetensors file is malformed: not as many bytes as its header says, perhaps cut off"
        );
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let data = [1.0_f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat();
        assert_eq!(
            refusal(&file(header, &data)),
            "safetensors file is malformed: weight `a` is not finite at index 1"
        );
        let mut weights = Weights::default();
        weights
            .insert("a", vec![1], vec![f32::INFINITY])
            .expect("one value");
        assert!(weights.to_safetensors(Precision::Lossless).is_err());
    }

    #[test]
    fn wrong_metadata_is_refused_by_key() {
        let with =
            |metadata: &str| refusal(&file(&format!(r#"{{"__metadata__":{{{metadata}}}}}"#), &[]));
        let cases = [
            (
                r#""input_side":"big""#,
                "metadata `input_side` is `big`, expected a number of pixels",
            ),
            (r#""mean":"[1,2,3]""#, "metadata has `mean` but no `std`"),
            (
                r#""mean":"[1,2]","std":"[1,1,1]""#,
                "metadata `mean` is `[1,2]`, expected three numbers",
            ),
            (
                r#""mean":"[0,0,0]","std":"[1,0,1]""#,
                "metadata `std` is zero for a channel",
            ),
            (
                r#""classes":"[\"joy\"]""#,
                "metadata `classes` is `joy`, expected names of expressions",
            ),
        ];
        for (metadata, expected) in cases {
            assert_eq!(
                with(metadata),
                format!("safetensors file is malformed: {expected}")
            );
        }
    }

    #[test]
    fn an_extra_key_cannot_shadow_a_field() {
        let mut weights = example();
        weights
            .metadata
            .extra
            .insert("licence".to_owned(), "none".to_owned());
        let error = weights
            .to_safetensors(Precision::Single)
            .expect_err("two licences");
        assert_eq!(
            error.to_string(),
            "safetensors file is malformed: extra metadata `licence` has a field of its own"
        );
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(cut in 0_usize..2000, flips in prop::collection::vec((0_usize..2000, any::<u8>()), 0..8)) {
            let mut bytes = example().to_safetensors(Precision::Single).expect("finite values");
            for (index, mask) in flips {
                let index = index % bytes.len();
                bytes[index] ^= mask;
            }
            bytes.truncate(cut);
            let _ = Weights::from_safetensors(&bytes);
        }
    }
}
