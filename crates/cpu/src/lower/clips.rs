//! Operations over the frames of a clip.

use super::{Buffer, Lowering, Operation, PIXEL, Task};
use crate::error::CompileError;
use crate::graph::{Clip, Map, Span, Weighted, Window};

impl Lowering {
    pub(super) fn clip(&mut self, clip: Clip) -> Result<Buffer, CompileError> {
        let destination = self.buffer(self.planned[clip.output().index()])?;
        match clip {
            Clip::Convolution {
                input,
                span,
                window,
                weighted,
                shortcut,
                ..
            } => {
                let task = Task::Product {
                    gate: None,
                    shortcut: shortcut.map(|map| self.find(map)),
                    pools_shortcut: false,
                    sums: None,
                };
                let buffers = [self.find(input), destination];
                self.clip_convolution(task, buffers, span, window, weighted);
            }
            Clip::MaxPool {
                input,
                span,
                window,
                ..
            } => {
                let source = self.find(input);
                self.operations.push(Operation {
                    span,
                    ..Operation::plain(Task::MaxPool, source, destination, window)
                });
            }
            Clip::Average { input, .. } => {
                let source = self.find(input);
                let average = Operation::plain(Task::Average, source, destination, PIXEL);
                self.operations.push(average);
            }
            Clip::Interpolate {
                input,
                frames: [frames, output],
                ..
            } => {
                let source = self.find(input);
                let window = Window::pixels(self.shape(destination));
                self.operations.push(Operation {
                    span: Span {
                        frames,
                        output,
                        ..Span::PICTURE
                    },
                    ..Operation::plain(Task::Interpolate, source, destination, window)
                });
            }
            Clip::Join { inputs, .. } => self.join(&inputs, destination),
        }
        Ok(destination)
    }

    fn clip_convolution(
        &mut self,
        task: Task,
        [source, destination]: [Buffer; 2],
        span: Span,
        window: Window,
        weighted: Weighted,
    ) {
        self.operations.push(Operation {
            span,
            weight: weighted.weight,
            bias: weighted.bias,
            slopes: weighted.slopes,
            activation: weighted.activation,
            ..Operation::plain(task, source, destination, window)
        });
    }

    /// One copy for each map.
    fn join(&mut self, inputs: &[Map], destination: Buffer) {
        let window = Window::pixels(self.shape(destination));
        let mut first = 0;
        for input in inputs {
            let source = self.find(*input);
            let task = Task::Join { first };
            self.operations
                .push(Operation::plain(task, source, destination, window));
            first += self.shape(source).channels;
        }
    }
}
