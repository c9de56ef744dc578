//! Weights files on disk.

use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::WeightsError;
use crate::safetensors_file::Precision;
use crate::weights::Weights;

/// Largest file that is read into memory: twice the largest published one here.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 30;

impl Weights {
    /// Reads a safetensors file.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`], and what [`from_safetensors`](Self::from_safetensors) refuses.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        Self::from_safetensors(&read_file(path, "safetensors")?)
    }

    /// Writes a safetensors file; a file that is already there stays whole until the new one is complete.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`], and what [`to_safetensors`](Self::to_safetensors) refuses.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<(), WeightsError> {
        replace_file(path, &self.to_safetensors(precision)?)
    }
}

/// The sha256 of a file, hexadecimal.
///
/// # Errors
///
/// [`WeightsError::Io`], [`WeightsError::Malformed`] for a file beyond a gigabyte.
pub fn file_sha256(path: &Path) -> Result<String, WeightsError> {
    Ok(sha256(&read_file(path, "weights")?))
}

/// The sha256 of bytes, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The bytes of a file of bounded size.
pub(crate) fn read_file(path: &Path, format: &'static str) -> Result<Vec<u8>, WeightsError> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|source| at(path, source))?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| at(path, source))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let reason = format!("`{}` is larger than {MAX_FILE_BYTES} bytes", path.display());
        return Err(WeightsError::Malformed { format, reason });
    }
    Ok(bytes)
}

/// Writes beside the target and renames, so that nobody sees half a file.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), WeightsError> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; a weights file is as readable as any other.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder
        .tempfile_in(folder)
        .map_err(|source| at(path, source))?;
    file.write_all(bytes).map_err(|source| at(path, source))?;
    file.persist(path).map_err(|error| at(path, error.error))?;
    Ok(())
}

/// An input or output error with its file.
pub(crate) fn at(path: &Path, source: std::io::Error) -> WeightsError {
    WeightsError::Io {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_read_back_and_replaced_whole() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.safetensors");
        let mut weights = Weights::default();
        weights.insert("a", vec![1], vec![1.0]).expect("one value");
        weights
            .write(&path, Precision::Single)
            .expect("writable folder");
        assert_eq!(Weights::read(&path).expect("own file"), weights);

        let mut broken = Weights::default();
        broken
            .insert("a", vec![1], vec![f32::NAN])
            .expect("one value");
        broken
            .write(&path, Precision::Single)
            .expect_err("not finite");
        assert_eq!(Weights::read(&path).expect("untouched file"), weights);
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
    }

    #[test]
    fn missing_files_are_named() {
        let error = Weights::read(Path::new("nowhere/a.safetensors")).expect_err("no such file");
        assert!(
            error.to_string().starts_with("`nowhere/a.safetensors`: "),
            "{error}"
        );
    }
}
