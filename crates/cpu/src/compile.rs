//! Makes a program of a plan: packs weights for one instruction set, plans memory, and splits operations into chunks.

use crate::chunks::split;
use crate::error::CompileError;
use crate::graph::Plan;
use crate::instructions::InstructionSet;
use crate::job::Parts;
use crate::layout::{Layout, place};
use crate::lower::{Buffer, Lowered, Operation, Roles, Sequenced, Task, column_gates};
use crate::packed::{Kind, NONE, PackedMap, PackedSpan, PackedStep, Port, narrow};
use crate::parameters::{Line, Parameters, Take};

/// A plan that is ready to run on the CPU.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) set: InstructionSet,
    pub(crate) steps: Vec<PackedStep>,
    pub(crate) parameters: Vec<Line>,
    pub(crate) input: Port,
    pub(crate) outputs: Vec<Port>,
    /// Floats of all maps of one picture.
    pub(crate) arena: usize,
    /// Floats of scratch memory of one thread.
    pub(crate) scratch: usize,
    pub(crate) layout: Layout,
}

impl Program {
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts {
            steps: &self.steps,
            parameters: self.parameters.as_ptr().cast(),
            scratch: self.scratch,
        }
    }
}

impl Plan {
    /// Makes a program for the CPU.
    ///
    /// # Errors
    ///
    /// As [`lower`](Self::lower).
    pub fn compile(self, set: InstructionSet) -> Result<Program, CompileError> {
        Ok(self.lower(set)?.compile())
    }
}

impl Lowered {
    /// Makes a program for this process.
    pub fn compile(self) -> Program {
        let mut lines = Vec::with_capacity(self.parameters() / 16);
        let program = self.pack_all(&mut |floats| {
            let (whole, _) = floats.as_chunks();
            lines.extend(whole.iter().map(|&line| Line(line)));
        });
        Program {
            parameters: lines,
            ..program
        }
    }

    /// Floats of all parameters as they are packed.
    pub(crate) fn parameters(&self) -> usize {
        let maps = self.lay_out();
        let mut parameters = Parameters::counted(self.set);
        for operation in &self.operations {
            self.pack(operation, &maps, &mut parameters);
        }
        parameters.len()
    }

    /// Hands packed parameters over, whole lines at a time; the program itself has none. Weights go as they are packed.
    pub(crate) fn pack_all(mut self, take: Take<'_>) -> Program {
        let mut maps = self.lay_out();
        let mut parameters = Parameters::taken(self.set, take);
        let mut steps = Vec::with_capacity(self.operations.len());
        for index in 0..self.operations.len() {
            let mut step = self.pack(&self.operations[index], &maps, &mut parameters);
            let operation = &mut self.operations[index];
            (operation.weight, operation.bias) = (Vec::new(), Vec::new());
            split(&mut step, self.set);
            if let Task::Depthwise {
                sums: Some(sums), ..
            } = operation.task
            {
                let rows = step.destination.height.div_ceil(step.chunk_rows);
                maps[sums.0].height = rows;
            }
            steps.push(step);
        }
        let used = self.operations.iter().map(Operation::buffers);
        let arena = place(&mut maps, used, self.input, &self.outputs);
        // Now that every map has its place.
        for (step, operation) in steps.iter_mut().zip(&self.operations) {
            step.take_maps(&operation.roles(), &maps);
        }
        let port = |buffer: Buffer| Port {
            map: maps[buffer.0],
            channels: narrow(self.buffers[buffer.0].channels),
        };
        Program {
            set: self.set,
            scratch: PackedStep::most_scratch(&steps),
            steps,
            parameters: Vec::new(),
            input: port(self.input),
            outputs: self.outputs.iter().copied().map(port).collect(),
            arena,
            layout: Layout::new(&self, maps),
        }
    }

    /// Maps with whole vectors of channels, but for an input that nothing reads by vectors.
    fn lay_out(&self) -> Vec<PackedMap> {
        let [width, _, _] = self.set.sizes();
        let is_input_exact = !self
            .operations
            .iter()
            .any(|it| it.reads_by_vectors(self.input));
        let maps = self.buffers.iter().enumerate();
        maps.map(|(index, shape)| {
            let stride = if Buffer(index) == self.input && is_input_exact {
                shape.channels
            } else {
                shape.channels.next_multiple_of(width)
            };
            PackedMap {
                offset: 0,
                height: narrow(shape.height),
                width: narrow(shape.width),
                stride: narrow(stride),
            }
        })
        .collect()
    }

    fn pack(
        &self,
        operation: &Operation,
        maps: &[PackedMap],
        parameters: &mut Parameters<'_>,
    ) -> PackedStep {
        let channels = |buffer: Buffer| self.buffers[buffer.0].channels;
        let (inputs, outputs) = (channels(operation.source), channels(operation.destination));
        let mut step = PackedStep::new(operation, maps, outputs);
        step.vectors = step.destination.stride / narrow(parameters.width());
        match operation.task {
            Task::Product { pools_shortcut, .. } => {
                step.pools_shortcut = u32::from(pools_shortcut);
                step.pack_product(operation, parameters, inputs, outputs);
            }
            Task::Depthwise { group, .. } => {
                step.kind = Kind::Depthwise;
                step.depth = narrow(group);
                step.weight = match group {
                    2 => parameters.taps(&own_first(&operation.weight, outputs), outputs),
                    _ => parameters.taps(&operation.weight, outputs),
                };
                step.bias = parameters.bias(&operation.bias, operation.activation);
            }
            Task::Average => step.kind = Kind::Average,
            Task::LayerNorm { epsilon } => {
                step.kind = Kind::LayerNorm;
                step.epsilon = epsilon;
                step.weight = parameters.row(&operation.weight, 0.0);
                step.bias = parameters.row(&operation.bias, 0.0);
            }
            Task::MaxPool => step.kind = Kind::MaxPool,
            Task::Interpolate => step.kind = Kind::Interpolate,
            Task::Join { first } => {
                step.kind = Kind::Join;
                step.depth = narrow(first);
                step.channels = narrow(inputs);
            }
            Task::Enlarge { .. } => step.kind = Kind::Enlarge,
            Task::Lines => {
                step.kind = Kind::Lines;
                if !operation.weight.is_empty() {
                    step.weight = parameters.taps(&operation.weight, outputs);
                    step.bias = parameters.taps(&operation.bias, outputs);
                }
            }
            Task::LineGate { .. } => {
                step.kind = Kind::LineGate;
                step.depth = narrow(column_gates(outputs));
            }
            Task::Sequence(sequence) => {
                step.pack_sequence(sequence, operation, parameters, [inputs, outputs]);
            }
        }
        if !operation.slopes.is_empty() {
            step.slope = parameters.row(&operation.slopes, 0.0);
        }
        step
    }
}

impl Operation {
    /// Whether the operation needs a map in whole vectors of channels.
    fn reads_by_vectors(&self, buffer: Buffer) -> bool {
        let is_source = self.source == buffer;
        match self.task {
            Task::Product { gate, shortcut, .. } => {
                gate.is_some_and(|gate| gate == buffer || is_source) || shortcut == Some(buffer)
            }
            Task::LineGate { gates, others } => {
                is_source || gates == buffer || others == Some(buffer)
            }
            Task::Enlarge { addend } => is_source || addend == buffer,
            Task::Sequence(
                Sequenced::Arrange | Sequenced::Unfold { .. } | Sequenced::Fold { .. },
            ) => is_source,
            Task::Sequence(_) | Task::Join { .. } => false,
            _ => is_source,
        }
    }
}

impl PackedStep {
    fn new(operation: &Operation, maps: &[PackedMap], outputs: usize) -> Self {
        let window = operation.window;
        let kernel = narrow(window.kernel);
        let mut step = Self {
            kind: Kind::Product,
            activation: operation.activation,
            source: PackedMap::default(),
            destination: PackedMap::default(),
            shortcut: PackedMap::default(),
            gate: PackedMap::default(),
            sums: PackedMap::default(),
            weight: NONE,
            bias: NONE,
            slope: NONE,
            kernel: [kernel, kernel],
            stride: narrow(window.stride),
            padding: window.padding.map(narrow),
            depth: 0,
            vectors: 0,
            panels: 1,
            channels: narrow(outputs),
            chunk_rows: 1,
            chunk_columns: 1,
            block: 1,
            pools_shortcut: 0,
            epsilon: 0.0,
            groups: 1,
            advance: 0,
            span: PackedSpan {
                frames: narrow(operation.span.frames),
                kernel: narrow(operation.span.kernel),
                stride: narrow(operation.span.stride),
                padding: narrow(operation.span.padding),
                output: narrow(operation.span.output),
            },
            rest: [0; 2],
        };
        step.take_maps(&operation.roles(), maps);
        step
    }

    /// Most scratch memory that a step needs.
    pub(crate) fn most_scratch(steps: &[Self]) -> usize {
        steps.iter().map(Self::scratch).max().unwrap_or_default()
    }

    /// Takes the places of maps over.
    pub(crate) fn take_maps(&mut self, roles: &Roles, maps: &[PackedMap]) {
        let find = |buffer: Option<Buffer>| {
            buffer.map_or_else(PackedMap::default, |buffer| maps[buffer.0])
        };
        self.source = maps[roles.source.0];
        self.destination = maps[roles.destination.0];
        self.shortcut = find(roles.shortcut);
        self.gate = find(roles.gate);
        self.sums = find(roles.sums);
    }

    fn pack_product(
        &mut self,
        operation: &Operation,
        parameters: &mut Parameters<'_>,
        inputs: usize,
        outputs: usize,
    ) {
        let pixel = if self.gathers() {
            self.source.stride as usize
        } else {
            inputs
        };
        let window = operation.window;
        let taps = operation.span.kernel * window.kernel * window.kernel;
        self.depth = narrow(taps * pixel);
        self.panels = self.vectors.div_ceil(narrow(parameters.panel()));
        self.weight = parameters.panels(self, &operation.weight, [inputs, outputs, pixel, taps]);
        self.bias = parameters.bias(&operation.bias, operation.activation);
    }

    fn pack_sequence(
        &mut self,
        sequence: Sequenced,
        operation: &Operation,
        parameters: &mut Parameters<'_>,
        [inputs, outputs]: [usize; 2],
    ) {
        match sequence {
            Sequenced::Line { kernel, stride } => {
                let pixel = self.source.stride as usize;
                self.depth = narrow(kernel * pixel);
                self.advance = narrow(stride);
                self.panels = self.vectors.div_ceil(narrow(parameters.panel()));
                let sizes = [inputs, outputs, pixel, kernel];
                self.weight = parameters.panels(self, &operation.weight, sizes);
                self.bias = parameters.bias(&operation.bias, operation.activation);
            }
            Sequenced::Grouped {
                kernel,
                padding,
                groups,
                ..
            } => {
                let (inputs, outputs) = (inputs / groups, outputs / groups);
                self.kind = Kind::Grouped;
                self.kernel = [1, narrow(kernel)];
                self.padding = [0, narrow(padding)];
                self.groups = narrow(groups);
                self.depth = narrow(kernel * inputs);
                self.vectors = narrow(outputs.div_ceil(parameters.width()));
                self.panels = self.vectors.div_ceil(narrow(parameters.panel()));
                let weights = operation.weight.chunks_exact(kernel * inputs * outputs);
                let sizes = [inputs, outputs, inputs, kernel];
                let weights = weights.map(|it| parameters.panels(self, it, sizes));
                self.weight = first_of(weights);
                let biases = operation.bias.chunks_exact(outputs);
                let biases = biases.map(|it| parameters.bias(it, operation.activation));
                self.bias = first_of(biases);
            }
            Sequenced::Keys { heads } => {
                self.kind = Kind::Keys;
                self.groups = narrow(heads);
                self.depth = narrow(inputs / (3 * heads));
            }
            Sequenced::Attention { heads, .. } => {
                self.kind = Kind::Attention;
                self.groups = narrow(heads);
                let length = inputs / (3 * heads);
                self.depth = narrow(length);
                self.epsilon = core::f32::consts::LOG2_E / (length as f32).sqrt();
                if !operation.weight.is_empty() {
                    // Scores are multiplied when all of them is added up.
                    let scale = core::f32::consts::LOG2_E / self.epsilon;
                    let table: Vec<f32> = operation.weight.iter().map(|it| scale * it).collect();
                    let (codes, regions) = operation.bias.split_at(self.source.width as usize);
                    self.advance = narrow(table.len() / heads);
                    self.weight = parameters.row(&table, 0.0);
                    self.bias = parameters.row(codes, 0.0);
                    if !regions.is_empty() {
                        self.slope = parameters.row(regions, 0.0);
                    }
                }
            }
            Sequenced::Arrange => {
                self.kind = Kind::Arrange;
                self.weight = parameters.row(&operation.weight, 0.0);
                if !operation.bias.is_empty() {
                    self.bias = parameters.taps(&operation.bias, outputs);
                }
            }
            Sequenced::Unfold { patch } => {
                self.kind = Kind::Unfold;
                self.groups = narrow(patch);
            }
            Sequenced::Fold { patch } => {
                self.kind = Kind::Fold;
                self.groups = narrow(patch);
            }
            Sequenced::Transpose => self.kind = Kind::Transpose,
        }
    }
}

/// The place of the first of several parameters, all of which are packed after each other.
fn first_of(mut places: impl Iterator<Item = u32>) -> u32 {
    let first = places.next().unwrap_or(NONE);
    places.for_each(drop);
    first
}

/// Weights of pairs, `[taps, 2, channels]`, with each channel's own before its neighbour's.
fn own_first(weight: &[f32], channels: usize) -> Vec<f32> {
    let mut reordered = Vec::with_capacity(weight.len());
    for tap in weight.chunks_exact(2 * channels) {
        for place in 0..2 {
            reordered.extend((0..channels).map(|it| tap[((it % 2) ^ place) * channels + it]));
        }
    }
    reordered
}
