//! Writes skeleton features row by row.

use std::{
    io::{BufWriter, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use affectlens::skeleton::WIDTH;
use tempfile::NamedTempFile;

use super::{MAGIC, MAX_ROWS, SkeletonError};

/// Bytes before the numbers: NumPy wants a multiple of 64, and with any number of rows these are enough.
const START: usize = 128;

/// A `.npy` file of 32-bit floats, `[frames, 406]`, that NumPy reads. It appears under its name when it is whole, in the place
/// of one that was there.
#[derive(Debug)]
pub struct SkeletonWriter {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    rows: usize,
}

impl SkeletonWriter {
    /// Begins a file in a folder that is there.
    ///
    /// # Errors
    ///
    /// [`SkeletonError::Io`] if nothing can be written there.
    pub fn create(path: &Path) -> Result<Self, SkeletonError> {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        // Temporary files are private by default; this one is as readable as any other.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let begun = builder.tempfile_in(folder).and_then(|file| {
            let mut file = BufWriter::new(file);
            file.write_all(&[0; START])?;
            Ok(file)
        });
        Ok(Self {
            file: begun.map_err(|source| at(path, source))?,
            path: path.to_owned(),
            rows: 0,
        })
    }

    /// Adds the numbers of the next frame.
    ///
    /// # Errors
    ///
    /// [`SkeletonError`] if the disk is full or there are more frames than a file may have.
    pub fn push(&mut self, row: &[f32; WIDTH]) -> Result<(), SkeletonError> {
        if self.rows == MAX_ROWS {
            return Err(SkeletonError::Malformed {
                path: self.path.clone(),
                reason: format!("more than {MAX_ROWS} frames"),
            });
        }
        let bytes: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
        let written = self.file.write_all(&bytes);
        written.map_err(|source| at(&self.path, source))?;
        self.rows += 1;
        Ok(())
    }

    /// Puts the file in its place, and gives its number of rows.
    ///
    /// # Errors
    ///
    /// [`SkeletonError`] if there is no row, or the file cannot be put there.
    pub fn finish(self) -> Result<usize, SkeletonError> {
        let Self {
            path,
            mut file,
            rows,
        } = self;
        if rows == 0 {
            return Err(SkeletonError::Malformed {
                path,
                reason: "no frames, expected at least one".to_owned(),
            });
        }
        let written = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(&start(rows)))
            .and_then(|()| file.into_inner().map_err(|error| error.into_error()))
            .and_then(|file| file.persist(&path).map_err(|error| error.error));
        written.map_err(|source| at(&path, source))?;
        Ok(rows)
    }
}

/// Magic word, version 1.0, length of the header, and the header, filled up with spaces.
fn start(rows: usize) -> Vec<u8> {
    let mut start = [&MAGIC[..], &[1, 0]].concat();
    let length = START - start.len() - size_of::<u16>();
    start.extend(u16::try_from(length).expect("118").to_le_bytes());
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {WIDTH}), }}");
    start.extend(header.as_bytes());
    start.resize(START - 1, b' ');
    start.push(b'\n');
    start
}

fn at(path: &Path, source: std::io::Error) -> SkeletonError {
    SkeletonError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SkeletonRows;

    fn row(value: f32) -> [f32; WIDTH] {
        std::array::from_fn(|place| value + place as f32)
    }

    #[test]
    fn rows_are_read_back_and_the_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("clip.npy");
        std::fs::write(&path, b"older").expect("writable");
        let mut writer = SkeletonWriter::create(&path).expect("writable folder");
        writer.push(&row(0.5)).expect("room");
        assert_eq!(std::fs::read(&path).expect("still there"), b"older");
        writer.push(&row(-3.0)).expect("room");
        assert_eq!(writer.finish().expect("writable"), 2);
        let rows = SkeletonRows::read(&path).expect("own file");
        assert_eq!(
            (rows.len(), rows.row(0), rows.row(1)),
            (2, &row(0.5), &row(-3.0))
        );
        let files = std::fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(files, 1, "nothing else is left");
    }

    /// The bytes that `numpy.save` writes for `numpy.zeros((12, 406), numpy.float32)`.
    #[test]
    fn the_header_is_that_of_numpy() {
        let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        expected.extend(b"{'descr': '<f4', 'fortran_order': False, 'shape': (12, 406), }");
        expected.resize(127, b' ');
        expected.push(b'\n');
        assert_eq!(start(12), expected);
        assert_eq!(start(MAX_ROWS).len(), START);
    }

    #[test]
    fn no_frames_and_folders_that_are_not_there_are_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("clip.npy");
        let error = SkeletonWriter::create(&path).and_then(SkeletonWriter::finish);
        let error = error.expect_err("no rows").to_string();
        assert!(
            error.ends_with("no frames, expected at least one"),
            "{error}"
        );
        assert!(!path.exists());
        let deep = folder.path().join("none/clip.npy");
        let error = SkeletonWriter::create(&deep)
            .expect_err("no folder")
            .to_string();
        assert!(
            error.starts_with(&format!("`{}`: ", deep.display())),
            "{error}"
        );
    }
}
