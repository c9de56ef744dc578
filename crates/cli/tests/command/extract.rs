//! `affectlens extract` as a user calls it.

use std::{fs, path::Path};

use affectlens::weights::cache_dir;
use affectlens_data::SkeletonRows;
use image::{Rgb, RgbImage};

use crate::run::{installed, text};

#[track_caller]
fn succeeds(folder: &Path, arguments: &str) -> String {
    let output = installed(folder, arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn fails(folder: &Path, arguments: &str, code: i32) -> (String, String) {
    let output = installed(folder, arguments);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    (text(&output.stdout), error)
}

/// A frame with a box that moves.
fn paint(path: &Path, number: u32) {
    fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
    let colour = |x: u32, y: u32| {
        let is_there = (10 * number..10 * number + 40).contains(&x) && (30..70).contains(&y);
        Rgb(if is_there {
            [250, 90, 30]
        } else {
            [10, 40, 60]
        })
    };
    let picture = RgbImage::from_fn(160, 120, colour);
    picture.save(path).expect("temporary file");
}

/// A tree like DVD's: two videos of three frames, and one without a frame that can be read.
fn dvd() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for video in ["Training/frames/v1", "Validation/frames/v2"] {
        for number in 1..=3 {
            paint(
                &folder.path().join(format!("dvd/{video}/{number}.png")),
                number,
            );
        }
    }
    let damaged = folder.path().join("dvd/Training/frames/v3");
    fs::create_dir_all(&damaged).expect("temporary folder");
    fs::write(damaged.join("1.jpg"), b"no picture").expect("temporary file");
    folder
}

#[test]
fn flow_is_written_once_and_a_damaged_video_is_skipped() {
    let folder = dvd();
    let extract = "extract flow --dvd dvd --out flow";
    let (out, error) = fails(folder.path(), extract, 1);
    assert_eq!(out, "2 made, 0 kept in flow\n");
    assert!(
        error.contains("skipped: video `Training/v3` has no frame that can be read"),
        "{error}"
    );
    assert!(error.ends_with("affectlens: 1 video failed\n"), "{error}");
    let flow = folder.path().join("flow");
    for file in [
        "Training/v1/1.jpg",
        "Training/v1/3.jpg",
        "Validation/v2/2.jpg",
    ] {
        let picture = image::open(flow.join(file)).expect("a JPEG").into_rgb8();
        assert_eq!(picture.dimensions(), (224, 224));
        let moves = picture.pixels().any(|pixel| pixel.0[0] > 200);
        assert_eq!(moves, !file.ends_with("/1.jpg"), "{file}");
    }
    assert!(!flow.join("Training/v3").exists());
    fs::remove_dir_all(flow.join("Validation/v2")).expect("was written");
    let (out, _) = fails(folder.path(), extract, 1);
    assert_eq!(out, "1 made, 1 kept in flow\n");
}

#[test]
fn folders_of_frames_are_videos_and_wrong_usage_is_told() {
    let folder = dvd();
    let frames = "dvd/Training/frames/v1";
    let out = succeeds(folder.path(), &format!("extract flow {frames} --out a/b"));
    assert_eq!(out, "1 made, 0 kept in a/b\n");
    assert!(folder.path().join("a/b/v1/3.jpg").exists());
    for wrong in [
        "extract flow --out x",
        "extract flow dvd",
        "extract flow clip.mp4 --dvd dvd --out x",
        "extract sound clip.mp4 --out x",
    ] {
        fails(folder.path(), wrong, 2);
    }
    let (_, error) = fails(folder.path(), "extract flow none.mp4 --out x", 1);
    assert!(error.contains("none.mp4"), "{error}");
    let same = format!("extract flow {frames} dvd/Validation/../Training/frames/v1 --out x");
    let (_, error) = fails(folder.path(), &same, 1);
    assert!(error.contains("would both be kept as `v1`"), "{error}");
}

#[test]
fn skeletons_need_weights_and_say_which() {
    let folder = dvd();
    let (_, error) = fails(
        folder.path(),
        "extract skeletons --dvd dvd --out skeletons --weights . --device cpu",
        1,
    );
    assert!(
        error.contains("affectlens weights fetch pose-detector"),
        "{error}"
    );
    assert!(!folder.path().join("skeletons").exists());
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn skeletons_of_a_person_who_leaves_are_rows_that_numpy_reads() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let frames = folder.path().join("clip");
    fs::create_dir_all(&frames).expect("temporary folder");
    let person = cache_dir().join("media/franck_02159.jpg");
    for number in [1, 2, 10] {
        fs::copy(&person, frames.join(format!("{number}.jpg"))).expect("fetched");
    }
    RgbImage::new(64, 48)
        .save(frames.join("11.png"))
        .expect("writable");
    fs::write(frames.join("12.jpg"), b"no picture").expect("writable");
    let extract = "extract skeletons clip --out out --device cpu";
    let out = succeeds(folder.path(), extract);
    assert_eq!(out, "1 made, 0 kept in out\n");
    let file = folder.path().join("out/clip.npy");
    let rows = SkeletonRows::read(&file).expect("own file");
    assert_eq!(rows.len(), 5);
    let person = |row: usize| &rows.row(row)[..99];
    let change = |row: usize| &rows.row(row)[198..297];
    // The nose lies in the picture.
    assert!((0.0..1.0).contains(&person(0)[0]) && (0.0..1.0).contains(&person(0)[1]));
    assert_eq!((person(0), change(0)), (person(1), person(0)));
    assert_eq!(change(1), [0.0; 99], "nobody moves");
    assert_eq!(person(3), [0.0; 99], "a black frame");
    assert_eq!(
        change(3),
        person(2).iter().map(|it| -it).collect::<Vec<_>>()
    );
    assert_eq!(rows.row(4), &[0.0; 406], "an unreadable frame");

    // What is there is kept, what is damaged is made anew.
    let bytes = fs::read(&file).expect("written");
    let out = succeeds(folder.path(), extract);
    assert_eq!(out, "0 made, 1 kept in out\n");
    fs::write(&file, &bytes[..bytes.len() - 1]).expect("writable");
    succeeds(folder.path(), extract);
    assert_eq!(fs::read(&file).expect("written"), bytes);
}
