//! wav2vec 2.0 for sound: a vector each 20 ms of speech.
//!
//! Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations" (2020): seven
//! convolutions along the samples, then a transformer whose positions come from a convolution in groups. Names at the
//! publisher are those of Hugging Face's `Wav2Vec2Model`. It is no [`Walk`](super::Walk): its input has no fixed size.

/// Samples in a second of the network's input.
pub const SAMPLE_RATE: u32 = 16_000;
/// Kernels of the convolutions along the samples.
pub const KERNELS: [usize; 7] = [10, 3, 3, 3, 3, 2, 2];
/// Their strides.
pub const STRIDES: [usize; 7] = [5, 2, 2, 2, 2, 2, 2];
/// Number that every normalisation adds to the variance.
pub const EPSILON: f32 = 1e-5;
/// Names of the publisher's parameters that embeddings do not depend on: what masked stretches of a training clip are
/// replaced with, and the classifier of letters.
#[cfg(not(target_family = "wasm"))]
pub(crate) const LEFT_ASIDE: [&str; 3] = ["masked_spec_embed", "lm_head.weight", "lm_head.bias"];

/// Which wav2vec 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wav2Vec2Config {
    /// Architecture name in weights files.
    pub name: &'static str,
    /// Channels of the convolutions along the samples.
    pub channels: usize,
    /// Length of a vector.
    pub width: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Layers of the transformer.
    pub layers: usize,
    /// Hidden channels of a layer.
    pub hidden: usize,
    /// Vectors that the convolution of positions sees.
    pub position_kernel: usize,
    /// Its groups.
    pub position_groups: usize,
}

/// A parameter by its name in canonical files and at the publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechParameter {
    /// Name in canonical files.
    pub name: String,
    /// Name at the publisher, without a prefix.
    pub published: String,
    /// Shape in either.
    pub shape: Vec<usize>,
}

/// The weight of the convolution of positions, which publishers store as a length and a direction.
pub(crate) const POSITION: &str = "position.weight";
/// The same layer at the publisher.
pub(crate) const PUBLISHED_POSITION: &str = "encoder.pos_conv_embed.conv";

impl Wav2Vec2Config {
    /// wav2vec 2.0 base: 12 layers, vectors of 768 numbers.
    pub const BASE: Self = Self {
        name: "wav2vec2-base",
        channels: 512,
        width: 768,
        heads: 12,
        layers: 12,
        hidden: 3072,
        position_kernel: 128,
        position_groups: 16,
    };
    /// Two narrow layers, for tests. It has no published weights.
    #[doc(hidden)]
    pub const TEST: Self = Self {
        name: "wav2vec2-test",
        channels: 16,
        width: 24,
        heads: 2,
        layers: 2,
        hidden: 48,
        position_kernel: 8,
        position_groups: 3,
    };

    /// The network of that architecture name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::BASE, Self::TEST]
            .into_iter()
            .find(|config| config.name == name)
    }

    /// Every parameter of canonical files, in the order in which they are used.
    pub fn parameters(&self) -> Vec<SpeechParameter> {
        let mut list = List(Vec::new());
        let Self {
            channels,
            width,
            hidden,
            ..
        } = *self;
        for (index, kernel) in KERNELS.into_iter().enumerate() {
            let inputs = if index == 0 { 1 } else { channels };
            let published = format!("feature_extractor.conv_layers.{index}");
            list.add(
                format!("extractor.{index}.weight"),
                format!("{published}.conv.weight"),
                &[channels, inputs, kernel],
            );
            if index == 0 {
                let norm = format!("{published}.layer_norm");
                list.pair("extractor.0.norm", &norm, &[channels]);
            }
        }
        let norm = "feature_projection.layer_norm";
        list.pair("projection.norm", norm, &[channels]);
        let projection = "feature_projection.projection";
        list.pair("projection", projection, &[width, channels]);
        let inputs = width / self.position_groups;
        list.add(
            POSITION.to_owned(),
            format!("{PUBLISHED_POSITION}.weight"),
            &[width, inputs, self.position_kernel],
        );
        let bias = format!("{PUBLISHED_POSITION}.bias");
        list.add("position.bias".to_owned(), bias, &[width]);
        list.pair("encoder.norm", "encoder.layer_norm", &[width]);
        for index in 0..self.layers {
            for (name, published, shape) in [
                ("attention.query", "attention.q_proj", &[width, width][..]),
                ("attention.key", "attention.k_proj", &[width, width]),
                ("attention.value", "attention.v_proj", &[width, width]),
                ("attention.output", "attention.out_proj", &[width, width]),
                ("norm1", "layer_norm", &[width]),
                ("fc1", "feed_forward.intermediate_dense", &[hidden, width]),
                ("fc2", "feed_forward.output_dense", &[width, hidden]),
                ("norm2", "final_layer_norm", &[width]),
            ] {
                let name = format!("layers.{index}.{name}");
                list.pair(&name, &format!("encoder.layers.{index}.{published}"), shape);
            }
        }
        list.0
    }
}

/// Vectors that so many samples give: one for each whole window of 400 samples, each 320 after the one before.
pub fn vectors_of(samples: usize) -> usize {
    let mut length = samples;
    for (kernel, stride) in KERNELS.into_iter().zip(STRIDES) {
        let Some(rest) = length.checked_sub(kernel) else {
            return 0;
        };
        length = rest / stride + 1;
    }
    length
}

/// The fewest samples that give so many vectors, of which there is at least one.
pub fn samples_of(vectors: usize) -> usize {
    let layers = KERNELS.into_iter().zip(STRIDES).rev();
    layers.fold(vectors, |length, (kernel, stride)| {
        length.saturating_sub(1) * stride + kernel
    })
}

struct List(Vec<SpeechParameter>);

impl List {
    fn add(&mut self, name: String, published: String, shape: &[usize]) {
        self.0.push(SpeechParameter {
            name,
            published,
            shape: shape.to_vec(),
        });
    }

    /// A weight and a bias for each of its outputs.
    fn pair(&mut self, name: &str, published: &str, shape: &[usize]) {
        for (part, shape) in [("weight", shape), ("bias", &shape[..1])] {
            self.add(
                format!("{name}.{part}"),
                format!("{published}.{part}"),
                shape,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_convolutions() {
        for (samples, vectors) in [
            (0, 0),
            (399, 0),
            (400, 1),
            (719, 1),
            (720, 2),
            (16_000, 49),
            (32_000, 99),
            (48_123, 150),
            (4_800_000, 14_999),
            (5_760_000, 17_999),
        ] {
            assert_eq!(vectors_of(samples), vectors, "{samples}");
        }
        assert_eq!([1, 2, 150].map(samples_of), [400, 720, 48_080]);
    }

    #[test]
    fn base_has_as_many_parameters_as_published() {
        let parameters = Wav2Vec2Config::BASE.parameters();
        let values = parameters
            .iter()
            .map(|it| it.shape.iter().product::<usize>());
        // transformers' `Wav2Vec2Model` has 94,371,712, of which 768 are `masked_spec_embed` and 128 lengths that are
        // folded.
        assert_eq!(values.sum::<usize>(), 94_371_712 - 768 - 128);
        assert_eq!(parameters.len(), 209);
    }
}
