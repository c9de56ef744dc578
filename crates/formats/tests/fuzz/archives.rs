//! Packages and the archives that they are.

use std::io::{Cursor, Read as _, Write as _};

use affectlens_formats::{PublishedFile, Registry};
use affectlens_fuzz::Target;
use flate2::{Compression, write::GzEncoder};
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

const WANTED: [PublishedFile; 2] = [
    PublishedFile {
        path: "package/a.bin",
        bytes: 3,
        sha256: "",
    },
    PublishedFile {
        path: "package/b.json",
        bytes: 1000,
        sha256: "",
    },
];
const CONTENT: [&[u8]; 2] = [&[1, 2, 3], &[b' '; 1000]];

/// A zip archive, packed or as it is.
pub(crate) fn zip(members: &[(&str, &[u8])], is_packed: bool) -> Vec<u8> {
    let method = match is_packed {
        true => CompressionMethod::Deflated,
        false => CompressionMethod::Stored,
    };
    let options = SimpleFileOptions::default().compression_method(method);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, options).expect("in memory");
        zip.write_all(bytes).expect("in memory");
    }
    zip.finish().expect("in memory").into_inner()
}

/// The members of a zip archive.
pub(crate) fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(archive)).expect("is whole");
    let places = 0..zip.len();
    let read = places.map(|place| {
        let mut member = zip.by_index(place).expect("is there");
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).expect("is whole");
        let name = member.name().expect("UTF-8").into_owned();
        (name, bytes)
    });
    read.collect()
}

fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (file, content) in WANTED.iter().zip(CONTENT) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let added = tar.append_data(&mut header, file.path, content);
        added.expect("in memory");
    }
    tar.into_inner().expect("in memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(bytes).expect("in memory");
    gzip.finish().expect("in memory")
}

#[test]
fn fuzz_npm_packages() {
    let seeds = [gzip(&tar()), {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&tar()).expect("in memory");
        gzip.finish().expect("in memory")
    }];
    Target::new("npm package", &seeds).run(|bytes| Registry::Npm.unpack(bytes, &WANTED));
}

/// The archive alone is damaged, and its sums of headers are right.
#[test]
fn fuzz_tar_archives_in_npm_packages() {
    const BLOCK: usize = 512;
    const SUM: std::ops::Range<usize> = 148..156;
    let words = [
        "package/a.bin",
        "L",
        "K",
        "x",
        "g",
        "ustar  ",
        "77777777777",
    ];
    Target::new("tar", &[tar()]).words(&words).run(|bytes| {
        let mut bytes = bytes.to_vec();
        for header in bytes.chunks_exact_mut(BLOCK) {
            if header[SUM.end + 101..].starts_with(b"ustar") {
                header[SUM].fill(b' ');
                let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
                header[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        Registry::Npm.unpack(&gzip(&bytes), &WANTED)
    });
}

#[test]
fn fuzz_wheels() {
    let members = [
        (WANTED[0].path, CONTENT[0]),
        (WANTED[1].path, CONTENT[1]),
        ("long/name", &[]),
    ];
    let seeds = [true, false].map(|is_packed| zip(&members, is_packed));
    Target::new("wheel", &seeds)
        .words(&[
            "PK\x01\x02",
            "PK\x03\x04",
            "PK\x05\x06",
            "PK\x06\x06",
            "PK\x06\x07",
        ])
        .run(|bytes| Registry::Pypi.unpack(bytes, &WANTED));
}
