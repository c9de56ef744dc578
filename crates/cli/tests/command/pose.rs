//! `affectlens analyze --tasks pose` as a user calls it.

use std::{fs, process::Output};

use image::RgbImage;
use serde_json::Value;

use crate::run::{installed, text};

#[track_caller]
fn fails(output: &Output, code: i32, message: &str) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.contains(message), "{error}");
}

#[track_caller]
fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// A folder with a black picture and one of a person.
fn pictures() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    let black = RgbImage::new(64, 48);
    black.save(folder.path().join("black.png")).expect("saved");
    folder
}

#[test]
fn missing_and_damaged_weights_are_named() {
    let folder = pictures();
    let analyze = "analyze black.png --tasks pose --device cpu --weights .";
    let output = installed(folder.path(), analyze);
    fails(&output, 1, "weights `pose-detector` are not installed");
    fails(&output, 1, "affectlens weights fetch pose-detector");
    fs::write(
        folder.path().join("pose-detector.safetensors"),
        b"no weights",
    )
    .expect("written");
    let output = installed(folder.path(), analyze);
    fails(&output, 1, "pose-detector.safetensors");
    assert_eq!(text(&output.stderr).lines().count(), 1);
}

#[test]
fn a_count_of_nobody_is_wrong_usage() {
    let folder = pictures();
    for wrong in ["--people 0", "--people 101", "--people many", "--pose tiny"] {
        let output = installed(
            folder.path(),
            &format!("analyze black.png --tasks pose {wrong}"),
        );
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn people_are_reported_as_json_and_as_a_table() {
    let folder = pictures();
    let media = affectlens::weights::cache_dir().join("media/franck_02159.jpg");
    let analyze = |input: &str, options: &str| {
        let common = "--tasks pose --device cpu";
        lines(&installed(
            folder.path(),
            &format!("analyze {input} {common} {options}"),
        ))
    };
    let media = media.display().to_string();
    let reports = analyze(&media, "--people 20");
    let report: Value = serde_json::from_str(&reports[0]).expect("JSON");
    let people = report["people"].as_array().expect("a list");
    assert_eq!((people.len(), &people[0]["id"]), (1, &Value::from(0)));
    let keypoints = people[0]["keypoints"].as_array().expect("a list");
    assert_eq!(keypoints.len(), 33);
    assert!(
        keypoints
            .iter()
            .all(|it| it.as_array().is_some_and(|it| it.len() == 4))
    );

    let table = analyze(&media, "--format csv");
    assert_eq!(table.len(), 2);
    let cells: Vec<Vec<&str>> = table.iter().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        cells[0][..14].join(","),
        "file,frame,time_ms,kind,id,x,y,width,height,score,nose_x,nose_y,nose_z,nose_visibility"
    );
    assert_eq!((cells[0].len(), cells[1].len()), (10 + 33 * 4, 10 + 33 * 4));
    assert_eq!(cells[1][3..5], ["person", "0"]);

    let nobody = analyze("black.png", "");
    let report: Value = serde_json::from_str(&nobody[0]).expect("JSON");
    assert_eq!(report["people"], Value::from(Vec::<Value>::new()));
    let nobody = analyze("black.png", "--format csv");
    assert_eq!(nobody[1].matches(',').count(), 10 + 33 * 4 - 1);
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn a_table_of_faces_and_people_says_which_a_line_is() {
    let folder = pictures();
    let media = affectlens::weights::cache_dir().join("media/franck_02159.jpg");
    let media = media.display();
    let options = "--tasks expression,pose --device cpu --format csv";
    let table = lines(&installed(
        folder.path(),
        &format!("analyze {media} {options}"),
    ));
    let kinds: Vec<_> = table
        .iter()
        .filter_map(|line| line.split(',').nth(3))
        .collect();
    assert_eq!(kinds, ["kind", "face", "person"]);
    let widths: Vec<_> = table.iter().map(|line| line.matches(',').count()).collect();
    assert_eq!(widths, [widths[0]; 3]);
}
