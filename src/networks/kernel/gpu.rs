//! Carries out a [`Plan`] with own kernels on Burn's GPU device.

mod channels;
mod context;
mod pointwise;
mod shader;
mod windows;

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::{Bytes, Tensor};
use half::f16;

use self::channels::{
    Gathered, LineGate, SqueezeExcite, Squeezed, Sums, gather, groups, join, layer_norm,
};
use self::pointwise::{GateForm, Pointwise, ShortcutForm, Tiling};
use self::windows::Windowed;
use super::{Activation, LineSums, Map, MapShape, Plan, Shortcut, Step, Weighted, Window};
use crate::device::KernelForm;
pub(crate) use context::{Gpu, GpuBuffer};
pub(crate) use shader::{Element, Shader, ShaderBuilder};

/// Above so many pixels, means are taken in two dispatches: one group alone would leave the GPU idle.
const ONE_GROUP_PIXELS: usize = 56 * 56;
/// Pixels of which one group then takes the sum.
const SLICE_PIXELS: usize = 256;

/// Neighbouring pixels of a row that an invocation computes, so that they share what they read.
const ROW_PIXELS: usize = 4;

/// Where a sigmoid is 2e-35.
const SIGMOID_IS_ZERO: f32 = -80.0;

/// A network on the GPU.
pub(super) struct GpuNetwork {
    gpu: Gpu,
    buffers: Vec<Buffer>,
    dispatches: Vec<Dispatch>,
    /// Buffer that holds the result.
    result: usize,
    /// Values of the result for one picture.
    values: usize,
}

/// A feature map in memory, or what lies between two dispatches of one step.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    pixels: usize,
    /// Channels with padding.
    stored: usize,
    element: Element,
}

/// One kernel with what it reads and writes.
struct Dispatch {
    shader: Shader,
    reads: Vec<Read>,
    output: usize,
    size: Box<dyn Fn(usize) -> (usize, Vec<usize>) + Send + Sync>,
    /// Buffers that nothing reads any more after it.
    last_reads: Vec<usize>,
}

enum Read {
    Buffer(usize),
    Parameter(GpuBuffer),
}

impl GpuNetwork {
    /// Puts the network's parameters on the device and writes its kernels.
    pub(super) fn new(plan: &Plan, gpu: &Gpu, form: KernelForm) -> Self {
        let mut writer = Writer::new(plan, gpu, form);
        for step in plan.steps() {
            writer.step(step);
        }
        let result = writer.result();
        let values = plan
            .outputs()
            .iter()
            .map(|map| plan.shape(*map).len())
            .sum();
        let mut network = Self {
            gpu: gpu.clone(),
            buffers: writer.buffers,
            dispatches: writer.dispatches,
            result,
            values,
        };
        network.find_last_reads();
        network
    }

    /// Kernels of a forward pass.
    pub(super) fn dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// `[batch, height, width, channels]` to `[batch, values]`.
    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        let batch = input.dims()[0];
        let result = self.run(self.gpu.buffer(input), batch);
        self.gpu.tensor(result, [batch, self.values])
    }

    fn run(&self, input: GpuBuffer, batch: usize) -> GpuBuffer {
        let mut live: BTreeMap<usize, GpuBuffer> = BTreeMap::from([(0, input)]);
        for dispatch in &self.dispatches {
            let buffer = self.buffers[dispatch.output];
            let bytes = batch * buffer.pixels * buffer.stored * buffer.element.bytes();
            let output = self.gpu.empty(bytes);
            let reads: Vec<&GpuBuffer> = dispatch
                .reads
                .iter()
                .map(|read| match read {
                    Read::Buffer(index) => &live[index],
                    Read::Parameter(parameter) => parameter,
                })
                .collect();
            let (groups, numbers) = (dispatch.size)(batch);
            self.gpu
                .launch_groups(&dispatch.shader, &reads, &output, groups, &numbers);
            live.insert(dispatch.output, output);
            for buffer in &dispatch.last_reads {
                live.remove(buffer);
            }
        }
        live.remove(&self.result)
            .expect("the last dispatch writes the result")
    }

    fn find_last_reads(&mut self) {
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for (index, dispatch) in self.dispatches.iter().enumerate() {
            for read in &dispatch.reads {
                if let Read::Buffer(buffer) = read {
                    last.insert(*buffer, index);
                }
            }
        }
        for (buffer, index) in last {
            if buffer != self.result {
                self.dispatches[index].last_reads.push(buffer);
            }
        }
    }
}

impl fmt::Debug for GpuNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(
                self.dispatches
                    .iter()
                    .map(|dispatch| dispatch.shader.name()),
            )
            .finish()
    }
}

/// Turns steps into dispatches.
struct Writer<'a> {
    plan: &'a Plan,
    gpu: &'a Gpu,
    form: KernelForm,
    buffers: Vec<Buffer>,
    dispatches: Vec<Dispatch>,
    /// Maps that no step writes, for who reads them gates lines itself: what to read instead, and the gates.
    line_gated: BTreeMap<usize, (Map, Map)>,
}

impl<'a> Writer<'a> {
    fn new(plan: &'a Plan, gpu: &'a Gpu, form: KernelForm) -> Self {
        let mut buffers: Vec<Buffer> = plan
            .maps()
            .iter()
            .map(|shape| Buffer {
                pixels: shape.pixels(),
                stored: shape.channels.next_multiple_of(4),
                element: if form.half {
                    Element::F16
                } else {
                    Element::F32
                },
            })
            .collect();
        // The input comes from outside as it is; gates are few and read often.
        buffers[0].stored = plan.input().channels;
        buffers[0].element = Element::F32;
        for step in plan.steps() {
            if let Step::SqueezeExcite { output, .. } | Step::CoordinateAttention { output, .. } =
                step
            {
                buffers[output.index()].element = Element::F32;
            }
        }
        for map in plan.outputs() {
            buffers[map.index()].element = Element::F32;
        }
        Self {
            plan,
            gpu,
            form,
            buffers,
            dispatches: Vec::new(),
            line_gated: BTreeMap::new(),
        }
    }

    fn buffer(&self, map: Map) -> Buffer {
        self.buffers[map.index()]
    }

    fn weight_element(&self) -> Element {
        if self.form.half {
            Element::F16
        } else {
            Element::F32
        }
    }

    fn parameter(&self, values: &[f32], element: Element) -> Read {
        let bytes = match element {
            Element::F16 => Bytes::from_elems(
                values
                    .iter()
                    .map(|&value| f16::from_f32(value))
                    .collect::<Vec<_>>(),
            ),
            _ => Bytes::from_elems(values.to_vec()),
        };
        Read::Parameter(self.gpu.upload(bytes))
    }

    /// Weight, bias; the slopes come after whatever else the shader reads.
    fn weight_and_bias(
        &self,
        weighted: &Weighted,
        inputs: usize,
        stored_inputs: usize,
    ) -> Vec<Read> {
        let (weight, bias) = padded_weight_and_bias(weighted, inputs, stored_inputs);
        vec![
            self.parameter(&weight, self.weight_element()),
            self.parameter(&bias, Element::F32),
        ]
    }

    fn slopes(&self, weighted: &Weighted) -> Option<Read> {
        (weighted.activation == Activation::Prelu)
            .then(|| self.parameter(&pad(&weighted.slopes), Element::F32))
    }

    fn push(
        &mut self,
        shader: Shader,
        reads: Vec<Read>,
        output: usize,
        size: impl Fn(usize) -> (usize, Vec<usize>) + Send + Sync + 'static,
    ) {
        self.dispatches.push(Dispatch {
            shader,
            reads,
            output,
            size: Box::new(size),
            last_reads: Vec::new(),
        });
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Convolution {
                input,
                output,
                window,
                weighted,
                shortcut,
            } => {
                let shape = self.plan.shape(*input);
                // The network's input has as many channels in memory as it has.
                let stored = self.buffer(*input).stored;
                let windowed = Windowed {
                    from: MapShape {
                        channels: stored,
                        ..shape
                    },
                    shortcut: shortcut.map(|map| self.buffer(map).element),
                    ..self.windowed(*input, *output, *window, weighted.activation)
                };
                let mut reads = vec![Read::Buffer(input.index())];
                reads.extend(self.weight_and_bias(weighted, shape.channels, stored));
                reads.extend(shortcut.map(|map| Read::Buffer(map.index())));
                reads.extend(self.slopes(weighted));
                self.push(
                    windowed.convolution(),
                    reads,
                    output.index(),
                    move |batch| windowed.launch(batch),
                );
            }
            Step::Depthwise {
                input,
                output,
                window,
                group,
                weighted,
            } => {
                let windowed = Windowed {
                    group: *group,
                    ..self.windowed(*input, *output, *window, weighted.activation)
                };
                let mut reads = vec![Read::Buffer(input.index())];
                reads.extend(self.weight_and_bias(weighted, 1, 1));
                reads.extend(self.slopes(weighted));
                self.push(windowed.depthwise(), reads, output.index(), move |batch| {
                    windowed.launch(batch)
                });
            }
            Step::MaxPool {
                input,
                output,
                window,
            } => {
                let windowed = Windowed {
                    pixels: 1,
                    ..self.windowed(*input, *output, *window, Activation::Identity)
                };
                let reads = vec![Read::Buffer(input.index())];
                self.push(windowed.max_pool(), reads, output.index(), move |batch| {
                    windowed.launch(batch)
                });
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
            } => {
                let (source, divisor) = self.sums(input.index());
                let of = Squeezed::Pixels {
                    pixels: self.buffers[source].pixels,
                    divisor,
                };
                self.squeeze_excite(source, *output, of, reduce, &[excite], None);
            }
            Step::CoordinateAttention {
                input,
                output,
                sums,
                reduce,
                rows,
                columns,
            } => {
                let MapShape { height, width, .. } = self.plan.shape(*input);
                let of = Squeezed::Lines {
                    height,
                    width,
                    is_weighted: sums.is_some(),
                };
                let excite = [rows, columns];
                self.squeeze_excite(input.index(), *output, of, reduce, &excite, sums.as_ref());
            }
            Step::LineGate {
                input,
                output,
                gates,
                others,
            } => {
                if others.is_none() && self.is_gated_on_the_way(*output) {
                    self.line_gated.insert(output.index(), (*input, *gates));
                    return;
                }
                let shape = self.plan.shape(*input);
                let kernel = LineGate {
                    height: shape.height,
                    width: shape.width,
                    channels: self.buffer(*input).stored / 4,
                    has_others: others.is_some(),
                    input: self.buffer(*input).element,
                    output: self.buffer(*output).element,
                };
                let reads = [Some(*input), Some(*gates), *others].into_iter().flatten();
                let reads = reads.map(|map| Read::Buffer(map.index())).collect();
                self.push(kernel.shader(), reads, output.index(), move |batch| {
                    kernel.launch(batch)
                });
            }
            Step::Average { input, output } => {
                let (source, pixels) = self.sums(input.index());
                let Buffer {
                    stored, element, ..
                } = self.buffers[source];
                let sums = Sums {
                    pixels: self.buffers[source].pixels,
                    channels: stored / 4,
                    slices: 1,
                    divisor: pixels,
                    input: element,
                    output: self.buffer(*output).element,
                };
                let reads = vec![Read::Buffer(source)];
                self.push(sums.shader(), reads, output.index(), move |batch| {
                    sums.launch(batch)
                });
            }
            Step::LayerNorm {
                input,
                output,
                scale,
                bias,
                epsilon,
            } => {
                let shape = self.plan.shape(*input);
                let elements = [self.buffer(*input).element, self.buffer(*output).element];
                let shader = layer_norm(shape.channels, *epsilon, elements);
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
    }

    fn windowed(
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
            activation,
            input: self.buffer(input).element,
            output: self.buffer(output).element,
            weight: self.weight_element(),
            pixels: ROW_PIXELS,
            group: 1,
            shortcut: None,
        }
    }

    fn tiling(&self, shape: MapShape) -> Tiling {
        match shape.pixels() {
            1 => Tiling::Dense,
            49.. if self.form.workgroup_tiles => Tiling::Workgroup,
            _ => Tiling::Registers { rows: 4 },
        }
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

    fn pointwise(
        &mut self,
        input: Map,
        output: Map,
        weighted: &Weighted,
        gate: Option<Map>,
        shortcut: Option<Shortcut>,
    ) {
        let (input, gate, gate_form) = match (self.line_gated.get(&input.index()), gate) {
            (Some(&(input, gates)), _) => {
                let width = self.plan.shape(input).width;
                (input, Some(gates), Some(GateForm::Lines { width }))
            }
            (None, Some(gate)) => (input, Some(gate), Some(GateForm::Channels)),
            (None, None) => (input, None, None),
        };
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

    /// `excite` holds one layer, or one of rows and one of columns.
    fn squeeze_excite(
        &mut self,
        source: usize,
        output: Map,
        of: Squeezed,
        reduce: &Weighted,
        excite: &[&Weighted],
        sums: Option<&LineSums>,
    ) {
        let channels = self.plan.shape(output).channels;
        let squeezed = reduce.bias.len();
        let kernel = SqueezeExcite {
            of,
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
        let outputs_first = transpose(&weight, squeezed.next_multiple_of(4));
        let mut reads = vec![
            Read::Buffer(source),
            self.parameter(&outputs_first, self.weight_element()),
            self.parameter(&pad(&reduce.bias), Element::F32),
        ];
        let stored = squeezed.next_multiple_of(4);
        let (weights, biases): (Vec<_>, Vec<_>) = excite
            .iter()
            .map(|layer| padded_weight_and_bias(layer, squeezed, stored))
            .unzip();
        reads.push(self.parameter(&weights.concat(), self.weight_element()));
        reads.push(self.parameter(&biases.concat(), Element::F32));
        if let Some(LineSums { weight, bias }) = sums {
            let rows = [weight.as_slice(), bias].concat();
            let rows = pad_weight(&rows, [1, channels], 1);
            reads.push(self.parameter(&rows, Element::F32));
        }
        self.push(kernel.shader(), reads, output.index(), move |batch| {
            kernel.launch(batch)
        });
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
        let sums = self.buffers.len();
        self.buffers.push(Buffer {
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
        self.push(
            kernel.shader(),
            vec![Read::Buffer(map)],
            sums,
            move |batch| kernel.launch(batch),
        );
        (sums, pixels)
    }

    /// The buffer that holds all outputs without padding.
    fn result(&mut self) -> usize {
        let outputs: Vec<Gathered> = self
            .plan
            .outputs()
            .iter()
            .map(|map| {
                let shape = self.plan.shape(*map);
                Gathered {
                    pixels: shape.pixels(),
                    channels: shape.channels,
                    stored: self.buffer(*map).stored,
                    element: self.buffer(*map).element,
                }
            })
            .collect();
        if let ([map], [output]) = (self.plan.outputs(), outputs.as_slice())
            && output.stored == output.channels
        {
            return map.index();
        }
        let values: usize = outputs
            .iter()
            .map(|output| output.pixels * output.channels)
            .sum();
        let result = self.buffers.len();
        self.buffers.push(Buffer {
            pixels: 1,
            stored: values,
            element: Element::F32,
        });
        let reads = self
            .plan
            .outputs()
            .iter()
            .map(|map| Read::Buffer(map.index()))
            .collect();
        self.push(gather(&outputs), reads, result, move |batch| {
            (groups(batch * values), vec![batch])
        });
        result
    }
}

fn padded_weight_and_bias(
    weighted: &Weighted,
    inputs: usize,
    stored_inputs: usize,
) -> (Vec<f32>, Vec<f32>) {
    let outputs = weighted.bias.len();
    let weight = pad_weight(&weighted.weight, [inputs, outputs], stored_inputs);
    let mut bias = pad(&weighted.bias);
    if weighted.activation == Activation::Sigmoid {
        // Padding stays zero all through a network.
        bias[outputs..].fill(SIGMOID_IS_ZERO);
    }
    (weight, bias)
}

/// With zeros up to a multiple of four.
fn pad(values: &[f32]) -> Vec<f32> {
    let mut padded = values.to_vec();
    padded.resize(values.len().next_multiple_of(4), 0.0);
    padded
}

/// `[taps, inputs, outputs]` to `[taps, stored inputs, outputs padded to fours]`.
fn pad_weight(weight: &[f32], [inputs, outputs]: [usize; 2], stored_inputs: usize) -> Vec<f32> {
    let stored = outputs.next_multiple_of(4);
    let mut padded = Vec::new();
    for tap in weight.chunks_exact(inputs * outputs) {
        for row in tap.chunks_exact(outputs) {
            padded.extend_from_slice(row);
            padded.resize(padded.len() + stored - outputs, 0.0);
        }
        padded.resize(padded.len() + (stored_inputs - inputs) * stored, 0.0);
    }
    padded
}

/// Rows become columns; `columns` is the length of a row.
fn transpose(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| matrix.iter().skip(column).step_by(columns).copied())
        .collect()
}

impl Gpu {
    /// The values of tensors one after the other, `[1, n]`.
    pub(super) fn join(&self, tensors: Vec<Tensor<2>>) -> Tensor<2> {
        let lengths: Vec<usize> = tensors
            .iter()
            .map(|tensor| tensor.dims().iter().product())
            .collect();
        let values = lengths.iter().sum();
        let buffers: Vec<GpuBuffer> = tensors
            .into_iter()
            .map(|tensor| self.buffer(tensor))
            .collect();
        let reads: Vec<&GpuBuffer> = buffers.iter().collect();
        let joined = self.empty(values * size_of::<f32>());
        self.launch(&join(reads.len()), &reads, &joined, values, &lengths);
        self.tensor(joined, [1, values])
    }
}
