//! Streams whose time goes back, jumps, stands still or passes slowly; faces and violence, live and in files.

use std::collections::BTreeSet;

use affectlens::{
    detect::{self, FaceDetector},
    device::OpenedDevice,
    faces::{ClassifierWeights, FaceWeights},
    head::TemporalKind,
    landmarks::{self, FaceMesh},
    lens::{Lens, LensWeights},
    report::{FrameReport, ViolenceReport, ViolenceWindow},
    task::{Task, Tasks},
    weights::{Metadata, Weights, WeightsError},
};
use proptest::prelude::*;

use crate::{
    lens::{frame, settings, weights},
    seeded::{parameter, seeded},
};

/// Taken from the seeded detector's scores, so that it finds few faces.
const STRICTNESS: f32 = 500.0;

const TASKS: Tasks = Tasks::new(&[Task::Expression, Task::ValenceArousal, Task::Violence]);

/// A network says itself which parameters it misses; `bias` is added to those of that name.
fn seeded_with<T>(
    architecture: &str,
    load: impl Fn(&Weights, &OpenedDevice) -> Result<T, WeightsError>,
    (biased, bias): (&str, f32),
) -> Weights {
    let mut weights = Weights::new(Metadata {
        architecture: architecture.to_owned(),
        ..Metadata::default()
    });
    loop {
        let (name, shape) = match load(&weights, &OpenedDevice::cpu()) {
            Ok(_) => return weights,
            Err(WeightsError::Missing { name, .. }) => (name, vec![1]),
            Err(WeightsError::Shape { name, expected, .. }) => (name, expected),
            Err(error) => panic!("{error}"),
        };
        let mut values = parameter(&name, &shape);
        if name.ends_with(biased) {
            values.iter_mut().for_each(|value| *value += bias);
        }
        weights.insert(name, shape, values).expect("as many values");
    }
}

/// Factor that takes any face's score below what a detector is sure of.
const DOUBT: f32 = 1e-5;

/// A detector that finds a few faces in any picture; the logits of its scores times `certainty`: above 0 the same faces.
fn seeded_detector(certainty: f32) -> Weights {
    let bias = ("scores.bias", -STRICTNESS);
    let mut weights = seeded_with(
        detect::ARCHITECTURE,
        |weights, device| FaceDetector::load(weights, device),
        bias,
    );
    let names: Vec<String> = weights.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names.into_iter().filter(|name| name.contains("scores.")) {
        let mut tensor = weights.remove(&name).expect("is listed");
        tensor
            .values
            .iter_mut()
            .for_each(|value| *value *= certainty);
        weights.put(name, tensor);
    }
    weights
}

/// A mesh that sees a face everywhere, or nowhere.
fn seeded_mesh(sees_faces: bool) -> Weights {
    let bias = if sees_faces { 1e30 } else { -1e30 };
    let bias = ("presence.bias", bias);
    seeded_with(
        landmarks::MESH_ARCHITECTURE,
        |weights, device| FaceMesh::load(weights, device),
        bias,
    )
}

fn faces() -> FaceWeights {
    FaceWeights {
        detector: seeded_detector(1.0),
        full_range_detector: None,
        classifier: ClassifierWeights {
            backbone: seeded("mt-ddamfn"),
            pretrained: None,
            head: None,
            valence_arousal_head: None,
            action_units_head: None,
        },
        mesh: None,
        blendshapes: None,
    }
}

/// Violence in windows of four frames, which are 375 ms at eight a second; smoothing over five frames.
pub(super) fn load(faces: Option<FaceWeights>, frames_per_second: Option<f32>) -> Lens {
    let settings = settings(frames_per_second);
    let parts = LensWeights {
        faces,
        violence: Some(weights(TemporalKind::Motion, &settings)),
        people: None,
    };
    let device = OpenedDevice::cpu();
    let lens = Lens::load(parts, TASKS, &device);
    let mut lens = pollster::block_on(lens).expect("fits");
    let mut controls = lens.controls();
    controls.faces.half_window = 2;
    controls.faces.valence_arousal_half_window = 2;
    lens.configure(controls).expect("in range");
    lens
}

/// Faces alone, with or without a mesh.
pub(super) fn load_faces(mesh: Option<Weights>) -> Lens {
    load_doubted_faces(mesh, 1.0)
}

/// The same faces, of which the detector is less sure.
fn load_doubted_faces(mesh: Option<Weights>, certainty: f32) -> Lens {
    let parts = LensWeights {
        faces: Some(FaceWeights {
            detector: seeded_detector(certainty),
            mesh,
            ..faces()
        }),
        violence: None,
        people: None,
    };
    let device = OpenedDevice::cpu();
    let lens = Lens::load(parts, Tasks::EXPRESSION, &device);
    let mut lens = pollster::block_on(lens).expect("fits");
    let mut controls = lens.controls();
    controls.faces.half_window = 2;
    lens.configure(controls).expect("in range");
    lens
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Live,
    File,
}

pub(super) const FORMS: [Form; 2] = [Form::Live, Form::File];

pub(super) fn take(lens: &mut Lens, form: Form, picture: usize, time_ms: f64) -> Vec<FrameReport> {
    let frame = frame(picture);
    match form {
        Form::Live => vec![pollster::block_on(lens.analyze(&frame, time_ms)).expect("a report")],
        Form::File => pollster::block_on(lens.push(&frame, time_ms)).expect("taken"),
    }
}

/// The reports on frames of these times, the first of which is this picture of the film.
pub(super) fn film(
    lens: &mut Lens,
    form: Form,
    picture: usize,
    times_ms: &[f64],
) -> Vec<FrameReport> {
    let mut reports = Vec::new();
    for (index, time_ms) in times_ms.iter().enumerate() {
        reports.extend(take(lens, form, picture + index, *time_ms));
    }
    match form {
        Form::Live => lens.reset(),
        Form::File => reports.extend(pollster::block_on(lens.finish()).expect("reports")),
    }
    let times: Vec<_> = reports.iter().map(|report| report.time_ms).collect();
    assert_eq!(times, times_ms, "a report a frame, in order");
    reports
}

pub(super) fn regular(start_ms: f64, step_ms: f64, frames: usize) -> Vec<f64> {
    let frames = 0..frames;
    frames
        .map(|frame| start_ms + step_ms * frame as f64)
        .collect()
}

fn restarts(reports: &[FrameReport]) -> Vec<usize> {
    let reports = reports.iter().enumerate();
    reports
        .filter_map(|(index, report)| report.restarted.then_some(index))
        .collect()
}

fn ids(reports: &[FrameReport]) -> BTreeSet<u64> {
    let faces = reports.iter().flat_map(|report| &report.faces);
    faces.map(|face| face.id).collect()
}

/// The reports of one stream as if its numbers began at 0, and without the mark of its beginning.
fn from_zero(mut reports: Vec<FrameReport>) -> Vec<FrameReport> {
    let (frame, id) = (reports[0].frame, ids(&reports).first().copied());
    for report in &mut reports {
        report.frame -= frame;
        report.restarted = false;
        for face in &mut report.faces {
            face.id -= id.unwrap_or_default();
        }
        if let Some(ViolenceReport::Scored {
            live: Some(live), ..
        }) = &mut report.violence
        {
            live.updates.iter_mut().for_each(|it| it.frame -= frame);
        }
    }
    reports
}

/// Streams that follow each other are told apart, and nothing of one is in the reports on another.
fn assert_apart(lens: &mut Lens, form: Form, streams: &[Vec<f64>]) {
    let reports = film(lens, form, 0, &streams.concat());
    let numbers: Vec<_> = reports.iter().map(|report| report.frame).collect();
    let expected: Vec<_> = (0..reports.len() as u64).collect();
    assert_eq!(numbers, expected, "frames go on being numbered");
    let (mut first, mut firsts, mut known) = (0, Vec::new(), BTreeSet::new());
    for stream in streams {
        let alone = film(lens, form, first, stream);
        let together = reports[first..first + stream.len()].to_vec();
        assert!(
            ids(&together).is_disjoint(&known),
            "a face has its number alone"
        );
        known.extend(ids(&together));
        assert_eq!(from_zero(together), alone, "{form:?}: {streams:?}");
        firsts.push(first);
        first += stream.len();
    }
    assert_eq!(restarts(&reports), firsts[1..], "{form:?}: {streams:?}");
}

#[test]
fn a_pause_of_a_minute_parts_two_streams() {
    let mut lens = load(Some(faces()), Some(8.0));
    let streams = [regular(0.0, 40.0, 10), regular(60_400.0, 40.0, 10)];
    for form in FORMS {
        assert_apart(&mut lens, form, &streams);
    }
    let reports = film(&mut lens, Form::File, 0, &streams.concat());
    let seen = ids(&reports).len();
    let faces: usize = reports.iter().map(|report| report.faces.len()).sum();
    assert!((20..200).contains(&faces), "{faces} faces are a fair test");
    assert!(
        seen < faces,
        "some of {faces} are seen twice, there are {seen}"
    );
}

#[test]
fn a_video_that_loops_is_a_new_stream_each_time() {
    let mut lens = load(Some(faces()), Some(8.0));
    for form in FORMS {
        assert_apart(&mut lens, form, &vec![regular(0.0, 100.0, 5); 3]);
    }
}

#[test]
fn only_what_the_detector_is_sure_of_or_the_mesh_sees_is_a_face() {
    let times = regular(0.0, 40.0, 12);
    let films = |mesh, certainty| {
        let mut lens = load_doubted_faces(mesh, certainty);
        FORMS.map(|form| film(&mut lens, form, 0, &times))
    };
    let faces = |reports: &[FrameReport]| reports.iter().map(|it| it.faces.len()).sum::<usize>();
    // Of none of them the detector is sure.
    let without = films(None, DOUBT);
    assert!(without.iter().all(|reports| faces(reports) > 20));
    let seen = films(Some(seeded_mesh(true)), DOUBT);
    assert_eq!(seen, without, "all are confirmed");
    let refused = films(Some(seeded_mesh(false)), DOUBT);
    assert!(refused.iter().all(|reports| faces(reports) == 0));
    // What is refused holds no report up.
    let mut lens = load_doubted_faces(Some(seeded_mesh(false)), DOUBT);
    for (picture, time_ms) in times.iter().enumerate() {
        let reports = take(&mut lens, Form::File, picture, *time_ms);
        assert_eq!(reports.len(), 1);
    }
    // Where it is sure, the mesh is not asked.
    for reports in films(Some(seeded_mesh(false)), 1.0) {
        assert!(faces(&reports) > 0);
        let mut known = BTreeSet::new();
        for face in reports.iter().flat_map(|report| &report.faces) {
            let is_new = known.insert(face.id);
            assert!(!is_new || face.score >= 0.7, "{face:?}");
        }
    }
}

/// Streams of which each begins long after the one before, or before its end. They have two frames at least: of single ones, far
/// apart, nobody can tell whether they are streams or a slow camera's.
fn streams() -> impl Strategy<Value = Vec<Vec<f64>>> {
    let stream = (any::<bool>(), 10_000..100_000_u32, 20..200_u32, 2..12_usize);
    prop::collection::vec(stream, 2..4).prop_map(|streams| {
        let mut end_ms = 1e6;
        let stream = |(goes_back, jump_ms, step_ms, frames)| {
            let jump_ms = f64::from(jump_ms);
            let start_ms = end_ms + if goes_back { -jump_ms } else { jump_ms };
            let times = regular(start_ms, f64::from(step_ms), frames);
            end_ms = times[frames - 1];
            times
        };
        streams.into_iter().map(stream).collect()
    })
}

proptest! {
    // Each runs networks on some forty frames.
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_with_jumps_is_as_many_streams(streams in streams()) {
        let mut lens = load(None, Some(8.0));
        for form in FORMS {
            assert_apart(&mut lens, form, &streams);
        }
    }
}

#[test]
fn one_wrong_time_freezes_nothing() {
    let mut lens = load(None, Some(8.0));
    let (before, after) = (regular(1e6, 40.0, 12), regular(1e6 + 520.0, 40.0, 12));
    for wrong in [0.0, -1e9, 1e300] {
        for form in FORMS {
            assert_apart(
                &mut lens,
                form,
                &[before.clone(), vec![wrong], after.clone()],
            );
        }
    }
    let reports = film(&mut lens, Form::Live, 0, &after);
    let is_known =
        |report: &FrameReport| matches!(report.violence, Some(ViolenceReport::Scored { .. }));
    assert_eq!(reports.iter().filter(|it| is_known(it)).count(), 3);
}

#[test]
fn a_time_that_is_not_finite_is_refused_before_anything_is_changed() {
    let mut lens = load(None, Some(8.0));
    let times = regular(0.0, 40.0, 12);
    for form in FORMS {
        let expected = film(&mut lens, form, 0, &times);
        let mut reports = Vec::new();
        for (picture, time_ms) in times.iter().enumerate() {
            for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let frame = frame(99);
                let error = match form {
                    Form::Live => pollster::block_on(lens.analyze(&frame, wrong)).err(),
                    Form::File => pollster::block_on(lens.push(&frame, wrong)).err(),
                };
                assert_eq!(error.map(|error| error.code()), Some("bad-argument"));
            }
            reports.extend(take(&mut lens, form, picture, *time_ms));
        }
        reports.extend(pollster::block_on(lens.finish()).expect("reports"));
        assert_eq!(reports, expected);
    }
}

#[test]
fn frames_of_the_same_time_are_one_stream() {
    for rate in [None, Some(8.0)] {
        let mut lens = load(None, rate);
        for times in [
            vec![7.0; 9],
            [vec![0.0; 6], regular(0.0, 40.0, 20)].concat(),
        ] {
            for form in FORMS {
                let reports = film(&mut lens, form, 0, &times);
                assert!(restarts(&reports).is_empty());
                let json = serde_json::to_string(&reports).expect("plain values");
                assert!(!json.contains("null"), "not a number: {json}");
            }
        }
    }
}

fn window(report: &FrameReport) -> Option<ViolenceWindow> {
    match report.violence.as_ref().expect("was asked for") {
        ViolenceReport::WarmingUp { window, .. } | ViolenceReport::Scored { window, .. } => *window,
    }
}

#[test]
fn a_stream_that_is_too_slow_says_so_with_its_real_window() {
    let mut lens = load(None, Some(8.0));
    let slow = regular(0.0, 1250.0, 8);
    let expected = ViolenceWindow {
        span_ms: 3750.0,
        frames_per_second: 0.8,
        too_slow: true,
    };
    let live = film(&mut lens, Form::Live, 0, &slow);
    assert_eq!(window(&live[0]), None, "one frame has no rate");
    assert!(live[1..].iter().all(|it| window(it) == Some(expected)));
    let file = film(&mut lens, Form::File, 0, &slow);
    assert!(file.iter().all(|it| window(it) == Some(expected)));
    assert!(restarts(&file).is_empty());
}

#[test]
fn a_usual_rate_is_told_in_a_live_stream_and_changes_nothing_in_a_file() {
    let mut lens = load(None, Some(8.0));
    for step_ms in [20.0, 40.0, 100.0, 125.0, 166.0] {
        let times = regular(0.0, step_ms, 30);
        let file = film(&mut lens, Form::File, 0, &times);
        assert!(file.iter().all(|it| window(it).is_none()), "{step_ms}");
        let live = film(&mut lens, Form::Live, 0, &times);
        let window = window(&live[29]).expect("the last has one");
        let expected = f64::min(8.0, 1000.0 / step_ms);
        assert!(
            (window.frames_per_second / expected - 1.0).abs() < 0.1,
            "{window:?}"
        );
        assert!(!window.too_slow);
    }
    // From 25 frames a second to two: only windows that reach into the slow part are too slow.
    let times = [regular(0.0, 40.0, 30), regular(1660.0, 500.0, 8)].concat();
    let file = film(&mut lens, Form::File, 0, &times);
    let slow: Vec<_> = file.iter().map(|it| window(it).is_some()).collect();
    assert!(!slow[0] && slow[37] && slow.is_sorted());
}
