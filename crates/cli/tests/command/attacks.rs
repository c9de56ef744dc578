//! Inputs and places that are out to harm: full disks, closed pipes, settings that no file may have, playlists that pose as
//! videos.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use affectlens::weights::{Metadata, Precision, Weights};

fn affectlens(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affectlens"));
    command
        .args(arguments.split_whitespace())
        .env("AFFECTLENS_CACHE", folder.join("cache"))
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &str) -> Output {
    let output = affectlens(folder, arguments).output();
    output.expect("the command starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let output = affectlens(folder.path(), "weights list")
        .stdout(full.expect("there is one"))
        .output()
        .expect("the command starts");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.starts_with("affectlens: standard output: No space left"),
        "{text}"
    );

    let mut process = affectlens(folder.path(), "weights list")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(process.stdout.take());
    let output = process.wait_with_output().expect("it ends");
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
}

#[test]
fn metadata_cannot_command_the_terminal() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let weights = Weights::new(Metadata {
        architecture: "mlp".to_owned(),
        licence: "MIT\u{1b}]0;owned\u{7}\u{1b}[2J".to_owned(),
        ..Metadata::default()
    });
    fs::create_dir_all(folder.path().join("cache/weights")).expect("temporary folder");
    let file = folder.path().join("cache/weights/own.safetensors");
    weights.write(&file, Precision::Single).expect("writable");
    let output = run(folder.path(), "weights list");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains(r"licence  MIT\u{1b}]0;owned\u{7}\u{1b}[2J"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn settings_that_no_head_can_have_are_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().expect("temporary folder");
    // There are no data: whoever complains of those has not looked at the settings.
    let violence = "train violence --data nowhere --out head.safetensors";
    for (options, code, expected) in [
        (
            "--frame-step 0",
            2,
            "expected a whole number from 1 to 4096",
        ),
        ("--length 5000", 2, "expected a whole number from 1 to 4096"),
        (
            "--length 18446744073709551615",
            2,
            "expected a whole number from 1 to 4096",
        ),
        (
            "--step 18446744073709551615",
            2,
            "expected a whole number from 1 to 4096",
        ),
        (
            "--frames-per-second 1e30",
            1,
            "setting `frames_per_second` is `1000000000000000000000000000000`, expected a number from 0.01 to 1000",
        ),
    ] {
        let output = run(folder.path(), &format!("{violence} {options}"));
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{options}: {text}");
        assert!(text.contains(expected), "{options}: {text}");
    }
    let expression = "train expression --data nowhere --out head.safetensors";
    for (options, code, expected) in [
        (
            "--half-window 99999",
            1,
            "setting `half_window` is `99999`, expected a whole number from 0 to 1000",
        ),
        ("--crop-margin 99", 1, "setting `crop_margin` is `99`"),
        (
            "--hidden 65537",
            2,
            "expected a whole number from 1 to 32768",
        ),
        ("--hidden 0", 2, "expected a whole number from 1 to 32768"),
    ] {
        let output = run(folder.path(), &format!("{expression} {options}"));
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{options}: {text}");
        assert!(text.contains(expected), "{options}: {text}");
    }
    let evaluate = "evaluate violence --data nowhere";
    for option in ["--smooth", "--stride", "--frame-step"] {
        let output = run(
            folder.path(),
            &format!("{evaluate} {option} 18446744073709551615"),
        );
        assert_eq!(
            output.status.code(),
            Some(2),
            "{option}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn an_input_is_not_written_over() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let own = folder.path().join("own.safetensors");
    fs::write(&own, b"precious").expect("temporary file");
    fs::hard_link(&own, folder.path().join("clip.jsonl")).expect("same folder");
    for (arguments, expected) in [
        (
            "convert own.safetensors own.safetensors --backbone faceres",
            "OUT is the input `own.safetensors`, which would be lost",
        ),
        (
            "analyze own.safetensors --out clip.jsonl --device cpu",
            "--out is the input `own.safetensors`, which would be lost",
        ),
    ] {
        let output = run(folder.path(), arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(expected), "{text}");
        assert_eq!(fs::read(&own).expect("still there"), b"precious");
    }
}

/// A folder of two pictures of nothing.
fn pictures(folder: &Path) {
    let pictures = folder.join("frames");
    fs::create_dir(&pictures).expect("temporary folder");
    for name in ["1.png", "2.png"] {
        let picture = image::RgbImage::new(16, 16);
        picture.save(pictures.join(name)).expect("temporary file");
    }
}

/// With the weights that are installed.
fn analyze(folder: &Path, arguments: &str) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_affectlens"))
        .arg("analyze")
        .args(arguments.split_whitespace())
        .args(["--device", "cpu"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    output.expect("the command starts")
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn a_full_disk_ends_the_analysis_and_is_no_fault_of_the_inputs() {
    let folder = tempfile::tempdir().expect("temporary folder");
    pictures(folder.path());
    std::os::unix::fs::symlink("/dev/full", folder.path().join("full.jsonl")).expect("a link");
    let output = analyze(folder.path(), "frames --out full.jsonl");
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("affectlens: --out `full.jsonl`: No space left"),
        "{text}"
    );
    assert!(!text.contains("skipped"), "{text}");
}

#[test]
#[ignore = "needs fetched weights and ffmpeg: run cargo xtask test"]
fn playlists_that_pose_as_videos_open_nothing_and_end() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let secret = folder.path().join("secret.mp4");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i"])
        .args([
            "testsrc2=size=64x48:rate=10:duration=0.5",
            "-c:v",
            "libx264",
        ])
        .arg(&secret)
        .status();
    assert!(made.expect("ffmpeg starts").success());
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&secret)
        .args(["-c", "copy"])
        .arg(folder.path().join("secret.ts"))
        .status();
    assert!(made.expect("ffmpeg starts").success());
    let place = folder.path().display();
    let live = format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{place}/secret.ts\n");
    let dash = format!(
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT10S\" profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\"><Period>\
         <AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1000\">\
         <BaseURL>{place}/secret.mp4</BaseURL><SegmentBase indexRange=\"0-100\"/></Representation></AdaptationSet>\
         </Period></MPD>"
    );
    for (name, text) in [
        ("live.mp4", live.clone()),
        ("list.mp4", live + "#EXT-X-ENDLIST\n"),
        ("dash.mp4", dash),
        (
            "concat.mp4",
            "ffconcat version 1.0\nfile secret.mp4\n".to_owned(),
        ),
        ("pattern%d.mp4", "P6\n1 1\n255\nabc".to_owned()),
    ] {
        fs::write(folder.path().join(name), text).expect("temporary file");
        let started = Instant::now();
        let output = analyze(folder.path(), name);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(
            text.contains("is neither a picture nor a video: its container is not read"),
            "{name}: {text}"
        );
        assert!(output.stdout.is_empty(), "{name}");
        assert!(started.elapsed() < Duration::from_secs(50), "{name}");
    }
}
