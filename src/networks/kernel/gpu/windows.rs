//! Kernels that look at a window of pixels: dense and depthwise convolutions, the largest of a window.

use super::shader::{Element, Shader, ShaderBuilder};
use crate::kernel::{Activation, MapShape, Window};

const GROUP: usize = 64;

/// A window over maps; channels of input and output in fours, but for the convolution over few channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windowed {
    pub(super) from: MapShape,
    pub(super) outputs: usize,
    pub(super) window: Window,
    pub(super) activation: Activation,
    pub(super) input: Element,
    pub(super) output: Element,
    pub(super) weight: Element,
    /// Neighbouring pixels of a row that an invocation computes.
    pub(super) pixels: usize,
    /// Of a depthwise convolution: channels of a group, one or two.
    pub(super) group: usize,
    /// Of a dense convolution: what a shortcut as large as the output holds.
    pub(super) shortcut: Option<Element>,
}

impl Windowed {
    /// Groups and numbers for a batch.
    pub(super) fn launch(&self, batch: usize) -> (usize, Vec<usize>) {
        let Window { before, output, .. } = self.window;
        let [height, width] = output;
        let invocations = batch * height * width.div_ceil(self.pixels) * self.outputs;
        let numbers = vec![
            invocations,
            self.from.height,
            self.from.width,
            self.from.channels,
            height,
            width,
            self.outputs,
            before[0],
            before[1],
        ];
        (invocations.div_ceil(GROUP), numbers)
    }

    fn builder(&self, name: &'static str, reads_scalars: bool, has_weights: bool) -> ShaderBuilder {
        let mut builder = ShaderBuilder::new(name, GROUP).numbers(&[
            "invocations",
            "in_height",
            "in_width",
            "inputs",
            "height",
            "width",
            "outputs",
            "above",
            "before",
        ]);
        builder = if reads_scalars {
            builder.reads_scalars("input", self.input)
        } else {
            builder.reads("input", self.input)
        };
        if has_weights {
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
        builder
            .writes("output", self.output)
            .constants(&[("PIXELS", self.pixels), ("GROUP", GROUP)])
            .activation(self.activation)
    }

    /// Opens `main` and says where the invocation's pixels are; `top` and `left` can be negative.
    fn open(&self, builder: ShaderBuilder) -> ShaderBuilder {
        let stride = self.window.stride;
        builder.text(&format!(
            "fn main(group: u32, local: u32) {{
    let invocation = group * GROUP + local;
    if (invocation >= launch.invocations) {{ return; }}
    let column = invocation % launch.outputs;
    let tile = invocation / launch.outputs;
    let tiles = (launch.width + PIXELS - 1u) / PIXELS;
    let x = tile % tiles * PIXELS;
    let y = tile / tiles % launch.height;
    let picture = tile / tiles / launch.height;
    let top = i32(y * {stride}u) - i32(launch.above);
    let left = i32(x * {stride}u) - i32(launch.before);"
        ))
    }

    /// Columns of the input that the pixels of an invocation see together.
    fn columns(&self) -> usize {
        (self.pixels - 1) * self.window.stride + self.window.kernel
    }

    /// Declares `row` for the kernel's row, and leaves it out where it is padding.
    fn row(&self, builder: ShaderBuilder, ky: usize) -> ShaderBuilder {
        builder.text(&format!(
            "    if (u32(top + {ky}) < launch.in_height) {{
        let row = (picture * launch.in_height + u32(top + {ky})) * launch.in_width;"
        ))
    }

    fn close(&self, mut builder: ShaderBuilder) -> ShaderBuilder {
        builder =
            builder.text("    let at = ((picture * launch.height + y) * launch.width + x) * launch.outputs + column;");
        let scalar = self.output.scalar();
        for pixel in 0..self.pixels {
            let shortcut = match self.shortcut {
                Some(_) => format!(" + vec4<f32>(shortcut[at + {pixel}u * launch.outputs])"),
                None => String::new(),
            };
            builder = builder.text(&format!(
                "    if (x + {pixel}u < launch.width) {{ output[at + {pixel}u * launch.outputs] = vec4<{scalar}>(activate(sum{pixel}{shortcut}, column)); }}"
            ));
        }
        builder.text("}")
    }

    /// Every channel on its own or beside its neighbour. Buffers: input, weight, bias, slopes if there are any.
    pub(super) fn depthwise(&self) -> Shader {
        let kernel = self.window.kernel;
        let is_paired = self.group == 2;
        let name = if is_paired { "pairwise" } else { "depthwise" };
        let mut builder = self.open(self.builder(name, false, true));
        builder = builder.unroll(self.pixels, "    var sum$i = bias[column];");
        for ky in 0..kernel {
            builder = self.row(builder, ky);
            builder = builder.unroll(
                kernel * self.group,
                &format!(
                    "        let w$i = vec4<f32>(weight[({}u + $iu) * launch.outputs + column]);",
                    ky * kernel * self.group
                ),
            );
            for offset in 0..self.columns() {
                builder = builder.text(&format!(
                    "        let seen{offset} = select(vec4<f32>(), vec4<f32>(input[(row + min(u32(left + {offset}), launch.in_width - 1u)) * launch.outputs + column]), u32(left + {offset}) < launch.in_width);"
                ));
                for pixel in 0..self.pixels {
                    if let Some(kx) = offset.checked_sub(pixel * self.window.stride)
                        && kx < kernel
                    {
                        let product = match is_paired {
                            true => format!(
                                "seen{offset}.xxzz * w{} + seen{offset}.yyww * w{}",
                                2 * kx,
                                2 * kx + 1
                            ),
                            false => format!("seen{offset} * w{kx}"),
                        };
                        builder = builder.text(&format!("        sum{pixel} += {product};"));
                    }
                }
            }
            builder = builder.text("    }");
        }
        self.close(builder).finish()
    }

    /// Every output sees every input. Buffers as [`Self::depthwise`], the shortcut before the slopes; `from.channels` counts single channels.
    pub(super) fn convolution(&self) -> Shader {
        let (kernel, inputs) = (self.window.kernel, self.from.channels);
        let by_fours = inputs.is_multiple_of(4);
        let mut builder = self.open(self.builder("convolution", !by_fours, true));
        builder = builder.unroll(self.pixels, "    var sum$i = bias[column];");
        for ky in 0..kernel {
            builder = self.row(builder, ky);
            // Many inputs are looped over; few are written out, so that neighbouring pixels share what they read.
            if by_fours {
                builder = builder.text("        for (var k = 0u; k < launch.inputs / 4u; k++) {");
                for offset in 0..self.columns() {
                    builder = builder.text(&format!(
                        "        let seen{offset} = select(vec4<f32>(), vec4<f32>(input[(row + min(u32(left + {offset}), launch.in_width - 1u)) * (launch.inputs / 4u) + k]), u32(left + {offset}) < launch.in_width);"
                    ));
                }
                for kx in 0..kernel {
                    builder = builder.text(&format!(
                        "        let at{kx} = (({}u + {kx}u) * launch.inputs + k * 4u) * launch.outputs + column;",
                        ky * kernel
                    ));
                    for (part, name) in ["x", "y", "z", "w"].into_iter().enumerate() {
                        builder = builder.text(&format!(
                            "        let w{kx}{name} = vec4<f32>(weight[at{kx} + {part}u * launch.outputs]);"
                        ));
                        for pixel in 0..self.pixels {
                            let offset = pixel * self.window.stride + kx;
                            builder = builder.text(&format!(
                                "        sum{pixel} += seen{offset}.{name} * w{kx}{name};"
                            ));
                        }
                    }
                }
                builder = builder.text("        }");
            } else {
                for channel in 0..inputs {
                    builder = builder.text("        {").unroll(
                        kernel,
                        &format!(
                            "        let w$i = vec4<f32>(weight[(({}u + $iu) * launch.inputs + {channel}u) * launch.outputs + column]);",
                            ky * kernel
                        ),
                    );
                    for offset in 0..self.columns() {
                        builder = builder.text(&format!(
                            "        let seen{offset} = select(0.0, f32(input[(row + min(u32(left + {offset}), launch.in_width - 1u)) * launch.inputs + {channel}u]), u32(left + {offset}) < launch.in_width);"
                        ));
                        for pixel in 0..self.pixels {
                            if let Some(kx) = offset.checked_sub(pixel * self.window.stride)
                                && kx < kernel
                            {
                                builder = builder
                                    .text(&format!("        sum{pixel} += seen{offset} * w{kx};"));
                            }
                        }
                    }
                    builder = builder.text("        }");
                }
            }
            builder = builder.text("    }");
        }
        self.close(builder).finish()
    }

    /// The largest of each window. One buffer: the input.
    pub(super) fn max_pool(&self) -> Shader {
        let mut builder = self.open(self.builder("max-pool", false, false));
        builder = builder.unroll(self.pixels, "    var sum$i = vec4<f32>(-3.4e38);");
        for ky in 0..self.window.kernel {
            builder = self.row(builder, ky);
            for pixel in 0..self.pixels {
                for kx in 0..self.window.kernel {
                    let offset = pixel * self.window.stride + kx;
                    builder = builder.text(&format!(
                        "        if (u32(left + {offset}) < launch.in_width) {{ sum{pixel} = max(sum{pixel}, vec4<f32>(input[(row + u32(left + {offset})) * launch.outputs + column])); }}"
                    ));
                }
            }
            builder = builder.text("    }");
        }
        self.close(builder).finish()
    }
}
