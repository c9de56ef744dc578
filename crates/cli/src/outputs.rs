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

/// Confirms that a file to write is not one that is read.
pub(crate) fn expect_other_file((option, out): (&str, &Path), input: &Path) -> Result<()> {
    if is_same_file(out, input) {
        let input = input.display();
        bail!("{option} is the input `{input}`, which would be lost");
    }
    Ok(())
}

/// Whether two names stand for one file that is there.
#[cfg(unix)]
fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let identity = |path: &Path| {
        let found = std::fs::metadata(path).ok().filter(|it| it.is_file());
        found.map(|found| (found.dev(), found.ino()))
    };
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// Whether two names stand for one file that is there.
#[cfg(not(unix))]
fn is_same_file(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(one).is_some_and(|one| Some(one) == whole(other))
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
    fn an_input_is_not_written_over() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let [input, other] = ["a", "b"].map(|name| folder.path().join(name));
        std::fs::write(&input, b"precious").expect("writable");
        expect_other_file(("--out", &other), &input).expect("two files");
        std::fs::hard_link(&input, &other).expect("same folder");
        for out in [&input, &other] {
            let error = expect_other_file(("--out", out), &input).expect_err("one file");
            assert!(
                error.to_string().starts_with("--out is the input `"),
                "{error}"
            );
        }
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
