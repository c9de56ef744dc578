//! Reads the second stream of videos: a file of skeletons or a folder of pictures of the optical flow for each.

use std::path::{Path, PathBuf};

use super::{
    FrameFeatures, SecondFeatures,
    embedded::{CachingEmbedder, PictureReader},
    second_error::SecondStreamError,
    skip::SkipError,
};
use crate::{DvdVideo, FeatureRows, FolderError, Observer, Part, SkeletonRows, dvd::frame_files};
use affectlens::{device::OpenedDevice, head::SecondStream, weights::Weights};

/// Reads the second stream of videos.
///
/// Skeletons of a video are `DIR/ID.npy`, pictures of its flow `DIR/ID/1.jpg`, numbered like its frames, where `ID` is the
/// name of the video, for clips `CLASS/NAME`. Below `DIR` there may be a folder for each part, as in the data set.
#[derive(Debug)]
pub struct SecondReader {
    source: Source,
    /// Without, all videos lack the stream.
    folder: Option<PathBuf>,
    is_strict: bool,
}

#[derive(Debug)]
enum Source {
    Skeletons,
    Flow {
        network: Box<CachingEmbedder>,
        /// Features of a black picture, which stands for a flow that is not there.
        black: Vec<f32>,
    },
}

/// A video whose second stream is read.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    /// What messages call it.
    pub(super) name: &'a str,
    /// `training`, `validation` or another part of a data set.
    pub(super) part: &'a str,
    pub(super) frames: usize,
}

impl SecondReader {
    /// Reads skeletons. A video without any has nobody in it, if that is not an error (`is_strict`).
    pub fn skeletons(folder: Option<PathBuf>, is_strict: bool) -> Self {
        Self {
            source: Source::Skeletons,
            folder,
            is_strict,
        }
    }

    /// Reads features of pictures of the optical flow with a backbone on a device; they are kept below `cache`. Those of a
    /// video without any pictures are those of black ones, if that is not an error.
    ///
    /// # Errors
    ///
    /// [`SecondStreamError::Backbone`] if the weights do not fit, [`SecondStreamError::Width`] if the heads read other
    /// features, [`SecondStreamError::Embed`] if the network fails.
    pub fn flow(
        folder: Option<PathBuf>,
        is_strict: bool,
        (backbone, weights): (&str, &Weights),
        device: OpenedDevice,
        cache: &Path,
    ) -> Result<Self, SecondStreamError> {
        let network = CachingEmbedder::open(backbone, weights, device, cache)?;
        let (expected, got) = (SecondStream::Flow.width(), network.embedder.facts().width);
        if got != expected {
            return Err(SecondStreamError::Width {
                backbone: backbone.to_owned(),
                expected,
                got,
            });
        }
        let black = network.embedder.embed_black()?;
        Ok(Self {
            source: Source::Flow {
                network: Box::new(network),
                black,
            },
            folder,
            is_strict,
        })
    }

    /// What it reads.
    pub fn stream(&self) -> SecondStream {
        match self.source {
            Source::Skeletons => SecondStream::Skeletons,
            Source::Flow { .. } => SecondStream::Flow,
        }
    }

    /// All that the stream depends on besides what its files hold.
    pub fn key(&self) -> String {
        let folder = self.folder.as_deref().unwrap_or(Path::new("none"));
        let folder = folder.display();
        match &self.source {
            Source::Skeletons => format!("skeletons {folder}"),
            Source::Flow { network, .. } => format!("optical flow {} {folder}", network.key),
        }
    }

    /// The network that embeds pictures of the flow.
    pub(super) fn network(&self) -> Option<&CachingEmbedder> {
        match &self.source {
            Source::Skeletons => None,
            Source::Flow { network, .. } => Some(network),
        }
    }

    /// The stream of a video; what is missing or broken is a complaint where it is no error.
    pub(super) fn read(
        &self,
        video: Of<'_>,
        mirrored: bool,
        observer: &dyn Observer,
    ) -> Result<SecondFeatures, SkipError> {
        match self.try_read(video, mirrored, observer) {
            Err(SkipError::Second(error)) if !self.is_strict => {
                // Of all videos alike, which has been said.
                if !matches!(error, SecondStreamError::NoFolder { .. }) {
                    observer.complain(&format_args!("{error}; {} instead", self.stand_in_name()));
                }
                Ok(self.stand_in())
            }
            other => other,
        }
    }

    /// Says if all videos lack the stream.
    pub(super) fn warn(&self, observer: &dyn Observer) {
        if self.folder.is_none() && !self.is_strict {
            let (stream, instead) = (self.stream().name(), self.stand_in_name());
            observer.complain(&format_args!(
                "no folder with {stream} was given; {instead} instead"
            ));
        }
    }

    fn try_read(
        &self,
        video: Of<'_>,
        mirrored: bool,
        observer: &dyn Observer,
    ) -> Result<SecondFeatures, SkipError> {
        let stream = self.stream().name();
        let Some(folder) = &self.folder else {
            return Err(SecondStreamError::NoFolder { stream }.into());
        };
        let folder = part_folder(folder, video.part).map_err(SecondStreamError::from)?;
        let path = folder.join(without_extension(video.name));
        let missing = |path: PathBuf| SecondStreamError::Missing {
            video: video.name.to_owned(),
            stream,
            path,
        };
        match &self.source {
            Source::Skeletons => {
                let path = PathBuf::from(format!("{}.npy", path.display()));
                match path.exists() {
                    true => Ok(SkeletonRows::read(&path)
                        .map_err(SecondStreamError::from)?
                        .into()),
                    false => Err(missing(path).into()),
                }
            }
            Source::Flow { network, black } => {
                let flow = DvdVideo {
                    id: video.name.to_owned(),
                    labels: Vec::new(),
                    files: frame_files(&path).map_err(SecondStreamError::from)?,
                    video: None,
                };
                if flow.files.is_empty() {
                    return Err(missing(path.join("1.jpg")).into());
                }
                let reader = PictureReader {
                    embedder: &network.embedder,
                    observer,
                    mirrored,
                };
                let name = without_extension(video.name).replace(['/', '\\'], "-");
                let kept_as = format!("flow-{}-{name}", video.part);
                let features = reader.read(&flow, video.frames, &kept_as, black)?;
                Ok(SecondFeatures::Flow(Box::new(features)))
            }
        }
    }

    /// What stands for a stream that is not there.
    fn stand_in(&self) -> SecondFeatures {
        match &self.source {
            Source::Skeletons => SkeletonRows::nobody().into(),
            Source::Flow { black, .. } => {
                let none = FeatureRows::new(black.len());
                let features = FrameFeatures::with_places(none, vec![None], black.clone());
                SecondFeatures::Flow(Box::new(features.expect("no rows have any width")))
            }
        }
    }

    fn stand_in_name(&self) -> &'static str {
        match self.source {
            Source::Skeletons => "zeros",
            Source::Flow { .. } => "black pictures",
        }
    }
}

/// The folder of a part, or the folder itself if there is none.
fn part_folder(folder: &Path, part: &str) -> Result<PathBuf, FolderError> {
    let parts = [Part::Training, Part::Validation];
    let found = match parts.into_iter().find(|it| it.purpose() == part) {
        Some(part) => part.folder(folder)?,
        None => None,
    };
    Ok(found.unwrap_or_else(|| folder.to_owned()))
}

/// The name of a clip without that of its format; ids of DVD's videos have none, but may have dots.
fn without_extension(name: &str) -> &str {
    match name.contains('/') {
        true => name.rsplit_once('.').map_or(name, |(stem, _)| stem),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        observer::Complaints,
        skeletons::tests::{file, header},
    };

    fn first(second: &SecondFeatures) -> f32 {
        second.clip(&[0], &mut || false)[0]
    }

    #[test]
    fn skeletons_are_found_by_part_class_and_name() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let write = |name: &str, value: f32| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
            fs::write(path, file(&header(1), &[value; 406])).expect("temporary file");
        };
        write("training/a.b.npy", 1.0);
        write("val/a.b.npy", 2.0);
        write("fight/1.npy", 3.0);
        let reader = SecondReader::skeletons(Some(folder.path().to_owned()), true);
        let read = |name, part| {
            let video = Of {
                name,
                part,
                frames: 1,
            };
            reader.read(video, false, &())
        };
        let value = |name, part| first(&read(name, part).expect("is there"));
        assert_eq!(value("a.b", "training"), 1.0);
        assert_eq!(value("a.b", "validation"), 2.0);
        assert_eq!(value("fight/1.mp4", "test"), 3.0);
        let error = read("c", "validation").expect_err("is not there");
        let expected = folder.path().join("val/c.npy");
        let expected = format!(
            "video `c` has no skeletons: expected `{}`",
            expected.display()
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn what_is_missing_or_broken_is_nobody_unless_that_is_an_error() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::write(folder.path().join("b.npy"), b"no file").expect("temporary file");
        let read = |folder: Option<&Path>, name, is_strict, observer: &dyn Observer| {
            let reader = SecondReader::skeletons(folder.map(Path::to_owned), is_strict);
            reader.warn(observer);
            let video = Of {
                name,
                part: "test",
                frames: 5,
            };
            reader.read(video, false, observer)
        };
        for (folder, name, complaint) in [
            (
                None,
                "a",
                "no folder with skeletons was given; zeros instead",
            ),
            (Some(folder.path()), "a", "a.npy`; zeros instead"),
            (Some(folder.path()), "b", "; zeros instead"),
        ] {
            let complaints = Complaints::default();
            let second = read(folder, name, false, &complaints).expect("zeros");
            assert_eq!(second, SkeletonRows::nobody().into());
            let complaints = complaints.0.take();
            assert!(
                complaints.len() == 1 && complaints[0].ends_with(complaint),
                "{complaints:?}"
            );
            read(folder, name, true, &()).expect_err("is not there");
        }
    }
}
