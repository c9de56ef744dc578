//! One input on its way from frames to reports.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;

use super::{Failures, output::Output};
use crate::progress::progress;
use affectlens::{frame::Frame, lens::Lens, report::FrameReport};
use affectlens_data::{Input, Video, picture::read_picture};

/// One input on its way to the output.
pub(super) struct Clip<'a> {
    pub(super) lens: &'a mut Lens,
    pub(super) output: &'a mut Output,
    pub(super) failures: &'a mut Failures,
    pub(super) path: &'a Path,
    /// Whether reports name their file.
    pub(super) named: bool,
}

impl Clip<'_> {
    pub(super) fn analyze(&mut self, input: Input, fps: f64) -> Result<()> {
        match input {
            Input::Picture(path) => self.picture(&path),
            Input::Folder(frames) => self.folder(&frames, fps),
            Input::Video(path) => self.video(&path),
        }
    }

    fn picture(&mut self, path: &Path) -> Result<()> {
        if self.lens.violence().is_some() {
            bail!(
                "`{}` is a picture; violence is detected in videos and folders of frames only",
                path.display()
            );
        }
        let frame = read_picture(path)?;
        let report = pollster::block_on(self.lens.analyze(&frame, 0.0))
            .with_context(|| format!("`{}`", path.display()))?;
        self.write(&[report])
    }

    fn folder(&mut self, frames: &[PathBuf], fps: f64) -> Result<()> {
        let bar = progress("analysing", "frames", Some(frames.len() as u64));
        for (number, path) in frames.iter().enumerate() {
            match read_picture(path) {
                Ok(frame) => self.push(&frame, number as f64 * 1000.0 / fps)?,
                Err(error) => {
                    self.lens.skip();
                    bar.suspend(|| self.failures.add(&error.into()));
                }
            }
            bar.inc(1);
        }
        self.finish(&bar)
    }

    fn video(&mut self, path: &Path) -> Result<()> {
        let mut video = Video::open(path)?;
        let bar = progress("analysing", "frames", video.expected_frames);
        let mut number = 0_u64;
        let broken = loop {
            match video.next_frame() {
                Ok(Some(frame)) => self.push(&frame.picture, frame.time_ms)?,
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
            number += 1;
            bar.inc(1);
        };
        self.finish(&bar)?;
        let complaint = match broken {
            Some(error) => Some(error.to_string()),
            None => video.close()?,
        };
        match complaint {
            Some(complaint) => bail!(
                "`{}`: {complaint} ({number} frames were read)",
                path.display()
            ),
            None if number == 0 => bail!("`{}` has no frames", path.display()),
            None => Ok(()),
        }
    }

    fn push(&mut self, frame: &Frame, time_ms: f64) -> Result<()> {
        let reports = pollster::block_on(self.lens.push(frame, time_ms))?;
        self.write(&reports)
    }

    fn finish(&mut self, bar: &ProgressBar) -> Result<()> {
        let reports = self.lens.finish()?;
        bar.finish_and_clear();
        self.write(&reports)
    }

    fn write(&mut self, reports: &[FrameReport]) -> Result<()> {
        let file = self.named.then(|| self.path.display().to_string());
        reports
            .iter()
            .try_for_each(|report| self.output.write(file.as_deref(), report))
    }
}
