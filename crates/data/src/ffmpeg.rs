//! What every call of ffmpeg needs: names of files that it takes for nothing else, and its complaints in plain words.

use std::{ffi::OsString, path::Path};

/// A file name that begins with a dash or has a colon is neither an option nor a protocol.
pub(crate) fn file_protocol(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// A complaint without the part of ffmpeg that it came from: `[mov @ 0x55d0] it is cut off`.
pub(crate) fn without_place(line: &str) -> &str {
    let line = line.trim();
    let text = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    text.map_or(line, |(_, text)| text)
}
