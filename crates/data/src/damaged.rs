//! Readers of data sets, of features and of heads on damaged files.

mod annotations;
mod heads;
mod names;

use std::{fs, path::Path};

use affectlens::skeleton::WIDTH;
use affectlens_fuzz::{CountedMemory, Target};
use tempfile::NamedTempFile;

use crate::SkeletonRows;

#[global_allocator]
static MEMORY: CountedMemory = CountedMemory;

/// Gives a reader the bytes as a file.
pub(crate) fn with_file<T>(bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    let file = NamedTempFile::new().expect("temporary file");
    fs::write(file.path(), bytes).expect("temporary file");
    read(file.path())
}

/// A reader's text; bytes that are none are as `String::from_utf8_lossy` shows them.
fn with_text<T>(bytes: &[u8], read: impl FnOnce(&str) -> T) -> T {
    read(&String::from_utf8_lossy(bytes))
}

#[test]
fn fuzz_npy() {
    let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 406), }\n";
    let length = u8::try_from(header.len()).expect("short");
    let seeds = [&[1, 0, length, 0][..], &[2, 0, length, 0, 0, 0]]
        .map(|start| [b"\x93NUMPY", start, header, &[0; WIDTH * 4]].concat());
    let words: [&[u8]; 7] = [
        b"'shape': (",
        b"4320000",
        b"'<f4'",
        b"'>f8'",
        b"True",
        b"(,406)",
        b"\x03\0",
    ];
    Target::new("npy", &seeds)
        .words(&words)
        .run(|bytes| with_file(bytes, SkeletonRows::read));
}
