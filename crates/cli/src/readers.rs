//! Readers of data sets, opened as the options say, with their progress on the terminal.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{
    DeviceOption, WeightsOptions,
    installed::{InstalledWeights, SOUND_BACKBONE},
    progress::Terminal,
};
use affectlens::{
    audio::Wav2Vec2,
    device::OpenedDevice,
    weights::{Weights, cache_dir},
};
use affectlens_data::{
    AffWild2, ClipFolders, CropReader, Dvd, EmbedError, EmbedSound, ScoringEmbedder, SoundEmbedder,
    SoundReader, VideoFiles, VideoReader, VideoSource,
};

/// Where the pictures' embeddings are kept.
pub(crate) fn picture_cache() -> PathBuf {
    cache_dir().join("embeddings")
}

/// Where the features of videos are kept.
pub(crate) fn feature_cache() -> PathBuf {
    cache_dir().join("features")
}

/// Puts the backbone that the options name on the device, to read a tree's crops with it.
pub(crate) fn open_crops(
    tree: AffWild2,
    options: &WeightsOptions,
    device: OpenedDevice,
) -> Result<CropReader> {
    let installed = options.installed();
    let weights = installed.backbone()?;
    let pretrained = installed.pretrained(&weights)?;
    let embedder = ScoringEmbedder::load(
        installed.backbone_name(),
        &weights,
        pretrained.as_ref(),
        device,
        &feature_cache(),
    )?;
    let observer = Box::new(Terminal::default());
    Ok(CropReader::new(tree, embedder, weights, observer))
}

/// Reads the sound of a tree's videos with the network that the folder has for it; gives what the network's file says of
/// itself, too.
///
/// The network is put on the device when the first sound comes that is not in the cache.
pub(crate) fn open_sound(
    tree: AffWild2,
    videos: VideoFiles,
    folder: Option<PathBuf>,
    device: OpenedDevice,
) -> Result<(SoundReader, Weights)> {
    let installed = InstalledWeights::new(folder, Some(SOUND_BACKBONE.to_owned()));
    // The parameters are read again when they are needed: mostly all vectors are in the cache.
    let weights = installed.backbone()?;
    let digest = weights.digest();
    let mut metadata = weights.metadata;
    if metadata.source_sha256.is_empty() {
        bail!(
            "weights of `{SOUND_BACKBONE}` do not name the file that they came from; convert them again"
        );
    }
    let load = Box::new(move || {
        let network = installed
            .backbone()
            .and_then(|weights| Ok(Wav2Vec2::load(weights, &device)?));
        let network = network.map(|network| Box::new(network) as Box<dyn EmbedSound>);
        network.map_err(|error| EmbedError::Network {
            reason: format!("{error:#}"),
        })
    });
    let embedder = SoundEmbedder::new(SOUND_BACKBONE, &digest, &feature_cache(), load);
    // What is left of the weights has the digest of all of them in its own.
    metadata.extra.insert("loaded_sha256".to_owned(), digest);
    let observer = Box::new(Terminal::default());
    let reader = SoundReader::new(tree, videos, embedder, observer);
    Ok((reader, Weights::new(metadata)))
}

/// Puts a backbone from a folder with weights files on the device, to read videos with it.
pub(crate) fn open_videos(
    backbone: &str,
    folder: Option<PathBuf>,
    device: DeviceOption,
) -> Result<VideoReader> {
    let weights = InstalledWeights::new(folder, Some(backbone.to_owned())).backbone()?;
    let observer = Box::new(Terminal::default());
    let device = device.open()?;
    let reader = VideoReader::open(backbone, weights, device, &feature_cache(), observer)?;
    Ok(reader)
}

/// Videos from `--data` or `--dvd`.
pub(crate) fn open_source(data: Option<&Path>, dvd: Option<&Path>) -> Result<VideoSource> {
    match (data, dvd) {
        (Some(folder), None) => Ok(VideoSource::Clips(ClipFolders::read(folder)?)),
        (None, Some(root)) => Ok(VideoSource::Dvd(Dvd::new(root))),
        _ => bail!("expected either --data DIR or --dvd ROOT"),
    }
}
