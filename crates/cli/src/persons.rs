//! Labelled pictures of persons whom their names tell apart.

use std::path::Path;

use anyhow::Result;

use crate::progress::Terminal;
use affectlens::faces::FaceClassifier;
use affectlens_data::{LabelledPictures, score_faces};
use affectlens_train::TuningFace;

/// What the classifiers make of each picture and whose face it shows, and whether the names tell persons apart.
///
/// # Errors
///
/// Those of [`score_faces`], and for a label that is no class.
pub(crate) fn score_persons(
    classifier: &FaceClassifier,
    pictures: &LabelledPictures,
) -> Result<(Vec<TuningFace>, bool)> {
    let labels = pictures.class_indices(classifier.classes())?;
    let scored = score_faces(classifier, pictures, &Terminal::default())?;
    let faces: Vec<_> = scored
        .into_iter()
        .map(|(place, scores)| TuningFace {
            scores,
            label: labels[place],
            person: person(&pictures.paths[place]),
        })
        .collect();
    let several = faces.iter().any(|face| face.person != faces[0].person);
    Ok((faces, several))
}

/// Whose picture it is: the file's name without what follows the last letter.
fn person(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let person = name.trim_end_matches(|it: char| !it.is_alphabetic());
    if person.is_empty() {
        name.into_owned()
    } else {
        person.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_named_by_what_stands_before_the_number() {
        for (file, expected) in [
            ("Aaron_Eckhart_0001.jpg", "aaron_eckhart"),
            ("a/anna-2.png", "anna"),
            ("anna (3).png", "anna"),
            ("0042.jpg", "0042"),
        ] {
            assert_eq!(person(Path::new(file)), expected);
        }
    }
}
