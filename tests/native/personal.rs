//! A personal head in a stream: faces are learnt, the head made of them has its part from the next frame on, and goes again.

use affectlens::{
    error::LensError,
    label::Expression,
    lens::Lens,
    report::{FaceReport, FrameReport},
};

use crate::{
    lens::frame,
    streams::{load_faces, regular},
};

/// Frames of the film that are looked for one face.
const FRAMES: usize = 60;
const STEP_MS: f64 = 40.0;

fn unsmoothed() -> Lens {
    let mut lens = load_faces(None);
    let mut controls = lens.controls();
    controls.faces.half_window = 0;
    lens.configure(controls).expect("in range");
    lens
}

fn analyze(lens: &mut Lens, picture: usize, time_ms: f64) -> FrameReport {
    pollster::block_on(lens.analyze(&frame(picture), time_ms)).expect("a report")
}

fn probability(face: &FaceReport, class: Expression) -> f32 {
    let expression = face.expression.as_ref().expect("asked for");
    let found = expression.probabilities.iter().find(|it| it.0 == class);
    found.expect("a class").1
}

/// The reports on the film; every second picture with one face is learnt as one expression, the others as another.
fn learn(lens: &mut Lens, labels: [Expression; 2]) -> (Vec<FrameReport>, usize) {
    let mut learnt = 0;
    let mut reports = Vec::new();
    for (picture, time_ms) in regular(0.0, STEP_MS, FRAMES).into_iter().enumerate() {
        let report = analyze(lens, picture, time_ms);
        let faces = report.faces.len();
        match lens.learn(labels[learnt % 2]) {
            Ok(counts) => {
                learnt += 1;
                assert_eq!(faces, 1);
                assert_eq!(counts.iter().map(|it| it.1).sum::<usize>(), learnt);
            }
            Err(error) => {
                assert_eq!(error.code(), "bad-argument");
                let expected =
                    format!("the newest picture shows {faces} faces, expected one to learn from");
                assert_eq!(error.to_string(), expected);
            }
        }
        reports.push(report);
    }
    (reports, learnt)
}

fn film(lens: &mut Lens) -> Vec<FrameReport> {
    lens.reset();
    let times = regular(0.0, STEP_MS, FRAMES).into_iter().enumerate();
    times
        .map(|(picture, time_ms)| analyze(lens, picture, time_ms))
        .collect()
}

#[test]
fn a_personal_head_has_its_part_until_it_is_forgotten() {
    let mut lens = unsmoothed();
    let labels = [Expression::Neutral, Expression::Surprise];
    let (plain, learnt) = learn(&mut lens, labels);
    assert!(learnt > 3, "{learnt} pictures of the film show one face");
    let fit = lens.personalise().expect("two expressions");
    assert!(fit.before.is_some() && fit.after.is_some());

    let personal = film(&mut lens);
    let mut shares = [0.0, 0.0];
    for (plain, personal) in plain.iter().zip(&personal) {
        assert_eq!(plain.faces.len(), personal.faces.len());
        for (plain, face) in plain.faces.iter().zip(&personal.faces) {
            assert!(face.personal && !plain.personal);
            for (share, face) in shares.iter_mut().zip([plain, face]) {
                *share += labels
                    .map(|label| probability(face, label))
                    .iter()
                    .sum::<f32>();
            }
        }
    }
    assert!(shares[1] > shares[0], "what was learnt gains: {shares:?}");

    let file = lens.personal().expect("in force").to_file();
    lens.set_personal(None).expect("faces");
    assert!(lens.personal().is_none());
    assert_eq!(film(&mut lens), plain);
    let error = lens.personalise().expect_err("nothing was learnt");
    assert_eq!(
        error.to_string(),
        "faces of 0 expressions were learnt, expected two or more"
    );
    lens.set_personal(Some(&file)).expect("of this model");
    assert_eq!(film(&mut lens), personal);

    let error = lens.set_personal(Some(b"{}")).expect_err("no file");
    assert_eq!(error.code(), "weights-malformed");
    assert!(lens.personal().is_some(), "the old one stays in force");
}

#[test]
fn what_was_smoothed_before_is_forgotten_with_the_head() {
    let mut lens = load_faces(None);
    let (plain, _) = learn(&mut lens, [Expression::Neutral, Expression::Surprise]);
    lens.personalise().expect("two expressions");
    film(&mut lens);
    let time_ms = STEP_MS * FRAMES as f64;
    lens.set_personal(None).expect("faces");
    let forgotten = analyze(&mut lens, FRAMES, time_ms);
    lens.reset();
    for (picture, report) in plain.iter().enumerate() {
        assert_eq!(analyze(&mut lens, picture, report.time_ms), *report);
    }
    assert_eq!(analyze(&mut lens, FRAMES, time_ms), forgotten);
}

#[test]
fn without_faces_nothing_is_learnt() {
    let mut lens = crate::streams::load(None, None);
    for error in [
        lens.learn(Expression::Neutral).expect_err("no faces"),
        lens.personalise().expect_err("no faces"),
        lens.set_personal(None).expect_err("no faces"),
    ] {
        assert!(matches!(error, LensError::NoFaces), "{error}");
    }
}
