//! Features of the frames of video files.

use std::path::{Path, PathBuf};

use super::{
    EmbeddingCache, ExtractionError,
    cache::{at, keep},
    file::{pack_video, unpack_video},
};
use crate::FeatureRows;
use affectlens::weights::Weights;

/// Features of all frames of a video file.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedVideo {
    /// One row a frame.
    pub rows: FeatureRows,
    /// When each frame is displayed, milliseconds.
    pub times_ms: Vec<f64>,
    /// Why the video may have ended early, or what its decoder complained about.
    pub complaint: Option<String>,
    /// Whether the decoder came to the end of the file; only then the features are kept.
    pub is_whole: bool,
}

/// Keeps the features of a video file's frames in one cache file, `<folder>/<stem>-<digest>.safetensors`, where the
/// digest is that of the video's bytes and the cache's key: they are computed once. A decoder that was killed or failed says
/// nothing about the file: what it gave is used, not kept.
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
    let digest = cache.digest(&[PathBuf::from(path)]);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let file = cache.named_file(&stem, &digest);
    // A cache file that cannot be read is as good as none.
    let kept = || unpack_video(&digest, &Weights::read(&file).ok()?);
    if let Some(video) = kept() {
        return Ok(video);
    }
    let video = compute()?;
    if video.is_whole {
        keep(&file, pack_video(&digest, &video))?;
    }
    Ok(video)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            times_ms: vec![0.0, 1001.0 / 30.0],
            complaint: Some("cut off".to_owned()),
            is_whole: true,
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
        let half = EmbeddedVideo {
            is_whole: false,
            ..video.clone()
        };
        for _ in 0..2 {
            let other = folder.path().join("c.mp4");
            std::fs::write(&other, b"a third").expect("temporary file");
            let mut calls = 0;
            let embedded = extract_video_file(&other, &cache, || {
                calls += 1;
                Ok::<_, ExtractionError>(half.clone())
            });
            assert_eq!(embedded.expect("computed"), half);
            assert_eq!(calls, 1, "what is not whole is computed anew");
        }
        let error = run(&folder.path().join("b.mp4")).expect_err("is not there");
        assert!(error.to_string().contains("b.mp4"), "{error}");
    }
}
