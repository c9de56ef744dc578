//! The GPU's kernels, each in several forms, against the CPU's loops.

use affectlens::device::{self, DeviceChoice, KernelForm, OpenedDevice};
use affectlens::kernel::{
    Activation, LineSums, Map, MapShape, Network, Plan, Planner, ScoreBias, Shortcut, Span,
    Weighted, Window, read_back,
};
use burn::tensor::{Tensor, TensorData};

/// Relative to the largest value; sums of at most some hundred products in another order.
const RELATIVE: f32 = 1e-5;
/// With 16-bit floats in memory.
const RELATIVE_HALF: f32 = 5e-3;

/// Numbers in [-1, 1) without a pattern.
struct Noise(u32);

impl Noise {
    fn take(&mut self, count: usize) -> Vec<f32> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn weighted(&mut self, weights: usize, outputs: usize, activation: Activation) -> Weighted {
        Weighted {
            weight: self.take(weights),
            bias: self.take(outputs),
            activation,
            slopes: match activation {
                Activation::Prelu => self.take(outputs),
                _ => Vec::new(),
            },
        }
    }
}

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

/// Networks of a few steps: odd sizes, channels that are no multiples of four, every kind of step.
fn plans() -> Vec<(String, Plan)> {
    let mut noise = Noise(7);
    let mut plans = Vec::new();
    for (index, activation) in ACTIVATIONS.into_iter().enumerate() {
        let (kernel, stride) = [
            (3, 1),
            (3, 2),
            (5, 1),
            (5, 2),
            (7, 1),
            (7, 2),
            (4, 4),
            (3, 1),
        ][index];
        let mut planner = Plan::of_input(13, 10, 3);
        let input = planner.input();
        let shape = planner.shape(input);
        let window = if index % 2 == 0 {
            Window::same(shape, kernel, stride)
        } else {
            Window::symmetric(shape, kernel, stride, kernel / 2)
        };
        let stem = noise.weighted(kernel * kernel * 3 * 10, 10, activation);
        let maps = planner.convolution(input, window, stem);
        let output = windows(&mut planner, maps, (kernel, stride), &mut noise, activation);
        let mean = planner.average(output);
        let name = format!("{activation:?}, kernel {kernel}, stride {stride}");
        plans.push((name, planner.finish(&[maps, output, mean])));
    }
    plans.push((
        "gates and shortcuts".to_owned(),
        gates_and_shortcuts(&mut noise),
    ));
    plans.push(("large maps".to_owned(), large_maps(&mut noise)));
    plans.push(("lines".to_owned(), lines(&mut noise)));
    plans.push(("enlarged maps".to_owned(), enlarged(&mut noise)));
    plans.push(("rows".to_owned(), rows(&mut noise)));
    plans.push(("patches".to_owned(), patches(&mut noise)));
    plans.push(("clips".to_owned(), clips(&mut noise)));
    plans.push(("windows".to_owned(), score_biases(&mut noise)));
    plans.push(("tubes".to_owned(), tubes(&mut noise)));
    plans
}

/// Depthwise and dense convolution, largest of a window, pointwise with shortcut, layer norm.
fn windows(
    planner: &mut Planner,
    maps: Map,
    (kernel, stride): (usize, usize),
    noise: &mut Noise,
    activation: Activation,
) -> Map {
    let window = Window::same(planner.shape(maps), kernel.min(3), stride.min(2));
    let depthwise = noise.weighted(window.kernel * window.kernel * 10, 10, activation);
    let maps = planner.depthwise(maps, window, depthwise);
    let pooled = planner.max_pool(maps, Window::symmetric(planner.shape(maps), 3, 1, 1));
    let shortcut = Shortcut {
        map: pooled,
        pooled: false,
    };
    let pointwise = noise.weighted(10 * 22, 22, activation);
    let maps = planner.gated_pointwise(maps, pointwise, None, Some(shortcut));
    let (scale, bias) = (noise.take(22), noise.take(22));
    let maps = planner.layer_norm(maps, scale, bias, 1e-6);
    let window = Window::same(planner.shape(maps), 2, 2);
    let dense = noise.weighted(4 * 22 * 9, 9, activation);
    planner.convolution(maps, window, dense)
}

fn enlarged(noise: &mut Noise) -> Plan {
    let mut planner = Plan::of_input(12, 10, 8);
    let input = planner.input();
    let window = Window::same(planner.shape(input), 3, 2);
    let small = planner.depthwise(input, window, noise.weighted(9 * 8, 8, Activation::Relu));
    let large = planner.enlarge(small, Activation::Identity, input);
    let more = planner.pointwise(large, noise.weighted(8 * 13, 13, Activation::Identity));
    let window = Window::symmetric(planner.shape(more), 2, 2, 0);
    let pooled = planner.max_pool(more, window);
    let larger = planner.enlarge(pooled, Activation::Relu6, more);
    planner.finish(&[large, larger])
}

fn gates_and_shortcuts(noise: &mut Noise) -> Plan {
    let mut planner = Plan::of_input(14, 18, 8);
    let input = planner.input();
    let identity = Activation::Identity;
    let wide = planner.pointwise(input, noise.weighted(8 * 70, 70, Activation::Silu));
    let reduce = noise.weighted(70 * 5, 5, Activation::Silu);
    let excite = noise.weighted(5 * 70, 70, Activation::Sigmoid);
    let gate = planner.squeeze_excite(wide, reduce, excite);
    let narrow = noise.weighted(70 * 8, 8, identity);
    let shortcut = Shortcut {
        map: input,
        pooled: false,
    };
    let maps = planner.gated_pointwise(wide, narrow, Some(gate), Some(shortcut));
    let window = Window::same(planner.shape(maps), 3, 2);
    let halved = planner.depthwise(maps, window, noise.weighted(9 * 8, 8, identity));
    let pooled = Shortcut {
        map: maps,
        pooled: true,
    };
    let more = noise.weighted(8 * 13, 13, Activation::Relu);
    let maps = planner.gated_pointwise(halved, more, None, Some(pooled));
    let window = Window::symmetric(planner.shape(maps), 3, 1, 1);
    let dense = noise.weighted(9 * 13 * 13, 13, Activation::Prelu);
    let maps = planner.residual_convolution(maps, window, dense, Some(maps));
    let mean = planner.average(maps);
    let hidden = planner.pointwise(mean, noise.weighted(13 * 300, 300, Activation::Relu));
    let logits = planner.pointwise(hidden, noise.weighted(300 * 7, 7, identity));
    let both = planner.concatenate(mean, hidden);
    planner.finish(&[logits, maps, gate, both])
}

/// Maps whose means take two dispatches.
fn large_maps(noise: &mut Noise) -> Plan {
    let mut planner = Plan::of_input(61, 57, 4);
    let input = planner.input();
    let maps = planner.pointwise(input, noise.weighted(4 * 6, 6, Activation::Relu));
    let reduce = noise.weighted(6 * 2, 2, Activation::Relu);
    let excite = noise.weighted(2 * 6, 6, Activation::Sigmoid);
    let gate = planner.squeeze_excite(maps, reduce, excite);
    let mean = planner.average(maps);
    planner.finish(&[gate, mean])
}

/// Coordinate attention of means and of sums, a large depthwise kernel, channels in pairs.
fn lines(noise: &mut Noise) -> Plan {
    let mut planner = Plan::of_input(13, 9, 8);
    let input = planner.input();
    let maps = planner.pointwise(input, noise.weighted(8 * 18, 18, Activation::Hardswish));
    let window = Window::symmetric(planner.shape(maps), 3, 1, 1);
    let pairs = noise.weighted(9 * 2 * 18, 18, Activation::Prelu);
    let maps = planner.pairwise(maps, window, pairs);
    let mut attend = |planner: &mut Planner, sums| {
        let reduce = noise.weighted(18 * 5, 5, Activation::Hardswish);
        let [rows, columns] = [0; 2].map(|_| noise.weighted(5 * 18, 18, Activation::Sigmoid));
        planner.coordinate_attention(maps, sums, reduce, rows, columns)
    };
    let first = attend(&mut planner, None);
    let sums = LineSums {
        weight: Noise(5).take(22 * 18),
        bias: Noise(6).take(2 * 18),
    };
    let second = attend(&mut planner, Some(sums));
    let once = planner.line_gate(maps, first, None);
    let twice = planner.line_gate(once, first, Some(second));
    let gated = planner.line_gate(maps, second, None);
    let shortcut = Shortcut {
        map: maps,
        pooled: false,
    };
    let narrow = noise.weighted(18 * 21, 21, Activation::Identity);
    let narrow = planner.gated_pointwise(gated, narrow, None, Some(shortcut));
    let window = Window::symmetric(planner.shape(twice), 9, 2, 4);
    let wide = noise.weighted(81 * 18, 18, Activation::Identity);
    let halved = planner.depthwise(twice, window, wide);
    planner.finish(&[once, twice, halved, narrow])
}

/// Convolutions along a row, alone and in groups, and attention over more pixels than a group of invocations has.
fn rows(noise: &mut Noise) -> Plan {
    let mut planner = Plan::of_input(1, 341, 1);
    let input = planner.input();
    let few = noise.weighted(10 * 12, 12, Activation::Gelu);
    let maps = planner.line_convolution(input, 10, 5, few);
    let vectors = noise.weighted(2 * 12 * 24, 24, Activation::Prelu);
    let halved = planner.line_convolution(maps, 2, 2, vectors);
    let places = noise.weighted(6 * 4 * 12, 12, Activation::Gelu);
    let placed = planner.grouped_convolution(maps, [6, 3, 3], places, Some(maps));
    let grouped = noise.weighted(5 * 6 * 8, 8, Activation::Relu);
    let grouped = planner.grouped_convolution(placed, [5, 0, 2], grouped, None);
    let all = Weighted {
        // Scores of some size.
        weight: noise.take(12 * 72).iter().map(|it| 0.3 * it).collect(),
        ..noise.weighted(0, 72, Activation::Identity)
    };
    let all = planner.pointwise(placed, all);
    let attended = planner.attention(all, 3);
    planner.finish(&[halved, grouped, attended])
}

/// Attention between patches of pictures that are not whole patches, and of one that is.
fn patches(noise: &mut Noise) -> Plan {
    let mut planner = Plan::of_input(7, 10, 8);
    let input = planner.input();
    let mut attend = |planner: &mut Planner, maps, patch| {
        let all = Weighted {
            // Scores of some size.
            weight: noise.take(8 * 72).iter().map(|it| 0.5 * it).collect(),
            ..noise.weighted(0, 72, Activation::Identity)
        };
        let MapShape { height, width, .. } = planner.shape(maps);
        let rows = planner.unfold(maps, patch);
        let all = planner.pointwise(rows, all);
        let attended = planner.attention(all, 2);
        planner.fold(attended, patch, [height, width])
    };
    let odd = attend(&mut planner, input, 2);
    let thirds = attend(&mut planner, input, 3);
    let window = Window::same(planner.shape(input), 2, 2);
    let halved = planner.max_pool(input, window);
    let even = attend(&mut planner, halved, 1);
    let turned = planner.transpose(odd);
    let mixed = noise.weighted(70 * 9, 9, Activation::Relu);
    let mixed = planner.pointwise(turned, mixed);
    let mixed = planner.transpose(mixed);
    planner.finish(&[odd, thirds, even, turned, mixed])
}

/// Pixels in windows of another order, with attention that knows how they lie to each other, in one region and in several.
fn score_biases(noise: &mut Noise) -> Plan {
    let mut planner = Plan::of_input(6, 13, 8);
    let input = planner.input();
    let places: Vec<Option<u32>> = (0..81_u32)
        .map(|pixel| (pixel % 10 != 3).then_some(pixel * 7 % 78))
        .collect();
    let addend = noise.take(81 * 8);
    let windows = planner.arrange(input, [3, 27], places.clone(), addend);
    let plain = planner.arrange(input, [27, 3], places, Vec::new());
    let all = noise.weighted(8 * 72, 72, Activation::Identity);
    let all = planner.pointwise(windows, all);
    let bias = ScoreBias {
        table: noise.take(3 * 39),
        codes: (0..27).map(|pixel| pixel * 5 % 20).collect(),
        regions: (0..81).map(|pixel| pixel / 27 * (pixel % 4)).collect(),
    };
    let together = ScoreBias {
        regions: Vec::new(),
        ..bias.clone()
    };
    let apart = planner.biased_attention(all, 3, Some(bias));
    let together = planner.biased_attention(all, 3, Some(together));
    planner.finish(&[windows, plain, apart, together])
}

/// Large kernels that lie side by side, in two frames at a time.
fn tubes(noise: &mut Noise) -> Plan {
    let mut planner = Plan::of_input(5 * 33, 35, 3);
    let input = planner.input();
    let frame = MapShape {
        height: 33,
        width: 35,
        channels: 3,
    };
    let (span, window) = (
        Span::symmetric(5, 2, 2, 0),
        Window::symmetric(frame, 16, 16, 0),
    );
    let weighted = noise.weighted(2 * 16 * 16 * 3 * 9, 9, Activation::Relu);
    let tubes = planner.clip_convolution(input, span, window, weighted, None);
    planner.finish(&[tubes])
}

/// Kernels over several frames, within frames and along time, the largest of them, means of frames, maps joined, other
/// numbers of frames, and some frames left out.
fn clips(noise: &mut Noise) -> Plan {
    let mut planner = Plan::of_input(6 * 9, 7, 3);
    let input = planner.input();
    let frame = MapShape {
        height: 9,
        width: 7,
        channels: 3,
    };
    let window = |shape, kernel, stride| Window::symmetric(shape, kernel, stride, kernel / 2);
    let spans = |frames, kernel, stride| Span::symmetric(frames, kernel, stride, kernel / 2);
    let stem = noise.weighted(3 * 9 * 3 * 10, 10, Activation::Relu);
    let maps = planner.clip_convolution(input, spans(6, 3, 2), window(frame, 3, 2), stem, None);
    let frame = MapShape {
        height: 5,
        width: 4,
        channels: 10,
    };
    let (whole, pixels) = (window(frame, 3, 1), window(frame, 1, 1));
    let along = noise.weighted(3 * 10 * 10, 10, Activation::Prelu);
    let along = planner.clip_convolution(maps, spans(3, 3, 1), pixels, along, Some(maps));
    let within = noise.weighted(9 * 10 * 9, 9, Activation::Silu);
    let within = planner.clip_convolution(maps, spans(3, 1, 1), whole, within, None);
    let largest = planner.clip_max_pool(along, spans(3, 3, 1), whole);
    let joined = planner.join(&[along, within, largest]);
    let means = planner.frame_average(joined, 3);
    let more = planner.interpolate_frames(along, [3, 7]);
    let fewer = planner.interpolate_frames(means, [3, 2]);
    // Every third frame.
    let frame = MapShape {
        height: 9,
        width: 7,
        channels: 3,
    };
    let sparse = noise.weighted(49 * 3 * 10, 10, Activation::Relu);
    let sparse = planner.clip_convolution(input, spans(6, 1, 3), window(frame, 7, 2), sparse, None);
    planner.finish(&[along, largest, joined, means, more, fewer, sparse])
}

fn run(plan: &Plan, device: &OpenedDevice, input: &[f32], batch: usize) -> Vec<f32> {
    let shape = plan.input();
    let shape = [batch, shape.height, shape.width, shape.channels];
    let input = Tensor::from_data(TensorData::new(input.to_vec(), shape), &device.device);
    let output = Network::new(plan, device).forward(input);
    pollster::block_on(read_back(vec![output]))
        .expect("the kernels run")
        .remove(0)
}

#[track_caller]
fn assert_like_the_cpu(kernels: KernelForm, tolerance: f32) {
    let gpu = pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan adapter");
    let gpu = OpenedDevice { kernels, ..gpu };
    for (name, plan) in plans() {
        for batch in [1, 3] {
            let input = Noise(11).take(batch * plan.input().len());
            let got = run(&plan, &gpu, &input, batch);
            let expected = run(&plan, &OpenedDevice::cpu(), &input, batch);
            assert_eq!(got.len(), expected.len(), "{name}");
            // Outputs differ in size by far: each is compared with its own largest value.
            let width = got.len() / batch;
            for range in plan.output_ranges() {
                let values = |all: &[f32]| -> Vec<f32> {
                    let rows = all.chunks_exact(width);
                    rows.flat_map(|row| row[range.clone()].to_vec()).collect()
                };
                let (got, expected) = (values(&got), values(&expected));
                let largest = expected
                    .iter()
                    .fold(1e-6_f32, |most, value| most.max(value.abs()));
                let apart = got
                    .iter()
                    .zip(&expected)
                    .map(|(got, expected)| (got - expected).abs());
                let apart = apart.fold(0.0, f32::max) / largest;
                assert!(
                    apart < tolerance,
                    "{name}, batch {batch}, output {range:?}: relative difference {apart}"
                );
            }
        }
    }
}

/// With layers of zeros every gate is a half, and the product of two a quarter, of one attention or of two.
#[test]
fn attention_without_weights_quarters_a_map() {
    let zeros = |weights: usize, outputs: usize, activation| Weighted {
        weight: vec![0.0; weights],
        bias: vec![0.0; outputs],
        activation,
        slopes: Vec::new(),
    };
    let mut planner = Plan::of_input(5, 4, 6);
    let input = planner.input();
    let reduce = Noise(3).weighted(6 * 2, 2, Activation::Hardswish);
    let excite = zeros(2 * 6, 6, Activation::Sigmoid);
    let gates = planner.coordinate_attention(input, None, reduce, excite.clone(), excite);
    let one = planner.line_gate(input, gates, None);
    let two = planner.line_gate(input, gates, Some(gates));
    let plan = planner.finish(&[one, two]);
    let maps = Noise(4).take(5 * 4 * 6);
    let output = run(&plan, &OpenedDevice::cpu(), &maps, 1);
    for (got, x) in output.iter().zip(maps.iter().chain(&maps)) {
        assert!((got - x / 4.0).abs() < 1e-6, "{got} of {x}");
    }
}

#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn every_step_equals_the_cpu() {
    assert_like_the_cpu(KernelForm::default(), RELATIVE);
}

#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn tiles_in_workgroup_memory_equal_the_cpu() {
    let kernels = KernelForm {
        workgroup_tiles: true,
        half: false,
    };
    assert_like_the_cpu(kernels, RELATIVE);
}

#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn sixteen_bit_floats_are_close_to_the_cpu() {
    let kernels = KernelForm {
        workgroup_tiles: true,
        half: true,
    };
    assert_like_the_cpu(kernels, RELATIVE_HALF);
}
