//! Aff-Wild2 as the ABAW challenges hand it out: annotation trees, cropped faces, submission files.

mod annotation;
mod crops;
mod features;
mod libreface;
mod sound;
mod submission;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

use crate::{EmbedSoundError, ExtractionError, FeatureError, Part, folder::entries};

pub use annotation::{FrameLabel, parse_annotations};
pub use crops::CropReader;
pub use features::{Keep, VideoFeatures, VideoRows};
pub use libreface::{LibreFace, LibreFaceCounts};
pub use sound::{SoundCounts, SoundReader, VideoFiles};
pub use submission::{SampleList, SampleVideo, SubmissionRow};

/// The data set's root folder, with `cropped/` and one annotation tree a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffWild2 {
    root: PathBuf,
}

/// The annotated videos of one task and part.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnotatedVideos<L> {
    /// By name.
    pub videos: Vec<AnnotatedVideo<L>>,
    /// What was found and left out.
    pub counts: FrameCounts,
}

/// One video: which frames show a face, and which of those have a valid label.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnotatedVideo<L> {
    /// Name of its crop folder; ends in `_left` or `_right` where the video shows two persons.
    pub name: String,
    /// Numbers of the frames with a crop, ascending, from 1.
    pub crops: Vec<usize>,
    /// Frame number and label where the label is valid and the crop exists, ascending.
    pub labels: Vec<(usize, L)>,
    /// Frame number and label where the label is valid and there is no crop, ascending.
    pub unseen: Vec<(usize, L)>,
}

/// Frames of a task and part, counted as the publications count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FrameCounts {
    /// Annotation files.
    pub videos: usize,
    /// Frames with a valid label and a crop: what is trained on and scored.
    pub usable: usize,
    /// Frames with a valid label but no crop.
    pub missing_crops: usize,
    /// Frames whose label is marked invalid.
    pub invalid_labels: usize,
    /// Videos of which no frame has a crop.
    pub videos_without_crops: usize,
}

/// Why Aff-Wild2 cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AffWild2Error {
    /// A file or folder cannot be read or written.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A folder of the layout is not there.
    #[error("Aff-Wild2 folder `{}` has no `{folder}`, expected {expected}", root.display())]
    Layout {
        /// The root.
        root: PathBuf,
        /// What is missing.
        folder: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// The features of a crop cannot be kept.
    #[error("video `{video}`: {error}")]
    Feature {
        /// The video.
        video: String,
        /// What is wrong.
        error: FeatureError,
    },
    /// Features cannot be computed or cached.
    #[error(transparent)]
    Extraction(#[from] ExtractionError),
    /// Sound cannot be embedded.
    #[error(transparent)]
    Sound(#[from] EmbedSoundError),
    /// The videos, which have the sound, are not there.
    #[error("there are no videos in {folders}, expected VIDEO.mp4 for cropped/VIDEO")]
    Videos {
        /// Where they were looked for.
        folders: String,
    },
    /// Two files could be the same video.
    #[error("`{}` and `{}` are both named after video `{name}`, expected one of them", paths[0].display(), paths[1].display())]
    SameVideo {
        /// Name of the video.
        name: String,
        /// The files.
        paths: [PathBuf; 2],
    },
    /// A line cannot be understood.
    #[error("`{}` line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What was expected and what came.
        reason: String,
    },
}

impl AffWild2 {
    /// Names the root; folders are looked for when they are needed.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error::Layout`] if there is no `cropped` folder.
    pub fn open(root: &Path) -> Result<Self, AffWild2Error> {
        let tree = Self {
            root: root.to_owned(),
        };
        tree.folder(
            "cropped",
            "the organisers' face crops, cropped/VIDEO/00001.jpg",
        )?;
        Ok(tree)
    }

    /// Reads the annotations of a task and looks which frames have a crop.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error`] for a missing folder or a malformed file.
    pub fn read<L: FrameLabel>(&self, part: Part) -> Result<AnnotatedVideos<L>, AffWild2Error> {
        let folder = self.folder(
            &format!("{}/{}", L::TREE, Self::part_folder(part)),
            "annotation files VIDEO.txt",
        )?;
        let mut videos = Vec::new();
        let mut counts = FrameCounts::default();
        for path in list(&folder)? {
            let Some(name) = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_suffix(".txt"))
            else {
                continue;
            };
            let text = std::fs::read_to_string(&path).map_err(|error| at(&path, error))?;
            let lines = parse_annotations::<L>(&text, &path)?;
            let crops = self.crops(name)?;
            let has_crop: BTreeSet<usize> = crops.iter().copied().collect();
            let (mut labels, mut unseen) = (Vec::new(), Vec::new());
            for (frame, label) in (1..).zip(lines) {
                match label {
                    None => counts.invalid_labels += 1,
                    Some(label) if has_crop.contains(&frame) => labels.push((frame, label)),
                    Some(label) => unseen.push((frame, label)),
                }
            }
            counts.videos += 1;
            counts.usable += labels.len();
            counts.missing_crops += unseen.len();
            counts.videos_without_crops += usize::from(crops.is_empty());
            videos.push(AnnotatedVideo {
                name: name.to_owned(),
                crops,
                labels,
                unseen,
            });
        }
        if videos.is_empty() {
            return Err(AffWild2Error::Layout {
                root: folder,
                folder: "*.txt".to_owned(),
                expected: "annotation files VIDEO.txt",
            });
        }
        Ok(AnnotatedVideos { videos, counts })
    }

    /// Name of the folder of a part's annotations.
    pub fn part_folder(part: Part) -> &'static str {
        match part {
            Part::Training => "Train_Set",
            Part::Validation => "Validation_Set",
        }
    }

    /// Numbers of a video's frames that have a crop, ascending; none where the folder is missing.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error::Io`] if the folder cannot be listed.
    pub fn crops(&self, video: &str) -> Result<Vec<usize>, AffWild2Error> {
        let folder = self.root.join("cropped").join(video);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let number = |path: PathBuf| {
            let digits = path.file_name()?.to_str()?.strip_suffix(".jpg")?;
            let number: usize = digits.parse().ok().filter(|number| *number > 0)?;
            // Anything else would not be found again under its number.
            (crop_name(number) == format!("{digits}.jpg")).then_some(number)
        };
        let mut numbers: Vec<usize> = list(&folder)?.into_iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// File of a crop, whether it exists or not.
    pub fn crop_path(&self, video: &str, frame: usize) -> PathBuf {
        self.root.join("cropped").join(video).join(crop_name(frame))
    }

    fn folder(&self, name: &str, expected: &'static str) -> Result<PathBuf, AffWild2Error> {
        let folder = self.root.join(name);
        if folder.is_dir() {
            return Ok(folder);
        }
        Err(AffWild2Error::Layout {
            root: self.root.clone(),
            folder: name.to_owned(),
            expected,
        })
    }
}

/// `00001.jpg`; numbers from 100000 on have more digits.
fn crop_name(frame: usize) -> String {
    format!("{frame:05}.jpg")
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, AffWild2Error> {
    entries(folder).map_err(|error| at(folder, error))
}

fn at(path: &Path, error: std::io::Error) -> AffWild2Error {
    AffWild2Error::Io {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
        std::fs::write(path, text).expect("temporary file");
    }

    #[test]
    fn invalid_labels_and_missing_crops_are_counted_apart() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path();
        for frame in [1, 2, 3, 5, 100_000] {
            write(root, &format!("cropped/a_left/{}", crop_name(frame)), "");
        }
        write(root, "cropped/a_left/7.jpg", "");
        write(root, "cropped/a_left/notes.txt", "");
        let tree = "EXPR_Recognition_Challenge/Train_Set";
        write(root, &format!("{tree}/a_left.txt"), "h\n0\n-1\n7\n3\n-1\n");
        write(root, &format!("{tree}/b.txt"), "h\n2\n");
        let found = AffWild2::open(root)
            .and_then(|tree| tree.read::<usize>(Part::Training))
            .expect("a valid tree");
        assert_eq!(
            found.counts,
            FrameCounts {
                videos: 2,
                usable: 2,
                missing_crops: 2,
                invalid_labels: 2,
                videos_without_crops: 1
            }
        );
        assert_eq!(found.videos[0].crops, [1, 2, 3, 5, 100_000]);
        assert_eq!(found.videos[0].labels, [(1, 0), (3, 7)]);
        assert_eq!(found.videos[0].unseen, [(4, 3)]);
    }

    #[test]
    fn missing_folders_are_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let error = AffWild2::open(folder.path()).expect_err("no crops");
        assert!(error.to_string().contains("has no `cropped`"), "{error}");
        std::fs::create_dir(folder.path().join("cropped")).expect("temporary folder");
        let tree = AffWild2::open(folder.path()).expect("crops are there");
        let error = tree
            .read::<[f32; 2]>(Part::Validation)
            .expect_err("no annotations");
        assert!(
            error
                .to_string()
                .contains("has no `VA_Estimation_Challenge/Validation_Set`"),
            "{error}"
        );
    }
}
