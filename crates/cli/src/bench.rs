//! `affectlens bench`: how fast the networks are on this machine.

mod serve;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::DeviceOption;
use affectlens::{
    backbone, detect,
    device::{DeviceKind, KernelForm, OpenedDevice},
    kernel::Counters,
    landmarks,
    network::{Network, NetworkFacts},
    weights::Weights,
};

/// Options of `affectlens bench`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Where the networks run.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// One network by its architecture name, or `all` that have a weights file.
    #[arg(long, value_name = "NAME", default_value = "all")]
    network: String,
    /// Folder with weights files; the default is the cache that `affectlens weights fetch` fills.
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// Pictures in one run, several numbers divided by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    batch: Vec<u16>,
    /// Tiling of the GPU's pointwise convolutions, instead of the one that is faster in a trial at start-up.
    #[arg(long, value_enum)]
    tiles: Option<Tiles>,
    /// Numbers in the GPU's memory, instead of f16 where a hardware GPU has it.
    #[arg(long, value_enum)]
    precision: Option<GpuPrecision>,
    /// CPU threads; the default is one a core, at most four.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Timed runs.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// One JSON object instead of a table.
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
    /// Each invocation by itself.
    Registers,
    /// Shared in workgroup memory.
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
    peak_memory_bytes: Option<u64>,
}

#[derive(Serialize)]
struct Run {
    network: &'static str,
    batch: usize,
    /// Of the CPU; zero on a GPU.
    threads: usize,
    /// From the weights file to the first output on a device that is open.
    first_ms: f64,
    median_ms: f64,
    p95_ms: f64,
    images_per_second: f64,
    #[serde(flatten)]
    stats: Counters,
}

/// Runs `affectlens bench`.
pub(super) fn run(args: &Args) -> Result<()> {
    let folder = args
        .weights
        .clone()
        .unwrap_or_else(|| affectlens::weights::cache_dir().join("weights"));
    let files = weights_files(&folder, &args.network)?;
    if args.serve {
        let ([(_, file)], [batch], Some(input)) =
            (files.as_slice(), args.batch.as_slice(), &args.input)
        else {
            bail!("--serve is for one --network and one --batch");
        };
        return serve::answer(file, input, usize::from(*batch), args);
    }
    let opened = args.open()?;
    let mut runs = Vec::new();
    for (_, file) in &files {
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
        peak_memory_bytes: memory(PEAK),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&machine)?);
    } else {
        println!(
            "on {}{}{}",
            machine.adapter,
            describe(machine.device, machine.kernels),
            machine.peak_memory_bytes.map_or_else(String::new, |bytes| {
                format!(", peak memory {:.0} MB", bytes as f64 / 1e6)
            })
        );
    }
    Ok(())
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

/// `(name, file)` of the wanted networks that have one.
fn weights_files(folder: &Path, wanted: &str) -> Result<Vec<(&'static str, PathBuf)>> {
    let names: Vec<_> = backbone::NAMES
        .into_iter()
        .chain([detect::ARCHITECTURE, landmarks::MESH_ARCHITECTURE])
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
        .filter(|(_, file)| file.exists())
        .collect();
    if files.is_empty() {
        bail!(
            "`{}` has no weights of {wanted}; run `affectlens weights fetch`",
            folder.display()
        );
    }
    Ok(files)
}

/// A network with its input and the time that it took to the first output.
struct Started {
    network: Network,
    adapter: String,
    input: Vec<f32>,
    batch: usize,
    first_ms: f64,
}

impl Started {
    /// `pictures` gives the input of a network once it is known; it is not timed.
    fn new(
        file: &Path,
        batch: usize,
        open: impl FnOnce() -> Result<OpenedDevice>,
        pictures: impl FnOnce(&NetworkFacts, usize) -> Result<Vec<f32>>,
    ) -> Result<(Self, Vec<f32>)> {
        let bytes = fs::read(file).with_context(|| file.display().to_string())?;
        let started = Instant::now();
        let weights = Weights::from_safetensors(&bytes)?;
        let opened = open()?;
        let adapter = opened.adapter.clone();
        let mut network = Network::load(&weights, opened)?;
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
    fn run(&mut self) -> Result<f64> {
        let started = Instant::now();
        pollster::block_on(self.network.run(&self.input, self.batch))?;
        Ok(started.elapsed().as_secs_f64() * 1e3)
    }
}

fn time(file: &Path, batch: usize, opened: &OpenedDevice, rounds: u32) -> Result<Run> {
    let open = || Ok(opened.clone());
    let (mut started, _) = Started::new(file, batch, open, |facts, batch| {
        Ok(pattern(batch * 3 * (facts.side * facts.side) as usize))
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

fn print_row(run: &Run, is_first: bool) {
    if is_first {
        println!(
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
    println!(
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

/// Numbers from -1 to 1 that a network's time does not depend on.
fn pattern(count: usize) -> Vec<f32> {
    (0..count)
        .map(|index| (index % 509) as f32 / 254.0 - 1.0)
        .collect()
}

/// The value that a share of the sorted values does not exceed; at least one value.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a slice"
    )]
    let place = (share * last as f64).round() as usize;
    sorted[place.min(last)]
}

/// Most memory that the process ever held.
const PEAK: &str = "VmHWM:";

/// Bytes on a line of this process's status; `None` where the system does not say.
fn memory(line: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|it| it.strip_prefix(line))?;
    let kilobytes: u64 = kilobytes.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
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
