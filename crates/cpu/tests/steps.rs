//! Every step against a naive reference in f64, with every instruction set that this processor has.

mod clips;
mod reference;
mod sequences;

use std::panic::{self, AssertUnwindSafe};

use affectlens_cpu::{
    Activation, CompileError, Engine, InstructionSet, LineSums, Map, MapShape, Plan, Planner,
    Shortcut, Weighted, Window,
};
use reference::{Maps, Numbers};

const ACTIVATIONS: [Activation; 8] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Relu6,
    Activation::Prelu,
    Activation::Silu,
    Activation::Gelu,
    Activation::Sigmoid,
    Activation::Hardswish,
];

/// Sums of a few hundred products of numbers below one in f32.
const TOLERANCE: f64 = 2e-5;

/// Runs the plan with every instruction set and one to three threads, and compares its first output.
fn check(what: &str, plan: &Plan, input: &Maps, expected: &Maps) {
    let input = input.to_f32();
    for set in InstructionSet::available() {
        let program = plan.clone().compile(set).expect("an available set");
        let mut single: Vec<f32> = Vec::new();
        for threads in 1..=3 {
            let mut engine = Engine::new(program.clone(), threads);
            let mut output = vec![f32::NAN; expected.values.len()];
            // The second run finds what the first has left in the arena.
            for _ in 0..2 {
                engine.run(expected.batch, &input);
                engine.read(0, &mut output);
            }
            let worst = output
                .iter()
                .zip(&expected.values)
                .map(|(&got, expected)| (f64::from(got) - expected).abs() / expected.abs().max(1.0))
                .fold(0.0, f64::max);
            assert!(
                output.iter().all(|value| value.is_finite()) && worst < TOLERANCE,
                "{what}, {set:?}, {threads} threads: off by {worst:e}"
            );
            if threads == 1 {
                single = output;
            } else {
                assert!(
                    single == output,
                    "{what}, {set:?}: threads change the result"
                );
            }
        }
    }
}

/// Parameters of a layer with this number of weights and outputs.
fn layer(
    numbers: &mut Numbers,
    weights: usize,
    outputs: usize,
    activation: Activation,
) -> Weighted {
    let slopes = match activation {
        Activation::Prelu => outputs,
        _ => 0,
    };
    let scale = (3.0 * outputs as f32 / weights as f32).sqrt();
    Weighted {
        weight: numbers.take(weights, scale),
        bias: numbers.take(outputs, 0.5),
        activation,
        slopes: numbers.take(slopes, 0.5),
    }
}

fn size([height, width, channels]: [usize; 3]) -> MapShape {
    MapShape {
        height,
        width,
        channels,
    }
}

fn same(shape: [usize; 3], kernel: usize, stride: usize) -> Window {
    Window::same(size(shape), kernel, stride)
}

fn symmetric(shape: [usize; 3], kernel: usize, stride: usize, padding: usize) -> Window {
    Window::symmetric(size(shape), kernel, stride, padding)
}

/// A plan over an input of this shape with one output.
fn plan(
    [height, width, channels]: [usize; 3],
    build: impl FnOnce(&mut Planner, Map) -> Map,
) -> Plan {
    let mut planner = Plan::of_input(height, width, channels);
    let input = planner.input();
    let output = build(&mut planner, input);
    planner.finish(&[output])
}

#[test]
fn convolutions_agree_with_the_reference() {
    let mut numbers = Numbers(1);
    for (index, (shape, outputs, window)) in [
        ([11, 9, 3], 24, same([11, 9, 3], 5, 2)),
        ([20, 33, 3], 32, same([20, 33, 3], 3, 2)),
        ([13, 7, 5], 19, symmetric([13, 7, 5], 3, 1, 1)),
        ([16, 12, 3], 96, symmetric([16, 12, 3], 4, 4, 0)),
        ([9, 9, 40], 50, symmetric([9, 9, 40], 2, 2, 0)),
        ([7, 7, 33], 70, symmetric([7, 7, 33], 3, 2, 1)),
        ([3, 3, 6], 9, symmetric([3, 3, 6], 3, 1, 2)),
        ([6, 8, 4], 5, symmetric([6, 8, 4], 1, 2, 0)),
    ]
    .into_iter()
    .enumerate()
    {
        let maps = Maps::noise(&mut numbers, 1 + index % 3, shape);
        let weights = window.kernel * window.kernel * shape[2] * outputs;
        let layer = layer(&mut numbers, weights, outputs, ACTIVATIONS[index % 8]);
        let expected = reference::convolution(&maps, window, &layer, None);
        let plan = plan(shape, |planner, input| {
            planner.convolution(input, window, layer)
        });
        check(&format!("{window:?} on {shape:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn residual_convolutions_agree_with_the_reference() {
    let mut numbers = Numbers(7);
    for (index, shape) in [[9, 7, 20], [14, 16, 32]].into_iter().enumerate() {
        let maps = Maps::noise(&mut numbers, 1 + index, shape);
        let window = symmetric(shape, 3, 1, 1);
        let weights = 9 * shape[2] * shape[2];
        let layer = layer(&mut numbers, weights, shape[2], ACTIVATIONS[1 + 3 * index]);
        let expected = reference::convolution(&maps, window, &layer, Some(&maps));
        let plan = plan(shape, |planner, input| {
            planner.residual_convolution(input, window, layer, Some(input))
        });
        check(&format!("residual on {shape:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn depthwise_convolutions_agree_with_the_reference() {
    let mut numbers = Numbers(2);
    let mut case = 0;
    for kernel in [3, 5, 7, 9] {
        for stride in [1, 2] {
            if (kernel, stride) == (9, 1) {
                continue;
            }
            for shape in [[7, 7, 20], [9, 17, 3], [1, 2, 16], [5, 4, 42], [30, 29, 8]] {
                let window = same(shape, kernel, stride);
                let weights = kernel * kernel * shape[2];
                let layer = layer(&mut numbers, weights, shape[2], ACTIVATIONS[case % 8]);
                let maps = Maps::noise(&mut numbers, 1 + case % 2, shape);
                case += 1;
                check_depthwise(&format!("{window:?} on {shape:?}"), &maps, window, layer);
            }
        }
    }
    let shape = [7, 7, 64];
    let maps = Maps::noise(&mut numbers, 2, shape);
    let layer = layer(&mut numbers, 49 * 64, 64, Activation::Identity);
    check_depthwise("a whole map", &maps, symmetric(shape, 7, 1, 0), layer);
}

fn check_depthwise(what: &str, maps: &Maps, window: Window, layer: Weighted) {
    let expected = reference::depthwise(maps, window, &layer);
    let plan = plan(maps.shape, |planner, input| {
        planner.depthwise(input, window, layer)
    });
    check(what, &plan, maps, &expected);
}

#[test]
fn convolutions_in_pairs_agree_with_the_reference() {
    let mut numbers = Numbers(8);
    for (index, shape) in [[9, 17, 6], [5, 4, 42], [30, 29, 16]]
        .into_iter()
        .enumerate()
    {
        let (window, channels) = (same(shape, 3, 1), shape[2]);
        let activation = [Activation::Prelu, Activation::Silu, Activation::Identity][index];
        let layer = layer(&mut numbers, 18 * channels, channels, activation);
        let maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        let dense = reference::ungrouped(&layer, 2);
        let expected = reference::convolution(&maps, window, &dense, None);
        let plan = plan(shape, |planner, input| {
            planner.pairwise(input, window, layer)
        });
        check(&format!("pairs on {shape:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn coordinate_attention_agrees_with_the_reference() {
    let mut numbers = Numbers(9);
    for (index, shape) in [[7, 7, 64], [14, 9, 20], [28, 3, 16], [40, 33, 5]]
        .into_iter()
        .enumerate()
    {
        let [height, width, channels] = shape;
        let maps = Maps::noise(&mut numbers, 1 + index % 3, shape);
        let sums = LineSums {
            weight: numbers.take((height + width) * channels, 0.3),
            bias: numbers.take(2 * channels, 0.5),
        };
        let mut through = |inputs, outputs, activation| {
            layer(&mut numbers, inputs * outputs, outputs, activation)
        };
        let reduce = through(channels, 6, Activation::Hardswish);
        let [rows, columns] = [0; 2].map(|_| through(6, channels, Activation::Sigmoid));
        let attend = |planner: &mut Planner, input, sums| {
            planner.coordinate_attention(input, sums, reduce.clone(), rows.clone(), columns.clone())
        };
        let gates = |weight: &[f32], bias: &[f32]| {
            let lines = reference::lines(&maps, weight, bias);
            let squeezed = reference::dense(&lines, &reduce);
            let [rows, columns] = [&rows, &columns].map(|layer| reference::dense(&squeezed, layer));
            reference::outer(shape, &rows, &columns)
        };
        let gates_of_means = gates(&reference::line_means(shape), &vec![0.0; 2 * channels]);
        let gates_of_sums = gates(&sums.weight, &sums.bias);

        let once = plan(shape, |planner, input| {
            let gates = attend(planner, input, None);
            planner.line_gate(input, gates, None)
        });
        let expected = maps.with(&gates_of_means, |x, gate| x * gate);
        check(&format!("means of {shape:?}"), &once, &maps, &expected);

        let twice = plan(shape, |planner, input| {
            let first = attend(planner, input, None);
            let second = attend(planner, input, Some(sums));
            planner.line_gate(input, first, Some(second))
        });
        let larger = gates_of_means.with(&gates_of_sums, f64::max);
        let expected = maps.with(&larger, |x, gate| x * gate);
        check(&format!("two gates of {shape:?}"), &twice, &maps, &expected);
    }
}

/// A layer behind means of the input gates it, or what a pool of 2x2 pixels makes of it; another layer of the input is
/// the shortcut.
#[test]
fn pointwise_convolutions_with_gate_and_shortcut_agree_with_the_reference() {
    let mut numbers = Numbers(3);
    let mut case = 0;
    for (sides, inputs, outputs, added) in [
        ([7, 7], 40, 80, 80),
        ([16, 16], 28, 42, 28),
        ([14, 3], 5, 3, 2),
        ([1, 1], 100, 33, 33),
        ([5, 5], 120, 200, 88),
        ([40, 40], 16, 24, 24),
    ] {
        for (is_gated, pooled) in [(false, false), (true, false), (false, true), (true, true)] {
            let scale = if pooled { 2 } else { 1 };
            let shape = [sides[0] * scale, sides[1] * scale, inputs];
            let maps = Maps::noise(&mut numbers, 1 + case % 3, shape);
            let sigmoid = Activation::Sigmoid;
            let gating = layer(&mut numbers, inputs * inputs, inputs, sigmoid);
            let other = layer(&mut numbers, inputs * added, added, Activation::Identity);
            let activation = ACTIVATIONS[case % 8];
            let layer = layer(&mut numbers, inputs * outputs, outputs, activation);
            case += 1;

            let halves = symmetric(shape, scale, scale, 0);
            let others = reference::dense(&maps, &other);
            let gates = reference::dense(&reference::average(&maps), &gating);
            let (source, others) = match pooled {
                true => (
                    reference::max_pool(&maps, halves),
                    reference::max_pool(&others, halves),
                ),
                false => (maps.clone(), others),
            };
            let gated = match is_gated {
                true => source.times(&gates),
                false => source,
            };
            let pixels = symmetric(gated.shape, 1, 1, 0);
            let expected = reference::convolution(&gated, pixels, &layer, Some(&others));
            let plan = plan(shape, |planner, input| {
                let means = planner.average(input);
                let gate = planner.pointwise(means, gating);
                let map = planner.pointwise(input, other);
                let source = match pooled {
                    true => planner.max_pool(input, halves),
                    false => input,
                };
                let shortcut = Shortcut { map, pooled };
                planner.gated_pointwise(source, layer, is_gated.then_some(gate), Some(shortcut))
            });
            check(
                &format!("{shape:?} to {outputs}, gate {is_gated}, pooled {pooled}"),
                &plan,
                &maps,
                &expected,
            );
        }
    }
}

#[test]
fn enlarged_maps_agree_with_the_reference() {
    let mut numbers = Numbers(10);
    for (index, shape) in [[12, 12, 20], [2, 6, 5], [48, 18, 40], [4, 2, 16]]
        .into_iter()
        .enumerate()
    {
        let channels = shape[2];
        let maps = Maps::noise(&mut numbers, 1 + index % 3, shape);
        let weights = channels * channels;
        let other = layer(&mut numbers, weights, channels, Activation::Identity);
        let halves = symmetric(shape, 2, 2, 0);
        let (activation, low, high) = [
            (Activation::Identity, f64::NEG_INFINITY, f64::INFINITY),
            (Activation::Relu, 0.0, f64::INFINITY),
            (Activation::Relu6, 0.0, 6.0),
        ][index % 3];
        let enlarged = reference::enlarge(&reference::max_pool(&maps, halves));
        let expected = enlarged.with(&reference::dense(&maps, &other), |x, addend| {
            x.clamp(low, high) + addend
        });
        let plan = plan(shape, |planner, input| {
            let small = planner.max_pool(input, halves);
            let addend = planner.pointwise(input, other);
            planner.enlarge(small, activation, addend)
        });
        check(&format!("to {shape:?}"), &plan, &maps, &expected);
    }
}

fn reference_gate(maps: &Maps, reduce: &Weighted, excite: &Weighted) -> Maps {
    let means = reference::average(maps);
    reference::dense(&reference::dense(&means, reduce), excite)
}

#[test]
fn squeeze_and_excitation_agrees_with_the_reference() {
    let mut numbers = Numbers(4);
    for (index, shape) in [[7, 7, 30], [33, 30, 16], [20, 8, 96]]
        .into_iter()
        .enumerate()
    {
        let channels = shape[2];
        let maps = Maps::noise(&mut numbers, 1 + index, shape);
        let activation = [Activation::Silu, Activation::Relu, Activation::Prelu][index];
        let depthwise = layer(&mut numbers, 9 * channels, channels, activation);
        let reduce = layer(&mut numbers, channels * 6, 6, Activation::Silu);
        let excite = layer(&mut numbers, channels * 6, channels, Activation::Sigmoid);

        let alone = plan(shape, |planner, input| {
            planner.squeeze_excite(input, reduce.clone(), excite.clone())
        });
        let expected = reference_gate(&maps, &reduce, &excite);
        check("of an input", &alone, &maps, &expected);

        let window = same(shape, 3, 1);
        let convolved = reference::depthwise(&maps, window, &depthwise);
        let expected = reference_gate(&convolved, &reduce, &excite);
        let fused = plan(shape, |planner, input| {
            let convolved = planner.depthwise(input, window, depthwise);
            planner.squeeze_excite(convolved, reduce, excite)
        });
        check("of a depthwise convolution", &fused, &maps, &expected);
    }
}

#[test]
fn averages_norms_and_pools_agree_with_the_reference() {
    let mut numbers = Numbers(5);
    for (index, shape) in [[7, 7, 30], [13, 2, 3], [1, 1, 100], [32, 32, 17]]
        .into_iter()
        .enumerate()
    {
        let channels = shape[2];
        let maps = Maps::noise(&mut numbers, 1 + index % 3, shape);
        let average = plan(shape, |planner, input| planner.average(input));
        check("average", &average, &maps, &reference::average(&maps));

        let [scale, bias] = [1.0, 0.5].map(|size| numbers.take(channels, size));
        let expected = reference::layer_norm(&maps, &scale, &bias, 1e-6);
        let norm = plan(shape, |planner, input| {
            planner.layer_norm(input, scale, bias, 1e-6)
        });
        check("layer norm", &norm, &maps, &expected);

        for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 1)] {
            if shape[0] < kernel || shape[1] < kernel {
                continue;
            }
            let window = symmetric(shape, kernel, stride, padding);
            let pool = plan(shape, |planner, input| planner.max_pool(input, window));
            check(
                "max pool",
                &pool,
                &maps,
                &reference::max_pool(&maps, window),
            );
        }
    }
}

#[test]
fn activations_hold_at_their_ends() {
    let values: Vec<f32> = (-200..=200).map(|step| step as f32 * 0.6).collect();
    let shape = [1, values.len(), 1];
    let maps = Maps {
        batch: 1,
        shape,
        values: values.iter().map(|&value| f64::from(value)).collect(),
    };
    for activation in ACTIVATIONS {
        let layer = Weighted {
            weight: vec![1.0],
            bias: vec![0.0],
            activation,
            slopes: match activation {
                Activation::Prelu => vec![0.25],
                _ => vec![],
            },
        };
        let expected = reference::dense(&maps, &layer);
        let plan = plan(shape, |planner, input| planner.pointwise(input, layer));
        check(&format!("{activation:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn batches_may_change_between_runs() {
    let mut numbers = Numbers(6);
    let shape = [6, 6, 3];
    let layer = layer(&mut numbers, 9 * 3 * 8, 8, Activation::Relu);
    let window = same(shape, 3, 1);
    let plan = plan(shape, |planner, input| {
        planner.convolution(input, window, layer.clone())
    });
    let program = plan.compile(InstructionSet::detect()).expect("a set");
    let mut engine = Engine::new(program, 2);
    for batch in [2, 16, 1, 5] {
        let maps = Maps::noise(&mut numbers, batch, shape);
        let expected = reference::convolution(&maps, window, &layer, None);
        engine.run(batch, &maps.to_f32());
        let mut output = vec![0.0; batch * engine.output_len(0)];
        engine.read(0, &mut output);
        for (got, expected) in output.iter().zip(&expected.values) {
            assert!((f64::from(*got) - expected).abs() < TOLERANCE);
        }
    }
}

/// The message with which a planner over a map of 8x8x4 refuses a step.
fn refusal(build: impl FnOnce(&mut Planner, Map) -> Map) -> String {
    let build = AssertUnwindSafe(|| plan([8, 8, 4], build));
    let panic = panic::catch_unwind(build).expect_err("malformed");
    *panic.downcast().expect("a message with numbers in it")
}

/// Zeros.
fn blank(weights: usize, outputs: usize, activation: Activation) -> Weighted {
    Weighted {
        weight: vec![0.0; weights],
        bias: vec![0.0; outputs],
        activation,
        slopes: vec![],
    }
}

#[test]
fn malformed_layers_are_refused() {
    let relu = |weights, outputs| blank(weights, outputs, Activation::Relu);
    let eight = || relu(8, 2);
    assert_eq!(
        refusal(|planner, input| planner.pointwise(input, relu(9, 2))),
        "weight has shape [9], expected [8]"
    );
    assert_eq!(
        refusal(|planner, input| planner.gated_pointwise(input, eight(), Some(input), None)),
        "gate has shape [8, 8, 4], expected [1, 1, 4]"
    );
    assert_eq!(
        refusal(|planner, input| {
            let shortcut = Shortcut {
                map: input,
                pooled: true,
            };
            planner.gated_pointwise(input, eight(), None, Some(shortcut))
        }),
        "shortcut has shape [8, 8, 4], expected [16, 16, 2]"
    );
    assert_eq!(
        refusal(|planner, input| planner.enlarge(input, Activation::Identity, input)),
        "addend has shape [8, 8, 4], expected [16, 16, 4]"
    );
    assert_eq!(
        refusal(|planner, input| planner.enlarge(input, Activation::Silu, input)),
        "Silu after an enlargement, expected one that only clamps"
    );
    let prelu = blank(8, 2, Activation::Prelu);
    assert_eq!(
        refusal(|planner, input| planner.pointwise(input, prelu)),
        "slopes has shape [0], expected [2]"
    );
    assert_eq!(
        refusal(|planner, input| {
            let odd = planner.pointwise(input, relu(12, 3));
            let window = Window::same(planner.shape(odd), 3, 1);
            planner.pairwise(odd, window, relu(54, 3))
        }),
        "map in groups has shape [8, 8, 3], expected [8, 8, 4]"
    );
    let mut larger = Plan::of_input(8, 8, 4);
    let foreign = larger.average(larger.input());
    assert_eq!(
        refusal(|planner, _| planner.average(foreign)),
        "plan has no map 1"
    );
}

#[test]
fn windows_that_see_no_pixels_are_refused() {
    for (window, reason) in [
        (window(0, 1, 0, 8), "has no extent"),
        (window(3, 1, 3, 8), "lies in the padding"),
        (window(3, 2, 1, 6), "reaches past the map"),
        (window(3, 1, 1, 70_000), "is too large"),
    ] {
        let Window { kernel, stride, .. } = window;
        let layer = blank(kernel * kernel * 4, 4, Activation::Relu);
        assert_eq!(
            refusal(|planner, input| planner.depthwise(input, window, layer)),
            format!("window of {kernel}x{kernel}, stride {stride}, {reason}")
        );
    }
}

fn window(kernel: usize, stride: usize, padding: usize, side: usize) -> Window {
    Window {
        kernel,
        stride,
        padding: [padding; 2],
        output: [side; 2],
    }
}

#[test]
fn gates_of_lines_are_read_by_line_gates_alone() {
    let attend = |planner: &mut Planner, input, sums| {
        let [reduce, gate] = [2, 4].map(|outputs| blank(8, outputs, Activation::Sigmoid));
        planner.coordinate_attention(input, sums, reduce, gate.clone(), gate)
    };
    let sums = LineSums {
        weight: vec![0.0; 60],
        bias: vec![0.0; 8],
    };
    assert_eq!(
        refusal(|planner, input| attend(planner, input, Some(sums))),
        "weight of lines has shape [60], expected [64]"
    );
    assert_eq!(
        refusal(|planner, input| planner.line_gate(input, input, None)),
        "gates of lines has shape [8, 8, 4], expected [16, 1, 4]"
    );
    for misused in [true, false] {
        let message = refusal(|planner, input| {
            let gates = attend(planner, input, None);
            match misused {
                true => planner.average(gates),
                // As an output.
                false => gates,
            }
        });
        assert_eq!(
            message,
            "map 1 holds gates of lines, which only a line gate reads"
        );
    }
}

#[test]
fn plans_without_loops_or_memory_are_refused() {
    let compile = |plan: Plan| {
        let result = plan.compile(InstructionSet::Plain);
        result.expect_err("no such loop").to_string()
    };
    let depthwise = plan([8, 8, 4], |planner, input| {
        let layer = blank(64, 4, Activation::Relu);
        planner.depthwise(input, window(4, 1, 1, 7), layer)
    });
    assert_eq!(
        compile(depthwise),
        "window of 4x4, stride 1, is not one that a depthwise convolution in groups of 1 can have here"
    );
    let pairwise = plan([8, 8, 4], |planner, input| {
        let layer = blank(200, 4, Activation::Relu);
        planner.pairwise(input, window(5, 1, 2, 8), layer)
    });
    assert_eq!(
        compile(pairwise),
        "window of 5x5, stride 1, is not one that a depthwise convolution in groups of 2 can have here"
    );
    assert_eq!(
        compile(plan([8, 0, 4], |_, input| input)),
        "map of shape [8, 0, 4] is empty or too large"
    );
    let large = plan([60_000, 60_000, 4], |_, input| input);
    assert!(matches!(
        large.compile(InstructionSet::Plain),
        Err(CompileError::Size { .. })
    ));
}
