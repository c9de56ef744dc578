//! Frames from pictures, folders, lists and videos.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use affectlens::frame::Frame;
use affectlens_data::picture;

/// Larger pictures are taken for malformed headers.
const MAX_SIDE: u32 = 16_384;

/// What an argument or a line of a list names.
pub(super) enum Input {
    /// One picture.
    Picture(PathBuf),
    /// Pictures in the order of their numbers: frames of one stream.
    Folder(Vec<PathBuf>),
    /// A video file.
    Video(PathBuf),
}

impl Input {
    /// Tells pictures, folders and videos apart.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).with_context(|| format!("`{}`", path.display()))?;
        if metadata.is_dir() {
            let frames = list_frames(path)?;
            if frames.is_empty() {
                bail!(
                    "`{}` has no pictures, expected files ending in {}",
                    path.display(),
                    picture::EXTENSIONS.join(", ")
                );
            }
            return Ok(Self::Folder(frames));
        }
        if metadata.len() == 0 {
            bail!("`{}` is empty", path.display());
        }
        Ok(if picture::is_picture(path) {
            Self::Picture(path.to_owned())
        } else {
            Self::Video(path.to_owned())
        })
    }
}

fn list_frames(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut frames = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))? {
        let path = entry?.path();
        if picture::is_picture(&path) && path.is_file() {
            frames.push(path);
        }
    }
    // Numbers by value, so that 10.jpg follows 9.jpg.
    frames.sort_by_cached_key(|path| {
        natural_key(&path.file_name().unwrap_or_default().to_string_lossy())
    });
    Ok(frames)
}

fn natural_key(name: &str) -> Vec<(u128, String)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text_end = rest
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let (text, after) = rest.split_at(text_end);
        let digits_end = after
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(after.len());
        let (digits, after) = after.split_at(digits_end);
        key.push((0, text.to_owned()));
        key.push((digits.parse().unwrap_or(u128::MAX), String::new()));
        rest = after;
    }
    key
}

/// Frames of a video, decoded by an `ffmpeg` process at a constant rate.
pub(super) struct Video {
    process: Child,
    frames: BufReader<ChildStdout>,
    complaints: Option<JoinHandle<String>>,
    /// Frames a second.
    pub(super) rate: f64,
    /// How many frames there should be, if the container says so.
    pub(super) expected_frames: Option<u64>,
}

impl Video {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (rate, expected_frames) = probe(path)?;
        let mut process = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(ffmpeg_path(path))
            .args(["-map", "0:v:0", "-fps_mode", "cfr", "-r", &rate.to_string()])
            .args(["-f", "image2pipe", "-c:v", "ppm", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start `ffmpeg`; install it to read videos")?;
        let frames = process.stdout.take().context("ffmpeg has no output")?;
        let complaints = process
            .stderr
            .take()
            .map(|stderr| thread::spawn(|| drain(stderr)));
        Ok(Self {
            process,
            frames: BufReader::new(frames),
            complaints,
            rate,
            expected_frames,
        })
    }

    /// The next frame; `None` at the end.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self
            .frames
            .fill_buf()
            .context("reading from ffmpeg")?
            .is_empty()
        {
            return Ok(None);
        }
        read_ppm(&mut self.frames).map(Some)
    }

    /// Waits for the decoder; gives what it complained about.
    pub(super) fn close(mut self) -> Result<Option<String>> {
        let status = self.process.wait().context("waiting for ffmpeg")?;
        let complaints = self
            .complaints
            .take()
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        let complaints = complaints.trim();
        Ok(match (status.success(), complaints.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("ffmpeg ended with {status}")),
            (_, false) => Some(summarise(complaints)),
        })
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        // Ends a decoder whose frames nobody reads any more; after `close` there is none.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// A file name that begins with a dash or has a colon is neither an option nor a protocol.
fn ffmpeg_path(path: &Path) -> String {
    format!("file:{}", path.display())
}

fn drain(mut stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    let _ = stderr.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn summarise(complaints: &str) -> String {
    let lines: Vec<_> = complaints.lines().collect();
    match lines.as_slice() {
        [first, .., last] if lines.len() > 2 => {
            format!("{first} ... ({} lines) ... {last}", lines.len())
        }
        _ => lines.join("; "),
    }
}

fn probe(path: &Path) -> Result<(f64, Option<u64>)> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-of", "json"])
        .args([
            "-show_entries",
            "stream=avg_frame_rate,r_frame_rate,nb_frames:format=duration",
        ])
        .arg(ffmpeg_path(path))
        .stdin(Stdio::null())
        .output()
        .context("cannot start `ffprobe`; install ffmpeg to read videos")?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "`{}` is neither a picture nor a video: {}",
            path.display(),
            summarise(complaints.trim())
        );
    }
    let described: Value =
        serde_json::from_slice(&output.stdout).context("ffprobe gave no JSON")?;
    let stream = &described["streams"][0];
    if stream.is_null() {
        bail!("`{}` has no video stream", path.display());
    }
    let rate = ["avg_frame_rate", "r_frame_rate"]
        .iter()
        .filter_map(|field| parse_ratio(stream[*field].as_str()?))
        .next()
        .with_context(|| format!("`{}` has no frame rate", path.display()))?;
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

fn parse_ratio(text: &str) -> Option<f64> {
    let (numerator, denominator) = text.split_once('/')?;
    let ratio = numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

/// Reads one binary PPM with 8 bits a channel, as ffmpeg writes them back to back.
fn read_ppm(reader: &mut impl BufRead) -> Result<Frame> {
    let mut header = Vec::new();
    for _ in 0..3 {
        reader.take(32).read_until(b'\n', &mut header)?;
    }
    let text = String::from_utf8_lossy(&header);
    let fields: Vec<_> = text.split_ascii_whitespace().collect();
    let ["P6", width, height, "255"] = fields.as_slice() else {
        bail!("ffmpeg gave `{}`, expected a PPM header", text.trim());
    };
    let side = |text: &str| -> Result<u32> {
        text.parse()
            .ok()
            .filter(|side| (1..=MAX_SIDE).contains(side))
            .with_context(|| format!("frame side is `{text}`, expected 1 to {MAX_SIDE} pixels"))
    };
    let (width, height) = (side(width)?, side(height)?);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    reader
        .read_exact(&mut pixels)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => anyhow::anyhow!("the last frame is cut off"),
            _ => error.into(),
        })?;
    Ok(Frame::from_rgb(width, height, pixels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_sort_by_number() {
        let mut names = ["frame10.png", "frame9.png", "a.png", "frame010.png"];
        names.sort_by_cached_key(|name| natural_key(name));
        assert_eq!(
            names,
            ["a.png", "frame9.png", "frame10.png", "frame010.png"]
        );
    }

    #[test]
    fn pictures_back_to_back_are_read_one_by_one() {
        let mut bytes: &[u8] = b"P6\n1 1\n255\nabcP6\n2 1\n255\ndefghi";
        assert_eq!(read_ppm(&mut bytes).expect("first").pixels(), b"abc");
        assert_eq!(read_ppm(&mut bytes).expect("second").width(), 2);
    }

    #[test]
    fn malformed_frames_are_refused() {
        for (bytes, message) in [
            (&b"P6\n1 1\n255\nab"[..], "the last frame is cut off"),
            (
                b"P5\n1 1\n255\nab",
                "ffmpeg gave `P5\n1 1\n255`, expected a PPM header",
            ),
            (
                b"P6\n0 99999\n255\n",
                "frame side is `0`, expected 1 to 16384 pixels",
            ),
        ] {
            let error = read_ppm(&mut &*bytes).expect_err("the frame is malformed");
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn rates_are_ratios() {
        assert_eq!(parse_ratio("30000/1001"), Some(30_000.0 / 1001.0));
        assert_eq!(parse_ratio("0/0"), None);
        assert_eq!(parse_ratio("25"), None);
    }
}
