//! Videos, decoded by `ffmpeg` in a process of its own: every frame once, as it is displayed, at its own time.

mod decoder;
mod filters;
mod log;
mod pam;
mod probe;

use std::{
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::{Ending, process::Process};
use affectlens::frame::{Frame, FrameError};
use log::{FrameTime, read_log};
use pam::read_pam;
use probe::Description;

pub use decoder::Decoder;
pub(crate) use log::{read_complaints, summarise};
pub(crate) use probe::parse_rate;

/// Milliseconds between frames of a file that knows neither their times nor their rate.
const USUAL_INTERVAL_MS: f64 = 40.0;

/// Decoded frames that wait for their reader, besides the one that is being decoded.
const FRAMES_AHEAD: usize = 1;

/// Times that wait for their frames: far more than a decoder is ahead of what it writes.
const TIMES_AHEAD: usize = 4096;

/// Frames of a video.
#[derive(Debug)]
pub struct Video {
    process: Process,
    frames: Receiver<Result<Frame, VideoError>>,
    times: Receiver<FrameTime>,
    log: Option<JoinHandle<Option<String>>>,
    limit: Duration,
    interval_ms: f64,
    last_ms: Option<f64>,
    state: State,
    /// Frames that were given, and how many there can be at most.
    given: u64,
    most_frames: u64,
    /// How many frames there should be, if the container says so.
    pub expected_frames: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Decoding,
    /// All frames have been read.
    Over,
    /// A frame could not be read.
    Failed,
}

/// A frame of a video.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoFrame {
    /// The picture as it is displayed.
    pub picture: Frame,
    /// When it is displayed, milliseconds from the start of the file.
    pub time_ms: f64,
}

/// Why a video, or a frame of it, cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The decoder is not installed.
    #[error("cannot start `{program}`; install ffmpeg to read videos: {error}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        error: io::Error,
    },
    /// The decoder is too old.
    #[error("ffmpeg is too old, expected version 4.2 or later, got `{got}`")]
    Version {
        /// What it says of itself.
        got: String,
    },
    /// The decoder does not answer.
    #[error("`{program}` gave no answer for {seconds} seconds and was ended")]
    Silent {
        /// The program.
        program: String,
        /// How long it was waited for.
        seconds: f32,
    },
    /// The decoder gives no frame.
    #[error("ffmpeg gave no frame for {seconds} seconds and was ended")]
    Stalled {
        /// How long it was waited for.
        seconds: f32,
    },
    /// A file is no video.
    #[error("`{}` is neither a picture nor a video: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A file has sound only, or nothing at all.
    #[error("`{}` has no video stream", path.display())]
    NoPictures {
        /// The file.
        path: PathBuf,
    },
    /// A video has high dynamic range, and ffmpeg lacks the filters that map it to an ordinary screen.
    #[error(
        "the video has high dynamic range ({transfer}); the installed ffmpeg lacks the filters `zscale` and `tonemap` \
         that convert it"
    )]
    ToneMapping {
        /// Its transfer function.
        transfer: String,
    },
    /// What the decoder described is no JSON.
    #[error("ffprobe gave no JSON: {0}")]
    Description(serde_json::Error),
    /// The decoder's output cannot be read.
    #[error("reading from ffmpeg: {0}")]
    Pipe(io::Error),
    /// The video has more frames than a file of its size can hold.
    #[error(
        "more than {most} frames, the most of a file of as many bytes: it repeats them without end"
    )]
    Repeating {
        /// Most frames.
        most: u64,
    },
    /// The video ends within a frame.
    #[error("the last frame is cut off")]
    CutOff,
    /// The decoder wrote another format than it was told to.
    #[error("ffmpeg gave `{got}`, expected a PAM header")]
    Header {
        /// What it wrote.
        got: String,
    },
    /// A frame is empty or too large.
    #[error("a frame has {width} x {height} pixels, expected 1 to {most} in all")]
    Size {
        /// Pixels of a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Most pixels.
        most: u64,
    },
    /// Pixels do not make a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Video {
    /// Starts to decode a file with the ffmpeg that is installed.
    ///
    /// # Errors
    ///
    /// [`VideoError`] if the file is no video, or ffmpeg is not installed or too old.
    pub fn open(path: &Path) -> Result<Self, VideoError> {
        Decoder::installed()?.open(path)
    }

    fn new(
        mut process: Process,
        described: &Description,
        limit: Duration,
        most_frames: u64,
    ) -> Self {
        let (stdout, stderr) = process.outputs();
        let (frame_sender, frames) = mpsc::sync_channel(FRAMES_AHEAD);
        let (time_sender, times) = mpsc::sync_channel(TIMES_AHEAD);
        thread::spawn(move || send_frames(stdout, &frame_sender));
        Self {
            process,
            frames,
            times,
            // Nobody listens once the frames are not wanted any more.
            log: Some(thread::spawn(move || {
                read_log(stderr, |time| _ = time_sender.send(time))
            })),
            limit,
            interval_ms: described.interval_ms.unwrap_or(USUAL_INTERVAL_MS),
            last_ms: None,
            state: State::Decoding,
            given: 0,
            most_frames,
            expected_frames: described.expected_frames,
        }
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`VideoError`] if the frame is cut off or malformed, or does not come; the frames before it are whole.
    pub fn next_frame(&mut self) -> Result<Option<VideoFrame>, VideoError> {
        if self.state != State::Decoding {
            return Ok(None);
        }
        let picture = match self.frames.recv_timeout(self.limit) {
            Ok(Ok(picture)) => picture,
            Ok(Err(error)) => return Err(self.abandon(error)),
            Err(RecvTimeoutError::Disconnected) => {
                self.state = State::Over;
                return Ok(None);
            }
            Err(RecvTimeoutError::Timeout) => {
                let seconds = self.limit.as_secs_f32();
                return Err(self.abandon(VideoError::Stalled { seconds }));
            }
        };
        if self.given == self.most_frames {
            let most = self.most_frames;
            return Err(self.abandon(VideoError::Repeating { most }));
        }
        self.given += 1;
        // The time of a frame is logged before the frame is written.
        let known = self.times.recv_timeout(self.limit).ok().flatten();
        let expected = self.last_ms.map_or(0.0, |last| last + self.interval_ms);
        let time_ms = known.unwrap_or(expected);
        self.last_ms = Some(time_ms);
        Ok(Some(VideoFrame { picture, time_ms }))
    }

    /// Ends the decoder, and gives what it complained about. Frames that were not read are dropped.
    ///
    /// # Errors
    ///
    /// [`VideoError::Pipe`] if the system lost the decoder.
    pub fn close(self) -> Result<Option<String>, VideoError> {
        Ok(self.finish()?.complaint)
    }

    /// Ends the decoder, and gives how it ended, too. A video of which not all was read is not whole.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn finish(mut self) -> Result<Ending, VideoError> {
        // Whoever reads the log must not wait for room for more times.
        self.times = mpsc::channel().1;
        let is_over = self.state == State::Over;
        if !is_over {
            self.process.kill();
        }
        let status = match self.process.wait_until(Instant::now() + self.limit) {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Ok(Ending {
                    complaint: Some(format!("ffmpeg did not end within {:?}", self.limit)),
                    is_whole: false,
                });
            }
            Err(error) => return Err(VideoError::Pipe(error)),
        };
        let log = self.log.take().and_then(|log| log.join().ok()).flatten();
        Ok(Ending {
            complaint: match log {
                None if is_over && !status.success() => Some(format!("ffmpeg ended with {status}")),
                complaints => complaints,
            },
            is_whole: is_over && status.success(),
        })
    }

    /// Ends the decoder: nothing can be read after an error.
    fn abandon(&mut self, error: VideoError) -> VideoError {
        self.state = State::Failed;
        self.process.kill();
        error
    }
}

/// Sends the frames that the decoder writes, until it ends, one is malformed, or nobody reads them.
fn send_frames(stdout: impl Read, frames: &SyncSender<Result<Frame, VideoError>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let read = read_pam(&mut stdout).transpose();
        let Some(read) = read else { return };
        let is_last = read.is_err();
        if frames.send(read).is_err() || is_last {
            return;
        }
    }
}
