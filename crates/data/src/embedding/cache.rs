//! Where embeddings are kept, and the digests that say what a kept file was made of.

use std::{
    fmt::Display,
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use half::f16;
use sha2::{Digest, Sha256};

use super::ExtractionError;
use affectlens::weights::{Precision, Weights, WeightsError};

/// Raised when the meaning of cached files changes.
const CACHE_VERSION: &str = "affectlens embeddings 4";

/// How much of a file is digested at once.
const PIECE_BYTES: usize = 1 << 18;

/// Where embeddings are kept between runs, and what they depend on besides the pictures.
#[derive(Clone, Debug)]
pub struct EmbeddingCache {
    /// Folder of the cache files; made if it is not there.
    pub folder: PathBuf,
    /// Everything about the network and the crop that changes an embedding: digest of the loaded weights, side, cropping.
    pub key: String,
}

impl EmbeddingCache {
    /// The file of some embeddings.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    /// The file of what is called `name` and was made of what has that digest: others may have its name in another folder.
    pub(super) fn named_file(&self, name: &str, digest: &str) -> PathBuf {
        self.file(&format!("{name}-{}", &digest[..16]))
    }

    /// Digest of files and key: embeddings that were made of other ones are computed anew. A file that cannot be read
    /// counts as empty.
    pub(super) fn digest(&self, files: &[PathBuf]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(CACHE_VERSION);
        hasher.update(&self.key);
        for path in files {
            hasher.update(content_digest(path).unwrap_or_else(|_| Sha256::digest([]).into()));
        }
        hexadecimal(&hasher.finalize())
    }
}

/// Digest of a regular file, read in pieces: videos may be larger than memory.
fn content_digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    if fs::metadata(path)?.is_file() {
        let mut file = BufReader::with_capacity(PIECE_BYTES, File::open(path)?);
        loop {
            let piece = file.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            hasher.update(piece);
            let length = piece.len();
            file.consume(length);
        }
    }
    Ok(hasher.finalize().into())
}

/// Writes a file of the cache, and makes its folder if it is not there.
pub(super) fn keep(
    file: &Path,
    packed: Result<Weights, WeightsError>,
) -> Result<(), ExtractionError> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    }
    packed
        .and_then(|weights| weights.write(file, Precision::Half))
        .map_err(|error| at(file, error))
}

/// Digest of the values as a cache file keeps them.
pub(super) fn rows_digest(values: &[f32]) -> String {
    let mut hasher = Sha256::new();
    for value in values {
        hasher.update(f16::from_f32(*value).to_le_bytes());
    }
    hexadecimal(&hasher.finalize())
}

/// Half of the digest's bytes: names need no more.
fn hexadecimal(digest: &[u8]) -> String {
    let half = digest.iter().take(16);
    half.map(|byte| format!("{byte:02x}")).collect()
}

/// The error of a file or folder of the cache.
pub(super) fn at(path: &Path, error: impl Display) -> ExtractionError {
    ExtractionError::Cache {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
