//! One input on its way from frames to reports.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;

use super::{
    Failures,
    output::Output,
    skipped::Skipped,
    sound::{Ears, Listening},
};
use crate::progress::progress;
use affectlens::{
    frame::Frame,
    lens::{Lens, NeutralSpan},
    report::FrameReport,
};
use affectlens_data::{
    Content, EmbedSoundError, FrameFolder, SoundError, Video, picture::read_picture,
};

/// One input on its way to the output.
pub(super) struct Clip<'a> {
    pub(super) lens: &'a mut Lens,
    pub(super) output: &'a mut Output,
    pub(super) failures: &'a mut Failures,
    /// The input as it was named.
    pub(super) path: &'a Path,
    /// Whether there are several inputs, so that reports name theirs.
    pub(super) named: bool,
    /// When the people look neutral.
    pub(super) baseline: Option<NeutralSpan>,
    /// What listens to videos, if that was asked for.
    pub(super) ears: Option<&'a mut Ears>,
    /// Files of the frames that reports are of, where each frame has its own.
    pub(super) files: Vec<String>,
}

impl Clip<'_> {
    pub(super) fn analyze(&mut self, content: &Content, fps: f64) -> Result<()> {
        match content {
            Content::Picture(path) => self.picture(path),
            Content::Folders(folders) => self.folders(folders, fps),
            Content::Video(path) => self.video(path),
        }
    }

    fn picture(&mut self, path: &Path) -> Result<()> {
        self.expect_no_ears("a picture")?;
        if self.lens.violence().is_some() {
            bail!(
                "`{}` is a picture; violence is detected in videos and folders of frames only",
                path.display()
            );
        }
        if self.baseline.is_some() {
            bail!(
                "`{}` is a picture; --baseline needs a video or a folder of frames",
                path.display()
            );
        }
        let frame = read_picture(path)?;
        let report = pollster::block_on(self.lens.analyze_single(&frame))
            .with_context(|| format!("`{}`", path.display()))?;
        self.write(vec![report])
    }

    fn folders(&mut self, folders: &[FrameFolder], fps: f64) -> Result<()> {
        self.expect_no_ears("a folder of frames")?;
        let mut skipped = Skipped::default();
        let analyzed = folders.iter().try_for_each(|folder| {
            skipped.pass_over(&folder.passed_over);
            if folder.pictures.is_empty() {
                return Ok(());
            }
            self.folder(folder, fps, &mut skipped)
        });
        if let Some(summary) = skipped.summary() {
            complain!("affectlens: `{}`: {summary}", self.path.display());
        }
        analyzed
    }

    /// Each folder is a stream of its own.
    fn folder(&mut self, folder: &FrameFolder, fps: f64, skipped: &mut Skipped) -> Result<()> {
        self.calibrate()?;
        let frames = &folder.pictures;
        self.files = frames.iter().map(|path| self.name(path)).collect();
        let bar = progress("analysing", "frames", Some(frames.len() as u64));
        for (number, path) in frames.iter().enumerate() {
            match read_picture(path) {
                Ok(frame) => self.push(&frame, number as f64 * 1000.0 / fps)?,
                Err(error) => {
                    self.lens.skip();
                    skipped.fail(path);
                    bar.suspend(|| self.failures.add(&error.into()));
                }
            }
            bar.inc(1);
        }
        self.finish(&bar)?;
        self.lens.reset();
        self.files.clear();
        Ok(())
    }

    /// A picture of a folder: from the folder that was named on, or from where that is if there are several inputs.
    fn name(&self, picture: &Path) -> String {
        let within = picture.strip_prefix(self.path).unwrap_or(picture);
        let name = if self.named { picture } else { within };
        name.display().to_string()
    }

    fn video(&mut self, path: &Path) -> Result<()> {
        let mut video = Video::open(path)?;
        let mut listening = self.listen(path)?;
        self.calibrate()?;
        let bar = progress("analysing", "frames", video.expected_frames);
        let mut number = 0_u64;
        let broken = loop {
            match video.next_frame() {
                Ok(Some(frame)) => {
                    let listening = listening.as_mut();
                    let heard = listening.and_then(|it| it.at(number, frame.time_ms));
                    self.lens.hear(heard);
                    self.push(&frame.picture, frame.time_ms)?;
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
            number += 1;
            bar.inc(1);
        };
        self.finish(&bar)?;
        for complaint in listening.map_or_else(Vec::new, Listening::close) {
            complain!(
                "affectlens: sound of `{}`: {complaint}",
                self.path.display()
            );
        }
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

    /// Opens the sound of a video, if it is to be listened to; one without any is analysed all the same.
    fn listen(&mut self, path: &Path) -> Result<Option<Listening>> {
        let Some(ears) = &mut self.ears else {
            return Ok(None);
        };
        match ears.listen(path) {
            Ok(listening) => Ok(Some(listening)),
            Err(EmbedSoundError::Sound(error @ SoundError::NoTrack { .. })) => {
                complain!("affectlens: {error}; its reports say nothing about sound");
                Ok(None)
            }
            Err(error @ EmbedSoundError::Short { .. }) => {
                complain!("affectlens: {error}; its reports say nothing about sound");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn expect_no_ears(&self, what: &str) -> Result<()> {
        match self.ears {
            Some(_) => bail!(
                "`{}` is {what}; --audio and --speech need a video with sound",
                self.path.display()
            ),
            None => Ok(()),
        }
    }

    /// Says when the people look neutral, if that is known.
    fn calibrate(&mut self) -> Result<()> {
        if self.baseline.is_some() {
            self.lens.calibrate(self.baseline)?;
        }
        Ok(())
    }

    fn push(&mut self, frame: &Frame, time_ms: f64) -> Result<()> {
        let reports = pollster::block_on(self.lens.push(frame, time_ms))?;
        self.write(reports)
    }

    fn finish(&mut self, bar: &ProgressBar) -> Result<()> {
        let reports = pollster::block_on(self.lens.finish())?;
        bar.finish_and_clear();
        self.write(reports)
    }

    fn write(&mut self, reports: Vec<FrameReport>) -> Result<()> {
        let whole = self.named.then(|| self.path.display().to_string());
        reports.into_iter().try_for_each(|report| {
            let frame = usize::try_from(report.frame).ok();
            let own = frame.and_then(|frame| self.files.get(frame));
            let file = own.or(whole.as_ref()).map(String::as_str);
            self.output.write(file, &report)
        })
    }
}
