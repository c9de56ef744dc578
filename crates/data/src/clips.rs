//! Folders of clips that are labelled as a whole, and lists that put them into folds.

mod folds;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::folder::entries;

pub use folds::read_folds;

/// Extensions of files that are taken for videos.
const VIDEOS: [&str; 8] = ["avi", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "webm"];
/// Names of folders, in lower case.
const VIOLENT: [&str; 3] = ["violent", "violence", "fight"];
const CALM: [&str; 4] = ["non-violent", "nonviolent", "non-violence", "nofight"];

/// A clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipFile {
    /// The file.
    pub path: PathBuf,
    /// Folder and file, as lists of folds name it: `violent/1.mp4`.
    pub name: String,
    /// Whether it shows violence.
    pub violent: bool,
}

/// Clips by folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClipFolders {
    /// `train` and `validation`.
    Parts([Vec<ClipFile>; 2]),
    /// One set.
    Whole(Vec<ClipFile>),
}

/// Why clips or folds cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FoldError {
    /// A file or folder cannot be read.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A folder's name is no label.
    #[error("folder `{}` is named neither violent nor non-violent (fight, noFight)", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to read.
    #[error("`{}` has no {expected}", path.display())]
    Empty {
        /// File or folder.
        path: PathBuf,
        /// What belongs there.
        expected: &'static str,
    },
    /// A line of a list cannot be understood.
    #[error("`{}` line {line}: {reason}", path.display())]
    Line {
        /// The list.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// What was expected and what came.
        reason: String,
    },
    /// A clip is in no fold.
    #[error("clip `{name}` is not in `{}`, expected a line with its fold", path.display())]
    Missing {
        /// The list.
        path: PathBuf,
        /// Name of the clip.
        name: String,
    },
}

impl ClipFolders {
    /// Reads `DIR/violent/*.mp4` and `DIR/non-violent/*.mp4` (also `fight` and `noFight`), below `DIR/train` and
    /// `DIR/validation` where both are there.
    ///
    /// # Errors
    ///
    /// [`FoldError`] for a folder of another name, or one without clips.
    pub fn read(folder: &Path) -> Result<Self, FoldError> {
        let [training, validation] = ["train", "validation"].map(|part| folder.join(part));
        if training.is_dir() && validation.is_dir() {
            return Ok(Self::Parts([
                read_labels(&training)?,
                read_labels(&validation)?,
            ]));
        }
        read_labels(folder).map(Self::Whole)
    }
}

fn read_labels(folder: &Path) -> Result<Vec<ClipFile>, FoldError> {
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let mut clips = Vec::new();
    for labelled in list(folder)?.into_iter().filter(|path| path.is_dir()) {
        let label = name(&labelled);
        let lower = label.to_lowercase();
        let violent = match (VIOLENT.contains(&&*lower), CALM.contains(&&*lower)) {
            (true, _) => true,
            (_, true) => false,
            _ => return Err(FoldError::Folder { path: labelled }),
        };
        clips.extend(
            list(&labelled)?
                .into_iter()
                .filter(|path| is_video(path))
                .map(|path| ClipFile {
                    name: format!("{label}/{}", name(&path)),
                    path,
                    violent,
                }),
        );
    }
    if clips.is_empty() {
        return Err(FoldError::Empty {
            path: folder.to_owned(),
            expected: "clips: violent/*.mp4 and non-violent/*.mp4",
        });
    }
    Ok(clips)
}

fn is_video(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|it| it.to_string_lossy().to_lowercase());
    extension.is_some_and(|it| VIDEOS.contains(&it.as_str()))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, FoldError> {
    entries(folder).map_err(|error| FoldError::Io {
        path: folder.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, files: &[&str]) {
        for file in files {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
            std::fs::write(path, b"").expect("temporary file");
        }
    }

    #[test]
    fn clips_are_labelled_by_their_folder() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let error = ClipFolders::read(folder.path()).expect_err("empty");
        assert!(
            error
                .to_string()
                .ends_with("has no clips: violent/*.mp4 and non-violent/*.mp4")
        );
        touch(
            folder.path(),
            &[
                "fight/b.mp4",
                "fight/a.AVI",
                "noFight/c.mp4",
                "noFight/x.txt",
                "splits.csv",
            ],
        );
        let Ok(ClipFolders::Whole(clips)) = ClipFolders::read(folder.path()) else {
            panic!("one set")
        };
        let names: Vec<_> = clips
            .iter()
            .map(|clip| (clip.name.as_str(), clip.violent))
            .collect();
        assert_eq!(
            names,
            [
                ("fight/a.AVI", true),
                ("fight/b.mp4", true),
                ("noFight/c.mp4", false)
            ]
        );
        touch(folder.path(), &["boxing/d.mp4"]);
        let error = ClipFolders::read(folder.path()).expect_err("no label");
        assert!(
            error
                .to_string()
                .contains("boxing` is named neither violent nor"),
            "{error}"
        );
        touch(
            folder.path(),
            &["train/violent/1.mp4", "validation/non-violent/2.mp4"],
        );
        let Ok(ClipFolders::Parts([training, validation])) = ClipFolders::read(folder.path())
        else {
            panic!("two parts")
        };
        assert_eq!((training.len(), validation[0].violent), (1, false));
    }
}
