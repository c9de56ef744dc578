//! Reads videos as features of their frames.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use super::{
    ClipFeatures, FrameFeatures, LabelledVideo, SecondReader, SecondStreamError, VideoData,
    VideoDataError, WindowFeatures,
    clip_features::ClipEmbedder,
    clip_frames::ClipSource,
    embedded::{CachingEmbedder, PictureReader},
    second_reader::Of,
    skip::SkipError,
    times::read_times,
};
use crate::{
    ClipFile, DvdError, DvdVideo, EmbedError, EmbedVideoError, EmbedderError, ExtractionError,
    FoldError, Observer, expect_both_classes,
};
use affectlens::{
    clip::ClipConfig, device::OpenedDevice, weights::Weights, windowing::sampled_frames,
};

/// Reads videos as features of a backbone's frames or clips.
pub struct VideoReader {
    network: Network,
    weights: Weights,
    observer: Box<dyn Observer>,
    /// Frames per second that are read; all without.
    pub frames_per_second: Option<f32>,
    /// Whether features of mirror images are read too.
    pub mirrored: bool,
    /// What is read beside the frames.
    pub second: Option<SecondReader>,
}

/// What gives the features.
enum Network {
    /// Of each frame.
    Frames(Box<CachingEmbedder>),
    /// Of clips, when they are asked for.
    Clips(Arc<ClipEmbedder>),
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
    /// A network over clips gives nothing of single frames.
    #[error(
        "`{backbone}` looks at clips of frames, expected a backbone for single frames to read {what}"
    )]
    OverClips {
        /// Name of the network.
        backbone: &'static str,
        /// What was asked for.
        what: &'static str,
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
    /// The second stream of a video cannot be read.
    #[error(transparent)]
    Second(#[from] SecondStreamError),
    /// Clips of a class cannot be read.
    #[error(transparent)]
    Clips(#[from] FoldError),
    /// DVD cannot be read.
    #[error(transparent)]
    Dvd(#[from] DvdError),
}

/// Milliseconds between the frames of a video of one frame.
const USUAL_INTERVAL_MS: f64 = 40.0;

/// A video before its frames are sampled; pictures have no times.
struct Read {
    name: String,
    labels: Vec<Option<bool>>,
    features: WindowFeatures,
    times_ms: Option<Vec<f64>>,
}

impl SkipError {
    /// What ends everything: a failure of the network, or a second stream that must not be missing.
    pub(super) fn into_failure(self) -> Result<VideoReaderError, Self> {
        match self {
            Self::File {
                error:
                    EmbedVideoError::Embed(error)
                    | EmbedVideoError::Extraction(ExtractionError::Embed(error)),
                ..
            }
            | Self::Pictures(ExtractionError::Embed(error)) => Ok(error.into()),
            Self::Second(error) => Ok(error.into()),
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
        let network = match ClipConfig::from_name(&weights.metadata.architecture) {
            Some(_) => Network::Clips(Arc::new(ClipEmbedder::open(&weights, device, cache)?)),
            None => {
                let embedder = CachingEmbedder::open(backbone, &weights, device, cache)?;
                Network::Frames(Box::new(embedder))
            }
        };
        Ok(Self {
            network,
            weights,
            observer,
            frames_per_second: None,
            mirrored: false,
            second: None,
        })
    }

    /// The backbone's weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// All that features depend on besides the videos: the network and its parameters, and where a second stream is read.
    pub fn key(&self) -> String {
        let key = match &self.network {
            Network::Frames(network) => network.key.as_str(),
            Network::Clips(network) => network.key(),
        };
        match &self.second {
            Some(second) => format!("{key} {}", second.key()),
            None => key.to_owned(),
        }
    }

    /// Folders that features are kept in: of the frames, and of pictures of the optical flow if they are read.
    pub fn folders(&self) -> Vec<PathBuf> {
        let flow = self.second.as_ref().and_then(SecondReader::network);
        let own = match &self.network {
            Network::Frames(network) => network.embedder.folder(),
            Network::Clips(network) => network.folder(),
        };
        let flow = flow.map(|network| network.embedder.folder());
        let folders = [Some(own), flow].into_iter().flatten();
        folders.map(Path::to_owned).collect()
    }

    /// Clips that are labelled as a whole; those that cannot be read are complaints.
    ///
    /// # Errors
    ///
    /// [`VideoReaderError`] if the network fails, or no clip of a class can be read.
    pub fn clips(&self, clips: &[ClipFile], part: &str) -> Result<Videos, VideoReaderError> {
        let videos = self.read(clips, part, |clip| {
            let (features, times_ms) = self.file(&clip.path)?;
            let features = self.with_second(features, part, &clip.name)?;
            Ok(Read {
                name: clip.name.clone(),
                labels: vec![Some(clip.violent); features.len()],
                features,
                times_ms: Some(times_ms),
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
        let black = match &self.network {
            Network::Frames(network) => network.embedder.embed_black()?,
            Network::Clips(_) => Vec::new(),
        };
        self.read(videos, part, |video| {
            let (features, times_ms) = match (&video.video, video.files.is_empty()) {
                (Some(file), true) => {
                    let (features, times_ms) = self.file(file)?;
                    (features, Some(times_ms))
                }
                // Videos of several parts may have one name.
                _ => {
                    let kept_as = format!("{part}-{}", video.id);
                    (self.pictures(video, &kept_as, &black)?, None)
                }
            };
            let features = self.with_second(features, part, &video.id)?;
            let labels = match video.labels.is_empty() {
                true => vec![None; features.len()],
                false => video.labels.clone(),
            };
            Ok(Read {
                name: video.id.clone(),
                labels,
                features,
                times_ms,
            })
        })
    }

    fn read<T>(
        &self,
        items: &[T],
        part: &str,
        read: impl Fn(&T) -> Result<Read, SkipError>,
    ) -> Result<Videos, VideoReaderError> {
        self.expect_readable()?;
        let total = Some(items.len() as u64);
        self.observer
            .begin(&format!("features of {part}"), "videos", total);
        if let Some(second) = &self.second {
            second.warn(&*self.observer);
        }
        let mut videos = Videos::default();
        for (place, item) in items.iter().enumerate() {
            match read(item).map_err(SkipError::into_failure) {
                Ok(video) => videos.push(place, video, self.frames_per_second)?,
                Err(Ok(failure)) => return Err(failure),
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

    /// Confirms that the network gives what is to be read.
    fn expect_readable(&self) -> Result<(), VideoReaderError> {
        let Network::Clips(network) = &self.network else {
            return Ok(());
        };
        let what = match (&self.second, self.mirrored) {
            (Some(_), _) => "a second stream beside them",
            (None, true) => "their mirror images",
            (None, false) => return Ok(()),
        };
        let backbone = network.name();
        Err(VideoReaderError::OverClips { backbone, what })
    }

    fn file(&self, path: &Path) -> Result<(WindowFeatures, Vec<f64>), SkipError> {
        let network = match &self.network {
            Network::Frames(network) => network,
            Network::Clips(network) => return self.clips_of_file(network, path),
        };
        let embed = |mirrored| {
            let video = network.embedder.embed_video(path, mirrored);
            video.map_err(|error| SkipError::File {
                path: path.to_owned(),
                error,
            })
        };
        let video = embed(false)?;
        if let Some(complaint) = &video.complaint {
            self.complain_of(path, complaint);
        }
        let mut features = FrameFeatures::new(video.rows);
        if self.mirrored {
            features = features.with_mirrored(embed(true)?.rows)?;
        }
        Ok((features.into(), video.times_ms))
    }

    /// Features of the clips of a video file, and when its frames are displayed.
    fn clips_of_file(
        &self,
        network: &Arc<ClipEmbedder>,
        path: &Path,
    ) -> Result<(WindowFeatures, Vec<f64>), SkipError> {
        let skip = |error| SkipError::File {
            path: path.to_owned(),
            error,
        };
        let (times_ms, complaint) = read_times(path).map_err(|error| skip(error.into()))?;
        match (times_ms.is_empty(), complaint) {
            (true, reason) => {
                let reason = reason.unwrap_or_else(|| "the video is empty".to_owned());
                return Err(skip(EmbedVideoError::Empty { reason }));
            }
            (false, Some(complaint)) => self.complain_of(path, &complaint),
            (false, None) => {}
        }
        let source = ClipSource::Video(path.to_owned());
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let features = ClipFeatures::new(network.clone(), source, times_ms.len(), &stem);
        Ok((features.into(), times_ms))
    }

    fn complain_of(&self, path: &Path, complaint: &str) {
        let path = path.display();
        self.observer
            .complain(&format_args!("`{path}`: {complaint}"));
    }

    /// Features of the picture files of a video.
    fn pictures(
        &self,
        video: &DvdVideo,
        kept_as: &str,
        black: &[f32],
    ) -> Result<WindowFeatures, SkipError> {
        match &self.network {
            Network::Frames(network) => {
                let reader = PictureReader {
                    embedder: &network.embedder,
                    observer: &*self.observer,
                    mirrored: self.mirrored,
                };
                let features = reader.read(video, video.len(), kept_as, black)?;
                Ok(features.into())
            }
            Network::Clips(_) if video.is_empty() => Err(SkipError::NoFrames {
                name: video.id.clone(),
            }),
            Network::Clips(network) => {
                let source = ClipSource::Pictures(video.clone());
                let features = ClipFeatures::new(network.clone(), source, video.len(), kept_as);
                Ok(features.into())
            }
        }
    }

    /// The features with a second stream behind them, where one is read.
    fn with_second(
        &self,
        features: WindowFeatures,
        part: &str,
        name: &str,
    ) -> Result<WindowFeatures, SkipError> {
        let (features, reader) = match (features, &self.second) {
            (WindowFeatures::Frames(features), Some(reader)) => (features, reader),
            (features, _) => return Ok(features),
        };
        let frames = features.len();
        let video = Of { name, part, frames };
        let second = reader.read(video, self.mirrored, &*self.observer)?;
        Ok(features.with_second(second).into())
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
            times_ms,
        } = video;
        let sampled = sample(&name, labels.len(), times_ms.as_deref(), frames_per_second)?;
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

/// Which frames of a video are read. Where there are more frames than times, the last interval goes on.
pub(super) fn sample(
    name: &str,
    frames: usize,
    times_ms: Option<&[f64]>,
    frames_per_second: Option<f32>,
) -> Result<Vec<usize>, VideoReaderError> {
    match (times_ms, frames_per_second) {
        (_, None) => Ok((0..frames).collect()),
        (Some(times_ms), Some(_)) => {
            let times: Vec<f64> = prolong(times_ms).take(frames).collect();
            Ok(sampled_frames(&times, frames_per_second))
        }
        (None, Some(_)) => Err(VideoReaderError::NoRate {
            name: name.to_owned(),
        }),
    }
}

/// The times, and times beyond them at the last interval.
fn prolong(times_ms: &[f64]) -> impl Iterator<Item = f64> {
    let last = times_ms.last().copied().unwrap_or_default();
    let before = times_ms.iter().rev().nth(1);
    let interval = before.map_or(USUAL_INTERVAL_MS, |before| last - before);
    let beyond = (1..).map(move |step: u32| last + interval * f64::from(step));
    times_ms.iter().copied().chain(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_sampled_by_their_own_times() {
        let paused = [0.0, 40.0, 80.0, 60_000.0, 60_040.0, 60_500.0];
        let sampled = sample("a", 6, Some(&paused), Some(2.0)).expect("has times");
        assert_eq!(sampled, [0, 3, 5]);
        let sampled = sample("a", 8, Some(&[0.0, 500.0]), Some(2.0)).expect("has times");
        assert_eq!(
            sampled,
            [0, 1, 2, 3, 4, 5, 6, 7],
            "the last interval goes on"
        );
        assert_eq!(sample("a", 2, None, None).expect("all"), [0, 1]);
        assert!(sample("a", 2, None, Some(8.0)).is_err());
    }
}
