//! Cache files: rows, a digest of what they were made of, and a digest of the rows themselves.

use std::{collections::BTreeMap, path::PathBuf};

use super::{EmbeddedPictures, EmbeddedSound, EmbeddedVideo, Failure, cache::rows_digest};
use crate::{FeatureRows, sound::Pictures};
use affectlens::weights::{Metadata, Weights, WeightsError};

/// Name of the tensor.
const ROWS: &str = "embeddings";
const ARCHITECTURE: &str = "embeddings";

/// Key of the digest of what the rows were made of.
const MADE_OF: &str = "made_of";
/// Key of the digest of the rows.
const ROWS_DIGEST: &str = "rows_sha256";
/// Key of the names of the pictures.
const PICTURES: &str = "pictures";
/// Key of the times of a video's frames, in milliseconds.
const TIMES: &str = "times_ms";
/// Key of the number of samples of 16 kHz that a sound has.
const SAMPLES: &str = "samples";
/// Key of the number of a video's frames, and of pictures beside a sound.
const FRAMES: &str = "frames";
/// Key of the frames of each clip: numbers with spaces, clips behind each other with commas.
const CLIPS: &str = "clips";
/// Key of how long they are shown, in seconds.
const SECONDS: &str = "seconds";
/// Key of what a video's decoder complained about.
const COMPLAINT: &str = "complaint";

/// Key of why the picture at a place was skipped.
fn skipped_key(place: usize) -> String {
    format!("skipped {place}")
}

/// Rows of one width under their digests.
fn pack(digest: &str, shape: [usize; 2], values: Vec<f32>) -> Result<Weights, WeightsError> {
    let mut weights = Weights::new(Metadata {
        architecture: ARCHITECTURE.to_owned(),
        ..Metadata::default()
    });
    let extra = &mut weights.metadata.extra;
    extra.insert(MADE_OF.to_owned(), digest.to_owned());
    extra.insert(ROWS_DIGEST.to_owned(), rows_digest(&values));
    weights.insert(ROWS, shape.to_vec(), values)?;
    Ok(weights)
}

/// Number of rows, their width, and their values; `None` if the file is damaged or was made of something else.
fn unpack<'a>(digest: &str, weights: &'a Weights) -> Option<(usize, usize, &'a [f32])> {
    weights.expect_architecture(ARCHITECTURE).ok()?;
    let extra = &weights.metadata.extra;
    let tensor = weights.get(ROWS)?;
    let &[count, width] = tensor.shape.as_slice() else {
        return None;
    };
    let is_whole =
        extra.get(MADE_OF)? == digest && *extra.get(ROWS_DIGEST)? == rows_digest(&tensor.values);
    is_whole.then_some((count, width, tensor.values.as_slice()))
}

/// The file of the pictures' embeddings.
pub(super) fn pack_pictures(
    paths: &[PathBuf],
    digest: &str,
    embedded: &EmbeddedPictures,
) -> Result<Weights, WeightsError> {
    let rows: Vec<&Vec<f32>> = embedded.rows.iter().flatten().collect();
    let width = rows.first().map_or(0, |row| row.len());
    let values: Vec<f32> = rows.iter().flat_map(|row| row.iter().copied()).collect();
    let mut weights = pack(digest, [rows.len(), width], values)?;
    let extra = &mut weights.metadata.extra;
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    extra.insert(PICTURES.to_owned(), names.collect::<Vec<_>>().join(" "));
    let skipped = (0..).zip(&embedded.rows).filter(|(_, row)| row.is_none());
    for ((place, _), failure) in skipped.zip(&embedded.failures) {
        extra.insert(skipped_key(place), failure.reason.clone());
    }
    Ok(weights)
}

/// What [`pack_pictures`] packed; `None` if the file is damaged or was made of something else.
pub(super) fn unpack_pictures(
    paths: &[PathBuf],
    digest: &str,
    weights: &Weights,
) -> Option<EmbeddedPictures> {
    let (count, width, values) = unpack(digest, weights)?;
    let mut embedded = EmbeddedPictures::default();
    let mut rows = values.chunks(width.max(1));
    for (place, path) in paths.iter().enumerate() {
        if let Some(reason) = weights.metadata.extra.get(&skipped_key(place)) {
            embedded.rows.push(None);
            embedded.failures.push(Failure {
                path: path.clone(),
                reason: reason.clone(),
            });
        } else {
            embedded.rows.push(Some(rows.next()?.to_vec()));
        }
    }
    (embedded.rows.iter().flatten().count() == count).then_some(embedded)
}

/// The file of a video's features.
pub(super) fn pack_video(digest: &str, video: &EmbeddedVideo) -> Result<Weights, WeightsError> {
    let values = video.rows.iter().collect::<Vec<_>>().concat();
    let mut weights = pack(digest, [video.rows.len(), video.rows.width()], values)?;
    let extra = &mut weights.metadata.extra;
    extra.insert(FRAMES.to_owned(), video.rows.len().to_string());
    let times: Vec<_> = video.times_ms.iter().map(f64::to_string).collect();
    extra.insert(TIMES.to_owned(), times.join(" "));
    if let Some(complaint) = &video.complaint {
        extra.insert(COMPLAINT.to_owned(), complaint.clone());
    }
    Ok(weights)
}

/// What [`pack_video`] packed; `None` if the file is damaged or was made of something else.
pub(super) fn unpack_video(digest: &str, weights: &Weights) -> Option<EmbeddedVideo> {
    let (_, width, values) = unpack(digest, weights)?;
    let mut rows = FeatureRows::new(width);
    for row in values.chunks(width.max(1)) {
        rows.push(row).ok()?;
    }
    let extra = &weights.metadata.extra;
    let times = extra.get(TIMES)?.split_ascii_whitespace();
    let times_ms: Vec<f64> = times.map(|time| time.parse().ok()).collect::<Option<_>>()?;
    let frames: usize = extra.get(FRAMES)?.parse().ok()?;
    ([frames, times_ms.len()] == [rows.len(); 2]).then_some(())?;
    Some(EmbeddedVideo {
        rows,
        times_ms,
        complaint: extra.get(COMPLAINT).cloned(),
        is_whole: true,
    })
}

/// The file of features of a video's clips, a row a moment.
pub(super) fn pack_clips(
    digest: &str,
    clips: &BTreeMap<Vec<usize>, FeatureRows>,
) -> Result<Weights, WeightsError> {
    let rows: usize = clips.values().map(FeatureRows::len).sum();
    let width = clips.values().next().map_or(0, FeatureRows::width);
    let mut values = Vec::with_capacity(rows * width);
    clips
        .values()
        .flat_map(FeatureRows::iter)
        .for_each(|row| values.extend(row));
    let mut weights = pack(digest, [rows, width], values)?;
    let words = |frames: &Vec<usize>| {
        let words: Vec<_> = frames.iter().map(usize::to_string).collect();
        words.join(" ")
    };
    let frames: Vec<_> = clips.keys().map(words).collect();
    let extra = &mut weights.metadata.extra;
    extra.insert(CLIPS.to_owned(), frames.join(","));
    Ok(weights)
}

/// What [`pack_clips`] packed; `None` if the file is damaged or was made of something else.
pub(super) fn unpack_clips(
    digest: &str,
    weights: &Weights,
) -> Option<BTreeMap<Vec<usize>, FeatureRows>> {
    let (count, width, values) = unpack(digest, weights)?;
    let lists = weights.metadata.extra.get(CLIPS)?.split(',');
    let lists: Vec<Vec<usize>> = lists
        .map(|list| list.split(' ').map(|frame| frame.parse().ok()).collect())
        .collect::<Option<_>>()?;
    let moments = count / lists.len();
    (moments > 0 && moments * lists.len() == count && width > 0).then_some(())?;
    let clips = lists.into_iter().zip(values.chunks(moments * width));
    let clips = clips.map(|(frames, values)| {
        let rows = FeatureRows::from_rows(values.chunks(width)).ok()?;
        Some((frames, rows))
    });
    clips.collect()
}

/// The file of a sound's vectors.
pub(super) fn pack_sound(digest: &str, sound: &EmbeddedSound) -> Result<Weights, WeightsError> {
    let shape = [sound.rows.len(), sound.rows.width()];
    let mut values = Vec::with_capacity(shape[0] * shape[1]);
    sound.rows.iter().for_each(|row| values.extend(row));
    let mut weights = pack(digest, shape, values)?;
    let extra = &mut weights.metadata.extra;
    extra.insert(SAMPLES.to_owned(), sound.samples.to_string());
    if let Some(Pictures { frames, seconds }) = sound.pictures {
        extra.insert(FRAMES.to_owned(), frames.to_string());
        if let Some(seconds) = seconds {
            extra.insert(SECONDS.to_owned(), seconds.to_string());
        }
    }
    if let Some(complaint) = &sound.complaint {
        extra.insert(COMPLAINT.to_owned(), complaint.clone());
    }
    Ok(weights)
}

/// What [`pack_sound`] packed; `None` if the file is damaged or was made of something else.
pub(super) fn unpack_sound(digest: &str, weights: &Weights) -> Option<EmbeddedSound> {
    let (count, width, values) = unpack(digest, weights)?;
    let mut rows = FeatureRows::new(width);
    for row in values.chunks(width.max(1)) {
        rows.push(row).ok()?;
    }
    (rows.len() == count).then_some(())?;
    let extra = &weights.metadata.extra;
    let pictures = match extra.get(FRAMES) {
        None => None,
        Some(frames) => Some(Pictures {
            frames: frames.parse().ok()?,
            seconds: extra.get(SECONDS).and_then(|seconds| seconds.parse().ok()),
        }),
    };
    Some(EmbeddedSound {
        rows,
        samples: extra.get(SAMPLES)?.parse().ok()?,
        pictures,
        complaint: extra.get(COMPLAINT).cloned(),
        is_whole: true,
    })
}
