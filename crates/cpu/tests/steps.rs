//! Every step against a naive reference in f64, with every instruction set that this processor has.

mod reference;

use affectlens_cpu::{
    Activation, Engine, Finish, InstructionSet, MapId, Network, NetworkError, Shortcut, Window,
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

/// Runs the network with every instruction set and one to three threads, and compares its first output.
fn check(what: &str, network: &Network, inputs: &[&Maps], expected: &Maps) {
    let inputs: Vec<Vec<f32>> = inputs.iter().map(|maps| maps.to_f32()).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    for set in InstructionSet::available() {
        let program = network.compile(set).expect("an available set");
        let mut single: Vec<f32> = Vec::new();
        for threads in 1..=3 {
            let mut engine = Engine::new(program.clone(), threads);
            let mut output = vec![f32::NAN; expected.values.len()];
            // The second run finds what the first has left in the arena.
            for _ in 0..2 {
                engine.run(expected.batch, &inputs);
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

/// Parameters of a layer with so many outputs.
struct Layer {
    weight: Vec<f32>,
    bias: Vec<f32>,
    slopes: Vec<f32>,
    activation: Activation,
}

impl Layer {
    fn new(numbers: &mut Numbers, weights: usize, outputs: usize, activation: Activation) -> Self {
        let slopes = match activation {
            Activation::Prelu => outputs,
            _ => 0,
        };
        let scale = (3.0 * outputs as f32 / weights as f32).sqrt();
        Self {
            weight: numbers.take(weights, scale),
            bias: numbers.take(outputs, 0.5),
            slopes: numbers.take(slopes, 0.5),
            activation,
        }
    }

    fn finish(&self) -> Finish<'_> {
        Finish {
            bias: &self.bias,
            activation: self.activation,
            slopes: &self.slopes,
        }
    }
}

fn same(shape: [usize; 3], kernel: usize, stride: usize) -> Window {
    let axis = |side: usize| {
        let size = side.div_ceil(stride);
        (
            size,
            ((size - 1) * stride + kernel).saturating_sub(side) / 2,
        )
    };
    let ((height, top), (width, left)) = (axis(shape[0]), axis(shape[1]));
    Window {
        kernel,
        stride,
        padding: [top, left],
        size: [height, width],
    }
}

fn symmetric(shape: [usize; 3], kernel: usize, stride: usize, padding: usize) -> Window {
    let size = |side: usize| (side + 2 * padding - kernel) / stride + 1;
    Window {
        kernel,
        stride,
        padding: [padding; 2],
        size: [size(shape[0]), size(shape[1])],
    }
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
        let batch = 1 + index % 3;
        let maps = Maps::noise(&mut numbers, batch, shape);
        let activation = ACTIVATIONS[index % 8];
        let weights = window.kernel * window.kernel * shape[2] * outputs;
        let layer = Layer::new(&mut numbers, weights, outputs, activation);
        let mut network = Network::default();
        let input = network.input(shape).expect("a shape");
        let output = network
            .convolution(input, window, &layer.weight, layer.finish(), None)
            .expect("a convolution");
        network.output(output).expect("a map");
        let expected = reference::convolution(&maps, window, &layer.weight, layer.finish(), None);
        check(
            &format!("{window:?} on {shape:?}"),
            &network,
            &[&maps],
            &expected,
        );
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
                let layer = Layer::new(
                    &mut numbers,
                    kernel * kernel * shape[2],
                    shape[2],
                    ACTIVATIONS[case % 8],
                );
                let maps = Maps::noise(&mut numbers, 1 + case % 2, shape);
                case += 1;
                let mut network = Network::default();
                let input = network.input(shape).expect("a shape");
                let output = network
                    .depthwise(input, window, &layer.weight, layer.finish())
                    .expect("a convolution");
                network.output(output).expect("a map");
                let expected = reference::depthwise(&maps, window, &layer.weight, layer.finish());
                check(
                    &format!("{window:?} on {shape:?}"),
                    &network,
                    &[&maps],
                    &expected,
                );
            }
        }
    }
    let shape = [7, 7, 64];
    let window = symmetric(shape, 7, 1, 0);
    let maps = Maps::noise(&mut numbers, 2, shape);
    let layer = Layer::new(&mut numbers, 49 * 64, 64, Activation::Identity);
    let mut network = Network::default();
    let input = network.input(shape).expect("a shape");
    let output = network
        .depthwise(input, window, &layer.weight, layer.finish())
        .expect("a convolution");
    network.output(output).expect("a map");
    let expected = reference::depthwise(&maps, window, &layer.weight, layer.finish());
    check("a whole map", &network, &[&maps], &expected);
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
        let layer = Layer::new(&mut numbers, 18 * channels, channels, activation);
        let maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        let mut network = Network::default();
        let input = network.input(shape).expect("a shape");
        let output = network
            .pairwise(input, window, &layer.weight, layer.finish())
            .expect("a convolution");
        network.output(output).expect("a map");
        let dense = reference::ungrouped(&layer.weight, channels, 2);
        let expected = reference::convolution(&maps, window, &dense, layer.finish(), None);
        check(
            &format!("pairs on {shape:?}"),
            &network,
            &[&maps],
            &expected,
        );
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
        let weight = numbers.take((height + width) * channels, 0.3);
        let bias = numbers.take(2 * channels, 0.5);
        let mut layer = |inputs, outputs, activation| {
            Layer::new(&mut numbers, inputs * outputs, outputs, activation)
        };
        let reduce = layer(channels, 6, Activation::Hardswish);
        let [rows, columns] = [0; 2].map(|_| layer(6, channels, Activation::Sigmoid));
        let add = |network: &mut Network, input, sums| {
            let layers = [&reduce, &rows, &columns].map(|it| (it.weight.as_slice(), it.finish()));
            let [reduce, rows, columns] = layers;
            network
                .coordinate_attention(input, sums, reduce, rows, columns)
                .expect("gates")
        };
        let means = reference::line_means(shape);
        let gates = |weight: &[f32], bias: &[f32]| {
            let lines = reference::lines(&maps, weight, bias);
            let pixel = symmetric(lines.shape, 1, 1, 0);
            let through = |maps: &Maps, layer: &Layer| {
                reference::convolution(maps, pixel, &layer.weight, layer.finish(), None)
            };
            let squeezed = through(&lines, &reduce);
            reference::outer(
                shape,
                &through(&squeezed, &rows),
                &through(&squeezed, &columns),
            )
        };
        let of_means = gates(&means, &vec![0.0; 2 * channels]);
        let of_sums = gates(&weight, &bias);

        let mut network = Network::default();
        let input = network.input(shape).expect("a shape");
        let first = add(&mut network, input, None);
        let gated = network.line_gate(input, first, None).expect("a map");
        network.output(gated).expect("a map");
        let expected = maps.with(&of_means, |x, gate| x * gate);
        check(
            &format!("means of {shape:?}"),
            &network,
            &[&maps],
            &expected,
        );

        let mut network = Network::default();
        let input = network.input(shape).expect("a shape");
        let first = add(&mut network, input, None);
        let second = add(&mut network, input, Some((&weight, &bias)));
        let gated = network.line_gate(input, first, Some(second));
        network.output(gated.expect("a map")).expect("a map");
        let expected = maps.with(&of_means.with(&of_sums, f64::max), |x, gate| x * gate);
        check(
            &format!("two gates of {shape:?}"),
            &network,
            &[&maps],
            &expected,
        );
    }
}

#[test]
fn pointwise_convolutions_with_gate_and_shortcut_agree_with_the_reference() {
    let mut numbers = Numbers(3);
    let mut case = 0;
    for (size, inputs, outputs, added) in [
        ([7, 7], 40, 80, 80),
        ([16, 16], 28, 42, 28),
        ([14, 3], 5, 3, 2),
        ([1, 1], 100, 33, 33),
        ([5, 5], 120, 200, 88),
        ([40, 40], 16, 24, 24),
    ] {
        for (is_gated, is_pooled) in [(false, false), (true, false), (false, true), (true, true)] {
            let shape = [size[0], size[1], inputs];
            let batch = 1 + case % 3;
            let scale = if is_pooled { 2 } else { 1 };
            let maps = Maps::noise(&mut numbers, batch, shape);
            let gates = Maps::noise(&mut numbers, batch, [1, 1, inputs]);
            let others = Maps::noise(
                &mut numbers,
                batch,
                [size[0] * scale, size[1] * scale, added],
            );
            let layer = Layer::new(
                &mut numbers,
                inputs * outputs,
                outputs,
                ACTIVATIONS[case % 8],
            );
            case += 1;
            let mut network = Network::default();
            let input = network.input(shape).expect("a shape");
            let gate = network.input(gates.shape).expect("a shape");
            let other = network.input(others.shape).expect("a shape");
            let gate = is_gated.then_some(gate);
            let shortcut = Some(Shortcut {
                map: other,
                is_pooled,
            });
            let output = network
                .pointwise(input, &layer.weight, layer.finish(), gate, shortcut)
                .expect("a convolution");
            network.output(output).expect("a map");
            let gated = if is_gated {
                maps.times(&gates)
            } else {
                maps.clone()
            };
            let added = if is_pooled {
                reference::max_pool(&others, symmetric(others.shape, 2, 2, 0))
            } else {
                others.clone()
            };
            let window = symmetric(shape, 1, 1, 0);
            let expected =
                reference::convolution(&gated, window, &layer.weight, layer.finish(), Some(&added));
            check(
                &format!("{shape:?} to {outputs}, gate {is_gated}, pooled {is_pooled}"),
                &network,
                &[&maps, &gates, &others],
                &expected,
            );
        }
    }
}

/// The gate of squeeze-and-excitation on top of a map.
fn squeeze(network: &mut Network, map: MapId, reduce: &Layer, excite: &Layer) {
    let gate = network
        .squeeze_excite(
            map,
            (&reduce.weight, reduce.finish()),
            (&excite.weight, excite.finish()),
        )
        .expect("a gate");
    network.output(gate).expect("a map");
}

fn reference_gate(maps: &Maps, reduce: &Layer, excite: &Layer) -> Maps {
    let pixel = symmetric([1, 1, 1], 1, 1, 0);
    let means = reference::average(maps);
    let squeezed = reference::convolution(&means, pixel, &reduce.weight, reduce.finish(), None);
    reference::convolution(&squeezed, pixel, &excite.weight, excite.finish(), None)
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
        let layer = Layer::new(&mut numbers, 9 * channels, channels, activation);
        let reduce = Layer::new(&mut numbers, channels * 6, 6, Activation::Silu);
        let excite = Layer::new(&mut numbers, channels * 6, channels, Activation::Sigmoid);

        let mut network = Network::default();
        let input = network.input(shape).expect("a shape");
        squeeze(&mut network, input, &reduce, &excite);
        let expected = reference_gate(&maps, &reduce, &excite);
        check("of an input", &network, &[&maps], &expected);

        let window = same(shape, 3, 1);
        let mut network = Network::default();
        let input = network.input(shape).expect("a shape");
        let convolved = network
            .depthwise(input, window, &layer.weight, layer.finish())
            .expect("a convolution");
        squeeze(&mut network, convolved, &reduce, &excite);
        let convolved = reference::depthwise(&maps, window, &layer.weight, layer.finish());
        let expected = reference_gate(&convolved, &reduce, &excite);
        check("of a depthwise convolution", &network, &[&maps], &expected);
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
        let network_of = |build: &dyn Fn(&mut Network, MapId) -> Result<MapId, NetworkError>| {
            let mut network = Network::default();
            let input = network.input(shape).expect("a shape");
            let output = build(&mut network, input).expect("a step");
            network.output(output).expect("a map");
            network
        };
        let network = network_of(&|network, input| network.average(input));
        check("average", &network, &[&maps], &reference::average(&maps));

        let layer = Layer::new(&mut numbers, channels, channels, ACTIVATIONS[index]);
        let network = network_of(&|network, input| {
            network.layer_norm(input, &layer.weight, layer.finish(), 1e-6)
        });
        let expected = reference::layer_norm(&maps, &layer.weight, layer.finish(), 1e-6);
        check("layer norm", &network, &[&maps], &expected);

        for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 1)] {
            if shape[0] < kernel || shape[1] < kernel {
                continue;
            }
            let window = symmetric(shape, kernel, stride, padding);
            let network = network_of(&|network, input| network.max_pool(input, window));
            let expected = reference::max_pool(&maps, window);
            check("max pool", &network, &[&maps], &expected);
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
        let finish = Finish {
            bias: &[0.0],
            activation,
            slopes: if activation == Activation::Prelu {
                &[0.25]
            } else {
                &[]
            },
        };
        let mut network = Network::default();
        let input = network.input(shape).expect("a shape");
        let output = network
            .pointwise(input, &[1.0], finish, None, None)
            .expect("a convolution");
        network.output(output).expect("a map");
        let window = symmetric(shape, 1, 1, 0);
        let expected = reference::convolution(&maps, window, &[1.0], finish, None);
        check(&format!("{activation:?}"), &network, &[&maps], &expected);
    }
}

#[test]
fn batches_may_change_between_runs() {
    let mut numbers = Numbers(6);
    let shape = [6, 6, 3];
    let layer = Layer::new(&mut numbers, 9 * 3 * 8, 8, Activation::Relu);
    let window = same(shape, 3, 1);
    let mut network = Network::default();
    let input = network.input(shape).expect("a shape");
    let output = network
        .convolution(input, window, &layer.weight, layer.finish(), None)
        .expect("a convolution");
    network.output(output).expect("a map");
    let program = network.compile(InstructionSet::detect()).expect("a set");
    let mut engine = Engine::new(program, 2);
    for batch in [2, 16, 1, 5] {
        let maps = Maps::noise(&mut numbers, batch, shape);
        let expected = reference::convolution(&maps, window, &layer.weight, layer.finish(), None);
        engine.run(batch, &[&maps.to_f32()]);
        let mut output = vec![0.0; batch * engine.output_len(0)];
        engine.read(0, &mut output);
        for (got, expected) in output.iter().zip(&expected.values) {
            assert!((f64::from(*got) - expected).abs() < TOLERANCE);
        }
    }
}

#[test]
fn malformed_networks_are_refused() {
    let mut network = Network::default();
    let input = network.input([8, 8, 4]).expect("a shape");
    let finish = |bias: &'static [f32]| Finish {
        bias,
        activation: Activation::Relu,
        slopes: &[],
    };
    let text = |result: Result<MapId, NetworkError>| result.expect_err("malformed").to_string();
    assert_eq!(
        text(network.pointwise(input, &[0.0; 9], finish(&[0.0; 2]), None, None)),
        "weight has shape [9], expected [8]"
    );
    assert_eq!(
        text(network.pointwise(input, &[0.0; 8], finish(&[0.0; 2]), Some(input), None)),
        "gate has shape [8, 8, 4], expected [1, 1, 4]"
    );
    let shortcut = Some(Shortcut {
        map: input,
        is_pooled: true,
    });
    assert_eq!(
        text(network.pointwise(input, &[0.0; 8], finish(&[0.0; 2]), None, shortcut)),
        "shortcut has shape [8, 8, 4], expected [16, 16, 2]"
    );
    let prelu = Finish {
        activation: Activation::Prelu,
        ..finish(&[0.0; 2])
    };
    assert_eq!(
        text(network.pointwise(input, &[0.0; 8], prelu, None, None)),
        "slopes has shape [0], expected [2]"
    );
    let window = |kernel, stride, padding: usize, size: usize| Window {
        kernel,
        stride,
        padding: [padding; 2],
        size: [size; 2],
    };
    for (window, reason) in [
        (window(0, 1, 0, 8), "window of 0x0, stride 1, has no extent"),
        (
            window(3, 1, 3, 8),
            "window of 3x3, stride 1, lies in the padding",
        ),
        (
            window(3, 2, 1, 6),
            "window of 3x3, stride 2, reaches past the map",
        ),
        (
            window(4, 1, 1, 8),
            "window of 4x4, stride 1, is not one that a depthwise convolution can have here",
        ),
    ] {
        let weight = vec![0.0; window.kernel * window.kernel * 4];
        assert_eq!(
            text(network.depthwise(input, window, &weight, finish(&[0.0; 4]))),
            reason
        );
    }
    assert_eq!(
        text(network.input([8, 0, 4])),
        "map of shape [8, 0, 4] is empty or too large"
    );
    assert!(matches!(
        network.input([60_000, 60_000, 4]),
        Err(NetworkError::Size { .. })
    ));
    assert_eq!(
        text(network.pairwise(input, window(5, 1, 2, 8), &[0.0; 200], finish(&[0.0; 4]))),
        "window of 5x5, stride 1, is not one that a depthwise convolution can have here"
    );
    let sums = Some((&[0.0; 60][..], &[0.0; 8][..]));
    let (reduce, gate) = (
        (&[0.0; 8][..], finish(&[0.0; 2])),
        (&[0.0; 8][..], finish(&[0.0; 4])),
    );
    assert_eq!(
        text(network.coordinate_attention(input, sums, reduce, gate, gate)),
        "weight has shape [60], expected [64]"
    );
    assert_eq!(
        text(network.line_gate(input, input, None)),
        "gates has shape [8, 8, 4], expected [16, 1, 20]"
    );
    let mut other = Network::default();
    assert_eq!(
        other.average(input).expect_err("a foreign map").to_string(),
        "network has no map 0"
    );
}
