//! Lists that put clips into folds.

use std::{collections::BTreeMap, path::Path};

use super::{ClipFile, FoldError};
use crate::delimited::{Malformed, Table};

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
    let refuse = |line: usize, reason: String| FoldError::Line {
        path: list.to_owned(),
        line,
        reason,
    };
    let text = std::fs::read_to_string(list).map_err(|error| FoldError::Io {
        path: list.to_owned(),
        error,
    })?;
    let table = Table::read(&text, |_| true);
    let table = table.map_err(|Malformed { line, reason }| refuse(line, reason))?;
    let column = |name: &str| {
        table.column(name).ok_or_else(|| {
            let expected = "expected columns `file` and `fold`";
            refuse(1, format!("{expected}, got no `{name}`"))
        })
    };
    let [file, fold] = [column("file")?, column("fold")?];
    let mut folds: Vec<Option<String>> = vec![None; clips.len()];
    for record in &table.records {
        let line = record.line;
        let [file, fold] = [file, fold].map(|column| record.field(column));
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
    use std::path::PathBuf;

    use super::*;

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
        let expected: BTreeMap<_, _> = expected.into_iter().collect();
        assert_eq!(folds, Ok(expected.clone()));
        let folds = read("\u{feff}File;Fold\r\n\r\nfight/b.mp4;2\r\nfight/a.mp4;1\r\n");
        assert_eq!(folds, Ok(expected));
        for (text, expected) in [
            (
                "name,fold\n",
                "line 1: expected columns `file` and `fold`, got no `file`",
            ),
            (
                "file,fold\nfight/a.mp4\n",
                "line 2: expected a fold for `fight/a.mp4`, got none",
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
