//! Colours as their profile means them, brought to sRGB.

use std::sync::LazyLock;

use image::{DynamicImage, RgbImage, RgbaImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

/// Bytes of a picture that are converted together; whole pixels of three and of four channels.
const PIECE_BYTES: usize = 3 << 14;

static SRGB: LazyLock<ColorProfile> = LazyLock::new(ColorProfile::new_srgb);

/// Reads an ICC profile; one that is broken is none.
pub(super) fn read_profile(bytes: &[u8]) -> Option<ColorProfile> {
    ColorProfile::new_from_slice(bytes).ok()
}

/// Brings a picture to 8-bit sRGB, with alpha where it has some.
///
/// A profile that is broken, or made for another number of channels, is passed over: such a picture is taken as sRGB, as
/// browsers do.
pub(super) fn to_srgb(picture: DynamicImage, profile: Option<&ColorProfile>) -> DynamicImage {
    let space = profile.map(|profile| (profile, profile.color_space));
    if let Some((profile, DataColorSpace::Gray)) = space
        && !picture.color().has_color()
        && let Some(converted) = convert_grey(&picture, profile)
    {
        return converted;
    }
    let mut displayed = if picture.color().has_alpha() {
        DynamicImage::ImageRgba8(picture.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(picture.into_rgb8())
    };
    if let Some((profile, DataColorSpace::Rgb)) = space
        && !is_srgb(profile)
    {
        convert_rgb(&mut displayed, profile);
    }
    displayed
}

/// The way from shares of ink (cyan, magenta, yellow, black; 255 is all of it) to RGB, if this is a profile of inks.
pub(super) fn inks_to_srgb(profile: &[u8]) -> Option<impl Fn(&[u8]) -> Vec<u8>> {
    let profile = read_profile(profile)?;
    if profile.color_space != DataColorSpace::Cmyk {
        return None;
    }
    let transform = transform(&profile, Layout::Rgba, Layout::Rgb)?;
    // Tried once: a profile that fails fails before the picture is read.
    apply(&*transform, &[0; 4], 4, 3)?;
    Some(move |inks: &[u8]| apply(&*transform, inks, 4, 3).unwrap_or_default())
}

/// In place: another copy of a large picture is much.
fn convert_rgb(picture: &mut DynamicImage, profile: &ColorProfile) {
    let (layout, pixels): (_, &mut [u8]) = match picture {
        DynamicImage::ImageRgba8(picture) => (Layout::Rgba, picture),
        DynamicImage::ImageRgb8(picture) => (Layout::Rgb, picture),
        _ => return,
    };
    let Some(transform) = transform(profile, layout, layout) else {
        return;
    };
    let mut stored = Vec::with_capacity(PIECE_BYTES);
    for piece in pixels.chunks_mut(PIECE_BYTES) {
        stored.clear();
        stored.extend_from_slice(piece);
        // Both hold the same whole pixels, which is all that it asks for.
        if transform.transform(&stored, piece).is_err() {
            return;
        }
    }
}

fn convert_grey(picture: &DynamicImage, profile: &ColorProfile) -> Option<DynamicImage> {
    let (width, height) = (picture.width(), picture.height());
    if picture.color().has_alpha() {
        let transform = transform(profile, Layout::GrayAlpha, Layout::Rgba)?;
        let pixels = apply(&*transform, &picture.to_luma_alpha8(), 2, 4)?;
        RgbaImage::from_raw(width, height, pixels).map(Into::into)
    } else {
        let transform = transform(profile, Layout::Gray, Layout::Rgb)?;
        let pixels = apply(&*transform, &picture.to_luma8(), 1, 3)?;
        RgbImage::from_raw(width, height, pixels).map(Into::into)
    }
}

/// Whether a profile moves no colour by more than rounding does. Most profiles are those of sRGB in one of many
/// spellings; their pictures keep their exact pixels.
fn is_srgb(profile: &ColorProfile) -> bool {
    let levels = [0, 8, 16, 32, 64, 96, 128, 160, 192, 224, 255];
    let mut colours = Vec::new();
    for red in levels {
        for green in levels {
            for blue in levels {
                colours.extend([red, green, blue]);
            }
        }
    }
    let converted = transform(profile, Layout::Rgb, Layout::Rgb)
        .and_then(|transform| apply(&*transform, &colours, 3, 3));
    converted.is_some_and(|converted| {
        let mut pairs = colours.iter().zip(&converted);
        pairs.all(|(before, after)| before.abs_diff(*after) <= 1)
    })
}

fn transform(
    profile: &ColorProfile,
    from: Layout,
    to: Layout,
) -> Option<std::sync::Arc<Transform8BitExecutor>> {
    let options = TransformOptions {
        prefer_fixed_point: false,
        ..TransformOptions::default()
    };
    profile.create_transform_8bit(from, &SRGB, to, options).ok()
}

fn apply(
    transform: &Transform8BitExecutor,
    pixels: &[u8],
    from_channels: usize,
    to_channels: usize,
) -> Option<Vec<u8>> {
    let mut converted = vec![0; pixels.len() / from_channels * to_channels];
    transform.transform(pixels, &mut converted).ok()?;
    Some(converted)
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb};

    use super::*;

    fn converted(colour: [u8; 3], profile: &ColorProfile) -> [u8; 3] {
        let picture = RgbImage::from_pixel(2, 2, Rgb(colour)).into();
        to_srgb(picture, Some(profile)).to_rgb8().get_pixel(1, 1).0
    }

    /// Expected values from the published matrices and curves, computed in double precision; one level is rounding.
    #[track_caller]
    fn assert_near(found: [u8; 3], expected: [u8; 3]) {
        let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1);
        assert!(near, "{found:?}, expected {expected:?}");
    }

    #[test]
    fn wide_colours_are_brought_to_srgb() {
        let p3 = ColorProfile::new_display_p3();
        assert_near(converted([200, 100, 50], &p3), [215, 93, 31]);
        assert_near(converted([128; 3], &p3), [128; 3]);
        assert_near(converted([255, 0, 0], &p3), [255, 0, 0]);
        let adobe = ColorProfile::new_adobe_rgb();
        assert_near(converted([200, 100, 50], &adobe), [227, 100, 42]);
    }

    #[test]
    fn srgb_by_another_name_changes_no_pixel() {
        let written = ColorProfile::new_srgb().encode().expect("encoded");
        let profile = read_profile(&written).expect("whole");
        for colour in [[1, 2, 3], [254, 17, 90], [77, 78, 79]] {
            assert_eq!(converted(colour, &profile), colour);
        }
    }

    #[test]
    fn grey_follows_its_own_curve() {
        let picture = GrayImage::from_pixel(1, 1, Luma([128]));
        let linear = ColorProfile::new_gray_with_gamma(1.0);
        let found = to_srgb(picture.clone().into(), Some(&linear)).to_rgb8();
        // Half of the light is level 188 of sRGB.
        assert_near(found.get_pixel(0, 0).0, [188; 3]);
        // A profile of other channels says nothing about grey ones, nor the other way round.
        let colour = RgbImage::from_pixel(1, 1, Rgb([9, 8, 7]));
        let kept = to_srgb(colour.into(), Some(&linear)).to_rgb8();
        assert_eq!(kept.get_pixel(0, 0).0, [9, 8, 7]);
    }

    #[test]
    fn broken_profiles_are_none() {
        let whole = ColorProfile::new_display_p3().encode().expect("encoded");
        assert!(read_profile(&whole).is_some());
        for length in [0, 4, 64, 130] {
            assert!(read_profile(&whole[..length]).is_none(), "{length}");
        }
        assert!(inks_to_srgb(&whole).is_none(), "no inks");
    }
}
