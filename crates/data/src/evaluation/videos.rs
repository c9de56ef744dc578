//! Predictions for the frames of Aff-Wild2's videos.

use super::{EvaluationError, FramePredictor};
use crate::{Observer, SampleList, VideoFeatures};

/// Predictions for the labelled frames, averaged over `half_window` frames to each side.
///
/// # Errors
///
/// Those of the predictor.
pub fn predict_frames<P: FramePredictor>(
    predictor: &P,
    features: &VideoFeatures<P::Label>,
    half_window: usize,
) -> Result<Vec<P::Label>, EvaluationError> {
    let rows = predictor.rows(&features.embeddings, &features.outputs);
    let smoothed = features.smoothed(&rows, half_window);
    smoothed.iter().map(|row| predictor.decide(row)).collect()
}

/// The text of a submission: predictions for the frames of a sample list, whose `features` are in its order. A video
/// without crops is a complaint.
///
/// # Errors
///
/// Those of the predictor.
pub fn predict_submission<P: FramePredictor>(
    predictor: &P,
    list: &SampleList,
    features: &VideoFeatures<P::Label>,
    half_window: usize,
    observer: &dyn Observer,
) -> Result<String, EvaluationError> {
    let rows = predictor.rows(&features.embeddings, &features.outputs);
    let mut videos = features.videos.iter();
    list.submission(|wanted| {
        let video = videos.next().expect("features of each video of the list");
        if video.frames.is_empty() {
            let name = &wanted.name;
            observer.complain(&format_args!("`{name}` has no crops, its rows are neutral"));
        }
        let smoothed = video.smoothed(&rows, half_window, wanted.files.len());
        smoothed.iter().map(|row| predictor.decide(row)).collect()
    })
}
