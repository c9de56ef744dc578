//! Names that folders of clips have.

use std::path::Path;

use crate::folder::{FolderError, plain};

/// A data set of clips with the names of its folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipSet {
    /// What it is called.
    pub name: &'static str,
    /// Folders for training and validation, where it has parts.
    pub parts: Option<[&'static str; 2]>,
    /// Folder of clips that show violence.
    pub violent: &'static str,
    /// Folder of the others.
    pub calm: &'static str,
}

const fn set(
    name: &'static str,
    parts: Option<[&'static str; 2]>,
    violent: &'static str,
    calm: &'static str,
) -> ClipSet {
    ClipSet {
        name,
        parts,
        violent,
        calm,
    }
}

/// Common data sets and how they name folders, or files that belong in such folders (Hockey Fights). Case, hyphens,
/// underscores and spaces in names do not matter.
#[rustfmt::skip]
pub const CLIP_SETS: [ClipSet; 10] = [
    set("affectlens", Some(["train", "validation"]), "violent", "non-violent"),
    set("RWF-2000", Some(["train", "val"]), "Fight", "NonFight"),
    set("Real Life Violence Situations", None, "Violence", "NonViolence"),
    set("SCVD", Some(["Train", "Test"]), "Violence", "Normal"),
    set("Bus Violence", None, "Violence", "NoViolence"),
    set("Hockey Fights", None, "fi", "no"),
    set("Movie Fights", None, "fights", "noFights"),
    set("Surveillance Camera Fight", None, "fight", "noFight"),
    set("UBI-Fights", None, "fight", "normal"),
    set("UCF-Crime", Some(["Train", "Test"]), "Fighting", "Normal Videos"),
];

/// Words for violence, as [`plain`] has them.
const VIOLENT: [&str; 6] = ["violent", "violence", "fight", "fights", "fighting", "fi"];
/// What makes the opposite of them.
const NOT: [&str; 3] = ["non", "not", "no"];
/// Other words for its absence.
const CALM: [&str; 3] = ["normal", "calm", "no"];
/// What may follow any of them.
const CLIPS: [&str; 4] = ["videos", "video", "clips", "clip"];

/// Whether a folder of that name has clips with violence; `None` if the name does not say.
pub(super) fn is_violent(name: &str) -> Option<bool> {
    let name = plain(name);
    let word = CLIPS.iter().find_map(|end| name.strip_suffix(end));
    let word = word.unwrap_or(&name);
    let is_opposite = || {
        let rest = NOT.iter().filter_map(|not| word.strip_prefix(not));
        rest.into_iter().any(|rest| VIOLENT.contains(&rest))
    };
    if VIOLENT.contains(&word) {
        Some(true)
    } else {
        (CALM.contains(&word) || is_opposite()).then_some(false)
    }
}

/// What messages call a class.
pub(super) const fn class_name(violent: bool) -> &'static str {
    match violent {
        true => "violent",
        false => "non-violent",
    }
}

/// The error of a folder without clips of a class.
pub(super) fn missing(folder: &Path, violent: bool) -> FolderError {
    let (purpose, names) = match violent {
        true => ("of violent clips", "violent, violence, fight"),
        false => (
            "of non-violent clips",
            "non-violent, NonFight, noFight, normal",
        ),
    };
    FolderError::Missing {
        path: folder.to_owned(),
        purpose,
        names: format!("{names} or the like"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClipFolders, Part};

    #[test]
    fn every_set_of_the_table_is_read() {
        for ClipSet {
            name,
            parts,
            violent,
            calm,
        } in CLIP_SETS
        {
            let folder = tempfile::tempdir().expect("temporary folder");
            let places: Vec<_> = match parts {
                Some(parts) => parts.map(|part| folder.path().join(part)).into(),
                None => vec![folder.path().to_owned()],
            };
            for label in [violent, calm] {
                for place in &places {
                    std::fs::create_dir_all(place.join(label)).expect("temporary folder");
                    std::fs::write(place.join(label).join("1.avi"), b"").expect("writable");
                }
            }
            let read =
                ClipFolders::read(folder.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let read = match read {
                ClipFolders::Parts(read) => read.into(),
                ClipFolders::Whole(clips) => vec![clips],
            };
            assert_eq!(read.len(), places.len(), "{name}");
            for clips in read {
                let mut violence = clips.iter().filter(|clip| clip.violent);
                assert_eq!(clips.len(), 2, "{name}");
                assert!(
                    violence.all(|clip| clip.name == format!("{violent}/1.avi")),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn case_and_punctuation_do_not_matter() {
        for name in ["FIGHT", "Fight_", "violence videos", "fights"] {
            assert_eq!(is_violent(name), Some(true), "{name}");
        }
        for name in [
            "non-fight",
            "Non_Violence",
            "NOT VIOLENT",
            "no fights",
            "Normal_Videos",
        ] {
            assert_eq!(is_violent(name), Some(false), "{name}");
        }
        for name in ["boxing", "weaponized", "nothing", ""] {
            assert_eq!(is_violent(name), None, "{name}");
        }
        // No class is taken for a part.
        let parts = [Part::Training, Part::Validation].map(Part::names);
        for name in parts.concat().concat() {
            assert_eq!(is_violent(name), None, "{name}");
        }
    }
}
