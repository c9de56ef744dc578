//! The whole expression pipeline with the published weights.

use affectlens::backbone::Backbone;
use affectlens::crop::{batch, crop_face, crop_rotated, resize};
use affectlens::device::{self, DeviceChoice, OpenedDevice};
use affectlens::face::{BoundingBox, RotatedBox};
use affectlens::faces::{ClassifierWeights, FaceClassifier, FaceScores, FaceWeights};
use affectlens::frame::Frame;
use affectlens::head::{ActionUnitsConfig, ValenceArousalConfig};
use affectlens::kernel::Counters;
use affectlens::label::{AFF_WILD2_ACTION_UNITS, ActionUnit, Expression};
use affectlens::lens::{Lens, LensWeights};
use affectlens::report::{
    ActionUnitSource, FaceReport, FrameReport, Sources, ValenceArousalSource,
};
use affectlens::task::{Task, Tasks};
use affectlens::weights::{EMBEDDING, Weights, cache_dir};
use burn::tensor::Tensor;

use crate::{detect::golden_faces, seeded::seeded};

fn fetched(name: &str) -> Weights {
    let path = cache_dir().join(format!("weights/{name}.safetensors"));
    Weights::read(&path).expect("fetched weights")
}

fn weights() -> FaceWeights {
    let trained = |name: &str| {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        Weights::read(&root.join(format!("models/{name}.safetensors"))).expect("committed")
    };
    FaceWeights {
        detector: fetched("blazeface-short-range"),
        full_range_detector: None,
        classifier: ClassifierWeights {
            backbone: trained("expression-mobilenet"),
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

/// The frame turned clockwise by that angle in radians.
fn tilted(frame: &Frame, roll: f32) -> Frame {
    let (width, height) = (frame.width(), frame.height());
    let region = RotatedBox {
        centre: [width as f32 / 2.0, height as f32 / 2.0],
        width: width as f32,
        height: height as f32,
        roll: -roll,
    };
    crop_rotated(frame, &region, width, height).expect("has an area")
}

const ALL_TASKS: Tasks = Tasks::new(&Task::FACES);

fn load(tasks: Tasks, device: &OpenedDevice) -> Lens {
    load_faces(weights(), tasks, device)
}

fn load_faces(faces: FaceWeights, tasks: Tasks, device: &OpenedDevice) -> Lens {
    let weights = LensWeights {
        faces: Some(faces),
        violence: None,
        people: None,
    };
    pollster::block_on(Lens::load(weights, tasks, device)).expect("weights that fit")
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
fn analyze(lens: &mut Lens, frame: &Frame) -> (FrameReport, u64) {
    let before = Counters::of_this_thread();
    let report = pollster::block_on(lens.analyze(frame, 0.0)).expect("a report");
    let counts = Counters::of_this_thread().since(before);
    (report, counts.read_backs)
}

#[test]
#[ignore = "needs fetched weights and media, Vulkan: run cargo xtask test"]
fn a_tracked_face_is_read_back_once() {
    let mut lens = load(Tasks::EXPRESSION, &gpu());
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
    // The second face is tilted so far that it is turned upright before it is classified.
    let frame = side_by_side(&audrey, &tilted(&audrey, 0.5));
    let reports =
        [gpu(), OpenedDevice::cpu()].map(|device| analyze(&mut load(ALL_TASKS, &device), &frame).0);
    let [gpu, cpu] = &reports;
    assert_eq!((gpu.faces.len(), cpu.faces.len()), (2, 2));
    for (gpu, cpu) in gpu.faces.iter().zip(&cpu.faces) {
        assert!((gpu.valence.expect("asked for") - cpu.valence.expect("asked for")).abs() < 1e-3);
        let units = |face: &FaceReport| face.action_units.clone().expect("a mesh was found");
        for ((unit, gpu), (_, cpu)) in units(gpu).into_iter().zip(units(cpu)) {
            let name = unit.name();
            assert!(
                (gpu - cpu).abs() < 5e-3,
                "{name}: {gpu} on the GPU, {cpu} on the CPU"
            );
        }
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

/// The faces of five pictures, each cut out and made 72 pixels wide, on 1280x720 pixels of grey; and where they are.
fn crowd() -> (Frame, Vec<[usize; 2]>) {
    const SIDE: u32 = 72;
    let (width, height) = (1280_usize, 720_usize);
    let mut pixels = vec![110; width * height * 3];
    let jpegs = golden_faces()
        .into_iter()
        .filter(|(name, _)| name.ends_with(".jpg"));
    let mut places = Vec::new();
    for (index, (name, faces)) in jpegs.enumerate() {
        let [x, y, side, _] = faces[0].bounding_box;
        let region = BoundingBox {
            x: x - side * 0.3,
            y: y - side * 0.4,
            width: side * 1.6,
            height: side * 1.6,
        };
        let face = crop_face(&picture(&name), &region, SIDE).expect("inside");
        let place = [60 + 255 * index, 40 + 140 * index];
        for (row, line) in face.pixels().chunks_exact(SIDE as usize * 3).enumerate() {
            let start = ((place[1] + row) * width + place[0]) * 3;
            pixels[start..start + line.len()].copy_from_slice(line);
        }
        places.push(place);
    }
    let frame = Frame::from_rgb(1280, 720, pixels).expect("as many pixels");
    (frame, places)
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn small_faces_of_a_single_picture_are_found_by_two_detectors_without_doubles() {
    let (crowd, places) = crowd();
    let found = |full_range_detector| {
        let faces = FaceWeights {
            full_range_detector,
            mesh: None,
            blendshapes: None,
            ..weights()
        };
        let weights = LensWeights {
            faces: Some(faces),
            violence: None,
            people: None,
        };
        let device = OpenedDevice::cpu();
        let lens = Lens::load(weights, Tasks::EXPRESSION, &device);
        let mut lens = pollster::block_on(lens).expect("weights that fit");
        let report = pollster::block_on(lens.analyze_single(&crowd)).expect("a report");
        let boxes = report.faces.into_iter().map(|face| face.bounding_box);
        let places = boxes.map(|face| {
            let centre = [face.x + face.width / 2.0, face.y + face.height / 2.0];
            places.iter().position(|place| {
                let inside = |axis: usize| {
                    let from = centre[axis] - place[axis] as f32;
                    (0.0..72.0).contains(&from)
                };
                inside(0) && inside(1)
            })
        });
        let mut places: Vec<_> = places.collect();
        places.sort_unstable();
        places
    };
    assert_eq!(found(None), []);
    let full_range = fetched("blazeface-full-range");
    assert_eq!(found(Some(full_range)), [0, 1, 2, 3, 4].map(Some));
}

/// The frame turned clockwise by a quarter.
fn turned(frame: &Frame) -> Frame {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let pixel = |x: usize, y: usize| &frame.pixels()[(y * width + x) * 3..][..3];
    let rows = (0..width).flat_map(|x| (0..height).rev().map(move |y| (x, y)));
    let pixels = rows.flat_map(|(x, y)| pixel(x, y)).copied().collect();
    Frame::from_rgb(frame.height(), frame.width(), pixels).expect("as many pixels")
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn turned_faces_are_found_where_they_are_and_read_upright() {
    let mut lens = load(ALL_TASKS, &OpenedDevice::cpu());
    let mut frame = picture("franck_02159.jpg");
    let report = |lens: &mut Lens, frame: &Frame, is_single: bool| {
        lens.reset();
        let report = match is_single {
            true => pollster::block_on(lens.analyze_single(frame)).expect("a report"),
            false => analyze(lens, frame).0,
        };
        assert_eq!(report.faces.len(), 1);
        report.faces.into_iter().next().expect("a face")
    };
    let mut expected = report(&mut lens, &frame, false);
    let mut controls = lens.controls();
    controls.faces.turned = true;
    lens.configure(controls).expect("in range");
    for quarters in 1..4 {
        let BoundingBox {
            x,
            y,
            width,
            height,
        } = expected.bounding_box;
        expected.bounding_box = BoundingBox {
            x: frame.height() as f32 - y - height,
            y: x,
            width: height,
            height: width,
        };
        frame = turned(&frame);
        for is_single in [false, true] {
            let face = report(&mut lens, &frame, is_single);
            let corners = |face: &FaceReport| {
                let bounds = face.bounding_box;
                [bounds.x, bounds.y, bounds.width, bounds.height]
            };
            for (got, expected) in corners(&face).into_iter().zip(corners(&expected)) {
                assert!(
                    (got - expected).abs() < 2.0,
                    "{quarters} quarters, single {is_single}: {got}, expected {expected}"
                );
            }
            let smile = face.expression.as_ref().expect("asked for");
            assert_eq!(smile.label, Expression::Happiness, "{quarters} quarters");
            let units = face.action_units.as_ref().expect("a mesh was found");
            let smile = units.iter().find(|it| it.0 == ActionUnit::Au12);
            assert!(smile.expect("has a source").1 > 0.5, "{quarters} quarters");
        }
    }
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn a_smile_is_told_by_every_task() {
    let mut lens = load(ALL_TASKS, &OpenedDevice::cpu());
    let [smile, calm] = ["franck_02159.jpg", "audrey.jpg"].map(|name| {
        let (report, _) = analyze(&mut lens, &picture(name));
        lens.reset();
        report.faces.into_iter().next().expect("a face")
    });
    let strength = |face: &FaceReport, unit| {
        let units = face.action_units.as_ref().expect("a mesh was found");
        units
            .iter()
            .find(|it| it.0 == unit)
            .expect("has a source")
            .1
    };
    assert_eq!(
        smile.expression.as_ref().expect("asked for").label,
        Expression::Happiness
    );
    assert!(strength(&smile, ActionUnit::Au12) > 0.5);
    assert!(strength(&calm, ActionUnit::Au12) < 0.1);
    assert!(smile.valence > Some(0.5) && calm.valence < Some(0.2));
    for face in [smile, calm] {
        let Sources {
            valence_arousal,
            action_units,
        } = face.sources;
        assert_eq!(
            valence_arousal.map(|it| it.source),
            Some(ValenceArousalSource::Derived)
        );
        let action_units = action_units.expect("asked for");
        assert_eq!(action_units.source, ActionUnitSource::Blendshapes);
        assert_eq!(action_units.proxies, [ActionUnit::Au6]);
        assert!(face.landmarks.is_none(), "they were not asked for");
    }
}

/// The reports on a stream with landmarks, on a live one or on a file.
fn film(frames: &[Frame], is_live: bool) -> Vec<FrameReport> {
    let mut lens = load(Tasks::new(&[Task::ActionUnits]), &OpenedDevice::cpu());
    let mut controls = lens.controls().clone();
    controls.faces.landmarks = true;
    lens.configure(controls).expect("in range");
    let mut reports = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let time_ms = 40.0 * number as f64;
        match is_live {
            true => {
                reports.push(pollster::block_on(lens.analyze(frame, time_ms)).expect("a report"))
            }
            false => {
                reports.extend(pollster::block_on(lens.push(frame, time_ms)).expect("reports"))
            }
        }
    }
    reports.extend(pollster::block_on(lens.finish()).expect("the rest"));
    reports
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn a_live_face_is_followed_by_its_landmarks_between_runs_of_the_detector() {
    let still = picture("audrey.jpg");
    let frames: Vec<Frame> = (0..11)
        .map(|number| {
            let step = number as f32;
            let side = still.height() as f32 - 3.0 * step;
            let region = RotatedBox {
                centre: [still.width() as f32 / 2.0 + 2.0 * step, side / 2.0],
                width: side,
                height: side,
                roll: 0.01 * step,
            };
            crop_rotated(&still, &region, 256, 256).expect("has an area")
        })
        .collect();
    let reports = [true, false].map(|is_live| film(&frames, is_live));
    let [live, file] = reports.map(|reports| {
        let faces = reports.into_iter().map(|report| {
            let [face] = report.faces.try_into().expect("one face");
            face
        });
        faces.collect::<Vec<_>>()
    });
    assert_eq!((live.len(), file.len()), (frames.len(), frames.len()));
    for (number, (live, file)) in live.iter().zip(&file).enumerate() {
        assert_eq!((live.id, file.id), (0, 0), "frame {number}");
        assert!(live.landmarks.is_some());
        assert_eq!(live.landmarks, file.landmarks, "frame {number}");
        // In the second frame too: a new face's landmarks settle.
        let is_detected = number == 0 || number % 5 == 1;
        assert_eq!(
            live.bounding_box == file.bounding_box,
            is_detected,
            "frame {number}"
        );
        let overlap = live
            .bounding_box
            .intersection_over_union(&file.bounding_box);
        assert!(overlap > 0.9, "frame {number}: {overlap}");
    }
}

#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn whoever_comes_is_found_soon_and_whoever_goes_is_gone_at_once() {
    let face = picture("audrey.jpg");
    let nobody = Frame::from_rgb(face.width(), face.height(), vec![90; face.pixels().len()]);
    let nobody = nobody.expect("as many pixels");
    let [none, left, both] = [(&nobody, &nobody), (&face, &nobody), (&face, &face)]
        .map(|(left, right)| side_by_side(left, right));
    let mut frames = vec![none.clone(), left.clone(), left.clone()];
    frames.extend(std::iter::repeat_n(both, 6));
    frames.extend([left.clone(), left, none.clone(), none]);
    let found = film(&frames, true);
    let counts: Vec<_> = found.iter().map(|report| report.faces.len()).collect();
    assert_eq!(counts, [0, 1, 1, 1, 1, 1, 1, 2, 2, 1, 1, 0, 0]);
    assert!(
        found[1..11]
            .iter()
            .all(|report| report.faces.iter().any(|face| face.id == 0))
    );
}

/// What no task reads is not computed: a head that gives no numbers fails the task that asks for it, and no other.
#[test]
#[ignore = "needs fetched weights and media: run cargo xtask test"]
fn action_units_alone_run_no_classifier() {
    let picture = picture("franck_02159.jpg");
    let device = OpenedDevice::cpu();
    let mut broken = weights();
    let head = broken.classifier.head.as_mut().expect("is shipped");
    let names: Vec<String> = head.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        let mut tensor = head.remove(&name).expect("is listed");
        tensor.values.fill(f32::NAN);
        head.put(name, tensor);
    }
    let mut all = load_faces(broken.clone(), ALL_TASKS, &device);
    let error = pollster::block_on(all.analyze(&picture, 0.0)).expect_err("expressions are read");
    assert!(error.to_string().contains("not a number"), "{error}");
    let units = |lens: &mut Lens| {
        let (report, _) = analyze(lens, &picture);
        let [face] = report.faces.try_into().expect("one face");
        face.action_units.expect("were asked for")
    };
    let alone = Tasks::new(&[Task::ActionUnits]);
    assert_eq!(
        units(&mut load_faces(broken, alone, &device)),
        units(&mut load(ALL_TASKS, &device))
    );
}

fn of_backbone(backbone: Weights) -> ClassifierWeights {
    ClassifierWeights {
        backbone,
        pretrained: None,
        head: None,
        valence_arousal_head: None,
        action_units_head: None,
    }
}

fn score(weights: &ClassifierWeights, face: &Frame) -> (FaceClassifier, FaceScores) {
    let classifier =
        FaceClassifier::load(weights.clone(), &OpenedDevice::cpu()).expect("weights that fit");
    let scores = pollster::block_on(classifier.score(std::slice::from_ref(face)));
    (classifier, scores.expect("a score").remove(0))
}

fn row(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

#[test]
fn backbone_and_heads_say_valence_arousal_and_action_units() {
    let face = tilted(
        &Frame::from_rgb(
            120,
            120,
            (0..43_200).map(|it| (it * 7 % 251) as u8).collect(),
        )
        .expect("whole"),
        0.3,
    );
    let device = OpenedDevice::cpu();
    let mut weights = of_backbone(seeded("mt-ddamfn"));
    let backbone = Backbone::load(&weights.backbone, &device).expect("canonical");
    let input = [resize(&face, 112)];
    let input = batch(&input, &backbone.facts().normalisation, &device.device).expect("one");
    let embedded = backbone.forward(input);
    let outputs = embedded.logits.expect("ten outputs");

    let (classifier, scores) = score(&weights, &face);
    assert_eq!(
        classifier.valence_arousal_source(),
        ValenceArousalSource::Backbone
    );
    let said = row(outputs.clone());
    let expected = [said[8].clamp(-1.0, 1.0), said[9].clamp(-1.0, 1.0)];
    assert_eq!(scores.valence_arousal, Some(expected));
    assert_eq!(scores.action_units, None);

    let head = ValenceArousalConfig {
        inputs: 10,
        hidden: None,
    }
    .init(1, &device.device);
    weights.valence_arousal_head = Some(head.to_weights());
    let units = ActionUnitsConfig {
        embedding: 512,
        hidden: 8,
        logits: 10,
        units: 12,
    };
    let units = units.init(2, &device.device);
    weights.action_units_head = Some(units.to_weights());
    let (classifier, scores) = score(&weights, &face);
    assert_eq!(
        classifier.valence_arousal_source(),
        ValenceArousalSource::Head
    );
    let settings = classifier.action_unit_settings().expect("a head");
    assert_eq!(settings.units, AFF_WILD2_ACTION_UNITS);
    let expected = settings.blend(
        &row(units.embedding.forward(embedded.embedding)),
        &row(units.logits.forward(outputs.clone())),
    );
    let pairs = row(head.forward(outputs)).into_iter().chain(expected);
    let got = scores
        .valence_arousal
        .expect("a head")
        .into_iter()
        .chain(scores.action_units.expect("a head"));
    for (got, expected) in got.zip(pairs) {
        assert!((got - expected).abs() < 1e-4, "{got}, expected {expected}");
    }

    let foreign = weights.action_units_head.as_mut().expect("just put there");
    foreign
        .metadata
        .extra
        .insert(EMBEDDING.to_owned(), "faceres".to_owned());
    let error = FaceClassifier::load(weights, &device).expect_err("another backbone's");
    assert_eq!(
        error.to_string(),
        "action-unit head was trained on embeddings of `faceres`, the backbone is `mt-ddamfn`"
    );
}
