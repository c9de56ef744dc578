//! Features of a video's picture files.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{FrameFeatures, skip::SkipError};
use crate::{DvdVideo, Embedder, EmbedderError, FeatureRows, Observer};
use affectlens::{
    device::OpenedDevice,
    weights::{Weights, sha256},
};

/// A backbone whose features are kept in a folder of their own.
#[derive(Debug)]
pub(super) struct CachingEmbedder {
    pub(super) embedder: Embedder,
    /// All that features depend on besides the pictures.
    pub(super) key: String,
}

impl CachingEmbedder {
    /// Puts a backbone on a device; features are kept below `cache`.
    pub(super) fn open(
        backbone: &str,
        weights: &Weights,
        device: OpenedDevice,
        cache: &Path,
    ) -> Result<Self, EmbedderError> {
        let key = format!("{} {}", weights.metadata.architecture, weights.digest());
        let folder = cache.join(format!("{backbone}-{}", &sha256(key.as_bytes())[..12]));
        Ok(Self {
            embedder: Embedder::load(backbone, weights, device, folder)?,
            key,
        })
    }
}

/// Embeds picture files.
#[derive(Clone, Copy)]
pub(super) struct PictureReader<'a> {
    pub(super) embedder: &'a Embedder,
    pub(super) observer: &'a dyn Observer,
    /// Whether features of mirror images are read too.
    pub(super) mirrored: bool,
}

impl PictureReader<'_> {
    /// Features of the first `frames` frames of a video: every picture once, a frame without one of its own takes the
    /// nearest. They are kept under the name `kept_as`; `black` are those of a black frame.
    pub(super) fn read(
        self,
        video: &DvdVideo,
        frames: usize,
        kept_as: &str,
        black: &[f32],
    ) -> Result<FrameFeatures, SkipError> {
        let paths: Vec<PathBuf> = video.files.iter().map(|(_, path)| path.clone()).collect();
        let (rows, places) = self.rows(kept_as, &paths, false)?;
        if frames == 0 {
            return Err(SkipError::NoFrames {
                name: video.id.clone(),
            });
        }
        let place_of: HashMap<&Path, Option<usize>> =
            paths.iter().map(PathBuf::as_path).zip(places).collect();
        let place = |frame| *place_of.get(video.file(frame)?)?;
        let places = (0..frames).map(place).collect();
        let features = FrameFeatures::with_places(rows, places, black.to_vec())?;
        match self.mirrored {
            true => Ok(features.with_mirrored(self.rows(kept_as, &paths, true)?.0)?),
            false => Ok(features),
        }
    }

    /// Rows of the pictures that can be read, and the row of each picture.
    fn rows(
        self,
        video: &str,
        paths: &[PathBuf],
        mirrored: bool,
    ) -> Result<(FeatureRows, Vec<Option<usize>>), SkipError> {
        let embedder = self.embedder;
        let embedded = embedder.embed_video_pictures(video, paths, mirrored)?;
        if !mirrored {
            for failure in &embedded.failures {
                let (path, reason) = (failure.path.display(), &failure.reason);
                self.observer
                    .complain(&format_args!("frame `{path}` cannot be read: {reason}"));
            }
        }
        let mut rows = FeatureRows::new(embedder.facts().width);
        let mut places = Vec::with_capacity(paths.len());
        for row in embedded.rows {
            places.push(row.is_some().then_some(rows.len()));
            if let Some(row) = row {
                rows.push(&row)?;
            }
        }
        Ok((rows, places))
    }
}
