//! Violence by a network over clips, as a user calls it, on a made-up DVD: violence is red.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use affectlens::{
    backbone::{TrainableBackbone, canonical_weights},
    clip::{ClipBackbone, ClipFrame},
    device::OpenedDevice,
    head::TemporalHead,
    weights::{Precision, PublishedWeights, Weights},
};
use affectlens_data::picture::read_picture;
use burn::tensor::Device;
use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::run::{fail, succeed};

const NETWORK: &str = "r3d-test";
const COMMON: &str = "--weights . --device cpu";
const TRAIN: &str = "train violence --dvd dvd --backbone r3d-test --head bilstm-conv --step 1 --batch 2 --accumulate 1";
/// Between the 16-bit file of a head and its numbers here, on probabilities.
const TOLERANCE: f64 = 1e-5;
const FRAMES: usize = 24;

/// Every other video is violent in its first half, the others in their second.
fn is_violent(video: usize, frame: usize) -> bool {
    (frame > FRAMES / 2) == video.is_multiple_of(2)
}

/// Frames 1 to 24, without number 3 and with an unreadable number 5, and labels of all of them.
fn paint(part: &Path, video: usize) {
    let frames = part.join(format!("frames/v{video}"));
    fs::create_dir_all(&frames).expect("temporary folder");
    let mut lines = "Frame_Number,Label\n".to_owned();
    for frame in 1..=FRAMES {
        let violent = is_violent(video, frame);
        lines += &format!("{frame},{}\n", u8::from(violent));
        let shade = u8::try_from(frame * 5 + video).expect("a level");
        let colour = if violent {
            [230, shade, 20]
        } else {
            [20, shade, 230]
        };
        let picture = RgbImage::from_pixel(36, 30, Rgb(colour));
        let path = frames.join(format!("{frame}.png"));
        if frame != 3 {
            picture.save(path).expect("temporary file");
        }
    }
    fs::write(frames.join("5.png"), b"no picture").expect("temporary file");
    let annotations = part.join("annotations");
    fs::create_dir_all(&annotations).expect("temporary folder");
    let csv = annotations.join(format!("v{video}.csv"));
    fs::write(csv, lines).expect("temporary file");
}

/// Six training and two validation videos.
pub(crate) fn painted() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    for video in 0..6 {
        paint(&folder.path().join("dvd/Training"), video);
    }
    for video in 6..8 {
        paint(&folder.path().join("dvd/Validation"), video);
    }
    folder
}

/// The same, and a tiny network over clips, published and converted.
fn made_up(network: &str) -> tempfile::TempDir {
    let folder = painted();
    let backbone = TrainableBackbone::init(network, 3, &Device::flex()).expect("is known");
    let published = backbone.to_weights();
    let path = folder.path().join("published.safetensors");
    published.write(&path, Precision::Single).expect("writable");
    let published = PublishedWeights::Named(published);
    let mut weights = canonical_weights(network, &published).expect("is whole");
    weights.metadata.source_sha256 = "made up".to_owned();
    let path = folder.path().join(format!("{network}.safetensors"));
    weights.write(&path, Precision::Single).expect("writable");
    folder
}

fn losses(report: &str) -> Vec<f64> {
    let report: Value = serde_json::from_str(report).expect("one line of JSON");
    let epochs = report["epochs"].as_array().expect("epochs").iter();
    epochs
        .map(|it| it["loss"].as_f64().expect("a number"))
        .collect()
}

/// Runs a training until it says that an epoch is over, and ends it.
fn interrupt(folder: &Path, arguments: &str, epoch: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_affectlens"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env("AFFECTLENS_CACHE", folder.join("cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command line starts");
    let said = BufReader::new(child.stderr.take().expect("is piped"));
    let mut lines = said.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(epoch)), "{epoch} is said");
    child.kill().expect("may be over");
    child.wait().expect("was ended");
}

/// The head in the folder tells most frames of the videos that it was not trained on.
#[track_caller]
pub(crate) fn assert_learned(folder: &Path) {
    let evaluate = format!("evaluate violence --dvd dvd {COMMON} --json");
    let (out, _) = succeed(folder, &evaluate);
    let scores: Value = serde_json::from_str(&out).expect("one line of JSON");
    assert_eq!(scores["count"], 2 * FRAMES);
    assert!(scores["macro_f1"].as_f64() > Some(0.7), "{scores}");
}

#[test]
fn a_head_is_trained_on_a_frozen_network_over_clips_and_used() {
    let folder = made_up(NETWORK);
    let folder = folder.path();
    let train = format!("{TRAIN} {COMMON} --epochs 8 --learning-rate 1e-3 --stride 4");
    let (out, _) = succeed(folder, &format!("{train} --out violence-head.safetensors"));
    let whole = losses(&out);
    assert_eq!(whole.len(), 8);
    assert!(whole[7] < 0.8 * whole[0], "{whole:?}");

    // A run that was ended goes on to the same parameters.
    let resumed = format!("{train} --resume run --out again.safetensors");
    interrupt(folder, &resumed, "epoch 3:");
    let (out, said) = succeed(folder, &resumed);
    assert!(!said.contains("epoch 1:"), "{said}");
    assert_eq!(losses(&out), whole);
    let head = |name: &str| Weights::read(&folder.join(name)).expect("a head");
    let trained = head("violence-head.safetensors");
    assert!(trained.iter().eq(head("again.safetensors").iter()));

    assert_learned(folder);

    // Windows and their stride come from the file: two of them, at frames 0 and 4, and one that ends with the video.
    let frames = "dvd/Validation/frames/v6";
    fs::remove_file(folder.join(frames).join("5.png")).expect("was painted");
    let analyze = format!("analyze {frames} --tasks violence {COMMON}");
    let (out, _) = succeed(folder, &analyze);
    let reports = out.lines().map(|line| {
        let report: Value = serde_json::from_str(line).expect("JSON");
        report["violence"]["probability"].as_f64().expect("scored")
    });
    let reports: Vec<f64> = reports.collect();
    let expected = probabilities(folder, &trained);
    assert_eq!(reports.len(), expected.len());
    for (frame, (got, expected)) in reports.iter().zip(&expected).enumerate() {
        assert!(
            (got - expected).abs() < TOLERANCE,
            "{frame}: {got}, {expected}"
        );
    }
}

/// Of the readable pictures of a video, by the windows at 0, 4 and 6.
fn probabilities(folder: &Path, head: &Weights) -> Vec<f64> {
    let weights = Weights::read(&folder.join(format!("{NETWORK}.safetensors")));
    let network = ClipBackbone::load(weights.expect("converted"), &OpenedDevice::cpu());
    let network = network.expect("canonical");
    let head = TemporalHead::load(head, &Device::flex()).expect("a head");
    let numbers = (1..=FRAMES).filter(|number| ![3, 5].contains(number));
    let frames: Vec<ClipFrame> = numbers
        .map(|number| {
            let path = format!("dvd/Validation/frames/v6/{number}.png");
            network.prepare(&read_picture(&folder.join(path)).expect("painted"))
        })
        .collect();
    let mut sums = vec![(0.0, 0.0); frames.len()];
    for start in [0, 4, 6] {
        let clip: Vec<&ClipFrame> = frames[start..start + 16].iter().collect();
        let moments = network.embed(&clip).expect("16 frames");
        let moments = moments.reshape([1, network.moments(), network.config().width()]);
        let logits = head.forward_moments(moments, 16).into_data();
        let logits: Vec<f32> = logits.iter().collect();
        for (place, probability) in head.probabilities(&logits).into_iter().enumerate() {
            let (sum, count) = &mut sums[start + place];
            *sum += f64::from(probability);
            *count += 1.0;
        }
    }
    sums.into_iter().map(|(sum, count)| sum / count).collect()
}

/// Trains a network with its head by a preset of one like it; both tell videos that they have not seen.
fn train_by_a_preset(preset: &str, network: &str, epochs: usize) {
    assert_learned(fit_by_a_preset(preset, network, epochs).path());
}

/// Trains a network with its head: the loss falls, and the run that is ended goes on to the same parameters.
fn fit_by_a_preset(preset: &str, network: &str, epochs: usize) -> tempfile::TempDir {
    let made_up = made_up(network);
    let folder = made_up.path();
    let train = format!(
        "train violence --dvd dvd --preset {preset} --backbone {network} --end-to-end --published published.safetensors \
         --batch 2 --accumulate 1 --epochs {epochs} --learning-rate 1e-3 --layer-decay .9 --device cpu --weights ."
    );
    let files = format!("--backbone-out {network}.safetensors --out violence-head.safetensors");
    let (out, _) = succeed(folder, &format!("{train} {files}"));
    let losses = losses(&out);
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least < 0.9 * losses[0], "{losses:?}");

    let resumed = format!(
        "{train} --backbone-out again.safetensors --out again-head.safetensors --resume run"
    );
    interrupt(folder, &resumed, "epoch 3:");
    let (again, said) = succeed(folder, &resumed);
    assert!(!said.contains("epoch 1:"), "{said}");
    assert_eq!(self::losses(&again), losses);
    let read = |name: &str| {
        let path = folder.join(format!("{name}.safetensors"));
        Weights::read(&path).expect("was written")
    };
    for (name, again) in [(network, "again"), ("violence-head", "again-head")] {
        assert!(read(name).iter().eq(read(again).iter()), "{name}");
    }
    made_up
}

#[test]
fn a_network_over_clips_is_trained_with_its_head_by_a_preset() {
    train_by_a_preset("r3d_18_v2", NETWORK, 8);
}

#[test]
fn an_r2plus1d_is_trained_with_its_head_by_its_preset() {
    train_by_a_preset("r2plus1d_18_v2", "r2plus1d-test", 16);
}

/// `evaluate` is left out: its batch norms remember a thousandth of a batch, and after so few know too little of the pictures.
#[test]
fn an_s3d_is_trained_with_its_head_by_its_preset() {
    fit_by_a_preset("s3d_v2", "s3d-test", 8);
}

#[test]
fn a_slowfast_is_trained_with_its_head_by_its_preset() {
    train_by_a_preset("slowfast_r50_v2", "slowfast-test", 8);
}

/// Layers are left out of samples here, the same ones in the run that goes on.
#[test]
fn a_video_swin_is_trained_with_its_head_by_its_preset() {
    train_by_a_preset("swin_v2_improved", "swin3d-test", 8);
}

#[test]
fn a_videomae_is_trained_with_its_head_by_its_preset() {
    train_by_a_preset("videomae_small_v2_improved", "videomae-test", 8);
}

#[test]
fn what_does_not_go_with_clips_is_named() {
    let folder = made_up(NETWORK);
    let folder = folder.path();
    let train = format!("{TRAIN} {COMMON} --epochs 1 --out head.safetensors");
    for (option, complaint) in [
        (
            "--length 8",
            "clips have 8 frames, `r3d-test` looks at 16 at a time",
        ),
        (
            "--mirror",
            "`r3d-test` looks at clips of frames, expected a backbone for single frames to read their mirror images",
        ),
    ] {
        let message = fail(folder, &format!("{train} {option}"));
        assert!(message.contains(complaint), "{message}");
    }
    let fusion = train.replace("bilstm-conv", "skeleton-gated-tcn");
    let message = fail(folder, &fusion);
    assert!(message.contains("a second stream beside them"), "{message}");

    // A head for another number of frames, as a file may claim.
    succeed(folder, &train);
    let path = folder.join("head.safetensors");
    let mut head = Weights::read(&path).expect("was written");
    let extra = &mut head.metadata.extra;
    extra.insert("window_length".to_owned(), "12".to_owned());
    let path = folder.join("violence-head.safetensors");
    head.write(&path, Precision::Lossless).expect("writable");
    let analyze = format!("analyze dvd/Validation/frames/v6 --tasks violence {COMMON}");
    let message = fail(folder, &analyze);
    assert!(
        message.contains("number of frames in a window is 12, expected 16, as `r3d-test` looks at"),
        "{message}"
    );
    let message = fail(folder, &format!("evaluate violence --dvd dvd {COMMON}"));
    assert!(
        message.contains("clip has 12 frames, `r3d-test` looks at 16 at a time"),
        "{message}"
    );
}
