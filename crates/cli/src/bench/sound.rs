//! Times of a network that embeds sound.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::timing::quantile;
use crate::installed::broken;
use affectlens::{
    audio::{SAMPLE_RATE, Wav2Vec2},
    device::OpenedDevice,
    weights::Weights,
};

/// The times of one network and length.
#[derive(Serialize)]
pub(super) struct SoundRun {
    pub(super) network: &'static str,
    /// Seconds of sound in a run.
    pub(super) seconds: usize,
    /// Threads of the CPU; zero on a GPU.
    pub(super) threads: usize,
    /// From the weights file to the first output on a device that is open.
    pub(super) first_ms: f64,
    pub(super) median_ms: f64,
    pub(super) p95_ms: f64,
    /// Seconds of sound that are embedded in a second.
    pub(super) audio_seconds_per_second: f64,
}

/// A network with its input and the time that it took to the first output.
pub(super) struct StartedSound {
    pub(super) network: Wav2Vec2,
    samples: Vec<f32>,
    pub(super) first_ms: f64,
}

impl StartedSound {
    /// Loads and runs a network; gives its first output too.
    pub(super) fn new(
        file: &Path,
        opened: &OpenedDevice,
        samples: Vec<f32>,
    ) -> Result<(Self, Vec<f32>)> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(file).with_context(|| format!("`{}`", file.display()))?;
        let started = Instant::now();
        let weights = Weights::from_safetensors(&bytes).and_then(|weights| {
            weights.expect_architecture(&name)?;
            Ok(weights)
        });
        drop(bytes);
        let weights = weights.map_err(|error| broken(&name, file, error))?;
        let mut network = Wav2Vec2::load(weights, opened)?;
        let output = pollster::block_on(network.embed(&samples))?;
        let first_ms = started.elapsed().as_secs_f64() * 1e3;
        let started = Self {
            network,
            samples,
            first_ms,
        };
        Ok((started, output))
    }

    /// Milliseconds of one run, samples in and vectors out.
    pub(super) fn run(&mut self) -> Result<f64> {
        let started = Instant::now();
        pollster::block_on(self.network.embed(&self.samples))?;
        Ok(started.elapsed().as_secs_f64() * 1e3)
    }
}

/// Times a network on a pattern of so many seconds.
pub(super) fn time_sound(
    file: &Path,
    seconds: usize,
    opened: &OpenedDevice,
    rounds: u32,
) -> Result<SoundRun> {
    let (mut started, _) = StartedSound::new(file, opened, pattern(seconds))?;
    let times = (0..rounds).map(|_| started.run());
    let mut times = times.collect::<Result<Vec<_>>>()?;
    times.sort_by(f64::total_cmp);
    let median_ms = quantile(&times, 0.5);
    Ok(SoundRun {
        network: started.network.config().name,
        seconds,
        threads: started.network.threads(),
        first_ms: started.first_ms,
        median_ms,
        p95_ms: quantile(&times, 0.95),
        audio_seconds_per_second: seconds as f64 / median_ms * 1e3,
    })
}

/// Numbers from -1.7 to 1.7 that the time does not depend on; their variance is about one.
fn pattern(seconds: usize) -> Vec<f32> {
    (0..seconds * SAMPLE_RATE as usize)
        .map(|index| 1.7 * ((index * 7919 % 509) as f32 / 254.0 - 1.0))
        .collect()
}
