//! Folders of clips that are labelled as a whole, and lists that put them into folds.

mod folds;
mod names;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{
    Part,
    folder::{Classes, FolderError, file_name},
};

pub use folds::read_folds;
pub use names::{CLIP_SETS, ClipSet};

/// Extensions of files that are taken for videos.
const VIDEOS: [&str; 8] = ["avi", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "webm"];

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
    /// For training and for validation.
    Parts([Vec<ClipFile>; 2]),
    /// One set.
    Whole(Vec<ClipFile>),
}

/// Why clips or folds cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FoldError {
    /// A list cannot be read.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// The list.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Folders are not those of clips.
    #[error(transparent)]
    Folder(#[from] FolderError),
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
        line: usize,
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
    /// All clips of a class were skipped.
    #[error(
        "none of the {count} {class} clips for {part} can be read, expected clips of both classes"
    )]
    Unreadable {
        /// Number of clips.
        count: usize,
        /// The class.
        class: &'static str,
        /// Which part.
        part: String,
    },
}

impl ClipFolders {
    /// Reads the clips of both classes, `DIR/violent/*.mp4` and `DIR/non-violent/*.mp4`, or those of the training and the
    /// validation folder in `DIR`. Common data sets name them differently: [`CLIP_SETS`].
    ///
    /// # Errors
    ///
    /// [`FoldError`] for a folder of another name, a class that is missing, there twice or without clips, or a part
    /// without the other.
    pub fn read(folder: &Path) -> Result<Self, FoldError> {
        let parts = [Part::Training, Part::Validation];
        let [training, validation] = parts.map(|part| part.folder(folder));
        if training?.is_none() && validation?.is_none() {
            return read_classes(folder).map(Self::Whole);
        }
        let [training, validation] = parts.map(|part| part.expect_folder(folder));
        let [training, validation] = [training?, validation?].map(|part| read_classes(&part));
        Ok(Self::Parts([training?, validation?]))
    }

    /// Reads the clips that a model is scored on: those of the validation folder, or all where there are no parts.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_validation(folder: &Path) -> Result<Vec<ClipFile>, FoldError> {
        match Part::Validation.folder(folder)? {
            Some(validation) => read_classes(&validation),
            None => match Self::read(folder)? {
                Self::Parts([_, clips]) | Self::Whole(clips) => Ok(clips),
            },
        }
    }
}

fn read_classes(folder: &Path) -> Result<Vec<ClipFile>, FoldError> {
    let classes = Classes {
        class_of: &|name| {
            let reason = "is named neither violent nor non-violent (fight, noFight and the like)";
            names::is_violent(name).ok_or_else(|| reason.to_owned())
        },
        name: |violent| names::class_name(violent),
        is_example: is_video,
        examples: format!("clips, expected *.{}", VIDEOS.join(", *.")),
    };
    let read = classes.read(folder)?;
    if read.is_empty() {
        return Err(FoldError::Empty {
            path: folder.to_owned(),
            expected: "clips: violent/*.mp4 and non-violent/*.mp4",
        });
    }
    for violent in [true, false] {
        let found = read.iter().find(|found| found.class == violent);
        match found {
            Some(found) if found.files.is_empty() => return Err(classes.empty(&found.path).into()),
            Some(_) => {}
            None => return Err(names::missing(folder, violent).into()),
        }
    }
    let clips = read.into_iter().flat_map(|found| {
        let label = file_name(&found.path);
        found.files.into_iter().map(move |path| ClipFile {
            name: format!("{label}/{}", file_name(&path)),
            path,
            violent: found.class,
        })
    });
    Ok(clips.collect())
}

/// Confirms that clips of both classes could be read; `read` are the places of those that could.
///
/// # Errors
///
/// [`FoldError::Unreadable`] naming the class of which all clips were skipped.
pub fn expect_both_classes(
    clips: &[ClipFile],
    read: &[usize],
    part: &str,
) -> Result<(), FoldError> {
    for violent in [true, false] {
        let count = clips.iter().filter(|clip| clip.violent == violent).count();
        if count > 0 && !read.iter().any(|place| clips[*place].violent == violent) {
            return Err(FoldError::Unreadable {
                count,
                class: names::class_name(violent),
                part: part.to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether a file is taken for a video.
pub(crate) fn is_video(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|it| it.to_string_lossy().to_lowercase());
    extension.is_some_and(|it| VIDEOS.contains(&it.as_str()))
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
        assert_eq!(
            refusal(&folder),
            "folder `DIR/boxing` is named neither violent nor non-violent (fight, noFight and the like)"
        );
        touch(
            folder.path(),
            &[
                "Train/violent/1.mp4",
                "Train/normal/1.mp4",
                "val/Fight/2.mp4",
                "val/non_fight/2.mp4",
                "val/.cache/x",
            ],
        );
        let Ok(ClipFolders::Parts([training, validation])) = ClipFolders::read(folder.path())
        else {
            panic!("two parts")
        };
        assert_eq!((training.len(), validation[0].violent), (2, true));
        let scored = ClipFolders::read_validation(folder.path());
        assert_eq!(scored.expect("a part"), validation);
    }

    /// The message about a folder, which it calls DIR.
    fn refusal(folder: &tempfile::TempDir) -> String {
        let error = ClipFolders::read(folder.path()).expect_err("is refused");
        let place = folder.path().to_string_lossy();
        error.to_string().replace(&*place, "DIR")
    }

    #[test]
    fn a_class_or_part_that_is_missing_empty_or_there_twice_is_named() {
        for (files, expected) in [
            (
                &["Fight/1.mp4"][..],
                "`DIR` has no folder of non-violent clips, expected one named non-violent, NonFight, noFight, normal \
                 or the like",
            ),
            (
                &["nonviolence/1.mp4"],
                "`DIR` has no folder of violent clips, expected one named violent, violence, fight or the like",
            ),
            (
                &["fight/1.mp4", "noFight/1.txt"],
                "folder `DIR/noFight` has no clips, expected *.avi, *.m4v, *.mkv, *.mov, *.mp4, *.mpeg, *.mpg, *.webm",
            ),
            (
                &["fight/1.mp4", "violence/1.mp4", "normal/1.mp4"],
                "folders `DIR/fight` and `DIR/violence` both mean violent, expected one of them",
            ),
            (
                &["train/fight/1.mp4", "train/normal/1.mp4"],
                "`DIR` has no folder for validation, expected one named validation, val, valid, dev, test, testing",
            ),
            (
                &["val/fight/1.mp4", "val/normal/1.mp4"],
                "`DIR` has no folder for training, expected one named train, training",
            ),
            (
                &["RWF/Fight/1.mp4"],
                "folder `DIR/RWF` is named neither violent nor non-violent (fight, noFight and the like); there are \
                 folders of data in it",
            ),
        ] {
            let folder = tempfile::tempdir().expect("temporary folder");
            touch(folder.path(), files);
            assert_eq!(refusal(&folder), expected);
        }
    }

    #[test]
    fn a_class_of_which_no_clip_can_be_read_is_named() {
        let clip = |violent| ClipFile {
            path: PathBuf::new(),
            name: String::new(),
            violent,
        };
        let clips = [clip(true), clip(true), clip(false)];
        expect_both_classes(&clips, &[1, 2], "training").expect("both are there");
        let error = expect_both_classes(&clips, &[2], "training").expect_err("no violence");
        assert_eq!(
            error.to_string(),
            "none of the 2 violent clips for training can be read, expected clips of both classes"
        );
    }
}
