//! Folders of frames, and the folders within them.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::{InputError, at};
use crate::{
    folder::entries,
    picture::{Kind, is_named_like_a_picture, is_video, read_start},
};

/// Deeper folders are not looked into.
const MAX_DEPTH: usize = 64;

/// A folder with pictures: frames of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Its pictures in the order of their numbers: 10.jpg follows 9.jpg.
    pub pictures: Vec<PathBuf>,
    /// What else is in it.
    pub passed_over: Vec<PassedOver>,
}

/// Something in a folder that is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// File or folder.
    pub path: PathBuf,
    /// Why.
    pub reason: Unwanted,
}

/// Why something in a folder is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unwanted {
    /// It is no picture.
    NoPicture,
    /// It is a video.
    Video,
    /// It is a folder, and folders within folders were not asked for.
    Folder,
    /// It is a folder that was read already, through a link, or that lies too deep.
    Loop,
    /// It cannot be read.
    Unreadable,
}

/// Reads a folder, and with `recursive` those within it; only folders with pictures count.
pub(super) fn read(path: &Path, recursive: bool) -> Result<Vec<FrameFolder>, InputError> {
    let mut tree = Tree {
        recursive,
        seen: HashSet::new(),
        folders: Vec::new(),
    };
    tree.read(path, 0)?;
    let folders = tree.folders;
    if folders.iter().all(|folder| folder.pictures.is_empty()) {
        let passed_over = folders.iter().flat_map(|folder| &folder.passed_over);
        return Err(InputError::NoPictures {
            path: path.to_owned(),
            folders: passed_over
                .filter(|it| it.reason == Unwanted::Folder)
                .count(),
        });
    }
    Ok(folders)
}

struct Tree {
    recursive: bool,
    /// Folders by their real place: a link back would be read without end.
    seen: HashSet<PathBuf>,
    folders: Vec<FrameFolder>,
}

impl Tree {
    fn read(&mut self, path: &Path, depth: usize) -> Result<(), InputError> {
        let real = fs::canonicalize(path).map_err(|error| at(path, error))?;
        self.seen.insert(real);
        let mut paths = entries(path).map_err(|error| at(path, error))?;
        paths.sort_by_cached_key(|path| natural_key(path));
        let mut folder = FrameFolder {
            path: path.to_owned(),
            pictures: Vec::new(),
            passed_over: Vec::new(),
        };
        let mut within = Vec::new();
        for path in paths {
            let reason = match fs::metadata(&path) {
                Ok(it) if it.is_dir() && !self.recursive => Some(Unwanted::Folder),
                Ok(it) if it.is_dir() && !is_hidden(&path) => {
                    within.push(path);
                    continue;
                }
                Ok(it) if it.is_file() => look_at(&path),
                Ok(_) => Some(Unwanted::NoPicture),
                Err(_) => Some(Unwanted::Unreadable),
            };
            match reason {
                None => folder.pictures.push(path),
                // Files of the system lie hidden beside pictures.
                Some(_) if is_hidden(&path) => {}
                Some(reason) => folder.passed_over.push(PassedOver { path, reason }),
            }
        }
        let place = self.folders.len();
        self.folders.push(folder);
        for path in within {
            if let Some(reason) = self.read_within(&path, depth + 1) {
                let passed_over = &mut self.folders[place].passed_over;
                passed_over.push(PassedOver { path, reason });
            }
        }
        Ok(())
    }

    /// Reads a folder within another; why not, if it is not read.
    fn read_within(&mut self, path: &Path, depth: usize) -> Option<Unwanted> {
        match fs::canonicalize(path) {
            Ok(real) if self.seen.contains(&real) || depth > MAX_DEPTH => Some(Unwanted::Loop),
            Ok(_) => self.read(path, depth).err().map(|_| Unwanted::Unreadable),
            Err(_) => Some(Unwanted::Unreadable),
        }
    }
}

/// Why a file is not looked at; `None` for a picture.
fn look_at(path: &Path) -> Option<Unwanted> {
    if is_named_like_a_picture(path) && !is_hidden(path) {
        return None;
    }
    match read_start(path) {
        Ok(start) if Kind::of(&start).is_some() => None,
        Ok(start) if is_video(&start) => Some(Unwanted::Video),
        Ok(_) => Some(Unwanted::NoPicture),
        Err(_) => Some(Unwanted::Unreadable),
    }
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Numbers by value, then the name itself, so that names which read the same keep an order.
fn natural_key(path: &Path) -> (Vec<(u128, String)>, OsString) {
    let name = path.file_name().unwrap_or_default();
    let text = name.to_string_lossy();
    let mut key = Vec::new();
    let mut rest = &*text;
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
    (key, name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
        fs::write(path, bytes).expect("temporary file");
    }

    fn names(paths: &[PathBuf], folder: &Path) -> Vec<String> {
        let name = |path: &PathBuf| path.strip_prefix(folder).expect("below").to_owned();
        let names = paths.iter().map(name);
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn frames_sort_by_number() {
        let mut paths = ["frame10.png", "frame9.png", "a.png", "frame010.png"].map(PathBuf::from);
        paths.sort_by_cached_key(|path| natural_key(path));
        let sorted = ["a.png", "frame9.png", "frame010.png", "frame10.png"];
        assert_eq!(paths, sorted.map(PathBuf::from));
    }

    #[test]
    fn what_is_no_picture_is_counted_with_its_reason() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| folder.path().join(name);
        file(&path("1.jpg"), b"anything");
        file(&path("no-ending"), b"\xFF\xD8\xFF\xE0");
        file(&path("clip.mp4"), b"\0\0\0\x10ftypisom");
        file(&path("notes.txt"), b"hello");
        file(&path(".DS_Store"), b"hidden");
        file(&path("._1.jpg"), b"of the system");
        file(&path("inner/2.jpg"), b"anything");
        let folders = read(folder.path(), false).expect("pictures");
        assert_eq!(folders.len(), 1);
        assert_eq!(
            names(&folders[0].pictures, folder.path()),
            ["1.jpg", "no-ending"]
        );
        let passed_over = &folders[0].passed_over;
        let reasons: Vec<_> = passed_over.iter().map(|it| it.reason).collect();
        assert_eq!(
            reasons,
            [Unwanted::Video, Unwanted::Folder, Unwanted::NoPicture]
        );
    }

    #[test]
    fn folder_of_folders_says_how_to_read_them() {
        let folder = tempfile::tempdir().expect("temporary folder");
        file(&folder.path().join("inner/1.jpg"), b"anything");
        let error = read(folder.path(), false)
            .expect_err("no pictures")
            .to_string();
        assert!(
            error.ends_with("; folders in it are read with --recursive"),
            "{error}"
        );
        let folders = read(folder.path(), true).expect("pictures");
        let pictures: Vec<_> = folders.into_iter().flat_map(|it| it.pictures).collect();
        assert_eq!(names(&pictures, folder.path()), ["inner/1.jpg"]);
    }

    #[test]
    #[cfg(unix)]
    fn links_in_a_circle_end() {
        let folder = tempfile::tempdir().expect("temporary folder");
        file(&folder.path().join("a/b/1.jpg"), b"anything");
        for link in ["a/b/up", "a/beside"] {
            std::os::unix::fs::symlink(folder.path(), folder.path().join(link)).expect("linked");
        }
        std::os::unix::fs::symlink("nowhere", folder.path().join("a/lost.jpg")).expect("linked");
        let folders = read(folder.path(), true).expect("pictures");
        let pictures: Vec<_> = folders.iter().flat_map(|it| it.pictures.clone()).collect();
        assert_eq!(names(&pictures, folder.path()), ["a/b/1.jpg"]);
        let mut reasons: Vec<_> = folders
            .iter()
            .flat_map(|it| it.passed_over.iter().map(|it| it.reason))
            .collect();
        reasons.sort();
        assert_eq!(
            reasons,
            [Unwanted::Loop, Unwanted::Loop, Unwanted::Unreadable]
        );
    }

    #[test]
    #[cfg(unix)]
    fn names_need_not_be_text() {
        use std::os::unix::ffi::OsStringExt as _;
        let folder = tempfile::tempdir().expect("temporary folder");
        let name = OsString::from_vec(b"caf\xE9.jpg".to_vec());
        file(&folder.path().join(&name), b"anything");
        let folders = read(folder.path(), false).expect("pictures");
        assert_eq!(folders[0].pictures, [folder.path().join(&name)]);
    }
}
