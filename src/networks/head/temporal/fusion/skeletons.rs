//! What skeletons go through before they are joined with the frames.

use burn::module::Module;
use burn::nn::{Dropout, LayerNorm};
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, relu, sigmoid};

use super::super::fusion_kind::{Joining, SecondStream};
use super::super::parameters::{Affine, Convolution, Names, Source, axes, stored_kernel};
use crate::weights::WeightsError;

const NORM: &str = "skeleton_proj.0";
const DENOISE_NORM: &str = "skeleton_denoise.norm";
const DENOISE: &str = "skeleton_denoise.conv";
const RELIABILITY: [&str; 2] = [
    "skeleton_reliability_gate.mlp.0",
    "skeleton_reliability_gate.mlp.2",
];
/// Numbers of a skeleton after the projection, as published.
const PROJECTED: usize = 256;
/// Statistics of a frame that its reliability is judged by.
const STATISTICS: usize = 3;
/// Smallest number of a skeleton that counts as there.
const THERE: f32 = 1e-6;

/// A branch of the published systems: optional blocks, then a projection.
#[derive(Module, Debug)]
pub(super) struct Skeletons {
    denoise: Option<Denoise>,
    reliability: Option<Reliability>,
    /// Before the projection, but for streams that only lie beside each other.
    norm: Option<LayerNorm>,
    projection: Affine,
}

/// A residual convolution over time.
#[derive(Module, Debug)]
struct Denoise {
    norm: LayerNorm,
    convolution: Convolution,
}

/// A factor for each frame, from how much of a skeleton is there.
#[derive(Module, Debug)]
struct Reliability {
    hidden: Affine,
    output: Affine,
}

/// The projection stands behind the norm, if there is one.
fn projection_key(has_norm: bool) -> &'static str {
    match has_norm {
        true => "skeleton_proj.1",
        false => "skeleton_proj.0",
    }
}

impl Skeletons {
    /// The optional blocks are there if the file has them.
    pub(super) fn build(joining: Joining, source: &mut Source) -> Result<Self, WeightsError> {
        let has_norm = joining != Joining::Early;
        let key = projection_key(has_norm);
        let published = |_| {
            let width = SecondStream::Skeletons.width();
            [if has_norm { PROJECTED } else { width }, width]
        };
        let sizes = source.sizes(published, |weights| axes(weights, &format!("{key}.weight")))?;
        let [_, inputs] = sizes;
        let stored = |key: &str| source.has(&format!("{key}.weight"));
        let (has_denoise, has_reliability) = (stored(DENOISE), stored(RELIABILITY[0]));
        Ok(Self {
            denoise: match has_denoise {
                true => Some(Denoise::build(inputs, source)?),
                false => None,
            },
            reliability: match has_reliability {
                true => Some(Reliability::build(source)?),
                false => None,
            },
            norm: match has_norm {
                true => Some(source.layer_norm(NORM, inputs)?),
                false => None,
            },
            projection: source.affine(key, sizes)?,
        })
    }

    /// Numbers of a skeleton.
    pub(super) fn inputs(&self) -> usize {
        self.projection.weight.dims()[1]
    }

    /// Numbers that are joined with those of the frames.
    pub(super) fn outputs(&self) -> usize {
        self.projection.weight.dims()[0]
    }

    pub(super) fn add_names<'a>(&'a self, names: &mut Names<'a>) {
        if let Some(denoise) = &self.denoise {
            names.layer_norm(DENOISE_NORM, &denoise.norm);
            names.convolution(DENOISE, &denoise.convolution);
        }
        if let Some(reliability) = &self.reliability {
            names.affine(RELIABILITY[0], &reliability.hidden);
            names.affine(RELIABILITY[1], &reliability.output);
        }
        if let Some(norm) = &self.norm {
            names.layer_norm(NORM, norm);
        }
        names.affine(projection_key(self.norm.is_some()), &self.projection);
    }

    /// Maps `[batch, time, inputs]` to `[batch, time, outputs]`.
    pub(super) fn forward(&self, skeletons: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let reliability = self.reliability.as_ref();
        let reliability = reliability.map(|block| block.forward(skeletons.clone()));
        let skeletons = match &self.denoise {
            Some(block) => block.forward(skeletons, dropout),
            None => skeletons,
        };
        let projected = match &self.norm {
            Some(norm) => gelu(self.projection.forward(norm.forward(skeletons))),
            None => relu(self.projection.forward(skeletons)),
        };
        let projected = dropout.forward(projected);
        match reliability {
            Some(reliability) => projected * reliability,
            None => projected,
        }
    }
}

impl Denoise {
    fn build(width: usize, source: &mut Source) -> Result<Self, WeightsError> {
        let name = format!("{DENOISE}.weight");
        let kernel = source.sizes(|_| 3, |weights| stored_kernel(weights, &name))?;
        Ok(Self {
            norm: source.layer_norm(DENOISE_NORM, width)?,
            convolution: source.convolution(DENOISE, [width, width, kernel], 1)?,
        })
    }

    fn forward(&self, skeletons: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let normed = self.norm.forward(skeletons.clone()).swap_dims(1, 2);
        let change = gelu(self.convolution.forward(normed)).swap_dims(1, 2);
        skeletons + dropout.forward(change)
    }
}

impl Reliability {
    fn build(source: &mut Source) -> Result<Self, WeightsError> {
        let name = format!("{}.weight", RELIABILITY[0]);
        let hidden = source.sizes(
            |_| 16,
            |weights| axes(weights, &name).map(|[hidden, _]| hidden),
        )?;
        Ok(Self {
            hidden: source.affine(RELIABILITY[0], [hidden, STATISTICS])?,
            output: source.affine(RELIABILITY[1], [1, hidden])?,
        })
    }

    /// Factors `[batch, time, 1]` from the mean of the absolute numbers, the root of their mean square, and the share of
    /// them that are there.
    fn forward(&self, skeletons: Tensor<3>) -> Tensor<3> {
        let absolute = skeletons.abs();
        let statistics = vec![
            absolute.clone().mean_dim(2),
            absolute.clone().square().mean_dim(2).sqrt(),
            absolute.greater_elem(THERE).float().mean_dim(2),
        ];
        let hidden = gelu(self.hidden.forward(Tensor::cat(statistics, 2)));
        sigmoid(self.output.forward(hidden))
    }
}
