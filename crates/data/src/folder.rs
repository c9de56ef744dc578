//! What is in a folder, and folders that are named after classes.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why folders are not a data set.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A folder cannot be listed.
    #[error("folder `{}`: {error}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A folder's name is no class.
    #[error("folder `{}` {reason}", path.display())]
    Unknown {
        /// The folder.
        path: PathBuf,
        /// What was expected.
        reason: String,
    },
    /// Two folders have names of one meaning.
    #[error("folders `{}` and `{}` both mean {meaning}, expected one of them", paths[0].display(), paths[1].display())]
    Same {
        /// The folders.
        paths: [PathBuf; 2],
        /// What both mean.
        meaning: &'static str,
    },
    /// A folder that belongs there is missing.
    #[error("`{}` has no folder {purpose}, expected one named {names}", path.display())]
    Missing {
        /// Where it belongs.
        path: PathBuf,
        /// What it is for.
        purpose: &'static str,
        /// Names that it may have.
        names: String,
    },
    /// The folder of a class has no files that count.
    #[error("folder `{}` has no {expected}", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
        /// What belongs there.
        expected: String,
    },
}

/// The files of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassFolder<C> {
    pub(crate) class: C,
    pub(crate) path: PathBuf,
    /// By name.
    pub(crate) files: Vec<PathBuf>,
}

/// How folders are read as classes.
pub(crate) struct Classes<'a, C> {
    /// The class that a name means, or why it means none.
    pub(crate) class_of: &'a dyn Fn(&str) -> Result<C, String>,
    /// What messages call a class.
    pub(crate) name: fn(C) -> &'static str,
    /// Whether a file is an example.
    pub(crate) is_example: fn(&Path) -> bool,
    /// What examples are, with their extensions: `pictures (*.jpg)`.
    pub(crate) examples: String,
}

impl<C: Copy + PartialEq> Classes<'_, C> {
    /// Every folder in `folder` with its class and examples, by name; hidden ones are passed over.
    pub(crate) fn read(&self, folder: &Path) -> Result<Vec<ClassFolder<C>>, FolderError> {
        let mut read: Vec<ClassFolder<C>> = Vec::new();
        for path in folders(folder)? {
            let name = file_name(&path);
            let class = (self.class_of)(&name).map_err(|reason| FolderError::Unknown {
                reason: match self.is_data_set(&path) {
                    true => format!("{reason}; there are folders of data in it"),
                    false => reason,
                },
                path: path.clone(),
            })?;
            if let Some(other) = read.iter().find(|other| other.class == class) {
                return Err(FolderError::Same {
                    paths: [other.path.clone(), path],
                    meaning: (self.name)(class),
                });
            }
            let mut files = list(&path)?;
            files.retain(|file| (self.is_example)(file) && !is_hidden(file));
            read.push(ClassFolder { class, path, files });
        }
        Ok(read)
    }

    /// The error of a class without examples.
    pub(crate) fn empty(&self, path: &Path) -> FolderError {
        FolderError::Empty {
            path: path.to_owned(),
            expected: self.examples.clone(),
        }
    }

    /// Whether one may have meant a folder, and not the one that it is in.
    fn is_data_set(&self, folder: &Path) -> bool {
        let inner = folders(folder).unwrap_or_default();
        let is_known = |path: &PathBuf| (self.class_of)(&file_name(path)).is_ok();
        inner.iter().any(is_known)
    }
}

/// A name without case, hyphens, spaces and other punctuation.
pub(crate) fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// The folders in a folder, by name; hidden ones and what archives of macOS leave are passed over.
pub(crate) fn folders(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut paths = list(folder)?;
    paths.retain(|path| path.is_dir() && !is_hidden(path));
    Ok(paths)
}

/// The last part of a path.
pub(crate) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn is_hidden(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with('.') || name == "__MACOSX"
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    entries(folder).map_err(|error| FolderError::Io {
        path: folder.to_owned(),
        error,
    })
}

/// Files and folders in a folder, by name.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
