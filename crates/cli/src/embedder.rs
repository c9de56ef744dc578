//! A backbone that embeds pictures, each once: what was embedded before comes from a cache.

use std::path::{Path, PathBuf};

use super::{progress::progress, sources::Video};
use anyhow::{Context as _, Result, bail};
use burn::tensor::{Device, Tensor};

use affectlens::{
    backbone::{self, Backbone, Embedded},
    crop,
    device::OpenedDevice,
    frame::Frame,
    head::Mlp,
    label::Expression,
    weights::{Precision, Weights, cache_dir, sha256},
};
use affectlens_data::{
    EmbeddedPictures, EmbeddedVideo, EmbeddingCache, ExtractionError, FeatureRows,
    LabelledPictures, extract_embeddings, extract_video, extract_video_file,
};
use affectlens_train::{LabelledEmbeddings, flip};

/// Frames of a video that go through the network together.
const FRAMES: usize = 16;

/// A backbone with the cache of its embeddings.
pub(super) struct Embedder {
    backbone: Backbone,
    device: OpenedDevice,
    cache: EmbeddingCache,
}

impl Embedder {
    /// Keeps embeddings in `folder`.
    pub(super) fn load(
        name: &str,
        weights: &Weights,
        device: OpenedDevice,
        folder: PathBuf,
    ) -> Result<Self> {
        let backbone =
            Backbone::load(weights, &device).with_context(|| format!("backbone `{name}`"))?;
        let metadata = &weights.metadata;
        if metadata.source_sha256.is_empty() {
            bail!(
                "weights of `{name}` do not say which file they came from; convert or fetch them again"
            );
        }
        let cache = EmbeddingCache {
            folder,
            key: format!(
                "{} {} whole picture {}",
                metadata.architecture,
                metadata.source_sha256,
                backbone.facts().input_side
            ),
        };
        Ok(Self {
            backbone,
            device,
            cache,
        })
    }

    /// Embeddings of the readable pictures with their labels, and how many were skipped.
    pub(super) fn embed(
        &self,
        pictures: &LabelledPictures,
        labels: &[usize],
        part: &str,
    ) -> Result<(LabelledEmbeddings, usize)> {
        let doing = format!("embedding {part}");
        let bar = progress(&doing, "pictures", Some(pictures.len() as u64));
        let embedded = extract_embeddings(
            &pictures.paths,
            &self.cache,
            |picture| Ok(self.prepare(picture)),
            |faces| {
                let embedded = self.forward(faces);
                embedded.map_or_else(Vec::new, |it| rows(it.embedding))
            },
            |done| bar.set_position(done as u64),
        )?;
        bar.finish_and_clear();
        for failure in &embedded.failures {
            eprintln!(
                "affectlens: skipped `{}`: {}",
                failure.path.display(),
                failure.reason
            );
        }
        let mut data = LabelledEmbeddings {
            rows: FeatureRows::new(self.backbone.facts().width),
            labels: vec![],
        };
        for (row, &label) in embedded.rows.iter().zip(labels) {
            if let Some(row) = row {
                data.rows
                    .push(row)
                    .with_context(|| format!("embeddings of the {part} pictures"))?;
                data.labels.push(label);
            }
        }
        Ok((data, embedded.failures.len()))
    }

    /// Features of all frames of a video file, or of their mirror images; from the cache where they were computed before.
    pub(super) fn embed_video(&self, path: &Path, mirrored: bool) -> Result<EmbeddedVideo> {
        let cache = self.video_cache(mirrored);
        extract_video_file(path, &cache, || self.decode(path, mirrored))
            .with_context(|| format!("`{}`", path.display()))
    }

    fn video_cache(&self, mirrored: bool) -> EmbeddingCache {
        let mut cache = self.cache.clone();
        if mirrored {
            cache.key += " mirrored";
        }
        cache
    }

    fn decode(&self, path: &Path, mirrored: bool) -> Result<EmbeddedVideo> {
        let mut video = Video::open(path)?;
        let rate = video.rate;
        let mut features = FeatureRows::new(self.backbone.facts().width);
        let mut complaint = None;
        loop {
            let mut frames = Vec::new();
            while frames.len() < FRAMES {
                match video.next_frame() {
                    Ok(Some(frame)) => frames.push(self.prepare_video_frame(&frame, mirrored)),
                    Ok(None) => break,
                    // What came before is whole.
                    Err(error) => {
                        complaint = Some(format!("{error:#}"));
                        break;
                    }
                }
            }
            let rows = match frames.is_empty() {
                true => break,
                false => self.rows(&frames)?,
            };
            for row in rows {
                features.push(&row)?;
            }
            if frames.len() < FRAMES {
                break;
            }
        }
        let complaint = complaint.or(video.close()?);
        if features.is_empty() {
            bail!(
                "no frame can be read: {}",
                complaint.as_deref().unwrap_or("the video is empty")
            );
        }
        Ok(EmbeddedVideo {
            rows: features,
            rate,
            complaint,
        })
    }

    fn prepare_video_frame(&self, frame: &Frame, mirrored: bool) -> Frame {
        let frame = self.prepare(frame);
        if mirrored { flip(&frame) } else { frame }
    }

    /// Features of the pictures of a video, or of their mirror images; those that cannot be read are failures.
    pub(super) fn embed_frames(
        &self,
        video: &str,
        pictures: &[PathBuf],
        mirrored: bool,
    ) -> Result<EmbeddedPictures> {
        Ok(extract_video(
            &if mirrored {
                format!("{video}-mirrored")
            } else {
                video.to_owned()
            },
            pictures,
            &self.video_cache(mirrored),
            |picture| Ok(self.prepare_video_frame(picture, mirrored)),
            |frames| self.rows(frames).unwrap_or_default(),
            |_| {},
        )?)
    }

    /// Features of a black frame.
    pub(super) fn embed_black(&self) -> Result<Vec<f32>> {
        let side = self.backbone.facts().input_side;
        let black = Frame::from_rgb(side, side, vec![0; side as usize * side as usize * 3])?;
        Ok(self.rows(&[black])?.concat())
    }

    /// Length of an embedding.
    pub(super) fn width(&self) -> usize {
        self.backbone.facts().width
    }

    fn rows(&self, frames: &[Frame]) -> Result<Vec<Vec<f32>>> {
        let embedded = self.forward(frames).context("frames of one size")?;
        let rows = rows(embedded.embedding);
        if rows.len() != frames.len() {
            bail!(
                "network gave {} rows, expected {}",
                rows.len(),
                frames.len()
            );
        }
        Ok(rows)
    }

    fn prepare(&self, picture: &Frame) -> Frame {
        crop::resize(picture, self.backbone.facts().input_side)
    }

    fn forward(&self, faces: &[Frame]) -> Option<Embedded> {
        let normalisation = &self.backbone.facts().normalisation;
        let batch = crop::batch(faces, normalisation, &self.device.device).ok()?;
        Some(self.backbone.forward(batch))
    }
}

/// An embedder with a classifier: a row is an embedding followed by the classifier's outputs.
pub(super) struct ScoringEmbedder {
    embedder: Embedder,
    /// In the place of the backbone's own classifier, where it has none.
    classifier: Option<Mlp>,
    classes: Vec<Expression>,
    says_valence_arousal: bool,
    outputs: usize,
}

impl ScoringEmbedder {
    /// Takes the backbone's own classifier, else `pretrained`; features are kept in a folder of their own below `cache`.
    pub(super) fn load(
        name: &str,
        weights: &Weights,
        pretrained: Option<&Weights>,
        device: OpenedDevice,
        cache: &Path,
    ) -> Result<Self> {
        let mut embedder = Embedder::load(name, weights, device, cache.to_owned())?;
        let says = backbone::outputs(weights)?;
        let own = embedder.backbone.network().outputs().get(1);
        let mut scoring = match (own, pretrained) {
            (Some(range), _) => Self {
                classifier: None,
                classes: says.classes,
                says_valence_arousal: says.valence_arousal,
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
                    says_valence_arousal: false,
                    embedder,
                }
            }
            (None, None) => bail!(
                "backbone `{name}` has no classifier of its own and there is no `expression-pretrained` for it"
            ),
        };
        let digest = sha256(scoring.embedder.cache.key.as_bytes());
        let folder = cache.join(format!("{name}-{}", &digest[..12]));
        scoring.embedder.cache.folder = folder;
        Ok(scoring)
    }

    /// Where the features of each video are kept.
    pub(super) fn folder(&self) -> &Path {
        &self.embedder.cache.folder
    }

    /// All that features depend on.
    pub(super) fn key(&self) -> &str {
        &self.embedder.cache.key
    }

    /// Length of the embedding, number of outputs.
    pub(super) fn widths(&self) -> [usize; 2] {
        [self.embedder.backbone.facts().width, self.outputs]
    }

    /// What the first outputs stand for.
    pub(super) fn classes(&self) -> &[Expression] {
        &self.classes
    }

    /// Whether the last two outputs are valence and arousal.
    pub(super) fn says_valence_arousal(&self) -> bool {
        self.says_valence_arousal
    }

    /// Features of the crops of a video, in their order.
    pub(super) fn extract(
        &self,
        video: &str,
        crops: &[PathBuf],
        progress: impl FnMut(usize),
    ) -> Result<EmbeddedPictures, ExtractionError> {
        let prepare = |picture: &Frame| Ok(self.embedder.prepare(picture));
        let cache = &self.embedder.cache;
        extract_video(
            video,
            crops,
            cache,
            prepare,
            |faces| self.rows(faces),
            progress,
        )
    }

    fn rows(&self, faces: &[Frame]) -> Vec<Vec<f32>> {
        let Some(Embedded { embedding, logits }) = self.embedder.forward(faces) else {
            return Vec::new();
        };
        let mut features = rows(embedding);
        let outputs = match (&self.classifier, logits) {
            (Some(classifier), _) => {
                let shape = [features.len(), self.embedder.backbone.facts().width];
                let values = burn::tensor::TensorData::new(features.concat(), shape);
                rows(classifier.forward(Tensor::from_data(values, &Device::flex())))
            }
            (None, Some(logits)) => rows(logits),
            (None, None) => Vec::new(),
        };
        for (features, outputs) in features.iter_mut().zip(outputs) {
            features.extend(outputs);
        }
        features
    }
}

/// Rows of a tensor; none if the device fails, which the reader notices by their number.
fn rows(tensor: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = tensor.dims();
    let values = pollster::block_on(tensor.into_data_async())
        .ok()
        .and_then(|values| values.try_into_vec::<f32>().ok())
        .unwrap_or_default();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

/// Where the pictures' embeddings are kept.
pub(super) fn picture_cache() -> PathBuf {
    cache_dir().join("embeddings")
}

/// Where the features of videos are kept.
pub(super) fn feature_cache() -> PathBuf {
    cache_dir().join("features")
}
