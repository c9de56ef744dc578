//! Embeddings of picture files.

use std::path::{Path, PathBuf};

use super::{
    Embed, EmbeddingCache, ExtractionError,
    cache::keep,
    embed_all,
    file::{pack_pictures, unpack_pictures},
};
use crate::picture::read_picture;
use affectlens::weights::{Precision, Weights};

/// Pictures that share one cache file: what an interruption can cost, against the number of files.
const CHUNK: usize = 512;
/// Pictures that go through the network together.
const BATCH: usize = 16;

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

/// Embeds pictures, reading from the cache what is there and writing what is not.
///
/// Every 512 pictures are one cache file, named by a digest of the pictures' bytes and the cache's key, so an
/// interrupted run goes on where it stopped, and a changed picture or network is computed anew. Rows are kept
/// as 16-bit floats and come back so from the first run on: a second run gives the same numbers.
///
/// Pictures of which one could not be read for a passing reason (a disk, a missing or killed ffmpeg) are not kept.
///
/// `progress` is called with the number of pictures that are done.
///
/// # Errors
///
/// [`ExtractionError`] if the network fails or the cache cannot be written; what was cached before stays. A picture that
/// cannot be read is a [`Failure`], not an error.
pub fn extract_embeddings(
    paths: &[PathBuf],
    cache: &EmbeddingCache,
    network: &(impl Embed + ?Sized),
    mut progress: impl FnMut(usize),
) -> Result<EmbeddedPictures, ExtractionError> {
    let mut all = EmbeddedPictures::default();
    for chunk in paths.chunks(CHUNK) {
        let digest = cache.digest(chunk);
        let done = all.rows.len();
        let embedded = kept_or_computed(&cache.file(&digest), &digest, chunk, network, |count| {
            progress(done + count);
        })?;
        all.rows.extend(embedded.rows);
        all.failures.extend(embedded.failures);
    }
    Ok(all)
}

/// Embeds the pictures of one video into one cache file, `<folder>/<name>-<digest>.safetensors`, readable elsewhere: tensor
/// `embeddings` with a row a picture that could be read, and in the metadata the `pictures` by name. The digest is that of
/// the pictures' bytes and the cache's key, so that videos of one name in two parts are kept apart.
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
    network: &(impl Embed + ?Sized),
    progress: impl FnMut(usize),
) -> Result<EmbeddedPictures, ExtractionError> {
    let digest = cache.digest(paths);
    let file = cache.named_file(name, &digest);
    kept_or_computed(&file, &digest, paths, network, progress)
}

fn kept_or_computed(
    file: &Path,
    digest: &str,
    paths: &[PathBuf],
    network: &(impl Embed + ?Sized),
    mut progress: impl FnMut(usize),
) -> Result<EmbeddedPictures, ExtractionError> {
    // A cache file that cannot be read is as good as none.
    let kept = || unpack_pictures(paths, digest, &Weights::read(file).ok()?);
    let embedded = match kept() {
        Some(embedded) => embedded,
        None => {
            let (computed, is_lasting) = compute(paths, network, &mut progress)?;
            let packed = pack_pictures(paths, digest, &computed);
            if is_lasting {
                keep(file, packed)?;
                kept().unwrap_or(computed)
            } else {
                // Rounded as a cache file would round it.
                let rounded = packed
                    .and_then(|packed| packed.to_safetensors(Precision::Half))
                    .and_then(|bytes| Weights::from_safetensors(&bytes));
                let rounded = rounded.ok();
                let rounded = rounded.and_then(|it| unpack_pictures(paths, digest, &it));
                rounded.unwrap_or(computed)
            }
        }
    };
    progress(paths.len());
    Ok(embedded)
}

/// Rows and failures, and whether a second run would fail for the same pictures.
fn compute(
    paths: &[PathBuf],
    network: &(impl Embed + ?Sized),
    mut progress: impl FnMut(usize),
) -> Result<(EmbeddedPictures, bool), ExtractionError> {
    let mut is_lasting = true;
    let mut embedded = EmbeddedPictures {
        rows: vec![None; paths.len()],
        failures: vec![],
    };
    for (batch, batch_paths) in paths.chunks(BATCH).enumerate() {
        let (mut places, mut pictures) = (vec![], vec![]);
        for (place, path) in batch_paths.iter().enumerate() {
            match read_picture(path) {
                Ok(picture) => {
                    places.push(batch * BATCH + place);
                    pictures.push(network.prepare(&picture));
                }
                Err(error) => {
                    is_lasting &= error.fault.is_lasting();
                    embedded.failures.push(Failure {
                        path: path.clone(),
                        reason: error.fault.to_string(),
                    });
                }
            }
        }
        if !pictures.is_empty() {
            let rows = embed_all(network, &pictures)?;
            for (place, row) in places.into_iter().zip(rows) {
                embedded.rows[place] = Some(row);
            }
        }
        progress((batch * BATCH + BATCH).min(paths.len()));
    }
    Ok((embedded, is_lasting))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::EmbedError;
    use affectlens::frame::Frame;

    /// The first level and the width of each picture, as far as the device goes.
    struct Device {
        embedded: Cell<usize>,
        fails_after: usize,
    }

    impl Device {
        fn new() -> Self {
            Self::failing_after(usize::MAX)
        }

        fn failing_after(fails_after: usize) -> Self {
            Self {
                embedded: Cell::new(0),
                fails_after,
            }
        }
    }

    impl Embed for Device {
        fn prepare(&self, picture: &Frame) -> Frame {
            picture.clone()
        }

        fn embed(&self, pictures: &[Frame]) -> Result<Vec<Vec<f32>>, EmbedError> {
            if self.embedded.get() >= self.fails_after {
                let reason = "the cable is out".to_owned();
                return Err(EmbedError::ReadBack { reason });
            }
            self.embedded.set(self.embedded.get() + pictures.len());
            let row =
                |picture: &Frame| vec![f32::from(picture.pixels()[0]), picture.width() as f32];
            Ok(pictures.iter().map(row).collect())
        }
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
        let run = |cache: &EmbeddingCache| {
            let device = Device::new();
            let embedded =
                extract_embeddings(&paths, cache, &device, |_| {}).expect("writable folder");
            (embedded, device.embedded.get())
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
    fn pictures_that_are_cut_off_are_named_and_skipped() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let whole = folder.path().join("whole.jpg");
        image::GrayImage::from_pixel(64, 64, image::Luma([9]))
            .save(&whole)
            .expect("temporary file");
        let bytes = std::fs::read(&whole).expect("was written");
        let cut = folder.path().join("cut.jpg");
        std::fs::write(&cut, &bytes[..bytes.len() - 9]).expect("temporary file");
        let cache = EmbeddingCache {
            folder: folder.path().join("cache"),
            key: String::new(),
        };
        let embedded = extract_embeddings(&[cut.clone(), whole], &cache, &Device::new(), |_| {});
        let embedded = embedded.expect("writable folder");
        assert_eq!(embedded.rows, [None, Some(vec![9.0, 64.0])]);
        let reason = format!(
            "cut off: a JPEG without its end, after {} bytes",
            bytes.len() - 9
        );
        assert_eq!(embedded.failures, [Failure { path: cut, reason }]);
    }

    #[test]
    fn pictures_that_fail_for_a_passing_reason_are_tried_again() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let good = save(folder.path(), "a.png", 3);
        let absent = folder.path().join("b.png");
        let paths = [good, absent.clone()];
        let cache = EmbeddingCache {
            folder: folder.path().join("cache"),
            key: String::new(),
        };
        let run = || {
            let device = Device::new();
            let embedded = extract_embeddings(&paths, &cache, &device, |_| {});
            (embedded.expect("writable").rows, device.embedded.get())
        };
        // A disk that is not there at the moment.
        for _ in 0..2 {
            assert_eq!(run(), (vec![Some(vec![3.0, 2.0]), None], 1), "is not kept");
        }
        std::fs::write(&absent, b"no picture").expect("temporary file");
        assert_eq!(run().1, 1);
        assert_eq!(run().1, 0, "a damaged picture stays damaged");
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
            let device = Device::new();
            let embedded = extract_video("video1_left", &paths, &cache, &device, |_| {});
            let embedded = embedded.expect("writable folder");
            (embedded.rows, device.embedded.get())
        };
        assert_eq!(run().1, 1);
        let file = cache.named_file("video1_left", &cache.digest(&paths));
        let mut bytes = std::fs::read(&file).expect("was written");
        *bytes.last_mut().expect("not empty") ^= 1;
        std::fs::write(&file, bytes).expect("writable");
        assert_eq!(run(), (vec![Some(vec![3.0, 2.0])], 1));
        assert_eq!(run().1, 0);
    }

    #[test]
    fn a_device_that_fails_is_named_and_costs_nothing_that_was_cached() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let paths = vec![save(folder.path(), "a.png", 3); CHUNK + 1];
        let cache = EmbeddingCache {
            folder: folder.path().join("cache"),
            key: "net".to_owned(),
        };
        let failing = Device::failing_after(CHUNK);
        let error = extract_embeddings(&paths, &cache, &failing, |_| {});
        assert_eq!(
            error.expect_err("the device fails").to_string(),
            "embeddings cannot be read from the device: the cable is out"
        );
        let device = Device::new();
        let embedded = extract_embeddings(&paths, &cache, &device, |_| {}).expect("goes on");
        assert_eq!(embedded.rows, vec![Some(vec![3.0, 2.0]); CHUNK + 1]);
        assert_eq!(device.embedded.get(), 1, "all but the last were cached");
    }

    #[test]
    fn a_row_that_is_missing_is_an_error() {
        struct Forgetful;

        impl Embed for Forgetful {
            fn prepare(&self, picture: &Frame) -> Frame {
                picture.clone()
            }

            fn embed(&self, _: &[Frame]) -> Result<Vec<Vec<f32>>, EmbedError> {
                Ok(Vec::new())
            }
        }

        let folder = tempfile::tempdir().expect("temporary folder");
        let paths = [save(folder.path(), "a.png", 3)];
        let cache = EmbeddingCache {
            folder: folder.path().join("cache"),
            key: String::new(),
        };
        let error = extract_embeddings(&paths, &cache, &Forgetful, |_| {}).expect_err("no rows");
        assert_eq!(error.to_string(), "network gave 0 embeddings, expected 1");
    }
}
