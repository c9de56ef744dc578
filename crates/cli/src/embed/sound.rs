//! Embeddings of sound: a vector each 20 ms.

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Result, bail};
use serde::Serialize;

use super::Args;
use crate::{installed::unusable, terminal::OutputError};
use affectlens::{
    audio::{SAMPLE_RATE, Wav2Vec2, vectors_of},
    backbone::canonical_weights,
    weights::{PublishedWeights, Weights, WeightsError},
};
use affectlens_data::{BLOCK_SECONDS, Sound, normalise};

/// Samples that are normalised and embedded together.
const BLOCK: usize = BLOCK_SECONDS * SAMPLE_RATE as usize;
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
            if OutputError::of(&error).is_some() {
                return Err(error);
            }
            complain!("affectlens: {error:#}");
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
    let mut sound = Sound::open(path)?;
    let width = network.config().width;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut start_ms, mut lines) = (0, 0);
    loop {
        let mut block = sound.read(BLOCK);
        let is_last = block.len() < BLOCK;
        // What is left can be too short for a vector.
        if vectors_of(block.len()) > 0 {
            normalise(&mut block);
            let vectors = pollster::block_on(network.embed(&block))?;
            for (place, embedding) in vectors.chunks_exact(width).enumerate() {
                let line = Line {
                    file: &file,
                    time_ms: start_ms + place * STEP_MS,
                    embedding,
                };
                let mut text = serde_json::to_vec(&line)?;
                text.push(b'\n');
                out.write_all(&text).map_err(OutputError::of_stdout)?;
                lines += 1;
            }
            out.flush().map_err(OutputError::of_stdout)?;
        }
        start_ms += BLOCK / (SAMPLE_RATE as usize / 1000);
        if is_last {
            break;
        }
    }
    let given = sound.given();
    if let Some(complaint) = sound.close() {
        bail!("sound of `{file}`: {complaint} ({given} samples at 16 kHz were read)");
    }
    if lines == 0 {
        bail!("`{file}` has {given} samples of sound at 16 kHz, expected at least 400");
    }
    Ok(())
}

/// Canonical weights as they are, published ones converted.
fn read_weights(backbone: &str, path: &Path) -> Result<Weights, WeightsError> {
    match PublishedWeights::read(path)? {
        PublishedWeights::Named(named) if !named.metadata.architecture.is_empty() => {
            named.expect_architecture(backbone)?;
            Ok(named)
        }
        published => canonical_weights(backbone, &published),
    }
}
