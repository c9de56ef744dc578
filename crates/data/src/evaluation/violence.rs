//! Violence in videos: probabilities of all frames, scores, and submissions for DVD's test part.

use std::path::Path;

use serde::Serialize;

use super::{ClipScores, EvaluationError, add_frames, score_video};
use crate::{DvdError, Observer, Videos, parse_template, submission_csv};
use affectlens::{
    head::TemporalHead,
    label::VIOLENCE,
    metrics::{Confusion, Scores},
    windowing::{Windows, smooth_repeating, spread},
};

/// A head and how it is used.
#[derive(Debug)]
pub struct ViolenceScorer {
    /// The head.
    pub head: TemporalHead,
    /// The windows that it sees.
    pub windows: Windows,
    /// Probability from which a frame or clip is predicted violent.
    pub threshold: f32,
    /// Frames that probabilities are averaged over, an odd number.
    pub smooth: usize,
    /// Whether the most likely sequence of each window is taken instead of probabilities.
    pub viterbi: bool,
}

/// Probabilities of the frames of videos.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameProbabilities {
    /// One a frame, of each video.
    pub videos: Vec<Vec<f32>>,
    /// Frames that no window covers; they count as not violent.
    pub uncovered: usize,
}

/// The scores of a head: of clips where these are labelled as a whole, else of frames.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViolenceScores {
    /// Labels against predictions.
    #[serde(flatten)]
    pub scores: Scores<&'static str>,
    /// Area under the curve of the clips' mean probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Scores of the frames of clips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<Scores<&'static str>>,
    /// Frames that no window covers.
    pub uncovered: usize,
    /// Videos that could not be read.
    pub skipped_videos: usize,
}

impl ViolenceScorer {
    /// Probabilities of all frames of each video; frames that no window covers are a complaint.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if the head takes other features or windows.
    pub fn probabilities(
        &self,
        videos: &Videos,
        observer: &dyn Observer,
    ) -> Result<FrameProbabilities, EvaluationError> {
        let mut found = FrameProbabilities::default();
        for ((video, features), (frames, sampled)) in videos.data.iter().zip(&videos.frames) {
            let scored = score_video(&self.head, features, &self.windows, self.viterbi);
            let scored = scored.map_err(|error| EvaluationError::Video {
                video: video.name.clone(),
                error,
            })?;
            found.uncovered += self.windows.uncovered(features.len());
            let scored = spread(&scored, sampled, *frames);
            found.videos.push(smooth_repeating(&scored, self.smooth)?);
        }
        if found.uncovered > 0 {
            observer.complain(&format_args!(
                "{} frames are in no window and count as not violent, whatever they show",
                found.uncovered
            ));
        }
        Ok(found)
    }

    /// Scores of videos; with `are_clips` each is labelled as a whole.
    ///
    /// # Errors
    ///
    /// As [`Self::probabilities`], and [`EvaluationError::NoLabels`].
    pub fn score(
        &self,
        videos: &Videos,
        are_clips: bool,
        observer: &dyn Observer,
    ) -> Result<ViolenceScores, EvaluationError> {
        let found = self.probabilities(videos, observer)?;
        let mut frames = Confusion::new(2);
        let mut clips = ClipScores::default();
        for (labels, probabilities) in videos.labels.iter().zip(&found.videos) {
            add_frames(&mut frames, labels, probabilities, self.threshold);
            if are_clips {
                clips.add(labels.contains(&Some(true)), probabilities);
            }
        }
        if frames.count() == 0 {
            return Err(EvaluationError::NoLabels);
        }
        let frames = Scores::new(&frames, &VIOLENCE);
        let (scores, frames) = match are_clips {
            true => {
                let clips = Scores::new(&clips.confusion(self.threshold), &VIOLENCE);
                (clips, Some(frames))
            }
            false => (frames, None),
        };
        Ok(ViolenceScores {
            scores,
            auc: clips.area(),
            frames,
            uncovered: found.uncovered,
            skipped_videos: videos.skipped,
        })
    }

    /// Name and text of the submission of each video; `template` is a folder with lists of the frames that are asked
    /// for.
    ///
    /// # Errors
    ///
    /// As [`Self::probabilities`], and [`EvaluationError::Dvd`] for a template that cannot be read.
    pub fn submissions(
        &self,
        videos: &Videos,
        template: Option<&Path>,
        observer: &dyn Observer,
    ) -> Result<Vec<(String, String)>, EvaluationError> {
        let found = self.probabilities(videos, observer)?;
        let mut files = Vec::new();
        for ((video, _), probabilities) in videos.data.iter().zip(&found.videos) {
            let is_violent = |probability: &f32| *probability >= self.threshold;
            let violent: Vec<bool> = probabilities.iter().map(is_violent).collect();
            let numbers = template
                .map(|folder| read_template(&folder.join(format!("{}.csv", video.name))))
                .transpose()?;
            let text = submission_csv(&violent, numbers.as_deref());
            files.push((video.name.clone(), text));
        }
        Ok(files)
    }
}

fn read_template(path: &Path) -> Result<Vec<usize>, DvdError> {
    let text = std::fs::read_to_string(path).map_err(|error| DvdError::Io {
        path: path.to_owned(),
        error,
    })?;
    parse_template(&text, path)
}
