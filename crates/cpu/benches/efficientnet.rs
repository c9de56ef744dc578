//! Times EfficientNet-B0 at 224 pixels with seeded weights.
//!
//! `cargo bench -p affectlens-cpu -- [--threads N] [--batch N] [--runs N] [--set NAME] [--folder DIR]`; with a
//! folder, weights and inputs are read from `b0.weights` and `b0.input` there and compared with `b0.output`.

use std::path::PathBuf;
use std::time::Instant;

use affectlens_cpu::{
    Activation, CompileError, Engine, InstructionSet, Map, Plan, Planner, Shortcut, Weighted,
    Window,
};

/// Expansion, kernel, stride, channels, repeats.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 16, 1],
    [6, 3, 2, 24, 2],
    [6, 5, 2, 40, 2],
    [6, 3, 2, 80, 3],
    [6, 5, 1, 112, 3],
    [6, 5, 2, 192, 4],
    [6, 3, 1, 320, 1],
];
const SIDE: usize = 224;

/// Numbers for the weights, in the order in which layers ask for them.
enum Weights {
    Seeded(u64),
    Read(std::vec::IntoIter<f32>),
}

impl Weights {
    fn take(&mut self, count: usize, scale: f32) -> Vec<f32> {
        match self {
            Self::Read(values) => values.take(count).collect(),
            Self::Seeded(state) => (0..count)
                .map(|_| {
                    *state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    ((*state >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
                })
                .collect(),
        }
    }

    /// A layer; files hold `[outputs, inputs, taps]`.
    fn layer(
        &mut self,
        inputs: usize,
        kernel: usize,
        outputs: usize,
        activation: Activation,
    ) -> Weighted {
        let taps = kernel * kernel;
        let scale = (5.0 / (inputs * taps) as f32).sqrt();
        let weight = self.take(inputs * taps * outputs, scale);
        let bias = self.take(outputs, 0.1);
        Weighted::from_outputs_first(&weight, &bias, kernel, activation)
    }
}

struct Builder {
    planner: Planner,
    weights: Weights,
}

impl Builder {
    fn pointwise(
        &mut self,
        source: Map,
        outputs: usize,
        activation: Activation,
        gate: Option<Map>,
        shortcut: Option<Map>,
    ) -> Map {
        let inputs = self.planner.shape(source).channels;
        let layer = self.weights.layer(inputs, 1, outputs, activation);
        let shortcut = shortcut.map(|map| Shortcut { map, pooled: false });
        self.planner.gated_pointwise(source, layer, gate, shortcut)
    }

    fn block(&mut self, source: Map, [expansion, kernel, stride, outputs]: [usize; 4]) -> Map {
        let inputs = self.planner.shape(source).channels;
        let hidden = inputs * expansion;
        let mut maps = source;
        if expansion > 1 {
            maps = self.pointwise(maps, hidden, Activation::Silu, None, None);
        }
        let window = Window::same(self.planner.shape(maps), kernel, stride);
        let layer = self.weights.layer(1, kernel, hidden, Activation::Silu);
        maps = self.planner.depthwise(maps, window, layer);
        let squeezed = inputs / 4;
        let reduce = self.weights.layer(hidden, 1, squeezed, Activation::Silu);
        let excite = self.weights.layer(squeezed, 1, hidden, Activation::Sigmoid);
        let gate = self.planner.squeeze_excite(maps, reduce, excite);
        let shortcut = (stride == 1 && inputs == outputs).then_some(source);
        self.pointwise(maps, outputs, Activation::Identity, Some(gate), shortcut)
    }

    fn build(mut self) -> Plan {
        let picture = self.planner.input();
        let window = Window::same(self.planner.shape(picture), 3, 2);
        let stem = self.weights.layer(3, 3, 32, Activation::Silu);
        let mut maps = self.planner.convolution(picture, window, stem);
        for [expansion, kernel, stride, channels, repeats] in STAGES {
            for index in 0..repeats {
                let stride = if index == 0 { stride } else { 1 };
                maps = self.block(maps, [expansion, kernel, stride, channels]);
            }
        }
        maps = self.pointwise(maps, 1280, Activation::Silu, None, None);
        let means = self.planner.average(maps);
        self.planner.finish(&[means])
    }
}

#[derive(Default)]
struct Options {
    threads: Option<usize>,
    batch: Option<usize>,
    runs: Option<usize>,
    set: Option<String>,
    folder: Option<PathBuf>,
    steps: bool,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("a value");
            match argument.as_str() {
                "--threads" => options.threads = value().parse().ok(),
                "--batch" => options.batch = value().parse().ok(),
                "--runs" => options.runs = value().parse().ok(),
                "--set" => options.set = Some(value()),
                "--folder" => options.folder = Some(value().into()),
                "--steps" => options.steps = true,
                _ => {}
            }
        }
        options
    }
}

/// Median and least time in milliseconds.
fn median(runs: usize, mut run: impl FnMut()) -> [f64; 2] {
    let mut times: Vec<_> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    [times[times.len() / 2], times[0]]
}

fn read(file: PathBuf) -> Vec<f32> {
    let bytes = std::fs::read(file).expect("a file of floats");
    bytes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
        .collect()
}

#[expect(clippy::print_stdout, reason = "this is what a benchmark is for")]
fn main() -> Result<(), CompileError> {
    let options = Options::parse();
    let weights = match &options.folder {
        Some(folder) => Weights::Read(read(folder.join("b0.weights")).into_iter()),
        None => Weights::Seeded(1),
    };
    let builder = Builder {
        planner: Plan::of_input(SIDE, SIDE, 3),
        weights,
    };
    let plan = builder.build();
    let batch = options.batch.unwrap_or(1);
    let inputs = match &options.folder {
        Some(folder) => read(folder.join("b0.input")),
        None => Weights::Seeded(2).take(batch * SIDE * SIDE * 3, 1.0),
    };
    let input = &inputs[..batch * SIDE * SIDE * 3];
    for set in InstructionSet::available() {
        if options
            .set
            .as_ref()
            .is_some_and(|name| !format!("{set:?}").eq_ignore_ascii_case(name))
        {
            continue;
        }
        let mut engine = Engine::new(plan.clone().compile(set)?, options.threads.unwrap_or(1));
        engine.run(batch, input);
        let mut output = vec![0.0; batch * 1280];
        engine.read(0, &mut output);
        if let Some(folder) = &options.folder {
            let expected = read(folder.join("b0.output"));
            let largest = expected.iter().fold(0.0_f32, |sum, x| sum.max(x.abs()));
            let worst = output
                .iter()
                .zip(&expected)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            println!("{set:?}: worst difference {worst:e} of {largest:e}");
        }
        let [median_ms, least_ms] = median(options.runs.unwrap_or(100), || {
            engine.run(batch, input);
        });
        println!(
            "{set:?}, {} threads, batch {batch}: median {median_ms:.2} ms, least {least_ms:.2} ms",
            engine.threads(),
        );
        if options.steps {
            for (index, step) in engine.steps().into_iter().enumerate() {
                let micros = 1e3 * median(50, || engine.repeat_step(index))[0];
                println!("{micros:8.1} us  {step}");
            }
        }
    }
    Ok(())
}
