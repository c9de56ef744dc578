//! `affectlens convert`: from a published weights file to a canonical one, and from a violence checkpoint to two.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::outputs::{expect_other_file, expect_outputs};
use crate::two_streams::{FLOW_BACKBONE, stamp_flow, stream_of};
use affectlens::audio::SPEECH_NAMES;
use affectlens::backbone;
use affectlens::calibration::ViolenceSettings;
use affectlens::clip::CLIP_NAMES;
use affectlens::head::{SecondStream, kind_of_checkpoint, temporal_from_checkpoint};
use affectlens::weights::{
    EMBEDDING, Metadata, Precision, PublishedWeights, TASK_MEMBERS, TaskMember, Weights,
    file_sha256,
};

/// Options of `affectlens convert`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Published weights file: ONNX, safetensors, torch (.pth, .pt, .ckpt, .bin), tflite, .task or a tfjs .json.
    input: PathBuf,
    /// File to write; an existing one is replaced only if the conversion succeeds.
    #[arg(value_name = "OUT.safetensors", value_parser = safetensors_file)]
    output: PathBuf,
    /// Network that the weights are for.
    #[arg(long, value_name = "NAME")]
    backbone: String,
    /// File to write for the temporal head of a violence checkpoint; of one with two backbones, beside that for frames.
    #[arg(long, value_name = "HEAD.safetensors", value_parser = safetensors_file)]
    head: Option<PathBuf>,
    /// Precision of the stored numbers.
    #[arg(long, value_enum, default_value_t)]
    precision: Storage,
    /// Licence to record in the file.
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Storage {
    /// 16 bits for each tensor that loses nothing by it, 32 bits for the others.
    #[default]
    Lossless,
    /// 16 bits.
    Half,
    /// 32 bits.
    Single,
}

/// Runs `affectlens convert`.
pub(super) fn run(args: Args) -> Result<()> {
    // The name is checked first: reading a large file only to refuse its name would waste a minute.
    let member = member(&args.backbone)?;
    let output = Some(&args.output);
    expect_outputs([("OUT", output), ("--head", args.head.as_ref())])?;
    expect_other_file(("OUT", &args.output), &args.input)?;
    if let Some(head) = &args.head {
        expect_other_file(("--head", head), &args.input)?;
    }
    let published = read(&args.backbone, &args.input, member)?;
    let kind = kind_of_checkpoint(&published);
    if args.head.is_some()
        && kind.and_then(stream_of) == Some(SecondStream::Flow)
        && args.backbone == FLOW_BACKBONE
    {
        bail!(
            "--head: `{FLOW_BACKBONE}` is the backbone for optical flow here, expected --head beside that for frames, which the \
             head reads first"
        );
    }
    let place = args.input.display();
    let head = match &args.head {
        None => None,
        Some(path) => {
            let head = temporal_from_checkpoint(&published);
            Some((path, head.with_context(|| format!("`{place}`"))?))
        }
    };
    let weights = match member {
        Some(member) => (member.convert)(&published),
        None => backbone::canonical_weights(&args.backbone, &published),
    };
    let mut weights = weights.with_context(|| format!("`{place}` as {}", args.backbone))?;
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
    write(&args.output, &weights, precision)?;
    match head {
        Some((path, mut head)) => {
            let Metadata {
                architecture,
                licence,
                source,
                source_sha256,
                ..
            } = weights.metadata;
            let mut extra = BTreeMap::from([(EMBEDDING.to_owned(), architecture)]);
            ViolenceSettings::default().write(&mut extra);
            head.metadata = Metadata {
                licence,
                source,
                source_sha256,
                extra,
                ..head.metadata
            };
            if let Some(kind) = kind {
                stamp_flow(kind, FLOW_BACKBONE, &mut head);
            }
            write(path, &head, precision)?;
        }
        None => {
            if let Some(kind) = kind {
                let kind = kind.name();
                complain!("`{place}` has a temporal head too ({kind}); --head FILE writes it");
            }
        }
    }
    Ok(())
}

/// The member of MediaPipe's archive that goes by this name; `None` for a backbone.
fn member(name: &str) -> Result<Option<&'static TaskMember>> {
    let member = TASK_MEMBERS.iter().find(|member| member.name == name);
    let backbones = backbone::NAMES.into_iter().chain(SPEECH_NAMES);
    let backbones = backbones.chain(CLIP_NAMES);
    if member.is_none() && !backbones.clone().any(|known| known == name) {
        let known = TASK_MEMBERS.iter().map(|member| member.name);
        let known: Vec<_> = backbones.chain(known).collect();
        bail!("no network `{name}` (there are `{}`)", known.join("`, `"));
    }
    Ok(member)
}

fn read(backbone: &str, input: &Path, member: Option<&TaskMember>) -> Result<PublishedWeights> {
    let is_task = input
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("task"));
    Ok(match member {
        Some(member) if is_task => PublishedWeights::read_member(input, member.file)?,
        _ => PublishedWeights::read_for(backbone, input)?,
    })
}

fn write(path: &Path, weights: &Weights, precision: Precision) -> Result<()> {
    weights.write(path, precision)?;
    let count: usize = weights.iter().map(|(_, tensor)| tensor.values.len()).sum();
    say!(
        "{}: {} weights, {count} values",
        path.display(),
        weights.len()
    );
    Ok(())
}

fn safetensors_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension == "safetensors" => Ok(path),
        _ => Err("the file must end in .safetensors".to_owned()),
    }
}
