//! How the streams are joined in each frame.
//!
//! The published modules call the second stream `flow`, whatever it is.

use burn::module::Module;
use burn::nn::{Dropout, LayerNorm};
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, sigmoid};

use super::super::attention::{Attention, HEADS};
use super::super::fusion_kind::Joining;
use super::super::parameters::{Affine, Names, Source, axes, malformed};
use crate::weights::WeightsError;

const CONCAT: &str = "fusion.proj.0";
const CONCAT_NORM: &str = "fusion.proj.1";
const FRAMES: &str = "fusion.rgb_proj";
const SECOND: &str = "fusion.flow_proj";
const GATE: &str = "fusion.gate.0";
const GATED_NORM: &str = "fusion.norm";
/// From the frames to the second stream, and from it to the frames.
const ATTENTION: [&str; 2] = ["fusion.cross_attn_rgb", "fusion.cross_attn_flow"];
const ATTENTION_NORMS: [&str; 2] = ["fusion.norm1", "fusion.norm2"];
const OUTPUT: &str = "fusion.ffn.0";
const OUTPUT_NORM: &str = "fusion.out_norm";

/// Joins both streams, which lie behind each other, in each frame.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per head, and it is rarely moved"
)]
pub(super) enum Join {
    Concat(Concat),
    Gated(Gated),
    Attention(CrossAttention),
}

#[derive(Module, Debug)]
pub(super) struct Concat {
    projection: Affine,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
pub(super) struct Gated {
    streams: Streams,
    gate: Affine,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
pub(super) struct CrossAttention {
    streams: Streams,
    /// From the frames to the second stream, and from it to the frames.
    attention: [Attention; 2],
    norms: [LayerNorm; 2],
    output: Affine,
    output_norm: LayerNorm,
}

/// Projections of the frames and of the second stream to the same width.
#[derive(Module, Debug)]
struct Streams {
    frames: Affine,
    second: Affine,
}

impl Join {
    /// A layer from two streams of `widths` to `outputs` numbers, or of the sizes in the file; `None` for streams that stay
    /// beside each other.
    pub(super) fn build(
        joining: Joining,
        widths: Option<[usize; 2]>,
        outputs: usize,
        source: &mut Source,
    ) -> Result<Option<Self>, WeightsError> {
        Ok(match joining {
            Joining::Early => None,
            Joining::Concat => {
                let published = |_| [outputs, sum(widths)];
                let name = format!("{CONCAT}.weight");
                let sizes = source.sizes(published, |weights| axes(weights, &name))?;
                Some(Self::Concat(Concat {
                    projection: source.affine(CONCAT, sizes)?,
                    norm: source.layer_norm(CONCAT_NORM, sizes[0])?,
                }))
            }
            Joining::Gated => {
                let streams = Streams::build(widths, outputs, source)?;
                let ([frames, second], outputs) = (streams.widths(), streams.outputs());
                Some(Self::Gated(Gated {
                    gate: source.affine(GATE, [outputs, frames + second])?,
                    norm: source.layer_norm(GATED_NORM, outputs)?,
                    streams,
                }))
            }
            Joining::Attention => {
                let streams = Streams::build(widths, outputs, source)?;
                let attention = CrossAttention::build(streams, source)?;
                Some(Self::Attention(attention))
            }
        })
    }

    /// Numbers of both streams together.
    pub(super) fn inputs(&self) -> usize {
        match self {
            Self::Concat(join) => join.projection.weight.dims()[1],
            Self::Gated(join) => join.streams.widths().into_iter().sum(),
            Self::Attention(join) => join.streams.widths().into_iter().sum(),
        }
    }

    /// Numbers of the second stream, where the layer takes it apart from the frames.
    pub(super) fn second(&self) -> Option<usize> {
        match self {
            Self::Concat(_) => None,
            Self::Gated(join) => Some(join.streams.widths()[1]),
            Self::Attention(join) => Some(join.streams.widths()[1]),
        }
    }

    pub(super) fn outputs(&self) -> usize {
        match self {
            Self::Concat(join) => join.projection.weight.dims()[0],
            Self::Gated(join) => join.streams.outputs(),
            Self::Attention(join) => join.streams.outputs(),
        }
    }

    pub(super) fn add_names<'a>(&'a self, names: &mut Names<'a>) {
        match self {
            Self::Concat(join) => {
                names.affine(CONCAT, &join.projection);
                names.layer_norm(CONCAT_NORM, &join.norm);
            }
            Self::Gated(join) => {
                join.streams.add_names(names);
                names.affine(GATE, &join.gate);
                names.layer_norm(GATED_NORM, &join.norm);
            }
            Self::Attention(join) => join.add_names(names),
        }
    }

    /// Maps `[batch, time, inputs]` to `[batch, time, outputs]`.
    pub(super) fn forward(&self, both: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        match self {
            Self::Concat(join) => gelu(join.norm.forward(join.projection.forward(both))),
            Self::Gated(join) => join.forward(both),
            Self::Attention(join) => join.forward(both, dropout),
        }
    }
}

fn sum(widths: Option<[usize; 2]>) -> usize {
    widths.into_iter().flatten().sum()
}

impl Gated {
    fn forward(&self, both: Tensor<3>) -> Tensor<3> {
        let gate = sigmoid(self.gate.forward(both.clone()));
        let [frames, second] = self.streams.forward(both);
        // As much of the second stream as is left of the frames: `g f + (1 - g) s`.
        let joined = gate * (frames - second.clone()) + second;
        self.norm.forward(joined)
    }
}

impl CrossAttention {
    fn build(streams: Streams, source: &mut Source) -> Result<Self, WeightsError> {
        let width = streams.outputs();
        if !width.is_multiple_of(HEADS) {
            return Err(malformed(format!(
                "`{FRAMES}.weight` has {width} outputs, expected a multiple of {HEADS}, the number of attention heads"
            )));
        }
        Ok(Self {
            streams,
            attention: [
                Attention::build(ATTENTION[0], width, source)?,
                Attention::build(ATTENTION[1], width, source)?,
            ],
            norms: [
                source.layer_norm(ATTENTION_NORMS[0], width)?,
                source.layer_norm(ATTENTION_NORMS[1], width)?,
            ],
            output: source.affine(OUTPUT, [width, 2 * width])?,
            output_norm: source.layer_norm(OUTPUT_NORM, width)?,
        })
    }

    fn add_names<'a>(&'a self, names: &mut Names<'a>) {
        self.streams.add_names(names);
        for place in [0, 1] {
            self.attention[place].add_names(ATTENTION[place], names);
            names.layer_norm(ATTENTION_NORMS[place], &self.norms[place]);
        }
        names.affine(OUTPUT, &self.output);
        names.layer_norm(OUTPUT_NORM, &self.output_norm);
    }

    fn forward(&self, both: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let [frames, second] = self.streams.forward(both);
        let seen = self.attention[0].to_others(frames.clone(), second.clone(), dropout);
        let felt = self.attention[1].to_others(second.clone(), frames.clone(), dropout);
        let seen = self.norms[0].forward(frames + seen);
        let felt = self.norms[1].forward(second + felt);
        let output = gelu(self.output.forward(Tensor::cat(vec![seen, felt], 2)));
        self.output_norm.forward(dropout.forward(output))
    }
}

impl Streams {
    fn build(
        widths: Option<[usize; 2]>,
        outputs: usize,
        source: &mut Source,
    ) -> Result<Self, WeightsError> {
        let mut projection = |key: &str, place: usize| {
            let published = |_| [outputs, widths.unwrap_or_default()[place]];
            let name = format!("{key}.weight");
            let sizes = source.sizes(published, |weights| axes(weights, &name))?;
            source.affine(key, sizes)
        };
        let streams = Self {
            frames: projection(FRAMES, 0)?,
            second: projection(SECOND, 1)?,
        };
        let [expected, got] = [&streams.frames, &streams.second].map(|it| it.weight.dims()[0]);
        match got == expected {
            true => Ok(streams),
            false => Err(malformed(format!(
                "`{SECOND}.weight` has {got} outputs, expected {expected}, as `{FRAMES}.weight` has"
            ))),
        }
    }

    /// Numbers of the frames and of the second stream.
    fn widths(&self) -> [usize; 2] {
        [&self.frames, &self.second].map(|layer| layer.weight.dims()[1])
    }

    fn outputs(&self) -> usize {
        self.frames.weight.dims()[0]
    }

    fn add_names<'a>(&'a self, names: &mut Names<'a>) {
        names.affine(FRAMES, &self.frames);
        names.affine(SECOND, &self.second);
    }

    fn forward(&self, both: Tensor<3>) -> [Tensor<3>; 2] {
        let [frames, second] = self.widths();
        [
            self.frames.forward(both.clone().narrow(2, 0, frames)),
            self.second.forward(both.narrow(2, frames, second)),
        ]
    }
}
