//! Picture files, read as they are displayed: 8-bit sRGB, upright, composed on black.

mod colour;
mod ending;
mod ffmpeg;
mod heif;
mod jpeg;
mod kind;
mod png;
mod stored;
mod tiff;

use std::{
    fs::{self, File},
    io::{self, Cursor, Read as _},
    path::{Path, PathBuf},
};

use image::{
    AnimationDecoder as _, DynamicImage, ImageDecoder as _, Limits, RgbImage,
    codecs::gif::GifDecoder,
};
use thiserror::Error;

use affectlens::frame::{Frame, FrameError};
pub(crate) use kind::{Kind, NAMES as KINDS, START_BYTES, is_video};
use stored::Stored;

/// Ends of the names that are taken for pictures without a look inside, in lower case.
const EXTENSIONS: [&str; 13] = [
    "avif", "bmp", "gif", "heic", "heif", "jfif", "jpe", "jpeg", "jpg", "png", "tif", "tiff",
    "webp",
];
/// Longest side that is read, in pixels.
const MAX_SIDE: u32 = 16_384;
/// Most bytes of a picture's pixels: four channels of 8 bits at the longest sides.
const MAX_DECODED_BYTES: u64 = 1 << 30;
/// Bytes that the decoder of any picture may take.
const LEAST_DECODING_BYTES: u64 = 16 << 20;
/// Most bytes of a file.
const MAX_FILE_BYTES: u64 = 1 << 29;

/// Why a file is not a picture.
#[derive(Debug, Error)]
#[error("picture `{}`: {fault}", path.display())]
pub struct PictureError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: PictureFault,
}

/// What is wrong with a picture file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PictureFault {
    /// The system cannot read it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is a folder, a pipe or a device.
    #[error("no regular file")]
    NotAFile,
    /// It has no bytes.
    #[error("empty")]
    Empty,
    /// It holds something else.
    #[error("no picture: expected {KINDS}, got {got}")]
    Kind {
        /// What it holds or begins with.
        got: String,
    },
    /// It stops before its end.
    #[error("cut off: a {kind} without its end, after {length} bytes")]
    CutOff {
        /// Kind of picture.
        kind: &'static str,
        /// Bytes that are there.
        length: usize,
    },
    /// The file is too large.
    #[error("more than {} MiB, the most that is read", MAX_FILE_BYTES >> 20)]
    Long,
    /// The picture is too large.
    #[error("{width}x{height} pixels, expected sides of 1 to {MAX_SIDE}")]
    Side {
        /// Width, pixels.
        width: u64,
        /// Height, pixels.
        height: u64,
    },
    /// Its bytes do not make a picture.
    #[error("damaged {kind}: {reason}")]
    Damaged {
        /// Kind of picture.
        kind: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// It is whole, but of a form that is not read.
    #[error("a {kind} of a form that is not read ({reason}); convert it to JPEG or PNG first")]
    Unsupported {
        /// Kind of picture.
        kind: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// ffmpeg is needed, and is not there.
    #[error(
        "a {kind} picture, which needs ffmpeg: {reason}; install it, or convert the picture to JPEG or PNG"
    )]
    NoFfmpeg {
        /// Kind of picture.
        kind: &'static str,
        /// What the system said.
        reason: String,
    },
    /// ffmpeg is needed, and cannot read it.
    #[error(
        "a {kind} picture, which the installed ffmpeg {version} cannot read ({reason}); convert it to JPEG or PNG first"
    )]
    Ffmpeg {
        /// Kind of picture.
        kind: &'static str,
        /// Version of ffmpeg.
        version: String,
        /// What it said.
        reason: String,
    },
    /// Pixels do not make a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl PictureFault {
    /// Whether the same bytes give the same fault another time; not where the system or another program failed.
    pub(crate) fn is_lasting(&self) -> bool {
        !matches!(
            self,
            Self::Io(_) | Self::NotAFile | Self::NoFfmpeg { .. } | Self::Ffmpeg { .. }
        )
    }
}

/// Whether a file is a picture: by its name, or by its first bytes where the name says nothing.
pub fn is_picture(path: &Path) -> bool {
    is_named_like_a_picture(path) || read_start(path).is_ok_and(|it| Kind::of(&it).is_some())
}

/// Whether a file's name says that it is a picture.
pub(crate) fn is_named_like_a_picture(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// The first bytes of a regular file: what [`Kind::of`] needs.
pub(crate) fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    if fs::metadata(path)?.is_file() {
        File::open(path)?
            .take(START_BYTES)
            .read_to_end(&mut start)?;
    }
    Ok(start)
}

/// Whether a GIF has a second picture.
pub(crate) fn is_animation(path: &Path) -> bool {
    let Ok(bytes) = read_bytes(path) else {
        return false;
    };
    let decoder = GifDecoder::new(Cursor::new(bytes)).and_then(|mut decoder| {
        decoder.set_limits(limits_of(decoder.total_bytes()))?;
        Ok(decoder)
    });
    decoder.is_ok_and(|decoder| decoder.into_frames().take(2).flatten().count() == 2)
}

/// Reads a picture file as it is displayed: 8-bit sRGB, upright, composed on black.
///
/// The content decides, not the name. Of an animation or a file with several pictures it is the first.
///
/// # Errors
///
/// [`PictureError`] if the file cannot be read, is no picture, is cut off or damaged, or is too large.
pub fn read_picture(path: &Path) -> Result<Frame, PictureError> {
    read(path).map_err(|fault| PictureError {
        path: path.to_owned(),
        fault,
    })
}

fn read(path: &Path) -> Result<Frame, PictureFault> {
    let bytes = read_bytes(path)?;
    let kind = Kind::of(&bytes).ok_or_else(|| PictureFault::Kind {
        got: describe(&bytes),
    })?;
    ending::expect_whole(kind, &bytes)?;
    let stored = Stored::decode(kind, path, &bytes)?;
    drop(bytes);
    to_frame(stored)
}

/// As a canvas shows it: colours first, then what is transparent lets black through, then it is turned.
fn to_frame(stored: Stored) -> Result<Frame, PictureFault> {
    let displayed = colour::to_srgb(stored.picture, stored.profile.as_ref());
    let mut displayed = match displayed {
        DynamicImage::ImageRgba8(picture) => {
            let (width, height) = picture.dimensions();
            let composed = compose_on_black(picture.into_raw());
            let composed = RgbImage::from_raw(width, height, composed);
            composed.expect("as many bytes as pixels").into()
        }
        opaque => opaque,
    };
    displayed.apply_orientation(stored.orientation);
    let picture = displayed.into_rgb8();
    let (width, height) = picture.dimensions();
    Ok(Frame::from_rgb(width, height, picture.into_raw())?)
}

/// RGB of RGBA bytes before a black ground, as a browser's canvas shows them. In place: pictures are large.
pub(crate) fn compose_on_black(mut pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / 4;
    for pixel in 0..count {
        let opacity = u16::from(pixels[4 * pixel + 3]);
        for channel in 0..3 {
            let level = u16::from(pixels[4 * pixel + channel]);
            #[expect(clippy::cast_possible_truncation, reason = "at most 255")]
            let composed = ((level * opacity + 127) / 255) as u8;
            pixels[3 * pixel + channel] = composed;
        }
    }
    pixels.truncate(3 * count);
    pixels.shrink_to_fit();
    pixels
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, PictureFault> {
    // Opening a pipe would wait for whoever writes into it.
    if !fs::metadata(path)?.is_file() {
        return Err(PictureFault::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0 => Err(PictureFault::Empty),
        length if length > MAX_FILE_BYTES => Err(PictureFault::Long),
        _ => Ok(bytes),
    }
}

fn describe(bytes: &[u8]) -> String {
    if is_video(bytes) {
        return "a video".to_owned();
    }
    let start = &bytes[..bytes.len().min(8)];
    format!("a file that begins with `{}`", start.escape_ascii())
}

fn expect_side(width: u64, height: u64) -> Result<(u32, u32), PictureFault> {
    let side = |side: u64| {
        u32::try_from(side)
            .ok()
            .filter(|side| (1..=MAX_SIDE).contains(side))
    };
    side(width)
        .zip(side(height))
        .ok_or(PictureFault::Side { width, height })
}

/// Limits of the decoder of a picture with so many bytes of pixels: it may hold them a few times, however much memory other
/// numbers in the file ask for.
fn limits_of(total_bytes: u64) -> Limits {
    let most = total_bytes
        .saturating_mul(4)
        .saturating_add(LEAST_DECODING_BYTES);
    let mut limits = limits();
    limits.max_alloc = Some(most.min(MAX_DECODED_BYTES + LEAST_DECODING_BYTES));
    limits
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    limits
}

#[cfg(test)]
mod tests;
