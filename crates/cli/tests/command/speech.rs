//! `affectlens analyze --speech` on made-up videos.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use affectlens::voice::{VOICE_CHUNK, VOICE_RATE};
use serde_json::Value;

use crate::sound::{CHUNKS_A_PART, sound};

fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    command.output().expect("the program starts")
}

/// Writes a video of that many seconds, with the made-up sound, which lasts three, or without any.
fn video(folder: &Path, name: &str, seconds: u32, has_sound: bool) {
    let bytes: Vec<u8> = sound().into_iter().flat_map(f32::to_le_bytes).collect();
    fs::write(folder.join("sound.f32"), bytes).expect("temporary file");
    let rate = VOICE_RATE.to_string();
    let picture = format!("color=gray:size=96x96:rate=10:duration={seconds}");
    let mut arguments = vec![
        "-nostdin",
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        &picture,
    ];
    if has_sound {
        arguments.extend(["-f", "f32le", "-ar", &rate, "-ac", "1", "-i", "sound.f32"]);
        arguments.extend(["-c:a", "flac"]);
    }
    arguments.extend(["-c:v", "ffv1", name]);
    let done = run("ffmpeg", &arguments, folder);
    assert!(done.status.success(), "{done:?}");
}

fn analyze(folder: &Path, line: &str) -> Output {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    run(env!("CARGO_BIN_EXE_affectlens"), &arguments, folder)
}

#[test]
#[ignore = "needs fetched weights and ffmpeg: run cargo xtask test"]
fn each_frame_says_how_likely_somebody_speaks_while_there_is_sound() {
    let folder = tempfile::tempdir().expect("temporary folder");
    video(folder.path(), "voice.mkv", 4, true);
    let done = analyze(folder.path(), "analyze voice.mkv --speech --device cpu");
    assert!(done.status.success(), "{done:?}");
    let lines = String::from_utf8(done.stdout).expect("UTF-8");
    let reports = lines
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).expect("JSON") });
    let part_seconds = (CHUNKS_A_PART * VOICE_CHUNK) as f64 / f64::from(VOICE_RATE);
    let mut heard = vec![Vec::new(); 6];
    for report in reports {
        let seconds = report["time_ms"].as_f64().expect("a number") / 1000.0;
        let speech = report["audio"]["speech"].as_f64();
        let part = heard
            .iter_mut()
            .zip(1..)
            .find(|(_, end)| seconds < f64::from(*end) * part_seconds);
        match part {
            Some((part, _)) => part.push(speech.expect("there is sound")),
            None if seconds > 6.0 * part_seconds + 0.1 => {
                assert_eq!(report.get("audio"), None, "the sound is over");
            }
            None => {}
        }
    }
    let mean = |part: &Vec<f64>| part.iter().sum::<f64>() / part.len() as f64;
    let means: Vec<f64> = heard.iter().map(mean).collect();
    assert!(
        means[0] < 0.1 && means[1] < 0.3 && means[5] < 0.1,
        "{means:?}"
    );
    assert!(means[2..5].iter().all(|mean| *mean > 0.5), "{means:?}");

    let table = analyze(
        folder.path(),
        "analyze voice.mkv --speech --device cpu --format csv",
    );
    let table = String::from_utf8(table.stdout).expect("UTF-8");
    let fields: Vec<&str> = table
        .lines()
        .map(|line| line.rsplit(',').next().expect("one"))
        .collect();
    assert_eq!(fields[0], "speech");
    assert!(fields[1].parse::<f32>().is_ok_and(|speech| speech < 0.1));
    assert_eq!(fields[40], "", "the sound is over");
}

#[test]
#[ignore = "needs fetched weights and ffmpeg: run cargo xtask test"]
fn without_sound_faces_are_reported_and_pictures_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    video(folder.path(), "silent.mkv", 1, false);
    let done = analyze(folder.path(), "analyze silent.mkv --speech --device cpu");
    assert!(done.status.success(), "{done:?}");
    let note = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(note.contains("`silent.mkv` has no sound track"), "{note}");
    assert_eq!(done.stdout.split(|byte| *byte == b'\n').count(), 11);
    image::RgbImage::new(64, 64)
        .save(folder.path().join("one.png"))
        .expect("temporary file");
    for input in ["one.png", "."] {
        let done = analyze(
            folder.path(),
            &format!("analyze {input} --speech --device cpu"),
        );
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{error}");
        assert!(
            error.contains("--audio and --speech need a video with sound"),
            "{error}"
        );
    }
}
