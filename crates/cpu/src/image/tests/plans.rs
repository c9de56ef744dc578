//! Networks that bytes stand for: any bytes make one.

use std::collections::BTreeSet;

use crate::{Activation, LineSums, Map, MapShape, Plan, Planner, Shortcut, Weighted, Window};

/// Most steps of a network.
const MOST_STEPS: usize = 8;
/// Letters of the kinds of steps.
const LETTERS: [char; 13] = [
    'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
];
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
/// A picture and one of each step.
pub(super) const EVERY_STEP: [u8; 45] = [
    7, 7, 2, 0, 2, 0, 7, 1, 1, 0, 1, 2, 11, 3, 3, 5, 4, 4, 5, 2, 1, 6, 1, 7, 8, 9, 9, 2, 10, 1, 11,
    1, 3, 12, 1, 13, 2, 0, 1, 14, 3, 1, 2, 15, 15,
];

struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    /// A number below `end`; 0 behind the last byte.
    fn below(&mut self, end: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % end
    }

    fn activation(&mut self) -> Activation {
        ACTIVATIONS[self.below(ACTIVATIONS.len())]
    }
}

/// The network of some bytes, and a letter for each kind of step in it.
pub(super) fn plan_of(bytes: &[u8]) -> (Plan, String) {
    let mut bytes = Bytes(bytes.iter());
    let [height, width] = [0; 2].map(|_| 1 + bytes.below(14));
    let mut planner = Plan::of_input(height, width, 1 + bytes.below(36));
    let mut last = planner.input();
    let mut outputs = Vec::new();
    let mut kinds = BTreeSet::new();
    for _ in 0..MOST_STEPS {
        if bytes.0.as_slice().is_empty() {
            break;
        }
        if bytes.below(8) == 7 && last != planner.input() {
            outputs.push(last);
        }
        let kind = bytes.below(LETTERS.len());
        kinds.insert(LETTERS[kind]);
        last = add(kind, &mut planner, &mut bytes, last);
    }
    outputs.push(last);
    (planner.finish(&outputs), kinds.into_iter().collect())
}

fn add(kind: usize, planner: &mut Planner, bytes: &mut Bytes, map: Map) -> Map {
    let shape = planner.shape(map);
    let channels = shape.channels;
    match kind {
        0 => {
            let kernel = 1 + bytes.below(5);
            let window = window(bytes, shape, kernel);
            let outputs = 1 + bytes.below(50);
            let taps = window.kernel * window.kernel;
            let layer = layer(taps * channels, outputs, bytes.activation());
            planner.convolution(map, window, layer)
        }
        1 => {
            // Even ones have no loop and are refused.
            let kernel = [3, 5, 7, 3, 9, 4][bytes.below(6)];
            let window = window(bytes, shape, kernel);
            let layer = layer(kernel * kernel, channels, bytes.activation());
            planner.depthwise(map, window, layer)
        }
        2 => {
            let outputs = 1 + bytes.below(50);
            planner.pointwise(map, layer(channels, outputs, bytes.activation()))
        }
        3 => {
            let squeezed = 1 + bytes.below(9);
            let reduce = layer(channels, squeezed, bytes.activation());
            let excite = layer(squeezed, channels, Activation::Sigmoid);
            let gate = planner.squeeze_excite(map, reduce, excite);
            let layer = layer(channels, 1 + bytes.below(20), bytes.activation());
            planner.gated_pointwise(map, layer, Some(gate), None)
        }
        4 => planner.average(map),
        5 => {
            let kernel = 1 + bytes.below(3);
            let window = window(bytes, shape, kernel);
            planner.max_pool(map, window)
        }
        6 => {
            let scale = numbers(channels, 1.0);
            planner.layer_norm(map, scale, numbers(channels, 0.5), 1e-3)
        }
        7 => {
            let layer = layer(channels, channels + bytes.below(3), bytes.activation());
            let shortcut = Shortcut { map, pooled: false };
            planner.gated_pointwise(map, layer, None, Some(shortcut))
        }
        8 => {
            let lines = shape.height + shape.width;
            let sums = (bytes.below(2) == 1).then(|| LineSums {
                weight: numbers(lines * channels, 0.1),
                bias: numbers(2 * channels, 0.1),
            });
            let squeezed = 1 + bytes.below(9);
            let reduce = layer(channels, squeezed, bytes.activation());
            let excite = || layer(squeezed, channels, Activation::Sigmoid);
            let gates = planner.coordinate_attention(map, sums, reduce, excite(), excite());
            planner.line_gate(map, gates, None)
        }
        9 if shape.height.is_multiple_of(2) && shape.width.is_multiple_of(2) => {
            let small = planner.max_pool(map, Window::same(shape, 2, 2));
            match bytes.below(2) {
                0 => planner.enlarge(small, Activation::Relu, map),
                _ => {
                    let layer = layer(channels, channels, bytes.activation());
                    let shortcut = Shortcut { map, pooled: true };
                    planner.gated_pointwise(small, layer, None, Some(shortcut))
                }
            }
        }
        10 if channels.is_multiple_of(2) => {
            let layer = layer(18, channels, bytes.activation());
            planner.pairwise(map, Window::same(shape, 3, 1), layer)
        }
        11 => {
            let heads = 1 + bytes.below(3);
            let width = heads * (1 + bytes.below(9));
            let all = planner.pointwise(map, layer(channels, 3 * width, Activation::Identity));
            planner.attention(all, heads)
        }
        _ => {
            let patch = 1 + bytes.below(2);
            if !(shape.height.is_multiple_of(patch) && shape.width.is_multiple_of(patch)) {
                return planner.average(map);
            }
            let rows = planner.unfold(map, patch);
            let layer = layer(channels, channels, bytes.activation());
            let rows = planner.pointwise(rows, layer);
            planner.fold(rows, patch, [shape.height, shape.width])
        }
    }
}

fn window(bytes: &mut Bytes, shape: MapShape, kernel: usize) -> Window {
    let stride = 1 + bytes.below(2);
    let padding = kernel / 2;
    let fits = shape.height.min(shape.width) + 2 * padding >= kernel;
    match bytes.below(2) {
        0 if fits => Window::symmetric(shape, kernel, stride, padding),
        _ => Window::same(shape, kernel, stride),
    }
}

/// A layer of so many outputs, each of which sees so many numbers.
fn layer(inputs: usize, outputs: usize, activation: Activation) -> Weighted {
    let slopes = match activation {
        Activation::Prelu => outputs,
        _ => 0,
    };
    Weighted {
        weight: numbers(inputs * outputs, 1.0 / (inputs as f32).sqrt()),
        bias: numbers(outputs, 0.5),
        activation,
        slopes: numbers(slopes, 0.5),
    }
}

fn numbers(count: usize, scale: f32) -> Vec<f32> {
    (0..count)
        .map(|it| (it as f32 * 1.7).sin() * scale)
        .collect()
}
