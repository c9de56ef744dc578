//! What a PNG says of its colours outside of an ICC profile.

use std::io::Cursor;

use ::png::{
    CodingIndependentCodePoints, Decoder, Info, Limits, ScaledFloat, SourceChromaticities,
};
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile,
    MatrixCoefficients, ToneReprCurve, TransferCharacteristics,
};

use super::{MAX_DECODED_BYTES, colour};

/// The curve that says nothing: half of the old programs wrote it for sRGB.
const USUAL_GAMMA: u32 = 45_455;
/// The curve of a television screen (ITU-R BT.1886).
const SCREEN_GAMMA: f32 = 2.4;

/// The colours that a PNG names, by the first of: code points, an ICC profile, the mark of sRGB, and a curve with or
/// without the places of the primaries. `None` stands for sRGB.
pub(super) fn read_profile(bytes: &[u8]) -> Option<ColorProfile> {
    let limits = Limits {
        bytes: usize::try_from(MAX_DECODED_BYTES).unwrap_or(usize::MAX),
    };
    let decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    let reader = decoder.read_info().ok()?;
    let info = reader.info();
    if let Some(codes) = info.coding_independent_code_points {
        return coded(codes);
    }
    if let Some(profile) = &info.icc_profile {
        return colour::read_profile(profile);
    }
    measured(info)
}

/// A range of brightness that 8 bits do not have is taken as sRGB, as is what is not known. The curve of television is
/// that of its screens, not the one of its cameras.
fn coded(codes: CodingIndependentCodePoints) -> Option<ColorProfile> {
    let color_primaries = CicpColorPrimaries::try_from(codes.color_primaries).ok()?;
    let transfer_characteristics =
        TransferCharacteristics::try_from(codes.transfer_function).ok()?;
    let is_bright = matches!(
        transfer_characteristics,
        TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg
    );
    if is_bright || !codes.is_video_full_range_image {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    // What it returns is always `false`. Code points that it does not know leave the profile as it was.
    profile.update_rgb_colorimetry_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    if matches!(
        transfer_characteristics,
        TransferCharacteristics::Bt709
            | TransferCharacteristics::Bt601
            | TransferCharacteristics::Bt202010bit
            | TransferCharacteristics::Bt202012bit
    ) {
        bend(&mut profile, SCREEN_GAMMA);
    }
    Some(profile)
}

fn measured(info: &Info) -> Option<ColorProfile> {
    let gamma = info.gama_chunk.filter(|gamma| gamma.into_scaled() > 0)?;
    let primaries = info.chrm_chunk;
    let says_nothing = primaries.is_none() && gamma.into_scaled() == USUAL_GAMMA;
    if info.srgb.is_some() || says_nothing {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    if let Some(primaries) = primaries {
        place(&mut profile, &primaries);
    }
    bend(&mut profile, 1.0 / gamma.into_value());
    Some(profile)
}

fn bend(profile: &mut ColorProfile, gamma: f32) {
    profile.cicp = None;
    let curve = ToneReprCurve::Parametric(vec![gamma]);
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
}

fn place(profile: &mut ColorProfile, primaries: &SourceChromaticities) {
    let at = |(x, y): (ScaledFloat, ScaledFloat)| Chromaticity::new(x.into_value(), y.into_value());
    profile.update_rgb_colorimetry(
        at(primaries.white).to_xyyb(),
        ColorPrimaries {
            red: at(primaries.red),
            green: at(primaries.green),
            blue: at(primaries.blue),
        },
    );
}
