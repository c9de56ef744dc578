//! Videos with labels, as features of a backbone's frames.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{DeviceOption, WeightsOptions, embedder::Embedder, progress::progress, sources::Video};
use affectlens::{
    crop::resize,
    frame::Frame,
    weights::{Weights, cache_dir, sha256},
    windowing::sampled_frames,
};
use affectlens_data::{
    ClipFile, ClipFolders, Dvd, DvdVideo, FeatureRows, Part, picture::read_picture,
};
use affectlens_train::{FrameFeatures, LabelledVideo, VideoData};

/// Reads videos as features of their frames.
pub(super) struct VideoReader {
    embedder: Embedder,
    weights: Weights,
    /// Frames a second that are looked at; all without.
    pub(super) frames_per_second: Option<f32>,
    /// Whether features of mirror images are read too.
    pub(super) mirrored: bool,
}

/// Videos that could be read.
#[derive(Default)]
pub(super) struct Videos {
    pub(super) data: VideoData,
    /// Frames of each before the sampling, and which of them were looked at.
    pub(super) frames: Vec<(usize, Vec<usize>)>,
    /// Labels before the sampling.
    pub(super) labels: Vec<Vec<Option<bool>>>,
    /// Index of each in the list that was asked for.
    pub(super) places: Vec<usize>,
    pub(super) skipped: usize,
}

impl VideoReader {
    /// A backbone by name, from a folder with weights files.
    pub(super) fn open(
        backbone: &str,
        folder: Option<PathBuf>,
        device: DeviceOption,
    ) -> Result<Self> {
        let options = WeightsOptions {
            folder,
            backbone: backbone.to_owned(),
        };
        let weights = options.read(backbone)?;
        let metadata = &weights.metadata;
        let key = format!("{} {}", metadata.architecture, metadata.source_sha256);
        let name = format!("{backbone}-{}", &sha256(key.as_bytes())[..12]);
        let folder = cache_dir().join("features").join(name);
        let embedder = Embedder::load(backbone, &weights, device.open()?, folder)?;
        Ok(Self {
            embedder,
            weights,
            frames_per_second: None,
            mirrored: false,
        })
    }

    /// The backbone's weights.
    pub(super) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Clips that are labelled as a whole.
    pub(super) fn clips(&self, clips: &[ClipFile], part: &str) -> Result<Videos> {
        self.read(clips, part, |clip| {
            let (features, rate) = self.file(&clip.path)?;
            let labels = vec![Some(clip.violent); features.len()];
            Ok((clip.name.clone(), labels, features, Some(rate)))
        })
    }

    /// Videos of DVD, from their frames where there are some, else from the video file.
    pub(super) fn dvd(&self, videos: &[DvdVideo], part: &str) -> Result<Videos> {
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
            Ok((video.id.clone(), labels, features, rate))
        })
    }

    fn read<T>(
        &self,
        items: &[T],
        part: &str,
        read: impl Fn(&T) -> Result<(String, Vec<Option<bool>>, FrameFeatures, Option<f64>)>,
    ) -> Result<Videos> {
        let doing = format!("features of {part}");
        let bar = progress(&doing, "videos", Some(items.len() as u64));
        let mut videos = Videos::default();
        for (place, item) in items.iter().enumerate() {
            match read(item) {
                Ok((name, labels, features, rate)) => {
                    let rate = match (rate, self.frames_per_second) {
                        (None, Some(_)) => bail!("{}", no_rate(&name)),
                        (rate, _) => rate.unwrap_or(1.0),
                    };
                    let sampled = sampled_frames(labels.len(), rate, self.frames_per_second);
                    let video = LabelledVideo {
                        name,
                        labels: sampled.iter().map(|frame| labels[*frame]).collect(),
                    };
                    videos.data.push(video, features.select(&sampled))?;
                    videos.frames.push((labels.len(), sampled));
                    videos.labels.push(labels);
                    videos.places.push(place);
                }
                Err(error) => {
                    bar.suspend(|| eprintln!("affectlens: skipped {error:#}"));
                    videos.skipped += 1;
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        if videos.places.is_empty() {
            bail!("none of the {} videos of {part} can be read", items.len());
        }
        Ok(videos)
    }

    fn file(&self, path: &Path) -> Result<(FrameFeatures, f64)> {
        let video = self.embedder.embed_video(path, false)?;
        if let Some(complaint) = &video.complaint {
            eprintln!("affectlens: `{}`: {complaint}", path.display());
        }
        let mut features = FrameFeatures::new(video.rows);
        if self.mirrored {
            features = features.with_mirrored(self.embedder.embed_video(path, true)?.rows)?;
        }
        Ok((features, video.rate))
    }

    /// Every picture once: a frame without one of its own takes the nearest.
    fn pictures(&self, video: &DvdVideo, black: &[f32]) -> Result<FrameFeatures> {
        let paths: Vec<PathBuf> = video.files.iter().map(|(_, path)| path.clone()).collect();
        let embed = |mirrored| -> Result<(FeatureRows, Vec<Option<usize>>)> {
            let embedded = self.embedder.embed_frames(&video.id, &paths, mirrored)?;
            if !mirrored {
                for failure in &embedded.failures {
                    eprintln!(
                        "affectlens: frame `{}` cannot be read: {}",
                        failure.path.display(),
                        failure.reason
                    );
                }
            }
            let mut rows = FeatureRows::new(self.embedder.width());
            let mut places = Vec::with_capacity(paths.len());
            for row in embedded.rows {
                places.push(row.is_some().then_some(rows.len()));
                if let Some(row) = row {
                    rows.push(&row)?;
                }
            }
            Ok((rows, places))
        };
        let (rows, places) = embed(false)?;
        if video.is_empty() {
            bail!("video `{}` has no frames", video.id);
        }
        let rows_of: HashMap<&Path, Option<usize>> =
            paths.iter().map(PathBuf::as_path).zip(places).collect();
        let of_frame = |frame| *rows_of.get(video.file(frame)?)?;
        let places = (0..video.len()).map(of_frame).collect();
        let features = FrameFeatures::with_places(rows, places, black.to_vec())?;
        match self.mirrored {
            true => Ok(features.with_mirrored(embed(true)?.0)?),
            false => Ok(features),
        }
    }
}

/// Videos as pictures, read again for each clip.
pub(super) struct Pictures {
    /// One label a frame that is looked at.
    pub(super) videos: Vec<LabelledVideo>,
    /// Where they come from, and which frames are looked at.
    sources: Vec<(PictureSource, Vec<usize>)>,
    side: u32,
}

enum PictureSource {
    Files(DvdVideo),
    Video(PathBuf),
}

impl Pictures {
    fn new(side: u32) -> Self {
        Self {
            videos: Vec::new(),
            sources: Vec::new(),
            side,
        }
    }

    /// `labels` says those of so many frames; a video that cannot be read is left out.
    fn push(
        &mut self,
        name: &str,
        source: PictureSource,
        labels: impl FnOnce(usize) -> Vec<Option<bool>>,
        frames_per_second: Option<f32>,
    ) -> Result<()> {
        let (frames, rate) = match &source {
            PictureSource::Files(video) => {
                if frames_per_second.is_some() {
                    bail!("{}", no_rate(name));
                }
                (video.len(), 1.0)
            }
            PictureSource::Video(path) => match count_frames(path) {
                Ok(counted) => counted,
                Err(error) => {
                    eprintln!("affectlens: skipped `{}`: {error:#}", path.display());
                    return Ok(());
                }
            },
        };
        let labels = labels(frames);
        let sampled = sampled_frames(labels.len(), rate, frames_per_second);
        self.videos.push(LabelledVideo {
            name: name.to_owned(),
            labels: sampled.iter().map(|frame| labels[*frame]).collect(),
        });
        self.sources.push((source, sampled));
        Ok(())
    }

    /// Some frames of a video, squashed to the side of the backbone's input; `None` where one cannot be read.
    pub(super) fn frames(&self, video: usize, frames: &[usize]) -> Result<Vec<Option<Frame>>> {
        let (source, sampled) = &self.sources[video];
        let frames: Vec<usize> = frames.iter().map(|frame| sampled[*frame]).collect();
        Ok(match source {
            PictureSource::Files(video) => {
                let read = |frame: &usize| {
                    let picture = read_picture(video.file(*frame)?).ok()?;
                    Some(resize(&picture, self.side))
                };
                frames.iter().map(read).collect()
            }
            PictureSource::Video(path) => {
                let last = frames.iter().max().copied().unwrap_or_default();
                let mut read: HashMap<usize, Frame> = HashMap::new();
                let mut video = Video::open(path)?;
                for number in 0..=last {
                    let Ok(Some(frame)) = video.next_frame() else {
                        break;
                    };
                    if frames.contains(&number) {
                        read.insert(number, resize(&frame, self.side));
                    }
                }
                frames
                    .iter()
                    .map(|frame| read.get(frame).cloned())
                    .collect()
            }
        })
    }
}

fn no_rate(name: &str) -> String {
    format!(
        "frames of `{name}` are pictures, whose rate nobody knows; --frames-per-second takes video files"
    )
}

fn count_frames(path: &Path) -> Result<(usize, f64)> {
    let mut video = Video::open(path)?;
    let mut count = 0;
    while let Ok(Some(_)) = video.next_frame() {
        count += 1;
    }
    if count == 0 {
        bail!("no frame can be read");
    }
    Ok((count, video.rate))
}

/// What is trained on and what the epoch is chosen on.
pub(super) enum Source {
    /// Folders of clips.
    Clips(ClipFolders),
    /// DVD.
    Dvd(Dvd),
}

impl Source {
    /// From `--data` or `--dvd`.
    pub(super) fn open(data: Option<&Path>, dvd: Option<&Path>) -> Result<Self> {
        match (data, dvd) {
            (Some(folder), None) => Ok(Self::Clips(ClipFolders::read(folder)?)),
            (None, Some(root)) => Ok(Self::Dvd(Dvd::new(root))),
            _ => bail!("expected either --data DIR or --dvd ROOT"),
        }
    }

    /// Training videos, and validation videos where there are some.
    pub(super) fn parts(&self, reader: &VideoReader) -> Result<[Videos; 2]> {
        let [training, validation] = ["training", "validation"];
        Ok(match self {
            Self::Clips(ClipFolders::Parts([train, validate])) => [
                reader.clips(train, training)?,
                reader.clips(validate, validation)?,
            ],
            Self::Clips(ClipFolders::Whole(clips)) => {
                [reader.clips(clips, training)?, Videos::default()]
            }
            Self::Dvd(dvd) => [
                reader.dvd(&dvd.read(Part::Training)?, training)?,
                reader
                    .dvd(&dvd.read(Part::Validation)?, validation)
                    .context("DVD's validation part")?,
            ],
        })
    }

    /// The same parts as pictures.
    pub(super) fn pictures(
        &self,
        side: u32,
        frames_per_second: Option<f32>,
    ) -> Result<[Pictures; 2]> {
        let of_clips = |clips: &[ClipFile]| -> Result<Pictures> {
            let mut pictures = Pictures::new(side);
            for clip in clips {
                let source = PictureSource::Video(clip.path.clone());
                let labels = |frames| vec![Some(clip.violent); frames];
                pictures.push(&clip.name, source, labels, frames_per_second)?;
            }
            Ok(pictures)
        };
        let of_dvd = |dvd: &Dvd, part| -> Result<Pictures> {
            let mut pictures = Pictures::new(side);
            for video in dvd.read(part)? {
                let (name, known) = (video.id.clone(), video.labels.clone());
                let source = match (&video.video, video.files.is_empty()) {
                    (Some(file), true) => PictureSource::Video(file.clone()),
                    _ => PictureSource::Files(video),
                };
                let labels = |frames| match known.is_empty() {
                    true => vec![None; frames],
                    false => known,
                };
                pictures.push(&name, source, labels, frames_per_second)?;
            }
            Ok(pictures)
        };
        match self {
            Self::Clips(ClipFolders::Parts([train, validate])) => {
                Ok([of_clips(train)?, of_clips(validate)?])
            }
            Self::Clips(ClipFolders::Whole(clips)) => Ok([of_clips(clips)?, Pictures::new(side)]),
            Self::Dvd(dvd) => Ok([of_dvd(dvd, Part::Training)?, of_dvd(dvd, Part::Validation)?]),
        }
    }
}
