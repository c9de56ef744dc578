//! What a backbone's features of Aff-Wild2's crops are read with.

use std::path::PathBuf;

use super::{
    AffWild2, AffWild2Error, AnnotatedVideo, AnnotatedVideos, FrameCounts, FrameLabel, Keep,
    SampleList, VideoFeatures,
};
use crate::{Observer, Part, ScoringEmbedder, embedder::complain_of_failure};
use affectlens::weights::Weights;

/// The tree, and a backbone that embeds its crops.
pub struct CropReader {
    tree: AffWild2,
    embedder: ScoringEmbedder,
    weights: Weights,
    observer: Box<dyn Observer>,
}

impl CropReader {
    /// Reads the crops of a tree with an embedder of these weights.
    pub fn new(
        tree: AffWild2,
        embedder: ScoringEmbedder,
        weights: Weights,
        observer: Box<dyn Observer>,
    ) -> Self {
        Self {
            tree,
            embedder,
            weights,
            observer,
        }
    }

    /// The backbone with its classifier.
    pub fn embedder(&self) -> &ScoringEmbedder {
        &self.embedder
    }

    /// Weights of the backbone.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Features of the annotated videos of a part, computed or from the cache, and what was found and left out.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error`] if the tree cannot be read, the network fails, or features cannot be kept.
    pub fn read<L: FrameLabel + Copy>(
        &self,
        part: Part,
        keep: Keep,
    ) -> Result<(VideoFeatures<L>, FrameCounts), AffWild2Error> {
        let AnnotatedVideos { videos, counts } = self.tree.read::<L>(part)?;
        let name = format!("{} {}", L::TREE, AffWild2::part_folder(part));
        self.describe(&name, &counts);
        Ok((self.extract(videos, keep, &name)?, counts))
    }

    /// Features of the videos of a sample list.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_list<L: Copy>(&self, list: &SampleList) -> Result<VideoFeatures<L>, AffWild2Error> {
        let videos = list
            .videos
            .iter()
            .map(|video| {
                let mut crops = self.tree.crops(&video.name)?;
                // Frames that the organisers did not ask for are not embedded.
                crops.retain(|frame| *frame <= video.files.len());
                Ok(AnnotatedVideo {
                    name: video.name.clone(),
                    crops,
                    labels: Vec::new(),
                    unseen: Vec::new(),
                })
            })
            .collect::<Result<_, AffWild2Error>>()?;
        self.extract(videos, Keep::All, "sample list")
    }

    fn extract<L: Copy>(
        &self,
        videos: Vec<AnnotatedVideo<L>>,
        keep: Keep,
        name: &str,
    ) -> Result<VideoFeatures<L>, AffWild2Error> {
        let crops = videos.iter().map(|video| video.crops.len() as u64).sum();
        self.observer.begin(name, "crops", Some(crops));
        let mut before = 0;
        let extract = |video: &str, crops: &[PathBuf]| {
            let extracted = self.embedder.extract(video, crops, |done| {
                self.observer.reach(before + done as u64);
            });
            before += crops.len() as u64;
            extracted
        };
        let widths = self.embedder.widths();
        let features = VideoFeatures::extract(&self.tree, videos, keep, widths, extract);
        self.observer.end();
        let features = features?;
        for failure in &features.failures {
            complain_of_failure(failure, self.observer.as_ref());
        }
        Ok(features)
    }

    fn describe(&self, name: &str, counts: &FrameCounts) {
        let FrameCounts {
            videos,
            usable,
            missing_crops,
            invalid_labels,
            videos_without_crops,
        } = counts;
        self.observer.note(&format_args!(
            "{name}: {videos} videos, {usable} frames ({missing_crops} without a crop), {invalid_labels} labels invalid"
        ));
        if *videos_without_crops > 0 {
            self.observer.complain(&format_args!(
                "{videos_without_crops} videos of {name} have no crops at all"
            ));
        }
    }
}
