//! Lists of files that several runs share, or that are followed as they grow.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::run::text;

/// Longest wait for a line: weights are loaded before the first one.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(options: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_affectlens"))
        .args(["analyze", "-", "--device", "cpu"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts")
}

/// Runs the command on a list; gives its status, what it prints and what it notes.
fn analyze(list: &str, options: &[&str]) -> (Option<i32>, String, String) {
    let mut process = start(options);
    let mut names = process.stdin.take().expect("piped");
    // It may end before it has read the list.
    let _ = names.write_all(list.as_bytes());
    drop(names);
    let output = process.wait_with_output().expect("it ends");
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    (output.status.code(), out, error)
}

fn paint(path: &Path) {
    let picture = image::RgbImage::from_pixel(64, 48, image::Rgb([90, 120, 60]));
    picture.save(path).expect("temporary file");
}

#[test]
fn options_for_lists_need_a_list() {
    for (options, message) in [
        (
            ["clip.mp4", "--shard", "1/2"].as_slice(),
            "--shard is about a list of files",
        ),
        (
            &["clip.mp4", "--follow"],
            "--follow is about a list of files",
        ),
        (&["-", "--follow", "--format", "csv"], "not a table"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_affectlens"))
            .arg("analyze")
            .args(options)
            .stdin(Stdio::null())
            .output()
            .expect("the command starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(message), "{said}");
    }
    let (status, _, said) = analyze("a.png\n", &["--shard", "3/2"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("expected NUMBER/COUNT"), "{said}");
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn shares_of_a_list_are_the_whole_list_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for name in ["a.png", "b.png", "c.png"] {
        paint(Path::new(&path(name)));
    }
    let list = ["c.png", "missing.png", "a.png", "b.png", "a.png"].map(path);
    let mut files = Vec::new();
    for (shard, taken, fails) in [
        ("1/3", ["a.png", "missing.png"].as_slice(), true),
        ("2/3", &["b.png"], false),
        ("3/3", &["c.png"], false),
    ] {
        let (status, out, said) = analyze(&list.join("\n"), &["--shard", shard]);
        assert_eq!(status, Some(i32::from(fails)), "{said}");
        let names: String = taken
            .iter()
            .map(|name| format!("\n  {}", path(name)))
            .collect();
        let things = if taken.len() == 1 { "file" } else { "files" };
        let told = format!("shard {shard} takes {} {things}{names}\n", taken.len());
        assert!(said.contains(&told), "{said}");
        files.extend(out.lines().map(|line| {
            let report: Value = serde_json::from_str(line).expect("JSON");
            report["file"].as_str().expect("a name").to_owned()
        }));
    }
    assert_eq!(files, ["a.png", "b.png", "c.png"].map(path));
    let (status, out, said) = analyze(&list.join("\n"), &["--shard", "5/9"]);
    assert_eq!((status, out.as_str()), (Some(0), ""), "{said}");
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn names_are_answered_as_they_come_and_each_file_has_an_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("a.png");
    paint(&picture);
    let picture = picture.display().to_string();
    let mut process = start(&["--follow"]);
    let mut names = process.stdin.take().expect("piped");
    let out = process.stdout.take().expect("piped");
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            let line = line.expect("text");
            let _ = sender.send(serde_json::from_str::<Value>(&line).expect("JSON"));
        }
    });
    let mut ask = |name: &str| {
        writeln!(names, "{name}").expect("it reads");
        let mut answer = Vec::new();
        loop {
            let line = lines.recv_timeout(PATIENCE).expect("an answer");
            assert_eq!(line["file"], name);
            if line["ended"] == true {
                return (answer, line);
            }
            answer.push(line);
        }
    };
    let (reports, end) = ask(&picture);
    assert_eq!(reports.len(), 1);
    assert_eq!(end, json!({ "file": picture, "ended": true, "frames": 1 }));
    let (reports, end) = ask("missing.mp4");
    assert!(reports.is_empty());
    let error = end["error"].as_str().expect("what was wrong");
    assert!(error.contains("`missing.mp4`"), "{error}");
    assert_eq!(end["frames"], 0);
    let (reports, end) = ask(&picture);
    assert_eq!((reports.len(), &end["frames"]), (1, &json!(1)));
    drop(names);
    let mut said = String::new();
    let mut errors = process.stderr.take().expect("piped");
    errors.read_to_string(&mut said).expect("text");
    assert_eq!(process.wait().expect("it ends").code(), Some(1), "{said}");
    assert!(said.contains("1 input failed"), "{said}");
}
