//! Flow pictures of a video.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use super::{Extracted, StreamExtractionError, StreamVideo, make_place, unwritten};
use crate::{
    Observer,
    folder::{entries, file_name},
};
use affectlens::{frame::Frame, optical_flow::FlowPictures};

/// Quality of the files, as OpenCV writes them.
const QUALITY: u8 = 95;

/// Writes `<folder>/<name>/<n>.jpg` for each frame, unless the folder is there; `n` is the frame's own number, or counts from 1.
/// The pictures are those of [`FlowPictures`]. They are written to `<folder>/.<name>.part` first: what a run that was ended
/// leaves there is made anew by the next one.
///
/// # Errors
///
/// [`StreamExtractionError`] for a video that cannot be read, a folder that cannot be written to or that has flow pictures of
/// other frames.
pub fn extract_flow(
    video: &StreamVideo,
    folder: &Path,
    observer: &dyn Observer,
) -> Result<Extracted, StreamExtractionError> {
    let path = folder.join(&video.name);
    let frames = video.frames.open()?;
    if frames.are_in(&path) {
        return Err(StreamExtractionError::Frames { path });
    }
    match (count_pictures(&path)?, frames.count()) {
        (0, _) => {}
        (got, Some(expected)) if got != expected => {
            return Err(StreamExtractionError::OtherFrames {
                path,
                expected,
                got,
            });
        }
        _ => return Ok(Extracted::Kept),
    }
    make_place(&path)?;
    let unfinished = path.with_file_name(format!(".{}.part", file_name(&path)));
    make_empty(&unfinished)?;
    let mut pictures = FlowPictures::default();
    let mut written = 0;
    let task = format!("flow of {}", video.name);
    let made = frames.each(&video.name, &task, observer, |number, frame| {
        let file = unfinished.join(format!("{number}.jpg"));
        let bytes = encode_flow(&pictures.push(frame));
        fs::write(&file, bytes).map_err(|error| unwritten(&file, error))?;
        written += 1;
        Ok(())
    });
    let ending = match made {
        Ok(ending) => ending,
        Err(error) => {
            // What is left of it is taken away by the next run at the latest.
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error);
        }
    };
    fs::rename(&unfinished, &path).map_err(|error| unwritten(&path, error))?;
    Ok(Extracted::Made {
        frames: written,
        complaint: ending.complaint,
    })
}

/// The JPEG file of a flow picture, as OpenCV writes it: quality 95, colours of half the width and height.
pub fn encode_flow(picture: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    let [width, height] = [picture.width(), picture.height()]
        .map(|side| u16::try_from(side).expect("flow pictures have 224 pixels"));
    encoder
        .encode(picture.pixels(), width, height, ColorType::Rgb)
        .expect("a picture of three bytes a pixel, written to memory");
    bytes
}

/// Number of files of flow pictures in a folder; 0 if it is not there.
fn count_pictures(folder: &Path) -> Result<usize, StreamExtractionError> {
    let is_flow = |path: &PathBuf| {
        let number = path.file_stem().and_then(|stem| stem.to_str());
        let is_numbered = number.is_some_and(|number| number.parse::<usize>().is_ok());
        is_numbered && path.is_file()
    };
    match entries(folder) {
        Ok(paths) => Ok(paths.into_iter().filter(is_flow).count()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(unwritten(folder, error)),
    }
}

fn make_empty(folder: &Path) -> Result<(), StreamExtractionError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritten(folder, error)),
        _ => fs::create_dir(folder).map_err(|error| unwritten(folder, error)),
    }
}
