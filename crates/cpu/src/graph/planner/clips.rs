//! Steps over clips.

use alloc::vec::Vec;

use super::Planner;
use crate::graph::clip::frame_of;
use crate::graph::{Clip, LONGEST_SIDE, Map, MapShape, Span, Step, Weighted, Window, expect};

impl Planner {
    /// Adds a [`Clip::Convolution`].
    ///
    /// # Panics
    ///
    /// If the map is no clip of so many frames, or the window does not fit to a frame.
    #[track_caller]
    pub fn clip_convolution(
        &mut self,
        input: Map,
        span: Span,
        window: Window,
        weighted: Weighted,
        shortcut: Option<Map>,
    ) -> Map {
        let frame = self.frame(input, span, window);
        let outputs = weighted.bias.len();
        let taps = span.kernel * window.kernel * window.kernel;
        weighted.check(taps * frame.channels * outputs, outputs);
        let shape = span.under(window, outputs);
        if let Some(shortcut) = shortcut {
            expect("shortcut", &shape.axes(), &self.read(shortcut).axes());
        }
        let output = self.add(shape);
        self.steps.push(Step::Clip(Clip::Convolution {
            input,
            output,
            span,
            window,
            weighted,
            shortcut,
        }));
        output
    }

    /// Adds a [`Clip::MaxPool`].
    ///
    /// # Panics
    ///
    /// As [`clip_convolution`](Self::clip_convolution).
    #[track_caller]
    pub fn clip_max_pool(&mut self, input: Map, span: Span, window: Window) -> Map {
        let frame = self.frame(input, span, window);
        let output = self.add(span.under(window, frame.channels));
        self.steps.push(Step::Clip(Clip::MaxPool {
            input,
            output,
            span,
            window,
        }));
        output
    }

    /// Adds a [`Clip::Average`].
    ///
    /// # Panics
    ///
    /// If the map is no clip of so many frames.
    #[track_caller]
    pub fn frame_average(&mut self, input: Map, frames: usize) -> Map {
        let frame = frame_of(self.read(input), frames);
        let output = self.add(MapShape {
            height: frames,
            width: 1,
            channels: frame.channels,
        });
        self.steps.push(Step::Clip(Clip::Average {
            input,
            output,
            frames,
        }));
        output
    }

    /// Adds a [`Clip::Interpolate`] from one number of frames to another.
    ///
    /// # Panics
    ///
    /// If the map is no clip of so many frames, or no frame is wanted, or too many are.
    #[track_caller]
    pub fn interpolate_frames(&mut self, input: Map, frames: [usize; 2]) -> Map {
        let frame = frame_of(self.read(input), frames[0]);
        let height = frame.height.saturating_mul(frames[1]);
        assert!(
            (1..=LONGEST_SIDE).contains(&height),
            "{} frames of {} rows, expected 1 to {LONGEST_SIDE} rows",
            frames[1],
            frame.height
        );
        let output = self.add(MapShape { height, ..frame });
        self.steps.push(Step::Clip(Clip::Interpolate {
            input,
            output,
            frames,
        }));
        output
    }

    /// Adds a [`Clip::Join`].
    ///
    /// # Panics
    ///
    /// If there is no map, or they are of several sizes.
    #[track_caller]
    pub fn join(&mut self, inputs: &[Map]) -> Map {
        let shapes: Vec<MapShape> = inputs.iter().map(|map| self.read(*map)).collect();
        let first = shapes.first().expect("maps to join");
        for shape in &shapes {
            let pixels = [shape.height, shape.width];
            expect("map to join", &[first.height, first.width], &pixels);
        }
        let output = self.add(MapShape {
            channels: shapes.iter().map(|shape| shape.channels).sum(),
            ..*first
        });
        self.steps.push(Step::Clip(Clip::Join {
            inputs: inputs.to_vec(),
            output,
        }));
        output
    }

    /// Size of a frame of a clip that a kernel reads.
    #[track_caller]
    fn frame(&self, input: Map, span: Span, window: Window) -> MapShape {
        let frame = span.frame_of(self.read(input));
        span.check();
        window.check(frame);
        frame
    }
}
