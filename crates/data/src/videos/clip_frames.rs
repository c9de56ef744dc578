//! Frames of the clips of a video, each decoded and prepared once as long as clips go forward.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{DvdVideo, Video, VideoError, picture::read_picture};
use affectlens::{clip::ClipFrame, frame::Frame};

/// Frames from the first to the last of a clip up to which all between them are kept, for the clips that begin there.
const MOST_KEPT: usize = 1024;

/// Where the frames of a video are.
#[derive(Clone, Debug)]
pub(super) enum ClipSource {
    /// A picture file for each frame; a frame without one of its own takes the nearest.
    Pictures(DvdVideo),
    /// A video file.
    Video(PathBuf),
}

impl ClipSource {
    /// The files that frames come from.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Pictures(video) => video.files.iter().map(|(_, path)| path.clone()).collect(),
            Self::Video(path) => vec![path.clone()],
        }
    }
}

/// Reads the frames of clips that begin later and later; an earlier one is decoded anew.
pub(super) struct ClipFrames<'a, P> {
    source: &'a ClipSource,
    /// Brings a frame to the size and the numbers that the network reads.
    prepare: P,
    /// Prepared frames; `None` where one cannot be read.
    kept: BTreeMap<usize, Option<ClipFrame>>,
    decoding: Option<Decoding>,
    /// Whether every frame of a video file could be decoded so far.
    pub(super) is_whole: bool,
}

/// A video that is being decoded.
struct Decoding {
    video: Video,
    /// The frame that comes next.
    next: usize,
    is_over: bool,
}

impl<'a, P: Fn(&Frame) -> ClipFrame> ClipFrames<'a, P> {
    pub(super) fn new(source: &'a ClipSource, prepare: P) -> Self {
        Self {
            source,
            prepare,
            kept: BTreeMap::new(),
            decoding: None,
            is_whole: true,
        }
    }

    /// The frames of a clip, `None` where one cannot be read.
    ///
    /// # Errors
    ///
    /// [`VideoError`] if the video cannot be opened.
    pub(super) fn read(&mut self, frames: &[usize]) -> Result<Vec<Option<&ClipFrame>>, VideoError> {
        let (Some(first), Some(last)) = (frames.iter().min(), frames.iter().max()) else {
            return Ok(Vec::new());
        };
        self.kept.retain(|frame, _| frame >= first);
        let source = self.source;
        match source {
            ClipSource::Pictures(video) => self.read_pictures(video, frames),
            ClipSource::Video(path) => {
                let is_close = last - first < MOST_KEPT;
                let is_wanted =
                    |frame: &usize| *frame >= *first && (is_close || frames.contains(frame));
                self.decode(path, frames, *last, is_wanted)?;
            }
        }
        let kept = |frame: &usize| self.kept.get(frame).and_then(Option::as_ref);
        Ok(frames.iter().map(kept).collect())
    }

    fn read_pictures(&mut self, video: &DvdVideo, frames: &[usize]) {
        for frame in frames {
            let prepare = &self.prepare;
            self.kept.entry(*frame).or_insert_with(|| {
                let picture = read_picture(video.file(*frame)?).ok()?;
                Some(prepare(&picture))
            });
        }
    }

    /// Decodes up to the last frame that is wanted.
    fn decode(
        &mut self,
        path: &Path,
        frames: &[usize],
        last: usize,
        is_wanted: impl Fn(&usize) -> bool,
    ) -> Result<(), VideoError> {
        let is_behind = |decoding: &Decoding| {
            let mut passed = frames.iter().filter(|frame| **frame < decoding.next);
            passed.any(|frame| !self.kept.contains_key(frame))
        };
        if self.decoding.as_ref().is_none_or(is_behind) {
            self.kept.clear();
            self.decoding = Some(Decoding {
                video: Video::open(path)?,
                next: 0,
                is_over: false,
            });
        }
        let Some(decoding) = &mut self.decoding else {
            return Ok(());
        };
        while decoding.next <= last {
            // What comes after a frame that is cut off cannot be read either.
            let picture = match decoding.is_over {
                true => None,
                false => match decoding.video.next_frame() {
                    Ok(frame) => frame.map(|frame| frame.picture),
                    Err(_) => {
                        self.is_whole = false;
                        None
                    }
                },
            };
            decoding.is_over = picture.is_none();
            if is_wanted(&decoding.next) {
                let prepared = picture.as_ref().map(&self.prepare);
                self.kept.insert(decoding.next, prepared);
            }
            decoding.next += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use affectlens::{
        backbone::{TrainableBackbone, canonical_weights},
        clip::ClipBackbone,
        device::OpenedDevice,
        weights::PublishedWeights,
    };
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn pictures_are_prepared_once_where_clips_overlap() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let files = (1..=6).map(|number| {
            let path = folder.path().join(format!("{number}.png"));
            let level = u8::try_from(number * 40).expect("a level");
            let picture = image::RgbImage::from_pixel(9, 7, image::Rgb([level; 3]));
            picture.save(&path).expect("temporary file");
            (number, path)
        });
        let files = files.collect();
        std::fs::write(folder.path().join("3.png"), b"no picture").expect("temporary file");
        let source = ClipSource::Pictures(DvdVideo {
            id: "v".to_owned(),
            labels: Vec::new(),
            files,
            video: None,
        });
        assert_eq!(source.files().len(), 6);
        let backbone = TrainableBackbone::init("r3d-test", 1, &Device::flex()).expect("is known");
        let published = PublishedWeights::Named(backbone.to_weights());
        let weights = canonical_weights("r3d-test", &published).expect("is whole");
        let network = ClipBackbone::load(&weights, &OpenedDevice::cpu()).expect("canonical");
        let prepared = Cell::new(0);
        let prepare = |frame: &Frame| {
            prepared.set(prepared.get() + 1);
            network.prepare(frame)
        };
        let mut frames = ClipFrames::new(&source, prepare);
        let is_there = |read: Vec<Option<&ClipFrame>>| -> Vec<bool> {
            read.iter().map(Option::is_some).collect()
        };
        let read = frames.read(&[0, 1, 2, 3]).expect("pictures");
        assert_eq!(is_there(read), [true, true, false, true]);
        assert_eq!(prepared.get(), 3);
        // The last frame repeats.
        let read = frames.read(&[2, 3, 4, 5, 5]).expect("pictures");
        assert_eq!(is_there(read), [false, true, true, true, true]);
        assert_eq!(prepared.get(), 5, "only what is new");
        let read = frames.read(&[0, 5]).expect("pictures");
        assert_eq!(is_there(read), [true, true]);
        assert_eq!(prepared.get(), 6, "an earlier clip is read anew");
    }
}
