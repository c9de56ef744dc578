//! Features of clips: a line for each moment of each window of frames.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Result, bail};
use serde::Serialize;

use super::{Args, read_back, read_weights};
use crate::{installed::unusable, terminal::OutputError};
use affectlens::{
    clip::{ClipBackbone, ClipFrame},
    device::OpenedDevice,
    frame::Frame,
    windowing::{StreamingWindows, Windows},
};
use affectlens_data::{Content, FrameFolder, Input, Video, picture::read_picture, repair_clip};

/// Frames of a video that may lie between two of a window: what is kept of them stays below a gigabyte.
const MOST_STEP: usize = 64;

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    /// First frame of the window, from 0.
    frame: usize,
    /// When it is displayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_ms: Option<f64>,
    /// Which of the window's moments, from 0.
    moment: usize,
    embedding: &'a [f32],
}

/// Prints the lines of each video and folder of frames.
pub(super) fn run(args: &Args) -> Result<()> {
    let weights = read_weights(&args.backbone, &args.weights);
    let weights = weights.map_err(|error| unusable(&args.weights, error))?;
    let device = args.device.open()?;
    let network = ClipBackbone::load(&weights, &device);
    let network = network.map_err(|error| unusable(&args.weights, error))?;
    drop(weights);
    let windows = windows(&network, args)?;
    let mut failed = 0;
    for path in &args.files {
        let file = path.to_string_lossy();
        let mut stream = Stream {
            network: &network,
            device: &device,
            file: &file,
            windows: StreamingWindows::clip(windows),
            kept: VecDeque::new(),
            most: windows.span(),
        };
        if let Err(error) = stream.embed(path) {
            if OutputError::of(&error).is_some() {
                return Err(error);
            }
            complain!("affectlens: {error:#}");
            failed += 1;
        }
    }
    if failed > 0 {
        bail!("{failed} of {} clips failed", args.files.len());
    }
    Ok(())
}

/// As published systems cut videos: windows overlap by half unless there is a stride.
fn windows(network: &ClipBackbone, args: &Args) -> Result<Windows> {
    let step = args.frame_step.unwrap_or(1);
    if step > MOST_STEP {
        bail!("--frame-step is {step}, expected 1 to {MOST_STEP} for networks over clips");
    }
    let windows = Windows::new(network.config().frames, step)?;
    Ok(windows.with_stride(args.stride.unwrap_or_else(|| windows.half()))?)
}

/// A video or folder on its way from frames to lines. Each frame is squashed and normalised once, however many windows hold
/// it.
struct Stream<'a> {
    network: &'a ClipBackbone,
    device: &'a OpenedDevice,
    file: &'a str,
    windows: StreamingWindows,
    /// The newest frames.
    kept: VecDeque<Kept>,
    /// How many of them a window needs.
    most: usize,
}

struct Kept {
    time_ms: Option<f64>,
    /// None where a picture cannot be read.
    frame: Option<ClipFrame>,
}

impl Stream<'_> {
    fn embed(&mut self, path: &Path) -> Result<()> {
        let input = Input::open(path, false)?;
        match &input.content {
            Content::Picture(_) => {
                let name = self.network.config().name;
                bail!(
                    "`{}` is a picture; {name} looks at clips: a video or a folder of frames",
                    path.display()
                );
            }
            Content::Folders(folders) => folders.iter().try_for_each(|folder| self.folder(folder)),
            Content::Video(video) => self.video(path, video),
        }
    }

    /// A picture that cannot be read is replaced by the first one of its window that can.
    fn folder(&mut self, folder: &FrameFolder) -> Result<()> {
        let mut broken = 0;
        for path in &folder.pictures {
            match read_picture(path) {
                Ok(frame) => self.push(None, Some(&frame))?,
                Err(error) => {
                    complain!("affectlens: {error}");
                    broken += 1;
                    self.push(None, None)?;
                }
            }
        }
        self.finish()?;
        match folder.pictures.len() {
            count if broken == count => {
                bail!(
                    "none of the {count} pictures of `{}` can be read",
                    self.file
                )
            }
            _ => Ok(()),
        }
    }

    fn video(&mut self, path: &Path, file: &Path) -> Result<()> {
        let mut video = Video::open(file)?;
        let broken = loop {
            match video.next_frame() {
                Ok(Some(frame)) => self.push(Some(frame.time_ms), Some(&frame.picture))?,
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        self.finish()?;
        let complaint = broken.or(video.close()?);
        let (path, count) = (path.display(), self.windows.count());
        match complaint {
            Some(complaint) => bail!("`{path}`: {complaint} ({count} frames were read)"),
            None if count == 0 => bail!("`{path}` has no frames"),
            None => Ok(()),
        }
    }

    fn push(&mut self, time_ms: Option<f64>, frame: Option<&Frame>) -> Result<()> {
        self.kept.push_back(Kept {
            time_ms,
            frame: frame.map(|frame| self.network.prepare(frame)),
        });
        if self.kept.len() > self.most {
            self.kept.pop_front();
        }
        match self.windows.push() {
            Some(start) => self.write(start),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<()> {
        let starts = self.windows.finish();
        starts.into_iter().try_for_each(|start| self.write(start))
    }

    fn write(&self, start: usize) -> Result<()> {
        let first = self.windows.count() - self.kept.len();
        let kept = |frame: usize| &self.kept[frame - first];
        let frames = self.windows.frames(start);
        let is_readable = |frame: usize| kept(frame).frame.is_some();
        // All of the window unreadable: the folder's complaint says it.
        let Some(frames) = repair_clip(&frames, is_readable) else {
            return Ok(());
        };
        let frames: Vec<&ClipFrame> = frames
            .into_iter()
            .filter_map(|frame| kept(frame).frame.as_ref())
            .collect();
        let features = read_back(self.network.embed(&frames)?)?;
        // A lost device gives numbers too.
        self.device.check()?;
        let mut out = io::stdout().lock();
        let moments = features.chunks_exact(self.network.config().width());
        for (moment, embedding) in moments.enumerate() {
            let line = Line {
                file: self.file,
                frame: start,
                time_ms: kept(start).time_ms,
                moment,
                embedding,
            };
            let mut text = serde_json::to_vec(&line)?;
            text.push(b'\n');
            out.write_all(&text).map_err(OutputError::of_stdout)?;
        }
        out.flush().map_err(OutputError::of_stdout)?;
        Ok(())
    }
}
