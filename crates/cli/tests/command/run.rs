//! Runs the command in a folder.

use std::{
    path::Path,
    process::{Command, Output},
};

/// The command, not started yet.
pub(crate) fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affectlens"));
    command
        .args(arguments.split_whitespace())
        .current_dir(folder);
    command
}

/// With a cache of the folder's own.
pub(crate) fn affectlens(folder: &Path, arguments: &str) -> Output {
    command(folder, arguments)
        .env("AFFECTLENS_CACHE", folder.join("cache"))
        .output()
        .expect("the command line starts")
}

/// With the weights that are installed.
pub(crate) fn installed(folder: &Path, arguments: &str) -> Output {
    command(folder, arguments)
        .output()
        .expect("the command line starts")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command prints and notes that has to succeed.
#[track_caller]
pub(crate) fn succeed(folder: &Path, arguments: &str) -> (String, String) {
    let output = affectlens(folder, arguments);
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments}: {error}");
    (out, error)
}

/// What a command says for which the input is at fault.
#[track_caller]
pub(crate) fn fail(folder: &Path, arguments: &str) -> String {
    let output = affectlens(folder, arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {message}");
    message
}
