//! Makes a program: packs weights for one instruction set, plans memory, and splits steps into chunks.

use crate::InstructionSet;
use crate::arena::{self, Lifetime};
use crate::job::Parts;
use crate::network::{MapId, Network, NetworkError, Operation, Task, column_gates};
use crate::step::{Activation, Kind, Map, NONE, Port, Step};

/// Sixteen floats on a cache line of their own.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; 16]);

impl Line {
    pub(crate) const ZERO: Self = Self([0.0; 16]);
}

/// A network that is ready to run.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) set: InstructionSet,
    pub(crate) steps: Vec<Step>,
    pub(crate) parameters: Vec<Line>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    /// Floats of all maps of one picture.
    pub(crate) arena: usize,
    /// Floats of scratch memory of one thread.
    pub(crate) scratch: usize,
}

impl Program {
    /// The instruction set that the program is made for.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts {
            steps: &self.steps,
            parameters: self.parameters.as_ptr().cast(),
            scratch: self.scratch,
        }
    }
}

impl Network {
    /// Makes a program of the network.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InstructionSet`] where this processor lacks it.
    pub fn compile(&self, set: InstructionSet) -> Result<Program, NetworkError> {
        if !InstructionSet::available().contains(&set) {
            return Err(NetworkError::InstructionSet {
                name: format!("{set:?}"),
            });
        }
        let [width, panel, _] = set.sizes();
        let mut maps = self.lay_out(width);
        let mut parameters = Parameters {
            floats: Vec::new(),
            width,
            panel,
        };
        let mut steps = Vec::with_capacity(self.operations.len());
        for operation in &self.operations {
            let mut step = self.step(operation, &maps, &mut parameters);
            split(&mut step, set);
            if let Task::Depthwise {
                sums: Some(sums), ..
            } = operation.task
            {
                let rows = step.destination.height.div_ceil(step.chunk_rows);
                maps[sums.0].height = rows;
            }
            steps.push(step);
        }
        let arena = self.place(&mut maps);
        // Now that every map has its place.
        for (step, operation) in steps.iter_mut().zip(&self.operations) {
            step.take_maps(operation, &maps);
        }
        let port = |map: &MapId| Port {
            map: maps[map.0],
            channels: narrow(self.shapes[map.0][2]),
        };
        Ok(Program {
            set,
            scratch: steps.iter().map(Step::scratch).max().unwrap_or_default(),
            steps,
            parameters: parameters.into_lines(),
            inputs: self.inputs.iter().map(port).collect(),
            outputs: self.outputs.iter().map(port).collect(),
            arena,
        })
    }

    /// Maps with whole vectors of channels, but for inputs that nothing reads by vectors.
    fn lay_out(&self, width: usize) -> Vec<Map> {
        let is_read_by_vectors = |map: usize| {
            self.operations
                .iter()
                .any(|operation| match operation.task {
                    Task::Product { gate, shortcut, .. } => {
                        gate.is_some_and(|gate| gate.0 == map || operation.source.0 == map)
                            || shortcut.is_some_and(|shortcut| shortcut.map.0 == map)
                    }
                    Task::LineGate { gates, others } => {
                        [Some(operation.source), Some(gates), others].contains(&Some(MapId(map)))
                    }
                    _ => operation.source.0 == map,
                })
        };
        let maps = self.shapes.iter().enumerate();
        maps.map(|(index, &[height, map_width, channels])| {
            let is_exact = self.inputs.contains(&MapId(index)) && !is_read_by_vectors(index);
            let stride = if is_exact {
                channels
            } else {
                channels.next_multiple_of(width)
            };
            Map {
                offset: 0,
                height: narrow(height),
                width: narrow(map_width),
                stride: narrow(stride),
            }
        })
        .collect()
    }

    /// Gives maps their offsets; returns the length of the arena.
    fn place(&self, maps: &mut [Map]) -> usize {
        let end = self.operations.len();
        let mut lifetimes: Vec<_> = maps
            .iter()
            .map(|map| Lifetime {
                first: end,
                last: 0,
                length: map.len(),
            })
            .collect();
        for (index, operation) in self.operations.iter().enumerate() {
            for map in operation.maps() {
                lifetimes[map.0].first = lifetimes[map.0].first.min(index);
                lifetimes[map.0].last = lifetimes[map.0].last.max(index);
            }
        }
        for map in &self.inputs {
            lifetimes[map.0].first = 0;
        }
        for map in &self.outputs {
            lifetimes[map.0].last = end;
        }
        let (offsets, length) = arena::place(&lifetimes);
        for (map, offset) in maps.iter_mut().zip(offsets) {
            map.offset = narrow(offset);
        }
        length
    }

    fn step(&self, operation: &Operation, maps: &[Map], parameters: &mut Parameters) -> Step {
        let window = operation.window;
        let [_, _, inputs] = self.shapes[operation.source.0];
        let [_, _, outputs] = self.shapes[operation.destination.0];
        let source = maps[operation.source.0];
        let destination = maps[operation.destination.0];
        let kernel = narrow(window.kernel);
        let mut step = Step {
            kind: Kind::Product,
            activation: operation.activation,
            source,
            destination,
            shortcut: Map::default(),
            gate: Map::default(),
            sums: Map::default(),
            weight: NONE,
            bias: NONE,
            slope: NONE,
            kernel: [kernel, kernel],
            stride: narrow(window.stride),
            padding: window.padding.map(narrow),
            depth: 0,
            vectors: destination.stride / narrow(parameters.width),
            panels: 1,
            channels: narrow(outputs),
            chunk_rows: 1,
            chunk_columns: 1,
            block: 1,
            pools_shortcut: 0,
            epsilon: 0.0,
            rest: [0; 9],
        };
        step.take_maps(operation, maps);
        // What fills the last vector is to be zero after the activation too.
        let pad = match operation.activation {
            Activation::Sigmoid => -1e4,
            _ => 0.0,
        };
        match operation.task {
            Task::Product { shortcut, .. } => {
                step.pools_shortcut =
                    u32::from(shortcut.is_some_and(|shortcut| shortcut.is_pooled));
                let is_window = step.gathers();
                let pixel = if is_window {
                    source.stride as usize
                } else {
                    inputs
                };
                step.depth = narrow(window.kernel * window.kernel * pixel);
                step.panels = step.vectors.div_ceil(narrow(parameters.panel));
                step.weight = parameters.panels(&step, operation, [inputs, outputs, pixel]);
                step.bias = parameters.row(&operation.bias, pad);
            }
            Task::Depthwise { group, .. } => {
                step.kind = Kind::Depthwise;
                step.depth = narrow(group);
                step.weight = match group {
                    2 => parameters.taps(&own_first(&operation.weight, outputs), outputs),
                    _ => parameters.taps(&operation.weight, outputs),
                };
                step.bias = parameters.row(&operation.bias, pad);
            }
            Task::Average => step.kind = Kind::Average,
            Task::LayerNorm { epsilon } => {
                step.kind = Kind::LayerNorm;
                step.epsilon = epsilon;
                step.weight = parameters.row(&operation.weight, 0.0);
                step.bias = parameters.row(&operation.bias, 0.0);
            }
            Task::MaxPool => step.kind = Kind::MaxPool,
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
        }
        if operation.activation == Activation::Prelu {
            step.slope = parameters.row(&operation.slopes, 0.0);
        }
        step
    }
}

impl Operation {
    /// Every map that the operation reads or writes.
    fn maps(&self) -> impl Iterator<Item = MapId> {
        let others = match self.task {
            Task::Product {
                gate,
                shortcut,
                sums,
            } => [gate, shortcut.map(|shortcut| shortcut.map), sums],
            Task::Depthwise { sums, .. } => [sums, None, None],
            Task::LineGate { gates, others } => [Some(gates), others, None],
            _ => [None; 3],
        };
        // Where sums stand in for the source, it is needed for its size only.
        let reads_sums = matches!(self.task, Task::Product { sums: Some(_), .. });
        let source = (!reads_sums).then_some(self.source);
        [Some(self.destination), source]
            .into_iter()
            .chain(others)
            .flatten()
    }
}

impl Step {
    fn take_maps(&mut self, operation: &Operation, maps: &[Map]) {
        let find = |map: Option<MapId>| map.map_or_else(Map::default, |map| maps[map.0]);
        self.source = maps[operation.source.0];
        self.destination = maps[operation.destination.0];
        match operation.task {
            Task::Product {
                gate,
                shortcut,
                sums,
            } => {
                self.gate = find(gate);
                self.shortcut = find(shortcut.map(|shortcut| shortcut.map));
                self.sums = find(sums);
            }
            Task::Depthwise { sums, .. } => self.sums = find(sums),
            Task::LineGate { gates, others } => {
                self.gate = find(Some(gates));
                self.shortcut = find(others);
            }
            _ => {}
        }
    }
}

/// Parameters as they are packed.
struct Parameters {
    floats: Vec<f32>,
    /// Floats in a vector.
    width: usize,
    /// Vectors of a panel at most.
    panel: usize,
}

impl Parameters {
    fn begin(&mut self) -> u32 {
        self.floats
            .resize(self.floats.len().next_multiple_of(16), 0.0);
        narrow(self.floats.len())
    }

    /// One value a channel, in whole vectors.
    fn row(&mut self, values: &[f32], pad: f32) -> u32 {
        let start = self.begin();
        self.floats.extend_from_slice(values);
        let end = start as usize + values.len().next_multiple_of(self.width);
        self.floats.resize(end, pad);
        start
    }

    /// `[taps, channels]` in whole vectors.
    fn taps(&mut self, weight: &[f32], channels: usize) -> u32 {
        let start = self.begin();
        for tap in weight.chunks_exact(channels) {
            self.floats.extend_from_slice(tap);
            let filled = self.floats.len() - start as usize;
            let end = start as usize + filled.next_multiple_of(self.width);
            self.floats.resize(end, 0.0);
        }
        start
    }

    /// `[taps, inputs, outputs]` to `[panel, taps, inputs, outputs of the panel]`.
    fn panels(
        &mut self,
        step: &Step,
        operation: &Operation,
        [inputs, outputs, pixel]: [usize; 3],
    ) -> u32 {
        let start = self.begin();
        let taps = operation.window.kernel * operation.window.kernel;
        for panel in 0..step.panels as usize {
            let first = step.panel_start(panel) * self.width;
            let last = step.panel_start(panel + 1) * self.width;
            for tap in 0..taps {
                for input in 0..pixel {
                    let filled = self.floats.len();
                    if input < inputs {
                        let row = &operation.weight[(tap * inputs + input) * outputs..][..outputs];
                        self.floats
                            .extend_from_slice(&row[first.min(outputs)..last.min(outputs)]);
                    }
                    self.floats.resize(filled + last - first, 0.0);
                }
            }
        }
        start
    }

    fn into_lines(self) -> Vec<Line> {
        let chunks = self.floats.chunks(16);
        chunks
            .map(|chunk| {
                let mut line = Line::ZERO;
                line.0[..chunk.len()].copy_from_slice(chunk);
                line
            })
            .collect()
    }
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

/// Products of one chunk at least: some microseconds of work.
const CHUNK: usize = 1 << 20;
/// Chunks of one step and picture at most.
const CHUNKS: usize = 16;
/// What an exponential costs, in products.
const EXPONENTIAL: usize = 16;
/// Floats of a block of rows; it stays in the second cache.
const BLOCK: usize = 1 << 15;

/// Splits a step into chunks of about equal work. It does not depend on the number of threads, so that the
/// result does not either.
fn split(step: &mut Step, set: InstructionSet) {
    let values = step.destination.len();
    let pixels = step.destination.pixels();
    let each = match step.kind {
        Kind::Product => step.depth as usize,
        // Loads weigh more than products here.
        Kind::Depthwise => 3 * (step.kernel[0] * step.kernel[1] * step.depth) as usize,
        Kind::MaxPool => 3 * (step.kernel[0] * step.kernel[1]) as usize,
        Kind::Average => step.source.pixels() * 2,
        Kind::Lines => step.source.pixels() * 6 / step.destination.pixels(),
        Kind::LayerNorm | Kind::LineGate => 8,
    };
    let finish = if step.activation.is_clamp() {
        2
    } else {
        EXPONENTIAL
    };
    let wanted = (values * (each + finish) / CHUNK).clamp(1, CHUNKS);
    let wanted = narrow(wanted);
    let height = step.destination.height;
    let [_, _, rows] = set.sizes();
    (step.chunk_rows, step.chunk_columns) = match step.kind {
        Kind::Product => {
            // A band of lines is gathered at a time.
            let rows = match step.gathers() {
                true => step.destination.width,
                false => narrow(rows),
            };
            if pixels == 1 {
                // All pictures of a batch in one pass over the weights.
                (16, step.panels.div_ceil(wanted))
            } else if step.destination.stride as usize > pixels {
                (narrow(pixels), step.panels.div_ceil(wanted))
            } else {
                let rows = narrow(pixels).div_ceil(wanted).next_multiple_of(rows);
                (rows, step.panels)
            }
        }
        Kind::Depthwise | Kind::MaxPool | Kind::LineGate => {
            if height >= 28 {
                (height.div_ceil(wanted), step.vectors)
            } else {
                (height, step.vectors.div_ceil(wanted))
            }
        }
        Kind::Average | Kind::Lines => (1, step.vectors.div_ceil(wanted)),
        Kind::LayerNorm => (narrow(pixels).div_ceil(wanted), step.vectors),
    };
    if step.kind == Kind::Product {
        let block = if step.gathers() {
            let [_, width] = step.band(step.destination.width as usize);
            let line = width * (step.stride * step.source.stride) as usize;
            (BLOCK / line).max(1) * step.destination.width as usize
        } else {
            (BLOCK / step.depth as usize).next_multiple_of(rows)
        };
        step.block = narrow(block.min(step.chunk_rows as usize));
    }
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("maps and parameters are checked to be smaller")
}
