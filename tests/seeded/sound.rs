//! Sound that a network for voice activity takes for a voice in its middle, as `tests/goldens/voice.py` makes it.

#![expect(clippy::cast_possible_truncation, reason = "made in f64, used in f32")]

use std::f64::consts::TAU;

use affectlens::voice::{VOICE_CHUNK, VOICE_RATE};

/// Chunks of each of the parts: silence, noise, two of voice, voice in noise, silence.
pub(crate) const CHUNKS_A_PART: usize = 16;
const LOUD: [f64; 6] = [0.0, 0.0, 0.25, 0.25, 0.2, 0.0];
const HISS: [f64; 6] = [0.0, 0.05, 0.0, 0.0, 0.02, 0.0];

/// -1 to 1.
fn noise(index: usize) -> f64 {
    let mut x = (index as u32)
        .wrapping_mul(2_654_435_761)
        .wrapping_add(12_345);
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    f64::from(x) / f64::from(1_u32 << 31) - 1.0
}

/// Samples at 16 kHz.
pub(crate) fn sound() -> Vec<f32> {
    let mut phase = 0.0;
    let sample = |index: usize| {
        let time = index as f64 / f64::from(VOICE_RATE);
        let wave = |frequency: f64| (TAU * frequency * time).sin();
        let pitch = 120.0 + 30.0 * wave(1.3);
        phase += pitch / f64::from(VOICE_RATE);
        let (first, second) = (500.0 + 250.0 * wave(2.1), 1500.0 + 500.0 * wave(1.7));
        let harmonics = (1..25).map(|harmonic| {
            let frequency = f64::from(harmonic) * pitch;
            let near = |centre: f64, width: f64| 1.0 + ((frequency - centre) / width).powi(2);
            let gain = 1.0 / near(first, 120.0) + 0.5 / near(second, 160.0);
            gain * (TAU * f64::from(harmonic) * phase).sin()
        });
        let voice = harmonics.sum::<f64>() * wave(4.0).max(0.0);
        let part = index / VOICE_CHUNK / CHUNKS_A_PART;
        (LOUD[part] * voice + HISS[part] * noise(index)) as f32
    };
    let samples = VOICE_CHUNK * CHUNKS_A_PART * LOUD.len();
    (0..samples).map(sample).collect()
}
