//! Files of predictions as the challenge takes them: the organisers' list of frames with a prediction a line.

use std::{fmt::Write as _, path::Path};

use super::{AffWild2Error, at};
use affectlens::label::AFF_WILD2_ACTION_UNITS;

/// A prediction for one frame, and how it is written.
pub trait SubmissionRow {
    /// First line of the file, without its end.
    fn header() -> String;

    /// What stands when nothing is known of a video: no face was ever seen in it.
    fn unknown() -> Self;

    /// Appends the values after the frame's name and a comma.
    fn write(&self, line: &mut String);
}

/// Class index.
impl SubmissionRow for usize {
    fn header() -> String {
        "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other".to_owned()
    }

    fn unknown() -> Self {
        0
    }

    fn write(&self, line: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(line, "{self}");
    }
}

/// Valence, arousal.
impl SubmissionRow for [f32; 2] {
    fn header() -> String {
        "image_location,valence,arousal".to_owned()
    }

    fn unknown() -> Self {
        [0.0; 2]
    }

    fn write(&self, line: &mut String) {
        let _ = write!(line, "{},{}", self[0], self[1]);
    }
}

/// Action units that are seen.
impl SubmissionRow for [bool; 12] {
    fn header() -> String {
        let names = AFF_WILD2_ACTION_UNITS.map(|unit| unit.name());
        format!("image_location,{}", names.join(","))
    }

    fn unknown() -> Self {
        [false; 12]
    }

    fn write(&self, line: &mut String) {
        let states = self.map(|state| if state { "1" } else { "0" });
        line.push_str(&states.join(","));
    }
}

/// The organisers' sample file: which frames they want, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleList {
    /// In the order of the file.
    pub videos: Vec<SampleVideo>,
}

/// The wanted frames of a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleVideo {
    /// Name of its crop folder.
    pub name: String,
    /// File names as listed, `00001.jpg` and on without a gap.
    pub files: Vec<String>,
}

impl SampleList {
    /// Reads `VIDEO/00001.jpg,...`, after a header if there is one; what follows the first comma does not matter.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error`] for an unreadable file, a line of another form, or frames that are not 1, 2, 3, … of
    /// one video after the other: the published writers count on that.
    pub fn read(path: &Path) -> Result<Self, AffWild2Error> {
        let text = std::fs::read_to_string(path).map_err(|error| at(path, error))?;
        let mut videos: Vec<SampleVideo> = Vec::new();
        let text = text.trim_start_matches('\u{feff}');
        for (line, number) in text.lines().zip(1..) {
            if line.trim().is_empty() || number == 1 && frame_of(line).is_none() {
                continue;
            }
            let refuse = |reason: String| AffWild2Error::Line {
                path: path.to_owned(),
                line: number,
                reason,
            };
            let (video, file, frame) = frame_of(line)
                .ok_or_else(|| refuse(format!("expected VIDEO/00001.jpg,..., got `{line}`")))?;
            let is_next = videos.last().is_some_and(|last| last.name == video);
            if !is_next {
                if videos.iter().any(|other| other.name == video) {
                    return Err(refuse(format!(
                        "expected the frames of `{video}` in one piece, got them again"
                    )));
                }
                videos.push(SampleVideo {
                    name: video.to_owned(),
                    files: Vec::new(),
                });
            }
            let files = &mut videos.last_mut().expect("one was just made").files;
            if frame != files.len() + 1 {
                let expected = files.len() + 1;
                return Err(refuse(format!(
                    "expected frame {expected} of `{video}`, got {frame}"
                )));
            }
            files.push(file.to_owned());
        }
        if videos.is_empty() {
            return Err(AffWild2Error::Line {
                path: path.to_owned(),
                line: 2,
                reason: "expected VIDEO/00001.jpg,..., got the end of the file".to_owned(),
            });
        }
        Ok(Self { videos })
    }

    /// The submission file's text, line ends `\n`. `predict` gives one row a wanted frame of a video, in order;
    /// frames that it has nothing for get [`SubmissionRow::unknown`].
    ///
    /// # Errors
    ///
    /// Those of `predict`.
    pub fn submission<R: SubmissionRow, E>(
        &self,
        mut predict: impl FnMut(&SampleVideo) -> Result<Vec<R>, E>,
    ) -> Result<String, E> {
        let mut text = R::header() + "\n";
        for video in &self.videos {
            let mut rows = predict(video)?.into_iter();
            for file in &video.files {
                text.push_str(&video.name);
                text.push('/');
                text.push_str(file);
                text.push(',');
                rows.next().unwrap_or_else(R::unknown).write(&mut text);
                text.push('\n');
            }
        }
        Ok(text)
    }
}

/// Video, file and number of the frame that a line of a sample names.
fn frame_of(line: &str) -> Option<(&str, &str, usize)> {
    let location = line.split(',').next()?.trim();
    let (video, file) = location.split_once('/')?;
    let number = file.strip_suffix(".jpg")?.parse().ok()?;
    Some((video, file, number))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn sample(text: &str) -> Result<SampleList, String> {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), text).expect("temporary file");
        SampleList::read(file.path()).map_err(|error| error.to_string())
    }

    fn submission<R: SubmissionRow + Clone>(rows: &[R]) -> String {
        let list = sample(
            "image_location,a\r\nv_left/00001.jpg,\r\nv_left/00002.jpg,\r\nw/00001.jpg,\r\n",
        )
        .expect("a valid list");
        let mut rest = rows.iter().cloned();
        list.submission(|video| {
            Ok::<_, Infallible>(rest.by_ref().take(video.files.len()).collect())
        })
        .expect("infallible")
    }

    #[test]
    fn submissions_are_written_to_the_byte() {
        assert_eq!(
            submission(&[3_usize, 7]),
            "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n\
             v_left/00001.jpg,3\nv_left/00002.jpg,7\nw/00001.jpg,0\n"
        );
        assert_eq!(
            submission(&[[0.25_f32, -1.0], [0.1, 0.0]]),
            "image_location,valence,arousal\n\
             v_left/00001.jpg,0.25,-1\nv_left/00002.jpg,0.1,0\nw/00001.jpg,0,0\n"
        );
        let mut row = [false; 12];
        row[1] = true;
        assert_eq!(
            submission(&[row]),
            "image_location,AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26\n\
             v_left/00001.jpg,0,1,0,0,0,0,0,0,0,0,0,0\n\
             v_left/00002.jpg,0,0,0,0,0,0,0,0,0,0,0,0\n\
             w/00001.jpg,0,0,0,0,0,0,0,0,0,0,0,0\n"
        );
    }

    #[test]
    fn a_list_without_a_header_keeps_its_first_frame() {
        let bare = sample("\u{feff}v/00001.jpg\n\nv/00002.jpg\n").expect("a valid list");
        let headed = sample("image_location\nv/00001.jpg,\nv/00002.jpg,\n");
        assert_eq!(bare, headed.expect("a valid list"));
        assert_eq!(bare.videos[0].files, ["00001.jpg", "00002.jpg"]);
    }

    #[test]
    fn lists_with_holes_are_refused() {
        for (text, expected) in [
            (
                "h\nv/00001.jpg,\nv/00003.jpg,\n",
                "line 3: expected frame 2 of `v`, got 3",
            ),
            (
                "h\nv/00001.jpg\nw/00001.jpg\nv/00002.jpg\n",
                "line 4: expected the frames of `v` in one piece, got them again",
            ),
            (
                "h\nv-00001.jpg\n",
                "line 2: expected VIDEO/00001.jpg,..., got `v-00001.jpg`",
            ),
            (
                "h\n",
                "line 2: expected VIDEO/00001.jpg,..., got the end of the file",
            ),
        ] {
            let error = sample(text).expect_err("must be refused");
            assert!(error.ends_with(expected), "{error}");
        }
    }
}
