//! An embedder with a classifier.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};

use super::{Embedder, EmbedderError, read_rows};
use crate::{Embed, EmbedError, EmbeddedPictures, ExtractionError, extract_video};
use affectlens::{
    backbone::{self, Embedded},
    device::OpenedDevice,
    frame::Frame,
    head::Mlp,
    label::Expression,
    weights::{Precision, Weights, sha256},
};

/// An embedder with a classifier: a row is an embedding followed by the classifier's outputs.
#[derive(Debug)]
pub struct ScoringEmbedder {
    embedder: Embedder,
    /// In the place of the backbone's own classifier, where it has none.
    classifier: Option<Mlp>,
    classes: Vec<Expression>,
    has_valence_arousal: bool,
    outputs: usize,
}

impl ScoringEmbedder {
    /// Takes the backbone's own classifier, else `pretrained`; features are kept in a folder of their own below `cache`.
    ///
    /// # Errors
    ///
    /// [`EmbedderError`] if weights do not fit, or there is no classifier.
    pub fn load(
        name: &str,
        weights: &Weights,
        pretrained: Option<&Weights>,
        device: OpenedDevice,
        cache: &Path,
    ) -> Result<Self, EmbedderError> {
        let mut embedder = Embedder::load(name, weights, device, cache.to_owned())?;
        let known = backbone::outputs(weights)?;
        let own = embedder.backbone.network().outputs().get(1);
        let mut scoring = match (own, pretrained) {
            (Some(range), _) => Self {
                classifier: None,
                classes: known.classes,
                has_valence_arousal: known.valence_arousal,
                outputs: range.len(),
                embedder,
            },
            (None, Some(pretrained)) => {
                let mlp = Mlp::load(pretrained, &Device::flex())?;
                let digest = sha256(&pretrained.to_safetensors(Precision::Lossless)?);
                embedder.cache.key += &format!(" classifier {digest}");
                Self {
                    outputs: mlp.config().classes,
                    classifier: Some(mlp),
                    classes: pretrained.metadata.classes.clone(),
                    has_valence_arousal: false,
                    embedder,
                }
            }
            (None, None) => {
                return Err(EmbedderError::NoClassifier {
                    name: name.to_owned(),
                });
            }
        };
        let digest = sha256(scoring.embedder.cache.key.as_bytes());
        let folder = cache.join(format!("{name}-{}", &digest[..12]));
        scoring.embedder.cache.folder = folder;
        Ok(scoring)
    }

    /// Where the features of each video are kept.
    pub fn folder(&self) -> &Path {
        &self.embedder.cache.folder
    }

    /// All that features depend on.
    pub fn key(&self) -> &str {
        &self.embedder.cache.key
    }

    /// Length of the embedding, number of outputs.
    pub fn widths(&self) -> [usize; 2] {
        [self.embedder.facts().width, self.outputs]
    }

    /// What the first outputs stand for.
    pub fn classes(&self) -> &[Expression] {
        &self.classes
    }

    /// Whether the last two outputs are valence and arousal.
    pub fn has_valence_arousal(&self) -> bool {
        self.has_valence_arousal
    }

    /// Features of the crops of a video, in their order; `progress` is called with the number of crops that are done.
    ///
    /// # Errors
    ///
    /// [`ExtractionError`] if the network fails or features cannot be kept.
    pub fn extract(
        &self,
        video: &str,
        crops: &[PathBuf],
        progress: impl FnMut(usize),
    ) -> Result<EmbeddedPictures, ExtractionError> {
        extract_video(video, crops, &self.embedder.cache, self, progress)
    }
}

impl Embed for ScoringEmbedder {
    fn prepare(&self, picture: &Frame) -> Frame {
        self.embedder.prepare(picture)
    }

    fn embed(&self, pictures: &[Frame]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let device = &self.embedder.device;
        let Embedded { embedding, logits } = self.embedder.forward(pictures)?;
        let [mut features, outputs] = match (&self.classifier, logits) {
            (None, Some(logits)) => read_rows(device, [embedding, logits])?,
            (classifier, _) => {
                let [features] = read_rows(device, [embedding])?;
                let outputs = match classifier {
                    Some(classifier) => classify(classifier, &features)?,
                    None => Vec::new(),
                };
                [features, outputs]
            }
        };
        for (features, outputs) in features.iter_mut().zip(outputs) {
            features.extend(outputs);
        }
        Ok(features)
    }
}

/// Logits of embeddings, on the CPU.
fn classify(classifier: &Mlp, features: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EmbedError> {
    let width = features.first().map_or(0, Vec::len);
    let values = TensorData::new(features.concat(), [features.len(), width]);
    let logits = classifier.forward(Tensor::from_data(values, &Device::flex()));
    let [rows] = read_rows(&OpenedDevice::cpu(), [logits])?;
    Ok(rows)
}
