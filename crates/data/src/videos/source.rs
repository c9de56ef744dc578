//! Where videos with labels come from.

use super::{
    SecondReader, VideoPictures, VideoReader, VideoReaderError, Videos, pictures::Reading,
};
use crate::{ClipFile, ClipFolders, Dvd, DvdVideo, Observer, Part, expect_both_classes};

/// What is trained on and what the epoch is chosen on.
#[derive(Clone, Debug)]
pub enum VideoSource {
    /// Folders of clips.
    Clips(ClipFolders),
    /// DVD.
    Dvd(Dvd),
}

impl VideoSource {
    /// Training videos, and validation videos where there are some.
    ///
    /// # Errors
    ///
    /// [`VideoReaderError`] if the data set cannot be read, the network fails, or no video of a part can be read.
    pub fn parts(&self, reader: &VideoReader) -> Result<[Videos; 2], VideoReaderError> {
        let [training, validation] = ["training", "validation"];
        Ok(match self {
            Self::Clips(ClipFolders::Parts([train, validate])) => [
                reader.clips(train, training)?,
                reader.clips(validate, validation)?,
            ],
            Self::Clips(ClipFolders::Whole(clips)) => {
                [reader.clips(clips, training)?, Videos::default()]
            }
            Self::Dvd(dvd) => [
                reader.dvd(&dvd.read(Part::Training)?, training)?,
                reader.dvd(&dvd.read(Part::Validation)?, validation)?,
            ],
        })
    }

    /// The same parts as pictures of `side` pixels, with a second stream where one is read; videos that cannot be read are
    /// complaints.
    ///
    /// # Errors
    ///
    /// [`VideoReaderError`] if the data set cannot be read, or a rate is asked for that its frames do not have.
    pub fn pictures(
        &self,
        side: u32,
        frames_per_second: Option<f32>,
        second: Option<&SecondReader>,
        observer: &dyn Observer,
    ) -> Result<[VideoPictures; 2], VideoReaderError> {
        let [training, validation] = ["training", "validation"].map(|part| Reading {
            part,
            second,
            observer,
        });
        if let Some(second) = second {
            second.warn(observer);
        }
        let clips =
            |clips: &[ClipFile], reading: Reading<'_>| -> Result<VideoPictures, VideoReaderError> {
                let mut pictures = VideoPictures::new(side, frames_per_second);
                let mut read = Vec::new();
                for (place, clip) in clips.iter().enumerate() {
                    let before = pictures.videos.len();
                    pictures.push_clip(clip, reading)?;
                    read.extend((pictures.videos.len() > before).then_some(place));
                }
                expect_both_classes(clips, &read, reading.part)?;
                Ok(pictures)
            };
        let videos = |videos: Vec<DvdVideo>, reading| -> Result<VideoPictures, VideoReaderError> {
            let mut pictures = VideoPictures::new(side, frames_per_second);
            for video in videos {
                pictures.push_dvd(video, reading)?;
            }
            Ok(pictures)
        };
        Ok(match self {
            Self::Clips(ClipFolders::Parts([train, validate])) => {
                [clips(train, training)?, clips(validate, validation)?]
            }
            Self::Clips(ClipFolders::Whole(whole)) => {
                [clips(whole, training)?, clips(&[], validation)?]
            }
            Self::Dvd(dvd) => [
                videos(dvd.read(Part::Training)?, training)?,
                videos(dvd.read(Part::Validation)?, validation)?,
            ],
        })
    }
}
