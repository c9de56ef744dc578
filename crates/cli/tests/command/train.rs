//! `affectlens train` and `affectlens evaluate` as a user calls them.

use std::{
    path::Path,
    process::{Command, Output},
};

use affectlens::{
    calibration::ExpressionSettings,
    weights::{Precision, Weights},
};
use image::{Rgb, RgbImage};

fn affectlens(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_affectlens"));
    command
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the command line starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Plain pictures, a colour a label, each of another brightness.
fn paint(folder: &Path, label: &str, colour: [u8; 3], count: u8) {
    let folder = folder.join(label);
    std::fs::create_dir_all(&folder).expect("temporary folder");
    for number in 0..count {
        let picture = RgbImage::from_pixel(
            48,
            48,
            Rgb(colour.map(|level| level.saturating_sub(number * 4))),
        );
        picture
            .save(folder.join(format!("{number}.png")))
            .expect("temporary file");
    }
}

#[test]
fn folder_that_is_no_label_is_named() {
    let folder = tempfile::tempdir().expect("temporary folder");
    paint(&folder.path().join("data/train"), "joy", [255; 3], 1);
    let output = affectlens(
        &[
            "train",
            "expression",
            "--data",
            "data",
            "--out",
            "x.safetensors",
        ],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(
        message.contains("joy` is not named after an expression"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn a_backbone_with_two_heads_is_trained_on_pictures_and_read_again() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| folder.path().join(name);
    for part in ["train", "validation"] {
        for (label, colour) in [
            ("happy", [230, 220, 230]),
            ("sad", [50; 3]),
            ("fear", [140; 3]),
        ] {
            paint(&path("data").join(part), label, colour, 4);
        }
    }
    std::fs::write(path("data/train/sad/broken.jpg"), b"no picture").expect("temporary file");
    for name in ["start", "out"] {
        std::fs::create_dir(path(name)).expect("temporary folder");
    }
    let start = crate::seeded::seeded("faceres");
    start
        .write(&path("start/faceres.safetensors"), Precision::Single)
        .expect("temporary file");
    let train = "train expression --end-to-end --data data --side 32 --epochs 2 --batch 6 --device cpu \
                 --weights start --backbone faceres --backbone-out out/expression-mobilenet.safetensors --out out/expression-pretrained.safetensors \
                 --adapted-training data/train --adapted-validation data/validation --adapted-without fear \
                 --adapted-out out/expression-head.safetensors --resume run";
    let train: Vec<&str> = train.split_whitespace().collect();
    let output = affectlens(&train, folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("broken.jpg"));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let heads = summary["heads"].as_array().expect("a list");
    let pictures: Vec<_> = heads.iter().map(|it| &it["training_pictures"]).collect();
    assert_eq!(pictures, [12, 8]);
    assert_eq!(summary["skipped_pictures"], 2, "once a head");
    let backbone =
        Weights::read(&path("out/expression-mobilenet.safetensors")).expect("was written");
    assert_eq!(backbone.metadata.input_side, Some(32));
    assert_ne!(backbone.get("conv_stem.bias"), start.get("conv_stem.bias"));
    let head = Weights::read(&path("out/expression-head.safetensors")).expect("was written");
    assert_eq!(head.get("net.0.bias").map(|it| it.shape[0]), Some(128));
    assert_eq!(head.metadata.source_sha256, backbone.metadata.source_sha256);

    let evaluate = "evaluate expression --data data/validation --weights out --device cpu --json";
    let evaluate: Vec<&str> = evaluate.split_whitespace().collect();
    let output = affectlens(&evaluate, folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let scores: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(scores["count"], 12);
}

#[test]
fn options_that_do_not_go_with_end_to_end_are_wrong_usage() {
    let end_to_end = "train expression --data d --out o --end-to-end --backbone-out b";
    for line in [
        "train expression --data d --out o --end-to-end".to_owned(),
        "train expression --data d --out o --side 64".to_owned(),
        format!("{end_to_end} --mixup 0.2"),
        format!("{end_to_end} --hidden 64"),
        format!("{end_to_end} --adapted-training d"),
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = affectlens(&words, Path::new("."));
        assert_eq!(output.status.code(), Some(2), "{line}: {}", stderr(&output));
    }
}

#[test]
fn groups_of_another_name_are_wrong_usage() {
    for line in [
        "evaluate expression --data d --by height",
        "evaluate expression --affwild2 d --by age",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = affectlens(&words, Path::new("."));
        assert_eq!(output.status.code(), Some(2), "{line}: {}", stderr(&output));
    }
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn scores_by_age_and_gender_are_those_of_all_pictures_in_parts() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let data = folder.path().join("data");
    paint(&data, "sad", [90; 3], 2);
    std::fs::create_dir_all(data.join("happiness")).expect("temporary folder");
    let media = affectlens::weights::cache_dir().join("media");
    for file in ["franck_04117.jpg", "audrey_crop.jpg"] {
        std::fs::copy(media.join(file), data.join("happiness").join(file)).expect("fetched");
    }
    let evaluate = "evaluate expression --data data --device cpu --by gender,age";
    let evaluate: Vec<&str> = evaluate.split_whitespace().collect();
    let output = affectlens(&[&evaluate[..], &["--json"]].concat(), folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["count"], 4);
    let groups = report["groups"].as_array().expect("a list");
    assert_eq!(groups.len(), 7);
    for by in ["age", "gender"] {
        let counts = groups.iter().filter(|group| group["by"] == by);
        let sum: u64 = counts.filter_map(|group| group["count"].as_u64()).sum();
        assert_eq!(sum, 4, "{groups:?}");
    }
    let output = affectlens(&evaluate, folder.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("female (below .4)"), "{text}");
}

#[test]
fn training_without_data_is_wrong_usage() {
    let output = affectlens(
        &["train", "expression", "--out", "x.safetensors"],
        Path::new("."),
    );
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn balanced_batches_and_a_batch_size_exclude_each_other() {
    for other in [&["--batch", "64"][..], &["--weighted-sampler"]] {
        let arguments = [
            "train",
            "expression",
            "--data",
            "data",
            "--out",
            "x.safetensors",
            "--per-class",
            "8",
        ];
        let output = affectlens(&[&arguments[..], other].concat(), Path::new("."));
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
}

#[test]
fn options_of_another_task_are_wrong_usage() {
    for (task, option) in [
        ("action-units", ["--mixup", "0.2"]),
        ("action-units", ["--data", "data"]),
        ("valence-arousal", ["--no-gla", "--no-gla"]),
        ("expression", ["--scores", "logit"]),
    ] {
        let train = ["train", task, "--affwild2", ".", "--out", "x.safetensors"];
        let output = affectlens(&[&train[..], &option].concat(), Path::new("."));
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains("unexpected argument"), "{message}");
    }
    for (task, option) in [
        ("action-units", "--no-gla"),
        ("action-units", "--confidence=0.5"),
        ("valence-arousal", "--blend=0.5"),
        ("valence-arousal", "--data=data"),
        ("expression", "--smooth=3"),
        ("violence", "--model=head"),
    ] {
        let output = affectlens(&["evaluate", task, option], Path::new("."));
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains("unexpected argument"), "{message}");
    }
    let both = [
        "evaluate",
        "action-units",
        "--data",
        "data",
        "--model",
        "head",
    ];
    let message = stderr(&affectlens(&both, Path::new(".")));
    assert!(message.contains("cannot be used with"), "{message}");
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn trained_head_is_evaluated_from_its_file() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for part in ["train", "validation"] {
        paint(
            &folder.path().join("data").join(part),
            "happy",
            [250, 220, 60],
            12,
        );
        paint(
            &folder.path().join("data").join(part),
            "sad",
            [60, 40, 90],
            8,
        );
    }
    std::fs::write(
        folder.path().join("data/train/sad/broken.jpg"),
        b"no picture",
    )
    .expect("temporary file");
    // Built-in classifiers give way to files of their name beside the backbone.
    let weights = affectlens::weights::cache_dir().join("weights");
    let file = "blazeface-short-range.safetensors";
    std::fs::copy(weights.join(file), folder.path().join(file)).expect("fetched weights");
    let common = ["--device", "cpu", "--weights", "."];
    let train = [
        "train",
        "expression",
        "--data",
        "data",
        "--epochs",
        "40",
        "--out",
        "expression-head.safetensors",
    ];
    let output = affectlens(&[&train[..], &common].concat(), folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("broken.jpg"),
        "{}",
        stderr(&output)
    );
    // A run that was at its end is not trained again.
    let train = train.map(|word| {
        if word == "expression-head.safetensors" {
            "again.safetensors"
        } else {
            word
        }
    });
    for is_first in [true, false] {
        let resume = ["--resume", "run"];
        let output = affectlens(&[&train[..], &resume, &common].concat(), folder.path());
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("epoch 40:"), is_first);
        let file = |name: &str| std::fs::read(folder.path().join(name)).expect("a head");
        assert_eq!(
            file("again.safetensors"),
            file("expression-head.safetensors")
        );
    }
    let evaluate = [
        "evaluate",
        "expression",
        "--data",
        "data/validation",
        "--model",
        "head",
        "--json",
    ];
    let output = affectlens(&[&evaluate[..], &common].concat(), folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let scores: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!(scores["count"], 20);
    assert_eq!(scores["accuracy"], 1.0, "{scores}");
    assert_eq!(scores["recall"]["sadness"], 1.0, "{scores}");

    let tune = ["tune", "--data", "data", "--out", "tuned.safetensors"];
    let output = affectlens(&[&tune[..], &common].concat(), folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let best: Vec<_> = table.lines().filter(|row| row.ends_with("best")).collect();
    assert!(
        table.starts_with("temperature ") && best.len() == 1,
        "{table}"
    );
    let tuned = Weights::read(&folder.path().join("tuned.safetensors")).expect("a head");
    let settings = ExpressionSettings::read(&tuned.metadata.extra, 2).expect("its own settings");
    let columns: Vec<_> = best[0].split_whitespace().collect();
    assert_eq!(columns[1], settings.blend.to_string(), "{table}");
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn action_units_are_scored_on_pictures_with_a_face() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let data = folder.path().join("data");
    paint(&data, "neutral", [90; 3], 1);
    std::fs::create_dir_all(data.join("happiness")).expect("temporary folder");
    let media = affectlens::weights::cache_dir().join("media");
    // The last is cropped so tightly that the detector needs room around it.
    for (file, label) in [
        ("audrey.jpg", "neutral"),
        ("franck_04117.jpg", "happiness"),
        ("audrey_crop.jpg", "neutral"),
    ] {
        std::fs::copy(media.join(file), data.join(label).join(file)).expect("fetched picture");
    }
    let evaluate = [
        "evaluate",
        "action-units",
        "--data",
        "data",
        "--device",
        "cpu",
    ];
    let output = affectlens(&[&evaluate[..], &["--json"]].concat(), folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["count"], &report["without_face"]),
        (&3.into(), &1.into())
    );
    let pairs = report["pairs"].as_array().expect("pairs");
    // Surprise and the others have no picture.
    assert!(
        pairs.iter().all(|pair| pair["positive"] == "happiness"),
        "{pairs:?}"
    );
    let expected = serde_json::json!({
        "action_unit": "AU12", "positive": "happiness", "negative": "neutral",
        "auc": 1.0, "positives": 1, "negatives": 2,
    });
    assert_eq!(pairs[0], expected);

    let output = affectlens(&[&evaluate[..], &["--no-gla"]].concat(), folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("unexpected argument"));
}
