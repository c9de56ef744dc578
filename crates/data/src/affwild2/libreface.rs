//! Scores of crops that LibreFace (Chang et al. 2024) gave, from a table that a user made with it.
//!
//! The table has a header and a row a crop: `image` is `VIDEO/00001.jpg`, and a column for each of LibreFace's eight
//! expressions, by name and in any order, has its score.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use csv::StringRecord;
use serde::Serialize;

use super::{AffWild2Error, AnnotatedVideo, Keep, VideoFeatures, VideoRows, at};
use crate::{FeatureRows, delimited};

/// The expressions in LibreFace's order.
const COLUMNS: [&str; 8] = [
    "Neutral",
    "Happiness",
    "Sadness",
    "Surprise",
    "Fear",
    "Disgust",
    "Anger",
    "Contempt",
];
/// Names that the column of crops may have.
const IMAGES: [&str; 2] = ["image", "image_location"];
/// Longest first line.
const MOST_HEADER: u64 = 1 << 16;

type Scores = [f32; COLUMNS.len()];

/// Scores of crops by video and frame.
#[derive(Clone, Debug, PartialEq)]
pub struct LibreFace(BTreeMap<String, BTreeMap<usize, Scores>>);

/// How a table and the crops of a tree go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LibreFaceCounts {
    /// Rows of the table.
    pub rows: usize,
    /// Crops of the annotated videos that have no row.
    pub missing: usize,
    /// Rows of no crop of an annotated video.
    pub extra: usize,
}

impl LibreFace {
    /// Reads a table with commas, semicolons or tabs.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error`] for a file that cannot be read, a missing column, a row of another form, or two rows of one crop.
    pub fn read(path: &Path) -> Result<Self, AffWild2Error> {
        let open = || File::open(path).map_err(|error| at(path, error));
        let mut header = Vec::new();
        BufReader::new(open()?.take(MOST_HEADER))
            .read_until(b'\n', &mut header)
            .map_err(|error| at(path, error))?;
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .delimiter(delimited::separator(&String::from_utf8_lossy(&header)))
            .from_reader(BufReader::new(open()?));
        let malformed = |line: u64, reason: String| AffWild2Error::Line {
            path: path.to_owned(),
            line: usize::try_from(line).unwrap_or(usize::MAX),
            reason,
        };
        let of_csv = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            malformed(line, error.to_string())
        };
        let columns = Columns::find(reader.headers().map_err(of_csv)?)
            .map_err(|reason| malformed(1, reason))?;
        let mut scores: BTreeMap<String, BTreeMap<usize, Scores>> = BTreeMap::new();
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(of_csv)? {
            let line = record.position().map_or(1, csv::Position::line);
            let (video, frame, row) = columns
                .read(&record)
                .map_err(|reason| malformed(line, reason))?;
            if !scores.contains_key(video) {
                scores.insert(video.to_owned(), BTreeMap::new());
            }
            let of_video = scores.get_mut(video).expect("was just inserted");
            if of_video.insert(frame, row).is_some() {
                let reason = format!("`{}` has a row before", &record[columns.image]);
                return Err(malformed(line, reason));
            }
        }
        Ok(Self(scores))
    }

    /// The scores of the crops of some videos as embeddings, in LibreFace's order, without outputs; a crop without a row is
    /// left out.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error::Feature`] if a score does not fit into 16 bits.
    pub fn select<L: Copy>(
        &self,
        videos: &[AnnotatedVideo<L>],
        keep: Keep,
    ) -> Result<VideoFeatures<L>, AffWild2Error> {
        let mut features = VideoFeatures {
            embeddings: FeatureRows::new(COLUMNS.len()),
            outputs: FeatureRows::default(),
            videos: Vec::with_capacity(videos.len()),
            failures: Vec::new(),
        };
        for video in videos {
            let mut rows = VideoRows {
                name: video.name.clone(),
                frames: Vec::new(),
                first: features.embeddings.len(),
                labels: Vec::new(),
            };
            let scores = self.0.get(&video.name);
            let mut labels = video.labels.iter().peekable();
            for frame in &video.crops {
                let label = labels.next_if(|(labelled, _)| labelled == frame);
                let Some(row) = scores.and_then(|scores| scores.get(frame)) else {
                    continue;
                };
                if label.is_none() && keep == Keep::Labelled {
                    continue;
                }
                let place = features.embeddings.len();
                let pushed = features.embeddings.push(row);
                pushed.map_err(|error| AffWild2Error::Feature {
                    video: video.name.clone(),
                    error,
                })?;
                rows.frames.push(*frame);
                rows.labels.extend(label.map(|(_, label)| (place, *label)));
            }
            features.videos.push(rows);
        }
        Ok(features)
    }

    /// Counts rows and crops that do not find each other.
    pub fn count<'a, L: 'a>(
        &self,
        videos: impl IntoIterator<Item = &'a AnnotatedVideo<L>>,
    ) -> LibreFaceCounts {
        let rows = self.0.values().map(BTreeMap::len).sum();
        let (mut missing, mut found) = (0, 0);
        let mut seen = BTreeSet::new();
        for video in videos {
            if !seen.insert(&video.name) {
                continue;
            }
            let scores = self.0.get(&video.name);
            let has_row = |frame: &&usize| scores.is_some_and(|it| it.contains_key(frame));
            let with_row = video.crops.iter().filter(has_row).count();
            found += with_row;
            missing += video.crops.len() - with_row;
        }
        LibreFaceCounts {
            rows,
            missing,
            extra: rows - found,
        }
    }
}

/// Places of the columns.
struct Columns {
    image: usize,
    scores: [usize; COLUMNS.len()],
}

impl Columns {
    fn find(header: &StringRecord) -> Result<Self, String> {
        let place = |name: &str| {
            let is_named = |field: &str| delimited::names(field, name);
            header.iter().position(is_named)
        };
        let expect = |name: &str, place: Option<usize>| {
            place.ok_or_else(|| {
                format!(
                    "expected the columns image, {}, got no `{name}`",
                    COLUMNS.join(", ")
                )
            })
        };
        let mut scores = [0; COLUMNS.len()];
        for (score, name) in scores.iter_mut().zip(COLUMNS) {
            *score = expect(name, place(name))?;
        }
        Ok(Self {
            image: expect("image", IMAGES.into_iter().find_map(place))?,
            scores,
        })
    }

    /// Video, frame and scores of a row.
    fn read<'a>(&self, record: &'a StringRecord) -> Result<(&'a str, usize, Scores), String> {
        let field = |place: usize| record.get(place).unwrap_or_default();
        let image = field(self.image);
        let (video, frame) = crop_of(image)
            .ok_or_else(|| format!("expected an image VIDEO/00001.jpg, got `{image}`"))?;
        let mut scores = [0.0; COLUMNS.len()];
        for ((score, place), name) in scores.iter_mut().zip(self.scores).zip(COLUMNS) {
            let text = field(place);
            let value = text.parse::<f32>().ok().filter(|value| value.is_finite());
            *score = value.ok_or_else(|| format!("expected a score of {name}, got `{text}`"))?;
        }
        Ok((video, frame, scores))
    }
}

/// Video and frame of `VIDEO/00001.jpg`, at the end of any path.
fn crop_of(image: &str) -> Option<(&str, usize)> {
    let mut parts = image.rsplit(['/', '\\']);
    let (file, video) = (parts.next()?, parts.next()?);
    let (number, _) = file.rsplit_once('.')?;
    let frame = number.parse().ok().filter(|frame| *frame > 0)?;
    (!video.is_empty()).then_some((video, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LibreFace, String> {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), text).expect("temporary file");
        LibreFace::read(file.path()).map_err(|error| {
            let text = error.to_string();
            text.replace(&*file.path().to_string_lossy(), "FILE")
        })
    }

    const HEADER: &str = "image,Neutral,Happiness,Sadness,Surprise,Fear,Disgust,Anger,Contempt\n";

    #[test]
    fn scores_find_their_crops_and_what_does_not_is_counted() {
        // Columns in another order, a path before the video, semicolons.
        let text = "\u{feff}happiness;IMAGE;neutral;sadness;surprise;fear;disgust;anger;contempt\r\n\
                    2;cropped/a_left/00001.jpg;1;3;4;5;6;7;8\r\n\
                    0;a_left\\00003.png;0;0;0;0;0;0;-1.5\r\n\
                    0;b/00009.jpg;0;0;0;0;0;0;0\r\n";
        let table = read(text).expect("three rows");
        let videos = [
            AnnotatedVideo {
                name: "a_left".to_owned(),
                crops: vec![1, 2, 3],
                labels: vec![(2, 5), (3, 6)],
                unseen: vec![(4, 1)],
            },
            AnnotatedVideo {
                name: "c".to_owned(),
                crops: vec![1],
                labels: Vec::new(),
                unseen: Vec::new(),
            },
        ];
        let counts = LibreFaceCounts {
            rows: 3,
            missing: 2,
            extra: 1,
        };
        assert_eq!(table.count(&videos), counts);
        assert_eq!(
            table.count(videos.iter().chain(&videos)),
            counts,
            "both parts"
        );
        let all = table.select(&videos, Keep::All).expect("fits");
        assert_eq!(
            all.embeddings.row(0),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
        );
        assert_eq!(all.videos[0].frames, [1, 3]);
        assert_eq!(all.videos[0].labels, [(1, 6)]);
        let labelled = table.select(&videos, Keep::Labelled).expect("fits");
        assert_eq!(labelled.labels(), [6]);
        assert_eq!(labelled.embeddings.row(0)[7], -1.5);
    }

    #[test]
    fn malformed_tables_are_named_with_the_line() {
        for (text, expected) in [
            (
                "image,Neutral\n".to_owned(),
                "`FILE` line 1: expected the columns image, Neutral, Happiness, Sadness, Surprise, Fear, Disgust, Anger, \
                 Contempt, got no `Happiness`",
            ),
            (
                format!("{HEADER}a/1.jpg,1,2,3,4,5,6,7,8\n00002.jpg,1,2,3,4,5,6,7,8\n"),
                "`FILE` line 3: expected an image VIDEO/00001.jpg, got `00002.jpg`",
            ),
            (
                format!("{HEADER}a/00001.jpg,1,2,3,4,5,NaN,7,8\n"),
                "`FILE` line 2: expected a score of Disgust, got `NaN`",
            ),
            (
                format!("{HEADER}a/1.jpg,1,2,3,4,5,6,7,8\na/00001.jpg,1,2,3,4,5,6,7,8\n"),
                "`FILE` line 3: `a/00001.jpg` has a row before",
            ),
        ] {
            assert_eq!(read(&text).expect_err("is refused"), expected);
        }
        let error = read(&format!("{HEADER}a/00001.jpg,1\n")).expect_err("short");
        assert!(error.starts_with("`FILE` line 2: "), "{error}");
        assert_eq!(read(HEADER), Ok(LibreFace(BTreeMap::new())));
    }
}
