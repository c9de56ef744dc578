//! A network in folded form: feature maps in NHWC order and the few operations between them.
//!
//! Batch norm is folded into the convolutions, so each operation has weights, a bias and an activation. The same
//! plan is carried out by the GPU's kernels and by the CPU's loops. The number of pictures is open until it runs.

use std::ops::Range;

pub use affectlens_cpu::Activation;

/// Number of a feature map in a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Map(usize);

impl Map {
    /// Place in [`Plan::maps`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// Size of one picture's feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapShape {
    /// Rows, pixels.
    pub height: usize,
    /// Columns, pixels.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl MapShape {
    /// Rows times columns.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Numbers of one picture.
    pub fn len(&self) -> usize {
        self.pixels() * self.channels
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Weights with the bias and the activation that follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    /// Output channel last; the order of the other axes is that of the [`Step`].
    pub weight: Vec<f32>,
    /// One an output channel.
    pub bias: Vec<f32>,
    /// What follows the bias.
    pub activation: Activation,
    /// One an output channel for [`Activation::Prelu`], else empty.
    pub slopes: Vec<f32>,
}

impl Weighted {
    /// From the order of PyTorch and of the canonical weights files.
    ///
    /// # Shapes
    ///
    /// - weight: `[outputs, inputs, kernel, kernel]`; `[channels, 1, kernel, kernel]` if depthwise
    /// - bias: `[outputs]`
    ///
    /// # Panics
    ///
    /// If the weight is not a multiple of the bias.
    pub fn from_outputs_first(
        weight: &[f32],
        bias: &[f32],
        kernel: usize,
        activation: Activation,
    ) -> Self {
        let outputs = bias.len();
        let taps = kernel * kernel;
        assert_eq!(weight.len() % (outputs * taps), 0, "weights of a kernel");
        let inputs = weight.len() / (outputs * taps);
        let mut reordered = Vec::with_capacity(weight.len());
        for tap in 0..taps {
            for input in 0..inputs {
                reordered.extend((0..outputs).map(|o| weight[(o * inputs + input) * taps + tap]));
            }
        }
        Self {
            weight: reordered,
            bias: bias.to_vec(),
            activation,
            slopes: Vec::new(),
        }
    }
}

/// Weighted sums over the rows and over the columns of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct LineSums {
    /// `[width, channels]` for rows, then `[height, channels]` for columns.
    pub weight: Vec<f32>,
    /// `[2, channels]`: of rows, of columns.
    pub bias: Vec<f32>,
}

/// Where a kernel looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Side of the square kernel, pixels.
    pub kernel: usize,
    /// Step between outputs, pixels.
    pub stride: usize,
    /// Pixels of padding above and to the left; what is needed below and to the right follows from the output's
    /// size. Padding is zero.
    pub before: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
}

impl Window {
    /// TensorFlow's SAME padding: `ceil(side / stride)` outputs, an odd pixel of padding goes below and right.
    pub fn same(input: MapShape, kernel: usize, stride: usize) -> Self {
        let axis = |side: usize| {
            let outputs = side.div_ceil(stride);
            let total = ((outputs - 1) * stride + kernel).saturating_sub(side);
            (outputs, total / 2)
        };
        let ((height, above), (width, left)) = (axis(input.height), axis(input.width));
        Self {
            kernel,
            stride,
            before: [above, left],
            output: [height, width],
        }
    }

    /// PyTorch's symmetric padding.
    ///
    /// # Panics
    ///
    /// If the kernel is larger than the padded input.
    pub fn symmetric(input: MapShape, kernel: usize, stride: usize, padding: usize) -> Self {
        let axis = |side: usize| {
            let room = (side + 2 * padding).checked_sub(kernel);
            room.expect("the kernel fits into the padded input") / stride + 1
        };
        Self {
            kernel,
            stride,
            before: [padding; 2],
            output: [axis(input.height), axis(input.width)],
        }
    }
}

/// A map that is added before the activation. Channels that it does not have count as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortcut {
    /// As large as the output, or with [`pooled`](Self::pooled) twice as large.
    pub map: Map,
    /// Whether the largest of each 2x2 pixels is added.
    pub pooled: bool,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Every output channel sees every input channel. Weights `[kernel, kernel, inputs, outputs]`.
    Convolution {
        /// Read.
        input: Map,
        /// Written.
        output: Map,
        /// Where the kernel looks.
        window: Window,
        /// Weights, bias, activation.
        weighted: Weighted,
        /// As large as the output; added before the activation.
        shortcut: Option<Map>,
    },
    /// Every channel on its own, or in a group of two neighbours. Weights `[kernel, kernel, group, channels]`.
    Depthwise {
        /// Read.
        input: Map,
        /// Written.
        output: Map,
        /// Where the kernel looks.
        window: Window,
        /// Channels of a group: one or two.
        group: usize,
        /// Weights, bias, activation.
        weighted: Weighted,
    },
    /// A 1x1 convolution of stride one; on a map of one pixel, a fully connected layer. Weights `[inputs, outputs]`.
    Pointwise {
        /// Read.
        input: Map,
        /// Written.
        output: Map,
        /// Weights, bias, activation.
        weighted: Weighted,
        /// A map of one pixel that the input's channels are multiplied with.
        gate: Option<Map>,
        /// What is added before the activation.
        shortcut: Option<Shortcut>,
    },
    /// Mean of each channel, two fully connected layers: the gate of a later pointwise convolution (Hu et al. 2018).
    SqueezeExcite {
        /// Read.
        input: Map,
        /// Written; one pixel.
        output: Map,
        /// `[channels, squeezed]`
        reduce: Weighted,
        /// `[squeezed, channels]`
        excite: Weighted,
    },
    /// Mean or weighted sum of each row and each column, a fully connected layer, and another one for rows or for
    /// columns: gates of a later [`Step::LineGate`] (coordinate attention, Hou et al. 2021).
    CoordinateAttention {
        /// Read.
        input: Map,
        /// Written; `[height + width, 1, channels]`, rows first.
        output: Map,
        /// How lines are summed up; none for means.
        sums: Option<LineSums>,
        /// `[channels, squeezed]`
        reduce: Weighted,
        /// `[squeezed, channels]`, with a sigmoid.
        rows: Weighted,
        /// `[squeezed, channels]`, with a sigmoid.
        columns: Weighted,
    },
    /// Every pixel times the gates of its row and its column.
    LineGate {
        /// Read.
        input: Map,
        /// Written.
        output: Map,
        /// What a [`Step::CoordinateAttention`] wrote.
        gates: Map,
        /// The same of another; then the larger of both products counts.
        others: Option<Map>,
    },
    /// Mean of each channel over all pixels.
    Average {
        /// Read.
        input: Map,
        /// Written; one pixel.
        output: Map,
    },
    /// Largest pixel of each window; padding never wins.
    MaxPool {
        /// Read.
        input: Map,
        /// Written.
        output: Map,
        /// Where it looks.
        window: Window,
    },
    /// Over the channels of each pixel: `(x - mean) / sqrt(variance + epsilon) * scale + bias`.
    LayerNorm {
        /// Read.
        input: Map,
        /// Written.
        output: Map,
        /// One a channel.
        scale: Vec<f32>,
        /// One a channel.
        bias: Vec<f32>,
        /// Added to the variance.
        epsilon: f32,
    },
}

impl Step {
    /// The map that it writes.
    pub fn output(&self) -> Map {
        match self {
            Self::Convolution { output, .. }
            | Self::Depthwise { output, .. }
            | Self::Pointwise { output, .. }
            | Self::SqueezeExcite { output, .. }
            | Self::CoordinateAttention { output, .. }
            | Self::LineGate { output, .. }
            | Self::Average { output, .. }
            | Self::MaxPool { output, .. }
            | Self::LayerNorm { output, .. } => *output,
        }
    }

    /// The maps that it reads.
    pub fn inputs(&self) -> Vec<Map> {
        match self {
            Self::Pointwise {
                input,
                gate,
                shortcut,
                ..
            } => [
                Some(*input),
                *gate,
                shortcut.as_ref().map(|shortcut| shortcut.map),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Self::LineGate {
                input,
                gates,
                others,
                ..
            } => [Some(*input), Some(*gates), *others]
                .into_iter()
                .flatten()
                .collect(),
            Self::Convolution {
                input, shortcut, ..
            } => [Some(*input), *shortcut].into_iter().flatten().collect(),
            Self::Depthwise { input, .. }
            | Self::SqueezeExcite { input, .. }
            | Self::CoordinateAttention { input, .. }
            | Self::Average { input, .. }
            | Self::MaxPool { input, .. }
            | Self::LayerNorm { input, .. } => vec![*input],
        }
    }
}

/// A network: maps, and steps in the order in which they run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    maps: Vec<MapShape>,
    steps: Vec<Step>,
    outputs: Vec<Map>,
}

impl Plan {
    /// Starts a plan whose input, [`Planner::input`], has that size.
    pub fn of_input(height: usize, width: usize, channels: usize) -> Planner {
        let input = MapShape {
            height,
            width,
            channels,
        };
        Planner {
            maps: vec![input],
            steps: Vec::new(),
        }
    }

    /// Sizes of all maps; the first is the input.
    pub fn maps(&self) -> &[MapShape] {
        &self.maps
    }

    /// Size of a map.
    pub fn shape(&self, map: Map) -> MapShape {
        self.maps[map.0]
    }

    /// Size of the input.
    pub fn input(&self) -> MapShape {
        self.maps[0]
    }

    /// The operations in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Maps that are given out, in order.
    pub fn outputs(&self) -> &[Map] {
        &self.outputs
    }

    /// Numbers that are given out for one picture, and which of them each output is.
    pub fn output_ranges(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        let mut ranges = Vec::new();
        for map in &self.outputs {
            let end = start + self.shape(*map).len();
            ranges.push(start..end);
            start = end;
        }
        ranges
    }
}

/// Builds a [`Plan`] step by step.
///
/// Its methods panic where sizes do not fit: the tables of the networks say them, and weights are checked against
/// those tables before they get here.
#[derive(Clone, Debug)]
pub struct Planner {
    maps: Vec<MapShape>,
    steps: Vec<Step>,
}

impl Planner {
    /// The network's input.
    pub fn input(&self) -> Map {
        Map(0)
    }

    /// Size of a map.
    pub fn shape(&self, map: Map) -> MapShape {
        self.maps[map.0]
    }

    /// Adds a [`Step::Convolution`] that only convolves.
    pub fn convolution(&mut self, input: Map, window: Window, weighted: Weighted) -> Map {
        self.residual_convolution(input, window, weighted, None)
    }

    /// Adds a [`Step::Convolution`].
    pub fn residual_convolution(
        &mut self,
        input: Map,
        window: Window,
        weighted: Weighted,
        shortcut: Option<Map>,
    ) -> Map {
        let outputs = weighted.bias.len();
        let taps = window.kernel * window.kernel;
        check(
            &weighted,
            taps * self.shape(input).channels * outputs,
            outputs,
        );
        let output = self.map_of(window, outputs);
        if let Some(shortcut) = shortcut {
            let expected = self.shape(output);
            assert_eq!(self.shape(shortcut), expected, "shortcut of a convolution");
        }
        self.steps.push(Step::Convolution {
            input,
            output,
            window,
            weighted,
            shortcut,
        });
        output
    }

    /// Adds a [`Step::Depthwise`] whose channels are on their own.
    pub fn depthwise(&mut self, input: Map, window: Window, weighted: Weighted) -> Map {
        self.grouped(input, window, weighted, 1)
    }

    /// Adds a [`Step::Depthwise`] in groups of two channels; the kernel is 3 and the stride 1.
    pub fn pairwise(&mut self, input: Map, window: Window, weighted: Weighted) -> Map {
        self.grouped(input, window, weighted, 2)
    }

    fn grouped(&mut self, input: Map, window: Window, weighted: Weighted, group: usize) -> Map {
        let channels = self.shape(input).channels;
        assert_eq!(channels % group, 0, "channels of a group");
        check(
            &weighted,
            window.kernel * window.kernel * group * channels,
            channels,
        );
        let output = self.map_of(window, channels);
        self.steps.push(Step::Depthwise {
            input,
            output,
            window,
            group,
            weighted,
        });
        output
    }

    /// Adds a [`Step::Pointwise`] that only convolves.
    pub fn pointwise(&mut self, input: Map, weighted: Weighted) -> Map {
        self.gated_pointwise(input, weighted, None, None)
    }

    /// Adds a [`Step::Pointwise`].
    pub fn gated_pointwise(
        &mut self,
        input: Map,
        weighted: Weighted,
        gate: Option<Map>,
        shortcut: Option<Shortcut>,
    ) -> Map {
        let from = self.shape(input);
        let outputs = weighted.bias.len();
        check(&weighted, from.channels * outputs, outputs);
        if let Some(gate) = gate {
            let expected = MapShape {
                height: 1,
                width: 1,
                ..from
            };
            assert_eq!(
                self.shape(gate),
                expected,
                "gate of a pointwise convolution"
            );
        }
        if let Some(shortcut) = shortcut {
            let shape = self.shape(shortcut.map);
            let scale = if shortcut.pooled { 2 } else { 1 };
            assert_eq!(
                [shape.height, shape.width],
                [from.height * scale, from.width * scale],
                "shortcut of a pointwise convolution"
            );
            assert!(
                shape.channels <= outputs,
                "shortcut of {} channels, output of {outputs}",
                shape.channels
            );
        }
        let output = self.add(MapShape {
            channels: outputs,
            ..from
        });
        self.steps.push(Step::Pointwise {
            input,
            output,
            weighted,
            gate,
            shortcut,
        });
        output
    }

    /// Adds a [`Step::SqueezeExcite`].
    pub fn squeeze_excite(&mut self, input: Map, reduce: Weighted, excite: Weighted) -> Map {
        let channels = self.shape(input).channels;
        let squeezed = reduce.bias.len();
        check(&reduce, channels * squeezed, squeezed);
        check(&excite, channels * squeezed, channels);
        let output = self.one_pixel(channels);
        self.steps.push(Step::SqueezeExcite {
            input,
            output,
            reduce,
            excite,
        });
        output
    }

    /// Adds a [`Step::CoordinateAttention`]; its map is for [`line_gate`](Self::line_gate) alone.
    pub fn coordinate_attention(
        &mut self,
        input: Map,
        sums: Option<LineSums>,
        reduce: Weighted,
        rows: Weighted,
        columns: Weighted,
    ) -> Map {
        let MapShape {
            height,
            width,
            channels,
        } = self.shape(input);
        let squeezed = reduce.bias.len();
        check(&reduce, channels * squeezed, squeezed);
        for excite in [&rows, &columns] {
            check(excite, channels * squeezed, channels);
            assert_eq!(excite.activation, Activation::Sigmoid, "gates of lines");
        }
        if let Some(LineSums { weight, bias }) = &sums {
            assert_eq!(
                [weight.len(), bias.len()],
                [(height + width) * channels, 2 * channels],
                "weights and biases of lines"
            );
        }
        let output = self.add(MapShape {
            height: height + width,
            width: 1,
            channels,
        });
        self.steps.push(Step::CoordinateAttention {
            input,
            output,
            sums,
            reduce,
            rows,
            columns,
        });
        output
    }

    /// Adds a [`Step::LineGate`].
    pub fn line_gate(&mut self, input: Map, gates: Map, others: Option<Map>) -> Map {
        let shape = self.shape(input);
        for gates in [Some(gates), others].into_iter().flatten() {
            let expected = MapShape {
                height: shape.height + shape.width,
                width: 1,
                ..shape
            };
            assert_eq!(self.shape(gates), expected, "gates of lines");
        }
        let output = self.add(shape);
        self.steps.push(Step::LineGate {
            input,
            output,
            gates,
            others,
        });
        output
    }

    /// Puts the channels of two maps of one pixel one after the other: a [`Step::Pointwise`] moves those of the second,
    /// those of the first are its shortcut.
    pub fn concatenate(&mut self, first: Map, second: Map) -> Map {
        let [start, count] = [first, second].map(|map| self.shape(map).channels);
        let outputs = start + count;
        let mut weight = vec![0.0; count * outputs];
        for input in 0..count {
            weight[input * outputs + start + input] = 1.0;
        }
        let weighted = Weighted {
            weight,
            bias: vec![0.0; outputs],
            activation: Activation::Identity,
            slopes: Vec::new(),
        };
        let shortcut = Shortcut {
            map: first,
            pooled: false,
        };
        self.gated_pointwise(second, weighted, None, Some(shortcut))
    }

    /// Adds a [`Step::Average`].
    pub fn average(&mut self, input: Map) -> Map {
        let output = self.one_pixel(self.shape(input).channels);
        self.steps.push(Step::Average { input, output });
        output
    }

    /// Adds a [`Step::MaxPool`].
    pub fn max_pool(&mut self, input: Map, window: Window) -> Map {
        let output = self.map_of(window, self.shape(input).channels);
        self.steps.push(Step::MaxPool {
            input,
            output,
            window,
        });
        output
    }

    /// Adds a [`Step::LayerNorm`].
    pub fn layer_norm(&mut self, input: Map, scale: Vec<f32>, bias: Vec<f32>, epsilon: f32) -> Map {
        let shape = self.shape(input);
        assert_eq!(
            [scale.len(), bias.len()],
            [shape.channels; 2],
            "layer norm's scale and bias"
        );
        let output = self.add(shape);
        self.steps.push(Step::LayerNorm {
            input,
            output,
            scale,
            bias,
            epsilon,
        });
        output
    }

    /// Ends the plan with the maps that it gives out. Gates of lines cannot be among them: devices lay them out
    /// differently.
    pub fn finish(self, outputs: &[Map]) -> Plan {
        let gates_lines = |step: &&Step| matches!(step, Step::CoordinateAttention { .. });
        let mut gates = self.steps.iter().filter(gates_lines).map(Step::output);
        assert!(
            !gates.any(|map| outputs.contains(&map)),
            "gates of lines are no output of a plan"
        );
        Plan {
            maps: self.maps,
            steps: self.steps,
            outputs: outputs.to_vec(),
        }
    }

    fn add(&mut self, shape: MapShape) -> Map {
        self.maps.push(shape);
        Map(self.maps.len() - 1)
    }

    fn one_pixel(&mut self, channels: usize) -> Map {
        self.add(MapShape {
            height: 1,
            width: 1,
            channels,
        })
    }

    fn map_of(&mut self, window: Window, channels: usize) -> Map {
        let [height, width] = window.output;
        self.add(MapShape {
            height,
            width,
            channels,
        })
    }
}

fn check(weighted: &Weighted, weights: usize, outputs: usize) {
    let slopes = match weighted.activation {
        Activation::Prelu => outputs,
        _ => 0,
    };
    assert_eq!(
        [
            weighted.weight.len(),
            weighted.bias.len(),
            weighted.slopes.len()
        ],
        [weights, outputs, slopes],
        "weights, biases and slopes of a step"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(side: usize) -> MapShape {
        MapShape {
            height: side,
            width: side,
            channels: 1,
        }
    }

    #[test]
    fn same_padding_matches_the_published_tables() {
        let of = |side, kernel, stride| {
            let window = Window::same(square(side), kernel, stride);
            (window.output[0], window.before[0])
        };
        // EfficientNet-B0 at 224 pixels, then B2 at 260, whose sides are odd.
        assert_eq!(
            [of(224, 3, 2), of(112, 3, 2), of(56, 5, 2), of(28, 3, 2)],
            [(112, 0), (56, 0), (28, 1), (14, 0)]
        );
        assert_eq!(
            [of(65, 5, 2), of(33, 3, 2), of(9, 5, 1)],
            [(33, 2), (17, 1), (9, 2)]
        );
    }

    #[test]
    fn symmetric_padding_gives_pytorchs_sizes() {
        let of = |side, kernel, stride, padding| {
            Window::symmetric(square(side), kernel, stride, padding).output[0]
        };
        assert_eq!(
            [
                of(112, 3, 2, 1),
                of(224, 4, 4, 0),
                of(7, 7, 1, 0),
                of(56, 7, 1, 3)
            ],
            [56, 56, 1, 56]
        );
    }

    #[test]
    fn weights_are_reordered_with_outputs_last() {
        // Two outputs, three inputs, one pixel; then depthwise, two channels of 2x2.
        let dense = Weighted::from_outputs_first(
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            &[0.0; 2],
            1,
            Activation::Identity,
        );
        assert_eq!(dense.weight, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let depthwise = Weighted::from_outputs_first(
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            &[0.0; 2],
            2,
            Activation::Identity,
        );
        assert_eq!(depthwise.weight, [1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0]);
    }
}
