//! The filters that turn decoded frames into what a person sees: upright, square pixels, 8-bit sRGB.
//!
//! ffmpeg turns frames upright by itself.

use super::{VideoError, probe::Description};

/// From this number of rows on a file without colour tags is taken for BT.709, below for BT.601, as browsers do.
const HIGH_DEFINITION_ROWS: u64 = 720;

/// Luminance of the brightest white that is not a highlight, candela per square metre (ITU-R BT.2408).
const REFERENCE_WHITE: u32 = 203;

/// Filters for `-vf`, and the pixel format that they end with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filters {
    pub(super) chain: String,
    pub(super) pixel_format: &'static str,
}

/// What the installed ffmpeg can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abilities {
    /// Whether `showinfo` need not compute checksums.
    pub(super) plain_showinfo: bool,
    /// Whether it has the filters `zscale` and `tonemap`, which a high range needs.
    pub(super) tone_mapping: bool,
}

/// The filters for a video.
///
/// # Errors
///
/// [`VideoError::ToneMapping`] if its range is high and ffmpeg lacks the filters for that.
pub(super) fn filters(video: &Description, able: Abilities) -> Result<Filters, VideoError> {
    // The time of each frame is read from its log.
    let mut chain = vec![match able.plain_showinfo {
        true => "showinfo=checksum=0".to_owned(),
        false => "showinfo".to_owned(),
    }];
    let has_opacity = video.has_opacity_beside || has_opacity(&video.pixel_format);
    let pixel_format = if has_opacity { "rgba" } else { "rgb24" };
    if let Some(transfer) = video.high_range() {
        if !able.tone_mapping {
            return Err(VideoError::ToneMapping {
                transfer: transfer.to_owned(),
            });
        }
        chain.push(tone_mapping(video, transfer));
    }
    if video.has_oblong_pixels {
        chain.push(r"scale=w=max(iw\,round(iw*sar)):h=max(ih\,round(ih/sar)),setsar=1".to_owned());
    }
    if video.matrix.is_none() && video.height >= HIGH_DEFINITION_ROWS {
        chain.push("scale=in_color_matrix=bt709".to_owned());
    }
    chain.push(format!("format={pixel_format}"));
    // Pictures in a pipe have no time, yet ffmpeg wants theirs to ascend, whatever the file's do.
    chain.push("settb=1/1000000,setpts=RTCTIME".to_owned());
    Ok(Filters {
        chain: chain.join(","),
        pixel_format,
    })
}

/// From high dynamic range to sRGB: what is darker than the reference white keeps its colour, highlights are compressed.
fn tone_mapping(video: &Description, transfer: &str) -> String {
    let matrix = video.matrix.as_deref().unwrap_or("bt2020nc");
    let primaries = video.primaries.as_deref().unwrap_or("bt2020");
    [
        format!(
            "zscale=tin={transfer}:min={matrix}:pin={primaries}:t=linear:npl={REFERENCE_WHITE}"
        ),
        "format=gbrpf32le".to_owned(),
        "zscale=p=bt709".to_owned(),
        "tonemap=mobius:param=0.9:desat=0".to_owned(),
        "zscale=t=iec61966-2-1:m=gbr:r=full".to_owned(),
        "format=gbrp".to_owned(),
    ]
    .join(",")
}

/// Whether pixels of a format, as ffmpeg names it, have an opacity.
fn has_opacity(format: &str) -> bool {
    let prefixes = [
        "rgba", "argb", "bgra", "abgr", "yuva", "gbrap", "ya", "pal8", "vuya", "ayuv",
    ];
    prefixes.iter().any(|prefix| format.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABLE: Abilities = Abilities {
        plain_showinfo: true,
        tone_mapping: true,
    };

    fn chain(video: &Description) -> String {
        filters(video, ABLE).expect("able").chain
    }

    #[test]
    fn an_ordinary_video_is_only_converted() {
        let video = Description {
            pixel_format: "yuv420p10le".to_owned(),
            height: 300,
            ..Description::default()
        };
        assert_eq!(
            chain(&video),
            "showinfo=checksum=0,format=rgb24,settb=1/1000000,setpts=RTCTIME"
        );
        let old = Abilities {
            plain_showinfo: false,
            tone_mapping: false,
        };
        let filters = filters(&video, old).expect("able");
        assert!(filters.chain.starts_with("showinfo,"));
    }

    #[test]
    fn untagged_high_definition_oblong_pixels_and_opacity_are_heeded() {
        let video = Description {
            pixel_format: "yuva420p".to_owned(),
            height: 720,
            has_oblong_pixels: true,
            ..Description::default()
        };
        let chain = chain(&video);
        assert!(chain.contains("round(iw*sar)") && chain.contains("in_color_matrix=bt709"));
        assert!(chain.contains("format=rgba,"), "{chain}");
        for opaque in ["yuv420p", "yuvj420p", "rgb24", "gray10le", "gbrp", "p010le"] {
            assert!(!has_opacity(opaque), "{opaque}");
        }
    }

    #[test]
    fn high_dynamic_range_needs_its_filters() {
        let video = Description {
            transfer: Some("smpte2084".to_owned()),
            ..Description::default()
        };
        assert!(chain(&video).contains("zscale=tin=smpte2084:min=bt2020nc:pin=bt2020"));
        let lacking = Abilities {
            tone_mapping: false,
            ..ABLE
        };
        let error = filters(&video, lacking).expect_err("lacks zscale");
        assert!(
            error.to_string().contains("`zscale` and `tonemap`"),
            "{error}"
        );
    }
}
