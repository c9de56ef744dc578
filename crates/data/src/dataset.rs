//! Pictures in folders named after their label.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::folder::entries;
use crate::picture::is_picture;
use affectlens::label::Expression;

/// Picture files and what they show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledPictures {
    /// Files, in the order of their labels' names and their own.
    pub paths: Vec<PathBuf>,
    /// One label a file.
    pub labels: Vec<Expression>,
}

/// Why a folder is not a set of labelled pictures.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A folder cannot be listed.
    #[error("folder `{}`: {error}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A sub-folder's name is not an expression.
    #[error("folder `{}` is not named after an expression, expected one of {}", path.display(), names())]
    UnknownLabel {
        /// The folder.
        path: PathBuf,
    },
    /// There is no picture.
    #[error("folder `{}` has no pictures, expected LABEL/*.jpg", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A label is not one of the model's classes.
    #[error("folder `{}` is labelled {label}, which the model does not know (its classes: {classes})", path.display())]
    ForeignLabel {
        /// Folder of the first picture with that label.
        path: PathBuf,
        /// The label.
        label: &'static str,
        /// Names of the model's classes.
        classes: String,
    },
}

impl LabelledPictures {
    /// Lists `folder/LABEL/*.jpg`; hidden files and other kinds of files are passed over.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] for a folder that cannot be read, is not named after an expression, or holds nothing.
    pub fn read(folder: &Path) -> Result<Self, DatasetError> {
        let mut pictures = Self::default();
        for label_folder in list(folder)?.into_iter().filter(|path| path.is_dir()) {
            let name = label_folder.file_name().and_then(|name| name.to_str());
            let Some(label) = name.and_then(Expression::from_name) else {
                return Err(DatasetError::UnknownLabel { path: label_folder });
            };
            for path in list(&label_folder)?
                .into_iter()
                .filter(|path| is_picture(path))
            {
                pictures.paths.push(path);
                pictures.labels.push(label);
            }
        }
        if pictures.paths.is_empty() {
            return Err(DatasetError::Empty {
                path: folder.to_owned(),
            });
        }
        Ok(pictures)
    }

    /// Lists several folders, one after another.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_all(folders: &[PathBuf]) -> Result<Self, DatasetError> {
        let mut pictures = Self::default();
        for folder in folders {
            let more = Self::read(folder)?;
            pictures.paths.extend(more.paths);
            pictures.labels.extend(more.labels);
        }
        Ok(pictures)
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are no pictures.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Leaves out the pictures of some labels; returns how many were left out.
    pub fn remove_labels(&mut self, labels: &[Expression]) -> usize {
        let before = self.len();
        let kept = self
            .paths
            .drain(..)
            .zip(self.labels.drain(..))
            .filter(|(_, label)| !labels.contains(label));
        (self.paths, self.labels) = kept.collect::<Vec<_>>().into_iter().unzip();
        before - self.len()
    }

    /// The expressions that occur, in the order of [`Expression::ALL`].
    pub fn classes(&self) -> Vec<Expression> {
        Expression::ALL
            .into_iter()
            .filter(|class| self.labels.contains(class))
            .collect()
    }

    /// The labels as indices into a model's class list.
    ///
    /// # Errors
    ///
    /// [`DatasetError::ForeignLabel`] for a label that the model does not have.
    pub fn class_indices(&self, classes: &[Expression]) -> Result<Vec<usize>, DatasetError> {
        let index = |(label, path): (&Expression, &PathBuf)| {
            classes
                .iter()
                .position(|class| class == label)
                .ok_or_else(|| DatasetError::ForeignLabel {
                    path: path.parent().unwrap_or(path).to_owned(),
                    label: label.name(),
                    classes: classes
                        .iter()
                        .map(|class| class.name())
                        .collect::<Vec<_>>()
                        .join(", "),
                })
        };
        self.labels.iter().zip(&self.paths).map(index).collect()
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut paths = entries(folder).map_err(|error| DatasetError::Io {
        path: folder.to_owned(),
        error,
    })?;
    paths.retain(|path| {
        path.file_name()
            .is_some_and(|name| !name.to_string_lossy().starts_with('.'))
    });
    Ok(paths)
}

fn names() -> String {
    Expression::ALL.map(Expression::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, file: &str) {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().expect("file in a folder"))
            .expect("temporary folder");
        std::fs::write(path, b"").expect("temporary file");
    }

    #[test]
    fn folders_become_labels_in_a_stable_order() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for file in [
            "happy/b.JPG",
            "happy/a.png",
            "anger/c.jpeg",
            "anger/notes.txt",
            "anger/.hidden.jpg",
            "readme",
        ] {
            touch(folder.path(), file);
        }
        let pictures = LabelledPictures::read(folder.path()).expect("valid folders");
        let names: Vec<_> = pictures
            .paths
            .iter()
            .map(|path| path.strip_prefix(folder.path()).expect("inside"))
            .collect();
        assert_eq!(
            names,
            ["anger/c.jpeg", "happy/a.png", "happy/b.JPG"].map(Path::new)
        );
        assert_eq!(
            pictures.labels,
            [
                Expression::Anger,
                Expression::Happiness,
                Expression::Happiness
            ]
        );
        assert_eq!(
            pictures.classes(),
            [Expression::Anger, Expression::Happiness]
        );
    }

    #[test]
    fn unknown_label_folder_is_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        touch(folder.path(), "joy/a.jpg");
        let error = LabelledPictures::read(folder.path()).expect_err("joy is not an expression");
        assert!(
            error
                .to_string()
                .contains("joy` is not named after an expression"),
            "{error}"
        );
    }

    #[test]
    fn label_that_the_model_lacks_is_named() {
        let mut pictures = LabelledPictures {
            paths: vec!["x/anger/a.jpg".into(), "x/contempt/b.jpg".into()],
            labels: vec![Expression::Anger, Expression::Contempt],
        };
        let error = pictures
            .class_indices(&[Expression::Anger, Expression::Fear])
            .expect_err("no contempt");
        assert_eq!(
            error.to_string(),
            "folder `x/contempt` is labelled contempt, which the model does not know (its classes: anger, fear)"
        );
        assert_eq!(pictures.remove_labels(&[Expression::Contempt]), 1);
        assert_eq!(
            pictures
                .class_indices(&[Expression::Fear, Expression::Anger])
                .expect("anger is left"),
            [1]
        );
    }

    #[test]
    fn empty_and_missing_folders_are_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert!(matches!(
            LabelledPictures::read(folder.path()),
            Err(DatasetError::Empty { .. })
        ));
        assert!(matches!(
            LabelledPictures::read(&folder.path().join("x")),
            Err(DatasetError::Io { .. })
        ));
    }
}
