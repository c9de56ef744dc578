//! The description of a video, by `ffprobe`, before it is decoded.

use serde::Deserialize;

use super::VideoError;

/// What `ffprobe` is asked for.
pub(super) const ENTRIES: &str = "stream=codec_name,avg_frame_rate,nb_frames,pix_fmt,height,sample_aspect_ratio,\
                                  color_space,color_transfer,color_primaries:stream_tags=alpha_mode:format=duration";

/// What is known of a video's first stream of pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Description {
    /// Number of frames: counted by the container, or estimated from duration and rate.
    pub(super) expected_frames: Option<u64>,
    /// Milliseconds from frame to frame, on average.
    pub(super) interval_ms: Option<f64>,
    /// Codec, as ffmpeg names it.
    pub(super) codec: String,
    /// Layout of the pixels, as ffmpeg names it.
    pub(super) pixel_format: String,
    /// Whether opacity is a stream beside the pixels, as WebM has it.
    pub(super) has_opacity_beside: bool,
    /// Rows of pixels.
    pub(super) height: u64,
    /// Whether pixels are displayed wider or narrower than high.
    pub(super) has_oblong_pixels: bool,
    /// Matrix between RGB and YUV, as ffmpeg names it; `None` if the file does not say.
    pub(super) matrix: Option<String>,
    /// Transfer function, likewise.
    pub(super) transfer: Option<String>,
    /// Primary colours, likewise.
    pub(super) primaries: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize)]
struct Stream {
    codec_name: Option<String>,
    avg_frame_rate: Option<String>,
    nb_frames: Option<String>,
    pix_fmt: Option<String>,
    height: Option<u64>,
    sample_aspect_ratio: Option<String>,
    color_space: Option<String>,
    color_transfer: Option<String>,
    color_primaries: Option<String>,
    #[serde(default)]
    tags: Tags,
}

#[derive(Default, Deserialize)]
struct Tags {
    alpha_mode: Option<String>,
}

#[derive(Default, Deserialize)]
struct Format {
    duration: Option<String>,
}

impl Description {
    /// The transfer function, PQ or HLG, of a high dynamic range.
    pub(super) fn high_range(&self) -> Option<&str> {
        let transfer = self.transfer.as_deref();
        transfer.filter(|transfer| matches!(*transfer, "smpte2084" | "arib-std-b67"))
    }

    /// Reads the answer of `ffprobe`; `None` if there is no stream of pictures.
    ///
    /// # Errors
    ///
    /// [`VideoError::Description`] if it is no JSON of the expected form.
    pub(super) fn parse(json: &[u8]) -> Result<Option<Self>, VideoError> {
        let answer: Answer = serde_json::from_slice(json).map_err(VideoError::Description)?;
        let duration = answer.format.duration;
        let stream = answer.streams.into_iter().next();
        Ok(stream.map(|stream| stream.describe(duration.as_deref())))
    }
}

impl Stream {
    fn describe(self, duration: Option<&str>) -> Description {
        let rate = self.avg_frame_rate.as_deref().and_then(parse_rate);
        let counted = self.nb_frames.and_then(|count| count.parse().ok());
        let seconds = duration.and_then(|duration| duration.parse::<f64>().ok());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count for the progress bar"
        )]
        let estimated = seconds
            .zip(rate)
            .map(|(seconds, rate)| (seconds * rate).round() as u64);
        let aspect = self.sample_aspect_ratio.as_deref().unwrap_or_default();
        Description {
            expected_frames: counted.or(estimated),
            interval_ms: rate.map(|rate| 1000.0 / rate),
            codec: self.codec_name.unwrap_or_default(),
            pixel_format: self.pix_fmt.unwrap_or_default(),
            has_opacity_beside: self.tags.alpha_mode.as_deref() == Some("1"),
            height: self.height.unwrap_or_default(),
            has_oblong_pixels: !matches!(aspect, "" | "N/A" | "0:1" | "1:1"),
            matrix: known(self.color_space),
            transfer: known(self.color_transfer),
            primaries: known(self.color_primaries),
        }
    }
}

/// A colour tag that says something.
fn known(tag: Option<String>) -> Option<String> {
    tag.filter(|tag| !matches!(tag.as_str(), "unknown" | "unspecified" | "reserved"))
}

/// Frames per second from `30000/1001`.
pub(crate) fn parse_rate(text: &str) -> Option<f64> {
    let (numerator, denominator) = text.split_once('/')?;
    let rate = numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?;
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_what_the_file_says() {
        let json = br#"{"streams": [{"codec_name": "hevc", "pix_fmt": "yuv420p10le", "height": 300, "sample_aspect_ratio": "4:3",
            "color_space": "bt2020nc", "color_transfer": "arib-std-b67", "avg_frame_rate": "30000/1001",
            "color_primaries": "unknown"}], "format": {"duration": "2.002"}}"#;
        let described = Description::parse(json).expect("JSON").expect("a stream");
        let expected = Description {
            expected_frames: Some(60),
            interval_ms: Some(1000.0 / (30_000.0 / 1001.0)),
            codec: "hevc".to_owned(),
            pixel_format: "yuv420p10le".to_owned(),
            has_opacity_beside: false,
            height: 300,
            has_oblong_pixels: true,
            matrix: Some("bt2020nc".to_owned()),
            transfer: Some("arib-std-b67".to_owned()),
            primaries: None,
        };
        assert_eq!(described, expected);
    }

    #[test]
    fn a_recording_without_rate_or_a_file_without_pictures_is_no_error() {
        let recording =
            br#"{"streams": [{"avg_frame_rate": "0/0"}], "format": {"duration": "2.9"}}"#;
        let described = Description::parse(recording).expect("JSON");
        assert_eq!(described, Some(Description::default()));
        assert_eq!(Description::parse(b"{}").expect("JSON"), None);
        assert!(Description::parse(b"").is_err());
    }
}
