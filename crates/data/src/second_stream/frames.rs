//! The frames of a video, one after the other: none is kept.

use std::path::{Path, PathBuf};

use super::StreamExtractionError;
use crate::{Content, Ending, Input, Observer, Video, picture::read_picture};
use affectlens::frame::Frame;

/// Where the frames of a video come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameSource {
    /// Picture files with their numbers, ascending.
    Pictures(Vec<(usize, PathBuf)>),
    /// A video file.
    Video(PathBuf),
    /// What a user named: a video file, a folder of frames or a pipe. It is opened when its turn comes.
    Named(PathBuf),
}

/// Frames that can be read one by one.
pub(super) struct OpenFrames {
    source: FrameSource,
    /// Holds what came through a pipe.
    _input: Option<Input>,
}

impl FrameSource {
    pub(super) fn open(&self) -> Result<OpenFrames, StreamExtractionError> {
        let Self::Named(path) = self else {
            return Ok(OpenFrames {
                source: self.clone(),
                _input: None,
            });
        };
        let input = Input::open(path, false)?;
        let source = match &input.content {
            Content::Picture(path) => {
                return Err(StreamExtractionError::Picture { path: path.clone() });
            }
            Content::Video(path) => Self::Video(path.clone()),
            Content::Folders(folders) => {
                let pictures = folders.iter().flat_map(|folder| &folder.pictures);
                Self::Pictures((1..).zip(pictures.cloned()).collect())
            }
        };
        Ok(OpenFrames {
            source,
            _input: Some(input),
        })
    }
}

impl OpenFrames {
    /// Number of frames, where it is known beforehand.
    pub(super) fn count(&self) -> Option<usize> {
        match &self.source {
            FrameSource::Pictures(pictures) => Some(pictures.len()),
            FrameSource::Video(_) | FrameSource::Named(_) => None,
        }
    }

    /// Whether the frames are pictures of that folder.
    pub(super) fn are_in(&self, folder: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        let own = match &self.source {
            FrameSource::Pictures(pictures) => pictures.first().and_then(|(_, path)| path.parent()),
            FrameSource::Video(_) | FrameSource::Named(_) => None,
        };
        own.and_then(real)
            .is_some_and(|own| Some(own) == real(folder))
    }

    /// Gives every frame with its number, from 1 where it has none of its own; one that cannot be read is a complaint and
    /// `None`. `task` says what is done with them.
    pub(super) fn each(
        &self,
        name: &str,
        task: &str,
        observer: &dyn Observer,
        mut take: impl FnMut(usize, Option<&Frame>) -> Result<(), StreamExtractionError>,
    ) -> Result<Ending, StreamExtractionError> {
        let mut is_any_readable = false;
        let mut done = 0;
        let mut take = |number: usize, frame: Option<&Frame>| {
            is_any_readable |= frame.is_some();
            done += 1;
            take(number, frame)?;
            observer.reach(done);
            Ok(())
        };
        let ending = match &self.source {
            FrameSource::Pictures(pictures) => {
                observer.begin(task, "frames", Some(pictures.len() as u64));
                each_picture(pictures, observer, &mut take)
            }
            FrameSource::Video(path) | FrameSource::Named(path) => {
                each_of_file(path, task, observer, &mut take)
            }
        };
        observer.end();
        let ending = ending?;
        let name = name.to_owned();
        match (ending.is_whole, is_any_readable) {
            (false, _) => Err(StreamExtractionError::Interrupted {
                name,
                reason: ending
                    .complaint
                    .unwrap_or_else(|| "no reason was given".to_owned()),
            }),
            (true, false) => Err(StreamExtractionError::NoFrames {
                name,
                complaint: ending.complaint,
            }),
            (true, true) => Ok(ending),
        }
    }
}

type Take<'a> = &'a mut dyn FnMut(usize, Option<&Frame>) -> Result<(), StreamExtractionError>;

fn each_picture(
    pictures: &[(usize, PathBuf)],
    observer: &dyn Observer,
    take: Take,
) -> Result<Ending, StreamExtractionError> {
    let mut ending = Ending {
        complaint: None,
        is_whole: true,
    };
    for (number, path) in pictures {
        match read_picture(path) {
            Ok(frame) => take(*number, Some(&frame))?,
            Err(error) => {
                observer.complain(&error);
                if !error.fault.is_lasting() {
                    ending.is_whole = false;
                    ending.complaint = Some(error.to_string());
                }
                take(*number, None)?;
            }
        }
    }
    Ok(ending)
}

fn each_of_file(
    path: &Path,
    task: &str,
    observer: &dyn Observer,
    take: Take,
) -> Result<Ending, StreamExtractionError> {
    let of_file = |error| StreamExtractionError::Video {
        path: path.to_owned(),
        error,
    };
    let mut video = Video::open(path).map_err(of_file)?;
    observer.begin(task, "frames", video.expected_frames);
    let mut number = 0;
    let broken = loop {
        match video.next_frame() {
            Ok(Some(frame)) => {
                number += 1;
                take(number, Some(&frame.picture))?;
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let ending = video.finish().map_err(of_file)?;
    Ok(match broken {
        Some(error) => Ending {
            complaint: Some(error.to_string()),
            is_whole: false,
        },
        None => ending,
    })
}
