//! Videos of every kind are decoded as they are displayed, each frame once and at its own time; a decoder that misbehaves
//! is ended.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use affectlens_data::{Video, VideoFrame};
use tempfile::TempDir;

/// Ten frames at 25 frames per second.
const PICTURES: &str = "testsrc2=size=96x64:rate=25:duration=0.4";

/// From sRGB to a transfer function of high dynamic range.
fn high_range(transfer: &str) -> String {
    format!(
        "format=gbrp,setparams=color_primaries=bt709:color_trc=iec61966-2-1:colorspace=gbr:range=pc,\
         zscale=p=bt2020:t={transfer}:m=bt2020nc:r=tv:npl=203,format=yuv444p10le"
    )
}

/// Runs ffmpeg in the folder.
fn ffmpeg(folder: &TempDir, arguments: &[&str]) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments);
    let done = command.current_dir(folder).output().expect("ffmpeg starts");
    let complaints = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {complaints}");
}

/// Makes a video of the ten pictures.
fn encode(folder: &TempDir, name: &str, filters: &str, arguments: &[&str]) -> PathBuf {
    let input = ["-f", "lavfi", "-i", PICTURES, "-vf", filters];
    ffmpeg(folder, &[&input[..], arguments, &[name]].concat());
    folder.path().join(name)
}

/// All frames of a video without a complaint.
fn decode(path: &Path) -> Vec<VideoFrame> {
    let mut video = Video::open(path).expect("a video");
    let mut frames = Vec::new();
    while let Some(frame) = video.next_frame().expect("whole") {
        frames.push(frame);
    }
    assert_eq!(video.close().expect("ends"), None, "{}", path.display());
    frames
}

fn times(frames: &[VideoFrame]) -> Vec<f64> {
    frames.iter().map(|frame| frame.time_ms).collect()
}

fn sizes(frames: &[VideoFrame]) -> Vec<[u32; 2]> {
    let size = |frame: &VideoFrame| [frame.picture.width(), frame.picture.height()];
    frames.iter().map(size).collect()
}

/// Mean absolute difference of levels.
fn difference(left: &[VideoFrame], right: &[VideoFrame]) -> f64 {
    assert_eq!(sizes(left), sizes(right));
    let pixels = |frames: &[VideoFrame]| -> Vec<u8> {
        let pixels = frames.iter().flat_map(|frame| frame.picture.pixels());
        pixels.copied().collect()
    };
    let (left, right) = (pixels(left), pixels(right));
    let sum: f64 = left
        .iter()
        .zip(&right)
        .map(|(a, b)| f64::from(a.abs_diff(*b)))
        .sum();
    sum / left.len() as f64
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn more_than_eight_bits_and_high_dynamic_range_look_like_the_original() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let lossless = encode(&folder, "lossless.mkv", "format=bgr0", &["-c:v", "ffv1"]);
    let original = decode(&lossless);
    let expected: Vec<f64> = (0..10).map(|frame| f64::from(frame) * 40.0).collect();
    assert_eq!(times(&original), expected);
    let (hlg, pq) = (high_range("arib-std-b67"), high_range("smpte2084"));
    let tags = |transfer| {
        let known = ["-color_primaries", "bt2020", "-colorspace", "bt2020nc"];
        [&known[..], &["-color_trc", transfer]].concat()
    };
    let x265 = ["-c:v", "libx265", "-x265-params", "log-level=none:crf=4"];
    let x264 = ["-c:v", "libx264", "-crf", "4"];
    let vp9 = ["-c:v", "libvpx-vp9", "-crf", "4", "-b:v", "0"];
    let prores = ["-c:v", "prores_ks", "-profile:v", "4"];
    for (name, filters, arguments) in [
        ("main10.mp4", "format=yuv420p10le", &x265[..]),
        ("high10.mp4", "format=yuv420p10le", &x264[..]),
        ("profile2.webm", "format=yuv420p12le", &vp9[..]),
        ("prores.mov", "format=yuv444p10le", &prores[..]),
        ("ffv1.mkv", "format=yuv444p16le", &["-c:v", "ffv1"][..]),
        (
            "grey.mkv",
            "format=yuv444p,format=gbrp10le",
            &["-c:v", "ffv1"][..],
        ),
        (
            "hlg.mp4",
            &hlg,
            &[&x265[..], &tags("arib-std-b67")].concat(),
        ),
        ("pq.mkv", &pq, &[&x265[..], &tags("smpte2084")].concat()),
    ] {
        let frames = decode(&encode(&folder, name, filters, arguments));
        assert_eq!(times(&frames), expected, "{name}");
        let difference = difference(&frames, &original);
        assert!(difference < 12.0, "{name}: {difference} levels");
    }
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn frames_are_upright_and_their_pixels_square() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let upright = encode(&folder, "upright.mp4", "null", &["-c:v", "libx264"]);
    let turned = [
        "-i",
        "upright.mp4",
        "-c",
        "copy",
        "-metadata:s:v:0",
        "rotate=90",
    ];
    ffmpeg(&folder, &[&turned[..], &["turned.mp4"]].concat());
    let frames = decode(&folder.path().join("turned.mp4"));
    assert_eq!(sizes(&frames), [[64, 96]; 10]);
    assert_eq!(times(&frames), times(&decode(&upright)));
    for (aspect, size) in [("4/3", [128, 64]), ("1/2", [96, 128])] {
        let filters = format!("setsar={aspect}");
        let oblong = encode(&folder, "oblong.mp4", &filters, &["-c:v", "libx264"]);
        assert_eq!(sizes(&decode(&oblong)), [size; 10], "{aspect}");
    }
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn transparent_pixels_are_black() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let invisible = "format=yuva420p,colorchannelmixer=aa=0";
    let planar = ["-pix_fmt", "yuva420p"];
    let vp8 = [&["-c:v", "libvpx", "-auto-alt-ref", "0"], &planar[..]].concat();
    let vp9 = [&["-c:v", "libvpx-vp9"], &planar[..]].concat();
    for (name, arguments) in [
        ("png.mov", &["-c:v", "png"][..]),
        ("qtrle.mov", &["-c:v", "qtrle"]),
        ("ffv1.mkv", &["-c:v", "ffv1"]),
        ("vp8.webm", &vp8),
        ("vp9.webm", &vp9),
    ] {
        let frames = decode(&encode(&folder, name, invisible, arguments));
        assert_eq!(frames.len(), 10);
        let mut levels = frames.iter().flat_map(|frame| frame.picture.pixels());
        assert!(levels.all(|level| *level == 0), "{name}");
    }
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn untagged_high_definition_is_bt_709() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let red = "drawbox=color=0xC83214:t=fill,format=gbrp,scale=1280:720:out_color_matrix=bt709,\
               format=yuv444p,setparams=colorspace=unknown";
    let frames = decode(&encode(&folder, "red.mkv", red, &["-c:v", "ffv1"]));
    let pixel = &frames[0].picture.pixels()[..3];
    let near = |(level, expected): (&u8, &u8)| level.abs_diff(*expected) < 5;
    assert!(pixel.iter().zip(&[0xC8, 0x32, 0x14]).all(near), "{pixel:?}");
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn every_frame_has_its_own_time() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let pause = "settb=1/1000,setpts='if(lt(N,5),N*40,60000+N*33)'";
    let keep = ["-vsync", "passthrough", "-enc_time_base", "1/1000"];
    for (name, codec) in [
        ("pause.mp4", "libx264"),
        ("pause.webm", "libvpx"),
        ("pause.mkv", "ffv1"),
    ] {
        let arguments = [&keep[..], &["-c:v", codec]].concat();
        let frames = decode(&encode(&folder, name, pause, &arguments));
        let expected = [
            0.0, 40.0, 80.0, 120.0, 160.0, 60_165.0, 60_198.0, 60_231.0, 60_264.0, 60_297.0,
        ];
        assert_eq!(times(&frames), expected, "{name}");
    }
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn a_picture_size_that_changes_loses_no_frame() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, size) in [
        ("a.ts", "scale=96:64"),
        ("b.ts", "scale=48:64"),
        ("c.ts", "scale=160:128"),
    ] {
        encode(&folder, name, size, &["-c:v", "libx264", "-bf", "0"]);
    }
    let parts = ["a.ts", "b.ts", "c.ts"].map(|name| std::fs::read(folder.path().join(name)));
    let whole: Vec<u8> = parts
        .into_iter()
        .flat_map(|part| part.expect("encoded"))
        .collect();
    let path = folder.path().join("whole.ts");
    std::fs::write(&path, whole).expect("temporary file");
    assert_eq!(decode(&path).len(), 30);
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn files_without_moving_pictures_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let sound = ["-f", "lavfi", "-i", "sine=duration=0.2"];
    ffmpeg(&folder, &[&sound[..], &["sound.mp4"]].concat());
    let cover = [
        "-f",
        "lavfi",
        "-i",
        "color=size=16x16:duration=0.04",
        "-map",
        "0",
        "-map",
        "1",
    ];
    let attached = ["-c:v", "png", "-disposition:v", "attached_pic", "song.mp3"];
    ffmpeg(&folder, &[&sound[..], &cover, &attached].concat());
    std::fs::write(folder.path().join("text.mp4"), "no video").expect("temporary file");
    for (name, message) in [
        ("sound.mp4", "sound.mp4` has no video stream"),
        ("song.mp3", "song.mp3` has no video stream"),
        ("text.mp4", "text.mp4` is neither a picture nor a video"),
        ("none.mp4", "No such file or directory"),
    ] {
        let error = Video::open(&folder.path().join(name)).expect_err("no pictures");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[cfg(unix)]
#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn odd_names_are_files() {
    use std::os::unix::ffi::OsStrExt as _;

    let folder = tempfile::tempdir().expect("temporary folder");
    let path = encode(&folder, "a.mp4", "null", &["-c:v", "libx264"]);
    for name in [
        &b"-i"[..],
        b"http:a.mp4",
        b"a%03d.mp4",
        b"caf\xe9 \xff.mp4",
        b"a\nb'.mp4",
    ] {
        let odd = folder.path().join(OsStr::from_bytes(name));
        std::fs::copy(&path, &odd).expect("temporary file");
        assert_eq!(decode(&odd).len(), 10, "{}", odd.display());
    }
}

#[cfg(unix)]
mod misbehaving {
    use std::{
        fs,
        os::unix::fs::PermissionsExt as _,
        time::{Duration, Instant},
    };

    use affectlens_data::{Decoder, VideoError};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    /// A program that answers like ffprobe and then does what the script says.
    fn decoder(folder: &TempDir, script: &str) -> Result<Decoder, VideoError> {
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("temporary file");
            let may_run = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&path, may_run).expect("own file");
            path
        };
        let answer = "case \"$*\" in\n-version) echo ffmpeg version 6.1; exit;;\n-hide_banner*) exit;;\nesac";
        let ffmpeg = write("ffmpeg", format!("#!/bin/sh\n{answer}\n{script}\n"));
        let ffprobe = write(
            "ffprobe",
            "#!/bin/sh\necho '{\"streams\": [{}]}'\n".to_owned(),
        );
        // A file that was just written may still be open in a process that another test is starting.
        for _ in 0..20 {
            match Decoder::find(ffmpeg.clone(), ffprobe.clone(), LIMIT) {
                Err(VideoError::Start { .. }) => std::thread::sleep(Duration::from_millis(20)),
                found => return found,
            }
        }
        panic!("scripts cannot be run");
    }

    const FRAME: &str = r"printf 'P7\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\nabc'
echo '[Parsed_showinfo_0 @ 0x5] [info] n:   0 pts:     33 pts_time:0.033' >&2";

    #[test]
    fn a_decoder_that_stalls_is_ended() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let decoder = decoder(&folder, &format!("{FRAME}\nexec sleep 100")).expect("answers");
        let started = Instant::now();
        let mut video = decoder.open(Path::new("a.mp4")).expect("described");
        assert!(video.next_frame().expect("first").is_some());
        let error = video.next_frame().expect_err("stalls").to_string();
        assert_eq!(error, "ffmpeg gave no frame for 0.5 seconds and was ended");
        assert_eq!(video.next_frame().expect("is over"), None);
        video.close().expect("ends");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_a_killed_decoder_gave_is_not_whole() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let read = |script: &str| {
            let decoder = decoder(&folder, script).expect("answers");
            let mut video = decoder.open(Path::new("a.mp4")).expect("described");
            let mut frames = 0;
            while video.next_frame().expect("whole").is_some() {
                frames += 1;
            }
            (frames, video.finish().expect("ends"))
        };
        let (frames, ending) = read(&format!("{FRAME}\nkill -9 $$"));
        assert_eq!((frames, ending.is_whole), (1, false), "{ending:?}");
        let damaged = format!("{FRAME}\necho '[h264 @ 0x7] [error] Invalid data' >&2");
        let (frames, ending) = read(&damaged);
        assert_eq!((frames, ending.is_whole), (1, true), "{ending:?}");
        assert_eq!(ending.complaint.as_deref(), Some("Invalid data"));
        let (_, ending) = read(&format!("{FRAME}\nexit 69"));
        assert!(!ending.is_whole);
    }

    #[test]
    fn more_frames_than_a_file_has_bytes_are_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let endless = decoder(&folder, &format!("while true; do {FRAME}; done")).expect("answers");
        let path = folder.path().join("small.mp4");
        fs::write(&path, b"abc").expect("temporary file");
        let mut video = endless.open(&path).expect("described");
        for _ in 0..3 {
            assert!(video.next_frame().expect("may be").is_some());
        }
        let error = video.next_frame().expect_err("cannot be").to_string();
        let expected =
            "more than 3 frames, the most of a file of as many bytes: it repeats them without end";
        assert_eq!(error, expected);
        assert_eq!(video.next_frame().expect("is over"), None);
        assert!(!video.finish().expect("ends").is_whole);
    }

    #[test]
    fn endless_times_and_complaints_fill_no_memory() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let line = "[Parsed_showinfo_0 @ 0x5] [info] n: 0 pts: 33 pts_time:0.033";
        // Standard output stays open, and nothing comes through it.
        let script = format!("exec yes '{line}' 3>&1 >&2");
        let decoder = decoder(&folder, &script).expect("answers");
        let mut video = decoder.open(Path::new("a.mp4")).expect("described");
        let error = video.next_frame().expect_err("gives no frame").to_string();
        assert_eq!(error, "ffmpeg gave no frame for 0.5 seconds and was ended");
        video.close().expect("ends");
    }

    #[test]
    fn a_decoder_that_is_closed_early_is_ended() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for script in [
            "exec cat /dev/zero",
            "exec cat /dev/zero >&2",
            &format!("while true; do {FRAME}; done"),
        ] {
            let decoder = decoder(&folder, script).expect("answers");
            let started = Instant::now();
            let mut video = decoder.open(Path::new("a.mp4")).expect("described");
            let _ = video.next_frame();
            video.close().expect("ends");
            assert!(started.elapsed() < Duration::from_secs(20), "{script}");
        }
    }

    #[test]
    fn a_decoder_that_fails_or_is_too_old_is_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let failing = "echo '[h264 @ 0x7] [error] Invalid data' >&2; exit 1";
        let decoder = decoder(&folder, failing).expect("answers");
        let mut video = decoder.open(Path::new("a.mp4")).expect("described");
        assert_eq!(video.next_frame().expect("ends"), None);
        let complaint = video.close().expect("ends");
        assert_eq!(complaint.as_deref(), Some("Invalid data"));

        let old = folder.path().join("ffmpeg");
        fs::write(&old, "#!/bin/sh\necho ffmpeg version 3.4.8\n").expect("own file");
        let error = Decoder::find(old, "ffprobe".into(), LIMIT).expect_err("too old");
        let message =
            "ffmpeg is too old, expected version 4.2 or later, got `ffmpeg version 3.4.8`";
        assert_eq!(error.to_string(), message);
        let error = Decoder::find("/none/ffmpeg".into(), "ffprobe".into(), LIMIT);
        let error = error.expect_err("is not there").to_string();
        assert!(
            error.starts_with("cannot start `/none/ffmpeg`; install ffmpeg"),
            "{error}"
        );
    }
}
