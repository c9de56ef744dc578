//! Embeddings of many pictures, computed once and kept.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::FeatureRows;
use crate::picture::read_picture;
use affectlens::{
    frame::Frame,
    weights::{Metadata, Precision, Weights, WeightsError},
};

/// Pictures that share one cache file: what an interruption can cost, against the number of files.
const CHUNK: usize = 512;
/// Pictures that go through the network together.
const BATCH: usize = 16;
/// Raised when the meaning of cached files changes.
const CACHE_VERSION: &str = "affectlens embeddings 2";

/// Where embeddings are kept between runs, and what they depend on besides the pictures.
#[derive(Clone, Debug)]
pub struct EmbeddingCache {
    /// Folder of the cache files; made if it is not there.
    pub folder: PathBuf,
    /// Everything about the network and the crop that changes an embedding: weights digest, side, cropping.
    pub key: String,
}

/// Embeddings of a list of pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddedPictures {
    /// One row a picture, in the order of the list; `None` for a picture that was skipped.
    pub rows: Vec<Option<Vec<f32>>>,
    /// What was skipped, and why.
    pub failures: Vec<Failure>,
}

/// A picture that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The file.
    pub path: PathBuf,
    /// Why it has no embedding.
    pub reason: String,
}

/// Why embeddings cannot be computed or kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExtractionError {
    /// The cache cannot be written.
    #[error("cache `{}`: {source}", path.display())]
    Cache {
        /// File or folder.
        path: PathBuf,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The network gave another number of rows than pictures.
    #[error("network gave {got} embeddings, expected {expected}")]
    Count {
        /// Pictures that went in.
        expected: usize,
        /// Rows that came out.
        got: usize,
    },
}

/// Embeds pictures, reading from the cache what is there and writing what is not.
///
/// Every 512 pictures are one cache file, named by a digest of the pictures' bytes and the cache's key, so an
/// interrupted run goes on where it stopped, and a changed picture or network is computed anew. Rows are kept
/// as 16-bit floats and come back so from the first run on: a second run gives the same numbers.
///
/// `prepare` turns a picture into the network's input picture or says why it cannot; `embed` maps a few of
/// those to one row each; `progress` is told the number of pictures that are done.
///
/// # Errors
///
/// [`ExtractionError`]; a picture that cannot be read or prepared is a [`Failure`], not an error.
pub fn extract_embeddings(
    paths: &[PathBuf],
    cache: &EmbeddingCache,
    mut prepare: impl FnMut(&Frame) -> Result<Frame, String>,
    mut embed: impl FnMut(&[Frame]) -> Vec<Vec<f32>>,
    mut progress: impl FnMut(usize),
) -> Result<EmbeddedPictures, ExtractionError> {
    let mut all = EmbeddedPictures::default();
    for chunk in paths.chunks(CHUNK) {
        let digest = digest(chunk, &cache.key);
        let file = cache.folder.join(format!("{digest}.safetensors"));
        let done = all.rows.len();
        let embedded =
            kept_or_computed(&file, &digest, chunk, &mut prepare, &mut embed, |count| {
                progress(done + count);
            })?;
        all.rows.extend(embedded.rows);
        all.failures.extend(embedded.failures);
    }
    Ok(all)
}

/// Embeds the pictures of one video into one cache file, `<folder>/<name>.safetensors`, readable elsewhere: tensor
/// `embeddings` with a row a picture that could be read, and in the metadata the `pictures` by name.
///
/// As with [`extract_embeddings`] a file that is damaged or was made of other bytes or another network is made anew.
///
/// # Errors
///
/// As [`extract_embeddings`].
pub fn extract_video(
    name: &str,
    paths: &[PathBuf],
    cache: &EmbeddingCache,
    mut prepare: impl FnMut(&Frame) -> Result<Frame, String>,
    mut embed: impl FnMut(&[Frame]) -> Vec<Vec<f32>>,
    progress: impl FnMut(usize),
) -> Result<EmbeddedPictures, ExtractionError> {
    let file = cache.folder.join(format!("{name}.safetensors"));
    let digest = digest(paths, &cache.key);
    kept_or_computed(&file, &digest, paths, &mut prepare, &mut embed, progress)
}

/// Features of all frames of a video file.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedVideo {
    /// One row a frame.
    pub rows: FeatureRows,
    /// Frames a second.
    pub rate: f64,
    /// Why the video may have ended early, or what its decoder complained about.
    pub complaint: Option<String>,
}

/// Keeps the features of a video file's frames in one cache file, `<folder>/<stem>-<digest>.safetensors`, where the
/// digest is that of the video's bytes and the cache's key: they are computed once.
///
/// # Errors
///
/// Those of `compute`, and [`ExtractionError`] if the video cannot be read or the cache cannot be written.
pub fn extract_video_file<E: From<ExtractionError>>(
    path: &Path,
    cache: &EmbeddingCache,
    compute: impl FnOnce() -> Result<EmbeddedVideo, E>,
) -> Result<EmbeddedVideo, E> {
    if let Err(error) = std::fs::metadata(path) {
        return Err(at(path, error).into());
    }
    let digest = digest(std::slice::from_ref(&path.to_owned()), &cache.key);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let file = cache
        .folder
        .join(format!("{stem}-{}.safetensors", &digest[..16]));
    let kept = || unpack_video(&digest, &Weights::read(&file).ok()?);
    if let Some(video) = kept() {
        return Ok(video);
    }
    let video = compute()?;
    std::fs::create_dir_all(&cache.folder).map_err(|error| at(&cache.folder, error))?;
    pack_video(&digest, &video)
        .and_then(|weights| weights.write(&file, Precision::Half))
        .map_err(|error| at(&file, error))?;
    Ok(video)
}

fn pack_video(digest: &str, video: &EmbeddedVideo) -> Result<Weights, WeightsError> {
    let values = video.rows.iter().collect::<Vec<_>>().concat();
    let mut weights = Weights::new(Metadata {
        architecture: ARCHITECTURE.to_owned(),
        ..Metadata::default()
    });
    let extra = &mut weights.metadata.extra;
    extra.insert(MADE_OF.to_owned(), digest.to_owned());
    extra.insert(ROWS_DIGEST.to_owned(), rows_digest(&values));
    extra.insert(RATE.to_owned(), video.rate.to_string());
    if let Some(complaint) = &video.complaint {
        extra.insert(COMPLAINT.to_owned(), complaint.clone());
    }
    let shape = vec![video.rows.len(), video.rows.width()];
    weights.insert(ROWS, shape, values)?;
    Ok(weights)
}

fn unpack_video(digest: &str, weights: &Weights) -> Option<EmbeddedVideo> {
    weights.expect_architecture(ARCHITECTURE).ok()?;
    let extra = &weights.metadata.extra;
    let tensor = weights.get(ROWS)?;
    if extra.get(MADE_OF)? != digest || *extra.get(ROWS_DIGEST)? != rows_digest(&tensor.values) {
        return None;
    }
    let mut rows = FeatureRows::new(*tensor.shape.get(1)?);
    for row in tensor.values.chunks(rows.width().max(1)) {
        rows.push(row).ok()?;
    }
    Some(EmbeddedVideo {
        rows,
        rate: extra.get(RATE)?.parse().ok()?,
        complaint: extra.get(COMPLAINT).cloned(),
    })
}

fn kept_or_computed(
    file: &Path,
    digest: &str,
    paths: &[PathBuf],
    prepare: &mut impl FnMut(&Frame) -> Result<Frame, String>,
    embed: &mut impl FnMut(&[Frame]) -> Vec<Vec<f32>>,
    mut progress: impl FnMut(usize),
) -> Result<EmbeddedPictures, ExtractionError> {
    // A cache file that cannot be read is as good as none.
    let kept = || unpack(paths, digest, &Weights::read(file).ok()?);
    let embedded = match kept() {
        Some(embedded) => embedded,
        None => {
            let computed = compute(paths, prepare, embed, &mut progress)?;
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
            }
            pack(paths, digest, &computed)
                .and_then(|weights| weights.write(file, Precision::Half))
                .map_err(|error| at(file, error))?;
            kept().unwrap_or(computed)
        }
    };
    progress(paths.len());
    Ok(embedded)
}

fn compute(
    paths: &[PathBuf],
    prepare: &mut impl FnMut(&Frame) -> Result<Frame, String>,
    embed: &mut impl FnMut(&[Frame]) -> Vec<Vec<f32>>,
    mut progress: impl FnMut(usize),
) -> Result<EmbeddedPictures, ExtractionError> {
    let mut embedded = EmbeddedPictures {
        rows: vec![None; paths.len()],
        failures: vec![],
    };
    for (batch, batch_paths) in paths.chunks(BATCH).enumerate() {
        let (mut places, mut pictures) = (vec![], vec![]);
        for (place, path) in batch_paths.iter().enumerate() {
            let picture = read_picture(path)
                .map_err(|error| error.reason)
                .and_then(|picture| prepare(&picture));
            match picture {
                Ok(picture) => {
                    places.push(batch * BATCH + place);
                    pictures.push(picture);
                }
                Err(reason) => embedded.failures.push(Failure {
                    path: path.clone(),
                    reason,
                }),
            }
        }
        let rows = if pictures.is_empty() {
            vec![]
        } else {
            embed(&pictures)
        };
        if rows.len() != places.len() {
            return Err(ExtractionError::Count {
                expected: places.len(),
                got: rows.len(),
            });
        }
        for (place, row) in places.into_iter().zip(rows) {
            embedded.rows[place] = Some(row);
        }
        progress((batch * BATCH + BATCH).min(paths.len()));
    }
    Ok(embedded)
}

const ROWS: &str = "embeddings";
const ARCHITECTURE: &str = "embeddings";

/// What the rows were made of.
const MADE_OF: &str = "made_of";
/// Frames a second of a video.
const RATE: &str = "rate";
const COMPLAINT: &str = "complaint";
/// Digest of the rows themselves.
const ROWS_DIGEST: &str = "rows_sha256";

fn pack(
    paths: &[PathBuf],
    digest: &str,
    embedded: &EmbeddedPictures,
) -> Result<Weights, WeightsError> {
    let mut weights = Weights::new(Metadata {
        architecture: ARCHITECTURE.to_owned(),
        ..Metadata::default()
    });
    let rows: Vec<&Vec<f32>> = embedded.rows.iter().flatten().collect();
    let width = rows.first().map_or(0, |row| row.len());
    let values: Vec<f32> = rows.iter().flat_map(|row| row.iter().copied()).collect();
    let extra = &mut weights.metadata.extra;
    extra.insert(MADE_OF.to_owned(), digest.to_owned());
    extra.insert(ROWS_DIGEST.to_owned(), rows_digest(&values));
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    extra.insert("pictures".to_owned(), names.collect::<Vec<_>>().join(" "));
    let skipped = (0..).zip(&embedded.rows).filter(|(_, row)| row.is_none());
    for ((place, _), failure) in skipped.zip(&embedded.failures) {
        extra.insert(skipped_key(place), failure.reason.clone());
    }
    weights.insert(ROWS, vec![rows.len(), width], values)?;
    Ok(weights)
}

fn unpack(paths: &[PathBuf], digest: &str, weights: &Weights) -> Option<EmbeddedPictures> {
    weights.expect_architecture(ARCHITECTURE).ok()?;
    let extra = &weights.metadata.extra;
    let tensor = weights.get(ROWS)?;
    let &[count, width] = tensor.shape.as_slice() else {
        return None;
    };
    if extra.get(MADE_OF)? != digest || *extra.get(ROWS_DIGEST)? != rows_digest(&tensor.values) {
        return None;
    }
    let mut embedded = EmbeddedPictures::default();
    let mut rows = tensor.values.chunks(width.max(1));
    for (place, path) in paths.iter().enumerate() {
        if let Some(reason) = extra.get(&skipped_key(place)) {
            embedded.rows.push(None);
            embedded.failures.push(Failure {
                path: path.clone(),
                reason: reason.clone(),
            });
        } else {
            embedded.rows.push(Some(rows.next()?.to_vec()));
        }
    }
    (embedded.rows.iter().flatten().count() == count).then_some(embedded)
}

fn skipped_key(place: usize) -> String {
    format!("skipped {place}")
}

/// Over the values as the file keeps them.
fn rows_digest(values: &[f32]) -> String {
    let mut hasher = Sha256::new();
    for value in values {
        hasher.update(half::f16::from_f32(*value).to_le_bytes());
    }
    hexadecimal(&hasher.finalize())
}

/// Of half the digest's bytes: names need no more.
fn hexadecimal(digest: &[u8]) -> String {
    let half = digest.iter().take(16);
    half.map(|byte| format!("{byte:02x}")).collect()
}

/// Names a chunk by the bytes of its pictures; an unreadable one counts as empty.
fn digest(paths: &[PathBuf], key: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(CACHE_VERSION);
    hasher.update(key);
    for path in paths {
        hasher.update(Sha256::digest(std::fs::read(path).unwrap_or_default()));
    }
    hexadecimal(&hasher.finalize())
}

fn at(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ExtractionError {
    ExtractionError::Cache {
        path: path.to_owned(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embed(pictures: &[Frame]) -> Vec<Vec<f32>> {
        pictures
            .iter()
            .map(|picture| vec![f32::from(picture.pixels()[0]), picture.width() as f32])
            .collect()
    }

    fn save(folder: &Path, name: &str, level: u8) -> PathBuf {
        let path = folder.join(name);
        image::GrayImage::from_pixel(2, 2, image::Luma([level]))
            .save(&path)
            .expect("temporary file");
        path
    }

    #[test]
    fn second_run_reads_the_cache_and_a_changed_picture_is_computed_anew() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let broken = folder.path().join("b.png");
        std::fs::write(&broken, b"not a picture").expect("temporary file");
        let paths = vec![
            save(folder.path(), "a.png", 3),
            broken,
            save(folder.path(), "c.png", 5),
        ];
        let cache = EmbeddingCache {
            folder: folder.path().join("cache"),
            key: "net".to_owned(),
        };
        let mut computed = 0;
        let mut run = |cache: &EmbeddingCache| {
            let mut calls = 0;
            let embedded = extract_embeddings(
                &paths,
                cache,
                |picture| Ok(picture.clone()),
                |pictures| {
                    calls += pictures.len();
                    embed(pictures)
                },
                |_| {},
            )
            .expect("writable folder");
            computed = calls;
            (embedded, calls)
        };
        let (first, calls) = run(&cache);
        assert_eq!(
            first.rows,
            [Some(vec![3.0, 2.0]), None, Some(vec![5.0, 2.0])]
        );
        assert_eq!(
            (first.failures.len(), &first.failures[0].path),
            (1, &paths[1])
        );
        assert_eq!(calls, 2);
        assert_eq!(run(&cache), (first.clone(), 0), "all is in the cache");
        let other = EmbeddingCache {
            key: "other net".to_owned(),
            ..cache.clone()
        };
        assert_eq!(run(&other), (first, 2), "another network has its own cache");
        save(folder.path(), "c.png", 9);
        assert_eq!(run(&cache).0.rows[2], Some(vec![9.0, 2.0]));
    }

    #[test]
    fn damaged_rows_are_computed_anew() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let paths = [save(folder.path(), "00007.png", 3)];
        let cache = EmbeddingCache {
            folder: folder.path().join("cache"),
            key: String::new(),
        };
        let run = || {
            let mut calls = 0;
            let embedded = extract_video(
                "video1_left",
                &paths,
                &cache,
                |picture| Ok(picture.clone()),
                |pictures| {
                    calls += 1;
                    embed(pictures)
                },
                |_| {},
            );
            (embedded.expect("writable folder").rows, calls)
        };
        assert_eq!(run().1, 1);
        let file = cache.folder.join("video1_left.safetensors");
        let mut bytes = std::fs::read(&file).expect("was written");
        *bytes.last_mut().expect("not empty") ^= 1;
        std::fs::write(&file, bytes).expect("writable");
        assert_eq!(run(), (vec![Some(vec![3.0, 2.0])], 1));
        assert_eq!(run().1, 0);
    }

    #[test]
    fn a_video_is_computed_once() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.mp4");
        std::fs::write(&path, b"a video").expect("temporary file");
        let cache = EmbeddingCache {
            folder: folder.path().join("cache"),
            key: "net".to_owned(),
        };
        let video = EmbeddedVideo {
            rows: FeatureRows::from_rows([[0.1, 2.0], [3.0, 4.0]]).expect("two rows"),
            rate: 30_000.0 / 1001.0,
            complaint: Some("cut off".to_owned()),
        };
        let run = |path: &Path| {
            let mut calls = 0;
            let embedded = extract_video_file(path, &cache, || {
                calls += 1;
                Ok::<_, ExtractionError>(video.clone())
            });
            embedded.map(|embedded| (embedded, calls))
        };
        assert_eq!(run(&path).expect("computed"), (video.clone(), 1));
        assert_eq!(run(&path).expect("kept"), (video.clone(), 0));
        std::fs::write(&path, b"another").expect("temporary file");
        assert_eq!(run(&path).expect("computed").1, 1);
        let error = run(&folder.path().join("b.mp4")).expect_err("is not there");
        assert!(error.to_string().contains("b.mp4"), "{error}");
    }

    #[test]
    fn picture_that_cannot_be_prepared_is_skipped_with_its_reason() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let paths = vec![
            save(folder.path(), "a.png", 3),
            save(folder.path(), "b.png", 4),
        ];
        let cache = EmbeddingCache {
            folder: folder.path().to_owned(),
            key: String::new(),
        };
        for _ in 0..2 {
            let prepare = |picture: &Frame| {
                if picture.pixels()[0] == 3 {
                    Err("no face found".to_owned())
                } else {
                    Ok(picture.clone())
                }
            };
            let embedded = extract_embeddings(&paths, &cache, prepare, embed, |_| {})
                .expect("writable folder");
            assert_eq!(embedded.rows, [None, Some(vec![4.0, 2.0])]);
            assert_eq!(
                embedded.failures,
                [Failure {
                    path: paths[0].clone(),
                    reason: "no face found".to_owned()
                }]
            );
        }
    }
}
