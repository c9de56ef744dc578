//! Folders of clips that are labelled as a whole, and lists that put them into folds.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::folder::entries;

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
    #[error("`{}`: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
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
    entries(folder).map_err(|source| FoldError::Io {
        path: folder.to_owned(),
        source,
    })
}

/// The clips of each fold, by the fold's name, as indices.
///
/// The list has the columns `file`, as in [`ClipFile::name`], and `fold`; lines about other files are ignored.
///
/// # Errors
///
/// [`FoldError`] for a list without these columns, a malformed line, a clip that has no fold or two, or a single fold.
pub fn read_folds(
    list: &Path,
    clips: &[ClipFile],
) -> Result<BTreeMap<String, Vec<usize>>, FoldError> {
    let refuse = |line: u64, reason: String| FoldError::Line {
        path: list.to_owned(),
        line,
        reason,
    };
    let text = std::fs::read_to_string(list).map_err(|source| FoldError::Io {
        path: list.to_owned(),
        source,
    })?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().cloned();
    let header = header.map_err(|error| refuse(1, error.to_string()))?;
    let column = |name: &str| {
        let found = header.iter().position(|it| it.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            refuse(
                1,
                format!("expected columns `file` and `fold`, got no `{name}`"),
            )
        })
    };
    let [file, fold] = [column("file")?, column("fold")?];
    let mut folds: Vec<Option<String>> = vec![None; clips.len()];
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            refuse(line, error.to_string())
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let [file, fold] = [file, fold].map(|column| record.get(column).unwrap_or_default());
        if fold.is_empty() {
            return Err(refuse(
                line,
                format!("expected a fold for `{file}`, got none"),
            ));
        }
        let Some(clip) = clips.iter().position(|clip| clip.name == file) else {
            continue;
        };
        if folds[clip].replace(fold.to_owned()).is_some() {
            return Err(refuse(
                line,
                format!("`{file}` is there a second time, expected once"),
            ));
        }
    }
    let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (clip, fold) in folds.into_iter().enumerate() {
        let fold = fold.ok_or_else(|| FoldError::Missing {
            path: list.to_owned(),
            name: clips[clip].name.clone(),
        })?;
        members.entry(fold).or_default().push(clip);
    }
    if members.len() < 2 {
        return Err(FoldError::Empty {
            path: list.to_owned(),
            expected: "second fold",
        });
    }
    Ok(members)
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

    #[test]
    fn folds_are_read_and_malformed_lists_named_with_the_line() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let clip = |name: &str| ClipFile {
            path: PathBuf::new(),
            name: name.to_owned(),
            violent: true,
        };
        let clips = [clip("fight/a.mp4"), clip("fight/b.mp4")];
        let list = folder.path().join("splits.csv");
        let read = |text: &str| {
            std::fs::write(&list, text).expect("temporary file");
            read_folds(&list, &clips).map_err(|error| error.to_string())
        };
        let folds = read("file,source,fold\nfight/b.mp4,x,2\nother.mp4,x,2\nfight/a.mp4,x,1\n");
        let expected = [("1".to_owned(), vec![0]), ("2".to_owned(), vec![1])];
        assert_eq!(folds, Ok(expected.into_iter().collect()));
        for (text, expected) in [
            (
                "name,fold\n",
                "line 1: expected columns `file` and `fold`, got no `file`",
            ),
            (
                "file,fold\nfight/a.mp4\n",
                "line 2: CSV error: record 1 (line: 2, byte: 10): found record with 1 fields, but the previous record has 2 fields",
            ),
            (
                "file,fold\nfight/a.mp4,\n",
                "line 2: expected a fold for `fight/a.mp4`, got none",
            ),
            (
                "file,fold\nfight/a.mp4,1\nfight/a.mp4,2\n",
                "line 3: `fight/a.mp4` is there a second time, expected once",
            ),
            ("file,fold\nfight/a.mp4,1\n", "clip `fight/b.mp4` is not in"),
            (
                "file,fold\nfight/a.mp4,1\nfight/b.mp4,1\n",
                "has no second fold",
            ),
        ] {
            let error = read(text).expect_err("malformed");
            assert!(error.contains(expected), "{error}");
        }
    }
}
