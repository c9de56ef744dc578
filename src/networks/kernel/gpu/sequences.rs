//! Kernels over pixels in their order: convolutions along a row, attention, patches, and other orders.

use super::Read;
use super::builder::ShaderBuilder;
use super::padding::{pad, pad_weight};
use super::shader::Element;
use super::writer::Writer;
use crate::kernel::{Activation, Map, MapShape, ScoreBias, Sequence, Weighted};

/// Invocations per group.
const GROUP: usize = 64;
/// Neighbouring pixels that an invocation computes, so that they share the weights.
const ROWS: usize = 4;

impl Writer<'_> {
    /// Adds the dispatch of an operation.
    ///
    /// # Panics
    ///
    /// For groups or heads whose channels do not come in fours.
    pub(super) fn sequence(&mut self, sequence: &Sequence) {
        match sequence {
            Sequence::Convolution {
                input,
                output,
                kernel,
                stride,
                weighted,
            } => self.line_convolution(*input, *output, [*kernel, *stride], weighted),
            Sequence::GroupedConvolution {
                input,
                output,
                kernel,
                padding,
                groups,
                weighted,
                addend,
            } => {
                let sizes = [*kernel, *padding, *groups];
                self.grouped_convolution(*input, *output, sizes, weighted, *addend);
            }
            Sequence::Attention {
                input,
                output,
                heads,
                bias,
            } => {
                self.attend(*input, *output, *heads, bias.as_ref());
            }
            Sequence::Arrange {
                input,
                output,
                places,
                addend,
            } => self.arrange(*input, *output, places, addend),
            Sequence::Unfold {
                input,
                output,
                patch,
            } => self.patches("unfold", *input, *output, *patch),
            Sequence::Fold {
                input,
                output,
                patch,
            } => self.patches("fold", *input, *output, *patch),
            Sequence::Transpose { input, output } => self.transpose(*input, *output),
        }
    }

    fn line_convolution(
        &mut self,
        input: Map,
        output: Map,
        [kernel, stride]: [usize; 2],
        weighted: &Weighted,
    ) {
        let from = self.buffer(input);
        let (stored, element) = (from.stored, from.element);
        let to = self.buffer(output);
        let builder = ShaderBuilder::new("line-convolution", GROUP)
            .numbers(&["rows", "pictures", "length", "advance", "depth", "outputs"]);
        // The network's input has as many channels in memory as it has.
        let is_whole = stored.is_multiple_of(4);
        let builder = match is_whole {
            true => builder.reads("input", element),
            false => builder.reads_scalars("input", element),
        };
        let shader = self
            .weighted_output(builder, weighted.activation, to.element, None)
            .source(match is_whole {
                true => include_str!("shaders/line-convolution.wgsl"),
                false => include_str!("shaders/line-convolution-few.wgsl"),
            })
            .finish();
        let mut reads = vec![Read::Buffer(input.index())];
        reads.extend(self.weight_and_bias(weighted, self.plan.shape(input).channels, stored));
        reads.extend(self.slopes(weighted));
        let pixel = if is_whole { stored / 4 } else { stored };
        let (rows, outputs) = (to.pixels, to.stored / 4);
        let length = from.pixels * pixel;
        self.push(shader, reads, output.index(), move |batch| {
            let invocations = batch * rows.div_ceil(ROWS) * outputs;
            let numbers = vec![rows, batch, length, stride * pixel, kernel * pixel, outputs];
            (invocations.div_ceil(GROUP), numbers)
        });
    }

    fn grouped_convolution(
        &mut self,
        input: Map,
        output: Map,
        [kernel, padding, groups]: [usize; 3],
        weighted: &Weighted,
        addend: Option<Map>,
    ) {
        let (from, to) = (self.buffer(input), self.buffer(output));
        let inputs = self.plan.shape(input).channels / groups;
        let outputs = self.plan.shape(output).channels / groups;
        assert!(
            outputs.is_multiple_of(4),
            "outputs of a group come in fours"
        );
        let builder = ShaderBuilder::new("grouped-convolution", GROUP)
            .numbers(&[
                "rows", "pictures", "stored", "inputs", "outputs", "groups", "kernel", "padding",
            ])
            .reads_scalars("input", from.element);
        let addend_element = addend.map(|map| self.buffer(map).element);
        let shader = self
            .weighted_output(builder, weighted.activation, to.element, addend_element)
            .source(match addend {
                None => include_str!("shaders/addend-none.wgsl"),
                Some(_) => include_str!("shaders/addend-same.wgsl"),
            })
            .source(include_str!("shaders/grouped-convolution.wgsl"))
            .finish();
        let mut reads = vec![
            Read::Buffer(input.index()),
            self.parameter(&weighted.weight, self.weight_element()),
            self.parameter(&pad(&weighted.bias), Element::F32),
        ];
        reads.extend(addend.map(|map| Read::Buffer(map.index())));
        let (rows, stored) = (to.pixels, from.stored);
        self.push(shader, reads, output.index(), move |batch| {
            let outputs = outputs / 4;
            let invocations = batch * rows.div_ceil(ROWS) * groups * outputs;
            let numbers = vec![
                rows, batch, stored, inputs, outputs, groups, kernel, padding,
            ];
            (invocations.div_ceil(GROUP), numbers)
        });
    }

    /// Weight, bias, what is added, slopes, output, and the activation.
    fn weighted_output(
        &self,
        builder: ShaderBuilder,
        activation: Activation,
        output: Element,
        addend: Option<Element>,
    ) -> ShaderBuilder {
        let mut builder = builder
            .reads("weight", self.weight_element())
            .reads("bias", Element::F32);
        if let Some(element) = addend {
            builder = builder.reads("addend", element);
        }
        if activation == Activation::Prelu {
            builder = builder.reads("slopes", Element::F32);
        }
        builder
            .writes("output", output)
            .count("ROWS", ROWS)
            .activation("activate", activation)
    }

    fn attend(&mut self, input: Map, output: Map, heads: usize, bias: Option<&ScoreBias>) {
        let (from, to) = (self.buffer(input), self.buffer(output));
        let length = self.plan.shape(output).channels / heads;
        assert!(length.is_multiple_of(4), "channels of a head come in fours");
        let MapShape { height, width, .. } = self.plan.shape(input);
        let mut shader = ShaderBuilder::new("attention", GROUP)
            .numbers(&["pixels", "heads", "rows", "stored", "written"])
            .reads("input", from.element);
        let mut reads = vec![Read::Buffer(input.index())];
        if let Some(bias) = bias {
            shader = shader
                .reads_scalars("table", Element::F32)
                .reads_scalars("codes", Element::U32);
            let table: Vec<f32> = (0..heads)
                .flat_map(|head| bias.of_head(head, heads))
                .collect();
            reads.push(self.parameter(&table, Element::F32));
            reads.push(self.numbers([bias.codes.as_slice(), &bias.regions].concat()));
        }
        shader = shader
            .writes("output", to.element)
            .count("LENGTH", length / 4)
            .number("SCALE", 1.0 / (length as f32).sqrt());
        shader = match bias {
            None => shader.source(include_str!("shaders/score-bias-none.wgsl")),
            Some(bias) => shader
                .count("PLACES", bias.places(heads))
                // Rows that differ in their regions; nothing is apart in none.
                .count("REGIONED", if bias.regions.is_empty() { 0 } else { height })
                .number("APART", ScoreBias::APART)
                .source(include_str!("shaders/score-bias-table.wgsl")),
        };
        let shader = shader
            .source(include_str!("shaders/attention.wgsl"))
            .finish();
        let (stored, written) = (from.stored / 4, to.stored / 4);
        self.push(shader, reads, output.index(), move |batch| {
            let rows = batch * height;
            let groups = rows * heads * width.div_ceil(GROUP);
            (groups, vec![width, heads, rows, stored, written])
        });
    }

    /// Pixels in another order.
    fn arrange(&mut self, input: Map, output: Map, places: &[Option<u32>], addend: &[f32]) {
        let (from, to) = (self.buffer(input), self.buffer(output));
        assert_eq!(from.stored, to.stored, "channels of pixels come in fours");
        let numbers = places
            .iter()
            .map(|place| place.map_or(0, |place| place + 1));
        let mut reads = vec![Read::Buffer(input.index()), self.numbers(numbers.collect())];
        let mut shader = ShaderBuilder::new("arrange", GROUP)
            .numbers(&["invocations", "taken", "pixels", "channels"])
            .reads("input", from.element)
            .reads_scalars("places", Element::U32);
        if !addend.is_empty() {
            let channels = self.plan.shape(output).channels;
            let addend = pad_weight(addend, [places.len(), channels], places.len());
            reads.push(self.parameter(&addend, Element::F32));
            shader = shader.reads("addend", Element::F32);
        }
        let shader = shader
            .writes("output", to.element)
            .source(match addend.is_empty() {
                true => include_str!("shaders/arrange-addend-none.wgsl"),
                false => include_str!("shaders/arrange-addend-same.wgsl"),
            })
            .source(include_str!("shaders/arrange.wgsl"))
            .finish();
        let (taken, pixels, channels) = (from.pixels, to.pixels, to.stored / 4);
        self.push(shader, reads, output.index(), move |batch| {
            let invocations = batch * pixels * channels;
            let numbers = vec![invocations, taken, pixels, channels];
            (invocations.div_ceil(GROUP), numbers)
        });
    }

    /// Pixels in rows by their place in a patch, or the picture of such rows.
    fn patches(&mut self, name: &'static str, input: Map, output: Map, patch: usize) {
        let (from, to) = (self.buffer(input), self.buffer(output));
        assert_eq!(from.stored, to.stored, "channels of patches come in fours");
        let is_unfolded = name == "unfold";
        let picture = if is_unfolded { input } else { output };
        let MapShape { height, width, .. } = self.plan.shape(picture);
        let shader = ShaderBuilder::new(name, GROUP)
            .numbers(&["invocations", "height", "width", "channels", "side"])
            .reads("input", from.element)
            .writes("output", to.element)
            .source(include_str!("shaders/between.wgsl"))
            .source(include_str!("shaders/patches.wgsl"))
            .source(match is_unfolded {
                true => include_str!("shaders/unfold.wgsl"),
                false => include_str!("shaders/fold.wgsl"),
            })
            .finish();
        let reads = vec![Read::Buffer(input.index())];
        let (pixels, channels) = (to.pixels, to.stored / 4);
        self.push(shader, reads, output.index(), move |batch| {
            let invocations = batch * pixels * channels;
            let numbers = vec![invocations, height, width, channels, patch];
            (invocations.div_ceil(GROUP), numbers)
        });
    }

    /// Channels as pixels, and pixels as channels.
    fn transpose(&mut self, input: Map, output: Map) {
        let (from, to) = (self.buffer(input), self.buffer(output));
        let shader = ShaderBuilder::new("transpose", GROUP)
            .numbers(&["values", "rows", "pixels", "read", "written"])
            .reads_scalars("input", from.element)
            .writes_scalars("output", to.element)
            .source(include_str!("shaders/transpose.wgsl"))
            .finish();
        let reads = vec![Read::Buffer(input.index())];
        let (rows, pixels) = (to.pixels, from.pixels);
        let (read, written) = (from.stored, to.stored);
        self.push(shader, reads, output.index(), move |batch| {
            let values = batch * rows * written;
            let numbers = vec![values, rows, pixels, read, written];
            (values.div_ceil(GROUP), numbers)
        });
    }
}
