//! A neutral look in a stream: when it is gathered, from which report on it is taken off, and that it comes back.

use std::collections::BTreeMap;

use affectlens::{
    baseline::{RowMean, logarithms, remove_from_probabilities},
    error::LensError,
    label::Expression,
    lens::{Lens, NeutralSpan},
    report::{FaceReport, FrameReport},
};

use crate::streams::{FORMS, Form, film, load, load_faces, regular};

/// Frames of the films, 40 ms apart; the faces look neutral in some of them.
const FRAMES: usize = 40;
const NEUTRAL: std::ops::Range<u64> = 5..15;

fn unsmoothed() -> Lens {
    let mut lens = load_faces(None);
    let mut controls = lens.controls();
    controls.faces.half_window = 0;
    lens.configure(controls).expect("in range");
    lens
}

fn span() -> NeutralSpan {
    let [from_ms, to_ms] = [NEUTRAL.start, NEUTRAL.end].map(|frame| 40.0 * frame as f64);
    NeutralSpan::between(from_ms, to_ms).expect("ordered")
}

fn probabilities(face: &FaceReport) -> Vec<f32> {
    let expression = face.expression.as_ref().expect("was asked for");
    expression.probabilities.iter().map(|it| it.1).collect()
}

/// The mean look of each face in the neutral frames, put together by hand.
fn looks(plain: &[FrameReport]) -> BTreeMap<u64, Vec<f32>> {
    let mut means: BTreeMap<u64, RowMean> = BTreeMap::new();
    for report in plain.iter().filter(|it| NEUTRAL.contains(&it.frame)) {
        for face in &report.faces {
            let mean = means.entry(face.id).or_default();
            mean.add(&logarithms(&probabilities(face)));
        }
    }
    let mean = |(id, mean): (u64, RowMean)| Some((id, mean.mean()?));
    means.into_iter().filter_map(mean).collect()
}

#[test]
fn what_a_face_shows_while_it_is_neutral_is_taken_off_afterwards() {
    let times = regular(0.0, 40.0, FRAMES);
    let mut lens = unsmoothed();
    for form in FORMS {
        let plain = film(&mut lens, form, 0, &times);
        let looks = looks(&plain);
        lens.calibrate(Some(span())).expect("faces");
        let calibrated = film(&mut lens, form, 0, &times);
        let mut seen = [0, 0];
        for (plain, calibrated) in plain.iter().zip(&calibrated) {
            assert_eq!(plain.faces.len(), calibrated.faces.len());
            for (plain, face) in plain.faces.iter().zip(&calibrated.faces) {
                let look = looks.get(&face.id);
                let look = look.filter(|_| calibrated.frame >= NEUTRAL.end);
                assert_eq!(face.baseline, look.is_some(), "frame {}", calibrated.frame);
                seen[usize::from(face.baseline)] += 1;
                let Some(look) = look else {
                    assert_eq!(face, plain);
                    continue;
                };
                let classes = &face.expression.as_ref().expect("asked for").probabilities;
                let neutral = classes.iter().position(|it| it.0 == Expression::Neutral);
                let neutral = neutral.expect("a class of the backbone");
                let row = probabilities(plain);
                let expected = remove_from_probabilities(&row, look, neutral);
                for (got, expected) in probabilities(face).iter().zip(expected) {
                    assert!((got - expected).abs() < 1e-5, "{got}, expected {expected}");
                }
            }
        }
        assert!(
            seen.iter().all(|count| *count > 5),
            "{seen:?} are a fair test"
        );
        assert_eq!(film(&mut lens, form, 0, &times), plain, "a new stream");
    }
}

/// Live reports on a film in which something happens before one of the frames.
fn live(lens: &mut Lens, at: usize, act: impl Fn(&mut Lens)) -> Vec<FrameReport> {
    let mut reports = Vec::new();
    for (picture, time_ms) in regular(0.0, 40.0, FRAMES).into_iter().enumerate() {
        if picture == at {
            act(lens);
        }
        reports.extend(crate::streams::take(lens, Form::Live, picture, time_ms));
    }
    lens.reset();
    reports
}

#[test]
fn a_span_of_the_next_frames_is_the_same_and_can_be_undone() {
    let mut lens = load_faces(None);
    let plain = live(&mut lens, 0, |_| ());
    let fixed = live(&mut lens, 0, |lens| {
        lens.calibrate(Some(span())).expect("faces")
    });
    assert_ne!(fixed, plain);
    let next = NeutralSpan::next(40.0 * (NEUTRAL.end - NEUTRAL.start) as f64).expect("above 0");
    let begin = |lens: &mut Lens| lens.calibrate(Some(next)).expect("faces");
    assert_eq!(live(&mut lens, NEUTRAL.start as usize, begin), fixed);

    let undo = |lens: &mut Lens| lens.calibrate(None).expect("faces");
    lens.calibrate(Some(span())).expect("faces");
    let undone = live(&mut lens, 25, undo);
    assert_eq!(undone[..25], fixed[..25]);
    assert_eq!(undone[25..], plain[25..], "whole windows are as they were");
    lens.calibrate(Some(span())).expect("faces");
    assert_eq!(live(&mut lens, 10, undo), plain, "it was not over");
}

#[test]
fn a_file_that_ends_before_the_span_takes_it_off_what_is_pending() {
    let mut lens = load_faces(None);
    let long = NeutralSpan::between(0.0, 60_000.0).expect("ordered");
    lens.calibrate(Some(long)).expect("faces");
    let reports = film(&mut lens, Form::File, 0, &regular(0.0, 40.0, FRAMES));
    let has_baseline = |report: &FrameReport| report.faces.iter().any(|face| face.baseline);
    let last = reports.iter().rposition(|report| !report.faces.is_empty());
    assert!(last.is_some_and(|last| has_baseline(&reports[last])));
    assert!(!has_baseline(&reports[0]), "it was reported before");
}

#[test]
fn a_lens_without_faces_is_not_calibrated() {
    let mut lens = load(None, None);
    let error = lens.calibrate(Some(span())).expect_err("no faces");
    assert!(matches!(error, LensError::NoFaces));
}
