//! Weights files on disk.

use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

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
    /// [`WeightsError::Io`] or [`WeightsError::File`] with what [`from_safetensors`](Self::from_safetensors) refuses.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let read = read_file(path, "safetensors");
        let read = read.and_then(|bytes| Self::from_safetensors(&bytes));
        read.map_err(|error| error.of_file(path))
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
        let reason = format!("larger than {MAX_FILE_BYTES} bytes");
        return Err(WeightsError::Malformed { format, reason }.of_file(path));
    }
    Ok(bytes)
}

/// Confirms that a file can be written, without writing it: a file that is there stays as it is.
///
/// # Errors
///
/// [`WeightsError::Io`] naming a folder that does not exist or cannot be written, or a folder in the file's place.
pub fn expect_writable(path: &Path) -> Result<(), WeightsError> {
    if path.is_dir() {
        let error = std::io::Error::other("is a folder, expected a file");
        return Err(at(path, error));
    }
    if is_special(path) {
        let opened = std::fs::OpenOptions::new().write(true).open(path);
        return opened.map(drop).map_err(|error| at(path, error));
    }
    temporary_beside(path).map(drop)
}

/// Writes beside the target and renames, so that nobody sees half a file. Devices and pipes are written to.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), WeightsError> {
    if is_special(path) {
        return std::fs::write(path, bytes).map_err(|error| at(path, error));
    }
    let mut file = temporary_beside(path)?;
    file.write_all(bytes).map_err(|error| at(path, error))?;
    file.persist(path).map_err(|error| at(path, error.error))?;
    Ok(())
}

/// Whether something is there that is neither file nor folder.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// A new file in the folder of `path`, which is gone when it is dropped.
fn temporary_beside(path: &Path) -> Result<NamedTempFile, WeightsError> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !folder.exists() {
        let error = std::io::Error::new(std::io::ErrorKind::NotFound, "this folder does not exist");
        return Err(at(folder, error));
    }
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; a weights file is as readable as any other.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let made = builder.tempfile_in(folder);
    // The kind alone: the name of the temporary file helps nobody.
    made.map_err(|error| at(folder, error.kind().into()))
}

/// An input or output error with its file.
pub(crate) fn at(path: &Path, error: std::io::Error) -> WeightsError {
    WeightsError::Io {
        path: path.display().to_string(),
        error,
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
    fn places_that_cannot_be_written_are_named_and_left_as_they_are() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("a.safetensors");
        expect_writable(&file).expect("a new file");
        std::fs::write(&file, b"precious").expect("writable folder");
        expect_writable(&file).expect("an old file");
        let refusal = |path: &Path| {
            let error = expect_writable(path).expect_err("cannot be written");
            error.to_string()
        };
        let place = folder.path().display();
        assert_eq!(
            refusal(folder.path()),
            format!("`{place}`: is a folder, expected a file")
        );
        assert_eq!(
            refusal(&folder.path().join("none/b.safetensors")),
            format!("`{place}/none`: this folder does not exist")
        );
        assert_eq!(
            refusal(&file.join("b.safetensors")),
            format!("`{place}/a.safetensors`: not a directory")
        );
        assert_eq!(std::fs::read(&file).expect("still there"), b"precious");
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_written_to_and_stay() {
        let null = Path::new("/dev/null");
        expect_writable(null).expect("takes everything");
        replace_file(null, b"nothing").expect("takes everything");
        assert!(is_special(null));
        let error = expect_writable(Path::new("/proc/a.safetensors")).expect_err("no such files");
        assert!(error.to_string().starts_with("`/proc`: "), "{error}");
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
