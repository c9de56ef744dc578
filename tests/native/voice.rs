//! Voice activity against PyTorch (tests/goldens/voice.py).

use affectlens::device::OpenedDevice;
use affectlens::sound::{LiveSound, SoundWeights};
use affectlens::voice::{VOICE_ARCHITECTURE, VOICE_CHUNK, VOICE_RATE, VoiceActivity};
use affectlens::weights::{Metadata, Weights};

use super::{detect::cache, sound::sound};

/// Sums in another order, through 96 steps of an LSTM.
const TOLERANCE: f32 = 5e-4;

fn published() -> Weights {
    let path = cache().join(format!("weights/{VOICE_ARCHITECTURE}.safetensors"));
    Weights::from_safetensors(&std::fs::read(path).expect("fetched weights"))
        .expect("valid weights")
}

fn hear(voice: &mut VoiceActivity, sound: &[f32]) -> Vec<f32> {
    let (chunks, _) = sound.as_chunks();
    chunks.iter().map(|chunk| voice.hear(chunk)).collect()
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn probabilities_are_those_of_pytorch() {
    let golden: Vec<f32> =
        serde_json::from_str(include_str!("../goldens/voice.json")).expect("generated");
    let mut voice = VoiceActivity::load(&published()).expect("canonical");
    let sound = sound();
    let heard = hear(&mut voice, &sound);
    assert_eq!(heard.len(), golden.len());
    let apart = heard.iter().zip(&golden).map(|(a, b)| (a - b).abs());
    let worst = apart.fold(0.0, f32::max);
    println!("voice activity is {worst:.2e} off at most");
    assert!(worst < TOLERANCE, "{worst}");

    voice.reset();
    assert_eq!(hear(&mut voice, &sound), heard, "a stream begun anew");
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn what_is_not_finite_is_silence() {
    let mut voice = VoiceActivity::load(&published()).expect("canonical");
    let silence = voice.clone().hear(&[0.0; VOICE_CHUNK]);
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(voice.clone().hear(&[broken; VOICE_CHUNK]), silence);
    }
    assert!(voice.hear(&[f32::MAX; VOICE_CHUNK]).is_finite());
    assert!(voice.hear(&[0.0; VOICE_CHUNK]).is_finite(), "goes on");
}

fn live() -> LiveSound {
    let weights = SoundWeights {
        voice: published(),
        expression: None,
    };
    LiveSound::load(weights, &OpenedDevice::cpu()).expect("canonical")
}

/// What is heard live at times, in milliseconds, of sound that began at `start` and came in pieces of that many samples.
fn hear_live(sound: &[f32], start: f64, piece: usize, times: &[f64]) -> Vec<Option<f32>> {
    let mut live = live();
    for (index, samples) in sound.chunks(piece).enumerate() {
        let time_ms = (index * piece) as f64 * 1000.0 / f64::from(VOICE_RATE);
        pollster::block_on(live.hear(samples, start + time_ms)).expect("short");
    }
    let at = |time: &f64| live.at(*time, true)?.speech;
    times.iter().map(at).collect()
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn pieces_of_any_length_are_heard_live_as_the_whole_is() {
    let sound = sound();
    let heard = hear(
        &mut VoiceActivity::load(&published()).expect("canonical"),
        &sound,
    );
    let chunk_ms = VOICE_CHUNK as f64 * 1000.0 / f64::from(VOICE_RATE);
    let start = 5_000.0;
    let times: Vec<f64> = (0..heard.len())
        .map(|chunk| start + (chunk as f64 + 0.5) * chunk_ms)
        .collect();
    let expected: Vec<Option<f32>> = heard.into_iter().map(Some).collect();
    for piece in [77, 512, 2048, 16_000] {
        let live = hear_live(&sound, start, piece, &times);
        assert_eq!(live, expected, "pieces of {piece}");
    }
    // Before it began, a moment after its end, which has the time of the newest chunk, and long after.
    let end = start + sound.len() as f64 * 1000.0 / f64::from(VOICE_RATE);
    let outside = hear_live(
        &sound,
        start,
        512,
        &[start - 400.0, end + 20.0, end + 2_000.0],
    );
    assert_eq!(outside, [None, expected[expected.len() - 1], None]);
}

#[test]
#[ignore = "needs fetched weights: run cargo xtask test"]
fn a_gap_begins_anew_and_pieces_without_bound_are_refused() {
    let mut live = live();
    let second = vec![0.0; 16_000];
    for time_ms in [0.0, 1_000.0, 60_000.0] {
        pollster::block_on(live.hear(&second, time_ms)).expect("short");
    }
    assert!(
        live.at(500.0, true).is_none(),
        "what was before the gap is gone"
    );
    assert!(live.at(60_500.0, true).is_some());
    // A clock that drifts by a hundredth is followed without a gap.
    for piece in 1..=100 {
        let time_ms = 60_000.0 + f64::from(piece) * 1_010.0;
        pollster::block_on(live.hear(&second, time_ms)).expect("short");
        assert!(
            live.at(time_ms - 2_000.0, true).is_some() || piece < 3,
            "{piece}"
        );
        assert!(live.at(time_ms + 500.0, true).is_some(), "{piece}");
    }
    assert!(live.at(80_000.0, true).is_none(), "forgotten");
    let error = pollster::block_on(live.hear(&vec![0.0; 160_001], 0.0)).expect_err("long");
    assert_eq!(
        error.to_string(),
        "a piece of sound has 160001 samples, expected at most 160000"
    );
    let error = pollster::block_on(live.hear(&second, f64::NAN)).expect_err("no time");
    assert_eq!(error.code(), "bad-argument");
    assert!(live.at(160_000.0, true).is_some(), "what was heard stays");
    live.reset();
    assert!(live.at(160_000.0, true).is_none());
}

#[test]
fn other_weights_are_refused() {
    let other = Weights::new(Metadata {
        architecture: "faceres".to_owned(),
        ..Metadata::default()
    });
    let refusal = |weights: &Weights| {
        let error = VoiceActivity::load(weights).expect_err("other weights");
        error.to_string()
    };
    assert_eq!(
        refusal(&other),
        "weights are for architecture `faceres`, expected `silero-vad`"
    );
    let empty = Weights::new(Metadata {
        architecture: VOICE_ARCHITECTURE.to_owned(),
        ..Metadata::default()
    });
    assert!(
        refusal(&empty).contains("stft_conv.weight"),
        "{}",
        refusal(&empty)
    );
}
