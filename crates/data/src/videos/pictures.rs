//! Videos as pictures, read again for each clip.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    LabelledVideo, SecondReader, VideoReaderError, reader::sample, second::SecondFeatures,
    second_reader::Of, skip::SkipError, times::read_times,
};
use crate::{ClipFile, DvdVideo, Observer, Video, VideoError, picture::read_picture};
use affectlens::{crop::resize, frame::Frame};

/// Videos as pictures, read again for each clip: features do not change while a backbone is not trained, pictures are
/// needed when it is.
#[derive(Clone, Debug)]
pub struct VideoPictures {
    /// One label for each frame that is sampled.
    pub videos: Vec<LabelledVideo>,
    /// Where the frames of each video come from, and which are sampled.
    sources: Vec<(FrameSource, Vec<usize>)>,
    /// Of each video, where one is read.
    second: Vec<SecondFeatures>,
    side: u32,
    frames_per_second: Option<f32>,
}

/// How the videos of a part are read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    /// `training` or `validation`.
    pub(super) part: &'a str,
    pub(super) second: Option<&'a SecondReader>,
    pub(super) observer: &'a dyn Observer,
}

#[derive(Clone, Debug)]
enum FrameSource {
    Files(DvdVideo),
    Video(PathBuf),
}

impl VideoPictures {
    /// No videos; pictures will be squashed to `side` pixels.
    pub(super) fn new(side: u32, frames_per_second: Option<f32>) -> Self {
        Self {
            videos: Vec::new(),
            sources: Vec::new(),
            second: Vec::new(),
            side,
            frames_per_second,
        }
    }

    /// Adds a clip; one that cannot be read is a complaint.
    pub(super) fn push_clip(
        &mut self,
        clip: &ClipFile,
        reading: Reading<'_>,
    ) -> Result<(), VideoReaderError> {
        let labels = |frames| vec![Some(clip.violent); frames];
        self.push_file(&clip.name, &clip.path, labels, reading)
    }

    /// Adds a video of DVD; one that cannot be read is a complaint.
    pub(super) fn push_dvd(
        &mut self,
        video: DvdVideo,
        reading: Reading<'_>,
    ) -> Result<(), VideoReaderError> {
        let name = video.id.clone();
        let known = video.labels.clone();
        let labels = |frames| match known.is_empty() {
            true => vec![None; frames],
            false => known,
        };
        match (&video.video, video.files.is_empty()) {
            (Some(file), true) => self.push_file(&name, file, labels, reading),
            _ => {
                let labels = labels(video.len());
                self.push(name, FrameSource::Files(video), &labels, None, reading)
            }
        }
    }

    fn push_file(
        &mut self,
        name: &str,
        path: &Path,
        labels: impl FnOnce(usize) -> Vec<Option<bool>>,
        reading: Reading<'_>,
    ) -> Result<(), VideoReaderError> {
        let Reading { observer, .. } = reading;
        let times_ms = match read_times(path) {
            Ok((times_ms, complaint)) if times_ms.is_empty() => {
                let reason = complaint.unwrap_or_else(|| "the video is empty".to_owned());
                observer.complain(&skipped(
                    path,
                    &format_args!("no frame can be read: {reason}"),
                ));
                return Ok(());
            }
            Ok((times_ms, complaint)) => {
                if let Some(complaint) = complaint {
                    observer.complain(&format_args!("`{}`: {complaint}", path.display()));
                }
                times_ms
            }
            Err(error) => {
                observer.complain(&skipped(path, &error));
                return Ok(());
            }
        };
        let source = FrameSource::Video(path.to_owned());
        let labels = labels(times_ms.len());
        self.push(name.to_owned(), source, &labels, Some(&times_ms), reading)
    }

    fn push(
        &mut self,
        name: String,
        source: FrameSource,
        labels: &[Option<bool>],
        times_ms: Option<&[f64]>,
        reading: Reading<'_>,
    ) -> Result<(), VideoReaderError> {
        let sampled = sample(&name, labels.len(), times_ms, self.frames_per_second)?;
        if let Some(reader) = reading.second {
            let video = Of {
                name: &name,
                part: reading.part,
                frames: labels.len(),
            };
            // A mirrored picture of a clip has the second stream of the picture itself.
            let read = reader.read(video, false, reading.observer);
            match read.map_err(SkipError::into_failure) {
                Ok(second) => self.second.push(second.select(&sampled)),
                Err(Ok(failure)) => return Err(failure),
                Err(Err(error)) => {
                    let skipped = format_args!("skipped `{name}`: {error}");
                    reading.observer.complain(&skipped);
                    return Ok(());
                }
            }
        }
        self.videos.push(LabelledVideo {
            name,
            labels: sampled.iter().map(|frame| labels[*frame]).collect(),
        });
        self.sources.push((source, sampled));
        Ok(())
    }

    /// Some frames of a video, squashed to the side of the backbone's input; `None` where one cannot be read.
    ///
    /// # Errors
    ///
    /// [`VideoError`] if the video cannot be opened.
    ///
    /// # Panics
    ///
    /// If there is no such video or frame.
    pub fn frames(&self, video: usize, frames: &[usize]) -> Result<Vec<Option<Frame>>, VideoError> {
        let (source, sampled) = &self.sources[video];
        let frames: Vec<usize> = frames.iter().map(|frame| sampled[*frame]).collect();
        match source {
            FrameSource::Files(video) => {
                let read = |frame: &usize| {
                    let picture = read_picture(video.file(*frame)?).ok()?;
                    Some(resize(&picture, self.side))
                };
                Ok(frames.iter().map(read).collect())
            }
            FrameSource::Video(path) => read_frames(path, &frames, self.side),
        }
    }

    /// Numbers of the second stream of some frames, one frame after the other; `None` where none is read.
    ///
    /// # Panics
    ///
    /// If there is no such video.
    pub fn second(&self, video: usize, frames: &[usize]) -> Option<Vec<f32>> {
        let is_read = !self.second.is_empty();
        is_read.then(|| self.second[video].clip(frames, &mut || false))
    }
}

fn skipped(path: &Path, reason: &dyn std::fmt::Display) -> String {
    format!("skipped `{}`: {reason}", path.display())
}

fn read_frames(path: &Path, frames: &[usize], side: u32) -> Result<Vec<Option<Frame>>, VideoError> {
    let last = frames.iter().max().copied().unwrap_or_default();
    let mut read: HashMap<usize, Frame> = HashMap::new();
    let mut video = Video::open(path)?;
    for number in 0..=last {
        // What comes after a frame that is cut off cannot be read either.
        let Ok(Some(frame)) = video.next_frame() else {
            break;
        };
        if frames.contains(&number) {
            read.insert(number, resize(&frame.picture, side));
        }
    }
    Ok(frames
        .iter()
        .map(|frame| read.get(frame).cloned())
        .collect())
}
