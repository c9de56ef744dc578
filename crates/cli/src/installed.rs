//! Weights files in a folder, and the heads that are built in.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use burn::tensor::Device;

use super::options::DetectorOption;
use affectlens::{
    faces::{ClassifierWeights, FaceWeights},
    head::{ActionUnits, Mlp, TemporalHead, ValenceArousal},
    lens::LensWeights,
    role::{Origin, Role},
    task::{Task, Tasks},
    violence::ViolenceWeights,
    weights::{CatalogEntry, Weights, WeightsError, cache_dir},
};

const PRETRAINED: &[u8] = include_bytes!("../../../models/expression-pretrained.safetensors");
const HEAD: &[u8] = include_bytes!("../../../models/expression-head.safetensors");
const VIOLENCE_HEAD: &[u8] = include_bytes!("../../../models/violence-head.safetensors");

/// Weights files of a folder.
pub(crate) struct InstalledWeights {
    folder: PathBuf,
    backbone: String,
}

impl InstalledWeights {
    /// The files of `folder`, by default of the cache that `affectlens weights fetch` fills, for a backbone that embeds
    /// faces.
    pub(crate) fn new(folder: Option<PathBuf>, backbone: &str) -> Self {
        Self {
            folder: folder.unwrap_or_else(default_folder),
            backbone: backbone.to_owned(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    /// A file that must be there and be of the network that it is named after; the error says how to get it.
    pub(crate) fn read(&self, name: &str) -> Result<Weights> {
        let path = self.path(name);
        if !path.exists() {
            let remedy = remedy(name, &path);
            bail!(
                "`{}`: weights `{name}` are not installed; {remedy}",
                path.display()
            );
        }
        let read = Weights::read(&path).and_then(|weights| {
            weights.expect_architecture(name)?;
            Ok(weights)
        });
        read.map_err(|error| broken(name, &path, error))
    }

    /// The backbone that embeds faces.
    pub(crate) fn backbone(&self) -> Result<Weights> {
        self.read(&self.backbone)
    }

    /// The head of that role in the folder, if there is one.
    fn head(&self, role: Role) -> Result<Option<Weights>> {
        let path = self.path(role.file());
        if !path.exists() {
            return Ok(None);
        }
        let read = Weights::read(&path).and_then(|weights| {
            // Loaded only to know that it can be.
            let device = Device::flex();
            match role {
                Role::ValenceArousalHead => ValenceArousal::load(&weights, &device).map(drop),
                Role::ActionUnitsHead => ActionUnits::load(&weights, &device).map(drop),
                Role::ViolenceHead => TemporalHead::load(&weights, &device).map(drop),
                _ => Mlp::load(&weights, &device).map(drop),
            }?;
            Ok(weights)
        });
        read.map(Some).map_err(|error| {
            let error = error.of_file(&path);
            match role.origin() {
                Origin::BuiltIn => anyhow!("{error}; without this file the built-in one is used"),
                _ => anyhow!("{error}; train it again, or take the file away"),
            }
        })
    }

    /// A head that only a user can bring, trained on the backbone that embeds faces.
    pub(crate) fn own_head(&self, role: Role) -> Result<Option<Weights>> {
        let name = role.file();
        let head = self.head(role)?;
        if let Some(head) = &head
            && let Some(trained_on) = head.metadata.embedding()
            && trained_on != self.backbone
        {
            bail!(
                "`{name}` was trained on `{trained_on}`, the backbone is `{}`",
                self.backbone
            );
        }
        Ok(head)
    }

    /// A classifier from the folder, else the built-in one; none that was trained for another backbone.
    fn classifier(&self, role: Role, built_in: &[u8]) -> Result<Option<Weights>> {
        if let Some(weights) = self.head(role)? {
            return Ok(Some(weights));
        }
        let name = role.file();
        let weights =
            Weights::from_safetensors(built_in).with_context(|| format!("built-in `{name}`"))?;
        let trained_on = weights.metadata.embedding();
        Ok((trained_on == Some(self.backbone.as_str())).then_some(weights))
    }

    /// The classifier that stands in for one of the backbone's own, where there is one for the backbone.
    pub(crate) fn pretrained(&self) -> Result<Option<Weights>> {
        self.classifier(Role::Pretrained, PRETRAINED)
    }

    /// The files that the tasks need.
    pub(crate) fn load(&self, tasks: Tasks, detector: DetectorOption) -> Result<LensWeights> {
        let faces = tasks.need_faces().then(|| self.faces(tasks, detector));
        Ok(LensWeights {
            faces: faces.transpose()?,
            violence: tasks
                .contains(Task::Violence)
                .then(|| self.violence())
                .transpose()?,
        })
    }

    /// What classifies faces that are found already.
    pub(crate) fn face_classifier(&self, tasks: Tasks) -> Result<ClassifierWeights> {
        let optional = |role: Role| match role.serves(tasks) {
            true => self.head(role),
            false => Ok(None),
        };
        Ok(ClassifierWeights {
            backbone: self.backbone()?,
            pretrained: self.pretrained()?,
            head: self.classifier(Role::Head, HEAD)?,
            valence_arousal_head: optional(Role::ValenceArousalHead)?,
            action_units_head: optional(Role::ActionUnitsHead)?,
        })
    }

    fn faces(&self, tasks: Tasks, choice: DetectorOption) -> Result<FaceWeights> {
        let (short, full) = (Role::Detector.file(), Role::FullRangeDetector.file());
        let detector = self.read(match choice {
            DetectorOption::Auto | DetectorOption::ShortRange => short,
            DetectorOption::FullRange => full,
        })?;
        let has_both = choice == DetectorOption::Auto && self.path(full).exists();
        let full_range_detector = has_both.then(|| self.read(full)).transpose()?;
        let classifier = self.face_classifier(tasks)?;
        // Action units come from the mesh, unless a head was trained on them.
        let landmarks = |role: Role| match role.serves(tasks) {
            true if classifier.action_units_head.is_none() => self.read(role.file()).map(Some),
            true if !self.path(role.file()).exists() => Ok(None),
            true => self.read(role.file()).map(Some),
            false => Ok(None),
        };
        Ok(FaceWeights {
            detector,
            full_range_detector,
            mesh: landmarks(Role::Mesh)?,
            blendshapes: landmarks(Role::Blendshapes)?,
            classifier,
        })
    }

    /// The head of the folder, else the built-in one, and the backbone that it was trained on.
    fn violence(&self) -> Result<ViolenceWeights> {
        let head = self.violence_head()?;
        let Some(backbone) = head.metadata.embedding() else {
            bail!(
                "`violence-head` does not name its backbone, expected `embedding` in its metadata"
            );
        };
        Ok(ViolenceWeights {
            backbone: self.read(backbone)?,
            head,
        })
    }

    /// The head of the folder, else the built-in one.
    pub(crate) fn violence_head(&self) -> Result<Weights> {
        match self.head(Role::ViolenceHead)? {
            Some(head) => Ok(head),
            None => Weights::from_safetensors(VIOLENCE_HEAD).context("built-in `violence-head`"),
        }
    }
}

/// Where `affectlens weights fetch` puts files.
pub(crate) fn default_folder() -> PathBuf {
    cache_dir().join("weights")
}

/// The error of a file that is there but cannot be used, with what helps.
pub(crate) fn broken(name: &str, path: &Path, error: WeightsError) -> Error {
    anyhow!("{}; {}", error.of_file(path), remedy(name, path))
}

/// The error of a file that an option names: what helps too, if it is one of those that `weights fetch` installs.
pub(crate) fn unusable(path: &Path, error: WeightsError) -> Error {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    match is_fetched(path) && CatalogEntry::find(&name).is_ok() {
        true => broken(&name, path, error),
        false => error.of_file(path).into(),
    }
}

/// Whether a file is where `weights fetch` puts it.
fn is_fetched(path: &Path) -> bool {
    let fetched = default_folder();
    let whole = |folder: Option<&Path>| folder?.canonicalize().ok();
    let folder = path.parent();
    folder == Some(&fetched)
        || whole(folder).is_some_and(|folder| Some(folder) == whole(Some(&fetched)))
}

/// How to get a file.
fn remedy(name: &str, path: &Path) -> String {
    if CatalogEntry::find(name).is_err() {
        let path = path.display();
        return format!("make it with `affectlens convert FILE {path} --backbone {name}`");
    }
    let fetch = format!("run `affectlens weights fetch {name}`");
    match is_fetched(path) {
        true => fetch,
        false => {
            let folder = default_folder();
            format!("{fetch} and copy the file from `{}`", folder.display())
        }
    }
}
