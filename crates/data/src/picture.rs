//! Picture files.

use std::path::{Path, PathBuf};

use thiserror::Error;

use affectlens::frame::Frame;

/// Extensions of files that are taken for pictures, in lower case.
pub const EXTENSIONS: [&str; 5] = ["bmp", "jpeg", "jpg", "png", "webp"];

/// Why a file is not a picture.
#[derive(Debug, Error)]
#[error("picture `{}`: {reason}", path.display())]
pub struct PictureError {
    /// The file.
    pub path: PathBuf,
    /// What the system or the decoder said.
    pub reason: String,
}

/// Whether a file's name says that it is a picture.
pub fn is_picture(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// Decodes a picture file; grey pictures become RGB.
///
/// # Errors
///
/// [`PictureError`] if the file cannot be read or decoded.
pub fn read_picture(path: &Path) -> Result<Frame, PictureError> {
    let refuse = |reason: String| PictureError {
        path: path.to_owned(),
        reason,
    };
    let picture = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|error| refuse(error.to_string()))?
        .decode()
        .map_err(|error| refuse(error.to_string()))?
        .into_rgb8();
    let (width, height) = picture.dimensions();
    Frame::from_rgb(width, height, picture.into_raw()).map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_picture_is_an_error_and_a_grey_one_becomes_rgb() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let empty = folder.path().join("empty.jpg");
        std::fs::write(&empty, b"").expect("temporary file");
        let error = read_picture(&empty).expect_err("no bytes");
        assert!(error.to_string().contains("empty.jpg"), "{error}");
        let path = folder.path().join("grey.PNG");
        image::GrayImage::from_pixel(2, 1, image::Luma([7]))
            .save(&path)
            .expect("temporary file");
        assert!(is_picture(&path) && !is_picture(folder.path()));
        assert_eq!(read_picture(&path).expect("a picture").pixels(), [7; 6]);
    }
}
