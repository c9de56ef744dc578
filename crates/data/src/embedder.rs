//! A backbone that embeds pictures and videos, each once: what was embedded before comes from a cache.

mod scoring;

use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use thiserror::Error;

use crate::{
    Embed, EmbedError, EmbeddedPictures, EmbeddedVideo, EmbeddingCache, ExtractionError, Failure,
    FeatureError, FeatureRows, LabelledPictures, Observer, Video, VideoError, embedding::embed_all,
    extract_embeddings, extract_video, extract_video_file,
};
use affectlens::{
    backbone::{Backbone, Embedded, Facts},
    crop,
    device::OpenedDevice,
    frame::Frame,
    kernel::read_back,
    weights::{Weights, WeightsError},
};

pub use scoring::ScoringEmbedder;

/// Frames of a video that go through the network together.
const FRAMES: usize = 16;

/// A backbone with the cache of its embeddings.
#[derive(Debug)]
pub struct Embedder {
    backbone: Backbone,
    device: OpenedDevice,
    cache: EmbeddingCache,
}

/// Why weights make no embedder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmbedderError {
    /// Weights do not fit.
    #[error("backbone `{name}`: {error}")]
    Backbone {
        /// Name of the backbone.
        name: String,
        /// What is wrong with them.
        error: WeightsError,
    },
    /// Nothing would tell embeddings of these weights from those of other ones.
    #[error(
        "weights of `{name}` do not name the file that they came from; convert or fetch them again"
    )]
    Unknown {
        /// Name of the backbone.
        name: String,
    },
    /// Neither the backbone nor a file classifies.
    #[error(
        "backbone `{name}` has no classifier of its own and there is no `expression-pretrained` for it"
    )]
    NoClassifier {
        /// Name of the backbone.
        name: String,
    },
    /// The classifier's weights do not fit.
    #[error(transparent)]
    Classifier(#[from] WeightsError),
}

/// Why a video has no features.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmbedVideoError {
    /// The video cannot be decoded.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// The network failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// Features cannot be kept.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// The cache cannot be written.
    #[error(transparent)]
    Extraction(#[from] ExtractionError),
    /// There is no frame.
    #[error("no frame can be read: {reason}")]
    Empty {
        /// What the decoder complained about.
        reason: String,
    },
}

/// Embeddings of the labelled pictures that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedExamples {
    /// One row a picture.
    pub rows: FeatureRows,
    /// Label of each row.
    pub labels: Vec<usize>,
    /// Number of pictures that could not be read.
    pub skipped: usize,
}

impl Embedder {
    /// Puts the backbone `name` on a device; embeddings are kept in `folder`.
    ///
    /// # Errors
    ///
    /// [`EmbedderError`] if the weights do not fit or do not say where they come from.
    pub fn load(
        name: &str,
        weights: &Weights,
        device: OpenedDevice,
        folder: PathBuf,
    ) -> Result<Self, EmbedderError> {
        let backbone =
            Backbone::load(weights, &device).map_err(|error| EmbedderError::Backbone {
                name: name.to_owned(),
                error,
            })?;
        let metadata = &weights.metadata;
        if metadata.source_sha256.is_empty() {
            return Err(EmbedderError::Unknown {
                name: name.to_owned(),
            });
        }
        // Of the parameters that were loaded, not of the file that they claim to come from: that does not change when a file is
        // damaged or replaced.
        let key = format!(
            "{} {} whole picture {}",
            metadata.architecture,
            weights.digest(),
            backbone.facts().input_side
        );
        Ok(Self {
            backbone,
            device,
            cache: EmbeddingCache { folder, key },
        })
    }

    /// The backbone.
    pub fn facts(&self) -> &Facts {
        self.backbone.facts()
    }

    /// Where embeddings are kept.
    pub fn folder(&self) -> &Path {
        &self.cache.folder
    }

    /// Embeddings of the readable pictures of a part with their labels.
    ///
    /// # Errors
    ///
    /// [`ExtractionError`] if the network fails, or embeddings cannot be kept; a picture that cannot be read is a
    /// complaint.
    pub fn embed_pictures(
        &self,
        pictures: &LabelledPictures,
        labels: &[usize],
        part: &str,
        observer: &dyn Observer,
    ) -> Result<EmbeddedExamples, ExtractionError> {
        let total = Some(pictures.len() as u64);
        observer.begin(&format!("embedding {part}"), "pictures", total);
        let embedded = extract_embeddings(&pictures.paths, &self.cache, self, |done| {
            observer.reach(done as u64);
        });
        observer.end();
        let embedded = embedded?;
        for failure in &embedded.failures {
            complain_of_failure(failure, observer);
        }
        let mut examples = EmbeddedExamples {
            rows: FeatureRows::new(self.facts().width),
            labels: vec![],
            skipped: embedded.failures.len(),
        };
        for (row, &label) in embedded.rows.iter().zip(labels) {
            if let Some(row) = row {
                let pushed = examples.rows.push(row);
                pushed.map_err(|error| ExtractionError::Feature {
                    part: part.to_owned(),
                    error,
                })?;
                examples.labels.push(label);
            }
        }
        Ok(examples)
    }

    /// Features of all frames of a video file, or of their mirror images; from the cache where they were computed before.
    ///
    /// # Errors
    ///
    /// [`EmbedVideoError`] if not one frame can be read, the network fails, or features cannot be kept.
    pub fn embed_video(
        &self,
        path: &Path,
        mirrored: bool,
    ) -> Result<EmbeddedVideo, EmbedVideoError> {
        extract_video_file(path, &self.video_cache(mirrored), || {
            let video = Video::open(path)?;
            match mirrored {
                true => embed_frames(video, &Mirrored(self), self.facts().width),
                false => embed_frames(video, self, self.facts().width),
            }
        })
    }

    /// Features of the pictures of a video, or of their mirror images; those that cannot be read are failures.
    ///
    /// # Errors
    ///
    /// [`ExtractionError`] if the network fails or features cannot be kept.
    pub fn embed_video_pictures(
        &self,
        video: &str,
        pictures: &[PathBuf],
        mirrored: bool,
    ) -> Result<EmbeddedPictures, ExtractionError> {
        let cache = self.video_cache(mirrored);
        match mirrored {
            true => {
                let name = format!("{video}-mirrored");
                extract_video(&name, pictures, &cache, &Mirrored(self), |_| {})
            }
            false => extract_video(video, pictures, &cache, self, |_| {}),
        }
    }

    /// Features of a black frame.
    ///
    /// # Errors
    ///
    /// [`EmbedError`] if the network fails.
    pub fn embed_black(&self) -> Result<Vec<f32>, EmbedError> {
        let side = self.facts().input_side;
        let pixels = vec![0; side as usize * side as usize * 3];
        let black = Frame::from_rgb(side, side, pixels).expect("as many bytes as pixels");
        Ok(embed_all(self, &[black])?.concat())
    }

    fn video_cache(&self, mirrored: bool) -> EmbeddingCache {
        let mut cache = self.cache.clone();
        if mirrored {
            cache.key += " mirrored";
        }
        cache
    }

    fn forward(&self, pictures: &[Frame]) -> Result<Embedded, EmbedError> {
        let batch = crop::batch(pictures, &self.facts().normalisation, &self.device.device)?;
        Ok(self.backbone.forward(batch))
    }
}

impl Embed for Embedder {
    fn prepare(&self, picture: &Frame) -> Frame {
        crop::resize(picture, self.facts().input_side)
    }

    fn embed(&self, pictures: &[Frame]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let embedded = self.forward(pictures)?;
        let [rows] = read_rows(&self.device, [embedded.embedding])?;
        Ok(rows)
    }
}

/// The same network on mirror images.
struct Mirrored<'a, E>(&'a E);

impl<E: Embed> Embed for Mirrored<'_, E> {
    fn prepare(&self, picture: &Frame) -> Frame {
        self.0.prepare(picture).mirrored()
    }

    fn embed(&self, pictures: &[Frame]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.0.embed(pictures)
    }
}

/// Features of `width` values of a video's frames, as far as they can be read.
fn embed_frames(
    mut video: Video,
    network: &impl Embed,
    width: usize,
) -> Result<EmbeddedVideo, EmbedVideoError> {
    let mut rows = FeatureRows::new(width);
    let mut times_ms = Vec::new();
    let mut complaint = None;
    let mut is_over = false;
    while !is_over {
        let mut frames = Vec::new();
        while frames.len() < FRAMES && !is_over {
            match video.next_frame() {
                Ok(Some(frame)) => {
                    frames.push(network.prepare(&frame.picture));
                    times_ms.push(frame.time_ms);
                }
                Ok(None) => is_over = true,
                // What came before is whole.
                Err(error) => {
                    complaint = Some(error.to_string());
                    is_over = true;
                }
            }
        }
        if !frames.is_empty() {
            for row in embed_all(network, &frames)? {
                rows.push(&row)?;
            }
        }
    }
    let ending = video.finish()?;
    let is_whole = complaint.is_none() && ending.is_whole;
    let complaint = complaint.or(ending.complaint);
    if rows.is_empty() {
        return Err(EmbedVideoError::Empty {
            reason: complaint.unwrap_or_else(|| "the video is empty".to_owned()),
        });
    }
    Ok(EmbeddedVideo {
        rows,
        times_ms,
        complaint,
        is_whole,
    })
}

/// Rows of tensors of one device.
fn read_rows<const N: usize>(
    device: &OpenedDevice,
    tensors: [Tensor<2>; N],
) -> Result<[Vec<Vec<f32>>; N], EmbedError> {
    let widths = tensors.each_ref().map(|tensor| tensor.dims()[1]);
    let read = pollster::block_on(read_back(tensors.into()));
    // A lost device gives numbers too.
    device.check()?;
    let mut read = read
        .map_err(|error| EmbedError::ReadBack {
            reason: error.to_string(),
        })?
        .into_iter();
    Ok(widths.map(|width| {
        let values = read.next().expect("as many as tensors");
        values.chunks(width).map(<[f32]>::to_vec).collect()
    }))
}

/// Complains about a picture that was skipped.
pub(crate) fn complain_of_failure(failure: &Failure, observer: &dyn Observer) {
    let path = failure.path.display();
    observer.complain(&format_args!("skipped `{path}`: {}", failure.reason));
}
