//! Probabilities of the frames of a whole video.

use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

use crate::{ClipFeatureError, WindowFeatures};
use affectlens::{
    head::TemporalHead,
    kernel::read_back,
    windowing::{WindowError, Windows},
};

/// Windows that go through a head together.
const WINDOWS: usize = 16;

/// Why a head cannot score a video.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// Features have another width than the head takes.
    #[error("features have {got} values, expected {expected}")]
    Width {
        /// Values that the head takes.
        expected: usize,
        /// Values of a frame.
        got: usize,
    },
    /// Windows are longer than the head takes.
    #[error("windows have {got} frames, expected at most {most} for this head")]
    Length {
        /// Frames that the head takes.
        most: usize,
        /// Frames of a window.
        got: usize,
    },
    /// Windows do not fit.
    #[error(transparent)]
    Windows(#[from] WindowError),
    /// A window has no features.
    #[error(transparent)]
    Features(#[from] ClipFeatureError),
    /// The head's output cannot be read.
    #[error("scores cannot be read from the device: {reason}")]
    ReadBack {
        /// What the device said.
        reason: String,
    },
}

/// Confirms that a head takes windows of `length` frames.
///
/// # Errors
///
/// [`ScoreError::Length`] if it takes shorter ones only.
pub fn check_window_length(head: &TemporalHead, length: usize) -> Result<(), ScoreError> {
    match head.longest_window() {
        Some(most) if length > most => Err(ScoreError::Length { most, got: length }),
        _ => Ok(()),
    }
}

/// Probability of violence for each frame of a video: the mean over the windows that cover it, 0 where none does. With
/// `viterbi` a head with a conditional random field gives each window's most likely sequence, zeros and ones, instead.
///
/// # Errors
///
/// [`ScoreError`] if the head takes other features or shorter windows.
pub fn score_video(
    head: &TemporalHead,
    features: &WindowFeatures,
    windows: &Windows,
    viterbi: bool,
) -> Result<Vec<f32>, ScoreError> {
    let expected = head.config().features;
    if features.width() != expected {
        return Err(ScoreError::Width {
            expected,
            got: features.width(),
        });
    }
    check_window_length(head, windows.length())?;
    let frames = features.len();
    let starts = windows.starts(frames).into_iter();
    let clips: Vec<Vec<usize>> = starts.map(|start| windows.frames(start, frames)).collect();
    features.prepare(&clips)?;
    let moments = features.moments(windows.length());
    let mut probabilities = Vec::new();
    for clips in clips.chunks(WINDOWS) {
        let mut rows = Vec::with_capacity(clips.len() * moments * expected);
        for clip in clips {
            rows.extend(features.clip(clip)?);
        }
        let rows = TensorData::new(rows, [clips.len(), moments, expected]);
        let logits = logits(head, rows, windows.length())?;
        let rows = logits.chunks(windows.length() * 2);
        let most_likely = |row: &[f32]| head.decode(row).filter(|_| viterbi);
        probabilities.extend(rows.map(|row| match most_likely(row) {
            Some(path) => path.into_iter().map(|it| f32::from(u8::from(it))).collect(),
            None => head.probabilities(row),
        }));
    }
    Ok(windows.average(&probabilities, frames)?)
}

/// Two logits a frame, window after window, on the CPU.
fn logits(head: &TemporalHead, windows: TensorData, length: usize) -> Result<Vec<f32>, ScoreError> {
    let logits = head.forward_moments(Tensor::from_data(windows, &Device::flex()), length);
    let [count, frames, classes] = logits.dims();
    let logits = logits.reshape([count, frames * classes]);
    let read = pollster::block_on(read_back(vec![logits]));
    let mut read = read.map_err(|error| ScoreError::ReadBack {
        reason: error.to_string(),
    })?;
    Ok(read.swap_remove(0))
}
