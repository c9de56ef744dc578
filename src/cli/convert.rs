//! `affectlens convert`: from a published weights file to a canonical one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::backbone;
use crate::weights::{
    Precision, PublishedWeights, TASK_MEMBERS, Weights, WeightsError, file_sha256,
};

/// Options of `affectlens convert`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Published file: .onnx, .safetensors, .pth, .pt, .bin, .tflite, .task or a tfjs .json.
    input: PathBuf,
    /// Canonical file; one that is already there stays as it is unless the conversion succeeds.
    #[arg(value_name = "OUT.safetensors", value_parser = safetensors_file)]
    output: PathBuf,
    /// Network that the weights belong to.
    #[arg(long, value_name = "NAME")]
    backbone: String,
    /// How numbers are stored.
    #[arg(long, value_enum, default_value_t)]
    precision: Storage,
    /// Licence to note in the file.
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Storage {
    /// 16 bits for each tensor that loses nothing by it, 32 for the others.
    #[default]
    Lossless,
    /// 16 bits.
    Half,
    /// 32 bits.
    Single,
}

/// Runs `affectlens convert`.
pub(super) fn run(args: Args) -> Result<()> {
    let mut weights = canonical(&args.input, &args.backbone)?;
    let file = args
        .input
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    weights.metadata.source = file.unwrap_or_default();
    weights.metadata.source_sha256 = file_sha256(&args.input)?;
    if let Some(licence) = args.licence {
        weights.metadata.licence = licence;
    }
    let precision = match args.precision {
        Storage::Lossless => Precision::Lossless,
        Storage::Half => Precision::Half,
        Storage::Single => Precision::Single,
    };
    weights.write(&args.output, precision)?;
    let count: usize = weights.iter().map(|(_, tensor)| tensor.values.len()).sum();
    println!(
        "{}: {} weights, {count} values",
        args.output.display(),
        weights.len()
    );
    Ok(())
}

fn canonical(input: &Path, name: &str) -> Result<Weights> {
    // The name is checked first: reading a large file only to refuse its name would waste a minute.
    let member = TASK_MEMBERS.iter().find(|member| member.name == name);
    if member.is_none() && !backbone::NAMES.contains(&name) {
        let known = TASK_MEMBERS.iter().map(|member| member.name);
        let known: Vec<_> = backbone::NAMES.into_iter().chain(known).collect();
        bail!("no network `{name}` (there are `{}`)", known.join("`, `"));
    }
    let is_task = input
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("task"));
    let published = match member {
        Some(member) if is_task => PublishedWeights::read_member(input, member.file),
        _ => PublishedWeights::read(input),
    };
    let published = published.map_err(|error| match error {
        // Says the path itself.
        WeightsError::Io { .. } => error.into(),
        error => anyhow::Error::new(error).context(format!("`{}`", input.display())),
    })?;
    let weights = match member {
        Some(member) => (member.convert)(&published),
        None => backbone::canonical_weights(name, &published),
    };
    weights.with_context(|| format!("`{}` as {name}", input.display()))
}

fn safetensors_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension == "safetensors" => Ok(path),
        _ => Err("the file must end in .safetensors".to_owned()),
    }
}
