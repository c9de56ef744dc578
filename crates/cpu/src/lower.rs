//! Breaks the steps of a plan down into operations that there are loops for.

mod clips;
mod sequences;

use crate::activation::Activation;
use crate::error::CompileError;
use crate::graph::{
    LONGEST_SIDE, LineSums, Map, MapShape, Plan, Shortcut, Span, Step, Weighted, Window,
};
use crate::instructions::InstructionSet;
pub(crate) use sequences::Sequenced;

/// A plan as operations that there are loops for.
#[derive(Debug)]
pub struct Lowered {
    pub(crate) set: InstructionSet,
    /// Sizes of all buffers.
    pub(crate) buffers: Vec<MapShape>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) input: Buffer,
    pub(crate) outputs: Vec<Buffer>,
}

/// A feature map of the plan, or what lies between two operations of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer(pub(crate) usize);

/// One operation, for which there is one loop.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) task: Task,
    pub(crate) source: Buffer,
    pub(crate) destination: Buffer,
    pub(crate) window: Window,
    /// Frames that are read with the window.
    pub(crate) span: Span,
    /// `[kernel of the span, kernel, kernel, inputs, outputs]` for a product, `[kernel, kernel, group, channels]` for a depthwise operation.
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) slopes: Vec<f32>,
    pub(crate) activation: Activation,
}

/// The loop of an operation, with the buffers that it reads beside the source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Product {
        gate: Option<Buffer>,
        shortcut: Option<Buffer>,
        /// Whether the shortcut has twice the size and is max-pooled.
        pools_shortcut: bool,
        /// Sums over bands of the source's rows: their mean stands in for the source.
        sums: Option<Buffer>,
    },
    Depthwise {
        sums: Option<Buffer>,
        /// Channels of a group: one or two.
        group: usize,
    },
    Average,
    LayerNorm {
        epsilon: f32,
    },
    MaxPool,
    Enlarge {
        addend: Buffer,
    },
    Lines,
    LineGate {
        gates: Buffer,
        others: Option<Buffer>,
    },
    Sequence(Sequenced),
    /// As many frames as the span says.
    Interpolate,
    /// Brings the source into some channels of the destination, from `first` on.
    Join {
        first: usize,
    },
}

impl Task {
    /// A product of the source alone.
    const PRODUCT: Self = Self::Product {
        gate: None,
        shortcut: None,
        pools_shortcut: false,
        sums: None,
    };
}

impl Plan {
    /// Breaks the steps down and takes their weights along.
    ///
    /// # Errors
    ///
    /// [`CompileError`] for a depthwise convolution that has no loop (the kernel is 3, 5 or 7 and the stride 1 or 2, or
    /// the kernel is 9 and the stride 2; in pairs the kernel is 3 and the stride 1), an empty or too large map, or an
    /// instruction set that this processor lacks.
    pub fn lower(self, set: InstructionSet) -> Result<Lowered, CompileError> {
        if !InstructionSet::available().contains(&set) {
            return Err(CompileError::InstructionSet {
                name: format!("{set:?}"),
            });
        }
        let (maps, steps, outputs) = self.into_parts();
        let mut lowering = Lowering {
            buffers: Vec::new(),
            operations: Vec::new(),
            written: vec![None; maps.len()],
            planned: maps,
        };
        let input = lowering.buffer(lowering.planned[0])?;
        lowering.written[0] = Some(input);
        for step in steps {
            let written = step.output().index();
            lowering.written[written] = Some(lowering.step(step)?);
        }
        let outputs = outputs.into_iter();
        Ok(Lowered {
            set,
            outputs: outputs.map(|map| lowering.find(map)).collect(),
            buffers: lowering.buffers,
            operations: lowering.operations,
            input,
        })
    }
}

/// The position in a line where the gates of columns begin: on a whole vector.
pub(crate) fn column_gates(channels: usize) -> usize {
    channels.next_multiple_of(16)
}

struct Lowering {
    buffers: Vec<MapShape>,
    operations: Vec<Operation>,
    /// Buffers of the plan's maps.
    written: Vec<Option<Buffer>>,
    /// Sizes of the plan's maps.
    planned: Vec<MapShape>,
}

impl Lowering {
    fn find(&self, map: Map) -> Buffer {
        self.written[map.index()].expect("the steps of a plan stand in order")
    }

    fn shape(&self, buffer: Buffer) -> MapShape {
        self.buffers[buffer.0]
    }

    fn buffer(&mut self, shape: MapShape) -> Result<Buffer, CompileError> {
        let axes = shape.axes();
        let is_large = axes.iter().any(|&side| side > LONGEST_SIDE)
            || axes.iter().map(|&side| side as u64).product::<u64>() > 1 << 28;
        if is_large || axes.contains(&0) {
            return Err(CompileError::Size { shape });
        }
        self.buffers.push(shape);
        Ok(Buffer(self.buffers.len() - 1))
    }

    /// Lowers one step; gives the buffer of its output.
    fn step(&mut self, step: Step) -> Result<Buffer, CompileError> {
        match step {
            Step::Convolution {
                input,
                window,
                weighted,
                shortcut,
                ..
            } => self.convolution(input, window, weighted, shortcut),
            Step::Depthwise {
                input,
                window,
                group,
                weighted,
                ..
            } => self.depthwise(input, window, group, weighted),
            Step::Pointwise {
                input,
                weighted,
                gate,
                shortcut,
                ..
            } => self.pointwise(input, weighted, gate, shortcut),
            Step::SqueezeExcite {
                input,
                reduce,
                excite,
                ..
            } => self.squeeze_excite(input, reduce, excite),
            Step::CoordinateAttention {
                input,
                sums,
                reduce,
                rows,
                columns,
                ..
            } => self.coordinate_attention(input, sums, reduce, [rows, columns]),
            Step::LineGate {
                input,
                gates,
                others,
                ..
            } => self.line_gate(input, gates, others),
            Step::Average { input, .. } => self.average(self.find(input)),
            Step::MaxPool { input, window, .. } => self.max_pool(input, window),
            Step::Enlarge {
                input,
                activation,
                addend,
                ..
            } => self.enlarge(input, activation, addend),
            Step::LayerNorm {
                input,
                scale,
                bias,
                epsilon,
                ..
            } => self.layer_norm(input, scale, bias, epsilon),
            Step::Sequence(sequence) => self.sequence(sequence),
            Step::Clip(clip) => self.clip(clip),
        }
    }

    fn convolution(
        &mut self,
        input: Map,
        window: Window,
        weighted: Weighted,
        shortcut: Option<Map>,
    ) -> Result<Buffer, CompileError> {
        let task = Task::Product {
            gate: None,
            shortcut: shortcut.map(|map| self.find(map)),
            pools_shortcut: false,
            sums: None,
        };
        self.weighted(task, self.find(input), window, weighted)
    }

    fn depthwise(
        &mut self,
        input: Map,
        window: Window,
        group: usize,
        weighted: Weighted,
    ) -> Result<Buffer, CompileError> {
        let has_loop = matches!(
            (group, window.kernel, window.stride),
            (1, 3 | 5 | 7, 1 | 2) | (1, 9, 2) | (2, 3, 1)
        );
        if !has_loop {
            return Err(CompileError::Window { window, group });
        }
        let task = Task::Depthwise { sums: None, group };
        self.weighted(task, self.find(input), window, weighted)
    }

    fn pointwise(
        &mut self,
        input: Map,
        weighted: Weighted,
        gate: Option<Map>,
        shortcut: Option<Shortcut>,
    ) -> Result<Buffer, CompileError> {
        let source = self.find(input);
        let task = Task::Product {
            gate: gate.map(|map| self.find(map)),
            shortcut: shortcut.map(|shortcut| self.find(shortcut.map)),
            pools_shortcut: shortcut.is_some_and(|shortcut| shortcut.pooled),
            sums: None,
        };
        self.weighted(task, source, Window::pixels(self.shape(source)), weighted)
    }

    fn squeeze_excite(
        &mut self,
        input: Map,
        reduce: Weighted,
        excite: Weighted,
    ) -> Result<Buffer, CompileError> {
        let source = self.find(input);
        let squeezed = match self.summed(source)? {
            Some(sums) => {
                let task = Task::Product {
                    gate: None,
                    shortcut: None,
                    pools_shortcut: false,
                    sums: Some(sums),
                };
                self.weighted(task, source, PIXEL, reduce)?
            }
            None => {
                let means = self.average(source)?;
                self.dense(means, reduce)?
            }
        };
        self.dense(squeezed, excite)
    }

    /// Sums of a map that comes out of a depthwise convolution, which adds it up while it is in registers.
    fn summed(&mut self, source: Buffer) -> Result<Option<Buffer>, CompileError> {
        let mut operations = self.operations.iter();
        let Some(producer) = operations.position(|operation| operation.destination == source)
        else {
            return Ok(None);
        };
        let Task::Depthwise { sums, group } = self.operations[producer].task else {
            return Ok(None);
        };
        if sums.is_some() {
            return Ok(sums);
        }
        let sums = Some(self.buffer(MapShape::pixel(self.shape(source).channels))?);
        self.operations[producer].task = Task::Depthwise { sums, group };
        Ok(sums)
    }

    fn coordinate_attention(
        &mut self,
        input: Map,
        sums: Option<LineSums>,
        reduce: Weighted,
        excite: [Weighted; 2],
    ) -> Result<Buffer, CompileError> {
        let source = self.find(input);
        let MapShape {
            height,
            width,
            channels,
        } = self.shape(source);
        let LineSums { weight, bias } = sums.unwrap_or_else(|| LineSums {
            weight: Vec::new(),
            bias: Vec::new(),
        });
        let lines = self.buffer(MapShape {
            height: height + width,
            width: 1,
            channels,
        })?;
        self.operations.push(Operation {
            weight,
            bias,
            ..Operation::plain(Task::Lines, source, lines, PIXEL)
        });
        let squeezed = self.dense(lines, reduce)?;
        self.gates_of_lines(squeezed, excite)
    }

    /// One layer gives gates of rows and gates of columns for every line, and half of them are used.
    fn gates_of_lines(
        &mut self,
        squeezed: Buffer,
        excite: [Weighted; 2],
    ) -> Result<Buffer, CompileError> {
        let channels = excite[0].bias.len();
        let inputs = self.shape(squeezed).channels;
        let column_start = column_gates(channels);
        let outputs = column_start + channels;
        let mut weight = vec![0.0; inputs * outputs];
        let mut bias = vec![0.0; outputs];
        for (start, layer) in [0, column_start].into_iter().zip(excite) {
            let rows = weight.chunks_exact_mut(outputs);
            for (to, from) in rows.zip(layer.weight.chunks_exact(channels)) {
                to[start..start + channels].copy_from_slice(from);
            }
            bias[start..start + channels].copy_from_slice(&layer.bias);
        }
        let shape = MapShape {
            channels: outputs,
            ..self.shape(squeezed)
        };
        let gates = self.buffer(shape)?;
        self.operations.push(Operation {
            weight,
            bias,
            activation: Activation::Sigmoid,
            ..Operation::plain(Task::PRODUCT, squeezed, gates, Window::pixels(shape))
        });
        Ok(gates)
    }

    fn line_gate(
        &mut self,
        input: Map,
        gates: Map,
        others: Option<Map>,
    ) -> Result<Buffer, CompileError> {
        let source = self.find(input);
        let task = Task::LineGate {
            gates: self.find(gates),
            others: others.map(|map| self.find(map)),
        };
        let shape = self.shape(source);
        let destination = self.buffer(shape)?;
        let window = Window::pixels(shape);
        self.operations
            .push(Operation::plain(task, source, destination, window));
        Ok(destination)
    }

    fn average(&mut self, source: Buffer) -> Result<Buffer, CompileError> {
        let means = self.buffer(MapShape::pixel(self.shape(source).channels))?;
        self.operations
            .push(Operation::plain(Task::Average, source, means, PIXEL));
        Ok(means)
    }

    fn max_pool(&mut self, input: Map, window: Window) -> Result<Buffer, CompileError> {
        let source = self.find(input);
        let [height, width] = window.output;
        let destination = self.buffer(MapShape {
            height,
            width,
            channels: self.shape(source).channels,
        })?;
        self.operations
            .push(Operation::plain(Task::MaxPool, source, destination, window));
        Ok(destination)
    }

    fn enlarge(
        &mut self,
        input: Map,
        activation: Activation,
        addend: Map,
    ) -> Result<Buffer, CompileError> {
        let addend = self.find(addend);
        let shape = self.shape(addend);
        let destination = self.buffer(shape)?;
        let task = Task::Enlarge { addend };
        let window = Window::pixels(shape);
        let source = self.find(input);
        self.operations.push(Operation {
            activation,
            ..Operation::plain(task, source, destination, window)
        });
        Ok(destination)
    }

    fn layer_norm(
        &mut self,
        input: Map,
        scale: Vec<f32>,
        bias: Vec<f32>,
        epsilon: f32,
    ) -> Result<Buffer, CompileError> {
        let source = self.find(input);
        let shape = self.shape(source);
        let destination = self.buffer(shape)?;
        let task = Task::LayerNorm { epsilon };
        self.operations.push(Operation {
            weight: scale,
            bias,
            ..Operation::plain(task, source, destination, Window::pixels(shape))
        });
        Ok(destination)
    }

    /// A fully connected layer of each pixel.
    fn dense(&mut self, source: Buffer, weighted: Weighted) -> Result<Buffer, CompileError> {
        let window = Window::pixels(self.shape(source));
        self.weighted(Task::PRODUCT, source, window, weighted)
    }

    fn weighted(
        &mut self,
        task: Task,
        source: Buffer,
        window: Window,
        weighted: Weighted,
    ) -> Result<Buffer, CompileError> {
        let [height, width] = window.output;
        let destination = self.buffer(MapShape {
            height,
            width,
            channels: weighted.bias.len(),
        })?;
        self.operations.push(Operation {
            weight: weighted.weight,
            bias: weighted.bias,
            slopes: weighted.slopes,
            activation: weighted.activation,
            ..Operation::plain(task, source, destination, window)
        });
        Ok(destination)
    }
}

/// The only pixel of a map.
const PIXEL: Window = Window {
    kernel: 1,
    stride: 1,
    padding: [0, 0],
    output: [1, 1],
};

impl Operation {
    /// An operation without parameters.
    fn plain(task: Task, source: Buffer, destination: Buffer, window: Window) -> Self {
        Self {
            task,
            source,
            destination,
            window,
            span: Span::PICTURE,
            weight: Vec::new(),
            bias: Vec::new(),
            slopes: Vec::new(),
            activation: Activation::Identity,
        }
    }

    /// What the operation does with its buffers.
    pub(crate) fn roles(&self) -> Roles {
        let (shortcut, gate, sums) = match self.task {
            Task::Product {
                gate,
                shortcut,
                sums,
                ..
            } => (shortcut, gate, sums),
            Task::Depthwise { sums, .. } => (None, None, sums),
            Task::LineGate { gates, others } => (others, Some(gates), None),
            Task::Enlarge { addend } => (Some(addend), None, None),
            Task::Sequence(sequence) => (sequence.other(), None, None),
            _ => (None, None, None),
        };
        Roles {
            source: self.source,
            destination: self.destination,
            shortcut,
            gate,
            sums,
        }
    }

    /// Every buffer that the operation reads or writes.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = Buffer> {
        let Roles {
            shortcut,
            gate,
            sums,
            ..
        } = self.roles();
        // Where sums stand in for the source, it is needed for its size only.
        let reads_sums = matches!(self.task, Task::Product { sums: Some(_), .. });
        let source = (!reads_sums).then_some(self.source);
        [Some(self.destination), source]
            .into_iter()
            .chain([shortcut, gate, sums])
            .flatten()
    }
}

/// Buffers of an operation by what they are to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roles {
    pub(crate) source: Buffer,
    pub(crate) destination: Buffer,
    pub(crate) shortcut: Option<Buffer>,
    pub(crate) gate: Option<Buffer>,
    pub(crate) sums: Option<Buffer>,
}
