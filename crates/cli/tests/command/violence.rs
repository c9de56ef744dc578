//! `affectlens train violence`, `evaluate violence` and `tables --dvd` as a user calls them, on a made-up DVD: violence
//! is red.

use std::{fs, io::Read as _, path::Path, process::Command};

use affectlens::{
    backbone::{TrainableBackbone, canonical_weights},
    weights::{Precision, PublishedWeights, Weights},
};
use burn::tensor::Device;
use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::run::{affectlens, fail, succeed};

fn is_violent(video: usize, frame: usize) -> bool {
    (frame > 8) == video.is_multiple_of(2)
}

/// Frames 1 to 16 of another size each video, without number 3 and with an unreadable number 5; labels to 18, backwards.
fn paint(part: &Path, video: usize) {
    let frames = part.join(format!("frames/v{video}"));
    fs::create_dir_all(&frames).expect("temporary folder");
    let side = 30 + u32::try_from(video).expect("few videos");
    for frame in (1..=16).filter(|frame| *frame != 3) {
        let shade = u8::try_from(frame * 5 + video).expect("a level");
        let colour = if is_violent(video, frame) {
            [230, shade, 20]
        } else {
            [20, shade, 230]
        };
        let picture = RgbImage::from_pixel(side, 40, Rgb(colour));
        picture
            .save(frames.join(format!("{frame}.png")))
            .expect("temporary file");
    }
    fs::write(frames.join("5.png"), b"no picture").expect("temporary file");
    let line = |frame| format!("{frame},{}\n", u8::from(is_violent(video, frame)));
    let lines: String = (1..=18)
        .rev()
        .filter(|frame| *frame != 12)
        .map(line)
        .collect();
    let annotations = part.join("annotations");
    fs::create_dir_all(&annotations).expect("temporary folder");
    let csv = annotations.join(format!("v{video}.csv"));
    fs::write(csv, format!("Frame_Number,Label\n{lines}")).expect("temporary file");
}

/// A tree of eight training and two validation videos, and a tiny backbone, published and converted.
fn made_up() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for video in 0..8 {
        paint(&folder.path().join("dvd/Training"), video);
    }
    for video in 8..10 {
        paint(&folder.path().join("dvd/Validation"), video);
    }
    let backbone = TrainableBackbone::init("convnext-test", 3, &Device::flex()).expect("is known");
    let published = backbone.to_weights();
    let path = folder.path().join("published.safetensors");
    published.write(&path, Precision::Single).expect("writable");
    let published = PublishedWeights::Named(published);
    let mut weights = canonical_weights("convnext-test", &published).expect("is whole");
    weights.metadata.source_sha256 = "made up".to_owned();
    let path = folder.path().join("convnext-test.safetensors");
    weights.write(&path, Precision::Single).expect("writable");
    folder
}

const COMMON: &str = "--weights . --device cpu";
const TRAIN: &str = "train violence --dvd dvd --backbone convnext-test --length 4 --step 1 \
                     --batch 2 --accumulate 1 --learning-rate 5e-4";

#[test]
fn a_head_is_trained_on_frozen_features_evaluated_and_submitted() {
    let folder = made_up();
    let folder = folder.path();
    let options = "--epochs 12 --mirror --curves curves.svg --resume run";
    let (out, error) = succeed(
        folder,
        &format!("{TRAIN} {COMMON} {options} --out violence-head.safetensors"),
    );
    let report: Value = serde_json::from_str(&out).expect("one line of JSON");
    // Nine frames of each kind, without the ninth or fourth violent one that has no label.
    assert_eq!(
        (&report["videos"], &report["epochs"][11]["epoch"]),
        (&8.into(), &12.into())
    );
    assert_eq!(report["frames"].as_array().map(Vec::len), Some(2));
    assert!(error.contains("v0/5.png` cannot be read"), "{error}");
    let curves = fs::read_to_string(folder.join("curves.svg")).expect("was written");
    assert_eq!(curves.matches("<circle").count(), 24);

    // Kept features, and a run that was at its end.
    let again = format!("{TRAIN} {COMMON} {options} --out again.safetensors");
    let (_, error) = succeed(folder, &again);
    assert!(!error.contains("epoch 1:"), "{error}");
    let other = format!("{TRAIN} {COMMON} {options} --seed 5 --out again.safetensors");
    assert!(fail(folder, &other).contains("is of another run"));
    // A seed decides everything.
    let fresh = again.replace("--resume run", "");
    succeed(folder, &fresh);
    let tensors = |name: &str| {
        let weights = Weights::read(&folder.join(name)).expect("a head");
        let tensors = weights.iter().map(|(_, tensor)| tensor.clone());
        tensors.collect::<Vec<_>>()
    };
    assert_eq!(
        tensors("again.safetensors"),
        tensors("violence-head.safetensors")
    );

    let (out, _) = succeed(
        folder,
        &format!("evaluate violence --dvd dvd {COMMON} --json"),
    );
    let scores: Value = serde_json::from_str(&out).expect("one line of JSON");
    assert_eq!(
        (&scores["count"], &scores["uncovered"]),
        (&34.into(), &0.into())
    );
    assert!(scores["macro_f1"].as_f64() > Some(0.8), "{scores}");
    assert!(scores["per_class"]["violent"].is_f64(), "{scores}");
    let forced = format!("evaluate violence --dvd dvd {COMMON} --stride 8 --frame-step 2 --json");
    let (out, error) = succeed(folder, &forced);
    let scores: Value = serde_json::from_str(&out).expect("one line of JSON");
    assert!(scores["uncovered"].as_u64() > Some(0), "{scores}");
    assert!(
        error.contains("are in no window and count as not violent"),
        "{error}"
    );

    let templates = folder.join("templates");
    fs::create_dir(&templates).expect("temporary folder");
    for video in 8..10 {
        fs::write(
            templates.join(format!("v{video}.csv")),
            "Frame_Number,Label\n1,\n99,\n",
        )
        .expect("temporary file");
    }
    let submit = "evaluate violence --test dvd/Validation/frames --submission s.zip";
    succeed(folder, &format!("{submit} --template templates {COMMON}"));
    let file = fs::File::open(folder.join("s.zip")).expect("was written");
    let mut archive = zip::ZipArchive::new(file).expect("a zip archive");
    let mut text = String::new();
    let mut member = archive.by_name("v8.csv").expect("is there");
    member.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(text, "Frame_Number,Label\n1,0\n99,1\n");

    let (table, error) = succeed(folder, &format!("tables --dvd dvd --out tables {COMMON}"));
    assert!(error.contains("no rows of convnext-tiny"), "{error}");
    assert!(
        table.contains("| D18 | ConvNeXt-T + TCN | needs its backbone's weights |"),
        "{table}"
    );
}

#[test]
fn backbone_and_head_are_trained_together_and_used_together() {
    let folder = made_up();
    let folder = folder.path();
    let arguments = "--epochs 2 --end-to-end --published published.safetensors";
    let files = "--backbone-out convnext-test.safetensors --out violence-head.safetensors";
    let (out, _) = succeed(folder, &format!("{TRAIN} {COMMON} {arguments} {files}"));
    let report: Value = serde_json::from_str(&out).expect("one line of JSON");
    assert_eq!(report["videos"], 8);
    succeed(folder, &format!("evaluate violence --dvd dvd {COMMON}"));
}

#[test]
fn malformed_data_is_named() {
    let folder = made_up();
    let folder = folder.path();
    let train = format!("{TRAIN} {COMMON} --out head.safetensors");
    let csv = folder.join("dvd/Training/annotations/v1.csv");
    fs::write(&csv, "Frame_Number,Label\n1,0\n2,maybe\n").expect("temporary file");
    let message = fail(folder, &train);
    assert!(
        message.contains("v1.csv` line 3: expected label 0 or 1, got `maybe`"),
        "{message}"
    );
    fs::remove_dir_all(folder.join("dvd/Training")).expect("temporary folder");
    assert!(fail(folder, &train).contains("Training` has no frames/ID/1.jpg"));
    fs::create_dir_all(folder.join("clips/kissing")).expect("temporary folder");
    let message = fail(folder, &train.replace("--dvd dvd", "--data clips"));
    assert!(
        message.contains("kissing` is named neither violent nor non-violent"),
        "{message}"
    );
    // The built-in head, whose backbone is not in that folder.
    let message = fail(folder, &format!("evaluate violence --dvd dvd {COMMON}"));
    assert!(
        message.contains("weights fetch efficientnet-lite0"),
        "{message}"
    );
    let message = fail(
        folder,
        &format!("evaluate violence --dvd dvd {COMMON} --head none.safetensors"),
    );
    assert!(message.contains("none.safetensors"), "{message}");
    for wrong in [
        "train violence",
        "train violence --dvd dvd --preset best --out x",
    ] {
        assert_eq!(affectlens(folder, wrong).status.code(), Some(2), "{wrong}");
    }
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn clips_are_cross_validated_and_scored_as_a_whole() {
    let folder = made_up();
    let folder = folder.path();
    let mut folds = "file,source,fold\n".to_owned();
    for (label, colour) in [("fight", "red"), ("noFight", "blue")] {
        fs::create_dir_all(folder.join("clips").join(label)).expect("temporary folder");
        for number in 0..4 {
            let name = format!("{label}/{number}.mp4");
            let source = format!(
                "color={colour}:size=48x{}:rate=20:duration=1",
                32 + 2 * number
            );
            let path = folder.join("clips").join(&name);
            let depth = match number {
                3 => "format=yuv420p10le",
                _ => "format=yuv420p",
            };
            let done = Command::new("ffmpeg")
                .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", &source])
                .args(["-vf", depth])
                .arg(path)
                .status()
                .expect("ffmpeg starts");
            assert!(done.success());
            folds += &format!("{name},made up,{}\n", number % 2);
        }
    }
    fs::write(folder.join("clips/folds.csv"), folds).expect("temporary file");
    fs::write(folder.join("clips/fight/broken.mp4"), b"no video").expect("temporary file");
    let train = TRAIN.replace("--dvd dvd", "--data clips") + " --frames-per-second 8 --epochs 12";
    let cross = format!("{train} {COMMON} --folds clips/folds.csv --seeds 2");
    assert!(fail(folder, &cross).contains("clip `fight/broken.mp4` is not in"));
    let list = fs::read_to_string(folder.join("clips/folds.csv")).expect("was written");
    fs::write(
        folder.join("clips/folds.csv"),
        list + "fight/broken.mp4,x,0\n",
    )
    .expect("writable");
    let (out, error) = succeed(folder, &format!("{cross} --out violence-head.safetensors"));
    assert!(
        error.contains("skipped") && error.contains("broken.mp4"),
        "{error}"
    );
    let rows: Vec<Vec<&str>> = out
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(
        [rows[1][1], rows[2][1], rows[3][1]],
        ["67", "68", "mean"],
        "{out}"
    );
    assert_eq!(rows[3][5], "1.0000", "AUC: {out}");
    let evaluate = format!("evaluate violence --data clips {COMMON} --json");
    assert!(fail(folder, &format!("{evaluate} --viterbi")).contains("expected a `crf` one"));
    assert!(
        fail(folder, &format!("{evaluate} --smooth 2")).contains("is 2, expected an odd number")
    );
    let scores: Value = serde_json::from_str(&succeed(folder, &evaluate).0).expect("JSON");
    assert_eq!((&scores["count"], &scores["auc"]), (&8.into(), &1.0.into()));
    assert_eq!(
        scores["frames"]["count"], 160,
        "every frame, not the sampled ones"
    );

    // Changes tell nothing of still pictures, but both heads of movement are trained, kept and read.
    for head in ["motion", "motion-linear"] {
        let train = format!(
            "train violence --data clips {COMMON} --backbone convnext-test --head {head} --out {head}.safetensors"
        );
        assert!(fail(folder, &train).contains("needs --folds"), "{head}");
        let (out, _) = succeed(
            folder,
            &format!("{train} --folds clips/folds.csv --epochs 2 --batch 2"),
        );
        assert_eq!(out.contains("\nlinear "), head == "motion", "{out}");
        let evaluate = format!("{evaluate} --head {head}.safetensors --smooth 3");
        let scores: Value = serde_json::from_str(&succeed(folder, &evaluate).0).expect("JSON");
        assert_eq!(scores["count"], 8);
    }

    for number in 0..4 {
        fs::write(
            folder.join(format!("clips/fight/{number}.mp4")),
            b"no video",
        )
        .expect("writable");
    }
    let lost = "none of the 5 violent clips for";
    assert!(fail(folder, &evaluate).contains(lost));
    assert!(fail(folder, &format!("{train} {COMMON} --out x.safetensors")).contains(lost));
}
