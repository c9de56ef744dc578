//! Pictures that only `ffmpeg` reads, in a process of its own with a time limit.

use std::{
    io::{self, Cursor},
    path::Path,
    process::Command,
    time::Duration,
};

use image::{DynamicImage, ImageFormat, ImageReader};
use thiserror::Error;

use super::limits;
use crate::{
    ffmpeg::{add_input, without_place},
    process::{Finished, run},
};

/// How long a picture may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Larger than the largest picture that is read.
const MAX_PICTURE_BYTES: u64 = 1 << 30;
/// Longer than what ffmpeg says of its version.
const MAX_VERSION_BYTES: u64 = 1 << 16;

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
    command.args(["-nostdin", "-v", "error", "-noautorotate"]);
    add_input(&mut command, path);
    command
        .args(["-map", "0:v:0", "-frames:v", "1", "-f", "image2pipe"])
        .args(["-c:v", "bmp", "-pix_fmt", "bgr24", "-"]);
    let Finished { stdout, stderr, .. } =
        run(command, PATIENCE, MAX_PICTURE_BYTES).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => FfmpegError::Slow(PATIENCE),
            _ => FfmpegError::Start(error),
        })?;
    let mut reader = ImageReader::with_format(Cursor::new(stdout), ImageFormat::Bmp);
    reader.limits(limits());
    reader.decode().map_err(|error| {
        let said = stderr.lines().find(|line| !line.trim().is_empty());
        FfmpegError::Refused(
            said.map_or_else(|| error.to_string(), |line| without_place(line).to_owned()),
        )
    })
}

/// The version that is installed, such as `5.1.9`; empty if there is none.
pub(super) fn version() -> String {
    let mut command = Command::new("ffmpeg");
    command.arg("-version");
    let Ok(finished) = run(command, PATIENCE, MAX_VERSION_BYTES) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&finished.stdout);
    let version = text.split_whitespace().nth(2).unwrap_or_default();
    let end = version.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    match end {
        Some(0) | None => version.to_owned(),
        Some(end) => version[..end].trim_end_matches('.').to_owned(),
    }
}
