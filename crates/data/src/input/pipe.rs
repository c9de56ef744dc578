//! What comes through a pipe, copied to a temporary file: decoders must go back and forth in it.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::{InputError, at};

/// How long nothing may come: whoever writes may still have to start, or to compute.
const PATIENCE: Duration = Duration::from_secs(600);
/// Most bytes that are taken.
const MAX_BYTES: u64 = 16 << 30;
const CHUNK_BYTES: usize = 1 << 20;

/// Copies what comes through a pipe into a file of the same name, and gives it with its temporary folder.
pub(super) fn copy(path: &Path, metadata: &Metadata) -> Result<(TempDir, PathBuf), InputError> {
    if !is_pipe(metadata) && !metadata.is_file() {
        return Err(InputError::Device {
            path: path.to_owned(),
        });
    }
    copy_within(path, PATIENCE, MAX_BYTES)
}

#[cfg(unix)]
fn is_pipe(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    metadata.file_type().is_fifo() || metadata.file_type().is_socket()
}

#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    true
}

fn copy_within(
    path: &Path,
    patience: Duration,
    most: u64,
) -> Result<(TempDir, PathBuf), InputError> {
    let folder = tempfile::Builder::new()
        .prefix("affectlens-")
        .tempdir()
        .map_err(|error| at(path, error))?;
    let file = folder
        .path()
        .join(path.file_name().unwrap_or("pipe".as_ref()));
    let mut written = File::create(&file).map_err(|error| at(&file, error))?;

    // Opening and reading wait without end for whoever writes, so a thread does both.
    let (sender, chunks) = sync_channel(4);
    let pipe = path.to_owned();
    thread::spawn(move || send(&pipe, &sender));
    let mut left = most;
    loop {
        match chunks.recv_timeout(patience) {
            Ok(Ok(chunk)) => {
                left = left
                    .checked_sub(chunk.len() as u64)
                    .ok_or_else(|| InputError::Endless {
                        path: path.to_owned(),
                        most,
                    })?;
                written
                    .write_all(&chunk)
                    .map_err(|error| at(&file, error))?;
            }
            Ok(Err(error)) => return Err(at(path, error)),
            Err(RecvTimeoutError::Disconnected) => return Ok((folder, file)),
            Err(RecvTimeoutError::Timeout) => {
                return Err(InputError::Silent {
                    path: path.to_owned(),
                    patience,
                });
            }
        }
    }
}

fn send(path: &Path, chunks: &SyncSender<io::Result<Vec<u8>>>) {
    let mut pipe = match open(path) {
        Ok(pipe) => pipe,
        Err(error) => {
            let _ = chunks.send(Err(error));
            return;
        }
    };
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = pipe.read(&mut chunk).map(|count| {
            chunk.truncate(count);
            chunk
        });
        match read {
            Ok(chunk) if chunk.is_empty() => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => {
                // Nobody waits for it any more, or it was the last.
                if read.is_err() | chunks.send(read).is_err() {
                    return;
                }
            }
        }
    }
}

/// Standard input by another name may be a socket, which cannot be opened a second time.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let of_stdin = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
    if of_stdin.iter().any(|name| path == Path::new(name)) {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(path)?))
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    fn make_pipe(folder: &Path) -> PathBuf {
        let pipe = folder.join("stream.mp4");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo starts").success());
        pipe
    }

    fn write(pipe: &Path, bytes: &[u8]) {
        let (pipe, bytes) = (pipe.to_owned(), bytes.to_owned());
        thread::spawn(move || {
            let mut writer = File::create(pipe).expect("a pipe");
            // The reader may have seen enough.
            let _ = writer.write_all(&bytes);
        });
    }

    #[test]
    fn what_is_written_arrives_and_goes_at_the_end() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let pipe = make_pipe(folder.path());
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|it| it.to_le_bytes()[0]).collect();
        write(&pipe, &bytes);
        let metadata = std::fs::metadata(&pipe).expect("there");
        let (copy_folder, file) = copy(&pipe, &metadata).expect("copied");
        assert_eq!(std::fs::read(&file).expect("there"), bytes);
        assert_eq!(file.file_name(), pipe.file_name());
        drop(copy_folder);
        assert!(!file.exists());
    }

    #[test]
    fn pipes_that_are_silent_or_endless_are_given_up() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let pipe = make_pipe(folder.path());
        let error = copy_within(&pipe, Duration::from_millis(50), 10).expect_err("nobody writes");
        assert!(matches!(error, InputError::Silent { .. }), "{error}");
        let folder = tempfile::tempdir().expect("temporary folder");
        let pipe = make_pipe(folder.path());
        write(&pipe, &[7; 100]);
        let error = copy_within(&pipe, Duration::from_secs(60), 10).expect_err("too much");
        assert!(matches!(error, InputError::Endless { .. }), "{error}");
    }

    #[test]
    fn devices_are_no_pipes() {
        let metadata = std::fs::metadata("/dev/null").expect("there");
        let error = copy(Path::new("/dev/null"), &metadata).expect_err("a device");
        assert!(
            error.to_string().contains("`/dev/null` is a device"),
            "{error}"
        );
    }
}
