//! Embeddings of sound: a vector each 20 ms.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use serde::Serialize;

use super::Args;
use crate::installed::unusable;
use affectlens::{
    audio::{SAMPLE_RATE, Wav2Vec2, vectors_of},
    backbone::canonical_weights,
    weights::{PublishedWeights, Weights, WeightsError},
};
use affectlens_data::{normalise_block, read_wav};

/// Samples that are normalised and embedded together: six minutes.
const BLOCK: usize = 360 * SAMPLE_RATE as usize;
/// From one vector to the next.
const STEP_MS: usize = 20;

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    /// Where the vector's window begins.
    time_ms: usize,
    embedding: &'a [f32],
}

/// Prints a line for each vector of each file.
pub(super) fn run(args: &Args) -> Result<()> {
    let weights = read_weights(&args.backbone, &args.weights);
    let weights = weights.map_err(|error| unusable(&args.weights, error))?;
    let mut network = Wav2Vec2::load(weights, &args.device.open()?)?;
    let mut failed = 0;
    for path in &args.files {
        if let Err(error) = embed(path, &mut network) {
            // Who reads the lines may have seen enough.
            if error.is::<io::Error>() {
                return Err(error);
            }
            eprintln!("affectlens: {error:#}");
            failed += 1;
        }
    }
    if failed > 0 {
        bail!("{failed} of {} files failed", args.files.len());
    }
    Ok(())
}

fn embed(path: &Path, network: &mut Wav2Vec2) -> Result<()> {
    let file = path.to_string_lossy();
    let mut samples = read_wav(path)?;
    if vectors_of(samples.len()) == 0 {
        bail!(
            "`{file}` has {} samples, expected at least 400",
            samples.len()
        );
    }
    let width = network.config().width;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (index, block) in samples.chunks_mut(BLOCK).enumerate() {
        // What is left can be too short for a vector.
        if vectors_of(block.len()) == 0 {
            continue;
        }
        normalise_block(block);
        let start_ms = index * BLOCK / (SAMPLE_RATE as usize / 1000);
        for (place, embedding) in network.embed(block)?.chunks_exact(width).enumerate() {
            let line = Line {
                file: &file,
                time_ms: start_ms + place * STEP_MS,
                embedding,
            };
            serde_json::to_writer(&mut out, &line).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        out.flush()?;
    }
    Ok(())
}

/// Canonical weights as they are, published ones converted.
fn read_weights(backbone: &str, path: &PathBuf) -> Result<Weights, WeightsError> {
    match PublishedWeights::read(path)? {
        PublishedWeights::Named(named) if !named.metadata.architecture.is_empty() => {
            named.expect_architecture(backbone)?;
            Ok(named)
        }
        published => canonical_weights(backbone, &published),
    }
}
