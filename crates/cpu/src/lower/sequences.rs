//! Operations over pixels in their order.

use super::{Buffer, Lowering, Operation, Task};
use crate::error::CompileError;
use crate::graph::{Map, MapShape, ScoreBias, Sequence, Weighted, Window};
use crate::packed::{KEY_ROUNDING, packed_head};

/// The loop of an operation over pixels in their order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sequenced {
    /// A product whose rows begin `stride` pixels after each other and are `kernel` pixels long.
    Line { kernel: usize, stride: usize },
    /// A convolution in groups.
    Grouped {
        kernel: usize,
        padding: usize,
        groups: usize,
        addend: Option<Buffer>,
    },
    /// Keys and values in the order in which attention reads them.
    Keys { heads: usize },
    /// Attention to them.
    Attention { heads: usize, keys: Buffer },
    /// Pixels in another order.
    Arrange,
    /// Pixels in rows by their place in a patch.
    Unfold { patch: usize },
    /// The picture of such rows.
    Fold { patch: usize },
    /// Channels as pixels, and pixels as channels.
    Transpose,
}

impl Sequenced {
    /// What is read beside the source.
    pub(crate) fn other(self) -> Option<Buffer> {
        match self {
            Self::Line { .. }
            | Self::Keys { .. }
            | Self::Arrange
            | Self::Unfold { .. }
            | Self::Fold { .. }
            | Self::Transpose => None,
            Self::Grouped { addend, .. } => addend,
            Self::Attention { keys, .. } => Some(keys),
        }
    }
}

impl Lowering {
    pub(super) fn sequence(&mut self, sequence: Sequence) -> Result<Buffer, CompileError> {
        match sequence {
            Sequence::Convolution {
                input,
                output: _,
                kernel,
                stride,
                weighted,
            } => {
                let width = (self.shape(self.find(input)).width - kernel) / stride + 1;
                let task = Sequenced::Line { kernel, stride };
                self.along_row(task, input, width, weighted)
            }
            Sequence::GroupedConvolution {
                input,
                output: _,
                kernel,
                padding,
                groups,
                weighted,
                addend,
            } => {
                let width = self.shape(self.find(input)).width;
                let task = Sequenced::Grouped {
                    kernel,
                    padding,
                    groups,
                    addend: addend.map(|map| self.find(map)),
                };
                self.along_row(task, input, width, weighted)
            }
            Sequence::Attention {
                input, heads, bias, ..
            } => self.attention(input, heads, bias),
            Sequence::Arrange {
                input,
                output,
                places,
                addend,
            } => {
                let places = places
                    .iter()
                    .map(|place| place.map_or(0, |place| place + 1));
                self.moved(Sequenced::Arrange, input, output)?;
                let operation = self.operations.last_mut().expect("just added");
                operation.weight = places.map(f32::from_bits).collect();
                operation.bias = addend;
                Ok(operation.destination)
            }
            Sequence::Unfold {
                input,
                output,
                patch,
            } => self.moved(Sequenced::Unfold { patch }, input, output),
            Sequence::Fold {
                input,
                output,
                patch,
            } => self.moved(Sequenced::Fold { patch }, input, output),
            Sequence::Transpose { input, output } => {
                self.moved(Sequenced::Transpose, input, output)
            }
        }
    }

    fn along_row(
        &mut self,
        task: Sequenced,
        input: Map,
        width: usize,
        weighted: Weighted,
    ) -> Result<Buffer, CompileError> {
        let window = Window {
            kernel: 1,
            stride: 1,
            padding: [0, 0],
            output: [1, width],
        };
        self.weighted(Task::Sequence(task), self.find(input), window, weighted)
    }

    fn attention(
        &mut self,
        input: Map,
        heads: usize,
        bias: Option<ScoreBias>,
    ) -> Result<Buffer, CompileError> {
        let source = self.find(input);
        let shape = self.shape(source);
        let channels = shape.channels / 3;
        let keys = self.buffer(MapShape {
            height: shape.height,
            width: shape.width.next_multiple_of(KEY_ROUNDING),
            channels: heads * packed_head(channels / heads),
        })?;
        let destination = self.buffer(MapShape { channels, ..shape })?;
        let pixels = Window::pixels(shape);
        for (task, destination) in [
            (Sequenced::Keys { heads }, keys),
            (Sequenced::Attention { heads, keys }, destination),
        ] {
            self.operations.push(Operation::plain(
                Task::Sequence(task),
                source,
                destination,
                pixels,
            ));
        }
        if let (Some(bias), Some(operation)) = (bias, self.operations.last_mut()) {
            let heads = (0..heads).flat_map(|head| bias.of_head(head, heads));
            operation.weight = heads.collect();
            let numbers = bias.codes.iter().chain(&bias.regions);
            operation.bias = numbers.map(|number| f32::from_bits(*number)).collect();
        }
        Ok(destination)
    }

    /// Pixels in another order.
    fn moved(&mut self, task: Sequenced, input: Map, output: Map) -> Result<Buffer, CompileError> {
        let source = self.find(input);
        let shape = self.planned[output.index()];
        let destination = self.buffer(shape)?;
        let window = Window::pixels(shape);
        let task = Task::Sequence(task);
        self.operations
            .push(Operation::plain(task, source, destination, window));
        Ok(destination)
    }
}
