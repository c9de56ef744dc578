//! Pictures, folders of frames and videos, as a user names them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::picture;

/// What a path holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// One picture.
    Picture(PathBuf),
    /// Pictures in the order of their numbers: frames of one stream.
    Folder(Vec<PathBuf>),
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
    #[error("`{}` has no pictures, expected files ending in {}", path.display(), picture::EXTENSIONS.join(", "))]
    NoPictures {
        /// The folder.
        path: PathBuf,
    },
    /// A file has no bytes.
    #[error("`{}` is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Input {
    /// Finds out whether a path is a picture, a folder of frames or a video: a file that is not named like a picture is
    /// taken for a video.
    ///
    /// # Errors
    ///
    /// [`InputError`] for a path that cannot be read, an empty file, or a folder without pictures.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let metadata = fs::metadata(path).map_err(|error| at(path, error))?;
        if metadata.is_dir() {
            let frames = list_frames(path)?;
            if frames.is_empty() {
                return Err(InputError::NoPictures {
                    path: path.to_owned(),
                });
            }
            return Ok(Self::Folder(frames));
        }
        if metadata.len() == 0 {
            return Err(InputError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(if picture::is_picture(path) {
            Self::Picture(path.to_owned())
        } else {
            Self::Video(path.to_owned())
        })
    }
}

/// Pictures of a folder, numbers by value: 10.jpg follows 9.jpg.
fn list_frames(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let entries = fs::read_dir(folder).map_err(|error| at(folder, error))?;
    let mut frames = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| at(folder, error))?.path();
        if picture::is_picture(&path) && path.is_file() {
            frames.push(path);
        }
    }
    frames.sort_by_cached_key(|path| {
        natural_key(&path.file_name().unwrap_or_default().to_string_lossy())
    });
    Ok(frames)
}

fn natural_key(name: &str) -> Vec<(u128, String)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text_end = rest
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let (text, after) = rest.split_at(text_end);
        let digits_end = after
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(after.len());
        let (digits, after) = after.split_at(digits_end);
        key.push((0, text.to_owned()));
        key.push((digits.parse().unwrap_or(u128::MAX), String::new()));
        rest = after;
    }
    key
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
    fn frames_sort_by_number() {
        let mut names = ["frame10.png", "frame9.png", "a.png", "frame010.png"];
        names.sort_by_cached_key(|name| natural_key(name));
        assert_eq!(
            names,
            ["a.png", "frame9.png", "frame10.png", "frame010.png"]
        );
    }

    #[test]
    fn paths_are_pictures_folders_or_videos() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| folder.path().join(name);
        let message = |path: &Path| Input::open(path).expect_err("nothing there").to_string();
        assert!(
            message(folder.path()).ends_with("expected files ending in bmp, jpeg, jpg, png, webp")
        );
        assert!(message(&path("none.png")).contains("none.png`: No such file"));
        for name in ["10.jpg", "9.JPG", "clip.mp4"] {
            fs::write(path(name), b"something").expect("temporary file");
        }
        fs::write(path("empty.mp4"), b"").expect("temporary file");
        assert!(message(&path("empty.mp4")).ends_with("empty.mp4` is empty"));
        let open = |path: &Path| Input::open(path).expect("is there");
        assert_eq!(open(&path("9.JPG")), Input::Picture(path("9.JPG")));
        assert_eq!(open(&path("clip.mp4")), Input::Video(path("clip.mp4")));
        let frames = vec![path("9.JPG"), path("10.jpg")];
        assert_eq!(open(folder.path()), Input::Folder(frames));
    }
}
