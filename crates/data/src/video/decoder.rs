//! The installed ffmpeg: its version, what it can do, and how a file is opened with it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::Duration,
};

use super::{
    Video, VideoError,
    filters::{Abilities, Filters, filters},
    log::summarise,
    pam::MAX_PIXELS,
    probe::{Description, ENTRIES},
};
use crate::{
    ffmpeg::add_input,
    process::{Finished, Process, run},
};

/// Oldest version whose options are understood.
const OLDEST: Version = Version(4, 2);

/// First version with `-fps_mode`; older ones have `-vsync`.
const WITH_FPS_MODE: Version = Version(5, 1);

/// Codecs that keep opacity beside the pixels, and the decoders that read it.
const OPACITY_DECODERS: [(&str, &str); 2] = [("vp8", "libvpx"), ("vp9", "libvpx-vp9")];

/// Longest time that a question to the programs may take, and that a frame may take to be decoded.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Most bytes of an answer.
const MOST_ANSWER: u64 = 1 << 20;

/// The programs `ffmpeg` and `ffprobe`.
#[derive(Debug)]
pub struct Decoder {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    has_fps_mode: bool,
    /// Whether the filter `showinfo` need not compute checksums.
    has_plain_showinfo: bool,
    limit: Duration,
}

/// A version of ffmpeg, major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Decoder {
    /// The programs that are installed; they are asked for their version once.
    ///
    /// # Errors
    ///
    /// [`VideoError`] if ffmpeg is not installed or too old.
    pub fn installed() -> Result<&'static Self, VideoError> {
        static INSTALLED: OnceLock<Decoder> = OnceLock::new();
        match INSTALLED.get() {
            Some(decoder) => Ok(decoder),
            None => {
                let decoder = Self::find("ffmpeg".into(), "ffprobe".into(), TIME_LIMIT)?;
                Ok(INSTALLED.get_or_init(|| decoder))
            }
        }
    }

    /// Programs of one's own; none may take longer than `limit` for an answer or for a frame.
    ///
    /// # Errors
    ///
    /// As [`Self::installed`].
    pub fn find(ffmpeg: PathBuf, ffprobe: PathBuf, limit: Duration) -> Result<Self, VideoError> {
        let (answer, showinfo) = thread::scope(|scope| {
            let showinfo = scope.spawn(|| ask(&ffmpeg, &help_of("filter=showinfo"), limit));
            (ask(&ffmpeg, &["-version"], limit), showinfo.join())
        });
        let answer = answer?;
        let version = Version::parse(&answer);
        if version.is_some_and(|version| version < OLDEST) {
            return Err(VideoError::Version {
                got: answer.lines().next().unwrap_or_default().to_owned(),
            });
        }
        let showinfo = showinfo.unwrap_or_else(|_| Ok(String::new()))?;
        Ok(Self {
            // A version without a number is built from a repository, and new.
            has_fps_mode: version.is_none_or(|version| version >= WITH_FPS_MODE),
            has_plain_showinfo: showinfo.contains("checksum"),
            ffmpeg,
            ffprobe,
            limit,
        })
    }

    /// Starts to decode a file.
    ///
    /// # Errors
    ///
    /// [`VideoError`] if the file is no video.
    pub fn open(&self, path: &Path) -> Result<Video, VideoError> {
        let described = self.describe(path)?;
        let able = Abilities {
            plain_showinfo: self.has_plain_showinfo,
            tone_mapping: described.high_range().is_some()
                && self.describes("filter=zscale", "npl")?
                && self.describes("filter=tonemap", "desat")?,
        };
        let Filters {
            chain,
            pixel_format,
        } = filters(&described, able)?;
        let decoder = self.opacity_decoder(&described)?;
        let every_frame = match self.has_fps_mode {
            true => ["-fps_mode", "passthrough"],
            false => ["-vsync", "passthrough"],
        };
        let process = self.start(|command| {
            command
                .args(["-nostdin", "-hide_banner", "-nostats"])
                .args(["-loglevel", "repeat+level+info"])
                .args(["-max_pixels", &MAX_PIXELS.to_string()])
                .args(decoder);
            add_input(command, path);
            command
                .args(["-map", "0:V:0", "-vf", &chain])
                .args(every_frame)
                .args(["-enc_time_base", "1/1000000"])
                .args([
                    "-pix_fmt",
                    pixel_format,
                    "-c:v",
                    "pam",
                    "-f",
                    "image2pipe",
                    "-",
                ]);
        })?;
        // The smallest frame takes a byte: what gives more repeats its frames, and may never end.
        let most_frames = fs::metadata(path).map_or(u64::MAX, |file| file.len().max(1));
        Ok(Video::new(process, &described, self.limit, most_frames))
    }

    /// Starts ffmpeg with the arguments that `build` gives it.
    pub(crate) fn start(&self, build: impl FnOnce(&mut Command)) -> Result<Process, VideoError> {
        let mut command = Command::new(&self.ffmpeg);
        build(&mut command);
        Process::start(command).map_err(|error| failed_to_run(&self.ffmpeg, self.limit, error))
    }

    /// What ffprobe says of a file, as JSON.
    pub(crate) fn probe(&self, path: &Path, arguments: &[&str]) -> Result<Finished, VideoError> {
        let mut command = Command::new(&self.ffprobe);
        command.args(["-v", "error", "-of", "json"]).args(arguments);
        add_input(&mut command, path);
        run(command, self.limit, MOST_ANSWER)
            .map_err(|error| failed_to_run(&self.ffprobe, self.limit, error))
    }

    /// How long an answer may be waited for.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Options that choose a decoder which reads the opacity beside the pixels, where there is some; ffmpeg's own ones do
    /// not.
    fn opacity_decoder(&self, described: &Description) -> Result<Vec<&'static str>, VideoError> {
        let mut decoders = OPACITY_DECODERS.iter();
        let decoder = decoders.find(|(codec, _)| *codec == described.codec);
        match decoder {
            Some((_, decoder))
                if described.has_opacity_beside
                    && self.describes(&format!("decoder={decoder}"), "Decoder")? =>
            {
                Ok(vec!["-c:v", decoder])
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whether ffmpeg's help on a part of it has a word; it has none on parts that are missing.
    fn describes(&self, part: &str, word: &str) -> Result<bool, VideoError> {
        Ok(ask(&self.ffmpeg, &help_of(part), self.limit)?.contains(word))
    }

    fn describe(&self, path: &Path) -> Result<Description, VideoError> {
        let arguments = ["-select_streams", "V:0", "-show_entries", ENTRIES];
        let Finished {
            status,
            stdout,
            stderr,
        } = self.probe(path, &arguments)?;
        if !status.success() {
            return Err(VideoError::Format {
                path: path.to_owned(),
                reason: summarise(&stderr),
            });
        }
        Description::parse(&stdout)?.ok_or_else(|| VideoError::NoPictures {
            path: path.to_owned(),
        })
    }
}

impl Version {
    /// The version from `ffmpeg version 5.1.9-0+deb12u1 Copyright ...` or `ffmpeg version n7.0 ...`.
    fn parse(answer: &str) -> Option<Self> {
        let name = answer.strip_prefix("ffmpeg version ")?;
        let mut numbers = name
            .trim_start_matches('n')
            .split(|letter: char| !letter.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next().and_then(|minor| minor.parse().ok());
        Some(Self(major, minor.unwrap_or_default()))
    }
}

fn help_of(part: &str) -> [&str; 3] {
    ["-hide_banner", "-h", part]
}

/// What a program answers on standard output.
fn ask(program: &Path, arguments: &[&str], limit: Duration) -> Result<String, VideoError> {
    let mut command = Command::new(program);
    command.args(arguments);
    let done = run(command, limit, MOST_ANSWER);
    let done = done.map_err(|error| failed_to_run(program, limit, error))?;
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn failed_to_run(program: &Path, limit: Duration, error: io::Error) -> VideoError {
    let program = program.display().to_string();
    match error.kind() {
        io::ErrorKind::TimedOut => VideoError::Silent {
            program,
            seconds: limit.as_secs_f32(),
        },
        _ => VideoError::Start { program, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_first_line() {
        for (answer, version) in [
            (
                "ffmpeg version 5.1.9-0+deb12u1 Copyright",
                Some(Version(5, 1)),
            ),
            ("ffmpeg version 4.2 Copyright", Some(Version(4, 2))),
            ("ffmpeg version n7.0-12-g1 Copyright", Some(Version(7, 0))),
            ("ffmpeg version 8-full_build", Some(Version(8, 0))),
            ("ffmpeg version N-113224-g1 Copyright", None),
            ("", None),
        ] {
            assert_eq!(Version::parse(answer), version, "{answer}");
        }
    }
}
