//! From vectors of sound to expressions.

use burn::tensor::{Device, Tensor};

use crate::{
    calibration::{ExpressionSettings, softmax},
    device::OpenedDevice,
    error::LensError,
    head::Mlp,
    kernel::{Network, Plan, on_device, on_host},
    label::Expression,
    role::Role,
    weights::{Weights, WeightsError},
};

/// A head that classifies vectors of sound, on the CPU.
#[derive(Debug)]
pub struct SoundHead {
    /// In folded form: what trains it would bring a browser megabytes of kernels.
    network: Network,
    classes: Vec<Expression>,
    settings: ExpressionSettings,
}

impl SoundHead {
    /// Takes a head that was trained on the vectors of the network `encoder`.
    ///
    /// # Errors
    ///
    /// [`LensError`] for a head of another architecture or over other vectors, or for settings that cannot be read.
    pub fn load(weights: &Weights, encoder: &str) -> Result<Self, LensError> {
        let role = Role::AudioExpressionHead;
        let named = weights.metadata.embedding();
        if named != Some(encoder) {
            return Err(LensError::Embedding {
                role,
                expected: named.unwrap_or("an unknown network").to_owned(),
                got: encoder.to_owned(),
            });
        }
        let wrong = || LensError::weights(role);
        let config = Mlp::config_of(weights).map_err(wrong())?;
        let mut planner = Plan::of_input(1, 1, config.inputs);
        let vectors = planner.input();
        let logits = Mlp::plan(weights, &mut planner, vectors).map_err(wrong())?;
        let plan = planner.finish(&[logits]);
        let network = Network::build(plan, &OpenedDevice::cpu()).map_err(WeightsError::Network);
        let network = network.map_err(wrong())?;
        let classes = weights.metadata.classes.clone();
        let got = config.classes;
        if classes.len() != got {
            return Err(LensError::Classes {
                role,
                expected: got,
                got: classes.len(),
            });
        }
        Ok(Self {
            settings: ExpressionSettings::read(&weights.metadata.extra, got)?,
            network,
            classes,
        })
    }

    /// Classes of a row, in order.
    pub fn classes(&self) -> &[Expression] {
        &self.classes
    }

    /// Frames to each side that the head was tuned to be averaged over.
    pub fn half_window(&self) -> usize {
        self.settings.half_window
    }

    /// Numbers of a vector.
    pub fn inputs(&self) -> usize {
        self.network.input().channels
    }

    /// Classifies a batch of vectors.
    ///
    /// # Shapes
    ///
    /// - vectors: `[batch, inputs]`, on the CPU
    /// - output: `[batch, classes]`, before softmax
    pub fn forward(&self, vectors: Tensor<2>) -> Tensor<2> {
        let [batch, inputs] = vectors.dims();
        self.network.forward(vectors.reshape([batch, 1, 1, inputs]))
    }

    /// Probabilities from logits; with `gla` the head's class biases count.
    pub fn probabilities(&self, logits: &[f32], gla: bool) -> Vec<f32> {
        let probabilities = softmax(logits);
        match gla {
            true => self.settings.gla.adjust(&probabilities),
            false => probabilities,
        }
    }

    /// Probabilities of each class for vectors that lie one after the other.
    ///
    /// # Panics
    ///
    /// If vectors have another length than [`Self::inputs`].
    pub fn classify(&self, vectors: &[f32], gla: bool) -> Vec<Vec<f32>> {
        let inputs = self.inputs();
        assert_eq!(vectors.len() % inputs, 0, "vectors of {inputs} numbers");
        if vectors.is_empty() {
            return Vec::new();
        }
        let shape = [vectors.len() / inputs, 1, 1, inputs];
        let vectors = on_device(vectors.to_vec(), shape, &Device::flex());
        let logits = on_host(self.network.forward(vectors));
        let logits = logits.as_slice::<f32>().expect("networks compute in f32");
        let rows = logits.chunks_exact(self.classes.len());
        rows.map(|row| self.probabilities(row, gla)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{head::MlpConfig, label::AFF_WILD2};

    fn head(classes: &[Expression], embedding: &str) -> Weights {
        let config = MlpConfig {
            inputs: 4,
            hidden: 3,
            classes: 8,
        };
        let mut weights = config.init(3, &Device::flex()).to_weights();
        weights.metadata.classes = classes.to_vec();
        let extra = &mut weights.metadata.extra;
        extra.insert("embedding".to_owned(), embedding.to_owned());
        weights
    }

    #[test]
    fn vectors_become_probabilities_with_the_biases_of_the_head() {
        let mut weights = head(&AFF_WILD2, "ears");
        let biases = "3 0 0 0 0 0 0 0".to_owned();
        weights.metadata.extra.insert("gla".to_owned(), biases);
        let head = SoundHead::load(&weights, "ears").expect("fits");
        assert_eq!((head.inputs(), head.classes()), (4, &AFF_WILD2[..]));
        let vectors = [0.5, -0.5, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let [plain, adjusted] = [false, true].map(|gla| head.classify(&vectors, gla));
        for rows in [&plain, &adjusted] {
            assert_eq!(rows.len(), 2);
            for row in rows {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
            }
        }
        assert!(adjusted[0][0] > plain[0][0] + 0.1);
        assert_eq!(head.classify(&vectors[4..], false)[0], plain[1]);
        assert!(head.classify(&[], true).is_empty());
    }

    #[test]
    fn many_vectors_are_classified_as_each_by_itself() {
        let config = MlpConfig {
            inputs: 768,
            hidden: 16,
            classes: 8,
        };
        let mut weights = config.init(11, &Device::flex()).to_weights();
        weights.metadata.classes = AFF_WILD2.to_vec();
        let extra = &mut weights.metadata.extra;
        extra.insert("embedding".to_owned(), "ears".to_owned());
        let head = SoundHead::load(&weights, "ears").expect("fits");
        let number = |place: usize| ((place * 7919) % 1009) as f32 / 504.0 - 1.0;
        let vectors: Vec<f32> = (0..99 * 768).map(number).collect();
        let together = head.classify(&vectors, false);
        assert_eq!(together.len(), 99);
        for (row, vector) in together.iter().zip(vectors.chunks_exact(768)) {
            let alone = &head.classify(vector, false)[0];
            let apart = row.iter().zip(alone).map(|(a, b)| (a - b).abs());
            assert!(apart.fold(0.0, f32::max) < 1e-5, "{row:?}, {alone:?}");
        }
        assert_ne!(together[0], together[50]);
    }

    #[test]
    fn a_head_over_other_vectors_or_classes_is_named() {
        let refusal = |weights: &Weights| SoundHead::load(weights, "ears").expect_err("refused");
        assert_eq!(
            refusal(&head(&AFF_WILD2, "eyes")).to_string(),
            "audio expression head was trained on embeddings of `eyes`, the backbone is `ears`"
        );
        assert_eq!(
            refusal(&head(&AFF_WILD2[1..], "ears")).to_string(),
            "audio expression head names 7 classes, expected 8"
        );
        let mut other = head(&AFF_WILD2, "ears");
        other.metadata.architecture = "tcn".to_owned();
        let refused = refusal(&other).to_string();
        assert!(refused.starts_with("audio expression head: "), "{refused}");
    }
}
