//! Violence heads that read skeletons or pictures of the optical flow beside frames, on a made-up DVD of drawn figures.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use affectlens::{
    backbone::{TrainableBackbone, canonical_weights},
    head::{TemporalConfig, TemporalKind},
    person::{KEYPOINTS, Keypoint, Person},
    skeleton::{Skeletons, WIDTH},
    weights::{Precision, PublishedWeights, Weights},
};
use burn::tensor::Device;
use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::clip_transformers::of_frames;
use crate::run::{fail, succeed, text};
use crate::seeded::{golden_file, seeded, shapes, shapes_in, state_dict};

/// Between f32 and the f64 of the second computation, on scores of some 40 frames.
const TOLERANCE: f64 = 1e-9;

const FRAMES: usize = 10;
const SIDE: u32 = 48;

fn is_violent(video: usize, frame: usize) -> bool {
    (frame > 5) == video.is_multiple_of(2)
}

/// Two people who stand apart, or close and moving where there is violence.
fn people(video: usize, frame: usize) -> [Person; 2] {
    let violent = is_violent(video, frame);
    let (apart, swing) = if violent { (4.0, 9.0) } else { (18.0, 1.0) };
    [-1.0, 1.0].map(|side| {
        let point = |index: usize| {
            let phase = (frame * 2 + index + video) as f32;
            Keypoint {
                place: [
                    24.0 + side * apart + (index % 3) as f32 + swing * phase.sin() / 3.0,
                    4.0 + index as f32 + swing * phase.cos() / 3.0,
                    side,
                ],
                visibility: 0.5 + 0.1 * side,
                presence: 1.0,
            }
        };
        let mut places = 0..KEYPOINTS.len();
        Person {
            keypoints: [(); KEYPOINTS.len()].map(|()| point(places.next().expect("as many"))),
            score: 1.0,
        }
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "held inside of the picture"
)]
fn draw(people: &[Person]) -> RgbImage {
    let mut picture = RgbImage::from_pixel(SIDE, SIDE, Rgb([30, 40, 50]));
    for (person, colour) in people.iter().zip([[240, 220, 40], [60, 200, 240]]) {
        for point in &person.keypoints {
            let [x, y] = [0, 1].map(|axis| point.place[axis].clamp(0.0, 47.0) as u32);
            picture.put_pixel(x, y, Rgb(colour));
        }
    }
    picture
}

/// A `.npy` file as NumPy writes it.
fn npy(rows: &[[f32; WIDTH]]) -> Vec<u8> {
    let count = rows.len();
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {WIDTH}), }}");
    let header = format!("{header:<117}\n");
    let length = u16::try_from(header.len()).expect("short");
    let mut bytes = [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..]].concat();
    bytes.extend(header.as_bytes());
    bytes.extend(rows.iter().flatten().flat_map(|value| value.to_le_bytes()));
    bytes
}

fn write(path: PathBuf, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
    fs::write(path, bytes).expect("temporary file");
}

/// Frames 1 to 10 without number 3, number 4 unreadable; skeletons of all but the last, pictures of movement of all; labels
/// to 12 without number 7.
fn film(root: &Path, part: &str, video: usize) {
    let name = format!("v{video}");
    let mut skeletons = Skeletons::default();
    let mut rows = Vec::new();
    for frame in 1..=FRAMES {
        let people = people(video, frame);
        rows.push(skeletons.push(&people, [SIDE, SIDE]));
        let moved = if is_violent(video, frame) { 200 } else { 40 };
        let level = u8::try_from(frame * 5 + video).expect("a level");
        let flow = RgbImage::from_pixel(SIDE, SIDE, Rgb([moved, level, 128]));
        let pictures = [
            (format!("dvd/{part}/frames"), draw(&people)),
            (format!("flow/{part}"), flow),
        ];
        for (folder, picture) in pictures {
            let path = root.join(folder).join(&name).join(format!("{frame}.png"));
            write(path.clone(), b"");
            if frame != 4 {
                picture.save(path).expect("temporary file");
            }
        }
    }
    let frames = root.join(format!("dvd/{part}/frames/{name}"));
    fs::remove_file(frames.join("3.png")).expect("was written");
    write(
        root.join(format!("skeleton/{part}/{name}.npy")),
        &npy(&rows[..FRAMES - 1]),
    );
    let label = |frame| format!("{frame},{}\n", u8::from(is_violent(video, frame)));
    let lines: String = (1..=12).filter(|frame| *frame != 7).map(label).collect();
    write(
        root.join(format!("dvd/{part}/annotations/{name}.csv")),
        format!("Frame_Number,Label\n{lines}").as_bytes(),
    );
}

/// Four training and two validation videos; the last has no skeletons.
fn filmed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for video in 0..4 {
        film(folder.path(), "Training", video);
    }
    for video in 4..6 {
        film(folder.path(), "Validation", video);
    }
    fs::remove_file(folder.path().join("skeleton/Validation/v5.npy")).expect("was written");
    folder
}

fn install(folder: &Path, mut weights: Weights, name: &str) {
    weights.metadata.source_sha256 = format!("{name} of a seed");
    let path = folder.join(format!("{name}.safetensors"));
    weights.write(&path, Precision::Lossless).expect("writable");
}

fn install_tiny(folder: &Path) {
    let backbone = TrainableBackbone::init("convnext-test", 3, &Device::flex());
    let published = PublishedWeights::Named(backbone.expect("is known").to_weights());
    let weights = canonical_weights("convnext-test", &published).expect("is whole");
    install(folder, weights, "convnext-test");
}

const COMMON: &str = "--dvd dvd --weights . --device cpu";
const TRAIN: &str = "train violence --backbone convnext-test --length 4 --step 1 --batch 2 --accumulate 1 \
     --learning-rate 1e-3 --out violence-head.safetensors";

#[test]
fn a_head_that_reads_skeletons_is_trained_and_scored() {
    let folder = filmed();
    let folder = folder.path();
    install_tiny(folder);
    let train = format!("{TRAIN} {COMMON} --head skeleton-gated-tcn --epochs 12");
    let (out, error) = succeed(folder, &format!("{train} --skeleton skeleton"));
    let report: Value = serde_json::from_str(&out).expect("one line of JSON");
    assert_eq!(report["videos"], 4);
    assert!(
        error.contains("video `v5` has no skeletons: expected `skeleton/Validation/v5.npy`; zeros"),
        "{error}"
    );
    let message = fail(folder, &format!("{train} --skeleton skeleton --strict"));
    assert!(message.contains("video `v5` has no skeletons"), "{message}");

    let evaluate = format!("evaluate violence {COMMON} --json");
    let (with, _) = succeed(folder, &format!("{evaluate} --skeleton skeleton"));
    let scores: Value = serde_json::from_str(&with).expect("one line of JSON");
    assert_eq!(scores["count"], 22);
    let (without, error) = succeed(folder, &evaluate);
    assert_ne!(with, without);
    assert_eq!(
        error.matches("no folder with skeletons was given").count(),
        1,
        "{error}"
    );
    let message = fail(folder, &format!("{evaluate} --strict"));
    assert!(
        message.contains("no folder with skeletons was given"),
        "{message}"
    );

    let message = fail(folder, &format!("{evaluate} --flow flow"));
    assert!(
        message.contains(
            "--flow: a `skeleton-gated-tcn` head does not read optical flow, expected a head such as `flow-concat-bilstm`"
        ),
        "{message}"
    );
    let message = fail(folder, &format!("{evaluate} --skeleton bones"));
    assert!(
        message.contains("--skeleton `bones` is not there"),
        "{message}"
    );
    let plain = format!("{TRAIN} {COMMON} --skeleton skeleton");
    assert!(fail(folder, &plain).contains("--skeleton: a `tcn` head does not read skeletons"));
    fs::write(folder.join("skeleton/Validation/v4.npy"), b"no file").expect("writable");
    let (_, error) = succeed(folder, &format!("{evaluate} --skeleton skeleton"));
    assert!(
        error.contains("v4.npy`: file is truncated; zeros instead"),
        "{error}"
    );

    draw(&people(0, 1))
        .save(folder.join("a.png"))
        .expect("writable");
    let message = fail(
        folder,
        "analyze a.png --tasks violence --weights . --device cpu",
    );
    assert!(
        message.contains("weights `pose-detector` are not installed"),
        "{message}"
    );
}

/// The run that is ended goes on to the same parameters, and the head that was trained reads the backbone that was.
#[test]
fn a_backbone_is_trained_with_a_head_that_reads_skeletons() {
    let folder = filmed();
    let folder = folder.path();
    let backbone = TrainableBackbone::init("convnext-test", 3, &Device::flex());
    let published = backbone.expect("is known").to_weights();
    let path = folder.join("published.safetensors");
    published.write(&path, Precision::Single).expect("writable");
    let train = format!(
        "{TRAIN} {COMMON} --head skeleton-gated-tcn --skeleton skeleton --end-to-end --published published.safetensors \
         --backbone-out convnext-test.safetensors"
    );
    let (out, error) = succeed(folder, &format!("{train} --epochs 6 --resume run"));
    let report: Value = serde_json::from_str(&out).expect("one line of JSON");
    let epochs = report["epochs"].as_array().expect("epochs");
    let losses: Vec<f64> = epochs
        .iter()
        .map(|it| it["loss"].as_f64().expect("a number"))
        .collect();
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least < 0.9 * losses[0], "{losses:?}");
    assert!(error.contains("video `v5` has no skeletons"), "{error}");
    let read = |name: &str| Weights::read(&folder.join(name)).expect("was trained");
    let head = read("violence-head.safetensors");
    let before = canonical_weights("convnext-test", &PublishedWeights::Named(published));
    let after = read("convnext-test.safetensors");
    assert!(!before.expect("is whole").iter().eq(after.iter()));

    // All epochs are there: what they came to is written again.
    let again = train
        .replace("violence-head", "again")
        .replace("convnext-test.safe", "b.safe");
    succeed(folder, &format!("{again} --epochs 6 --resume run"));
    assert!(head.iter().eq(read("again.safetensors").iter()));
    let other = format!("{train} --epochs 6 --resume run --strict");
    assert!(fail(folder, &other).contains("video `v5` has no skeletons"));

    let evaluate = format!("evaluate violence {COMMON} --json --skeleton skeleton");
    let (scores, _) = succeed(folder, &evaluate);
    let scores: Value = serde_json::from_str(&scores).expect("one line of JSON");
    assert_eq!(scores["count"], 22);
}

#[test]
fn a_head_that_reads_optical_flow_is_trained_and_scored() {
    let folder = filmed();
    let folder = folder.path();
    install_tiny(folder);
    fs::create_dir(folder.join("second")).expect("temporary folder");
    install(
        &folder.join("second"),
        seeded("efficientnet-b0"),
        "efficientnet-b0",
    );
    let train = format!("{TRAIN} {COMMON} --head flow-early-bilstm --epochs 1 --flow flow");
    assert!(fail(folder, &train).contains("efficientnet-b0"));
    succeed(folder, &format!("{train} --flow-weights second"));
    let evaluate = format!("evaluate violence {COMMON} --json --flow-weights second");
    let (with, _) = succeed(folder, &format!("{evaluate} --flow flow --strict"));
    let (without, error) = succeed(folder, &evaluate);
    assert!(
        error.contains("no folder with optical flow was given; black pictures"),
        "{error}"
    );
    let count = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["count"].clone();
    assert_eq!((count(&with), count(&without)), (22.into(), 22.into()));
    let message = fail(
        folder,
        &format!(
            "evaluate violence {COMMON} --flow flow --flow-backbone convnext-test --flow-weights ."
        ),
    );
    assert!(
        message.contains("backbone `convnext-test` gives"),
        "{message}"
    );
}

#[test]
#[ignore = "needs numpy and runs four backbones: run cargo xtask test"]
fn rows_of_dvd_equal_a_second_computation_with_numpy() {
    let folder = filmed();
    let folder = folder.path();
    for name in ["convnext-tiny", "efficientnet-b0", "resnet50"] {
        install(folder, seeded(name), name);
    }
    let published = PublishedWeights::Named(state_dict(&shapes_in("clips", "s3d")));
    let weights = canonical_weights("s3d", &published).expect("the published layout");
    install(folder, weights, "s3d");
    install(folder, of_frames(16), "videomae-crime");
    let tables =
        format!("tables {COMMON} --epochs 1 --out heads --json --skeleton skeleton --flow flow");
    let (out, _) = succeed(folder, &tables);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let second = Command::new("/usr/bin/python3")
        .arg(golden_file("violence_tables.py"))
        .args(["dvd", "heads", "skeleton", "flow"])
        .current_dir(folder)
        .output()
        .expect("python3 starts");
    assert!(second.status.success(), "{}", text(&second.stderr));
    let second: Value = serde_json::from_slice(&second.stdout).expect("JSON");
    let mut computed = Vec::new();
    for row in report["rows"].as_array().expect("rows") {
        let id = row["id"].as_str().expect("a name");
        let ours = row["ours"].as_array().expect("scores");
        let Some(expected) = second[id].as_array() else {
            assert!(ours.is_empty() && !row["needs"].is_null(), "{row}");
            continue;
        };
        computed.push(id);
        for (ours, expected) in ours.iter().zip(expected) {
            let [ours, expected] = [ours, expected].map(|it| it.as_f64().expect("a number"));
            assert!(
                (ours - expected).abs() < TOLERANCE,
                "{row}, numpy says {expected}"
            );
        }
        assert_eq!(ours.len(), expected.len(), "{row}");
    }
    assert_eq!(
        computed,
        [
            "D0", "D3", "D5", "D7", "D11", "D12", "D13", "D14", "D15", "D16", "D17", "D18"
        ]
    );
    let (again, said) = succeed(folder, &tables);
    assert_eq!(again, out);
    assert!(!said.contains(": training"), "{said}");

    // A network that does not fit its preset costs its own row, and no other.
    install(folder, of_frames(8), "videomae-crime");
    let (without, said) = succeed(folder, &tables);
    let complaint =
        "no row of videomae_crime_v2: clip has 16 frames, `videomae-crime` looks at 8 at a time";
    assert!(said.contains(complaint), "{said}");
    let without: Value = serde_json::from_str(&without).expect("JSON");
    for (row, before) in std::iter::zip(
        without["rows"].as_array().expect("rows"),
        report["rows"].as_array().expect("rows"),
    ) {
        match row["id"].as_str() {
            Some("D5") => assert_eq!(row["ours"], Value::Array(Vec::new())),
            _ => assert_eq!(row["ours"], before["ours"]),
        }
    }
}

#[test]
fn checkpoints_of_two_streams_are_converted() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    let kind = TemporalKind::from_name("flow-attention-bilstm").expect("is one");
    let features = 512 + 1280;
    let head = TemporalConfig { kind, features }
        .init(5, &Device::flex())
        .to_weights();
    let mut checkpoint = Weights::default();
    let mut add = |prefix: &str, weights: &Weights| {
        for (name, tensor) in weights.iter() {
            let (shape, values) = (tensor.shape.clone(), tensor.values.clone());
            let name = format!("{prefix}{name}");
            checkpoint.insert(name, shape, values).expect("as many");
        }
    };
    add("", &head);
    let backbones = [
        ("rgb_encoder", "resnet18"),
        ("flow_encoder", "efficientnet-b0"),
    ];
    for (prefix, name) in backbones {
        add(&format!("{prefix}."), &state_dict(&shapes(name)));
    }
    let best = folder.join("best.safetensors");
    checkpoint
        .write(&best, Precision::Single)
        .expect("writable");

    let convert = |name: &str| {
        format!("convert best.safetensors {name}.safetensors --backbone {name} --precision single")
    };
    let refused = fail(
        folder,
        &format!("{} --head h.safetensors", convert("efficientnet-b0")),
    );
    assert!(
        refused.contains("is the backbone for optical flow here"),
        "{refused}"
    );
    let (_, said) = succeed(folder, &convert("efficientnet-b0"));
    assert!(
        said.contains("(flow-attention-bilstm); --head FILE writes it"),
        "{said}"
    );
    succeed(
        folder,
        &format!("{} --head head.safetensors", convert("resnet18")),
    );
    let read = |name: &str| {
        let weights = Weights::read(&folder.join(format!("{name}.safetensors")));
        weights.expect("was written")
    };
    let same = |a: &Weights, b: &Weights| a.iter().eq(b.iter());
    for (_, name) in backbones {
        assert!(same(&read(name), &seeded(name)), "{name}");
    }
    let converted = read("head");
    assert!(same(&converted, &head));
    let extra = &converted.metadata.extra;
    assert_eq!(
        (
            extra["embedding"].as_str(),
            extra["flow_embedding"].as_str()
        ),
        ("resnet18", "efficientnet-b0")
    );
}
