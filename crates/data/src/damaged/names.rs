//! Names of folders and files.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::PathBuf};

use affectlens_fuzz::Target;

use crate::{ClipFolders, LabelledPictures};

/// A folder in which there are folders of the names that stand between zeros, each with one file.
struct Named(tempfile::TempDir);

impl Named {
    /// `None` if the system has no such names.
    fn new(bytes: &[u8], file: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("temporary folder");
        for name in bytes.split(|&byte| byte == 0).take(8) {
            let path: PathBuf = folder.path().join(OsStr::from_bytes(name));
            // No way out of the temporary folder.
            let is_name = !name.is_empty() && !name.contains(&b'/') && name != b"..";
            if !is_name || fs::create_dir(&path).is_err() {
                return None;
            }
            fs::write(path.join(file), b"").expect("temporary file");
        }
        Some(Self(folder))
    }
}

#[test]
fn fuzz_folders_of_pictures() {
    let words = [
        "\0",
        "disgust",
        "3_",
        "-surprised",
        "\u{301}",
        "Ekel",
        "Other",
        " ",
    ];
    let seed = "happiness\0sad\0neutral\0Training";
    Target::new("folders of pictures", &[seed])
        .words(&words)
        .run(|bytes| {
            let Some(named) = Named::new(bytes, "a.png") else {
                return Ok(());
            };
            LabelledPictures::read(named.0.path(), &[])?.expect_classes("training")
        });
}

#[test]
fn fuzz_folders_of_clips() {
    let words = ["\0", "Fight", "noFight", "non", "_", "val", "Violence", "1"];
    let seeds = ["violent\0non-violent", "train\0val"];
    Target::new("folders of clips", &seeds)
        .words(&words)
        .run(|bytes| match Named::new(bytes, "a.mp4") {
            Some(named) => ClipFolders::read(named.0.path()).map(drop),
            None => Ok(()),
        });
}
