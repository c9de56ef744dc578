//! Files that a command will write, confirmed before it reads or computes anything.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use affectlens::weights::expect_writable;

/// Confirms that files can be written, each by another option; nothing is written yet.
pub(crate) fn expect_outputs<'a>(
    files: impl IntoIterator<Item = (&'static str, Option<&'a PathBuf>)>,
) -> Result<()> {
    let mut known: Vec<(&str, &Path)> = Vec::new();
    for (option, path) in files {
        let Some(path) = path else { continue };
        expect_writable(path).context(option)?;
        if let Some((other, _)) = known.iter().find(|(_, other)| other == path) {
            let path = path.display();
            bail!("{other} and {option} are both `{path}`, expected two files");
        }
        known.push((option, path));
    }
    Ok(())
}

/// Confirms that a folder is there and can be written to, or can be made.
pub(crate) fn expect_output_folder(option: &'static str, folder: &Path) -> Result<()> {
    let there = folder
        .ancestors()
        .map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        })
        .find(|folder| folder.exists());
    match there {
        // Any name does: nothing of that name is written.
        Some(there) => expect_writable(&there.join("checkpoint")).context(option),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_for_two_options_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let [one, other] = ["a", "b"].map(|name| folder.path().join(name));
        let files = [
            ("--out", Some(&one)),
            ("--curves", Some(&other)),
            ("--x", None),
        ];
        expect_outputs(files).expect("two files");
        let error = expect_outputs([("--out", Some(&one)), ("--curves", Some(&one))]);
        assert_eq!(
            error.expect_err("one file").to_string(),
            format!(
                "--out and --curves are both `{}`, expected two files",
                one.display()
            )
        );
    }

    #[test]
    fn folders_that_can_be_made_are_not_made_yet() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let deep = folder.path().join("a/b");
        expect_output_folder("--resume", &deep).expect("can be made");
        assert!(!folder.path().join("a").exists());
        std::fs::write(folder.path().join("a"), b"a file").expect("writable");
        let error = expect_output_folder("--resume", &deep).expect_err("below a file");
        let place = folder.path().join("a");
        assert_eq!(
            format!("{error:#}"),
            format!("--resume: `{}`: not a directory", place.display())
        );
    }
}
