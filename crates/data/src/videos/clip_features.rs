//! Features of clips: those of a few moments of a window, by a network that sees the window as a whole.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use thiserror::Error;

use super::{
    clip_frames::{ClipFrames, ClipSource},
    features::repair_clip,
};
use crate::{
    EmbedError, EmbedderError, EmbeddingCache, ExtractionError, FeatureError, FeatureRows,
    KeptClips, VideoError,
};
use affectlens::{
    clip::{ClipBackbone, ClipError, ClipFrame},
    device::OpenedDevice,
    frame::Frame,
    kernel::read_back,
    weights::{Weights, sha256},
};

/// Why a clip has no features.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClipFeatureError {
    /// The video cannot be decoded.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// Clips have another number of frames than the network looks at.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// The network failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// Features cannot be kept.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// The cache cannot be written.
    #[error(transparent)]
    Extraction(#[from] ExtractionError),
}

/// A network over clips on a device, and where its features are kept.
#[derive(Debug)]
pub(super) struct ClipEmbedder {
    network: ClipBackbone,
    device: OpenedDevice,
    cache: EmbeddingCache,
    /// What stands for a clip without any readable frame.
    black: ClipFrame,
}

impl ClipEmbedder {
    /// Puts a network over clips on a device; features are kept in a folder of their own below `cache`.
    pub(super) fn open(
        weights: &Weights,
        device: OpenedDevice,
        cache: &Path,
    ) -> Result<Self, EmbedderError> {
        let name = weights.metadata.architecture.clone();
        if weights.metadata.source_sha256.is_empty() {
            return Err(EmbedderError::Unknown { name });
        }
        let network = ClipBackbone::load(weights, &device).map_err(|error| {
            let name = name.clone();
            EmbedderError::Backbone { name, error }
        })?;
        let side = network.config().side;
        let pixels = vec![0; side as usize * side as usize * 3];
        let black = Frame::from_rgb(side, side, pixels).expect("as many bytes as pixels");
        let key = format!("{name} {} clips of whole pictures {side}", weights.digest());
        Ok(Self {
            black: network.prepare(&black),
            cache: EmbeddingCache {
                folder: cache.join(format!("{name}-{}", &sha256(key.as_bytes())[..12])),
                key,
            },
            network,
            device,
        })
    }

    /// All that features depend on besides the pictures.
    pub(super) fn key(&self) -> &str {
        &self.cache.key
    }

    /// Where features are kept.
    pub(super) fn folder(&self) -> &Path {
        &self.cache.folder
    }

    /// Name of the network.
    pub(super) fn name(&self) -> &'static str {
        self.network.config().name
    }

    /// A row for each moment of a clip; a frame that cannot be read is replaced by the first one of the clip that can.
    fn embed(&self, clip: &[Option<&ClipFrame>]) -> Result<FeatureRows, ClipFeatureError> {
        let places: Vec<usize> = (0..clip.len()).collect();
        let repaired: Vec<&ClipFrame> = match repair_clip(&places, |place| clip[place].is_some()) {
            Some(places) => places.into_iter().filter_map(|place| clip[place]).collect(),
            None => vec![&self.black; clip.len()],
        };
        let features = self.network.embed(&repaired)?;
        let read = pollster::block_on(read_back(vec![features]));
        // A lost device gives numbers too.
        self.device.check().map_err(EmbedError::from)?;
        let read = read.map_err(|error| EmbedError::ReadBack {
            reason: error.to_string(),
        })?;
        let rows = read
            .iter()
            .flat_map(|values| values.chunks(self.network.config().width()));
        Ok(FeatureRows::from_rows(rows)?)
    }
}

/// Features of the clips of a video by a network over clips: computed when they are asked for, and remembered.
#[derive(Clone, Debug)]
pub struct ClipFeatures {
    network: Arc<ClipEmbedder>,
    source: Arc<ClipSource>,
    computed: Arc<Mutex<KeptClips>>,
    /// Which frame of the video each frame is.
    frames: Vec<usize>,
}

impl ClipFeatures {
    /// Those of a video of that many frames; they are kept under the name `kept_as`.
    pub(super) fn new(
        network: Arc<ClipEmbedder>,
        source: ClipSource,
        frames: usize,
        kept_as: &str,
    ) -> Self {
        let files: Vec<PathBuf> = source.files();
        let kept = KeptClips::open(kept_as, &files, &network.cache);
        Self {
            network,
            source: Arc::new(source),
            computed: Arc::new(Mutex::new(kept)),
            frames: (0..frames).collect(),
        }
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Numbers of a moment.
    pub fn width(&self) -> usize {
        self.network.network.config().width()
    }

    /// Moments of a clip that there are features of.
    pub fn moments(&self) -> usize {
        self.network.network.moments()
    }

    /// The features of some frames, in that order; beyond the end the last frame repeats.
    pub fn select(self, frames: &[usize]) -> Self {
        let last = self.frames.len().saturating_sub(1);
        let frames = frames
            .iter()
            .filter_map(|it| self.frames.get((*it).min(last)));
        Self {
            frames: frames.copied().collect(),
            ..self
        }
    }

    /// Computes the features of some clips and keeps them for later runs. Where the clips go forward, each frame is decoded
    /// and prepared once.
    ///
    /// # Errors
    ///
    /// [`ClipFeatureError`] if the video cannot be opened, a clip has another number of frames than the network looks at, or
    /// the network fails.
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn prepare(&self, clips: &[Vec<usize>]) -> Result<(), ClipFeatureError> {
        let clips = clips.iter().map(|clip| self.frames_of(clip)).collect();
        if self.compute(clips)? {
            let mut computed = self.computed.lock().unwrap_or_else(PoisonError::into_inner);
            computed.keep()?;
        }
        Ok(())
    }

    /// Features of a clip, a row a moment.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare).
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn clip(&self, frames: &[usize]) -> Result<Vec<f32>, ClipFeatureError> {
        let frames = self.frames_of(frames);
        self.compute(vec![frames.clone()])?;
        let computed = self.computed.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = computed.get(&frames).map(FeatureRows::iter);
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    fn frames_of(&self, clip: &[usize]) -> Vec<usize> {
        clip.iter().map(|frame| self.frames[*frame]).collect()
    }

    /// Computes what is not known of clips; says whether every frame could be decoded.
    fn compute(&self, clips: Vec<Vec<usize>>) -> Result<bool, ClipFeatureError> {
        let mut computed = self.computed.lock().unwrap_or_else(PoisonError::into_inner);
        let prepare = |frame: &Frame| self.network.network.prepare(frame);
        let mut frames = ClipFrames::new(&self.source, prepare);
        for clip in clips {
            if computed.get(&clip).is_none() {
                let rows = self.network.embed(&frames.read(&clip)?)?;
                computed.insert(clip, rows);
            }
        }
        Ok(frames.is_whole)
    }
}
