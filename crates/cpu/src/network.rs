//! A network as a list of steps over feature maps, checked while it is written down.

use std::fmt;

use crate::step::Activation;

/// A feature map of a [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapId(pub(crate) usize);

/// Steps over feature maps; batch is left open.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// `[height, width, channels]`
    pub(crate) shapes: Vec<[usize; 3]>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) inputs: Vec<MapId>,
    pub(crate) outputs: Vec<MapId>,
}

/// Where a kernel looks, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Padding above and to the left; below and to the right follows from the size.
    pub padding: [usize; 2],
    /// Height and width of the output.
    pub size: [usize; 2],
}

/// What happens to the sums of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// Added, one a channel.
    pub bias: &'a [f32],
    /// Applied after bias and shortcut.
    pub activation: Activation,
    /// Of [`Activation::Prelu`], one a channel; else empty.
    pub slopes: &'a [f32],
}

/// A map that is added before the activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortcut {
    /// The map; channels that it lacks count as zero.
    pub map: MapId,
    /// Takes the largest of each two by two pixels of a map of twice the size.
    pub is_pooled: bool,
}

/// Why a network cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkError {
    /// A map of another network.
    UnknownMap {
        /// Its number.
        map: usize,
    },
    /// A list of parameters or a map that does not fit.
    Shape {
        /// What does not fit.
        what: &'static str,
        /// Its shape as it should be.
        expected: Vec<usize>,
        /// Its shape as it is; the length where it is a list of parameters.
        got: Vec<usize>,
    },
    /// A window that a step cannot have.
    Window {
        /// The window.
        window: Window,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A map without pixels or channels, or one that memory cannot hold.
    Size {
        /// `[height, width, channels]`
        shape: [usize; 3],
    },
    /// An instruction set that this processor lacks.
    InstructionSet {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for NetworkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownMap { map } => write!(formatter, "network has no map {map}"),
            Self::Shape {
                what,
                expected,
                got,
            } => {
                write!(formatter, "{what} has shape {got:?}, expected {expected:?}")
            }
            Self::Window { window, reason } => write!(
                formatter,
                "window of {kernel}x{kernel}, stride {stride}, {reason}",
                kernel = window.kernel,
                stride = window.stride,
            ),
            Self::Size { shape } => {
                write!(formatter, "map of shape {shape:?} is empty or too large")
            }
            Self::InstructionSet { name } => {
                write!(formatter, "processor lacks the instruction set {name}")
            }
        }
    }
}

impl std::error::Error for NetworkError {}

/// One step as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) task: Task,
    pub(crate) source: MapId,
    pub(crate) destination: MapId,
    pub(crate) window: Window,
    /// `[kernel, kernel, inputs, outputs]` of a product, `[kernel, kernel, channels]` of a depthwise step.
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) slopes: Vec<f32>,
    pub(crate) activation: Activation,
}

/// What an operation does.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    Product {
        gate: Option<MapId>,
        shortcut: Option<Shortcut>,
        /// Sums over bands of the source's rows: their mean stands in for the source.
        sums: Option<MapId>,
    },
    Depthwise {
        sums: Option<MapId>,
        /// Channels of a group: one or two.
        group: usize,
    },
    Average,
    LayerNorm {
        epsilon: f32,
    },
    MaxPool,
    Lines,
    LineGate {
        gates: MapId,
        others: Option<MapId>,
    },
}

impl Window {
    const PIXEL: Self = Self {
        kernel: 1,
        stride: 1,
        padding: [0, 0],
        size: [1, 1],
    };

    fn of_size(size: [usize; 2]) -> Self {
        Self {
            size,
            ..Self::PIXEL
        }
    }

    fn check(self, source: [usize; 2]) -> Result<(), NetworkError> {
        let refuse = |reason| {
            Err(NetworkError::Window {
                window: self,
                reason,
            })
        };
        if self.kernel == 0 || self.stride == 0 {
            return refuse("has no extent");
        }
        if self.kernel > MOST || self.stride > MOST || self.size.iter().any(|&side| side > MOST) {
            return refuse("is too large");
        }
        for (axis, side) in source.into_iter().enumerate() {
            if self.padding[axis] >= self.kernel {
                return refuse("lies in the padding");
            }
            let last = self.size[axis].saturating_sub(1) * self.stride;
            if last >= side + self.padding[axis] {
                return refuse("reaches past the map");
            }
        }
        Ok(())
    }
}

/// Longest side, and most channels, of a map.
const MOST: usize = 1 << 16;

impl Network {
    /// A picture, or any other map that is handed in; `[height, width, channels]`.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Size`].
    pub fn input(&mut self, shape: [usize; 3]) -> Result<MapId, NetworkError> {
        let map = self.map(shape)?;
        self.inputs.push(map);
        Ok(map)
    }

    /// Marks a map to be read after a run.
    ///
    /// # Errors
    ///
    /// [`NetworkError::UnknownMap`].
    pub fn output(&mut self, map: MapId) -> Result<(), NetworkError> {
        self.shape(map)?;
        self.outputs.push(map);
        Ok(())
    }

    /// `[height, width, channels]` of a map.
    ///
    /// # Errors
    ///
    /// [`NetworkError::UnknownMap`].
    pub fn shape(&self, map: MapId) -> Result<[usize; 3], NetworkError> {
        let shape = self.shapes.get(map.0).copied();
        shape.ok_or(NetworkError::UnknownMap { map: map.0 })
    }

    /// A convolution in which every output channel sees every input channel.
    ///
    /// Outputs are as many as biases; the weight is `[kernel, kernel, inputs, outputs]`.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for parameters, a window or a shortcut that does not fit.
    pub fn convolution(
        &mut self,
        source: MapId,
        window: Window,
        weight: &[f32],
        finish: Finish<'_>,
        shortcut: Option<Shortcut>,
    ) -> Result<MapId, NetworkError> {
        self.product(source, window, weight, finish, None, shortcut)
    }

    /// A convolution of single pixels; the weight is `[inputs, outputs]`. On a map of one pixel it is a fully
    /// connected layer.
    ///
    /// The gate, a map of one pixel, is multiplied into the source first.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for parameters, a gate or a shortcut that does not fit.
    pub fn pointwise(
        &mut self,
        source: MapId,
        weight: &[f32],
        finish: Finish<'_>,
        gate: Option<MapId>,
        shortcut: Option<Shortcut>,
    ) -> Result<MapId, NetworkError> {
        let [height, width, _] = self.shape(source)?;
        let window = Window::of_size([height, width]);
        self.product(source, window, weight, finish, gate, shortcut)
    }

    fn product(
        &mut self,
        source: MapId,
        window: Window,
        weight: &[f32],
        finish: Finish<'_>,
        gate: Option<MapId>,
        shortcut: Option<Shortcut>,
    ) -> Result<MapId, NetworkError> {
        let [height, width, inputs] = self.shape(source)?;
        window.check([height, width])?;
        let outputs = finish.bias.len();
        let [rows, columns] = window.size;
        expect(
            "weight",
            &[outputs * inputs * window.kernel * window.kernel],
            &[weight.len()],
        )?;
        finish.check()?;
        if let Some(gate) = gate {
            expect("gate", &[1, 1, inputs], &self.shape(gate)?)?;
        }
        if let Some(Shortcut { map, is_pooled }) = shortcut {
            let shape = self.shape(map)?;
            let times = if is_pooled { 2 } else { 1 };
            let channels = shape[2].min(outputs);
            expect(
                "shortcut",
                &[rows * times, columns * times, channels],
                &shape,
            )?;
        }
        let destination = self.map([rows, columns, outputs])?;
        self.operations.push(Operation {
            task: Task::Product {
                gate,
                shortcut,
                sums: None,
            },
            source,
            destination,
            window,
            weight: weight.to_vec(),
            bias: finish.bias.to_vec(),
            slopes: finish.slopes.to_vec(),
            activation: finish.activation,
        });
        Ok(destination)
    }

    /// A convolution of each channel on its own; the weight is `[kernel, kernel, channels]`.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for parameters or a window that does not fit; the kernel is 3, 5 or 7 and the stride 1 or
    /// 2, or the kernel is 9 and the stride 2.
    pub fn depthwise(
        &mut self,
        source: MapId,
        window: Window,
        weight: &[f32],
        finish: Finish<'_>,
    ) -> Result<MapId, NetworkError> {
        self.grouped(source, window, weight, finish, 1)
    }

    /// A convolution in groups of two neighbouring channels; the weight is `[kernel, kernel, 2, channels]`.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for parameters, an odd number of channels, or a window other than 3x3 of stride 1.
    pub fn pairwise(
        &mut self,
        source: MapId,
        window: Window,
        weight: &[f32],
        finish: Finish<'_>,
    ) -> Result<MapId, NetworkError> {
        let [height, width, channels] = self.shape(source)?;
        let even = channels.next_multiple_of(2);
        expect("map", &[height, width, even], &[height, width, channels])?;
        self.grouped(source, window, weight, finish, 2)
    }

    fn grouped(
        &mut self,
        source: MapId,
        window: Window,
        weight: &[f32],
        finish: Finish<'_>,
        group: usize,
    ) -> Result<MapId, NetworkError> {
        let [height, width, channels] = self.shape(source)?;
        window.check([height, width])?;
        let has_loop = matches!(
            (group, window.kernel, window.stride),
            (1, 3 | 5 | 7, 1 | 2) | (1, 9, 2) | (2, 3, 1)
        );
        if !has_loop {
            return Err(NetworkError::Window {
                window,
                reason: "is not one that a depthwise convolution can have here",
            });
        }
        expect(
            "weight",
            &[channels * group * window.kernel * window.kernel],
            &[weight.len()],
        )?;
        expect("bias", &[channels], &[finish.bias.len()])?;
        finish.check()?;
        let destination = self.map([window.size[0], window.size[1], channels])?;
        self.operations.push(Operation {
            task: Task::Depthwise { sums: None, group },
            source,
            destination,
            window,
            weight: weight.to_vec(),
            bias: finish.bias.to_vec(),
            slopes: finish.slopes.to_vec(),
            activation: finish.activation,
        });
        Ok(destination)
    }

    /// The gate of squeeze-and-excitation: means of the channels through two fully connected layers.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for parameters that do not fit.
    pub fn squeeze_excite(
        &mut self,
        source: MapId,
        (reduce_weight, reduce): (&[f32], Finish<'_>),
        (excite_weight, excite): (&[f32], Finish<'_>),
    ) -> Result<MapId, NetworkError> {
        let [_, _, channels] = self.shape(source)?;
        expect("bias", &[channels], &[excite.bias.len()])?;
        let producer = self
            .operations
            .iter()
            .position(|operation| operation.destination == source);
        // Where the map comes out of a depthwise convolution, that sums it up while it is in registers.
        let squeezed = match producer.map(|index| &self.operations[index].task) {
            Some(&Task::Depthwise { sums, group }) => {
                let sums = match sums {
                    Some(sums) => sums,
                    None => self.map([1, 1, channels])?,
                };
                if let Some(index) = producer {
                    let sums = Some(sums);
                    self.operations[index].task = Task::Depthwise { sums, group };
                }
                let squeezed = self.pointwise(sums, reduce_weight, reduce, None, None)?;
                if let Some(operation) = self.operations.last_mut() {
                    operation.source = source;
                    operation.task = Task::Product {
                        gate: None,
                        shortcut: None,
                        sums: Some(sums),
                    };
                }
                squeezed
            }
            _ => {
                let means = self.average(source)?;
                self.pointwise(means, reduce_weight, reduce, None, None)?
            }
        };
        self.pointwise(squeezed, excite_weight, excite, None, None)
    }

    /// The gates of coordinate attention (Hou et al. 2021): the mean of each row and of each column goes through the
    /// layer `reduce` and then through a layer of rows or of columns.
    ///
    /// Instead of means there can be sums weighted by `[width, channels]` (of rows) and then `[height, channels]` (of
    /// columns), and biases, `[2, channels]`. The result is for [`line_gate`](Self::line_gate) alone.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for parameters that do not fit.
    pub fn coordinate_attention(
        &mut self,
        source: MapId,
        sums: Option<(&[f32], &[f32])>,
        (reduce_weight, reduce): (&[f32], Finish<'_>),
        rows: (&[f32], Finish<'_>),
        columns: (&[f32], Finish<'_>),
    ) -> Result<MapId, NetworkError> {
        let [height, width, channels] = self.shape(source)?;
        let lines = height + width;
        let (weight, bias) = sums.unwrap_or_default();
        if sums.is_some() {
            expect("weight", &[lines * channels], &[weight.len()])?;
            expect("bias", &[2 * channels], &[bias.len()])?;
        }
        let map = self.map([lines, 1, channels])?;
        self.push(Task::Lines, source, map, Window::PIXEL);
        if let Some(operation) = self.operations.last_mut() {
            operation.weight = weight.to_vec();
            operation.bias = bias.to_vec();
        }
        let squeezed = self.pointwise(map, reduce_weight, reduce, None, None)?;
        // One layer gives gates of rows and gates of columns for every line, and half of them are used.
        let inputs = reduce.bias.len();
        let column_start = column_gates(channels);
        let outputs = column_start + channels;
        let mut joined = vec![0.0; inputs * outputs];
        let mut bias = vec![0.0; outputs];
        for (start, (weight, finish)) in [(0, rows), (column_start, columns)] {
            expect("weight", &[inputs * channels], &[weight.len()])?;
            expect("bias", &[channels], &[finish.bias.len()])?;
            let to = joined.chunks_exact_mut(outputs);
            for (to, from) in to.zip(weight.chunks_exact(channels)) {
                to[start..start + channels].copy_from_slice(from);
            }
            bias[start..start + channels].copy_from_slice(finish.bias);
        }
        let finish = Finish {
            bias: &bias,
            activation: Activation::Sigmoid,
            slopes: &[],
        };
        self.pointwise(squeezed, &joined, finish, None, None)
    }

    /// Every pixel times the gate of its row and the gate of its column; with two maps of gates, times the larger
    /// of both products.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for gates that are not of [`coordinate_attention`](Self::coordinate_attention) over a map of
    /// this size.
    pub fn line_gate(
        &mut self,
        source: MapId,
        gates: MapId,
        others: Option<MapId>,
    ) -> Result<MapId, NetworkError> {
        let [height, width, channels] = self.shape(source)?;
        let expected = [height + width, 1, column_gates(channels) + channels];
        for gates in [Some(gates), others].into_iter().flatten() {
            expect("gates", &expected, &self.shape(gates)?)?;
        }
        let destination = self.map([height, width, channels])?;
        let window = Window::of_size([height, width]);
        let task = Task::LineGate { gates, others };
        self.push(task, source, destination, window);
        Ok(destination)
    }

    /// Means over all pixels, a map of one pixel.
    ///
    /// # Errors
    ///
    /// [`NetworkError::UnknownMap`].
    pub fn average(&mut self, source: MapId) -> Result<MapId, NetworkError> {
        let [_, _, channels] = self.shape(source)?;
        let destination = self.map([1, 1, channels])?;
        self.push(Task::Average, source, destination, Window::PIXEL);
        Ok(destination)
    }

    /// Brings the channels of each pixel to mean 0 and variance 1, then applies gain and bias.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for parameters that do not fit.
    pub fn layer_norm(
        &mut self,
        source: MapId,
        gain: &[f32],
        finish: Finish<'_>,
        epsilon: f32,
    ) -> Result<MapId, NetworkError> {
        let [height, width, channels] = self.shape(source)?;
        expect("gain", &[channels], &[gain.len()])?;
        expect("bias", &[channels], &[finish.bias.len()])?;
        finish.check()?;
        let destination = self.map([height, width, channels])?;
        self.operations.push(Operation {
            task: Task::LayerNorm { epsilon },
            source,
            destination,
            window: Window::of_size([height, width]),
            weight: gain.to_vec(),
            bias: finish.bias.to_vec(),
            slopes: finish.slopes.to_vec(),
            activation: finish.activation,
        });
        Ok(destination)
    }

    /// The largest value of each window; padding does not count.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Window`].
    pub fn max_pool(&mut self, source: MapId, window: Window) -> Result<MapId, NetworkError> {
        let [height, width, channels] = self.shape(source)?;
        window.check([height, width])?;
        let destination = self.map([window.size[0], window.size[1], channels])?;
        self.push(Task::MaxPool, source, destination, window);
        Ok(destination)
    }

    fn push(&mut self, task: Task, source: MapId, destination: MapId, window: Window) {
        self.operations.push(Operation {
            task,
            source,
            destination,
            window,
            weight: Vec::new(),
            bias: Vec::new(),
            slopes: Vec::new(),
            activation: Activation::Identity,
        });
    }

    fn map(&mut self, shape: [usize; 3]) -> Result<MapId, NetworkError> {
        let is_large = shape.iter().any(|&side| side > MOST)
            || shape.iter().map(|&side| side as u64).product::<u64>() > 1 << 28;
        if is_large || shape.contains(&0) {
            return Err(NetworkError::Size { shape });
        }
        self.shapes.push(shape);
        Ok(MapId(self.shapes.len() - 1))
    }
}

/// Where in a line the gates of columns begin: on a whole vector.
pub(crate) fn column_gates(channels: usize) -> usize {
    channels.next_multiple_of(16)
}

impl Finish<'_> {
    fn check(&self) -> Result<(), NetworkError> {
        let slopes = match self.activation {
            Activation::Prelu => self.bias.len(),
            _ => 0,
        };
        expect("slopes", &[slopes], &[self.slopes.len()])
    }
}

fn expect(what: &'static str, expected: &[usize], got: &[usize]) -> Result<(), NetworkError> {
    if expected == got {
        return Ok(());
    }
    Err(NetworkError::Shape {
        what,
        expected: expected.to_vec(),
        got: got.to_vec(),
    })
}
