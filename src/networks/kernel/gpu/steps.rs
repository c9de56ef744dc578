//! Turns steps into dispatches, one function for each kind of step.

use super::channels::{Enlarge, LineGate, SqueezeExcite, Squeezed, Sums, groups, layer_norm};
use super::padding::{pad, pad_weight, padded_weight_and_bias, transpose};
use super::pointwise::{GateForm, Pointwise, ShortcutForm, Tiling};
use super::shader::Element;
use super::windows::Windowed;
use super::writer::Writer;
use super::{Buffer, Read};
use crate::kernel::{Activation, LineSums, Map, MapShape, Shortcut, Span, Step, Weighted, Window};

/// Above this number of pixels, means are taken in two dispatches: one group alone would leave the GPU idle.
const ONE_GROUP_PIXELS: usize = 56 * 56;
/// Pixels of which one group then takes the sum.
const SLICE_PIXELS: usize = 256;

/// Neighbouring pixels of a row that an invocation computes, so that they share what they read.
const ROW_PIXELS: usize = 4;

impl Writer<'_> {
    /// Adds the dispatches of a step.
    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Convolution {
                input,
                output,
                window,
                weighted,
                shortcut,
            } => {
                let windowed = self.windowed(*input, *output, *window, weighted.activation);
                self.convolution(windowed, [*input, *output], weighted, *shortcut);
            }
            Step::Depthwise {
                input,
                output,
                window,
                group,
                weighted,
            } => self.depthwise(*input, *output, *window, *group, weighted),
            Step::MaxPool {
                input,
                output,
                window,
            } => {
                let windowed = self.windowed(*input, *output, *window, Activation::Identity);
                self.max_pool(windowed, *input, *output);
            }
            Step::Pointwise {
                input,
                output,
                weighted,
                gate,
                shortcut,
            } => self.pointwise(*input, *output, weighted, *gate, *shortcut),
            Step::SqueezeExcite {
                input,
                output,
                reduce,
                excite,
            } => self.squeeze_excite(*input, *output, reduce, excite),
            Step::CoordinateAttention {
                input,
                output,
                sums,
                reduce,
                rows,
                columns,
            } => self.attention(*input, *output, sums.as_ref(), reduce, [rows, columns]),
            Step::LineGate {
                input,
                output,
                gates,
                others,
            } => self.line_gate(*input, *output, *gates, *others),
            Step::Average { input, output } => self.average(*input, *output),
            Step::Enlarge {
                input,
                output,
                activation,
                addend,
            } => self.enlarge(*input, *output, *activation, *addend),
            Step::LayerNorm {
                input,
                output,
                scale,
                bias,
                epsilon,
            } => self.layer_norm(*input, *output, [scale, bias], *epsilon),
            Step::Sequence(sequence) => self.sequence(sequence),
            Step::Clip(clip) => self.clip(clip),
        }
    }

    /// A dense convolution over a window.
    pub(super) fn convolution(
        &mut self,
        windowed: Windowed,
        [input, output]: [Map; 2],
        weighted: &Weighted,
        shortcut: Option<Map>,
    ) {
        // The network's input has as many channels in memory as it has.
        let stored = self.buffer(input).stored;
        let windowed = Windowed {
            from: MapShape {
                channels: stored,
                ..windowed.from
            },
            shortcut: shortcut.map(|map| self.buffer(map).element),
            ..windowed
        };
        let mut reads = vec![Read::Buffer(input.index())];
        let inputs = self.plan.shape(input).channels;
        reads.extend(self.weight_and_bias(weighted, inputs, stored));
        reads.extend(shortcut.map(|map| Read::Buffer(map.index())));
        reads.extend(self.slopes(weighted));
        self.push(
            windowed.convolution(),
            reads,
            output.index(),
            move |batch| windowed.launch(batch),
        );
    }

    fn depthwise(
        &mut self,
        input: Map,
        output: Map,
        window: Window,
        group: usize,
        weighted: &Weighted,
    ) {
        let windowed = self.windowed(input, output, window, weighted.activation);
        let shader = match group {
            1 => windowed.depthwise(),
            _ => windowed.pairwise(),
        };
        let mut reads = vec![Read::Buffer(input.index())];
        reads.extend(self.weight_and_bias(weighted, 1, 1));
        reads.extend(self.slopes(weighted));
        self.push(shader, reads, output.index(), move |batch| {
            windowed.launch(batch)
        });
    }

    /// The largest of each window.
    pub(super) fn max_pool(&mut self, windowed: Windowed, input: Map, output: Map) {
        let windowed = Windowed {
            pixels: 1,
            ..windowed
        };
        let reads = vec![Read::Buffer(input.index())];
        self.push(windowed.max_pool(), reads, output.index(), move |batch| {
            windowed.launch(batch)
        });
    }

    /// A window over pictures.
    pub(super) fn windowed(
        &self,
        input: Map,
        output: Map,
        window: Window,
        activation: Activation,
    ) -> Windowed {
        Windowed {
            from: self.plan.shape(input),
            outputs: self.buffer(output).stored / 4,
            window,
            span: Span::PICTURE,
            activation,
            input: self.buffer(input).element,
            output: self.buffer(output).element,
            weight: self.weight_element(),
            pixels: ROW_PIXELS,
            shortcut: None,
        }
    }

    fn pointwise(
        &mut self,
        input: Map,
        output: Map,
        weighted: &Weighted,
        gate: Option<Map>,
        shortcut: Option<Shortcut>,
    ) {
        let (input, gate, gate_form) = self.gate_of(input, gate);
        let shape = self.plan.shape(input);
        let stored = self.buffer(input).stored;
        assert_eq!(
            stored % 4,
            0,
            "inputs of a pointwise convolution come in fours"
        );
        let kernel = Pointwise {
            inputs: stored / 4,
            outputs: self.buffer(output).stored / 4,
            activation: weighted.activation,
            pixels: shape.pixels(),
            gate: gate_form,
            shortcut: shortcut.map(|shortcut| ShortcutForm {
                channels: self.buffer(shortcut.map).stored / 4,
                pooled_width: shortcut.pooled.then_some(shape.width),
                element: self.buffer(shortcut.map).element,
            }),
            input: self.buffer(input).element,
            output: self.buffer(output).element,
            weight: self.weight_element(),
        };
        let tiling = self.tiling(shape);
        let mut reads = vec![Read::Buffer(input.index())];
        reads.extend(self.weight_and_bias(weighted, shape.channels, stored));
        reads.extend(gate.map(|gate| Read::Buffer(gate.index())));
        reads.extend(shortcut.map(|shortcut| Read::Buffer(shortcut.map.index())));
        reads.extend(self.slopes(weighted));
        self.push(kernel.shader(tiling), reads, output.index(), move |batch| {
            kernel.launch(tiling, batch)
        });
    }

    /// The map that a pointwise convolution of `input` reads, and its gates.
    fn gate_of(&self, input: Map, gate: Option<Map>) -> (Map, Option<Map>, Option<GateForm>) {
        match (self.line_gated.get(&input.index()), gate) {
            (Some(&(input, gates)), _) => {
                let width = self.plan.shape(input).width;
                (input, Some(gates), Some(GateForm::Lines { width }))
            }
            (None, Some(gate)) => (input, Some(gate), Some(GateForm::Channels)),
            (None, None) => (input, None, None),
        }
    }

    fn tiling(&self, shape: MapShape) -> Tiling {
        match shape.pixels() {
            1 => Tiling::Dense,
            49.. if self.form.workgroup_tiles => Tiling::Workgroup,
            _ => Tiling::Registers,
        }
    }

    fn squeeze_excite(&mut self, input: Map, output: Map, reduce: &Weighted, excite: &Weighted) {
        let (source, divisor) = self.sums(input.index());
        let pixels = Squeezed::Pixels {
            pixels: self.buffers[source].pixels,
            divisor,
        };
        self.squeeze(source, output, pixels, reduce, &[excite], None);
    }

    fn attention(
        &mut self,
        input: Map,
        output: Map,
        sums: Option<&LineSums>,
        reduce: &Weighted,
        excite: [&Weighted; 2],
    ) {
        let MapShape { height, width, .. } = self.plan.shape(input);
        let lines = Squeezed::Lines {
            height,
            width,
            is_weighted: sums.is_some(),
        };
        self.squeeze(input.index(), output, lines, reduce, &excite, sums);
    }

    /// `excite` holds one layer, or one of rows and one of columns.
    fn squeeze(
        &mut self,
        source: usize,
        output: Map,
        pixels: Squeezed,
        reduce: &Weighted,
        excite: &[&Weighted],
        sums: Option<&LineSums>,
    ) {
        let channels = self.plan.shape(output).channels;
        let squeezed = reduce.bias.len();
        let kernel = SqueezeExcite {
            pixels,
            channels: self.buffers[source].stored / 4,
            squeezed: squeezed.div_ceil(4),
            reduce: reduce.activation,
            excite: excite[0].activation,
            input: self.buffers[source].element,
            weight: self.weight_element(),
        };
        let weight = pad_weight(
            &reduce.weight,
            [channels, squeezed],
            channels.next_multiple_of(4),
        );
        let stored = squeezed.next_multiple_of(4);
        let outputs_first = transpose(&weight, stored);
        let (weights, biases): (Vec<_>, Vec<_>) = excite
            .iter()
            .map(|layer| padded_weight_and_bias(layer, squeezed, stored))
            .unzip();
        let mut reads = vec![
            Read::Buffer(source),
            self.parameter(&outputs_first, self.weight_element()),
            self.parameter(&pad(&reduce.bias), Element::F32),
            self.parameter(&weights.concat(), self.weight_element()),
            self.parameter(&biases.concat(), Element::F32),
        ];
        if let Some(LineSums { weight, bias }) = sums {
            let rows = [weight.as_slice(), bias].concat();
            let rows = pad_weight(&rows, [1, channels], 1);
            reads.push(self.parameter(&rows, Element::F32));
        }
        self.push(kernel.shader(), reads, output.index(), move |batch| {
            kernel.launch(batch)
        });
    }

    fn line_gate(&mut self, input: Map, output: Map, gates: Map, others: Option<Map>) {
        if others.is_none() && self.is_gated_on_the_way(output) {
            self.line_gated.insert(output.index(), (input, gates));
            return;
        }
        let shape = self.plan.shape(input);
        let kernel = LineGate {
            height: shape.height,
            width: shape.width,
            channels: self.buffer(input).stored / 4,
            has_others: others.is_some(),
            input: self.buffer(input).element,
            output: self.buffer(output).element,
        };
        let reads = [Some(input), Some(gates), others].into_iter().flatten();
        let reads = reads.map(|map| Read::Buffer(map.index())).collect();
        self.push(kernel.shader(), reads, output.index(), move |batch| {
            kernel.launch(batch)
        });
    }

    /// Whether a map goes into nothing but pointwise convolutions that read each pixel few times; the others would
    /// read gates more often than pixels.
    fn is_gated_on_the_way(&self, map: Map) -> bool {
        let is_read_well = |step: &Step| match step {
            Step::Pointwise {
                input,
                gate: None,
                shortcut,
                ..
            } => *input == map && shortcut.is_none_or(|shortcut| shortcut.map != map),
            _ => false,
        };
        let mut readers = self.plan.steps().iter();
        self.tiling(self.plan.shape(map)) == Tiling::Workgroup
            && !self.plan.outputs().contains(&map)
            && readers.all(|step| !step.inputs().contains(&map) || is_read_well(step))
    }

    fn average(&mut self, input: Map, output: Map) {
        let (source, divisor) = self.sums(input.index());
        let Buffer {
            pixels,
            stored,
            element,
        } = self.buffers[source];
        let sums = Sums {
            pixels,
            channels: stored / 4,
            slices: 1,
            divisor,
            input: element,
            output: self.buffer(output).element,
        };
        let reads = vec![Read::Buffer(source)];
        self.push(sums.shader(), reads, output.index(), move |batch| {
            sums.launch(batch)
        });
    }

    fn enlarge(&mut self, input: Map, output: Map, activation: Activation, addend: Map) {
        let shape = self.plan.shape(input);
        let kernel = Enlarge {
            activation,
            height: shape.height,
            width: shape.width,
            channels: self.buffer(input).stored / 4,
            elements: [input, addend, output].map(|map| self.buffer(map).element),
        };
        let reads = [input, addend].map(|map| Read::Buffer(map.index()));
        self.push(
            kernel.shader(),
            reads.into(),
            output.index(),
            move |batch| kernel.launch(batch),
        );
    }

    /// The buffer whose pixels add up to the map's, the map itself if it is small, and the map's pixels.
    fn sums(&mut self, map: usize) -> (usize, usize) {
        let Buffer {
            pixels,
            stored,
            element,
        } = self.buffers[map];
        if pixels <= ONE_GROUP_PIXELS {
            return (map, pixels);
        }
        let slices = pixels.div_ceil(SLICE_PIXELS);
        let sums = self.add(Buffer {
            pixels: slices,
            stored,
            element: Element::F32,
        });
        let kernel = Sums {
            pixels,
            channels: stored / 4,
            slices,
            divisor: 1,
            input: element,
            output: Element::F32,
        };
        let reads = vec![Read::Buffer(map)];
        self.push(kernel.shader(), reads, sums, move |batch| {
            kernel.launch(batch)
        });
        (sums, pixels)
    }

    fn layer_norm(&mut self, input: Map, output: Map, [scale, bias]: [&[f32]; 2], epsilon: f32) {
        let shape = self.plan.shape(input);
        let elements = [self.buffer(input).element, self.buffer(output).element];
        let shader = layer_norm(shape.channels, epsilon, elements);
        let reads = vec![
            Read::Buffer(input.index()),
            self.parameter(&pad(scale), Element::F32),
            self.parameter(&pad(bias), Element::F32),
        ];
        let pixels = shape.pixels();
        self.push(shader, reads, output.index(), move |batch| {
            (groups(batch * pixels), vec![batch * pixels])
        });
    }
}
