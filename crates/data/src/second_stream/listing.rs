//! Which videos there are, and under which names their second streams are kept.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{FrameSource, StreamExtractionError};
use crate::{ClipFile, ClipFolders, Dvd, Part, folder::file_name};

/// A video, and what its second stream is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamVideo {
    /// Where it is kept below the output folder, without `.npy`: folders and the video's name, with `/` between them.
    pub name: String,
    /// Its frames.
    pub frames: FrameSource,
}

/// The videos of DVD, `<part>/<id>`, where the part is called what its folder is: `Training/12`. A part that is not there is
/// left out. Frames come from picture files where there are some, else from the video file; videos of which there are only
/// labels are left out, too.
///
/// # Errors
///
/// [`StreamExtractionError`] if there is no part, or one cannot be read.
pub fn dvd_videos(root: &Path) -> Result<Vec<StreamVideo>, StreamExtractionError> {
    let dvd = Dvd::new(root);
    let mut videos = Vec::new();
    let mut is_any = false;
    for part in [Part::Training, Part::Validation] {
        let Some(folder) = part.folder(root)? else {
            continue;
        };
        is_any = true;
        for video in dvd.read(part)? {
            let frames = match (video.files.is_empty(), video.video) {
                (false, _) => FrameSource::Pictures(video.files),
                (true, Some(file)) => FrameSource::Video(file),
                (true, None) => continue,
            };
            let name = format!("{}/{}", file_name(&folder), video.id);
            videos.push(StreamVideo { name, frames });
        }
    }
    if !is_any {
        Part::Training.expect_folder(root)?;
    }
    Ok(videos)
}

/// The clips of folders that say what they show, by their path from `folder` on, without the file's extension:
/// `violent/1`, or `train/violent/1`.
///
/// # Errors
///
/// [`StreamExtractionError`] for folders that are none of clips, or two clips that differ in the extension only.
pub fn clips_of(folder: &Path) -> Result<Vec<StreamVideo>, StreamExtractionError> {
    let clips: Vec<ClipFile> = match ClipFolders::read(folder)? {
        ClipFolders::Parts(parts) => parts.into_iter().flatten().collect(),
        ClipFolders::Whole(clips) => clips,
    };
    let name = |clip: &ClipFile| {
        let path = clip.path.strip_prefix(folder).unwrap_or(&clip.path);
        let folders = path.parent().unwrap_or(Path::new(""));
        let parts = folders.iter().chain(path.file_stem());
        let parts: Vec<_> = parts.map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    };
    let clips = clips.into_iter().map(|clip| (name(&clip), clip.path));
    distinct(clips, FrameSource::Video)
}

/// Video files and folders of frames that a user named, by the name of the file or folder without an extension.
///
/// # Errors
///
/// [`StreamExtractionError::SameName`] for two of one name.
pub fn named_videos(paths: &[PathBuf]) -> Result<Vec<StreamVideo>, StreamExtractionError> {
    let name = |path: &PathBuf| {
        // `.` and `clips/..` have names, too.
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let name = match real.is_dir() {
            true => real.file_name(),
            false => path.file_stem(),
        };
        (
            name.unwrap_or_default().to_string_lossy().into_owned(),
            path.clone(),
        )
    };
    distinct(paths.iter().map(name), FrameSource::Named)
}

fn distinct(
    videos: impl Iterator<Item = (String, PathBuf)>,
    source: fn(PathBuf) -> FrameSource,
) -> Result<Vec<StreamVideo>, StreamExtractionError> {
    let mut known: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut listed = Vec::new();
    for (name, path) in videos {
        if let Some(other) = known.insert(name.clone(), path.clone()) {
            return Err(StreamExtractionError::SameName {
                name,
                paths: [other, path],
            });
        }
        listed.push(StreamVideo {
            name,
            frames: source(path),
        });
    }
    Ok(listed)
}
