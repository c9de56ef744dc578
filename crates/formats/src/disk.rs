//! Weights files on disk.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::WeightsError;
use crate::hexadecimal::hexadecimal;
use crate::metadata::Metadata;
use crate::safetensors_file::Precision;
use crate::seal;
use crate::weights::Weights;

/// Largest file that is read into memory: twice the largest published one here.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 30;
/// How much of a file is digested at once.
const PIECE_BYTES: usize = 1 << 18;

impl Weights {
    /// Reads a safetensors file. One that [`write`](Self::write) has written names its digest, and is refused if a bit of it
    /// has changed since.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] or [`WeightsError::File`] with what [`from_safetensors`](Self::from_safetensors) refuses.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let read = read_file(path, "safetensors");
        let read = read.and_then(|bytes| {
            seal::expect_unbroken(&bytes)?;
            Self::from_safetensors(&bytes)
        });
        read.map_err(|error| error.of_file(path))
    }

    /// Writes a safetensors file; a file that is already there stays whole until the new one is complete.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`], and what [`to_safetensors`](Self::to_safetensors) refuses.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<(), WeightsError> {
        replace_file(path, &seal::seal(&self.to_safetensors(precision)?)?)
    }
}

impl Weights {
    /// The sha256, hexadecimal, of the parameters as they were loaded and of what the metadata says about the network and its
    /// input: what is computed with weights depends on this, and on nothing else of their file.
    pub fn digest(&self) -> String {
        let Metadata {
            architecture,
            input_side,
            normalisation,
            extra,
            ..
        } = &self.metadata;
        let mut hasher = Sha256::new();
        let about = format!("{architecture} {input_side:?} {normalisation:?} {extra:?}");
        hasher.update(Sha256::digest(about));
        for (name, tensor) in self.iter() {
            hasher.update(Sha256::digest(format!("{name} {:?}", tensor.shape)));
            for values in tensor.values.chunks(PIECE_BYTES) {
                let bytes: Vec<u8> = values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                hasher.update(bytes);
            }
        }
        hexadecimal(&hasher.finalize())
    }
}

/// The sha256 of the bytes of a file, which are read in pieces.
pub(crate) fn stream_sha256(path: &Path) -> Result<String, WeightsError> {
    let digest = || {
        let mut hasher = Sha256::new();
        let mut file = BufReader::with_capacity(PIECE_BYTES, std::fs::File::open(path)?);
        loop {
            let piece = file.fill_buf()?;
            if piece.is_empty() {
                return Ok(hasher.finalize());
            }
            hasher.update(piece);
            let length = piece.len();
            file.consume(length);
        }
    };
    digest()
        .map(|digest| hexadecimal(&digest))
        .map_err(|source| at(path, source))
}

/// The sha256 of bytes, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The bytes of a file of bounded size.
pub(crate) fn read_file(path: &Path, format: &'static str) -> Result<Vec<u8>, WeightsError> {
    read_file_within(path, format, MAX_FILE_BYTES)
}

/// The bytes of a file of at most `most` bytes.
pub(crate) fn read_file_within(
    path: &Path,
    format: &'static str,
    most: u64,
) -> Result<Vec<u8>, WeightsError> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|source| at(path, source))?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| at(path, source))?;
    if bytes.len() as u64 > most {
        let reason = format!("larger than {most} bytes");
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
    fn the_digest_of_weights_is_that_of_what_was_loaded() {
        let weights = |value: f32, side: u32| {
            let mut weights = Weights::default();
            weights.metadata.source_sha256 = "the published file".to_owned();
            weights.metadata.input_side = Some(side);
            weights
                .insert("a", vec![2], vec![1.0, value])
                .expect("two values");
            weights
        };
        let digest = weights(0.5, 96).digest();
        assert_eq!(digest, weights(0.5, 96).digest());
        let bytes = weights(0.5, 96).to_safetensors(Precision::Half);
        let read = Weights::from_safetensors(&bytes.expect("finite")).expect("own file");
        assert_eq!(digest, read.digest(), "however they are stored");
        for other in [weights(0.25, 96), weights(0.5, 112)] {
            assert_ne!(digest, other.digest());
        }
        let mut licensed = weights(0.5, 96);
        licensed.metadata.licence = "MIT".to_owned();
        assert_eq!(digest, licensed.digest());
    }

    #[test]
    fn the_digest_of_a_file_is_that_of_its_bytes_in_pieces() {
        let file = NamedTempFile::new().expect("temporary file");
        let bytes = vec![7; 3 * PIECE_BYTES + 1];
        std::fs::write(file.path(), &bytes).expect("temporary file");
        assert_eq!(
            stream_sha256(file.path()).expect("is there"),
            sha256(&bytes)
        );
        let error = stream_sha256(Path::new("nowhere")).expect_err("is not there");
        assert!(error.to_string().starts_with("`nowhere`: "), "{error}");
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
