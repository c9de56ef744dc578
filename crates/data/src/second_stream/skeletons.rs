//! Skeleton features of a video: who stands where in each frame, and how they move.

use std::path::Path;

use super::{Extracted, StreamExtractionError, StreamVideo, make_place};
use crate::{Observer, SkeletonRows, SkeletonWriter};
use affectlens::{
    pose::PoseLandmarker,
    skeleton::{PEOPLE, Skeletons},
};

/// Writes `<folder>/<name>.npy` with a row for each frame, in their order, unless it is there: every frame is looked at as a
/// picture of its own, and one that cannot be read shows nobody. A damaged file, or one of fewer or more frames than the video
/// has picture files, is made anew.
///
/// # Errors
///
/// [`StreamExtractionError`] for a video that cannot be read, a device that fails, or a folder that cannot be written to. A file
/// that is there stays as it is then.
pub fn extract_skeletons(
    video: &StreamVideo,
    folder: &Path,
    landmarker: &PoseLandmarker,
    observer: &dyn Observer,
) -> Result<Extracted, StreamExtractionError> {
    let path = folder.join(format!("{}.npy", video.name));
    let frames = video.frames.open()?;
    if path.exists() {
        let fault = match SkeletonRows::read(&path) {
            Ok(rows) if frames.count().is_none_or(|count| count == rows.len()) => {
                return Ok(Extracted::Kept);
            }
            Ok(rows) => format!("`{}` has {} frames", path.display(), rows.len()),
            Err(error) => error.to_string(),
        };
        observer.note(&format_args!("{fault}: it is made anew"));
    }
    make_place(&path)?;
    let mut writer = SkeletonWriter::create(&path)?;
    let mut skeletons = Skeletons::default();
    let task = format!("skeletons of {}", video.name);
    let ending = frames.each(&video.name, &task, observer, |_, frame| {
        let row = match frame {
            Some(frame) => {
                let people = pollster::block_on(landmarker.find(frame, PEOPLE))?;
                skeletons.push(&people, [frame.width(), frame.height()])
            }
            None => skeletons.push(&[], [1, 1]),
        };
        Ok(writer.push(&row)?)
    })?;
    Ok(Extracted::Made {
        frames: writer.finish()?,
        complaint: ending.complaint,
    })
}
