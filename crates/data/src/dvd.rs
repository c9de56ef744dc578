//! DVD, the violence data set of the ABAW challenge: frames or videos, a label for each frame, submission files.

mod annotation;
mod submission;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{
    Part,
    folder::{FolderError, entries},
};

pub use annotation::{parse_frame_labels, parse_template};
pub use submission::{submission_csv, write_submission};

/// Extensions of frame files.
const FRAMES: [&str; 3] = ["jpg", "jpeg", "png"];

/// The data set's root, with `Training` and `Validation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dvd {
    root: PathBuf,
}

/// One video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DvdVideo {
    /// Name of its folder of frames, and of its annotation file.
    pub id: String,
    /// Whether each frame shows violence; `None` for frames that are not labelled, empty without annotations.
    pub labels: Vec<Option<bool>>,
    /// Number, from 1, and file of the frames that exist, ascending.
    pub files: Vec<(usize, PathBuf)>,
    /// The video file, where there is one.
    pub video: Option<PathBuf>,
}

/// Why DVD cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DvdError {
    /// A file or folder cannot be read or written.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The root is no data set.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A folder of the layout is not there, or empty.
    #[error("DVD folder `{}` has no {expected}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What belongs there.
        expected: &'static str,
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

impl Dvd {
    /// Names the root; folders are looked for when they are needed.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The videos of a part by name: those with a folder of frames, a video file or annotations.
    ///
    /// # Errors
    ///
    /// [`DvdError`] for a missing folder or a malformed annotation file.
    pub fn read(&self, part: Part) -> Result<Vec<DvdVideo>, DvdError> {
        let found = part.folder(&self.root)?;
        let folder = found.unwrap_or_else(|| {
            self.root.join(match part {
                Part::Training => "Training",
                Part::Validation => "Validation",
            })
        });
        let [frames, videos, annotations] =
            ["frames", "videos", "annotations"].map(|name| folder.join(name));
        let read = read_videos(&frames, &videos, &annotations)?;
        if read.is_empty() {
            return Err(DvdError::Layout {
                path: folder,
                expected: "frames/ID/1.jpg, videos/ID.mp4 or annotations/ID.csv",
            });
        }
        Ok(read)
    }
}

/// The videos of the test part by name: `FOLDER/ID/1.jpg` or `FOLDER/ID.mp4`.
///
/// # Errors
///
/// [`DvdError`] for a missing or empty folder.
pub fn read_test_videos(folder: &Path) -> Result<Vec<DvdVideo>, DvdError> {
    let read = read_videos(folder, folder, &folder.join("annotations"))?;
    if read.is_empty() {
        return Err(DvdError::Layout {
            path: folder.to_owned(),
            expected: "ID/1.jpg or ID.mp4",
        });
    }
    Ok(read)
}

fn read_videos(
    frames: &Path,
    videos: &Path,
    annotations: &Path,
) -> Result<Vec<DvdVideo>, DvdError> {
    let mut files = list(videos)?;
    files.retain(|path| path.is_file());
    let mut ids: Vec<String> = list(frames)?
        .iter()
        .filter(|path| path.is_dir() && *path != annotations)
        .chain(&files)
        .chain(&list(annotations)?)
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    ids.sort();
    ids.dedup();
    let read = |id: String| {
        let annotation = annotations.join(format!("{id}.csv"));
        let labels = match std::fs::read_to_string(&annotation) {
            Ok(text) => parse_frame_labels(&text, &annotation)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(at(&annotation, error)),
        };
        let video = files
            .iter()
            .find(|path| path.file_stem().is_some_and(|stem| *stem == *id));
        Ok(DvdVideo {
            files: frame_files(&frames.join(&id))?,
            labels,
            video: video.cloned(),
            id,
        })
    };
    ids.into_iter().map(read).collect()
}

impl DvdVideo {
    /// Number of frames: as many as are labelled, else the largest number of a frame file.
    pub fn len(&self) -> usize {
        match self.labels.len() {
            0 => self.files.last().map_or(0, |(number, _)| *number),
            labels => labels,
        }
    }

    /// Whether nothing is known of any frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file of a frame, counted from 0: its own, else that of the nearest number; `None` without any files.
    pub fn file(&self, frame: usize) -> Option<&Path> {
        let number = frame + 1;
        let after = self.files.partition_point(|(other, _)| *other < number);
        let candidates = [after.checked_sub(1), Some(after)].into_iter().flatten();
        let candidates = candidates.filter_map(|place| self.files.get(place));
        let nearest = candidates.min_by_key(|(other, _)| other.abs_diff(number));
        nearest.map(|(_, path)| path.as_path())
    }
}

/// Number, from 1, and file of the pictures in a folder, ascending; none if it does not exist.
pub(crate) fn frame_files(folder: &Path) -> Result<Vec<(usize, PathBuf)>, DvdError> {
    let number = |path: PathBuf| {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        let number: usize = path.file_stem()?.to_str()?.parse().ok()?;
        (number > 0 && FRAMES.contains(&extension.as_str())).then_some((number, path))
    };
    let mut files: Vec<_> = list(folder)?.into_iter().filter_map(number).collect();
    files.sort();
    files.dedup_by_key(|(number, _)| *number);
    Ok(files)
}

/// What is in a folder, by name; nothing if it does not exist.
fn list(folder: &Path) -> Result<Vec<PathBuf>, DvdError> {
    match entries(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|error| at(folder, error)),
    }
}

fn at(path: &Path, error: std::io::Error) -> DvdError {
    DvdError::Io {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_are_found_by_frames_annotations_or_file() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let write = |file: &str, text: &str| {
            let path = folder.path().join("Training").join(file);
            std::fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
            std::fs::write(path, text).expect("temporary file");
        };
        let dvd = Dvd::new(folder.path());
        let error = dvd.read(Part::Validation).expect_err("nothing there");
        assert!(
            error
                .to_string()
                .contains("Validation` has no frames/ID/1.jpg"),
            "{error}"
        );
        write("frames/a/2.jpg", "");
        write("frames/a/10.PNG", "");
        write("frames/a/0.jpg", "");
        write("frames/a/notes.txt", "");
        write("annotations/a.csv", "Frame_Number,Label\n12,1\n");
        write("videos/b.mp4", "");
        let videos = dvd.read(Part::Training).expect("a valid tree");
        let [a, b] = videos.as_slice() else {
            panic!("two videos, got {videos:?}")
        };
        assert_eq!(
            (a.id.as_str(), a.len(), a.labels[11]),
            ("a", 12, Some(true))
        );
        let name = |frame| a.file(frame)?.file_name()?.to_str();
        assert_eq!(
            [name(0), name(1), name(5), name(6), name(11)].map(|it| it.expect("a file")),
            ["2.jpg", "2.jpg", "2.jpg", "10.PNG", "10.PNG"]
        );
        assert_eq!((b.id.as_str(), b.is_empty(), b.file(0)), ("b", true, None));
        assert!(
            b.video
                .as_ref()
                .is_some_and(|path| path.ends_with("videos/b.mp4"))
        );
    }
}
