//! Skeleton features of a video as the published violence systems keep them: a `.npy` file of 406 numbers a frame.
//!
//! The format is NumPy's (NEP 1): a magic word, a version, the length of a header, a Python dictionary, then the numbers.

mod writer;

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use affectlens::skeleton::WIDTH;
use thiserror::Error;

pub use writer::SkeletonWriter;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest header that is read; those of two axes have 128 bytes.
const MAX_HEADER: usize = 4096;
/// Most frames of a video: a day at 50 a second. They bound the memory that a file can ask for.
const MAX_ROWS: usize = 50 * 60 * 60 * 24;

/// Why a file of skeleton features cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SkeletonError {
    /// The file cannot be opened, read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else, or would.
    #[error("`{}`: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, what was expected.
        reason: String,
    },
}

/// The numbers of a video's frames; see [`Skeletons`](affectlens::skeleton::Skeletons).
#[derive(Clone, Debug, PartialEq)]
pub struct SkeletonRows(Vec<[f32; WIDTH]>);

impl SkeletonRows {
    /// One frame without anybody: all numbers are 0.
    pub fn nobody() -> Self {
        Self(vec![[0.0; WIDTH]])
    }

    /// Reads a `.npy` file of 32-bit floats, `[frames, 406]`.
    ///
    /// # Errors
    ///
    /// [`SkeletonError`] for a file that cannot be read, is truncated or too long, or holds other numbers, none, or some that
    /// are not finite.
    pub fn read(path: &Path) -> Result<Self, SkeletonError> {
        let io = |source| SkeletonError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        parse(BufReader::new(file)).map_err(|error| match error {
            ParseError::Io(source) => io(source),
            ParseError::Malformed(reason) => SkeletonError::Malformed {
                path: path.to_owned(),
                reason,
            },
        })
    }

    /// Number of frames; at least one.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no frames, which there never are.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers of a frame, from 0 on; behind the last one those of the last one, as in the published systems.
    pub fn row(&self, frame: usize) -> &[f32; WIDTH] {
        &self.0[frame.min(self.0.len() - 1)]
    }
}

enum ParseError {
    Io(std::io::Error),
    Malformed(String),
}

impl From<std::io::Error> for ParseError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Malformed("file is truncated".to_owned()),
            _ => Self::Io(error),
        }
    }
}

fn parse(mut file: impl Read) -> Result<SkeletonRows, ParseError> {
    let malformed = |reason: String| Err(ParseError::Malformed(reason));
    let mut start = [0; 8];
    file.read_exact(&mut start)?;
    let (magic, version) = start.split_at(MAGIC.len());
    if magic != MAGIC {
        return malformed("no NumPy file, expected the magic word `\\x93NUMPY`".to_owned());
    }
    let length = match version[0] {
        1 => {
            let mut length = [0; 2];
            file.read_exact(&mut length)?;
            usize::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            file.read_exact(&mut length)?;
            usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX)
        }
        other => return malformed(format!("NumPy format {other}, expected 1 to 3")),
    };
    if length > MAX_HEADER {
        return malformed(format!(
            "header has {length} bytes, expected at most {MAX_HEADER}"
        ));
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header)?;
    let rows = rows_of(&String::from_utf8_lossy(&header)).map_err(ParseError::Malformed)?;
    let mut values = Vec::new();
    let mut bytes = vec![0; WIDTH * size_of::<f32>()];
    for row in 0..rows {
        file.read_exact(&mut bytes)?;
        let mut numbers = [0.0; WIDTH];
        for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks().0) {
            *number = f32::from_le_bytes(*bytes);
        }
        if let Some(place) = numbers.iter().position(|number| !number.is_finite()) {
            return malformed(format!("number {place} of frame {row} is not finite"));
        }
        values.push(numbers);
    }
    if file.read(&mut bytes)? > 0 {
        return malformed(format!("more than {rows} frames of {WIDTH} numbers"));
    }
    Ok(SkeletonRows(values))
}

/// The number of rows that a header promises, if they are of the right kind.
fn rows_of(header: &str) -> Result<usize, String> {
    let entry = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}':"))?;
        Some(rest.trim_start())
    };
    let missing = |key: &str| format!("header has no `{key}`");
    let kind = entry("descr").ok_or_else(|| missing("descr"))?;
    if !kind.starts_with("'<f4'") {
        let kind = kind.split(',').next().unwrap_or_default();
        return Err(format!("numbers are {kind}, expected '<f4'"));
    }
    let order = entry("fortran_order").ok_or_else(|| missing("fortran_order"))?;
    if !order.starts_with("False") {
        return Err("numbers run down the columns, expected them row by row".to_owned());
    }
    let shape = entry("shape").ok_or_else(|| missing("shape"))?;
    let shape = shape
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'));
    let (shape, _) = shape.ok_or_else(|| missing("shape"))?;
    let sides: Vec<_> = shape
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(str::parse)
        .collect();
    match sides.as_slice() {
        [Ok(rows), Ok(WIDTH)] if (1..=MAX_ROWS).contains(rows) => Ok(*rows),
        _ => Err(format!(
            "shape is ({shape}), expected (frames, {WIDTH}) with 1 to {MAX_ROWS} frames"
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file as NumPy writes it.
    pub(crate) fn file(header: &str, values: &[f32]) -> Vec<u8> {
        let mut header = header.to_owned();
        while !(10 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let length = u16::try_from(header.len()).expect("short");
        let mut bytes = [&MAGIC[..], &[1, 0], &length.to_le_bytes()].concat();
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    pub(crate) fn header(rows: usize) -> String {
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 406), }}")
    }

    fn read(bytes: &[u8]) -> Result<SkeletonRows, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("clip.npy");
        std::fs::write(&path, bytes).expect("temporary file");
        SkeletonRows::read(&path).map_err(|error| {
            let shown = format!("`{}`: ", path.display());
            error.to_string().replace(&shown, "")
        })
    }

    #[test]
    fn rows_are_read_and_the_last_one_goes_on() {
        let values: Vec<f32> = (0..2 * WIDTH).map(|it| it as f32 / 8.0).collect();
        let rows = read(&file(&header(2), &values)).expect("two rows");
        assert_eq!((rows.len(), rows.is_empty()), (2, false));
        assert_eq!(rows.row(0)[..3], [0.0, 0.125, 0.25]);
        assert_eq!(rows.row(1)[0], 406.0 / 8.0);
        assert_eq!(rows.row(99), rows.row(1));
    }

    /// The same in a later version of the format, for headers that are long or not ASCII: their length has four bytes.
    fn file_of_version(version: u8, header: &str, values: &[f32]) -> Vec<u8> {
        let mut bytes = file(header, values);
        bytes[6] = version;
        bytes.splice(10..10, [0, 0]);
        bytes
    }

    #[test]
    fn later_versions_and_other_headers_are_read() {
        let zeros = vec![0.0; 2 * WIDTH];
        let plain = read(&file(&header(2), &zeros)).expect("two rows");
        for version in [2, 3] {
            assert_eq!(
                read(&file_of_version(version, &header(2), &zeros)),
                Ok(plain.clone())
            );
        }
        // As other writers order and space it.
        let other = "{'shape':(2,406,),'fortran_order':False,'descr':'<f4'}";
        assert_eq!(read(&file(other, &zeros)), Ok(plain));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_refused() {
        let whole = file(&header(1), &[0.0; WIDTH]);
        for length in [0, 6, 7, 9, 10, 64, 127, 128, 129, whole.len() - 1] {
            assert_eq!(read(&whole[..length]), Err("file is truncated".to_owned()));
        }
        // Nothing is set aside for what a header only promises.
        let promise = file(&header(MAX_ROWS), &[0.0; WIDTH]);
        assert_eq!(read(&promise), Err("file is truncated".to_owned()));
    }

    #[test]
    fn other_files_are_refused() {
        let zeros = vec![0.0; 2 * WIDTH];
        let refusal = |bytes: &[u8]| read(bytes).expect_err("refused");
        assert_eq!(refusal(b"\x93NU"), "file is truncated");
        assert_eq!(
            refusal(b"PK\x03\x04 and more"),
            "no NumPy file, expected the magic word `\\x93NUMPY`"
        );
        let whole = file(&header(2), &zeros);
        assert_eq!(refusal(&whole[..whole.len() - 1]), "file is truncated");
        assert_eq!(
            refusal(&[&whole[..], &[0]].concat()),
            "more than 2 frames of 406 numbers"
        );
        let mut version = whole.clone();
        version[6] = 9;
        assert_eq!(refusal(&version), "NumPy format 9, expected 1 to 3");
        let mut long = whole.clone();
        long[8..10].fill(255);
        assert_eq!(
            refusal(&long),
            "header has 65535 bytes, expected at most 4096"
        );
        let mut longer = file_of_version(2, &header(2), &zeros);
        longer[8..12].fill(255);
        assert_eq!(
            refusal(&longer),
            "header has 4294967295 bytes, expected at most 4096"
        );
        for (header, expected) in [
            (
                header(2).replace("<f4", ">f4"),
                "numbers are '>f4', expected '<f4'",
            ),
            (
                header(2).replace("'<f4'", "[('x', '<f4')]"),
                "numbers are [('x', expected '<f4'",
            ),
            (
                header(2).replace("(2, 406)", "(2, 406"),
                "header has no `shape`",
            ),
            (
                header(2).replace("(2, 406)", "(812,)"),
                "shape is (812,), expected (frames, 406) with 1 to 4320000 frames",
            ),
            (
                header(2).replace("(2, 406)", "(-2, 406)"),
                "shape is (-2, 406), expected (frames, 406) with 1 to 4320000 frames",
            ),
            (
                header(2).replace("fortran_order", "order"),
                "header has no `fortran_order`",
            ),
            (
                header(2).replace("<f4", "<f8"),
                "numbers are '<f8', expected '<f4'",
            ),
            (
                header(2).replace("False", "True"),
                "numbers run down the columns, expected them row by row",
            ),
            (
                header(2).replace("406", "405"),
                "shape is (2, 405), expected (frames, 406) with 1 to 4320000 frames",
            ),
            (
                header(0),
                "shape is (0, 406), expected (frames, 406) with 1 to 4320000 frames",
            ),
            (
                header(usize::MAX),
                "shape is (18446744073709551615, 406), expected (frames, 406) with 1 to 4320000 frames",
            ),
            ("{}".to_owned(), "header has no `descr`"),
        ] {
            assert_eq!(refusal(&file(&header, &zeros)), expected);
        }
        let mut broken = zeros.clone();
        broken[WIDTH + 3] = f32::NAN;
        assert_eq!(
            refusal(&file(&header(2), &broken)),
            "number 3 of frame 1 is not finite"
        );
    }
}
