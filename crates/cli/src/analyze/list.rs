//! A list of files on standard input.

use std::{
    ffi::OsString,
    io::{BufRead, Read},
    iter,
    path::PathBuf,
};

use anyhow::{Context as _, Result, anyhow, bail};

/// More bytes than any list of files has.
const MAX_BYTES: u64 = 1 << 28;
/// Longest name in a list that is read as it comes.
const MAX_NAME: u64 = 1 << 16;
/// Most files: a name of one letter takes some fifty bytes in memory.
const MAX_FILES: usize = 1 << 22;

/// Names of files, a line each; or, where there is a zero byte, each up to the next one, so that names may hold line
/// breaks. Names need not be text.
pub(super) fn read(from: impl Read) -> Result<Vec<PathBuf>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .context("reading the list of files")?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("the list of files is longer than {} MiB", MAX_BYTES >> 20);
    }
    let separator = if bytes.contains(&0) { 0 } else { b'\n' };
    if bytes.iter().filter(|byte| **byte == separator).count() > MAX_FILES {
        bail!("the list of files has more than {MAX_FILES} names");
    }
    let paths: Vec<PathBuf> = if bytes.contains(&0) {
        let names = bytes.split(|byte| *byte == 0);
        names.filter(|name| !name.is_empty()).map(path).collect()
    } else {
        let lines = bytes.split(|byte| *byte == b'\n');
        lines.filter_map(name_in).map(path).collect()
    };
    if paths.is_empty() {
        bail!("the list of files is empty");
    }
    Ok(paths)
}

/// Names of files, a line each, given as the lines come; after an error there are no more.
pub(super) fn follow(mut from: impl BufRead) -> impl Iterator<Item = Result<PathBuf>> {
    let mut is_over = false;
    iter::from_fn(move || {
        while !is_over {
            let mut line = Vec::new();
            let read = from
                .by_ref()
                .take(MAX_NAME + 1)
                .read_until(b'\n', &mut line);
            let error = match read {
                Ok(0) => return None,
                Ok(_) if line.len() as u64 > MAX_NAME => {
                    anyhow!("a name in the list of files is longer than {MAX_NAME} bytes")
                }
                Ok(_) => match name_in(line.strip_suffix(b"\n").unwrap_or(&line)) {
                    Some(name) => return Some(Ok(path(name))),
                    None => continue,
                },
                Err(error) => anyhow!(error).context("reading the list of files"),
            };
            is_over = true;
            return Some(Err(error));
        }
        None
    })
}

/// The name on a line, unless the line is empty.
fn name_in(line: &[u8]) -> Option<&[u8]> {
    let name = line.strip_suffix(b"\r").unwrap_or(line);
    (!name.trim_ascii().is_empty()).then_some(name)
}

#[cfg(unix)]
fn path(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(name.to_owned()).into()
}

#[cfg(not(unix))]
fn path(name: &[u8]) -> PathBuf {
    OsString::from(String::from_utf8_lossy(name).into_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lines_or_end_with_a_zero_byte() {
        let names = |list: &[u8]| read(list).expect("names");
        assert_eq!(
            names(b"a.jpg\r\n\n  \n -b.png\nlast"),
            ["a.jpg", " -b.png", "last"].map(PathBuf::from)
        );
        assert_eq!(
            names(b"two\nlines.jpg\0b.jpg\0"),
            ["two\nlines.jpg", "b.jpg"].map(PathBuf::from)
        );
        let error = read(&b"\n\n"[..]).expect_err("no names").to_string();
        assert_eq!(error, "the list of files is empty");
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let endless = read(std::io::repeat(b'a'))
            .expect_err("too long")
            .to_string();
        assert_eq!(endless, "the list of files is longer than 256 MiB");
        let many = b"a\n".repeat(MAX_FILES + 1);
        let many = read(many.as_slice()).expect_err("too many").to_string();
        assert_eq!(many, "the list of files has more than 4194304 names");
    }

    #[test]
    fn a_list_is_followed_line_by_line() {
        let names: Vec<_> = follow(&b"a.mp4\r\n\n  \n -b.mp4\nlast"[..])
            .map(|name| name.expect("a name"))
            .collect();
        assert_eq!(names, ["a.mp4", " -b.mp4", "last"].map(PathBuf::from));
        let long = [b"a\n".as_slice(), &[b'x'; 1 << 17], b"\nb\n"].concat();
        let mut names = follow(long.as_slice());
        assert_eq!(
            names.next().expect("a name").expect("short"),
            PathBuf::from("a")
        );
        let error = names.next().expect("an error").expect_err("too long");
        assert_eq!(
            error.to_string(),
            "a name in the list of files is longer than 65536 bytes"
        );
        assert!(names.next().is_none());
    }

    #[test]
    #[cfg(unix)]
    fn names_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt as _;
        let names = read(&b"caf\xE9.jpg\nb.jpg\n"[..]).expect("names");
        assert_eq!(names[0].as_os_str().as_bytes(), b"caf\xE9.jpg");
        assert_eq!(names.len(), 2);
    }
}
