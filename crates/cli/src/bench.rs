//! `affectlens bench`: how fast the networks are on this machine.

mod memory;
mod serve;
mod sound;
mod timing;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::{
    DeviceOption,
    installed::{built_in_file, default_folder},
    terminal,
};
use affectlens::{
    audio::SPEECH_NAMES,
    backbone,
    clip::CLIP_NAMES,
    detect::DetectorRange,
    device::{DeviceKind, KernelForm, OpenedDevice},
    landmarks,
    pose::{self, PoseVersion},
};
use memory::{PEAK, memory};
use sound::{SoundRun, time_sound};
use timing::{Run, time};

/// Options of `affectlens bench`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Device that runs the networks.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Network to measure, by its architecture name, or `all` that are built in or have a weights file.
    #[arg(long, value_name = "NAME", default_value = "all")]
    network: String,
    /// Folder with weights files [default: the cache that `affectlens weights fetch` fills].
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// Pictures, or clips, per run; several numbers separated by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    batch: Vec<u16>,
    /// Seconds of sound per run, for networks that embed sound.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// Kernel of pointwise convolutions on the GPU [default: the faster one in a short trial at start-up].
    #[arg(long, value_enum)]
    tiles: Option<Tiles>,
    /// Precision of numbers in GPU memory [default: f16 on hardware GPUs that support it].
    #[arg(long, value_enum)]
    precision: Option<GpuPrecision>,
    /// CPU threads [default: one per core, at most four].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Timed runs.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Answers a line of JSON to each line `run N`, `output` or `quit` on standard input; for one network and batch.
    #[arg(long, hide = true, requires = "input")]
    serve: bool,
    /// Raw little-endian floats that the network takes.
    #[arg(long, hide = true, value_name = "FILE")]
    input: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tiles {
    /// Each invocation reads for itself.
    Registers,
    /// Tiles shared in workgroup memory.
    Workgroup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GpuPrecision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats, sums in 32 bits.
    F16,
}

impl Args {
    fn open(&self) -> Result<OpenedDevice> {
        let tiles = self.tiles.map(|tiles| tiles == Tiles::Workgroup);
        let half = self
            .precision
            .map(|precision| precision == GpuPrecision::F16);
        let opened = self.device.open_with(tiles, half)?;
        if opened.kernels.half != half.unwrap_or(opened.kernels.half) {
            bail!(
                "--precision f16: {} does not compute with f16",
                opened.adapter
            );
        }
        Ok(OpenedDevice {
            threads: self.threads.map(usize::from),
            ..opened
        })
    }
}

#[derive(Serialize)]
struct Machine {
    device: DeviceKind,
    adapter: String,
    /// How kernels are written for the GPU; means nothing on the CPU.
    kernels: KernelForm,
    runs: Vec<Run>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sound: Vec<SoundRun>,
    peak_memory_bytes: Option<u64>,
}

/// Runs `affectlens bench`.
pub(super) fn run(args: &Args) -> Result<()> {
    let folder = args.weights.clone().unwrap_or_else(default_folder);
    let files = weights_files(&folder, &args.network)?;
    if args.serve {
        let ([(name, file)], [batch], Some(input)) =
            (files.as_slice(), args.batch.as_slice(), &args.input)
        else {
            bail!("--serve is for one --network and one --batch");
        };
        if SPEECH_NAMES.contains(name) {
            return serve::answer_sound(file, input, args);
        }
        return serve::answer(file, input, usize::from(*batch), args);
    }
    let opened = args.open()?;
    let (mut runs, mut sound) = (Vec::new(), Vec::new());
    for (name, file) in &files {
        if SPEECH_NAMES.contains(name) {
            sound.push(time_sound(file, args.seconds.into(), &opened, args.rounds)?);
            continue;
        }
        for &batch in &args.batch {
            let run = time(file, usize::from(batch), &opened, args.rounds)?;
            if !args.json {
                print_row(&run, runs.is_empty());
            }
            runs.push(run);
        }
    }
    let machine = Machine {
        device: opened.kind,
        adapter: opened.adapter,
        kernels: opened.kernels,
        runs,
        sound,
        peak_memory_bytes: memory(PEAK),
    };
    if args.json {
        terminal::print((serde_json::to_string_pretty(&machine)? + "\n").as_bytes());
    } else {
        print_sound(&machine.sound);
        print_machine(&machine);
    }
    Ok(())
}

fn print_machine(machine: &Machine) {
    let memory = machine.peak_memory_bytes.map_or_else(String::new, |bytes| {
        format!(", peak memory {:.0} MB", bytes as f64 / 1e6)
    });
    say!(
        "on {}{}{memory}",
        machine.adapter,
        describe(machine.device, machine.kernels)
    );
}

/// What `--tiles` and `--precision` came to.
fn describe(device: DeviceKind, kernels: KernelForm) -> String {
    if device == DeviceKind::Cpu {
        return String::new();
    }
    let tiles = if kernels.workgroup_tiles {
        "workgroup"
    } else {
        "register"
    };
    let precision = if kernels.half { "f16" } else { "f32" };
    format!(", {tiles} tiles, {precision}")
}

/// `(name, file)` of the wanted networks that have one in the folder or are built in.
fn weights_files(folder: &Path, wanted: &str) -> Result<Vec<(&'static str, PathBuf)>> {
    let names: Vec<_> = backbone::NAMES
        .into_iter()
        .chain(SPEECH_NAMES)
        .chain(CLIP_NAMES)
        .chain([
            DetectorRange::Short.architecture(),
            DetectorRange::Full.architecture(),
            landmarks::MESH_ARCHITECTURE,
            pose::DETECTOR_ARCHITECTURE,
        ])
        .chain(PoseVersion::ALL.map(|version| version.name))
        .collect();
    if wanted != "all" && !names.contains(&wanted) {
        bail!(
            "--network is `{wanted}`, expected `all`, `{}`",
            names.join("`, `")
        );
    }
    let files: Vec<_> = names
        .into_iter()
        .filter(|name| wanted == "all" || *name == wanted)
        .map(|name| (name, folder.join(format!("{name}.safetensors"))))
        .filter(|(name, file)| file.exists() || built_in_file(name).is_some())
        .collect();
    if files.is_empty() {
        bail!(
            "`{}` has no weights of {wanted}; run `affectlens weights fetch`",
            folder.display()
        );
    }
    Ok(files)
}

fn print_row(run: &Run, is_first: bool) {
    if is_first {
        say!(
            "{:<24}{:>6}{:>9}{:>12}{:>12}{:>12}{:>12}{:>12}",
            "network",
            "batch",
            "threads",
            "first ms",
            "median ms",
            "p95 ms",
            "images/s",
            "dispatches"
        );
    }
    let dispatches = match run.stats.dispatches {
        0 => "-".to_owned(),
        count => count.to_string(),
    };
    say!(
        "{:<24}{:>6}{:>9}{:>12.1}{:>12.2}{:>12.2}{:>12.1}{:>12}",
        run.network,
        run.batch,
        run.threads,
        run.first_ms,
        run.median_ms,
        run.p95_ms,
        run.images_per_second,
        dispatches
    );
}

fn print_sound(runs: &[SoundRun]) {
    if !runs.is_empty() {
        say!(
            "{:<24}{:>8}{:>9}{:>12}{:>12}{:>12}{:>16}",
            "network",
            "seconds",
            "threads",
            "first ms",
            "median ms",
            "p95 ms",
            "seconds/second"
        );
    }
    for run in runs {
        say!(
            "{:<24}{:>8}{:>9}{:>12.1}{:>12.2}{:>12.2}{:>16.1}",
            run.network,
            run.seconds,
            run.threads,
            run.first_ms,
            run.median_ms,
            run.p95_ms,
            run.audio_seconds_per_second
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_network_is_refused() {
        let error =
            weights_files(Path::new("/nowhere"), "resnet").expect_err("there is no such network");
        assert!(
            error.to_string().starts_with("--network is `resnet`"),
            "{error}"
        );
    }
}
