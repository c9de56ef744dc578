//! Reads videos as features of their frames.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{FrameFeatures, LabelledVideo, VideoData, VideoDataError};
use crate::{
    ClipFile, DvdError, DvdVideo, EmbedError, EmbedVideoError, Embedder, EmbedderError,
    ExtractionError, FeatureError, FeatureRows, FoldError, Observer, expect_both_classes,
};
use affectlens::{
    device::OpenedDevice,
    weights::{Weights, sha256},
    windowing::sampled_frames,
};

/// Reads videos as features of a backbone's frames.
pub struct VideoReader {
    embedder: Embedder,
    weights: Weights,
    observer: Box<dyn Observer>,
    /// Frames per second that are read; all without.
    pub frames_per_second: Option<f32>,
    /// Whether features of mirror images are read too.
    pub mirrored: bool,
}

/// Videos that could be read.
#[derive(Clone, Debug, Default)]
pub struct Videos {
    /// Labels and features of the frames that were sampled.
    pub data: VideoData,
    /// Number of frames of each before the sampling, and which of them were sampled.
    pub frames: Vec<(usize, Vec<usize>)>,
    /// Labels before the sampling.
    pub labels: Vec<Vec<Option<bool>>>,
    /// Index of each in the list that was asked for.
    pub places: Vec<usize>,
    /// Number of videos that could not be read.
    pub skipped: usize,
}

/// Why videos cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VideoReaderError {
    /// The network failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// A rate was asked for, and frames that are picture files have none.
    #[error(
        "frames of `{name}` are pictures, whose rate nobody knows; frames per second can be chosen for video files only"
    )]
    NoRate {
        /// Name of the video.
        name: String,
    },
    /// Features do not go together.
    #[error(transparent)]
    Data(#[from] VideoDataError),
    /// No video is left.
    #[error("none of the {count} videos of {part} can be read")]
    None {
        /// Number of videos.
        count: usize,
        /// Which part.
        part: String,
    },
    /// Clips of a class cannot be read.
    #[error(transparent)]
    Clips(#[from] FoldError),
    /// DVD cannot be read.
    #[error(transparent)]
    Dvd(#[from] DvdError),
}

/// A video before its frames are sampled; pictures have no rate.
struct Read {
    name: String,
    labels: Vec<Option<bool>>,
    features: FrameFeatures,
    rate: Option<f64>,
}

/// Why one video is skipped.
#[derive(Debug, Error)]
enum SkipError {
    #[error("`{}`: {error}", path.display())]
    File {
        path: PathBuf,
        error: EmbedVideoError,
    },
    #[error(transparent)]
    Pictures(#[from] ExtractionError),
    #[error("video `{name}` has no frames")]
    NoFrames { name: String },
    #[error(transparent)]
    Feature(#[from] FeatureError),
}

impl SkipError {
    /// The failure of the network, which is no fault of the video.
    fn into_network_failure(self) -> Result<EmbedError, Self> {
        match self {
            Self::File {
                error:
                    EmbedVideoError::Embed(error)
                    | EmbedVideoError::Extraction(ExtractionError::Embed(error)),
                ..
            }
            | Self::Pictures(ExtractionError::Embed(error)) => Ok(error),
            other => Err(other),
        }
    }
}

impl VideoReader {
    /// Puts a backbone on a device; features are kept in a folder of their own below `cache`.
    ///
    /// # Errors
    ///
    /// [`EmbedderError`] if the weights do not fit or do not say where they come from.
    pub fn open(
        backbone: &str,
        weights: Weights,
        device: OpenedDevice,
        cache: &Path,
        observer: Box<dyn Observer>,
    ) -> Result<Self, EmbedderError> {
        let metadata = &weights.metadata;
        let key = format!("{} {}", metadata.architecture, metadata.source_sha256);
        let folder = cache.join(format!("{backbone}-{}", &sha256(key.as_bytes())[..12]));
        Ok(Self {
            embedder: Embedder::load(backbone, &weights, device, folder)?,
            weights,
            observer,
            frames_per_second: None,
            mirrored: false,
        })
    }

    /// The backbone's weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Clips that are labelled as a whole; those that cannot be read are complaints.
    ///
    /// # Errors
    ///
    /// [`VideoReaderError`] if the network fails, or no clip of a class can be read.
    pub fn clips(&self, clips: &[ClipFile], part: &str) -> Result<Videos, VideoReaderError> {
        let videos = self.read(clips, part, |clip| {
            let (features, rate) = self.file(&clip.path)?;
            Ok(Read {
                name: clip.name.clone(),
                labels: vec![Some(clip.violent); features.len()],
                features,
                rate: Some(rate),
            })
        })?;
        expect_both_classes(clips, &videos.places, part)?;
        Ok(videos)
    }

    /// Videos of DVD, from their frames where there are some, else from the video file; those that cannot be read are
    /// complaints.
    ///
    /// # Errors
    ///
    /// [`VideoReaderError`] if the network fails or no video can be read.
    pub fn dvd(&self, videos: &[DvdVideo], part: &str) -> Result<Videos, VideoReaderError> {
        let black = self.embedder.embed_black()?;
        self.read(videos, part, |video| {
            let (features, rate) = match (&video.video, video.files.is_empty()) {
                (Some(file), true) => {
                    let (features, rate) = self.file(file)?;
                    (features, Some(rate))
                }
                _ => (self.pictures(video, &black)?, None),
            };
            let labels = match video.labels.is_empty() {
                true => vec![None; features.len()],
                false => video.labels.clone(),
            };
            Ok(Read {
                name: video.id.clone(),
                labels,
                features,
                rate,
            })
        })
    }

    fn read<T>(
        &self,
        items: &[T],
        part: &str,
        read: impl Fn(&T) -> Result<Read, SkipError>,
    ) -> Result<Videos, VideoReaderError> {
        let total = Some(items.len() as u64);
        self.observer
            .begin(&format!("features of {part}"), "videos", total);
        let mut videos = Videos::default();
        for (place, item) in items.iter().enumerate() {
            match read(item).map_err(SkipError::into_network_failure) {
                Ok(video) => videos.push(place, video, self.frames_per_second)?,
                Err(Ok(failure)) => return Err(failure.into()),
                Err(Err(error)) => {
                    self.observer.complain(&format_args!("skipped {error}"));
                    videos.skipped += 1;
                }
            }
            self.observer.reach(place as u64 + 1);
        }
        self.observer.end();
        if videos.places.is_empty() {
            return Err(VideoReaderError::None {
                count: items.len(),
                part: part.to_owned(),
            });
        }
        Ok(videos)
    }

    fn file(&self, path: &Path) -> Result<(FrameFeatures, f64), SkipError> {
        let embed = |mirrored| {
            let video = self.embedder.embed_video(path, mirrored);
            video.map_err(|error| SkipError::File {
                path: path.to_owned(),
                error,
            })
        };
        let video = embed(false)?;
        if let Some(complaint) = &video.complaint {
            let path = path.display();
            self.observer
                .complain(&format_args!("`{path}`: {complaint}"));
        }
        let mut features = FrameFeatures::new(video.rows);
        if self.mirrored {
            features = features.with_mirrored(embed(true)?.rows)?;
        }
        Ok((features, video.rate))
    }

    /// Every picture once: a frame without one of its own takes the nearest.
    fn pictures(&self, video: &DvdVideo, black: &[f32]) -> Result<FrameFeatures, SkipError> {
        let paths: Vec<PathBuf> = video.files.iter().map(|(_, path)| path.clone()).collect();
        let (rows, places) = self.picture_rows(&video.id, &paths, false)?;
        if video.is_empty() {
            return Err(SkipError::NoFrames {
                name: video.id.clone(),
            });
        }
        let place_of: HashMap<&Path, Option<usize>> =
            paths.iter().map(PathBuf::as_path).zip(places).collect();
        let place = |frame| *place_of.get(video.file(frame)?)?;
        let places = (0..video.len()).map(place).collect();
        let features = FrameFeatures::with_places(rows, places, black.to_vec())?;
        match self.mirrored {
            true => Ok(features.with_mirrored(self.picture_rows(&video.id, &paths, true)?.0)?),
            false => Ok(features),
        }
    }

    /// Rows of the pictures that can be read, and the row of each picture.
    fn picture_rows(
        &self,
        video: &str,
        paths: &[PathBuf],
        mirrored: bool,
    ) -> Result<(FeatureRows, Vec<Option<usize>>), SkipError> {
        let embedded = self.embedder.embed_video_pictures(video, paths, mirrored)?;
        if !mirrored {
            for failure in &embedded.failures {
                let (path, reason) = (failure.path.display(), &failure.reason);
                self.observer
                    .complain(&format_args!("frame `{path}` cannot be read: {reason}"));
            }
        }
        let mut rows = FeatureRows::new(self.embedder.facts().width);
        let mut places = Vec::with_capacity(paths.len());
        for row in embedded.rows {
            places.push(row.is_some().then_some(rows.len()));
            if let Some(row) = row {
                rows.push(&row)?;
            }
        }
        Ok((rows, places))
    }
}

impl Videos {
    fn push(
        &mut self,
        place: usize,
        video: Read,
        frames_per_second: Option<f32>,
    ) -> Result<(), VideoReaderError> {
        let Read {
            name,
            labels,
            features,
            rate,
        } = video;
        let sampled = sample(&name, labels.len(), rate, frames_per_second)?;
        let video = LabelledVideo {
            name,
            labels: sampled.iter().map(|frame| labels[*frame]).collect(),
        };
        self.data.push(video, features.select(&sampled))?;
        self.frames.push((labels.len(), sampled));
        self.labels.push(labels);
        self.places.push(place);
        Ok(())
    }
}

/// Which frames of a video are read.
pub(super) fn sample(
    name: &str,
    frames: usize,
    rate: Option<f64>,
    frames_per_second: Option<f32>,
) -> Result<Vec<usize>, VideoReaderError> {
    if rate.is_none() && frames_per_second.is_some() {
        return Err(VideoReaderError::NoRate {
            name: name.to_owned(),
        });
    }
    Ok(sampled_frames(
        frames,
        rate.unwrap_or(1.0),
        frames_per_second,
    ))
}
