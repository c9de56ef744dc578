//! Published files of every format, told by what they hold.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::architecture::{CONFIG, ClipConfig};
use crate::content::{Format, HEAD_BYTES, impostor};
use crate::disk::{at, read_file, stream_sha256};
use crate::element::malformed;
use crate::error::WeightsError;
use crate::published::PublishedWeights;
use crate::weights::Weights;
use crate::{onnx, tfjs, tflite, torch};

/// Most bytes of a config.
const CONFIG_BYTES: u64 = 1 << 20;

impl PublishedWeights {
    /// Reads a file as its publisher made it: safetensors, tfjs, tflite, ONNX or torch. The bytes say which it is,
    /// whatever its extension; that decides only for bytes that say nothing.
    ///
    /// Names in safetensors and torch are those of the network: keys such as `state_dict` and wrappers such as `module`
    /// before them are taken off.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`], or [`WeightsError::File`] with what the format's reader refuses.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let read = format_of(path).and_then(|format| Self::read_as(format, path));
        read.map_err(|error| error.of_file(path))
    }

    /// The same for the network `name`. The sizes of a VideoMAE that its name does not say are those of `config.json` beside
    /// the file, as Hugging Face publishes them; what converts the weights then finds them in the metadata.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and those of a config that cannot be read or is larger than a megabyte.
    pub fn read_for(name: &str, path: &Path) -> Result<Self, WeightsError> {
        let mut published = Self::read(path)?;
        if let Self::Named(weights) = &mut published
            && weights.metadata.architecture.is_empty()
            && ClipConfig::from_name(name).is_some_and(|config| config.has_config())
        {
            let path = path.with_file_name("config.json");
            if path.exists() {
                let config = read_config(&path).map_err(|error| error.of_file(&path))?;
                weights.metadata.extra.insert(CONFIG.to_owned(), config);
            }
        }
        Ok(published)
    }

    fn read_as(format: Format, path: &Path) -> Result<Self, WeightsError> {
        Ok(match format {
            Format::Safetensors => {
                let weights = Weights::read(path)?;
                // Canonical files have names of their own.
                match weights.metadata.architecture.is_empty() {
                    true => Self::Named(weights.unwrapped()?),
                    false => Self::Named(weights),
                }
            }
            Format::TensorFlowJs => Self::Named(tfjs::read_tfjs(path)?),
            Format::Onnx => onnx::read_graph(&read_file(path, "onnx")?)?.into(),
            Format::Tflite => tflite::read_graph(&read_file(path, "tflite")?)?.into(),
            Format::Zip if extension(path) == "task" => {
                let what = "several networks, of which one must be named".to_owned();
                return Err(WeightsError::Unsupported {
                    format: "task",
                    what,
                });
            }
            Format::Torch | Format::Zip => Self::Named(torch::read_torch(path)?),
        })
    }

    /// Reads one `.tflite` network out of a `.task` archive.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`], and what [`read_task_member`](crate::read_task_member) and
    /// [`read_tflite`](crate::read_tflite) refuse.
    pub fn read_member(archive: &Path, member: &str) -> Result<Self, WeightsError> {
        let read = read_file(archive, "task")
            .and_then(|bytes| tflite::read_task_member(&bytes, member))
            .and_then(|bytes| tflite::read_graph(&bytes));
        Ok(read.map_err(|error| error.of_file(archive))?.into())
    }
}

/// The text of a config, which is short.
fn read_config(path: &Path) -> Result<String, WeightsError> {
    let file = File::open(path).map_err(|error| at(path, error))?;
    let mut text = String::new();
    file.take(CONFIG_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| at(path, error))?;
    match text.len() as u64 {
        ..=CONFIG_BYTES => Ok(text),
        _ => Err(malformed(
            "config",
            format!("it has more than {CONFIG_BYTES} bytes"),
        )),
    }
}

/// The sha256 of a file, hexadecimal, whatever its size; of a TensorFlow.js model that of `model.json` and its shards.
///
/// # Errors
///
/// [`WeightsError::Io`], [`WeightsError::Malformed`] for a `model.json` whose manifest is not valid.
pub fn file_sha256(path: &Path) -> Result<String, WeightsError> {
    match is_tfjs(path)? {
        true => tfjs::digest(path).map_err(|error| error.of_file(path)),
        false => stream_sha256(path),
    }
}

/// Whether a file is a `model.json`, whose numbers lie in other files.
fn is_tfjs(path: &Path) -> Result<bool, WeightsError> {
    let promised = extension(path) == "json";
    Ok(Format::of(&head_of(path)?).map_or(promised, |found| found == Format::TensorFlowJs))
}

fn head_of(path: &Path) -> Result<Vec<u8>, WeightsError> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(|error| at(path, error))?;
    file.take(HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(|error| at(path, error))?;
    Ok(head)
}

fn extension(path: &Path) -> String {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.unwrap_or_default().to_ascii_lowercase()
}

/// What a file holds; for bytes that say nothing, what its extension promises.
fn format_of(path: &Path) -> Result<Format, WeightsError> {
    let head = head_of(path)?;
    if let Some(format) = Format::of(&head) {
        return Ok(format);
    }
    let extension = extension(path);
    let promised = match extension.as_str() {
        "safetensors" => Format::Safetensors,
        "json" => Format::TensorFlowJs,
        "pt" | "pth" | "bin" | "ckpt" => Format::Torch,
        "onnx" => Format::Onnx,
        "tflite" => Format::Tflite,
        "task" => Format::Zip,
        _ => {
            let content = impostor(&head).unwrap_or_else(|| "of an unknown format".to_owned());
            let expected = "safetensors, tfjs, tflite, ONNX or torch";
            let reason = format!("it is {content}, expected {expected}");
            return Err(malformed("weights", reason));
        }
    };
    match impostor(&head) {
        Some(content) => {
            let expected = promised.name();
            let reason = format!("it is {content}, expected {expected}");
            Err(malformed(reader_of(promised), reason))
        }
        None => Ok(promised),
    }
}

/// What errors of the reader of a format begin with.
fn reader_of(format: Format) -> &'static str {
    match format {
        Format::Safetensors => "safetensors",
        Format::TensorFlowJs => "tfjs",
        Format::Tflite => "tflite",
        Format::Onnx => "onnx",
        Format::Torch => "torch",
        Format::Zip => "zip",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZIP: &[u8] = include_bytes!("../../../tests/goldens/weights/zip.pth");
    const LEGACY: &[u8] = include_bytes!("../../../tests/goldens/weights/legacy.pth");

    fn read(name: &str, bytes: &[u8]) -> Result<PublishedWeights, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("temporary file");
        let read = PublishedWeights::read(&path);
        read.map_err(|error| {
            let text = error.to_string();
            let place = format!("`{}`: ", path.display());
            let rest = text.strip_prefix(&place).expect("names the file");
            assert!(!rest.contains(&*place), "{text}");
            rest.to_owned()
        })
    }

    #[test]
    fn the_bytes_decide_and_not_the_extension() {
        let mut weights = Weights::default();
        weights
            .insert("module.conv.weight", vec![1], vec![1.0])
            .expect("one value");
        let safetensors = weights.to_safetensors(crate::Precision::Single);
        let safetensors = safetensors.expect("one value");
        for name in ["a.ckpt", "a.bin", "a.pth", "a.safetensors", "a"] {
            for bytes in [ZIP, LEGACY, &safetensors] {
                let read = read(name, bytes).expect("is known");
                assert!(read.named().get("conv.weight").is_some(), "{name}");
            }
        }
    }

    #[test]
    fn names_of_canonical_files_stay() {
        let mut weights = Weights::default();
        weights.metadata.architecture = "mlp".to_owned();
        weights
            .insert("net.0.weight", vec![1], vec![1.0])
            .expect("one value");
        let bytes = weights.to_safetensors(crate::Precision::Single);
        let read = read("a.safetensors", &bytes.expect("one value"));
        assert_eq!(read, Ok(PublishedWeights::Named(weights)));
    }

    #[test]
    fn files_that_are_none_are_named() {
        for (name, bytes, expected) in [
            (
                "a.h5",
                &b"\x89HDF\r\n\x1a\n"[..],
                "weights file is malformed: it is HDF5 (Keras), expected safetensors, tfjs, tflite, ONNX or torch",
            ),
            (
                "a.weights",
                &[1, 2, 3],
                "weights file is malformed: it is of an unknown format, expected safetensors, tfjs, tflite, ONNX or torch",
            ),
            (
                "a.pth",
                b"<html><body>Sign in",
                "torch file is malformed: it is a web page (HTML), perhaps of an error, expected a torch checkpoint",
            ),
            (
                "a.onnx",
                b"version https://git-lfs.github.com/spec/v1",
                "onnx file is malformed: it is a Git LFS pointer, which stands for the file (`git lfs pull` gets it), \
                 expected ONNX",
            ),
            (
                "a.safetensors",
                b"",
                "safetensors file is malformed: the file is empty",
            ),
        ] {
            assert_eq!(read(name, bytes), Err(expected.to_owned()));
        }
        let error = PublishedWeights::read(Path::new("nowhere/a.h5")).expect_err("no file");
        assert!(error.to_string().starts_with("`nowhere/a.h5`: "), "{error}");
    }
}
