//! Times of one network.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::installed::{broken, built_in_file};
use affectlens::{
    device::OpenedDevice,
    kernel::Counters,
    network::{Network, NetworkFacts},
    weights::Weights,
};

/// The times of one network and batch.
#[derive(Serialize)]
pub(super) struct Run {
    pub(super) network: &'static str,
    pub(super) batch: usize,
    /// Threads of the CPU; zero on a GPU.
    pub(super) threads: usize,
    /// From the weights file to the first output on a device that is open.
    pub(super) first_ms: f64,
    pub(super) median_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) images_per_second: f64,
    #[serde(flatten)]
    pub(super) stats: Counters,
}

/// A network with its input and the time that it took to the first output.
pub(super) struct Started {
    pub(super) network: Network,
    pub(super) adapter: String,
    input: Vec<f32>,
    batch: usize,
    pub(super) first_ms: f64,
}

impl Started {
    /// Loads and runs a network. `pictures` gives the input of a network once it is known; it is not timed.
    pub(super) fn new(
        file: &Path,
        batch: usize,
        open: impl FnOnce() -> Result<OpenedDevice>,
        pictures: impl FnOnce(&NetworkFacts, usize) -> Result<Vec<f32>>,
    ) -> Result<(Self, Vec<f32>)> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let bytes = match built_in_file(&name) {
            Some(bytes) if !file.exists() => bytes.to_vec(),
            _ => fs::read(file).with_context(|| format!("`{}`", file.display()))?,
        };
        let started = Instant::now();
        let weights = Weights::from_safetensors(&bytes).and_then(|weights| {
            weights.expect_architecture(&name)?;
            Ok(weights)
        });
        let weights = weights.map_err(|error| broken(&name, file, error))?;
        let opened = open()?;
        let adapter = opened.adapter.clone();
        let mut network = Network::load(weights, opened)?;
        let loaded = started.elapsed();
        let input = pictures(network.facts(), batch)?;
        let started = Instant::now();
        let output = pollster::block_on(network.run(&input, batch))?;
        let first_ms = (loaded + started.elapsed()).as_secs_f64() * 1e3;
        let started = Self {
            network,
            adapter,
            input,
            batch,
            first_ms,
        };
        Ok((started, output))
    }

    /// Milliseconds of one run, input in and output out.
    pub(super) fn run(&mut self) -> Result<f64> {
        let started = Instant::now();
        pollster::block_on(self.network.run(&self.input, self.batch))?;
        Ok(started.elapsed().as_secs_f64() * 1e3)
    }
}

/// Times a network on a pattern, after some runs that are not counted.
pub(super) fn time(file: &Path, batch: usize, opened: &OpenedDevice, rounds: u32) -> Result<Run> {
    let open = || Ok(opened.clone());
    let (mut started, _) = Started::new(file, batch, open, |facts, batch| {
        Ok(pattern(batch * facts.input_len()))
    })?;
    for _ in 0..2 + rounds / 10 {
        started.run()?;
    }
    let times = (0..rounds).map(|_| started.run());
    let mut times = times.collect::<Result<Vec<_>>>()?;
    times.sort_by(f64::total_cmp);
    let median_ms = quantile(&times, 0.5);
    Ok(Run {
        network: started.network.facts().name,
        batch,
        threads: started.network.threads(),
        first_ms: started.first_ms,
        median_ms,
        p95_ms: quantile(&times, 0.95),
        images_per_second: batch as f64 / median_ms * 1e3,
        stats: started.network.counters(),
    })
}

/// Numbers from -1 to 1 that a network's time does not depend on.
fn pattern(count: usize) -> Vec<f32> {
    (0..count)
        .map(|index| (index % 509) as f32 / 254.0 - 1.0)
        .collect()
}

/// The value that a share of the sorted values does not exceed; at least one value.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a slice"
    )]
    let place = (share * last as f64).round() as usize;
    sorted[place.min(last)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_list() {
        let values = [1.0, 2.0, 3.0, 4.0, 100.0];
        assert_eq!(quantile(&values, 0.5).to_bits(), 3.0_f64.to_bits());
        assert_eq!(quantile(&values, 0.95).to_bits(), 100.0_f64.to_bits());
        assert_eq!(quantile(&[7.0], 0.95).to_bits(), 7.0_f64.to_bits());
    }
}
