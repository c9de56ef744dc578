//! `affectlens convert` and `embed` with a network over clips, on made-up frames and weights.

use std::{fs, path::Path};

use affectlens::{
    backbone::canonical_weights,
    clip::{ClipBackbone, ClipFrame},
    device::OpenedDevice,
    weights::{Precision, PublishedWeights, Weights},
};
use affectlens_data::picture::read_picture;
use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::run::{affectlens, fail, text};
use crate::seeded;

const NETWORK: &str = "s3d";
/// Features of a moment.
const WIDTH: usize = 1024;

/// Numbered frames, each of another colour.
pub(crate) fn paint(folder: &Path, frames: u8) {
    fs::create_dir(folder).expect("temporary folder");
    for frame in 1..=frames {
        let picture = RgbImage::from_fn(24, 18, |x, y| {
            let shade = u8::try_from(8 * x + y).expect("a level");
            Rgb([9 * frame, shade, 255 - 9 * frame])
        });
        let path = folder.join(format!("{frame}.png"));
        picture.save(path).expect("temporary file");
    }
}

/// A seeded network as published; gives it in its canonical form, too.
fn publish(folder: &Path, network: &str) -> Weights {
    let published = seeded::state_dict(&seeded::shapes_in("clips", network));
    let path = folder.join("published.safetensors");
    published.write(&path, Precision::Single).expect("writable");
    let published = PublishedWeights::Named(published);
    canonical_weights(network, &published).expect("the published layout")
}

/// What the network makes of some pictures of a folder.
fn expected(network: &ClipBackbone, folder: &Path, frames: &[usize]) -> Vec<f32> {
    let prepare = |frame: &usize| {
        let picture = read_picture(&folder.join(format!("{frame}.png")));
        network.prepare(&picture.expect("painted"))
    };
    let prepared: Vec<ClipFrame> = frames.iter().map(prepare).collect();
    let features = network.embed(&prepared.iter().collect::<Vec<_>>());
    let features = features.expect("16 frames").into_data();
    features.try_into_vec().expect("f32")
}

/// Runs `embed`; gives its lines and what it complains of.
fn embed(folder: &Path, inputs: &str, options: &str) -> (Vec<Value>, String) {
    let output = affectlens(folder, &format!("embed {inputs} {options}"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    (lines.collect(), text(&output.stderr))
}

/// Compares the lines of one window with the features of its moments.
fn compare(lines: &[Value], name: &str, features: &[f32]) {
    let largest = features
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let moments = features.chunks_exact(features.len() / lines.len());
    for (moment, (line, expected)) in lines.iter().zip(moments).enumerate() {
        assert_eq!(line["file"], *name);
        assert_eq!(line["moment"], moment);
        let embedding = line["embedding"].as_array().expect("numbers");
        assert_eq!(embedding.len(), expected.len());
        for (got, expected) in embedding.iter().zip(expected) {
            let apart = got.as_f64().expect("a number") - f64::from(*expected);
            // The file may hold its numbers in 16 bits where that loses nothing.
            assert!(apart.abs() < 1e-5 * f64::from(largest), "{apart}");
        }
    }
}

#[test]
fn clips_give_a_line_for_each_moment_of_each_window() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    let weights = publish(folder, NETWORK);
    let network = ClipBackbone::load(&weights, &OpenedDevice::cpu()).expect("canonical");
    paint(&folder.join("frames"), 20);
    fs::write(folder.join("frames/7.png"), b"no picture").expect("temporary file");
    paint(&folder.join("short"), 3);

    let convert =
        format!("convert published.safetensors {NETWORK}.safetensors --backbone {NETWORK}");
    let converted = affectlens(folder, &convert);
    assert!(converted.status.success(), "{}", text(&converted.stderr));
    let options = format!("--backbone {NETWORK} --device cpu --weights {NETWORK}.safetensors");
    let (lines, complaints) = embed(folder, "frames short", &options);
    assert!(complaints.contains("7.png"), "{complaints}");
    let starts = lines.iter().map(|line| &line["frame"]);
    assert_eq!(starts.collect::<Vec<_>>(), [0, 0, 4, 4, 0, 0]);
    // The unreadable picture is the first one of its window; of three frames the last repeats.
    let read = |first: usize| -> Vec<usize> {
        let frames = first..first + 16;
        frames
            .map(|frame| if frame == 7 { first } else { frame })
            .collect()
    };
    let short: Vec<usize> = (1..=16).map(|frame: usize| frame.min(3)).collect();
    let windows = [("frames", read(1)), ("frames", read(5)), ("short", short)];
    for (window, (name, frames)) in windows.iter().enumerate() {
        let expected = expected(&network, &folder.join(name), frames);
        assert_eq!(expected.len(), 2 * WIDTH);
        compare(&lines[2 * window..][..2], name, &expected);
    }
    let (lines, _) = embed(folder, "frames --stride 2", &options);
    assert_eq!(lines.len(), 3 * 2);
    let (lines, _) = embed(folder, "frames --frame-step 2", &options);
    assert_eq!(lines.len(), 2, "one window of 31 frames");
}

/// A network of two pathways gives a moment for each frame that the fast one sees.
#[test]
fn two_pathways_give_a_line_for_each_frame() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    let weights = publish(folder, "slowfast-r50");
    let network = ClipBackbone::load(&weights, &OpenedDevice::cpu()).expect("canonical");
    paint(&folder.join("frames"), 3);
    let convert = "convert published.safetensors slowfast.safetensors --backbone slowfast-r50";
    let converted = affectlens(folder, convert);
    assert!(converted.status.success(), "{}", text(&converted.stderr));
    let options = "--backbone slowfast-r50 --device cpu --weights slowfast.safetensors";
    let (lines, _) = embed(folder, "frames", options);
    assert_eq!(lines.len(), 16);
    let frames: Vec<usize> = (1..=16).map(|frame: usize| frame.min(3)).collect();
    let expected = expected(&network, &folder.join("frames"), &frames);
    assert_eq!(expected.len(), 16 * 2304);
    compare(&lines, "frames", &expected);
}

#[test]
fn what_is_no_clip_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    publish(folder, NETWORK);
    paint(&folder.join("frames"), 2);
    let options = format!("--backbone {NETWORK} --device cpu --weights published.safetensors");
    let message = fail(folder, &format!("embed frames/1.png {options}"));
    assert!(
        message.contains(
            "`frames/1.png` is a picture; s3d looks at clips: a video or a folder of frames"
        ),
        "{message}"
    );
    let message = fail(folder, &format!("embed frames --frame-step 65 {options}"));
    assert!(
        message.contains("--frame-step is 65, expected 1 to 64 for networks over clips"),
        "{message}"
    );
    let others = "--backbone resnet18 --weights published.safetensors --stride 2";
    let message = fail(folder, &format!("embed frames {others}"));
    assert!(
        message.contains(
            "--stride and --frame-step are for networks over clips, which resnet18 is not"
        ),
        "{message}"
    );
    let message = fail(
        folder,
        "convert published.safetensors out.safetensors --backbone r3d-18",
    );
    assert!(
        message.contains("weight `stem.0.weight` is missing"),
        "{message}"
    );
    for frame in ["1", "2"] {
        fs::write(folder.join(format!("frames/{frame}.png")), b"none").expect("temporary file");
    }
    let message = fail(folder, &format!("embed frames {options}"));
    assert!(
        message.contains("none of the 2 pictures of `frames` can be read"),
        "{message}"
    );
}
