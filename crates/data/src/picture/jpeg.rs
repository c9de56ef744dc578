//! JPEG pictures, with the four inks of those that are made for print.

use image::{DynamicImage, GrayImage, RgbImage, metadata::Orientation};
use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{PictureFault, Stored, colour, expect_side};

const KIND: &str = "JPEG";

/// Decodes a JPEG.
pub(super) fn decode(bytes: &[u8]) -> Result<Stored, PictureFault> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let (width, height) = expect_side(width as u64, height as u64)?;
    let profile = decoder.icc_profile();
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif));
    let stored = match decoder.input_colorspace().unwrap_or(ColorSpace::YCbCr) {
        // Adobe's mark says how inks are stored, but three channels are light.
        ColorSpace::CMYK | ColorSpace::YCCK
            if decoder.info().is_some_and(|info| info.components == 3) =>
        {
            ColorSpace::RGB
        }
        stored => stored,
    };

    let mut read = |space: ColorSpace| {
        decoder.set_options(options().jpeg_set_out_colorspace(space));
        decoder.decode().map_err(damaged)
    };
    let picture = match stored {
        ColorSpace::Luma => GrayImage::from_raw(width, height, read(ColorSpace::Luma)?)
            .map(DynamicImage::ImageLuma8),
        ColorSpace::CMYK | ColorSpace::YCCK => {
            let pixels = match profile.as_deref().and_then(colour::inks_to_srgb) {
                Some(convert) => convert(&to_inks(stored, read(stored)?)),
                None => read(ColorSpace::RGB)?,
            };
            RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
        }
        _ => RgbImage::from_raw(width, height, read(ColorSpace::RGB)?).map(DynamicImage::ImageRgb8),
    };
    Ok(Stored {
        picture: picture.ok_or_else(|| PictureFault::Damaged {
            kind: KIND,
            reason: "its pixels do not fill it".to_owned(),
        })?,
        profile: match stored {
            ColorSpace::CMYK | ColorSpace::YCCK => None,
            _ => profile.as_deref().and_then(colour::read_profile),
        },
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    })
}

/// What is slightly wrong is read, as browsers do; sides are checked by ourselves.
fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
}

/// Shares of cyan, magenta, yellow and black ink. Files hold them inverted, and the first three of them, where Adobe
/// says so, as luma and chroma.
fn to_inks(stored: ColorSpace, mut pixels: Vec<u8>) -> Vec<u8> {
    for pixel in pixels.chunks_exact_mut(4) {
        if stored == ColorSpace::YCCK {
            let [y, blue, red] = [0, 1, 2].map(|at| f32::from(pixel[at]));
            let (blue, red) = (blue - 128.0, red - 128.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "rounded and clamped to 8 bits"
            )]
            let level = |value: f32| value.round().clamp(0.0, 255.0) as u8;
            pixel[0] = level(y + 1.402 * red);
            pixel[1] = level(y - 0.344_14 * blue - 0.714_14 * red);
            pixel[2] = level(y + 1.772 * blue);
        } else {
            for ink in &mut pixel[..3] {
                *ink = 255 - *ink;
            }
        }
        pixel[3] = 255 - pixel[3];
    }
    pixels
}

fn damaged(error: DecodeErrors) -> PictureFault {
    PictureFault::Damaged {
        kind: KIND,
        reason: error.to_string(),
    }
}
