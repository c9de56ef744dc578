//! MobileViT, for faces.
//!
//! Mehta and Rastegari, "MobileViT: Light-weight, General-purpose, and Mobile-friendly Vision Transformer" (2021), table 4:
//! inverted residual blocks, and in each of the last three stages a transformer between patches of 2x2 pixels. Each of the
//! four pixels of a patch looks at those with the same place in the other patches. Names are timm's. Not in browsers: no
//! weights for them are there.

use affectlens_cpu::Activation;

use super::layer::{Classifier, Convolution, ConvolutionConfig, Padding, Place};
use super::walk::{Beside, SelfAttention, Walk};

/// Side of the input, pixels, as EmotiEffLib has it; the layers fit any side.
pub(super) const SIDE: u32 = 224;

const STAGES: usize = 5;
/// Stages that end with a transformer.
const TRANSFORMERS: usize = 3;
const STEM_CHANNELS: usize = 16;
/// Residual blocks of each stage, and the stride of the first.
const BLOCKS: [(usize, usize); STAGES] = [(1, 1), (3, 2), (1, 2), (1, 2), (1, 2)];
/// Layers of each transformer.
const DEPTHS: [usize; TRANSFORMERS] = [2, 4, 3];
const HEADS: usize = 4;
/// Side of a patch, pixels.
const PATCH: usize = 2;
/// Hidden channels of a transformer's layer relative to its own.
const MLP_RATIO: usize = 2;
/// Added to the variance by batch norms and layer norms.
const EPSILON: f64 = 1e-5;
const NORM_EPSILON: f32 = 1e-5;

/// Which MobileViT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MobileVitConfig {
    /// Architecture name in weights files.
    pub name: &'static str,
    /// Hidden channels of a residual block relative to its input's.
    pub expansion: usize,
    /// Channels of each stage.
    pub channels: [usize; STAGES],
    /// Channels of the transformer in each of the last stages.
    pub widths: [usize; TRANSFORMERS],
    /// Length of the embedding.
    pub features: usize,
}

impl MobileVitConfig {
    /// MobileViT-S: 640 features.
    pub const S: Self = Self {
        name: "mobilevit-s",
        expansion: 4,
        channels: [32, 64, 96, 128, 160],
        widths: [144, 192, 240],
        features: 640,
    };
    /// MobileViT-XS: 384 features.
    pub const XS: Self = Self {
        name: "mobilevit-xs",
        expansion: 4,
        channels: [32, 48, 64, 80, 96],
        widths: [96, 120, 144],
        features: 384,
    };
    /// MobileViT-XXS: 320 features.
    pub const XXS: Self = Self {
        name: "mobilevit-xxs",
        expansion: 2,
        channels: [16, 24, 48, 64, 80],
        widths: [64, 80, 96],
        features: 320,
    };
    /// Every one.
    pub(crate) const ALL: [Self; 3] = [Self::S, Self::XS, Self::XXS];

    /// The network of that architecture name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|config| config.name == name)
    }

    /// Sizes that tell the networks apart: names of weights at the publisher, an axis, and its length.
    pub(crate) fn told_by(&self) -> [(&'static str, usize, usize); 5] {
        let [third, fourth, fifth] = self.widths;
        [
            ("stages.2.1.norm.weight", 0, third),
            ("stages.3.1.norm.weight", 0, fourth),
            ("stages.4.1.norm.weight", 0, fifth),
            ("final_conv.conv.weight", 0, self.features),
            ("head.fc.weight", 1, self.features),
        ]
    }

    /// Walks the network; gives the embedding and, where the weights have a classifier, its outputs.
    pub(super) fn describe<W: Walk>(
        &self,
        walk: &mut W,
        input: &W::Map,
    ) -> Result<Vec<W::Map>, W::Error> {
        let network = Place::default();
        let stem = ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Silu);
        let mut maps = walk.convolution(&normalised(&network, "stem", stem), input)?;
        let mut inputs = STEM_CHANNELS;
        for (stage, (blocks, stride)) in BLOCKS.into_iter().enumerate() {
            let channels = self.channels[stage];
            for index in 0..blocks {
                let block = Place::same(format!("stages.{stage}.{index}"));
                let stride = if index == 0 { stride } else { 1 };
                maps = self.describe_block(walk, &block, [inputs, channels], stride, maps)?;
                inputs = channels;
            }
            if let Some(index) = stage.checked_sub(STAGES - TRANSFORMERS) {
                let block = Place::same(format!("stages.{stage}.{blocks}"));
                let sizes = [channels, self.widths[index]];
                maps = describe_transformer(walk, &block, sizes, DEPTHS[index], maps)?;
            }
        }
        let last = ConvolutionConfig::pointwise(inputs, self.features, Activation::Silu);
        let maps = walk.convolution(&normalised(&network, "final_conv", last), &maps)?;
        let embedding = walk.average(&maps);
        let classifier = Classifier {
            width: self.features,
            published: &["head.fc"],
            unused: &[],
        };
        let outputs = walk.classifier(&classifier, &embedding)?;
        Ok([embedding].into_iter().chain(outputs).collect())
    }

    fn describe_block<W: Walk>(
        &self,
        walk: &mut W,
        block: &Place,
        [inputs, outputs]: [usize; 2],
        stride: usize,
        input: W::Map,
    ) -> Result<W::Map, W::Error> {
        let hidden = self.expansion * inputs;
        let expand = ConvolutionConfig::pointwise(inputs, hidden, Activation::Silu);
        let depthwise = ConvolutionConfig::depthwise(hidden, 3, stride, Activation::Silu);
        let project = ConvolutionConfig::pointwise(hidden, outputs, Activation::Identity);
        let maps = walk.convolution(&normalised(block, "conv1_1x1", expand), &input)?;
        let maps = walk.convolution(&normalised(block, "conv2_kxk", depthwise), &maps)?;
        let is_residual = stride == 1 && inputs == outputs;
        walk.convolution_beside(
            &normalised(block, "conv3_1x1", project),
            &maps,
            Beside::shortcut(is_residual.then_some(&input)),
        )
    }
}

/// What a convolution sees, what the transformer makes of it, and both joined.
fn describe_transformer<W: Walk>(
    walk: &mut W,
    block: &Place,
    [channels, width]: [usize; 2],
    depth: usize,
    input: W::Map,
) -> Result<W::Map, W::Error> {
    let local = ConvolutionConfig::dense(channels, channels, 3, 1, Activation::Silu);
    let widen = ConvolutionConfig::pointwise(channels, width, Activation::Identity);
    let narrow = ConvolutionConfig::pointwise(width, channels, Activation::Silu);
    let join = ConvolutionConfig::dense(2 * channels, channels, 3, 1, Activation::Silu);
    let maps = walk.convolution(&normalised(block, "conv_kxk", local), &input)?;
    let maps = walk.convolution(&block.convolution("conv_1x1", widen).unbiased(), &maps)?;
    let mut rows = walk.unfold(&maps, PATCH);
    for index in 0..depth {
        let layer = format!("transformer.{index}");
        rows = describe_layer(walk, &block.within(&layer, &layer), width, rows)?;
    }
    let norm = block.norm("norm", width).epsilon(NORM_EPSILON);
    let rows = walk.layer_norm(&norm, &rows)?;
    let maps = walk.fold(&rows, PATCH, &maps);
    let maps = walk.convolution(&normalised(block, "conv_proj", narrow), &maps)?;
    walk.convolution_of_two(&normalised(block, "conv_fusion", join), &input, &maps)
}

/// Attention and a pair of fully connected layers, each after a norm and added to what comes in.
fn describe_layer<W: Walk>(
    walk: &mut W,
    layer: &Place,
    width: usize,
    input: W::Map,
) -> Result<W::Map, W::Error> {
    let dense = |name: &str, [inputs, outputs]: [usize; 2], activation| {
        let config = ConvolutionConfig::pointwise(inputs, outputs, activation);
        layer.convolution(name, config).dense()
    };
    let norm = |name: &str| layer.norm(name, width).epsilon(NORM_EPSILON);
    let hidden = MLP_RATIO * width;
    let attention = SelfAttention {
        all: vec![dense("attn.qkv", [width, 3 * width], Activation::Identity)],
        output: dense("attn.proj", [width, width], Activation::Identity),
        heads: HEADS,
        bias: None,
    };
    let normal = walk.layer_norm(&norm("norm1"), &input)?;
    let rows = walk.attention(&attention, &normal, &input)?;
    let normal = walk.layer_norm(&norm("norm2"), &rows)?;
    let expand = dense("mlp.fc1", [width, hidden], Activation::Silu);
    let project = dense("mlp.fc2", [hidden, width], Activation::Identity);
    let expanded = walk.convolution(&expand, &normal)?;
    walk.convolution_beside(&project, &expanded, Beside::shortcut(Some(&rows)))
}

/// A convolution before a batch norm.
fn normalised(place: &Place, name: &str, config: ConvolutionConfig) -> Convolution {
    place
        .convolution(name, config.padded(Padding::Half))
        .published(&format!("{name}.conv"))
        .unbiased()
        .batch_norm(&format!("{name}.bn"), EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{Architecture, Layer, Layers};

    /// Parameters without the classifier, batch norm counted as two numbers a channel.
    fn unfolded_parameters(config: MobileVitConfig) -> usize {
        let layers = Layers::new(Architecture::MobileVit(config)).layers;
        let counts = layers.iter().map(|layer| match layer {
            Layer::Convolution(layer) => {
                let shape = layer.config.weight_shape();
                let published = &layer.published;
                let vectors = usize::from(published.has_bias)
                    + published.batch_norm.iter().map(|_| 2).sum::<usize>();
                shape.iter().product::<usize>() + vectors * shape[0]
            }
            Layer::Norm(norm) => 2 * norm.channels,
            other => unreachable!("{other:?} in a network for faces"),
        });
        counts.sum()
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        // timm 1.0.31, without `head.fc`.
        assert_eq!(unfolded_parameters(MobileVitConfig::XXS), 951_024);
        assert_eq!(unfolded_parameters(MobileVitConfig::XS), 1_932_848);
        assert_eq!(unfolded_parameters(MobileVitConfig::S), 4_937_632);
    }

    #[test]
    fn every_size_tells_the_networks_apart() {
        let [first, second, third] = MobileVitConfig::ALL.map(|config| config.told_by());
        for ((a, b), c) in first.iter().zip(&second).zip(&third) {
            assert!(a.2 != b.2 && a.2 != c.2 && b.2 != c.2, "{}", a.0);
        }
    }
}
