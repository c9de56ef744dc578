//! Kernels over the frames of clips.

use super::Read;
use super::builder::ShaderBuilder;
use super::channels::Sums;
use super::windows::Windowed;
use super::writer::Writer;
use crate::kernel::{Activation, Clip, Map, Span, Window};

/// Invocations per group.
const GROUP: usize = 64;

impl Writer<'_> {
    /// Adds the dispatches of an operation.
    pub(super) fn clip(&mut self, clip: &Clip) {
        match clip {
            Clip::Convolution {
                input,
                output,
                span,
                window,
                weighted,
                shortcut,
            } => {
                let activation = weighted.activation;
                let windowed = self.over_frames(*input, *output, *span, *window, activation);
                self.convolution(windowed, [*input, *output], weighted, *shortcut);
            }
            Clip::MaxPool {
                input,
                output,
                span,
                window,
            } => {
                let activation = Activation::Identity;
                let windowed = self.over_frames(*input, *output, *span, *window, activation);
                self.max_pool(windowed, *input, *output);
            }
            Clip::Average {
                input,
                output,
                frames,
            } => self.frame_average(*input, *output, *frames),
            Clip::Interpolate {
                input,
                output,
                frames,
            } => self.interpolate_frames(*input, *output, *frames),
            Clip::Join { inputs, output } => self.join(inputs, *output),
        }
    }

    fn over_frames(
        &self,
        input: Map,
        output: Map,
        span: Span,
        window: Window,
        activation: Activation,
    ) -> Windowed {
        let windowed = self.windowed(input, output, window, activation);
        Windowed {
            from: span.frame_of(windowed.from),
            span,
            ..windowed
        }
    }

    /// One group adds up one frame.
    fn frame_average(&mut self, input: Map, output: Map, frames: usize) {
        let from = self.buffer(input);
        let pixels = from.pixels / frames;
        let sums = Sums {
            pixels,
            channels: from.stored / 4,
            slices: 1,
            divisor: pixels,
            input: from.element,
            output: self.buffer(output).element,
        };
        let reads = vec![Read::Buffer(input.index())];
        self.push(sums.shader(), reads, output.index(), move |batch| {
            sums.launch(batch * frames)
        });
    }

    fn interpolate_frames(&mut self, input: Map, output: Map, [frames, wanted]: [usize; 2]) {
        let (from, to) = (self.buffer(input), self.buffer(output));
        assert_eq!(from.stored, to.stored, "channels of a clip come in fours");
        let shader = ShaderBuilder::new("interpolate-frames", GROUP)
            .numbers(&["invocations", "length", "frames", "wanted"])
            .reads("input", from.element)
            .writes("output", to.element)
            .source(include_str!("shaders/between.wgsl"))
            .source(include_str!("shaders/interpolate-frames.wgsl"))
            .finish();
        let reads = vec![Read::Buffer(input.index())];
        let length = to.pixels / wanted * to.stored / 4;
        self.push(shader, reads, output.index(), move |batch| {
            let invocations = batch * wanted * length;
            let numbers = vec![invocations, length, frames, wanted];
            (invocations.div_ceil(GROUP), numbers)
        });
    }

    /// Each map is a buffer: an invocation finds the one that holds its channels.
    fn join(&mut self, inputs: &[Map], output: Map) {
        let to = self.buffer(output);
        let mut builder = ShaderBuilder::new("join-channels", GROUP).numbers(&["values", "stored"]);
        let mut choose = String::new();
        let mut first = 0;
        for (index, input) in inputs.iter().enumerate() {
            let (from, channels) = (self.buffer(*input), self.plan.shape(*input).channels);
            let name = format!("input{index}");
            builder = builder.reads_scalars(&name, from.element);
            let end = first + channels;
            let stored = from.stored;
            choose += &format!(
                "if (channel < {end}u) {{ return f32({name}[pixel * {stored}u + channel - {first}u]); }}\n"
            );
            first = end;
        }
        let shader = builder
            .writes_scalars("output", to.element)
            .source(&format!(
                "fn value_of(pixel: u32, channel: u32) -> f32 {{\n{choose}return 0.0;\n}}"
            ))
            .source(include_str!("shaders/join-channels.wgsl"))
            .finish();
        let reads = inputs.iter().map(|map| Read::Buffer(map.index())).collect();
        self.push(shader, reads, output.index(), move |batch| {
            let values = batch * to.pixels * to.stored;
            (values.div_ceil(GROUP), vec![values, to.stored])
        });
    }
}
