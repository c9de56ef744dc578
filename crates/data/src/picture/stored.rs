//! Pictures as their files store them, each kind by its decoder.

use std::{io::Cursor, path::Path};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, codecs::tiff::TiffDecoder,
    metadata::Orientation,
};
use moxcms::ColorProfile;

use super::{
    Kind, MAX_DECODED_BYTES, PictureFault, colour, expect_side,
    ffmpeg::{self, FfmpegError},
    heif::Display,
    jpeg, limits, limits_of, png, tiff,
};

/// A picture as it is stored, and what its file says of how it is displayed.
pub(super) struct Stored {
    pub(super) picture: DynamicImage,
    pub(super) profile: Option<ColorProfile>,
    pub(super) orientation: Orientation,
}

impl Stored {
    /// Decodes a file of a known kind.
    pub(super) fn decode(kind: Kind, path: &Path, bytes: &[u8]) -> Result<Self, PictureFault> {
        match (kind, kind.format()) {
            (Kind::Jpeg, _) => jpeg::decode(bytes),
            (_, None) => decode_heif(kind, path, bytes),
            (_, Some(format)) => decode(kind, format, path, bytes),
        }
    }
}

fn decode(
    kind: Kind,
    format: ImageFormat,
    path: &Path,
    bytes: &[u8],
) -> Result<Stored, PictureFault> {
    match decode_natively(kind, format, bytes) {
        // Palettes and some rarer forms of TIFF.
        Err(PictureFault::Unsupported { .. }) if kind == Kind::Tiff => Ok(Stored {
            picture: decode_with_ffmpeg(kind, path)?,
            profile: None,
            // Tags of EXIF are those of TIFF.
            orientation: Orientation::from_exif_chunk(bytes).unwrap_or(Orientation::NoTransforms),
        }),
        decoded => decoded,
    }
}

/// Decodes a picture without ffmpeg.
pub(super) fn decode_natively(
    kind: Kind,
    format: ImageFormat,
    bytes: &[u8],
) -> Result<Stored, PictureFault> {
    let refuse = |error: ImageError| {
        let kind = kind.name();
        match error {
            ImageError::Unsupported(error) => PictureFault::Unsupported {
                kind,
                reason: error.to_string(),
            },
            error => PictureFault::Damaged {
                kind,
                reason: error.to_string(),
            },
        }
    };
    if kind == Kind::Tiff {
        tiff::expect_values_within(bytes)?;
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let mut decoder = reader.into_decoder().map_err(refuse)?;
    let (width, height) = decoder.dimensions();
    expect_side(u64::from(width), u64::from(height))?;
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        return Err(PictureFault::Unsupported {
            kind: kind.name(),
            reason: format!(
                "{} bytes of pixels, expected at most {MAX_DECODED_BYTES}",
                decoder.total_bytes()
            ),
        });
    }
    let limits = limits_of(decoder.total_bytes());
    decoder.set_limits(limits).map_err(refuse)?;
    let profile = match kind {
        Kind::Png => png::read_profile(bytes),
        // Its limits, once set, leave no room for the profile of a small picture.
        Kind::Tiff => TiffDecoder::new(Cursor::new(bytes))
            .ok()
            .and_then(|mut decoder| decoder_profile(decoder.icc_profile())),
        _ => decoder_profile(decoder.icc_profile()),
    };
    let orientation = orientation(kind, &mut decoder);
    Ok(Stored {
        picture: DynamicImage::from_decoder(decoder).map_err(refuse)?,
        profile,
        orientation,
    })
}

/// A profile that cannot be read is none.
fn decoder_profile(profile: Result<Option<Vec<u8>>, ImageError>) -> Option<ColorProfile> {
    profile.ok()?.as_deref().and_then(colour::read_profile)
}

fn orientation(kind: Kind, decoder: &mut impl ImageDecoder) -> Orientation {
    let exif = decoder.exif_metadata().ok().flatten();
    let read = match &exif {
        // Some programs begin the chunk of WebP as that of JPEG begins.
        Some(exif) if kind == Kind::WebP => {
            Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
        }
        Some(exif) => Orientation::from_exif_chunk(exif),
        None => decoder.orientation().ok(),
    };
    read.unwrap_or(Orientation::NoTransforms)
}

fn decode_heif(kind: Kind, path: &Path, bytes: &[u8]) -> Result<Stored, PictureFault> {
    let display = Display::read(bytes);
    let mut picture = decode_with_ffmpeg(kind, path)?;
    let got = (picture.width(), picture.height());
    if let Some((width, height)) = display.size.filter(|size| *size != got) {
        let reason = format!(
            "it gives a tile of {}x{} of {width}x{height} pixels",
            got.0, got.1
        );
        return Err(beyond_ffmpeg(kind, reason));
    }
    display.turn(&mut picture);
    Ok(Stored {
        picture,
        profile: display.profile.as_deref().and_then(colour::read_profile),
        orientation: Orientation::NoTransforms,
    })
}

fn decode_with_ffmpeg(kind: Kind, path: &Path) -> Result<DynamicImage, PictureFault> {
    let picture = ffmpeg::decode(path).map_err(|error| match error {
        FfmpegError::Start(_) => PictureFault::NoFfmpeg {
            kind: kind.name(),
            reason: error.to_string(),
        },
        _ => beyond_ffmpeg(kind, error.to_string()),
    })?;
    expect_side(u64::from(picture.width()), u64::from(picture.height()))?;
    Ok(picture)
}

fn beyond_ffmpeg(kind: Kind, reason: String) -> PictureFault {
    PictureFault::Ffmpeg {
        kind: kind.name(),
        version: ffmpeg::version(),
        reason,
    }
}
