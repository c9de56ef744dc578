//! Kernels over windows of pixels: dense and depthwise convolutions, the largest of a window.

use super::builder::ShaderBuilder;
use super::shader::{Element, Shader};
use crate::kernel::{Activation, MapShape, Span, Window};

const GROUP: usize = 64;
/// Statements of a window that is written out; drivers take minutes over more of them.
const MOST_STATEMENTS: usize = 6000;

/// A window over maps; channels of input and output in fours, but for the convolution over few channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windowed {
    /// A picture, or one frame of a clip.
    pub(super) from: MapShape,
    pub(super) outputs: usize,
    pub(super) window: Window,
    /// Frames that are read with the window.
    pub(super) span: Span,
    pub(super) activation: Activation,
    pub(super) input: Element,
    pub(super) output: Element,
    pub(super) weight: Element,
    /// Neighbouring pixels of a row that an invocation computes.
    pub(super) pixels: usize,
    /// Elements of the shortcut of a dense convolution.
    pub(super) shortcut: Option<Element>,
}

impl Windowed {
    /// Groups and numbers for a batch.
    pub(super) fn launch(&self, batch: usize) -> (usize, Vec<usize>) {
        let Window {
            padding, output, ..
        } = self.window;
        let [height, width] = output;
        let pictures = batch * self.span.output;
        let invocations = pictures * height * width.div_ceil(self.pixels) * self.outputs;
        let numbers = vec![
            invocations,
            self.from.height,
            self.from.width,
            self.from.channels,
            height,
            width,
            self.outputs,
            padding[0],
            padding[1],
        ];
        (invocations.div_ceil(GROUP), numbers)
    }

    /// Every channel on its own. Buffers: input, weight, bias, slopes if there are any.
    pub(super) fn depthwise(&self) -> Shader {
        self.open("depthwise", Reads::Vectors)
            .source(include_str!("shaders/depthwise.wgsl"))
            .finish()
    }

    /// Every channel beside its neighbour. Buffers as for [`Self::depthwise`].
    pub(super) fn pairwise(&self) -> Shader {
        self.open("pairwise", Reads::Vectors)
            .source(include_str!("shaders/pairwise.wgsl"))
            .finish()
    }

    /// Every output sees every input. Buffers as for [`Self::depthwise`], the shortcut before the slopes;
    /// `from.channels` counts single channels.
    pub(super) fn convolution(&self) -> Shader {
        let shortcut = match self.shortcut {
            None => include_str!("shaders/window-shortcut-none.wgsl"),
            Some(_) => include_str!("shaders/window-shortcut-same.wgsl"),
        };
        let inputs = self.from.channels;
        if inputs.is_multiple_of(4) {
            self.open("convolution", Reads::Vectors)
                .count("PARTS", 4)
                .source(shortcut)
                .source(include_str!("shaders/convolution.wgsl"))
                .finish()
        } else {
            self.open("convolution", Reads::Scalars)
                .count("INPUTS", inputs)
                .source(shortcut)
                .source(match self.statements() {
                    ..=MOST_STATEMENTS => include_str!("shaders/convolution-few.wgsl"),
                    _ => include_str!("shaders/convolution-large.wgsl"),
                })
                .finish()
        }
    }

    /// Those of a convolution over few channels that is written out.
    fn statements(&self) -> usize {
        let rows = self.span.kernel * self.window.kernel * self.from.channels;
        rows * (self.window.kernel * (1 + self.pixels) + self.columns())
    }

    /// Columns of the input that the pixels of an invocation see together.
    fn columns(&self) -> usize {
        (self.pixels - 1) * self.window.stride + self.window.kernel
    }

    /// The largest of each window. One buffer: the input.
    pub(super) fn max_pool(&self) -> Shader {
        self.open("max-pool", Reads::InputAlone)
            .source(include_str!("shaders/max-pool.wgsl"))
            .finish()
    }

    /// Bindings, constants and what all windows share.
    fn open(&self, name: &'static str, reads: Reads) -> ShaderBuilder {
        let mut builder = ShaderBuilder::new(name, GROUP).numbers(&[
            "invocations",
            "in_height",
            "in_width",
            "inputs",
            "height",
            "width",
            "outputs",
            "padding_top",
            "padding_left",
        ]);
        builder = match reads {
            Reads::Scalars => builder.reads_scalars("input", self.input),
            Reads::Vectors | Reads::InputAlone => builder.reads("input", self.input),
        };
        if reads != Reads::InputAlone {
            builder = builder
                .reads("weight", self.weight)
                .reads("bias", Element::F32);
        }
        if let Some(element) = self.shortcut {
            builder = builder.reads("shortcut", element);
        }
        if self.activation == Activation::Prelu {
            builder = builder.reads("slopes", Element::F32);
        }
        let Window { kernel, stride, .. } = self.window;
        let Span {
            frames,
            padding,
            output,
            ..
        } = self.span;
        let is_clip = self.span != Span::PICTURE;
        builder = builder.writes("output", self.output);
        if is_clip {
            builder = builder.counts(&[
                ("FRAMES", output),
                ("IN_FRAMES", frames),
                ("FRAME_STRIDE", self.span.stride),
                ("FRONT", padding),
            ]);
        }
        builder
            .counts(&[
                ("PIXELS", self.pixels),
                ("TAPS", self.span.kernel),
                ("KERNEL", kernel),
                ("STRIDE", stride),
                ("COLUMNS", self.columns()),
            ])
            .activation("activate", self.activation)
            .source(include_str!("shaders/window.wgsl"))
            .source(match is_clip {
                true => include_str!("shaders/window-frames-several.wgsl"),
                false => include_str!("shaders/window-frames-one.wgsl"),
            })
    }
}

/// Buffers that a window reads, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Input, weight and bias, channels in fours.
    Vectors,
    /// Single channels of the input, weight and bias.
    Scalars,
    /// The input in fours.
    InputAlone,
}
