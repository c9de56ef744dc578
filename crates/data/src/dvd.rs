//! DVD, the violence data set of the ABAW challenge: frames or videos, a label a frame, submission files (SPEC 5.1, 5.7).

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{Part, folder::entries};

/// Extensions of frame files.
const FRAMES: [&str; 3] = ["jpg", "jpeg", "png"];

/// The data set's root, with `Training` and `Validation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dvd {
    root: PathBuf,
}

/// One video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DvdVideo {
    /// Name of its folder of frames, and of its annotation file.
    pub id: String,
    /// Whether each frame shows violence; `None` where that is not said. Without annotations there is nothing here.
    pub labels: Vec<Option<bool>>,
    /// Number, from 1, and file of the frames that exist, ascending.
    pub files: Vec<(usize, PathBuf)>,
    /// The video file, where there is one.
    pub video: Option<PathBuf>,
}

/// Why DVD cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DvdError {
    /// A file or folder cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder of the layout is not there, or empty.
    #[error("DVD folder `{}` has no {expected}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What belongs there.
        expected: &'static str,
    },
    /// A line cannot be understood.
    #[error("`{}` line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What was expected and what came.
        reason: String,
    },
}

impl Dvd {
    /// Names the root; folders are looked for when they are needed.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The videos of a part by name: those with a folder of frames, a video file or annotations.
    ///
    /// # Errors
    ///
    /// [`DvdError`] for a missing folder or a malformed annotation file.
    pub fn read(&self, part: Part) -> Result<Vec<DvdVideo>, DvdError> {
        let folder = self.root.join(match part {
            Part::Training => "Training",
            Part::Validation => "Validation",
        });
        let [frames, videos, annotations] =
            ["frames", "videos", "annotations"].map(|name| folder.join(name));
        let read = read_videos(&frames, &videos, &annotations)?;
        if read.is_empty() {
            return Err(DvdError::Layout {
                path: folder,
                expected: "frames/ID/1.jpg, videos/ID.mp4 or annotations/ID.csv",
            });
        }
        Ok(read)
    }
}

/// The videos of the test part by name: `FOLDER/ID/1.jpg` or `FOLDER/ID.mp4`.
///
/// # Errors
///
/// [`DvdError`] for a missing or empty folder.
pub fn read_test_videos(folder: &Path) -> Result<Vec<DvdVideo>, DvdError> {
    let read = read_videos(folder, folder, &folder.join("annotations"))?;
    if read.is_empty() {
        return Err(DvdError::Layout {
            path: folder.to_owned(),
            expected: "ID/1.jpg or ID.mp4",
        });
    }
    Ok(read)
}

fn read_videos(
    frames: &Path,
    videos: &Path,
    annotations: &Path,
) -> Result<Vec<DvdVideo>, DvdError> {
    let mut files = list(videos)?;
    files.retain(|path| path.is_file());
    let mut ids: Vec<String> = list(frames)?
        .iter()
        .filter(|path| path.is_dir() && *path != annotations)
        .chain(&files)
        .chain(&list(annotations)?)
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    ids.sort();
    ids.dedup();
    let read = |id: String| {
        let annotation = annotations.join(format!("{id}.csv"));
        let labels = match std::fs::read_to_string(&annotation) {
            Ok(text) => parse_frame_labels(&text, &annotation)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(at(&annotation, source)),
        };
        let video = files
            .iter()
            .find(|path| path.file_stem().is_some_and(|stem| *stem == *id));
        Ok(DvdVideo {
            files: frame_files(&frames.join(&id))?,
            labels,
            video: video.cloned(),
            id,
        })
    };
    ids.into_iter().map(read).collect()
}

impl DvdVideo {
    /// Number of frames: as many as are labelled, else the largest number of a frame file.
    pub fn len(&self) -> usize {
        match self.labels.len() {
            0 => self.files.last().map_or(0, |(number, _)| *number),
            labels => labels,
        }
    }

    /// Whether nothing is known of any frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file of a frame, counted from 0: its own, else that of the nearest number; `None` without any files.
    pub fn file(&self, frame: usize) -> Option<&Path> {
        let number = frame + 1;
        let after = self.files.partition_point(|(other, _)| *other < number);
        let candidates = [after.checked_sub(1), Some(after)].into_iter().flatten();
        let candidates = candidates.filter_map(|place| self.files.get(place));
        let nearest = candidates.min_by_key(|(other, _)| other.abs_diff(number));
        nearest.map(|(_, path)| path.as_path())
    }
}

fn frame_files(folder: &Path) -> Result<Vec<(usize, PathBuf)>, DvdError> {
    let number = |path: PathBuf| {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        let number: usize = path.file_stem()?.to_str()?.parse().ok()?;
        (number > 0 && FRAMES.contains(&extension.as_str())).then_some((number, path))
    };
    let mut files: Vec<_> = list(folder)?.into_iter().filter_map(number).collect();
    files.sort();
    files.dedup_by_key(|(number, _)| *number);
    Ok(files)
}

/// The labels of frames 1, 2, … of an annotation file; `None` for numbers that it leaves out.
///
/// The columns are `Frame_Number` and `Label` in any case, else the first two.
///
/// # Errors
///
/// [`DvdError::Line`] naming `path` for a number that is none, a label other than 0 and 1, or a frame labelled in two
/// ways.
pub fn parse_frame_labels(text: &str, path: &Path) -> Result<Vec<Option<bool>>, DvdError> {
    let mut labels: Vec<Option<bool>> = Vec::new();
    for row in rows(text, path)? {
        let Row {
            line,
            number,
            label,
        } = row;
        let refuse = |reason: String| DvdError::Line {
            path: path.to_owned(),
            line,
            reason,
        };
        let label = match label.as_str() {
            "0" => false,
            "1" => true,
            other => return Err(refuse(format!("expected label 0 or 1, got `{other}`"))),
        };
        if labels.len() < number {
            labels.resize(number, None);
        }
        match labels[number - 1].replace(label) {
            Some(before) if before != label => {
                return Err(refuse(format!(
                    "frame {number} is labelled 0 and 1, expected one label"
                )));
            }
            _ => {}
        }
    }
    Ok(labels)
}

/// The frame numbers that a template of a submission asks for, in order.
///
/// # Errors
///
/// [`DvdError::Line`] naming `path` for a number that is none.
pub fn parse_template(text: &str, path: &Path) -> Result<Vec<usize>, DvdError> {
    Ok(rows(text, path)?
        .into_iter()
        .map(|row| row.number)
        .collect())
}

struct Row {
    line: usize,
    number: usize,
    label: String,
}

fn rows(text: &str, path: &Path) -> Result<Vec<Row>, DvdError> {
    /// Ten hours of video; a larger number is a mistake, and would ask for that much memory.
    const MOST_FRAMES: usize = 1 << 20;
    let refuse = |line: usize, reason: String| DvdError::Line {
        path: path.to_owned(),
        line,
        reason,
    };
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let headers = reader
        .headers()
        .map_err(|error| refuse(1, error.to_string()))?;
    let column = |name: &str, place: usize| {
        let found = headers.iter().position(|it| it.eq_ignore_ascii_case(name));
        found.unwrap_or(place)
    };
    let [number, label] = [column("Frame_Number", 0), column("Label", 1)];
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| refuse(rows.len() + 2, error.to_string()))?;
        let place = record.position().map_or(rows.len() + 2, |position| {
            usize::try_from(position.line()).unwrap_or_default()
        });
        let field = |column: usize| record.get(column).unwrap_or_default();
        let number = field(number)
            .parse()
            .ok()
            .filter(|number| (1..=MOST_FRAMES).contains(number))
            .ok_or_else(|| {
                let got = field(number);
                let expected = "a frame number from 1 to 1048576";
                refuse(place, format!("expected {expected}, got `{got}`"))
            })?;
        rows.push(Row {
            line: place,
            number,
            label: field(label).to_owned(),
        });
    }
    Ok(rows)
}

/// The submission of one video: `Frame_Number,Label` and a line a frame, or a line for each number of a template; numbers
/// beyond the video's ends get the label of its first or last frame.
pub fn submission_csv(violent: &[bool], template: Option<&[usize]>) -> String {
    let mut text = "Frame_Number,Label\n".to_owned();
    let mut line = |number: usize| {
        let place = number.saturating_sub(1).min(violent.len().max(1) - 1);
        let label = u8::from(violent.get(place).copied().unwrap_or_default());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{number},{label}");
    };
    match template {
        Some(numbers) => numbers.iter().copied().for_each(&mut line),
        None => (1..=violent.len()).for_each(&mut line),
    }
    text
}

/// Writes a submission: a zip archive with `ID.csv` of each video at its top.
///
/// # Errors
///
/// [`DvdError::Io`] if the file cannot be written; a file that was there is then as it was.
pub fn write_submission(path: &Path, videos: &[(String, String)]) -> Result<(), DvdError> {
    let write = || -> std::io::Result<()> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        let mut archive = zip::ZipWriter::new(&mut file);
        let options = zip::write::SimpleFileOptions::default();
        for (id, text) in videos {
            archive.start_file(format!("{id}.csv"), options)?;
            archive.write_all(text.as_bytes())?;
        }
        archive.finish()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|source| at(path, source))
}

/// What is in a folder, by name; nothing if it does not exist.
fn list(folder: &Path) -> Result<Vec<PathBuf>, DvdError> {
    match entries(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|source| at(folder, source)),
    }
}

fn at(path: &Path, source: std::io::Error) -> DvdError {
    DvdError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn labels(text: &str) -> Result<Vec<Option<bool>>, String> {
        parse_frame_labels(text, Path::new("7.csv")).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_are_found_by_name_or_by_place() {
        let expected = Ok(vec![Some(true), None, Some(false)]);
        assert_eq!(labels("Frame_Number,Label\n1,1\n3,0\n"), expected);
        assert_eq!(
            labels("\u{feff}id,LABEL,frame_number\r\nx,0,3\r\nx,1,1\r\n"),
            expected
        );
        assert_eq!(labels("frame,violent\n3,0\n1,1\n1,1\n"), expected);
        assert_eq!(labels("Frame_Number,Label\n"), Ok(vec![]));
    }

    #[test]
    fn malformed_annotations_are_named_with_the_line() {
        for (text, expected) in [
            (
                "n,l\n1,1\n2,2\n",
                "`7.csv` line 3: expected label 0 or 1, got `2`",
            ),
            ("n,l\n1\n", "`7.csv` line 2: expected label 0 or 1, got ``"),
            (
                "n,l\n0,1\n",
                "`7.csv` line 2: expected a frame number from 1 to 1048576, got `0`",
            ),
            (
                "n,l\nx,1\n",
                "`7.csv` line 2: expected a frame number from 1 to 1048576, got `x`",
            ),
            (
                "n,l\n99999999999,1\n",
                "`7.csv` line 2: expected a frame number from 1 to 1048576, got `99999999999`",
            ),
            (
                "n,l\n4,1\n4,0\n",
                "`7.csv` line 3: frame 4 is labelled 0 and 1, expected one label",
            ),
        ] {
            assert_eq!(labels(text).expect_err("malformed"), expected);
        }
    }

    #[test]
    fn videos_are_found_by_frames_annotations_or_file() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let write = |file: &str, text: &str| {
            let path = folder.path().join("Training").join(file);
            std::fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
            std::fs::write(path, text).expect("temporary file");
        };
        let dvd = Dvd::new(folder.path());
        let error = dvd.read(Part::Validation).expect_err("nothing there");
        assert!(
            error
                .to_string()
                .contains("Validation` has no frames/ID/1.jpg"),
            "{error}"
        );
        write("frames/a/2.jpg", "");
        write("frames/a/10.PNG", "");
        write("frames/a/0.jpg", "");
        write("frames/a/notes.txt", "");
        write("annotations/a.csv", "Frame_Number,Label\n12,1\n");
        write("videos/b.mp4", "");
        let videos = dvd.read(Part::Training).expect("a valid tree");
        let [a, b] = videos.as_slice() else {
            panic!("two videos, got {videos:?}")
        };
        assert_eq!(
            (a.id.as_str(), a.len(), a.labels[11]),
            ("a", 12, Some(true))
        );
        let name = |frame| a.file(frame)?.file_name()?.to_str();
        assert_eq!(
            [name(0), name(1), name(5), name(6), name(11)].map(|it| it.expect("a file")),
            ["2.jpg", "2.jpg", "2.jpg", "10.PNG", "10.PNG"]
        );
        assert_eq!((b.id.as_str(), b.is_empty(), b.file(0)), ("b", true, None));
        assert!(
            b.video
                .as_ref()
                .is_some_and(|path| path.ends_with("videos/b.mp4"))
        );
    }

    #[test]
    fn submissions_are_written_to_the_byte() {
        let violent = [false, true, true];
        assert_eq!(
            submission_csv(&violent, None),
            "Frame_Number,Label\n1,0\n2,1\n3,1\n"
        );
        let template = parse_template("Frame_Number,Label\n0001,\n2,\n9,\n", Path::new("t.csv"));
        let template = template.expect("numbers");
        assert_eq!(
            submission_csv(&violent, Some(&template)),
            "Frame_Number,Label\n1,0\n2,1\n9,1\n"
        );
        assert_eq!(submission_csv(&[], Some(&[1])), "Frame_Number,Label\n1,0\n");

        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("submission.zip");
        let videos = [("7".to_owned(), submission_csv(&violent, None))];
        write_submission(&path, &videos).expect("writable");
        let file = std::fs::File::open(&path).expect("written");
        let mut archive = zip::ZipArchive::new(file).expect("a zip archive");
        assert_eq!(archive.len(), 1);
        let mut text = String::new();
        let mut member = archive.by_name("7.csv").expect("is there");
        member.read_to_string(&mut text).expect("UTF-8");
        assert_eq!(text, videos[0].1);
        let lost = folder.path().join("missing/submission.zip");
        assert!(write_submission(&lost, &videos).is_err());
    }
}
