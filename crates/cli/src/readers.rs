//! Readers of data sets, opened as the options say, with their progress on the terminal.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{DeviceOption, WeightsOptions, installed::InstalledWeights, progress::Terminal};
use affectlens::{device::OpenedDevice, weights::cache_dir};
use affectlens_data::{
    AffWild2, ClipFolders, CropReader, Dvd, ScoringEmbedder, VideoReader, VideoSource,
};

/// Where the pictures' embeddings are kept.
pub(crate) fn picture_cache() -> PathBuf {
    cache_dir().join("embeddings")
}

/// Where the features of videos are kept.
fn feature_cache() -> PathBuf {
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
