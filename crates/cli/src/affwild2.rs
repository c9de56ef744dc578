//! What training, evaluation and tables share where they read Aff-Wild2: a backbone's features of its crops.

use std::path::PathBuf;

use anyhow::Result;

use super::{
    PRETRAINED, WeightsOptions,
    embedder::{ScoringEmbedder, feature_cache},
    progress::progress,
};
use affectlens::{device::OpenedDevice, role::Role, weights::Weights};
use affectlens_data::{
    AffWild2, AnnotatedVideo, AnnotatedVideos, FrameCounts, FrameLabel, Keep, Part, SampleList,
    VideoFeatures,
};

/// The tree, and a backbone that looks at its crops.
pub(super) struct CropReader {
    tree: AffWild2,
    embedder: ScoringEmbedder,
    weights: Weights,
}

impl CropReader {
    /// Puts the backbone that the options name on the device.
    pub(super) fn open(
        tree: AffWild2,
        options: &WeightsOptions,
        device: OpenedDevice,
    ) -> Result<Self> {
        let weights = options.read(&options.backbone)?;
        let pretrained = options.classifier(Role::Pretrained, PRETRAINED)?;
        let embedder = ScoringEmbedder::load(
            &options.backbone,
            &weights,
            pretrained.as_ref(),
            device,
            &feature_cache(),
        )?;
        Ok(Self {
            tree,
            embedder,
            weights,
        })
    }

    pub(super) fn embedder(&self) -> &ScoringEmbedder {
        &self.embedder
    }

    /// Weights of the backbone.
    pub(super) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Features of the annotated videos of a part, computed or from the cache; standard error tells what was found.
    pub(super) fn read<L: FrameLabel + Copy>(
        &self,
        part: Part,
        keep: Keep,
    ) -> Result<(VideoFeatures<L>, FrameCounts)> {
        let AnnotatedVideos { videos, counts } = self.tree.read::<L>(part)?;
        let name = format!("{} {}", L::TREE, part.folder());
        say(&name, &counts);
        Ok((self.extract(videos, keep, &name)?, counts))
    }

    /// Features of the videos of a sample list.
    pub(super) fn read_list<L: Copy>(&self, list: &SampleList) -> Result<VideoFeatures<L>> {
        let videos = list
            .videos
            .iter()
            .map(|video| {
                let mut crops = self.tree.crops(&video.name)?;
                // What the organisers did not ask for is not looked at.
                crops.retain(|frame| *frame <= video.files.len());
                Ok(AnnotatedVideo {
                    name: video.name.clone(),
                    crops,
                    labels: Vec::new(),
                })
            })
            .collect::<Result<_>>()?;
        self.extract(videos, Keep::All, "sample list")
    }

    fn extract<L: Copy>(
        &self,
        videos: Vec<AnnotatedVideo<L>>,
        keep: Keep,
        name: &str,
    ) -> Result<VideoFeatures<L>> {
        let crops = videos.iter().map(|video| video.crops.len() as u64).sum();
        let bar = progress(name, "crops", Some(crops));
        let extract = |video: &str, crops: &[PathBuf]| {
            let before = bar.position();
            self.embedder.extract(video, crops, |done| {
                bar.set_position(before + done as u64);
            })
        };
        let widths = self.embedder.widths();
        let features = VideoFeatures::extract(&self.tree, videos, keep, widths, extract)?;
        bar.finish_and_clear();
        for failure in &features.failures {
            eprintln!(
                "affectlens: skipped `{}`: {}",
                failure.path.display(),
                failure.reason
            );
        }
        Ok(features)
    }
}

fn say(name: &str, counts: &FrameCounts) {
    let FrameCounts {
        videos,
        usable,
        missing_crops,
        invalid_labels,
        videos_without_crops,
    } = counts;
    eprintln!(
        "{name}: {videos} videos, {usable} frames ({missing_crops} without a crop), {invalid_labels} labels invalid"
    );
    if *videos_without_crops > 0 {
        eprintln!("affectlens: {videos_without_crops} videos of {name} have no crops at all");
    }
}
