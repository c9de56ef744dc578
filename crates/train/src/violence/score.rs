//! Scores of whole videos.

use burn::tensor::{Device, Tensor, TensorData};

use super::{FrameFeatures, ViolenceError};
use crate::state::values;
use affectlens::{head::TemporalHead, windowing::Windows};

/// Windows that go through a head together.
const WINDOWS: usize = 16;

/// Confirms that a head takes windows of so many frames.
pub(super) fn check_length(head: &TemporalHead, length: usize) -> Result<(), ViolenceError> {
    match head.longest_window() {
        Some(most) if length > most => Err(ViolenceError::Length { most, got: length }),
        _ => Ok(()),
    }
}

/// Violent probability of each frame of a video: the mean over the windows that cover it, 0 where none does. With
/// `viterbi` a head with a conditional random field gives each window's most likely sequence, zeros and ones, instead.
///
/// # Errors
///
/// [`ViolenceError`] if the head takes other features.
pub fn score_video(
    head: &TemporalHead,
    features: &FrameFeatures,
    windows: &Windows,
    viterbi: bool,
) -> Result<Vec<f32>, ViolenceError> {
    let expected = head.config().features;
    if features.width() != expected {
        return Err(ViolenceError::Width {
            video: String::new(),
            expected,
            got: features.width(),
        });
    }
    check_length(head, windows.length())?;
    let frames = features.len();
    let mut probabilities = Vec::new();
    for starts in windows.starts(frames).chunks(WINDOWS) {
        let clip = |start: &usize| features.clip(&windows.frames(*start, frames), None);
        let rows: Vec<f32> = starts.iter().flat_map(clip).collect();
        let shape = [starts.len(), windows.length(), expected];
        let logits = head.forward(Tensor::from_data(
            TensorData::new(rows, shape),
            &Device::flex(),
        ));
        let logits = values(logits);
        let rows = logits.chunks(windows.length() * 2);
        let best = |row: &[f32]| head.decode(row).filter(|_| viterbi);
        probabilities.extend(rows.map(|row| match best(row) {
            Some(path) => path.into_iter().map(|it| f32::from(u8::from(it))).collect(),
            None => head.probabilities(row),
        }));
    }
    Ok(windows.average(&probabilities, frames)?)
}
