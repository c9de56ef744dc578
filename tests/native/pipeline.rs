//! The whole expression pipeline with the published weights.

use affectlens::affect::{ClassifierWeights, FaceLens, FaceWeights, Tasks};
use affectlens::device::{self, DeviceChoice, OpenedDevice};
use affectlens::frame::Frame;
use affectlens::kernel::Counters;
use affectlens::label::Expression;
use affectlens::report::{FaceReport, FrameReport};
use affectlens::weights::{Weights, cache_dir};

fn weights() -> FaceWeights {
    let fetched = |name: &str| {
        let path = cache_dir().join(format!("weights/{name}.safetensors"));
        Weights::read(&path).expect("fetched weights")
    };
    let trained = |name: &str| {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        Weights::read(&root.join(format!("models/{name}.safetensors"))).expect("committed")
    };
    FaceWeights {
        detector: fetched("blazeface-short-range"),
        classifier: ClassifierWeights {
            backbone: fetched("faceres"),
            pretrained: Some(trained("expression-pretrained")),
            head: Some(trained("expression-head")),
            valence_arousal_head: None,
            action_units_head: None,
        },
        mesh: Some(fetched("face-mesh")),
        blendshapes: Some(fetched("face-blendshapes")),
    }
}

fn picture(name: &str) -> Frame {
    let path = cache_dir().join("media").join(name);
    let picture = image::open(path).expect("fetched picture").into_rgb8();
    Frame::from_rgb(picture.width(), picture.height(), picture.into_raw()).expect("a full picture")
}

fn side_by_side(left: &Frame, right: &Frame) -> Frame {
    let height = left.height().min(right.height());
    let rows = |frame: &Frame| -> Vec<Vec<u8>> {
        let row = frame.width() as usize * 3;
        frame
            .pixels()
            .chunks_exact(row)
            .map(<[u8]>::to_vec)
            .collect()
    };
    let pixels = rows(left)
        .into_iter()
        .zip(rows(right))
        .take(height as usize);
    let pixels = pixels
        .flat_map(|(left, right)| [left, right].concat())
        .collect();
    Frame::from_rgb(left.width() + right.width(), height, pixels).expect("whole rows")
}

fn load(device: &OpenedDevice) -> FaceLens {
    pollster::block_on(FaceLens::load(&weights(), Tasks::EXPRESSION, device))
        .expect("weights that fit")
}

fn gpu() -> OpenedDevice {
    pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan adapter")
}

fn probabilities(face: &FaceReport) -> &[(Expression, f32)] {
    &face
        .expression
        .as_ref()
        .expect("was asked for")
        .probabilities
}

/// The report on a frame, and how often it was read from the GPU.
fn analyze(lens: &mut FaceLens, frame: &Frame) -> (FrameReport, u64) {
    let before = Counters::of_this_thread();
    let report = pollster::block_on(lens.analyze(frame, 0.0)).expect("a report");
    let counts = Counters::of_this_thread().since(before);
    (report, counts.read_backs)
}

#[test]
#[ignore = "needs fetched weights and media, Vulkan: run cargo xtask test"]
fn a_tracked_face_is_read_back_once() {
    let mut lens = load(&gpu());
    let (one, two) = {
        let audrey = picture("audrey.jpg");
        (audrey.clone(), side_by_side(&audrey, &audrey))
    };
    let seen: Vec<(usize, u64)> = [&one, &one, &two, &two, &one]
        .into_iter()
        .map(|frame| analyze(&mut lens, frame))
        .map(|(report, read_backs)| (report.faces.len(), read_backs))
        .collect();
    // A face more than in the frame before costs a second one, once.
    assert_eq!(seen, [(1, 1), (1, 1), (2, 2), (2, 1), (1, 1)]);
}

#[test]
#[ignore = "needs fetched weights and media, Vulkan: run cargo xtask test"]
fn gpu_and_cpu_report_the_same() {
    let audrey = picture("audrey.jpg");
    let frame = side_by_side(&audrey, &audrey);
    let reports = [gpu(), OpenedDevice::cpu()].map(|device| analyze(&mut load(&device), &frame).0);
    let [gpu, cpu] = &reports;
    assert_eq!((gpu.faces.len(), cpu.faces.len()), (2, 2));
    for (gpu, cpu) in gpu.faces.iter().zip(&cpu.faces) {
        let apart = (gpu.bounding_box.x - cpu.bounding_box.x).abs();
        assert!(apart < 0.1, "boxes are {apart} pixels apart");
        for ((_, gpu), (_, cpu)) in probabilities(gpu).iter().zip(probabilities(cpu)) {
            assert!(
                (gpu - cpu).abs() < 1e-3,
                "{gpu} on the GPU, {cpu} on the CPU"
            );
        }
    }
}
