//! Networks natively: processes that stay loaded take turns.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    Effort, Input, TOLERANCE, TOLERANCE_ON_GPU, Timed, Written, engine::Engine, folder, models,
};
use crate::{setup, shell::command};

/// One visit lasts about this long, so that a short network is not timed alone with a cold cache.
const VISIT_MS: f64 = 150.0;
/// An engine's threads may spin for a while after its turn.
const PAUSE: Duration = Duration::from_millis(30);
#[derive(Clone, Copy)]
enum Program {
    Affectlens { device: &'static str },
    OnnxRuntime,
    LiteRt,
    OpenVino,
    PyTorch { compiled: bool },
}

#[derive(Clone, Copy)]
struct Contestant {
    name: &'static str,
    program: Program,
    threads: usize,
}

const fn contestant(name: &'static str, program: Program, threads: usize) -> Contestant {
    Contestant {
        name,
        program,
        threads,
    }
}

const CPU: Program = Program::Affectlens { device: "cpu" };
const VULKAN: Program = Program::Affectlens { device: "vulkan" };
const CONTESTANTS: [Contestant; 11] = [
    contestant("affectlens, CPU, 1 thread", CPU, 1),
    contestant("onnxruntime, CPU, 1 thread", Program::OnnxRuntime, 1),
    contestant("LiteRT, CPU, 1 thread", Program::LiteRt, 1),
    contestant("OpenVINO, CPU, 1 thread", Program::OpenVino, 1),
    contestant("affectlens, CPU, 2 threads", CPU, 2),
    contestant("onnxruntime, CPU, 2 threads", Program::OnnxRuntime, 2),
    contestant("LiteRT, CPU, 2 threads", Program::LiteRt, 2),
    contestant("OpenVINO, CPU, 2 threads", Program::OpenVino, 2),
    contestant("affectlens, Vulkan", VULKAN, 2),
    contestant("PyTorch, eager", Program::PyTorch { compiled: false }, 1),
    contestant("PyTorch, compiled", Program::PyTorch { compiled: true }, 1),
];

impl Contestant {
    /// The file of the network that it reads, if there is one.
    fn file(&self, network: Timed, has_torch: bool) -> Option<String> {
        match self.program {
            Program::Affectlens { .. } => Some(format!("{}.safetensors", network.name)),
            Program::OnnxRuntime => network.onnx(),
            Program::LiteRt => network.tflite(),
            Program::OpenVino => network.onnx().or(network.tflite()),
            // PyTorch is given networks for pictures.
            Program::PyTorch { .. } => network
                .onnx()
                .filter(|_| has_torch && matches!(network.input, Input::Pictures(_))),
        }
    }

    fn is_ours(&self) -> bool {
        matches!(self.program, Program::Affectlens { .. })
    }

    fn command(&self, binary: &Path, network: Timed, file: &str, shaders: &Path) -> Command {
        let Timed {
            name, input, batch, ..
        } = network;
        let batch = batch.to_string();
        let shape: Vec<String> = network.shape().iter().map(ToString::to_string).collect();
        let shape = shape.join(",");
        let threads = self.threads.to_string();
        let mut command = match self.program {
            Program::Affectlens { device } => {
                let mut command = command(&binary.to_string_lossy(), ["bench", "--serve"]);
                command
                    .args(["--network", name, "--device", device, "--weights"])
                    .arg(models());
                if let Input::Sound(seconds) = input {
                    command.args(["--seconds", &seconds.to_string()]);
                }
                command
            }
            Program::OnnxRuntime => python("serve_onnxruntime.py", file, &shape),
            Program::LiteRt => python("serve_litert.py", file, &shape),
            Program::OpenVino => python("serve_openvino.py", file, &shape),
            Program::PyTorch { compiled } => {
                let mut command = python("serve_torch.py", file, &shape);
                command.args(compiled.then_some("--compile"));
                command
            }
        };
        command
            .args(["--batch", &batch, "--threads", &threads, "--input"])
            .arg(models().join(format!("{name}.input")))
            // Empty: the driver would find the shaders of an earlier run. Without any the software driver compiles
            // them again in every run.
            .env("MESA_SHADER_CACHE_DIR", shaders)
            // The Vulkan loader looks for a window system there and complains without it.
            .env("XDG_RUNTIME_DIR", std::env::temp_dir());
        command
    }
}

fn python(script: &str, model: &str, shape: &str) -> Command {
    let script = format!("xtask/bench/python/{script}");
    let mut command = command(&setup::bench_python().to_string_lossy(), [script]);
    command
        .args(["--shape", shape, "--model"])
        .arg(models().join(model));
    command
}

/// Times networks; PyTorch only where it finds a CUDA device.
///
/// # Errors
///
/// If our engine fails, or the outputs differ.
pub fn time(binary: &Path, networks: &[Timed], effort: &Effort) -> Result<Value> {
    let limits = limits();
    let mut found = Vec::new();
    for network in networks {
        found.push(time_network(binary, *network, effort, limits.is_some())?);
    }
    Ok(json!({ "networks": found, "limits": limits }))
}

/// What the GPU reaches at copying and at multiplying matrices; `None` without a CUDA device and PyTorch.
fn limits() -> Option<Value> {
    let python = setup::bench_python();
    let mut command = command(
        &python.to_string_lossy(),
        ["xtask/bench/python/serve_torch.py", "--limits"],
    );
    let output = command.output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

fn time_network(binary: &Path, network: Timed, effort: &Effort, has_torch: bool) -> Result<Value> {
    let Timed { name, batch, .. } = network;
    eprintln!("    {name}, batch {batch}");
    let mut contestants: Vec<_> = CONTESTANTS
        .into_iter()
        .filter_map(|it| Some((it, it.file(network, has_torch)?)))
        .collect();
    let mut firsts = vec![Vec::new(); contestants.len()];
    let mut engines = Vec::new();
    let mut failures = Vec::new();
    let shaders = folder().join("shaders");
    for _ in 0..effort.firsts {
        engines.clear();
        if shaders.exists() {
            fs::remove_dir_all(&shaders)?;
        }
        fs::create_dir_all(&shaders)?;
        let mut place = 0;
        while let Some((contestant, file)) = contestants.get(place) {
            match Engine::start(&mut contestant.command(binary, network, file, &shaders)) {
                Ok(engine) => {
                    firsts[place].push(engine.first_ms);
                    engines.push(engine);
                    place += 1;
                }
                Err(error) if contestant.is_ours() => return Err(error.context(contestant.name)),
                Err(error) => {
                    let failure = format!("{error:#}");
                    eprintln!("      {}: {failure}", contestant.name);
                    failures.push(json!({ "name": contestant.name, "failure": failure }));
                    contestants.remove(place);
                    firsts.remove(place);
                }
            }
            thread::sleep(PAUSE);
        }
    }
    let contestants: Vec<_> = contestants.into_iter().map(|(it, _)| it).collect();
    let reference = match network.written {
        Written::Tflite => "LiteRT, CPU, 1 thread",
        Written::Both | Written::Onnx => "onnxruntime, CPU, 1 thread",
    };
    let differences = agree(&contestants, reference, &mut engines)?;

    // The first turn warms up and says how many runs fill a visit.
    let mut counts = Vec::new();
    let mut round_ms = 0.0;
    for engine in &mut engines {
        let ms = engine.run(2)?[1];
        let count = (VISIT_MS / ms).round().clamp(1.0, 100.0) as usize;
        round_ms += ms * count as f64 + PAUSE.as_secs_f64() * 1e3;
        counts.push(count);
    }
    let affordable = (effort.seconds_per_network as f64 * 1e3 / round_ms) as usize;
    let rounds = affordable.clamp(3, effort.rounds.max(3));
    let mut times = vec![Vec::new(); engines.len()];
    for round in 0..rounds {
        for turn in 0..engines.len() {
            // Every other round runs backwards: nobody always follows the same neighbour.
            let place = if round % 2 == 0 {
                turn
            } else {
                engines.len() - 1 - turn
            };
            thread::sleep(PAUSE);
            times[place].extend(engines[place].run(counts[place])?);
        }
    }
    let mut results = Vec::new();
    for (place, engine) in engines.into_iter().enumerate() {
        let Contestant { name, threads, .. } = contestants[place];
        let adapter = engine.adapter.clone();
        let said = engine.quit()?;
        let memory = |key: &str| said[key].as_u64();
        let grown = memory("peak_memory_bytes")
            .zip(memory("start_memory_bytes"))
            .map(|(peak, start)| peak.saturating_sub(start));
        let (first_ms, median_ms) = (quantile(&firsts[place], 0.5), quantile(&times[place], 0.5));
        eprintln!("      {name}: first {first_ms:.1} ms, median {median_ms:.2} ms");
        results.push(json!({
            "name": name,
            "threads": threads,
            "adapter": adapter,
            "first_ms": first_ms,
            "firsts_ms": firsts[place],
            "median_ms": median_ms,
            "p95_ms": quantile(&times[place], 0.95),
            "times_ms": times[place],
            "dispatches": said["dispatches"],
            "read_backs": said["read_backs"],
            "bytes_read_back": said["bytes_read_back"],
            "memory_bytes": grown,
            "difference": differences[place],
        }));
    }
    results.extend(failures);
    let facts: Value = serde_json::from_str(&fs::read_to_string(models().join("models.json"))?)?;
    Ok(json!({
        "name": name,
        "batch": batch,
        "facts": facts[name],
        "rounds": rounds,
        "results": results,
    }))
}

/// Largest difference of each from the reference, relative to its largest value.
fn agree(contestants: &[Contestant], reference: &str, engines: &mut [Engine]) -> Result<Vec<f64>> {
    let outputs: Vec<_> = engines
        .iter_mut()
        .map(Engine::output)
        .collect::<Result<_>>()?;
    let place = contestants.iter().position(|it| it.name == reference);
    let expected =
        &outputs[place.with_context(|| format!("{reference} gives nothing to compare with"))?];
    let largest = expected
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    let mut differences = Vec::new();
    let adapters = engines.iter().map(|engine| engine.adapter.as_str());
    for ((contestant, output), adapter) in contestants.iter().zip(&outputs).zip(adapters) {
        if output.len() != expected.len() {
            bail!(
                "{} gives {} values, expected {}",
                contestant.name,
                output.len(),
                expected.len()
            );
        }
        let pairs = output.iter().zip(expected);
        let difference = pairs.map(|(got, expected)| (got - expected).abs() / largest);
        let difference = difference.fold(0.0, f64::max);
        let is_hardware = contestant.name.ends_with("Vulkan") && !adapter.contains("llvmpipe");
        let tolerance = if is_hardware {
            TOLERANCE_ON_GPU
        } else {
            TOLERANCE
        };
        if difference.is_nan() || difference > tolerance {
            bail!(
                "{} differs from {reference} by {difference}, tolerated {tolerance}",
                contestant.name
            );
        }
        differences.push(difference);
    }
    Ok(differences)
}

/// The value that a share of the values does not exceed; zero of none.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let place = (share * last as f64).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}
