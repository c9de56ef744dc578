//! TensorFlow.js models: a `model.json` whose manifest says what lies in binary shards beside it.
//!
//! Within a group of the manifest the tensors lie back to back in manifest order, across shard borders.
//! Stored bytes are 32-bit floats, 16-bit floats, or 8- and 16-bit integers `q` that mean `q * scale + min`.
//! Names and shapes stay TensorFlow's: convolutions `[height, width, in, out]`, depthwise ones
//! `[height, width, in, multiplier]`.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use crate::disk::{read_file, read_file_within, sha256, stream_sha256};
use crate::element::{Element, MAX_VALUES, insert_finite, malformed, value_count};
use crate::error::WeightsError;
use crate::metadata::Metadata;
use crate::weights::Weights;

const FORMAT: &str = "tfjs";
/// Largest `model.json`: the numbers lie beside it.
const MAX_JSON_BYTES: u64 = 64 << 20;
/// Shards that are named in a message.
const NAMED_SHARDS: usize = 4;

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "weightsManifest")]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    paths: Vec<String>,
    weights: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    dtype: String,
    quantization: Option<Quantization>,
}

#[derive(Deserialize)]
struct Quantization {
    dtype: String,
    scale: Option<f32>,
    min: Option<f32>,
}

/// How one tensor is stored.
enum Storage {
    Float(Element),
    /// Integers of that many bytes with scale and minimum.
    Scaled(usize, f32, f32),
    /// Integers and booleans of that many bytes: axes and sizes, not parameters.
    Skipped(usize),
}

/// Reads a `model.json` and the shards that it names, which must lie in the same folder.
///
/// # Errors
///
/// [`WeightsError::Io`], and what [`from_tfjs`] refuses.
pub fn read_tfjs(path: &Path) -> Result<Weights, WeightsError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let json = read_file_within(path, FORMAT, MAX_JSON_BYTES)?;
    from_tfjs(&json, |shard| read_file(&folder.join(shard), FORMAT))
}

/// Reads a model whose shards come from `shard`, asked for by plain file name.
///
/// # Errors
///
/// [`WeightsError::Malformed`] if the manifest is not valid or the shards have not exactly its bytes,
/// [`WeightsError::Unsupported`] for strings and complex numbers, and whatever `shard` returns.
pub fn from_tfjs(
    json: &[u8],
    mut shard: impl FnMut(&str) -> Result<Vec<u8>, WeightsError>,
) -> Result<Weights, WeightsError> {
    let model = Model::parse(json)?;
    let mut weights = Weights::new(Metadata::default());
    let mut total = 0_usize;
    for group in &model.groups {
        // The whole group is laid out before a shard is touched, so that a wild shape costs nothing.
        let mut layout = Vec::with_capacity(group.weights.len());
        let mut expected = 0_usize;
        for entry in &group.weights {
            let count = value_count(FORMAT, &entry.name, &entry.shape)?;
            let storage = entry.storage()?;
            let bytes = count.saturating_mul(storage.size());
            total = total.saturating_add(count);
            if total > MAX_VALUES {
                return Err(malformed(FORMAT, format!("more than {MAX_VALUES} values")));
            }
            layout.push((entry, storage, expected, bytes));
            expected = expected.saturating_add(bytes);
        }
        let data = join_shards(&group.paths, expected, &mut shard)?;
        if data.len() != expected {
            let named: Vec<_> = group.paths.iter().take(NAMED_SHARDS).cloned().collect();
            let more = group.paths.len() - named.len();
            let more = if more == 0 {
                String::new()
            } else {
                format!(" + {more} more")
            };
            return Err(malformed(
                FORMAT,
                format!(
                    "`{}`{more} has {} bytes, expected {expected}",
                    named.join("` + `"),
                    data.len()
                ),
            ));
        }
        for (entry, storage, offset, bytes) in layout {
            if let Some(values) = storage.decode(&data[offset..offset + bytes]) {
                insert_finite(
                    &mut weights,
                    FORMAT,
                    &entry.name,
                    entry.shape.clone(),
                    values,
                )?;
            }
        }
    }
    Ok(weights)
}

/// The bytes of a group; no shard is read behind the one that makes them too many.
fn join_shards(
    paths: &[String],
    expected: usize,
    shard: &mut impl FnMut(&str) -> Result<Vec<u8>, WeightsError>,
) -> Result<Vec<u8>, WeightsError> {
    let mut data = Vec::new();
    for path in paths {
        if data.len() > expected {
            break;
        }
        data.extend(shard(path)?);
    }
    Ok(data)
}

impl Model {
    fn parse(json: &[u8]) -> Result<Self, WeightsError> {
        let model: Self =
            serde_json::from_slice(json).map_err(|error| malformed(FORMAT, error.to_string()))?;
        for path in model.groups.iter().flat_map(|group| &group.paths) {
            // A manifest must not reach outside its folder.
            let plain =
                !matches!(path.as_str(), "" | "." | "..") && !path.contains(['/', '\\', ':', '\0']);
            if !plain {
                return Err(malformed(
                    FORMAT,
                    format!("shard `{path}` is not a plain file name"),
                ));
            }
        }
        let mut seen = HashSet::new();
        let paths = model.groups.iter().flat_map(|group| &group.paths);
        match paths.into_iter().find(|path| !seen.insert(*path)) {
            Some(path) => {
                let reason = format!("shard `{path}` is named twice");
                Err(malformed(FORMAT, reason))
            }
            None => Ok(model),
        }
    }
}

/// The digest of a model: of its `model.json`, and of every shard that this names, in that order. A shard that is replaced
/// makes it another one.
///
/// # Errors
///
/// [`WeightsError::Io`], [`WeightsError::Malformed`] for a file beyond a gigabyte or a manifest that is not valid.
pub(crate) fn digest(path: &Path) -> Result<String, WeightsError> {
    let json = read_file_within(path, FORMAT, MAX_JSON_BYTES)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let model = Model::parse(&json)?;
    let mut digests = sha256(&json);
    for shard in model.groups.iter().flat_map(|group| &group.paths) {
        digests += &stream_sha256(&folder.join(shard))?;
    }
    Ok(sha256(digests.as_bytes()))
}

impl Entry {
    fn storage(&self) -> Result<Storage, WeightsError> {
        let unsupported = |dtype: &str| WeightsError::Unsupported {
            format: FORMAT,
            what: format!("{dtype} for weight `{}`", self.name),
        };
        let integer = match self.dtype.as_str() {
            "float32" => None,
            "int32" => Some(4),
            "bool" | "uint8" => Some(1),
            other => return Err(unsupported(other)),
        };
        let Some(quantization) = &self.quantization else {
            return Ok(integer.map_or(Storage::Float(Element::F32), Storage::Skipped));
        };
        let size = match quantization.dtype.as_str() {
            "float16" if integer.is_none() => return Ok(Storage::Float(Element::F16)),
            "uint8" => 1,
            "uint16" => 2,
            other => return Err(unsupported(other)),
        };
        match (integer, quantization.scale, quantization.min) {
            (Some(_), _, _) => Ok(Storage::Skipped(size)),
            (None, Some(scale), Some(min)) => Ok(Storage::Scaled(size, scale, min)),
            (None, _, _) => Err(malformed(
                FORMAT,
                format!("weight `{}` has no scale and min", self.name),
            )),
        }
    }
}

impl Storage {
    fn size(&self) -> usize {
        match self {
            Self::Float(element) => element.size(),
            Self::Scaled(size, _, _) | Self::Skipped(size) => *size,
        }
    }

    fn decode(&self, bytes: &[u8]) -> Option<Vec<f32>> {
        match *self {
            Self::Float(element) => Some(element.decode(bytes)),
            Self::Scaled(1, scale, min) => {
                Some(bytes.iter().map(|&q| f32::from(q) * scale + min).collect())
            }
            Self::Scaled(_, scale, min) => {
                let integers = bytes
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|&raw| u16::from_le_bytes(raw));
                Some(integers.map(|q| f32::from(q) * scale + min).collect())
            }
            Self::Skipped(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::*;

    const MODEL: &str = r#"{"format": "graph-model", "weightsManifest": [
        {"paths": ["a.bin", "b.bin"], "weights": [
            {"name": "plain", "shape": [2], "dtype": "float32"},
            {"name": "half", "shape": [], "dtype": "float32", "quantization": {"dtype": "float16"}},
            {"name": "axes", "shape": [1], "dtype": "int32"},
            {"name": "bytes", "shape": [3], "dtype": "float32",
             "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}}]},
        {"paths": ["c.bin"], "weights": [
            {"name": "words", "shape": [1, 2], "dtype": "float32",
             "quantization": {"dtype": "uint16", "scale": 2.0, "min": 1.0}}]}]}"#;

    fn shards() -> [(&'static str, Vec<u8>); 3] {
        let first = [
            &1.5_f32.to_le_bytes()[..],
            &(-2.0_f32).to_le_bytes(),
            &f16::from_f32(0.25).to_le_bytes(),
            &7_i32.to_le_bytes(),
            &[0, 2, 255],
        ]
        .concat();
        // The border between shards cuts a number in two.
        let (a, b) = first.split_at(6);
        let c = [3_u16.to_le_bytes(), 256_u16.to_le_bytes()].concat();
        [("a.bin", a.to_vec()), ("b.bin", b.to_vec()), ("c.bin", c)]
    }

    fn read(json: &str, shards: &[(&str, Vec<u8>)]) -> Result<Weights, WeightsError> {
        from_tfjs(json.as_bytes(), |name| {
            let found = shards.iter().find(|(shard, _)| *shard == name);
            found
                .map(|(_, bytes)| bytes.clone())
                .ok_or_else(|| malformed(FORMAT, format!("no {name}")))
        })
    }

    fn refusal(json: &str) -> String {
        read(json, &shards())
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn all_storage_types_are_read_back_to_back_across_shards() {
        let weights = read(MODEL, &shards()).expect("valid model");
        assert_eq!(weights.values("plain", &[2]).expect("there"), [1.5, -2.0]);
        assert_eq!(weights.values("half", &[]).expect("there"), [0.25]);
        assert_eq!(
            weights.values("bytes", &[3]).expect("there"),
            [-1.0, 0.0, 126.5]
        );
        assert_eq!(
            weights.values("words", &[1, 2]).expect("there"),
            [7.0, 513.0]
        );
        assert_eq!(weights.len(), 4);
    }

    #[test]
    fn shards_of_another_length_are_refused() {
        let mut shards = shards();
        shards[1].1.pop();
        let error = read(MODEL, &shards).expect_err("one byte is missing");
        assert_eq!(
            error.to_string(),
            "tfjs file is malformed: `a.bin` + `b.bin` has 16 bytes, expected 17"
        );
        shards[1].1.extend([0, 0]);
        let error = read(MODEL, &shards).expect_err("one byte too many");
        assert_eq!(
            error.to_string(),
            "tfjs file is malformed: `a.bin` + `b.bin` has 18 bytes, expected 17"
        );
    }

    #[test]
    fn a_shard_that_is_named_again_and_again_is_refused_unread() {
        let model = |paths: &str| {
            format!(
                r#"{{"weightsManifest": [{{"paths": [{paths}], "weights": [{{"name": "x", "shape": [1], "dtype": "float32"}}]}}]}}"#
            )
        };
        let mut read = 0;
        let mut refusal = |paths: &str| {
            let read = from_tfjs(model(paths).as_bytes(), |_| {
                read += 1;
                Ok(vec![0; 8])
            });
            read.expect_err("too much").to_string()
        };
        let same = ["\"a.bin\""; 200].join(", ");
        assert_eq!(
            refusal(&same),
            "tfjs file is malformed: shard `a.bin` is named twice"
        );
        let many: Vec<_> = (0..200).map(|name| format!("\"{name}\"")).collect();
        assert_eq!(
            refusal(&many.join(", ")),
            "tfjs file is malformed: `0` + `1` + `2` + `3` + 196 more has 8 bytes, expected 4"
        );
        assert_eq!(read, 1, "nothing behind the first, which is too long");
    }

    #[test]
    fn the_digest_is_of_the_shards_too() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("model.json");
        std::fs::write(&path, MODEL).expect("temporary file");
        for (name, bytes) in shards() {
            std::fs::write(folder.path().join(name), bytes).expect("temporary file");
        }
        let before = digest(&path).expect("is there");
        assert_eq!(digest(&path).expect("is there"), before);
        std::fs::write(folder.path().join("c.bin"), [9; 4]).expect("temporary file");
        assert_ne!(digest(&path).expect("is there"), before);
        std::fs::remove_file(folder.path().join("c.bin")).expect("was there");
        assert!(digest(&path).is_err());
    }

    #[test]
    fn shards_outside_the_folder_are_refused() {
        for name in ["../a.bin", "/etc/passwd", "..", "", "C:a.bin", "x\\\\a.bin"] {
            let text = refusal(&MODEL.replace("a.bin", name));
            let name = name.replace("\\\\", "\\");
            assert_eq!(
                text,
                format!("tfjs file is malformed: shard `{name}` is not a plain file name")
            );
        }
    }

    #[test]
    fn manifests_that_make_no_sense_are_refused() {
        let cases = [
            (
                ("\"half\"", "\"plain\""),
                "tfjs file is malformed: weight `plain` occurs twice",
            ),
            (
                ("[2]", "[2, 4000000000]"),
                "weight `plain` of shape [2, 4000000000] has too many values",
            ),
            (
                ("int32", "string"),
                "tfjs file uses string for weight `axes`, which is not supported",
            ),
            (
                ("uint16", "uint4"),
                "tfjs file uses uint4 for weight `words`, which is not supported",
            ),
            (
                (", \"min\": 1.0", ""),
                "tfjs file is malformed: weight `words` has no scale and min",
            ),
            (
                ("\"scale\": 0.5", "\"scale\": 1e38"),
                "tfjs file is malformed: weight `bytes` is not finite at index 2",
            ),
            (
                ("weightsManifest", "weights"),
                "tfjs file is malformed: missing field `weightsManifest`",
            ),
        ];
        for ((from, to), expected) in cases {
            let text = refusal(&MODEL.replace(from, to));
            assert!(text.contains(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn damaged_models_never_panic(cut in 0_usize..1200, flips in prop::collection::vec((0_usize..1200, any::<u8>()), 0..4)) {
            let mut json = MODEL.as_bytes().to_vec();
            for (index, mask) in flips {
                let index = index % json.len();
                json[index] ^= mask;
            }
            json.truncate(cut);
            let _ = from_tfjs(&json, |_| Ok(vec![1; 8]));
        }
    }
}
