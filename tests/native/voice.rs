//! Voice activity against PyTorch (tests/goldens/voice.py).

use affectlens::voice::{VOICE_ARCHITECTURE, VOICE_CHUNK, VoiceActivity};
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
