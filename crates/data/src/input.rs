//! Pictures, folders of frames and videos, as a user names them.

mod pipe;
mod tree;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use thiserror::Error;

use crate::picture::{self, KINDS, Kind, is_named_like_a_picture, is_video};
pub use tree::{FrameFolder, PassedOver, Unwanted};

/// What a user named, ready to be read.
#[derive(Debug)]
pub struct Input {
    /// What is there.
    pub content: Content,
    /// Holds what came through a pipe, and goes with it.
    copy: Option<TempDir>,
}

/// What a path holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One picture.
    Picture(PathBuf),
    /// Folders of frames, each of them one stream.
    Folders(Vec<FrameFolder>),
    /// A video file.
    Video(PathBuf),
}

/// Why a path holds nothing to look at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InputError {
    /// A file or folder cannot be read.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A folder has no pictures.
    #[error("`{}` has no pictures, expected {KINDS}{}", path.display(), if *folders == 0 { "" } else { "; folders in it are read with --recursive" })]
    NoPictures {
        /// The folder.
        path: PathBuf,
        /// How many folders in it were not looked into.
        folders: usize,
    },
    /// A file has no bytes.
    #[error("`{}` is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something that is neither a file nor a folder nor a pipe.
    #[error("`{}` is a device, expected a file, a folder or a pipe", path.display())]
    Device {
        /// The device.
        path: PathBuf,
    },
    /// Nothing comes through a pipe.
    #[error("nothing came through `{}` for {} seconds", path.display(), patience.as_secs())]
    Silent {
        /// The pipe.
        path: PathBuf,
        /// How long it was waited for.
        patience: Duration,
    },
    /// A pipe does not end.
    #[error("more than {} GiB came through `{}`", most >> 30, path.display())]
    Endless {
        /// The pipe.
        path: PathBuf,
        /// How many bytes are taken.
        most: u64,
    },
}

impl Input {
    /// Finds out whether a path is a picture, a folder of frames or a video. The content decides; a file that is
    /// neither is what its name says. What comes through a pipe is copied to a temporary file first.
    ///
    /// With `recursive` the folders within a folder are read too.
    ///
    /// # Errors
    ///
    /// [`InputError`] for a path that cannot be read, an empty file, or a folder without pictures.
    pub fn open(path: &Path, recursive: bool) -> Result<Self, InputError> {
        let metadata = fs::metadata(path).map_err(|error| at(path, error))?;
        let of = |content| Self {
            content,
            copy: None,
        };
        if metadata.is_dir() {
            return tree::read(path, recursive).map(Content::Folders).map(of);
        }
        if metadata.is_file() {
            if !is_descriptor(path) {
                return file_content(path).map(of);
            }
            // Another process has other files open: it needs the name.
            if let Some(file) = fs::canonicalize(path).ok().filter(|file| file.is_file()) {
                return file_content(&file).map(of);
            }
        }
        let (copy, file) = pipe::copy(path, &metadata)?;
        let content = file_content(&file).map_err(|error| match error {
            InputError::Empty { .. } => InputError::Empty {
                path: path.to_owned(),
            },
            error => error,
        })?;
        Ok(Self {
            content,
            copy: Some(copy),
        })
    }

    /// Folder of the temporary file that a pipe was copied to.
    pub fn copy(&self) -> Option<&Path> {
        self.copy.as_ref().map(TempDir::path)
    }
}

/// Whether a path stands for a file that this process has open, as `/dev/stdin` does.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev") || path.starts_with("/proc")
}

fn file_content(path: &Path) -> Result<Content, InputError> {
    let start = picture::read_start(path).map_err(|error| at(path, error))?;
    if start.is_empty() {
        return Err(InputError::Empty {
            path: path.to_owned(),
        });
    }
    let is_picture = match Kind::of(&start) {
        Some(Kind::Gif) => !picture::is_animation(path),
        Some(_) => true,
        None => is_named_like_a_picture(path) && !is_video(&start),
    };
    Ok(if is_picture {
        Content::Picture(path.to_owned())
    } else {
        Content::Video(path.to_owned())
    })
}

fn at(path: &Path, error: io::Error) -> InputError {
    InputError::Io {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_pictures_folders_or_videos() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| folder.path().join(name);
        let open = |path: &Path| Input::open(path, false).map(|input| input.content);
        let message = |path: &Path| open(path).expect_err("nothing there").to_string();
        let nothing = message(folder.path());
        assert!(nothing.ends_with(&format!("expected {KINDS}")), "{nothing}");
        assert!(message(&path("none.png")).contains("none.png`: No such file"));
        for name in ["10.jpg", "9.JPG", "clip.mp4"] {
            fs::write(path(name), b"something").expect("temporary file");
        }
        fs::write(path("empty.mp4"), b"").expect("temporary file");
        assert!(message(&path("empty.mp4")).ends_with("empty.mp4` is empty"));
        let picture = |name: &str| Content::Picture(path(name));
        assert_eq!(open(&path("9.JPG")).expect("there"), picture("9.JPG"));
        let clip = Content::Video(path("clip.mp4"));
        assert_eq!(open(&path("clip.mp4")).expect("there"), clip);
        let Content::Folders(folders) = open(folder.path()).expect("there") else {
            panic!("a folder");
        };
        assert_eq!(folders[0].pictures, [path("9.JPG"), path("10.jpg")]);
    }

    #[test]
    fn content_decides_where_the_name_is_wrong_or_missing() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| folder.path().join(name);
        image::RgbImage::new(2, 2)
            .save(path("a.png"))
            .expect("temporary file");
        for name in ["picture.mp4", "picture", "picture.jpg"] {
            fs::copy(path("a.png"), path(name)).expect("copied");
            let input = Input::open(&path(name), false).expect("there");
            assert_eq!(input.content, Content::Picture(path(name)));
            picture::read_picture(&path(name)).expect("a PNG by any name");
        }
        fs::write(path("video.jpg"), b"\0\0\0\x10ftypisom\0\0\0\0").expect("temporary file");
        let input = Input::open(&path("video.jpg"), false).expect("there");
        assert_eq!(input.content, Content::Video(path("video.jpg")));
    }
}
