//! What commands print: results to standard output, complaints to standard error.
//!
//! A pipe whose reader has left, or a full disk, is no reason to panic or to give up hours of training: the first error is
//! kept, what comes after it is dropped, and [`outcome`] tells at the end. Names and metadata of files may hold codes that
//! command a terminal; they are shown, not sent.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Prints a line of results for people, as `println!` would.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::terminal::line(&format!($($text)*))
    };
}

/// Prints a line to standard error, as `eprintln!` would.
macro_rules! complain {
    ($($text:tt)*) => {
        $crate::terminal::complaint(&format!($($text)*))
    };
}

/// Why standard output takes no more.
static FAULT: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a text and ends the line.
pub(crate) fn line(text: &str) {
    let mut text = plain(text).into_owned();
    text.push('\n');
    print(text.as_bytes());
}

/// Prints a value as a line of JSON, for other programs.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    print(&text);
    Ok(())
}

/// Prints bytes as they are.
pub(crate) fn print(bytes: &[u8]) {
    let mut fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
    if fault.is_none() {
        *fault = io::stdout().lock().write_all(bytes).err();
    }
}

/// Prints a line to standard error; nobody can be told if that fails.
pub(crate) fn complaint(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", plain(text));
}

/// Whether all that was printed has arrived. Whoever reads a pipe may leave when they have seen enough.
///
/// # Errors
///
/// What the system said, if standard output took no more for another reason.
pub(crate) fn outcome() -> Result<()> {
    let fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner).take();
    match fault.map_or_else(|| io::stdout().lock().flush(), Err) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}

/// A text in which codes for a terminal are written out; ends of lines and tabs stay.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let is_code = |letter: char| {
        let is_harmless = matches!(letter, '\n' | '\t');
        // Besides control characters, those that turn the direction of writing.
        (letter.is_control() && !is_harmless)
            || matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_code) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match is_code(letter) {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

/// A file of results, or standard output in its place, takes no more: nothing can go on.
#[derive(Debug)]
pub(crate) struct OutputError {
    /// Where results go.
    pub(crate) place: String,
    /// What the system said.
    pub(crate) error: io::Error,
}

impl fmt::Display for OutputError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, error } = self;
        write!(out, "{place}: {error}")
    }
}

impl std::error::Error for OutputError {}

impl OutputError {
    /// The error of standard output.
    pub(crate) fn of_stdout(error: io::Error) -> Self {
        let place = "standard output".to_owned();
        Self { place, error }
    }

    /// The output error that an error is about, if it is.
    pub(crate) fn of(error: &anyhow::Error) -> Option<&Self> {
        error.downcast_ref()
    }

    /// Whether whoever read our output has seen enough.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.error.kind() == io::ErrorKind::BrokenPipe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_for_a_terminal_are_shown_and_not_sent() {
        assert_eq!(plain("MIT\tä\nline"), "MIT\tä\nline");
        assert_eq!(
            plain("\x1b]0;title\x07\x1b[2J\r\u{9b}31m"),
            "\\u{1b}]0;title\\u{7}\\u{1b}[2J\\r\\u{9b}31m"
        );
        assert_eq!(plain("a\u{202E}gpj.exe"), "a\\u{202e}gpj.exe");
    }
}
