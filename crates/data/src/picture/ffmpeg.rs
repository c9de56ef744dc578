//! Pictures that only `ffmpeg` reads, in a process of its own with a time limit.

use std::{
    ffi::OsString,
    io::{Cursor, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use image::{DynamicImage, ImageFormat, ImageReader};
use thiserror::Error;

use super::limits;

/// How long a picture may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Larger than the largest picture that is read.
const MAX_PICTURE_BYTES: u64 = 1 << 30;
/// Complaints beyond are of no use to anybody.
const MAX_COMPLAINT_BYTES: u64 = 1 << 16;

/// Why ffmpeg gave no picture.
#[derive(Debug, Error)]
pub(super) enum FfmpegError {
    /// It is not installed.
    #[error("cannot start `ffmpeg`: {0}")]
    Start(std::io::Error),
    /// It did not end.
    #[error("ffmpeg gave no picture within {} seconds", .0.as_secs())]
    Slow(Duration),
    /// It refused the file.
    #[error("{0}")]
    Refused(String),
}

/// The first picture of a file, as it is stored: not turned.
pub(super) fn decode(path: &Path) -> Result<DynamicImage, FfmpegError> {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-noautorotate", "-i"])
        .arg(file_protocol(path))
        .args(["-map", "0:v:0", "-frames:v", "1", "-f", "image2pipe"])
        .args(["-c:v", "bmp", "-pix_fmt", "bgr24", "-"]);
    let (picture, complaints) = output(&mut command, PATIENCE)?;
    let mut reader = ImageReader::with_format(Cursor::new(picture), ImageFormat::Bmp);
    reader.limits(limits());
    reader.decode().map_err(|error| {
        let complaints = String::from_utf8_lossy(&complaints);
        let said = complaints.lines().find(|line| !line.trim().is_empty());
        FfmpegError::Refused(said.map_or_else(|| error.to_string(), without_place))
    })
}

/// A complaint without the part of ffmpeg that it came from: `[mov @ 0x55d0] it is cut off`.
fn without_place(line: &str) -> String {
    let line = line.trim();
    let text = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    text.map_or(line, |(_, text)| text).to_owned()
}

/// The version that is installed, such as `5.1.9`; empty if there is none.
pub(super) fn version() -> String {
    let mut command = Command::new("ffmpeg");
    command.arg("-version");
    let Ok((text, _)) = output(&mut command, PATIENCE) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&text);
    let version = text.split_whitespace().nth(2).unwrap_or_default();
    let end = version.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    match end {
        Some(0) | None => version.to_owned(),
        Some(end) => version[..end].trim_end_matches('.').to_owned(),
    }
}

/// A file name that begins with a dash or has a colon is neither an option nor a protocol.
fn file_protocol(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// What a process writes on its two outputs. Both are read while it runs, so that it never waits for us, and it is ended
/// when the time is up.
fn output(command: &mut Command, patience: Duration) -> Result<(Vec<u8>, Vec<u8>), FfmpegError> {
    let deadline = Instant::now() + patience;
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(FfmpegError::Start)?;
    let written = process.stdout.take().map(|it| drain(it, MAX_PICTURE_BYTES));
    let complaints = process
        .stderr
        .take()
        .map(|it| drain(it, MAX_COMPLAINT_BYTES));
    let written = receive(written, deadline);
    let complaints = receive(complaints, deadline);
    end(&mut process);
    match (written, complaints) {
        (Some(written), Some(complaints)) => Ok((written, complaints)),
        _ => Err(FfmpegError::Slow(patience)),
    }
}

fn drain(mut pipe: impl Read + Send + 'static, most: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what there is.
        let _ = pipe.by_ref().take(most).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    });
    receiver
}

fn receive(pipe: Option<Receiver<Vec<u8>>>, deadline: Instant) -> Option<Vec<u8>> {
    let left = deadline.saturating_duration_since(Instant::now());
    pipe?.recv_timeout(left).ok()
}

/// A process whose outputs are closed has ended or is of no more use.
fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn process_that_does_not_end_is_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo some; exec sleep 600"]);
        let begin = Instant::now();
        let error = output(&mut command, Duration::from_millis(200)).expect_err("too slow");
        assert!(matches!(error, FfmpegError::Slow(_)), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(60));
    }

    #[test]
    #[cfg(unix)]
    fn both_outputs_are_read_beyond_what_a_pipe_holds() {
        let mut command = Command::new("sh");
        let loud = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero";
        command.args(["-c", loud]);
        let (written, complaints) = output(&mut command, PATIENCE).expect("ends");
        assert_eq!(written.len(), 300_000);
        assert_eq!(complaints.len() as u64, MAX_COMPLAINT_BYTES);
    }
}
