//! Windows for networks that classify many frames at once, and frame probabilities averaged over overlapping windows.
//!
//! Window starts, averaging and box smoothing follow the violence detection of the HSEmotion team at ABAW-10 (section
//! 3.3) as its published code computes them. Streaming, covering every frame, and sampling at a fixed frame rate are
//! additions.

mod averaging;
mod sampling;
mod streaming;
mod windows;

use thiserror::Error;

pub use averaging::smooth_repeating;
pub use sampling::{Sampler, sampled_frames, spread};
pub use streaming::StreamingWindows;
pub use windows::Windows;

/// Error from cutting a video into windows or from averaging their probabilities.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowError {
    /// A number that must be at least one is zero.
    #[error("{what} of windows is 0, expected at least 1")]
    Zero {
        /// `length`, `step` or `stride`.
        what: &'static str,
    },
    /// A window is longer than any video.
    #[error("windows of {length} frames with step {step}, expected at most a week of video")]
    Span {
        /// Frames per window.
        length: usize,
        /// Frames from one frame of a window to the next.
        step: usize,
    },
    /// A window has another number of probabilities than frames.
    #[error("window at frame {start} has {got} probabilities, expected {expected}")]
    Probabilities {
        /// First frame of the window.
        start: usize,
        /// Frames per window.
        expected: usize,
        /// Probabilities received.
        got: usize,
    },
    /// A window starts at a frame that is not kept, or the number of windows is wrong.
    #[error("window starts at frame {start}, expected {expected}")]
    Start {
        /// First frame of the window.
        start: usize,
        /// Description of the windows that are accepted.
        expected: String,
    },
    /// A box filter of even width has no middle frame.
    #[error("smoothing window of {got} frames, expected an odd number")]
    Even {
        /// Width received, frames.
        got: usize,
    },
}
