//! `affectlens embed`: whole pictures to embeddings, a JSON line each; of sound, a line for each vector, and of clips one for
//! each moment.

mod clip;
mod sound;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use burn::tensor::Tensor;
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::{DeviceOption, installed::unusable, options::frames, terminal::OutputError};
use affectlens::{
    audio::SPEECH_NAMES,
    backbone::{Backbone, NAMES, canonical_weights},
    clip::CLIP_NAMES,
    crop,
    frame::Frame,
    weights::{PublishedWeights, Weights, WeightsError},
};
use affectlens_data::{Content, Input, picture::read_picture};

/// Options of `affectlens embed`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Pictures; each whole picture is the network's input. For a network for sound, WAV files, mono at 16 kHz; for one over
    /// clips, videos and folders of frames.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Backbone: the network that computes the embedding.
    #[arg(long, value_name = "NAME", value_parser = names())]
    backbone: String,
    /// Weights file of the backbone, converted or as published (.safetensors, .onnx, .pth, .bin, tfjs .json).
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Distance between the starts of windows, for networks over clips [default: half a window].
    #[arg(long, value_name = "N", value_parser = frames)]
    stride: Option<usize>,
    /// Distance between the frames of a window, for networks over clips [default: 1].
    #[arg(long, value_name = "N", value_parser = frames)]
    frame_step: Option<usize>,
    /// Device that runs the network.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    embedding: Vec<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logits: Option<Vec<f32>>,
}

/// Runs `affectlens embed`.
pub(super) fn run(args: Args) -> Result<()> {
    if CLIP_NAMES.contains(&args.backbone.as_str()) {
        return clip::run(&args);
    }
    if args.stride.is_some() || args.frame_step.is_some() {
        let name = &args.backbone;
        bail!("--stride and --frame-step are for networks over clips, which {name} is not");
    }
    if SPEECH_NAMES.contains(&args.backbone.as_str()) {
        return sound::run(&args);
    }
    let weights = read_weights(&args.backbone, &args.weights);
    let weights = weights.map_err(|error| unusable(&args.weights, error))?;
    let opened = args.device.open()?;
    let network = Backbone::load(&weights, &opened)?;
    drop(weights);
    let mut out = io::stdout().lock();
    let mut failed = 0;
    for path in &args.files {
        let picture = match read_input(path) {
            Ok(picture) => crop::resize(&picture, network.facts().input_side),
            Err(error) => {
                complain!("affectlens: {error:#}");
                failed += 1;
                continue;
            }
        };
        let face = crop::batch(&[picture], &network.facts().normalisation, &opened.device)?;
        let embedded = network.forward(face);
        let line = Line {
            file: &path.to_string_lossy(),
            embedding: read_back(embedded.embedding)?,
            logits: embedded.logits.map(read_back).transpose()?,
        };
        // A lost device gives numbers too.
        opened.check()?;
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        let written = out.write_all(&text).and_then(|()| out.flush());
        written.map_err(OutputError::of_stdout)?;
    }
    if failed > 0 {
        bail!("{failed} of {} pictures failed", args.files.len());
    }
    Ok(())
}

/// Every backbone, for pictures, for sound and for clips.
fn names() -> PossibleValuesParser {
    let names = NAMES.into_iter().chain(SPEECH_NAMES).chain(CLIP_NAMES);
    names.into()
}

/// A picture by its name, or what comes through a pipe.
fn read_input(path: &Path) -> Result<Frame> {
    let input = Input::open(path, false)?;
    match &input.content {
        Content::Picture(file) | Content::Video(file) => Ok(read_picture(file)?),
        Content::Folders(_) => bail!("`{}` is a folder, expected a picture", path.display()),
    }
}

/// Canonical weights as they are, published ones converted.
fn read_weights(backbone: &str, path: &Path) -> Result<Weights, WeightsError> {
    let published = PublishedWeights::read_for(backbone, path)?;
    if let PublishedWeights::Named(named) = &published
        && !named.metadata.architecture.is_empty()
    {
        named.expect_architecture(backbone)?;
        return Ok(named.clone());
    }
    canonical_weights(backbone, &published)
}

fn read_back(tensor: Tensor<2>) -> Result<Vec<f32>> {
    let data = pollster::block_on(tensor.into_data_async())?;
    Ok(data.convert::<f32>().try_into_vec()?)
}
