//! Layers with weights: their sizes, and where canonical files and publishers keep them.

use affectlens_cpu::Activation;

/// Added to the variance by layer norms of ConvNeXt.
const NORM_EPSILON: f32 = 1e-6;
/// Share of a batch in what batch norms remember, unless a publisher has another: PyTorch's default.
const MOMENTUM: f64 = 0.1;

/// How a convolution couples channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coupling {
    /// Every output channel sees every input channel.
    Dense {
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
    },
    /// Every output channel sees its own input channel only.
    Depthwise {
        /// Input and output channels.
        channels: usize,
    },
    /// Every output channel sees the input channels of its group of two neighbours.
    Pairwise {
        /// Input and output channels.
        channels: usize,
    },
}

/// What lies around a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// TensorFlow's SAME: the output has `ceil(side / stride)` pixels, and where the padding is odd the extra pixel
    /// lies at the bottom and right.
    Same,
    /// PyTorch's padding by half the kernel.
    Half,
    /// Nothing.
    None,
}

/// Sizes of a convolution, and the activation that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionConfig {
    /// Which channels see each other.
    pub coupling: Coupling,
    /// Side of the square kernel, pixels.
    pub kernel: usize,
    /// Step between outputs, pixels.
    pub stride: usize,
    /// What lies around the input.
    pub padding: Padding,
    /// What follows the bias.
    pub activation: Activation,
}

impl ConvolutionConfig {
    /// A dense 1x1 convolution of stride one.
    pub fn pointwise(inputs: usize, outputs: usize, activation: Activation) -> Self {
        Self::dense(inputs, outputs, 1, 1, activation)
    }

    /// A convolution of each channel on its own.
    pub fn depthwise(
        channels: usize,
        kernel: usize,
        stride: usize,
        activation: Activation,
    ) -> Self {
        Self {
            coupling: Coupling::Depthwise { channels },
            kernel,
            stride,
            padding: Padding::Same,
            activation,
        }
    }

    /// A 3x3 convolution in groups of two channels.
    pub fn pairwise(channels: usize, activation: Activation) -> Self {
        Self {
            coupling: Coupling::Pairwise { channels },
            ..Self::depthwise(channels, 3, 1, activation)
        }
    }

    /// A dense convolution.
    pub fn dense(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        activation: Activation,
    ) -> Self {
        Self {
            coupling: Coupling::Dense { inputs, outputs },
            kernel,
            stride,
            padding: Padding::Same,
            activation,
        }
    }

    /// The same with another padding than SAME.
    pub fn padded(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// Output channels.
    pub fn outputs(&self) -> usize {
        self.weight_shape()[0]
    }

    /// Groups of channels that do not see each other.
    pub fn groups(&self) -> usize {
        match self.coupling {
            Coupling::Dense { .. } => 1,
            Coupling::Depthwise { channels } => channels,
            Coupling::Pairwise { channels } => channels / 2,
        }
    }

    /// Shape of the weight: `[outputs, inputs of one output, kernel, kernel]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        match self.coupling {
            Coupling::Dense { inputs, outputs } => [outputs, inputs, self.kernel, self.kernel],
            Coupling::Depthwise { channels } => [channels, 1, self.kernel, self.kernel],
            Coupling::Pairwise { channels } => [channels, 2, self.kernel, self.kernel],
        }
    }
}

/// A part of a network: what the names of its layers begin with, in canonical files and at the publisher.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    canonical: String,
    published: String,
}

impl Place {
    /// A part with a canonical name and another one at the publisher.
    pub(super) fn new(canonical: impl Into<String>, published: impl Into<String>) -> Self {
        Self {
            canonical: canonical.into(),
            published: published.into(),
        }
    }

    /// A part that the publisher names as canonical files do.
    pub(super) fn same(name: impl Into<String>) -> Self {
        let name = name.into();
        Self::new(name.clone(), name)
    }

    /// A part of this part.
    pub(super) fn within(&self, canonical: &str, published: &str) -> Self {
        Self::new(
            join(&self.canonical, canonical),
            join(&self.published, published),
        )
    }

    /// A convolution with a bias; its name at the publisher is the canonical one unless
    /// [`published`](Convolution::published) changes it.
    pub(super) fn convolution(&self, name: &str, config: ConvolutionConfig) -> Convolution {
        Convolution {
            name: join(&self.canonical, name),
            config,
            stochastic_depth: 0.0,
            published: Published::new(&self.published, name),
        }
    }

    /// Weighted sums of the lines of a map, unbiased and with a batch norm at the publisher.
    pub(super) fn line_sum(&self, name: &str, weight_shape: [usize; 4]) -> LineSum {
        LineSum {
            name: join(&self.canonical, name),
            weight_shape,
            published: Published {
                has_bias: false,
                ..Published::new(&self.published, name)
            },
        }
    }

    /// Numbers that attention adds to its scores, `[places, heads]`; they have their canonical name at the publisher too.
    pub(super) fn table(&self, name: &str, places: usize, heads: usize) -> PositionTable {
        PositionTable {
            name: join(&self.canonical, name),
            places,
            heads,
        }
    }

    /// A layer norm, which has its canonical name at the publisher too.
    pub(super) fn norm(&self, name: &str, channels: usize) -> ChannelNorm {
        ChannelNorm {
            name: join(&self.canonical, name),
            channels,
            epsilon: NORM_EPSILON,
        }
    }
}

fn join(prefix: &str, name: &str) -> String {
    match (prefix, name) {
        ("", name) => name.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, name) => format!("{prefix}.{name}"),
    }
}

/// A convolution with bias and activation: what batch norm and layer scale are folded into.
///
/// Canonical files have `name.weight`, `name.bias` and before a PReLU `name.slopes`.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Canonical name.
    pub name: String,
    /// Sizes and activation.
    pub config: ConvolutionConfig,
    /// Probability that training leaves the layer out of a sample, so that only the map that is added to it remains; otherwise
    /// its outputs are that much larger (Huang et al., "Deep Networks with Stochastic Depth", 2016).
    pub stochastic_depth: f32,
    /// Where a state dict has it.
    pub published: Published,
}

/// Weighted sums over the rows or over the columns of a map, with a bias a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct LineSum {
    /// Canonical name.
    pub name: String,
    /// `[channels, 1, 1, width]` for rows, `[channels, 1, height, 1]` for columns.
    pub weight_shape: [usize; 4],
    /// Where a state dict has it.
    pub published: Published,
}

/// Numbers that attention adds to the scores of pairs of pixels, by how they lie to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionTable {
    /// Whole name in canonical files and in a state dict, `[places, heads]`.
    pub name: String,
    /// Ways in which two pixels can lie to each other.
    pub places: usize,
    /// Heads of attention.
    pub heads: usize,
}

/// A layer norm over the channels of each pixel: `(x - mean) / sqrt(variance + epsilon) * weight + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelNorm {
    /// Canonical name, and that in a state dict.
    pub name: String,
    /// Channels of the map.
    pub channels: usize,
    /// Number that is added to the variance.
    pub epsilon: f32,
}

impl ChannelNorm {
    /// The same with another number added to the variance.
    pub(super) fn epsilon(self, epsilon: f32) -> Self {
        Self { epsilon, ..self }
    }
}

/// Where a publisher's state dict has a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Name of the weight and of the bias, without `.weight` and `.bias`.
    pub layer: String,
    /// Whether there is a bias beside the weight.
    pub has_bias: bool,
    /// Whole name of the bias, where it is not that of the layer and `.bias`.
    pub bias: Option<String>,
    /// Whether it is a fully connected layer there, with a weight of two axes.
    pub is_dense: bool,
    /// The batch norm that follows.
    pub batch_norm: Option<BatchNorm>,
    /// Name of the PReLU that follows.
    pub slopes: Option<String>,
    /// Whole name of the layer scale that follows, `[outputs]`.
    pub scale: Option<String>,
    /// Layers, or whole parameters, beside it that the forward pass does not use.
    pub unused: Vec<String>,
    /// What all of these names begin with.
    part: String,
}

/// A batch norm of a state dict.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// Name, without `.weight`, `.running_mean` and the like.
    pub name: String,
    /// Added to the variance.
    pub epsilon: f64,
    /// Share of a batch in what is remembered of it and the batches before.
    pub momentum: f64,
}

impl Published {
    fn new(part: &str, name: &str) -> Self {
        Self {
            layer: join(part, name),
            has_bias: true,
            bias: None,
            is_dense: false,
            batch_norm: None,
            slopes: None,
            scale: None,
            unused: Vec::new(),
            part: part.to_owned(),
        }
    }

    /// Whole name of the bias, if there is one.
    pub fn bias_name(&self) -> Option<String> {
        let named = || format!("{}.bias", self.layer);
        self.has_bias
            .then(|| self.bias.clone().unwrap_or_else(named))
    }

    fn name(&mut self, name: &str) {
        self.layer = join(&self.part, name);
    }

    fn batch_norm(&mut self, name: &str, epsilon: f64) {
        let name = join(&self.part, name);
        self.batch_norm = Some(BatchNorm {
            name,
            epsilon,
            momentum: MOMENTUM,
        });
    }

    fn unused(&mut self, names: &[&str]) {
        self.unused = names.iter().map(|name| join(&self.part, name)).collect();
    }
}

impl LineSum {
    /// The same with other names at the publisher.
    pub(super) fn published(mut self, layer: &str, batch_norm: &str, epsilon: f64) -> Self {
        self.published.name(layer);
        self.published.batch_norm(batch_norm, epsilon);
        self
    }
}

impl Convolution {
    /// Shape of the weight in a state dict.
    pub fn published_shape(&self) -> Vec<usize> {
        let axes = if self.published.is_dense { 2 } else { 4 };
        self.config.weight_shape()[..axes].to_vec()
    }

    /// The same under another name at the publisher.
    pub(super) fn published(mut self, name: &str) -> Self {
        self.published.name(name);
        self
    }

    /// The same without bias at the publisher.
    pub(super) fn unbiased(mut self) -> Self {
        self.published.has_bias = false;
        self
    }

    /// The same with a bias of that whole name at the publisher.
    pub(super) fn bias(mut self, name: &str) -> Self {
        self.published.bias = Some(join(&self.published.part, name));
        self
    }

    /// The same left out of samples with that probability in training.
    pub(super) fn stochastic_depth(self, stochastic_depth: f32) -> Self {
        Self {
            stochastic_depth,
            ..self
        }
    }

    /// The same as a fully connected layer at the publisher.
    pub(super) fn dense(mut self) -> Self {
        self.published.is_dense = true;
        self
    }

    /// The same before a batch norm.
    pub(super) fn batch_norm(mut self, name: &str, epsilon: f64) -> Self {
        self.published.batch_norm(name, epsilon);
        self
    }

    /// The same before a PReLU.
    pub(super) fn slopes(mut self, name: &str) -> Self {
        self.published.slopes = Some(join(&self.published.part, name));
        self
    }

    /// The same before a layer scale.
    pub(super) fn scale(mut self, name: &str) -> Self {
        self.published.scale = Some(join(&self.published.part, name));
        self
    }

    /// The same beside layers that the forward pass does not use.
    pub(super) fn unused(mut self, names: &[&str]) -> Self {
        self.published.unused(names);
        self
    }
}

/// The fully connected layer from an embedding to a network's outputs. Weights need not have it.
///
/// Canonical files have `classifier.weight` `[outputs, width]` and `classifier.bias` `[outputs]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classifier {
    /// Length of the embedding.
    pub width: usize,
    /// What it may be called in a state dict; nothing if it cannot be taken from there.
    pub published: &'static [&'static str],
    /// Layers of a state dict that the forward pass does not use.
    pub unused: &'static [&'static str],
}

impl Classifier {
    /// Canonical name of the weight.
    pub const WEIGHT: &'static str = "classifier.weight";
    /// Canonical name of the bias.
    pub const BIAS: &'static str = "classifier.bias";
}
