//! Features of the crops of annotated videos.

use std::{collections::BTreeMap, path::PathBuf};

use super::{AffWild2, AffWild2Error, AnnotatedVideo};
use crate::{EmbeddedPictures, ExtractionError, Failure, FeatureRows};
use affectlens::{gaps::fill_gaps, smoothing::smooth_centred};

/// Which crops are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Those with a valid label: what is trained on.
    Labelled,
    /// All: windows of a video average over frames without a valid label too.
    All,
}

/// Features of a task's videos, one row a crop that was kept and could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoFeatures<L> {
    /// Embeddings of the backbone.
    pub embeddings: FeatureRows,
    /// Outputs of the backbone's classifier.
    pub outputs: FeatureRows,
    /// Whose rows they are, in order.
    pub videos: Vec<VideoRows<L>>,
    /// Crops that cannot be read; they count as missing.
    pub failures: Vec<Failure>,
}

/// The rows of one video.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoRows<L> {
    /// Name of its crop folder.
    pub name: String,
    /// Frame number of each row, ascending.
    pub frames: Vec<usize>,
    /// Its first row among those of all videos.
    pub first: usize,
    /// Row among all and label of the frames with a valid label.
    pub labels: Vec<(usize, L)>,
}

impl<L: Copy> VideoFeatures<L> {
    /// Collects the features of videos; `extract` gives a row of embedding and outputs a crop, `widths` are theirs.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error`] from `extract`, or if a row does not have these widths or is not finite.
    pub fn extract(
        tree: &AffWild2,
        videos: Vec<AnnotatedVideo<L>>,
        keep: Keep,
        widths: [usize; 2],
        mut extract: impl FnMut(&str, &[PathBuf]) -> Result<EmbeddedPictures, ExtractionError>,
    ) -> Result<Self, AffWild2Error> {
        let mut features = Self {
            embeddings: FeatureRows::new(widths[0]),
            outputs: FeatureRows::new(widths[1]),
            videos: Vec::with_capacity(videos.len()),
            failures: Vec::new(),
        };
        for video in videos {
            let paths: Vec<PathBuf> = video
                .crops
                .iter()
                .map(|frame| tree.crop_path(&video.name, *frame))
                .collect();
            let extracted = extract(&video.name, &paths)?;
            features.failures.extend(extracted.failures);
            let mut labels = video.labels.iter().peekable();
            let mut rows = VideoRows {
                name: video.name.clone(),
                frames: Vec::new(),
                first: features.embeddings.len(),
                labels: Vec::new(),
            };
            for (frame, row) in video.crops.iter().zip(extracted.rows) {
                let label = labels.next_if(|(labelled, _)| labelled == frame);
                let Some(row) = row else { continue };
                if label.is_none() && keep == Keep::Labelled {
                    continue;
                }
                let (embedding, outputs) = row.split_at(widths[0].min(row.len()));
                let place = features.embeddings.len();
                features
                    .embeddings
                    .push(embedding)
                    .and_then(|()| features.outputs.push(outputs))
                    .map_err(|error| AffWild2Error::Feature {
                        video: video.name.clone(),
                        error,
                    })?;
                rows.frames.push(*frame);
                rows.labels.extend(label.map(|(_, label)| (place, *label)));
            }
            features.videos.push(rows);
        }
        Ok(features)
    }

    /// For each row the row of the same frame among `others`, which are of the same videos; `None` where they lack it.
    pub fn rows_among<M>(&self, others: &VideoFeatures<M>) -> Vec<Option<usize>> {
        let by_name: BTreeMap<&str, &VideoRows<M>> = others
            .videos
            .iter()
            .map(|video| (video.name.as_str(), video))
            .collect();
        let mut rows = Vec::with_capacity(self.embeddings.len());
        for video in &self.videos {
            let other = by_name.get(video.name.as_str());
            rows.extend(video.frames.iter().map(|frame| {
                let place = other?.frames.binary_search(frame).ok()?;
                Some(other?.first + place)
            }));
        }
        rows
    }

    /// Labels of all videos, in the order of [`Self::labelled`].
    pub fn labels(&self) -> Vec<L> {
        let labels = self.videos.iter().flat_map(|video| &video.labels);
        labels.map(|(_, label)| *label).collect()
    }

    /// Rows of the frames with a label, in the order of [`Self::labels`].
    pub fn labelled_rows(&self) -> Vec<usize> {
        let labels = self.videos.iter().flat_map(|video| &video.labels);
        labels.map(|(row, _)| *row).collect()
    }

    /// The rows that have a label, of values that are one a row.
    ///
    /// # Panics
    ///
    /// If there are fewer values than rows.
    pub fn labelled(&self, values: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let rows = self.labelled_rows().into_iter();
        rows.map(|row| values[row].clone()).collect()
    }

    /// The same after filling the frames without a crop and averaging over `half_window` frames to each
    /// side, each video by itself (HSEmotion team at ABAW-10, section 3.1).
    ///
    /// # Panics
    ///
    /// If there are fewer values than rows.
    pub fn smoothed(&self, values: &[Vec<f32>], half_window: usize) -> Vec<Vec<f32>> {
        let mut smoothed = Vec::new();
        for video in &self.videos {
            let dense = video.smoothed(values, half_window, video.last());
            let frame = |row: usize| video.frames[row - video.first];
            smoothed.extend(
                video
                    .labels
                    .iter()
                    .map(|(row, _)| dense[frame(*row) - 1].clone()),
            );
        }
        smoothed
    }
}

impl<L> VideoRows<L> {
    fn last(&self) -> usize {
        self.frames.last().copied().unwrap_or_default()
    }

    /// Smoothed values of the frames from 1 to `length`; none without any crop.
    ///
    /// # Panics
    ///
    /// If `values` are fewer than the rows.
    pub fn smoothed(
        &self,
        values: &[Vec<f32>],
        half_window: usize,
        length: usize,
    ) -> Vec<Vec<f32>> {
        let rows = &values[self.first..][..self.frames.len()];
        let dense = fill_gaps(&self.frames, rows, length.max(self.last()))
            .expect("frames ascend and rows have one width");
        smooth_centred(&dense, half_window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, AffWild2) {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir(folder.path().join("cropped")).expect("temporary folder");
        let tree = AffWild2::open(folder.path()).expect("has crops");
        (folder, tree)
    }

    fn features(keep: Keep) -> VideoFeatures<usize> {
        let (_folder, tree) = tree();
        let videos = vec![
            AnnotatedVideo {
                name: "a".to_owned(),
                crops: vec![1, 2, 4],
                labels: vec![(2, 5), (4, 6)],
                unseen: Vec::new(),
            },
            AnnotatedVideo {
                name: "b".to_owned(),
                crops: vec![3, 4],
                labels: vec![(3, 7), (4, 0)],
                unseen: Vec::new(),
            },
        ];
        let mut extract = |video: &str, paths: &[PathBuf]| {
            let mut rows: Vec<_> = (1_u8..)
                .zip(paths)
                .map(|(row, _)| Some(vec![f32::from(row), 10.0 * f32::from(row), 0.5]))
                .collect();
            let mut failures = Vec::new();
            if video == "b" {
                rows[0] = None;
                failures.push(Failure {
                    path: paths[0].clone(),
                    reason: "broken".to_owned(),
                });
            }
            Ok(EmbeddedPictures { rows, failures })
        };
        VideoFeatures::extract(&tree, videos, keep, [2, 1], &mut extract).expect("rows fit")
    }

    #[test]
    fn rows_labels_and_failures_stay_together() {
        let all = features(Keep::All);
        assert_eq!((all.embeddings.len(), all.outputs.len()), (4, 4));
        assert_eq!(all.labels(), [5, 6, 0]);
        assert_eq!(all.failures.len(), 1);
        let values: Vec<_> = all.embeddings.iter().collect();
        assert_eq!(
            all.labelled(&values),
            [[2.0, 20.0], [3.0, 30.0], [2.0, 20.0]]
        );
        let labelled = features(Keep::Labelled);
        assert_eq!(labelled.labels(), [5, 6, 0]);
        assert_eq!(labelled.embeddings.len(), 3);
    }

    #[test]
    fn rows_of_the_same_frames_find_each_other() {
        let all = features(Keep::All);
        let mut others = features(Keep::Labelled);
        assert_eq!(others.rows_among(&all), [Some(1), Some(2), Some(3)]);
        assert_eq!(all.rows_among(&others), [None, Some(0), Some(1), Some(2)]);
        others.videos.remove(0);
        assert_eq!(all.rows_among(&others), [None, None, None, Some(2)]);
    }

    #[test]
    fn windows_reach_over_missing_crops_and_unlabelled_frames_but_not_over_videos() {
        let all = features(Keep::All);
        let values: Vec<_> = all
            .outputs
            .iter()
            .zip([1.0_f32, 2.0, 4.0, 9.0])
            .map(|(_, it)| vec![it])
            .collect();
        // Video a: 1, 2, (3 between 2 and 4), 4.
        assert_eq!(all.smoothed(&values, 1), [[2.0], [3.5], [9.0]]);
        assert_eq!(all.videos[1].smoothed(&values, 0, 6), [[9.0]; 6]);
    }

    #[test]
    fn rows_of_another_width_are_refused_with_the_video() {
        let (_folder, tree) = tree();
        let videos = vec![AnnotatedVideo {
            name: "a".to_owned(),
            crops: vec![1],
            labels: vec![(1, 0_usize)],
            unseen: Vec::new(),
        }];
        let extract = |_: &str, _: &[PathBuf]| {
            Ok(EmbeddedPictures {
                rows: vec![Some(vec![1.0])],
                failures: Vec::new(),
            })
        };
        let error = VideoFeatures::extract(&tree, videos, Keep::All, [1, 1], extract)
            .expect_err("no outputs");
        assert!(error.to_string().starts_with("video `a`: row 0"), "{error}");
    }
}
