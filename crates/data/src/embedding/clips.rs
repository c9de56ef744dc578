//! Features of clips of a video, by the frames of each.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    EmbeddingCache, ExtractionError,
    cache::keep,
    file::{pack_clips, unpack_clips},
};
use crate::FeatureRows;
use affectlens::weights::Weights;

/// Features of clips of a video that were computed so far, and the file that keeps them for later runs.
#[derive(Clone, Debug)]
pub struct KeptClips {
    file: PathBuf,
    digest: String,
    /// A row a moment, by the frames of the clip.
    clips: BTreeMap<Vec<usize>, FeatureRows>,
    is_changed: bool,
}

impl KeptClips {
    /// What is kept of a video under `name`, whose `files` have the same content as then; a file of the cache that cannot be
    /// read is as good as none.
    pub fn open(name: &str, files: &[PathBuf], cache: &EmbeddingCache) -> Self {
        let digest = cache.digest(files);
        let file = cache.named_file(name, &digest);
        let kept = Weights::read(&file).ok();
        let clips = kept.and_then(|kept| unpack_clips(&digest, &kept));
        Self {
            clips: clips.unwrap_or_default(),
            file,
            digest,
            is_changed: false,
        }
    }

    /// The file, which is there once it is [kept](Self::keep).
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Features of a clip, if they were computed before.
    pub fn get(&self, frames: &[usize]) -> Option<&FeatureRows> {
        self.clips.get(frames)
    }

    /// Adds the features of a clip.
    pub fn insert(&mut self, frames: Vec<usize>, rows: FeatureRows) {
        self.clips.insert(frames, rows);
        self.is_changed = true;
    }

    /// Writes the file, if there is anything new.
    ///
    /// # Errors
    ///
    /// [`ExtractionError`] if it cannot be written.
    pub fn keep(&mut self) -> Result<(), ExtractionError> {
        if self.is_changed {
            keep(&self.file, pack_clips(&self.digest, &self.clips))?;
            self.is_changed = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_kept_by_their_frames() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let picture = folder.path().join("1.png");
        std::fs::write(&picture, b"a picture").expect("temporary file");
        let cache = EmbeddingCache {
            folder: folder.path().join("cache"),
            key: "net".to_owned(),
        };
        let open = || KeptClips::open("v", std::slice::from_ref(&picture), &cache);
        let rows = FeatureRows::from_rows([[0.5, 2.0], [3.0, 4.0]]).expect("two rows");
        let others = FeatureRows::from_rows([[7.0, 8.0], [9.0, 1.0]]).expect("two rows");
        let mut kept = open();
        kept.keep().expect("nothing to write");
        assert!(!kept.file().exists());
        kept.insert(vec![0, 2, 2], rows.clone());
        kept.insert(vec![1, 2, 2], others.clone());
        kept.keep().expect("writable");
        let again = open();
        assert_eq!(again.get(&[0, 2, 2]), Some(&rows));
        assert_eq!(again.get(&[1, 2, 2]), Some(&others));
        assert_eq!(again.get(&[0, 1, 2]), None);
        std::fs::write(&picture, b"another").expect("temporary file");
        assert_eq!(open().get(&[0, 2, 2]), None);
        std::fs::write(again.file(), b"cut off").expect("writable");
        std::fs::write(&picture, b"a picture").expect("temporary file");
        assert_eq!(open().get(&[0, 2, 2]), None);
    }
}
