//! Pictures, folders of them and pipes as users have them: displayed as a viewer shows them, named, and counted.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use image::{DynamicImage, ImageEncoder as _, codecs::png::PngEncoder, metadata::Orientation};
use serde_json::Value;

fn affectlens<S: AsRef<OsStr>>(arguments: &[S], input: &[u8]) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_affectlens"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut pipe = process.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // The command may end before it has read everything.
        let _ = pipe.write_all(&input);
    });
    let output = process.wait_with_output().expect("it ends");
    writer.join().expect("written");
    output
}

/// Analyses on the CPU.
fn analyze(input: &Path, options: &[&str]) -> Output {
    let mut arguments = vec![OsStr::new("analyze"), input.as_os_str()];
    arguments.extend(["--device", "cpu"].map(OsStr::new));
    arguments.extend(options.iter().map(OsStr::new));
    affectlens(&arguments, b"")
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

fn files(output: &Output) -> Vec<String> {
    let file = |report: Value| report["file"].as_str().expect("a name").to_owned();
    reports(output).into_iter().map(file).collect()
}

fn media(name: &str) -> PathBuf {
    affectlens::weights::cache_dir().join("media").join(name)
}

fn face() -> DynamicImage {
    image::open(media("franck_02159.jpg")).expect("fetched")
}

/// A PNG that is stored turned, with the tag that says so.
fn save_turned(picture: &DynamicImage, orientation: u8, path: &Path) {
    let inverse = match orientation {
        6 => 8,
        8 => 6,
        same => same,
    };
    let mut stored = picture.clone();
    stored.apply_orientation(Orientation::from_exif(inverse).expect("one of eight"));
    let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let file = fs::File::create(path).expect("temporary file");
    let mut encoder = PngEncoder::new(file);
    encoder.set_exif_metadata(exif).expect("holds it");
    let (width, height) = (stored.width(), stored.height());
    encoder
        .write_image(stored.as_bytes(), width, height, stored.color().into())
        .expect("encoded");
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn pictures_that_are_stored_turned_give_the_report_of_the_upright_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |orientation: u8| folder.path().join(format!("{orientation}.png"));
    // A list, so that weights are loaded once.
    let picture = face();
    let list: Vec<_> = (1..=8)
        .map(|orientation| {
            save_turned(&picture, orientation, &path(orientation));
            path(orientation).to_string_lossy().into_owned()
        })
        .collect();
    let output = affectlens(
        &["analyze", "-", "--device", "cpu"],
        list.join("\n").as_bytes(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let reports = reports(&output);
    assert_eq!(reports.len(), 8);
    assert_eq!(reports[0]["faces"].as_array().map(Vec::len), Some(1));
    for report in &reports {
        assert_eq!(report["faces"], reports[0]["faces"], "{}", report["file"]);
    }
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn picture_that_is_transparent_has_no_face_and_one_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("invisible.png");
    let mut picture = face().into_rgba8();
    for pixel in picture.pixels_mut() {
        pixel.0[3] = 0;
    }
    picture.save(&path).expect("temporary file");
    let output = analyze(&path, &["--format", "csv"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(',').collect()).collect();
    assert_eq!(rows.len(), 2, "a header and a row: {text}");
    assert_eq!(rows[0].len(), rows[1].len());
    assert_eq!(rows[1][..3], ["", "0", "0"]);
    assert!(rows[1][3..].iter().all(|field| field.is_empty()), "{text}");
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn rows_of_a_folder_name_their_picture_and_the_rest_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let whole = fs::read(media("franck_02159.jpg")).expect("fetched");
    fs::create_dir(path("inner")).expect("temporary folder");
    for name in ["IMG_10.jpg", "IMG_2.jpg", "inner/IMG_3.jpg"] {
        fs::write(path(name), &whole).expect("temporary file");
    }
    fs::write(path("IMG_1.jpg"), &whole[..whole.len() / 3]).expect("temporary file");
    fs::write(path("notes.txt"), b"a day at the sea").expect("temporary file");

    let output = analyze(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "one picture failed");
    assert_eq!(files(&output), ["IMG_2.jpg", "IMG_10.jpg"]);
    let said = stderr(&output);
    assert!(
        said.contains("IMG_1.jpg`: cut off: a JPEG without its end"),
        "{said}"
    );
    let count = "skipped 3 files: 1 is no picture (notes.txt), 1 is a folder, read with --recursive (inner), 1 cannot be read (IMG_1.jpg)";
    assert!(said.contains(count), "{said}");

    fs::remove_file(path("IMG_1.jpg")).expect("was there");
    let output = analyze(folder.path(), &["--recursive", "--format", "csv"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let names: Vec<_> = text
        .lines()
        .skip(1)
        .filter_map(|row| row.split(',').next())
        .collect();
    assert_eq!(names, ["IMG_2.jpg", "IMG_10.jpg", "inner/IMG_3.jpg"]);

    let list = format!(
        "{}\n{}\n",
        folder.path().display(),
        path("IMG_2.jpg").display()
    );
    let output = affectlens(&["analyze", "-", "--device", "cpu"], list.as_bytes());
    let full = |name: &str| path(name).display().to_string();
    assert_eq!(
        files(&output),
        [full("IMG_2.jpg"), full("IMG_10.jpg"), full("IMG_2.jpg")]
    );
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn what_comes_through_a_pipe_is_analysed() {
    let picture = media("franck_02159.jpg");
    let arguments = ["analyze", "/dev/stdin", "--device", "cpu"];
    let output = affectlens(&arguments, &fs::read(&picture).expect("fetched"));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout, analyze(&picture, &[]).stdout);

    let folder = tempfile::tempdir().expect("a folder");
    let clip = folder.path().join("clip.mp4");
    let done = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i"])
        .args([
            "testsrc=size=64x48:rate=5:duration=1",
            "-pix_fmt",
            "yuv420p",
        ])
        .arg(&clip)
        .status()
        .expect("ffmpeg starts");
    assert!(done.success());
    let output = affectlens(&arguments, &fs::read(&clip).expect("made"));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(reports(&output).len(), 5);
    assert_eq!(output.stdout, analyze(&clip, &[]).stdout);

    // A file as standard input, which ffmpeg does not have open.
    let output = Command::new(env!("CARGO_BIN_EXE_affectlens"))
        .args(arguments)
        .stdin(fs::File::open(&clip).expect("made"))
        .output()
        .expect("the command starts");
    assert_eq!(output.stdout, analyze(&clip, &[]).stdout);

    let output = affectlens(&arguments, &[7; 5000]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("`/dev/stdin` is neither a picture nor a video"),
        "{said}"
    );
}

#[test]
fn pipes_without_a_byte_and_devices_are_refused() {
    let output = affectlens(&["analyze", "/dev/stdin"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("`/dev/stdin` is empty"),
        "{}",
        stderr(&output)
    );
    let output = affectlens(&["analyze", "/dev/zero"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("`/dev/zero` is a device"),
        "{}",
        stderr(&output)
    );
}

#[test]
#[cfg(unix)]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn names_that_are_not_text_are_read_and_written() {
    use std::os::unix::ffi::OsStringExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let named = |name: &[u8]| folder.path().join(OsString::from_vec(name.to_owned()));
    let picture = named(b"caf\xE9.jpg");
    fs::copy(media("franck_02159.jpg"), &picture).expect("copied");
    let out = named(b"r\xE9ports.jsonl");
    let output = affectlens(
        &[
            OsStr::new("analyze"),
            picture.as_os_str(),
            OsStr::new("--device"),
            OsStr::new("cpu"),
            OsStr::new("--out"),
            out.as_os_str(),
        ],
        b"",
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        fs::read_to_string(&out).expect("written").lines().count(),
        1
    );
    fs::remove_file(&out).expect("was there");

    let output = analyze(folder.path(), &[]);
    assert_eq!(files(&output), ["caf\u{FFFD}.jpg"], "{}", stderr(&output));

    let mut list = picture.into_os_string().into_vec();
    list.extend(b"\nmissing.jpg\n");
    let output = affectlens(&["analyze", "-", "--device", "cpu"], &list);
    assert_eq!(reports(&output).len(), 1, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("`missing.jpg`"),
        "{}",
        stderr(&output)
    );
}
