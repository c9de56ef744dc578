//! When the frames of a video are displayed.

use std::path::Path;

use crate::{Video, VideoError};

/// When each frame of a video is displayed, and why there may be more than could be read.
pub(super) fn read_times(path: &Path) -> Result<(Vec<f64>, Option<String>), VideoError> {
    let mut video = Video::open(path)?;
    let mut times_ms = Vec::new();
    let broken = loop {
        match video.next_frame() {
            Ok(Some(frame)) => times_ms.push(frame.time_ms),
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    Ok((times_ms, broken.or(video.close()?)))
}
