//! The description of a file with sound, by `ffprobe`, before it is decoded.

use std::path::Path;

use serde::Deserialize;

use super::SoundError;
use crate::{
    Decoder,
    video::{parse_rate, summarise},
};

/// What `ffprobe` is asked for.
const ENTRIES: &str = "stream=index,codec_type,nb_frames,avg_frame_rate,duration,channels,channel_layout:\
                       stream_disposition=default,attached_pic:format=duration";

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Description {
    /// The sound track, if there is one.
    pub(crate) track: Option<Track>,
    /// The pictures beside it, if there are some.
    pub(crate) pictures: Option<Pictures>,
}

/// A sound track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    /// Number of its stream in the file.
    pub(super) stream: usize,
    /// Number of channels.
    pub(super) channels: usize,
    /// Whether the file says where the loudspeakers stand.
    pub(super) has_layout: bool,
}

/// The pictures of a video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pictures {
    /// Their number: counted by the container, or from duration and rate.
    pub frames: usize,
    /// How long they are shown, where that is known.
    pub seconds: Option<f64>,
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
    index: usize,
    codec_type: Option<String>,
    nb_frames: Option<String>,
    avg_frame_rate: Option<String>,
    duration: Option<String>,
    channels: Option<usize>,
    channel_layout: Option<String>,
    #[serde(default)]
    disposition: Disposition,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    default: u8,
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Default, Deserialize)]
struct Format {
    duration: Option<String>,
}

impl Description {
    /// Asks what is in a file.
    ///
    /// # Errors
    ///
    /// [`SoundError`] if it is no file with sound or pictures, or ffprobe is not installed.
    pub(crate) fn read(path: &Path) -> Result<Self, SoundError> {
        if let Err(error) = std::fs::metadata(path) {
            let path = path.to_owned();
            return Err(SoundError::Io { path, error });
        }
        let refuse = |reason: String| SoundError::Format {
            path: path.to_owned(),
            reason,
        };
        let answer = Decoder::installed()?.probe(path, &["-show_entries", ENTRIES])?;
        if !answer.status.success() {
            return Err(refuse(summarise(&answer.stderr)));
        }
        let described = Self::parse(&answer.stdout).map_err(|error| refuse(error.to_string()))?;
        if described == Self::default() {
            return Err(refuse("it has no streams".to_owned()));
        }
        Ok(described)
    }

    /// Reads the answer of `ffprobe`.
    fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let answer: Answer = serde_json::from_slice(json)?;
        let is = |stream: &Stream, kind: &str| stream.codec_type.as_deref() == Some(kind);
        let streams = answer.streams.iter();
        let tracks = streams.clone().filter(|stream| is(stream, "audio"));
        // The first of equals.
        let track = tracks.rev().max_by_key(|stream| {
            let is_default = stream.disposition.default == 1;
            (is_default, stream.channels)
        });
        let mut pictures = streams
            .filter(|stream| is(stream, "video") && stream.disposition.attached_pic == 0)
            .filter_map(|stream| stream.pictures(answer.format.duration.as_deref()));
        Ok(Self {
            track: track.map(Stream::track),
            pictures: pictures.next(),
        })
    }
}

impl Stream {
    fn track(&self) -> Track {
        let layout = self.channel_layout.as_deref().unwrap_or_default();
        Track {
            stream: self.index,
            channels: self.channels.unwrap_or(1),
            has_layout: !matches!(layout, "" | "unknown"),
        }
    }

    /// The number of pictures as OpenCV counts them: what the container says, else duration times rate.
    fn pictures(&self, file_duration: Option<&str>) -> Option<Pictures> {
        let duration = self.duration.as_deref().or(file_duration);
        let seconds = duration
            .and_then(|duration| duration.parse::<f64>().ok())
            .filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        let counted = self.nb_frames.as_deref().and_then(|it| it.parse().ok());
        let rate = self.avg_frame_rate.as_deref().and_then(parse_rate);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of frames"
        )]
        let estimated = || Some((seconds? * rate?).round() as usize);
        let frames = counted.filter(|count| *count > 0).or_else(estimated)?;
        Some(Pictures { frames, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_track_with_the_most_channels_is_taken_and_covers_are_no_pictures() {
        let json = br#"{"streams": [
            {"index": 0, "codec_type": "video", "nb_frames": "1", "disposition": {"default": 0, "attached_pic": 1}},
            {"index": 1, "codec_type": "audio", "channels": 2, "channel_layout": "stereo", "disposition": {"default": 0}},
            {"index": 2, "codec_type": "audio", "channels": 8, "disposition": {"default": 1}},
            {"index": 3, "codec_type": "audio", "channels": 8, "channel_layout": "7.1", "disposition": {"default": 1}},
            {"index": 4, "codec_type": "video", "avg_frame_rate": "30000/1001", "disposition": {"default": 1}}
            ], "format": {"duration": "2.002"}}"#;
        let expected = Description {
            track: Some(Track {
                stream: 2,
                channels: 8,
                has_layout: false,
            }),
            pictures: Some(Pictures {
                frames: 60,
                seconds: Some(2.002),
            }),
        };
        assert_eq!(Description::parse(json).expect("JSON"), expected);
        let nothing = Description::parse(b"{}").expect("JSON");
        assert_eq!(nothing, Description::default());
        assert!(Description::parse(b"").is_err());
    }
}
