//! The parts that a data set is handed out in.

use std::path::{Path, PathBuf};

use crate::folder::{FolderError, file_name, folders, plain};

/// What a model is trained on, or what it is scored on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// For training.
    Training,
    /// For validation: epochs and thresholds are chosen on it, and models are scored on it.
    Validation,
}

impl Part {
    /// Names of its folder, in any case; those of a later line count where there is none of an earlier one.
    pub const fn names(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Training => &[&["train", "training"]],
            Self::Validation => &[&["validation", "val", "valid", "dev"], &["test", "testing"]],
        }
    }

    /// The folder of the part in that of a data set, if there is one.
    ///
    /// # Errors
    ///
    /// [`FolderError`] if the data set's folder cannot be read or has two folders for the part.
    pub fn folder(self, data: &Path) -> Result<Option<PathBuf>, FolderError> {
        let folders = folders(data)?;
        for names in self.names() {
            let is_named = |path: &&PathBuf| names.contains(&&*plain(&file_name(path)));
            let mut found = folders.iter().filter(is_named);
            match (found.next(), found.next()) {
                (Some(folder), None) => return Ok(Some(folder.clone())),
                (Some(one), Some(other)) => {
                    return Err(FolderError::Same {
                        paths: [one.clone(), other.clone()],
                        meaning: self.purpose(),
                    });
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// The folder of the part in that of a data set.
    ///
    /// # Errors
    ///
    /// [`FolderError`] if there is none, or as [`folder`](Self::folder).
    pub fn expect_folder(self, data: &Path) -> Result<PathBuf, FolderError> {
        self.folder(data)?.ok_or_else(|| FolderError::Missing {
            path: data.to_owned(),
            purpose: match self {
                Self::Training => "for training",
                Self::Validation => "for validation",
            },
            names: self.names().concat().join(", "),
        })
    }

    /// What it is for, in a word.
    pub(crate) const fn purpose(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_usual_names_and_one_folder_each() {
        for (folders, training, validation) in [
            (
                &["train", "validation"][..],
                Some("train"),
                Some("validation"),
            ),
            (&["Train", "Val", "Test"], Some("Train"), Some("Val")),
            (&["training", "test"], Some("training"), Some("test")),
            (&["TRAIN_", "valid"], Some("TRAIN_"), Some("valid")),
            (&["happy"], None, None),
        ] {
            let data = tempfile::tempdir().expect("temporary folder");
            for folder in folders {
                std::fs::create_dir(data.path().join(folder)).expect("temporary folder");
            }
            for (part, expected) in [(Part::Training, training), (Part::Validation, validation)] {
                let found = part.folder(data.path()).expect("is a folder");
                assert_eq!(found, expected.map(|name| data.path().join(name)));
            }
        }
        let data = tempfile::tempdir().expect("temporary folder");
        for folder in ["val", "valid"] {
            std::fs::create_dir(data.path().join(folder)).expect("temporary folder");
        }
        let refusal = |part: Part| {
            let error = part.expect_folder(data.path()).expect_err("is refused");
            error
                .to_string()
                .replace(&*data.path().to_string_lossy(), "DIR")
        };
        assert_eq!(
            refusal(Part::Validation),
            "folders `DIR/val` and `DIR/valid` both mean validation, expected one of them"
        );
        assert_eq!(
            refusal(Part::Training),
            "`DIR` has no folder for training, expected one named train, training"
        );
    }
}
