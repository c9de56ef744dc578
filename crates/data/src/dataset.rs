//! Pictures in folders named after their label.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{
    folder::{Classes, FolderError, plain},
    picture::{KINDS, is_picture},
};
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
    /// Folders are not those of labelled pictures.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no picture.
    #[error("folder `{}` has no pictures, expected LABEL/*.jpg", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// No or one class cannot be told from others.
    #[error("{part} pictures are {got}, expected two expressions or more")]
    OneClass {
        /// `training`, `validation` or none.
        part: &'static str,
        /// What there is.
        got: String,
    },
    /// A class of the training pictures is not among the others.
    #[error(
        "there are no validation pictures of {label}, expected some of every expression that is trained on (--without {label} leaves it out)"
    )]
    Lacking {
        /// The class.
        label: &'static str,
    },
    /// All pictures of a class were skipped.
    #[error("none of the {count} {part} pictures of {label} can be read")]
    Unreadable {
        /// Number of pictures.
        count: usize,
        /// `training`, `validation` or none.
        part: &'static str,
        /// The class.
        label: &'static str,
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
    /// Lists `folder/LABEL/*.jpg`; hidden files and other kinds of files are passed over. Case and punctuation in names
    /// of folders do not matter, nor do numbers before them, as in `3_Happy`. Folders of labels that will be left out may
    /// be empty.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] for a folder that cannot be read, is not named after an expression, holds nothing or means what
    /// another one does.
    pub fn read(folder: &Path, without: &[Expression]) -> Result<Self, DatasetError> {
        let classes = Classes {
            class_of: &label_of,
            name: Expression::name,
            is_example: is_picture,
            examples: format!("pictures, expected {KINDS}"),
        };
        let read = classes.read(folder)?;
        let mut pictures = Self::default();
        for found in read {
            if found.files.is_empty() && !without.contains(&found.class) {
                return Err(classes.empty(&found.path).into());
            }
            pictures.labels.extend(vec![found.class; found.files.len()]);
            pictures.paths.extend(found.files);
        }
        match pictures.is_empty() {
            true => Err(DatasetError::Empty {
                path: folder.to_owned(),
            }),
            false => Ok(pictures),
        }
    }

    /// Lists several folders, one after another.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_all(folders: &[PathBuf], without: &[Expression]) -> Result<Self, DatasetError> {
        let mut pictures = Self::default();
        for folder in folders {
            let more = Self::read(folder, without)?;
            pictures.paths.extend(more.paths);
            pictures.labels.extend(more.labels);
        }
        Ok(pictures)
    }

    /// Confirms that there are two classes or more: with one, a classifier that knows no other is always right.
    ///
    /// # Errors
    ///
    /// [`DatasetError::OneClass`] with the part, `training` or `validation`.
    pub fn expect_classes(&self, part: &'static str) -> Result<(), DatasetError> {
        let got = match self.classes().as_slice() {
            [] => "none".to_owned(),
            [class] => format!("of {} alone", class.name()),
            _ => return Ok(()),
        };
        Err(DatasetError::OneClass { part, got })
    }

    /// Confirms that every class of the training pictures is among these validation pictures.
    ///
    /// # Errors
    ///
    /// [`DatasetError::Lacking`] with the first class that is not.
    pub fn expect_classes_of(&self, training: &Self) -> Result<(), DatasetError> {
        let classes = self.classes();
        let mut trained = training.classes().into_iter();
        match trained.find(|class| !classes.contains(class)) {
            None => Ok(()),
            Some(class) => Err(DatasetError::Lacking {
                label: class.name(),
            }),
        }
    }

    /// Confirms that pictures of every class could be read; `was_read` says it of a class.
    ///
    /// # Errors
    ///
    /// [`DatasetError::Unreadable`] with the first class of which all pictures were skipped.
    pub fn expect_read(
        &self,
        part: &'static str,
        was_read: impl Fn(Expression) -> bool,
    ) -> Result<(), DatasetError> {
        match self.classes().into_iter().find(|class| !was_read(*class)) {
            None => Ok(()),
            Some(class) => Err(DatasetError::Unreadable {
                count: self.labels.iter().filter(|label| **label == class).count(),
                part,
                label: class.name(),
            }),
        }
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

/// The expression that a folder is named after, or why it is none.
fn label_of(name: &str) -> Result<Expression, String> {
    let plain = plain(name);
    let word = plain.trim_start_matches(|letter: char| letter.is_ascii_digit());
    if word.is_empty() && !plain.is_empty() {
        return Err(
            "has a number for a name, which data sets read differently; expected the name of an expression".to_owned(),
        );
    }
    Expression::from_name(word).ok_or_else(|| {
        let names = Expression::ALL.map(Expression::name).join(", ");
        format!("is not named after an expression, expected one of {names}")
    })
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
        let pictures = LabelledPictures::read(folder.path(), &[]).expect("valid folders");
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
        let error =
            LabelledPictures::read(folder.path(), &[]).expect_err("joy is not an expression");
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
            LabelledPictures::read(folder.path(), &[]),
            Err(DatasetError::Empty { .. })
        ));
        assert!(matches!(
            LabelledPictures::read(&folder.path().join("x"), &[]),
            Err(DatasetError::Folder(FolderError::Io { .. }))
        ));
    }

    #[test]
    fn names_are_read_however_they_are_written() {
        for (name, expected) in [
            ("Angry", Expression::Anger),
            ("DISGUST", Expression::Disgust),
            ("3_Happy", Expression::Happiness),
            ("sad ", Expression::Sadness),
            ("Surprised", Expression::Surprise),
            ("6-neutral", Expression::Neutral),
        ] {
            assert_eq!(label_of(name), Ok(expected), "{name}");
        }
        let number = label_of("3").expect_err("of which data set?");
        assert!(number.starts_with("has a number for a name"), "{number}");
        assert!(label_of("").is_err());
    }

    #[test]
    fn folders_of_one_meaning_and_empty_ones_are_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let refusal = || {
            let error = LabelledPictures::read(folder.path(), &[]).expect_err("is refused");
            let place = folder.path().to_string_lossy();
            error.to_string().replace(&*place, "DIR")
        };
        touch(folder.path(), "Happy/a.jpg");
        touch(folder.path(), "happiness/a.jpg");
        assert_eq!(
            refusal(),
            "folders `DIR/Happy` and `DIR/happiness` both mean happiness, expected one of them"
        );
        std::fs::remove_file(folder.path().join("happiness/a.jpg")).expect("is there");
        std::fs::rename(folder.path().join("happiness"), folder.path().join("sad"))
            .expect("is there");
        assert_eq!(
            refusal(),
            format!("folder `DIR/sad` has no pictures, expected {KINDS}")
        );
        let folders = [folder.path().to_owned()];
        let pictures = LabelledPictures::read_all(&folders, &[Expression::Sadness]);
        assert_eq!(pictures.expect("is left out").len(), 1);
    }

    #[test]
    fn one_class_alone_and_lost_ones_are_refused() {
        let of = |labels: &[Expression]| LabelledPictures {
            paths: vec![PathBuf::new(); labels.len()],
            labels: labels.to_vec(),
        };
        let (neutral, fear) = (Expression::Neutral, Expression::Fear);
        let two = of(&[neutral, fear, fear]);
        two.expect_classes("training").expect("two");
        let refusal =
            |result: Result<(), DatasetError>| result.expect_err("is refused").to_string();
        assert_eq!(
            refusal(of(&[neutral]).expect_classes("training")),
            "training pictures are of neutral alone, expected two expressions or more"
        );
        assert_eq!(
            refusal(of(&[]).expect_classes("validation")),
            "validation pictures are none, expected two expressions or more"
        );
        two.expect_classes_of(&two).expect("the same");
        assert!(
            refusal(of(&[fear]).expect_classes_of(&two))
                .contains("no validation pictures of neutral")
        );
        two.expect_read("training", |_| true).expect("all");
        assert_eq!(
            refusal(two.expect_read("training", |class| class == neutral)),
            "none of the 2 training pictures of fear can be read"
        );
    }
}
