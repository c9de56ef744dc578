//! Violence in files and streams: windows, sampling, both forms against each other, heads that do not fit.

use affectlens::{
    backbone::Backbone,
    calibration::ViolenceSettings,
    crop,
    device::OpenedDevice,
    error::LensError,
    frame::Frame,
    head::{TemporalConfig, TemporalHead, TemporalKind},
    lens::{Lens, LensWeights},
    part::Found,
    report::{FrameReport, LiveViolence, ViolenceReport},
    role::{Origin, Role},
    task::{Task, Tasks},
    violence::{ViolenceControls, ViolenceLens, ViolenceWeights},
    weights::{CatalogEntry, EMBEDDING, Weights},
    windowing::{Sampler, Windows},
};
use burn::tensor::{Device, Tensor, TensorData};

use crate::seeded::seeded;

const BACKBONE: &str = "faceres";
pub(super) const WIDTH: usize = 1024;
const VIOLENCE: Tasks = Tasks::new(&[Task::Violence]);

pub(super) fn settings(frames_per_second: Option<f32>) -> ViolenceSettings {
    ViolenceSettings {
        length: 4,
        frames_per_second,
        ..ViolenceSettings::default()
    }
}

pub(super) fn weights(kind: TemporalKind, settings: &ViolenceSettings) -> ViolenceWeights {
    let second = kind.fusion().map(|fusion| fusion.stream().width());
    let config = TemporalConfig {
        kind,
        features: WIDTH + second.unwrap_or_default(),
    };
    let mut head = config.init(3, &Device::flex()).to_weights();
    settings.write(&mut head.metadata.extra);
    let extra = &mut head.metadata.extra;
    extra.insert(EMBEDDING.to_owned(), BACKBONE.to_owned());
    ViolenceWeights {
        backbone: seeded(BACKBONE),
        head,
        second: None,
    }
}

fn load(weights: &ViolenceWeights) -> Result<ViolenceLens, LensError> {
    pollster::block_on(ViolenceLens::load(weights.clone(), &OpenedDevice::cpu()))
}

/// Frame of a film in which brightness and a stripe move.
pub(super) fn frame(number: usize) -> Frame {
    let pixel = |x: usize, y: usize| {
        let stripe = if (x + 5 * number) % 40 < 9 { 120 } else { 0 };
        [(number * 37 % 101) as u8, (y * 2) as u8, stripe]
    };
    let pixels = (0..48 * 64).flat_map(|at| pixel(at % 64, at / 64));
    Frame::from_rgb(64, 48, pixels.collect()).expect("whole rows")
}

pub(super) fn time_ms(number: usize) -> f64 {
    number as f64 * 40.0
}

/// The probabilities of a film, put together by hand.
fn expected(weights: &ViolenceWeights, settings: &ViolenceSettings, frames: usize) -> Vec<f32> {
    let film: Vec<_> = (0..frames).map(frame).collect();
    expected_beside(weights, settings, &film, |_| Vec::new())
}

/// The same for any frames; `second` gives what the head reads beside the embedding of a frame.
pub(super) fn expected_beside(
    weights: &ViolenceWeights,
    settings: &ViolenceSettings,
    film: &[Frame],
    mut second: impl FnMut(&Frame) -> Vec<f32>,
) -> Vec<f32> {
    let backbone = Backbone::load(&weights.backbone, &OpenedDevice::cpu()).expect("fits");
    let head = TemporalHead::load(&weights.head, &Device::flex()).expect("fits");
    let mut sampler = Sampler::new(settings.frames_per_second);
    let mut sample_of = Vec::new();
    let mut embeddings: Vec<Vec<f32>> = Vec::new();
    for (number, frame) in film.iter().enumerate() {
        if sampler.takes(time_ms(number)) {
            let picture = crop::resize(frame, backbone.facts().input_side);
            let batch = crop::batch(&[picture], &backbone.facts().normalisation, &Device::flex());
            let embedding = backbone.forward(batch.expect("one")).embedding;
            let embedding = embedding.into_data();
            embeddings.push(embedding.iter().chain(second(frame)).collect());
        }
        sample_of.push(embeddings.len() - 1);
    }
    let windows = Windows::new(settings.length, settings.step).expect("above 0");
    let starts = windows.starts(embeddings.len());
    let rows: Vec<Vec<f32>> = starts
        .into_iter()
        .map(|start| {
            let frames = windows.frames(start, embeddings.len());
            let values: Vec<f32> = frames
                .iter()
                .flat_map(|at| embeddings[*at].clone())
                .collect();
            let width = values.len() / settings.length;
            let window = TensorData::new(values, [1, settings.length, width]);
            let logits = head.forward(Tensor::from_data(window, &Device::flex()));
            head.probabilities(&logits.into_data().iter().collect::<Vec<f32>>())
        })
        .collect();
    let means = windows.average(&rows, embeddings.len()).expect("fits");
    sample_of.into_iter().map(|sample| means[sample]).collect()
}

fn file(lens: &mut Lens, frames: usize) -> Vec<FrameReport> {
    let mut reports = Vec::new();
    for number in 0..frames {
        let frame = frame(number);
        let pushed = pollster::block_on(lens.push(&frame, time_ms(number)));
        reports.extend(pushed.expect("reports"));
    }
    reports.extend(pollster::block_on(lens.finish()).expect("reports"));
    reports
}

pub(super) fn probability(report: &FrameReport) -> f32 {
    match &report.violence {
        Some(ViolenceReport::Scored {
            probability,
            violent,
            live: None,
            window: None,
        }) => {
            assert_eq!(*violent, *probability >= 0.5);
            *probability
        }
        other => panic!("frame {} has {other:?}", report.frame),
    }
}

#[test]
fn a_file_has_the_means_over_all_its_windows() {
    // All frames; eight a second of 25; fewer than a window; one.
    for (rate, frames) in [(None, 11), (Some(8.0), 40), (Some(8.0), 7), (None, 1)] {
        let settings = settings(rate);
        let weights = weights(TemporalKind::Motion, &settings);
        let parts = LensWeights {
            faces: None,
            violence: Some(weights.clone()),
            people: None,
        };
        let mut lens =
            pollster::block_on(Lens::load(parts, VIOLENCE, &OpenedDevice::cpu())).expect("fits");
        let expected = expected(&weights, &settings, frames);
        for _ in 0..2 {
            let reports = file(&mut lens, frames);
            assert_eq!(reports.len(), frames);
            for (number, (report, expected)) in reports.iter().zip(&expected).enumerate() {
                assert_eq!((report.frame, report.faces.len()), (number as u64, 0));
                assert!((probability(report) - expected).abs() < 1e-6);
            }
        }
        if frames == 11 {
            assert!(
                expected.iter().any(|it| (it - expected[0]).abs() > 1e-4),
                "the film moves"
            );
        }
    }
}

#[test]
fn a_live_stream_warms_up_and_its_past_is_refined_until_it_is_final() {
    let weights = weights(TemporalKind::Motion, &settings(Some(8.0)));
    let mut lens = load(&weights).expect("fits");
    assert_eq!(lens.facts().span_ms, 375.0);
    let (mut warming, mut history) = (Vec::new(), std::collections::BTreeMap::new());
    for number in 0..60 {
        let frame = frame(number);
        let analyzed = lens.analyze(&frame, number as u64, time_ms(number));
        match pollster::block_on(analyzed).expect("a report") {
            ViolenceReport::WarmingUp {
                warming_up_ms,
                window,
            } => {
                assert_eq!(window, None, "it is not too slow");
                warming.push(warming_up_ms);
            }
            ViolenceReport::Scored {
                probability, live, ..
            } => {
                let LiveViolence { delay_ms, updates } = live.expect("a stream");
                assert!((delay_ms - 375.0).abs() < 10.0, "{delay_ms}");
                for update in &updates {
                    assert_eq!(update.time_ms, time_ms(update.frame as usize));
                    let before = history.insert(update.frame, *update);
                    assert!(before.is_none_or(|before| !before.is_final));
                }
                if let Some(newest) = updates.last() {
                    assert_eq!(
                        (newest.frame, newest.probability),
                        (number as u64, probability)
                    );
                }
            }
        }
    }
    assert_eq!(warming.first(), Some(&375.0));
    assert!(warming.is_sorted_by(|a, b| a >= b));
    // 25 a second are looked at eight times: no frame-backbone run for the others.
    assert_eq!(history.len(), 20);
    assert!(history.values().rev().skip(3).all(|update| update.is_final));

    lens.reset();
    let first = pollster::block_on(lens.analyze(&frame(0), 0, 0.0)).expect("a report");
    assert!(
        matches!(first, ViolenceReport::WarmingUp { .. }),
        "a new stream"
    );
}

#[test]
fn the_threshold_decides_and_nonsense_is_refused() {
    let weights = weights(TemporalKind::Conv1d, &settings(None));
    let mut lens = load(&weights).expect("fits");
    let verdict = |lens: &mut ViolenceLens, threshold| {
        let controls = ViolenceControls {
            threshold,
            ..lens.controls().clone()
        };
        lens.configure(controls).expect("in range");
        pollster::block_on(lens.push(&frame(0), 0, 0.0)).expect("taken");
        let scored = pollster::block_on(lens.finish()).expect("scored");
        let [Found { frame: 0, found }] = &scored[..] else {
            panic!("{scored:?} is not one frame");
        };
        matches!(found, ViolenceReport::Scored { violent: true, .. })
    };
    assert!(verdict(&mut lens, 0.0) && !verdict(&mut lens, 1.0));
    let mut refusal = |threshold, every| {
        let controls = ViolenceControls { threshold, every };
        lens.configure(controls)
            .expect_err("out of range")
            .to_string()
    };
    assert_eq!(
        refusal(1.5, 1),
        "`violence.threshold` is 1.5, expected a number from 0 to 1"
    );
    assert_eq!(
        refusal(0.5, 0),
        "`violence.every` is 0, expected a whole number from 1 to 1000"
    );
}

#[test]
fn frames_that_are_skipped_are_counted_and_a_stream_can_start_again() {
    let parts = LensWeights {
        faces: None,
        violence: Some(weights(TemporalKind::Conv1d, &settings(None))),
        people: None,
    };
    let mut lens =
        pollster::block_on(Lens::load(parts, VIOLENCE, &OpenedDevice::cpu())).expect("fits");
    let push = |lens: &mut Lens, number: usize| {
        let pushed = pollster::block_on(lens.push(&frame(number), time_ms(number)));
        pushed.expect("taken")
    };
    for _ in 0..2 {
        assert!(push(&mut lens, 0).is_empty(), "its window is not full");
        lens.skip();
        assert!(push(&mut lens, 2).is_empty());
        let reports = pollster::block_on(lens.finish()).expect("reports");
        let seen: Vec<_> = reports.iter().map(|it| (it.frame, it.time_ms)).collect();
        assert_eq!(seen, [(0, 0.0), (2, 80.0)]);
        assert!(reports.iter().all(|report| report.violence.is_some()));
    }
}

#[test]
fn every_default_file_is_in_the_catalogue_or_among_the_models() {
    for role in Role::ALL {
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let is_built_in = models.join(format!("{}.safetensors", role.file())).exists();
        let is_fetched = CatalogEntry::find(role.file()).is_ok();
        let expected = (
            role.origin() == Origin::BuiltIn,
            role.origin() == Origin::Fetched,
        );
        assert_eq!((is_built_in, is_fetched), expected, "{role:?}");
    }
}

#[test]
fn heads_that_do_not_fit_are_refused() {
    let refusal = |kind, change: fn(&mut Weights)| {
        let mut weights = weights(kind, &settings(None));
        change(&mut weights.head);
        load(&weights).expect_err("does not fit").to_string()
    };
    fn set(head: &mut Weights, key: &str, value: &str) {
        head.metadata.extra.insert(key.to_owned(), value.to_owned());
    }
    assert_eq!(
        refusal(TemporalKind::Tcn, |head| set(head, EMBEDDING, "resnet18")),
        "violence head was trained on embeddings of `resnet18`, the backbone is `faceres`"
    );
    assert_eq!(
        refusal(TemporalKind::Transformer { layers: 2 }, |head| {
            set(head, "window_length", "129");
        }),
        "violence head: number of frames in a window is 129, expected at most 128"
    );
    assert_eq!(
        refusal(TemporalKind::Conv1d, |head| {
            let values = vec![0.0; 2 * 512];
            head.insert("head.weight", vec![2, 512, 1], values)
                .expect("as many");
        }),
        "violence head: length of the embeddings is 512, expected 1024, as `faceres` has"
    );
    assert_eq!(
        refusal(TemporalKind::Tcn, |head| head.metadata.architecture =
            "temporal-skeleton-attention-tcn".to_owned()),
        "violence head `temporal-skeleton-attention-tcn` also needs skeletons, 406 numbers a frame, and nothing that tells \
         them was given (a page has nothing); expected a head that reads frames alone"
    );
    assert!(
        refusal(TemporalKind::Tcn, |head| head.metadata.architecture =
            "mlp".to_owned())
        .starts_with("violence head: weights are for architecture `mlp`, expected `temporal-tcn`")
    );
}
