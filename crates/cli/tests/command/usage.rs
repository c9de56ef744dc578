//! The `affectlens` command as users and scripts meet it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

fn affectlens(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_affectlens"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn reports(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect()
}

fn cache() -> PathBuf {
    affectlens::weights::cache_dir()
}

fn clip() -> String {
    cache()
        .join("media/cap13_edit2.mp4")
        .to_string_lossy()
        .into_owned()
}

/// Frames of the clip as numbered PNG files.
fn extract_frames(folder: &Path, count: u32) {
    let done = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-i",
            &clip(),
            "-frames:v",
            &count.to_string(),
        ])
        .arg(folder.join("%03d.png"))
        .status()
        .expect("ffmpeg starts");
    assert!(done.success());
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &["analyze"][..],
        &["analyze", "x.png", "--tasks", "smell"],
        &["analyze", "x.png", "--device", "abacus"],
        &["analyze", "x.png", "--confidence", "1.5"],
        &["analyze", "x.png", "--detector-threshold", "-0.1"],
        &["analyze", "x.png", "--baseline", "0:05-0:03"],
        &["evaluate", "expression", "--data", ".", "--blend", "1.5"],
        &["analyze", "x.png", "--half-window", "-3"],
        &["analyze", "x.png", "--out", "reports.xlsx"],
        &["frobnicate"],
    ] {
        assert_eq!(
            affectlens(arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
}

#[test]
fn inputs_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.mp4");
    fs::write(&empty, b"").expect("written");
    for (input, message) in [
        (
            "no/such/file.png",
            "affectlens: `no/such/file.png`: No such file or directory",
        ),
        (text(&empty), "empty.mp4` is empty"),
        (
            text(folder.path()),
            "has no pictures, expected AVIF, BMP, GIF, HEIC, JPEG, PNG, TIFF or WebP",
        ),
    ] {
        let output = affectlens(&["analyze", input]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "one clear line");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn missing_weights_say_how_to_get_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("grey.png");
    image::RgbImage::new(8, 8).save(&picture).expect("saved");
    let output = affectlens(&["analyze", text(&picture), "--weights", text(folder.path())]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "weights `blazeface-short-range` are not installed; run `affectlens weights fetch blazeface-short-range`";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}

#[test]
#[ignore = "needs fetched weights and clips: run cargo xtask test"]
fn broken_pictures_are_reported_and_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    extract_frames(folder.path(), 3);
    fs::write(folder.path().join("002.png"), b"not a picture").expect("written");
    let output = affectlens(&[
        "analyze",
        text(folder.path()),
        "--device",
        "cpu",
        "--half-window",
        "1",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("002.png"), "{}", stderr(&output));
    let reports = reports(&output);
    let frames: Vec<_> = reports
        .iter()
        .map(|report| report["frame"].as_u64())
        .collect();
    assert_eq!(frames, [Some(0), Some(2)]);
    let ids: Vec<_> = reports
        .iter()
        .map(|report| report["faces"][0]["id"].as_u64())
        .collect();
    assert_eq!(
        ids,
        [Some(0), Some(0)],
        "the face keeps its number over the gap"
    );
}

#[test]
#[ignore = "needs fetched weights and clips: run cargo xtask test"]
fn files_of_a_list_are_named_in_their_reports() {
    let folder = tempfile::tempdir().expect("a folder");
    extract_frames(folder.path(), 1);
    let good = folder.path().join("001.png");
    let mut process = Command::new(env!("CARGO_BIN_EXE_affectlens"))
        .args(["analyze", "-", "--device", "cpu"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let list = format!("{}\nmissing.png\n{}\n", text(&good), text(&good));
    process
        .stdin
        .take()
        .expect("piped")
        .write_all(list.as_bytes())
        .expect("written");
    let output = process.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("`missing.png`"),
        "{}",
        stderr(&output)
    );
    let reports = reports(&output);
    assert_eq!(reports.len(), 2);
    assert_eq!(
        reports[0], reports[1],
        "pictures of a list do not influence each other"
    );
    assert_eq!(reports[0]["file"], text(&good));
}

#[test]
#[ignore = "needs fetched weights, clips and ffmpeg: run cargo xtask test"]
fn damaged_videos_keep_what_was_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let short = folder.path().join("short.mkv");
    let done = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-i",
            &clip(),
            "-frames:v",
            "12",
            "-c:v",
            "libx264",
            "-g",
            "1",
        ])
        .arg(&short)
        .status()
        .expect("ffmpeg starts");
    assert!(done.success());
    let whole = fs::read(&short).expect("readable");
    let cut = folder.path().join("cut.mkv");
    fs::write(&cut, &whole[..whole.len() * 2 / 3]).expect("written");
    let out = folder.path().join("reports.csv");
    let output = affectlens(&[
        "analyze",
        text(&cut),
        "--device",
        "cpu",
        "--half-window",
        "2",
        "--out",
        text(&out),
    ]);
    let table = fs::read_to_string(&out).expect("the table is there");
    let rows: Vec<_> = table.lines().collect();
    assert!(rows[0].starts_with(
        "file,frame,time_ms,id,x,y,width,height,score,label,confidence,source,neutral"
    ));
    assert!(
        (5..=12).contains(&(rows.len() - 1)),
        "{} rows; {}",
        rows.len(),
        stderr(&output)
    );
    let columns = rows[0].split(',').count();
    assert!(
        rows.iter().all(|row| row.split(',').count() == columns),
        "every row is whole"
    );
}

#[test]
#[ignore = "needs fetched weights and ffmpeg: run cargo xtask test"]
fn files_that_are_no_video_are_refused_before_the_output_is_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let noise = folder.path().join("noise.mp4");
    fs::write(&noise, vec![7; 4096]).expect("written");
    let out = folder.path().join("reports.jsonl");
    fs::write(&out, b"{}\n").expect("written");
    let output = affectlens(&[
        "analyze",
        text(&noise),
        "--device",
        "cpu",
        "--out",
        text(&out),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read(&out).expect("still there"), b"{}\n");
    assert!(
        stderr(&output).contains("noise.mp4` is neither a picture nor a video"),
        "{}",
        stderr(&output)
    );
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn every_task_has_its_columns() {
    let picture = cache().join("media/franck_02159.jpg");
    let lines = |tasks: &str| {
        let arguments = [
            "analyze",
            text(&picture),
            "--device",
            "cpu",
            "--format",
            "csv",
        ];
        let output = affectlens(&[&arguments[..], &["--tasks", tasks]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let lines: Vec<Vec<String>> = text
            .lines()
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect();
        assert_eq!(lines.len(), 2, "a header and a face");
        assert_eq!(lines[0].len(), lines[1].len());
        lines
    };
    let place = "file,frame,time_ms,id,x,y,width,height,score";
    let all = lines("action-units,expression,valence-arousal");
    let header = all[0].join(",");
    assert!(
        header.starts_with(&format!("{place},label,confidence,source,neutral,")),
        "{header}"
    );
    assert!(
        header.ends_with(",surprise,valence,arousal,valence_arousal_source,action_units_source,AU1,AU2,AU4,AU5,AU6,AU7,AU10,AU12,AU14,AU15,AU17,AU20,AU24,AU25,AU26,AU28,AU45"),
        "{header}"
    );
    assert!(
        all[1]
            .iter()
            .all(|field| !field.is_empty() || field == &all[1][0])
    );
    let one = lines("valence-arousal");
    assert_eq!(
        one[0].join(","),
        format!("{place},valence,arousal,valence_arousal_source")
    );
    assert_eq!(one[1].last().map(String::as_str), Some("derived"));
}

#[test]
fn bench_names_the_networks_that_it_knows() {
    let output = affectlens(&["bench", "--network", "resnet-152"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains(
            "--network is `resnet-152`, expected `all`, `expression-mobilenet`, `faceres`"
        ),
        "{said}"
    );
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn bench_times_what_is_installed() {
    let output = affectlens(&[
        "bench",
        "--device",
        "cpu",
        "--batch",
        "1,2",
        "--rounds",
        "2",
        "--threads",
        "1",
        "--json",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let found: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(found["device"].as_str(), Some("cpu"));
    let runs = found["runs"].as_array().expect("a list");
    assert!(
        runs.iter().all(|run| run["threads"].as_u64() == Some(1)),
        "{runs:?}"
    );
    for network in ["expression-mobilenet", "faceres", "blazeface-short-range"] {
        let batches: Vec<_> = runs
            .iter()
            .filter(|run| run["network"] == network)
            .map(|run| run["batch"].as_u64())
            .collect();
        assert_eq!(batches, [Some(1), Some(2)], "{network}");
    }
    assert!(
        runs.iter().all(
            |run| run["median_ms"].as_f64() > Some(0.0) && run["first_ms"].as_f64() > Some(0.0)
        )
    );
}

#[test]
#[ignore = "needs fetched weights and a Vulkan adapter: run cargo xtask test"]
fn vulkan_and_cpu_agree_on_a_frame() {
    let folder = tempfile::tempdir().expect("a folder");
    extract_frames(folder.path(), 1);
    let picture = folder.path().join("001.png");
    let [cpu, vulkan] = ["cpu", "vulkan"].map(|device| {
        let output = affectlens(&["analyze", text(&picture), "--device", device]);
        assert!(output.status.success(), "{}", stderr(&output));
        reports(&output).remove(0)["faces"][0].clone()
    });
    for side in 0..4 {
        let [a, b] = [&cpu, &vulkan].map(|face| face["box"][side].as_f64().expect("a number"));
        assert!((a - b).abs() <= 2.0, "box {side}: {a} and {b}");
    }
    let probabilities = cpu["expression"]["probabilities"]
        .as_object()
        .expect("a map");
    for (class, a) in probabilities {
        let b = &vulkan["expression"]["probabilities"][class];
        let difference = a.as_f64().expect("a number") - b.as_f64().expect("a number");
        // f32 sums in another order, through 27 layers.
        assert!(difference.abs() <= 2e-3, "{class}: {a} and {b}");
    }
}

#[test]
fn a_baseline_without_faces_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    image::RgbImage::new(8, 8)
        .save(folder.path().join("1.png"))
        .expect("saved");
    let arguments = ["analyze", text(folder.path()), "--baseline", "0:01"];
    let output = affectlens(&[&arguments[..], &["--tasks", "violence"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let expected = "--baseline is about faces, but no task about faces was asked for";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}

#[test]
#[ignore = "needs fetched weights and clips: run cargo xtask test"]
fn a_neutral_look_is_taken_off_the_frames_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    extract_frames(folder.path(), 8);
    let windows = ["--half-window", "0", "--action-units-half-window", "0"];
    let analyze = |options: &[&str]| {
        let arguments = ["analyze", text(folder.path()), "--device", "cpu"];
        let tasks = ["--tasks", "expression,action-units"];
        let output = affectlens(&[&arguments[..], &tasks, &windows, options].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        output
    };
    let plain = reports(&analyze(&[]));
    // Frames 2 and 3, at 25 a second.
    let calibrated = reports(&analyze(&["--baseline", "0:00.08-0:00.16"]));
    for (frame, (plain, calibrated)) in plain.iter().zip(&calibrated).enumerate() {
        let [plain, calibrated] = [plain, calibrated].map(|report| &report["faces"][0]);
        assert_eq!(calibrated["baseline"] == true, frame >= 4, "frame {frame}");
        assert_eq!(plain == calibrated, frame < 4, "frame {frame}");
        let strengths = |face: &Value| {
            let units = face["action_units"].as_object().expect("a mesh was found");
            units
                .values()
                .map(|it| it.as_f64().expect("a number"))
                .sum::<f64>()
        };
        assert!(frame < 4 || strengths(calibrated) < strengths(plain));
    }
    let table = analyze(&["--baseline", "0:00.08-0:00.16", "--format", "csv"]);
    let table = String::from_utf8(table.stdout).expect("UTF-8");
    let last = |line: &str| line.rsplit(',').next().map(str::to_owned);
    let column: Vec<_> = table.lines().filter_map(last).collect();
    assert_eq!(
        column[..6],
        ["baseline", "false", "false", "false", "false", "true"]
    );

    let picture = folder.path().join("001.png");
    let output = affectlens(&[
        "analyze",
        text(&picture),
        "--device",
        "cpu",
        "--baseline",
        "3",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "001.png` is a picture; --baseline needs a video or a folder of frames";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn a_personal_head_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("1.png");
    image::RgbImage::new(8, 8).save(&picture).expect("saved");
    let head = folder.path().join("me.safetensors");
    let refusal = |bytes: Option<&[u8]>| {
        if let Some(bytes) = bytes {
            std::fs::write(&head, bytes).expect("written");
        }
        let arguments = ["analyze", text(&picture), "--device", "cpu", "--personal"];
        let output = affectlens(&[&arguments[..], &[text(&head)]].concat());
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    assert!(refusal(None).contains("me.safetensors`: "));
    let damaged = refusal(Some(b"no head"));
    let expected = "me.safetensors`: personal head: safetensors file is malformed: ";
    assert!(damaged.contains(expected), "{damaged}");
    let large = refusal(Some(&vec![0; (4 << 20) + 2]));
    let expected = "personal head: file has 4194305 bytes, expected at most 4194304";
    assert!(large.contains(expected), "{large}");
}
