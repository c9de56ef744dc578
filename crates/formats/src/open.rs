//! Published files of every format, told by their extension.

use std::ffi::OsStr;
use std::path::Path;

use crate::disk::read_file;
use crate::error::WeightsError;
use crate::published::PublishedWeights;
use crate::weights::Weights;
use crate::{onnx, tfjs, tflite, torch};

impl PublishedWeights {
    /// Reads a file as its publisher made it; the extension says what it is: `.safetensors`, `.json` (tfjs),
    /// `.tflite`, `.onnx`, or `.pt`, `.pth` and `.bin` (torch).
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`], and what the format's reader refuses.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let extension = path
            .extension()
            .and_then(OsStr::to_str)
            .unwrap_or_default()
            .to_ascii_lowercase();
        match extension.as_str() {
            "safetensors" => Weights::read(path).map(Self::Named),
            "json" => tfjs::read_tfjs(path).map(Self::Named),
            "pt" | "pth" | "bin" => torch::read_torch(path).map(Self::Named),
            "onnx" => Ok(onnx::read_graph(&read_file(path, "onnx")?)?.into()),
            "tflite" => Ok(tflite::read_graph(&read_file(path, "tflite")?)?.into()),
            "task" => {
                let what = "several networks, of which one must be named".to_owned();
                Err(WeightsError::Unsupported {
                    format: "task",
                    what,
                })
            }
            _ => Err(WeightsError::Unsupported {
                format: "weights",
                what: format!(
                    "the extension `.{extension}` (known: .safetensors .json .tflite .onnx .pt .pth .bin)"
                ),
            }),
        }
    }

    /// Reads one `.tflite` network out of a `.task` archive.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`], and what [`read_task_member`](crate::read_task_member) and
    /// [`read_tflite`](crate::read_tflite) refuse.
    pub fn read_member(archive: &Path, member: &str) -> Result<Self, WeightsError> {
        let bytes = tflite::read_task_member(&read_file(archive, "task")?, member)?;
        Ok(tflite::read_graph(&bytes)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_extensions_are_named() {
        let error = PublishedWeights::read(Path::new("a.h5")).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "weights file uses the extension `.h5` (known: .safetensors .json .tflite .onnx .pt .pth .bin), \
             which is not supported"
        );
    }
}
