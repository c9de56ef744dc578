//! The description of a video, by `ffprobe`, before it is decoded.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{VideoError, ffmpeg_path, summarise};

/// Frames per second, and how many frames there should be, if the container says so.
pub(super) fn probe(path: &Path) -> Result<(f64, Option<u64>), VideoError> {
    let described = describe(path)?;
    let lacking = |missing| VideoError::Lacking {
        path: path.to_owned(),
        missing,
    };
    let stream = &described["streams"][0];
    if stream.is_null() {
        return Err(lacking("video stream"));
    }
    let rate = ["avg_frame_rate", "r_frame_rate"]
        .iter()
        .filter_map(|field| parse_ratio(stream[*field].as_str()?))
        .next()
        .ok_or_else(|| lacking("frame rate"))?;
    let counted = stream["nb_frames"]
        .as_str()
        .and_then(|text| text.parse().ok());
    let duration = described["format"]["duration"]
        .as_str()
        .and_then(|text| text.parse::<f64>().ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count for the progress bar"
    )]
    let estimated = duration.map(|seconds| (seconds * rate).round() as u64);
    Ok((rate, counted.or(estimated)))
}

fn describe(path: &Path) -> Result<Value, VideoError> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-of", "json"])
        .args([
            "-show_entries",
            "stream=avg_frame_rate,r_frame_rate,nb_frames:format=duration",
        ])
        .arg(ffmpeg_path(path))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| VideoError::Start {
            program: "ffprobe",
            error,
        })?;
    if !output.status.success() {
        let complaints = String::from_utf8_lossy(&output.stderr);
        return Err(VideoError::Format {
            path: path.to_owned(),
            reason: summarise(complaints.trim()),
        });
    }
    serde_json::from_slice(&output.stdout).map_err(VideoError::Description)
}

fn parse_ratio(text: &str) -> Option<f64> {
    let (numerator, denominator) = text.split_once('/')?;
    let ratio = numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_ratios() {
        assert_eq!(parse_ratio("30000/1001"), Some(30_000.0 / 1001.0));
        assert_eq!(parse_ratio("0/0"), None);
        assert_eq!(parse_ratio("25"), None);
    }
}
