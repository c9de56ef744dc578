//! Videos, decoded by `ffmpeg` in a process of its own.

mod ppm;
mod probe;

use std::{
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    thread::{self, JoinHandle},
};

use thiserror::Error;

use affectlens::frame::{Frame, FrameError};
use ppm::read_ppm;
use probe::probe;

/// Frames of a video, decoded at a constant rate.
#[derive(Debug)]
pub struct Video {
    process: Child,
    frames: BufReader<ChildStdout>,
    complaints: Option<JoinHandle<String>>,
    /// Frames per second.
    pub rate: f64,
    /// How many frames there should be, if the container says so.
    pub expected_frames: Option<u64>,
}

/// Why a video, or a frame of it, cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The decoder is not installed.
    #[error("cannot start `{program}`; install ffmpeg to read videos: {error}")]
    Start {
        /// The program.
        program: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// A file is no video.
    #[error("`{}` is neither a picture nor a video: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A file lacks what makes it a video.
    #[error("`{}` has no {missing}", path.display())]
    Lacking {
        /// The file.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// What the decoder described is no JSON.
    #[error("ffprobe gave no JSON: {0}")]
    Description(serde_json::Error),
    /// The decoder's output cannot be read.
    #[error("reading from ffmpeg: {0}")]
    Pipe(io::Error),
    /// The video ends within a frame.
    #[error("the last frame is cut off")]
    CutOff,
    /// The decoder wrote another format than it was told to.
    #[error("ffmpeg gave `{got}`, expected a PPM header")]
    Header {
        /// What it wrote.
        got: String,
    },
    /// A frame is empty or larger than any video's.
    #[error("frame side is `{got}`, expected 1 to {most} pixels")]
    Side {
        /// What the header says.
        got: String,
        /// Largest side.
        most: u32,
    },
    /// Pixels do not make a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Video {
    /// Starts to decode a file.
    ///
    /// # Errors
    ///
    /// [`VideoError`] if the file is no video or ffmpeg is not installed.
    pub fn open(path: &Path) -> Result<Self, VideoError> {
        let (rate, expected_frames) = probe(path)?;
        let mut process = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(ffmpeg_path(path))
            .args(["-map", "0:v:0", "-fps_mode", "cfr", "-r", &rate.to_string()])
            .args(["-f", "image2pipe", "-c:v", "ppm", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| VideoError::Start {
                program: "ffmpeg",
                error,
            })?;
        let frames = process.stdout.take().expect("standard output is piped");
        let stderr = process.stderr.take().expect("standard error is piped");
        Ok(Self {
            process,
            frames: BufReader::new(frames),
            complaints: Some(thread::spawn(|| drain(stderr))),
            rate,
            expected_frames,
        })
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`VideoError`] if the frame is cut off or malformed; the frames before it are whole.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, VideoError> {
        let buffered = self.frames.fill_buf().map_err(VideoError::Pipe)?;
        if buffered.is_empty() {
            return Ok(None);
        }
        read_ppm(&mut self.frames).map(Some)
    }

    /// Waits for the decoder; gives what it complained about.
    ///
    /// # Errors
    ///
    /// [`VideoError::Pipe`] if the system lost the decoder.
    pub fn close(mut self) -> Result<Option<String>, VideoError> {
        let status = self.process.wait().map_err(VideoError::Pipe)?;
        let complaints = self
            .complaints
            .take()
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        let complaints = complaints.trim();
        Ok(match (status.success(), complaints.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("ffmpeg ended with {status}")),
            (_, false) => Some(summarise(complaints)),
        })
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        // Ends a decoder whose frames nobody reads any more; after `close` there is none.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A file name that begins with a dash or has a colon is neither an option nor a protocol.
fn ffmpeg_path(path: &Path) -> String {
    format!("file:{}", path.display())
}

fn drain(mut stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    let _ = stderr.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn summarise(complaints: &str) -> String {
    let lines: Vec<_> = complaints.lines().collect();
    match lines.as_slice() {
        [first, .., last] if lines.len() > 2 => {
            format!("{first} ... ({} lines) ... {last}", lines.len())
        }
        _ => lines.join("; "),
    }
}
