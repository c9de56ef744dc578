//! Weights files in a folder, and the heads that are built in.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use burn::tensor::Device;

use super::{
    detector::DetectorOption,
    pose::PoseOption,
    two_streams::{flow_backbone, stream_of},
};
use affectlens::{
    backbone::MobileNetConfig,
    faces::{ClassifierWeights, FaceWeights},
    head::{ActionUnits, Mlp, SecondStream, TemporalHead, TemporalKind, ValenceArousal},
    lens::LensWeights,
    people::PeopleWeights,
    role::{Origin, Role},
    task::{Task, Tasks},
    violence::{SecondWeights, ViolenceWeights},
    weights::{CatalogEntry, Weights, WeightsError, cache_dir},
};

/// A file of the folder `models`.
macro_rules! model {
    ($name:literal) => {
        include_bytes!(concat!("../../../models/", $name, ".safetensors")).as_slice()
    };
}

/// Files that the command carries within it: name, and bytes of each; a head is there for several backbones.
const BUILT_IN: [(&str, &[&[u8]]); 4] = [
    (
        MobileNetConfig::EXPRESSION.name,
        &[model!("expression-mobilenet")],
    ),
    (
        Role::Pretrained.file(),
        &[
            model!("expression-pretrained"),
            model!("faceres/expression-pretrained"),
        ],
    ),
    (
        Role::Head.file(),
        &[model!("expression-head"), model!("faceres/expression-head")],
    ),
    (Role::ViolenceHead.file(), &[model!("violence-head")]),
];

/// Weights files of a folder.
pub(crate) struct InstalledWeights {
    folder: PathBuf,
    backbone: String,
}

impl InstalledWeights {
    /// The files of `folder`, by default of the cache that `affectlens weights fetch` fills, for a backbone that embeds
    /// faces: by default the one that the expression head in the folder was trained on, or ours.
    pub(crate) fn new(folder: Option<PathBuf>, backbone: Option<String>) -> Self {
        let folder = folder.unwrap_or_else(default_folder);
        let backbone = backbone
            .or_else(|| backbone_of_head(&folder))
            .unwrap_or_else(|| MobileNetConfig::EXPRESSION.name.to_owned());
        Self { folder, backbone }
    }

    /// Name of the backbone that embeds faces.
    pub(crate) fn backbone_name(&self) -> &str {
        &self.backbone
    }

    /// Where a file of that name would be.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    /// A file that must be there, or built in, and be of the network that it is named after; the error says how to get
    /// it.
    pub(crate) fn read(&self, name: &str) -> Result<Weights> {
        let path = self.path(name);
        if !path.exists() {
            if let Some(weights) = built_in(name)?.into_iter().next() {
                return Ok(weights);
            }
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

    /// A head over sound, which only a user can bring.
    pub(crate) fn sound_head(&self, task: Task) -> Result<Weights> {
        let name = sound_head_name(task);
        let path = self.path(&name);
        let shown = path.display();
        if !path.exists() {
            let task = task.name();
            bail!(
                "`{shown}`: there is no head for sound; train one with `affectlens train {task} --affwild2 ROOT --modality \
                 audio --out {shown}`"
            );
        }
        let head = Weights::read(&path).map_err(|error| error.of_file(&path))?;
        match head.metadata.embedding() {
            Some(SOUND_BACKBONE) => Ok(head),
            other => bail!(
                "`{shown}` was trained on `{}`, expected `{SOUND_BACKBONE}`",
                other.unwrap_or("an unknown backbone")
            ),
        }
    }

    /// A classifier from the folder, else the built-in one; none that was trained for another backbone.
    fn classifier(&self, role: Role, backbone: &Weights) -> Result<Option<Weights>> {
        // Our own network exists in as many versions as it was trained times.
        let is_of_other_training = |head: &Weights| {
            let ours = MobileNetConfig::EXPRESSION.name;
            self.backbone == ours
                && head.metadata.embedding() == Some(ours)
                && head.metadata.source_sha256 != backbone.metadata.source_sha256
        };
        if let Some(head) = self.head(role)? {
            if is_of_other_training(&head) {
                bail!(
                    "`{}` was trained on another `{}`; keep files of one training together, or train it again",
                    self.path(role.file()).display(),
                    self.backbone
                );
            }
            return Ok(Some(head));
        }
        let is_for_backbone = |head: &Weights| {
            head.metadata.embedding() == Some(self.backbone.as_str()) && !is_of_other_training(head)
        };
        Ok(built_in(role.file())?.into_iter().find(is_for_backbone))
    }

    /// The classifier that stands in for one of the backbone's own, where there is one for the backbone.
    pub(crate) fn pretrained(&self, backbone: &Weights) -> Result<Option<Weights>> {
        self.classifier(Role::Pretrained, backbone)
    }

    /// The files that the tasks need.
    pub(crate) fn load(
        &self,
        tasks: Tasks,
        detector: DetectorOption,
        pose: PoseOption,
    ) -> Result<LensWeights> {
        let faces = tasks.need_faces().then(|| self.faces(tasks, detector));
        Ok(LensWeights {
            faces: faces.transpose()?,
            violence: tasks
                .contains(Task::Violence)
                .then(|| self.violence(pose))
                .transpose()?,
            people: tasks
                .contains(Task::Pose)
                .then(|| self.people(pose))
                .transpose()?,
        })
    }

    /// What finds people and the points of their bodies.
    pub(crate) fn people(&self, pose: PoseOption) -> Result<PeopleWeights> {
        Ok(PeopleWeights {
            detector: self.read(Role::PoseDetector.file())?,
            landmarks: self.read(pose.version().name)?,
        })
    }

    /// What classifies faces that are found already.
    pub(crate) fn face_classifier(&self, tasks: Tasks) -> Result<ClassifierWeights> {
        let optional = |role: Role| match role.serves(tasks) {
            true => self.head(role),
            false => Ok(None),
        };
        let backbone = self.backbone()?;
        Ok(ClassifierWeights {
            pretrained: self.pretrained(&backbone)?,
            head: self.classifier(Role::Head, &backbone)?,
            backbone,
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
        // Action units come from the mesh, unless a head was trained on them. Faces can do without being confirmed.
        let needs_mesh =
            tasks.contains(Task::ActionUnits) && classifier.action_units_head.is_none();
        let landmarks = |role: Role| match role.serves(tasks) {
            true if needs_mesh || self.path(role.file()).exists() => {
                self.read(role.file()).map(Some)
            }
            _ => Ok(None),
        };
        Ok(FaceWeights {
            detector,
            full_range_detector,
            mesh: landmarks(Role::Mesh)?,
            blendshapes: landmarks(Role::Blendshapes)?,
            classifier,
        })
    }

    /// The head of the folder, else the built-in one, the backbone that it was trained on, and what tells its second stream.
    fn violence(&self, pose: PoseOption) -> Result<ViolenceWeights> {
        let head = self.violence_head()?;
        let Some(backbone) = head.metadata.embedding() else {
            bail!(
                "`violence-head` does not name its backbone, expected `embedding` in its metadata"
            );
        };
        let kind = TemporalKind::from_architecture(&head.metadata.architecture);
        let second = match kind.and_then(stream_of) {
            None => None,
            Some(SecondStream::Skeletons) => {
                Some(SecondWeights::Skeletons(self.people(pose)?.into()))
            }
            Some(SecondStream::Flow) => Some(SecondWeights::Flow(self.read(flow_backbone(&head))?)),
        };
        Ok(ViolenceWeights {
            backbone: self.read(backbone)?,
            head,
            second,
        })
    }

    /// The head of the folder, else the built-in one.
    pub(crate) fn violence_head(&self) -> Result<Weights> {
        match self.head(Role::ViolenceHead)? {
            Some(head) => Ok(head),
            None => {
                let mut heads = built_in(Role::ViolenceHead.file())?.into_iter();
                heads.next().context("there is no built-in head")
            }
        }
    }
}

/// The network that embeds sound.
pub(crate) const SOUND_BACKBONE: &str = Role::AudioEncoder.file();

/// Name of a task's head over sound, without `.safetensors`.
fn sound_head_name(task: Task) -> String {
    format!("{}-audio-head", task.name())
}

/// The backbone that the expression head in a folder was trained on.
fn backbone_of_head(folder: &Path) -> Option<String> {
    let name = Role::Head.file();
    let head = Weights::read(&folder.join(format!("{name}.safetensors"))).ok()?;
    head.metadata.embedding().map(str::to_owned)
}

/// The first built-in file of that name.
pub(crate) fn built_in_file(name: &str) -> Option<&'static [u8]> {
    built_in_files(name).first().copied()
}

fn built_in_files(name: &str) -> &'static [&'static [u8]] {
    let files = BUILT_IN.iter().find(|(other, _)| *other == name);
    files.map_or(&[], |(_, files)| files)
}

/// The built-in files of that name.
fn built_in(name: &str) -> Result<Vec<Weights>> {
    built_in_files(name)
        .iter()
        .map(|file| Weights::from_safetensors(file).with_context(|| format!("built-in `{name}`")))
        .collect()
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
    if built_in_file(name).is_some() {
        return "without this file the built-in one is used".to_owned();
    }
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
